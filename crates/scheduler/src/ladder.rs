//! The retry ladder of a next hop that cannot be reached: glitch, transient, outbound (QU-33…QU-37).

use std::time::Duration;

use envelope::Timestamp;
use routing::DeliveryType;
use topology::TransportServiceSettings;

/// Intervals and counts, from `Set-TransportService`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    glitch: (u32, Duration),
    transient: (u32, Duration),
    outbound: Duration,
    mailbox: Duration,
}

impl From<&TransportServiceSettings> for RetrySettings {
    fn from(settings: &TransportServiceSettings) -> Self {
        Self {
            glitch: (settings.queue_glitch_retry_count, settings.queue_glitch_retry_interval.0),
            transient: (settings.transient_failure_retry_count, settings.transient_failure_retry_interval.0),
            outbound: settings.outbound_connection_failure_retry_interval.0,
            mailbox: settings.mailbox_delivery_queue_retry_interval.0,
        }
    }
}

impl RetrySettings {
    /// `MailboxDeliveryQueueRetryInterval`.
    pub(crate) fn mailbox(&self) -> Duration {
        self.mailbox
    }
}

/// Where on the ladder one next hop stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    failures: u32,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Ladder {
    /// Counts a failure and gives the time of the next attempt.
    pub fn failed(&mut self, kind: DeliveryType, settings: &RetrySettings, now: Timestamp) -> Timestamp {
        let before = self.failures;
        self.failures = self.failures.saturating_add(1);
        self.first.get_or_insert(now);
        self.last = Some(now);
        let (glitches, transients) = (settings.glitch.0, settings.transient.0);
        let interval = if kind == DeliveryType::SmtpDeliveryToMailbox {
            settings.mailbox // QU-37: no ladder
        } else if before < glitches {
            settings.glitch.1
        } else if before < glitches.saturating_add(transients) {
            settings.transient.1
        } else {
            settings.outbound
        };
        now.plus(interval)
    }

    /// A connection succeeded: the next failure starts from the bottom (QU-36).
    pub fn reset(&mut self) {
        (self.failures, self.first) = (0, None);
    }

    /// Failures in a row: the queue's `RetryCount`.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the first of these failures was, and when the last of all.
    #[must_use]
    pub fn failed_at(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes at which attempts fall after a failure at minute 0, when all fail.
    fn attempts(kind: DeliveryType, settings: &TransportServiceSettings, count: usize) -> Vec<u64> {
        let (settings, mut ladder, mut now) =
            (RetrySettings::from(settings), Ladder::default(), Timestamp::from_millis(0));
        let mut next = || {
            now = ladder.failed(kind, &settings, now);
            now.as_millis() / 60_000
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn the_ladder_climbs_as_documented() {
        // QU-34, SC-92
        let settings = TransportServiceSettings::default();
        let expected = [1, 2, 3, 4, 9, 14, 19, 24, 29, 34, 44, 54];
        assert_eq!(attempts(DeliveryType::DnsConnectorDelivery, &settings, 12), expected);
        // QU-35: a count of zero skips its stage.
        let none = TransportServiceSettings {
            queue_glitch_retry_count: 0,
            transient_failure_retry_count: 0,
            ..settings.clone()
        };
        assert_eq!(attempts(DeliveryType::SmtpRelayToDag, &none, 2), [10, 20]);
        // QU-37
        assert_eq!(attempts(DeliveryType::SmtpDeliveryToMailbox, &settings, 3), [5, 10, 15]);
    }

    #[test]
    fn a_success_starts_the_ladder_from_the_bottom() {
        // QU-36
        let settings = RetrySettings::from(&TransportServiceSettings::default());
        let mut ladder = Ladder::default();
        for _ in 0..20 {
            ladder.failed(DeliveryType::DnsConnectorDelivery, &settings, Timestamp::from_millis(0));
        }
        ladder.reset();
        let next = ladder.failed(DeliveryType::DnsConnectorDelivery, &settings, Timestamp::from_millis(7));
        assert_eq!(next, Timestamp::from_millis(60_007));
        let at = Some(Timestamp::from_millis(7));
        assert_eq!(ladder.failed_at(), (at, at));
    }
}
