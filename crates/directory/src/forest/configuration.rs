//! Changes of the configuration.
//!
//! A change that fits into one transaction is made in place. A larger one is staged: the whole resulting configuration is
//! written as a new generation, which nobody reads yet, and one transaction makes it the current one. Either way readers
//! see all of it or nothing, and only if nobody else changed the configuration since it was read.

use std::collections::BTreeMap;

use envelope::Revision;
use organization::{Kind, Object};
use topology::Guid;
use uuid::Uuid;

use super::epoch::nobody_is_ahead;
use super::view::{Marker, View, organization};
use super::{COMMIT_ATTEMPTS, Forest, history};
use crate::directory::{Change, CommitError};
use crate::presence::Presence;
use crate::store::{Condition, Outcome, Store, Unavailable, Write};

/// Writes of a transaction besides those of objects: the marker and the record of the change.
const BESIDES_OBJECTS: usize = 2;

/// A resulting configuration.
type Objects = BTreeMap<(Kind, Guid), Object>;

impl<S: Store> Forest<S> {
    /// Makes a change of the configuration, unless one of `presences` works by a newer one.
    pub(super) async fn commit_configuration(
        &self,
        change: Change,
        presences: &[Presence],
    ) -> Result<Revision, CommitError> {
        for _ in 0..COMMIT_ATTEMPTS {
            let view = self.view().await?;
            nobody_is_ahead(presences, view.revision)?;
            view.check(&change.preconditions)?;
            if change.puts.is_empty() && change.deletes.is_empty() && !change.repairs {
                return Ok(view.revision);
            }
            let result = resulting(&view, &change)?;
            let checked = organization(result.values().cloned().collect(), view.revision);
            checked.map_err(CommitError::Invalid)?;
            if let Outcome::Done(revision) = self.write(&view, &change, &result).await? {
                return Ok(Revision(revision));
            }
        }
        Err(CommitError::Conflict("others change the configuration all the time; try again".into()))
    }

    async fn write(&self, view: &View, change: &Change, result: &Objects) -> Result<Outcome, Unavailable> {
        // A configuration that is not what its marker says is not repaired in part: it is replaced.
        let current = view.generation.as_ref().filter(|_| view.complete().is_ok() && !change.repairs);
        let before = |identity| view.objects.get(&identity).and_then(|stored| stored.clone().ok());
        let record = Write::Put(self.keys.change(), history::record(change, &before));
        let operations = change.puts.len() + change.deletes.len() + BESIDES_OBJECTS;
        match current {
            Some(generation) if operations <= self.store.operations_max() => {
                let put = |object: &Object| {
                    Write::Put(self.keys.object(generation, object.kind(), object.guid()), view.encode(object))
                };
                let delete = |(kind, guid): &(Kind, Guid)| Write::Delete(self.keys.object(generation, *kind, *guid));
                let mut writes: Vec<Write> = change.puts.iter().map(put).collect();
                writes.extend(change.deletes.iter().map(delete));
                writes.extend([self.put_marker(generation, result.len()), record]);
                self.store.transact(vec![view.unchanged(&self.keys)], writes).await
            }
            _ => self.stage(view, result, record).await,
        }
    }

    fn put_marker(&self, generation: &str, objects: usize) -> Write {
        Write::Put(self.keys.marker(), Marker::new(generation, objects).encode())
    }

    /// Writes `result` as a new generation, then makes it current.
    async fn stage(&self, view: &View, result: &Objects, record: Write) -> Result<Outcome, Unavailable> {
        let generation = Uuid::new_v4().simple().to_string();
        let key = |(kind, guid): &(Kind, Guid)| self.keys.object(&generation, *kind, *guid);
        let objects: Vec<(String, &Object)> = result.iter().map(|(identity, object)| (key(identity), object)).collect();
        let mut conditions = vec![view.unchanged(&self.keys)];
        for chunk in objects.chunks(self.store.operations_max()) {
            let writes = chunk.iter().map(|(key, object)| Write::Put(key.clone(), view.encode(object))).collect();
            // Whoever clears generations that were left behind may take this one for such: then it must not become
            // current.
            if let (Outcome::Done(revision), 1) = (self.store.transact(Vec::new(), writes).await?, conditions.len()) {
                conditions.push(Condition::Unchanged(chunk[0].0.clone(), revision));
            }
        }
        let outdated = view.other_generations.iter().chain(&view.generation);
        let clear = outdated.map(|generation| Write::DeletePrefix(self.keys.generation(generation)));
        let mut writes: Vec<Write> = clear.take(self.store.operations_max() - BESIDES_OBJECTS).collect();
        writes.extend([self.put_marker(&generation, objects.len()), record]);
        let outcome = self.store.transact(conditions, writes).await?;
        if outcome == Outcome::Refused {
            let staged = Write::DeletePrefix(self.keys.generation(&generation));
            self.store.transact(Vec::new(), vec![staged]).await?;
        }
        Ok(outcome)
    }
}

/// The objects after `change`.
fn resulting(view: &View, change: &Change) -> Result<Objects, CommitError> {
    let mut stored = view.objects.clone();
    for (kind, guid) in &change.deletes {
        // A default Receive connector is there without being stored.
        if stored.remove(&(*kind, *guid)).is_none() && *kind != Kind::ReceiveConnector {
            return Err(CommitError::Conflict(format!("{kind} {guid} is not there")));
        }
    }
    for object in &change.puts {
        stored.insert((object.kind(), object.guid()), Ok(object.clone()));
    }
    if change.repairs {
        stored.retain(|_, object| object.is_ok());
    }
    let readable = |(identity, object): ((Kind, Guid), Result<Object, String>)| match object {
        Ok(object) => Ok((identity, object)),
        Err(wrong) => Err(CommitError::Damaged(wrong)),
    };
    let objects: Objects = stored.into_iter().map(readable).collect::<Result<_, _>>()?;
    let mut names: BTreeMap<(Kind, String), Guid> = BTreeMap::new();
    for ((kind, guid), object) in &objects {
        if names.insert((*kind, envelope::text::folded(&object.name()).into_owned()), *guid).is_some() {
            return Err(CommitError::NameTaken(format!("{} exists already", object.place())));
        }
    }
    Ok(objects)
}
