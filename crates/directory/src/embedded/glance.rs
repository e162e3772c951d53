//! A glance at the file: whether it is as it was, on the thread that asks. So an answer that is remembered can be given again without
//! asking anew, as long as nothing has changed.
//!
//! Whoever changes the directory says so, in the file beside it that [`News`] has, before the change is answered: that is one read of
//! memory of the kernel. One that died in between has said nothing, so the revision itself is looked at every now and then. That has a
//! connection of its own and waits for nobody: where somebody else is looking, or the file is being mended, there is no answer.

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
/// So old may be what was changed by a process that died before it said so.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the state of the file.
pub(super) struct Glance {
    connection: Mutex<Connection>,
    news: Arc<News>,
    last: Mutex<Option<(StateToken, Instant)>>,
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
        Ok(Self { connection: Mutex::new(connection), news, last: Mutex::default(), covered: AtomicBool::new(false) })
    }

    /// From now on nothing is seen, or it is again.
    pub(super) fn cover(&self, covered: bool) {
        self.covered.store(covered, Ordering::SeqCst);
    }

    /// The state of the file, whoever changed it.
    pub(super) fn state(&self) -> Option<StateToken> {
        if self.covered.load(Ordering::SeqCst) {
            return None;
        }
        let told = self.news.last_told()?;
        let last = *self.last.lock();
        if let Some((token, since)) = last
            && token.told == told
            && since.elapsed() < LOOK
        {
            return Some(token);
        }
        let revision = revision(&*self.connection.try_lock()?).ok()?;
        let token = StateToken { told, revision: Revision(revision) };
        *self.last.lock() = Some((token, Instant::now()));
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{EmbeddedSettings, store_at};
    use crate::store::{Store, Write};

    #[tokio::test]
    async fn what_somebody_changed_who_died_before_he_said_so_is_seen_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let store = store_at(&EmbeddedSettings::new(path.clone())).unwrap();
        let first = store.state_at_once().unwrap();
        store.transact(Vec::new(), vec![Write::Put("a".into(), b"1".to_vec())]).await.unwrap();
        let second = store.state_at_once().unwrap();
        assert_ne!(first, second, "at once, who says so");
        let silent = Connection::open(&path).unwrap();
        silent.execute("UPDATE store SET revision = revision + 1", []).unwrap();
        while store.state_at_once() == Some(second) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn nothing_is_seen_while_changes_are_gathered_and_another_state_after_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let store = store_at(&EmbeddedSettings::new(path)).unwrap();
        let before = store.state_at_once();
        store.gather(true).await.unwrap();
        store.transact(Vec::new(), vec![Write::Put("a".into(), b"1".to_vec())]).await.unwrap();
        assert_eq!(store.state_at_once(), None);
        store.gather(false).await.unwrap();
        let after = store.state_at_once();
        assert!(after.is_some() && after != before);
    }
}
