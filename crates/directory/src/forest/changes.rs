//! What became of addresses between two moments: records of changes name the recipients that they touched, and those alone are read, as
//! they were and as they are.
//!
//! ```text
//!   since ◀── record ◀── record ◀── record ◀── until      each at the revision before the next one
//!               └───────────┴───────────┴─ recipients: read at `since` and at `until`
//! ```

use std::collections::BTreeSet;

use topology::{DirectoryRecipient, Guid};

use super::recipients::recipient;
use super::{Forest, history};
use crate::directory::ReadError;
use crate::moment::{AddressChanges, ChangesError, Moment};
use crate::store::{Entry, Kept, Store, Unavailable};

/// Changes that are followed, and recipients of all of them: beyond that, reading everything is the shorter way.
const RECORDS_MAX: usize = 2_000;
const RECIPIENTS_MAX: usize = 20_000;
/// Recipients read at once, as they were and as they are.
const PAGE: usize = 250;

impl From<Unavailable> for ChangesError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.0)
    }
}

fn lost<T>(why: String) -> Result<T, ChangesError> {
    Err(ChangesError::Lost(why))
}

/// The recipient of an entry, where there is one.
fn known(entry: Option<&Entry>) -> Result<Option<DirectoryRecipient>, ChangesError> {
    entry.map(recipient).transpose().map_err(ChangesError::Lost)
}

impl<S: Store> Forest<S> {
    /// The moment of the last change.
    pub(super) async fn last_moment(&self) -> Result<Option<Moment>, ReadError> {
        Ok(self.record().await?.map(|(moment, _)| moment))
    }

    /// The record of the last change.
    async fn record(&self) -> Result<Option<(Moment, Vec<u8>)>, Unavailable> {
        let found = self.store.get(&[self.keys.change()]).await?.pop().flatten();
        Ok(found.map(|entry| (Moment::of(envelope::Revision(entry.revision), &entry.value), entry.value)))
    }

    pub(super) async fn changes_of_addresses(
        &self,
        since: &Moment,
        until: &Moment,
    ) -> Result<AddressChanges, ChangesError> {
        // What is not kept reads as if it had never been: that it is kept is asked afterwards.
        let changes = self.follow(since, until).await;
        match self.store.kept(&self.keys.change(), since.revision.0).await? {
            Kept::Yes => changes,
            Kept::Forgotten(oldest) => lost(format!(
                "what changed since revision {} is no longer kept; the oldest that can be read is {oldest}",
                since.revision
            )),
            Kept::NotYet(newest) => lost(format!("the directory went back to revision {newest}")),
        }
    }

    async fn follow(&self, since: &Moment, until: &Moment) -> Result<AddressChanges, ChangesError> {
        let touched: Vec<Guid> = self.touched(since, until).await?.into_iter().collect();
        let (before, after) = (self.past(since.revision), self.past(until.revision));
        let mut changes = AddressChanges::of(touched.len());
        for page in touched.chunks(PAGE) {
            let keys: Vec<String> = page.iter().map(|guid| self.keys.recipient(*guid)).collect();
            let (had, has) = (before.get_all(&keys).await?, after.get_all(&keys).await?);
            for (had, has) in had.iter().zip(&has) {
                let (had, has) = (known(had.as_ref())?, known(has.as_ref())?);
                let addresses = |one: &'_ Option<DirectoryRecipient>| {
                    one.iter().flat_map(DirectoryRecipient::addresses_for_strangers).cloned().collect::<Vec<_>>()
                };
                changes.take(addresses(&had).iter(), addresses(&has).iter());
            }
        }
        Ok(changes)
    }

    /// The recipients that changes after `since` touched, until `until`.
    async fn touched(&self, since: &Moment, until: &Moment) -> Result<BTreeSet<Guid>, ChangesError> {
        let (mut touched, mut at) = (BTreeSet::new(), until.revision.0);
        for _ in 0..=RECORDS_MAX {
            let record = self.past(envelope::Revision(at)).record().await?;
            let Some((moment, record)) = record else {
                return lost(format!("what changed since revision {} is no longer kept", since.revision));
            };
            if moment == *since {
                return Ok(touched);
            }
            if moment.revision <= since.revision {
                return lost(format!("revision {} is not what it was: the directory was restored", since.revision));
            }
            let Some(guids) = history::touched_by(&record) else {
                return lost(format!("revision {} does not say which recipients it changed", moment.revision));
            };
            touched.extend(guids);
            if touched.len() > RECIPIENTS_MAX {
                return lost(format!("more than {RECIPIENTS_MAX} recipients have changed"));
            }
            at = moment.revision.0.saturating_sub(1);
        }
        lost(format!("more than {RECORDS_MAX} changes were made"))
    }
}
