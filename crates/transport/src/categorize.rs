//! The categorizer at the end of the Submission queue: each message is resolved, routed, divided, and put into the
//! delivery queues (PL-33). A message taken back out of a queue, because the configuration changed or a database moved,
//! comes here again with the recipients that are left.

mod apply;
mod resolver;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use categorizer::{
    Arrival, Begun, Categorization, CategorizationOutcome, Detail, Incoming, Lookup, Message, Pending, SenderKind,
    SizeFacts, Step,
};
use envelope::{Address, OriginKind, Revision, TraceContext};
use futures::FutureExt;
use queue::{SharedMessage, StoredMessage, Update};
use telemetry::{HopName, keys};
use tokio::sync::Semaphore;

use self::resolver::Resolver;
use crate::core::Core;
use crate::ground::wait::Wait;
use crate::hand::Hand;
use crate::settle;

/// Messages categorized at once. They wait for the directory, hardly ever for the processor, and are asked about together.
const CATEGORIZATIONS_MAX: usize = 64;
/// Recipients of a message up to which its trace explains every decision.
const EXPLAINED_RECIPIENTS_MAX: usize = 8;

/// Starts the categorizer.
pub(crate) fn run(core: &Arc<Core>) {
    let core = Arc::clone(core);
    let resolver = Resolver::new(core.node.directory.clone());
    let places = Arc::new(Semaphore::new(CATEGORIZATIONS_MAX));
    core.work.clone().spawn(async move {
        let next = async || {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            loop {
                match core.next_submitted() {
                    Some((taken, stored)) => return (place, Hand::new(&core, taken), stored),
                    None => core.submitted.notified().await,
                }
            }
        };
        while let Some((place, hand, stored)) = core.drain.run_until_cancelled(next()).await {
            let (core, resolver) = (Arc::clone(&core), resolver.clone());
            // In a box: a task that is large is copied when it begins and twice when it ends.
            core.work.clone().spawn(Box::pin(async move {
                attempt(&core, &resolver, hand, stored).await;
                drop(place);
            }));
        }
    });
}

/// One item on its way through the categorizer.
struct Work {
    hand: Hand,
    /// Shared with the other items of the message.
    stored: SharedMessage,
    trace: Option<TraceContext>,
    /// Positions in the stored envelope, ascending; the categorizer numbers them from zero.
    positions: Vec<u32>,
}

/// Categorizes; a fault of ours that shows as a panic takes neither the message nor the categorizer along.
async fn attempt(core: &Arc<Core>, resolver: &Resolver, hand: Hand, stored: Option<Box<StoredMessage>>) {
    // The item has gone back to the ledger then, which counts the failure.
    let _ = AssertUnwindSafe(categorize(core, resolver, hand, stored)).catch_unwind().await;
}

async fn categorize(core: &Arc<Core>, resolver: &Resolver, mut hand: Hand, stored: Option<Box<StoredMessage>>) {
    let started = core.now();
    let stored = match stored {
        Some(stored) => SharedMessage::from(*stored),
        None => match core.spool.shared_head(hand.message()).await {
            Ok(stored) => stored,
            Err(error) => return settle::unreadable(core, hand, &error),
        },
    };
    let is_open = |at: &u32| stored.state(*at).is_some_and(|state| !state.is_final());
    let positions: Vec<u32> = hand.item().recipients.as_slice().iter().copied().filter(is_open).collect();
    hand.keep(&positions);
    let trace = stored.as_read().head.trace;
    let work = Work { hand, stored, trace, positions };
    let tables = core.node.tables();
    let mut hop = core.node.tracer.start(HopName::Categorize, work.trace, started);
    hop.attribute(keys::MESSAGE_ID, &work.hand.message());
    hop.attribute(keys::REVISION, &tables.revision());
    let detail = if hop.is_recorded() && work.positions.len() <= EXPLAINED_RECIPIENTS_MAX {
        Detail::Explanation
    } else {
        Detail::Decision
    };
    let mut machine = match Categorization::new(tables, message(&work, detail)).begin() {
        Begun::NeedsRecipients(pending) => look_up(resolver, pending).await,
        Begun::Ready(machine) => *machine,
    };
    let outcome = loop {
        let step = {
            // Should this end the process, the next one knows which message it was (QU-13).
            let _mark = core.spool.take_in_hand(work.hand.message());
            machine.step()
        };
        match step {
            Step::Done(outcome) => break outcome,
            Step::NeedRecipients(pending) => machine = look_up(resolver, pending).await,
        }
    };
    forgive(core, &work);
    match outcome {
        CategorizationOutcome::Categorized(categorized) => apply::apply(core, work, *categorized, hop).await,
        CategorizationOutcome::DirectoryUnavailable { retry_after } => {
            let wait = Wait { until: core.now().plus(retry_after.0), why: "the directory does not answer".into() };
            wait.note(&mut hop);
            let status = envelope::EnhancedStatus::new(4, 4, 3);
            hop.end(core.now(), telemetry::HopOutcome::Failed { status, cause: &wait.why });
            work.hand.defer_submitted(wait.until, wait.why);
        }
    }
}

/// What was in hands when an earlier process died has now been looked at to the end: it was not the cause (QU-13). Failures of
/// this process are counted on.
fn forgive(core: &Core, work: &Work) {
    let is_first = work.hand.item().decided == Revision::default();
    if is_first && work.stored.as_read().crashes > 0 {
        core.spool.update(work.hand.message(), &Update::crashes(0));
    }
}

fn message(work: &Work, detail: Detail) -> Message {
    let stored = work.stored.as_read();
    let head = &stored.head;
    let sender_kind = match head.origin.kind {
        OriginKind::Anonymous => SenderKind::Anonymous,
        OriginKind::Authenticated | OriginKind::Mailbox | OriginKind::ExternallySecured => SenderKind::Authenticated,
        OriginKind::Notification => SenderKind::System,
    };
    // Whoever decided before counted the recipients; a restart or a resubmission does not count them again.
    let first = head.revision == Revision::default() && work.positions.len() == stored.states.len();
    Message {
        sender: head.envelope.reverse_path.clone(),
        sender_kind,
        recipients: work
            .positions
            .iter()
            .map(|at| Incoming::Fresh(head.envelope.recipients[*at as usize].clone()))
            .collect(),
        size: SizeFacts { current: head.size, original: head.original_size },
        arrival: if first { Arrival::FirstServer } else { Arrival::LaterServer },
        detail,
    }
}

async fn look_up(resolver: &Resolver, pending: Box<Pending>) -> Categorization {
    let addresses: Vec<Address> = pending.addresses().to_vec();
    let found = resolver.recipients(addresses.clone()).await;
    let mut failed = None;
    let lookup = |answer| match answer {
        Ok(recipient) => Option::map_or(recipient, Lookup::NotFound, |found| Lookup::Found(Arc::new(found))),
        Err(error) => {
            failed = Some(error);
            Lookup::TransientError
        }
    };
    let answers: Vec<(Address, Lookup)> = addresses.into_iter().zip(found.into_iter().map(lookup)).collect();
    if let Some(error) = failed {
        tracing::warn!(%error, "recipients cannot be looked up");
    }
    pending.supply(answers)
}
