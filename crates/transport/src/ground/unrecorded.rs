//! Outcomes that are known and not written down: the spool was full, or the sender was told of others a moment ago. Kept by
//! message, since what is written down of one takes along what waits of the same message.

use std::collections::{BTreeMap, HashMap};

use envelope::MessageId;
use parking_lot::Mutex;
use queue::StoredMessage;
use scheduler::ItemId;

use super::fate::Fate;

/// What became of an item.
pub(crate) struct Outcome {
    pub(crate) stored: StoredMessage,
    pub(crate) fates: Vec<Fate>,
}

/// What other items of a message have to write down.
type Others = Vec<(ItemId, Vec<Fate>)>;

/// Outcomes by message and item.
#[derive(Default)]
pub(crate) struct Unrecorded(Mutex<HashMap<MessageId, BTreeMap<ItemId, Outcome>>>);

impl Unrecorded {
    /// Keeps an outcome until it can be written down.
    pub(crate) fn keep(&self, item: ItemId, outcome: Outcome) {
        self.0.lock().entry(outcome.stored.head.id).or_default().insert(item, outcome);
    }

    /// Takes the outcome of an item, and what others of the message have to write down: they have nothing left then.
    pub(crate) fn take(&self, message: MessageId, item: ItemId) -> Option<(Outcome, Others)> {
        let mut all = self.0.lock();
        let items = all.get_mut(&message)?;
        let outcome = items.remove(&item)?;
        let others = items.iter_mut().map(|(item, other)| (*item, std::mem::take(&mut other.fates))).collect();
        if items.is_empty() {
            all.remove(&message);
        }
        Some((outcome, others))
    }

    /// Gives back what was taken from others.
    pub(crate) fn fill(&self, message: MessageId, others: Others) {
        let mut all = self.0.lock();
        let Some(items) = all.get_mut(&message) else { return };
        for (item, fates) in others {
            if let Some(outcome) = items.get_mut(&item) {
                outcome.fates = fates;
            }
        }
    }
}
