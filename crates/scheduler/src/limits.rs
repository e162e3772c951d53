//! Times and bounds of the queues, from `Set-TransportService`.

use std::collections::BTreeMap;
use std::time::Duration;

use envelope::Limit;
use topology::{Guid, TransportServiceSettings};

use crate::ladder::RetrySettings;

/// Times and bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) retry: RetrySettings,
    pub(crate) message_retry: Duration,
    pub(crate) expiration: Duration,
    pub(crate) delay: Duration,
    pub(crate) resubmit: Duration,
    pub(crate) idle: Duration,
    /// Failures of this program at one message until it is poison; none: it never is (QU-13).
    pub(crate) poison: Option<u32>,
    /// Of each of the three budgets: outside, inside, mailboxes.
    pub(crate) connections: u32,
    pub(crate) connections_per_lane: u32,
    /// Of all lanes that leave by one of these connectors together: not more.
    pub(crate) connections_of: BTreeMap<Guid, u32>,
}

impl Limits {
    /// The same with connectors that allow so many connections at a time (EN-57).
    #[must_use]
    pub fn with_connectors(mut self, connections: impl IntoIterator<Item = (Guid, u32)>) -> Self {
        self.connections_of = connections.into_iter().collect();
        self
    }

    /// Whether a message is poison at which this program failed so often.
    pub(crate) fn is_poison(&self, crashes: u8) -> bool {
        self.poison.is_some_and(|threshold| u32::from(crashes) >= threshold)
    }
}

impl From<&TransportServiceSettings> for Limits {
    fn from(settings: &TransportServiceSettings) -> Self {
        let bound = |limit: Limit<u32>| match limit {
            Limit::At(bound) => bound,
            Limit::Unlimited => u32::MAX,
        };
        Self {
            retry: RetrySettings::from(settings),
            message_retry: settings.message_retry_interval.0,
            expiration: settings.message_expiration_timeout.0,
            delay: settings.delay_notification_timeout.0,
            resubmit: settings.max_idle_time_before_resubmit.0,
            idle: settings.queue_max_idle_time.0,
            poison: settings.poison_message_detection_enabled.then_some(settings.poison_threshold),
            connections: bound(settings.max_outbound_connections),
            connections_per_lane: bound(settings.max_per_domain_outbound_connections),
            connections_of: BTreeMap::new(),
        }
    }
}
