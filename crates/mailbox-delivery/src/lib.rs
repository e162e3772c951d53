//! Mailbox Transport Delivery: writes into the mailbox databases that are active on this server (PL-10, PL-13).
//!
//! ```text
//!  Transport ──implicit connector──▶ handler ──▶ placement: directory + snapshot ──┬─▶ reroute, retry, fail
//!                                       │                                          └─▶ mailboxes, by database
//!                                       └─ content, read once ─▶ header firewall ─▶ one staged file per database
//!                                                                                     └─▶ a link per mailbox
//! ```
//!
//! It queues nothing (PL-11): every recipient has its outcome in the answer, and Transport acts on it. A message that
//! comes again under its id makes no second copy.
//!
//! Not here: mail that a delivery gives rise to, such as redirects of inbox rules (PL-34); there are no rules yet.
//!
//! | module | what |
//! |---|---|
//! | [`service`] | start, health, drain |
//! | `handler` | one message: its bounds, its trace, its outcomes |
//! | `placement` | which mailbox a recipient has, or why none here |
//! | `content` | the message on its way to disk |
//! | `moves`, `arrival`, `entries` | a database goes to another server, or comes from one |
//! | `databases` | the databases opened so far |

mod arrival;
mod content;
mod databases;
mod entries;
mod handler;
mod moves;
mod placement;
pub mod service;

pub use service::{MailboxDelivery, MailboxDeliveryError};
