//! What became of recipients, made durable in the order that loses nothing: first the notification that somebody is owed,
//! with the outcome in one transaction; then the outcome alone, lazily; at last the removal. A crash in between makes a
//! duplicate at worst.

pub(crate) mod notify;
pub(crate) mod track;

use std::sync::Arc;
use std::time::Duration;

use envelope::{MessageId, Reply};
use message::Action;
use queue::{CommitError, RecipientState, StoredMessage, Transaction, Update};
use scheduler::Item;

use self::notify::Notice;
use crate::categorize::Submitted;
use crate::core::Core;

/// Time between two attempts to record an outcome while the spool is full. The spool looks for space more often.
const RECORD_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The end of one recipient here.
pub(crate) struct Fate {
    /// Position in the stored list.
    pub(crate) position: u32,
    pub(crate) kind: FateKind,
}

/// How it ended.
pub(crate) enum FateKind {
    /// In a mailbox.
    Delivered,
    /// Taken by a server of the organization, which reports further itself.
    Transferred,
    /// Taken by a host outside. It reports further itself when it understands DSN; else we say that it was relayed (DS-24).
    Relayed { reports_itself: bool },
    /// Given up.
    Failed {
        /// What was answered, or the answer that stands for our own decision.
        reply: Reply,
        /// Who answered, when it was somebody else (DS-10).
        remote: Option<String>,
    },
    /// A group that was replaced by its members.
    Expanded,
    /// Delivered under an equal recipient.
    Merged,
}

impl FateKind {
    fn state(&self) -> RecipientState {
        match self {
            Self::Delivered | Self::Transferred | Self::Relayed { .. } => RecipientState::Delivered,
            Self::Failed { .. } => RecipientState::Failed,
            Self::Expanded | Self::Merged => RecipientState::Expanded,
        }
    }

    /// The notification that a sender may have asked for.
    fn action(&self) -> Option<Action> {
        match self {
            Self::Delivered => Some(Action::Delivered),
            Self::Relayed { reports_itself: false } => Some(Action::Relayed),
            Self::Failed { .. } => Some(Action::Failed),
            Self::Expanded => Some(Action::Expanded),
            Self::Transferred | Self::Relayed { reports_itself: true } | Self::Merged => None,
        }
    }
}

/// Records the end of some recipients of a message, and tells the sender what he is to know. What cannot be recorded for
/// want of space is tried again in the background; the message stays until then, whatever becomes of its other items.
pub(crate) async fn decide(core: &Arc<Core>, stored: &StoredMessage, fates: Vec<Fate>) {
    if fates.is_empty() {
        return;
    }
    let recorded = {
        let _others_too = core.recipients.read().await;
        record(core, stored, Update::default(), &fates).await
    };
    if let Err(error) = recorded {
        tracing::error!(message = %stored.head.id, %error, "an outcome could not be recorded");
        core.divide(stored.head.id, 2);
        core.work.spawn(decide_later(Arc::clone(core), stored.clone(), fates));
    }
}

/// Ends with the outcome recorded; or with the service or its spool, and the recipients are tried again after a restart.
async fn decide_later(core: Arc<Core>, stored: StoredMessage, fates: Vec<Fate>) {
    loop {
        tokio::select! {
            () = core.drain.cancelled() => return,
            () = tokio::time::sleep(RECORD_RETRY_INTERVAL) => {}
        }
        let _others_too = core.recipients.read().await;
        match record(&core, &stored, Update::default(), &fates).await {
            Ok(()) | Err(CommitError::Unknown(_)) => return finish_share(&core, stored.head.id),
            Err(CommitError::Full) => {}
            Err(CommitError::Failed(_) | CommitError::Closed | CommitError::TooLarge) => return,
        }
    }
}

/// Records outcomes on top of `update`, in one transaction with the notifications about them. Durable when it returns if
/// there is a new list of recipients or a notification. The caller holds [`Core::recipients`].
pub(crate) async fn record(
    core: &Arc<Core>,
    stored: &StoredMessage,
    mut update: Update,
    fates: &[Fate],
) -> Result<(), CommitError> {
    update.states.extend(fates.iter().map(|fate| (fate.position as usize, fate.kind.state())));
    let mut notices = Vec::new();
    for action in [Action::Failed, Action::Relayed, Action::Delivered, Action::Expanded] {
        let concerned: Vec<&Fate> = fates.iter().filter(|fate| fate.kind.action() == Some(action)).collect();
        notices.extend(notify::compose(core, stored, action, &concerned).await?);
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
    submitted.into_iter().for_each(|stored| submit_notice(core, stored));
    Ok(())
}

/// A notification is a message like any other from here on.
pub(crate) fn submit_notice(core: &Core, stored: StoredMessage) {
    core.node.metrics.accepted.add(telemetry::metrics::Source::Notification, 1);
    track::notified(core, &stored);
    core.submit(Submitted::New(Box::new(stored)));
}

/// Reports every recipient of an item as failed; the item is finished.
pub(crate) async fn give_up(
    core: &Arc<Core>,
    stored: &StoredMessage,
    item: &Item,
    reply: &Reply,
    remote: Option<&str>,
) {
    let kind = || FateKind::Failed { reply: reply.clone(), remote: remote.map(str::to_owned) };
    let fates = item.recipients.as_slice().iter().map(|at| Fate { position: *at, kind: kind() }).collect();
    decide(core, stored, fates).await;
    finish_share(core, item.message);
}

/// An item has nothing left to do. With the last item of a message the message goes.
pub(crate) fn finish_share(core: &Core, message: MessageId) {
    if core.finish_share(message) {
        core.spool.remove(message);
    }
}
