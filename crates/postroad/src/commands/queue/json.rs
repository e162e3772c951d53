//! Queues for programs: JSON Lines. Fields are only ever added.

use admin_api::queues::{DecisionEntry, MessageEntry, PeerEntry, QueueEntry, TargetEntry};
use envelope::{ServerName, Timestamp};
use serde::Serialize;

use super::super::queued::Told;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Line<'a> {
    Queue {
        server: &'a str,
        /// `<server>\<integer>`, as documented.
        identity: String,
        name: &'a str,
        delivery_type: &'a str,
        next_hop_domain: &'a str,
        next_hop_connector: &'a str,
        connector: Option<&'a str>,
        tls_domain: Option<&'a str>,
        status: &'a str,
        message_count: u64,
        deferred_message_count: u64,
        connections: u32,
        retry_count: u32,
        next_retry_time: Option<String>,
        last_error: Option<&'a str>,
        incoming_rate: f64,
        outgoing_rate: f64,
        velocity: f64,
        targets: Vec<Target<'a>>,
    },
    Message {
        server: &'a str,
        /// `<server>\<queue integer>\<message integer>`, as documented.
        identity: String,
        message_id: String,
        queue: &'a str,
        status: &'a str,
        sender: String,
        recipients: Vec<String>,
        size: u64,
        date_received: String,
        retry_count: u32,
        next_retry_time: Option<String>,
        last_error: Option<&'a str>,
        decision: Option<Decision<'a>>,
        trace_id: Option<&'a str>,
        subject: Option<&'a str>,
        internet_message_id: Option<&'a str>,
        expiration_time: String,
        message_source_name: &'a str,
    },
    Peer {
        server: &'a str,
        peer: &'a str,
        service: &'a str,
        failed: bool,
        failures: u32,
        failing_since: Option<String>,
        last_failure: Option<String>,
        last_success: Option<String>,
        last_error: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct Target<'a> {
    server: &'a str,
    site: &'a str,
    rule: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decision<'a> {
    revision: u64,
    delivery_type: &'a str,
    next_hop_domain: &'a str,
    connector: Option<&'a str>,
    rule: &'a str,
}

pub(super) fn lines(told: &[(ServerName, Told)]) -> anyhow::Result<String> {
    let mut text = String::new();
    for (server, told) in told {
        let queues = told.queues.iter().map(|entry| queue(server, entry));
        let messages = told.messages.iter().map(|entry| message(server, entry));
        let peers = told.peers.iter().map(|entry| peer(server, entry));
        for line in queues.chain(messages).chain(peers) {
            text += &serde_json::to_string(&line)?;
            text.push('\n');
        }
    }
    Ok(text)
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::to_iso8601)
}

fn queue<'a>(server: &'a ServerName, entry: &'a QueueEntry) -> Line<'a> {
    let target = |target: &'a TargetEntry| Target { server: &target.server, site: &target.site, rule: &target.rule };
    Line::Queue {
        server: server.as_str(),
        identity: format!("{server}\\{}", entry.number),
        name: &entry.name,
        delivery_type: &entry.delivery_type,
        next_hop_domain: &entry.next_hop_domain,
        next_hop_connector: &entry.next_hop_connector,
        connector: entry.connector.as_deref(),
        tls_domain: entry.tls_domain.as_deref(),
        status: &entry.status,
        message_count: entry.message_count,
        deferred_message_count: entry.deferred_message_count,
        connections: entry.connections,
        retry_count: entry.retry_count,
        next_retry_time: time(entry.next_retry),
        last_error: entry.last_error.as_deref(),
        incoming_rate: entry.incoming_rate,
        outgoing_rate: entry.outgoing_rate,
        velocity: entry.velocity(),
        targets: entry.targets.iter().map(target).collect(),
    }
}

fn message<'a>(server: &'a ServerName, entry: &'a MessageEntry) -> Line<'a> {
    let decision = |decision: &'a DecisionEntry| Decision {
        revision: decision.revision.0,
        delivery_type: &decision.delivery_type,
        next_hop_domain: &decision.next_hop_domain,
        connector: decision.connector.as_deref(),
        rule: &decision.rule,
    };
    Line::Message {
        server: server.as_str(),
        identity: format!("{server}\\{}\\{}", entry.queue, entry.number),
        message_id: entry.id.to_string(),
        queue: &entry.queue_name,
        status: &entry.status,
        sender: entry.sender.to_string(),
        recipients: entry.recipients.iter().map(ToString::to_string).collect(),
        size: entry.size.as_u64(),
        date_received: entry.arrived.to_iso8601(),
        retry_count: entry.retry_count,
        next_retry_time: time(entry.next_retry),
        last_error: entry.last_error.as_deref(),
        decision: entry.decision.as_ref().map(decision),
        trace_id: entry.trace.as_deref(),
        subject: entry.subject.as_deref(),
        internet_message_id: entry.internet_message_id.as_deref(),
        expiration_time: entry.expires.to_iso8601(),
        message_source_name: &entry.source,
    }
}

fn peer<'a>(server: &'a ServerName, entry: &'a PeerEntry) -> Line<'a> {
    Line::Peer {
        server: server.as_str(),
        peer: entry.server.as_str(),
        service: entry.service.as_str(),
        failed: entry.failed,
        failures: entry.failures,
        failing_since: time(entry.failing_since),
        last_failure: time(entry.last_failure),
        last_success: time(entry.last_success),
        last_error: entry.last_error.as_deref(),
    }
}
