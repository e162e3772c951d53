//! What the service is doing: taking mail and sending it, handing its mail to another server, or coming to its end.
//!
//! ```text
//!   Active ◀──▶ Redirecting        Redirect-Message and its end (QU-60)
//!      └──▶ Stopping ◀──┘          the process drains; there is no way back
//!   Leaving                        the configuration has this server no more; until it has it again
//! ```

use std::sync::atomic::{AtomicBool, Ordering};

use envelope::{EnhancedStatus, Reply};
use tokio_util::sync::CancellationToken;

/// A state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Mail comes in and goes out.
    Active,
    /// No new mail is taken; all that waits for a next hop goes to one server (QU-60).
    Redirecting,
    /// No new mail is taken; what waits is sent as far as that goes by the configuration before.
    Leaving,
    /// No new mail is taken; what is under way is settled, the rest waits in the spool for the next start.
    Stopping,
}

/// The present state.
pub(crate) struct Present {
    redirecting: AtomicBool,
    stopping: CancellationToken,
    /// Whether the configuration has this server no more.
    has_left: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Present {
    pub(crate) fn new(stopping: CancellationToken, has_left: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { redirecting: AtomicBool::new(false), stopping, has_left: Box::new(has_left) }
    }

    pub(crate) fn get(&self) -> State {
        match (self.stopping.is_cancelled(), self.redirecting.load(Ordering::Relaxed)) {
            (true, _) => State::Stopping,
            (false, _) if (self.has_left)() => State::Leaving,
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
            State::Leaving => "Service not available, this server has left its organization",
            State::Stopping => "Service shutting down",
        };
        Err(Reply::new(421, EnhancedStatus::new(4, 3, 2), text))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn new_mail_is_taken_by_an_active_service_only() {
        let stopping = CancellationToken::new();
        let left = Arc::new(AtomicBool::new(false));
        let has_left = Arc::clone(&left);
        let present = Present::new(stopping.clone(), move || has_left.load(Ordering::Relaxed));
        assert_eq!((present.get(), present.takes_mail()), (State::Active, Ok(())));
        present.redirect(true);
        assert_eq!((present.get(), present.takes_mail().unwrap_err().code), (State::Redirecting, 421));
        present.redirect(false);
        assert_eq!(present.get(), State::Active);
        left.store(true, Ordering::Relaxed);
        assert_eq!((present.get(), present.takes_mail().unwrap_err().code), (State::Leaving, 421));
        stopping.cancel();
        present.redirect(true);
        assert_eq!((present.get(), present.takes_mail().unwrap_err().code), (State::Stopping, 421));
    }
}
