//! The recipients that were remembered before this process began: read beside its start, which they would hold up, a second for some
//! hundred thousand. Until then what the directory says is enough, and whoever is asked while it is away waits for the rest of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use envelope::Address;
use organization::{Object, decode, encode};
use parking_lot::Mutex;
use tokio::sync::watch;
use topology::DirectoryRecipient;

use super::answers::Answers;
use super::notebook::Journal;

/// Begins a line about an address that has no recipient any more.
const GONE: &str = "gone ";
/// Recipients that are looked at in one piece, under the lock that mail needs.
const PIECE: usize = 256;

/// Whether the file was read.
#[derive(Clone)]
pub(super) struct Past(watch::Receiver<bool>);

impl Past {
    /// Reads `file` on a thread of its own; what `answers` has by then is newer.
    pub(super) fn read_beside(file: Arc<Journal>, answers: Arc<Mutex<Answers>>) -> Self {
        let (done, read) = watch::channel(false);
        let reading = move || {
            let mut all = remembered(&file.lines());
            let mut answers = answers.lock();
            all.take(std::mem::take(&mut *answers));
            *answers = all;
            drop(answers);
            done.send_replace(true);
        };
        if let Err(error) = std::thread::Builder::new().name("remembered".to_owned()).spawn(reading) {
            // The channel has ended: what is remembered counts as read, and is asked for again.
            tracing::error!(%error, "what was remembered of recipients is not read");
        }
        Self(read)
    }

    pub(super) fn is_read(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it was.
    pub(super) async fn read(&self) {
        // An error says that nobody reads it any more.
        drop(self.0.clone().wait_for(|read| *read).await);
    }
}

/// The line about a recipient.
pub(super) fn line_of(recipient: &DirectoryRecipient) -> Vec<u8> {
    encode(&Object::Recipient(Box::new(recipient.clone())))
}

/// The line about an address that has no recipient any more.
pub(super) fn gone(address: &Address) -> Vec<u8> {
    format!("{GONE}{}", address.key()).into_bytes()
}

/// Every recipient that is remembered, once.
pub(super) fn all_lines(answers: &Mutex<Answers>) -> Vec<Vec<u8>> {
    let (mut recipients, mut after) = (BTreeMap::new(), 0);
    loop {
        let piece = answers.lock().used_after(after, PIECE);
        let Some((last, _)) = piece.last() else { break };
        after = *last;
        recipients.extend(piece.into_iter().map(|(_, recipient)| (recipient.guid, recipient)));
    }
    recipients.values().map(|recipient| line_of(recipient)).collect()
}

fn remembered(lines: &[String]) -> Answers {
    let mut answers = Answers::default();
    for line in lines {
        if let Some(gone) = line.strip_prefix(GONE) {
            if let Ok(address) = Address::parse(gone) {
                answers.keep(&address, None, None);
            }
            continue;
        }
        match decode(line.as_bytes()) {
            Ok(Object::Recipient(recipient)) => {
                let recipient = Arc::new(*recipient);
                for address in recipient.addresses() {
                    answers.keep(address, Some(Arc::clone(&recipient)), None);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a remembered recipient cannot be read"),
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use envelope::ObjectName;
    use topology::{DeliveryRestrictions, RecipientKind};

    use super::*;
    use crate::last_good::answers::News;

    fn address(name: &str) -> Address {
        Address::parse(&format!("{name}@contoso.com")).unwrap()
    }

    fn recipient(name: &str, database: &str) -> DirectoryRecipient {
        DirectoryRecipient {
            guid: topology::Guid::derived("recipient", name),
            name: ObjectName::parse(name).unwrap(),
            primary_address: address(name),
            proxy_addresses: Vec::new(),
            max_receive_size: None,
            max_send_size: None,
            restrictions: DeliveryRestrictions::default(),
            kind: RecipientKind::Mailbox { database: ObjectName::parse(database).unwrap(), password: None },
            provenance: None,
        }
    }

    #[tokio::test]
    async fn what_was_answered_while_the_file_is_read_is_newer_than_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipients");
        let lines = ["moved", "left", "stayed"].map(|name| line_of(&recipient(name, "DB1")));
        std::fs::write(&path, lines.join(&b'\n')).unwrap();
        let answers = Arc::<Mutex<Answers>>::default();
        let moved = Arc::new(recipient("moved", "DB2"));
        let past = {
            let mut now = answers.lock();
            let past = Past::read_beside(Journal::at(path), Arc::clone(&answers));
            assert_eq!(now.keep(&address("moved"), Some(Arc::clone(&moved)), None), News::Recipient);
            assert_eq!(now.keep(&address("left"), None, None), News::Nothing);
            assert!(!past.is_read());
            past
        };
        past.read().await;
        assert!(past.is_read());
        let mut answers = answers.lock();
        assert_eq!(answers.get(&address("moved")), Some(Some(Arc::clone(&moved))));
        assert_eq!(answers.get(&address("left")), Some(None));
        assert_eq!(answers.get(&address("stayed")), Some(Some(Arc::new(recipient("stayed", "DB1")))));
        // Of those who go first the ones from the file are the first.
        let order: Vec<_> = answers.used_after(0, 9).into_iter().map(|(_, one)| one.name.to_string()).collect();
        assert_eq!(order, ["stayed", "moved"]);
    }
}
