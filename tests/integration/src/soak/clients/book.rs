//! [`Book`]: what attackers may expect to arrive. What is not in it may not.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::ledger::Copy;
use crate::test_message;

/// Every attacker's `Message-ID` ends so.
pub(super) const MARK: &str = "@evil.example>";

/// What became of a message, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Arrives once.
    Acknowledged,
    /// Its sender had no answer to the end of it: may arrive once.
    Unknown,
}

/// Messages and what their senders were told.
#[derive(Default)]
pub(super) struct Book {
    fates: Mutex<HashMap<Copy, Fate>>,
    /// How many replies of each class there were, and how many sessions of each kind.
    counts: Mutex<BTreeMap<String, usize>>,
}

impl Book {
    /// Notes what became of a message to a mailbox. An acknowledgement counts more.
    pub(super) fn note(&self, id: &str, to: &str, fate: Fate) {
        let mut fates = self.fates.lock();
        let noted = fates.entry((id.to_owned(), to.to_owned())).or_insert(fate);
        if fate == Fate::Acknowledged {
            *noted = fate;
        }
    }

    /// Counts something.
    pub(super) fn count(&self, what: &str) {
        *self.counts.lock().entry(what.to_owned()).or_default() += 1;
    }

    /// What was counted.
    pub(super) fn counted(&self) -> String {
        let counts = self.counts.lock();
        counts.iter().map(|(what, times)| format!("{times} {what}")).collect::<Vec<_>>().join(", ")
    }

    /// How many were acknowledged, and how many nobody knows about.
    pub(super) fn totals(&self) -> (usize, usize) {
        let fates = self.fates.lock();
        let acknowledged = fates.values().filter(|fate| **fate == Fate::Acknowledged).count();
        (acknowledged, fates.len() - acknowledged)
    }

    /// Acknowledged messages that are not there yet.
    pub(super) fn missing(&self, arrived: &HashMap<Copy, usize>) -> Vec<Copy> {
        let fates = self.fates.lock();
        let missing = |(copy, fate): &(&Copy, &Fate)| **fate == Fate::Acknowledged && !arrived.contains_key(*copy);
        fates.iter().filter(missing).map(|(copy, _)| copy.clone()).collect()
    }

    /// Messages that are there although they may not be, or more than once. Those of the others are not looked at.
    pub(super) fn intruders(&self, arrived: &HashMap<Copy, usize>) -> Vec<(Copy, usize)> {
        let fates = self.fates.lock();
        let honest = test_message("honest@tailspin.example", "anna@contoso.example").message_id();
        let (_, honest) = honest.split_once('@').unwrap();
        let others = arrived.iter().filter(|((id, _), _)| !id.ends_with(honest));
        let wrong = others.filter(|(copy, times)| !fates.contains_key(*copy) || **times > 1);
        wrong.map(|(copy, times)| (copy.clone(), *times)).collect()
    }
}
