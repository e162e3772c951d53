//! Every metric as data: name, unit, kind, meaning, label. The handles ([`crate::metrics`]) and the documentation page
//! ([`markdown`]) are made from it, so neither can name one that the other does not.
//!
//! Names leave out `_total` and the unit: the Prometheus text gets both from the exporter. A metric has at most one label,
//! and labels take only words written in the program, so the number of series is bounded: no domain, address or queue
//! name is ever a label.

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
    /// Its label and the values that it takes.
    pub label: Option<(&'static str, &'static str)>,
}

const DELIVERY_TYPE: Option<(&str, &str)> = Some(("delivery_type", "the delivery types of the queue reference"));
const DIRECTION: Option<(&str, &str)> = Some(("direction", "`inbound`, `outbound`"));
const SOURCE: Option<(&str, &str)> =
    Some(("source", "`smtp`, `transfer`, `submission`, `notification`, `bifurcation`, `expansion`, `recovery`"));
const RESOURCE: Option<(&str, &str)> =
    Some(("resource", "`DatabaseUsedSpace`, `PrivateBytes`, `SystemMemory`, `SubmissionQueue`"));

/// Seconds, from a fast local commit to the patience of an SMTP client.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Conservation: accepted.
pub const ACCEPTED: Instrument = Instrument {
    name: "postroad.messages.accepted",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies of messages that this server became responsible for. On every server accepted = delivered + \
                  failed + expired + removed + queued; a message that is split counts once more for each further copy",
    label: SOURCE,
};
/// Conservation: delivered.
pub const DELIVERED: Instrument = Instrument {
    name: "postroad.messages.delivered",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies that the next hop or the mailbox database took over",
    label: DELIVERY_TYPE,
};
/// Conservation: failed.
pub const FAILED: Instrument = Instrument {
    name: "postroad.messages.failed",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies that failed for good: answered by a non-delivery report, or dropped where none is due",
    label: None,
};
/// Conservation: expired.
pub const EXPIRED: Instrument = Instrument {
    name: "postroad.messages.expired",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies given up after the expiration timeout",
    label: None,
};
/// Conservation: removed.
pub const REMOVED: Instrument = Instrument {
    name: "postroad.messages.removed",
    unit: "{message}",
    kind: Kind::Counter,
    description: "Copies taken out of a queue by an administrator",
    label: None,
};
/// Conservation: queued.
pub const QUEUED: Instrument = Instrument {
    name: "postroad.messages.queued",
    unit: "{message}",
    kind: Kind::Gauge,
    description: "Copies that this server is responsible for now, in any queue",
    label: None,
};
/// Queue length.
pub const QUEUE_LENGTH: Instrument = Instrument {
    name: "postroad.queue.length",
    unit: "{message}",
    kind: Kind::Gauge,
    description: "Copies in all delivery queues of a type",
    label: DELIVERY_TYPE,
};
/// Accept latency.
pub const ACCEPT_DURATION: Instrument = Instrument {
    name: "postroad.accept.duration",
    unit: "s",
    kind: Kind::Histogram(SECONDS),
    description: "From the last octet of a message to its acknowledgement, the durable commit included",
    label: None,
};
/// Group commit: many messages share one sync.
pub const QUEUE_SYNCS: Instrument = Instrument {
    name: "postroad.queue.syncs",
    unit: "{sync}",
    kind: Kind::Gauge,
    description: "Syncs of the queue's log since the service started; compare with messages accepted",
    label: None,
};
/// Write amplification.
pub const QUEUE_WRITTEN: Instrument = Instrument {
    name: "postroad.queue.written",
    unit: "By",
    kind: Kind::Gauge,
    description: "Octets written to the queue's log since the service started",
    label: None,
};
/// Space.
pub const QUEUE_DISK: Instrument = Instrument {
    name: "postroad.queue.disk",
    unit: "By",
    kind: Kind::Gauge,
    description: "Octets that the queue's log takes on disk",
    label: None,
};
/// Connections now.
pub const CONNECTIONS: Instrument = Instrument {
    name: "postroad.connections.active",
    unit: "{connection}",
    kind: Kind::UpDownCounter,
    description: "Open SMTP connections",
    label: DIRECTION,
};
/// Connections ever.
pub const CONNECTIONS_OPENED: Instrument = Instrument {
    name: "postroad.connections.opened",
    unit: "{connection}",
    kind: Kind::Counter,
    description: "SMTP connections opened",
    label: DIRECTION,
};
/// Message tracking.
pub const TRACKING_LOST: Instrument = Instrument {
    name: "postroad.tracking.lost",
    unit: "{event}",
    kind: Kind::Counter,
    description: "Events that are missing in the message tracking log: its writer could not keep up, \
                  or the disk took none. Mail does not wait for the log",
    label: None,
};
/// Failure knowledge.
pub const PEERS_FAILED: Instrument = Instrument {
    name: "postroad.peers.failed",
    unit: "{peer}",
    kind: Kind::Gauge,
    description: "Services of other servers that failed lately and have not succeeded since: Transport tries them last",
    label: None,
};
/// Back pressure: levels.
pub const PRESSURE_LEVEL: Instrument = Instrument {
    name: "postroad.pressure.level",
    unit: "{level}",
    kind: Kind::Gauge,
    description: "How short a resource is: 0 Low, 1 Medium, 2 High. Above 0 Transport refuses or delays mail",
    label: RESOURCE,
};
/// Back pressure: meters.
pub const PRESSURE_MEASURE: Instrument = Instrument {
    name: "postroad.pressure.measure",
    unit: "1",
    kind: Kind::Gauge,
    description: "What was measured last of a resource: percent used, or messages for `SubmissionQueue`",
    label: RESOURCE,
};
/// Revision applied.
pub const REVISION: Instrument = Instrument {
    name: "postroad.configuration.revision",
    unit: "{revision}",
    kind: Kind::Gauge,
    description: "Revision of the organization's configuration that this server has applied",
    label: None,
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
    QUEUE_SYNCS,
    QUEUE_WRITTEN,
    QUEUE_DISK,
    CONNECTIONS,
    CONNECTIONS_OPENED,
    TRACKING_LOST,
    PEERS_FAILED,
    PRESSURE_LEVEL,
    PRESSURE_MEASURE,
    REVISION,
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

/// The documentation of the metrics, as a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n| metric | in Prometheus | kind | unit | label | meaning |\n|---|---|---|---|---|---|\n",
    );
    for instrument in ALL {
        let Instrument { name, unit, description, .. } = instrument;
        let kind = match instrument.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "up-down counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let label = instrument.label.map(|(key, values)| format!("`{key}`: {values}")).unwrap_or_default();
        let prometheus = instrument.prometheus_name();
        writeln!(page, "| `{name}` | `{prometheus}` | {kind} | {unit} | {label} | {description} |")
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
