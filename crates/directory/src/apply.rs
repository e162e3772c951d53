//! Making a plan happen: the configuration as one change, then the recipients in batches.
//!
//! A crash in between leaves a valid organization with some recipients as before; applying again finishes the work. A batch is
//! what a transaction of the backend holds; several are under way at a time, since none takes from another what it needs.

use std::iter::Peekable;

use envelope::{Address, Revision};
use futures::{StreamExt, stream};
use organization::{Change as Planned, Kind, Object, Plan};
use topology::DirectoryRecipient;

use crate::directory::{Administration, Author, Change, CommitError, Precondition, ReadError, Recipients};

/// Recipients read at once.
pub(crate) const PAGE: usize = 500;
/// Batches under way at the same time: as many as a backend writes to its disk together.
const BATCHES_TOGETHER: usize = 16;

/// Who is told how far a plan is: changes of recipients made, and all there are.
type Progress<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

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
    apply_telling(directory, plan, planned_at, author, &|_, _| {}).await
}

/// The same, and tells after each batch of recipients how far it is.
///
/// # Errors
/// As [`apply`].
pub async fn apply_telling(
    directory: &dyn Administration,
    plan: Plan,
    planned_at: Revision,
    author: &Author,
    progress: Progress<'_>,
) -> Result<Revision, CommitError> {
    commit(directory, plan, planned_at, Change::by(author.clone()), progress).await
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
    commit(directory, plan, planned_at, empty, &|_, _| {}).await
}

async fn commit(
    directory: &dyn Administration,
    plan: Plan,
    planned_at: Revision,
    empty: Change,
    progress: Progress<'_>,
) -> Result<Revision, CommitError> {
    let (configuration, recipients) = plan.split();
    let of_recipients = Change { repairs: false, ..empty.clone() };
    let mut change = with(empty, configuration);
    // Databases that recipients leave are deleted in the same change; their recipients follow.
    change.preconditions.push(Precondition::Revision(planned_at));
    let mut revision = directory.commit(change).await?;
    let (all, mut done) = (recipients.len(), 0);
    // Whatever gives up names or addresses goes first, one batch after the other, so that others may take them.
    let (freeing, taking): (Vec<_>, Vec<_>) = recipients.into_iter().partition(frees);
    for (together, planned) in [(1, freeing), (BATCHES_TOGETHER, taking)] {
        let batches = Batches { planned: planned.into_iter().peekable(), room: directory.operations_at_once() };
        let committing = batches.map(|batch| {
            let (count, mut change) = (batch.len(), of_recipients.clone());
            change.preconditions = batch.iter().filter_map(precondition).collect();
            let change = with(change, batch);
            async move { directory.commit(change).await.map(|revision| (count, revision)) }
        });
        let mut committed = stream::iter(committing).buffer_unordered(together);
        while let Some(made) = committed.next().await {
            let (count, made) = made?;
            (done, revision) = (done + count, revision.max(made));
            progress(done, all);
        }
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

fn with(mut change: Change, planned: Vec<Planned>) -> Change {
    for planned in planned {
        match planned {
            Planned::Create(object) | Planned::Update { to: object, .. } => change.puts.push(object),
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

/// Changes of recipients, as many at once as one transaction is to have.
struct Batches {
    planned: Peekable<std::vec::IntoIter<Planned>>,
    room: usize,
}

impl Iterator for Batches {
    type Item = Vec<Planned>;

    fn next(&mut self) -> Option<Vec<Planned>> {
        let first = self.planned.next()?;
        let mut room = self.room.saturating_sub(operations(&first));
        let mut batch = vec![first];
        while let Some(next) = self.planned.next_if(|next| operations(next) <= room) {
            room -= operations(&next);
            batch.push(next);
        }
        Some(batch)
    }
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
