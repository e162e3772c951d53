//! Building the index from the records of the log.

use envelope::MessageId;

use crate::disk::Disk;
use crate::error::OpenError;
use crate::index::{Entry, Index, Remembered, SegmentState};
use crate::record::{Content, Operation, Place, RECORDS_START, Record, Segment};
use crate::scan::{Damage, Found, Scanner};
use crate::shared::Paths;

use super::tail::Tail;
use super::{Loaded, RecoveryReport, io_error};

/// Octets copied at once into quarantine.
const COPY_OCTETS: usize = 1024 * 1024;

/// The state of the spool as far as the log was read.
#[derive(Default)]
pub(super) struct Replay {
    pub index: Index,
    pub remembered: Remembered,
    pub report: RecoveryReport,
    /// Highest position in the order of acceptance.
    pub sequence: u64,
    /// Lowest segment that is still needed.
    first: u32,
    pub last_number: u32,
    /// End of the valid records of the last segment.
    pub last_end: u32,
    /// What was read and is perhaps not durable.
    tail: Option<Tail>,
}

impl Replay {
    /// Reads all segments.
    pub(super) fn run(&mut self, disk: &dyn Disk, paths: &Paths, segments: Vec<Loaded>) -> Result<(), OpenError> {
        self.last_end = RECORDS_START;
        let numbers: Vec<u32> = segments.iter().map(|loaded| loaded.header.number).collect();
        let ends: Vec<Option<u32>> = (0..segments.len())
            .map(|position| {
                let next = segments.get(position + 1)?;
                (next.header.number == numbers[position] + 1).then_some(next.header.previous_end)
            })
            .collect();
        let count = segments.len();
        for (position, (loaded, end)) in segments.into_iter().zip(ends).enumerate() {
            self.first = self.first.max(loaded.header.first);
            self.segment(disk, paths, &loaded, end, position + 1 == count);
        }
        if let Some(tail) = &self.tail {
            tail.make_durable(disk, paths).map_err(io_error("make the end of the log durable"))?;
        }
        self.count_missing(&numbers);
        self.drop_settled(disk, paths)
    }

    /// Reads one segment.
    fn segment(&mut self, disk: &dyn Disk, paths: &Paths, loaded: &Loaded, sealed: Option<u32>, last: bool) {
        let number = loaded.header.number;
        let segment = Segment { number, salt: loaded.header.salt, file: loaded.file.clone() };
        let limit = sealed.unwrap_or(loaded.length).min(loaded.length);
        self.index.push_segment(SegmentState::new(segment.clone(), limit, loaded.length));
        // A segment whose beginning was torn is shorter than its header, and nothing is missing from it.
        let there = loaded.length.max(RECORDS_START);
        if let Some(end) = sealed.filter(|end| *end > there) {
            self.damaged(disk, paths, &segment, Damage { from: there, to: end });
        }
        let mut scanner = Scanner::new(&segment, limit, sealed.is_some());
        // The records of one batch: those of the last are looked at again.
        let mut batch: Vec<Record> = Vec::new();
        let mut end = loop {
            match scanner.next() {
                Found::Record(record) => {
                    if batch.last().is_some_and(|before| before.batch != record.batch) {
                        self.apply_all(disk, paths, &segment, &batch);
                        batch.clear();
                    }
                    batch.push(record);
                }
                Found::Damage(damage) => self.damaged(disk, paths, &segment, damage),
                Found::End(end) => break end,
            }
        };
        if last {
            let torn = batch.iter().position(|record| !contents_are_whole(&segment, record));
            if let Some(position) = torn {
                end = batch[position].offset;
                batch.truncate(position);
            }
            let from = batch.first().map_or(end, |record| record.offset);
            self.tail = Some(Tail::of(loaded, from, end));
        }
        self.apply_all(disk, paths, &segment, &batch);
        let unreadable = scanner.unreadable;
        if unreadable && sealed.is_none() {
            // Whatever is behind may be read at the next start: it is not cut off, though what was never written counts as
            // damage then.
            end = limit;
        }
        if let Some(state) = self.index.segment_mut(number) {
            state.end = end;
            state.unreadable = unreadable;
        }
        (self.last_number, self.last_end) = (number, end);
    }

    fn apply_all(&mut self, disk: &dyn Disk, paths: &Paths, segment: &Segment, records: &[Record]) {
        for record in records {
            match record.operations() {
                Ok(operations) => {
                    for (position, operation) in (0..).zip(operations) {
                        let place = Place { segment: segment.number, offset: record.offset, operation: position };
                        self.apply(place, &operation);
                    }
                }
                // The checksum is right and the meaning is not: as good as damaged.
                Err(_) => self.damaged(disk, paths, segment, Damage { from: record.offset, to: record.end }),
            }
        }
    }

    fn apply(&mut self, place: Place, operation: &Operation<'_>) {
        match *operation {
            Operation::Store { id, sequence, content, meta, .. } => {
                let entry = Entry {
                    place,
                    update: Place::default(),
                    footprint: content.footprint(meta),
                    large: if let Content::Large { file, .. } = content { file } else { 0 },
                    sequence,
                    updates: 0,
                    lost: false,
                };
                self.sequence = self.sequence.max(sequence);
                self.index.set(id, Some(entry));
            }
            Operation::Update { id, before, .. } => {
                if let Some(entry) = self.index.get(id) {
                    // One without another before it stands for all that were.
                    let updates = if before == Place::default() { 1 } else { entry.updates.saturating_add(1) };
                    self.index.set(id, Some(Entry { update: place, updates, ..entry }));
                }
            }
            Operation::Remove { id } => {
                self.index.set(id, None);
                self.remembered.add(id);
            }
            Operation::First { segment } => self.first = self.first.max(segment),
            Operation::Note { key, value } => self.index.set_note(key, value, place.segment),
            Operation::Lost { id, sequence, large } => {
                self.sequence = self.sequence.max(sequence);
                self.index.set(id, Some(Entry::lost(place, sequence, large)));
            }
        }
    }

    /// Segments from the first that is needed to the last must all be there.
    fn count_missing(&mut self, numbers: &[u32]) {
        let Some(last) = numbers.last() else { return };
        for number in self.first.max(1)..*last {
            if numbers.binary_search(&number).is_err() {
                tracing::error!(number, "a segment of the spool is missing: messages in it are lost");
                self.report.missing_segments += 1;
            }
        }
    }

    /// Drops segments that were settled before the crash and whose removal was not durable.
    fn drop_settled(&mut self, disk: &dyn Disk, paths: &Paths) -> Result<(), OpenError> {
        let settled = |place: Place, first: u32| place.segment < first;
        while self.index.oldest().is_some_and(|oldest| oldest.segment.number < self.first) {
            let first = self.first;
            let messages = self.index.messages().filter(|(_, entry)| settled(entry.place, first));
            let gone: Vec<MessageId> = messages.map(|(id, _)| *id).collect();
            gone.into_iter().for_each(|id| self.index.set(id, None));
            if let Some(state) = self.index.pop_segment() {
                let path = paths.segment(state.segment.number);
                disk.remove(&path).map_err(io_error("remove a settled segment"))?;
            }
        }
        Ok(())
    }

    /// Tells about damage and keeps a copy of it.
    fn damaged(&mut self, disk: &dyn Disk, paths: &Paths, segment: &Segment, damage: Damage) {
        let Damage { from, to } = damage;
        tracing::error!(segment = segment.number, from, to, "records of the spool are damaged: they are set aside");
        self.report.damaged += 1;
        let name = format!("{:010}-{from:010}.damaged", segment.number);
        if let Err(error) = copy(disk, segment, damage, &paths.quarantine, &name) {
            tracing::error!(segment = segment.number, from, %error, "they cannot be set aside");
        }
    }
}

fn copy(
    disk: &dyn Disk,
    segment: &Segment,
    damage: Damage,
    quarantine: &std::path::Path,
    name: &str,
) -> std::io::Result<()> {
    let file = match disk.create(&quarantine.join(name)) {
        // The same damage was found at an earlier start.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    };
    let mut octets = vec![0; COPY_OCTETS.min((damage.to - damage.from) as usize)];
    let mut position = damage.from;
    while position < damage.to {
        let wanted = octets.len().min((damage.to - position) as usize);
        let count = segment.file.read_at(&mut octets[..wanted], u64::from(position))?;
        if count == 0 {
            break;
        }
        file.write_at(&octets[..count], u64::from(position - damage.from))?;
        position += u32::try_from(count).expect("at most what was wanted");
    }
    file.sync_data()?;
    disk.sync_dir(quarantine)
}

/// Whether the inline contents of a record match their checksums. What cannot be read now is not known to be torn: the end of the
/// log is read once more, to be made durable, and a disk that still does not read ends the start.
fn contents_are_whole(segment: &Segment, record: &Record) -> bool {
    let Ok(operations) = record.operations() else { return true };
    operations.iter().all(|operation| match *operation {
        Operation::Store { content: Content::Inline { offset, length }, crc, .. } => {
            let start = u64::from(record.body) + u64::from(offset);
            let content = segment.read(start, length as usize);
            content.is_err() || matches!(content, Ok(Some(content)) if crc32c::crc32c(&content) == crc)
        }
        _ => true,
    })
}
