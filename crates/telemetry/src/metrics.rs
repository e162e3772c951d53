//! The handles of the metrics in [`crate::catalogue`]: what services count with. Cheap to clone, never blocking. Those whose
//! labels are names of the configuration are in [`crate::named`].

use opentelemetry::metrics as otel;
use topology::{ReceiveConnector, SendConnector, Server};

use crate::catalogue;
pub use crate::instruments::{
    Counter, Direction, Durations, Gauge, LabelledCounter, LabelledGauge, LabelledUpDownCounter, Sizes,
};
use crate::named::{EdgeMetrics, Named, PeerMetrics, ReceiveMetrics, SendMetrics};

/// Where a message came from: label `source` of [`catalogue::ACCEPTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From outside, or from a client.
    Smtp,
    /// From another server of the organization.
    Transfer,
    /// Out of a mailbox.
    Submission,
    /// A delivery status notification made here.
    Notification,
    /// A further copy, for recipients that go another way.
    Bifurcation,
    /// A further copy, for the members of a group.
    Expansion,
    /// Found in the queue when the service started.
    Recovery,
}

impl From<Source> for &'static str {
    fn from(source: Source) -> Self {
        match source {
            Source::Smtp => "smtp",
            Source::Transfer => "transfer",
            Source::Submission => "submission",
            Source::Notification => "notification",
            Source::Bifurcation => "bifurcation",
            Source::Expansion => "expansion",
            Source::Recovery => "recovery",
        }
    }
}

/// What became of news of a failed logon: label `outcome` of [`catalogue::LOGONS_TOLD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Another's, counted here.
    Counted,
    /// Another's, not counted.
    Dropped,
    /// Ours, for one that was not told.
    Unsent,
}

impl From<Told> for &'static str {
    fn from(told: Told) -> Self {
        match told {
            Told::Counted => "counted",
            Told::Dropped => "dropped",
            Told::Unsent => "unsent",
        }
    }
}

/// How a custom resource stands: label `state` of [`catalogue::CONTROLLER_RESOURCES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceState {
    /// The organization says what it says.
    Accepted,
    /// It does not.
    Refused,
}

impl From<ResourceState> for &'static str {
    fn from(state: ResourceState) -> Self {
        match state {
            ResourceState::Accepted => "accepted",
            ResourceState::Refused => "refused",
        }
    }
}

/// How a round of the controller ended: label `outcome` of [`catalogue::CONTROLLER_ROUNDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundOutcome {
    /// The organization is another one.
    Changed,
    /// It was as it shall be.
    Unchanged,
    /// It is tried again.
    Failed,
}

impl From<RoundOutcome> for &'static str {
    fn from(outcome: RoundOutcome) -> Self {
        match outcome {
            RoundOutcome::Changed => "changed",
            RoundOutcome::Unchanged => "unchanged",
            RoundOutcome::Failed => "failed",
        }
    }
}

/// All metrics of one service.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// [`catalogue::ACCEPTED`], by [`Source`].
    pub accepted: LabelledCounter,
    /// [`catalogue::DELIVERED`], by delivery type.
    pub delivered: LabelledCounter,
    /// [`catalogue::FAILED`].
    pub failed: Counter,
    /// [`catalogue::EXPIRED`].
    pub expired: Counter,
    /// [`catalogue::REMOVED`].
    pub removed: Counter,
    /// [`catalogue::QUEUED`].
    pub queued: Gauge,
    /// [`catalogue::QUEUE_LENGTH`], by delivery type. A type that has become empty is set to 0, or it stays as it was.
    pub queue_length: LabelledGauge,
    /// [`catalogue::ACCEPT_DURATION`].
    pub accept_duration: Durations,
    /// [`catalogue::QUEUE_BATCH_SIZE`].
    pub queue_batch_size: Sizes,
    /// [`catalogue::QUEUE_WRITTEN`].
    pub queue_written: Gauge,
    /// [`catalogue::QUEUE_DISK`].
    pub queue_disk: Gauge,
    /// [`catalogue::CONNECTIONS`], by [`Direction`].
    pub connections: LabelledUpDownCounter,
    /// [`catalogue::CONNECTIONS_OPENED`], by [`Direction`].
    pub connections_opened: LabelledCounter,
    /// [`catalogue::LOGONS_TOLD`], by [`Told`].
    pub logons_told: LabelledCounter,
    /// [`catalogue::TRACKING_LOST`].
    pub tracking_lost: Counter,
    /// [`catalogue::PRESSURE_LEVEL`], by resource.
    pub pressure_level: LabelledGauge,
    /// [`catalogue::PRESSURE_MEASURE`], by resource.
    pub pressure_measure: LabelledGauge,
    /// [`catalogue::CERTIFICATE_END`], by certificate.
    pub certificate_end: LabelledGauge,
    /// [`catalogue::CERTIFICATE_REVOKED`].
    pub certificate_revoked: Gauge,
    /// [`catalogue::REVISION`].
    pub revision: Gauge,
    /// [`catalogue::DIRECTORY_AWAY`].
    pub directory_away: Gauge,
    /// [`catalogue::DIRECTORY_MEMBERS_AWAY`].
    pub directory_members_away: Gauge,
    /// [`catalogue::CONFIGURATION_REFUSED`].
    pub configuration_refused: Gauge,
    /// [`catalogue::CONTROLLER_RESOURCES`], by [`ResourceState`].
    pub controller_resources: LabelledGauge,
    /// [`catalogue::CONTROLLER_ROUNDS`], by [`RoundOutcome`].
    pub controller_rounds: LabelledCounter,
    /// [`catalogue::CONTROLLER_LEADING`].
    pub controller_leading: Gauge,
    named: Named,
}

impl Metrics {
    pub(crate) fn new(meter: &otel::Meter) -> Self {
        Self {
            accepted: LabelledCounter::new(meter, &catalogue::ACCEPTED),
            delivered: LabelledCounter::new(meter, &catalogue::DELIVERED),
            failed: Counter::new(meter, &catalogue::FAILED),
            expired: Counter::new(meter, &catalogue::EXPIRED),
            removed: Counter::new(meter, &catalogue::REMOVED),
            queued: Gauge::new(meter, &catalogue::QUEUED),
            queue_length: LabelledGauge::new(meter, &catalogue::QUEUE_LENGTH),
            accept_duration: Durations::new(meter, &catalogue::ACCEPT_DURATION),
            queue_batch_size: Sizes::new(meter, &catalogue::QUEUE_BATCH_SIZE),
            queue_written: Gauge::new(meter, &catalogue::QUEUE_WRITTEN),
            queue_disk: Gauge::new(meter, &catalogue::QUEUE_DISK),
            connections: LabelledUpDownCounter::new(meter, &catalogue::CONNECTIONS),
            connections_opened: LabelledCounter::new(meter, &catalogue::CONNECTIONS_OPENED),
            logons_told: LabelledCounter::new(meter, &catalogue::LOGONS_TOLD),
            tracking_lost: Counter::new(meter, &catalogue::TRACKING_LOST),
            pressure_level: LabelledGauge::new(meter, &catalogue::PRESSURE_LEVEL),
            pressure_measure: LabelledGauge::new(meter, &catalogue::PRESSURE_MEASURE),
            certificate_end: LabelledGauge::new(meter, &catalogue::CERTIFICATE_END),
            certificate_revoked: Gauge::new(meter, &catalogue::CERTIFICATE_REVOKED),
            revision: Gauge::new(meter, &catalogue::REVISION),
            directory_away: Gauge::new(meter, &catalogue::DIRECTORY_AWAY),
            directory_members_away: Gauge::new(meter, &catalogue::DIRECTORY_MEMBERS_AWAY),
            configuration_refused: Gauge::new(meter, &catalogue::CONFIGURATION_REFUSED),
            controller_resources: LabelledGauge::new(meter, &catalogue::CONTROLLER_RESOURCES),
            controller_rounds: LabelledCounter::new(meter, &catalogue::CONTROLLER_ROUNDS),
            controller_leading: Gauge::new(meter, &catalogue::CONTROLLER_LEADING),
            named: Named::new(meter),
        }
    }

    /// The metrics of a Send connector.
    #[must_use]
    pub fn of_send_connector(&self, connector: &SendConnector) -> SendMetrics {
        self.named.of_send_connector(connector)
    }

    /// The metrics of a Receive connector.
    #[must_use]
    pub fn of_receive_connector(&self, connector: &ReceiveConnector) -> ReceiveMetrics {
        self.named.of_receive_connector(connector)
    }

    /// The metrics of another server.
    #[must_use]
    pub fn of_peer(&self, server: &Server) -> PeerMetrics {
        self.named.of_peer(server)
    }

    /// The metrics of an Edge server that is synchronized from here.
    #[must_use]
    pub fn of_edge(&self, server: &Server) -> EdgeMetrics {
        self.named.of_edge(server)
    }

    /// Counts nowhere: for tests of services.
    #[must_use]
    pub fn off() -> Self {
        use opentelemetry::metrics::MeterProvider as _;
        Self::new(&opentelemetry_sdk::metrics::SdkMeterProvider::builder().build().meter("off"))
    }
}
