//! One item on its way.

use envelope::MessageHead;
use queue::{Pending, RecipientState, SharedMessage};
use scheduler::Item;

/// The recipients of a message that travel together.
pub(crate) struct Parcel {
    pub(crate) item: Item,
    /// Shared with the other items of the message.
    pub(crate) stored: SharedMessage,
    /// Head as the next hop is to see it: with these recipients.
    pub(crate) head: MessageHead,
}

impl Parcel {
    /// What its recipients went through until now, those that have no end yet, by position.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (u32, Pending)> {
        self.item.recipients.as_slice().iter().filter_map(|at| match self.stored.state(*at)? {
            RecipientState::Pending(pending) => Some((*at, pending)),
            _ => None,
        })
    }
}
