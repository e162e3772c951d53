//! Changes that are looked at before they are made (WA-10…14), and connectors that are being made step by step. Both are of one
//! person, in memory, for a day.

use std::collections::HashMap;
use std::time::Duration;

use envelope::{Revision, Timestamp};
use organization::{Change, Kind, Object, Plan, Properties, object_of, properties_of};
use parking_lot::Mutex;
use topology::{Organization, OrganizationDraft};

use crate::codes;
use crate::estate::ImportFinding;
use crate::form::overlay;
use crate::room::{Limits, make_room};

/// A plan or a draft is forgotten after (WA-12).
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most plans and drafts of everybody.
const KEPT_MAX: usize = 2_000;
/// Of them one person's: more take the place of his own.
const OWN_MAX: usize = 50;
const LIMITS: Limits = Limits { own: OWN_MAX, all: KEPT_MAX };

/// A change that nobody has made yet.
#[derive(Clone, Debug)]
pub(crate) struct PlanEntry {
    pub(crate) owner: String,
    pub(crate) title: String,
    pub(crate) at: Timestamp,
    pub(crate) base: Revision,
    pub(crate) changes: Vec<Change>,
    /// The page to which *Edit again* leads.
    pub(crate) back: String,
    /// What became of the export that it was made of.
    pub(crate) report: Option<Vec<ImportFinding>>,
    /// Whether a word is typed before it is made: known once somebody has looked at what it does, and not made before.
    pub(crate) typed: Option<bool>,
    /// The revision that it made: a plan is made once (WA-43).
    pub(crate) made: Option<Revision>,
}

/// A connector that is being made. Not to be printed: it may have a password.
#[derive(Clone)]
pub(crate) struct DraftEntry {
    owner: String,
    at: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) properties: Properties,
    /// Steps that were left by *Next*.
    pub(crate) reached: usize,
}

#[derive(Default)]
pub(crate) struct Plans {
    plans: Mutex<HashMap<String, PlanEntry>>,
    drafts: Mutex<HashMap<String, DraftEntry>>,
}

impl Plans {
    pub(crate) fn add(&self, entry: PlanEntry) -> String {
        let mut all = self.plans.lock();
        all.retain(|_, known| entry.at.since(known.at) < KEPT);
        make_room(&mut all, LIMITS, |known| (known.owner == entry.owner, known.at));
        let id = codes::token();
        all.insert(id.clone(), entry);
        id
    }

    /// Somebody looked at what a plan does.
    pub(crate) fn looked(&self, id: &str, typed: bool) {
        if let Some(entry) = self.plans.lock().get_mut(id) {
            entry.typed = Some(typed);
        }
    }

    pub(crate) fn find(&self, id: &str, owner: &str, now: Timestamp) -> Option<PlanEntry> {
        let all = self.plans.lock();
        all.get(id).filter(|entry| entry.owner == owner && now.since(entry.at) < KEPT).cloned()
    }

    pub(crate) fn of(&self, owner: &str, now: Timestamp) -> Vec<(String, PlanEntry)> {
        let all = self.plans.lock();
        let own = all.iter().filter(|(_, entry)| entry.owner == owner && now.since(entry.at) < KEPT);
        let mut own: Vec<_> = own.map(|(id, entry)| (id.clone(), entry.clone())).collect();
        own.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
        own
    }

    pub(crate) fn made(&self, id: &str, revision: Revision) {
        if let Some(entry) = self.plans.lock().get_mut(id) {
            entry.made = Some(revision);
        }
    }

    pub(crate) fn drop(&self, id: &str, owner: &str) {
        self.plans.lock().retain(|known, entry| known != id || entry.owner != owner);
    }

    pub(crate) fn draft(&self, owner: &str, kind: Kind, properties: Properties, at: Timestamp) -> String {
        let mut all = self.drafts.lock();
        all.retain(|_, known| at.since(known.at) < KEPT);
        make_room(&mut all, LIMITS, |known| (known.owner == owner, known.at));
        let id = codes::token();
        all.insert(id.clone(), DraftEntry { owner: owner.to_owned(), at, kind, properties, reached: 0 });
        id
    }

    pub(crate) fn drafted(&self, id: &str, owner: &str) -> Option<DraftEntry> {
        self.drafts.lock().get(id).filter(|entry| entry.owner == owner).cloned()
    }

    pub(crate) fn redraft(&self, id: &str, properties: Properties, reached: usize) {
        if let Some(entry) = self.drafts.lock().get_mut(id) {
            entry.properties = properties;
            entry.reached = entry.reached.max(reached);
        }
    }
}

/// The organization as it would be.
pub(crate) fn with(organization: &Organization, changes: &[Change]) -> OrganizationDraft {
    let mut objects = organization::objects(organization.draft(), &[]);
    for change in changes {
        let object = change.object();
        let same = |known: &Object| (known.kind(), known.guid()) == (object.kind(), object.guid());
        let at = objects.iter().position(same);
        match (change, at) {
            (Change::Delete(_), Some(at)) => {
                objects.remove(at);
            }
            (Change::Delete(_), None) => {}
            (_, Some(at)) => objects[at] = object.clone(),
            (_, None) => objects.push(object.clone()),
        }
    }
    let (mut draft, _) = organization::assemble(objects);
    draft.settle();
    draft.complete();
    draft
}

/// What takes changes back, and nothing that came after them: put onto what the objects have become. Nothing where one cannot be so.
pub(crate) fn inverse(changes: &[Change], organization: &Organization) -> Option<Vec<Change>> {
    let objects = organization::objects(organization.draft(), &[]);
    let is_there =
        |object: &Object| objects.iter().any(|known| (known.kind(), known.guid()) == (object.kind(), object.guid()));
    let back = changes.iter().rev().filter_map(|change| match change {
        Change::Create(object) => Some(Change::Delete(object.clone())),
        // Under its own GUID, so that whoever knew it knows it again.
        Change::Delete(object) => (!is_there(object)).then(|| Change::Create(object.clone())),
        Change::Update { from, to } => Some(Change::Update { from: to.clone(), to: from.clone() }),
    });
    again(&back.collect::<Vec<_>>(), organization)
}

/// The same intentions against the configuration of now: what a person changed of an object, put onto what the object has become.
/// Nothing where it is gone or cannot be so.
pub(crate) fn again(changes: &[Change], organization: &Organization) -> Option<Vec<Change>> {
    let objects = organization::objects(organization.draft(), &[]);
    let now = |object: &Object| {
        objects.iter().find(|known| (known.kind(), known.guid()) == (object.kind(), object.guid())).cloned()
    };
    let mut wanted = Vec::new();
    for change in changes {
        match change {
            // They are no part of a revision: what was wanted of them is still.
            change if change.object().kind() == Kind::Recipient => wanted.push(change.clone()),
            Change::Create(object) => wanted.push(Change::Create(object.clone())),
            Change::Delete(object) => {
                if let Some(there) = now(object) {
                    wanted.push(Change::Delete(there));
                }
            }
            Change::Update { from, to } => {
                let there = now(to)?;
                let (old, new) = (properties_of(from), properties_of(to));
                let properties = overlay(properties_of(&there), &old, &new);
                let to = object_of(to.kind(), properties, &organization::WithoutSecrets).ok()?;
                if to != there {
                    wanted.push(Change::Update { from: there, to });
                }
            }
        }
    }
    Some(wanted)
}

impl PlanEntry {
    pub(crate) fn plan(&self) -> Plan {
        Plan { changes: self.changes.clone() }
    }
}
