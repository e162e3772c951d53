//! What a delivery is known by, on every attempt and after every restart.

use envelope::{Address, MessageId};
use uuid::Uuid;

use crate::mailbox::split_flags;

/// End of the file name of a delivered message; stands where Maildir has the host name, so that names stay the same
/// when a database moves to another server.
const NAME_END: &str = "postroad";

/// One recipient's copy of one message: delivered at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    key: Uuid,
    accepted_secs: u64,
}

impl DeliveryId {
    /// The delivery of `message` to `recipient`.
    #[must_use]
    pub fn new(message: MessageId, recipient: &Address) -> Self {
        let message = Uuid::from_bytes(*message.as_bytes());
        let accepted_secs = message.get_timestamp().map_or(0, |timestamp| timestamp.to_unix().0);
        Self { key: Uuid::new_v5(&message, recipient.key().as_bytes()), accepted_secs }
    }

    /// What tells it from every other.
    pub(crate) const fn key(self) -> Uuid {
        self.key
    }

    /// Name in the mailbox. The time in front is for mail readers, which sort by it.
    pub(crate) fn file_name(self) -> String {
        format!("{}.{}.{NAME_END}", self.accepted_secs, self.key)
    }

    /// Time and key of the delivery that a file in `new` or `cur` comes from.
    pub(crate) fn from_file_name(name: &str) -> Option<(u64, Uuid)> {
        let mut parts = split_flags(name).0.split('.');
        let (seconds, key, end) = (parts.next()?, parts.next()?, parts.next()?);
        if end != NAME_END || parts.next().is_some() {
            return None;
        }
        Some((seconds.parse().ok()?, key.parse().ok()?))
    }
}

/// What came of a delivery. Both mean that the message is in the mailbox, durably, or has been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Put there now.
    Delivered,
    /// This delivery had been made before.
    AlreadyDelivered,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_tell_time_and_key() {
        let message = Uuid::parse_str("0192b3c4-0000-7000-8000-000000000001").unwrap();
        let id = DeliveryId::new(MessageId::from_uuid(message), &Address::parse("ann@contoso.com").unwrap());
        assert_ne!(id.accepted_secs, 0);
        for flags in ["", ":2,", ":2,FS"] {
            let file_name = format!("{}{flags}", id.file_name());
            assert_eq!(DeliveryId::from_file_name(&file_name), Some((id.accepted_secs, id.key)));
        }
        for other in ["", "1.2.postroad", "1700000000.M1P2.host:2,S", "a.b.c.d"] {
            assert_eq!(DeliveryId::from_file_name(other), None);
        }
    }
}
