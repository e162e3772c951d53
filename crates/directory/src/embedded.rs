//! The embedded backend: one SQLite file that several processes of one machine share.
//!
//! Write-ahead log, synchronous commits: a change that was answered survives power loss. Whoever waits for a change is told of it
//! by whoever makes it ([`news`]); leases end by the wall clock, so a clock that is set forward may end presences early: they are
//! announced again at the next heartbeat.
//!
//! What a transaction replaces or deletes is kept in the same transaction, with the revision at which it ended, so that the
//! past can be read; the oldest goes when there is too much. Leased entries leave no trace.

mod desk;
mod glance;
mod news;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::directory::{Backend, MemberState, ReadError, StateToken};
use crate::forest::{Forest, LEASE_TTL_DEFAULT};
use crate::store::{Condition, Entry, Kept, LeaseId, Listing, Outcome, PAST, Store, Unavailable, Write};
use desk::{Desk, GATHERING_MAX, Sort, Worked};
use glance::Glance;
use news::{Listener, News};

/// How long a process waits for another one's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The most keys of one question; far below SQLite's own limit.
const OPERATIONS_MAX: usize = 10_000;
/// Operations of one of many transactions in a row: some ten milliseconds, of which the disk is waited for once.
const OPERATIONS_AT_ONCE: usize = 2_500;
/// Memory for pages of the file, taken as it is needed: what such a transaction touches of a file with a million recipients. With
/// SQLite's own 2 MiB each of its pages is written and read again in between.
const CACHE_KIB: i64 = 16 * 1024;
/// Pages of the log from which on they are brought into the file: several such transactions. Some 16 MiB.
const CHECKPOINT_PAGES: i64 = 4_000;
/// Replaced and deleted values that are kept unless told otherwise: some hundred changes of a usual size. Ours.
pub const HISTORY_ENTRIES_MAX: u32 = 20_000;
/// Octets of all of them together.
pub const HISTORY_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Prefixes of which is known what there was: those that are followed are a handful.
const LISTED_MAX: usize = 32;
/// Version of the tables; kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL) STRICT;
    INSERT INTO store VALUES (0, 0);
    CREATE TABLE lease (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE entry (
        key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL,
        lease INTEGER REFERENCES lease (id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entry_lease ON entry (lease) WHERE lease IS NOT NULL;
    PRAGMA user_version = 1;
";

/// From version 1, which kept no history: it begins now.
const WITH_HISTORY: &str = "
    ALTER TABLE store ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0;
    UPDATE store SET oldest = revision;
    CREATE TABLE past (
        key TEXT NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL, ended INTEGER NOT NULL,
        PRIMARY KEY (key, ended)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX past_ended ON past (ended);
    PRAGMA user_version = 2;
";

/// Where the file is.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The file; created if it is not there. Only its owner may read it.
    pub path: PathBuf,
    /// How long a presence outlives its process.
    pub lease_ttl: Duration,
    /// Replaced and deleted values that are kept, so that older revisions can be read: 0 to any number, by default
    /// [`HISTORY_ENTRIES_MAX`]; never more than [`HISTORY_OCTETS_MAX`] octets of them.
    pub history_entries_max: u32,
}

impl EmbeddedSettings {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, lease_ttl: LEASE_TTL_DEFAULT, history_entries_max: HISTORY_ENTRIES_MAX }
    }
}

/// Opens the directory of `forest` in a file.
///
/// # Errors
/// [`ReadError::Unavailable`] when the file cannot be opened, [`ReadError::Invalid`] when it is of another version.
pub fn open(settings: &EmbeddedSettings, forest: &str) -> Result<Arc<dyn Backend>, ReadError> {
    Ok(Arc::new(Forest::new(Embedded::open(settings)?, forest, settings.lease_ttl)))
}

/// The store alone, for tests that stand between it and the rules above.
#[cfg(test)]
pub(crate) fn store_at(settings: &EmbeddedSettings) -> Result<impl Store + use<>, ReadError> {
    Embedded::open(settings)
}

struct Embedded {
    desk: Arc<Mutex<Desk>>,
    glance: Glance,
    news: Arc<News>,
    /// As far as this process has counted it.
    kept: Arc<Mutex<Option<History>>>,
    /// What there was below a prefix when it was listed last, and at which revision.
    listed: Arc<Mutex<HashMap<String, (u64, Extent)>>>,
    history_entries_max: u32,
    /// The revision that is read; `None` for now.
    at: Option<i64>,
}

/// A file that others may read is closed to them, saying so; with it what SQLite keeps beside it.
fn close_to_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for suffix in ["", "-wal", "-shm", news::CHANGED, news::THERE] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let Ok(about) = std::fs::metadata(&name) else { continue };
        if about.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600))?;
            tracing::warn!(file = %Path::new(&name).display(), "others could read the directory; it is closed to them now");
        }
    }
    Ok(())
}

type Sql<T> = rusqlite::Result<T>;

impl Embedded {
    fn open(settings: &EmbeddedSettings) -> Result<Self, ReadError> {
        let path = settings.path.as_path();
        let unavailable =
            |error: &dyn std::fmt::Display| ReadError::Unavailable(format!("{}: {error}", path.display()));
        create_private(path).map_err(|error| unavailable(&error))?;
        close_to_others(path).map_err(|error| unavailable(&error))?;
        let mut connection = Connection::open(path).map_err(|error| unavailable(&error))?;
        let version = prepare(&mut connection).map_err(|error| unavailable(&error))?;
        if version != SCHEMA_VERSION {
            let text = format!("{} has version {version}, this program knows {SCHEMA_VERSION}", path.display());
            return Err(ReadError::Invalid(text));
        }
        let desk = Arc::new(Mutex::new(Desk::new(connection)));
        let news = Arc::new(News::beside(path).map_err(|error| unavailable(&error))?);
        let glance = Glance::at(path, Arc::clone(&news)).map_err(|error| unavailable(&error))?;
        Ok(Self {
            desk,
            glance,
            news,
            kept: Arc::default(),
            listed: Arc::default(),
            history_entries_max: settings.history_entries_max,
            at: None,
        })
    }

    /// Runs `work` in a transaction, away from the threads that serve.
    async fn with<T: Send + 'static>(
        &self,
        sort: Sort,
        work: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<Worked<T>, Unavailable> {
        let worked = self.at_desk(move |desk| desk.run(sort, work)).await?;
        if worked.has_begun {
            let (desk, news) = (Arc::clone(&self.desk), Arc::clone(&self.news));
            tokio::spawn(async move {
                tokio::time::sleep(GATHERING_MAX).await;
                let write = move || desk.lock().write_gathered_in_between();
                if tokio::task::spawn_blocking(write).await.unwrap_or_default() {
                    news.tell_change();
                }
            });
        }
        Ok(worked)
    }

    async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let desk = Arc::clone(&self.desk);
        match tokio::task::spawn_blocking(move || work(&mut desk.lock())).await {
            Ok(answer) => answer.map_err(Unavailable),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.with(Sort::Read, work).await.map(|worked| worked.answer)
    }

    /// Says whether others can see it.
    async fn write<T: Send + 'static>(
        &self,
        sort: Sort,
        work: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<Worked<T>, Unavailable> {
        if self.at.is_some() {
            return Err(Unavailable(PAST.into()));
        }
        self.with(sort, work).await
    }

    /// What is done to leases.
    async fn write_for_now<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.write(Sort::WriteForNow, work).await.map(|worked| worked.answer)
    }

    /// Waits for a change below a prefix, as far as `news` tells of it. Who follows entries under leases ends those that are over.
    async fn wait(&self, prefix: &str, after: u64, mut news: Listener, leased: bool) -> Result<(), Unavailable> {
        // The file knows only one revision, and a change elsewhere wakes the watcher as well: he looks whether it is his.
        let listed = self.listed.lock().get(prefix).copied();
        let mut before = listed.filter(|(revision, _)| *revision == after).map(|(_, there)| there);
        let mut seen = after;
        loop {
            let (prefix, known) = (prefix.to_owned(), before);
            let look = move |sql: &Connection| {
                let (now, lease_left) = (revision(sql)?, if leased { shortest_lease(sql)? } else { None });
                if now == seen && known.is_some() {
                    return Ok((now, lease_left, known, false));
                }
                let there = extent(sql, &prefix)?;
                let changed = match known {
                    // What was there then is not known: whoever asks looks again.
                    None => now != after,
                    Some(known) => there != known,
                };
                Ok((now, lease_left, Some(there), changed))
            };
            let (now, lease_left, there, changed) = self.read(look).await?;
            if lease_left == Some(Duration::ZERO) {
                self.write_for_now(end_leases).await?;
                self.news.tell_presence();
                continue;
            }
            if changed {
                return Ok(());
            }
            (seen, before) = (now, there);
            news.wait(lease_left.unwrap_or(Duration::MAX)).await;
        }
    }
}

/// Creates the file readable by its owner only; SQLite gives its log the same permissions and owner. What root creates belongs to
/// whom the folder belongs to: a command of root's must not shut out the services, which are somebody else.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
    match std::fs::OpenOptions::new().create_new(true).append(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::OpenOptions::new().append(true).open(path).map(drop)
        }
        Ok(file) if file.metadata()?.uid() == 0 => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let folder = folder.metadata()?;
            chown(path, Some(folder.uid()), Some(folder.gid()))
        }
        created => created.map(drop),
    }
}

fn prepare(connection: &mut Connection) -> Sql<i64> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?; // SQLite takes a negative number for KiB
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // A service that is confined has no folder for temporary files.
    connection.pragma_update(None, "temp_store", "memory")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = |transaction: &Connection| transaction.query_row("PRAGMA user_version", [], |row| row.get(0));
    if version(&transaction)? == 0_i64 {
        transaction.execute_batch(SCHEMA)?;
    }
    if version(&transaction)? == 1_i64 {
        transaction.execute_batch(WITH_HISTORY)?;
    }
    let now = version(&transaction)?;
    transaction.commit()?;
    Ok(now)
}

#[async_trait]
impl Store for Embedded {
    fn operations_max(&self) -> usize {
        OPERATIONS_MAX
    }

    fn operations_at_once(&self) -> usize {
        OPERATIONS_AT_ONCE
    }

    fn at(&self, revision: u64) -> Self {
        let at = Some(i64::try_from(revision).unwrap_or(i64::MAX));
        let (desk, glance, news) = (Arc::clone(&self.desk), self.glance.clone(), Arc::clone(&self.news));
        let (kept, listed) = (Arc::clone(&self.kept), Arc::clone(&self.listed));
        Self { desk, glance, news, kept, listed, history_entries_max: self.history_entries_max, at }
    }

    async fn kept(&self, _key: &str, wanted: u64) -> Result<Kept, Unavailable> {
        self.read(move |sql| {
            let oldest = sql.query_row("SELECT oldest FROM store", [], |row| row.get(0)).map(number)?;
            Ok(match revision(sql)? {
                newest if wanted > newest => Kept::NotYet(newest),
                _ if wanted < oldest => Kept::Forgotten(oldest),
                _ => Kept::Yes,
            })
        })
        .await
    }

    fn state_at_once(&self) -> Option<StateToken> {
        if self.at.is_none() { self.glance.state() } else { None }
    }

    async fn list(&self, prefix: &str) -> Result<Listing, Unavailable> {
        let (wanted, at) = (prefix.to_owned(), self.at);
        let look = move |sql: &Connection| {
            let listing = Listing { revision: revision(sql)?, entries: range(sql, at, &wanted, &wanted, i64::MAX)? };
            Ok((listing, extent(sql, &wanted)?))
        };
        let (listing, there) = self.read(look).await?;
        let mut listed = self.listed.lock();
        if at.is_none() && (listed.len() < LISTED_MAX || listed.contains_key(prefix)) {
            listed.insert(prefix.to_owned(), (listing.revision, there));
        }
        Ok(listing)
    }

    async fn page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let (prefix, after, at) = (prefix.to_owned(), after.to_owned(), self.at);
        self.read(move |sql| range(sql, at, &prefix, &after, i64::try_from(limit).unwrap_or(i64::MAX))).await
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Entry>>, Unavailable> {
        let (keys, at) = (keys.to_vec(), self.at);
        self.read(move |sql| match at {
            None => {
                let mut select = sql.prepare_cached("SELECT key, value, revision FROM entry WHERE key = ?1")?;
                keys.iter().map(|key| select.query_row([key], entry).optional()).collect()
            }
            Some(at) => {
                let mut select = sql.prepare_cached(&format!("{AT_REVISION} AND key = ?2"))?;
                keys.iter().map(|key| select.query_row(params![at, key], entry).optional()).collect()
            }
        })
        .await
    }

    async fn transact(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Result<Outcome, Unavailable> {
        let (history_max, kept) = (self.history_entries_max, Arc::clone(&self.kept));
        let for_now = !writes.is_empty() && writes.iter().all(|write| matches!(write, Write::PutUnder(..)));
        let sort = if for_now { Sort::WriteForNow } else { Sort::Write };
        let made = self.write(sort, move |sql| {
            for condition in &conditions {
                if !holds(sql, condition)? {
                    return Ok(Outcome::Refused);
                }
            }
            let next = advance(sql)?;
            let new: HashSet<&str> = conditions.iter().filter_map(Condition::absent).collect();
            let mut ended = History::default();
            for write in &writes {
                if !matches!(write, Write::Put(key, _) if new.contains(key.as_str())) {
                    ended = ended.and(remember(sql, write, next)?);
                }
                apply(sql, write, next)?;
            }
            if ended.entries > 0 {
                let mut kept = kept.lock();
                *kept = Some(forget(sql, kept.map(|kept| kept.and(ended)), history_max)?);
            }
            Ok(Outcome::Done(number(next)))
        });
        let Worked { answer: outcome, is_written, .. } = made.await?;
        if outcome != Outcome::Refused && is_written {
            if for_now { self.news.tell_presence() } else { self.news.tell_change() }
        }
        Ok(outcome)
    }

    async fn gather(&self, gather: bool) -> Result<(), Unavailable> {
        if gather {
            self.glance.cover(true);
        }
        let written = self.at_desk(move |desk| {
            desk.gather(gather);
            desk.write_gathered()
        });
        let written = written.await;
        if written != Ok(false) {
            self.news.tell_change();
        }
        if !gather {
            self.glance.cover(false);
        }
        written.map(drop)
    }

    async fn changed(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        if self.at.is_some() {
            return std::future::pending().await;
        }
        self.wait(prefix, after, self.news.changes(), false).await
    }

    async fn came_or_went(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        if self.at.is_some() {
            return std::future::pending().await;
        }
        self.wait(prefix, after, self.news.presences(), true).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Unavailable> {
        self.write_for_now(move |sql| {
            let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            sql.execute(
                "INSERT INTO lease (ttl_ms, ends_ms) VALUES (?1, ?2)",
                params![ttl, now().saturating_add(ttl)],
            )?;
            Ok(LeaseId(sql.last_insert_rowid()))
        })
        .await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<bool, Unavailable> {
        self.write_for_now(move |sql| {
            let prolong = "UPDATE lease SET ends_ms = ?2 + ttl_ms WHERE id = ?1 AND ends_ms > ?2";
            Ok(sql.execute(prolong, params![lease.0, now()])? == 1)
        })
        .await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Unavailable> {
        self.write_for_now(move |sql| {
            sql.execute("UPDATE lease SET ends_ms = 0 WHERE id = ?1", [lease.0])?;
            end_leases(sql)
        })
        .await?;
        self.news.tell_presence();
        Ok(())
    }

    async fn members(&self) -> Vec<MemberState> {
        Vec::new()
    }
}

fn entry(row: &rusqlite::Row<'_>) -> Sql<Entry> {
    Ok(Entry { key: row.get(0)?, value: row.get(1)?, revision: number(row.get(2)?) })
}

/// SQLite counts with a sign; a revision never has one.
fn number(revision: i64) -> u64 {
    u64::try_from(revision).expect("revisions are counted up from zero")
}

/// How many entries there are, and when the last of them was written: it is the same only if they are.
type Extent = (i64, Option<i64>);

/// That of the entries that start with `prefix`.
fn extent(sql: &Connection, prefix: &str) -> Sql<Extent> {
    let mut select = sql.prepare_cached("SELECT count(*), max(revision) FROM entry WHERE key BETWEEN ?1 AND ?2")?;
    select.query_row(params![prefix, after(prefix)], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn revision(sql: &Connection) -> Sql<u64> {
    sql.prepare_cached("SELECT revision FROM store")?.query_row([], |row| row.get(0)).map(number)
}

fn advance(sql: &Connection) -> Sql<i64> {
    sql.query_row("UPDATE store SET revision = revision + 1 RETURNING revision", [], |row| row.get(0))
}

/// The entries at revision `?1`; more conditions may follow.
const AT_REVISION: &str = "
    SELECT key, value, revision FROM (
        SELECT key, value, revision FROM entry WHERE lease IS NULL AND revision <= ?1
        UNION ALL SELECT key, value, revision FROM past WHERE revision <= ?1 AND ended > ?1
    ) WHERE true";

/// The entries whose key starts with `prefix` and comes after `after`. Entries of leases that have ended do not count,
/// whether somebody has removed them yet or not.
fn range(sql: &Connection, at: Option<i64>, prefix: &str, after: &str, limit: i64) -> Sql<Vec<Entry>> {
    if let Some(at) = at {
        let question = format!(
            "{AT_REVISION} AND key > ?2 AND substr(key, 1, length(?3)) = ?3 AND key < ?4 ORDER BY key LIMIT ?5"
        );
        let mut select = sql.prepare_cached(&question)?;
        let end = self::after(prefix);
        return select.query_map(params![at, after, prefix, end, limit], entry)?.collect();
    }
    let mut select = sql.prepare_cached(
        "SELECT key, value, revision FROM entry
         WHERE key > ?1 AND substr(key, 1, length(?2)) = ?2 AND key < ?3
           AND (lease IS NULL OR lease IN (SELECT id FROM lease WHERE ends_ms > ?4))
         ORDER BY key LIMIT ?5",
    )?;
    let end = self::after(prefix);
    select.query_map(params![after, prefix, end, now(), limit], entry)?.collect()
}

fn holds(sql: &Connection, condition: &Condition) -> Sql<bool> {
    let revision_of = |key: &str| -> Sql<Option<i64>> {
        let mut select = sql.prepare_cached("SELECT revision FROM entry WHERE key = ?1")?;
        select.query_row([key], |row| row.get(0)).optional()
    };
    Ok(match condition {
        Condition::Absent(key) => revision_of(key)?.is_none(),
        Condition::Unchanged(key, expected) => revision_of(key)?.map(number) == Some(*expected),
    })
}

fn apply(sql: &Connection, write: &Write, revision: i64) -> Sql<usize> {
    const PUT: &str = "INSERT OR REPLACE INTO entry (key, value, revision, lease) VALUES (?1, ?2, ?3, ?4)";
    match write {
        Write::Put(key, value) => sql.prepare_cached(PUT)?.execute(params![key, value, revision, None::<i64>]),
        Write::PutUnder(lease, key, value) => sql.prepare_cached(PUT)?.execute(params![key, value, revision, lease.0]),
        Write::Delete(key) => sql.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key]),
        // By the order of keys: whatever else there is costs nothing.
        Write::DeletePrefix(prefix) => sql
            .prepare_cached("DELETE FROM entry WHERE key >= ?1 AND key < ?2 AND substr(key, 1, length(?1)) = ?1")?
            .execute(params![prefix, after(prefix)]),
    }
}

/// What comes after every key that starts with `prefix`.
fn after(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// How much is kept of the past.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    entries: i64,
    octets: i64,
}

impl History {
    fn and(self, more: Self) -> Self {
        Self { entries: self.entries + more.entries, octets: self.octets + more.octets }
    }
}

/// Keeps what `write` is about to replace or delete; says how much that is.
fn remember(sql: &Connection, write: &Write, next: i64) -> Sql<History> {
    let (first, last) = match write {
        Write::Put(key, _) | Write::PutUnder(_, key, _) | Write::Delete(key) => (key, key.clone()),
        Write::DeletePrefix(prefix) => (prefix, after(prefix)),
    };
    let mut keep = sql.prepare_cached(
        "INSERT INTO past SELECT key, value, revision, ?1 FROM entry
         WHERE lease IS NULL AND key BETWEEN ?2 AND ?3 AND substr(key, 1, length(?2)) = ?2 RETURNING length(value)",
    )?;
    let kept = keep.query_map(params![next, first, last], |row| row.get(0))?;
    kept.map(|octets| Ok(History { entries: 1, octets: octets? }))
        .try_fold(History::default(), |sum, one: Sql<_>| Ok(sum.and(one?)))
}

/// Forgets the oldest revisions when more is kept than may be: a tenth at once, so that few changes pay for it. `kept` is what
/// was counted before and came since, and nothing the first time; what other processes add, they count themselves. Gives what is
/// kept now.
fn forget(sql: &Connection, kept: Option<History>, entries_max: u32) -> Sql<History> {
    let octets_max = i64::try_from(HISTORY_OCTETS_MAX).unwrap_or(i64::MAX);
    let fits = |kept: &History| kept.entries <= i64::from(entries_max) && kept.octets <= octets_max;
    if let Some(kept) = kept.filter(fits) {
        return Ok(kept);
    }
    let count = || {
        sql.query_row("SELECT count(*), coalesce(sum(length(value)), 0) FROM past", [], |row| {
            Ok(History { entries: row.get(0)?, octets: row.get(1)? })
        })
    };
    let counted = count()?;
    if fits(&counted) {
        return Ok(counted);
    }
    let last_too_old = "
        SELECT max(ended) FROM (
            SELECT ended, row_number() OVER newest AS entries, sum(length(value)) OVER newest AS octets
            FROM past WINDOW newest AS (ORDER BY ended DESC)
        ) WHERE entries > ?1 OR octets > ?2";
    let kept = params![entries_max - entries_max / 10, octets_max - octets_max / 10];
    let ended: i64 = sql.query_row(last_too_old, kept, |row| row.get(0))?;
    sql.execute("DELETE FROM past WHERE ended <= ?1", [ended])?;
    sql.execute("UPDATE store SET oldest = max(oldest, ?1)", [ended])?;
    count()
}

/// How long the first lease that ends has still; nothing where there is none.
fn shortest_lease(sql: &Connection) -> Sql<Option<Duration>> {
    let ends: Option<i64> = sql.query_row("SELECT min(ends_ms) FROM lease", [], |row| row.get(0))?;
    Ok(ends.map(|ends| Duration::from_millis(number(ends.saturating_sub(now()).max(0)))))
}

/// Removes leases that have ended, with their entries.
fn end_leases(sql: &Connection) -> Sql<()> {
    if sql.execute("DELETE FROM lease WHERE ends_ms <= ?1", [now()])? > 0 {
        advance(sql)?;
    }
    Ok(())
}

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "presences end at the same time for all processes that share the file")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
