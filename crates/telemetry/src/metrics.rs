//! The handles of the metrics in [`crate::catalogue`]: what services count with. Cheap to clone, never blocking. Those whose
//! labels are names of the configuration are in [`crate::named`].

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics as otel;

use crate::catalogue::{self, Instrument, Kind};
use crate::named::Named;

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

/// Who opened a connection: label `direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// We.
    Outbound,
}

impl From<Direction> for &'static str {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
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
    /// [`catalogue::TRACKING_LOST`].
    pub tracking_lost: Counter,
    /// [`catalogue::PRESSURE_LEVEL`], by resource.
    pub pressure_level: LabelledGauge,
    /// [`catalogue::PRESSURE_MEASURE`], by resource.
    pub pressure_measure: LabelledGauge,
    /// [`catalogue::REVISION`].
    pub revision: Gauge,
    pub(crate) named: Named,
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
            accept_duration: Durations(histogram(meter, &catalogue::ACCEPT_DURATION)),
            queue_batch_size: Sizes(histogram(meter, &catalogue::QUEUE_BATCH_SIZE)),
            queue_written: Gauge::new(meter, &catalogue::QUEUE_WRITTEN),
            queue_disk: Gauge::new(meter, &catalogue::QUEUE_DISK),
            connections: LabelledUpDownCounter::new(meter, &catalogue::CONNECTIONS),
            connections_opened: LabelledCounter::new(meter, &catalogue::CONNECTIONS_OPENED),
            tracking_lost: Counter::new(meter, &catalogue::TRACKING_LOST),
            pressure_level: LabelledGauge::new(meter, &catalogue::PRESSURE_LEVEL),
            pressure_measure: LabelledGauge::new(meter, &catalogue::PRESSURE_MEASURE),
            revision: Gauge::new(meter, &catalogue::REVISION),
            named: Named::new(meter),
        }
    }

    /// Counts nowhere: for tests of services.
    #[must_use]
    pub fn off() -> Self {
        use opentelemetry::metrics::MeterProvider as _;
        Self::new(&opentelemetry_sdk::metrics::SdkMeterProvider::builder().build().meter("off"))
    }
}

/// A count that only grows.
#[derive(Clone, Debug)]
pub struct Counter(pub(crate) otel::Counter<u64>);

impl Counter {
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        debug_assert!(from.kind == Kind::Counter);
        Self(meter.u64_counter(from.name).with_unit(from.unit).with_description(from.description).build())
    }

    /// Counts one more.
    pub fn increment(&self) {
        self.0.add(1, &[]);
    }
}

/// A count that only grows, for each value of a label.
#[derive(Clone, Debug)]
pub struct LabelledCounter {
    counter: Counter,
    key: &'static str,
}

impl LabelledCounter {
    fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        Self { counter: Counter::new(meter, from), key: label_key(from) }
    }

    /// Counts `more` under `label`.
    pub fn add(&self, label: impl Into<&'static str>, more: u64) {
        self.counter.0.add(more, &[KeyValue::new(self.key, label.into())]);
    }
}

/// A count that grows and shrinks, for each value of a label.
#[derive(Clone, Debug)]
pub struct LabelledUpDownCounter {
    counter: otel::UpDownCounter<i64>,
    key: &'static str,
}

impl LabelledUpDownCounter {
    fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        debug_assert!(from.kind == Kind::UpDownCounter);
        let builder = meter.i64_up_down_counter(from.name);
        let counter = builder.with_unit(from.unit).with_description(from.description).build();
        Self { counter, key: label_key(from) }
    }

    /// Counts one more under `label`.
    pub fn increment(&self, label: impl Into<&'static str>) {
        self.counter.add(1, &[KeyValue::new(self.key, label.into())]);
    }

    /// Counts one less under `label`.
    pub fn decrement(&self, label: impl Into<&'static str>) {
        self.counter.add(-1, &[KeyValue::new(self.key, label.into())]);
    }
}

/// What is.
#[derive(Clone, Debug)]
pub struct Gauge(pub(crate) otel::Gauge<u64>);

impl Gauge {
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        debug_assert!(from.kind == Kind::Gauge);
        Self(meter.u64_gauge(from.name).with_unit(from.unit).with_description(from.description).build())
    }

    /// Is `now`.
    pub fn set(&self, now: u64) {
        self.0.record(now, &[]);
    }
}

/// What is, for each value of a label.
#[derive(Clone, Debug)]
pub struct LabelledGauge {
    gauge: Gauge,
    key: &'static str,
}

impl LabelledGauge {
    fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        Self { gauge: Gauge::new(meter, from), key: label_key(from) }
    }

    /// Is `now` under `label`.
    pub fn set(&self, label: impl Into<&'static str>, now: u64) {
        self.gauge.0.record(now, &[KeyValue::new(self.key, label.into())]);
    }
}

/// How long things take.
#[derive(Clone, Debug)]
pub struct Durations(otel::Histogram<f64>);

impl Durations {
    /// One took `time`.
    pub fn record(&self, time: Duration) {
        self.0.record(time.as_secs_f64(), &[]);
    }
}

/// How many things go together.
#[derive(Clone, Debug)]
pub struct Sizes(otel::Histogram<f64>);

impl Sizes {
    /// So many went together.
    pub fn record(&self, count: u32) {
        self.0.record(f64::from(count), &[]);
    }
}

pub(crate) fn histogram(meter: &otel::Meter, from: &Instrument) -> otel::Histogram<f64> {
    let Kind::Histogram(bounds) = from.kind else { unreachable!("{} is no histogram in the catalogue", from.name) };
    let builder = meter.f64_histogram(from.name).with_unit(from.unit).with_description(from.description);
    builder.with_boundaries(bounds.to_vec()).build()
}

fn label_key(from: &Instrument) -> &'static str {
    let [label] = from.labels else { unreachable!("{} has not one label in the catalogue", from.name) };
    label.key
}
