//! What the parts of the service share: the spool, the ledger of items, and who is at work. What has to be done because of a
//! change in the ledger is an [`Errand`] on a channel: nobody here calls those who do it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envelope::{Reply, Revision, Timestamp};
use logs::Log;
use logs::connectivity::ConnectionEvent;
use logs::tracking::TrackingEvent;
use net::Progress;
use parking_lot::Mutex;
use queue::{Health, Spool, StoredMessage};
use runtime::Node;
use scheduler::{Demand, Demands, GivenBack, InHands, Item, ItemId, Ledger, Limits, QueueId, WithNdr};
use telemetry::metrics::Source;
use tokio::sync::{Notify, OwnedMutexGuard, RwLock, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::administration::counted::Peers;
use crate::deliver::outbound::Outbound;
use crate::ground::agents::Agents;
use crate::ground::submitted;
use crate::ground::told::Told;
use crate::ground::unrecorded::Unrecorded;
use crate::receive::pressure::Pressure;
use crate::state::Present;

/// Messages in the Submission queue whose stored form is kept in memory, so that it need not be read back: a few times what is
/// categorized at once.
const FRESH_MAX: usize = 4_096;
/// Items that are looked at in one piece after a new configuration, under the lock that mail needs.
const SWEEP_PIECE: usize = 1_024;

/// What has to be done because of a change in the ledger.
pub(crate) enum Errand {
    /// Open a connection of this queue.
    Connect(QueueId),
    /// An administrator removed it while it was in hands, and it has come back.
    Remove(InHands, WithNdr),
    /// It has become poison.
    Poison(Item),
}

/// The Transport service of one server.
pub(crate) struct Core {
    pub(crate) node: Arc<Node>,
    pub(crate) spool: Spool,
    pub(crate) outbound: Outbound,
    pub(crate) drain: CancellationToken,
    pub(crate) state: Present,
    /// Whether it gets on: items settled, pieces of content sent. Its end is waited for as long as it does.
    pub(crate) progress: Progress,
    /// Deliveries and categorizations under way.
    pub(crate) work: TaskTracker,
    /// The message tracking log.
    pub(crate) tracking: Log<TrackingEvent>,
    /// The connectivity log.
    pub(crate) connectivity: Log<ConnectionEvent>,
    /// Whether mail may come in.
    pub(crate) pressure: Arc<Pressure>,
    /// What goes to and comes from the other servers is counted here.
    pub(crate) peers: Peers,
    held: Mutex<Held>,
    /// Something waits for the categorizer.
    pub(crate) submitted: Notify,
    errands: mpsc::UnboundedSender<Errand>,
    /// One bell per lane with connections. A ring is a permit: none is lost when two come before anybody listens.
    bells: Mutex<HashMap<QueueId, Arc<Semaphore>>>,
    turn: AtomicU64,
    /// The timer is to look again: something is due earlier than it knew.
    pub(crate) alarm: Notify,
    /// Read while outcomes are recorded, written while a message with several items gets another list of recipients: a
    /// list is replaced as a whole, and what was recorded since it was read would be forgotten.
    pub(crate) recipients: RwLock<()>,
    pub(crate) unrecorded: Unrecorded,
    /// Whose sender was told of a failure a moment ago.
    pub(crate) told: Told,
    /// Programs that take the mail of Delivery Agent connectors.
    pub(crate) agents: Agents,
    /// Drop directories with a quota: one file at a time, or several together would be above it.
    drops: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// The ledger, with what is known besides of what has just come in.
struct Held {
    ledger: Ledger,
    fresh: HashMap<ItemId, Box<StoredMessage>>,
}

/// What is written for administrators.
pub(crate) struct Logs {
    pub(crate) tracking: Log<TrackingEvent>,
    pub(crate) connectivity: Log<ConnectionEvent>,
}

impl Core {
    /// Until it is dropped nobody else counts or writes in that Drop directory.
    pub(crate) async fn drop_turn(&self, directory: &Path) -> OwnedMutexGuard<()> {
        let turns = Arc::clone(self.drops.lock().entry(directory.to_owned()).or_default());
        turns.lock_owned().await
    }

    pub(crate) fn new(
        node: Arc<Node>,
        spool: Spool,
        ledger: Ledger,
        outbound: Outbound,
        logs: Logs,
        errands: mpsc::UnboundedSender<Errand>,
        drain: CancellationToken,
    ) -> Self {
        let (unsynced, around) = (spool.clone(), Arc::clone(&node));
        Self {
            node,
            spool,
            outbound,
            state: Present::new(drain.clone(), move || around.has_left().is_some()),
            progress: Progress::default(),
            drain,
            work: TaskTracker::new(),
            tracking: logs.tracking,
            connectivity: logs.connectivity,
            pressure: Arc::new(Pressure::new(move || unsynced.unsynced_age())),
            peers: Peers::default(),
            held: Mutex::new(Held { ledger, fresh: HashMap::new() }),
            submitted: Notify::new(),
            errands,
            bells: Mutex::default(),
            turn: AtomicU64::new(u64::from(uuid::Uuid::new_v4().as_fields().0)),
            alarm: Notify::new(),
            recipients: RwLock::default(),
            unrecorded: Unrecorded::default(),
            told: Told::default(),
            agents: Agents::default(),
            drops: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// A number that differs from call to call: where rotations start (RT-24, SC-45).
    pub(crate) fn turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether mail from there would be taken now.
    ///
    /// # Errors
    /// `421` when the service takes no mail, `452` under back pressure.
    pub(crate) fn admits(&self, source: Source) -> Result<(), Reply> {
        self.state.takes_mail()?;
        self.pressure.admits(source, &self.drain)
    }

    /// The same for a message that comes now, after the delay of back pressure.
    ///
    /// # Errors
    /// As [`Self::admits`].
    pub(crate) async fn admit(&self, source: Source) -> Result<(), Reply> {
        self.state.takes_mail()?;
        self.pressure.admit(source, &self.drain).await
    }

    /// What is left to do for a server that the configuration has no more.
    pub(crate) fn leaving(&self) -> String {
        let left = self.spool.stats().messages;
        let why = self.node.has_left().unwrap_or_default();
        if left == 0 { format!("{why}; nothing is left: it may be ended") } else { format!("{why}; {left} wait") }
    }

    /// Nothing is to be begun any more: the service stops, or its spool has failed and could record nothing of it, so that all
    /// of it would be done again after the next start.
    pub(crate) fn rests(&self) -> bool {
        self.drain.is_cancelled() || matches!(self.spool.health(), Health::Failed(_))
    }

    /// Looks at or changes the ledger; never across an await.
    pub(crate) fn ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.held.lock().ledger)
    }

    /// The same; the timer looks again if something is due earlier than before.
    pub(crate) fn ledger_and_alarm<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        self.held_and_alarm(|held| change(&mut held.ledger))
    }

    fn held_and_alarm<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let mut held = self.held.lock();
        let before = held.ledger.poll_timeout();
        let changed = change(&mut held);
        let after = held.ledger.poll_timeout();
        drop(held);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.alarm.notify_one();
        }
        changed
    }

    /// Hands a message that has just been stored to the Submission queue.
    pub(crate) fn submit(&self, stored: Box<StoredMessage>) {
        // It was stored just now; should it have gone already, there is nothing to do.
        let Some(sequence) = self.spool.sequence(stored.head.id) else { return };
        let Some(item) = submitted::item(&stored, sequence) else { return };
        let now = self.now();
        self.held_and_alarm(|held| {
            let id = held.ledger.submit(item, now);
            if held.fresh.len() < FRESH_MAX {
                held.fresh.insert(id, stored);
            }
        });
        self.submitted.notify_one();
    }

    /// The same for what was found in the spool at start. Whether it is poison.
    pub(crate) fn recover(&self, items: Vec<Item>) -> bool {
        let now = self.now();
        let poison = self.ledger_and_alarm(|ledger| {
            let recovered = ledger.recover(items, now)?;
            Some(ledger.item(recovered)?.queue == QueueId::POISON)
        });
        self.submitted.notify_one();
        poison == Some(true)
    }

    /// The next item to be categorized, with what is stored of it if that is known.
    pub(crate) fn next_submitted(&self) -> Option<(InHands, Option<Box<StoredMessage>>)> {
        let mut held = self.held.lock();
        let next = held.ledger.next_submitted()?;
        let stored = held.fresh.remove(&next.id());
        Some((next, stored))
    }

    /// Does what the ledger asked for.
    pub(crate) fn meet_all(&self, demands: Demands) {
        for (queue, demand) in demands {
            match demand {
                Demand::Wake if queue == QueueId::SUBMISSION => self.submitted.notify_one(),
                Demand::Wake => self.bell(queue).add_permits(1),
                Demand::Connect => self.errand(Errand::Connect(queue)),
            }
        }
    }

    /// Does what came of an item that was given back. Gives when it is tried again.
    pub(crate) fn met(&self, given: GivenBack) -> Option<Timestamp> {
        self.meet_all(given.demands);
        if let Some((removed, with_ndr)) = given.removed {
            self.errand(Errand::Remove(removed, with_ndr));
        }
        given.until
    }

    pub(crate) fn errand(&self, errand: Errand) {
        // The receiver lives as long as the service; what is left undone then is found at the next start.
        let _ = self.errands.send(errand);
    }

    /// A new configuration: everything that waits is decided anew, in pieces (QU-11, invariant 3).
    pub(crate) fn reconfigure(&self, limits: Limits, by: Revision) {
        let demands = self.ledger_and_alarm(|ledger| ledger.reconfigure(limits, by));
        self.meet_all(demands);
        self.sweep();
    }

    /// Goes over all items after a change that concerns all.
    pub(crate) fn sweep(&self) {
        let now = self.now();
        while self.ledger(|ledger| ledger.is_sweeping()) {
            let demands = self.ledger_and_alarm(|ledger| ledger.sweep(SWEEP_PIECE, now));
            self.meet_all(demands);
        }
    }

    /// What is left of an item that has gone another way than through the categorizer.
    pub(crate) fn forget(&self, item: ItemId) {
        self.held.lock().fresh.remove(&item);
    }

    pub(crate) fn bell(&self, lane: QueueId) -> Arc<Semaphore> {
        Arc::clone(self.bells.lock().entry(lane).or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    /// The last connection of a lane takes its bell along.
    pub(crate) fn put_away_bell(&self, lane: QueueId, bell: Arc<Semaphore>) {
        let mut bells = self.bells.lock();
        drop(bell);
        if bells.get(&lane).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(&lane);
        }
    }
}
