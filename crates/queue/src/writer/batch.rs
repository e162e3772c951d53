//! [`Batch`]: records put together in one buffer, and the changes of the index that wait for its sync.

use std::collections::HashMap;

use bytes::Bytes;
use envelope::MessageId;

use crate::codec::Stored as _;
use crate::error::CommitError;
use crate::index::Entry;
use crate::jobs::{Job, Step, lock};
use crate::message::Update;
use crate::reading;
use crate::record::{Content, Operation, Place, RecordBuilder, Segment};

use super::Writer;
use super::segments::settling_octets;

/// Updates of one message that may stand one after the other before the next takes all of them along.
const UPDATES_MIN: u16 = 16;

/// Records on their way to the disk.
pub(super) struct Batch {
    pub segment: Segment,
    /// Where it goes in the segment.
    pub start: u32,
    number: u32,
    pub bytes: Vec<u8>,
    /// How many are in it.
    pub records: u32,
    /// What the index will say.
    staged: HashMap<MessageId, Option<Entry>>,
    /// The notes that it will have, in order; an empty value takes one away.
    notes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Messages to be kept in memory, with their content.
    recent: Vec<(MessageId, Bytes)>,
    /// Large files that the log names from now on.
    taken: Vec<u32>,
}

/// A message to be copied to the end of the log.
pub(super) struct Moved {
    pub id: MessageId,
    pub entry: Entry,
    pub crc: u32,
    pub content: Content,
    /// Inline content.
    pub body: Option<Bytes>,
    /// With all updates applied.
    pub meta: Vec<u8>,
}

impl Writer {
    /// A batch for the end of the newest segment, for which room was ensured before.
    pub(super) fn new_batch(&mut self) -> Batch {
        self.batch += 1;
        let index = self.shared.index();
        let newest = index.newest().expect("an open spool has a segment to write to");
        Batch {
            segment: newest.segment.clone(),
            start: newest.end,
            number: self.batch,
            bytes: Vec::new(),
            records: 0,
            staged: HashMap::new(),
            notes: Vec::new(),
            recent: Vec::new(),
            taken: Vec::new(),
        }
    }
}

impl Batch {
    /// Adds transactions; those that cannot be done are answered here, the others given back.
    pub(super) fn add_jobs(&mut self, writer: &mut Writer, jobs: Vec<Job>) -> Vec<Job> {
        let mut kept = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            match self.unknown(writer, &job) {
                Some(id) => job.answer(Err(CommitError::Unknown(id))),
                None => {
                    job.repeated = self.add_job(writer, &job);
                    kept.push(job);
                }
            }
        }
        kept
    }

    /// A message that the transaction changes but nobody stores.
    fn unknown(&self, writer: &Writer, job: &Job) -> Option<MessageId> {
        job.steps.iter().enumerate().find_map(|(position, step)| {
            let Step::Update { id, .. } = step else { return None };
            let stored_before = |step: &Step| matches!(step, Step::Store { id: stored, .. } if stored == id);
            let known = self.entry(writer, *id).is_some() || job.steps[..position].iter().any(stored_before);
            (!known).then_some(*id)
        })
    }

    /// What the index says, or will say.
    fn entry(&self, writer: &Writer, id: MessageId) -> Option<Entry> {
        self.staged.get(&id).copied().unwrap_or_else(|| writer.shared.index().get(id))
    }

    /// Whether a message is here, or was not long ago: until a moment ago, if it is removed by this batch.
    fn has_been_here(&self, writer: &Writer, id: MessageId) -> bool {
        self.staged.contains_key(&id) || self.entry(writer, id).is_some() || writer.remembered.contains(id)
    }

    fn offset(&self) -> u32 {
        self.start + u32::try_from(self.bytes.len()).expect("a batch is far below 4 GiB")
    }

    fn place(&self, operation: u16) -> Place {
        Place { segment: self.segment.number, offset: self.offset(), operation }
    }

    /// Adds one transaction as one record. Gives the messages that are stored already.
    fn add_job(&mut self, writer: &mut Writer, job: &Job) -> Vec<MessageId> {
        let (mut record, mut repeated) = (RecordBuilder::default(), Vec::new());
        for step in &job.steps {
            match step {
                Step::Store { id, content, meta } => {
                    if self.has_been_here(writer, *id) {
                        repeated.push(*id);
                        continue;
                    }
                    writer.sequence += 1;
                    let large = content.large.as_ref().map_or(0, |large| large.number);
                    let place = match &content.large {
                        Some(large) => Content::Large { file: large.number, length: large.length },
                        None => record.add_body(content.inline.clone()),
                    };
                    let message = Stored { id: *id, sequence: writer.sequence, crc: content.crc, place, meta, large };
                    self.store(&mut record, &message);
                    if large == 0 {
                        self.recent.push((*id, content.inline.clone()));
                    } else {
                        self.taken.push(large);
                    }
                }
                Step::Update { id, update } => self.update(writer, &mut record, *id, update),
                Step::Remove { id } => {
                    if self.entry(writer, *id).is_some() {
                        record.add(&Operation::Remove { id: *id });
                        self.staged.insert(*id, None);
                    }
                }
                Step::Note { key, value } => self.note(&mut record, key.clone(), value.clone()),
            }
        }
        self.finish(record);
        repeated
    }

    fn store(&mut self, record: &mut RecordBuilder, message: &Stored<'_>) {
        let Stored { id, sequence, crc, place: content, meta, large } = *message;
        let operation = record.add(&Operation::Store { id, sequence, crc, content, meta });
        let footprint = content.footprint(meta);
        let place = self.place(operation);
        let entry = Entry { place, update: Place::default(), footprint, large, sequence, updates: 0, lost: false };
        self.staged.insert(id, Some(entry));
    }

    fn update(&mut self, writer: &Writer, record: &mut RecordBuilder, id: MessageId, update: &[u8]) {
        // A message removed earlier in this transaction needs no change.
        let Some(entry) = self.entry(writer, id) else { return };
        let together = self.with_those_before(writer, id, entry, update);
        let (before, updates, update) = match &together {
            Some((together, updates)) => (Place::default(), *updates, &**together),
            None => (entry.update, entry.updates.saturating_add(1), update),
        };
        let operation = record.add(&Operation::Update { id, before, update });
        self.staged.insert(id, Some(Entry { update: self.place(operation), updates, ..entry }));
    }

    /// The update and all before it as one, when they have become many: who reads a message reads all of them, and one that is
    /// tried again for days has an update for each attempt. With how many updates it counts as.
    ///
    /// It holds a state for each recipient that was ever changed. So that each of a thousand recipients costs no thousand states,
    /// it counts as so many updates, and the next is made when there are twice as many.
    fn with_those_before(&self, writer: &Writer, id: MessageId, entry: Entry, update: &[u8]) -> Option<(Vec<u8>, u16)> {
        let is_in_this_batch = entry.update.segment == self.segment.number && entry.update.offset >= self.start;
        if entry.updates < UPDATES_MIN || !entry.updates.is_power_of_two() || is_in_this_batch {
            return None;
        }
        // One that cannot be read now may be read later, by whoever wants to know: the chain goes on.
        let before = reading::chain(&writer.shared, id, entry.update).ok()?;
        let update = Update::from_bytes(update).ok()?;
        let together = Update::all_as_one(before.into_iter().rev().chain([update]));
        let states = u16::try_from(together.states.len()).unwrap_or(u16::MAX);
        let updates = states.checked_next_power_of_two().unwrap_or(u16::MAX - 1) + 1;
        let together = together.to_bytes();
        // Room was made for the last alone; the end of a segment has as much to spare.
        (together.len() < settling_octets(writer.shared.segment_octets) as usize / 4).then_some((together, updates))
    }

    fn note(&mut self, record: &mut RecordBuilder, key: Vec<u8>, value: Vec<u8>) {
        record.add(&Operation::Note { key: &key, value: &value });
        self.notes.push((key, value));
    }

    /// Adds a note that is copied from an old segment.
    pub(super) fn add_note(&mut self, key: &[u8], value: &[u8]) {
        let mut record = RecordBuilder::default();
        self.note(&mut record, key.to_vec(), value.to_vec());
        self.finish(record);
    }

    /// Adds that a message cannot be read any more.
    pub(super) fn add_lost(&mut self, id: MessageId, entry: Entry) {
        let mut record = RecordBuilder::default();
        let Entry { sequence, large, .. } = entry;
        let operation = record.add(&Operation::Lost { id, sequence, large });
        self.staged.insert(id, Some(Entry::lost(self.place(operation), sequence, large)));
        self.finish(record);
    }

    /// Adds a message that is copied from an old segment.
    pub(super) fn add_moved(&mut self, moved: &Moved) {
        let mut record = RecordBuilder::default();
        let place = moved.body.clone().map_or(moved.content, |body| record.add_body(body));
        let Moved { id, crc, meta, entry, .. } = moved;
        let (sequence, large) = (entry.sequence, entry.large);
        self.store(&mut record, &Stored { id: *id, sequence, crc: *crc, place, meta, large });
        self.finish(record);
    }

    /// Adds the note that everything before a segment is settled.
    pub(super) fn add_first(&mut self, segment: u32) {
        let mut record = RecordBuilder::default();
        record.add(&Operation::First { segment });
        self.finish(record);
    }

    fn finish(&mut self, record: RecordBuilder) {
        if !record.is_empty() {
            record.finish(self.segment.salt, self.number, &mut self.bytes);
            self.records += 1;
        }
    }

    /// After the sync: changes the index, answers whoever waits, lets go of what is not needed.
    pub(super) fn apply(self, writer: &mut Writer, mut jobs: Vec<Job>) {
        let end = self.offset();
        let mut removed = Vec::new();
        {
            // Before the index: whoever finds a change there must not find here what was before it.
            let mut recent = lock(&writer.shared.recent);
            let mut stored: HashMap<MessageId, Bytes> = self.recent.into_iter().collect();
            for step in jobs.iter_mut().flat_map(|job| &mut job.steps) {
                match step {
                    Step::Store { id, meta, .. } => {
                        if let Some(content) = stored.remove(id) {
                            recent.add(*id, content, std::mem::take(meta));
                        }
                    }
                    Step::Update { id, .. } => recent.changed(*id),
                    Step::Remove { .. } | Step::Note { .. } => {}
                }
            }
            let mut heads = lock(&writer.shared.heads);
            for step in jobs.iter().flat_map(|job| &job.steps) {
                if let Step::Update { id, update } = step {
                    heads.changed(*id, self.staged.get(id).copied().flatten(), update);
                }
            }
        }
        {
            let mut index = writer.shared.index();
            index.set_end(end);
            for (id, entry) in self.staged {
                if entry.is_none() {
                    removed.push((id, index.get(id).map_or(0, |old| old.large)));
                }
                index.set(id, entry);
            }
            for (key, value) in &self.notes {
                index.set_note(key, value, self.segment.number);
            }
        }
        for (id, large) in removed {
            writer.forget(id, large);
        }
        for mut job in jobs {
            for step in std::mem::take(&mut job.steps) {
                if let Step::Store { content, .. } = step
                    && let Some(large) = content.large
                    && self.taken.contains(&large.number)
                {
                    large.keep();
                }
            }
            let repeated = std::mem::take(&mut job.repeated);
            job.answer(Ok(repeated));
        }
    }
}

/// The parts of a `Store` operation.
struct Stored<'a> {
    id: MessageId,
    sequence: u64,
    crc: u32,
    place: Content,
    meta: &'a [u8],
    large: u32,
}
