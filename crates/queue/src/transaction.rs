//! [`Transaction`]: several changes that become durable together or not at all, such as a notification with the settling
//! of the message that it tells about, or the copies of a bifurcated message with the removal of the original.

use envelope::{MessageHead, MessageId, Receipt};
use tokio::sync::oneshot;

use crate::codec::{Meta, Stored};
use crate::draft::{Draft, Finished};
use crate::error::CommitError;
use crate::message::{StoredMessage, Update};
use crate::record::{OPERATION_OVERHEAD, RECORD_HEADER, TRANSACTION_OCTETS_MAX};
use crate::spool::Spool;

/// Most operations in one transaction; a group expansion stays far below.
pub const TRANSACTION_OPERATIONS_MAX: usize = 10_000;

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
    Store(Box<(Draft, MessageHead)>),
    Change(Step),
}

/// One change, encoded by the task that wants it so that the writer need not.
pub(crate) enum Step {
    Store { id: MessageId, content: Finished, meta: Vec<u8> },
    Update { id: MessageId, update: Vec<u8> },
    Remove { id: MessageId },
}

/// A transaction in the writer's queue.
pub(crate) struct Job {
    pub steps: Vec<Step>,
    /// Messages to be stored that were stored already, or not long ago.
    pub repeated: Vec<MessageId>,
    /// Who waits for it; nobody waits for a lazy one.
    pub reply: Option<oneshot::Sender<Result<Vec<MessageId>, CommitError>>>,
}

impl Transaction {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a message. If its id is stored already, or was not long ago, nothing is stored again: for a peer that
    /// repeats what it got no acknowledgement for. A message that comes *back* from another server must therefore come
    /// under another id, or it would be swallowed.
    pub fn store(mut self, draft: Draft, head: MessageHead) -> Self {
        self.steps.push(TransactionStep::Store(Box::new((draft, head))));
        self
    }

    /// Changes a message.
    pub fn update(mut self, id: MessageId, update: &Update) -> Self {
        self.steps.push(TransactionStep::Change(Step::Update { id, update: update.to_bytes() }));
        self
    }

    /// Removes a message; one that is not stored is removed already.
    pub fn remove(mut self, id: MessageId) -> Self {
        self.steps.push(TransactionStep::Change(Step::Remove { id }));
        self
    }

    /// Makes all changes durable, or none. What became of each message to be stored, in order.
    ///
    /// # Errors
    /// [`CommitError`]: nothing was changed.
    pub async fn commit(self, spool: &Spool) -> Result<Vec<Committed>, CommitError> {
        let mut steps = Vec::with_capacity(self.steps.len());
        let mut stored = Vec::new();
        for step in self.steps {
            steps.push(match step {
                TransactionStep::Change(step) => step,
                TransactionStep::Store(message) => {
                    let (draft, head) = *message;
                    stored.push(head.id);
                    Step::store(draft.finish().await?, head)
                }
            });
        }
        let repeated = spool.shared.run(steps).await?;
        let committed = |id| {
            let receipt = Receipt::after_commit(id, spool.shared.server.clone());
            Committed { receipt, is_new: !repeated.contains(&id) }
        };
        Ok(stored.into_iter().map(committed).collect())
    }
}

impl Step {
    fn store(content: Finished, head: MessageHead) -> Self {
        Self::Store { id: head.id, content, meta: Meta(StoredMessage::new(head)).to_bytes() }
    }

    /// Octets in the log, at most.
    fn octets(&self) -> u64 {
        let variable = match self {
            Self::Store { content, meta, .. } => content.inline.len() + meta.len(),
            Self::Update { update, .. } => update.len(),
            Self::Remove { .. } => 0,
        };
        u64::from(OPERATION_OVERHEAD) + variable as u64
    }
}

impl Job {
    /// Octets of its record, at most.
    pub fn octets(&self) -> u64 {
        u64::from(RECORD_HEADER) + 8 + self.steps.iter().map(Step::octets).sum::<u64>()
    }

    /// Whether it brings mail in, and so is refused first when space runs out.
    pub fn is_acceptance(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Store { .. }))
    }

    /// Whether it keeps to the limits of a record.
    pub fn fits(&self) -> bool {
        self.steps.len() <= TRANSACTION_OPERATIONS_MAX && self.octets() <= u64::from(TRANSACTION_OCTETS_MAX)
    }

    pub fn answer(self, result: Result<Vec<MessageId>, CommitError>) {
        if let Some(reply) = self.reply {
            // A caller that has gone away needs no answer.
            let _ = reply.send(result);
        }
    }
}
