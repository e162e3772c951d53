//! After a restore from a backup.
//!
//! The backend counts on from the backup, so its revisions have been seen before, with other contents: services refuse what
//! is older than what they work by. An epoch burns the revisions in between and writes the marker anew. What the
//! configuration holds is then newer than all that any service has, and revisions go on being what they are everywhere: a
//! number that grows.

use envelope::Revision;
use futures::{StreamExt, TryStreamExt, stream};

use super::{COMMIT_ATTEMPTS, Forest, history};
use crate::directory::{Author, CommitError};
use crate::presence::{Presence, ahead_of};
use crate::store::{Outcome, Store, Write};

/// More than a directory makes between two backups; a service that speaks of more is wrong. Ours.
const REVISIONS_BURNED_MAX: u64 = 1_000_000;
/// Revisions that are burned at once.
const TOGETHER: usize = 32;

/// That no service works by a newer configuration than is `stored`, which was read after `presences`.
pub(super) fn nobody_is_ahead(presences: &[Presence], stored: Revision) -> Result<(), CommitError> {
    let Some(newest) = ahead_of(presences, stored) else { return Ok(()) };
    Err(CommitError::Restored(format!(
        "{} {} works by revision {}, and the directory is at revision {stored}: it was restored from a backup. Nothing is \
         changed until `postroad apply --restored FILE` makes it count again",
        newest.server, newest.service, newest.applied_revision
    )))
}

impl<S: Store> Forest<S> {
    /// Makes the stored configuration newer than `beyond`.
    pub(super) async fn commit_epoch(&self, beyond: Revision, author: &Author) -> Result<Revision, CommitError> {
        let before = self.store.get(&[self.keys.epoch()]).await?.pop().flatten();
        let before = before.and_then(|entry| String::from_utf8(entry.value).ok()?.parse().ok());
        let epoch = before.unwrap_or(0_u64).saturating_add(1);
        let write = || Write::Put(self.keys.epoch(), epoch.to_string().into_bytes());
        for _ in 0..COMMIT_ATTEMPTS {
            let view = self.view().await?;
            view.complete().map_err(CommitError::Damaged)?;
            let missing = beyond.0.saturating_sub(view.store_revision);
            if missing > REVISIONS_BURNED_MAX {
                return Err(CommitError::Conflict(format!(
                    "a service says that it works by revision {beyond}, {missing} more than the directory has had: look at `postroad \
                     servers`, and start that service with an empty `last-good` folder"
                )));
            }
            let burn = stream::iter(0..missing).map(|_| self.store.transact(Vec::new(), vec![write()]));
            burn.buffer_unordered(TOGETHER).try_for_each(|_| async { Ok(()) }).await?;
            let record = Write::Put(self.keys.change(), history::epoch_record(epoch, author));
            let writes = vec![write(), Write::Put(self.keys.marker(), view.marker().encode()), record];
            if let Outcome::Done(revision) = self.store.transact(vec![view.unchanged(&self.keys)], writes).await? {
                return Ok(Revision(revision));
            }
        }
        Err(CommitError::Conflict("others change the configuration all the time; try again".into()))
    }
}
