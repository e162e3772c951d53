//! The Submission queue and the categorizer at its end: each message is resolved, routed, divided, and put into the
//! delivery queues (PL-33). A message taken back out of a queue, because the configuration changed or a database moved,
//! comes here again with the recipients that are left.

mod apply;
mod resolver;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use categorizer::{
    Arrival, Categorization, Detail, Incoming, Lookup, Message, Outcome, Pending, SenderKind, SizeFacts, Step,
};
use envelope::{Address, OriginKind, Revision, Span};
use futures::FutureExt;
use queue::{ReadError, RecipientState, StoredMessage};
use scheduler::{Item, RecipientIndexes};
use telemetry::{HopName, keys};
use tokio::sync::{Semaphore, mpsc};

use self::resolver::Resolver;
use crate::core::Core;
use crate::deliver::Wait;
use crate::timer;
use crate::whereabouts::Place;

/// Messages categorized at once. They wait for the directory, hardly ever for the processor, and are asked about together.
const CATEGORIZATIONS_MAX: usize = 64;
/// Recipients of a message up to which its trace explains every decision.
const EXPLAINED_RECIPIENTS_MAX: usize = 8;

/// The documented `DeferReason` of mail whose database moved (QU-64).
const REROUTED: &str = "Rerouted By Store Driver";

/// A message in the Submission queue.
pub(crate) enum Submitted {
    /// Just accepted: nothing has to be read back.
    New(Box<StoredMessage>),
    /// Again: with these recipients.
    Again(Item),
}

/// Where messages enter the Submission queue: two lanes, so that however many are decided anew, after a restart or for a
/// new configuration, none that comes in waits behind all of them.
pub(crate) struct Inlet {
    pub(crate) submitted: mpsc::UnboundedSender<Submitted>,
    pub(crate) resubmitted: mpsc::UnboundedSender<Item>,
}

/// Where the categorizer takes them out.
pub(crate) struct Outlet {
    submitted: mpsc::UnboundedReceiver<Submitted>,
    resubmitted: mpsc::UnboundedReceiver<Item>,
    resubmitted_first: bool,
}

/// The Submission queue.
pub(crate) fn queue() -> (Inlet, Outlet) {
    let (submitted, from_submitted) = mpsc::unbounded_channel();
    let (resubmitted, from_resubmitted) = mpsc::unbounded_channel();
    let outlet = Outlet { submitted: from_submitted, resubmitted: from_resubmitted, resubmitted_first: false };
    (Inlet { submitted, resubmitted }, outlet)
}

impl Outlet {
    /// The lanes in turns, as long as both have something.
    async fn next(&mut self) -> Option<Submitted> {
        self.resubmitted_first = !self.resubmitted_first;
        if self.resubmitted_first
            && let Ok(item) = self.resubmitted.try_recv()
        {
            return Some(Submitted::Again(item));
        }
        tokio::select! {
            biased;
            submitted = self.submitted.recv() => submitted,
            Some(item) = self.resubmitted.recv() => Some(Submitted::Again(item)),
        }
    }
}

/// Starts the categorizer.
pub(crate) fn run(core: &Arc<Core>, mut queue: Outlet) {
    let core = Arc::clone(core);
    let resolver = Resolver::new(core.node.directory.clone());
    let places = Arc::new(Semaphore::new(CATEGORIZATIONS_MAX));
    core.work.clone().spawn(async move {
        let mut next = async || {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            Some((place, queue.next().await?))
        };
        while let Some(Some((place, submitted))) = core.drain.run_until_cancelled(next()).await {
            let (core, resolver) = (Arc::clone(&core), resolver.clone());
            core.work.clone().spawn(async move {
                attempt(&core, &resolver, submitted).await;
                drop(place);
            });
        }
    });
}

/// One item on its way through the categorizer.
struct Work {
    stored: StoredMessage,
    /// Positions in the stored envelope, ascending; the categorizer numbers them from zero.
    positions: Vec<u32>,
    delay_reported: bool,
}

/// What was submitted, as the queues know it; `None` when nothing of it is left to do.
pub(crate) fn item(submitted: &Submitted) -> Option<Item> {
    match submitted {
        Submitted::New(stored) => recovered(stored),
        Submitted::Again(item) => Some(item.clone()),
    }
}

/// Categorizes; a fault of ours that shows as a panic takes neither the message nor the categorizer along.
async fn attempt(core: &Arc<Core>, resolver: &Resolver, submitted: Submitted) {
    let item = item(&submitted);
    let _held = item.clone().map(|item| core.whereabouts.hold(item, Place::Categorizing));
    if AssertUnwindSafe(categorize(core, resolver, submitted)).catch_unwind().await.is_err() {
        tracing::error!(message = ?item.as_ref().map(|item| item.message), "the categorizer failed at a message");
        defer(core, item, core.node.tables().local_server().transport.message_retry_interval, "the categorizer failed");
    }
}

async fn categorize(core: &Arc<Core>, resolver: &Resolver, submitted: Submitted) {
    let started = core.now();
    let work = match submitted {
        Submitted::New(stored) => whole(*stored),
        Submitted::Again(item) => match core.spool.head(item.message).await {
            Ok(stored) => part(stored, &item),
            Err(error) => return unreadable(core, &item, &error),
        },
    };
    let tables = core.node.tables();
    let mut hop = core.node.tracer.start(HopName::Categorize, work.stored.head.trace, started);
    hop.attribute(keys::MESSAGE_ID, &work.stored.head.id);
    hop.attribute(keys::REVISION, &tables.revision());
    let detail = if hop.context().is_some() && work.positions.len() <= EXPLAINED_RECIPIENTS_MAX {
        Detail::Explanation
    } else {
        Detail::Decision
    };
    let mut machine = Categorization::new(tables, message(&work, detail));
    let outcome = loop {
        match machine.step() {
            Step::Done(outcome) => break outcome,
            Step::NeedRecipients(pending) => machine = look_up(resolver, pending).await,
        }
    };
    match outcome {
        Outcome::Categorized(categorized) => apply::apply(core, work, *categorized, hop).await,
        Outcome::DirectoryUnavailable { retry_after } => {
            let cause = "the directory does not answer";
            Wait { until: core.now().plus(retry_after.0), why: cause.into() }.note(&mut hop);
            hop.end(
                core.now(),
                telemetry::Outcome::Failed { status: envelope::EnhancedStatus::new(4, 4, 3), cause: &cause },
            );
            defer(core, item_of(&work), retry_after, cause);
        }
    }
}

fn whole(stored: StoredMessage) -> Work {
    Work { positions: open_positions(&stored), delay_reported: delay_reported(&stored), stored }
}

/// Recipients that have not come to their end.
fn open_positions(stored: &StoredMessage) -> Vec<u32> {
    let open = |(at, state): (usize, &RecipientState)| (!state.is_final()).then(|| u32::try_from(at).ok()).flatten();
    stored.states.iter().enumerate().filter_map(open).collect()
}

fn part(stored: StoredMessage, item: &Item) -> Work {
    let is_open = |at: &u32| stored.states.get(*at as usize).is_some_and(|state| !state.is_final());
    let positions = item.recipients.as_slice().iter().copied().filter(is_open).collect();
    Work { stored, positions, delay_reported: item.delay_reported }
}

fn delay_reported(stored: &StoredMessage) -> bool {
    stored.states.iter().any(|state| matches!(state, RecipientState::Pending(pending) if pending.delay_notified))
}

fn item_of(work: &Work) -> Option<Item> {
    item_for(&work.stored, &work.positions, work.delay_reported)
}

fn item_for(stored: &StoredMessage, positions: &[u32], delay_reported: bool) -> Option<Item> {
    Some(Item {
        message: stored.head.id,
        recipients: RecipientIndexes::new(positions)?,
        arrived: stored.head.arrived,
        delay_reported,
        deferrals: 0,
        decided: Revision::default(),
    })
}

fn message(work: &Work, detail: Detail) -> Message {
    let head = &work.stored.head;
    let sender_kind = match head.origin.kind {
        OriginKind::Anonymous => SenderKind::Anonymous,
        OriginKind::Authenticated | OriginKind::Mailbox | OriginKind::ExternallySecured => SenderKind::Authenticated,
        OriginKind::Notification => SenderKind::System,
    };
    // Whoever decided before counted the recipients; a restart or a resubmission does not count them again.
    let first = head.revision == Revision::default() && work.positions.len() == work.stored.states.len();
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

/// The message comes back to the Submission queue after `span` (PL-43), or expires if that is sooner: no queue watches its
/// age here. The wait is not kept across a restart, which tries again at once.
pub(crate) fn defer(core: &Arc<Core>, item: Option<Item>, span: Span, cause: &str) {
    let Some(item) = item else { return };
    let expires = item.arrived.plus(core.node.tables().local_server().transport.message_expiration_timeout.0);
    let until = core.now().plus(span.0).min(expires);
    let (core, cause) = (Arc::clone(core), cause.to_owned());
    core.whereabouts.put(item.clone(), Place::Deferred { until: Some(until), why: cause.as_str().into() });
    core.work.clone().spawn(async move {
        tokio::select! {
            () = core.drain.cancelled() => return,
            () = tokio::time::sleep_until(core.node.clock.instant(until).into()) => {}
        }
        if until < expires {
            core.submit(Submitted::Again(item));
        } else {
            let _held = core.whereabouts.hold(item.clone(), Place::Categorizing);
            timer::expire(&core, &item, Some(&cause)).await;
        }
    });
}

/// The database of an item's recipients is active elsewhere, by a configuration that this server has or has not heard of:
/// the message is categorized again by one that is newer than `by`, or else after a while (PL-13).
pub(crate) fn reroute(core: &Arc<Core>, item: Item, by: Revision) -> Wait {
    let mut tables = core.node.watch_tables();
    let wait = core.node.tables().local_server().transport.mailbox_delivery_queue_retry_interval;
    let core = Arc::clone(core);
    let waits = Wait { until: core.now().plus(wait.0), why: REROUTED.into() };
    core.whereabouts.put(item.clone(), Place::Deferred { until: Some(waits.until), why: Arc::clone(&waits.why) });
    core.work.clone().spawn(async move {
        tokio::select! {
            () = core.drain.cancelled() => return,
            Ok(_) = tables.wait_for(|tables| tables.revision() > by) => {}
            () = tokio::time::sleep(wait.0) => {}
        }
        core.submit(Submitted::Again(item));
    });
    waits
}

/// A message that cannot be read: one that is gone is finished; else it is tried again, until its sender is told that it
/// expired. The spool sets aside what is damaged.
pub(crate) fn unreadable(core: &Arc<Core>, item: &Item, error: &ReadError) {
    tracing::error!(message = %item.message, %error, "a queued message cannot be read");
    if matches!(error, ReadError::Unknown(_)) {
        core.finish_share(item.message);
    } else {
        let wait = core.node.tables().local_server().transport.message_retry_interval;
        defer(core, Some(item.clone()), wait, &error.to_string());
    }
}

/// What a message needs to be put into a queue again after a restart.
pub(crate) fn recovered(stored: &StoredMessage) -> Option<Item> {
    item_for(stored, &open_positions(stored), delay_reported(stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: u8) -> Item {
        Item {
            message: envelope::MessageId::from_bytes([number; 16]),
            recipients: RecipientIndexes::One(0),
            arrived: envelope::Timestamp::from_millis(0),
            delay_reported: false,
            deferrals: 0,
            decided: Revision::default(),
        }
    }

    #[tokio::test]
    async fn what_comes_in_does_not_wait_for_all_that_is_decided_anew() {
        let (inlet, mut outlet) = queue();
        for number in 0..5 {
            inlet.resubmitted.send(item(number)).unwrap();
        }
        for number in [10, 11] {
            inlet.submitted.send(Submitted::Again(item(number))).map_err(drop).unwrap();
        }
        let mut order = Vec::new();
        for _ in 0..7 {
            let Some(Submitted::Again(item)) = outlet.next().await else { panic!("there is more") };
            order.push(item.message.as_bytes()[0]);
        }
        assert_eq!(order, [0, 10, 1, 11, 2, 3, 4]);
        assert!(outlet.next().now_or_never().is_none());
    }
}
