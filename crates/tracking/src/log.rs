//! The log as services have it: recording never waits, writing is one thread's.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::event::Event;
use crate::files::{FILE_OCTETS_MAX, FOLDER_OCTETS_MAX, Files, Limits, MAX_AGE, folder_in};

/// Events that wait to be written: a second or two of a busy server, about 10 MB.
pub const EVENTS_WAITING_MAX: usize = 16_384;
/// After what was there has been written, more may gather for so long: a busy server wakes the writer a hundred times a
/// second, not once for each event.
const GATHER_INTERVAL: Duration = Duration::from_millis(10);
/// What has been written goes to the operating system after this time without another event.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// Where and as what a log is written.
#[derive(Clone, Debug)]
pub struct TrackingSettings<'a> {
    /// The state directory: files go to `logs/MessageTracking` in it.
    pub state: &'a Path,
    /// `MSGTRK` for Transport, `MSGTRKMD` for Mailbox Transport Delivery, `MSGTRKMS` for Submission (LG-16).
    pub prefix: &'static str,
    /// Of the software, for the header.
    pub version: &'static str,
}

/// What became of events: written, or lost because the writer could not keep up or the disk took none.
struct Counters {
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

/// A message tracking log.
pub struct TrackingLog {
    events: Option<SyncSender<Event>>,
    counters: Arc<Counters>,
    writer: Option<JoinHandle<()>>,
}

impl TrackingLog {
    /// Starts the writer. The first file is made with the first event. `on_loss` is called for each event that is lost.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(settings: &TrackingSettings<'_>, on_loss: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let limits = Limits { file_octets: FILE_OCTETS_MAX, folder_octets: FOLDER_OCTETS_MAX, age: MAX_AGE };
        let files = Files::new(folder_in(settings.state), settings.prefix, settings.version, limits);
        Self::start_with(files, EVENTS_WAITING_MAX, Box::new(on_loss))
    }

    fn start_with(files: Files, waiting: usize, on_loss: Box<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let (events, coming) = sync_channel(waiting);
        let counters = Arc::new(Counters { written: AtomicU64::new(0), lost: AtomicU64::new(0), on_loss });
        let writer = Writer { files, coming, counters: Arc::clone(&counters), number: 0, lost_before: 0 };
        let writer = std::thread::Builder::new().name("message-tracking".to_owned()).spawn(|| writer.run())?;
        Ok(Self { events: Some(events), counters, writer: Some(writer) })
    }

    /// Has the event written. Never waits: with too many before it, it is lost and counted.
    pub fn record(&self, event: Event) {
        let Some(events) = &self.events else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = events.try_send(event) {
            self.counters.lose();
        }
    }
}

/// What was recorded before is written before it is gone. Blocks for as long.
impl Drop for TrackingLog {
    fn drop(&mut self) {
        self.events = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so.
            let _ended = writer.join();
        }
    }
}

struct Writer {
    files: Files,
    coming: Receiver<Event>,
    counters: Arc<Counters>,
    /// `log-id` of the last line.
    number: u64,
    /// Losses that have been told.
    lost_before: u64,
}

impl Writer {
    fn run(mut self) {
        loop {
            match self.coming.recv_timeout(FLUSH_INTERVAL) {
                Ok(event) => {
                    self.write(&event);
                    while let Ok(event) = self.coming.try_recv() {
                        self.write(&event);
                    }
                    std::thread::sleep(GATHER_INTERVAL);
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
    }

    fn write(&mut self, event: &Event) {
        self.number += 1;
        match self.files.write(&event.line(self.number), event.at) {
            Ok(()) => {
                self.counters.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, "the message tracking log cannot be written");
                self.counters.lose();
            }
        }
        self.tell_losses();
    }

    fn tell_losses(&mut self) {
        let lost = self.counters.lost.load(Ordering::Relaxed);
        if lost > self.lost_before {
            tracing::error!(events = lost - self.lost_before, "events are missing in the message tracking log");
            self.lost_before = lost;
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.files.flush() {
            tracing::warn!(%error, "the message tracking log cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use envelope::{MessageId, ReversePath, Timestamp};

    use super::*;
    use crate::event::{EventId, Source};

    fn event(number: u8) -> Event {
        let at = Timestamp::from_millis(1_795_335_330_250);
        Event::new(at, EventId::Receive, Source::Smtp, MessageId::from_bytes([number; 16]), ReversePath::Null)
    }

    fn lines(folder: &Path) -> usize {
        let text = std::fs::read_to_string(folder.join("MSGTRK20261122-1.log")).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).count()
    }

    #[test]
    fn what_was_recorded_is_written_before_the_log_is_gone() {
        let state = tempfile::tempdir().unwrap();
        let settings = TrackingSettings { state: state.path(), prefix: "MSGTRK", version: "0.1.0" };
        let log = TrackingLog::start(&settings, || ()).unwrap();
        (0..100).for_each(|number| log.record(event(number)));
        drop(log);
        assert_eq!(lines(&folder_in(state.path())), 100);
    }

    #[test]
    fn every_event_is_written_or_counted_as_lost_whatever_the_disk_does() {
        let state = tempfile::tempdir().unwrap();
        // The folder cannot be made: a file has its name.
        std::fs::write(state.path().join("logs"), "").unwrap();
        let limits = Limits { file_octets: 100_000, folder_octets: 1_000_000, age: MAX_AGE };
        let log =
            TrackingLog::start_with(Files::new(folder_in(state.path()), "MSGTRK", "0", limits), 4, Box::new(|| ()))
                .unwrap();
        (0..200).for_each(|number| log.record(event(number)));
        let counters = Arc::clone(&log.counters);
        drop(log);
        assert_eq!((counters.written.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed)), (0, 200));
    }

    #[test]
    fn a_writer_that_cannot_keep_up_loses_events_and_counts_them() {
        let state = tempfile::tempdir().unwrap();
        let limits = Limits { file_octets: 1_000_000, folder_octets: 9_000_000, age: MAX_AGE };
        let log =
            TrackingLog::start_with(Files::new(state.path().to_owned(), "MSGTRK", "0", limits), 1, Box::new(|| ()))
                .unwrap();
        (0..250).cycle().take(5_000).for_each(|number| log.record(event(number)));
        let counters = Arc::clone(&log.counters);
        drop(log);
        let (written, lost) = (counters.written.load(Ordering::Relaxed), counters.lost.load(Ordering::Relaxed));
        assert_eq!(written + lost, 5_000);
        assert_eq!(lines(state.path()) as u64, written);
    }
}
