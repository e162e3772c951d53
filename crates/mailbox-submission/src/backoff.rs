//! When to try again after a transient failure: soon at first, then less and less often, never all at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// First pause: 1 s.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause, and the time after which an outbox that could not be read is looked into again: 60 s.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(60);

/// Pauses that double.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: RETRY_MIN }
    }
}

impl Backoff {
    /// The next pause: between half of it and all of it, `random` being from 0 to 1.
    fn step(&mut self, random: f64) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(RETRY_MAX);
        pause.mul_f64(0.5 + random / 2.0)
    }

    /// Whether the next pause is as long as that of a rescan: nothing is gained by keeping what waits in hand.
    pub(crate) fn is_longest(&self) -> bool {
        self.next >= RETRY_MAX
    }

    /// Waits. `false`: told to stop meanwhile.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> bool {
        let pause = self.step(rand::random());
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let seconds: Vec<u64> = (0..8).map(|_| backoff.step(1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.step(0.0), RETRY_MAX / 2);
    }
}
