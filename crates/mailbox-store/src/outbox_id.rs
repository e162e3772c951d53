//! Under which id a message of an outbox is submitted: the same on every attempt, also on the server that its database moved to.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::Path;

use envelope::MessageId;
use uuid::Uuid;

use crate::claim;
use crate::mailbox::{Folder, MailboxName, split_flags};

/// In the folder of a database that came from another server.
pub(crate) const OUTBOX_IDS: &str = ".outbox-ids";
/// Namespace of message ids that come from outboxes (a random UUID, fixed forever).
const OUTBOX_NAMESPACE: Uuid = Uuid::from_u128(0x2f6a_5d0e_9c3b_4e17_8a41_b7c2_60de_94f3);

/// The id of a message: by its name and the file that it is, or the one that it had on the server that its database came from.
pub(crate) fn id(brought: &Brought, mailbox: &MailboxName, name: &str, file: &str) -> MessageId {
    let at = format!("{mailbox}/{name}");
    match brought.get(&at) {
        Some((known, id)) if known == file => *id,
        _ => MessageId::from_uuid(Uuid::new_v5(&OUTBOX_NAMESPACE, format!("{at}/{file}").as_bytes())),
    }
}

/// The id of the file at `path` below a database, if it is a message of an outbox.
pub(crate) fn id_of(brought: &Brought, path: &Path, metadata: &Metadata) -> Option<MessageId> {
    let at = known_as(path)?;
    let (mailbox, name) = at.split_once('/')?;
    let mailbox = MailboxName::parse(mailbox).ok()?;
    Some(id(brought, &mailbox, name, &claim::identity(metadata)))
}

/// `mailbox/name`, without flags, of a message of an outbox.
fn known_as(path: &Path) -> Option<String> {
    let mailbox = path.components().next()?.as_os_str();
    let folder = path.parent()?;
    let outbox = Folder::Outbox.within(Path::new(mailbox));
    let waits = ["new", "cur"].iter().any(|part| outbox.join(part) == folder);
    let name = split_flags(path.file_name()?.to_str()?).0;
    waits.then(|| Some(format!("{}/{name}", mailbox.to_str()?)))?
}

/// Ids of messages that waited in outboxes when their database came: by path without flags, with the file that it was.
pub(crate) type Brought = HashMap<String, (String, MessageId)>;

/// Those of the database in `root`.
pub(crate) fn brought(root: &Path) -> Brought {
    let text = fs::read_to_string(root.join(OUTBOX_IDS)).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (id, file, path) = (words.next()?, words.next()?, words.next()?);
        let id = MessageId::from_uuid(id.parse().ok()?);
        Some((known_as(Path::new(path))?, (file.to_owned(), id)))
    };
    text.lines().filter_map(line).collect()
}
