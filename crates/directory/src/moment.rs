//! A moment of the directory's history, and what became of addresses between two of them.
//!
//! A revision alone is no moment: after a restore from a backup revisions are counted again, with other contents. The record of a change
//! is like no other, so that a moment is known again by it.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use envelope::{Address, Revision};

/// The moment of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The revision that the change made.
    pub revision: Revision,
    /// Of its record.
    mark: Vec<u8>,
}

impl Moment {
    /// That of a change with `record`.
    pub(crate) fn of(revision: Revision, record: &[u8]) -> Self {
        Self { revision, mark: digest(&SHA256, record).as_ref().to_vec() }
    }
}

/// Why it is not told what changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// It is not kept, or not worth while: whoever wants to know reads everything.
    #[error("{0}")]
    Lost(String),
    /// The backend does not answer.
    #[error("the directory cannot be reached: {0}")]
    Unavailable(String),
}

/// What became of addresses at which strangers reach somebody, between two moments; one that went from a recipient to another is the
/// same as before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressChanges {
    /// Recipients that were changed in between, and read.
    pub recipients: usize,
    /// By their keys.
    came: BTreeMap<String, Address>,
    went: BTreeMap<String, Address>,
}

impl AddressChanges {
    /// None yet, of so many recipients.
    pub(crate) fn of(recipients: usize) -> Self {
        Self { recipients, ..Self::default() }
    }

    /// Those that are reached now and were not.
    pub fn came(&self) -> impl Iterator<Item = &Address> {
        self.came.values()
    }

    /// Those that were reached and are no more.
    pub fn went(&self) -> impl Iterator<Item = &Address> {
        self.went.values()
    }

    /// Takes those that led to one recipient, and those that do.
    pub(crate) fn take<'a>(&mut self, had: impl Iterator<Item = &'a Address>, has: impl Iterator<Item = &'a Address>) {
        let keyed = |address: &Address| (address.key(), address.clone());
        let had: BTreeMap<String, Address> = had.map(keyed).collect();
        let has: BTreeMap<String, Address> = has.map(keyed).collect();
        let only = |one: &BTreeMap<String, Address>, other: &BTreeMap<String, Address>| {
            let alone = one.iter().filter(|(key, _)| !other.contains_key(*key));
            alone.map(|(key, address)| (key.clone(), address.clone())).collect::<Vec<_>>()
        };
        for (key, address) in only(&had, &has) {
            if self.came.remove(&key).is_none() {
                self.went.insert(key, address);
            }
        }
        for (key, address) in only(&has, &had) {
            if self.went.remove(&key).is_none() {
                self.came.insert(key, address);
            }
        }
    }
}
