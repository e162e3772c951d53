//! Delivery queues: which message is tried next, when a next hop is tried again, when mail is late and when it is given up.
//!
//! One [`Lane`](lane) per [`NextHopSolutionKey`](routing::NextHopSolutionKey) (QU-03, QU-20). A lane holds message ids, never
//! content, and owns its connections: a connection asks for work, reports what became of it, and goes. Nothing here does
//! I/O or reads a clock: `now` is an argument, and every answer says what the shell has to do next ([`Demand`], [`Event`]).
//!
//! ```text
//!              enqueue                take                    done ─▶ gone
//!   categorizer ─────▶ waiting ────────────────▶ in a connection ─┤
//!                        ▲  ▲                                     ├─ put_back ─▶ waiting (connection ended)
//!                        │  └──── due ◀── deferred ◀──────────────┘  defer (the peer deferred this message, QU-38)
//!                        └─ the ladder: glitch ▸ transient ▸ outbound (QU-33), while the lane is in Retry
//! ```
//!
//! What is there can be read at any time ([`QueueView`], [`ItemView`]), in pieces, so that nobody waits for a long list.
//!
//! No operation scans a lane: waiting items are ordered by age, so the oldest, which are the first to be late or to
//! expire, stand in front; lanes wait for their next moment in one ordered set.

pub mod item;
pub mod ladder;
mod lane;
pub mod queues;
mod rate;
#[cfg(test)]
mod tests;
pub mod view;

pub use item::{Item, RecipientIndexes};
pub use ladder::{Ladder, RetrySettings};
pub use lane::LaneStatus;
pub use queues::{Demand, Event, LaneId, Limits, Queues};
pub use view::{Bookmark, ItemView, QueueView};
