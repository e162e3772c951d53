//! Delivery agents: programs beside Transport that take the mail of Delivery Agent connectors to systems that do not speak SMTP
//! (EN-55).
//!
//! ```text
//!   Transport ── Unix socket, postroad.agent.v1 ──▶ serve ──▶ Agent::deliver ──▶ LMTP, HTTP
//!             ◀── what became of each recipient ───
//! ```
//!
//! An agent keeps nothing: what it has not answered, Transport gives again. One in another language needs `proto/postroad/agent` alone
//! (docs/agents.md).

pub mod http;
pub mod lmtp;
mod serve;

pub use serve::{Agent, Attending, MESSAGE_SIZE_MAX, serve};
