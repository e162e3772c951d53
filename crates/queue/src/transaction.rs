//! [`Transaction`]: several changes that become durable together or not at all, such as a notification with the settling
//! of the message that it tells about, or the copies of a bifurcated message with the removal of the original.

use envelope::{MessageHead, MessageId, Receipt};

use crate::codec::{Meta, Stored};
use crate::draft::Draft;
use crate::error::CommitError;
use crate::jobs::Step;
use crate::message::{Role, StoredMessage, Update};
use crate::note::{NOTE_KEY_OCTETS_MAX, NOTES_MAX, Note};
use crate::shared::Shared;
use crate::spool::Spool;

/// A message that is stored: the proof, and whether it was the first time.
#[derive(Debug, PartialEq, Eq)]
pub struct Committed {
    /// It survives power loss (invariant 1).
    pub receipt: Receipt,
    /// `false`: it was stored before under the same id, or was not long ago and is done; this time nothing was stored.
    pub is_new: bool,
}

/// Changes that belong together.
#[derive(Default)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    steps: Vec<TransactionStep>,
}

enum TransactionStep {
    Store(Box<(Draft, StoredMessage)>),
    Change(Step),
}

impl Transaction {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a message. If its id is stored already, or was not long ago, nothing is stored again: for a peer that
    /// repeats what it got no acknowledgement for. A message that comes *back* from another server must therefore come
    /// under another id, or it would be swallowed.
    pub fn store(self, draft: Draft, head: MessageHead) -> Self {
        self.store_as(draft, head, Role::Own)
    }

    /// Stores a message in a role: a copy that is kept for another server, or one that it takes over.
    pub fn store_as(self, draft: Draft, head: MessageHead, role: Role) -> Self {
        self.store_message(draft, StoredMessage { role, ..StoredMessage::new(head) })
    }

    /// Stores a message with what it went through before, on another server. Where its id is stored already, that stays as it is.
    pub fn store_message(mut self, draft: Draft, stored: StoredMessage) -> Self {
        self.steps.push(TransactionStep::Store(Box::new((draft, stored))));
        self
    }

    /// Changes a message.
    pub fn update(self, id: MessageId, update: &Update) -> Self {
        self.change(Step::Update { id, update: update.to_bytes() })
    }

    /// Removes a message; one that is not stored is removed already.
    pub fn remove(self, id: MessageId) -> Self {
        self.change(Step::Remove { id })
    }

    /// Sets a note; one that is set already stays. It is there until it is taken away, over restarts.
    pub fn set(self, note: &Note) -> Self {
        self.change(Step::Note { key: note.key(), value: vec![1] })
    }

    /// Takes a note away; one that is not set is away already.
    pub fn unset(self, note: &Note) -> Self {
        self.change(Step::Note { key: note.key(), value: Vec::new() })
    }

    fn change(mut self, step: Step) -> Self {
        self.steps.push(TransactionStep::Change(step));
        self
    }

    /// Makes all changes durable, or none. What became of each message to be stored, in order.
    ///
    /// # Errors
    /// [`CommitError`]: nothing was changed.
    pub async fn commit(self, spool: &Spool) -> Result<Vec<Committed>, CommitError> {
        commit(self.steps, &spool.alive.0).await
    }
}

impl Draft {
    /// Stores the message, as [`Transaction::store`] does; `size` of the head is not looked at. When this returns, the
    /// message survives power loss.
    ///
    /// # Errors
    /// [`CommitError`]: nothing is stored.
    pub async fn commit(self, head: MessageHead) -> Result<Committed, CommitError> {
        self.commit_message(StoredMessage::new(head)).await
    }

    /// Stores the message as [`Transaction::store_message`] does.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_message(self, stored: StoredMessage) -> Result<Committed, CommitError> {
        let alive = std::sync::Arc::clone(&self.alive);
        let mut committed = commit(Transaction::new().store_message(self, stored).steps, &alive.0).await?;
        Ok(committed.pop().expect("one for each message to be stored"))
    }
}

async fn commit(transaction: Vec<TransactionStep>, shared: &Shared) -> Result<Vec<Committed>, CommitError> {
    let mut steps = Vec::with_capacity(transaction.len());
    let mut stored = Vec::new();
    for step in transaction {
        steps.push(match step {
            TransactionStep::Change(step) => step,
            TransactionStep::Store(message) => {
                let (draft, message) = *message;
                let id = message.head.id;
                stored.push(id);
                let meta = Meta(message).to_bytes();
                Step::Store { id, content: draft.finish().await?, meta }
            }
        });
    }
    check_notes(&steps, shared)?;
    let repeated = shared.run(steps).await?;
    let committed = |id| {
        let receipt = Receipt::after_commit(id, shared.server.clone());
        Committed { receipt, is_new: !repeated.contains(&id) }
    };
    Ok(stored.into_iter().map(committed).collect())
}

/// Notes are kept in memory: there is a bound to them.
fn check_notes(steps: &[Step], shared: &Shared) -> Result<(), CommitError> {
    let mut set = steps.iter().filter_map(|step| match step {
        Step::Note { key, value } if !value.is_empty() => Some(key),
        _ => None,
    });
    if let Some(first) = set.next() {
        let all_fit = first.len() <= NOTE_KEY_OCTETS_MAX && set.all(|key| key.len() <= NOTE_KEY_OCTETS_MAX);
        if !all_fit || shared.index().note_count() >= NOTES_MAX {
            return Err(CommitError::TooLarge);
        }
    }
    Ok(())
}
