//! How much somebody has done lately: counts that drain with time. Pure: the time is an argument.
//!
//! Each key has a time until which it is drained; what is done adds an interval to that. So a key is one number, and one that
//! is drained is as if it had never been there.
//!
//! Some is done here, and of some others tell. Both count alike; but one who tells has so many keys and no more, and all who tell
//! have half of the table: what is done here is counted whatever is told.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use envelope::Timestamp;

/// Who tells.
pub(crate) type Teller = Arc<str>;

/// How much is counted, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// One drains after another, each in this time.
    pub(crate) interval: Duration,
    /// More of one key are not remembered.
    pub(crate) count: u32,
    /// Keys kept; beyond that the drained go, and if there are none, new ones are not counted.
    pub(crate) keys: usize,
    /// Keys of them that are there because one other told of them.
    pub(crate) keys_of_teller: usize,
}

/// Keys kept.
const KEYS_MAX: usize = 100_000;
/// Keys that one other may bring: at the rate at which passwords are checked, more than it has within the time that one lasts.
const KEYS_OF_TELLER_MAX: usize = 10_000;

impl Bounds {
    /// One drains after another, each in `interval`, and no more than `count` of a key are remembered.
    pub(crate) const fn draining_each(interval: Duration, count: u32) -> Self {
        Self { interval, count, keys: KEYS_MAX, keys_of_teller: KEYS_OF_TELLER_MAX }
    }
}

/// Counts by key.
#[derive(Debug)]
pub(crate) struct Tally<K> {
    bounds: Bounds,
    kept: HashMap<K, Kept>,
    brought: Brought,
}

/// How many keys are there because of whom.
#[derive(Debug, Default)]
struct Brought {
    by: HashMap<Teller, usize>,
    /// By all of them.
    all: usize,
}

/// What is known of one key.
#[derive(Debug)]
struct Kept {
    drained: Timestamp,
    /// When what was told alone is drained: never later.
    told_drained: Timestamp,
    /// Who brought it, as long as nothing was done here.
    by: Option<Teller>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) all: u32,
    /// Of these, told by others.
    pub(crate) told: u32,
}

impl<K: Eq + Hash> Tally<K> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: HashMap::new(), brought: Brought::default() }
    }

    /// Counts one more; gives the count with it.
    pub(crate) fn add(&mut self, key: K, now: Timestamp) -> Count {
        if self.kept.len() >= self.bounds.keys && !self.kept.contains_key(&key) {
            self.forget_drained(now);
            if self.kept.len() >= self.bounds.keys {
                return Count { all: 1, told: 0 };
            }
        }
        let Bounds { interval, count, .. } = self.bounds;
        let kept = self.kept.entry(key).or_insert(Kept { drained: now, told_drained: now, by: None });
        if let Some(teller) = kept.by.take() {
            self.brought.release(&teller);
        }
        kept.drained = filled(kept.drained, 1, interval, count, now);
        kept.count(interval, now)
    }

    /// Counts what somebody else tells: of each key so many more. Gives how many of all that were counted.
    pub(crate) fn add_told(
        &mut self,
        teller: &Teller,
        told: impl ExactSizeIterator<Item = (K, u32)>,
        now: Timestamp,
    ) -> u64 {
        // Once for all of them: looking through everything for each would be work that others make.
        if !self.has_room(teller, told.len()) {
            self.forget_drained(now);
        }
        told.filter_map(|(key, more)| self.add_one_told(teller, key, more, now).then_some(u64::from(more))).sum()
    }

    fn add_one_told(&mut self, teller: &Teller, key: K, more: u32, now: Timestamp) -> bool {
        // Drained, it is as if it had never been there: whoever brings it anew answers for it.
        if self.kept.get(&key).is_some_and(|kept| kept.drained <= now) {
            self.forget(&key);
        }
        let Bounds { interval, count, .. } = self.bounds;
        if !self.kept.contains_key(&key) {
            if !self.has_room(teller, 1) {
                return false;
            }
            self.brought.add(teller);
        }
        let new = || Kept { drained: now, told_drained: now, by: Some(Arc::clone(teller)) };
        let kept = self.kept.entry(key).or_insert_with(new);
        kept.drained = filled(kept.drained, more, interval, count, now);
        kept.told_drained = filled(kept.told_drained, more, interval, count, now);
        true
    }

    /// Whether one who tells may bring so many new keys.
    fn has_room(&self, teller: &Teller, more: usize) -> bool {
        let Bounds { keys, keys_of_teller, .. } = self.bounds;
        let of_teller = self.brought.by.get(teller).copied().unwrap_or_default();
        of_teller + more <= keys_of_teller && self.brought.all + more <= keys / 2 && self.kept.len() + more <= keys
    }

    /// The count now.
    pub(crate) fn count(&self, key: &K, now: Timestamp) -> Count {
        self.kept.get(key).map_or_else(Count::default, |kept| kept.count(self.bounds.interval, now))
    }

    /// Forgets a key.
    pub(crate) fn forget(&mut self, key: &K) {
        if let Some(teller) = self.kept.remove(key).and_then(|kept| kept.by) {
            self.brought.release(&teller);
        }
    }

    fn forget_drained(&mut self, now: Timestamp) {
        let Self { kept, brought, .. } = self;
        kept.retain(|_, kept| {
            let stays = kept.drained > now;
            if let (false, Some(teller)) = (stays, &kept.by) {
                brought.release(teller);
            }
            stays
        });
    }
}

impl Kept {
    fn count(&self, interval: Duration, now: Timestamp) -> Count {
        Count { all: count(self.drained, interval, now), told: count(self.told_drained, interval, now) }
    }
}

impl Brought {
    fn add(&mut self, teller: &Teller) {
        *self.by.entry(Arc::clone(teller)).or_default() += 1;
        self.all += 1;
    }

    fn release(&mut self, teller: &Teller) {
        if let Some(keys) = self.by.get_mut(teller) {
            *keys -= 1;
            self.all -= 1;
            if *keys == 0 {
                self.by.remove(teller);
            }
        }
    }
}

/// With so many more, never more than `most` in all.
fn filled(drained: Timestamp, more: u32, interval: Duration, most: u32, now: Timestamp) -> Timestamp {
    let full = now.plus(interval.saturating_mul(most));
    drained.max(now).plus(interval.saturating_mul(more)).min(full)
}

fn count(drained: Timestamp, interval: Duration, now: Timestamp) -> u32 {
    let left = drained.since(now).as_millis();
    u32::try_from(left.div_ceil(interval.as_millis().max(1))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
