//! The log as services have it: recording never waits, writing is one thread's. A log of which nothing is written has no thread, and
//! takes no memory for what might wait.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::files::Files;
use crate::record::{LogLimits, Record, Row};

/// Records that wait to be written: a second or two of a busy server, about 10 MB.
pub const RECORDS_WAITING_MAX: usize = 16_384;
/// After what was there has been written, more may gather for so long: a busy server wakes the writer a hundred times a
/// second, not once for each event.
const GATHER_INTERVAL: Duration = Duration::from_millis(10);
/// What has been written goes to the operating system after so long, whatever else happens.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// Where and as what a log is written.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The folder of its files, made with the first of them.
    pub folder: PathBuf,
    /// What their names begin with: `MSGTRK` for the message tracking log of Transport.
    pub prefix: &'static str,
    /// Of the software, for the header.
    pub version: &'static str,
}

/// What became of records: written, or lost because the writer could not keep up or the disk took none.
struct Counters {
    /// Handed to the writer and not taken by it yet.
    waiting: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
    on_loss: Box<dyn Fn() + Send + Sync>,
}

impl Counters {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        (self.on_loss)();
    }
}

/// Whether a log is written, and what is kept of it: told again whenever that changes. The next file is by the new limits; a log
/// that is turned off takes no records from then on.
#[derive(Clone, Debug)]
pub struct LogRules(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    enabled: AtomicBool,
    limits: Mutex<LogLimits>,
}

impl LogRules {
    fn new(limits: LogLimits) -> Self {
        Self(Arc::new(Rules { enabled: AtomicBool::new(true), limits: Mutex::new(limits) }))
    }

    /// From now on.
    pub fn set(&self, enabled: bool, limits: LogLimits) {
        self.0.enabled.store(enabled, Ordering::Relaxed);
        // A lock is poisoned by a panic within it; there is nothing here that could.
        *self.0.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn enabled(&self) -> bool {
        self.0.enabled.load(Ordering::Relaxed)
    }

    fn limits(&self) -> LogLimits {
        *self.0.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log of records of one kind.
pub struct Log<R: Record> {
    rules: LogRules,
    waiting_max: usize,
    counters: Arc<Counters>,
    /// Of the writer, until the first record starts it.
    files: Mutex<Option<Files>>,
    writer: OnceLock<Option<Started<R>>>,
}

/// A writer that works.
struct Started<R> {
    records: Sender<R>,
    thread: JoinHandle<()>,
}

impl<R: Record> Log<R> {
    /// A log with nothing in it: the first record starts its writer and makes its file. `on_loss` is called for each record that is
    /// lost.
    pub fn new(settings: LogSettings, on_loss: impl Fn() + Send + Sync + 'static) -> Self {
        let files = Files::new(settings.folder, settings.prefix, settings.version, R::FORM);
        Self::of(files, RECORDS_WAITING_MAX, Box::new(on_loss))
    }

    fn of(files: Files, waiting_max: usize, on_loss: Box<dyn Fn() + Send + Sync>) -> Self {
        let (waiting, written, lost) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let counters = Arc::new(Counters { waiting, written, lost, on_loss });
        let rules = LogRules::new(files.limits());
        Self { rules, waiting_max, counters, files: Mutex::new(Some(files)), writer: OnceLock::new() }
    }

    /// By what it is written.
    #[must_use]
    pub fn rules(&self) -> LogRules {
        self.rules.clone()
    }

    /// Has the record written. Never waits: with too many before it, it is lost and counted.
    pub fn record(&self, record: R) {
        if !self.rules.enabled() {
            return;
        }
        let Some(writer) = self.writer.get_or_init(|| self.start()) else { return self.counters.lose() };
        if self.counters.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.counters.lose();
        }
        if writer.records.send(record).is_err() {
            self.counters.lose();
        }
    }

    /// Starts the writer; none where the system gives no thread.
    fn start(&self) -> Option<Started<R>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (records, coming) = channel();
        let (rules, counters) = (self.rules.clone(), Arc::clone(&self.counters));
        let (number, lost_before, row) = (0, 0, Row::default());
        let writer = Writer { files, coming, rules, counters, number, lost_before, row };
        let started = std::thread::Builder::new().name("log-writer".to_owned()).spawn(|| writer.run());
        let told = started.inspect_err(|error| {
            tracing::error!(%error, log = R::FORM.log_type, "a log is not written: it gets no thread");
        });
        Some(Started { records, thread: told.ok()? })
    }
}

/// What was recorded before is written before it is gone. Blocks for as long.
impl<R: Record> Drop for Log<R> {
    fn drop(&mut self) {
        if let Some(Started { records, thread }) = self.writer.take().flatten() {
            drop(records);
            // A writer that panicked has said so.
            let _ended = thread.join();
        }
    }
}

struct Writer<R> {
    files: Files,
    coming: Receiver<R>,
    rules: LogRules,
    counters: Arc<Counters>,
    /// `log-id` of the last line.
    number: u64,
    /// Losses that have been told.
    lost_before: u64,
    /// The line that is being written.
    row: Row,
}

impl<R: Record> Writer<R> {
    fn run(mut self) {
        // What is flushed needs nobody to look again: a service in which nothing happens is not woken.
        while let Ok(first) = self.coming.recv() {
            self.take(&first);
            self.write_until_silent();
            self.flush();
        }
    }

    /// Writes what comes, until nothing has for a while.
    fn write_until_silent(&mut self) {
        let mut flushed = Instant::now();
        loop {
            while let Ok(record) = self.coming.try_recv() {
                self.take(&record);
            }
            // A server with a message now and then is never silent, and its lines are wanted all the same.
            if flushed.elapsed() >= FLUSH_INTERVAL {
                self.flush();
                flushed = Instant::now();
            }
            std::thread::sleep(GATHER_INTERVAL);
            let Ok(record) = self.coming.recv_timeout(FLUSH_INTERVAL) else { return };
            self.take(&record);
        }
    }

    fn take(&mut self, record: &R) {
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        self.write(record);
    }

    fn write(&mut self, record: &R) {
        self.number += 1;
        self.files.keep(self.rules.limits());
        record.write(self.number, &mut self.row);
        match self.row.finished(|line| self.files.write(line, record.at())) {
            Ok(()) => {
                self.counters.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, log = R::FORM.log_type, "a log cannot be written");
                self.counters.lose();
            }
        }
        self.tell_losses();
    }

    fn tell_losses(&mut self) {
        let lost = self.counters.lost.load(Ordering::Relaxed);
        if lost > self.lost_before {
            tracing::error!(records = lost - self.lost_before, log = R::FORM.log_type, "lines are missing in a log");
            self.lost_before = lost;
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.files.flush() {
            tracing::warn!(%error, log = R::FORM.log_type, "a log cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use envelope::{MessageId, ReversePath, Timestamp};

    use super::*;
    use crate::record::LogForm;
    use crate::tracking::{EventId, Source, TrackingEvent, folder as folder_in};

    fn event(number: u8) -> TrackingEvent {
        let at = Timestamp::from_millis(1_795_335_330_250);
        TrackingEvent::new(at, EventId::Receive, Source::Smtp, MessageId::from_bytes([number; 16]), ReversePath::Null)
    }

    fn form(file_octets: u64, folder_octets: u64) -> LogForm {
        LogForm { limits: LogLimits { file_octets, folder_octets, ..LogLimits::WIDE }, ..TrackingEvent::FORM }
    }

    fn lines(folder: &Path) -> usize {
        let text = std::fs::read_to_string(folder.join("MSGTRK20261122-1.log")).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn what_was_recorded_is_written_before_the_log_is_gone() {
        let state = tempfile::tempdir().unwrap();
        let settings = LogSettings { folder: folder_in(state.path()), prefix: "MSGTRK", version: "0.1.0" };
        let log = Log::new(settings, || ());
        assert!(log.writer.get().is_none(), "a log of which nothing is written has no writer");
        (0..100).for_each(|number| log.record(event(number)));
        drop(log);
        assert_eq!(lines(&folder_in(state.path())), 100);
    }

    #[test]
    fn lines_are_there_although_others_keep_coming() {
        let state = tempfile::tempdir().unwrap();
        let settings = LogSettings { folder: folder_in(state.path()), prefix: "MSGTRK", version: "0.1.0" };
        let log = Log::new(settings, || ());
        // So often that it is never silent, and together less than what is written at once.
        for number in 0..100 {
            let recorded = Instant::now();
            log.record(event(number));
            while recorded.elapsed() < GATHER_INTERVAL {
                std::thread::yield_now();
            }
        }
        assert!(lines(&folder_in(state.path())) > 0);
    }

    #[test]
    fn what_is_kept_follows_what_is_told() {
        // LG-03: files of other sizes from the next record on; turned off, nothing is taken.
        let state = tempfile::tempdir().unwrap();
        let settings = LogSettings { folder: folder_in(state.path()), prefix: "MSGTRK", version: "0.1.0" };
        let log = Log::new(settings, || ());
        log.rules().set(true, LogLimits { file_octets: 1, ..LogLimits::WIDE });
        (0..3).for_each(|number| log.record(event(number)));
        drop(log);
        let settings = LogSettings { folder: folder_in(state.path()), prefix: "MSGTRK", version: "0.1.0" };
        let log = Log::new(settings, || ());
        log.rules().set(false, LogLimits::WIDE);
        (0..3).for_each(|number| log.record(event(number)));
        drop(log);
        let files = std::fs::read_dir(folder_in(state.path())).unwrap();
        let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, 3);
        assert!(texts.len() > 1, "a file for each: {}", texts.len());
    }

    #[test]
    fn every_event_is_written_or_counted_as_lost_whatever_the_disk_does() {
        let state = tempfile::tempdir().unwrap();
        // The folder cannot be made: a file has its name.
        std::fs::write(state.path().join("logs"), "").unwrap();
        let form = form(100_000, 1_000_000);
        let log = Log::of(Files::new(folder_in(state.path()), "MSGTRK", "0", form), 4, Box::new(|| ()));
        (0..200).for_each(|number| log.record(event(number)));
        let counters = Arc::clone(&log.counters);
        drop(log);
        assert_eq!((counters.written.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed)), (0, 200));
    }

    #[test]
    fn a_writer_that_cannot_keep_up_loses_events_and_counts_them() {
        let state = tempfile::tempdir().unwrap();
        let form = form(1_000_000, 9_000_000);
        let log = Log::of(Files::new(state.path().to_owned(), "MSGTRK", "0", form), 1, Box::new(|| ()));
        (0..250).cycle().take(5_000).for_each(|number| log.record(event(number)));
        let counters = Arc::clone(&log.counters);
        drop(log);
        let (written, lost) = (counters.written.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed));
        assert_eq!(written + lost, 5_000);
        assert_eq!(lines(state.path()) as u64, written);
    }
}
