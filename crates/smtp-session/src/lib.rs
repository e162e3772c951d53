//! SMTP without sockets: the codec and the two session machines, server and client (RFC 5321 and its extensions).
//!
//! A machine is fed octets and answers, and is asked for octets to send and for events; it never waits, reads no clock
//! and holds no more than a bounded buffer. The crate `smtp` drives the machines over the network, the simulator over
//! memory. What they must never do: take anything but `CRLF.CRLF` for the end of a message, emit a bare CR or LF, carry
//! octets across `STARTTLS`, or say `250` to end-of-data without an [`envelope::Receipt`].
//!
//! ```text
//!   octets ─▶ input_space / handle_input ─▶ poll_event ─▶ ServerEvent ─▶ the shell decides ─▶ accept / reject
//!                                                                                          │
//!   octets ◀───────────────────────────── poll_transmit ◀──────────────────────────────────┘
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`server`] | [`ServerSession`]: one inbound connection |
//! | [`client`] | [`ClientSession`]: one outbound connection |
//! | [`command`] | the strict command parser and `MAIL`/`RCPT` parameters |
//! | [`reply`] | reply writer and bounded reply parser |
//! | [`dot`], [`lines`] | dot-stuffing both ways, strict CRLF |
//! | [`xtext`] | RFC 3461 §4 |
//! | [`spoken`] | what was said, for a protocol log |
//! | [`limits`] | every limit and timeout, with its source |

pub mod client;
pub mod command;
pub mod credentials;
pub mod dot;
pub mod limits;
pub mod lines;
pub mod reply;
pub mod server;
pub mod spoken;
pub mod xtext;

pub use client::{ClientConfig, ClientEvent, ClientSession};
pub use credentials::{Credentials, ExchangeTls, Logon, Secret};
pub use server::{ServerConfig, ServerEvent, ServerSession};
pub use spoken::Spoken;
