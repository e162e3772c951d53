//! The one ledger of items: where each is, what is next, when a next hop is tried again, when mail is late or given up, and
//! what an administrator does to it.
//!
//! An item is a message, or those of its recipients that share a way. It is in one queue at any time (invariant 4): the
//! Submission queue, the queue of a next hop ([`Lane`](lane), one per [`NextHopSolutionKey`](routing::NextHopSolutionKey),
//! QU-03, QU-20), Unreachable or poison; and there it waits, is deferred until a time, is suspended, or is in hands. Nothing
//! here does I/O or reads a clock: `now` is an argument, and every answer says what the shell has to do next ([`Demand`],
//! [`Event`]).
//!
//! ```text
//!  submit ─▶ Submission ──next_submitted──▶ in hands ──decide──▶ Unreachable (no route) ─── a new configuration ─┐
//!             ▲  ▲  ▲                         │    └───────────▶ queue of a next hop ─── or long silence ──┐     │
//!             │  │  └──── due ◀── deferred ◀──┘                  │          ▲   ▲                          │     │
//!             │  │                                              take        │   └ due ◀── deferred ◀─┐     │     │
//!             │  │                                               ▼          │                        │     │     │
//!             │  └────────────────── rerouted ◀────────────── in hands ── put back ── or deferred ───┘     │     │
//!             │                                                  ├─▶ finished, unrecorded                  │     │
//!             │                                                  └─▶ crashed: deferred, then poison        │     │
//!             └────────────────────────────────────────────────────────────────────────────────────────────┴─────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`ledger`] | entry, categorization, and what becomes of items in hands |
//! | [`connections`] | who may open a connection; who has to wait for one |
//! | [`time`] | retries, lateness, expiry; a new configuration |
//! | [`operations`] | suspend, resume, retry, resubmit, remove, redirect |
//! | [`view`] | queues and items, with why each is still here |
//!
//! No operation scans a queue: items are ordered by age, so the oldest stand in front; what is due stands in ordered sets; a
//! change that concerns all items goes over them in pieces. Lists are read in pieces too, so that nobody waits for a long one.

pub mod connections;
pub mod item;
pub mod ladder;
mod lane;
pub mod ledger;
pub mod limits;
#[cfg(test)]
mod model;
pub mod operations;
mod queue;
mod rate;
#[cfg(test)]
mod tests;
pub mod time;
pub mod view;

pub use connections::Work;
pub use item::{InHands, Item, ItemId, MessageNumber, QueueId, RecipientIndexes};
pub use ladder::{Ladder, RetrySettings};
pub use lane::{Budget, QueueStatus};
pub use ledger::{Decided, Demand, Demands, Destination, GivenBack, Share, WithNdr};
pub use limits::Limits;
pub use operations::{Done, Refusal};
pub use time::Event;
pub use view::{ItemStatus, ItemView, QueueView, Why};

pub use self::ledger::Ledger;
