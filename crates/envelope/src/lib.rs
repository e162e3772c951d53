//! The words of mail transport that every other crate speaks: addresses, envelopes, replies, sizes, times, identifiers.
//!
//! Each word is parsed once, at the border where it enters, and is never checked again. Nothing here does I/O, reads a
//! clock or draws random numbers; whoever needs `now` or an identifier passes it in.
//!
//! | module | words | source |
//! |---|---|---|
//! | [`domain`] | [`Domain`] | RFC 5321 §4.1.2, RFC 6531, RFC 5890 |
//! | [`address`] | [`Address`], [`ReversePath`] | RFC 5321 §4.1.2 |
//! | [`encapsulated`] | addresses of other types inside | PL-45, EN-73 |
//! | [`text`] | how texts are compared, what they may not hold | Unicode |
//! | [`status`] | [`EnhancedStatus`], [`Reply`], [`Severity`] | RFC 3463, RFC 5321 §4.2 |
//! | [`size`] | [`ByteSize`], [`Limit`] | SC-141, SC-142 |
//! | [`time`] | [`Timestamp`], [`Span`] | SC-140 |
//! | [`transaction`] | [`Envelope`], [`Recipient`], DSN parameters | RFC 5321 §3.3, RFC 3461 |
//! | [`identity`] | [`MessageId`], [`TraceContext`], [`Revision`], names | W3C Trace Context |
//! | [`head`] | [`MessageHead`]: everything about a message but its content | LM-02, QU-43 |
//! | [`service`] | [`Service`]: the parts that speak to each other | docs/rules.md, Pipeline |
//! | [`receipt`] | [`Receipt`]: the only thing that may become a `250` after end-of-data | invariant 1 |

pub mod address;
pub mod domain;
pub mod encapsulated;
pub mod head;
pub mod identity;
pub mod receipt;
pub mod service;
pub mod size;
pub mod status;
pub mod text;
pub mod time;
pub mod transaction;

pub use address::{Address, AddressError, ReversePath};
pub use domain::{Domain, DomainError};
pub use head::{MessageHead, Origin, OriginKind};
pub use identity::{MessageId, ObjectName, Revision, ServerName, SiteName, TraceContext};
pub use receipt::Receipt;
pub use service::{Service, ServiceError};
pub use size::{ByteSize, Limit};
pub use status::{EnhancedStatus, Reply, Severity};
pub use time::{Span, Timestamp};
pub use transaction::{BodyType, DsnReturn, Envelope, Notify, OriginalRecipient, Recipient};
