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
//! | accepted, not categorized | spool, [`submission`] | the same |
//! | waiting for a next hop | spool, `scheduler` | accepted, not categorized |
//! | in a connection | spool, [`delivery`] | accepted, not categorized: a duplicate at worst |
//! | without a route | spool, `scheduler`'s Unreachable queue | accepted, not categorized |
//! | done for some recipients | spool, with their outcome | for the others: accepted, not categorized |
//! | done | nowhere | nowhere, or done for all: removed at start |
//!
//! | module | what |
//! |---|---|
//! | [`service`] | start, health, drain |
//! | [`accept`] | taking messages over from the other services |
//! | [`entrance`] | taking messages from SMTP clients: Transport's own Receive connectors |
//! | [`pressure`] | whether mail may come in, as disk, memory and Submission queue are |
//! | [`submission`] | the Submission queue and the categorizer |
//! | [`resolver`] | its questions to the directory |
//! | [`delivery`] | connections to next hops |
//! | [`settle`], [`notify`] | outcomes, notifications, removal |
//! | [`timer`] | retries, lateness, expiry, new configurations |
//! | [`outgoing`] | content on its way out |
//! | [`track`] | what goes into the message tracking log |
//! | [`counted`] | the metrics of the other servers |
//! | [`view`], [`whereabouts`] | what an administrator sees |
//! | [`routing_log`] | the routing tables, written down when they change |

mod accept;
mod core;
mod counted;
mod delivery;
mod entrance;
mod notify;
mod outgoing;
mod pressure;
mod resolver;
mod routing_log;
mod service;
mod settle;
mod submission;
mod timer;
mod track;
mod view;
mod whereabouts;

pub use service::{Transport, TransportError};
