//! What was: the directory at an older revision, and a line about each change.
//!
//! Each change writes one record under the same key, in its transaction. The record of the change before is then found at
//! the revision before, as long as the backend keeps that: there is no list that could grow.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use envelope::{Revision, Timestamp};
use organization::{Kind, Object};
use serde::{Deserialize, Serialize};
use topology::Guid;
use uuid::Uuid;

use super::Forest;
use crate::directory::{Author, Change, HistoryError, ReadError, RevisionRecord};
use crate::store::{Kept, Store};

/// Objects that a summary names; the others are counted.
const NAMED_MAX: usize = 4;

/// What is stored. Fields that a later version adds are passed over.
#[derive(Serialize, Deserialize)]
struct Record {
    at_millis: u64,
    summary: String,
    /// Absent in what was recorded before authors were.
    #[serde(default)]
    who: Option<String>,
    #[serde(default)]
    through: Option<String>,
    /// The recipients that were written or deleted: their identities of 16 octets, in Base64. Absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    touched: Option<String>,
}

#[expect(clippy::disallowed_methods, reason = "when a change was made, for people")]
fn now_millis() -> u64 {
    Timestamp::from(SystemTime::now()).as_millis()
}

/// The record of `change`, which is made now. `before` knows the objects that were there.
pub(super) fn record(change: &Change, before: &dyn Fn((Kind, Guid)) -> Option<Object>) -> Vec<u8> {
    let at_millis = now_millis();
    let Author { who, through } = change.author.clone();
    let (summary, touched) = (summary(change, before), Some(touched(change)));
    let record = Record { at_millis, summary, who: Some(who), through: Some(through), touched };
    serde_json::to_vec(&record).expect("a record is plain data")
}

/// The record of an epoch that begins now.
pub(super) fn epoch_record(epoch: u64, author: &Author) -> Vec<u8> {
    let at_millis = now_millis();
    let summary = format!("restored from a backup: epoch {epoch}");
    let Author { who, through } = author.clone();
    let record = Record { at_millis, summary, who: Some(who), through: Some(through), touched: None };
    serde_json::to_vec(&record).expect("a record is plain data")
}

/// The identities of the recipients that a change writes or deletes.
fn touched(change: &Change) -> String {
    let put = change.puts.iter().map(|object| (object.kind(), object.guid()));
    let all = put.chain(change.deletes.iter().copied()).filter(|(kind, _)| *kind == Kind::Recipient);
    BASE64.encode(all.flat_map(|(_, guid)| guid.uuid().into_bytes()).collect::<Vec<u8>>())
}

/// The identities of recipients that the record of a change names; `None` where it does not say.
pub(super) fn touched_by(record: &[u8]) -> Option<Vec<Guid>> {
    let Record { touched, .. } = serde_json::from_slice(record).ok()?;
    let octets = BASE64.decode(touched?).ok()?;
    let (guids, rest) = octets.as_chunks();
    rest.is_empty().then(|| guids.iter().map(|guid| Guid::from_uuid(Uuid::from_bytes(*guid))).collect())
}

/// `+ sendConnectors["Partner"], ~ siteLinks["Line"]`.
fn summary(change: &Change, stored: &dyn Fn((Kind, Guid)) -> Option<Object>) -> String {
    let mut summary = Summary::default();
    for object in &change.puts {
        match stored((object.kind(), object.guid())) {
            Some(same) if same == *object => {}
            Some(_) => summary.say(|| format!("~ {}", object.place())),
            None => summary.say(|| format!("+ {}", object.place())),
        }
    }
    for identity in &change.deletes {
        match stored(*identity) {
            Some(object) => summary.say(|| format!("- {}", object.place())),
            None => summary.say(|| format!("- {} {}", identity.0, identity.1)),
        }
    }
    summary.text()
}

/// What a change does, in the words of the first few objects.
#[derive(Default)]
struct Summary {
    said: Vec<String>,
    more: usize,
}

impl Summary {
    fn say(&mut self, text: impl FnOnce() -> String) {
        if self.said.len() < NAMED_MAX {
            self.said.push(text());
        } else {
            self.more += 1;
        }
    }

    fn text(self) -> String {
        match (self.said.is_empty(), self.more) {
            (true, _) => "nothing".to_owned(),
            (false, 0) => self.said.join(", "),
            (false, more) => format!("{} and {more} more", self.said.join(", ")),
        }
    }
}

impl<S: Store> Forest<S> {
    /// This forest as it was at `revision`.
    pub(super) async fn then(&self, revision: Revision) -> Result<Self, HistoryError> {
        let kept = self.store.kept(&self.keys.marker(), revision.0).await;
        match kept.map_err(|error| HistoryError::Unavailable(error.0))? {
            Kept::Yes => Ok(self.past(revision)),
            Kept::Forgotten(oldest) => Err(HistoryError::Forgotten { revision, oldest: Revision(oldest) }),
            Kept::NotYet(newest) => Err(HistoryError::NotYet { revision, newest: Revision(newest) }),
        }
    }

    pub(super) fn past(&self, revision: Revision) -> Self {
        let store = Arc::new(self.store.at(revision.0));
        Self { store, keys: self.keys.clone(), lease_ttl: self.lease_ttl, ground: Arc::default(), said: Arc::default() }
    }

    /// The last `limit` records that are kept.
    pub(super) async fn records(&self, limit: usize) -> Result<Vec<RevisionRecord>, ReadError> {
        let key = [self.keys.change()];
        let mut records = Vec::new();
        let mut forest = self.clone();
        while records.len() < limit {
            let Some(entry) = forest.store.get(&key).await?.pop().flatten() else { break };
            let Record { at_millis, summary, who, through, .. } = serde_json::from_slice(&entry.value)
                .map_err(|error| ReadError::Invalid(format!("{}: {error}", entry.key)))?;
            let revision = Revision(entry.revision);
            let author = who.zip(through).map(|(who, through)| Author { who, through });
            records.push(RevisionRecord { revision, at: Timestamp::from_millis(at_millis), summary, author });
            let before = entry.revision.saturating_sub(1);
            if before == 0 || self.store.kept(&key[0], before).await? != Kept::Yes {
                break;
            }
            forest = self.past(Revision(before));
        }
        Ok(records)
    }
}
