//! Making a plan happen: the configuration as one change, then the recipients in batches.
//!
//! A crash in between leaves a valid organization with some recipients as before; applying again finishes the work.

use envelope::{Address, Revision};
use organization::{Change as Planned, Kind, Object, Plan};
use topology::DirectoryRecipient;

use crate::directory::{Administration, Author, Change, CommitError, Precondition, ReadError, Recipients};

/// Operations that a batch of recipients may need; etcd takes 128.
const BATCH_OPERATIONS: usize = 100;
/// Recipients read at once.
const PAGE: usize = 500;

/// Commits `plan` of `author`, which was made against the configuration at `planned_at`.
///
/// # Errors
/// [`CommitError`]; what was committed before stays.
pub async fn apply(
    directory: &dyn Administration,
    plan: Plan,
    planned_at: Revision,
    author: &Author,
) -> Result<Revision, CommitError> {
    commit(directory, plan, planned_at, Change::by(author.clone())).await
}

/// Commits `plan`, which was made against what could be [salvaged](Administration::salvage) of the configuration, and drops the
/// rest of it. `restored`: as a [change](Change::restored) says it.
///
/// # Errors
/// [`CommitError`]; what was committed before stays.
pub async fn repair(
    directory: &dyn Administration,
    plan: Plan,
    planned_at: Revision,
    author: &Author,
    restored: bool,
) -> Result<Revision, CommitError> {
    let empty = Change { repairs: true, restored, ..Change::by(author.clone()) };
    commit(directory, plan, planned_at, empty).await
}

async fn commit(
    directory: &dyn Administration,
    plan: Plan,
    planned_at: Revision,
    empty: Change,
) -> Result<Revision, CommitError> {
    let (configuration, recipients) = plan.split();
    let of_recipients = Change { repairs: false, ..empty.clone() };
    let mut change = with(empty, &configuration);
    // Databases that recipients leave are deleted in the same change; their recipients follow.
    change.preconditions.push(Precondition::Revision(planned_at));
    let mut revision = directory.commit(change).await?;
    for batch in batches(recipients) {
        let mut change = with(of_recipients.clone(), &batch);
        change.preconditions = batch.iter().filter_map(precondition).collect();
        revision = revision.max(directory.commit(change).await?);
    }
    Ok(revision)
}

/// Every recipient, for an export or a plan.
///
/// # Errors
/// [`ReadError`]
pub async fn all_recipients(directory: &dyn Recipients) -> Result<Vec<DirectoryRecipient>, ReadError> {
    let mut all: Vec<DirectoryRecipient> = Vec::new();
    loop {
        let page = directory.list_recipients(all.last().map(|recipient| &recipient.name), PAGE).await?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

fn with(mut change: Change, planned: &[Planned]) -> Change {
    for planned in planned {
        match planned {
            Planned::Create(object) | Planned::Update { to: object, .. } => change.puts.push(object.clone()),
            Planned::Delete(object) => change.deletes.push((object.kind(), object.guid())),
        }
    }
    change
}

/// A recipient is changed only if it is still what the plan saw.
fn precondition(planned: &Planned) -> Option<Precondition> {
    match planned {
        Planned::Create(object) => Some(Precondition::Absent(Kind::Recipient, object.guid())),
        Planned::Update { from: object, .. } | Planned::Delete(object) => Some(Precondition::Unchanged(object.clone())),
    }
}

/// Whatever gives up names or addresses goes first, so that others may take them.
fn batches(mut recipients: Vec<Planned>) -> Vec<Vec<Planned>> {
    recipients.sort_by_key(|planned| !frees(planned));
    let mut batches: Vec<Vec<Planned>> = Vec::new();
    let mut room = 0;
    for planned in recipients {
        let needed = operations(&planned);
        if needed > room || batches.is_empty() {
            batches.push(Vec::new());
            room = BATCH_OPERATIONS;
        }
        room = room.saturating_sub(needed);
        batches.last_mut().expect("there is a batch now").push(planned);
    }
    batches
}

fn frees(planned: &Planned) -> bool {
    match planned {
        Planned::Create(_) => false,
        Planned::Delete(_) => true,
        Planned::Update { from, to } => {
            let kept = |address: &Address| to.addresses().any(|other| other.key() == address.key());
            envelope::text::folded(&from.name()) != envelope::text::folded(&to.name()) || !from.addresses().all(kept)
        }
    }
}

/// Object, name and addresses, before and after.
fn operations(planned: &Planned) -> usize {
    let of = |object: &Object| 2 + object.addresses().count();
    match planned {
        Planned::Create(object) | Planned::Delete(object) => of(object),
        Planned::Update { from, to } => of(from) + of(to),
    }
}
