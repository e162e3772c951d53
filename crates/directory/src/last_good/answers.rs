//! The last answers about recipients, bounded: the one that was used longest ago goes first.

use std::collections::{BTreeMap, HashMap};

use envelope::{Address, ObjectName};
use organization::Object;
use topology::{DirectoryRecipient, Guid};

/// Answers kept, "there is none" among them; some 50 MB with large groups apart.
const ANSWERS_MAX: usize = 50_000;

/// Answers by address.
#[derive(Default)]
pub(super) struct Answers {
    known: HashMap<String, (u64, Option<DirectoryRecipient>)>,
    /// The address under which a recipient is known, by the recipient's name.
    names: BTreeMap<ObjectName, String>,
    /// Addresses by when they were last used.
    used: BTreeMap<u64, String>,
    clock: u64,
}

impl Answers {
    /// Remembers an answer. Tells whether it is another one than before.
    pub fn keep(&mut self, address: &Address, answer: Option<DirectoryRecipient>) -> bool {
        let key = address.key();
        self.clock += 1;
        if let Some(recipient) = &answer {
            self.names.insert(recipient.name.clone(), key.clone());
        }
        let news = self.known.get(&key).is_none_or(|(_, known)| *known != answer);
        if let Some((used, _)) = self.known.insert(key.clone(), (self.clock, answer)) {
            self.used.remove(&used);
        }
        self.used.insert(self.clock, key);
        if self.known.len() > ANSWERS_MAX
            && let Some((_, oldest)) = self.used.pop_first()
            && let Some((_, Some(recipient))) = self.known.remove(&oldest)
            && self.names.get(&recipient.name) == Some(&oldest)
        {
            self.names.remove(&recipient.name);
        }
        news
    }

    /// Every recipient that is known, once.
    pub fn recipients(&self) -> impl Iterator<Item = Object> {
        let found = self.known.values().filter_map(|(_, answer)| answer.as_ref());
        let once: BTreeMap<Guid, &DirectoryRecipient> = found.map(|recipient| (recipient.guid, recipient)).collect();
        once.into_values().map(|recipient| Object::Recipient(Box::new(recipient.clone())))
    }

    /// The last answer: `None` when it is not known, `Some(None)` when there was no such recipient.
    pub fn get(&mut self, address: &Address) -> Option<Option<DirectoryRecipient>> {
        let answer = self.known.get(&address.key())?.1.clone();
        self.keep(address, answer.clone());
        Some(answer)
    }

    /// The recipient of a name, when it is known.
    pub fn named(&mut self, name: &ObjectName) -> Option<DirectoryRecipient> {
        let key = self.names.get(name)?;
        let recipient = self.known.get(key)?.1.clone().filter(|recipient| recipient.name == *name)?;
        self.keep(&recipient.primary_address, Some(recipient.clone()));
        Some(recipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_answer_goes_first() {
        let address = |number: usize| Address::parse(&format!("u{number}@contoso.com")).unwrap();
        let mut answers = Answers::default();
        assert!((0..ANSWERS_MAX).all(|number| answers.keep(&address(number), None)), "all are news");
        assert_eq!(answers.get(&address(0)), Some(None));
        answers.keep(&address(ANSWERS_MAX), None);
        assert_eq!((answers.get(&address(0)), answers.get(&address(1))), (Some(None), None));
        assert_eq!((answers.known.len(), answers.used.len()), (ANSWERS_MAX, ANSWERS_MAX));
    }
}
