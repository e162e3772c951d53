//! Segments on disk: making room, and keeping some back for the time when there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::disk::{self, DiskFile};
use crate::error::CommitError;
use crate::index::SegmentState;
use crate::record::{RECORDS_START, Segment, SegmentHeader};
use crate::shared::Shared;

use super::Writer;

/// Octets at the end of each segment that new mail may not use, an eighth of a small one: enough for 10,000 removals.
const SETTLING_OCTETS: u32 = 1024 * 1024;
/// Octets at the end of each segment that only housekeeping may use, so that space can always be given back.
const HOUSEKEEPING_OCTETS: u32 = 4096;

/// What room is wanted for. Each may use more of a segment than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Acceptance,
    Settling,
    Housekeeping,
}

impl Room {
    /// Octets at the end of a segment that must stay free.
    fn kept(self, segment_octets: u32) -> u32 {
        match self {
            Self::Acceptance => settling_octets(segment_octets),
            Self::Settling => HOUSEKEEPING_OCTETS,
            Self::Housekeeping => 0,
        }
    }
}

/// Octets kept for settling in a segment of this size.
pub(super) fn settling_octets(segment_octets: u32) -> u32 {
    SETTLING_OCTETS.min(segment_octets / 8).max(HOUSEKEEPING_OCTETS)
}

impl Writer {
    /// Makes sure that the newest segment has room for a batch, beginning another one if needed.
    pub(super) fn ensure_room(&mut self, octets: u64, room: Room) -> Result<(), CommitError> {
        let size = self.shared.segment_octets;
        let (end, allocated) = {
            let index = self.shared.index();
            let newest = index.newest().expect("an open spool has a segment to write to");
            (newest.end, newest.allocated)
        };
        if u64::from(end) + octets + u64::from(room.kept(size)) <= u64::from(allocated) {
            return Ok(());
        }
        let wanted = u64::from(RECORDS_START) + octets + u64::from(settling_octets(size));
        let wanted = u32::try_from(wanted).expect("a batch is far below 4 GiB").max(size);
        match self.begin_segment(wanted, end) {
            Err(CommitError::Full) if room != Room::Acceptance => {
                self.shared.release_reserve();
                let small = RECORDS_START + settling_octets(size);
                let fits = octets + u64::from(HOUSEKEEPING_OCTETS) <= u64::from(settling_octets(size));
                if fits { self.begin_segment(small, end) } else { Err(CommitError::Full) }
            }
            other => other,
        }
    }

    /// Looks whether there is space for mail again, by beginning a segment of full size.
    pub(super) fn probe_space(&mut self) {
        let size = self.shared.segment_octets;
        let end = self.shared.index().newest().map_or(RECORDS_START, |newest| newest.end);
        if self.begin_segment(size, end).is_ok() {
            self.shared.set_full(false);
        }
    }

    fn begin_segment(&mut self, octets: u32, previous_end: u32) -> Result<(), CommitError> {
        let (number, first) = {
            let index = self.shared.index();
            let newest = index.newest().expect("an open spool has a segment to write to").segment.number;
            (newest + 1, index.oldest().map_or(newest + 1, |oldest| oldest.segment.number))
        };
        let spare = if octets == self.shared.segment_octets { self.spares.pop() } else { None };
        let state = match spare {
            Some(spare) => self.shared.reuse_segment(spare, number, first, previous_end)?,
            None => self.shared.create_segment(number, first, octets, previous_end)?,
        };
        self.shared.index().push_segment(state);
        self.batch = 0;
        if octets >= self.shared.segment_octets {
            self.shared.fill_reserve();
        }
        Ok(())
    }
}

impl Writer {
    /// Keeps the file of a dropped segment for a later one, unless somebody still reads from it. Writing over blocks that
    /// were written before makes syncs cheaper by a third than writing to fresh ones (ext4: no extent changes).
    pub(super) fn keep_spare(&mut self, state: &SegmentState) -> bool {
        let file = &state.segment.file;
        let alone = Arc::strong_count(file) == 1;
        if !alone
            || state.unreadable
            || state.allocated != self.shared.segment_octets
            || self.spares.len() >= SPARES_MAX
        {
            return false;
        }
        let number = state.segment.number;
        let path = self.shared.paths.segments.join(format!("{number:010}{SPARE_ENDING}"));
        let kept = self.shared.disk.rename(&self.shared.paths.segment(number), &path).is_ok();
        if kept {
            self.spares.push(Spare { path, file: Arc::clone(file) });
        }
        kept
    }
}

impl Shared {
    /// Makes a spare file a segment, durably. The old name must be gone for good before the new header is written.
    fn reuse_segment(
        &self,
        spare: Spare,
        number: u32,
        first: u32,
        previous_end: u32,
    ) -> Result<SegmentState, CommitError> {
        let Spare { path, file } = spare;
        let header = SegmentHeader::new(number, new_salt(), previous_end, first);
        let done = self
            .disk
            .sync_dir(&self.paths.segments)
            .and_then(|()| file.write_at(&header.to_block(), 0))
            .and_then(|()| file.sync_data())
            .and_then(|()| self.disk.rename(&path, &self.paths.segment(number)))
            .and_then(|()| self.disk.sync_dir(&self.paths.segments));
        if let Err(error) = done {
            self.withdraw(&[&path, &self.paths.segment(number)]);
            return Err(self.failed("reuse a segment", &error));
        }
        let segment = Segment { number, salt: header.salt, file };
        Ok(SegmentState::new(segment, RECORDS_START, self.segment_octets))
    }

    /// Removes the spare files of an earlier run.
    pub(crate) fn remove_spares(&self) {
        let names = self.disk.list(&self.paths.segments).unwrap_or_default();
        for name in names.iter().filter(|name| name.ends_with(SPARE_ENDING)) {
            if let Err(error) = self.disk.remove(&self.paths.segments.join(name)) {
                tracing::warn!(name, %error, "cannot remove a spare segment");
            }
        }
    }

    /// Creates a segment, durably. One that cannot be is removed again.
    pub(crate) fn create_segment(
        &self,
        number: u32,
        first: u32,
        octets: u32,
        previous_end: u32,
    ) -> Result<SegmentState, CommitError> {
        let path = self.paths.segment(number);
        let salt = new_salt();
        let header = SegmentHeader::new(number, salt, previous_end, first);
        let write = |file: Arc<dyn DiskFile>| {
            file.allocate(u64::from(octets))?;
            file.write_at(&header.to_block(), 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.paths.segments)?;
            Ok(file)
        };
        // What is there under a number not given out yet is left from an attempt that failed.
        let created = match self.disk.create(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.disk.remove(&path).and_then(|()| self.disk.create(&path))
            }
            other => other,
        };
        match created.and_then(write) {
            Ok(file) => Ok(SegmentState::new(Segment { number, salt, file }, RECORDS_START, octets)),
            Err(error) => {
                self.withdraw(&[&path]);
                Err(self.failed("create a segment", &error))
            }
        }
    }

    /// Takes the files of a segment away that could not be begun, durably. Its header says where the segment before ends,
    /// and that one is written on: if the header came back after a crash, it would cut off what was acknowledged since. So
    /// without a durable removal nothing may be written any more.
    fn withdraw(&self, paths: &[&Path]) {
        let removed = paths.iter().try_for_each(|path| match self.disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        if let Err(error) = removed.and_then(|()| self.disk.sync_dir(&self.paths.segments)) {
            // Whatever the reason, "no space" included: what is on the disk is not known.
            let error = std::io::Error::other(error.to_string());
            self.failed("remove a segment that was not finished", &error);
        }
    }

    /// Reserves space for settling when the disk is full. Without it the ends of segments must do.
    pub(crate) fn fill_reserve(&self) {
        let path = self.paths.root.join(RESERVE);
        let octets = u64::from(2 * (RECORDS_START + settling_octets(self.segment_octets)));
        let filled = self.disk.create(&path).and_then(|file| file.allocate(octets));
        if let Err(error) = filled
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            tracing::warn!(%error, "cannot reserve space");
            if disk::is_full(&error) {
                self.release_reserve();
            }
        }
    }

    /// Gives the reserve back to the file system, for a small segment.
    pub(crate) fn release_reserve(&self) {
        if let Err(error) = self.disk.remove(&self.paths.root.join(RESERVE))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot release the reserved space");
        }
    }
}

/// A file of full size that belonged to a segment and holds nothing that is needed.
pub(super) struct Spare {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

/// Spare files kept: one is enough for a steady flow, the other for the bursts in which segments are dropped.
const SPARES_MAX: usize = 2;
/// Ending of their names.
const SPARE_ENDING: &str = ".spare";

/// Something that no sender can guess.
fn new_salt() -> u64 {
    Uuid::new_v4().as_u64_pair().1 ^ Uuid::new_v4().as_u64_pair().0
}

/// File that keeps space for settling.
const RESERVE: &str = "reserve";
