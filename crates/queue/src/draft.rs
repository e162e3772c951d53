//! [`Draft`]: content on its way in. Small content waits in memory and goes into the log; larger content is streamed into
//! a file of its own, which is durable before the log says that it exists. Dropping a draft removes everything.

use std::sync::Arc;

use bytes::Bytes;
use envelope::{ByteSize, MessageHead};
use tokio::task::spawn_blocking;

use crate::disk::DiskFile;
use crate::error::CommitError;
use crate::spool::{Shared, Spool};
use crate::transaction::{Committed, Transaction};

/// Most octets of content that go into the log; more becomes a file. Twice what the median mail with an inline picture
/// takes; 1,000 drafts hold at most 256 MiB.
pub const INLINE_OCTETS_MAX: usize = 256 * 1024;

/// Octets handed to the disk at once when content is streamed to a file.
const CHUNK_OCTETS: usize = 1024 * 1024;

/// Content being received.
#[must_use = "a draft that is dropped is forgotten"]
pub struct Draft {
    spool: Spool,
    buffer: Vec<u8>,
    large: Option<LargeFile>,
    size: u64,
    crc: u32,
}

/// A file in `large/` that is discarded unless a commit takes it over.
pub(crate) struct LargeFile {
    shared: Arc<Shared>,
    pub number: u32,
    pub length: u64,
    file: Arc<dyn DiskFile>,
    taken: bool,
}

/// Content ready to be committed.
pub(crate) struct Finished {
    pub inline: Bytes,
    pub large: Option<LargeFile>,
    pub crc: u32,
}

impl Draft {
    pub(crate) fn new(spool: Spool) -> Self {
        Self { spool, buffer: Vec::new(), large: None, size: 0, crc: 0 }
    }

    /// Octets received so far.
    #[must_use]
    pub fn size(&self) -> ByteSize {
        ByteSize::bytes(self.size)
    }

    /// Adds octets to the content.
    ///
    /// # Errors
    /// When a large message meets a full or failed disk. The draft is then good for nothing but being dropped.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), CommitError> {
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(&bytes);
        if self.large.is_none() && self.buffer.len() > INLINE_OCTETS_MAX {
            let shared = Arc::clone(&self.spool.shared);
            self.large = Some(blocking(&self.spool, move || LargeFile::create(shared)).await?);
        }
        if self.large.is_some() && self.buffer.len() >= CHUNK_OCTETS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Stores the message, as [`Transaction::store`] does; `size` of the head is not looked at. When this returns, the
    /// message survives power loss.
    ///
    /// # Errors
    /// [`CommitError`]: nothing is stored.
    pub async fn commit(self, head: MessageHead) -> Result<Committed, CommitError> {
        let spool = self.spool.clone();
        let mut committed = Transaction::new().store(self, head).commit(&spool).await?;
        Ok(committed.pop().expect("one for each message to be stored"))
    }

    /// Makes large content durable.
    pub(crate) async fn finish(mut self) -> Result<Finished, CommitError> {
        if self.large.is_some() {
            self.flush().await?;
            let file = self.large.as_ref().map(|large| Arc::clone(&large.file)).expect("checked above");
            let shared = Arc::clone(&self.spool.shared);
            blocking(&self.spool, move || {
                file.sync_data()?;
                shared.disk.sync_dir(&shared.paths.large)
            })
            .await?;
        }
        Ok(Finished { inline: self.buffer.into(), large: self.large, crc: self.crc })
    }

    async fn flush(&mut self) -> Result<(), CommitError> {
        let Some(large) = &mut self.large else { return Ok(()) };
        let (file, offset) = (Arc::clone(&large.file), large.length);
        let chunk = std::mem::take(&mut self.buffer);
        large.length += chunk.len() as u64;
        blocking(&self.spool, move || file.write_at(&chunk, offset)).await
    }
}

impl LargeFile {
    fn create(shared: Arc<Shared>) -> std::io::Result<Self> {
        let number = shared.next_large();
        let file = shared.disk.create(&shared.paths.large_file(number))?;
        Ok(Self { shared, number, length: 0, file, taken: false })
    }

    /// The log says now that the file exists: it stays.
    pub fn keep(mut self) {
        self.taken = true;
    }
}

impl Drop for LargeFile {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.discard_large(self.number);
        }
    }
}

/// Runs a file operation where it may block.
async fn blocking<T: Send + 'static>(
    spool: &Spool,
    operation: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, CommitError> {
    let result = spawn_blocking(operation).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    result.map_err(|error| spool.shared.failed("write a large message", &error))
}
