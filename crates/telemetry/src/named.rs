//! Metrics that belong to one object of the configuration: a Send connector, a Receive connector, another server.
//!
//! Such handles are made from the object itself, so that no text of a stranger can name a series ([`catalogue::Values`]).
//! Whoever counts makes them once, where the object comes into use, and keeps them: the label sets are put together there,
//! and nothing is allocated or formatted for a message.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics as otel;
use topology::{ReceiveConnector, SendConnector, Server};

use crate::catalogue::{self, Instrument};
use crate::instruments::{Counter, Direction, Gauge, histogram};

/// What an attempt to send came to: label `outcome` of [`catalogue::SEND_MESSAGES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Taken, for one recipient at least.
    Delivered,
    /// Nobody took it, and it is tried again.
    Deferred,
    /// Given up for all.
    Failed,
}

/// What a transfer to another server came to: label `outcome` of [`catalogue::TRANSFER_MESSAGES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Acknowledged.
    Accepted,
    /// Refused, for now or for good.
    Refused,
    /// The peer is not there, or went away.
    Unanswered,
}

/// What a logon came to: label `outcome` of [`catalogue::LOGONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logon {
    /// Name and password were right.
    Succeeded,
    /// They were not.
    Failed,
    /// Nobody looked.
    Refused,
}

/// The instruments.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    send_messages: Counter,
    send_duration: otel::Histogram<f64>,
    receive_messages: Counter,
    logons: Counter,
    transfer_messages: Counter,
    transfer_duration: otel::Histogram<f64>,
    peers_failed: Gauge,
    edge_told: Gauge,
}

impl Named {
    pub(crate) fn new(meter: &otel::Meter) -> Self {
        Self {
            send_messages: Counter::new(meter, &catalogue::SEND_MESSAGES),
            send_duration: histogram(meter, &catalogue::SEND_DURATION),
            receive_messages: Counter::new(meter, &catalogue::RECEIVE_MESSAGES),
            logons: Counter::new(meter, &catalogue::LOGONS),
            transfer_messages: Counter::new(meter, &catalogue::TRANSFER_MESSAGES),
            transfer_duration: histogram(meter, &catalogue::TRANSFER_DURATION),
            peers_failed: Gauge::new(meter, &catalogue::PEERS_FAILED),
            edge_told: Gauge::new(meter, &catalogue::EDGE_TOLD),
        }
    }

    pub(crate) fn of_send_connector(&self, connector: &SendConnector) -> SendMetrics {
        let name = Arc::<str>::from(connector.name.as_str());
        let one = |outcome| One::new(&self.send_messages, &catalogue::SEND_MESSAGES, &[&name, &word(outcome)]);
        SendMetrics {
            delivered: one("delivered"),
            deferred: one("deferred"),
            failed: one("failed"),
            duration: Timed::new(&self.send_duration, &catalogue::SEND_DURATION, &[&name]),
        }
    }

    pub(crate) fn of_receive_connector(&self, connector: &ReceiveConnector) -> ReceiveMetrics {
        let name = Arc::<str>::from(connector.name.as_str());
        let one = |outcome| One::new(&self.receive_messages, &catalogue::RECEIVE_MESSAGES, &[&name, &word(outcome)]);
        let logon = |outcome| One::new(&self.logons, &catalogue::LOGONS, &[&name, &word(outcome)]);
        ReceiveMetrics {
            accepted: one("accepted"),
            refused: one("refused"),
            logon_succeeded: logon("succeeded"),
            logon_failed: logon("failed"),
            logon_refused: logon("refused"),
        }
    }

    pub(crate) fn of_peer(&self, server: &Server) -> PeerMetrics {
        let name = Arc::<str>::from(server.name.as_str());
        let one = |direction: Direction, outcome| {
            let values = [&name, &word(direction.into()), &word(outcome)];
            One::new(&self.transfer_messages, &catalogue::TRANSFER_MESSAGES, &values)
        };
        PeerMetrics {
            accepted_there: one(Direction::Outbound, "accepted"),
            refused_there: one(Direction::Outbound, "refused"),
            unanswered: one(Direction::Outbound, "unanswered"),
            accepted_here: one(Direction::Inbound, "accepted"),
            refused_here: one(Direction::Inbound, "refused"),
            duration: Timed::new(&self.transfer_duration, &catalogue::TRANSFER_DURATION, &[&name]),
            failed: (self.peers_failed.clone(), labels(&catalogue::PEERS_FAILED, &[&name])),
        }
    }

    pub(crate) fn of_edge(&self, server: &Server) -> EdgeMetrics {
        let name = Arc::<str>::from(server.name.as_str());
        EdgeMetrics { told: self.edge_told.clone(), labels: labels(&catalogue::EDGE_TOLD, &[&name]) }
    }
}

/// The metrics of one Send connector.
#[derive(Clone, Debug)]
pub struct SendMetrics {
    delivered: One,
    deferred: One,
    failed: One,
    duration: Timed,
}

impl SendMetrics {
    /// One attempt came to this and took so long.
    pub fn attempted(&self, attempt: Attempt, time: Duration) {
        match attempt {
            Attempt::Delivered => self.delivered.increment(),
            Attempt::Deferred => self.deferred.increment(),
            Attempt::Failed => self.failed.increment(),
        }
        self.duration.record(time);
    }
}

/// The metrics of one Receive connector.
#[derive(Clone, Debug)]
pub struct ReceiveMetrics {
    accepted: One,
    refused: One,
    logon_succeeded: One,
    logon_failed: One,
    logon_refused: One,
}

impl ReceiveMetrics {
    /// A message was acknowledged.
    pub fn accepted(&self) {
        self.accepted.increment();
    }

    /// A message was refused.
    pub fn refused(&self) {
        self.refused.increment();
    }

    /// A logon came to this.
    pub fn logon(&self, logon: Logon) {
        match logon {
            Logon::Succeeded => self.logon_succeeded.increment(),
            Logon::Failed => self.logon_failed.increment(),
            Logon::Refused => self.logon_refused.increment(),
        }
    }
}

/// The metrics of one other server.
#[derive(Clone, Debug)]
pub struct PeerMetrics {
    accepted_there: One,
    refused_there: One,
    unanswered: One,
    accepted_here: One,
    refused_here: One,
    duration: Timed,
    failed: (Gauge, Arc<[KeyValue]>),
}

impl PeerMetrics {
    /// A transfer to it came to this and took so long. Only what was acknowledged says how fast it is.
    pub fn sent(&self, transfer: Transfer, time: Duration) {
        match transfer {
            Transfer::Accepted => {
                self.accepted_there.increment();
                self.duration.record(time);
            }
            Transfer::Refused => self.refused_there.increment(),
            Transfer::Unanswered => self.unanswered.increment(),
        }
    }

    /// A message of it was acknowledged here.
    pub fn accepted(&self) {
        self.accepted_here.increment();
    }

    /// A message of it was refused here.
    pub fn refused(&self) {
        self.refused_here.increment();
    }

    /// So many of its services count as failed now.
    pub fn failed(&self, services: u64) {
        let (gauge, labels) = &self.failed;
        gauge.0.record(services, labels);
    }
}

/// The metrics of one Edge server that is synchronized.
#[derive(Clone, Debug)]
pub struct EdgeMetrics {
    told: Gauge,
    labels: Arc<[KeyValue]>,
}

impl EdgeMetrics {
    /// When it was told everything last, in seconds since 1970; 0 when it is an Edge server no more.
    pub fn told(&self, seconds: u64) {
        self.told.0.record(seconds, &self.labels);
    }
}

/// One series of a counter.
#[derive(Clone, Debug)]
struct One(Counter, Arc<[KeyValue]>);

impl One {
    fn new(counter: &Counter, from: &Instrument, values: &[&Arc<str>]) -> Self {
        Self(counter.clone(), labels(from, values))
    }

    fn increment(&self) {
        self.0.0.add(1, &self.1);
    }
}

/// One series of a histogram of times.
#[derive(Clone, Debug)]
struct Timed(otel::Histogram<f64>, Arc<[KeyValue]>);

impl Timed {
    fn new(histogram: &otel::Histogram<f64>, from: &Instrument, values: &[&Arc<str>]) -> Self {
        Self(histogram.clone(), labels(from, values))
    }

    fn record(&self, time: Duration) {
        self.0.record(time.as_secs_f64(), &self.1);
    }
}

fn word(word: &'static str) -> Arc<str> {
    word.into()
}

fn labels(from: &Instrument, values: &[&Arc<str>]) -> Arc<[KeyValue]> {
    debug_assert_eq!(from.labels.len(), values.len(), "{}", from.name);
    from.labels.iter().zip(values).map(|(label, value)| KeyValue::new(label.key, Arc::clone(value))).collect()
}
