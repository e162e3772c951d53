//! What a backend is: ordered keys with revisions, transactions with conditions, leases and a signal that something
//! changed. Everything that has to do with mail is above, in [`crate::forest`], once for all backends.

use std::time::Duration;

use async_trait::async_trait;

use crate::directory::{MemberState, StateToken};

/// The backend does not answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub String);

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The whole path, forest and kind included.
    pub key: String,
    /// As it is stored; nothing is read of it here.
    pub value: Vec<u8>,
    /// Revision of the transaction that wrote the value.
    pub revision: u64,
}

/// Entries read at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Revision of the whole store.
    pub revision: u64,
    /// In the order of their keys.
    pub entries: Vec<Entry>,
}

/// What must hold for a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// There is no such key.
    Absent(String),
    /// The key was last written at this revision.
    Unchanged(String, u64),
}

impl Condition {
    /// The key that there must not be.
    pub(crate) fn absent(&self) -> Option<&str> {
        match self {
            Self::Absent(key) => Some(key),
            Self::Unchanged(..) => None,
        }
    }
}

/// What a transaction does. A key may occur once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Writes a value.
    Put(String, Vec<u8>),
    /// Writes a value that goes away with its lease.
    PutUnder(LeaseId, String, Vec<u8>),
    /// Deletes a key, if it is there.
    Delete(String),
    /// Deletes every key that starts so.
    DeletePrefix(String),
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was made, at this revision.
    Done(u64),
    /// A condition did not hold: nothing was written.
    Refused,
}

/// A lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseId(pub i64);

/// Why a store of the past takes no change.
pub(crate) const PAST: &str = "what was cannot be changed";

/// Whether a revision can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It can.
    Yes,
    /// No more; the oldest that can is named.
    Forgotten(u64),
    /// Not yet; the newest is named.
    NotYet(u64),
}

/// A backend.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    /// Most conditions, and most writes, of one transaction.
    fn operations_max(&self) -> usize;

    /// So many of them are worth while in one of many transactions that follow each other: more would keep others waiting.
    fn operations_at_once(&self) -> usize;

    /// The same store for reading as it was at `revision`: every change is refused, leased entries may be
    /// left out.
    fn at(&self, revision: u64) -> Self
    where
        Self: Sized;

    /// Whether `revision` can be read. `key` is any that this process may read.
    async fn kept(&self, key: &str, revision: u64) -> Result<Kept, Unavailable>;

    /// The state of the whole store, where it can be told at once: nobody is waited for, neither the disk nor a change.
    fn state_at_once(&self) -> Option<StateToken> {
        None
    }

    /// Every entry whose key starts with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Listing, Unavailable>;

    /// The first `limit` entries whose key starts with `prefix` and comes after `after`.
    async fn page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, Unavailable>;

    /// The entries of `keys`, in their order; at most [`operations_max`](Self::operations_max).
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Entry>>, Unavailable>;

    /// Makes all `writes`, if all `conditions` hold.
    async fn transact(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Result<Outcome, Unavailable>;

    /// From now on, or no more, a transaction may be answered before it is on disk, where that costs less: see
    /// [`Administration::gather`](crate::Administration::gather). What was so answered is on disk when this returns.
    async fn gather(&self, _gather: bool) -> Result<(), Unavailable> {
        Ok(())
    }

    /// Returns when a key that starts with `prefix` may have changed after revision `after`.
    async fn changed(&self, prefix: &str, after: u64) -> Result<(), Unavailable>;

    /// The same of keys under leases, which also go away by themselves.
    async fn came_or_went(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        self.changed(prefix, after).await
    }

    /// A lease that ends `ttl` after it was last kept alive.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Unavailable>;

    /// Whether the lease is still there; if so it is prolonged.
    async fn keep_alive(&self, lease: LeaseId) -> Result<bool, Unavailable>;

    /// Ends a lease now.
    async fn revoke(&self, lease: LeaseId) -> Result<(), Unavailable>;

    /// The members that this backend consists of, each asked by itself. None where it is one file.
    async fn members(&self) -> Vec<MemberState>;
}
