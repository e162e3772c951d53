//! What handles, drafts, readers and the writer share: where things are, what is stored, and whether the spool is sound.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use envelope::{MessageId, ServerName};
use tokio::sync::watch;

use crate::content::{Heads, Recent};
use crate::disk::{self, Disk};
use crate::error::{CommitError, Health};
use crate::hands::Hands;
use crate::index::Index;
use crate::jobs::{Job, JobQueue, Step, lock};

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

/// How long a disk that will not read is given before what it holds is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadablePolicy {
    /// Time between two attempts to read what has to be moved: a minute.
    pub pause: Duration,
    /// Attempts before what cannot be read is counted as lost and its segment set aside: 60, an hour.
    pub attempts: u32,
}

impl Default for UnreadablePolicy {
    fn default() -> Self {
        Self { pause: Duration::from_secs(60), attempts: 60 }
    }
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
    pub jobs: Arc<JobQueue>,
    /// Messages with many recipients, decoded last. Locked after `recent` and before the index.
    pub heads: Mutex<Heads>,
    /// What is in hands now.
    pub hands: OnceLock<Hands>,
    /// Jumps of the clock: after which message, by how many milliseconds.
    pub jumps: Vec<(u64, i64)>,
    pub large_last: AtomicU32,
    pub on_sync: OnSync,
    pub unreadable: UnreadablePolicy,
    /// Segments that could not be emptied because the disk would not read parts of them.
    pub unreadable_segments: AtomicU32,
    pub syncs: AtomicU64,
    pub written: AtomicU64,
    /// Recipients decoded.
    pub decoded: AtomicU64,
    pub ended: watch::Sender<bool>,
}

/// Where things are.
pub(crate) struct Paths {
    pub root: PathBuf,
    pub segments: PathBuf,
    pub large: PathBuf,
    pub quarantine: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        let (segments, large, quarantine) = (root.join("segments"), root.join("large"), root.join("quarantine"));
        Self { root: root.to_owned(), segments, large, quarantine }
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        self.segments.join(format!("{number:010}.log"))
    }

    pub(crate) fn large_file(&self, number: u32) -> PathBuf {
        self.large.join(format!("{number:010}.eml"))
    }
}

/// Closes the queue when the last handle is dropped.
pub(crate) struct Alive(pub Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.jobs.close();
    }
}

impl Shared {
    /// Queues a transaction and waits for its end. Gives the messages that were stored already.
    pub(crate) async fn run(&self, steps: Vec<Step>) -> Result<Vec<MessageId>, CommitError> {
        let (job, receiver) = Job::awaited(steps);
        if !job.fits() {
            return Err(CommitError::TooLarge);
        }
        self.push(job)?;
        receiver.await.unwrap_or_else(|_| Err(self.failure()))
    }

    pub(crate) fn push_lazy(&self, step: Step) {
        // Nobody waits: a spool that is closed or failed forgets the change, as a crash would.
        let _ = self.push(Job::lazy(step));
    }

    /// The health is looked at while the queue is held: after a failure everything that was queued is answered once.
    fn push(&self, job: Job) -> Result<(), CommitError> {
        self.jobs.push(job, || match &*lock(&self.health) {
            Health::Failed(reason) => Err(CommitError::Failed(Arc::clone(reason))),
            Health::Ready | Health::Full => Ok(()),
        })
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// A number for a new file in `large/`.
    pub(crate) fn next_large(&self) -> u32 {
        self.large_last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Turns an error of the disk into what a caller gets. Unless space ran out, the spool has failed from here on: after
    /// a failed sync the kernel may have dropped what was to be written, so nothing can be tried again.
    pub(crate) fn failed(&self, action: &str, error: &io::Error) -> CommitError {
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
    pub(crate) fn failure(&self) -> CommitError {
        match &*lock(&self.health) {
            Health::Failed(reason) => CommitError::Failed(Arc::clone(reason)),
            _ => CommitError::Closed,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(*lock(&self.health), Health::Failed(_))
    }

    pub(crate) fn is_full(&self) -> bool {
        *lock(&self.health) == Health::Full
    }

    /// Notes that space ran out, or came back.
    pub(crate) fn set_full(&self, full: bool) {
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
