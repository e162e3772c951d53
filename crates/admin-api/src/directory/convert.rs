//! Objects, answers and errors of the directory on the wire. What comes from the other side is parsed as strictly as
//! everything else; of an object every property must be known, or it would be lost without a word.

use authority::{Revocation, Subject};
use bytes::Bytes;
use directory::{
    Answer, Author, Change, CommitError, HistoryError, Precondition, Presence, ReadError, RevisionRecord,
    RevocationRecord,
};
use envelope::{ObjectName, Revision, ServerName, Timestamp};
use organization::{Kind, Object, decode_whole, encode};
use rpc::convert::without_controls;
use topology::{DirectoryRecipient, Guid, Problem, Problems, Weight};

use crate::wire::v1 as wire;
use wire::commit_failure::Kind as Failed;

pub(crate) fn object_to_wire(object: &Object) -> Bytes {
    encode(object).into()
}

pub(crate) fn object_from_wire(bytes: &[u8]) -> Result<Object, String> {
    let (object, unknown) = decode_whole(bytes).map_err(|error| error.to_string())?;
    if unknown.is_empty() {
        return Ok(object);
    }
    let names = unknown.names().join(", ");
    Err(format!("{}: {names} means nothing to this version: update it", object.place()))
}

/// What a server tells: properties of a newer one are passed over, as by any program that reads what is stored.
pub(crate) fn told_object(bytes: &[u8]) -> Result<Object, String> {
    decode_whole(bytes).map(|(object, _)| object).map_err(|error| error.to_string())
}

pub(crate) fn recipient_to_wire(recipient: DirectoryRecipient) -> Bytes {
    object_to_wire(&Object::Recipient(Box::new(recipient)))
}

pub(crate) fn told_recipient(bytes: &[u8]) -> Result<DirectoryRecipient, ReadError> {
    match told_object(bytes) {
        Ok(Object::Recipient(recipient)) => Ok(*recipient),
        Ok(other) => Err(ReadError::Invalid(format!("{} is no recipient", other.place()))),
        Err(wrong) => Err(ReadError::Invalid(wrong)),
    }
}

pub(crate) fn answer_to_wire(answer: Answer) -> wire::RecipientAnswer {
    use wire::recipient_answer::Answer as Wire;
    let answer = match answer {
        Ok(recipient) => recipient.map(|recipient| Wire::Object(recipient_to_wire(recipient))),
        Err(error) => Some(Wire::Failure(read_failure_to_wire(&error))),
    };
    wire::RecipientAnswer { answer }
}

pub(crate) fn answer_from_wire(answer: wire::RecipientAnswer) -> Answer {
    use wire::recipient_answer::Answer as Wire;
    match answer.answer {
        None => Ok(None),
        Some(Wire::Object(object)) => told_recipient(&object).map(Some),
        Some(Wire::Failure(failure)) => Err(read_failure_from_wire(&failure)),
    }
}

fn read_failure_to_wire(error: &ReadError) -> wire::ReadFailure {
    match error {
        ReadError::Unavailable(text) => wire::ReadFailure { invalid: false, text: text.clone() },
        ReadError::Invalid(text) => wire::ReadFailure { invalid: true, text: text.clone() },
    }
}

fn read_failure_from_wire(failure: &wire::ReadFailure) -> ReadError {
    let text = without_controls(&failure.text).into();
    if failure.invalid { ReadError::Invalid(text) } else { ReadError::Unavailable(text) }
}

pub(crate) fn presence_to_wire(presence: Presence) -> wire::Presence {
    wire::Presence {
        server: presence.server.to_string(),
        service: presence.service.to_string(),
        addresses: presence.addresses.iter().map(ToString::to_string).collect(),
        started_millis: presence.started.as_millis(),
        version: presence.version,
        applied_revision: presence.applied_revision.0,
        out_of_reach: presence.out_of_reach.iter().map(ToString::to_string).collect(),
    }
}

/// None for a service that this version does not know: it cannot be spoken to anyway.
pub(crate) fn presence_from_wire(presence: &wire::Presence) -> Option<Presence> {
    Some(Presence {
        server: ServerName::parse(&presence.server).ok()?,
        service: presence.service.parse().ok()?,
        addresses: presence.addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        started: Timestamp::from_millis(presence.started_millis),
        version: without_controls(&presence.version).into(),
        applied_revision: Revision(presence.applied_revision),
        out_of_reach: presence.out_of_reach.iter().filter_map(|name| ServerName::parse(name).ok()).collect(),
    })
}

pub(crate) fn record_to_wire(record: RevisionRecord) -> wire::RevisionRecord {
    let (who, through) = record.author.map(|author| (author.who, author.through)).unwrap_or_default();
    let (revision, at_millis) = (record.revision.0, record.at.as_millis());
    wire::RevisionRecord { revision, at_millis, summary: record.summary, who, through }
}

pub(crate) fn record_from_wire(record: &wire::RevisionRecord) -> RevisionRecord {
    RevisionRecord {
        revision: Revision(record.revision),
        at: Timestamp::from_millis(record.at_millis),
        summary: without_controls(&record.summary).into(),
        author: (!record.who.is_empty()).then(|| author_from_wire(&record.who, &record.through)),
    }
}

fn author_from_wire(who: &str, through: &str) -> Author {
    Author::new(without_controls(who), without_controls(through))
}

fn id_to_wire(kind: Kind, guid: Guid) -> wire::ObjectId {
    wire::ObjectId { kind: kind.to_string(), guid: guid.to_string() }
}

fn id_from_wire(id: &wire::ObjectId) -> Result<(Kind, Guid), String> {
    let kind = Kind::from_name(&id.kind).ok_or_else(|| format!("{:?} is no kind of object", id.kind))?;
    Ok((kind, id.guid.parse().map_err(|_| format!("{:?} is no identity", id.guid))?))
}

pub(crate) fn change_to_wire(change: &Change) -> wire::CommitRequest {
    use wire::precondition::Holds;
    let precondition = |precondition: &Precondition| {
        let holds = match precondition {
            Precondition::Revision(revision) => Holds::Revision(revision.0),
            Precondition::Unchanged(object) => Holds::Unchanged(object_to_wire(object)),
            Precondition::Absent(kind, guid) => Holds::Absent(id_to_wire(*kind, *guid)),
        };
        wire::Precondition { holds: Some(holds) }
    };
    wire::CommitRequest {
        through: change.author.through.clone(),
        puts: change.puts.iter().map(object_to_wire).collect(),
        deletes: change.deletes.iter().map(|(kind, guid)| id_to_wire(*kind, *guid)).collect(),
        preconditions: change.preconditions.iter().map(precondition).collect(),
        repairs: change.repairs,
        restored: change.restored,
    }
}

/// A change by `who`, as this server knows him.
pub(crate) fn change_from_wire(request: &wire::CommitRequest, author: Author) -> Result<Change, String> {
    use wire::precondition::Holds;
    let precondition = |precondition: &wire::Precondition| match &precondition.holds {
        Some(Holds::Revision(revision)) => Ok(Precondition::Revision(Revision(*revision))),
        Some(Holds::Unchanged(object)) => object_from_wire(object).map(Precondition::Unchanged),
        Some(Holds::Absent(id)) => id_from_wire(id).map(|(kind, guid)| Precondition::Absent(kind, guid)),
        // One that this version does not know may not be passed over.
        None => Err("a precondition means nothing to this version: update it".to_owned()),
    };
    Ok(Change {
        author,
        puts: request.puts.iter().map(|object| object_from_wire(object)).collect::<Result<_, _>>()?,
        deletes: request.deletes.iter().map(id_from_wire).collect::<Result<_, _>>()?,
        preconditions: request.preconditions.iter().map(precondition).collect::<Result<_, _>>()?,
        repairs: request.repairs,
        restored: request.restored,
    })
}

pub(crate) fn committed_to_wire(result: Result<Revision, CommitError>) -> wire::CommitReply {
    use wire::commit_reply::Result as Wire;
    let result = match result {
        Ok(revision) => Wire::Revision(revision.0),
        Err(error) => Wire::Failure(failure_to_wire(error)),
    };
    wire::CommitReply { result: Some(result) }
}

fn failure_to_wire(error: CommitError) -> wire::CommitFailure {
    let of =
        |kind: Failed, text: String| wire::CommitFailure { kind: kind.into(), text, ..wire::CommitFailure::default() };
    match error {
        CommitError::Conflict(text) => of(Failed::Conflict, text),
        CommitError::NameTaken(text) => of(Failed::NameTaken, text),
        CommitError::Damaged(text) => of(Failed::Damaged, text),
        CommitError::Restored(text) => of(Failed::Restored, text),
        CommitError::Mixed => of(Failed::Mixed, String::new()),
        CommitError::Refused(text) => of(Failed::Refused, text),
        CommitError::Unavailable(text) => of(Failed::Unavailable, text),
        CommitError::TooLarge { operations, max } => {
            let failure = of(Failed::TooLarge, String::new());
            wire::CommitFailure { operations: operations as u64, max: max as u64, ..failure }
        }
        CommitError::Invalid(problems) => {
            let problem = |problem: Problem| wire::Problem {
                error: problem.weight == Weight::Error,
                place: problem.place,
                text: problem.text,
            };
            let problems = problems.0.into_iter().map(problem).collect();
            wire::CommitFailure { problems, ..of(Failed::Invalid, String::new()) }
        }
    }
}

pub(crate) fn committed_from_wire(reply: wire::CommitReply) -> Result<Revision, CommitError> {
    use wire::commit_reply::Result as Wire;
    let failure = match reply.result {
        Some(Wire::Revision(revision)) => return Ok(Revision(revision)),
        Some(Wire::Failure(failure)) => failure,
        None => return Err(CommitError::Unavailable("an answer without content".to_owned())),
    };
    let text = without_controls(&failure.text).into();
    let problem = |problem: &wire::Problem| Problem {
        weight: if problem.error { Weight::Error } else { Weight::Warning },
        place: without_controls(&problem.place).into(),
        text: without_controls(&problem.text).into(),
    };
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Err(match failure.kind() {
        Failed::Conflict => CommitError::Conflict(text),
        Failed::NameTaken => CommitError::NameTaken(text),
        Failed::Damaged => CommitError::Damaged(text),
        Failed::Restored => CommitError::Restored(text),
        Failed::Mixed => CommitError::Mixed,
        Failed::Refused => CommitError::Refused(text),
        Failed::Unavailable | Failed::Unspecified => CommitError::Unavailable(text),
        Failed::TooLarge => CommitError::TooLarge { operations: count(failure.operations), max: count(failure.max) },
        Failed::Invalid => CommitError::Invalid(Problems(failure.problems.iter().map(problem).collect())),
    })
}

pub(crate) fn revocation_to_wire(revocation: &Revocation) -> wire::Revocation {
    use wire::revocation::Subject as Wire;
    let subject = match &revocation.subject {
        Subject::Server(name) => Wire::Server(name.to_string()),
        Subject::Administrator(name) => Wire::Administrator(name.to_string()),
    };
    wire::Revocation { subject: Some(subject), issued_until_millis: revocation.issued_until.as_millis() }
}

pub(crate) fn revocation_from_wire(revocation: Option<wire::Revocation>) -> Option<Revocation> {
    use wire::revocation::Subject as Wire;
    let revocation = revocation?;
    let subject = match revocation.subject? {
        Wire::Server(name) => Subject::Server(ServerName::parse(&name).ok()?),
        Wire::Administrator(name) => Subject::Administrator(ObjectName::parse(&name).ok()?),
    };
    Some(Revocation { subject, issued_until: Timestamp::from_millis(revocation.issued_until_millis) })
}

pub(crate) fn revoked_to_wire(record: &RevocationRecord) -> wire::RevocationRecord {
    let Author { who, through } = record.author.clone();
    wire::RevocationRecord { revocation: Some(revocation_to_wire(&record.revocation)), who, through }
}

pub(crate) fn revoked_from_wire(record: wire::RevocationRecord) -> Result<RevocationRecord, ReadError> {
    let author = author_from_wire(&record.who, &record.through);
    let revocation = revocation_from_wire(record.revocation);
    let revocation = revocation.ok_or_else(|| ReadError::Invalid("a revocation of nobody".to_owned()))?;
    Ok(RevocationRecord { revocation, author })
}

pub(crate) fn history_to_wire(missing: Option<HistoryError>) -> wire::HasRevisionReply {
    use wire::has_revision_reply::Missing;
    let missing = missing.map(|error| match error {
        HistoryError::Forgotten { oldest, .. } => Missing::Oldest(oldest.0),
        HistoryError::NotYet { newest, .. } => Missing::Newest(newest.0),
        HistoryError::NotKept { .. } => Missing::NotKept(true),
        HistoryError::Unavailable(text) => Missing::Unavailable(text),
    });
    wire::HasRevisionReply { missing }
}

pub(crate) fn history_from_wire(reply: wire::HasRevisionReply, revision: Revision) -> Result<(), HistoryError> {
    use wire::has_revision_reply::Missing;
    Err(match reply.missing {
        None => return Ok(()),
        Some(Missing::Oldest(oldest)) => HistoryError::Forgotten { revision, oldest: Revision(oldest) },
        Some(Missing::Newest(newest)) => HistoryError::NotYet { revision, newest: Revision(newest) },
        Some(Missing::NotKept(_)) => HistoryError::NotKept { revision },
        Some(Missing::Unavailable(text)) => HistoryError::Unavailable(without_controls(&text).into()),
    })
}

#[cfg(test)]
mod tests;
