//! Edge subscriptions and EdgeSync (docs/edge.md): an Edge server stands in the perimeter, outside of the forest and of its directory.
//! What it needs of the organization is pushed to it from inside, and nothing is asked of it.
//!
//! ```text
//!   Edge server                                      organization
//!   New-EdgeSubscription -FileName ─▶ file ─carried─▶ New-EdgeSubscription -FileData -Site
//!   public key of the file                           Edge object: its authorities, a voucher by the file's key
//!        ▲                                                │
//!        └── Subscribe(voucher, our authorities) ◀── EdgeSync: a Mailbox server of the site
//!            then configuration, digests of recipients, where Transports are; every few minutes what has changed
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`file`] | the file that an administrator carries, and the voucher that is made with its key |
//! | [`view`] | what of the organization an Edge server is told |
//! | [`sync`] | one synchronization, and what differs |
//! | [`recipients`] | what an Edge server is told of recipients: all of them once, then what changed |
//! | [`error`] | why one was not synchronized |
//! | [`host`] | the Edge server's end |
//! | [`keeper`] | who synchronizes when |

pub mod error;
pub mod file;
pub mod host;
pub mod keeper;
pub mod recipients;
pub mod sync;
pub mod view;

pub use error::SyncError;
pub use file::{FileError, SubscriptionFile};
pub use host::EdgeHost;
pub use keeper::Keeper;
pub use sync::SyncReport;
