//! The outboxes of one database: each message that appears is taken, submitted and settled, while others go on.
//!
//! Whatever is the matter with one database, its messages take no place from those of the others: it has its own number of
//! messages in hand, and of turns. A message that cannot be submitted for a minute goes back to its outbox meanwhile, so that
//! those behind it have their turn, however many of them are stuck.

use std::sync::Arc;

use envelope::ObjectName;
use mailbox_store::{MailboxDatabase, OutboxItem, OutboxWatch, StoreError};
use runtime::Turns;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, RETRY_MAX};
use crate::submission::{Core, Settled, database_submissions_max};

/// Messages of one database in hand, those included that are tried again soon: 1,000. The rest waits in the outboxes, so that
/// memory does not grow while Transport is away.
const ITEMS_IN_HAND_MAX: usize = 1_000;
/// Watches until told to stop; then what is under way is finished.
pub(crate) async fn run(core: Arc<Core>, database: ObjectName, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let watch = loop {
        match open(&core, &database).await {
            Ok(watch) => break watch,
            Err(error) => tracing::error!(%database, %error, "the outboxes of a database cannot be watched"),
        }
        if !backoff.wait(&stop).await {
            return;
        }
    };
    tracing::info!(%database, "outboxes are watched");
    let (in_hand, turns) = (Semaphore::new(ITEMS_IN_HAND_MAX), Turns::new(database_submissions_max(&core.node)));
    let (in_hand, turns) = (Arc::new(in_hand), Arc::new(turns));
    Outboxes { core, database, watch, in_hand, turns, tasks: JoinSet::new(), rescan_at: None }.run(stop).await;
}

async fn open(core: &Core, database: &ObjectName) -> Result<OutboxWatch, StoreError> {
    let database = MailboxDatabase::open(core.node.settings.mailbox_database(database)).await?;
    OutboxWatch::start_on(&core.watcher, vec![database]).await
}

struct Outboxes {
    core: Arc<Core>,
    database: ObjectName,
    watch: OutboxWatch,
    in_hand: Arc<Semaphore>,
    turns: Arc<Turns>,
    tasks: JoinSet<Settled>,
    /// When to look into all outboxes again, because one could not be read or a message not be moved.
    rescan_at: Option<Instant>,
}

enum Event {
    Stop,
    Rescan,
    Settled(Result<Settled, JoinError>),
    Found(OwnedSemaphorePermit, Result<OutboxItem, StoreError>),
}

impl Outboxes {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            match self.next(&stop).await {
                Event::Stop => break,
                Event::Rescan => {
                    self.rescan_at = None;
                    self.watch.rescan().now();
                }
                Event::Settled(Ok(Settled::Yes)) => {}
                Event::Settled(Ok(Settled::No) | Err(_)) => self.rescan_later(),
                Event::Found(_, Err(error)) => {
                    tracing::error!(database = %self.database, %error, "an outbox cannot be read");
                    self.rescan_later();
                }
                Event::Found(permit, Ok(item)) => {
                    let (core, turns, stop) = (Arc::clone(&self.core), Arc::clone(&self.turns), stop.clone());
                    self.tasks.spawn(async move {
                        let _in_hand = permit;
                        core.handle(item, &turns, &stop).await
                    });
                }
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    async fn next(&mut self, stop: &CancellationToken) -> Event {
        let in_hand = Arc::clone(&self.in_hand);
        let watch = &mut self.watch;
        // Nothing is taken out of an outbox without room for it.
        let found = async {
            let permit = in_hand.acquire_owned().await.expect("the semaphore is never closed");
            (permit, watch.next().await)
        };
        let rescan_at = self.rescan_at;
        let rescan = async {
            match rescan_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            Some(settled) = self.tasks.join_next() => Event::Settled(settled),
            () = rescan => Event::Rescan,
            (permit, found) = found => Event::Found(permit, found),
        }
    }

    fn rescan_later(&mut self) {
        self.rescan_at.get_or_insert_with(|| Instant::now() + RETRY_MAX);
    }
}
