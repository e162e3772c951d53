//! Every metric as data: name, unit, kind, meaning, labels. The handles ([`crate::metrics`], [`crate::named`]) and the
//! documentation page ([`markdown`]) are made from it, so neither can name one that the other does not.
//!
//! Names leave out `_total` and the unit: the Prometheus text gets both from the exporter. What a label may say is a rule
//! ([`Values`]), told to operators on the page ([`RULE`]).

use std::fmt::Write as _;

/// What an instrument does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks by what happens.
    UpDownCounter,
    /// Is set to what is.
    Gauge,
    /// Counts values by size; the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instrument {
    /// Dotted, under `postroad.`.
    pub name: &'static str,
    /// UCUM; counted things in braces.
    pub unit: &'static str,
    /// What it does.
    pub kind: Kind,
    /// What it means.
    pub description: &'static str,
    /// Its labels, in the order in which the handles give their values.
    pub labels: &'static [Label],
}

/// One label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Its name.
    pub key: &'static str,
    /// What it says.
    pub values: Values,
}

/// What the values of a label are. Both kinds are bounded, so the number of series is: words by the program, names by the
/// configuration. The handles take an enum for the former and an object of the configuration for the latter, never a text:
/// what a stranger can choose (a domain, an address, a host out of DNS) cannot become a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// Words written in the program; these.
    Words(&'static str),
    /// Names of objects in the organization's configuration; of this kind.
    Names(&'static str),
}

/// The rule about labels, for whoever reads the page.
pub const RULE: &str = "\
A label says a word of the program, which the table lists, or the name of an object in the organization's configuration: a
Send connector, a Receive connector, a server. Nothing else: no domain, address, queue or smart host, no host out of DNS,
nothing that a stranger can choose. So the configuration bounds the number of series. (OpenTelemetry stops at 2,000 label
sets for a metric of one service; whatever is beyond is counted together, under `otel_metric_overflow`.)

When an object is removed from the configuration, or is renamed, its counters and histograms stay as they are until the
service restarts; its gauges go to 0.
";

const CONNECTOR: Label = Label { key: "connector", values: Values::Names("the Send connector") };
const RECEIVE_CONNECTOR: Label = Label { key: "connector", values: Values::Names("the Receive connector") };
const PEER: Label = Label { key: "peer", values: Values::Names("the other server") };
const EDGE: Label = Label { key: "edge", values: Values::Names("the Edge server") };
const DELIVERY_TYPE: Label =
    Label { key: "delivery_type", values: Values::Words("the delivery types of the queue reference") };
const DIRECTION: Label = Label { key: "direction", values: Values::Words("`inbound`, `outbound`") };
const SOURCE: Label = Label {
    key: "source",
    values: Values::Words("`smtp`, `transfer`, `submission`, `notification`, `bifurcation`, `expansion`, `recovery`"),
};
const SENT: Label = Label { key: "outcome", values: Values::Words("`delivered`, `deferred`, `failed`") };
const RECEIVED: Label = Label { key: "outcome", values: Values::Words("`accepted`, `refused`") };
const LOGON: Label = Label { key: "outcome", values: Values::Words("`succeeded`, `failed`, `refused`") };
const RESOURCE_STATE: Label = Label { key: "state", values: Values::Words("`accepted`, `refused`") };
const ROUND_OUTCOME: Label = Label { key: "outcome", values: Values::Words("`changed`, `unchanged`, `failed`") };
const TOLD: Label = Label { key: "outcome", values: Values::Words("`counted`, `dropped`, `unsent`") };
const CERTIFICATE: Label =
    Label { key: "certificate", values: Values::Words("`service`, `smtp`, `directory`, `authority`") };
const TRANSFERRED: Label =
    Label { key: "outcome", values: Values::Words("`accepted`, `refused`; outbound also `unanswered`") };
const RESOURCE: Label = Label {
    key: "resource",
    values: Values::Words("`DatabaseUsedSpace`, `PrivateBytes`, `SystemMemory`, `SubmissionQueue`"),
};

/// Seconds, from a fast local commit to the patience of an SMTP client.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Records in a batch: powers of two, up to what one sync can carry.
const RECORDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];

/// Conservation: accepted.
pub const ACCEPTED: Instrument = Instrument {
    name: "postroad.messages.accepted",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies of messages that this server became responsible for. On every server accepted = delivered + \
                  failed + expired + removed + queued; a message that is split counts once more for each further copy",
    labels: &[SOURCE],
};
/// Conservation: delivered.
pub const DELIVERED: Instrument = Instrument {
    name: "postroad.messages.delivered",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies that the next hop or the mailbox database took over",
    labels: &[DELIVERY_TYPE],
};
/// Conservation: failed.
pub const FAILED: Instrument = Instrument {
    name: "postroad.messages.failed",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies that failed for good: answered by a non-delivery report, or dropped where none is due",
    labels: &[],
};
/// Conservation: expired.
pub const EXPIRED: Instrument = Instrument {
    name: "postroad.messages.expired",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies given up after the expiration timeout",
    labels: &[],
};
/// Conservation: removed.
pub const REMOVED: Instrument = Instrument {
    name: "postroad.messages.removed",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies taken out of a queue by an administrator",
    labels: &[],
};
/// Conservation: queued.
pub const QUEUED: Instrument = Instrument {
    name: "postroad.messages.queued",
    unit: "{message}",
    kind: Kind::Gauge,
    description: "Copies that this server is responsible for now, in any queue",
    labels: &[],
};
/// Queue length.
pub const QUEUE_LENGTH: Instrument = Instrument {
    name: "postroad.queue.length",
    unit: "{message}",
    kind: Kind::Gauge,
    description: "Copies in all delivery queues of a type",
    labels: &[DELIVERY_TYPE],
};
/// Accept latency.
pub const ACCEPT_DURATION: Instrument = Instrument {
    name: "postroad.accept.duration",
    unit: "s",
    kind: Kind::Histogram(SECONDS),
    description: "From the last octet of a message to its acknowledgement, the durable commit included",
    labels: &[],
};
/// Group commit: many messages share one sync.
pub const QUEUE_BATCH_SIZE: Instrument = Instrument {
    name: "postroad.queue.batch.size",
    unit: "{record}",
    kind: Kind::Histogram(RECORDS),
    description: "Records that one sync of the queue's log made durable, one for each transaction: a message accepted, a \
                  change, a removal. The count is the number of syncs",
    labels: &[],
};
/// Write amplification.
pub const QUEUE_WRITTEN: Instrument = Instrument {
    name: "postroad.queue.written",
    unit: "By",
    kind: Kind::Gauge,
    description: "Octets written to the queue's log since the service started",
    labels: &[],
};
/// Space.
pub const QUEUE_DISK: Instrument = Instrument {
    name: "postroad.queue.disk",
    unit: "By",
    kind: Kind::Gauge,
    description: "Octets that the queue's log takes on disk",
    labels: &[],
};
/// Connections now.
pub const CONNECTIONS: Instrument = Instrument {
    name: "postroad.connections.active",
    unit: "{connection}",
    kind: Kind::UpDownCounter,
    description: "Open SMTP connections",
    labels: &[DIRECTION],
};
/// Connections ever.
pub const CONNECTIONS_OPENED: Instrument = Instrument {
    name: "postroad.connections.opened",
    unit: "{connection}",
    kind: Kind::Counter,
    description: "SMTP connections opened",
    labels: &[DIRECTION],
};
/// Message tracking.
pub const TRACKING_LOST: Instrument = Instrument {
    name: "postroad.tracking.lost",
    unit: "{event}",
    kind: Kind::Counter,
    description: "Events that are missing in the message tracking log: its writer could not keep up, \
                  or the disk took none. Mail does not wait for the log",
    labels: &[],
};
/// By Send connector.
pub const SEND_MESSAGES: Instrument = Instrument {
    name: "postroad.send.messages",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Attempts to send a copy by a Send connector of this server, over an open session: delivered if the next \
                  hop took it for any recipient, else deferred if any is to be tried again, else failed",
    labels: &[CONNECTOR, SENT],
};
/// By Send connector: how fast.
pub const SEND_DURATION: Instrument = Instrument {
    name: "postroad.send.duration",
    unit: "s",
    kind: Kind::Histogram(SECONDS),
    description: "From `MAIL` to the final reply of the next hop, whatever it was",
    labels: &[CONNECTOR],
};
/// By Receive connector.
pub const RECEIVE_MESSAGES: Instrument = Instrument {
    name: "postroad.receive.messages",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Messages that clients offered by SMTP: accepted, or refused because of the sender, every recipient or the \
                  content. What the client breaks off, and what breaks the protocol, is neither",
    labels: &[RECEIVE_CONNECTOR, RECEIVED],
};
/// By Receive connector: who logs on, and who tries to.
pub const LOGONS: Instrument = Instrument {
    name: "postroad.logons",
    unit: "{logon}",
    kind: Kind::Counter,
    description: "Logons of clients by `AUTH`. Failed: name or password were wrong. Refused: nobody looked at the password, \
                  because too many of the client's network had failed lately. The log says which account and peer",
    labels: &[RECEIVE_CONNECTOR, LOGON],
};
/// Failed logons that services tell one another.
pub const LOGONS_TOLD: Instrument = Instrument {
    name: "postroad.logons.told",
    unit: "{logon}",
    kind: Kind::Counter,
    description: "Failed logons that services which take logons tell one another. Counted: of others, in the budgets of this \
                  service. Dropped: of others, not counted, because one tells more than it may. Unsent: of this service, for \
                  each other one that was away and was not told",
    labels: &[TOLD],
};
/// By server.
pub const TRANSFER_MESSAGES: Instrument = Instrument {
    name: "postroad.transfer.messages",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Messages between the Transport services of two servers. Accepted by the receiver, durably; refused with a \
                  reply; unanswered when the peer cannot be reached or goes away: another server may be tried then",
    labels: &[PEER, DIRECTION, TRANSFERRED],
};
/// By server: how fast.
pub const TRANSFER_DURATION: Instrument = Instrument {
    name: "postroad.transfer.duration",
    unit: "s",
    kind: Kind::Histogram(SECONDS),
    description: "From the first octet of an outbound transfer to its acknowledgement, the peer's durable commit included",
    labels: &[PEER],
};
/// Failure knowledge.
pub const PEERS_FAILED: Instrument = Instrument {
    name: "postroad.peers.failed",
    unit: "{service}",
    kind: Kind::Gauge,
    description: "Services of a server that failed lately and have not succeeded since: Transport tries them last. 0 for a \
                  server of which nothing bad is known",
    labels: &[PEER],
};
/// Back pressure: levels.
pub const PRESSURE_LEVEL: Instrument = Instrument {
    name: "postroad.pressure.level",
    unit: "{level}",
    kind: Kind::Gauge,
    description: "How short a resource is: 0 Low, 1 Medium, 2 High. Above 0 Transport refuses or delays mail",
    labels: &[RESOURCE],
};
/// Back pressure: meters.
pub const PRESSURE_MEASURE: Instrument = Instrument {
    name: "postroad.pressure.measure",
    unit: "{measure}",
    kind: Kind::Gauge,
    description: "What was measured last of a resource: percent used, or messages for `SubmissionQueue`",
    labels: &[RESOURCE],
};
/// Until when certificates count.
pub const CERTIFICATE_END: Instrument = Instrument {
    name: "postroad.certificate.end",
    unit: "s",
    kind: Kind::Gauge,
    description: "When the certificate ends, in seconds since 1970: of this service inside the organization, of this server for \
                  clients of SMTP, for the directory, and of the organization's authority; where several count, the first \
                  that ends",
    labels: &[CERTIFICATE],
};
/// The certificate of the service is void.
pub const CERTIFICATE_REVOKED: Instrument = Instrument {
    name: "postroad.certificate.revoked",
    unit: "{certificate}",
    kind: Kind::Gauge,
    description: "1 while the certificate that this service shows inside the organization is revoked, so that no other hears it, \
                  else 0",
    labels: &[],
};
/// Revision applied.
pub const REVISION: Instrument = Instrument {
    name: "postroad.configuration.revision",
    unit: "{revision}",
    kind: Kind::Gauge,
    description: "Revision of the organization's configuration that this server has applied",
    labels: &[],
};

/// See [`ALL`].
pub const CONTROLLER_RESOURCES: Instrument = Instrument {
    name: "postroad.controller.resources",
    unit: "{resource}",
    kind: Kind::Gauge,
    description: "Custom resources of Kubernetes: accepted, or refused with the reason in their status. Of the controller that leads",
    labels: &[RESOURCE_STATE],
};
/// See [`ALL`].
pub const CONTROLLER_ROUNDS: Instrument = Instrument {
    name: "postroad.controller.rounds",
    unit: "{round}",
    kind: Kind::Counter,
    description: "Rounds of the controller: the organization was changed, was as it shall be, or the round failed and is tried again",
    labels: &[ROUND_OUTCOME],
};
/// See [`ALL`].
pub const CONTROLLER_LEADING: Instrument = Instrument {
    name: "postroad.controller.leading",
    unit: "{controller}",
    kind: Kind::Gauge,
    description: "1 for the one of several controllers that works, else 0",
    labels: &[],
};

/// EdgeSync.
pub const EDGE_TOLD: Instrument = Instrument {
    name: "postroad.edge.told",
    unit: "s",
    kind: Kind::Gauge,
    description: "When this admin service told an Edge server everything last, in seconds since 1970; before it has, when it tried \
                  first. One of the site's does, which gives a newer time at least every three minutes",
    labels: &[EDGE],
};

/// The directory does not answer.
pub const DIRECTORY_AWAY: Instrument = Instrument {
    name: "postroad.directory.away",
    unit: "{directory}",
    kind: Kind::Gauge,
    description: "1 while the directory does not answer this service, else 0. Mail goes on by what was known last",
    labels: &[],
};

/// Members of etcd that do not answer.
pub const DIRECTORY_MEMBERS_AWAY: Instrument = Instrument {
    name: "postroad.directory.members_away",
    unit: "{member}",
    kind: Kind::Gauge,
    description: "Members of etcd that do not answer this service, asked twice a minute each by itself. While more than half \
                  answer nothing is amiss, and the next one that goes may be one too many",
    labels: &[],
};

/// What the directory holds is not applied.
pub const CONFIGURATION_REFUSED: Instrument = Instrument {
    name: "postroad.configuration.refused",
    unit: "{configuration}",
    kind: Kind::Gauge,
    description: "1 while the directory holds a configuration that this service does not apply, because it is not valid or \
                  older than the one in use, else 0",
    labels: &[],
};

/// All of them, in the order of the documentation.
pub const ALL: &[Instrument] = &[
    ACCEPTED,
    DELIVERED,
    FAILED,
    EXPIRED,
    REMOVED,
    QUEUED,
    QUEUE_LENGTH,
    ACCEPT_DURATION,
    QUEUE_BATCH_SIZE,
    QUEUE_WRITTEN,
    QUEUE_DISK,
    CONNECTIONS,
    CONNECTIONS_OPENED,
    RECEIVE_MESSAGES,
    LOGONS,
    LOGONS_TOLD,
    SEND_MESSAGES,
    SEND_DURATION,
    TRANSFER_MESSAGES,
    TRANSFER_DURATION,
    PEERS_FAILED,
    PRESSURE_LEVEL,
    PRESSURE_MEASURE,
    TRACKING_LOST,
    CERTIFICATE_END,
    CERTIFICATE_REVOKED,
    REVISION,
    CONFIGURATION_REFUSED,
    DIRECTORY_AWAY,
    DIRECTORY_MEMBERS_AWAY,
    EDGE_TOLD,
    CONTROLLER_RESOURCES,
    CONTROLLER_ROUNDS,
    CONTROLLER_LEADING,
];

impl Instrument {
    /// The name in the Prometheus text; histograms add `_bucket`, `_sum` and `_count`.
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let unit = match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{suffix}", self.name.replace('.', "_"))
    }
}

impl Label {
    fn markdown(&self) -> String {
        match self.values {
            Values::Words(words) => format!("`{}`: {words}", self.key),
            Values::Names(of) => format!("`{}`: name of {of}", self.key),
        }
    }
}

/// The documentation of the metrics: the rule about labels, and a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let mut page = format!(
        "# Metrics\n\n{RULE}\n| metric | in Prometheus | kind | unit | labels | meaning |\n|---|---|---|---|---|---|\n",
    );
    for instrument in ALL {
        let Instrument { name, unit, description, .. } = instrument;
        let kind = match instrument.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up-down counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = instrument.labels.iter().map(Label::markdown).collect();
        let labels = labels.join("; ");
        let prometheus = instrument.prometheus_name();
        writeln!(page, "| `{name}` | `{prometheus}` | {kind} | {unit} | {labels} | {description} |")
            .expect("a String takes everything");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_ours_unique_and_without_what_the_exporter_adds() {
        let names: BTreeSet<_> = ALL.iter().map(|instrument| instrument.name).collect();
        assert_eq!(names.len(), ALL.len());
        for instrument in ALL {
            let own = instrument.name.starts_with("postroad.");
            assert!(
                own && !instrument.name.contains("total") && !instrument.name.ends_with("seconds"),
                "{instrument:?}"
            );
            let keys: BTreeSet<_> = instrument.labels.iter().map(|label| label.key).collect();
            assert_eq!(keys.len(), instrument.labels.len(), "{instrument:?}");
            if let Kind::Histogram(bounds) = instrument.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{instrument:?}");
            }
        }
    }

    #[test]
    fn the_page_has_a_line_for_each() {
        let page = markdown();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), ALL.len() + 2);
        assert!(page.contains("| `postroad.accept.duration` | `postroad_accept_duration_seconds` | histogram | s |"));
        assert!(rows.iter().all(|line| line.matches(" | ").count() == 5 || line.starts_with("|---")), "{page}");
    }
}
