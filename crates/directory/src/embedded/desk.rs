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

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// It changes nothing.
    Read,
    /// What it writes survives power loss.
    Write,
    /// What it writes has no meaning any more after power loss, which no process on this machine survives: leases, and what stands under
    /// them. The disk is not waited for; whatever is written to stay takes it along.
    WriteForNow,
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
    pub(super) fn run<T>(&mut self, sort: Sort, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<Worked<T>, String> {
        let writes = sort != Sort::Read;
        if writes && let Some(lost) = self.lost.take() {
            return Err(lost);
        }
        let gathered_before = !self.connection.is_autocommit();
        self.worked(sort, work).map_err(|error| {
            // A disk that fails takes the whole transaction, not only what was wanted last.
            if gathered_before && self.connection.is_autocommit() { not_made(&error) } else { error.to_string() }
        })
    }

    fn worked<T>(&mut self, sort: Sort, work: impl FnOnce(&Connection) -> Sql<T>) -> Sql<Worked<T>> {
        let begins = self.is_gathering && self.connection.is_autocommit() && sort != Sort::Read;
        if begins {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        if self.connection.is_autocommit() {
            let answer = self.alone(sort, work)?;
            return Ok(Worked { answer, has_begun: false, is_written: true });
        }
        let answer = self.within(work);
        if begins && answer.is_err() && !self.connection.is_autocommit() {
            // Nobody would end it; a disk that fails ends it by itself.
            self.connection.execute_batch("ROLLBACK")?;
        }
        Ok(Worked { answer: answer?, has_begun: begins, is_written: false })
    }

    /// In a transaction of its own. SQLite takes no other durability within one.
    fn alone<T>(&mut self, sort: Sort, work: impl FnOnce(&Connection) -> Sql<T>) -> Sql<T> {
        if sort == Sort::WriteForNow {
            self.connection.execute_batch("PRAGMA synchronous = normal")?;
        }
        let made = self.transact(sort, work);
        if sort == Sort::WriteForNow {
            self.connection.execute_batch("PRAGMA synchronous = full")?;
        }
        made
    }

    fn transact<T>(&mut self, sort: Sort, work: impl FnOnce(&Connection) -> Sql<T>) -> Sql<T> {
        let behavior = if sort == Sort::Read { TransactionBehavior::Deferred } else { TransactionBehavior::Immediate };
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let answer = work(&transaction)?;
        transaction.commit()?;
        Ok(answer)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_for_now_does_without_the_disk() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("file.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "synchronous", "full").unwrap();
        let mut desk = Desk::new(connection);
        let durability = |sql: &Connection| sql.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
        let (of_now, after) = (desk.run(Sort::WriteForNow, durability), desk.run(Sort::Write, durability));
        assert_eq!((of_now.unwrap().answer, after.unwrap().answer), (FULL - 1, FULL));
        // Also after one that failed.
        assert!(desk.run(Sort::WriteForNow, |sql| sql.execute("nonsense", [])).is_err());
        assert_eq!(desk.run(Sort::Write, durability).unwrap().answer, FULL);
    }
}
