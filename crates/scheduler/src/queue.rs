//! What every queue has, of a next hop or not: its items, each on one shelf, and whether an administrator stopped it.

use std::collections::BTreeSet;
use std::sync::Arc;

use envelope::Timestamp;

use crate::item::{ItemId, QueueId};
use crate::rate::Rate;

/// Order of items: by time, then as they came.
pub(crate) type Order = (Timestamp, ItemId);

/// Where one item is. It is in exactly one of these at any time (invariant 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for its turn.
    Ready(QueueId),
    /// The same, in the Submission queue's lane for what was decided before.
    Again,
    /// It waits for that time.
    Deferred(QueueId, Timestamp),
    /// An administrator stopped it, or it is poison.
    Suspended(QueueId),
    /// Somebody works at it.
    InHands(QueueId),
    /// What became of it is known, and could not be written down; that is tried again at that time.
    Unrecorded(Timestamp),
}

impl Stage {
    /// The queue in which an administrator finds it.
    pub(crate) fn queue(self) -> QueueId {
        match self {
            Self::Ready(queue) | Self::Deferred(queue, _) | Self::Suspended(queue) | Self::InHands(queue) => queue,
            Self::Again | Self::Unrecorded(_) => QueueId::SUBMISSION,
        }
    }

    /// Whether mail that stands there grows late and expires: not what somebody works at, nor poison (QU-14, QU-46).
    pub(crate) fn ages(self) -> bool {
        match self {
            Self::Ready(_) | Self::Again | Self::Deferred(..) => true,
            Self::Suspended(queue) => queue != QueueId::POISON,
            Self::InHands(_) | Self::Unrecorded(_) => false,
        }
    }
}

/// The items of a queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Oldest first.
    pub(crate) ready: BTreeSet<Order>,
    /// By the time at which they become due.
    pub(crate) deferred: BTreeSet<Order>,
    pub(crate) suspended: BTreeSet<ItemId>,
    pub(crate) in_hands: usize,
    /// An administrator stopped the queue: nothing leaves it (QU-27).
    pub(crate) is_suspended: bool,
    pub(crate) last_error: Option<Arc<str>>,
    pub(crate) incoming: Rate,
    pub(crate) outgoing: Rate,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.deferred.len() + self.suspended.len() + self.in_hands
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.deferred.first().map(|(due, _)| *due)
    }
}
