//! [`Draft`]: content on its way in. Small content waits in memory and goes into the log; larger content is streamed into
//! a file of its own, which is durable before the log says that it exists. Dropping a draft removes everything.

use std::sync::Arc;

use bytes::Bytes;
use envelope::ByteSize;
use tokio::task::spawn_blocking;

use crate::error::CommitError;
use crate::jobs::{Finished, LargeFile};
use crate::shared::{Alive, Shared};

/// Most octets of content that go into the log; more becomes a file. Twice what the median mail with an inline picture
/// takes; 1,000 drafts hold at most 256 MiB.
pub const INLINE_OCTETS_MAX: usize = 256 * 1024;

/// Octets handed to the disk at once when content is streamed to a file.
const CHUNK_OCTETS: usize = 1024 * 1024;

/// Content being received. While there is one, the spool stays open.
#[must_use = "a draft that is dropped is forgotten"]
pub struct Draft {
    pub(crate) shared: Arc<Shared>,
    pub(crate) alive: Arc<Alive>,
    buffer: Vec<u8>,
    large: Option<LargeFile>,
    size: u64,
    crc: u32,
}

impl Draft {
    pub(crate) fn new(alive: Arc<Alive>) -> Self {
        Self { shared: Arc::clone(&alive.0), alive, buffer: Vec::new(), large: None, size: 0, crc: 0 }
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
            let shared = Arc::clone(&self.shared);
            self.large = Some(blocking(&self.shared, move || create(&shared)).await?);
        }
        if self.large.is_some() && self.buffer.len() >= CHUNK_OCTETS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Makes large content durable.
    pub(crate) async fn finish(mut self) -> Result<Finished, CommitError> {
        if self.large.is_some() {
            self.flush().await?;
            let file = self.large.as_ref().map(|large| Arc::clone(&large.file)).expect("checked above");
            let shared = Arc::clone(&self.shared);
            blocking(&self.shared, move || {
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
        blocking(&self.shared, move || file.write_at(&chunk, offset)).await
    }
}

fn create(shared: &Shared) -> std::io::Result<LargeFile> {
    let number = shared.next_large();
    let file = shared.disk.create(&shared.paths.large_file(number))?;
    Ok(LargeFile::new(number, file, Arc::clone(&shared.jobs)))
}

/// Runs a file operation where it may block.
async fn blocking<T: Send + 'static>(
    shared: &Shared,
    operation: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, CommitError> {
    let result = spawn_blocking(operation).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    result.map_err(|error| shared.failed("write a large message", &error))
}
