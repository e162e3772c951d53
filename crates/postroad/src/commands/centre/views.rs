//! What servers and the directory say, in the words of the centre.

use admin_api::queues::{MessageEntry, Operation, QueueEntry};
use admin_centre::estate::{
    AuditView, CertificateView, Handling, HealthView, Ledger, LetterView, Made, QueueView, Serving, TrackView,
};
use directory::{Presence, RevisionRecord};
use logs::audit::AuditLine;
use net::tls::OwnCertificate;

use crate::commands::health::{self, State};
use crate::commands::tracked::{self, Tracked};

pub(super) fn made(record: RevisionRecord) -> Made {
    let author = record.author.map(|author| (author.who, author.through));
    Made { revision: record.revision, at: record.at, summary: record.summary, author }
}

pub(super) fn serving(presence: Presence) -> Serving {
    let addresses: Vec<String> = presence.addresses.iter().map(ToString::to_string).collect();
    Serving {
        server: presence.server,
        service: presence.service.as_str(),
        addresses: addresses.join(", "),
        version: presence.version,
        revision: presence.applied_revision,
        started: presence.started,
        out_of_reach: presence.out_of_reach,
    }
}

pub(super) const fn operation(action: Handling) -> Operation {
    match action {
        Handling::Retry => Operation::RetryQueue,
        Handling::Suspend => Operation::SuspendQueue,
        Handling::Resume => Operation::ResumeQueue,
        Handling::Resubmit => Operation::ResubmitQueue,
        Handling::SuspendMessage => Operation::SuspendMessage,
        Handling::ResumeMessage => Operation::ResumeMessage,
        Handling::Remove { ndr } => Operation::RemoveMessage { with_ndr: ndr },
    }
}

pub(super) fn queue(entry: QueueEntry) -> QueueView {
    QueueView {
        number: entry.number,
        name: entry.name.into(),
        delivery_type: entry.delivery_type.into(),
        domain: entry.next_hop_domain.into(),
        connector: entry.connector.map(String::from),
        status: entry.status.into(),
        messages: entry.message_count,
        retries: entry.retry_count,
        next_retry: entry.next_retry,
        last_retry: entry.last_failure,
        last_error: entry.last_error.map(String::from),
        incoming: entry.incoming_rate,
        outgoing: entry.outgoing_rate,
    }
}

pub(super) fn letter(entry: MessageEntry) -> LetterView {
    let decision = entry.decision.map(|one| {
        let by = one.connector.map(|name| format!(" by {name}")).unwrap_or_default();
        format!("{} {}{by} ({}, revision {})", one.delivery_type, one.next_hop_domain, one.rule, one.revision)
    });
    LetterView {
        number: entry.number,
        queue: entry.queue,
        queue_name: entry.queue_name.into(),
        id: entry.id.to_string(),
        trace: entry.trace.map(String::from),
        status: entry.status.into(),
        from: entry.sender.shown().to_owned(),
        recipients: entry.recipients,
        size: entry.size,
        received: entry.arrived,
        expires: entry.expires,
        retries: entry.retry_count,
        last_error: entry.last_error.map(String::from),
        source: entry.source.into(),
        subject: entry.subject.map(String::from),
        decision,
    }
}

pub(super) fn track(tracked: &Tracked) -> TrackView {
    let line = &tracked.line;
    let get = |name: &str| line.get(name).to_owned();
    let all = |name: &str| line.get(name).split(';').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let host = match line.get("event-id") {
        "RECEIVE" => get("client-hostname"),
        _ => get("server-hostname"),
    };
    let status = if line.get("recipient-status").is_empty() { get("source-context") } else { get("recipient-status") };
    let now = crate::commands::times::now();
    TrackView {
        server: tracked.server.to_string(),
        at: crate::commands::times::moment(line.get("date-time"), now).map_or(0, |at| at.as_millis()),
        message: tracked::identity(line).to_owned(),
        event: get("event-id"),
        source: get("source"),
        connector: get("connector-id"),
        sender: get("return-path"),
        recipients: all("recipient-address"),
        subject: get("message-subject"),
        internet_id: get("message-id"),
        octets: line.get("total-bytes").parse().unwrap_or_default(),
        host,
        status,
    }
}

pub(super) fn health(state: State) -> HealthView {
    let waiting = state.queued.unwrap_or_default();
    HealthView {
        condition: health::condition(&state),
        pressure: health::pressed(&state),
        ledger: state.ledger.map(|(accepted, ended)| Ledger { accepted, ended, waiting }),
        server: state.server,
        service: state.service,
        ready: state.ready,
        queued: state.queued,
        certificates: state.certificates,
    }
}

pub(super) fn certificate(one: &OwnCertificate) -> CertificateView {
    CertificateView {
        name: format!("<I>{}<S>{}", one.written.issuer, one.written.subject),
        subject: one.written.subject.to_string(),
        issuer: one.written.issuer.to_string(),
        domains: one.names.iter().map(ToString::to_string).collect(),
        not_after: one.written.not_after,
        thumbprint: one.thumbprint(),
    }
}

pub(super) fn audit(line: &AuditLine) -> AuditView {
    let get = |name: &str| line.get(name).to_owned();
    let modified = line.get("modified-properties").split("; ").filter(|item| !item.is_empty()).map(str::to_owned);
    AuditView {
        at: get("date-time"),
        caller: get("caller"),
        through: get("through"),
        client: get("client"),
        cmdlet: get("cmdlet"),
        object: get("object-modified"),
        modified: modified.collect(),
        error: (line.get("succeeded") != "True").then(|| get("error")),
        server: get("originating-server"),
    }
}
