//! One round, decided: what the resources ask for, against what the directory holds, becomes one plan and a verdict for each resource.
//! Nothing is read or written here.

use std::collections::{BTreeMap, BTreeSet};

use organization::plan::{Change, Plan, plan};
use organization::{Kind, Object, Secrets, assemble};
use topology::{Guid, Problem, Weight};

use crate::resource::{ADOPT_ANNOTATION, Resource};

/// What becomes of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The organization says what it says. Whether that is new, and whether somebody else had changed it.
    Accepted { changes: bool, drifted: bool },
    /// The organization stays as it was in this.
    Refused { reason: Reason, text: String },
    /// It was deleted, and its object is not there any more after this round.
    Gone,
    /// It was deleted, and its object has to stay.
    Stays { text: String },
}

/// Why a resource is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// What it says is not allowed.
    Invalid,
    /// Another resource names the same object.
    Duplicate,
    /// The object is there, and nobody said that it may be taken over.
    NotManaged,
    /// The API server did not let it be marked as managed.
    NotClaimed,
    /// The directory did not take the change.
    NotCommitted,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::Duplicate => "Duplicate",
            Self::NotManaged => "NotManaged",
            Self::NotClaimed => "NotClaimed",
            Self::NotCommitted => "NotCommitted",
        }
    }
}

/// What a round comes to.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) plan: Plan,
    /// One for each resource, in their order.
    pub(crate) verdicts: Vec<Verdict>,
}

/// What a resource may do in a round, until something stands in the way.
enum Part {
    /// With the identity of the object that it changes, if there is one.
    Puts(Box<Object>),
    Deletes(Guid),
    Settled(Verdict),
}

/// Decides. `current` are the objects of the configuration as it is stored and valid. Recipients stand in the way of none of these kinds:
/// they refer to databases and servers.
pub(crate) fn decide(resources: &[Resource], current: &[Object], secrets: &dyn Secrets) -> Round {
    let mut parts = parts(resources, current, secrets);
    loop {
        let plan = plan_of(resources, &parts, current);
        let wrong = problems(&plan, current);
        if wrong.is_empty() || plan.is_empty() {
            let verdicts = verdicts(resources, parts, &plan);
            return Round { plan, verdicts };
        }
        leave_out(resources, &mut parts, &plan, &wrong);
    }
}

fn folded(object: &Object) -> (Kind, String) {
    (object.kind(), envelope::text::folded(&object.name()).into_owned())
}

fn parts(resources: &[Resource], current: &[Object], secrets: &dyn Secrets) -> Vec<Part> {
    let stored: BTreeMap<(Kind, String), &Object> = current.iter().map(|object| (folded(object), object)).collect();
    let by_guid: BTreeMap<(Kind, Guid), &Object> =
        current.iter().map(|object| ((object.kind(), object.guid()), object)).collect();
    let first = first_of_each(resources);
    let live: BTreeSet<(Kind, String)> = first.keys().cloned().collect();
    let part = |(at, resource): (usize, &Resource)| {
        let identity = resource.identity();
        if resource.deleting {
            // Who has it now is another resource, or nobody ever did, or it is let go.
            let goes = resource.managed && !resource.keeps && !live.contains(&identity);
            return match stored.get(&identity).filter(|_| goes) {
                Some(there) => Part::Deletes(there.guid()),
                None => Part::Settled(Verdict::Gone),
            };
        }
        let refused = |reason, text| Part::Settled(Verdict::Refused { reason, text });
        if first[&identity] != at {
            let other = &resources[first[&identity]].key;
            return refused(Reason::Duplicate, format!("{other} names the same object, and is older"));
        }
        let object = match resource.wanted(secrets) {
            Ok(object) => object,
            Err(text) => return refused(Reason::Invalid, text),
        };
        if let Some(text) = &resource.held {
            return refused(Reason::NotClaimed, text.clone());
        }
        // By its name; else by its identity, under another name that somebody gave it.
        let there = stored.get(&identity).or_else(|| by_guid.get(&(object.kind(), object.guid())));
        match there {
            Some(there) if folded(there) != identity && live.contains(&folded(there)) => {
                let text = format!("its object was renamed to {}, which another resource names", there.place());
                refused(Reason::Duplicate, text)
            }
            Some(there)
                if !resource.managed && !resource.adopts && object.clone().with_guid(there.guid()) != **there =>
            {
                let text = format!(
                    "{} is there already and says otherwise; the annotation {ADOPT_ANNOTATION}: \"true\" has this resource take it over",
                    there.place()
                );
                refused(Reason::NotManaged, text)
            }
            Some(there) => Part::Puts(Box::new(object.with_guid(there.guid()))),
            None => Part::Puts(Box::new(object)),
        }
    };
    resources.iter().enumerate().map(part).collect()
}

/// Which resource has an object: of those that are not deleted the one that is managed, then the oldest, then the first by name.
fn first_of_each(resources: &[Resource]) -> BTreeMap<(Kind, String), usize> {
    let mut order: Vec<usize> = (0..resources.len()).filter(|at| !resources[*at].deleting).collect();
    order.sort_by_key(|at| {
        let resource = &resources[*at];
        (!resource.managed, &resource.created, &resource.key)
    });
    let mut first = BTreeMap::new();
    for at in order {
        first.entry(resources[at].identity()).or_insert(at);
    }
    first
}

fn plan_of(resources: &[Resource], parts: &[Part], current: &[Object]) -> Plan {
    let mut desired: BTreeMap<(Kind, Guid), Object> =
        current.iter().map(|object| ((object.kind(), object.guid()), object.clone())).collect();
    for (resource, part) in resources.iter().zip(parts) {
        match part {
            Part::Puts(object) => drop(desired.insert((object.kind(), object.guid()), Object::clone(object))),
            Part::Deletes(guid) => drop(desired.remove(&(resource.kind, *guid))),
            Part::Settled(_) => {}
        }
    }
    plan(current.to_vec(), desired.into_values().collect())
}

/// Everything that would be wrong with the organization after `plan`, of the plan and not from before.
fn problems(plan: &Plan, current: &[Object]) -> Vec<Problem> {
    let mut after: BTreeMap<(Kind, Guid), Object> =
        current.iter().map(|object| ((object.kind(), object.guid()), object.clone())).collect();
    for change in &plan.changes {
        let object = change.object();
        match change {
            Change::Delete(_) => after.remove(&(object.kind(), object.guid())),
            Change::Create(_) | Change::Update { .. } => after.insert((object.kind(), object.guid()), object.clone()),
        };
    }
    let (mut draft, _) = assemble(after.into_values());
    draft.settle();
    draft.complete();
    let mut found = topology::validation::lint(&draft);
    found.0.extend(topology::validation::written(&draft).0);
    found.0.extend(plan.refused().0);
    found.0.retain(|problem| problem.weight == Weight::Error);
    found.0
}

/// Takes whoever is to blame out of the round: those whose object a problem names; else the deletions, which something still refers
/// to; else everybody who changes anything.
fn leave_out(resources: &[Resource], parts: &mut [Part], plan: &Plan, wrong: &[Problem]) {
    let place = |resource: &Resource| {
        let change = plan.changes.iter().find(|change| folded(change.object()) == resource.identity());
        change.map(|change| change.object().place())
    };
    let places: Vec<Option<String>> = resources.iter().map(place).collect();
    let told = |only: &dyn Fn(&Problem) -> bool| {
        let lines = wrong.iter().filter(|problem| only(problem));
        lines.map(|problem| format!("{}: {}", problem.place, problem.text)).collect::<Vec<_>>().join("\n")
    };
    let mut blamed = false;
    for ((resource, part), place) in resources.iter().zip(parts.iter_mut()).zip(&places) {
        let (Part::Puts(_), Some(place)) = (&*part, place) else { continue };
        let text = told(&|problem| is_within(&problem.place, place));
        if !text.is_empty() {
            *part = out(resource, text);
            blamed = true;
        }
    }
    if blamed {
        return;
    }
    let deletes = parts.iter().any(|part| matches!(part, Part::Deletes(_)));
    for ((resource, part), place) in resources.iter().zip(parts.iter_mut()).zip(&places) {
        let changes = match part {
            Part::Deletes(_) => true,
            Part::Puts(_) => !deletes && place.is_some(),
            Part::Settled(_) => false,
        };
        if changes {
            *part = out(resource, told(&|_| true));
        }
    }
}

fn out(resource: &Resource, text: String) -> Part {
    Part::Settled(match resource.deleting {
        true => Verdict::Stays { text },
        false => Verdict::Refused { reason: Reason::Invalid, text },
    })
}

fn is_within(place: &str, of: &str) -> bool {
    place.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn verdicts(resources: &[Resource], parts: Vec<Part>, plan: &Plan) -> Vec<Verdict> {
    let changed: BTreeSet<(Kind, String)> = plan.changes.iter().map(|change| folded(change.object())).collect();
    let verdict = |(resource, part): (&Resource, Part)| match part {
        Part::Settled(verdict) => verdict,
        Part::Deletes(_) => Verdict::Gone,
        Part::Puts(_) => {
            let changes = changed.contains(&resource.identity());
            Verdict::Accepted { changes, drifted: changes && resource.was_accepted() }
        }
    };
    resources.iter().zip(parts).map(verdict).collect()
}

#[cfg(test)]
mod tests;
