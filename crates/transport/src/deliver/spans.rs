//! What deliveries tell the traces: the span of each attempt, the replies, and what a message waits for after it.

use std::sync::Arc;

use envelope::{Address, EnhancedStatus, Reply, Timestamp};
use routing::Route;
use scheduler::{Item, QueueId};
use telemetry::{Hop, HopName, HopOutcome, keys};

use crate::core::Core;
use crate::ground::answer::{Answer, Sent};
use crate::ground::decision;
use crate::ground::parcel::Parcel;
use crate::ground::wait::Wait;

/// Status of an attempt that decided nothing: RFC 3463 X.4.0, other or undefined network status.
const TRANSIENT: EnhancedStatus = EnhancedStatus::new(4, 4, 0);

/// An attempt that was answered and is not settled yet.
pub(super) struct Attempted {
    span: Hop,
    answered: Timestamp,
    failure: Option<(EnhancedStatus, Arc<str>)>,
}

impl Attempted {
    pub(super) fn new(span: Hop, answered: Timestamp, sent: &Sent) -> Self {
        let failure = match sent {
            Sent::Lost(error) | Sent::Busy(error) => Some((TRANSIENT, Arc::clone(error))),
            Sent::Answers(answers) => answers.iter().find_map(|answer| match answer {
                Answer::Never { reply, .. } => Some((reply.status_or_generic(), reply.to_string().into())),
                Answer::Later(why) | Answer::Elsewhere(why) => Some((TRANSIENT, Arc::clone(why))),
                Answer::Taken(_) => None,
            }),
        };
        Self { span, answered, failure }
    }

    /// Ends the span at the time of the answer. What is to come is known only now.
    pub(super) fn end(mut self, wait: Option<Wait>) {
        if let Some(wait) = wait {
            wait.note(&mut self.span);
        }
        match &self.failure {
            Some((status, cause)) => self.span.end(self.answered, HopOutcome::Failed { status: *status, cause }),
            None => self.span.end(self.answered, HopOutcome::Done),
        }
    }
}

/// Nothing was sent, but a message waits because of it. The oldest tells it in its trace: a span for each that waits would be
/// as many as the queue is long, at every attempt.
pub(super) async fn trace_failure(
    core: &Core,
    lane: QueueId,
    route: &Route,
    (began, ended): (Timestamp, Timestamp),
    wait: &Wait,
) {
    if !core.node.tracer.is_recording() {
        return;
    }
    let oldest = core.ledger(|ledger| ledger.item(ledger.oldest(lane)?));
    let Some(item) = oldest.map(|view| view.item) else { return };
    // It may have gone this moment.
    let Ok(stored) = core.spool.head(item.message).await else { return };
    let mut span = core.node.tracer.start(HopName::Connect, stored.head.trace, began);
    span.attribute(keys::MESSAGE_ID, &stored.head.id);
    describe(core, &mut span, route, &item);
    wait.note(&mut span);
    span.end(ended, HopOutcome::Failed { status: TRANSIENT, cause: &wait.why });
}

/// Where an item goes, and by what decision.
pub(super) fn describe(core: &Core, span: &mut Hop, route: &Route, item: &Item) {
    span.attribute(keys::DELIVERY_TYPE, route.key.delivery_type.as_str());
    span.attribute(keys::NEXT_HOP, &route.key.domain);
    span.attribute(keys::REVISION, &item.decided);
    span.attribute(keys::RULE, decision::rule(route).0);
    let tables = core.node.tables();
    let organization = tables.organization();
    if let Some(connector) = route.connector.and_then(|guid| organization.connector(guid)) {
        span.attribute(keys::CONNECTOR, connector.name());
    }
}

/// What is stored outlives a restart; the item knows what was not stored yet, and of connections that were lost.
pub(super) fn attempts_before(copy: &Parcel) -> u64 {
    let stored = copy.pending().map(|(_, pending)| u64::from(pending.attempts));
    stored.max().unwrap_or_default().max(u64::from(copy.item.deferrals))
}

/// Notes in the span of an attempt what a next hop said about a recipient; the last word stands for all of it.
pub(super) fn replied(span: &mut Hop, at: Timestamp, recipient: &Address, reply: &Reply) {
    span.event("reply", at, |attributes| {
        attributes.set(keys::RECIPIENT, recipient);
        attributes.set(keys::REPLY, reply);
    });
    span.attribute(keys::REPLY, reply);
}
