//! What counts, measures and times: each made from its row of the catalogue, with the label values that services use.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics as otel;

use crate::catalogue::{Instrument, Kind};

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
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
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
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
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
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
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
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        Self(histogram(meter, from))
    }

    /// One took `time`.
    pub fn record(&self, time: Duration) {
        self.0.record(time.as_secs_f64(), &[]);
    }
}

/// How many things go together.
#[derive(Clone, Debug)]
pub struct Sizes(otel::Histogram<f64>);

impl Sizes {
    pub(crate) fn new(meter: &otel::Meter, from: &Instrument) -> Self {
        Self(histogram(meter, from))
    }

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
