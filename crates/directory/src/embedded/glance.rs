//! A glance at the file: which revision it has, on the thread that asks. So an answer that is remembered can be given again without
//! asking anew, as long as nothing has changed.
//!
//! It has a connection of its own and waits for nobody: where somebody else is looking, or the file is being mended, there is no answer.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{Sql, revision};

/// Pages that the connection keeps; the one with the revision, those on the way to it, and that is all.
const CACHE_PAGES: i64 = 8;

/// Looks at the revision.
pub(super) struct Glance {
    connection: Mutex<Connection>,
    /// This process has changes that are not in the file yet, and would not be seen.
    covered: AtomicBool,
}

impl Glance {
    /// At the file at `path`, which is there.
    pub(super) fn at(path: &Path) -> Sql<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "cache_size", CACHE_PAGES)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self { connection: Mutex::new(connection), covered: AtomicBool::new(false) })
    }

    /// From now on nothing is seen, or it is again.
    pub(super) fn cover(&self, covered: bool) {
        self.covered.store(covered, Ordering::SeqCst);
    }

    /// The newest revision, of whatever process.
    pub(super) fn revision(&self) -> Option<u64> {
        if self.covered.load(Ordering::SeqCst) {
            return None;
        }
        revision(&*self.connection.try_lock()?).ok()
    }
}
