//! What `postroad apply` would do: the difference between what is and what is wanted, object by object.
//!
//! Objects are matched by identity, then by name. An object that is matched by name keeps the identity that it has, so
//! a plain file may describe objects that somebody made by hand. Secrets are shown as `(sensitive)`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use envelope::text::folded;
use topology::{Guid, Problem, Problems, Weight};

use crate::kind::Kind;
use crate::node::Node;
use crate::object::Object;
use crate::property::Detail;
use crate::schema::is_secret;

/// Changes of recipients that are shown, one by one; further ones are counted. Nobody reads more. Ours.
const RECIPIENTS_SHOWN_MAX: usize = 1_000;

/// The changes that lead from one organization to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Kind by kind; in each the creations and updates in the wanted order, then the deletions.
    pub changes: Vec<Change>,
}

/// One object that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Create(Object),
    /// Some of its properties change.
    Update {
        /// As it is.
        from: Object,
        /// As it is wanted.
        to: Object,
    },
    /// It goes away.
    Delete(Object),
}

/// A property that changes, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyChange {
    /// As the organization file writes it.
    pub name: String,
    /// What it is.
    pub old: String,
    /// What it will be.
    pub new: String,
}

/// Plans the way from `current` to `desired`.
#[must_use]
pub fn plan(current: Vec<Object>, desired: Vec<Object>) -> Plan {
    let mut by_guid: BTreeMap<(Kind, Guid), Object> = BTreeMap::new();
    let mut by_name: BTreeMap<(Kind, String), Guid> = BTreeMap::new();
    for object in current {
        by_name.insert((object.kind(), folded(&object.name()).into_owned()), object.guid());
        by_guid.insert((object.kind(), object.guid()), object);
    }
    // An identity that the wanted objects name themselves is not given to another one by its name.
    let claimed: BTreeSet<(Kind, Guid)> = desired.iter().map(|object| (object.kind(), object.guid())).collect();
    let mut changes = Vec::new();
    for object in desired {
        let kind = object.kind();
        let named = by_name.get(&(kind, folded(&object.name()).into_owned())).copied();
        let adopted = named.filter(|guid| !claimed.contains(&(kind, *guid)));
        let existing = by_guid.remove(&(kind, object.guid())).or_else(|| by_guid.remove(&(kind, adopted?)));
        match existing {
            // It is there with its server.
            None if object.is_untouched_default() => {}
            None => changes.push(Change::Create(object)),
            Some(from) => {
                let to = object.with_guid(from.guid());
                if from != to {
                    changes.push(Change::Update { from, to });
                }
            }
        }
    }
    let settings = |object: &Object| object.kind() == Kind::TransportConfig;
    changes.extend(by_guid.into_values().filter(|object| !settings(object)).map(Change::Delete));
    changes.sort_by_key(|change| change.object().kind());
    Plan { changes }
}

impl Plan {
    /// Whether everything is as wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What an existing object cannot become: its usage is given once, when the connector is made (SC-21).
    #[must_use]
    pub fn refused(&self) -> Problems {
        let wrong = |change: &Change| {
            let Change::Update { from: Object::SendConnector(from), to: Object::SendConnector(to) } = change else {
                return None;
            };
            let text = format!(
                "it was given when the connector was made, and cannot change: write usage: {}; the size is maxMessageSize's",
                from.usage
            );
            let place = format!("{}.usage", change.object().place());
            (from.usage != to.usage).then_some(Problem { weight: Weight::Error, place, text })
        };
        Problems(self.changes.iter().filter_map(wrong).collect())
    }

    /// The changes of configuration objects and those of recipients, which are committed apart.
    #[must_use]
    pub fn split(self) -> (Vec<Change>, Vec<Change>) {
        self.changes.into_iter().partition(|change| change.object().kind() != Kind::Recipient)
    }
}

impl Change {
    /// The object, as it will be or as it was.
    #[must_use]
    pub fn object(&self) -> &Object {
        match self {
            Self::Create(object) | Self::Delete(object) | Self::Update { to: object, .. } => object,
        }
    }

    /// The properties that are set, changed or lost.
    #[must_use]
    pub fn properties(&self) -> Vec<PropertyChange> {
        let none = || Node::map(Vec::new());
        let (old, new) = match self {
            Self::Create(object) => (none(), object.write(Detail::Changed)),
            Self::Delete(_) => return Vec::new(),
            Self::Update { from, to } => (from.write(Detail::Everything), to.write(Detail::Everything)),
        };
        compare(self.object().kind(), &old, &new)
    }
}

fn compare(kind: Kind, old: &Node, new: &Node) -> Vec<PropertyChange> {
    let (old_entries, new_entries) = (old.entries().unwrap_or_default(), new.entries().unwrap_or_default());
    let gone = old_entries.iter().filter(|(key, _)| new.get(&key.text).is_none());
    let mut changes = Vec::new();
    for (key, _) in new_entries.iter().chain(gone) {
        let (was, becomes) = (old.get(&key.text), new.get(&key.text));
        if was == becomes {
            continue;
        }
        let secret = is_secret(kind, &key.text);
        if let (Some(was), Some(becomes)) = (was, becomes)
            && was.entries().is_some()
            && becomes.entries().is_some()
            && !secret
        {
            let name = |inner: &str| format!("{}.{inner}", key.text);
            let inner = compare(kind, was, becomes).into_iter();
            changes.extend(inner.map(|change| PropertyChange { name: name(&change.name), ..change }));
            continue;
        }
        let show = |node: Option<&Node>| match node {
            None => "(none)".to_owned(),
            Some(_) if secret => "(sensitive)".to_owned(),
            Some(node) => node.to_string(),
        };
        changes.push(PropertyChange { name: key.text.clone(), old: show(was), new: show(becomes) });
    }
    changes
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("No changes. The organization is as the file describes it.\n");
        }
        let (mut counts, mut recipients) = ([0_usize; 3], 0_usize);
        for change in &self.changes {
            let (count, sign) = match change {
                Change::Create(_) => (&mut counts[0], '+'),
                Change::Update { .. } => (&mut counts[1], '~'),
                Change::Delete(_) => (&mut counts[2], '-'),
            };
            *count += 1;
            recipients += usize::from(change.object().kind() == Kind::Recipient);
            if recipients > RECIPIENTS_SHOWN_MAX {
                continue;
            }
            writeln!(f, "  {sign} {}", change.object().place())?;
            let properties = change.properties();
            let width = properties.iter().map(|property| property.name.len()).max().unwrap_or_default();
            for PropertyChange { name, old, new } in properties {
                match change {
                    Change::Update { .. } => writeln!(f, "      ~ {name:width$}  {old} -> {new}")?,
                    _ => writeln!(f, "      + {name:width$}  {new}")?,
                }
            }
        }
        if let Some(more) = recipients.checked_sub(RECIPIENTS_SHOWN_MAX).filter(|more| *more > 0) {
            writeln!(f, "  … and {more} more recipients")?;
        }
        let [create, update, delete] = counts;
        writeln!(f, "\nPlan: {create} to create, {update} to update, {delete} to delete.")
    }
}
