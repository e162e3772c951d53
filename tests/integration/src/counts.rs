//! What a service counts, as its operator reads it: the text of its `/metrics`, asked by the names of the catalogue.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use telemetry::catalogue::{self, Instrument, Kind};
use telemetry::probe::{self, Series};

/// All metrics of a service at one moment.
pub struct Counts(String);

impl Counts {
    /// Asks the operations endpoint at `address`.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn ask(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(probe::ask(address, "/metrics").await?.body))
    }

    /// A metric, all labels added up.
    #[must_use]
    pub fn sum(&self, instrument: &Instrument) -> u64 {
        count(probe::series(&self.0, &instrument.prometheus_name()).map(|series| series.number))
    }

    /// A metric where its labels have these values, in the order of the catalogue; labels after those are added up. `None`
    /// while there is no such series.
    #[must_use]
    pub fn labelled(&self, instrument: &Instrument, values: &[&str]) -> Option<u64> {
        self.numbers(&instrument.prometheus_name(), instrument, values)
    }

    /// How many values a histogram has counted, where its labels have these values. `None` while there is no such series.
    #[must_use]
    pub fn recorded(&self, instrument: &Instrument, values: &[&str]) -> Option<u64> {
        self.numbers(&format!("{}_count", instrument.prometheus_name()), instrument, values)
    }

    /// Every value that a label has.
    #[must_use]
    pub fn values(&self, instrument: &Instrument, key: &str) -> BTreeSet<String> {
        let name = instrument.prometheus_name();
        let name = if matches!(instrument.kind, Kind::Histogram(_)) { format!("{name}_count") } else { name };
        probe::series(&self.0, &name).map(|series| series.label(key).to_owned()).collect()
    }

    /// Whether any of it says this.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    fn numbers(&self, name: &str, instrument: &Instrument, values: &[&str]) -> Option<u64> {
        let wanted = |series: &Series<'_>| {
            instrument.labels.iter().zip(values).all(|(label, value)| series.label(label.key) == *value)
        };
        let mut series = probe::series(&self.0, name).filter(wanted).peekable();
        series.peek()?;
        Some(count(series.map(|series| series.number)))
    }

    /// Accepted, and what became of it: delivered, failed, expired, removed, queued. Equal on every server once the gauges
    /// are read (docs/metrics.md).
    #[must_use]
    pub fn conservation(&self) -> (u64, [u64; 5]) {
        let ends = [catalogue::DELIVERED, catalogue::FAILED, catalogue::EXPIRED, catalogue::REMOVED, catalogue::QUEUED];
        (self.sum(&catalogue::ACCEPTED), ends.each_ref().map(|end| self.sum(end)))
    }
}

/// The sum of nothing is minus zero.
fn count(numbers: impl Iterator<Item = f64>) -> u64 {
    let sum = numbers.fold(0.0, |sum, number| sum + number);
    format!("{sum:.0}").parse().unwrap()
}
