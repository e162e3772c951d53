//! The end of the log, made durable at a start before anything is built on it.
//!
//! A process that died between a write and its sync leaves a batch that can be read, from the kernel's memory, and is on no
//! disk. The same after a sync that failed: the kernel counts the pages as written and no later sync writes them. To believe
//! such a batch (answer a repeated message with a receipt, drop the segment that a record was copied from, remove a large
//! file) would lose mail at the next power loss. So the last batch, and the header before it, are written once more, at the
//! same place, and synced. Everything before the last batch is durable, since a batch is written only when the one before is.
//!
//! The octets are the same as before, so a power loss in the middle of it tears nothing, and no space is needed for it.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::record::{RECORDS_START, SegmentHeader};
use crate::shared::Paths;

use super::Loaded;

/// Octets written at once.
const COPY_OCTETS: usize = 1024 * 1024;

/// The last batch of the last segment.
pub(super) struct Tail {
    file: Arc<dyn DiskFile>,
    header: SegmentHeader,
    /// Octets of the file.
    length: u32,
    from: u32,
    to: u32,
}

impl Tail {
    /// The octets `from` to `to` of a segment: its last batch, or nothing.
    pub(super) fn of(loaded: &Loaded, from: u32, to: u32) -> Self {
        Self { file: Arc::clone(&loaded.file), header: loaded.header, length: loaded.length, from, to }
    }

    /// Writes it again and syncs it, and the name of the segment.
    pub(super) fn make_durable(&self, disk: &dyn Disk, paths: &Paths) -> io::Result<()> {
        let mut header = self.header.to_block();
        // A segment of which the beginning only is there holds no records.
        header.truncate(self.length.min(RECORDS_START) as usize);
        self.file.write_at(&header, 0)?;
        let mut octets = vec![0; COPY_OCTETS.min((self.to - self.from) as usize)];
        let mut position = self.from;
        while position < self.to {
            let wanted = octets.len().min((self.to - position) as usize);
            let count = self.file.read_at(&mut octets[..wanted], u64::from(position))?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.file.write_at(&octets[..count], u64::from(position))?;
            position += u32::try_from(count).expect("at most what was wanted");
        }
        self.file.sync_data()?;
        disk.sync_dir(&paths.segments)
    }
}
