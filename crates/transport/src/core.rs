//! What the parts of the service share: the spool, the delivery queues, the Submission queue, and who is at work.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envelope::{MessageId, Revision, Timestamp};
use logs::Log;
use logs::tracking::Event;
use parking_lot::Mutex;
use queue::Spool;
use routing::Route;
use runtime::Node;
use scheduler::{Demand, Item, LaneId, Limits, Queues};
use telemetry::metrics::Source;
use tokio::sync::{Notify, RwLock, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::administration::counted::Peers;
use crate::categorize::{self, Submitted};
use crate::deliver;
use crate::deliver::Wait;
use crate::deliver::outbound::Outbound;
use crate::receive::pressure::Pressure;
use crate::whereabouts::{Place, Whereabouts};

/// The Transport service of one server.
pub(crate) struct Core {
    pub(crate) node: Arc<Node>,
    pub(crate) spool: Spool,
    pub(crate) outbound: Outbound,
    pub(crate) drain: CancellationToken,
    /// Deliveries and categorizations under way.
    pub(crate) work: TaskTracker,
    /// The message tracking log.
    pub(crate) tracking: Log<Event>,
    /// Whether mail may come in.
    pub(crate) pressure: Pressure,
    /// Items that are in no delivery queue.
    pub(crate) whereabouts: Whereabouts,
    /// What goes to and comes from the other servers is counted here.
    pub(crate) peers: Peers,
    waiting: Mutex<Waiting>,
    /// One bell per lane with connections. A ring is a permit: none is lost when two come before anybody listens.
    bells: Mutex<HashMap<LaneId, Arc<Semaphore>>>,
    /// Messages with more than one item in the queues, with their number.
    shares: Mutex<HashMap<MessageId, usize>>,
    submission: categorize::Inlet,
    turn: AtomicU64,
    /// The timer is to look again: something is due earlier than it knew.
    pub(crate) alarm: Notify,
    /// Read while outcomes are recorded, written while a message with several items gets another list of recipients: a
    /// list is replaced as a whole, and what was recorded since it was read would be forgotten.
    pub(crate) recipients: RwLock<()>,
}

/// The delivery queues.
struct Waiting {
    queues: Queues,
    /// Everything in the queues was decided by this configuration or a later one.
    decided_from: Revision,
}

impl Core {
    pub(crate) fn new(
        node: Arc<Node>,
        spool: Spool,
        queues: Queues,
        outbound: Outbound,
        tracking: Log<Event>,
        submission: categorize::Inlet,
        drain: CancellationToken,
    ) -> Self {
        Self {
            node,
            spool,
            outbound,
            drain,
            work: TaskTracker::new(),
            tracking,
            pressure: Pressure::new(),
            whereabouts: Whereabouts::default(),
            peers: Peers::default(),
            waiting: Mutex::new(Waiting { queues, decided_from: Revision::default() }),
            bells: Mutex::default(),
            shares: Mutex::default(),
            submission,
            turn: AtomicU64::new(u64::from(uuid::Uuid::new_v4().as_fields().0)),
            alarm: Notify::new(),
            recipients: RwLock::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// A number that differs from call to call: where rotations start (RT-24, SC-45).
    pub(crate) fn turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Looks at or changes the delivery queues; never across an await.
    pub(crate) fn queues<T>(&self, look: impl FnOnce(&mut Queues) -> T) -> T {
        look(&mut self.waiting.lock().queues)
    }

    /// Hands a message to the Submission queue.
    pub(crate) fn submit(&self, submitted: Submitted) {
        if let Some(item) = categorize::item(&submitted) {
            self.whereabouts.put(item, Place::Submitted);
        }
        // The receiver lives as long as the service: without it the message waits in the spool for the next start.
        let _ = self.submission.submitted.send(submitted);
    }

    /// Sends what was decided before through the Submission queue once more, in a lane of its own.
    pub(crate) fn resubmit(&self, item: Item) {
        self.whereabouts.put(item.clone(), Place::Resubmitted);
        let _ = self.submission.resubmitted.send(item); // as above
    }

    /// Does what the delivery queues asked for.
    pub(crate) fn meet(self: &Arc<Self>, lane: LaneId, demand: Demand) {
        match demand {
            Demand::Nothing => {}
            Demand::Wake => self.bell(lane).add_permits(1),
            // No new connections: they would end at once, and demand the next.
            Demand::Connect if self.drain.is_cancelled() => {}
            Demand::Connect => {
                self.work.spawn(deliver::run_connection(Arc::clone(self), lane));
            }
        }
    }

    /// Does what several lanes asked for; the timer looks again.
    pub(crate) fn meet_all(self: &Arc<Self>, demands: Vec<(LaneId, Demand)>) {
        for (lane, demand) in demands {
            self.meet(lane, demand);
        }
        self.alarm.notify_one();
    }

    /// Puts an item into the queue of the route that was decided by configuration `by`. If all that waits has been taken
    /// out for a newer one meanwhile, the item comes too late for that, and is decided anew as well.
    pub(crate) fn enqueue(self: &Arc<Self>, route: &Route, item: Item, by: Revision) {
        let now = self.now();
        let mut waiting = self.waiting.lock();
        if by < waiting.decided_from {
            return self.submit(Submitted::Again(item));
        }
        let before = waiting.queues.poll_timeout();
        let (lane, demand) = waiting.queues.enqueue(route, item, now);
        let after = waiting.queues.poll_timeout();
        drop(waiting);
        if after != before {
            self.alarm.notify_one();
        }
        self.meet(lane, demand);
    }

    /// Puts an item into the Unreachable queue (QU-10), decided by configuration `by` as in [`Self::enqueue`].
    pub(crate) fn park(&self, item: Item, reason: Arc<str>, by: Revision) {
        let mut waiting = self.waiting.lock();
        if by < waiting.decided_from {
            return self.submit(Submitted::Again(item));
        }
        waiting.queues.park(item, reason);
        drop(waiting);
        self.alarm.notify_one();
    }

    /// Takes the oldest item of a lane, with the configuration from which on it was decided. Without one, the connection
    /// that asks is idle from now on.
    pub(crate) fn take_or_idle(&self, lane: LaneId) -> Option<(Item, Revision)> {
        let mut waiting = self.waiting.lock();
        let taken = waiting.queues.take(lane);
        if taken.is_none() {
            waiting.queues.idle(lane);
        }
        taken.map(|item| (item, waiting.decided_from))
    }

    /// Gives a lane an item back. What was taken before a newer configuration came is decided anew, like all that waited
    /// then.
    pub(crate) fn put_back(self: &Arc<Self>, lane: LaneId, item: Item, taken: Revision) {
        let mut waiting = self.waiting.lock();
        if taken < waiting.decided_from {
            waiting.queues.left(lane);
            return self.submit(Submitted::Again(item));
        }
        let demand = waiting.queues.put_back(lane, item);
        drop(waiting);
        self.meet(lane, demand);
        self.alarm.notify_one();
    }

    /// Lets an item wait for `MessageRetryInterval` (QU-38), or be decided anew as in [`Self::put_back`].
    /// Gives what it waits for.
    pub(crate) fn defer(&self, lane: LaneId, item: Item, error: Arc<str>, taken: Revision) -> Option<Wait> {
        let now = self.now();
        let mut waiting = self.waiting.lock();
        if taken < waiting.decided_from {
            waiting.queues.left(lane);
            self.submit(Submitted::Again(item));
            return None;
        }
        let until = waiting.queues.defer(lane, item, Arc::clone(&error), now);
        drop(waiting);
        self.alarm.notify_one();
        until.map(|until| Wait { until, why: error })
    }

    /// A new configuration: takes everything that waits out of the queues, the Unreachable queue first (QU-11,
    /// invariant 3).
    pub(crate) fn resubmit_all(&self, limits: Limits, by: Revision) -> Vec<Item> {
        let mut waiting = self.waiting.lock();
        waiting.decided_from = by;
        waiting.queues.set_limits(limits);
        let mut items = waiting.queues.resubmit_unreachable();
        items.extend(waiting.queues.resubmit_waiting());
        items
    }

    pub(crate) fn bell(&self, lane: LaneId) -> Arc<Semaphore> {
        Arc::clone(self.bells.lock().entry(lane).or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    /// The last connection of a lane takes its bell along.
    pub(crate) fn put_away_bell(&self, lane: LaneId, bell: Arc<Semaphore>) {
        let mut bells = self.bells.lock();
        drop(bell);
        if bells.get(&lane).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(&lane);
        }
    }

    /// An item of a message became `into` items. It is one until then, and stays uncounted while it is one.
    pub(crate) fn divide(&self, message: MessageId, into: usize) {
        if into > 1 {
            self.node.metrics.accepted.add(Source::Bifurcation, into as u64 - 1);
        }
        let mut shares = self.shares.lock();
        let count = shares.get(&message).copied().unwrap_or(1) + into - 1;
        if count > 1 {
            shares.insert(message, count);
        } else {
            shares.remove(&message);
        }
    }

    /// Items beyond the first of each message: with the number of messages, what this server is responsible for.
    pub(crate) fn further_items(&self) -> usize {
        self.shares.lock().values().map(|count| count - 1).sum()
    }

    /// Whether a message has more than one item.
    pub(crate) fn is_divided(&self, message: MessageId) -> bool {
        self.shares.lock().contains_key(&message)
    }

    /// An item of a message is finished; `true` when it was the last.
    pub(crate) fn finish_share(&self, message: MessageId) -> bool {
        let mut shares = self.shares.lock();
        let Some(count) = shares.get_mut(&message) else { return true };
        *count -= 1;
        if *count == 1 {
            shares.remove(&message);
        }
        false
    }
}
