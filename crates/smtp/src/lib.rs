//! SMTP over the network: drives the machines of `smtp-session` over the streams of `net`, both ways.
//!
//! ```text
//!  inbound   SmtpListener ─▶ Reception::admit (which connector? may it come in?) ─▶ inbound ─▶ SessionHandler
//!  outbound  SessionPlan ─▶ Sender::open ─▶ targets (MX, smart hosts) ─▶ connect, TLS, AUTH ─▶ NextHopSession: OutboundSession
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
//! | [`listener`] | accepting, draining |
//! | `inbound` | one inbound session |
//! | [`plan`] | everything about an outbound session |
//! | [`targets`] | whom to call, in which order |
//! | [`sender`] | opening sessions |
//! | [`search`] | one host after the other, in one attempt |
//! | `call` | one connection: TLS with its fallback, authentication |
//! | `logon` | Exchange Server authentication: tokens to and fro |
//! | [`session`] | a session with a next hop, whichever of its hosts it is |
//! | [`outbound`] | sending messages over one connection |
//! | [`transcript`] | sessions told, for a protocol log |
//! | [`failure`] | why it did not work, as `LastError` shows it |

mod call;
pub mod failure;
pub mod gate;
pub mod handler;
mod inbound;
pub mod listener;
mod logon;
pub mod outbound;
pub mod plan;
pub mod search;
pub mod sender;
pub mod session;
mod silent;
pub mod targets;
pub mod transcript;

pub use failure::{Failure, FailurePhase, Lack, Peer};
pub use gate::{ConnectionGate, ConnectionLimits, Permit};
pub use handler::{
    Accepted, Admission, Connection, Preamble, Reception, SessionFacts, SessionHandler, SessionSettings,
};
pub use listener::SmtpListener;
pub use outbound::{Content, MessageOutcome, OutboundMessage, OutboundSession, TlsOutcome, Turn};
pub use plan::{Authentication, CredentialRequirement, NextHop, Ourselves, SessionPlan, TlsPolicy};
pub use sender::{Answered, Sender};
pub use session::NextHopSession;
pub use transcript::{Happening, Line, ToldConnector, Transcript, Transcripts};
