//! Giving space back: dropping the oldest segments when nothing in them is needed, and copying what is left in them to
//! the end of the log when they hold mostly nothing.
//!
//! Segments are dropped only from the front. So a removal or a change, which always comes after the message that it is
//! about, never goes before it, and the log at any time tells the whole truth without a checkpoint. Before segments are
//! dropped a `First` note says so, durably: if a removed file comes back after a crash, it is ignored, and a file that is
//! missing without a note is noticed.
//!
//! What the disk would not read while a segment is emptied may come back: it is tried again for an hour. After that, what still
//! cannot be read is *lost*, and noted as such in the log, durably: the message stays known until somebody has told of its end,
//! and the segment is set aside.
//!
//! The price is that a segment full of waiting mail is copied when it stands in the way of much that is dead: at most one
//! octet for each octet given back.

use std::sync::atomic::Ordering;
use std::time::Instant;

use envelope::MessageId;

use crate::codec::Stored;
use crate::error::{CommitError, ReadError};
use crate::index::{Entry, SegmentState};
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

/// What a step of emptying a segment came to.
enum Step {
    /// There is more from this offset on.
    Next(u32),
    Done,
    /// The disk would not read something.
    Unreadable,
}

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
        if self.dead() > 0 {
            return self.drop_dead();
        }
        let Some(number) = self.worth_moving() else {
            self.moving_ended();
            return false;
        };
        let offset = match &self.moving {
            Some(moving) if moving.number == number => moving.offset,
            _ => RECORDS_START,
        };
        if self.moving_paused.is_some_and(|(until, _)| Instant::now() < until) {
            return false;
        }
        match self.move_step(number, offset) {
            Ok(Step::Next(offset)) => {
                self.moving = Some(Move { number, offset });
                true
            }
            Ok(Step::Done) => {
                self.moving_ended();
                true
            }
            Ok(Step::Unreadable) => {
                self.pause_moving(number);
                false
            }
            Err(_) => false,
        }
    }

    /// Nothing is moved any more, and nothing waits to be.
    fn moving_ended(&mut self) {
        (self.moving, self.moving_paused) = (None, None);
        self.shared.unreadable_segments.store(0, Ordering::Relaxed);
    }

    /// The disk would not read something: later it may. The segment is walked through from its beginning then.
    fn pause_moving(&mut self, number: u32) {
        let tried = self.moving_paused.map_or(0, |(_, tried)| tried) + 1;
        let pause = self.shared.unreadable.pause;
        tracing::error!(
            segment = number,
            tried,
            ?pause,
            "the disk does not read a segment of the queue: tried again later"
        );
        self.moving = None;
        self.moving_paused = Some((Instant::now() + pause, tried));
        self.shared.unreadable_segments.store(1, Ordering::Relaxed);
    }

    /// Whether the disk has had its time to come to its senses.
    fn gives_up(&self) -> bool {
        self.moving_paused.is_some_and(|(_, tried)| tried >= self.shared.unreadable.attempts)
    }

    /// Segments that may be dropped. What the start could not read may be readable at the next, and is kept for that as long as
    /// a disk is given.
    fn dead(&self) -> usize {
        let policy = self.shared.unreadable;
        let held = self.started.elapsed() < policy.pause.saturating_mul(policy.attempts);
        self.shared.index().dead(held)
    }

    /// Drops the oldest segments that hold nothing. Whether that was possible.
    fn drop_dead(&mut self) -> bool {
        let (count, first) = {
            let count = self.dead();
            (count, self.shared.index().after(count))
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
        // One that holds nothing is dropped, or kept for the next start.
        if oldest.live == 0 || newest.segment.number - oldest.segment.number < YOUNG_SEGMENTS {
            return None;
        }
        let size = self.shared.segment_octets;
        let (live, log) = index.octets();
        let mostly_dead = oldest.live_octets * MOSTLY_DEAD < u64::from(oldest.allocated);
        let blocking = log > 2 * live + DEAD_SEGMENTS_MAX * u64::from(size);
        let affordable = !self.shared.is_full() || oldest.live_octets < u64::from(settling_octets(size) / 2);
        ((mostly_dead || blocking) && affordable).then_some(oldest.segment.number)
    }

    /// Copies some messages of a segment to the end of the log.
    fn move_step(&mut self, number: u32, offset: u32) -> Result<Step, CommitError> {
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
                    if self.collect(&segment, &record, &mut moved).is_err() {
                        return Ok(Step::Unreadable);
                    }
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
        if scanner.unreadable && !self.gives_up() {
            return Ok(Step::Unreadable);
        }
        self.write_moved(&moved, octets)?;
        match next {
            Some(offset) => Ok(Step::Next(offset)),
            None => self.settle_rest(number).map(|()| Step::Done),
        }
    }

    /// The messages of a record that are still stored there.
    ///
    /// # Errors
    /// When one of them cannot be read now and perhaps can be later.
    fn collect(&self, segment: &Segment, record: &Record, moved: &mut Vec<Moved>) -> Result<(), ReadError> {
        for operation in record.operations().unwrap_or_default() {
            let Operation::Store { id, .. } = operation else { continue };
            let entry = self.shared.index().get(id);
            let here = |place: crate::record::Place| place.segment == segment.number && place.offset == record.offset;
            let Some(entry) = entry.filter(|entry| here(entry.place)) else { continue };
            match self.read_whole(id, entry, segment) {
                Ok(message) => moved.push(message),
                // Only a newer version may touch it; the segment stays until that is started again.
                Err(error @ ReadError::Newer(_)) => return Err(error),
                Err(error) if error.is_transient() && !self.gives_up() => return Err(error),
                // What is damaged stays damaged: it is told of at the end of the segment.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// A message as it is to be copied.
    fn read_whole(&self, id: MessageId, entry: Entry, segment: &Segment) -> Result<Moved, ReadError> {
        let mut found = reading::find(id, entry, segment.clone())?;
        reading::apply_updates(&self.shared, id, &mut found)?;
        let (content, body) = match copy_content(id, &found) {
            Err(error) if !self.gives_up() => return Err(error),
            Err(_) => (Content::Lost { length: found.content.length() }, None),
            Ok(copied) => copied,
        };
        Ok(Moved { id, entry, crc: found.crc, content, body, meta: found.meta.to_bytes() })
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

    /// After a segment was walked through: its notes are copied, and what is still said to be in it cannot be read. Of such a
    /// message it is noted that it was there, and the segment is set aside, so that a disk that comes to its senses gives it
    /// back to somebody who looks.
    fn settle_rest(&mut self, number: u32) -> Result<(), CommitError> {
        let (notes, left) = {
            let index = self.shared.index();
            let there = index.messages().filter(|(_, entry)| entry.place.segment == number);
            let left: Vec<(MessageId, Entry)> = there.map(|(id, entry)| (*id, *entry)).collect();
            (index.notes_in(number), left)
        };
        let note_octets: usize = notes.iter().map(|(key, value)| key.len() + value.len()).sum();
        let octets = u64::from(RECORD_HEADER + OPERATION_OVERHEAD + 8) * (left.len() + notes.len()) as u64;
        if octets > 0 {
            let room = if self.shared.is_full() { Room::Settling } else { Room::Acceptance };
            self.ensure_room(octets + note_octets as u64, room).inspect_err(|_| self.shared.set_full(true))?;
            let mut batch = self.new_batch();
            notes.iter().for_each(|(key, value)| batch.add_note(key, value));
            for (id, entry) in &left {
                if !entry.lost {
                    tracing::error!(message = %id, segment = number, "a message can no longer be read: its segment is set aside");
                }
                batch.add_lost(*id, *entry);
            }
            self.write(&batch)?;
            batch.apply(self, Vec::new());
        }
        if left.iter().any(|(_, entry)| !entry.lost)
            && let Some(state) = self.shared.index().segment_mut(number)
        {
            state.unreadable = true;
        }
        Ok(())
    }
}

impl Moved {
    fn octets(&self) -> u64 {
        let body = self.body.as_ref().map_or(0, bytes::Bytes::len);
        u64::from(RECORD_HEADER + OPERATION_OVERHEAD + 8) + (body + self.meta.len()) as u64
    }
}

/// Content as it is to be copied: unchecked, since its checksum goes along.
fn copy_content(id: MessageId, found: &reading::Found) -> Result<(Content, Option<bytes::Bytes>), ReadError> {
    let Content::Inline { offset, length } = found.content else { return Ok((found.content, None)) };
    match reading::raw_inline(found, offset, length) {
        Ok(Some(body)) => Ok((found.content, Some(body))),
        Ok(None) => {
            tracing::error!(message = %id, "the content of a message can no longer be read");
            Ok((Content::Lost { length: u64::from(length) }, None))
        }
        Err(error) => Err(ReadError::Io { id, error }),
    }
}
