//! Reading stored messages: following the index into the log, checking what is found. Blocks.
//!
//! A message's head is its `Store` operation with all later `Update`s applied. The updates are a chain from the last to
//! the first; segments are only dropped from the front and a message's `Store` comes before its updates, so the chain
//! never leads out of the log. If a link is damaged, the updates are ignored as a whole: recipients may get the message
//! twice, but none is forgotten.

use bytes::Bytes;
use envelope::{ByteSize, MessageId, Timestamp};

use crate::codec::{LoadError, Meta, Stored};
use crate::content::ContentReader;
use crate::error::ReadError;
use crate::index::Entry;
use crate::message::{StoredMessage, Update};
use crate::record::{Content, Operation, Place, Record, Segment};
use crate::shared::Shared;

/// How often a read starts anew when the message is moved under it.
const TRIES_MAX: usize = 4;

/// A `Store` operation found in the log.
pub(crate) struct Found {
    pub entry: Entry,
    pub segment: Segment,
    /// Offset of the record's body.
    pub body: u32,
    pub crc: u32,
    pub content: Content,
    pub meta: Meta,
}

/// The head of a message.
pub(crate) fn head(shared: &Shared, id: MessageId) -> Result<StoredMessage, ReadError> {
    let found = with_retry(shared, id, |entry, segment| {
        let mut found = find(id, entry, segment)?;
        apply_updates(shared, id, &mut found)?;
        Ok(found)
    })?;
    let Meta(mut stored) = found.meta;
    stored.head.id = id;
    stored.head.size = ByteSize::bytes(found.content.length());
    stored.head.arrived = in_present_time(shared, found.entry.sequence, stored.head.arrived);
    Ok(stored)
}

/// A time that was noted before the clock jumped, by the clock as it is now: ages go on from where they were.
fn in_present_time(shared: &Shared, sequence: u64, at: Timestamp) -> Timestamp {
    let jumps = shared.jumps.iter().filter(|(last, _)| sequence <= *last);
    let millis = jumps.fold(at.as_millis(), |millis, (_, by)| millis.saturating_add_signed(*by));
    Timestamp::from_millis(millis)
}

/// A reader for the content of a message.
pub(crate) fn content(shared: &Shared, id: MessageId) -> Result<ContentReader, ReadError> {
    with_retry(shared, id, |entry, segment| {
        let found = find(id, entry, segment)?;
        match found.content {
            Content::Inline { offset, length } => {
                let start = u64::from(found.body) + u64::from(offset);
                Ok(ContentReader::file(id, found.segment.file, start, u64::from(length), found.crc))
            }
            Content::Large { file, length } => {
                let path = shared.paths.large_file(file);
                let file = shared.disk.open(&path).map_err(|error| ReadError::Io { id, error })?;
                Ok(ContentReader::file(id, file, 0, length, found.crc))
            }
            Content::Lost { .. } => Err(ReadError::Damaged(id)),
        }
    })
}

/// Reads inline content whole, unchecked: as it is to be copied.
pub(crate) fn raw_inline(found: &Found, offset: u32, length: u32) -> std::io::Result<Option<Bytes>> {
    found.segment.read(u64::from(found.body) + u64::from(offset), length as usize)
}

/// Looks a message up and reads; again if it has been moved or removed meanwhile.
fn with_retry<T>(
    shared: &Shared,
    id: MessageId,
    read: impl Fn(Entry, Segment) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let mut seen = None;
    for _ in 0..TRIES_MAX {
        let (entry, segment) = {
            let index = shared.index();
            let entry = index.get(id).ok_or(ReadError::Unknown(id))?;
            let segment = index.segment(entry.place.segment).ok_or(ReadError::Damaged(id))?;
            (entry, segment.segment.clone())
        };
        let result = read(entry, segment);
        if result.is_ok() || seen == Some(entry) {
            return result;
        }
        seen = Some(entry);
    }
    Err(ReadError::Damaged(id))
}

/// Reads the `Store` operation of a message.
pub(crate) fn find(id: MessageId, entry: Entry, segment: Segment) -> Result<Found, ReadError> {
    let record = record(id, &segment, entry.place)?;
    let operation = record.operation(entry.place.operation).map_err(|_| ReadError::Damaged(id))?;
    let Operation::Store { id: stored, crc, content, meta, .. } = operation else {
        let is_lost = matches!(operation, Operation::Lost { id: lost, .. } if lost == id);
        return Err(if is_lost { ReadError::Lost(id) } else { ReadError::Damaged(id) });
    };
    let meta = Meta::from_bytes(meta).map_err(|error| not_loaded(id, error))?;
    if stored != id {
        return Err(ReadError::Damaged(id));
    }
    Ok(Found { entry, body: record.body, crc, content, meta, segment })
}

/// Applies the updates of a message, oldest first.
pub(crate) fn apply_updates(shared: &Shared, id: MessageId, found: &mut Found) -> Result<(), ReadError> {
    let updates = match chain(shared, id, found.entry.update) {
        Ok(updates) => updates,
        Err(ReadError::Damaged(_)) if still_at(shared, id, found.entry) => {
            tracing::error!(message = %id, "updates of a message are damaged: delivery starts again from its envelope");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    updates.into_iter().rev().for_each(|update| update.apply_to(&mut found.meta.0));
    Ok(())
}

fn not_loaded(id: MessageId, error: LoadError) -> ReadError {
    match error {
        LoadError::Malformed => ReadError::Damaged(id),
        LoadError::Newer => ReadError::Newer(id),
    }
}

fn still_at(shared: &Shared, id: MessageId, entry: Entry) -> bool {
    shared.index().get(id) == Some(entry)
}

/// The updates of a message, last first.
pub(crate) fn chain(shared: &Shared, id: MessageId, mut place: Place) -> Result<Vec<Update>, ReadError> {
    let mut updates = Vec::new();
    while place.segment != 0 {
        let segment = shared.index().segment(place.segment).map(|state| state.segment.clone());
        let record = record(id, &segment.ok_or(ReadError::Damaged(id))?, place)?;
        let operation = record.operation(place.operation).map_err(|_| ReadError::Damaged(id))?;
        let Operation::Update { id: stored, before, update } = operation else { return Err(ReadError::Damaged(id)) };
        // Each link leads backwards, or a damaged record could make this endless.
        if stored != id || (before.segment != 0 && before >= place) {
            return Err(ReadError::Damaged(id));
        }
        updates.push(Update::from_bytes(update).map_err(|error| not_loaded(id, error))?);
        place = before;
    }
    Ok(updates)
}

fn record(id: MessageId, segment: &Segment, place: Place) -> Result<Record, ReadError> {
    let found = segment.record(place.offset, u32::MAX).map_err(|error| ReadError::Io { id, error })?;
    found.ok_or(ReadError::Damaged(id))
}
