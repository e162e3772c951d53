//! Segments and records: where octets lie in the log, and how they prove that they are what was written. `docs/queue.md` has
//! every octet.
//!
//! ```text
//! segment   header (64 B) at 0, copy at 4096, records from 8192, each at a multiple of 8
//!
//! header    0 "PRSPOOL\0" | 8 version u8, readable by u8, 2 zero | 12 number u32 | 16 salt u64 | 24 previous end u32
//!           28 first u32 | 32 zero …  | 60 crc32c of 0..60
//! record    0 salt u64 | 8 crc32c of 12..32 and head | 12 head length u32 | 16 body length u32
//!           20 batch u32 | 24 distance from the batch's start u32 | 28 operations u16 | 30 zero u16 | 32 head … body …
//! head      { length u32, operation }*
//! operation Store  1 | id 16 | sequence u64 | crc32c of content u32 | content | meta …
//!           Update 2 | id 16 | place of the update before (segment u32, offset u32, operation u16; 0 = none) | update …
//!           Remove 3 | id 16
//!           First  4 | segment u32: everything before it is settled and may be gone
//!           Note   5 | key length u32, key | value …: the value of a key from now on; empty = none
//!           Lost   6 | id 16 | sequence u64 | large u32: what was stored of a message cannot be read any more
//! content   0 offset in body u32, length u32  |  1 file in large/ u32, length u64  |  2 length u64 (unreadable)
//! ```
//!
//! - One record is one transaction: its head is whole or void.
//! - The salt is random for each segment, so octets of a message that look like a record are never taken for one.
//! - *Previous end* tells how far the segment before is valid: what is invalid below it is damage, above it a torn tail.
//!   In the last segment the batch tells: a batch is written only when the one before is durable.
//! - *Readable by* is the lowest version that may read the segment: a later version that only adds what may be passed over
//!   says so there.
//! - Integers are little-endian. All stored numbers are checked before use.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use envelope::MessageId;

use crate::codec::{Input, LoadError, Malformed, Stored, store_blob};
use crate::disk::DiskFile;

/// Format version in the segment header. 1 had no notes, no lost messages, and updates without tags; there was no 2.
pub(crate) const VERSION: u8 = 3;
/// Offset of the first record.
pub(crate) const RECORDS_START: u32 = 8192;
/// Octets of a record before its head.
pub(crate) const RECORD_HEADER: u32 = 32;
/// Most octets of head and body of one record (and so of one transaction's inline contents).
pub const TRANSACTION_OCTETS_MAX: u32 = 64 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"PRSPOOL\0";
const HEADER_COPY: u64 = 4096;
const SEGMENT_HEADER: usize = 64;
/// Octets read at once when a record is looked at: most heads fit, few body octets come along.
const HEAD_READ: usize = 384;

/// Where an operation stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Number of the segment, from 1; 0 for "nowhere".
    pub segment: u32,
    /// Offset of the record.
    pub offset: u32,
    /// Position of the operation in the record.
    pub operation: u16,
}

/// Where the content of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Inline { offset: u32, length: u32 },
    Large { file: u32, length: u64 },
    Lost { length: u64 },
}

impl Content {
    pub(crate) fn length(self) -> u64 {
        match self {
            Self::Inline { length, .. } => u64::from(length),
            Self::Large { length, .. } | Self::Lost { length } => length,
        }
    }

    /// Octets that a message with this content takes in its segment.
    pub(crate) fn footprint(self, meta: &[u8]) -> u32 {
        let inline = if let Self::Inline { length, .. } = self { length } else { 0 };
        let meta = u32::try_from(meta.len()).expect("a record is far below 4 GiB");
        RECORD_HEADER.saturating_add(inline).saturating_add(meta)
    }
}

/// One operation as it stands in a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Store { id: MessageId, sequence: u64, crc: u32, content: Content, meta: &'a [u8] },
    Update { id: MessageId, before: Place, update: &'a [u8] },
    Remove { id: MessageId },
    First { segment: u32 },
    Note { key: &'a [u8], value: &'a [u8] },
    Lost { id: MessageId, sequence: u64, large: u32 },
}

impl Stored for MessageId {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(Self::from_bytes(input.array()?))
    }
}

impl Stored for Place {
    fn store(&self, out: &mut Vec<u8>) {
        self.segment.store(out);
        self.offset.store(out);
        self.operation.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(Self { segment: Stored::load(input)?, offset: Stored::load(input)?, operation: Stored::load(input)? })
    }
}

impl Stored for Content {
    fn store(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Inline { offset, length } => {
                out.push(0);
                offset.store(out);
                length.store(out);
            }
            Self::Large { file, length } => {
                out.push(1);
                file.store(out);
                length.store(out);
            }
            Self::Lost { length } => {
                out.push(2);
                length.store(out);
            }
        }
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(match u8::load(input)? {
            0 => Self::Inline { offset: Stored::load(input)?, length: Stored::load(input)? },
            1 => Self::Large { file: Stored::load(input)?, length: Stored::load(input)? },
            2 => Self::Lost { length: Stored::load(input)? },
            _ => return Err(Malformed),
        })
    }
}

impl<'a> Operation<'a> {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Store { id, sequence, crc, content, meta } => {
                out.push(1);
                id.store(out);
                sequence.store(out);
                crc.store(out);
                content.store(out);
                out.extend_from_slice(meta);
            }
            Self::Update { id, before, update } => {
                out.push(2);
                id.store(out);
                before.store(out);
                out.extend_from_slice(update);
            }
            Self::Remove { id } => {
                out.push(3);
                id.store(out);
            }
            Self::First { segment } => {
                out.push(4);
                segment.store(out);
            }
            Self::Note { key, value } => {
                out.push(5);
                store_blob(key, out);
                out.extend_from_slice(value);
            }
            Self::Lost { id, sequence, large } => {
                out.push(6);
                id.store(out);
                sequence.store(out);
                large.store(out);
            }
        }
    }

    fn load(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let mut input = Input(bytes);
        let operation = match u8::load(&mut input)? {
            1 => Self::Store {
                id: Stored::load(&mut input)?,
                sequence: Stored::load(&mut input)?,
                crc: Stored::load(&mut input)?,
                content: Stored::load(&mut input)?,
                meta: std::mem::take(&mut input.0),
            },
            2 => Self::Update {
                id: Stored::load(&mut input)?,
                before: Stored::load(&mut input)?,
                update: std::mem::take(&mut input.0),
            },
            3 => Self::Remove { id: Stored::load(&mut input)? },
            4 => Self::First { segment: Stored::load(&mut input)? },
            5 => Self::Note { key: input.blob()?, value: std::mem::take(&mut input.0) },
            6 => Self::Lost {
                id: Stored::load(&mut input)?,
                sequence: Stored::load(&mut input)?,
                large: Stored::load(&mut input)?,
            },
            _ => return Err(Malformed),
        };
        if input.0.is_empty() { Ok(operation) } else { Err(Malformed) }
    }
}

/// A record being put together.
#[derive(Default)]
pub(crate) struct RecordBuilder {
    head: Vec<u8>,
    operations: u16,
    bodies: Vec<Bytes>,
    body_length: u32,
}

impl RecordBuilder {
    /// Adds content to the body and says where it will be.
    pub(crate) fn add_body(&mut self, content: Bytes) -> Content {
        let length = u32::try_from(content.len()).expect("inline content is small");
        let place = Content::Inline { offset: self.body_length, length };
        self.body_length += length;
        self.bodies.push(content);
        place
    }

    /// Adds an operation and gives its position.
    pub(crate) fn add(&mut self, operation: &Operation<'_>) -> u16 {
        let start = self.head.len();
        0u32.store(&mut self.head);
        operation.store(&mut self.head);
        let length = u32::try_from(self.head.len() - start - 4).expect("a head is below TRANSACTION_OCTETS_MAX");
        self.head[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.operations += 1;
        self.operations - 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.operations == 0
    }

    /// Appends the record to `batch`, which starts with the batch's first record.
    pub(crate) fn finish(self, salt: u64, batch_number: u32, batch: &mut Vec<u8>) {
        let start = batch.len();
        let length = |count: usize| u32::try_from(count).expect("a batch is far below 4 GiB");
        salt.store(batch);
        0u32.store(batch);
        length(self.head.len()).store(batch);
        self.body_length.store(batch);
        batch_number.store(batch);
        length(start).store(batch);
        self.operations.store(batch);
        0u16.store(batch);
        batch.extend_from_slice(&self.head);
        let crc = crc32c::crc32c(&batch[start + 12..]);
        batch[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
        self.bodies.iter().for_each(|body| batch.extend_from_slice(body));
        batch.resize(batch.len().next_multiple_of(8), 0);
    }
}

/// A record read back: its header and head have matched their checksum.
#[derive(Debug)]
pub(crate) struct Record {
    pub offset: u32,
    pub batch: u32,
    /// Where its batch began.
    pub batch_start: u32,
    /// Where its body begins.
    pub body: u32,
    /// Where the next record begins.
    pub end: u32,
    head: Vec<u8>,
}

impl Record {
    /// The operations, in order.
    pub(crate) fn operations(&self) -> Result<Vec<Operation<'_>>, LoadError> {
        let mut input = Input(&self.head);
        let mut operations = Vec::new();
        while !input.0.is_empty() {
            operations.push(Operation::load(input.blob()?)?);
        }
        Ok(operations)
    }

    /// The operation at a position.
    pub(crate) fn operation(&self, position: u16) -> Result<Operation<'_>, LoadError> {
        let mut input = Input(&self.head);
        for _ in 0..position {
            input.blob()?;
        }
        Operation::load(input.blob()?)
    }
}

/// An open segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub number: u32,
    pub salt: u64,
    pub file: Arc<dyn DiskFile>,
}

impl Segment {
    /// Reads the record at `offset`; `None` when there is no valid one below `limit`.
    pub(crate) fn record(&self, offset: u32, limit: u32) -> io::Result<Option<Record>> {
        let mut bytes = vec![0; HEAD_READ.min(limit.saturating_sub(offset) as usize)];
        let count = self.file.read_at(&mut bytes, u64::from(offset))?;
        bytes.truncate(count);
        let Some(lengths) = RecordLengths::parse(&bytes, self.salt) else { return Ok(None) };
        let Some((body, end)) = lengths.ends(offset).filter(|(_, end)| *end <= limit) else { return Ok(None) };
        let whole = (body - offset) as usize;
        if bytes.len() < whole {
            bytes.resize(whole, 0);
            let missing = self.file.read_at(&mut bytes[count..], u64::from(offset) + count as u64)?;
            if count + missing < whole {
                return Ok(None);
            }
        }
        bytes.truncate(whole);
        if crc32c::crc32c(&bytes[12..]) != lengths.crc || lengths.back > offset {
            return Ok(None);
        }
        let head = bytes.split_off(RECORD_HEADER as usize);
        Ok(Some(Record { offset, batch: lengths.batch, batch_start: offset - lengths.back, body, end, head }))
    }

    /// Reads part of a record's body (`None` when the file ends before).
    pub(crate) fn read(&self, offset: u64, length: usize) -> io::Result<Option<Bytes>> {
        let mut bytes = vec![0; length];
        let count = self.file.read_at(&mut bytes, offset)?;
        Ok((count == length).then(|| bytes.into()))
    }
}

struct RecordLengths {
    crc: u32,
    head: u32,
    body: u32,
    batch: u32,
    back: u32,
}

impl RecordLengths {
    fn parse(bytes: &[u8], salt: u64) -> Option<Self> {
        let mut input = Input(bytes);
        if u64::load(&mut input).ok()? != salt {
            return None;
        }
        let mut next = || u32::load(&mut input).ok();
        let lengths = Self { crc: next()?, head: next()?, body: next()?, batch: next()?, back: next()? };
        next()?;
        let total = lengths.head.checked_add(lengths.body)?;
        (total <= TRANSACTION_OCTETS_MAX).then_some(lengths)
    }

    /// Where the body and the next record begin, for a record at `offset`.
    fn ends(&self, offset: u32) -> Option<(u32, u32)> {
        let body = offset.checked_add(RECORD_HEADER)?.checked_add(self.head)?;
        Some((body, body.checked_add(self.body)?.checked_next_multiple_of(8)?))
    }
}

/// The facts in a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub version: u8,
    /// Lowest version that may read it; version 1 wrote 0 here.
    pub readable_by: u8,
    pub number: u32,
    pub salt: u64,
    /// End of the valid records of the segment before.
    pub previous_end: u32,
    /// Lowest segment that was still needed when this one began.
    pub first: u32,
}

impl SegmentHeader {
    /// The header of a new segment.
    pub(crate) fn new(number: u32, salt: u64, previous_end: u32, first: u32) -> Self {
        Self { version: VERSION, readable_by: VERSION, number, salt, previous_end, first }
    }

    /// Whether this version may read the segment.
    pub(crate) fn is_readable(&self) -> bool {
        self.version <= VERSION || (1..=VERSION).contains(&self.readable_by)
    }

    /// The octets before the first record.
    pub(crate) fn to_block(self) -> Vec<u8> {
        let mut header = Vec::with_capacity(RECORDS_START as usize);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&[self.version, self.readable_by, 0, 0]);
        self.number.store(&mut header);
        self.salt.store(&mut header);
        self.previous_end.store(&mut header);
        self.first.store(&mut header);
        header.resize(SEGMENT_HEADER - 4, 0);
        crc32c::crc32c(&header).store(&mut header);
        let copy = header.clone();
        header.resize(usize::try_from(HEADER_COPY).expect("4096"), 0);
        header.extend_from_slice(&copy);
        header.resize(RECORDS_START as usize, 0);
        header
    }

    /// Reads the header, or its copy; `None` when both are damaged.
    ///
    /// # Errors
    /// When there is none that is right, and the disk would not read one of them.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Option<Self>> {
        let mut failure = None;
        for offset in [0, HEADER_COPY] {
            let mut bytes = [0; SEGMENT_HEADER];
            match file.read_at(&mut bytes, offset) {
                Ok(SEGMENT_HEADER) => {
                    if let Ok(header) = Self::parse(&bytes) {
                        return Ok(Some(header));
                    }
                }
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    fn parse(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self, LoadError> {
        let (checked, crc) = bytes.split_at(SEGMENT_HEADER - 4);
        if crc32c::crc32c(checked) != u32::from_bytes(crc)? {
            return Err(Malformed);
        }
        let mut input = Input(checked);
        if input.take(8)? != MAGIC {
            return Err(Malformed);
        }
        let (version, readable_by) = (u8::load(&mut input)?, u8::load(&mut input)?);
        input.take(2)?;
        Ok(Self {
            version,
            readable_by,
            number: Stored::load(&mut input)?,
            salt: Stored::load(&mut input)?,
            previous_end: Stored::load(&mut input)?,
            first: Stored::load(&mut input)?,
        })
    }
}

/// Octets that an operation takes in a head besides its meta or update, at most.
pub(crate) const OPERATION_OVERHEAD: u32 = 4 + 1 + 16 + 8 + 4 + 13;
