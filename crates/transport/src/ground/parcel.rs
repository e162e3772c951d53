//! One item on its way.

use envelope::MessageHead;
use queue::StoredMessage;
use scheduler::Item;

/// The recipients of a message that travel together.
pub(crate) struct Parcel {
    pub(crate) item: Item,
    pub(crate) stored: StoredMessage,
    /// Head as the next hop is to see it: with these recipients.
    pub(crate) head: MessageHead,
}
