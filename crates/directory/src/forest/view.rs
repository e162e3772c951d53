//! The whole stored configuration, read at one revision.
//!
//! The marker is written by every change of the configuration. It names the generation whose objects count, and how many
//! there are: an object that was added or removed behind its back is noticed. Revision of the configuration is the
//! highest revision of marker and objects.

use std::collections::{BTreeMap, BTreeSet};

use envelope::Revision;
use organization::{Kind, Object, Unknown, assemble, decode_whole, encode, encode_with};
use serde::{Deserialize, Serialize};
use topology::{Guid, Organization};
use uuid::Uuid;

use super::Forest;
use crate::directory::{CommitError, Precondition};
use crate::keys::Keys;
use crate::store::{Condition, Listing, Store, Unavailable};

/// Version of the marker that is written and understood.
const MARKER_VERSION: u64 = 1;

/// What `config/current` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    v: u64,
    /// The generation whose objects count.
    pub generation: String,
    /// How many there are.
    pub objects: usize,
}

impl Marker {
    pub(super) fn new(generation: &str, objects: usize) -> Self {
        Self { v: MARKER_VERSION, generation: generation.to_owned(), objects }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a marker is plain data")
    }
}

/// An object as it is stored: itself, or why it cannot be understood.
pub(super) type Stored = Result<Object, String>;

/// The stored configuration.
pub(super) struct View {
    /// Revision of the store when it was read.
    pub store_revision: u64,
    /// Revision of the configuration.
    pub revision: Revision,
    /// The marker, or what is wrong with it, and its revision.
    marker: Option<(u64, Result<Marker, String>)>,
    /// The generation whose objects count. The only one, when the marker does not say.
    pub generation: Option<String>,
    /// Each with the revision that wrote it.
    pub objects: BTreeMap<(Kind, Guid), Stored>,
    /// What a newer program said about them.
    pub unknown: BTreeMap<(Kind, Guid), Unknown>,
    /// Generations that are not current: left behind, or about to be made.
    pub other_generations: BTreeSet<String>,
    /// Keys of the current generation that are no keys of objects.
    strange: Vec<String>,
}

impl<S: Store> Forest<S> {
    /// Reads the configuration.
    pub(super) async fn view(&self) -> Result<View, Unavailable> {
        Ok(View::new(&self.keys, self.store.list(&self.keys.configuration()).await?))
    }
}

impl View {
    fn new(keys: &Keys, listing: Listing) -> Self {
        let marker_key = keys.marker();
        let marker = listing.entries.iter().find(|entry| entry.key == marker_key);
        let marker = marker.map(|entry| {
            let marker = match serde_json::from_slice::<Marker>(&entry.value) {
                Ok(marker) if marker.v == MARKER_VERSION => Ok(marker),
                Ok(marker) => Err(format!("{marker_key} has version {}; upgrade this server", marker.v)),
                Err(error) => Err(format!("{marker_key}: {error}")),
            };
            (entry.revision, marker)
        });
        let generation = match &marker {
            Some((_, Ok(marker))) => Some(marker.generation.clone()),
            Some((_, Err(_))) => only_generation(keys, &listing),
            None => None,
        };
        let current = generation.as_ref().map(|generation| keys.generation(generation));
        let mut view = Self {
            store_revision: listing.revision,
            revision: Revision(0),
            marker,
            generation,
            objects: BTreeMap::new(),
            unknown: BTreeMap::new(),
            other_generations: BTreeSet::new(),
            strange: Vec::new(),
        };
        let mut revision = 0;
        for entry in listing.entries {
            if entry.key == marker_key {
                revision = revision.max(entry.revision);
            } else if let Some(path) = current.as_ref().and_then(|current| entry.key.strip_prefix(current)) {
                revision = revision.max(entry.revision);
                match identity(path) {
                    Some(identity) => view.take(identity, &entry.key, &entry.value),
                    None => view.strange.push(entry.key),
                }
            } else if let Some(path) = entry.key.strip_prefix(&keys.configuration()) {
                view.other_generations.extend(path.split('/').next().map(str::to_owned));
            }
        }
        view.revision = Revision(revision);
        view
    }

    fn take(&mut self, identity: (Kind, Guid), key: &str, value: &[u8]) {
        let stored = stored(identity, key, value).map(|(object, unknown)| {
            if !unknown.is_empty() {
                self.unknown.insert(identity, unknown);
            }
            object
        });
        self.objects.insert(identity, stored);
    }

    /// The bytes of an object, with what a newer program said about it.
    pub(super) fn encode(&self, object: &Object) -> Vec<u8> {
        match self.unknown.get(&(object.kind(), object.guid())) {
            Some(unknown) => encode_with(object, unknown),
            None => encode(object),
        }
    }

    /// The checked organization, or why there is none.
    pub(super) fn organization(&self) -> Result<Organization, String> {
        self.complete()?;
        let objects: Result<Vec<Object>, String> = self.objects.values().cloned().collect();
        organization(objects?, self.revision).map_err(|problems| problems.to_string())
    }

    /// Whether what the marker promises is there.
    pub(super) fn complete(&self) -> Result<(), String> {
        if let Some(key) = self.strange.first() {
            return Err(format!("{key} is no key of an object"));
        }
        match &self.marker {
            None => Ok(()),
            Some((_, Err(wrong))) => Err(wrong.clone()),
            Some((_, Ok(marker))) if marker.objects == self.objects.len() => Ok(()),
            Some((_, Ok(marker))) => Err(format!(
                "there are {} objects instead of {}: some were added or deleted by other means",
                self.objects.len(),
                marker.objects
            )),
        }
    }

    /// The objects that can be understood.
    pub(super) fn readable(&self) -> Vec<Object> {
        self.objects.values().flatten().cloned().collect()
    }

    /// What says which objects count; of a directory that holds nothing, a new one.
    pub(super) fn marker(&self) -> Marker {
        let marker = self.marker.as_ref().and_then(|(_, marker)| marker.as_ref().ok());
        marker.cloned().unwrap_or_else(|| Marker::new(&Uuid::new_v4().simple().to_string(), 0))
    }

    /// Holds as long as nobody else changes the configuration.
    pub(super) fn unchanged(&self, keys: &Keys) -> Condition {
        match &self.marker {
            Some((revision, _)) => Condition::Unchanged(keys.marker(), *revision),
            None => Condition::Absent(keys.marker()),
        }
    }

    /// Checks what a change of the configuration asks for.
    pub(super) fn check(&self, preconditions: &[Precondition]) -> Result<(), CommitError> {
        let conflict = |text: String| Err(CommitError::Conflict(text));
        for precondition in preconditions {
            match precondition {
                Precondition::Revision(expected) if *expected != self.revision => {
                    return conflict(format!("the configuration is at revision {}, not {expected}", self.revision));
                }
                Precondition::Unchanged(object) => {
                    let stored = self.objects.get(&(object.kind(), object.guid()));
                    if stored.and_then(|stored| stored.as_ref().ok()) != Some(object) {
                        return conflict(format!("{} has changed", object.place()));
                    }
                }
                Precondition::Absent(kind, guid) if self.objects.contains_key(&(*kind, *guid)) => {
                    return conflict(format!("{kind} {guid} exists"));
                }
                Precondition::Revision(_) | Precondition::Absent(..) => {}
            }
        }
        Ok(())
    }
}

/// Assembles and checks, in an order that does not depend on identities: kind by kind, by name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn organization(mut objects: Vec<Object>, revision: Revision) -> Result<Organization, topology::Problems> {
    objects.sort_by_cached_key(|object| (object.kind(), object.name().to_lowercase()));
    Organization::validate(assemble(objects).0, revision)
}

/// The generation that is stored, when there is exactly one.
fn only_generation(keys: &Keys, listing: &Listing) -> Option<String> {
    let (prefix, marker) = (keys.configuration(), keys.marker());
    let objects = listing.entries.iter().filter(|entry| entry.key != marker);
    let mut generations = objects.filter_map(|entry| entry.key.strip_prefix(&prefix)?.split('/').next());
    let first = generations.next()?;
    generations.all(|other| other == first).then(|| first.to_owned())
}

fn identity(path: &str) -> Option<(Kind, Guid)> {
    let (kind, guid) = path.split_once('/')?;
    let kind = Kind::from_name(kind).filter(|kind| *kind != Kind::Recipient)?;
    Some((kind, guid.parse().ok()?))
}

fn stored(identity: (Kind, Guid), key: &str, value: &[u8]) -> Result<(Object, Unknown), String> {
    let (object, unknown) = decode_whole(value).map_err(|error| format!("{key}: {error}"))?;
    if (object.kind(), object.guid()) == identity {
        if !unknown.is_empty() {
            let properties = unknown.names().join(", ");
            tracing::warn!(
                object = object.place(),
                properties,
                "a newer program said this, which has no effect here: upgrade"
            );
        }
        Ok((object, unknown))
    } else {
        Err(format!("{key} holds {} {}", object.kind(), object.guid()))
    }
}
