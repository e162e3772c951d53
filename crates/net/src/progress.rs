//! Whether something gets on. Transfers and ends are waited for as long as it does: a slow link takes the time that it takes,
//! and what hangs is left after a bounded one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Signs of life of one thing. Clones share them.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Signs>);

#[derive(Debug)]
struct Signs {
    began: Instant,
    /// Milliseconds from the beginning to the last sign.
    last: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Signs { began: Instant::now(), last: AtomicU64::new(0) }))
    }
}

impl Progress {
    /// It got on.
    pub fn step(&self) {
        self.0.last.fetch_max(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until `work` ends, or nothing has got on for as long as `patience`: `None` then.
    pub async fn wait_for<T>(&self, work: impl Future<Output = T>, patience: Duration) -> Option<T> {
        tokio::pin!(work);
        let mut since = self.now();
        loop {
            let until = self.0.began + Duration::from_millis(since) + patience;
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = tokio::time::sleep_until(until) => {}
            }
            let last = self.0.last.load(Ordering::Relaxed);
            if last <= since {
                return None;
            }
            since = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_end_is_waited_for_as_long_as_something_gets_on() {
        let progress = Progress::default();
        let moving = progress.clone();
        let slow = async {
            let mut ticks = tokio::time::interval(SECOND);
            for _ in 0..50 {
                ticks.tick().await;
                moving.step();
            }
        };
        assert!(progress.wait_for(slow, SECOND * 3).await.is_some(), "fifty seconds, a step every second");
        assert!(progress.wait_for(std::future::pending::<()>(), SECOND * 3).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_left_when_the_last_sign_is_that_old() {
        let (progress, begun) = (Progress::default(), Instant::now());
        let moving = progress.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(SECOND * 2);
            for _ in 0..4 {
                ticks.tick().await;
                moving.step();
            }
        });
        assert!(progress.wait_for(std::future::pending::<()>(), SECOND * 3).await.is_none());
        // The last step at 6 s, and then 3 s.
        assert_eq!(begun.elapsed().as_secs(), 9);
    }
}
