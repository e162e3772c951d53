//! A queue, a message and another server, as an administrator is told of them.

use std::sync::Arc;

use admin_api::queues::{DecisionEntry, MessageEntry, PeerEntry, QueueEntry, TargetEntry};
use envelope::{Address, Domain, Origin, OriginKind};
use queue::{RecipientState, StoredMessage};
use routing::{DeliveryType, NextHopSolutionKey, Route, RuleId};
use runtime::peers::PeerState;
use scheduler::{Item, ItemView, QueueId, QueueStatus, QueueView};
use sending::plan;
use topology::{Guid, Organization, SendConnector};

use crate::core::Core;
use crate::ground::decision::{connector, rule};

/// Why a message is in the Unreachable queue.
const NO_ROUTE: RuleId = RuleId("QU-10");

pub(super) fn peer_entry(state: PeerState) -> PeerEntry {
    let PeerState { server, service, failed, failures, failing_since, last_failure, last_success, last_error } = state;
    PeerEntry { server, service, failed, failures, failing_since, last_failure, last_success, last_error }
}

/// Key and name of a queue without a next hop (QU-20, docs/rules.md, Queues).
fn persistent(queue: QueueId) -> (NextHopSolutionKey, &'static str) {
    let undefined = |domain: &str| NextHopSolutionKey::new(DeliveryType::Undefined, domain, Guid::ZERO);
    match queue {
        QueueId::UNREACHABLE => (NextHopSolutionKey::unreachable(), "Unreachable"),
        QueueId::POISON => (undefined("Poison Message"), "Poison"),
        _ => (undefined("Submission"), "Submission"),
    }
}

/// The name of a queue: that of its next hop, or its own.
pub(super) fn name_of(queue: QueueId, route: Option<&Route>) -> Box<str> {
    route.map_or_else(|| persistent(queue).1.into(), |route| route.key.domain.clone())
}

/// `MessageSourceName`: `SMTP:` and the Receive connector, or what else made the message.
pub(super) fn source(origin: &Origin) -> String {
    match origin.kind {
        OriginKind::Notification | OriginKind::Mailbox => origin.connector.to_string(),
        _ => format!("SMTP:{}", origin.connector),
    }
}

pub(super) fn queue_entry(core: &Core, view: &QueueView) -> QueueEntry {
    let target = |attempt: &routing::Attempt| TargetEntry {
        server: attempt.server.as_str().into(),
        site: attempt.site.as_str().into(),
        rule: attempt.reason.0.into(),
    };
    let route = view.route.as_deref();
    let key = route.map_or_else(|| persistent(view.id).0, |route| (*route.key).clone());
    let name = name_of(view.id, route);
    let tables = core.node.tables();
    let send_connector = route.and_then(|route| tables.organization().send_connector(route.connector?));
    QueueEntry {
        number: view.id.number(),
        name,
        delivery_type: key.delivery_type.as_str().into(),
        next_hop_domain: key.domain,
        next_hop_connector: key.connector.to_string().into(),
        connector: send_connector.map(|connector| connector.name.as_str().into()),
        tls_domain: send_connector
            .and_then(|connector| tls_domain(tables.organization(), connector, route?.key.as_ref())),
        next_hop_category: key.delivery_type.category().as_str().into(),
        // What is empty is not tried again: nothing of it is in Retry.
        status: if view.message_count == 0 && view.status == QueueStatus::Retry {
            QueueStatus::Ready.as_str().into()
        } else {
            view.status.as_str().into()
        },
        message_count: view.message_count as u64,
        deferred_message_count: view.deferred_message_count as u64,
        connections: view.connections,
        retry_count: view.retry_count,
        next_retry: view.next_retry.filter(|_| view.message_count > 0),
        last_error: view.last_error.as_deref().map(Box::from),
        incoming_rate: view.incoming_rate,
        outgoing_rate: view.outgoing_rate,
        targets: route.into_iter().flat_map(|route| &route.way.attempts).map(target).collect(),
        first_failure: view.first_failure,
        last_failure: view.last_failure,
    }
}

/// TA-46: the destination of a queue whose sessions are secured by Domain Security; nothing for others, whatever `TlsDomain` of
/// the connector says about certificates.
fn tls_domain(organization: &Organization, connector: &SendConnector, key: &NextHopSolutionKey) -> Option<Box<str>> {
    if key.delivery_type != DeliveryType::DnsConnectorDelivery {
        return None;
    }
    let domain = Domain::parse(&key.domain).ok()?;
    let secured = &organization.transport_config().tls_send_domain_secure_list;
    plan::is_secured(connector, &domain, secured).then(|| key.domain.clone())
}

/// The item with what the spool knows of it; `None` when it has been delivered meanwhile or cannot be read.
pub(super) async fn entry(core: Arc<Core>, found: ItemView) -> Option<MessageEntry> {
    let stored = core.spool.head(found.item.message).await.ok()?;
    let (recipients, retry_count, own_error) = recipients(&stored, &found.item);
    let decision = match (&found.route, found.queue) {
        (Some(route), _) => {
            Some((Arc::clone(&route.key), connector(&core.node.tables(), route.connector), rule(route)))
        }
        (None, QueueId::UNREACHABLE) => Some((NextHopSolutionKey::unreachable().into(), None, NO_ROUTE)),
        (None, _) => None,
    };
    let decision = decision.map(|(key, connector, rule)| DecisionEntry {
        revision: found.item.decided,
        delivery_type: key.delivery_type.as_str().into(),
        next_hop_domain: key.domain.clone(),
        connector,
        rule: rule.0.into(),
    });
    let expiration = core.node.tables().local_server().transport.message_expiration_timeout.0;
    let head = &stored.head;
    Some(MessageEntry {
        id: found.item.message,
        queue: found.queue.number(),
        queue_name: name_of(found.queue, found.route.as_deref()),
        number: found.number.number(),
        expires: found.item.arrived.plus(expiration),
        source: source(&head.origin).into(),
        originating: !matches!(head.origin.kind, OriginKind::Anonymous | OriginKind::ExternallySecured),
        scl: None,
        status: found.status.as_str().into(),
        sender: stored.head.envelope.reverse_path.clone(),
        recipients,
        size: stored.head.size,
        arrived: found.item.arrived,
        retry_count,
        next_retry: found.next_retry(),
        last_error: own_error.or_else(|| found.last_error.as_deref().map(Box::from)),
        decision,
        trace: stored.head.trace.map(|trace| trace.id_text().into()),
        subject: None,
        internet_message_id: None,
    })
}

/// The recipients that an item stands for, the attempts at them that failed, and why the last did.
pub(super) fn recipients(stored: &StoredMessage, item: &Item) -> (Vec<Address>, u32, Option<Box<str>>) {
    let (mut addresses, mut attempts, mut error) = (Vec::new(), 0, None);
    for at in item.recipients.as_slice() {
        let Some((recipient, state)) = stored.recipients().nth(*at as usize) else { continue };
        addresses.push(recipient.address.clone());
        if let RecipientState::Pending(pending) = state {
            attempts = attempts.max(pending.attempts);
            error = pending.last_error.clone().or(error);
        }
    }
    (addresses, attempts.max(u32::from(item.deferrals)), error)
}
