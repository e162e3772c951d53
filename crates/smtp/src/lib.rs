//! SMTP over the network: drives the machines of `smtp-session` over the streams of `net`, both ways.
//!
//! ```text
//!  inbound   SmtpListener ─▶ Reception::admit (which connector? may it come in?) ─▶ inbound ─▶ SessionHandler
//!  outbound  SessionPlan ─▶ Sender::open ─▶ targets (MX, smart hosts) ─▶ connect, TLS, AUTH ─▶ SmtpSession: OutboundSession
//! ```
//!
//! Nothing here decides about mail: who may relay, what is accepted and where it goes is asked of the
//! [`SessionHandler`] or written in the [`SessionPlan`]. What it does decide is patience: every read, write and session
//! has a limit. A [`SessionPlan`] and a [`Failure`] are plain values, so that a session can be opened on another server
//! (through its front end) and look the same.
//!
//! | module | what it knows |
//! |---|---|
//! | [`handler`] | the questions that an inbound session asks |
//! | [`gate`] | how many connections a connector takes, in all and from one source |
//! | [`source`] | what one source is: addresses by network |
//! | [`listener`] | accepting, draining |
//! | `inbound` | one inbound session |
//! | [`plan`] | everything about an outbound session |
//! | [`targets`] | whom to call, in which order |
//! | [`sender`] | opening sessions: connection, TLS, fallback |
//! | [`outbound`] | sending messages over an open session |
//! | [`failure`] | why it did not work, as `LastError` shows it |

pub mod failure;
pub mod gate;
pub mod handler;
mod inbound;
pub mod listener;
pub mod outbound;
pub mod plan;
pub mod sender;
pub mod source;
pub mod targets;

pub use failure::{Failure, FailurePhase, Peer};
pub use gate::{ConnectionGate, ConnectionLimits, Permit};
pub use handler::{Accepted, Admission, Connection, Reception, SessionFacts, SessionHandler, SessionSettings};
pub use listener::SmtpListener;
pub use outbound::{Content, MessageOutcome, OutboundMessage, OutboundSession, SmtpSession, TlsOutcome};
pub use plan::{Authentication, CredentialRequirement, NextHop, SessionPlan, TlsPolicy};
pub use sender::Sender;
