//! A glance at the file: whether it is as it was, on the thread that asks. So an answer that is remembered can be given again without
//! asking anew, as long as nothing has changed.
//!
//! Whoever changes the directory says so, in the file beside it that [`News`] has, before the change is answered: that is one read of
//! memory of the kernel. One that died in between has said nothing, so the revision itself is looked at every now and then, and after
//! each change. That is beside, on a thread that may wait for a disk, and has a connection of its own: until it has looked there is
//! no answer, and who asked asks the directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use envelope::Revision;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::news::News;
use super::{Sql, revision};
use crate::directory::StateToken;

/// Pages that the connection keeps; the one with the revision, those on the way to it, and that is all.
const CACHE_PAGES: i64 = 8;
/// Time between two looks while somebody asks. Twice as old may be what was changed by a process that died before it said so.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the state of the file.
#[derive(Clone)]
pub(super) struct Glance(Arc<Sight>);

struct Sight {
    connection: Mutex<Connection>,
    news: Arc<News>,
    last: Mutex<Option<(StateToken, Instant)>>,
    looking: AtomicBool,
    /// This process has changes that are not in the file yet, and would not be seen.
    covered: AtomicBool,
}

impl Glance {
    /// At the file at `path`, which is there.
    pub(super) fn at(path: &Path, news: Arc<News>) -> Sql<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "cache_size", CACHE_PAGES)?;
        connection.pragma_update(None, "query_only", true)?;
        let connection = Mutex::new(connection);
        let sight = Sight { connection, news, last: Mutex::default(), looking: false.into(), covered: false.into() };
        Ok(Self(Arc::new(sight)))
    }

    /// From now on nothing is seen, or it is again.
    pub(super) fn cover(&self, covered: bool) {
        self.0.covered.store(covered, Ordering::SeqCst);
    }

    /// The state of the file, whoever changed it, where it is known.
    pub(super) fn state(&self) -> Option<StateToken> {
        let sight = &self.0;
        if sight.covered.load(Ordering::SeqCst) {
            return None;
        }
        let told = sight.news.last_told()?;
        let last = *sight.last.lock();
        let known = last.filter(|(token, _)| token.told == told).map(|(token, since)| (token, since.elapsed()));
        if let Some((token, age)) = known
            && age < LOOK
        {
            return Some(token);
        }
        if !sight.looking.swap(true, Ordering::SeqCst) {
            let sight = Arc::clone(sight);
            tokio::task::spawn_blocking(move || {
                sight.look();
                sight.looking.store(false, Ordering::SeqCst);
            });
        }
        known.filter(|(_, age)| *age < LOOK * 2).map(|(token, _)| token)
    }
}

impl Sight {
    /// What was told is read first: of a change in between, what is kept knows nothing.
    fn look(&self) {
        let Some(told) = self.news.last_told() else { return };
        let Ok(revision) = revision(&self.connection.lock()) else { return };
        *self.last.lock() = Some((StateToken { told, revision: Revision(revision) }, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{EmbeddedSettings, store_at};
    use crate::store::{Store, Write};

    async fn seen(store: &impl Store) -> StateToken {
        loop {
            if let Some(state) = store.state_at_once() {
                return state;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_somebody_changed_who_died_before_he_said_so_is_seen_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let store = store_at(&EmbeddedSettings::new(path.clone())).unwrap();
        let first = seen(&store).await;
        store.transact(Vec::new(), vec![Write::Put("a".into(), b"1".to_vec())]).await.unwrap();
        assert_eq!(store.state_at_once(), None, "not at once");
        let second = seen(&store).await;
        assert_ne!(first, second, "who says so");
        let silent = Connection::open(&path).unwrap();
        silent.execute("UPDATE store SET revision = revision + 1", []).unwrap();
        while seen(&store).await == second {}
    }

    #[tokio::test]
    async fn nothing_is_seen_while_changes_are_gathered_and_another_state_after_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let store = store_at(&EmbeddedSettings::new(path)).unwrap();
        let before = seen(&store).await;
        store.gather(true).await.unwrap();
        store.transact(Vec::new(), vec![Write::Put("a".into(), b"1".to_vec())]).await.unwrap();
        assert_eq!(store.state_at_once(), None);
        store.gather(false).await.unwrap();
        assert_ne!(seen(&store).await, before);
    }
}
