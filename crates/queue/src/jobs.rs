//! What waits for the writer: transactions, single changes, and large files that no message names.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use envelope::MessageId;
use tokio::sync::oneshot;

use crate::disk::DiskFile;
use crate::error::CommitError;
use crate::record::{OPERATION_OVERHEAD, RECORD_HEADER, TRANSACTION_OCTETS_MAX};

/// Most operations in one transaction; a group expansion stays far below.
pub const TRANSACTION_OPERATIONS_MAX: usize = 10_000;

/// Changes that nobody waits for are written at this number, without waiting longer.
pub(crate) const LAZY_JOBS_MAX: usize = 4096;

/// Octets of one batch, unless a single transaction is larger: a few milliseconds of disk.
const BATCH_OCTETS_MAX: u64 = 8 * 1024 * 1024;

/// One change, encoded by the task that wants it so that the writer need not.
pub(crate) enum Step {
    Store { id: MessageId, content: Finished, meta: Vec<u8> },
    Update { id: MessageId, update: Vec<u8> },
    Remove { id: MessageId },
    Note { key: Vec<u8>, value: Vec<u8> },
}

/// Content ready to be committed.
pub(crate) struct Finished {
    pub inline: Bytes,
    pub large: Option<LargeFile>,
    pub crc: u32,
}

/// A file in `large/` that is discarded unless a commit takes it over.
pub(crate) struct LargeFile {
    pub number: u32,
    pub length: u64,
    pub file: Arc<dyn DiskFile>,
    jobs: Arc<JobQueue>,
    taken: bool,
}

impl LargeFile {
    pub(crate) fn new(number: u32, file: Arc<dyn DiskFile>, jobs: Arc<JobQueue>) -> Self {
        Self { number, length: 0, file, jobs, taken: false }
    }

    /// The log says now that the file exists: it stays.
    pub(crate) fn keep(mut self) {
        self.taken = true;
    }
}

impl Drop for LargeFile {
    fn drop(&mut self) {
        if !self.taken {
            self.jobs.discard_large(self.number);
        }
    }
}

/// Who waits for a job.
type Reply = oneshot::Sender<Result<Vec<MessageId>, CommitError>>;

/// A transaction in the writer's queue.
pub(crate) struct Job {
    pub steps: Vec<Step>,
    /// Messages to be stored that were stored already, or not long ago.
    pub repeated: Vec<MessageId>,
    /// Nobody waits for a lazy one.
    reply: Option<Reply>,
    queued: Instant,
}

impl Step {
    /// Octets in the log, at most.
    fn octets(&self) -> u64 {
        let variable = match self {
            Self::Store { content, meta, .. } => content.inline.len() + meta.len(),
            Self::Update { update, .. } => update.len(),
            Self::Remove { .. } => 0,
            Self::Note { key, value } => key.len() + value.len(),
        };
        u64::from(OPERATION_OVERHEAD) + variable as u64
    }
}

impl Job {
    /// A job that nobody waits for.
    pub(crate) fn lazy(step: Step) -> Self {
        Self { steps: vec![step], repeated: Vec::new(), reply: None, queued: Instant::now() }
    }

    /// A job with its answer: the messages that were stored already.
    pub(crate) fn awaited(steps: Vec<Step>) -> (Self, oneshot::Receiver<Result<Vec<MessageId>, CommitError>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { steps, repeated: Vec::new(), reply: Some(sender), queued: Instant::now() }, receiver)
    }

    /// Octets of its record, at most.
    pub(crate) fn octets(&self) -> u64 {
        u64::from(RECORD_HEADER) + 8 + self.steps.iter().map(Step::octets).sum::<u64>()
    }

    /// Whether it brings mail in, and so is refused first when space runs out.
    pub(crate) fn is_acceptance(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Store { .. }))
    }

    /// Whether it keeps to the limits of a record.
    pub(crate) fn fits(&self) -> bool {
        self.steps.len() <= TRANSACTION_OPERATIONS_MAX && self.octets() <= u64::from(TRANSACTION_OCTETS_MAX)
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.reply.is_some()
    }

    pub(crate) fn answer(self, result: Result<Vec<MessageId>, CommitError>) {
        if let Some(reply) = self.reply {
            // A caller that has gone away needs no answer.
            let _ = reply.send(result);
        }
    }
}

/// The writer's queue.
#[derive(Default)]
pub(crate) struct JobQueue {
    waiting: Mutex<Waiting>,
    work: Condvar,
}

/// What is in it.
#[derive(Default)]
pub(crate) struct Waiting {
    jobs: VecDeque<Job>,
    /// Jobs that somebody waits for.
    urgent: usize,
    /// When the oldest lazy job was queued.
    lazy_since: Option<Instant>,
    /// When the oldest job was queued of those that the writer has taken and not yet done.
    working_since: Option<Instant>,
    /// Large files that no message names.
    pub discarded: Vec<u32>,
    pub closing: bool,
    /// The writer sleeps and is to be woken. Waking costs a system call, and a writer at work looks by itself.
    asleep: bool,
}

impl JobQueue {
    /// Queues a job, unless the queue is closed or `sound` says otherwise.
    pub(crate) fn push(&self, job: Job, sound: impl FnOnce() -> Result<(), CommitError>) -> Result<(), CommitError> {
        let mut waiting = self.lock();
        if waiting.closing {
            return Err(CommitError::Closed);
        }
        sound()?;
        // A lazy job after the first changes nothing about when the writer is to rise, until there are many of them.
        let rise = if job.is_awaited() {
            waiting.urgent += 1;
            true
        } else if waiting.lazy_since.is_none() {
            waiting.lazy_since = Some(job.queued);
            true
        } else {
            waiting.jobs.len() + 1 >= LAZY_JOBS_MAX
        };
        waiting.jobs.push_back(job);
        if rise {
            self.wake(waiting);
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closing = true;
        self.wake(waiting);
    }

    /// Lets the writer remove a file that no message names. If it cannot, the next start does.
    pub(crate) fn discard_large(&self, number: u32) {
        let mut waiting = self.lock();
        waiting.discarded.push(number);
        self.wake(waiting);
    }

    /// How long the oldest job has waited that is not durable yet.
    pub(crate) fn age(&self) -> Duration {
        let waiting = self.lock();
        let oldest = waiting.jobs.front().map(|job| job.queued).into_iter().chain(waiting.working_since).min();
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Sleeps until woken, or until then.
    pub(crate) fn sleep<'w>(
        &'w self,
        mut waiting: MutexGuard<'w, Waiting>,
        until: Option<Instant>,
    ) -> MutexGuard<'w, Waiting> {
        waiting.asleep = true;
        let mut waiting = match until {
            None => self.work.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let pause = until.saturating_duration_since(Instant::now());
                self.work.wait_timeout(waiting, pause).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        waiting.asleep = false;
        waiting
    }

    /// Wakes the writer, if it sleeps.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let was_asleep = std::mem::replace(&mut waiting.asleep, false);
        drop(waiting);
        if was_asleep {
            self.work.notify_one();
        }
    }
}

impl Waiting {
    /// Whether there is something that may not wait; else when the first lazy job is due.
    pub(crate) fn due(&self, lazy_delay: Duration) -> Option<Instant> {
        let first = self.jobs.front()?;
        let at_once = self.urgent > 0 || self.closing || self.jobs.len() >= LAZY_JOBS_MAX;
        if at_once { Some(first.queued) } else { self.lazy_since.map(|since| since + lazy_delay) }
    }

    /// Takes what fits into one batch.
    pub(crate) fn take(&mut self) -> Vec<Job> {
        let mut octets = 0;
        let mut jobs = Vec::with_capacity(self.jobs.len());
        while let Some(job) = self.jobs.front() {
            octets += job.octets();
            if octets > BATCH_OCTETS_MAX && !jobs.is_empty() {
                break;
            }
            jobs.extend(self.jobs.pop_front());
        }
        self.working_since = jobs.first().map(|job| job.queued);
        self.urgent -= jobs.iter().filter(|job| job.is_awaited()).count();
        if self.urgent == self.jobs.len() {
            self.lazy_since = None;
        }
        jobs
    }

    /// What was taken is durable, or refused.
    pub(crate) fn done(&mut self) {
        self.working_since = None;
    }

    /// Everything that waits, to be refused.
    pub(crate) fn take_all(&mut self) -> VecDeque<Job> {
        self.urgent = 0;
        self.working_since = None;
        std::mem::take(&mut self.jobs)
    }
}

/// Locks; a panic elsewhere leaves nothing half done under these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
