//! Opening a spool: reading the log from its beginning, heads only, and finding out what is stored.
//!
//! ```text
//! lock ▶ list segments ▶ walk each: Store, Update, Remove, First ▶ index ▶ the last batch written again and synced
//!      ▶ settled segments and large/ without owners go ▶ new segment
//! ```
//!
//! - A torn tail is normal and passed over silently; records after a place that is known to have been durable which are
//!   invalid are damage: copied to `quarantine/`, counted, told as an error, and the rest recovered.
//! - Every start begins a new segment: nothing is ever appended to what a crash may have torn.
//! - Records of the last batch of the last segment were perhaps never acknowledged, and perhaps are there in part; their
//!   contents are checked, and the log ends at the first that is torn. Perhaps they were never synced either: they are
//!   made durable before anything is built on them ([`tail`]).

mod load;
mod replay;
mod tail;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use envelope::{MessageId, Timestamp};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::codec::Stored;
use crate::content::Recent;
use crate::disk::Disk;
use crate::error::{CommitError, Health, OpenError, ReadError};
use crate::hands::Hands;
use crate::index::Index;
use crate::jobs::{Job, Step};
use crate::message::{StoredMessage, Update};
use crate::note::{self, ClockJump};
use crate::reading;
use crate::record::SegmentHeader;
use crate::shared::{Paths, Shared};
use crate::spool::{SEGMENT_OCTETS_MAX, SEGMENT_OCTETS_MIN, Spool, SpoolOptions};
use crate::writer::Writer;
use replay::Replay;

/// Heads read at once: some hundred kilobytes.
const HEADS_PER_BATCH: usize = 256;

/// How often the spool is to be told the time ([`Spool::mark_time`]): what a jump may be wrong by.
pub const TIME_MARK_INTERVAL: Duration = Duration::from_secs(60);
/// From how far ahead a clock counts as having jumped: an hour, the shortest that could expire anything in earnest.
const JUMP_AHEAD_MIN: Duration = Duration::from_secs(3600);
/// From how far back: more than the clocks of a restarted server differ by.
const JUMP_BACK_MIN: Duration = Duration::from_secs(2 * 60);

/// What was found at opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Messages stored.
    pub messages: usize,
    /// Segments of the log.
    pub segments: usize,
    /// Places in the log where there were records and now are none; each is copied to `quarantine/`.
    pub damaged: usize,
    /// Segments that ought to be there and are not, or whose header is damaged.
    pub missing_segments: usize,
    /// Large contents that ought to be there and are not.
    pub missing_contents: usize,
    /// Messages that were in hands when the process before died: each has one crash more now.
    pub crashed: usize,
    /// The clock was told another time than was to be expected: ages count on from where they were, and what was noted before is
    /// told in terms of the present clock.
    pub clock_jump: Option<ClockJump>,
}

/// The messages found at opening, in order of acceptance, read in batches.
pub struct Recovery {
    spool: Spool,
    report: RecoveryReport,
    crashed: HashSet<MessageId>,
    ids: std::vec::IntoIter<MessageId>,
}

impl Recovery {
    pub(crate) fn new(spool: Spool, report: RecoveryReport, crashed: HashSet<MessageId>) -> Self {
        let mut order: Vec<_> = spool.alive.0.index().messages().map(|(id, entry)| (entry.sequence, *id)).collect();
        order.sort_unstable();
        let ids: Vec<_> = order.into_iter().map(|(_, id)| id).collect();
        Self { spool, report, crashed, ids: ids.into_iter() }
    }

    /// What was found.
    #[must_use]
    pub fn report(&self) -> RecoveryReport {
        self.report
    }

    /// Those that were in hands when the process before died, whose crash has been counted.
    #[must_use]
    pub fn crashed(&self) -> &HashSet<MessageId> {
        &self.crashed
    }

    /// The next messages, oldest first; empty at the end. One that was removed meanwhile is left out; one whose head
    /// cannot be read is given as an error with its id.
    pub async fn next_batch(&mut self) -> Vec<(MessageId, Result<StoredMessage, ReadError>)> {
        loop {
            let ids: Vec<MessageId> = self.ids.by_ref().take(HEADS_PER_BATCH).collect();
            if ids.is_empty() {
                return Vec::new();
            }
            let shared = Arc::clone(&self.spool.alive.0);
            let read = move || ids.into_iter().map(|id| (id, reading::head(&shared, id))).collect::<Vec<_>>();
            let heads = spawn_blocking(read).await.expect("reading heads does not panic");
            let stored = |result: &Result<_, _>| !matches!(result, Err(ReadError::Unknown(_)));
            let heads: Vec<_> = heads.into_iter().filter(|(_, result)| stored(result)).collect();
            if !heads.is_empty() {
                return heads;
            }
        }
    }
}

impl Spool {
    /// Opens the spool in `dir` (created if it is not there) and reads what it holds. Blocks: on a busy server for up to
    /// a second or two, so call it where that is allowed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: SpoolOptions) -> Result<(Self, Recovery), OpenError> {
        let (shared, report, crashed) = open(disk, dir, options)?;
        let spool = Self::new(shared);
        let recovery = Recovery::new(spool.clone(), report, crashed);
        Ok((spool, recovery))
    }
}

/// Opens the spool in `dir` and starts its writer.
fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: SpoolOptions,
) -> Result<(Arc<Shared>, RecoveryReport, HashSet<MessageId>), OpenError> {
    if !(SEGMENT_OCTETS_MIN..=SEGMENT_OCTETS_MAX).contains(&options.segment_octets) {
        return Err(OpenError::SegmentSize { min: SEGMENT_OCTETS_MIN.into(), max: SEGMENT_OCTETS_MAX.into() });
    }
    let paths = Paths::new(dir);
    let guard = prepare(disk.as_ref(), &paths)?;
    let mut replay = Replay::default();
    let segments = load::segments(disk.as_ref(), &paths, &mut replay.report)?;
    replay.run(disk.as_ref(), &paths, segments)?;
    let large_last = sort_out_large(disk.as_ref(), &paths, &mut replay)?;
    let hands = Hands::left(disk.as_ref(), &paths.root);
    let clock = options.now.map(|now| Clock::compare(&replay.index, now, replay.sequence)).unwrap_or_default();
    let shared = Arc::new(Shared {
        jobs: Arc::default(),
        server: options.server,
        segment_octets: options.segment_octets,
        recent: Mutex::new(Recent::new(options.recent_octets)),
        heads: Mutex::default(),
        health: Mutex::new(Health::Ready),
        // Not before what was left is counted.
        hands: OnceLock::new(),
        jumps: clock.jumps(note::jumps(&replay.index)),
        large_last: AtomicU32::new(large_last),
        on_sync: options.on_sync,
        unreadable: options.unreadable,
        unreadable_segments: AtomicU32::new(0),
        syncs: AtomicU64::new(0),
        decoded: AtomicU64::new(0),
        written: AtomicU64::new(0),
        ended: watch::Sender::new(false),
        index: Mutex::new(replay.index),
        disk,
        paths,
    });
    begin_first_segment(&shared, replay.last_number, replay.last_end)?;
    let mut writer = Writer::new(Arc::clone(&shared), replay.sequence, replay.remembered);
    let mut report = replay.report;
    report.clock_jump = clock.jump;
    let crashed = note_start(&shared, &mut writer, &hands, clock);
    report.crashed = crashed.len();
    report.messages = shared.index().len();
    report.segments = shared.index().segment_count();
    let start = std::thread::Builder::new().name("spool-writer".into()).spawn(move || writer.run(guard));
    start.map_err(|error| OpenError::Io { action: "start the writer thread", error })?;
    Ok((shared, report, crashed))
}

/// Makes durable what a start has to note before anybody goes on: who was in hands when the process before died, and that the
/// clock has jumped. Gives those that were in hands. On a full disk it is left out: that must not keep mail from going out.
fn note_start(shared: &Shared, writer: &mut Writer, left: &HashSet<MessageId>, clock: Clock) -> HashSet<MessageId> {
    let mut steps: Vec<Step> = clock.notes.into_iter().map(|(key, value)| Step::Note { key, value }).collect();
    let mut crashed = HashSet::new();
    for id in left {
        let Ok(stored) = reading::head(shared, *id) else { continue };
        let crashes = stored.crashes.saturating_add(1);
        tracing::warn!(message = %id, crashes, "the process died while a message was in its hands");
        steps.push(Step::Update { id: *id, update: Update::crashes(crashes).to_bytes() });
        crashed.insert(*id);
    }
    writer.run_jobs(steps.into_iter().map(Job::lazy).collect());
    // The marks go when the counts are durable: a message that ends every start within a moment is counted all the same.
    let hands = Hands::begin(shared.disk.as_ref(), &shared.paths.root);
    shared.hands.set(hands).unwrap_or_else(|_| unreachable!("set once"));
    crashed
}

/// What the clock says at a start, beside what the spool was told last.
#[derive(Default)]
struct Clock {
    jump: Option<ClockJump>,
    /// The jump, as it is remembered.
    noted: Option<(u64, i64)>,
    /// Jumps that matter to no message any more.
    gone: Vec<u64>,
    notes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Clock {
    /// Compares. A clock set far ahead would expire everything that waits, and one that was wrong before and is right now as
    /// well; neither can be told from a server that was away for days, whose mail should be tried before it expires.
    fn compare(index: &Index, now: Timestamp, sequence: u64) -> Self {
        let mut clock = Self { notes: vec![(note::TIME_KEY.to_vec(), now.to_bytes())], ..Self::default() };
        let oldest = index.messages().map(|(_, entry)| entry.sequence).min();
        for (last, _) in note::jumps(index) {
            // Nobody is left of those to whom it mattered.
            if oldest.is_none_or(|oldest| oldest > last) {
                clock.notes.push((note::jump_key(last), Vec::new()));
                clock.gone.push(last);
            }
        }
        let Some(from) = note::time(index) else { return clock };
        if now.since(from) >= JUMP_AHEAD_MIN || from.since(now) >= JUMP_BACK_MIN {
            clock.jump = Some(ClockJump { from, to: now });
            let by = i64::try_from(i128::from(now.as_millis()) - i128::from(from.as_millis())).unwrap_or_default();
            let before = note::jumps(index).into_iter().find(|(last, _)| *last == sequence).map_or(0, |(_, by)| by);
            let by = by.saturating_add(before);
            clock.noted = oldest.map(|_| (sequence, by));
            if oldest.is_some() {
                clock.notes.push((note::jump_key(sequence), by.to_le_bytes().to_vec()));
            }
        }
        clock
    }

    /// All that is remembered from now on, this jump included.
    fn jumps(&self, mut before: Vec<(u64, i64)>) -> Vec<(u64, i64)> {
        before.retain(|(last, _)| !self.gone.contains(last));
        if let Some((sequence, by)) = self.noted {
            before.retain(|(last, _)| *last != sequence);
            before.push((sequence, by));
        }
        before
    }
}

/// Makes and locks the directories.
fn prepare(disk: &dyn Disk, paths: &Paths) -> Result<crate::disk::LockGuard, OpenError> {
    for dir in [&paths.root, &paths.segments, &paths.large, &paths.quarantine] {
        disk.create_dir(dir).map_err(io_error("create the spool directories"))?;
    }
    let guard = disk.lock(&paths.root.join("lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::InUse(paths.root.clone()),
        _ => OpenError::Io { action: "lock the spool", error },
    })?;
    disk.sync_dir(&paths.root).map_err(io_error("sync the spool directory"))?;
    if let Some(parent) = paths.root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_dir(parent).map_err(io_error("sync the directory above the spool"))?;
    }
    Ok(guard)
}

/// Begins the segment that this run writes to. On a full disk a small one will do, so that mail can still go out.
fn begin_first_segment(shared: &Shared, last: u32, previous_end: u32) -> Result<(), OpenError> {
    shared.release_reserve();
    shared.remove_spares();
    let first = shared.index().oldest().map_or(last + 1, |oldest| oldest.segment.number);
    let small = SEGMENT_OCTETS_MIN;
    let created = match shared.create_segment(last + 1, first, shared.segment_octets, previous_end) {
        Err(CommitError::Full) => {
            shared.set_full(true);
            shared.create_segment(last + 1, first, small, previous_end)
        }
        other => other,
    };
    let state = created.map_err(|error| OpenError::Io { action: "begin a segment", error: io::Error::other(error) })?;
    shared.index().push_segment(state);
    if !shared.is_full() {
        shared.fill_reserve();
    }
    Ok(())
}

/// Removes files in `large/` that no message names, and misses those that are named and not there. The highest number.
fn sort_out_large(disk: &dyn Disk, paths: &Paths, replay: &mut Replay) -> Result<u32, OpenError> {
    let names = disk.list(&paths.large).map_err(io_error("list large messages"))?;
    let mut there: HashSet<u32> = names.iter().filter_map(|name| load::number(name, ".eml")).collect();
    let mut last = there.iter().copied().max().unwrap_or(0);
    for (id, entry) in replay.index.messages() {
        last = last.max(entry.large);
        if entry.large != 0 && !there.remove(&entry.large) {
            tracing::error!(message = %id, file = entry.large, "the content of a message is missing");
            replay.report.missing_contents += 1;
        }
    }
    for orphan in there {
        if let Err(error) = disk.remove(&paths.large_file(orphan)) {
            tracing::warn!(orphan, %error, "cannot remove a large file that no message names");
        }
    }
    Ok(last)
}

/// Says what was tried.
fn io_error(action: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |error| OpenError::Io { action, error }
}

/// A segment found on disk.
struct Loaded {
    header: SegmentHeader,
    file: Arc<dyn crate::disk::DiskFile>,
    length: u32,
}
