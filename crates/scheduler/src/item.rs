//! What the ledger holds: which recipients of which message, and who may act upon them.

use std::fmt;

use envelope::{MessageId, Revision, Timestamp};

/// Positions of recipients in the stored envelope. One recipient, the usual case, needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientIndexes {
    /// Exactly this one.
    One(u32),
    /// Several, ascending.
    Many(Box<[u32]>),
}

impl RecipientIndexes {
    /// From ascending positions; `None` when there are none.
    #[must_use]
    pub fn new(indexes: &[u32]) -> Option<Self> {
        match indexes {
            [] => None,
            [one] => Some(Self::One(*one)),
            many => Some(Self::Many(many.into())),
        }
    }

    /// The positions, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// One item, for as long as it exists. Counted up: among items of one age the lower came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub(crate) u64);

/// The message integer: given when a message comes to this server, and the same in all its queues and after restarts (QU-24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(pub(crate) u64);

impl MessageNumber {
    /// As it is stored, or as an administrator wrote it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// As an administrator reads it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The queue integer: counted up as queues come into being, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub(crate) u64);

impl QueueId {
    /// What has been accepted and not categorized.
    pub const SUBMISSION: Self = Self(0);
    /// What has no route (QU-10).
    pub const UNREACHABLE: Self = Self(1);
    /// What did harm (QU-13).
    pub const POISON: Self = Self(2);

    /// As an administrator wrote it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// As an administrator reads it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whether it is the queue of a next hop.
    #[must_use]
    pub const fn is_delivery(self) -> bool {
        self.0 > Self::POISON.0
    }
}

/// One message, or those of its recipients that share a way. About fifty octets: a million of them fit where content would
/// not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which message.
    pub message: MessageId,
    /// Its number on this server: another one for every message.
    pub number: MessageNumber,
    /// Which of its recipients.
    pub recipients: RecipientIndexes,
    /// When this server accepted it; late and expired are counted from here (QU-43).
    pub arrived: Timestamp,
    /// The sender has been told that it is late (DS-20: once).
    pub delay_reported: bool,
    /// Times that a connected peer deferred it or went away with it.
    pub deferrals: u16,
    /// Times that processing it failed by a fault of this program (QU-13).
    pub crashes: u8,
    /// An administrator has suspended it: it waits in whichever queue it comes to.
    pub suspended: bool,
    /// The configuration by which its next hop was decided; zero as long as none has.
    pub decided: Revision,
}

/// An item that somebody works at. There is one for each item in hands, and it can only be given back to the ledger: there
/// is no other way for an item to be done with.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an item in hands is given back to the ledger: finished, put back or deferred"]
pub struct InHands {
    pub(crate) id: ItemId,
    pub(crate) queue: QueueId,
    /// The ledger's configuration when it was handed out.
    pub(crate) since: Revision,
    /// What it stands for. Changes come into effect when it is given back.
    pub item: Item,
}

impl InHands {
    /// Which item.
    #[must_use]
    pub fn id(&self) -> ItemId {
        self.id
    }

    /// Its message's number.
    #[must_use]
    pub fn number(&self) -> MessageNumber {
        self.item.number
    }

    /// The queue that it was taken from.
    #[must_use]
    pub fn queue(&self) -> QueueId {
        self.queue
    }
}
