//! What a delivery queue holds: a message id and which of its recipients go this way.

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

/// One message in one delivery queue. About fifty octets: a million of them fit where content would not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which message.
    pub message: MessageId,
    /// Which of its recipients.
    pub recipients: RecipientIndexes,
    /// When this server accepted it; late and expired are counted from here (QU-43).
    pub arrived: Timestamp,
    /// The sender has been told that it is late (DS-20: once).
    pub delay_reported: bool,
    /// Times that a connected peer deferred it.
    pub deferrals: u16,
    /// The configuration by which its next hop was decided; zero as long as none has.
    pub decided: Revision,
}
