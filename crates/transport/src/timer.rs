//! Time and configuration: retries fall due, mail grows late or old, a new snapshot moves what waits, a service is back.

use std::sync::Arc;

use queue::{CommitError, Transaction};
use routing::RoutingTables;
use scheduler::{Event, Item, Limits, QueueId};

use crate::core::Core;
use crate::deliver::started;
use crate::hand::Hand;
use crate::settle;
use crate::settle::notify::{self, Notice};

/// Runs until the service drains.
pub(crate) async fn run(core: Arc<Core>) {
    let (mut tables, mut peers) = (core.node.watch_tables(), core.node.watch_peers());
    let (mut known, mut following) = (Arc::clone(&peers.borrow_and_update()), true);
    let mut away = core.node.watch_directory_away();
    loop {
        let next = core.ledger(|ledger| ledger.poll_timeout());
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(core.node.clock.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.drain.cancelled() => return write_down_the_rest(&core).await,
            () = core.alarm.notified() => {}
            () = sleep => due(&core),
            changed = tables.changed() => match changed {
                Ok(()) => reconfigure(&core),
                Err(_) => return,
            },
            changed = away.changed() => match changed {
                Ok(()) if *away.borrow_and_update() => {}
                Ok(()) => ask_again(&core),
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

/// What is known and waits to be told together with others is written down before the end: nobody is asked a second time.
async fn write_down_the_rest(core: &Arc<Core>) {
    for item in core.ledger(|ledger| ledger.hand_out_unrecorded(None)) {
        settle::record_again(core, Hand::new(core, item)).await;
    }
}

fn due(core: &Arc<Core>) {
    let now = core.now();
    let mut aged = Vec::new();
    for event in core.ledger(|ledger| ledger.handle_timeout(now)) {
        match event {
            Event::Demand(queue, demand) => core.meet_all(vec![(queue, demand)]),
            Event::Expired { item, last_error } => aged.push(Aged::Expired(Hand::new(core, item), last_error)),
            Event::Delayed { item, last_error } => aged.push(Aged::Delayed(item, last_error)),
            Event::Record(item) => aged.push(Aged::Unrecorded(Hand::new(core, item))),
        }
    }
    if !aged.is_empty() {
        core.work.spawn(report(Arc::clone(core), aged));
    }
}

/// What time has brought about, and takes longer.
enum Aged {
    Expired(Hand, Option<Arc<str>>),
    Delayed(Item, Option<Arc<str>>),
    Unrecorded(Hand),
}

/// Tells senders, one after the other: retries do not wait for it.
async fn report(core: Arc<Core>, aged: Vec<Aged>) {
    for event in aged {
        if core.drain.is_cancelled() {
            return; // found again at the next start
        }
        match event {
            Aged::Expired(hand, last_error) => settle::expire(&core, hand, last_error.as_deref()).await,
            Aged::Delayed(item, last_error) => report_late(&core, &item, last_error.as_deref()).await,
            Aged::Unrecorded(hand) => settle::record_again(&core, hand).await,
        }
    }
}

/// Times and bounds of this server's queues.
pub(crate) fn limits_of(tables: &RoutingTables) -> Limits {
    let agents = tables.organization().delivery_agent_connectors().iter();
    Limits::from(&tables.local_server().transport)
        .with_connectors(agents.map(|connector| (connector.guid, connector.max_concurrent_connections)))
}

/// A new snapshot: everything that waits is decided anew by it.
fn reconfigure(core: &Core) {
    let tables = core.node.tables();
    core.reconfigure(limits_of(&tables), tables.revision());
}

/// The directory is back: what it delayed is categorized now, not after `ResolverRetryInterval`.
fn ask_again(core: &Core) {
    // Refused when nothing waits.
    if let Ok(demands) = core.ledger_and_alarm(|ledger| ledger.retry_queue(QueueId::SUBMISSION)) {
        core.meet_all(demands);
    }
}

/// DS-20: once per message and recipients, in one transaction with the note that it was done.
async fn report_late(core: &Arc<Core>, item: &Item, last_error: Option<&str>) {
    let Ok(stored) = core.spool.head(item.message).await else { return };
    // One notification for the message, with whatever of its items is late first.
    let (late, own) = (notify::newly_late(&stored), item.recipients.as_slice());
    if !late.iter().any(|at| own.contains(at)) {
        return;
    }
    let result = match notify::late(core, &stored, &late, own, last_error).await {
        Ok(None) => return,
        Ok(Some(notice)) => store_late(core, item, &late, notice).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => {}
        Err(CommitError::Unknown(_)) => {} // delivered this moment
        Err(error) => tracing::error!(message = %item.message, %error, "a delay could not be reported"),
    }
}

/// The item may have been delivered since it was found to be late: the note must not make its recipients pending again.
async fn store_late(core: &Arc<Core>, item: &Item, late: &[u32], notice: Notice) -> Result<(), CommitError> {
    let _alone = core.recipients.write().await;
    core.spool.flush().await?;
    let Ok(stored) = core.spool.head(item.message).await else { return Err(CommitError::Unknown(item.message)) };
    let submitted = notice.stored();
    let transaction = Transaction::new().update(item.message, &notify::marked_late(&stored, late));
    transaction.store(notice.draft, notice.head).commit(&core.spool).await?;
    settle::submit_notice(core, submitted);
    Ok(())
}
