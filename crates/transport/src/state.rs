//! What the service is doing: taking mail and sending it, handing its mail to another server, or coming to its end; and
//! whether it gets on with that.
//!
//! ```text
//!   Active ◀──▶ Redirecting        Redirect-Message and its end (QU-60)
//!      └──▶ Stopping ◀──┘          the process drains; there is no way back
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use envelope::{EnhancedStatus, Reply};
use tokio_util::sync::CancellationToken;

/// A state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Mail comes in and goes out.
    Active,
    /// No new mail is taken; all that waits for a next hop goes to one server (QU-60).
    Redirecting,
    /// No new mail is taken; what is under way is settled, the rest waits in the spool for the next start.
    Stopping,
}

/// The present state.
#[derive(Debug)]
pub(crate) struct Present {
    redirecting: AtomicBool,
    stopping: CancellationToken,
}

impl Present {
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        Self { redirecting: AtomicBool::new(false), stopping }
    }

    pub(crate) fn get(&self) -> State {
        match (self.stopping.is_cancelled(), self.redirecting.load(Ordering::Relaxed)) {
            (true, _) => State::Stopping,
            (false, true) => State::Redirecting,
            (false, false) => State::Active,
        }
    }

    pub(crate) fn redirect(&self, redirecting: bool) {
        self.redirecting.store(redirecting, Ordering::Relaxed);
    }

    /// Whether new mail may come in.
    ///
    /// # Errors
    /// `421`: whoever brings it goes to another server.
    pub(crate) fn takes_mail(&self) -> Result<(), Reply> {
        let text = match self.get() {
            State::Active => return Ok(()),
            State::Redirecting => "Service not available, mail is redirected to another server",
            State::Stopping => "Service shutting down",
        };
        Err(Reply::new(421, EnhancedStatus::new(4, 3, 2), text))
    }
}

/// Counts what gets on: items settled, pieces of content sent. Ends are bounded by it: they are waited for as long as it moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(crate) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until `work` ends, or for as long as `patience` nothing has got on: `false` then.
    pub(crate) async fn wait_for(&self, work: impl Future<Output = ()>, patience: Duration) -> bool {
        tokio::pin!(work);
        let mut seen = self.count();
        loop {
            tokio::select! {
                () = &mut work => return true,
                () = tokio::time::sleep(patience) => {}
            }
            let now = self.count();
            if now == seen {
                return false;
            }
            seen = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_mail_is_taken_by_an_active_service_only() {
        let stopping = CancellationToken::new();
        let present = Present::new(stopping.clone());
        assert_eq!((present.get(), present.takes_mail()), (State::Active, Ok(())));
        present.redirect(true);
        assert_eq!((present.get(), present.takes_mail().unwrap_err().code), (State::Redirecting, 421));
        present.redirect(false);
        assert_eq!(present.get(), State::Active);
        stopping.cancel();
        present.redirect(true);
        assert_eq!((present.get(), present.takes_mail().unwrap_err().code), (State::Stopping, 421));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_waited_for_as_long_as_something_gets_on() {
        let (progress, second) = (Progress::default(), Duration::from_secs(1));
        let moving = progress.clone();
        let slow = async {
            for _ in 0..50 {
                let mut tick = tokio::time::interval(second);
                tick.tick().await;
                tick.tick().await;
                moving.step();
            }
        };
        assert!(progress.wait_for(slow, second * 3).await, "fifty seconds, a step every second");
        assert!(!progress.wait_for(std::future::pending(), second * 3).await);
    }
}
