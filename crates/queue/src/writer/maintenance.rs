//! Giving space back: dropping the oldest segments when nothing in them is needed, and copying what is left in them to
//! the end of the log when they hold mostly nothing.
//!
//! Segments are dropped only from the front. So a removal or a change, which always comes after the message that it is
//! about, never goes before it, and the log at any time tells the whole truth without a checkpoint. Before segments are
//! dropped a `First` note says so, durably: if a removed file comes back after a crash, it is ignored, and a file that is
//! missing without a note is noticed.
//!
//! The price is that a segment full of waiting mail is copied when it stands in the way of much that is dead: at most one
//! octet for each octet given back.

use envelope::MessageId;

use crate::codec::Stored;
use crate::error::CommitError;
use crate::index::SegmentState;
use crate::reading;
use crate::record::{Content, OPERATION_OVERHEAD, Operation, RECORD_HEADER, RECORDS_START, Record, Segment};
use crate::scan::{Found, Scanner};

use super::Writer;
use super::batch::Moved;
use super::segments::{Room, settling_octets};

/// Octets copied in one step, between two batches of commits.
const MOVE_OCTETS: u64 = 1024 * 1024;
/// A segment that holds less than one part in this many of live messages is emptied.
const MOSTLY_DEAD: u64 = 4;
/// Segments that may be dead before full ones are copied to get at them.
const DEAD_SEGMENTS_MAX: u64 = 4;
/// The newest segments are left alone: most of what is in them is settled soon.
const YOUNG_SEGMENTS: u32 = 2;

/// Emptying of a segment, under way.
pub(super) struct Move {
    number: u32,
    offset: u32,
}

impl Writer {
    /// One step of housekeeping. Whether there is more to do at once.
    pub(super) fn maintain(&mut self) -> bool {
        if self.shared.has_failed() {
            return false;
        }
        if self.shared.index().dead() > 0 {
            return self.drop_dead();
        }
        let Some(number) = self.worth_moving() else { return false };
        let offset = match &self.moving {
            Some(moving) if moving.number == number => moving.offset,
            _ => RECORDS_START,
        };
        match self.move_step(number, offset) {
            Ok(next) => {
                self.moving = next.map(|offset| Move { number, offset });
                true
            }
            Err(_) => false,
        }
    }

    /// Drops the oldest segments that hold nothing. Whether that was possible.
    fn drop_dead(&mut self) -> bool {
        let (count, first) = {
            let index = self.shared.index();
            let count = index.dead();
            (count, index.after(count))
        };
        if self.ensure_room(u64::from(RECORD_HEADER + OPERATION_OVERHEAD + 8), Room::Housekeeping).is_err() {
            return false;
        }
        let mut batch = self.new_batch();
        batch.add_first(first);
        if self.write(&batch).is_err() {
            return false;
        }
        batch.apply(self, Vec::new());
        for _ in 0..count {
            let dropped = self.shared.index().pop_segment();
            if let Some(state) = dropped
                && !self.keep_spare(&state)
            {
                self.remove_segment(&state);
            }
        }
        true
    }

    /// Removes a segment's file, or sets it aside if parts of it could not be read. If that fails, the next start does it.
    fn remove_segment(&self, state: &SegmentState) {
        let number = state.segment.number;
        let path = self.shared.paths.segment(number);
        let result = if state.unreadable {
            self.shared.disk.rename(&path, &self.shared.paths.quarantine.join(format!("{number:010}.log")))
        } else {
            self.shared.disk.remove(&path)
        };
        if let Err(error) = result {
            tracing::warn!(number, %error, "cannot remove a segment; the next start tries again");
        }
    }

    /// The oldest segment, if it should be emptied.
    fn worth_moving(&self) -> Option<u32> {
        let index = self.shared.index();
        let (oldest, newest) = (index.oldest()?, index.newest()?);
        if newest.segment.number - oldest.segment.number < YOUNG_SEGMENTS {
            return None;
        }
        let size = self.shared.segment_octets;
        let (live, log) = index.octets();
        let mostly_dead = oldest.live_octets * MOSTLY_DEAD < u64::from(oldest.allocated);
        let blocking = log > 2 * live + DEAD_SEGMENTS_MAX * u64::from(size);
        let affordable = !self.shared.is_full() || oldest.live_octets < u64::from(settling_octets(size) / 2);
        ((mostly_dead || blocking) && affordable).then_some(oldest.segment.number)
    }

    /// Copies some messages of a segment to the end of the log. Where to go on, or `None` at its end.
    fn move_step(&mut self, number: u32, offset: u32) -> Result<Option<u32>, CommitError> {
        let (segment, end) = {
            let index = self.shared.index();
            let state = index.segment(number).expect("only the writer drops segments");
            (state.segment.clone(), state.end)
        };
        let mut scanner = Scanner::resume(&segment, offset, end, true);
        let (mut moved, mut octets, mut next) = (Vec::new(), 0, Some(offset));
        while octets < MOVE_OCTETS {
            match scanner.next() {
                Found::Record(record) => {
                    self.collect(&segment, &record, &mut moved);
                    octets = moved.iter().map(Moved::octets).sum();
                    next = Some(record.end);
                }
                Found::Damage(damage) => next = Some(damage.to),
                Found::End(_) => {
                    next = None;
                    break;
                }
            }
        }
        self.write_moved(&moved, octets)?;
        if next.is_none() {
            self.give_up_unreadable(number);
        }
        Ok(next)
    }

    /// The messages of a record that are still stored there.
    fn collect(&self, segment: &Segment, record: &Record, moved: &mut Vec<Moved>) {
        for operation in record.operations().unwrap_or_default() {
            let Operation::Store { id, .. } = operation else { continue };
            let entry = self.shared.index().get(id);
            let here = |place: crate::record::Place| place.segment == segment.number && place.offset == record.offset;
            if let Some(entry) = entry.filter(|entry| here(entry.place))
                && let Ok(mut found) = reading::find(id, entry, segment.clone())
                && reading::apply_updates(&self.shared, id, &mut found).is_ok()
            {
                let (content, body) = copy_content(id, &found);
                moved.push(Moved { id, entry, crc: found.crc, content, body, meta: found.meta.to_bytes() });
            }
        }
    }

    fn write_moved(&mut self, moved: &[Moved], octets: u64) -> Result<(), CommitError> {
        if moved.is_empty() {
            return Ok(());
        }
        let room = if self.shared.is_full() { Room::Settling } else { Room::Acceptance };
        self.ensure_room(octets, room).inspect_err(|_| self.shared.set_full(true))?;
        let mut batch = self.new_batch();
        moved.iter().for_each(|message| batch.add_moved(message));
        self.write(&batch)?;
        batch.apply(self, Vec::new());
        Ok(())
    }

    /// After a segment was walked through, what is still said to be in it cannot be read: it is lost, and said to be. The
    /// segment is set aside, so that a disk that comes to its senses gives it back.
    fn give_up_unreadable(&mut self, number: u32) {
        let mut index = self.shared.index();
        if index.segment(number).is_none_or(|state| state.live == 0) {
            return;
        }
        let there = index.messages().filter(|(_, entry)| entry.place.segment == number);
        let lost: Vec<MessageId> = there.map(|(id, _)| *id).collect();
        for id in lost {
            tracing::error!(message = %id, segment = number, "a message can no longer be read: its segment is set aside");
            index.set(id, None);
        }
        if let Some(state) = index.segment_mut(number) {
            state.unreadable = true;
        }
    }
}

impl Moved {
    fn octets(&self) -> u64 {
        let body = self.body.as_ref().map_or(0, bytes::Bytes::len);
        u64::from(RECORD_HEADER + OPERATION_OVERHEAD + 8) + (body + self.meta.len()) as u64
    }
}

/// Content as it is to be copied: unchecked, since its checksum goes along.
fn copy_content(id: MessageId, found: &reading::Found) -> (Content, Option<bytes::Bytes>) {
    let Content::Inline { offset, length } = found.content else { return (found.content, None) };
    match reading::raw_inline(found, offset, length) {
        Ok(Some(body)) => (found.content, Some(body)),
        _ => {
            tracing::error!(message = %id, "the content of a message can no longer be read");
            (Content::Lost { length: u64::from(length) }, None)
        }
    }
}
