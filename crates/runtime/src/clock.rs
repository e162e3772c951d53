//! Time that does not jump. A wall clock set a day ahead would expire every queued message at once; one set back would
//! start a storm of retries. Here the wall clock is read once, at start, and from then on only the monotonic one.

use std::time::{Instant, SystemTime};

use envelope::{MessageId, Timestamp};
use uuid::{NoContext, Uuid};

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    base: Timestamp,
}

impl Default for Clock {
    #[expect(clippy::disallowed_methods, reason = "the clock of a process reads the wall clock once, at start")]
    fn default() -> Self {
        Self { started: Instant::now(), base: SystemTime::now().into() }
    }
}

impl Clock {
    /// Now: never less than what was told before.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.base.plus(self.started.elapsed())
    }

    /// The instant at which `at` will be, for timers; the past is now.
    #[must_use]
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.started + at.since(self.base)
    }

    /// A new message id: version 7, so that ids sort by time.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        let millis = self.now().as_millis();
        let (seconds, nanos) = (millis / 1000, u32::try_from(millis % 1000 * 1_000_000).unwrap_or_default());
        MessageId::from_uuid(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos)))
    }
}

impl logs::protocol::Moments for Clock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn id(&self) -> MessageId {
        self.message_id()
    }
}
