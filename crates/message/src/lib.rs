//! What the transport does to the content of a message, as pure functions: it reads headers, removes the ones that may
//! not pass, adds its own, and writes notifications. Bodies are held by [`seven_bit`] alone: everything else works
//! on the header block, so that content of any size streams past.
//!
//! ```text
//! chunks ──▶ split::HeaderCollector ──▶ header block ──▶ firewall::apply ──▶ + received::Received ──▶ out
//!                        └──▶ rest of the chunk, and all later ones: the body, untouched
//! ```
//!
//! | module | does | source |
//! |---|---|---|
//! | [`split`] | finds the end of the header in a stream | RFC 5322 §2.1, LM-01 |
//! | [`header`] | reads fields without copying | RFC 5322 §2.2, LM-02, RT-74 |
//! | [`received`] | reads and writes trace lines | RFC 5321 §4.4 |
//! | [`firewall`] | removes header classes by path | PL-73, PF-20 ff. |
//! | [`dsn`] | writes delivery status notifications | RFC 3461, 3464, 6522; docs/rules.md, Notifications |
//! | [`seven_bit`] | encodes parts for hosts without 8BITMIME | RFC 6152, RFC 2045 |
//! | [`text`] | the words of a message, alone | RFC 2045 |
//! | [`complete`] | adds what is missing | RFC 5322 §3.6 |
//! | [`date`] | prints RFC 5322 dates | RFC 5322 §3.3 |
//!
//! Fields and what is in them are found here: the firewall must see every line that any later reader could take for a
//! header, and nothing that a stranger writes may cost more than its length (`decode`). Charsets and dates are
//! mail-parser's work.

pub mod complete;
pub mod date;
mod decode;
pub mod dsn;
mod encode;
pub mod firewall;
pub mod header;
pub mod received;
pub mod seven_bit;
pub mod split;
pub mod text;

pub use dsn::{Action, Dsn, Original, RecipientReport, Report};
pub use firewall::{HeaderRights, Path};
pub use header::{Field, Glimpse, HeaderBlock};
pub use received::{Protocol, Received};
pub use split::{HeaderCollector, HeaderTooLarge, split_header};
pub use text::plain_text;
