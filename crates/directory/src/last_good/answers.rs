//! The last answers about recipients, bounded: the one that was used longest ago goes first. Who there is and who there is not
//! are remembered apart, so that names that somebody guesses never push a recipient out.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use envelope::{Address, ObjectName};
use topology::DirectoryRecipient;

use crate::directory::StateToken;

/// Recipients kept, by address: a kilobyte each, large groups apart. More than nearly any server has mail for: one that has to be
/// asked for costs some 50 µs of the processor in a file, and a request in etcd (`size_bench`).
const RECIPIENTS_MAX: usize = 200_000;
/// Addresses kept that nobody has.
const NOBODIES_MAX: usize = 10_000;

/// Answers by address.
#[derive(Default)]
pub(super) struct Answers {
    recipients: Lately<Arc<DirectoryRecipient>>,
    nobodies: Lately<()>,
    /// The address under which a recipient is known, by the recipient's name.
    names: BTreeMap<ObjectName, String>,
}

/// What an answer changes of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing, or only who is not there.
    Nothing,
    /// A recipient, or what is known of it.
    Recipient,
    /// There was a recipient, and is none any more.
    Gone,
}

impl Answers {
    /// Remembers an answer, and the state that was known before it was asked for. Tells what of it is new.
    pub(super) fn keep(&mut self, address: &Address, answer: Option<Arc<DirectoryRecipient>>, as_of: AsOf) -> News {
        match answer {
            None => self.keep_nobody(address.key(), as_of),
            Some(recipient) => self.keep_recipient(address.key(), recipient, as_of),
        }
    }

    fn keep_nobody(&mut self, key: String, as_of: AsOf) -> News {
        let gone = self.recipients.remove(&key);
        self.nobodies.keep(key, (), as_of, NOBODIES_MAX);
        if gone { News::Gone } else { News::Nothing }
    }

    fn keep_recipient(&mut self, key: String, recipient: Arc<DirectoryRecipient>, as_of: AsOf) -> News {
        self.nobodies.remove(&key);
        self.names.insert(recipient.name.clone(), key.clone());
        let (news, displaced) = self.recipients.keep(key, recipient, as_of, RECIPIENTS_MAX);
        if let Some((oldest, recipient)) = displaced
            && self.names.get(&recipient.name) == Some(&oldest)
        {
            self.names.remove(&recipient.name);
        }
        if news { News::Recipient } else { News::Nothing }
    }

    /// Takes what was answered since these were.
    pub(super) fn take(&mut self, newer: Self) {
        for (key, known) in newer.nobodies.in_order() {
            self.keep_nobody(key, known.as_of);
        }
        for (key, known) in newer.recipients.in_order() {
            self.keep_recipient(key, known.value, known.as_of);
        }
    }

    /// How many recipients are known, each as often as it has addresses that were asked for.
    pub(super) fn count(&self) -> usize {
        self.recipients.known.len()
    }

    /// Up to `limit` recipients that were used after that one, the one that was used longest ago first, each with the number by which
    /// to go on. Whoever goes on until none is left has met every recipient: those that are used meanwhile come at the end again.
    pub(super) fn used_after(&self, after: u64, limit: usize) -> Vec<(u64, Arc<DirectoryRecipient>)> {
        let used = self.recipients.used.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        used.filter_map(|(used, key)| Some((*used, Arc::clone(&self.recipients.known.get(key)?.value)))).collect()
    }

    /// The last answer: `None` when it is not known, `Some(None)` when there was no such recipient.
    pub(super) fn get(&mut self, address: &Address) -> Option<Option<Arc<DirectoryRecipient>>> {
        self.get_by_key(&address.key())
    }

    /// The last answer, if it is of `state`.
    pub(super) fn get_as_of(
        &mut self,
        address: &Address,
        state: StateToken,
    ) -> Option<Option<Arc<DirectoryRecipient>>> {
        let key = address.key();
        let as_of = self.recipients.as_of(&key).or_else(|| self.nobodies.as_of(&key));
        if as_of == Some(state) { self.get_by_key(&key) } else { None }
    }

    fn get_by_key(&mut self, key: &str) -> Option<Option<Arc<DirectoryRecipient>>> {
        self.recipients.get(key).map(Some).or_else(|| self.nobodies.get(key).map(|()| None))
    }

    /// The recipient of a name, when it is known.
    pub(super) fn named(&mut self, name: &ObjectName) -> Option<Arc<DirectoryRecipient>> {
        let key = self.names.get(name)?;
        self.recipients.get(key).filter(|recipient| recipient.name == *name)
    }
}

/// The state in which an answer is known to be so; nothing where none was known.
pub(super) type AsOf = Option<StateToken>;

/// Values by address, and the addresses by when they were last used.
struct Lately<T> {
    known: HashMap<String, Known<T>>,
    used: BTreeMap<u64, String>,
    clock: u64,
}

struct Known<T> {
    used: u64,
    as_of: AsOf,
    value: T,
}

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), used: BTreeMap::new(), clock: 0 }
    }
}

impl<T: Clone + PartialEq> Lately<T> {
    /// Whether it is another value than before, and what had to go for it.
    fn keep(&mut self, key: String, value: T, as_of: AsOf, most: usize) -> (bool, Option<(String, T)>) {
        self.clock += 1;
        let news = self.known.get(&key).is_none_or(|known| known.value != value);
        if let Some(before) = self.known.insert(key.clone(), Known { used: self.clock, as_of, value }) {
            self.used.remove(&before.used);
        }
        self.used.insert(self.clock, key);
        (news, if self.known.len() > most { self.remove_oldest() } else { None })
    }

    /// All, the one that was used longest ago first.
    fn in_order(mut self) -> impl Iterator<Item = (String, Known<T>)> {
        self.used.into_values().filter_map(move |key| self.known.remove_entry(&key))
    }

    fn as_of(&self, key: &str) -> AsOf {
        self.known.get(key)?.as_of
    }

    fn get(&mut self, key: &str) -> Option<T> {
        let count = self.known.len() as u64;
        let known = self.known.get_mut(key)?;
        // What was used lately stays where it is: it is far from the end at which values go.
        if self.clock - known.used <= count / 2 {
            return Some(known.value.clone());
        }
        self.clock += 1;
        let key = self.used.remove(&known.used)?;
        known.used = self.clock;
        self.used.insert(self.clock, key);
        Some(known.value.clone())
    }

    fn remove(&mut self, key: &str) -> bool {
        let removed = self.known.remove(key);
        removed.is_some_and(|known| self.used.remove(&known.used).is_some())
    }

    fn remove_oldest(&mut self) -> Option<(String, T)> {
        let (_, oldest) = self.used.pop_first()?;
        let known = self.known.remove(&oldest)?;
        Some((oldest, known.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use topology::{DeliveryRestrictions, RecipientKind};

    fn address(number: usize) -> Address {
        Address::parse(&format!("u{number}@contoso.com")).unwrap()
    }

    fn recipient(number: usize) -> Arc<DirectoryRecipient> {
        Arc::new(DirectoryRecipient {
            guid: topology::Guid::ZERO,
            name: ObjectName::parse(&format!("u{number}")).unwrap(),
            primary_address: address(number),
            proxy_addresses: Vec::new(),
            max_receive_size: None,
            max_send_size: None,
            restrictions: DeliveryRestrictions::default(),
            kind: RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: None },
            provenance: None,
        })
    }

    #[test]
    fn the_longest_unused_answer_goes_first() {
        let mut answers = Answers::default();
        (0..NOBODIES_MAX).for_each(|number| assert_eq!(answers.keep(&address(number), None, None), News::Nothing));
        assert_eq!(answers.get(&address(0)), Some(None));
        answers.keep(&address(NOBODIES_MAX), None, None);
        assert_eq!((answers.get(&address(0)), answers.get(&address(1))), (Some(None), None));
        assert_eq!((answers.nobodies.known.len(), answers.nobodies.used.len()), (NOBODIES_MAX, NOBODIES_MAX));
    }

    #[test]
    fn names_that_are_guessed_displace_nobody() {
        let mut answers = Answers::default();
        answers.keep(&address(1), Some(recipient(1)), None);
        for number in 2..NOBODIES_MAX * 7 {
            answers.keep(&address(number), None, None);
        }
        assert_eq!(answers.get(&address(1)), Some(Some(recipient(1))));
        assert_eq!(answers.named(&recipient(1).name), Some(recipient(1)));
        // What there was and is no more.
        assert_eq!(answers.keep(&address(1), None, None), News::Gone);
        assert_eq!((answers.get(&address(1)), answers.named(&recipient(1).name)), (Some(None), None));
        assert_eq!(answers.keep(&address(1), Some(recipient(1)), None), News::Recipient);
        assert_eq!(answers.keep(&address(1), Some(recipient(1)), None), News::Nothing);
        assert_eq!(answers.count(), 1);
    }

    #[test]
    fn whoever_goes_through_all_in_pieces_meets_each_although_they_are_used_meanwhile() {
        let mut answers = Answers::default();
        (0..100).for_each(|number| {
            let _ = answers.keep(&address(number), Some(recipient(number)), None);
        });
        let (mut after, mut met) = (0, std::collections::BTreeSet::new());
        loop {
            let piece = answers.used_after(after, 7);
            let Some((last, _)) = piece.last() else { break };
            after = *last;
            met.extend(piece.iter().map(|(_, recipient)| recipient.name.clone()));
            if met.len() < 50 {
                answers.get(&address(99 - met.len()));
            }
        }
        assert_eq!(met.len(), 100);
    }
}
