//! What became of recipients, made durable in the order that loses nothing: first the notification that somebody is owed,
//! with the outcome in one transaction; then the outcome alone, lazily; at last the removal. A crash in between makes a
//! duplicate at worst.

pub(crate) mod notify;
pub(crate) mod track;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use envelope::{EnhancedStatus, MessageId, Reply, ReversePath, Timestamp, TraceContext};
use logs::tracking::Source;
use message::Action;
use queue::{CommitError, ReadError, RecipientState, StoredMessage, Transaction, Update};
use scheduler::{RecipientIndexes, WithNdr};

use self::notify::Notice;
use crate::core::Core;
use crate::ground::fate::{Fate, FateKind};
use crate::ground::told::Telling;
use crate::ground::unrecorded::Outcome;
use crate::hand::Hand;

/// Time between two attempts to record an outcome while the spool is full. The spool looks for space more often.
const RECORD_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Why an item that has failed is still there.
const GATHERED: &str = "its sender was told of others a moment ago, and is told of this with what fails meanwhile";

/// Records the end of some of an item's recipients, and tells the sender what he is to know; what has come to its end is
/// finished. Gives what is left of the item. What cannot be recorded for want of space stays in the ledger until it can; the
/// message stays until then, whatever becomes of its other items.
pub(crate) async fn decide(core: &Arc<Core>, stored: &StoredMessage, mut hand: Hand, fates: Vec<Fate>) -> Option<Hand> {
    if fates.is_empty() {
        return Some(hand);
    }
    let ends: HashSet<u32> = fates.iter().map(|fate| fate.position).collect();
    let is_ended = |at: &u32| ends.contains(at);
    let (ended, left): (Vec<u32>, Vec<u32>) = hand.item().recipients.as_slice().iter().copied().partition(is_ended);
    let _telling = match together_with_others(core, stored, &fates) {
        Ok(telling) => telling,
        Err(until) => {
            // A crash before that forgets it: these recipients are tried again.
            let (ended, rest) = split(hand, &ended, &left);
            core.unrecorded.keep(ended.id(), Outcome { stored: stored.clone(), fates });
            ended.unrecorded(until, GATHERED.into());
            return rest;
        }
    };
    let recorded = {
        let _others_too = core.recipients.read().await;
        record(core, stored, stored.head.trace, Update::default(), &fates).await
    };
    match recorded {
        Ok(()) if left.is_empty() => {
            finish(core, hand);
            None
        }
        Ok(()) => {
            hand.keep(&left);
            Some(hand)
        }
        Err(error) => {
            tracing::error!(message = %stored.head.id, %error, "an outcome could not be recorded");
            let (ended, rest) = split(hand, &ended, &left);
            record_later(core, ended, Outcome { stored: stored.clone(), fates }, &error);
            rest
        }
    }
}

/// The part of an item that has ended, and what is left of it.
fn split(mut hand: Hand, ended: &[u32], left: &[u32]) -> (Hand, Option<Hand>) {
    match RecipientIndexes::new(ended) {
        Some(ended) if !left.is_empty() => (hand.split(ended), Some(hand)),
        _ => (hand, None),
    }
}

/// `Err` says until when these outcomes wait for others of the message. Only failures do: who has a message must not get it
/// again.
fn together_with_others<'a>(
    core: &'a Core,
    stored: &StoredMessage,
    fates: &[Fate],
) -> Result<Option<Telling<'a>>, Timestamp> {
    let all_failed = fates.iter().all(|fate| matches!(fate.kind, FateKind::Failed { .. }));
    let has_sender = !matches!(stored.head.envelope.reverse_path, ReversePath::Null);
    if !all_failed || !has_sender || core.drain.is_cancelled() {
        return Ok(None);
    }
    core.told.begin(stored.head.id, core.now()).map(Some)
}

fn record_later(core: &Core, hand: Hand, outcome: Outcome, error: &CommitError) {
    core.unrecorded.keep(hand.id(), outcome);
    hand.unrecorded(core.now().plus(RECORD_RETRY_INTERVAL), error.to_string().into());
}

/// Tries to write down once more what became of an item.
pub(crate) async fn record_again(core: &Arc<Core>, hand: Hand) {
    // With what else of the message waits to be written down: its sender is told once. The others find nothing left to do.
    let Some((outcome, others)) = core.unrecorded.take(hand.message(), hand.id()) else {
        // Nothing is known of it after all: it is tried again.
        hand.defer_submitted(core.now(), "its outcome is not known".into());
        return;
    };
    let all: Vec<Fate> = outcome.fates.iter().chain(others.iter().flat_map(|(_, fates)| fates)).cloned().collect();
    let recorded = {
        let _others_too = core.recipients.read().await;
        record(core, &outcome.stored, outcome.stored.head.trace, Update::default(), &all).await
    };
    match recorded {
        Ok(()) | Err(CommitError::Unknown(_)) => finish(core, hand),
        Err(error) => {
            core.unrecorded.fill(hand.message(), others);
            record_later(core, hand, outcome, &error);
        }
    }
}

/// Records outcomes on top of `update`, in one transaction with the notifications about them. Durable when it returns if
/// there is a new list of recipients or a notification, which is a part of `trace`. The caller holds [`Core::recipients`].
pub(crate) async fn record(
    core: &Arc<Core>,
    stored: &StoredMessage,
    trace: Option<TraceContext>,
    mut update: Update,
    fates: &[Fate],
) -> Result<(), CommitError> {
    let now = core.now();
    update.states.extend(fates.iter().map(|fate| (fate.position as usize, fate.kind.state(now))));
    let mut notices = Vec::new();
    let mut told_of_failure = false;
    for action in [Action::Failed, Action::Relayed, Action::Delivered, Action::Expanded] {
        let concerned: Vec<&Fate> = fates.iter().filter(|fate| fate.kind.action() == Some(action)).collect();
        notices.extend(notify::compose(core, stored, trace, action, &concerned).await?);
        told_of_failure |= action == Action::Failed && !notices.is_empty();
    }
    if notices.is_empty() && update.recipients.is_none() {
        core.spool.update(stored.head.id, &update);
        return Ok(());
    }
    let mut transaction = Transaction::new().update(stored.head.id, &update);
    let submitted: Vec<StoredMessage> = notices.iter().map(Notice::stored).collect();
    for notice in notices {
        transaction = transaction.store(notice.draft, notice.head);
    }
    transaction.commit(&core.spool).await?;
    // A new list of recipients alone tells nobody anything.
    if told_of_failure {
        core.told.told(stored.head.id, now);
    }
    submitted.into_iter().for_each(|stored| submit_notice(core, stored));
    Ok(())
}

/// A notification is a message like any other from here on.
pub(crate) fn submit_notice(core: &Core, stored: StoredMessage) {
    core.node.metrics.accepted.add(telemetry::metrics::Source::Notification, 1);
    track::notified(core, &stored);
    core.submit(Box::new(stored));
}

/// Reports every recipient of an item as failed; the item is finished.
pub(crate) async fn give_up(
    core: &Arc<Core>,
    stored: &StoredMessage,
    hand: Hand,
    reply: &Reply,
    last_error: Option<&str>,
) {
    let kind = FateKind::Failed { reply: reply.clone(), remote: None, last_error: last_error.map(str::to_owned) };
    end(core, stored, hand, &kind).await;
}

/// The same end for every recipient of an item.
async fn end(core: &Arc<Core>, stored: &StoredMessage, hand: Hand, kind: &FateKind) {
    let fates = hand.item().recipients.as_slice().iter().map(|at| Fate { position: *at, kind: kind.clone() }).collect();
    let left = decide(core, stored, hand, fates).await;
    debug_assert!(left.is_none(), "every recipient has its end");
}

/// An item has nothing left to do. With the last item of a message the message goes.
pub(crate) fn finish(core: &Core, hand: Hand) {
    let message = hand.message();
    if hand.finish() {
        core.spool.remove(message);
    }
}

/// A message that cannot be read: one that is gone is finished; one that can never be read again has its end told; else it is
/// tried again, until its sender is told that it expired.
pub(crate) fn unreadable(core: &Core, hand: Hand, error: &ReadError) {
    if matches!(error, ReadError::Unknown(_)) {
        hand.finish();
    } else if error.is_transient() {
        tracing::error!(message = %hand.message(), %error, "a queued message cannot be read now");
        let wait = core.node.tables().local_server().transport.message_retry_interval;
        hand.defer_submitted(core.now().plus(wait.0), error.to_string().into());
    } else {
        lost(core, hand.message(), error);
        hand.finish();
    }
}

/// A message of which nothing can be read any more: not even its sender is known. Its end stands in the log and in the message
/// tracking log, and what is left of it in the quarantine of the queue.
pub(crate) fn lost(core: &Core, message: MessageId, error: &ReadError) {
    tracing::error!(%message, %error, "a message is lost: the disk gives it no more");
    core.node.metrics.failed.increment();
    track::lost(core, message, error);
    core.spool.give_up(message);
}

/// QU-42, DS-44.
pub(crate) async fn expire(core: &Arc<Core>, hand: Hand, last_error: Option<&str>) {
    core.forget(hand.id());
    let Some((hand, stored)) = read_to_end(core, hand).await else { return };
    let reply = Reply::new(550, EnhancedStatus::new(4, 4, 7), "QUEUE.Expired; message expired");
    tracing::info!(message = %hand.message(), last_error, "expired");
    core.node.metrics.expired.increment();
    track::given_up(core, &stored, hand.item(), &reply, Source::Queue);
    // What the queue met last, or what was recorded with a recipient.
    let recorded = hand.item().recipients.as_slice().iter().find_map(|at| match stored.states.get(*at as usize)? {
        RecipientState::Pending(pending) => pending.last_error.clone(),
        _ => None,
    });
    give_up(core, &stored, hand, &reply, last_error.or(recorded.as_deref())).await;
}

/// An administrator removed it (QU-58).
pub(crate) async fn remove(core: &Arc<Core>, hand: Hand, with_ndr: WithNdr) {
    core.forget(hand.id());
    let Some((hand, stored)) = read_to_end(core, hand).await else { return };
    let reply = Reply::new(550, EnhancedStatus::new(5, 4, 0), "Message removed by administrator");
    tracing::info!(message = %hand.message(), report = with_ndr.0, "removed by an administrator");
    core.node.metrics.failed.increment();
    track::removed(core, &stored, hand.item(), &reply);
    let kind = if with_ndr.0 { FateKind::Failed { reply, remote: None, last_error: None } } else { FateKind::Removed };
    end(core, &stored, hand, &kind).await;
}

/// Reads what is to be ended. What cannot be read now is ended later: not even the sender is known.
async fn read_to_end(core: &Arc<Core>, hand: Hand) -> Option<(Hand, StoredMessage)> {
    match core.spool.head(hand.message()).await {
        Ok(stored) => Some((hand, stored)),
        Err(ReadError::Unknown(_)) => {
            hand.finish();
            None
        }
        Err(error) if !error.is_transient() => {
            lost(core, hand.message(), &error);
            hand.finish();
            None
        }
        Err(error) => {
            tracing::error!(message = %hand.message(), %error, "a message that is to be given up cannot be read");
            let wait = core.node.tables().local_server().transport.message_retry_interval;
            hand.give_up_later(core.now().plus(wait.0), error.to_string().into());
            None
        }
    }
}
