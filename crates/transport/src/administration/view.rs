//! What an administrator sees: the queues, the messages in them with the decision that put them there, and the health of the
//! other servers as this process knows it. Long lists are read in pieces, so that mail never waits for somebody who looks.

use std::sync::Arc;

use envelope::{Address, Timestamp};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use net::AdministratorIdentity;
use queue::{RecipientState, StoredMessage};
use routing::{DeliveryType, NextHopSolutionKey, Route, RuleId};
use rpc::QueueHandler;
use rpc::admin::{DecisionEntry, MessageEntry, MessagesRequest, PeerEntry, QueueEntry, TargetEntry};
use scheduler::{Bookmark, Item, LaneId, LaneStatus, QueueView};
use topology::Guid;

use super::header;
use crate::core::Core;
use crate::whereabouts::Place;

/// Items that are looked up at once, under the locks that mail needs.
const PIECE: usize = 256;
/// Names of the persistent queues (QU-24, queues.md §4).
const SUBMISSION: &str = "Submission";
const UNREACHABLE: &str = "Unreachable";
/// What a queue needs no server for: this one is in the destination's group (RT-16).
const HERE: RuleId = RuleId("RT-16");
/// Why a message is in the Unreachable queue.
const NO_ROUTE: RuleId = RuleId("QU-10");

/// Answers administrators.
pub(crate) struct Viewer(pub(crate) Arc<Core>);

impl QueueHandler for Viewer {
    fn queues(&self, _: &AdministratorIdentity) -> Vec<QueueEntry> {
        let (core, now) = (&self.0, self.0.now());
        let mut all = vec![submission(core)];
        let (unreachable, delivery): (usize, Vec<QueueView>) =
            core.queues(|queues| (queues.unreachable_count(), queues.views(now).collect()));
        if unreachable > 0 {
            let key = NextHopSolutionKey::unreachable();
            let number = (LaneId::UNREACHABLE, UNREACHABLE);
            all.push(QueueEntry { message_count: unreachable as u64, ..persistent(number, &key) });
        }
        all.extend(delivery.iter().map(|view| delivery_queue(core, view)));
        all
    }

    fn messages(&self, _: &AdministratorIdentity, request: MessagesRequest) -> BoxStream<'static, MessageEntry> {
        let core = Arc::clone(&self.0);
        let (number, header) = (request.queue, request.header);
        let in_queue = move |found: &Found| number.is_none_or(|number| number == found.queue.number());
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

fn submission(core: &Core) -> QueueEntry {
    let found = core.whereabouts.submission();
    let key = NextHopSolutionKey::new(DeliveryType::Undefined, SUBMISSION, Guid::ZERO);
    let status = match (found.active, found.deferred) {
        (1.., _) => LaneStatus::Active,
        (0, 1..) if found.deferred == found.messages => LaneStatus::Retry,
        _ => LaneStatus::Ready,
    };
    QueueEntry {
        status: status.as_str().into(),
        message_count: found.messages as u64,
        deferred_message_count: found.deferred as u64,
        next_retry: found.next_retry,
        last_error: found.last_error.as_deref().map(Box::from),
        ..persistent((LaneId::SUBMISSION, SUBMISSION), &key)
    }
}

fn persistent((number, name): (u64, &str), key: &NextHopSolutionKey) -> QueueEntry {
    QueueEntry {
        number,
        name: name.into(),
        delivery_type: key.delivery_type.as_str().into(),
        next_hop_domain: key.domain.clone(),
        next_hop_connector: key.connector.to_string().into(),
        connector: None,
        status: LaneStatus::Ready.as_str().into(),
        message_count: 0,
        deferred_message_count: 0,
        connections: 0,
        retry_count: 0,
        next_retry: None,
        last_error: None,
        incoming_rate: 0.0,
        outgoing_rate: 0.0,
        targets: Vec::new(),
    }
}

fn delivery_queue(core: &Core, view: &QueueView) -> QueueEntry {
    let target = |attempt: &routing::Attempt| TargetEntry {
        server: attempt.server.as_str().into(),
        site: attempt.site.as_str().into(),
        rule: attempt.reason.0.into(),
    };
    QueueEntry {
        connector: connector(core, view.connector),
        // What is empty is not tried again: nothing of it is in Retry.
        status: if view.message_count == 0 && view.status == LaneStatus::Retry {
            LaneStatus::Ready.as_str().into()
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
        targets: view.way.attempts.iter().map(target).collect(),
        ..persistent((view.id.number(), &view.key.domain), &view.key)
    }
}

pub(crate) fn connector(core: &Core, guid: Option<Guid>) -> Option<Box<str>> {
    let tables = core.node.tables();
    let connector = tables.organization().send_connector(guid?)?;
    Some(connector.name.as_str().into())
}

/// The rule by which mail stands where it stands: how its first target was chosen.
pub(crate) fn rule(route: &Route) -> RuleId {
    route.way.attempts.first().map_or(HERE, |attempt| attempt.reason)
}

/// Which queue an item is in.
enum Queue {
    Submission,
    Unreachable,
    Delivery(LaneId, Route),
}

impl Queue {
    fn number(&self) -> u64 {
        match self {
            Self::Submission => LaneId::SUBMISSION,
            Self::Unreachable => LaneId::UNREACHABLE,
            Self::Delivery(lane, _) => lane.number(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Submission => SUBMISSION,
            Self::Unreachable => UNREACHABLE,
            Self::Delivery(_, route) => &route.key.domain,
        }
    }
}

/// An item and its place.
struct Found {
    item: Item,
    queue: Queue,
    status: LaneStatus,
    why: Option<Arc<str>>,
    next_retry: Option<Timestamp>,
}

/// Where a list goes on.
enum Next {
    Whereabouts(Option<(envelope::MessageId, u32)>),
    Queues(Option<Bookmark>),
    End,
}

/// Every item, in pieces: what is in hands first, then what waits.
fn found(core: Arc<Core>) -> BoxStream<'static, Vec<Found>> {
    stream::unfold((core, Next::Whereabouts(None)), |(core, next)| async move {
        let (piece, next) = match next {
            Next::Whereabouts(bookmark) => {
                let items = core.whereabouts.items_after(bookmark, PIECE);
                let next = match items.last() {
                    Some((last, ..)) => Next::Whereabouts(Some(*last)),
                    None => Next::Queues(None),
                };
                (items.into_iter().map(|(_, item, place)| in_hands(item, place)).collect(), next)
            }
            Next::Queues(bookmark) => {
                let items = core.queues(|queues| queues.items_after(bookmark, PIECE));
                let next = items.last().map_or(Next::End, |(last, _)| Next::Queues(Some(*last)));
                (items.into_iter().map(|(_, view)| waiting(view)).collect(), next)
            }
            Next::End => return None,
        };
        Some((piece, (core, next)))
    })
    .boxed()
}

fn in_hands(item: Item, place: Place) -> Found {
    let (queue, status, why, next_retry) = match place {
        Place::Submitted | Place::Resubmitted => (Queue::Submission, LaneStatus::Ready, None, None),
        Place::Categorizing => (Queue::Submission, LaneStatus::Active, None, None),
        Place::Deferred { until, why } => (Queue::Submission, LaneStatus::Retry, Some(why), until),
        Place::Connection(lane, route) => (Queue::Delivery(lane, route), LaneStatus::Active, None, None),
    };
    Found { item, queue, status, why, next_retry }
}

fn waiting(view: scheduler::ItemView) -> Found {
    let status = if view.next_retry.is_some() { LaneStatus::Retry } else { LaneStatus::Ready };
    let queue = view.queue.map_or(Queue::Unreachable, |(lane, route)| Queue::Delivery(lane, route));
    Found { item: view.item, queue, status, why: view.why, next_retry: view.next_retry }
}

/// The item with what the spool knows of it; `None` when it has been delivered meanwhile or cannot be read.
async fn entry(core: Arc<Core>, found: Found) -> Option<MessageEntry> {
    let stored = core.spool.head(found.item.message).await.ok()?;
    let (recipients, retry_count, own_error) = recipients(&stored, &found.item);
    let decision = match &found.queue {
        Queue::Submission => None,
        Queue::Unreachable => Some((NextHopSolutionKey::unreachable().into(), None, NO_ROUTE)),
        Queue::Delivery(_, route) => Some((Arc::clone(&route.key), connector(&core, route.connector), rule(route))),
    };
    let decision = decision.map(|(key, connector, rule): (Arc<NextHopSolutionKey>, _, RuleId)| DecisionEntry {
        revision: found.item.decided,
        delivery_type: key.delivery_type.as_str().into(),
        next_hop_domain: key.domain.clone(),
        connector,
        rule: rule.0.into(),
    });
    Some(MessageEntry {
        id: found.item.message,
        queue: found.queue.number(),
        queue_name: found.queue.name().into(),
        status: found.status.as_str().into(),
        sender: stored.head.envelope.reverse_path.clone(),
        recipients,
        size: stored.head.size,
        arrived: found.item.arrived,
        retry_count,
        last_error: own_error.or_else(|| found.why.as_deref().map(Box::from)),
        next_retry: found.next_retry,
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
