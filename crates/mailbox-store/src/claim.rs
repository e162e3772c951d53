//! Messages of outboxes in hand: nobody is offered one twice at the same time.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::mailbox::MailboxName;

/// A mailbox: database by its place in the list given to [`OutboxWatch::start`], and name.
pub(crate) type Key = (usize, MailboxName);

/// Messages in hand: mailbox and name of the file without flags.
pub(crate) type InHand = Mutex<HashSet<(Key, String)>>;

/// The right to handle a message of an outbox; dropping it gives the message back.
#[derive(Debug)]
pub(crate) struct Claim {
    in_hand: Arc<InHand>,
    entry: (Key, String),
    /// Tells this file from another one of the same name.
    file: String,
}

impl Claim {
    /// Claims a message, unless somebody has it in hand.
    pub(crate) fn new(in_hand: &Arc<InHand>, entry: (Key, String), metadata: &Metadata) -> Option<Self> {
        let claimed = in_hand.lock().insert(entry.clone());
        claimed.then(|| Self { in_hand: Arc::clone(in_hand), entry, file: identity(metadata) })
    }

    pub(crate) const fn mailbox(&self) -> &MailboxName {
        &self.entry.0.1
    }

    /// Name without flags.
    pub(crate) fn file_name(&self) -> &str {
        &self.entry.1
    }

    /// Which file it was when it was claimed.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }
}

/// What stays the same while a file is renamed, and differs from that of every other file that had its name: the inode of a
/// message that was sent is still in use, in `Sent`.
pub(crate) fn identity(metadata: &Metadata) -> String {
    format!("{}.{}.{}.{}", metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_hand.lock().remove(&self.entry);
    }
}
