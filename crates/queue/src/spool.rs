//! [`Spool`]: the handle that everybody holds, and what it shares with the writer thread.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use envelope::{ByteSize, MessageId, ServerName};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

use crate::codec::Stored;
use crate::content::{ContentReader, Recent};
use crate::disk::{self, Disk, Space};
use crate::draft::Draft;
use crate::error::{CommitError, Health, OpenError, ReadError};
use crate::index::Index;
use crate::message::{StoredMessage, Update};
use crate::reading;
use crate::recovery::{self, Recovery};
use crate::transaction::{Job, Step};
use crate::writer::LAZY_JOBS_MAX;

/// Smallest segment: two records' worth of anything small. For tests; larger ones are better in service.
pub const SEGMENT_OCTETS_MIN: u32 = 64 * 1024;
/// Largest segment: offsets are 32 bits, and a batch may reach beyond the end.
pub const SEGMENT_OCTETS_MAX: u32 = 1024 * 1024 * 1024;
/// Default segment: at 70,000 messages of 4 KiB a second a segment lasts a quarter of a second, at 100 three minutes.
pub const SEGMENT_OCTETS_DEFAULT: u32 = 64 * 1024 * 1024;
/// Default memory for the contents of messages stored last, which are usually read at once for delivery.
pub const RECENT_OCTETS_DEFAULT: usize = 64 * 1024 * 1024;

/// Settings of a spool.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// The server that holds the spool: it stands in the receipts.
    pub server: ServerName,
    /// Octets of a segment, [`SEGMENT_OCTETS_MIN`] to [`SEGMENT_OCTETS_MAX`].
    pub segment_octets: u32,
    /// Octets of content kept in memory after a commit.
    pub recent_octets: usize,
    /// Told of every sync.
    pub on_sync: OnSync,
}

/// Told after every sync of the log how many records it made durable. Called by the writer: it must not wait for anything.
#[derive(Clone, Default)]
pub struct OnSync(Option<Arc<dyn Fn(u32) + Send + Sync>>);

impl OnSync {
    /// Tells `observer`.
    pub fn new(observer: impl Fn(u32) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn tell(&self, records: u32) {
        if let Some(observer) = &self.0 {
            observer(records);
        }
    }
}

impl fmt::Debug for OnSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OnSync(observer)" } else { "OnSync(nobody)" })
    }
}

impl SpoolOptions {
    /// Defaults for `server`.
    #[must_use]
    pub fn new(server: ServerName) -> Self {
        Self {
            server,
            segment_octets: SEGMENT_OCTETS_DEFAULT,
            recent_octets: RECENT_OCTETS_DEFAULT,
            on_sync: OnSync::default(),
        }
    }
}

/// Accepted mail on disk. Clones are the same spool. When the last one is dropped, what is queued is still written, but
/// nobody knows when the directory is free: [`Spool::close`] waits for that.
#[derive(Clone)]
pub struct Spool {
    pub(crate) shared: Arc<Shared>,
    _alive: Arc<Alive>,
}

/// Closes the queue when the last handle is dropped.
struct Alive(Arc<Shared>);

/// Figures of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages stored.
    pub messages: usize,
    /// What they take in the log.
    pub live: ByteSize,
    /// What the log takes on disk.
    pub log: ByteSize,
    /// Segments of the log.
    pub segments: usize,
    /// Syncs of the log since it was opened.
    pub syncs: u64,
    /// Octets written to the log since it was opened.
    pub written: ByteSize,
}

/// What handles, drafts, readers and the writer share.
pub(crate) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub paths: Paths,
    pub server: ServerName,
    pub segment_octets: u32,
    pub index: Mutex<Index>,
    pub recent: Mutex<Recent>,
    pub health: Mutex<Health>,
    pub queue: Mutex<Queue>,
    pub work: Condvar,
    pub large_last: AtomicU32,
    pub on_sync: OnSync,
    pub syncs: AtomicU64,
    pub written: AtomicU64,
    pub ended: watch::Sender<bool>,
}

/// What waits for the writer.
#[derive(Default)]
pub(crate) struct Queue {
    pub jobs: VecDeque<Job>,
    /// Jobs that somebody waits for.
    pub urgent: usize,
    /// When the oldest lazy job was queued.
    pub lazy_since: Option<Instant>,
    /// Large files that no message names.
    pub discarded: Vec<u32>,
    pub closing: bool,
    /// The writer sleeps and is to be woken. Waking costs a system call, and a writer at work looks by itself.
    pub asleep: bool,
}

/// Where things are.
pub(crate) struct Paths {
    pub root: PathBuf,
    pub segments: PathBuf,
    pub large: PathBuf,
    pub quarantine: PathBuf,
}

impl Paths {
    pub fn new(root: &Path) -> Self {
        let (segments, large, quarantine) = (root.join("segments"), root.join("large"), root.join("quarantine"));
        Self { root: root.to_owned(), segments, large, quarantine }
    }

    pub fn segment(&self, number: u32) -> PathBuf {
        self.segments.join(format!("{number:010}.log"))
    }

    pub fn large_file(&self, number: u32) -> PathBuf {
        self.large.join(format!("{number:010}.eml"))
    }
}

impl Spool {
    /// Opens the spool in `dir` (created if it is not there) and reads what it holds. Blocks: on a busy server for up to
    /// a second or two, so call it where that is allowed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: SpoolOptions) -> Result<(Self, Recovery), OpenError> {
        let (shared, report) = recovery::open(disk, dir, options)?;
        let spool = Self { _alive: Arc::new(Alive(Arc::clone(&shared))), shared };
        let recovery = Recovery::new(spool.clone(), report);
        Ok((spool, recovery))
    }

    /// Begins to receive a message.
    pub fn begin(&self) -> Draft {
        Draft::new(self.clone())
    }

    /// Changes a stored message, without waiting: durable soon, with the next commit or after
    /// [`LAZY_DELAY`](crate::LAZY_DELAY). A crash before that forgets the change, which may make a duplicate but loses
    /// nothing. For a change that must not be forgotten use a [`Transaction`](crate::Transaction).
    pub fn update(&self, id: MessageId, update: &Update) {
        self.shared.push_lazy(Step::Update { id, update: update.to_bytes() });
    }

    /// Removes a message, without waiting, as [`Spool::update`] changes one.
    pub fn remove(&self, id: MessageId) {
        self.shared.push_lazy(Step::Remove { id });
    }

    /// Waits until everything handed over before is durable.
    ///
    /// # Errors
    /// [`CommitError`] when it cannot be.
    pub async fn flush(&self) -> Result<(), CommitError> {
        self.shared.run(Vec::new()).await.map(drop)
    }

    /// Whether the message is stored.
    #[must_use]
    pub fn contains(&self, id: MessageId) -> bool {
        self.shared.index().get(id).is_some()
    }

    /// Everything about a message but its content: from memory if it was stored just now and not changed since.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn head(&self, id: MessageId) -> Result<StoredMessage, ReadError> {
        if let Some(stored) = lock(&self.shared.recent).head(id) {
            return Ok(stored);
        }
        let shared = Arc::clone(&self.shared);
        blocking_read(id, move || reading::head(&shared, id)).await
    }

    /// The content of a message: from memory if it was stored just now and is not large.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn content(&self, id: MessageId) -> Result<ContentReader, ReadError> {
        if let Some(bytes) = lock(&self.shared.recent).content(id) {
            return Ok(ContentReader::memory(id, bytes));
        }
        let shared = Arc::clone(&self.shared);
        blocking_read(id, move || reading::content(&shared, id)).await
    }

    /// Whether the spool takes mail.
    #[must_use]
    pub fn health(&self) -> Health {
        lock(&self.shared.health).clone()
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let index = self.shared.index();
        let (live, log) = index.octets();
        Stats {
            messages: index.len(),
            live: ByteSize::bytes(live),
            log: ByteSize::bytes(log),
            segments: index.segment_count(),
            syncs: self.shared.syncs.load(Ordering::Relaxed),
            written: ByteSize::bytes(self.shared.written.load(Ordering::Relaxed)),
        }
    }

    /// Room on the disk: what back pressure looks at (a quick system call).
    ///
    /// # Errors
    /// Those of the file system.
    pub fn space(&self) -> io::Result<Space> {
        self.shared.disk.space(&self.shared.paths.root)
    }

    /// Drops the contents that are kept in memory although they are on disk: memory is short. Reading them is slower then.
    pub fn dehydrate(&self) {
        lock(&self.shared.recent).clear();
    }

    /// Writes what is queued, ends the writer and gives the directory free. Later commits fail with
    /// [`CommitError::Closed`].
    pub async fn close(&self) {
        self.shared.close();
        let mut ended = self.shared.ended.subscribe();
        ended.wait_for(|ended| *ended).await.expect("the sender lives as long as this handle");
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("dir", &self.shared.paths.root).finish_non_exhaustive()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    pub fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Queues a transaction and waits for its end. Gives the messages that were stored already.
    pub async fn run(&self, steps: Vec<Step>) -> Result<Vec<MessageId>, CommitError> {
        let (sender, receiver) = oneshot::channel();
        let job = Job { steps, repeated: Vec::new(), reply: Some(sender) };
        if !job.fits() {
            return Err(CommitError::TooLarge);
        }
        self.push(job)?;
        receiver.await.unwrap_or_else(|_| Err(self.failure()))
    }

    pub fn push_lazy(&self, step: Step) {
        // Nobody waits: a spool that is closed or failed forgets the change, as a crash would.
        let _ = self.push(Job { steps: vec![step], repeated: Vec::new(), reply: None });
    }

    fn push(&self, job: Job) -> Result<(), CommitError> {
        let mut queue = lock(&self.queue);
        if queue.closing {
            return Err(CommitError::Closed);
        }
        if let Health::Failed(reason) = &*lock(&self.health) {
            return Err(CommitError::Failed(Arc::clone(reason)));
        }
        // A lazy job after the first changes nothing about when the writer is to rise, until there are many of them.
        let rise = if job.reply.is_some() {
            queue.urgent += 1;
            true
        } else if queue.lazy_since.is_none() {
            queue.lazy_since = Some(Instant::now());
            true
        } else {
            queue.jobs.len() + 1 >= LAZY_JOBS_MAX
        };
        queue.jobs.push_back(job);
        if rise {
            self.wake(queue);
        }
        Ok(())
    }

    /// Wakes the writer, if it sleeps.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let was_asleep = std::mem::replace(&mut queue.asleep, false);
        drop(queue);
        if was_asleep {
            self.work.notify_one();
        }
    }

    fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closing = true;
        self.wake(queue);
    }

    /// A number for a new file in `large/`.
    pub fn next_large(&self) -> u32 {
        self.large_last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Lets the writer remove a file that no message names. If it cannot, the next start does.
    pub fn discard_large(&self, number: u32) {
        let mut queue = lock(&self.queue);
        queue.discarded.push(number);
        self.wake(queue);
    }

    /// Turns an error of the disk into what a caller gets. Unless space ran out, the spool has failed from here on: after
    /// a failed sync the kernel may have dropped what was to be written, so nothing can be tried again.
    pub fn failed(&self, action: &str, error: &io::Error) -> CommitError {
        let mut health = lock(&self.health);
        if disk::is_full(error) && !matches!(*health, Health::Failed(_)) {
            return CommitError::Full;
        }
        if !matches!(*health, Health::Failed(_)) {
            tracing::error!(action, %error, "the spool has failed: no mail can be accepted until it is opened again");
            *health = Health::Failed(format!("cannot {action}: {error}").into());
        }
        drop(health);
        self.failure()
    }

    /// What whoever waits gets when nothing can be written any more.
    pub fn failure(&self) -> CommitError {
        match &*lock(&self.health) {
            Health::Failed(reason) => CommitError::Failed(Arc::clone(reason)),
            _ => CommitError::Closed,
        }
    }

    pub fn has_failed(&self) -> bool {
        matches!(*lock(&self.health), Health::Failed(_))
    }

    pub fn is_full(&self) -> bool {
        *lock(&self.health) == Health::Full
    }

    /// Notes that space ran out, or came back.
    pub fn set_full(&self, full: bool) {
        let mut health = lock(&self.health);
        match (&*health, full) {
            (Health::Ready, true) => {
                tracing::error!("the spool is out of space: no mail is accepted until there is some");
                *health = Health::Full;
            }
            (Health::Full, false) => {
                tracing::info!("the spool has space again");
                *health = Health::Ready;
            }
            _ => {}
        }
    }
}

/// Locks; a panic elsewhere leaves nothing half done under these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a read where it may block.
pub(crate) async fn blocking_read<T: Send + 'static>(
    id: MessageId,
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    spawn_blocking(read).await.unwrap_or_else(|error| Err(ReadError::Io { id, error: io::Error::other(error) }))
}
