//! Walking through the records of a segment, past damage.
//!
//! An invalid record is one of two things. Below a place that is known to have been durable it is *damage*: the walk goes
//! on at the next valid record. Otherwise it is the *torn tail* of a batch that was never acknowledged: the segment ends
//! there. What is known to have been durable: everything below the previous-end that the next segment's header gives (a
//! *sealed* segment), and everything before the beginning of any batch that is there, since a batch is written only when
//! the one before is durable.

use std::io;

use crate::record::{RECORDS_START, Record, Segment};

/// Octets read at once when looking for the next valid record.
const WINDOW: usize = 64 * 1024;
/// Octets given up when they cannot be read: a sector of present disks.
const SECTOR: usize = 4096;

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Found {
    Record(Record),
    Damage(Damage),
    /// Nothing valid from this offset on.
    End(u32),
}

/// Octets in which there were records, now invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub from: u32,
    pub to: u32,
}

/// A walk through a segment.
pub(crate) struct Scanner<'a> {
    segment: &'a Segment,
    offset: u32,
    limit: u32,
    sealed: bool,
    batch: u32,
    /// The disk would not read some octets; they may come back.
    pub unreadable: bool,
}

impl<'a> Scanner<'a> {
    /// Walks from the first record. `limit` is where the valid records end (`sealed`) or where the file does.
    pub(crate) fn new(segment: &'a Segment, limit: u32, sealed: bool) -> Self {
        Self::resume(segment, RECORDS_START, limit, sealed)
    }

    /// Walks on from the beginning of a record.
    pub(crate) fn resume(segment: &'a Segment, offset: u32, limit: u32, sealed: bool) -> Self {
        Self { segment, offset, limit, sealed, batch: 0, unreadable: false }
    }

    pub(crate) fn next(&mut self) -> Found {
        if self.offset >= self.limit {
            return Found::End(self.offset);
        }
        match self.record(self.offset) {
            Ok(Some(record)) => {
                self.offset = record.end;
                self.batch = record.batch;
                return Found::Record(record);
            }
            Ok(None) => {}
            Err(_) => self.unreadable = true,
        }
        self.next_valid()
    }

    /// A valid record that is not left over from a failed batch (those have lower numbers).
    fn record(&self, offset: u32) -> io::Result<Option<Record>> {
        Ok(self.segment.record(offset, self.limit)?.filter(|record| record.batch >= self.batch))
    }

    fn next_valid(&mut self) -> Found {
        let from = self.offset;
        let mut first = None;
        let mut position = from + 8;
        while let Some(record) = self.search(position) {
            position = record.end.max(position + 8);
            let durable = self.sealed || record.batch_start > from;
            first.get_or_insert(record.offset);
            if durable {
                self.offset = first.expect("set above");
                return Found::Damage(Damage { from, to: self.offset });
            }
        }
        if self.sealed {
            self.offset = self.limit;
            return Found::Damage(Damage { from, to: self.limit });
        }
        Found::End(from)
    }

    /// The first valid record at or after `position`.
    fn search(&mut self, mut position: u32) -> Option<Record> {
        let salt = self.segment.salt.to_le_bytes();
        while position < self.limit {
            let window = self.window(position);
            for (step, octets) in window.chunks_exact(8).enumerate() {
                let offset = position + u32::try_from(step * 8).expect("a window is small");
                if octets == salt
                    && let Ok(Some(record)) = self.record(offset)
                {
                    return Some(record);
                }
            }
            position = position.saturating_add(u32::try_from(WINDOW).expect("a window is small"));
        }
        None
    }

    /// A window of the segment; sectors that cannot be read are zero.
    fn window(&mut self, position: u32) -> Vec<u8> {
        let length = WINDOW.min((self.limit - position) as usize);
        let mut bytes = vec![0; length];
        if self.segment.file.read_at(&mut bytes, u64::from(position)).is_ok() {
            return bytes;
        }
        bytes.fill(0);
        for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            if self.segment.file.read_at(sector, u64::from(position) + (index * SECTOR) as u64).is_err() {
                sector.fill(0);
            }
        }
        self.unreadable = true;
        bytes
    }
}
