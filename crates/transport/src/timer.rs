//! Time and configuration: retries fall due, mail grows late or old, a new snapshot moves what waits, a service is back.

use std::sync::Arc;

use envelope::{EnhancedStatus, Reply};
use queue::{CommitError, ReadError, Transaction};
use scheduler::{Event, Item, Limits};

use crate::core::Core;
use crate::deliver::started;
use crate::settle;
use crate::settle::notify::{self, Notice};
use crate::settle::track;

/// Runs until the service drains.
pub(crate) async fn run(core: Arc<Core>) {
    let (mut tables, mut peers) = (core.node.watch_tables(), core.node.watch_peers());
    let (mut known, mut following) = (Arc::clone(&peers.borrow_and_update()), true);
    loop {
        let next = core.queues(|queues| queues.poll_timeout());
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(core.node.clock.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.drain.cancelled() => return,
            () = core.alarm.notified() => {}
            () = sleep => due(&core),
            changed = tables.changed() => match changed {
                Ok(()) => reconfigure(&core),
                Err(_) => return,
            },
            changed = peers.changed(), if following => {
                following = changed.is_ok();
                let now = Arc::clone(&peers.borrow_and_update());
                started::try_again(&core, &now.started_since(&known));
                known = now;
            }
        }
    }
}

fn due(core: &Arc<Core>) {
    let now = core.now();
    let mut aged = Vec::new();
    for event in core.queues(|queues| queues.handle_timeout(now)) {
        match event {
            Event::Demand(lane, demand) => core.meet(lane, demand),
            Event::Resubmit(items) => items.into_iter().for_each(|item| core.resubmit(item)),
            Event::Expired { .. } | Event::Delayed { .. } => aged.push(event),
        }
    }
    if !aged.is_empty() {
        core.work.spawn(report(Arc::clone(core), aged));
    }
}

/// Tells senders, one after the other: retries do not wait for it.
async fn report(core: Arc<Core>, aged: Vec<Event>) {
    for event in aged {
        if core.drain.is_cancelled() {
            return; // found again at the next start
        }
        match event {
            Event::Expired { item, last_error } => expire(&core, &item, last_error.as_deref()).await,
            Event::Delayed { item, last_error } => report_late(&core, &item, last_error.as_deref()).await,
            Event::Demand(..) | Event::Resubmit(_) => {}
        }
    }
}

/// A new snapshot: everything that waits is decided anew by it.
fn reconfigure(core: &Core) {
    let tables = core.node.tables();
    let items = core.resubmit_all(Limits::from(&tables.local_server().transport), tables.revision());
    if !items.is_empty() {
        tracing::info!(items = items.len(), "the configuration changed: what waits is decided anew");
    }
    items.into_iter().for_each(|item| core.resubmit(item));
}

/// QU-42, DS-44.
pub(crate) async fn expire(core: &Arc<Core>, item: &Item, last_error: Option<&str>) {
    let stored = match core.spool.head(item.message).await {
        Ok(stored) => stored,
        Err(ReadError::Unknown(_)) => return settle::finish_share(core, item.message),
        // Not even the sender is known. It stays in the spool, where an administrator or the next start finds it.
        Err(error) => return tracing::error!(message = %item.message, %error, "an expired message cannot be read"),
    };
    let reply = Reply::new(550, EnhancedStatus::new(4, 4, 7), "QUEUE.Expired; message expired");
    tracing::info!(message = %item.message, last_error, "expired");
    core.node.metrics.expired.increment();
    track::expired(core, &stored, item, &reply);
    settle::give_up(core, &stored, item, &reply, None).await;
}

/// DS-20: once per message and recipients, in one transaction with the note that it was done.
async fn report_late(core: &Arc<Core>, item: &Item, last_error: Option<&str>) {
    let Ok(stored) = core.spool.head(item.message).await else { return };
    let result = match notify::late(core, &stored, item.recipients.as_slice(), last_error).await {
        Ok(None) => return,
        Ok(Some(notice)) => store_late(core, item, notice).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => {}
        Err(CommitError::Unknown(_)) => {} // delivered this moment
        Err(error) => tracing::error!(message = %item.message, %error, "a delay could not be reported"),
    }
}

/// The item may have been delivered since it was found to be late: the note must not make its recipients pending again.
async fn store_late(core: &Arc<Core>, item: &Item, notice: Notice) -> Result<(), CommitError> {
    let _alone = core.recipients.write().await;
    core.spool.flush().await?;
    let Ok(stored) = core.spool.head(item.message).await else { return Err(CommitError::Unknown(item.message)) };
    let late = notice.stored();
    let transaction =
        Transaction::new().update(item.message, &notify::marked_late(&stored, item.recipients.as_slice()));
    transaction.store(notice.draft, notice.head).commit(&core.spool).await?;
    settle::submit_notice(core, late);
    Ok(())
}
