//! Messages per second over the last minute (QU-32): counts in twelve intervals of five seconds, of which the oldest is
//! forgotten as time goes on. No timer: who counts or asks brings the time along.

use envelope::Timestamp;

/// Source: QU-32, samples of 5 s over 60 s.
const INTERVAL_MILLIS: u64 = 5_000;
const INTERVALS: usize = 12;
const SECONDS: f64 = 60.0;

/// A rate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    counts: [u32; INTERVALS],
    /// Number of the newest interval since the epoch.
    newest: u64,
}

impl Rate {
    /// Counts one more.
    pub(crate) fn count(&mut self, now: Timestamp) {
        let interval = now.as_millis() / INTERVAL_MILLIS;
        if interval > self.newest {
            let passed = interval - self.newest;
            for step in 1..=passed.min(INTERVALS as u64) {
                self.counts[index(self.newest + step)] = 0;
            }
            // After a long silence every interval has been cleared; only where they stand has changed.
            self.newest = interval;
            self.counts[index(interval)] = 0;
        }
        let count = &mut self.counts[index(self.newest)];
        *count = count.saturating_add(1);
    }

    /// Messages per second.
    pub(crate) fn per_second(&self, now: Timestamp) -> f64 {
        let interval = now.as_millis() / INTERVAL_MILLIS;
        let oldest = (interval + 1).saturating_sub(INTERVALS as u64);
        let first = (self.newest + 1).saturating_sub(INTERVALS as u64).max(oldest);
        let total: u64 = (first..=self.newest).map(|interval| u64::from(self.counts[index(interval)])).sum();
        f64::from(u32::try_from(total).unwrap_or(u32::MAX)) / SECONDS
    }
}

fn index(interval: u64) -> usize {
    usize::try_from(interval % INTERVALS as u64).expect("less than twelve")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        // QU-32
        let mut rate = Rate::default();
        for second in 0..60 {
            rate.count(Timestamp::from_millis(1_000_000 + second * 1_000));
        }
        assert!((rate.per_second(Timestamp::from_millis(1_059_000)) - 1.0).abs() < 0.09);
        assert_eq!(rate.per_second(Timestamp::from_millis(1_200_000)), 0.0, "an inactive queue shows 0");
    }

    proptest! {
        #[test]
        fn a_rate_is_what_a_list_of_all_events_says(gaps in proptest::collection::vec(0u64..20_000, 1..60), later in 0u64..90_000) {
            let (mut rate, mut now, mut all) = (Rate::default(), 5_000_000u64, Vec::new());
            for gap in gaps {
                now += gap;
                rate.count(Timestamp::from_millis(now));
                all.push(now / INTERVAL_MILLIS);
            }
            now += later;
            let newest = now / INTERVAL_MILLIS;
            let counted = all.iter().filter(|interval| newest - **interval < INTERVALS as u64).count();
            let expected = f64::from(u32::try_from(counted).unwrap()) / SECONDS;
            prop_assert_eq!(rate.per_second(Timestamp::from_millis(now)), expected);
        }
    }
}
