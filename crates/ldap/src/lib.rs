//! Another directory that keeps recipients and log-ons, by LDAP (RFC 4511): Active Directory, OpenLDAP and their like.
//!
//! ```text
//!   source ─▶ connection: ldaps or StartTLS, bind ─┬─▶ search: all entries, page by page ─▶ reading: what an entry is
//!   (settings)                                     │                        merge: with the recipients of now ─▶ as wanted
//!                                                  └─▶ logons: is this the password of that entry?
//! ```
//!
//! Nothing is ever sent in clear, and nothing is written there. Who asks decides what to do with the answer: `postroad sync`
//! plans and commits, `reception` lets somebody log on. This is the only crate that names ldap3.
//!
//! | module | rules |
//! |---|---|
//! | [`source`] | – |
//! | [`connection`] | RFC 4513 §3.1 (StartTLS), §5.1.2 (no bind without a password) |
//! | [`search`] | RFC 2696 (pages), MS-ADTS 3.1.1.3.1.3.3 (ranges of values) |
//! | [`reading`] | RFC 2798, RFC 2307, the attributes of Exchange in Active Directory |
//! | [`merge`] | – |
//! | [`logons`] | RFC 4513 §5.1.3, RFC 4954 §6 |

pub mod connection;
pub mod entry;
pub mod logons;
pub mod merge;
pub mod reading;
pub mod search;
pub mod source;

pub use connection::LdapError;
pub use entry::Entry;
pub use logons::{LogonError, Logons};
pub use merge::{LeftOut, Merge, Terms, merge};
pub use search::search;
pub use source::{Identity, LdapSource, Schema, ServerAddress};
