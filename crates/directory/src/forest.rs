//! The rules of the directory, once for every backend: [`Forest`] is a [`Backend`](crate::Backend) over any [`Store`].

mod announcing;
mod changes;
mod configuration;
mod digests;
mod epoch;
mod ground;
mod history;
mod lookup;
mod presences;
mod recipients;
mod revocations;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use std::sync::Arc;
use std::time::Duration;

pub use view::organization as organization_of;

use async_trait::async_trait;
use authority::Revocation;
use envelope::{Address, ObjectName, Revision};
use futures::stream::BoxStream;
use organization::Kind;
use tokio::sync::Mutex;
use topology::{DirectoryRecipient, Organization};

use self::ground::Ground;
use crate::digests::RecipientDigest;
use crate::directory::{
    Administration, Answer, Author, Change, CommitError, Configuration, Directory, HistoryError, MemberState,
    Presences, ReadError, Recipients, RevisionRecord, Salvage, StateToken, WatchEvent,
};
use crate::keys::Keys;
use crate::moment::{AddressChanges, ChangesError, Moment};
use crate::presence::{Announcement, Presence, Said};
use crate::revocation::RevocationRecord;
use crate::store::{Store, Unavailable};

/// Most addresses looked up in one question to the backend (PL-43).
pub const LOOKUP_BATCH: usize = 20;
/// How long a presence outlives its process; the heartbeat is a third of it.
pub const LEASE_TTL_DEFAULT: Duration = Duration::from_secs(15);
/// How often a change is tried again when somebody else's comes in between.
const COMMIT_ATTEMPTS: u32 = 8;
/// First pause after a failure of the backend; doubled up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause between two attempts to reach the backend.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A directory over a store.
pub(crate) struct Forest<S> {
    store: Arc<S>,
    keys: Keys,
    lease_ttl: Duration,
    ground: Arc<Mutex<Option<Arc<Ground>>>>,
    /// What this process says of its services.
    said: Arc<Said>,
}

impl<S> Clone for Forest<S> {
    fn clone(&self) -> Self {
        let (store, ground, said) = (Arc::clone(&self.store), Arc::clone(&self.ground), Arc::clone(&self.said));
        Self { store, keys: self.keys.clone(), lease_ttl: self.lease_ttl, ground, said }
    }
}

impl<S: Store> Forest<S> {
    /// The forest called `forest` in `store`; presences outlive their process by `lease_ttl`.
    pub(crate) fn new(store: S, forest: &str, lease_ttl: Duration) -> Self {
        let (ground, said) = (Arc::default(), Arc::default());
        Self { store: Arc::new(store), keys: Keys::new(forest), lease_ttl, ground, said }
    }
}

#[async_trait]
impl<S: Store> Configuration for Forest<S> {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        self.view().await?.organization().map(Arc::new).map_err(ReadError::Invalid)
    }

    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        self.watch_configuration(after)
    }
}

#[async_trait]
impl<S: Store> Recipients for Forest<S> {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        self.look_up(addresses).await
    }

    fn state_at_once(&self) -> Option<StateToken> {
        self.store.state_at_once()
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        self.look_up_name(name).await
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        self.page_of_recipients(after, limit).await
    }

    async fn knows_digest(&self, salt: &str, digest: &RecipientDigest) -> Result<Option<bool>, ReadError> {
        self.digest_is_known(salt, digest).await
    }
}

#[async_trait]
impl<S: Store> Presences for Forest<S> {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        Ok(self.list_presences().await?.1)
    }

    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        self.watch_all_presences()
    }
}

#[async_trait]
impl<S: Store> Directory for Forest<S> {
    fn announce(&self, presence: Presence) -> Announcement {
        self.announce_presence(presence)
    }

    fn watch_revocations(&self) -> BoxStream<'static, Vec<Revocation>> {
        self.watch_all_revocations()
    }

    async fn members(&self) -> Vec<MemberState> {
        self.store.members().await
    }
}

#[async_trait]
impl<S: Store> Administration for Forest<S> {
    async fn salvage(&self) -> Result<Salvage, ReadError> {
        let view = self.view().await?;
        Ok(Salvage { revision: view.revision, objects: view.readable() })
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        let mut kinds = change.puts.iter().map(organization::Object::kind);
        let of_recipients = |kind: Kind| kind == Kind::Recipient;
        let any = kinds.any(of_recipients) || change.deletes.iter().any(|(kind, _)| of_recipients(*kind));
        let all = change.puts.iter().all(|object| of_recipients(object.kind()))
            && change.deletes.iter().all(|(kind, _)| of_recipients(*kind));
        if any && !all {
            return Err(CommitError::Mixed);
        }
        if any {
            return self.commit_recipients(change).await;
        }
        // First who is there: what somebody works by was stored before he said so.
        let presences = if change.restored { Vec::new() } else { self.list_presences().await?.1 };
        self.commit_configuration(change, &presences).await
    }

    fn operations_at_once(&self) -> usize {
        self.store.operations_at_once()
    }

    async fn gather(&self, gather: bool) -> Result<(), CommitError> {
        Ok(self.store.gather(gather).await?)
    }

    async fn revoke(&self, revocation: Revocation, author: &Author) -> Result<(), CommitError> {
        self.keep_revoked(revocation, author).await
    }

    async fn revocations(&self) -> Result<Vec<RevocationRecord>, ReadError> {
        self.list_revocations().await
    }

    async fn begin_epoch(&self, beyond: Revision, author: &Author) -> Result<Revision, CommitError> {
        self.commit_epoch(beyond, author).await
    }

    async fn at(&self, revision: Revision) -> Result<Arc<dyn Administration>, HistoryError> {
        Ok(Arc::new(self.then(revision).await?))
    }

    async fn revisions(&self, limit: usize) -> Result<Vec<RevisionRecord>, ReadError> {
        self.records(limit).await
    }

    async fn moment(&self) -> Result<Option<Moment>, ReadError> {
        self.last_moment().await
    }

    async fn addresses_between(&self, since: &Moment, until: &Moment) -> Result<AddressChanges, ChangesError> {
        self.changes_of_addresses(since, until).await
    }
}

/// A pause that grows with each failure and differs between processes, so that they do not come back all at once.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    async fn pause(&mut self) {
        let longest = BACKOFF_MAX.min(BACKOFF_MIN.saturating_mul(1 << self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(longest.mul_f64(rand::random_range(0.5..1.0))).await;
    }

    fn reset(&mut self) {
        self.failures = 0;
    }
}

impl From<Unavailable> for ReadError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.0)
    }
}

impl From<Unavailable> for CommitError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.0)
    }
}
