//! What a service counts, as its operator reads it: the text of its `/metrics`, asked by the names of the catalogue.

use std::io;
use std::net::SocketAddr;

use telemetry::catalogue::{self, Instrument};
use telemetry::probe;

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
        count(probe::series(&self.0, &instrument.prometheus_name(), "").map(|(_, number)| number))
    }

    /// A metric where its label has this value; `None` while there is no such series.
    #[must_use]
    pub fn labelled(&self, instrument: &Instrument, value: &str) -> Option<u64> {
        let (label, _) = instrument.label?;
        let name = instrument.prometheus_name();
        let mut series = probe::series(&self.0, &name, label).filter(|(labelled, _)| *labelled == value).peekable();
        series.peek()?;
        Some(count(series.map(|(_, number)| number)))
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
