//! What an administrator sees: the queues, the messages in them with the decision that put them there, and the health of the
//! other servers as this process knows it. Long lists are read in pieces, so that mail never waits for somebody who looks.

use std::sync::Arc;

use envelope::Address;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use net::AdministratorIdentity;
use queue::{RecipientState, StoredMessage};
use routing::{DeliveryType, NextHopSolutionKey, RuleId};
use rpc::QueueHandler;
use rpc::admin::{DecisionEntry, MessageEntry, MessagesRequest, PeerEntry, QueueEntry, TargetEntry};
use scheduler::{Item, ItemId, ItemView, QueueId, QueueStatus, QueueView};
use topology::Guid;

use super::header;
use crate::core::Core;
use crate::ground::decision::{connector, rule};

/// Items that are looked up at once, under the locks that mail needs.
const PIECE: usize = 256;
/// Why a message is in the Unreachable queue.
const NO_ROUTE: RuleId = RuleId("QU-10");

/// Answers administrators.
pub(crate) struct Viewer(pub(crate) Arc<Core>);

impl QueueHandler for Viewer {
    fn queues(&self, _: &AdministratorIdentity) -> Vec<QueueEntry> {
        let (core, now) = (&self.0, self.0.now());
        let views: Vec<QueueView> = core.ledger(|ledger| ledger.queues(now).collect());
        views.iter().map(|view| queue_entry(core, view)).collect()
    }

    fn messages(&self, _: &AdministratorIdentity, request: MessagesRequest) -> BoxStream<'static, MessageEntry> {
        let core = Arc::clone(&self.0);
        let (number, header) = (request.queue, request.header);
        let in_queue = move |found: &ItemView| number.is_none_or(|number| number == found.queue.number());
        let opened = Arc::clone(&core);
        found(Arc::clone(&core))
            .flat_map(stream::iter)
            .filter(move |found| std::future::ready(in_queue(found)))
            .filter_map(move |found| entry(Arc::clone(&core), found))
            .filter(move |entry| std::future::ready(request.wants(entry)))
            .then(move |entry| {
                let core = Arc::clone(&opened);
                async move { if header { header::added(&core, entry).await } else { entry } }
            })
            .boxed()
    }

    fn peers(&self, _: &AdministratorIdentity) -> Vec<PeerEntry> {
        self.0.node.health.entries()
    }
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

fn queue_entry(core: &Core, view: &QueueView) -> QueueEntry {
    let target = |attempt: &routing::Attempt| TargetEntry {
        server: attempt.server.as_str().into(),
        site: attempt.site.as_str().into(),
        rule: attempt.reason.0.into(),
    };
    let (key, name): (_, Box<str>) = match &view.route {
        Some(route) => ((*route.key).clone(), route.key.domain.clone()),
        None => {
            let (key, name) = persistent(view.id);
            (key, name.into())
        }
    };
    let route = view.route.as_deref();
    QueueEntry {
        number: view.id.number(),
        name,
        delivery_type: key.delivery_type.as_str().into(),
        next_hop_domain: key.domain,
        next_hop_connector: key.connector.to_string().into(),
        connector: connector(&core.node.tables(), route.and_then(|route| route.connector)),
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
    }
}

/// Every item, in pieces.
fn found(core: Arc<Core>) -> BoxStream<'static, Vec<ItemView>> {
    stream::unfold((core, None), |(core, after): (Arc<Core>, Option<ItemId>)| async move {
        let piece = core.ledger(|ledger| ledger.items_after(after, PIECE));
        let after = Some(piece.last()?.id);
        Some((piece, (core, after)))
    })
    .boxed()
}

/// The item with what the spool knows of it; `None` when it has been delivered meanwhile or cannot be read.
async fn entry(core: Arc<Core>, found: ItemView) -> Option<MessageEntry> {
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
    let name = found.route.as_ref().map_or_else(|| persistent(found.queue).1.into(), |route| route.key.domain.clone());
    Some(MessageEntry {
        id: found.item.message,
        queue: found.queue.number(),
        queue_name: name,
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
fn recipients(stored: &StoredMessage, item: &Item) -> (Vec<Address>, u32, Option<Box<str>>) {
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
