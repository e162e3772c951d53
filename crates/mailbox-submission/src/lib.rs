//! Mailbox Transport Submission: takes what users send out of the mailbox databases that are active on this server, and
//! hands it to the best Transport service (PL-09, RT-67…RT-69).
//!
//! ```text
//!  .Outbox ──watch──▶ claim ──▶ scan: read once, measure ──▶ compose: envelope, outgoing header
//!     ▲                 │                                       │
//!     │                 │            ┌── Transport, in the order of routing ◀── submit
//!     │                 │            ├─ receipt ───────────────▶ .Sent
//!     │                 │            ├─ 5yz, or not to be sent ─▶ .Failed, with the reason
//!     └── again, later ─┴────────────┴─ anything else
//! ```
//!
//! It queues nothing (PL-11): a message stays in its outbox until Transport has it durably or it can never be sent. Its id
//! is always the same, so a repeat after a crash is known to Transport.
//!
//! | module | what |
//! |---|---|
//! | [`service`] | start, health, drain; which databases are watched |
//! | `outboxes` | the outboxes of one database |
//! | `submission` | one message, from claim to settlement |
//! | `compose` | its header becomes an envelope and an outgoing header |
//! | `scan` | its content, measured and then sent |
//! | `backoff` | when to try again |

mod backoff;
mod compose;
mod outboxes;
mod scan;
pub mod service;
mod submission;

pub use mailbox_store::Watcher;
pub use service::{MailboxSubmission, MailboxSubmissionError};
