//! How much somebody has done lately: counts that drain with time. Pure: the time is an argument.
//!
//! Each key has a time until which it is drained; what is done adds an interval to that. So a key is one number, and one that
//! is drained is as if it had never been there.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use envelope::Timestamp;

/// Keys kept; beyond that the drained go, and if there are none, new ones are not counted.
const KEYS_MAX: usize = 100_000;

/// Counts by key.
#[derive(Debug)]
pub(crate) struct Tally<K> {
    interval: Duration,
    drained: HashMap<K, Timestamp>,
}

impl<K: Eq + Hash> Tally<K> {
    /// One in which one drains after another, each in an interval.
    pub(crate) fn draining_each(interval: Duration) -> Self {
        Self { interval, drained: HashMap::new() }
    }

    /// Counts one more; gives the count with it.
    pub(crate) fn add(&mut self, key: K, now: Timestamp) -> u32 {
        if self.drained.len() >= KEYS_MAX && !self.drained.contains_key(&key) {
            self.drained.retain(|_, drained| *drained > now);
            if self.drained.len() >= KEYS_MAX {
                return 1;
            }
        }
        let drained = self.drained.entry(key).or_insert(now);
        *drained = (*drained).max(now).plus(self.interval);
        count(*drained, now, self.interval)
    }

    /// The count now.
    pub(crate) fn count(&self, key: &K, now: Timestamp) -> u32 {
        self.drained.get(key).map_or(0, |drained| count(*drained, now, self.interval))
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: &K) {
        self.drained.remove(key);
    }
}

fn count(drained: Timestamp, now: Timestamp, interval: Duration) -> u32 {
    let left = drained.since(now).as_millis();
    u32::try_from(left.div_ceil(interval.as_millis().max(1))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    #[test]
    fn counts_drain_one_after_another() {
        let mut tally = Tally::draining_each(Duration::from_secs(10));
        assert_eq!((tally.add("a", at(0)), tally.add("a", at(0)), tally.add("a", at(5))), (1, 2, 3));
        for (seconds, expected) in [(5, 3), (10, 2), (11, 2), (20, 1), (29, 1), (30, 0), (1000, 0)] {
            assert_eq!(tally.count(&"a", at(seconds)), expected, "{seconds}");
        }
        assert_eq!((tally.count(&"b", at(0)), tally.add("a", at(1000))), (0, 1));
        tally.forget(&"a");
        assert_eq!(tally.count(&"a", at(1000)), 0);
    }

    #[test]
    fn there_are_never_more_keys_than_fit() {
        let mut tally = Tally::draining_each(Duration::from_secs(10));
        for key in 0..KEYS_MAX + 10 {
            tally.add(key, at(0));
        }
        assert_eq!(tally.drained.len(), KEYS_MAX);
        assert_eq!(tally.add(0, at(1)), 2, "who is known is counted on");
        assert_eq!(tally.add(KEYS_MAX + 10, at(60)), 1);
        assert_eq!(tally.drained.len(), 1, "the drained go");
    }
}
