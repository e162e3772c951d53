//! Counts by example, and against a model that lives through every second.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1000)
}

fn tally<K: Eq + Hash>(count: u32) -> Tally<K> {
    Tally::new(Bounds::draining_each(Duration::from_secs(10), count))
}

fn teller(name: &str) -> Teller {
    name.into()
}

#[test]
fn counts_drain_one_after_another() {
    let mut tally = tally(1000);
    assert_eq!([at(0), at(0), at(5)].map(|now| tally.add("a", now).all), [1, 2, 3]);
    for (seconds, expected) in [(5, 3), (10, 2), (11, 2), (20, 1), (29, 1), (30, 0), (1000, 0)] {
        assert_eq!(tally.count(&"a", at(seconds)).all, expected, "{seconds}");
    }
    assert_eq!((tally.count(&"b", at(0)).all, tally.add("a", at(1000)).all), (0, 1));
    tally.forget(&"a");
    assert_eq!(tally.count(&"a", at(1000)), Count::default());
}

#[test]
fn what_others_tell_counts_like_what_is_done_here() {
    let (mut tally, oslo) = (tally(6), teller("OSLO1"));
    let told = |tally: &mut Tally<&'static str>, more, now| tally.add_told(&oslo, [("a", more)].into_iter(), now);
    // What is done, when, and what is known then: of all, and of these told.
    assert_eq!(tally.add("a", at(0)), Count { all: 1, told: 0 });
    assert_eq!(told(&mut tally, 2, at(0)), 2);
    assert_eq!(tally.add("a", at(0)), Count { all: 4, told: 2 });
    for (seconds, all, of_others) in [(10, 3, 1), (20, 2, 0), (40, 0, 0)] {
        assert_eq!(tally.count(&"a", at(seconds)), Count { all, told: of_others }, "{seconds}");
    }
    // Whoever tells of thousands has nobody kept out for longer than the count that is remembered lasts.
    told(&mut tally, 1000, at(40));
    assert_eq!(tally.count(&"a", at(40)), Count { all: 6, told: 6 });
    assert_eq!(tally.add("a", at(40)).all, 6);
    assert_eq!(tally.count(&"a", at(100)), Count::default());
}

#[test]
fn there_are_never_more_keys_than_fit() {
    let mut tally = tally(1000);
    for key in 0..KEYS_MAX + 10 {
        tally.add(key, at(0));
    }
    assert_eq!(tally.kept.len(), KEYS_MAX);
    assert_eq!(tally.add(0, at(1)).all, 2, "who is known is counted on");
    assert_eq!(tally.add(KEYS_MAX + 10, at(60)).all, 1);
    assert_eq!(tally.kept.len(), 1, "the drained go");
}

#[test]
fn whoever_tells_of_everybody_displaces_nobody_and_silences_nobody_else() {
    let mut tally = tally(1000);
    let flood = |tally: &mut Tally<usize>, who: usize, now| {
        let keys = (who * KEYS_MAX..).take(KEYS_MAX);
        tally.add_told(&teller(&format!("OSLO{who}")), keys.map(|key| (key, 1)).collect::<Vec<_>>().into_iter(), now)
    };
    assert_eq!(flood(&mut tally, 1, at(0)), KEYS_OF_TELLER_MAX as u64);
    assert_eq!(flood(&mut tally, 1, at(1)), KEYS_OF_TELLER_MAX as u64, "those that it brought count on");
    assert_eq!(flood(&mut tally, 2, at(1)), KEYS_OF_TELLER_MAX as u64, "another has as many");
    for who in 3..20 {
        flood(&mut tally, who, at(1));
    }
    assert_eq!(tally.kept.len(), KEYS_MAX / 2);
    for key in 0..KEYS_MAX / 2 {
        assert_eq!(tally.add(usize::MAX - key, at(1)).all, 1);
    }
    assert_eq!(tally.add(usize::MAX, at(1)).all, 2, "what is done here was counted");
    // All of it drains.
    assert_eq!(flood(&mut tally, 3, at(60)), KEYS_OF_TELLER_MAX as u64);
    assert_eq!((tally.kept.len(), tally.brought.by.len()), (KEYS_OF_TELLER_MAX, 1));
}

/// Small enough that everything happens.
const SMALL: Bounds = Bounds { interval: Duration::from_secs(3), count: 4, keys: 6, keys_of_teller: 2 };
const KEYS: u8 = 9;

/// Something that happens after so many seconds.
#[derive(Clone, Debug)]
struct Event {
    after: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Add(u8),
    Told(u8, Vec<(u8, u32)>),
    Forget(u8),
}

/// What is done is a heap of seconds for each key, and each second takes one away.
#[derive(Default)]
struct Model {
    heaps: BTreeMap<u8, u64>,
    told: BTreeMap<u8, u64>,
    brought: BTreeMap<u8, u8>,
}

impl Model {
    fn second(&mut self) {
        for heaps in [&mut self.heaps, &mut self.told] {
            heaps.values_mut().for_each(|heap| *heap = heap.saturating_sub(1));
        }
        let heaps = &mut self.heaps;
        heaps.retain(|_, heap| *heap > 0);
        self.brought.retain(|key, _| heaps.contains_key(key));
    }

    fn pile(heaps: &mut BTreeMap<u8, u64>, key: u8, more: u32) {
        let heap = heaps.entry(key).or_default();
        *heap =
            (*heap + u64::from(more) * SMALL.interval.as_secs()).min(u64::from(SMALL.count) * SMALL.interval.as_secs());
    }

    fn add(&mut self, key: u8) {
        if self.heaps.contains_key(&key) || self.heaps.len() < SMALL.keys {
            self.brought.remove(&key);
            Self::pile(&mut self.heaps, key, 1);
        }
    }

    fn tell(&mut self, who: u8, key: u8, more: u32) {
        if !self.heaps.contains_key(&key) {
            let own = self.brought.values().filter(|by| **by == who).count();
            if own >= SMALL.keys_of_teller || self.brought.len() >= SMALL.keys / 2 || self.heaps.len() >= SMALL.keys {
                return;
            }
            self.brought.insert(key, who);
        }
        Self::pile(&mut self.heaps, key, more);
        Self::pile(&mut self.told, key, more);
    }

    fn count(&self, key: u8) -> Count {
        let of = |heaps: &BTreeMap<u8, u64>| {
            let seconds = heaps.get(&key).copied().unwrap_or_default();
            u32::try_from(seconds.div_ceil(SMALL.interval.as_secs())).unwrap()
        };
        Count { all: of(&self.heaps), told: of(&self.told) }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let what = prop_oneof![
        4 => (0..KEYS).prop_map(What::Add),
        4 => (0..4_u8, prop::collection::vec((0..KEYS, 1..6_u32), 0..4)).prop_map(|(who, told)| What::Told(who, told)),
        1 => (0..KEYS).prop_map(What::Forget),
    ];
    prop::collection::vec((0..5_u64, what).prop_map(|(after, what)| Event { after, what }), 0..60)
}

proptest! {
    #[test]
    fn what_is_known_is_what_a_slow_model_knows(events in events()) {
        let (mut tally, mut model, mut now) = (Tally::new(SMALL), Model::default(), 0);
        for Event { after, what } in events {
            now += after;
            (0..after).for_each(|_| model.second());
            match what {
                What::Add(key) => {
                    model.add(key);
                    let expected = if model.heaps.contains_key(&key) { model.count(key) } else { Count { all: 1, told: 0 } };
                    prop_assert_eq!(tally.add(key, at(now)), expected);
                }
                What::Told(who, told) => {
                    let counted = tally.add_told(&teller(&who.to_string()), told.iter().copied(), at(now));
                    let mut expected = 0;
                    for (key, more) in told {
                        model.tell(who, key, more);
                        expected += u64::from(if model.heaps.contains_key(&key) { more } else { 0 });
                    }
                    prop_assert_eq!(counted, expected);
                }
                What::Forget(key) => {
                    tally.forget(&key);
                    model.heaps.remove(&key);
                    model.told.remove(&key);
                    model.brought.remove(&key);
                }
            }
            for key in 0..KEYS {
                prop_assert_eq!(tally.count(&key, at(now)), model.count(key), "{} at {}", key, now);
            }
            let live: BTreeSet<&u8> = model.brought.keys().collect();
            prop_assert!(tally.kept.len() <= SMALL.keys && live.len() <= SMALL.keys / 2);
        }
    }
}
