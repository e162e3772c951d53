//! Kerberos as a client, by GSSAPI (RFC 4121, RFC 4752): a service of this server proves who it is to another server, and that
//! one proves who it is as well. The one crate that names libgssapi, and with it MIT Kerberos.
//!
//! ```text
//!   keytab ─▶ ticket for the realm (kept in memory, renewed by the library) ─▶ ticket for smtp/<host> ─▶ Dialogue
//!                                                                             │ token ◀─▶ token: both are proved
//!                                                                             └ no security layer: TLS is SMTP's own
//! ```
//!
//! What it does not do: decide whether to log on, speak SMTP, ask for passwords. Its failures are all transient: tickets,
//! clocks and servers of a realm can be mended.
//!
//! | module | what it knows | rules |
//! |---|---|---|
//! | `environment` | by which variables the library is told of the keytab | – |
//! | [`Initiator`] | whose keytab it is; the name of the other side | RFC 4120 §6.2.1, RFC 4954 §4 |
//! | [`Dialogue`] | tokens to and fro | RFC 4752 §3.1, TA-60 |
//! | `work` | calls that block, beside the runtime | – |

mod dialogue;
mod environment;
mod error;
mod initiator;
mod work;

pub use dialogue::{Dialogue, End};
pub use environment::{environment, is_in_force};
pub use error::KerberosError;
pub use initiator::Initiator;
