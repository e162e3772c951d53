//! A directory that can be taken away while a node runs: what services do when recipients cannot be looked up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use directory::{
    Announcement, Answer, Configuration, Directory, Presence, Presences, ReadError, Recipients, WatchEvent,
};
use envelope::{Address, ObjectName, Revision};
use futures::stream::BoxStream;
use topology::{DirectoryRecipient, Organization};

/// Passes everything on, but answers no question while it is away. Put it into [`runtime::Node::directory`].
pub struct AwayDirectory {
    directory: Arc<dyn Directory>,
    away: AtomicBool,
}

impl AwayDirectory {
    /// Away at first.
    #[must_use]
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, away: AtomicBool::new(true) }
    }

    /// It is there again.
    pub fn return_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    fn ask(&self) -> Result<&dyn Directory, ReadError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(ReadError::Unavailable("taken away by the test".to_owned()));
        }
        Ok(self.directory.as_ref())
    }
}

#[async_trait]
impl Configuration for AwayDirectory {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        self.ask()?.snapshot().await
    }

    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        self.directory.watch(after)
    }
}

#[async_trait]
impl Recipients for AwayDirectory {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        match self.ask() {
            Ok(directory) => directory.recipients(addresses).await,
            Err(error) => vec![Err(error); addresses.len()],
        }
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        self.ask()?.recipient_by_name(name).await
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        self.ask()?.list_recipients(after, limit).await
    }
}

impl Directory for AwayDirectory {
    fn announce(&self, presence: Presence) -> Announcement {
        self.directory.announce(presence)
    }

    fn watch_revocations(&self) -> BoxStream<'static, Vec<authority::Revocation>> {
        self.directory.watch_revocations()
    }
}

#[async_trait]
impl Presences for AwayDirectory {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        self.ask()?.presences().await
    }

    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        self.directory.watch_presences()
    }
}
