//! One outbound SMTP connection as a state machine (RFC 5321 §3, §4.1.4).
//!
//! ```text
//!  banner ─▶ EHLO ─▶ [STARTTLS ─▶ handshake ─▶ EHLO] ─▶ [AUTH] ─▶ Ready ─▶ send ─▶ … ─▶ Finished ─▶ Ready ─▶ quit
//! ```
//!
//! A message goes out in as few writes as the server allows: with PIPELINING and CHUNKING a small one is a single write
//! of `MAIL`, all `RCPT`, `BDAT … LAST` and the content; with PIPELINING alone `MAIL`, `RCPT` and `DATA` go together;
//! without it, command by command. Capabilities read before TLS are forgotten, octets after the `220` of `STARTTLS` end
//! the session (CVE-2021-38371).

mod capabilities;
mod commands;
mod failure;
mod message;
mod session;

pub use capabilities::Capabilities;
pub use commands::replay_fields;
pub use failure::{Cause, Phase, SessionFailure};
pub use message::{MessageContent, MessageOutcome};
pub use session::{ClientConfig, ClientEvent, ClientSession, CredentialUse, StartTlsUse};

#[cfg(test)]
mod tests;
