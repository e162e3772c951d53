//! What failed here and was not told yet, to anybody or to one that is slow. Pure, and bounded: of too much the oldest is not told.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

use rpc::logons::{FAILURES_MAX, TOLD_MAX};
use rpc::{AccountDigest, FailedLogons};

/// Failed logons by account and by network.
#[derive(Debug, Default)]
pub(crate) struct News {
    accounts: Waiting<AccountDigest>,
    networks: Waiting<IpAddr>,
}

impl News {
    /// One more.
    pub(crate) fn note(&mut self, account: AccountDigest, network: Option<IpAddr>) {
        self.accounts.note(account, 1);
        if let Some(network) = network {
            self.networks.note(network, 1);
        }
    }

    /// All of this, too.
    pub(crate) fn add(&mut self, more: &FailedLogons) {
        more.accounts.iter().for_each(|(account, failures)| self.accounts.note(*account, *failures));
        more.networks.iter().for_each(|(network, failures)| self.networks.note(*network, *failures));
    }

    /// All of it, when there is any.
    pub(crate) fn take(&mut self) -> Option<FailedLogons> {
        let news = FailedLogons { accounts: self.accounts.take(), networks: self.networks.take() };
        (news != FailedLogons::default()).then_some(news)
    }
}

/// Keys in the order in which they were first noted, with how often.
#[derive(Debug)]
struct Waiting<K> {
    order: VecDeque<K>,
    failures: HashMap<K, u32>,
}

impl<K> Default for Waiting<K> {
    fn default() -> Self {
        Self { order: VecDeque::new(), failures: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Waiting<K> {
    fn note(&mut self, key: K, more: u32) {
        if let Some(failures) = self.failures.get_mut(&key) {
            *failures = (*failures + more).min(FAILURES_MAX);
            return;
        }
        if self.order.len() >= TOLD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.failures.remove(&oldest);
        }
        self.order.push_back(key);
        self.failures.insert(key, more.min(FAILURES_MAX));
    }

    fn take(&mut self) -> Vec<(K, u32)> {
        let failures = std::mem::take(&mut self.failures);
        self.order.drain(..).filter_map(|key| Some((key, *failures.get(&key)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: usize) -> AccountDigest {
        u128::try_from(number).unwrap().to_be_bytes()
    }

    #[test]
    fn what_failed_is_told_once_and_added_up() {
        let (mut news, network) = (News::default(), "192.0.2.0".parse().unwrap());
        assert_eq!(news.take(), None);
        news.note(account(2), Some(network));
        news.note(account(1), Some(network));
        news.note(account(2), None);
        let expected = FailedLogons { accounts: vec![(account(2), 2), (account(1), 1)], networks: vec![(network, 2)] };
        assert_eq!(news.take(), Some(expected.clone()));
        assert_eq!(news.take(), None);
        // Added up for one that is slow.
        news.add(&expected);
        news.add(&expected);
        let twice = FailedLogons { accounts: vec![(account(2), 4), (account(1), 2)], networks: vec![(network, 4)] };
        assert_eq!(news.take(), Some(twice));
    }

    #[test]
    fn of_too_much_the_oldest_is_not_told() {
        let mut news = News::default();
        for number in 0..TOLD_MAX + 10 {
            news.note(account(number), None);
        }
        for _ in 0..2 * FAILURES_MAX {
            news.note(account(TOLD_MAX), None);
        }
        let told = news.take().unwrap().accounts;
        assert_eq!(
            (told.len(), told[0], told[TOLD_MAX - 10]),
            (TOLD_MAX, (account(10), 1), (account(TOLD_MAX), FAILURES_MAX))
        );
    }
}
