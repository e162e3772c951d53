//! One inbound SMTP connection as a state machine (RFC 5321 §4.1.4, §4.3).
//!
//! The shell reads into [`ServerSession::input_space`], takes events with [`ServerSession::poll_event`], answers those
//! that ask ([`ServerEvent`] says which), and writes what [`ServerSession::poll_transmit`] gives once `poll_event` has nothing
//! more. While an answer is outstanding nothing further is interpreted, so replies stay in order whatever was pipelined.
//!
//! ```text
//!            greet            EHLO, HELO          MAIL              RCPT+           DATA, BDAT
//!  Connected ─────▶ Command ────────────▶ greeted ─────▶ sender set ─────▶ recipients ──────▶ Content
//!                      ▲  ▲ tls_established   ▲                                                  │
//!                      │  └── Handshake ◀─────┤ STARTTLS                    end_of_data_* ────────┤
//!                      └───── Authenticating ◀┘ AUTH                        (transaction cleared) ┘
//! ```

mod authentication;
mod commands;
mod config;
mod content;
mod hello;
mod session;

pub use config::{AuthOffer, Extensions, ServerConfig, UnauthorizedPipelining};
pub use session::{ServerEvent, ServerSession};

#[cfg(test)]
mod tests;
