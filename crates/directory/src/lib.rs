//! The Active Directory stand-in: the configuration of one forest, its recipients, and who is there.
//!
//! ```text
//!              Directory (services)      Administration (commands)
//!        ┌─────────────┴──────────────┬─────────────┘
//!    Shared ── one reader for all services of a process ─▶ LastGood
//!    LastGood ── caches and persists ─▶ Forest ── rules, once ──▶ Store ──┬── etcd
//!                                                                         └── embedded (SQLite)
//! ```
//!
//! - A configuration is read as a whole at one revision, checked, and only then becomes a snapshot. What is invalid is
//!   reported and never applied; a revision that goes backwards is reported and never applied.
//! - A change is validated against the organization that would result and made in one transaction, or not at all.
//! - Recipients are apart and looked up by address; a million of them never enter a snapshot.
//! - Presence is kept under leases.
//! - What was can be read, at any revision that the backend still keeps.
//!
//! This is the only crate that names etcd and SQLite. It routes nothing and opens no port.

mod apply;
mod author;
mod census;
mod digests;
mod directory;
mod embedded;
mod etcd;
mod forest;
mod keys;
mod last_good;
mod moment;
mod password;
mod presence;
mod revocation;
mod seal;
mod secrets;
mod shared;
mod store;

pub use apply::{all_recipients, apply, apply_telling, repair};
pub use census::Census;
pub use digests::{Bucket, BucketChange, Buckets, DigestsChange, Mark, Marks, MarksSum, RecipientDigest, into_buckets};
pub use directory::{
    Administration, Answer, Author, Backend, Change, CommitError, Configuration, Directory, HistoryError, MemberState,
    Precondition, Presences, ReadError, RecipientDigests, Recipients, RevisionRecord, Salvage, StateToken, WatchEvent,
};
pub use embedded::{EmbeddedSettings, HISTORY_ENTRIES_MAX, HISTORY_OCTETS_MAX, open as open_embedded};
pub use etcd::{EtcdSettings, EtcdTls, EtcdUsers, connect as connect_etcd, secure_etcd};
pub use forest::{LEASE_TTL_DEFAULT, LOOKUP_BATCH, organization_of};
pub use keys::FOREST_DEFAULT;
pub use last_good::LastGood;
pub use moment::{AddressChanges, ChangesError, Moment};
pub use password::{VerifyError, create_verifier, verify_password};
pub use presence::{Announcement, Presence, ahead_of};
pub use revocation::RevocationRecord;
pub use seal::{Credential, SealError, Sealer};
pub use secrets::{ApplySecrets, Passwords};
pub use shared::Shared;
