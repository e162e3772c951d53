//! Changes of recipients: each with its index keys, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use envelope::Revision;
use organization::{Kind, Object, decode, decode_whole, encode, encode_with};
use topology::{DirectoryRecipient, Guid, Problems};

use super::ground::Ground;
use super::{COMMIT_ATTEMPTS, Forest, history};
use crate::directory::{Change, CommitError, Precondition};
use crate::keys::Keys;
use crate::store::{Condition, Entry, Outcome, Store, Unavailable, Write};

/// Index keys, each with the recipient that is to own it and what the key stands for.
type Wanted = BTreeMap<String, (Guid, String)>;

impl<S: Store> Forest<S> {
    /// Makes a change of recipients.
    pub(super) async fn commit_recipients(&self, change: Change) -> Result<Revision, CommitError> {
        each_once(&change)?;
        if let Some(made) = self.create_recipients(&change).await? {
            return Ok(made);
        }
        for _ in 0..COMMIT_ATTEMPTS {
            let ground = self.ground(change.restored).await?;
            let made = self.try_recipients(&change, &ground).await;
            if !matches!(made, Ok(Some(_))) {
                // What was refused may have been so by a configuration that is not any more.
                self.forget_ground().await;
            }
            if let Some(revision) = made? {
                return Ok(revision);
            }
        }
        Err(CommitError::Conflict("others change the same recipients all the time; try again".into()))
    }

    /// Makes recipients of which whoever wants them says that there are none yet, without looking first: that there are none is what
    /// the transaction asks for. `None` when it did not hold, or the change is another one.
    async fn create_recipients(&self, change: &Change) -> Result<Option<Revision>, CommitError> {
        let new: BTreeSet<Guid> = change.preconditions.iter().filter_map(absent).collect();
        let all_new =
            new.len() == change.preconditions.len() && change.puts.iter().all(|one| new.contains(&one.guid()));
        if !change.deletes.is_empty() || !all_new || new.len() != change.puts.len() || new.is_empty() {
            return Ok(None);
        }
        let ground = self.ground(change.restored).await?;
        let wanted = wanted_keys(&self.keys, &change.puts)?;
        if check_references(&ground, change).is_err() {
            return Ok(None);
        }
        let mut conditions = vec![ground.unchanged.clone()];
        conditions.extend(new.iter().map(|guid| Condition::Absent(self.keys.recipient(*guid))));
        conditions.extend(wanted.keys().cloned().map(Condition::Absent));
        let index = wanted.iter().map(|(key, (guid, _))| Write::Put(key.clone(), guid.to_string().into_bytes()));
        let put = |object: &Object| Write::Put(self.keys.recipient(object.guid()), encode(object));
        let mut writes: Vec<Write> = index.chain(change.puts.iter().map(put)).collect();
        writes.push(Write::Put(self.keys.change(), history::record(change, &|_| None)));
        if conditions.len().max(writes.len()) > self.store.operations_max() {
            return Ok(None);
        }
        match self.store.transact(conditions, writes).await? {
            Outcome::Done(revision) => Ok(Some(Revision(revision))),
            Outcome::Refused => {
                self.forget_ground().await;
                Ok(None)
            }
        }
    }

    /// Looks, and makes a change if all is as it must be; `None` when somebody else came in between.
    async fn try_recipients(&self, change: &Change, ground: &Ground) -> Result<Option<Revision>, CommitError> {
        let wanted = wanted_keys(&self.keys, &change.puts)?;
        check_references(ground, change)?;
        let before = self.stored_recipients(change).await?;
        check_preconditions(ground, &before, &change.preconditions)?;
        let (conditions, writes) = self.plan(ground, &before, &wanted, change).await?;
        let (operations, max) = (conditions.len().max(writes.len()), self.store.operations_max());
        if operations > max {
            return Err(CommitError::TooLarge { operations, max });
        }
        match self.store.transact(conditions, writes).await? {
            Outcome::Done(revision) => Ok(Some(Revision(revision))),
            Outcome::Refused => Ok(None),
        }
    }

    /// What is stored under the identities that the change touches or speaks of.
    async fn stored_recipients(&self, change: &Change) -> Result<BTreeMap<Guid, Option<Entry>>, Unavailable> {
        let spoken_of = change.preconditions.iter().filter_map(|precondition| match precondition {
            Precondition::Unchanged(object) => Some(object.guid()),
            Precondition::Absent(_, guid) => Some(*guid),
            Precondition::Revision(_) => None,
        });
        let touched = change.puts.iter().map(Object::guid).chain(change.deletes.iter().map(|(_, guid)| *guid));
        let guids: BTreeSet<Guid> = touched.chain(spoken_of).collect();
        let keys: Vec<String> = guids.iter().map(|guid| self.keys.recipient(*guid)).collect();
        Ok(guids.into_iter().zip(self.get_all(&keys).await?).collect())
    }

    /// The transaction: who owns each name and address afterwards, and what must hold for that.
    async fn plan(
        &self,
        ground: &Ground,
        before: &BTreeMap<Guid, Option<Entry>>,
        wanted: &Wanted,
        change: &Change,
    ) -> Result<(Vec<Condition>, Vec<Write>), CommitError> {
        let touched: BTreeSet<Guid> =
            change.puts.iter().map(Object::guid).chain(change.deletes.iter().map(|(_, guid)| *guid)).collect();
        let owned =
            owned_keys(&self.keys, touched.iter().filter_map(|guid| Some((*guid, before.get(guid)?.as_ref()?))));
        let index: Vec<String> = wanted.keys().cloned().collect();
        let mut conditions = vec![ground.unchanged.clone()];
        let mut writes = Vec::new();
        for (key, entry) in index.iter().zip(self.get_all(&index).await?) {
            let (guid, label) = &wanted[key];
            let Some(entry) = entry else {
                conditions.push(Condition::Absent(key.clone()));
                writes.push(Write::Put(key.clone(), guid.to_string().into_bytes()));
                continue;
            };
            let kept = entry.value == guid.to_string().as_bytes();
            if !kept && !owned.contains_key(key) {
                return Err(CommitError::NameTaken(format!("{label} belongs to another recipient")));
            }
            conditions.push(Condition::Unchanged(key.clone(), entry.revision));
            if !kept {
                writes.push(Write::Put(key.clone(), guid.to_string().into_bytes()));
            }
        }
        writes.extend(owned.keys().filter(|key| !wanted.contains_key(*key)).cloned().map(Write::Delete));
        for (guid, entry) in before {
            let key = self.keys.recipient(*guid);
            conditions.push(match entry {
                Some(entry) => Condition::Unchanged(key, entry.revision),
                None => Condition::Absent(key),
            });
        }
        let put = |object: &Object| {
            // What a newer program said about it is passed on.
            let stored = before.get(&object.guid()).and_then(Option::as_ref);
            let known = stored.and_then(|entry| decode_whole(&entry.value).ok());
            let unknown = known.map(|(_, unknown)| unknown).unwrap_or_default();
            Write::Put(self.keys.recipient(object.guid()), encode_with(object, &unknown))
        };
        writes.extend(change.puts.iter().map(put));
        writes.extend(change.deletes.iter().map(|(_, guid)| Write::Delete(self.keys.recipient(*guid))));
        let known = |(_, guid): (Kind, Guid)| {
            let entry = before.get(&guid)?.as_ref()?;
            recipient(entry).ok().map(|recipient| Object::Recipient(Box::new(recipient)))
        };
        writes.push(Write::Put(self.keys.change(), history::record(change, &known)));
        Ok((conditions, writes))
    }
}

/// That a change touches each recipient once: of two that are one the names and addresses of both would lead to it.
fn each_once(change: &Change) -> Result<(), CommitError> {
    let mut seen = BTreeSet::new();
    let put = change.puts.iter().map(|object| (object.guid(), object.place()));
    let deleted = change.deletes.iter().map(|(kind, guid)| (*guid, format!("{kind} {guid}")));
    match put.chain(deleted).find(|(guid, _)| !seen.insert(*guid)) {
        Some((_, place)) => Err(CommitError::Refused(format!("{place} occurs twice in one change"))),
        None => Ok(()),
    }
}

/// The recipient of an entry, if it is one.
pub(super) fn recipient(entry: &Entry) -> Result<DirectoryRecipient, String> {
    match decode(&entry.value) {
        Ok(Object::Recipient(recipient)) => Ok(*recipient),
        Ok(other) => Err(format!("{} holds {}", entry.key, other.place())),
        Err(error) => Err(format!("{}: {error}", entry.key)),
    }
}

/// The index keys of a recipient, each with what it stands for.
fn index_keys(keys: &Keys, recipient: &DirectoryRecipient) -> Vec<(String, String)> {
    let name = (keys.recipient_name(recipient.name.as_str()), format!("the name {}", recipient.name));
    let addresses = recipient.addresses().map(|address| (keys.address(&address.key()), address.to_string()));
    std::iter::once(name).chain(addresses).collect()
}

/// The index keys that stored recipients own.
fn owned_keys<'a>(keys: &Keys, entries: impl Iterator<Item = (Guid, &'a Entry)>) -> BTreeMap<String, Guid> {
    let mut owned = BTreeMap::new();
    for (guid, entry) in entries {
        // A damaged recipient owns nothing that could be known; putting or deleting it repairs the object.
        let Ok(recipient) = recipient(entry) else { continue };
        owned.extend(index_keys(keys, &recipient).into_iter().map(|(key, _)| (key, guid)));
    }
    owned
}

/// The index keys that the new recipients want, each for one of them.
fn wanted_keys(keys: &Keys, puts: &[Object]) -> Result<Wanted, CommitError> {
    let mut wanted = Wanted::new();
    for object in puts {
        let Object::Recipient(recipient) = object else { return Err(CommitError::Mixed) };
        for (key, label) in index_keys(keys, recipient) {
            let taken = wanted.insert(key, (recipient.guid, label.clone()));
            if taken.is_some_and(|(guid, _)| guid != recipient.guid) {
                return Err(CommitError::NameTaken(format!("{label} is wanted by two recipients")));
            }
        }
    }
    Ok(wanted)
}

/// The recipient that there must not be yet.
fn absent(precondition: &Precondition) -> Option<Guid> {
    match precondition {
        Precondition::Absent(Kind::Recipient, guid) => Some(*guid),
        _ => None,
    }
}

fn check_references(ground: &Ground, change: &Change) -> Result<(), CommitError> {
    let references = ground.references.as_ref();
    let references = references.map_err(|text| CommitError::Conflict(format!("first repair this: {text}")))?;
    let recipients = change.puts.iter().filter_map(|object| match object {
        Object::Recipient(recipient) => Some(&**recipient),
        _ => None,
    });
    let problems = references.lint(recipients);
    let errors: Vec<_> = problems.0.into_iter().filter(|problem| problem.weight == topology::Weight::Error).collect();
    if errors.is_empty() { Ok(()) } else { Err(CommitError::Invalid(Problems(errors))) }
}

fn check_preconditions(
    ground: &Ground,
    before: &BTreeMap<Guid, Option<Entry>>,
    preconditions: &[Precondition],
) -> Result<(), CommitError> {
    for precondition in preconditions {
        let holds = match precondition {
            Precondition::Revision(expected) => *expected == ground.revision,
            Precondition::Absent(Kind::Recipient, guid) => before.get(guid).is_some_and(Option::is_none),
            Precondition::Unchanged(Object::Recipient(expected)) => {
                let entry = before.get(&expected.guid).and_then(Option::as_ref);
                entry.is_some_and(|entry| recipient(entry).as_ref() == Ok(expected))
            }
            Precondition::Absent(..) | Precondition::Unchanged(_) => return Err(CommitError::Mixed),
        };
        if !holds {
            return Err(CommitError::Conflict(format!("it does not hold any more: {precondition:?}")));
        }
    }
    Ok(())
}
