//! The databases opened so far. One that cannot be opened is tried again with the next message for it; one whose disk does not
//! answer keeps nobody waiting who wants another.
//!
//! A file operation on a disk that hangs never ends, and cannot be ended: the thread that does it is lost until the disk comes
//! back. So work on a database is waited for a bounded time, and what did not end keeps its place among the database's own, so
//! that a hung database holds a bounded number of threads and no turn of the server's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mailbox_store::{MailboxDatabase, StoreError};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// Messages of one database in hand, at most: a quarter of the server's, and of the threads that wait for disks.
const MESSAGES_IN_HAND_MAX: usize = 128;
/// Messages being written into the mailboxes of one database at once: four fifths of the server's turns.
const TURNS_MAX: usize = 16;
/// How long one operation of a database is waited for: 20 s. A disk that is alive answers within a few, and Transport, which
/// sends the content meanwhile, is not patient for longer than [`rpc::limits::PATIENCE`].
const HUNG_AFTER: Duration = Duration::from_secs(20);

/// Databases by folder. They stay open when they become active elsewhere: what is open costs next to nothing, and
/// whether mail may be written to one is asked of the snapshot each time.
#[derive(Debug)]
pub(crate) struct Databases {
    known: Mutex<HashMap<PathBuf, Arc<Known>>>,
    hung_after: Duration,
}

#[derive(Debug)]
struct Known {
    opened: OnceCell<MailboxDatabase>,
    in_hand: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Databases {
    fn default() -> Self {
        Self::new(HUNG_AFTER)
    }
}

impl Databases {
    fn new(hung_after: Duration) -> Self {
        Self { known: Mutex::default(), hung_after }
    }

    /// Lets go of a database that has left: what is known about its mailboxes is of the past.
    pub(crate) fn forget(&self, folder: &Path) {
        self.known.lock().remove(folder);
    }

    /// A place for one message among those of the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Hung`] when there is none: its disk does not answer, or not fast enough by far.
    pub(crate) fn enter(&self, folder: &Path) -> Result<Visit, StoreError> {
        let known = Arc::clone(self.known.lock().entry(folder.to_owned()).or_insert_with(|| {
            let (in_hand, turns) = (Semaphore::new(MESSAGES_IN_HAND_MAX), Semaphore::new(TURNS_MAX));
            Arc::new(Known { opened: OnceCell::new(), in_hand: Arc::new(in_hand), turns: Arc::new(turns) })
        }));
        let hung = Hung { folder: folder.to_owned(), after: self.hung_after };
        let in_hand = Arc::clone(&known.in_hand).try_acquire_owned().map_err(|_| hung.error())?;
        Ok(Visit { known, hung, places: Arc::new(Mutex::new(vec![in_hand])) })
    }
}

/// One message's stay in a database. Its places are given back when it is dropped and all of its work has ended.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    known: Arc<Known>,
    hung: Hung,
    places: Arc<Mutex<Vec<OwnedSemaphorePermit>>>,
}

#[derive(Clone, Debug)]
struct Hung {
    folder: PathBuf,
    after: Duration,
}

impl Hung {
    fn error(&self) -> StoreError {
        StoreError::Hung { path: self.folder.clone(), waited: self.after }
    }
}

impl Visit {
    /// Waits for a turn to write into mailboxes.
    ///
    /// # Errors
    /// [`StoreError::Hung`] when those whose turn it is do not come to an end.
    pub(crate) async fn turn(&self) -> Result<(), StoreError> {
        let turn = self.bounded(Arc::clone(&self.known.turns).acquire_owned()).await?;
        self.places.lock().push(turn.expect("the semaphore is never closed"));
        Ok(())
    }

    /// Does something with the database, opened if it is not yet.
    ///
    /// # Errors
    /// What `work` says, and [`StoreError::Hung`]; the work may yet be done then.
    pub(crate) async fn work<T, F>(
        &self,
        work: impl FnOnce(MailboxDatabase) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let visit = self.clone();
        let task = tokio::spawn(async move {
            let visit = visit; // all of it: with its places
            let folder = &visit.hung.folder;
            let database = visit.known.opened.get_or_try_init(|| MailboxDatabase::open(folder)).await?;
            work(database.clone()).await
        });
        self.bounded(task).await?.expect("work on a database neither panics nor is cancelled")
    }

    /// Waits for `work`, which may be dropped at any time, as long as for any.
    ///
    /// # Errors
    /// [`StoreError::Hung`].
    pub(crate) async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::time::timeout(self.hung.after, work).await.map_err(|_| self.hung.error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that never ends, as on a disk that does not answer.
    async fn hang(databases: &Databases, folder: &Path) -> Result<(), StoreError> {
        let visit = databases.enter(folder)?;
        visit.turn().await?;
        visit.work(|_| std::future::pending()).await
    }

    #[tokio::test]
    async fn a_database_that_hangs_fills_its_own_places_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let (hung, sound) = (root.path().join("hung"), root.path().join("sound"));
        let databases = Databases::new(Duration::from_millis(50));
        // After those that have a turn and do not end, the others do not even get one.
        let all = (0..TURNS_MAX + 3).map(|_| hang(&databases, &hung));
        for outcome in futures::future::join_all(all).await {
            assert!(matches!(outcome, Err(StoreError::Hung { .. })), "{outcome:?}");
        }
        assert_eq!(databases.enter(&hung).unwrap().known.turns.available_permits(), 0);
        let visit = databases.enter(&sound).unwrap();
        visit.turn().await.unwrap();
        // A machine at its limit may take longer than the bound of this test; a turn it has at once.
        while visit.work(|database| async move { database.begin(b"").await.map(drop) }).await.is_err() {}
    }

    #[tokio::test]
    async fn messages_in_hand_of_one_database_have_a_bound() {
        let root = tempfile::tempdir().unwrap();
        let databases = Databases::new(Duration::from_millis(50));
        let visits: Vec<_> = (0..MESSAGES_IN_HAND_MAX).map(|_| databases.enter(root.path()).unwrap()).collect();
        assert!(matches!(databases.enter(root.path()), Err(StoreError::Hung { .. })));
        drop(visits);
        assert!(databases.enter(root.path()).is_ok());
    }
}
