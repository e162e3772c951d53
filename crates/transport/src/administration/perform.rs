//! What an administrator wants done to a queue or a message, as the wire says it: done by [`Operations`], and told with what it was
//! done to, for the audit log.

use std::sync::Arc;

use admin_api::queues::operation::OperatedMessage;
use admin_api::queues::{Operated, Operation, Outcome, Target};
use scheduler::{Done, ItemView, MessageNumber, QueueId, Refusal, WithNdr};

use super::entry::{name_of, recipients};
use super::operations::{OperationError, Operations};
use crate::core::Core;

const DONE: Outcome = Outcome::Done { messages: 0 };

/// Does it.
pub(crate) async fn operate(core: &Arc<Core>, operation: Operation, target: Target) -> Operated {
    let before = seen(core, target).await;
    let operations = Operations(Arc::clone(core));
    let (queue, message) = (QueueId::new(target.queue), MessageNumber::new(target.message.unwrap_or_default()));
    let outcome = match operation {
        Operation::RetryQueue => refusable(operations.retry_queue(queue), |()| DONE),
        Operation::ResubmitQueue => {
            refusable(operations.resubmit_queue(queue), |count| Outcome::Done { messages: count as u64 })
        }
        Operation::SuspendQueue => durable(operations.suspend_queue(queue).await, |()| DONE),
        Operation::ResumeQueue => durable(operations.resume_queue(queue).await, |()| DONE),
        Operation::SuspendMessage => durable(operations.suspend_message(queue, message).await, done),
        Operation::ResumeMessage => durable(operations.resume_message(queue, message).await, |()| DONE),
        Operation::RemoveMessage { with_ndr } => {
            refusable(operations.remove_message(queue, message, WithNdr(with_ndr)), done)
        }
    };
    Operated { outcome, ..before }
}

#[expect(clippy::needless_pass_by_value, reason = "as what is given to the others of its kind")]
fn done(done: Done<()>) -> Outcome {
    match done {
        Done::Now(()) => DONE,
        Done::Pending => Outcome::Pending,
    }
}

fn refusable<T>(result: Result<T, Refusal>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    result.map_or_else(|refusal| Outcome::Refused(refusal.to_string().into()), done)
}

fn durable<T>(result: Result<T, OperationError>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(result) => done(result),
        Err(OperationError::Refused(refusal)) => Outcome::Refused(refusal.to_string().into()),
        Err(error @ OperationError::NotDurable(_)) => Outcome::NotDurable(error.to_string().into()),
    }
}

/// The items that a message is in a queue.
pub(super) fn items(core: &Core, target: Target) -> Vec<ItemView> {
    let Some(number) = target.message else { return Vec::new() };
    core.ledger(|ledger| {
        let items = ledger.items_in(QueueId::new(target.queue), MessageNumber::new(number));
        items.into_iter().filter_map(|item| ledger.item(item)).collect()
    })
}

/// What it is that something is done to.
pub(super) async fn seen(core: &Core, target: Target) -> Operated {
    let (queue, now) = (QueueId::new(target.queue), core.now());
    let view = core.ledger(|ledger| ledger.queue_view(queue, now));
    let queue_name = view.as_ref().map_or_else(Box::default, |view| name_of(queue, view.route.as_deref()));
    let unknown = Operated { queue_name, ..Operated::unknown(target) };
    if target.message.is_none() {
        let status = view.map(|view| view.status.as_str().into()).unwrap_or_default();
        return Operated { status, ..unknown };
    }
    let items = items(core, target);
    let Some(first) = items.first() else { return unknown };
    let message = match core.spool.head(first.item.message).await {
        Ok(stored) => Some(OperatedMessage {
            id: first.item.message,
            sender: stored.head.envelope.reverse_path.clone(),
            recipients: items.iter().flat_map(|view| recipients(&stored, &view.item).0).collect(),
        }),
        Err(_) => None,
    };
    Operated { status: first.status.as_str().into(), message, ..unknown }
}
