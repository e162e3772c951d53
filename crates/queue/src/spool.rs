//! [`Spool`]: the handle that everybody holds.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use envelope::{ByteSize, MessageId, ServerName, Timestamp};

use crate::codec::Stored;
use crate::content::{ContentReader, SharedMessage, blocking_read};
use crate::disk::Space;
use crate::draft::Draft;
use crate::error::{CommitError, Health, ReadError};
use crate::hands::InHand;
use crate::jobs::{Step, lock};
use crate::message::{StoredMessage, Update};
use crate::note;
use crate::reading;
use crate::shared::{Alive, OnSync, Shared, UnreadablePolicy};

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
    /// The time, if the clock is to be compared with the one of the run before ([`Spool::mark_time`]).
    pub now: Option<Timestamp>,
    /// How long a disk that does not read is given.
    pub unreadable: UnreadablePolicy,
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
            now: None,
            unreadable: UnreadablePolicy::default(),
        }
    }
}

/// Accepted mail on disk. Clones are the same spool. When the last one is dropped, what is queued is still written, but
/// nobody knows when the directory is free: [`Spool::close`] waits for that.
#[derive(Clone)]
pub struct Spool {
    pub(crate) alive: Arc<Alive>,
}

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
    /// Messages of which nothing can be read any more: reading them is [`ReadError::Lost`]. They stay until they are removed by
    /// whoever has told of their end; what is left of them is in `quarantine/`.
    pub lost: usize,
    /// Segments of which the disk does not read parts: not emptied just now, or to be set aside.
    pub unreadable_segments: usize,
    /// Syncs of the log since it was opened.
    pub syncs: u64,
    /// Octets written to the log since it was opened.
    pub written: ByteSize,
    /// Recipients of messages that were decoded since it was opened, each as often as it was.
    pub decoded_recipients: u64,
}

impl Spool {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { alive: Arc::new(Alive(shared)) }
    }

    /// Begins to receive a message.
    pub fn begin(&self) -> Draft {
        Draft::new(Arc::clone(&self.alive))
    }

    /// Changes a stored message, without waiting: durable soon, with the next commit or after
    /// [`LAZY_DELAY`](crate::LAZY_DELAY). A crash before that forgets the change, which may make a duplicate but loses
    /// nothing. For a change that must not be forgotten use a [`Transaction`](crate::Transaction).
    pub fn update(&self, id: MessageId, update: &Update) {
        self.alive.0.push_lazy(Step::Update { id, update: update.to_bytes() });
    }

    /// Removes a message, without waiting, as [`Spool::update`] changes one.
    pub fn remove(&self, id: MessageId) {
        self.alive.0.push_lazy(Step::Remove { id });
    }

    /// Removes a message that cannot be read, without waiting, after its end has been told: the segment that it stands in is set
    /// aside in `quarantine/` when it is dropped, for whoever wants to look.
    pub fn give_up(&self, id: MessageId) {
        {
            let mut index = self.alive.0.index();
            let segment = index.get(id).filter(|entry| !entry.lost).map(|entry| entry.place.segment);
            if let Some(state) = segment.and_then(|segment| index.segment_mut(segment)) {
                state.unreadable = true;
            }
        }
        self.remove(id);
    }

    /// Waits until everything handed over before is durable.
    ///
    /// # Errors
    /// [`CommitError`] when it cannot be.
    pub async fn flush(&self) -> Result<(), CommitError> {
        self.alive.0.run(Vec::new()).await.map(drop)
    }

    /// Whether the message is stored.
    #[must_use]
    pub fn contains(&self, id: MessageId) -> bool {
        self.alive.0.index().get(id).is_some()
    }

    /// The place of a message in the order of acceptance: the same as long as it is stored, over restarts, and another one for
    /// each message.
    #[must_use]
    pub fn sequence(&self, id: MessageId) -> Option<u64> {
        self.alive.0.index().get(id).map(|entry| entry.sequence)
    }

    /// Everything about a message but its content: from memory if it was stored just now and not changed since.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn head(&self, id: MessageId) -> Result<StoredMessage, ReadError> {
        let recent = lock(&self.alive.0.recent).head(id);
        let stored = match recent {
            Some(stored) => stored,
            None => {
                let shared = Arc::clone(&self.alive.0);
                blocking_read(id, move || reading::head(&shared, id)).await?
            }
        };
        self.alive.0.decoded.fetch_add(stored.states.len() as u64, Ordering::Relaxed);
        Ok(stored)
    }

    /// The same, decoded once however often it is asked for, for a message with many recipients, each of whom has an item of its
    /// own.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn shared_head(&self, id: MessageId) -> Result<SharedMessage, ReadError> {
        let entry = self.alive.0.index().get(id).ok_or(ReadError::Unknown(id))?;
        if let Some(message) = lock(&self.alive.0.heads).get(id, entry) {
            return Ok(message);
        }
        let message = SharedMessage::from(self.head(id).await?);
        // What changed meanwhile is not remembered as what was before it.
        let mut heads = lock(&self.alive.0.heads);
        if self.alive.0.index().get(id) == Some(entry) {
            heads.add(id, entry, &message);
        }
        Ok(message)
    }

    /// The content of a message: from memory if it was stored just now and is not large.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn content(&self, id: MessageId) -> Result<ContentReader, ReadError> {
        if let Some(bytes) = lock(&self.alive.0.recent).content(id) {
            return Ok(ContentReader::memory(id, bytes));
        }
        let shared = Arc::clone(&self.alive.0);
        blocking_read(id, move || reading::content(&shared, id)).await
    }

    /// Says that a message is being processed, as long as what is returned is held: in the categorizer, in the conversion of
    /// content, wherever a fault of ours may end the process. If it does, the message has one crash more at the next start
    /// ([`StoredMessage::crashes`], QU-13), which is durable by then; whoever processes it to the end sets the count back with
    /// [`Update::crashes`]. Held as shortly as possible: all that are in hands when the process is killed count as culprits.
    /// Costs one small write to memory of the kernel. A loss of power counts for nobody.
    pub fn take_in_hand(&self, id: MessageId) -> InHand {
        self.alive.0.hands.get().expect("set before the spool is handed out").take(id)
    }

    /// The next-hop keys whose queues an administrator has suspended ([`Note::SuspendedQueue`](crate::Note)), in order. They stay
    /// suspended over restarts, whether the queue is there or not (QU-27).
    #[must_use]
    pub fn suspended_queues(&self) -> Vec<Box<str>> {
        note::suspended_queues(&self.alive.0.index())
    }

    /// The messages whose copies a peer may discard ([`Note::Discard`](crate::Note)), until the notes are taken away because it
    /// has been told.
    #[must_use]
    pub fn discards(&self, peer: &ServerName) -> Vec<MessageId> {
        note::discards(&self.alive.0.index(), peer)
    }

    /// The peers that are to be told of discards.
    #[must_use]
    pub fn discard_peers(&self) -> Vec<ServerName> {
        note::discard_peers(&self.alive.0.index())
    }

    /// Tells the spool the time, without waiting: to be called every [`TIME_MARK_INTERVAL`](crate::TIME_MARK_INTERVAL). The next
    /// start compares its clock with it.
    pub fn mark_time(&self, now: Timestamp) {
        self.alive.0.push_lazy(Step::Note { key: note::TIME_KEY.to_vec(), value: now.to_bytes() });
    }

    /// How long the oldest change has waited that is not durable yet: tens of milliseconds in good health, without end when
    /// the disk does not answer. Nobody gets a receipt meanwhile, so whoever has another place for the mail should be told.
    #[must_use]
    pub fn unsynced_age(&self) -> Duration {
        self.alive.0.jobs.age()
    }

    /// Whether the spool takes mail.
    #[must_use]
    pub fn health(&self) -> Health {
        lock(&self.alive.0.health).clone()
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let index = self.alive.0.index();
        let (live, log) = index.octets();
        Stats {
            messages: index.len(),
            live: ByteSize::bytes(live),
            log: ByteSize::bytes(log),
            segments: index.segment_count(),
            lost: index.lost(),
            unreadable_segments: self.alive.0.unreadable_segments.load(Ordering::Relaxed) as usize + index.unreadable(),
            syncs: self.alive.0.syncs.load(Ordering::Relaxed),
            written: ByteSize::bytes(self.alive.0.written.load(Ordering::Relaxed)),
            decoded_recipients: self.alive.0.decoded.load(Ordering::Relaxed),
        }
    }

    /// Room on the disk: what back pressure looks at (a quick system call).
    ///
    /// # Errors
    /// Those of the file system.
    pub fn space(&self) -> io::Result<Space> {
        self.alive.0.disk.space(&self.alive.0.paths.root)
    }

    /// Drops the contents that are kept in memory although they are on disk: memory is short. Reading them is slower then.
    pub fn dehydrate(&self) {
        lock(&self.alive.0.recent).clear();
    }

    /// Writes what is queued, ends the writer and gives the directory free. Later commits fail with
    /// [`CommitError::Closed`].
    pub async fn close(&self) {
        self.alive.0.jobs.close();
        let mut ended = self.alive.0.ended.subscribe();
        ended.wait_for(|ended| *ended).await.expect("the sender lives as long as this handle");
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("dir", &self.alive.0.paths.root).finish_non_exhaustive()
    }
}
