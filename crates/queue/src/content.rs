//! [`ContentReader`]: the content of a stored message in chunks, checked; and what is kept in memory after a commit.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use envelope::{ByteSize, MessageId};
use tokio::task::spawn_blocking;

use crate::codec::{Meta, Stored};
use crate::disk::DiskFile;
use crate::error::ReadError;
use crate::index::Entry;
use crate::jobs::lock;
use crate::message::{RecipientState, StoredMessage, Update};

/// Octets read at once: large enough to keep a disk busy, small enough for thousands of deliveries.
pub const READ_OCTETS: usize = 128 * 1024;

/// Reads the content of one message from its beginning. The message may be removed meanwhile; the reader goes on.
///
/// The last chunk is only given out when the checksum of the whole content is right: whoever ends a delivery after the
/// last chunk never delivers a damaged message as a whole one.
pub struct ContentReader {
    id: MessageId,
    size: u64,
    source: Source,
}

enum Source {
    Memory(Bytes),
    File { file: Arc<dyn DiskFile>, offset: u64, left: u64, crc: u32, expected: u32 },
}

impl ContentReader {
    pub(crate) fn memory(id: MessageId, bytes: Bytes) -> Self {
        Self { id, size: bytes.len() as u64, source: Source::Memory(bytes) }
    }

    pub(crate) fn file(id: MessageId, file: Arc<dyn DiskFile>, offset: u64, size: u64, expected: u32) -> Self {
        Self { id, size, source: Source::File { file, offset, left: size, crc: 0, expected } }
    }

    /// Octets of the whole content.
    #[must_use]
    pub fn size(&self) -> ByteSize {
        ByteSize::bytes(self.size)
    }

    /// The next chunk; `None` after the last.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when the content is not what was stored, [`ReadError::Io`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        match &mut self.source {
            Source::Memory(bytes) => Ok(Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())),
            Source::File { left: 0, .. } => Ok(None),
            Source::File { file, offset, left, crc, expected } => {
                let id = self.id;
                let (from, length) = (*offset, usize::try_from(*left).unwrap_or(READ_OCTETS).min(READ_OCTETS));
                let file = Arc::clone(file);
                let chunk = blocking_read(id, move || read(id, file.as_ref(), from, length)).await?;
                *crc = crc32c::crc32c_append(*crc, &chunk);
                *offset += length as u64;
                *left -= length as u64;
                if *left == 0 && crc != expected {
                    tracing::error!(message = %id, "the content of a message is damaged on disk");
                    return Err(ReadError::Damaged(id));
                }
                Ok(Some(chunk))
            }
        }
    }

    /// All of it, if it is no longer than `limit`.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`], and those of [`ContentReader::chunk`].
    pub async fn read_all(mut self, limit: ByteSize) -> Result<Bytes, ReadError> {
        if self.size() > limit {
            return Err(ReadError::TooLarge(self.id));
        }
        let first = self.chunk().await?.unwrap_or_default();
        if first.len() as u64 == self.size {
            return Ok(first);
        }
        let mut all = BytesMut::from(first);
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

fn read(id: MessageId, file: &dyn DiskFile, offset: u64, length: usize) -> Result<Bytes, ReadError> {
    let mut bytes = vec![0; length];
    let count = file.read_at(&mut bytes, offset).map_err(|error| ReadError::Io { id, error })?;
    if count == length { Ok(bytes.into()) } else { Err(ReadError::Damaged(id)) }
}

/// The messages stored last, up to a number of octets: a message is usually delivered right after it came, and then nothing
/// is read back from the disk.
pub(crate) struct Recent {
    messages: HashMap<MessageId, RecentMessage>,
    order: BTreeMap<u64, MessageId>,
    added: u64,
    octets: usize,
    limit: usize,
}

/// One message as it was stored.
struct RecentMessage {
    /// Its place in the order.
    position: u64,
    content: Bytes,
    /// Its stored fields; none once they were changed.
    meta: Option<Vec<u8>>,
}

/// What a message takes in [`Recent`] besides its octets: its entries in two tables, and two allocations.
const RECENT_OVERHEAD_OCTETS: usize = 192;

impl RecentMessage {
    fn octets(&self) -> usize {
        RECENT_OVERHEAD_OCTETS + self.content.len() + self.meta.as_ref().map_or(0, Vec::len)
    }
}

impl Recent {
    pub(crate) fn new(limit: usize) -> Self {
        Self { messages: HashMap::new(), order: BTreeMap::new(), added: 0, octets: 0, limit }
    }

    pub(crate) fn content(&self, id: MessageId) -> Option<Bytes> {
        self.messages.get(&id).map(|message| message.content.clone())
    }

    /// The head of a message that was not changed since it was stored.
    pub(crate) fn head(&self, id: MessageId) -> Option<StoredMessage> {
        let message = self.messages.get(&id)?;
        let Meta(mut stored) = Meta::from_bytes(message.meta.as_deref()?).ok()?;
        stored.head.id = id;
        stored.head.size = ByteSize::bytes(message.content.len() as u64);
        Some(stored)
    }

    pub(crate) fn add(&mut self, id: MessageId, content: Bytes, meta: Vec<u8>) {
        self.remove(id);
        self.added += 1;
        let message = RecentMessage { position: self.added, content, meta: Some(meta) };
        self.octets += message.octets();
        self.order.insert(self.added, id);
        self.messages.insert(id, message);
        while self.octets > self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.remove(oldest);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { added: self.added, ..Self::new(self.limit) };
    }

    pub(crate) fn remove(&mut self, id: MessageId) {
        if let Some(message) = self.messages.remove(&id) {
            self.octets -= message.octets();
            self.order.remove(&message.position);
        }
    }

    /// The stored fields were changed: what is here is not the truth any more.
    pub(crate) fn changed(&mut self, id: MessageId) {
        if let Some(message) = self.messages.get_mut(&id)
            && let Some(meta) = message.meta.take()
        {
            self.octets -= meta.len();
        }
    }
}

/// A stored message as all who work at its recipients share it: a list of any length is decoded once, and a change of one
/// recipient costs no more than that one.
#[derive(Clone, Debug)]
pub struct SharedMessage {
    read: Arc<StoredMessage>,
    /// States that have changed since it was read.
    changed: Arc<Mutex<HashMap<usize, RecipientState>>>,
}

impl From<StoredMessage> for SharedMessage {
    fn from(read: StoredMessage) -> Self {
        Self { read: Arc::new(read), changed: Arc::default() }
    }
}

impl SharedMessage {
    /// The message when it was read. Everything but the states is as it is now; a list of recipients that takes its place has the
    /// same recipients at the same positions.
    #[must_use]
    pub fn as_read(&self) -> &StoredMessage {
        &self.read
    }

    /// The state of the recipient at that position now.
    #[must_use]
    pub fn state(&self, at: u32) -> Option<RecipientState> {
        let at = at as usize;
        lock(&self.changed).get(&at).or_else(|| self.read.states.get(at)).cloned()
    }
}

/// Recipients from which on a message is worth remembering: below, decoding it again costs less.
const HEAD_RECIPIENTS_MIN: usize = 16;
/// Messages remembered: enough for those that are being delivered to many at one time.
const HEADS_MAX: usize = 64;

/// Messages with many recipients, decoded, as long as the index says the same of them.
#[derive(Default)]
pub(crate) struct Heads {
    known: HashMap<MessageId, (Entry, SharedMessage)>,
    order: VecDeque<MessageId>,
}

impl Heads {
    pub(crate) fn get(&self, id: MessageId, entry: Entry) -> Option<SharedMessage> {
        let (known, message) = self.known.get(&id)?;
        (*known == entry).then(|| message.clone())
    }

    pub(crate) fn add(&mut self, id: MessageId, entry: Entry, message: &SharedMessage) {
        if message.read.states.len() < HEAD_RECIPIENTS_MIN {
            return;
        }
        if self.known.insert(id, (entry, message.clone())).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > HEADS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// A change that is durable, and what the index will say after it. One of states alone changes what is remembered; after any
    /// other the index says something else, and the message is read again.
    pub(crate) fn changed(&mut self, id: MessageId, entry: Option<Entry>, update: &[u8]) {
        let (Some((known, message)), Some(entry)) = (self.known.get_mut(&id), entry) else { return };
        let Ok(Update { recipients: None, states, crashes: None, role: None, unknown }) = Update::from_bytes(update)
        else {
            return;
        };
        if unknown.is_empty() {
            lock(&message.changed).extend(states);
            *known = entry;
        }
    }
}

/// Runs a read where it may block.
pub(crate) async fn blocking_read<T: Send + 'static>(
    id: MessageId,
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    spawn_blocking(read).await.unwrap_or_else(|error| Err(ReadError::Io { id, error: io::Error::other(error) }))
}
