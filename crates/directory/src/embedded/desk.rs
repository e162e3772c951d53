//! The connection to the file, and changes that are gathered: who makes many, one after another, waits for the disk once and not for
//! each of them.
//!
//! ```text
//!                  first change                    GATHERING_MAX later (and a pause), or at the end
//!   autocommit ──▶ BEGIN ──▶ savepoint, savepoint, … ──▶ COMMIT, synced, told to all
//! ```
//!
//! Nobody else sees or follows what is not on disk. What was gathered and cannot be written was not made, and the next who asks
//! is told so.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::Sql;

/// So long at most changes are gathered before they are written. Ours: what a power loss may take of a script that has not ended.
pub(super) const GATHERING_MAX: Duration = Duration::from_millis(100);
/// So long nothing is begun after that. SQLite has no queue: whoever wants to write looks again at most every 100 ms, and gives up
/// after a while. Without a pause a long script would keep presences from being announced.
const PAUSE: Duration = Duration::from_millis(25);

/// The connection, and whether changes are gathered.
pub(super) struct Desk {
    connection: Connection,
    is_gathering: bool,
    /// Why what was gathered is not there.
    lost: Option<String>,
}

fn not_made(error: &rusqlite::Error) -> String {
    format!("the changes of the last moment could not be written, and were not made: {error}")
}

/// What came of some work.
pub(super) struct Worked<T> {
    pub(super) answer: T,
    /// It began to gather: somebody has to [end](Desk::write_gathered) that.
    pub(super) has_begun: bool,
    /// Others can see it.
    pub(super) is_written: bool,
}

impl Desk {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, is_gathering: false, lost: None }
    }

    /// From now on changes are gathered, or no more.
    pub(super) fn gather(&mut self, gather: bool) {
        self.is_gathering = gather;
    }

    /// Runs `work` in a transaction, or within the one that gathers.
    pub(super) fn run<T>(
        &mut self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> Sql<T>,
    ) -> Result<Worked<T>, String> {
        let writes = matches!(behavior, TransactionBehavior::Immediate);
        if writes && let Some(lost) = self.lost.take() {
            return Err(lost);
        }
        let gathered_before = !self.connection.is_autocommit();
        self.worked(behavior, work).map_err(|error| {
            // A disk that fails takes the whole transaction, not only what was wanted last.
            if gathered_before && self.connection.is_autocommit() { not_made(&error) } else { error.to_string() }
        })
    }

    fn worked<T>(&mut self, behavior: TransactionBehavior, work: impl FnOnce(&Connection) -> Sql<T>) -> Sql<Worked<T>> {
        let begins =
            self.is_gathering && self.connection.is_autocommit() && matches!(behavior, TransactionBehavior::Immediate);
        if begins {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        if self.connection.is_autocommit() {
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            return Ok(Worked { answer, has_begun: false, is_written: true });
        }
        let answer = self.within(work);
        if begins && answer.is_err() && !self.connection.is_autocommit() {
            // Nobody would end it; a disk that fails ends it by itself.
            self.connection.execute_batch("ROLLBACK")?;
        }
        Ok(Worked { answer: answer?, has_begun: begins, is_written: false })
    }

    fn within<T>(&mut self, work: impl FnOnce(&Connection) -> Sql<T>) -> Sql<T> {
        let within = self.connection.savepoint()?;
        let answer = work(&within)?;
        within.commit()?;
        Ok(answer)
    }

    /// Writes what was gathered; whether there was anything.
    pub(super) fn write_gathered(&mut self) -> Result<bool, String> {
        if let Some(lost) = self.lost.take() {
            return Err(lost);
        }
        if self.connection.is_autocommit() {
            return Ok(false);
        }
        let written = self.connection.execute_batch("COMMIT");
        if let Err(error) = written {
            // Nothing of it is there; without this the connection would stay within it.
            let _ended = self.connection.execute_batch("ROLLBACK");
            return Err(not_made(&error));
        }
        Ok(true)
    }

    /// The same, for nobody who listens: whoever asks next is told. Then others may write.
    pub(super) fn write_gathered_in_between(&mut self) -> bool {
        let written = self.write_gathered().unwrap_or_else(|lost| {
            self.lost = Some(lost);
            false
        });
        std::thread::sleep(PAUSE);
        written
    }
}
