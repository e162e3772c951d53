//! Transport: the service that holds the queue, decides where mail goes, and gets it there.
//!
//! ```text
//!  implicit connector ─▶ accept ─commit─▶ Submission ─▶ categorize ─▶ delivery queues ─▶ delivery ─▶ settle ─▶ gone
//!  SMTP clients ─▶ entrance ──┘(spool)         ▲   ▲          │              │                │          │
//!                                            │   └ reroute ─┼──────────────┼────────────────┘          │
//!                                            │              ├─▶ Unreachable ┤ (new configuration)       │
//!                                            └──────────────┴──────────────┴──── notifications ◀───────┘
//! ```
//!
//! | state of a message | where it is | survives a crash as |
//! |---|---|---|
//! | accepted, not categorized | spool, [`categorize`] | the same |
//! | waiting for a next hop | spool, `scheduler` | accepted, not categorized |
//! | in a connection | spool, [`deliver`] | accepted, not categorized: a duplicate at worst |
//! | without a route | spool, `scheduler`'s Unreachable queue | accepted, not categorized |
//! | done for some recipients | spool, with their outcome | for the others: accepted, not categorized |
//! | done | nowhere | nowhere, or done for all: removed at start |
//!
//! | module | what |
//! |---|---|
//! | [`service`] | start, health, drain |
//! | [`receive`] | taking messages over, from the other services and from SMTP clients, as back pressure allows |
//! | [`categorize`] | the Submission queue and the categorizer with its questions to the directory |
//! | [`deliver`] | connections to next hops, and content on its way out |
//! | [`settle`] | outcomes, notifications, removal, what goes into the message tracking log |
//! | [`state`] | Active, Redirecting, Stopping |
//! | [`timer`] | retries, lateness, expiry, new configurations |
//! | [`administration`] | what an administrator sees: queues, metrics of the other servers, the routing table log |
//! | [`hand`] | an item in the hands of a task: it goes back to the ledger (`scheduler`) whatever happens |
//! | [`ground`] | the words that all of them share |

mod administration;
mod categorize;
mod core;
mod deliver;
mod ground;
mod hand;
mod receive;
mod service;
mod settle;
mod state;
mod timer;

pub use administration::operations::{OperationError, Operations, RedirectError};
pub use service::{Transport, TransportError};
pub use state::State;
