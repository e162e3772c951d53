//! The last answers about recipients, bounded: the one that was used longest ago goes first. Who there is and who there is not
//! are remembered apart, so that names that somebody guesses never push a recipient out.

use std::collections::{BTreeMap, HashMap};

use envelope::{Address, ObjectName};
use organization::Object;
use topology::{DirectoryRecipient, Guid};

/// Recipients kept, by address; some 50 MB with large groups apart.
const RECIPIENTS_MAX: usize = 50_000;
/// Addresses kept that nobody has.
const NOBODIES_MAX: usize = 10_000;

/// Answers by address.
#[derive(Default)]
pub(super) struct Answers {
    recipients: Lately<DirectoryRecipient>,
    nobodies: Lately<()>,
    /// The address under which a recipient is known, by the recipient's name.
    names: BTreeMap<ObjectName, String>,
}

impl Answers {
    /// Remembers an answer. Tells whether it is another one than before.
    pub fn keep(&mut self, address: &Address, answer: Option<DirectoryRecipient>) -> bool {
        let key = address.key();
        let Some(recipient) = answer else {
            self.recipients.remove(&key);
            return self.nobodies.keep(key, (), NOBODIES_MAX).0;
        };
        self.nobodies.remove(&key);
        self.names.insert(recipient.name.clone(), key.clone());
        let (news, displaced) = self.recipients.keep(key, recipient, RECIPIENTS_MAX);
        if let Some((oldest, recipient)) = displaced
            && self.names.get(&recipient.name) == Some(&oldest)
        {
            self.names.remove(&recipient.name);
        }
        news
    }

    /// Every recipient that is known, once.
    pub fn recipients(&self) -> impl Iterator<Item = Object> {
        let found = self.recipients.known.values().map(|(_, recipient)| recipient);
        let once: BTreeMap<Guid, &DirectoryRecipient> = found.map(|recipient| (recipient.guid, recipient)).collect();
        once.into_values().map(|recipient| Object::Recipient(Box::new(recipient.clone())))
    }

    /// The last answer: `None` when it is not known, `Some(None)` when there was no such recipient.
    pub fn get(&mut self, address: &Address) -> Option<Option<DirectoryRecipient>> {
        let key = address.key();
        self.recipients.get(&key).map(Some).or_else(|| self.nobodies.get(&key).map(|()| None))
    }

    /// The recipient of a name, when it is known.
    pub fn named(&mut self, name: &ObjectName) -> Option<DirectoryRecipient> {
        let key = self.names.get(name)?;
        self.recipients.get(key).filter(|recipient| recipient.name == *name)
    }
}

/// Values by address, and the addresses by when they were last used.
struct Lately<T> {
    known: HashMap<String, (u64, T)>,
    used: BTreeMap<u64, String>,
    clock: u64,
}

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), used: BTreeMap::new(), clock: 0 }
    }
}

impl<T: Clone + PartialEq> Lately<T> {
    /// Whether it is another value than before, and what had to go for it.
    fn keep(&mut self, key: String, value: T, most: usize) -> (bool, Option<(String, T)>) {
        self.clock += 1;
        let news = self.known.get(&key).is_none_or(|(_, known)| *known != value);
        if let Some((used, _)) = self.known.insert(key.clone(), (self.clock, value)) {
            self.used.remove(&used);
        }
        self.used.insert(self.clock, key);
        (news, if self.known.len() > most { self.remove_oldest() } else { None })
    }

    fn get(&mut self, key: &str) -> Option<T> {
        let (used, value) = self.known.get_mut(key)?;
        self.clock += 1;
        let key = self.used.remove(used)?;
        *used = self.clock;
        self.used.insert(self.clock, key);
        Some(value.clone())
    }

    fn remove(&mut self, key: &str) {
        if let Some((used, _)) = self.known.remove(key) {
            self.used.remove(&used);
        }
    }

    fn remove_oldest(&mut self) -> Option<(String, T)> {
        let (_, oldest) = self.used.pop_first()?;
        let (_, value) = self.known.remove(&oldest)?;
        Some((oldest, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use topology::{DeliveryRestrictions, RecipientKind};

    fn address(number: usize) -> Address {
        Address::parse(&format!("u{number}@contoso.com")).unwrap()
    }

    fn recipient(number: usize) -> DirectoryRecipient {
        DirectoryRecipient {
            guid: Guid::ZERO,
            name: ObjectName::parse(&format!("u{number}")).unwrap(),
            primary_address: address(number),
            proxy_addresses: Vec::new(),
            max_receive_size: None,
            max_send_size: None,
            restrictions: DeliveryRestrictions::default(),
            kind: RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: None },
        }
    }

    #[test]
    fn the_longest_unused_answer_goes_first() {
        let mut answers = Answers::default();
        assert!((0..NOBODIES_MAX).all(|number| answers.keep(&address(number), None)), "all are news");
        assert_eq!(answers.get(&address(0)), Some(None));
        answers.keep(&address(NOBODIES_MAX), None);
        assert_eq!((answers.get(&address(0)), answers.get(&address(1))), (Some(None), None));
        assert_eq!((answers.nobodies.known.len(), answers.nobodies.used.len()), (NOBODIES_MAX, NOBODIES_MAX));
    }

    #[test]
    fn names_that_are_guessed_displace_nobody() {
        let mut answers = Answers::default();
        answers.keep(&address(1), Some(recipient(1)));
        for number in 2..NOBODIES_MAX * 7 {
            answers.keep(&address(number), None);
        }
        assert_eq!(answers.get(&address(1)), Some(Some(recipient(1))));
        assert_eq!(answers.named(&recipient(1).name), Some(recipient(1)));
        // What there was and is no more.
        assert!(answers.keep(&address(1), None));
        assert_eq!((answers.get(&address(1)), answers.named(&recipient(1).name)), (Some(None), None));
        assert!(answers.keep(&address(1), Some(recipient(1))) && !answers.keep(&address(1), Some(recipient(1))));
        assert_eq!(answers.recipients().count(), 1);
    }
}
