//! The writer: the one thread that changes the spool.
//!
//! ```text
//! commits, changes ──▶ queue ──▶ take all ──▶ one buffer ──▶ one write ──▶ one fdatasync ──▶ index ──▶ answers
//!                                   ▲                                                           │
//!                                   └── meanwhile others queue up: the next batch ◀─────────────┘
//! ```
//!
//! That is group commit: the slower the disk, the larger the batches. Nothing is answered, and the index does not change,
//! before the sync. After a failed sync nothing more is written (the kernel may have thrown the pages away). When space
//! runs out, mail is refused first; the end of each segment and a reserve file are kept for changes and removals.

mod batch;
mod maintenance;
mod segments;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use envelope::MessageId;

use crate::disk::LockGuard;
use crate::error::CommitError;
use crate::index::Remembered;
use crate::jobs::{Job, Step, lock};
use crate::shared::Shared;
use batch::Batch;
use segments::Room;

/// How long a change that nobody waits for may wait for a commit to travel with. What a crash may undo, at most.
pub const LAZY_DELAY: Duration = Duration::from_millis(100);

/// How often a full spool looks whether space has come back.
const SPACE_PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// The thread's own state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// Number of the last batch in this segment.
    batch: u32,
    /// Position in the order of acceptance of the message stored last.
    sequence: u64,
    remembered: Remembered,
    moving: Option<maintenance::Move>,
    /// The disk would not read what is to be moved: until when that waits, and how often it has been tried.
    moving_paused: Option<(Instant, u32)>,
    /// Files of dropped segments, to be written over.
    spares: Vec<segments::Spare>,
    started: Instant,
    /// When a full spool last looked for space.
    probed: Instant,
    /// Segment and offset at which a batch met a full disk: any part of it may be there until another one is written over it.
    torn: Option<(u32, u32)>,
    /// Large files that are to go when nothing can name them any more.
    discarded: Vec<u32>,
    /// Large messages whose removal found no space; it is tried again when there is some.
    unlogged: Vec<MessageId>,
}

/// What the thread does next.
enum Work {
    Jobs(Vec<Job>),
    Maintain,
    End,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, sequence: u64, remembered: Remembered) -> Self {
        Self {
            shared,
            batch: 0,
            sequence,
            remembered,
            moving: None,
            moving_paused: None,
            spares: Vec::new(),
            started: Instant::now(),
            probed: Instant::now(),
            torn: None,
            discarded: Vec::new(),
            unlogged: Vec::new(),
        }
    }

    /// The thread: works until the spool is closed; then gives the directory free. After a panic, a fault of ours, nothing
    /// is known about what is written: the spool has failed, whoever waits is told so, and the directory stays ours until the
    /// spool is closed, because others still read from it.
    pub(crate) fn run(mut self, guard: LockGuard) {
        let shared = Arc::clone(&self.shared);
        if std::panic::catch_unwind(AssertUnwindSafe(move || self.work())).is_err() {
            shared.failed("go on", &std::io::Error::other("its writer has panicked"));
            refuse_until_closed(&shared);
        }
        drop(guard);
        shared.ended.send_replace(true);
    }

    /// Works until the spool is closed.
    fn work(&mut self) {
        let mut more = true;
        loop {
            match self.next_work(more) {
                Work::Jobs(jobs) => self.run_jobs(jobs),
                Work::Maintain => {}
                Work::End => break,
            }
            self.discard_large();
            if self.shared.is_full() && self.probed.elapsed() >= SPACE_PROBE_INTERVAL {
                self.probed = Instant::now();
                self.probe_space();
            }
            if !self.shared.is_full() {
                self.unlogged.drain(..).for_each(|id| self.shared.push_lazy(Step::Remove { id }));
            }
            more = self.maintain();
        }
    }

    /// Waits for work. `more` says that there is maintenance to go on with.
    fn next_work(&self, more: bool) -> Work {
        let jobs = &self.shared.jobs;
        let mut waiting = jobs.lock();
        loop {
            let now = Instant::now();
            let due = waiting.due(LAZY_DELAY);
            if due.is_some_and(|due| due <= now) {
                return Work::Jobs(waiting.take());
            }
            if waiting.closing {
                return Work::End;
            }
            if more || !waiting.discarded.is_empty() {
                return Work::Maintain;
            }
            let probe = self.shared.is_full().then(|| self.probed + SPACE_PROBE_INTERVAL);
            let again = self.moving_paused.map(|(until, _)| until);
            if [probe, again].into_iter().flatten().any(|at| at <= now) {
                return Work::Maintain;
            }
            waiting = jobs.sleep(waiting, [due, probe, again].into_iter().flatten().min());
        }
    }

    /// Makes jobs durable, all in one batch, and answers them.
    pub(crate) fn run_jobs(&mut self, jobs: Vec<Job>) {
        self.try_jobs(jobs);
        self.shared.jobs.lock().done();
    }

    fn try_jobs(&mut self, jobs: Vec<Job>) {
        let jobs = match self.try_batch(jobs, Room::Acceptance) {
            Ok(()) => return,
            Err(jobs) => jobs,
        };
        // No space: mail is refused, the rest may use what is kept for it.
        self.shared.set_full(true);
        let (acceptance, rest): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Job::is_acceptance);
        acceptance.into_iter().for_each(|job| job.answer(Err(CommitError::Full)));
        if let Err(rest) = self.try_batch(rest, Room::Settling) {
            rest.into_iter().for_each(|job| self.settle_unlogged(job));
        }
    }

    /// Gives the jobs back when there is no space for them.
    fn try_batch(&mut self, mut jobs: Vec<Job>, room: Room) -> Result<(), Vec<Job>> {
        if self.shared.has_failed() {
            self.refuse(jobs);
            return Ok(());
        }
        let octets = jobs.iter().map(Job::octets).sum();
        let result = self.ensure_room(octets, room).and_then(|()| {
            let mut batch = self.new_batch();
            jobs = batch.add_jobs(self, std::mem::take(&mut jobs));
            self.write(&batch)?;
            Ok(batch)
        });
        match result {
            Ok(batch) => {
                if room == Room::Acceptance && jobs.iter().any(Job::is_acceptance) {
                    self.shared.set_full(false);
                }
                batch.apply(self, jobs);
                Ok(())
            }
            Err(CommitError::Full) => Err(jobs),
            Err(_) => {
                self.refuse(jobs);
                Ok(())
            }
        }
    }

    fn refuse(&self, jobs: Vec<Job>) {
        for job in jobs {
            job.answer(Err(self.shared.failure()));
        }
    }

    /// Not even the reserve is left. Removals that nobody waits for count all the same, in memory: a crash makes them
    /// duplicates, but their space comes back. Changes are forgotten, as a crash would. A large message is tried again: a crash
    /// would bring it back without its content, were its file gone before the log says so.
    fn settle_unlogged(&mut self, job: Job) {
        if job.is_awaited() {
            return job.answer(Err(CommitError::Full));
        }
        for step in &job.steps {
            if let Step::Remove { id } = step {
                let old = self.shared.index().get(*id);
                if old.is_some_and(|entry| entry.large != 0) {
                    self.unlogged.push(*id);
                    continue;
                }
                self.shared.index().set(*id, None);
                self.forget(*id, 0);
            }
        }
    }

    /// Writes and syncs a batch at the end of the newest segment.
    fn write(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if batch.bytes.is_empty() {
            return Ok(());
        }
        let file = Arc::clone(&batch.segment.file);
        let failed = |action, error| self.shared.failed(action, &error);
        file.write_at(&batch.bytes, u64::from(batch.start)).map_err(|error| {
            self.torn = Some((batch.segment.number, batch.start));
            failed("write the log", error)
        })?;
        file.sync_data().map_err(|error| {
            // Even "no space" from a sync: pages are lost, and which ones is unknown.
            failed("sync the log", std::io::Error::other(error.to_string()))
        })?;
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        self.shared.on_sync.tell(batch.records);
        self.shared.written.fetch_add(batch.bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Where the next batch goes.
    fn end(&self) -> Option<(u32, u32)> {
        self.shared.index().newest().map(|newest| (newest.segment.number, newest.end))
    }

    /// After a removal is durable: memory and file go, the id is remembered.
    fn forget(&mut self, id: MessageId, large: u32) {
        self.remembered.add(id);
        lock(&self.shared.recent).remove(id);
        if large != 0 {
            self.shared.jobs.lock().discarded.push(large);
        }
    }

    /// Removes large files that no message names. What cannot be removed now is at the next start; after a failure that is
    /// all of them, since a record that could not be synced may be there all the same and name its file. After a write that
    /// met a full disk they wait until the log has something else in that place.
    fn discard_large(&mut self) {
        self.discarded.append(&mut self.shared.jobs.lock().discarded);
        if self.torn.is_some() && self.torn == self.end() {
            return;
        }
        self.torn = None;
        let discarded = std::mem::take(&mut self.discarded);
        if self.shared.has_failed() {
            return;
        }
        for number in discarded {
            if let Err(error) = self.shared.disk.remove(&self.shared.paths.large_file(number)) {
                tracing::warn!(number, %error, "cannot remove a large file; the next start tries again");
            }
        }
    }
}

/// Answers what was queued before the failure was known; nothing is queued after it.
fn refuse_until_closed(shared: &Shared) {
    loop {
        let mut waiting = shared.jobs.lock();
        let refused = waiting.take_all();
        if refused.is_empty() && waiting.closing {
            return;
        }
        if refused.is_empty() {
            drop(shared.jobs.sleep(waiting, None));
            continue;
        }
        // Their large files go to the queue, which must be free for that.
        drop(waiting);
        refused.into_iter().for_each(|job| job.answer(Err(shared.failure())));
    }
}
