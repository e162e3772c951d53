//! From points in time to columns of a bar. Times in which nothing happened at all are drawn short, so that a retry after
//! a quarter of an hour does not squeeze everything else into one column.

use std::time::Duration;

use super::store::Trace;

/// Waits from this long on get a line of their own and are drawn short: shorter ones are the machine at work.
pub const WAIT_SHOWN: Duration = Duration::from_secs(1);

/// A long wait is drawn as one part in so many of the time in which something happened.
const WAIT_SHARE: u64 = 10;

/// The stretches of time in which something happened, and where they are drawn.
pub(super) struct Axis {
    stretches: Vec<Stretch>,
    /// Drawn length of everything, at least one.
    length: u64,
}

struct Stretch {
    from: u64,
    to: u64,
    /// Where it is drawn.
    at: u64,
}

impl Axis {
    pub(super) fn of(trace: &Trace) -> Self {
        let longest_gap = u64::try_from(WAIT_SHOWN.as_nanos()).expect("seconds");
        let mut stretches: Vec<Stretch> = Vec::new();
        // The spans come in order of their start.
        for span in &trace.spans {
            let end = span.end_nanos.max(span.start_nanos);
            match stretches.last_mut() {
                Some(last) if span.start_nanos.saturating_sub(last.to) < longest_gap => last.to = last.to.max(end),
                _ => stretches.push(Stretch { from: span.start_nanos, to: end, at: 0 }),
            }
        }
        let busy: u64 = stretches.iter().map(|stretch| stretch.to - stretch.from).sum();
        let mut at = 0;
        for stretch in &mut stretches {
            stretch.at = at;
            at += stretch.to - stretch.from + busy / WAIT_SHARE;
        }
        let length = stretches.last().map_or(1, |last| last.at + last.to - last.from).max(1);
        Self { stretches, length }
    }

    /// The column of `columns` in which `nanos` lies; a point in a drawn-short wait lies at its end.
    pub(super) fn column(&self, nanos: u64, columns: usize) -> usize {
        let after = self.stretches.partition_point(|stretch| stretch.to < nanos);
        let drawn =
            self.stretches.get(after).map_or(self.length, |stretch| stretch.at + nanos.saturating_sub(stretch.from));
        let share = u128::from(drawn) * columns as u128 / u128::from(self.length);
        usize::try_from(share).expect("at most the number of columns")
    }
}
