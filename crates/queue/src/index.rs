//! The index in memory: where each stored message is, and how much of each segment is still needed.
//!
//! About 60 bytes a message (times the slack of a hash table); nothing of the envelope or content. It changes only after
//! the records that say so are durable, and only the writer changes it.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;

use envelope::MessageId;

use crate::record::{Place, RECORD_HEADER, Segment};

/// A note of the services: key and value.
pub(crate) type KeyAndValue = (Box<[u8]>, Box<[u8]>);

/// How many removed messages are remembered, so that a peer that repeats a message whose acknowledgement was lost makes
/// no duplicate. At 1,000 messages/s this is more than a minute; 16 + 8 octets each, twice.
const REMEMBERED_MAX: usize = 65_536;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its `Store` operation.
    pub place: Place,
    /// Its last `Update`, or nowhere.
    pub update: Place,
    /// Octets that it takes in its segment.
    pub footprint: u32,
    /// Its file in `large/`, or 0.
    pub large: u32,
    /// Its position in the order of acceptance.
    pub sequence: u64,
    /// How many updates there are, the last included.
    pub updates: u16,
    /// Nothing is left of it but that it was there.
    pub lost: bool,
}

impl Entry {
    /// A message that was there and cannot be read any more.
    pub(crate) fn lost(place: Place, sequence: u64, large: u32) -> Self {
        Self { place, update: Place::default(), footprint: LOST_FOOTPRINT, large, sequence, updates: 0, lost: true }
    }
}

/// Octets that a lost message takes in its segment.
const LOST_FOOTPRINT: u32 = RECORD_HEADER + 33;

/// A value kept beside the messages.
struct Note {
    value: Box<[u8]>,
    /// Segment of its record.
    segment: u32,
}

/// A segment and what it still holds.
pub(crate) struct SegmentState {
    pub segment: Segment,
    /// End of its records.
    pub end: u32,
    /// Octets reserved on disk.
    pub allocated: u32,
    /// Messages whose `Store` is here, and notes.
    pub live: u32,
    /// Octets that these take.
    pub live_octets: u64,
    /// Parts of it could not be read: it is set aside, not deleted.
    pub unreadable: bool,
}

impl SegmentState {
    pub(crate) fn new(segment: Segment, end: u32, allocated: u32) -> Self {
        Self { segment, end, allocated, live: 0, live_octets: 0, unreadable: false }
    }
}

/// All messages and segments.
#[derive(Default)]
pub(crate) struct Index {
    messages: HashMap<MessageId, Entry>,
    /// In order of number; numbers may be missing after damage. The last is the one written to.
    segments: VecDeque<SegmentState>,
    notes: BTreeMap<Box<[u8]>, Note>,
    lost: usize,
    live_octets: u64,
    log_octets: u64,
}

impl Index {
    pub(crate) fn get(&self, id: MessageId) -> Option<Entry> {
        self.messages.get(&id).copied()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = (&MessageId, &Entry)> {
        self.messages.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Octets of live messages in the log, and of the log.
    pub(crate) fn octets(&self) -> (u64, u64) {
        (self.live_octets, self.log_octets)
    }

    /// Sets or takes away a message.
    pub(crate) fn set(&mut self, id: MessageId, entry: Option<Entry>) {
        let old = match (self.messages.entry(id), entry) {
            (MapEntry::Occupied(mut slot), Some(entry)) => Some(slot.insert(entry)),
            (MapEntry::Occupied(slot), None) => Some(slot.remove()),
            (MapEntry::Vacant(slot), Some(entry)) => {
                slot.insert(entry);
                None
            }
            (MapEntry::Vacant(_), None) => None,
        };
        if let Some(old) = old {
            self.lost -= usize::from(old.lost);
            self.release(old.place.segment, u64::from(old.footprint));
        }
        if let Some(new) = entry {
            self.lost += usize::from(new.lost);
            self.occupy(new.place.segment, u64::from(new.footprint));
        }
    }

    fn occupy(&mut self, segment: u32, octets: u64) {
        self.live_octets += octets;
        if let Some(segment) = self.segment_mut(segment) {
            segment.live += 1;
            segment.live_octets += octets;
        }
    }

    fn release(&mut self, segment: u32, octets: u64) {
        self.live_octets -= octets;
        if let Some(segment) = self.segment_mut(segment) {
            segment.live -= 1;
            segment.live_octets -= octets;
        }
    }

    /// Messages of which nothing is left.
    pub(crate) fn lost(&self) -> usize {
        self.lost
    }

    /// Sets a note, or takes it away when its value is empty.
    pub(crate) fn set_note(&mut self, key: &[u8], value: &[u8], segment: u32) {
        if let Some(old) = self.notes.remove(key) {
            self.release(old.segment, (key.len() + old.value.len()) as u64);
        }
        if !value.is_empty() {
            self.occupy(segment, (key.len() + value.len()) as u64);
            self.notes.insert(key.into(), Note { value: value.into(), segment });
        }
    }

    /// The notes whose keys begin so, in order.
    pub(crate) fn notes<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let from = self.notes.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(key, _)| key.starts_with(prefix)).map(|(key, note)| (&**key, &*note.value))
    }

    pub(crate) fn note_count(&self) -> usize {
        self.notes.len()
    }

    /// The notes that stand in a segment.
    pub(crate) fn notes_in(&self, segment: u32) -> Vec<KeyAndValue> {
        let there = self.notes.iter().filter(|(_, note)| note.segment == segment);
        there.map(|(key, note)| (key.clone(), note.value.clone())).collect()
    }

    pub(crate) fn segment(&self, number: u32) -> Option<&SegmentState> {
        let position = self.segments.binary_search_by_key(&number, |state| state.segment.number).ok()?;
        self.segments.get(position)
    }

    pub(crate) fn segment_mut(&mut self, number: u32) -> Option<&mut SegmentState> {
        let position = self.segments.binary_search_by_key(&number, |state| state.segment.number).ok()?;
        self.segments.get_mut(position)
    }

    pub(crate) fn oldest(&self) -> Option<&SegmentState> {
        self.segments.front()
    }

    pub(crate) fn newest(&self) -> Option<&SegmentState> {
        self.segments.back()
    }

    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The oldest segments that hold nothing, the one written to excepted; not those of which parts could not be read, if they
    /// are `held`.
    pub(crate) fn dead(&self, held: bool) -> usize {
        let sealed = self.segments.len().saturating_sub(1);
        let is_dead = |state: &&SegmentState| state.live == 0 && !(held && state.unreadable);
        self.segments.iter().take(sealed).take_while(is_dead).count()
    }

    /// Segments of which parts could not be read.
    pub(crate) fn unreadable(&self) -> usize {
        self.segments.iter().filter(|state| state.unreadable).count()
    }

    /// Number of the segment that is the oldest once `count` are dropped.
    pub(crate) fn after(&self, count: usize) -> u32 {
        self.segments.get(count).map_or(1, |state| state.segment.number)
    }

    pub(crate) fn push_segment(&mut self, state: SegmentState) {
        self.log_octets += u64::from(state.allocated);
        self.segments.push_back(state);
    }

    pub(crate) fn pop_segment(&mut self) -> Option<SegmentState> {
        let state = self.segments.pop_front()?;
        self.log_octets -= u64::from(state.allocated);
        Some(state)
    }

    /// Notes how far the newest segment is written.
    pub(crate) fn set_end(&mut self, end: u32) {
        if let Some(state) = self.segments.back_mut() {
            state.end = end;
        }
    }
}

/// Ids of messages removed not long ago.
#[derive(Default)]
pub(crate) struct Remembered {
    ids: HashSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl Remembered {
    pub(crate) fn add(&mut self, id: MessageId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
            if self.order.len() > REMEMBERED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.ids.contains(&id)
    }
}
