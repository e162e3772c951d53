//! One item on its way.

use std::sync::Arc;

use envelope::MessageHead;
use queue::StoredMessage;
use scheduler::Item;

/// The recipients of a message that travel together.
pub(crate) struct Parcel {
    pub(crate) item: Item,
    /// Shared with the other items of the message.
    pub(crate) stored: Arc<StoredMessage>,
    /// Head as the next hop is to see it: with these recipients.
    pub(crate) head: MessageHead,
}
