//! The ledger: every item of this server, and where it is.
//!
//! An item is on one shelf of one queue at any time, and only [`Ledger::shift`] moves it. Who works at an item holds an
//! [`InHands`] and gives it back with what became of it; nothing else ends an item.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use envelope::{Revision, Timestamp};
use routing::{NextHopSolutionKey, Route};

use crate::item::{InHands, Item, ItemId, MessageNumber, QueueId, RecipientIndexes};
use crate::lane::{Lane, Line};
use crate::limits::Limits;
use crate::queue::{Order, Queue, Stage};

/// What the shell has to do for a queue after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Somebody who waits for work is to ask for it: an idle connection, or the categorizer for the Submission queue.
    Wake,
    /// A new connection is to be opened; it counts as opening from now on.
    Connect,
}

/// What is to be done, in this order.
pub type Demands = Vec<(QueueId, Demand)>;

/// What the categorizer decided about some recipients of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub recipients: RecipientIndexes,
    /// Where they go.
    pub to: Destination,
}

/// Where recipients go next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into the queue of this next hop.
    NextHop(Route),
    /// Nowhere, for this reason, until the configuration changes (QU-10).
    Unreachable(Arc<str>),
    /// Back to the categorizer at that time, or when the configuration changes.
    Later(Timestamp, Arc<str>),
}

/// What came of a decision.
#[derive(Debug, Default)]
#[must_use]
pub struct Decided {
    /// What is to be done.
    pub demands: Demands,
    /// How many items the one has become.
    pub items: usize,
}

/// What came of an item that was given back to wait.
#[derive(Debug, Default)]
#[must_use]
pub struct GivenBack {
    /// What is to be done.
    pub demands: Demands,
    /// When it is tried again, where that is set.
    pub until: Option<Timestamp>,
    /// An administrator removed it while it was in hands: it is still there, to be ended as he wanted.
    pub removed: Option<(InHands, WithNdr)>,
}

/// Whether the sender of what an administrator removes is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithNdr(pub bool);

/// What an administrator wanted of an item that was in hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    Suspend,
    Remove(WithNdr),
}

/// Why an item that was deferred is not tried earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    #[default]
    Nothing,
    /// This next hop deferred it until then (QU-38), and a new configuration does not change its mind.
    NextHop(Arc<NextHopSolutionKey>, Timestamp),
    /// A configuration newer than this one ends it (PL-13, RT-43).
    Configuration(Revision),
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) item: Item,
    pub(crate) stage: Stage,
    pub(crate) pending: Option<Pending>,
    pub(crate) wait: Wait,
    /// Its own last error, or why it has no route.
    pub(crate) why: Option<Arc<str>>,
    /// Where it stands among those that grow late or expire.
    pub(crate) age: Option<Timestamp>,
    /// It is not given up before: to give it up has failed.
    pub(crate) give_up_from: Timestamp,
}

/// Every item of one server.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) limits: Limits,
    pub(crate) records: BTreeMap<ItemId, Record>,
    /// The item of each message that was never more than one.
    whole: HashMap<MessageNumber, ItemId>,
    /// The items of each of the others.
    divided: HashMap<MessageNumber, Vec<ItemId>>,
    pub(crate) submission: Queue,
    /// The Submission queue's second lane: what was decided before, by another configuration or before a restart. However
    /// long it is, nothing that comes in waits behind all of it.
    pub(crate) again: BTreeSet<Order>,
    again_next: bool,
    pub(crate) unreachable: Queue,
    pub(crate) poison: Queue,
    pub(crate) unrecorded: BTreeSet<Order>,
    pub(crate) lanes: BTreeMap<QueueId, Lane>,
    pub(crate) by_key: HashMap<Arc<NextHopSolutionKey>, QueueId>,
    /// Next hops whose queues an administrator stopped, there or not.
    pub(crate) suspended_keys: BTreeSet<Arc<NextHopSolutionKey>>,
    pub(crate) lines: [Line; 3],
    /// When which lane has something to do.
    pub(crate) timer: BTreeSet<(Timestamp, QueueId)>,
    /// When which item is late or too old.
    pub(crate) ages: BTreeSet<Order>,
    /// Everything that waits for a next hop was decided by this configuration or a later one, once the sweep has ended.
    pub(crate) decided_from: Revision,
    /// From where on items are still to be looked at, after a change that concerns all.
    pub(crate) sweep_from: Option<ItemId>,
    pub(crate) redirect: Option<Route>,
    last_item: u64,
    last_queue: u64,
}

impl Ledger {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            records: BTreeMap::new(),
            whole: HashMap::new(),
            divided: HashMap::new(),
            submission: Queue::default(),
            again: BTreeSet::new(),
            again_next: false,
            unreachable: Queue::default(),
            poison: Queue::default(),
            unrecorded: BTreeSet::new(),
            lanes: BTreeMap::new(),
            by_key: HashMap::new(),
            suspended_keys: BTreeSet::new(),
            lines: Default::default(),
            timer: BTreeSet::new(),
            ages: BTreeSet::new(),
            decided_from: Revision::default(),
            sweep_from: None,
            redirect: None,
            last_item: 0,
            last_queue: QueueId::POISON.0,
        }
    }

    pub(crate) fn queue(&self, id: QueueId) -> Option<&Queue> {
        match id {
            QueueId::SUBMISSION => Some(&self.submission),
            QueueId::UNREACHABLE => Some(&self.unreachable),
            QueueId::POISON => Some(&self.poison),
            _ => self.lanes.get(&id).map(|lane| &lane.queue),
        }
    }

    pub(crate) fn queue_mut(&mut self, id: QueueId) -> Option<&mut Queue> {
        match id {
            QueueId::SUBMISSION => Some(&mut self.submission),
            QueueId::UNREACHABLE => Some(&mut self.unreachable),
            QueueId::POISON => Some(&mut self.poison),
            _ => self.lanes.get_mut(&id).map(|lane| &mut lane.queue),
        }
    }

    /// Puts an item on another shelf.
    pub(crate) fn shift(&mut self, id: ItemId, to: Stage) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let from = std::mem::replace(&mut record.stage, to);
        let (arrived, age) = (record.item.arrived, record.age);
        self.take_off(id, arrived, from);
        if let Some(queue) = self.queue_mut(to.queue()) {
            match to {
                Stage::Ready(_) => drop(queue.ready.insert((arrived, id))),
                Stage::Deferred(_, until) => drop(queue.deferred.insert((until, id))),
                Stage::Suspended(_) => drop(queue.suspended.insert(id)),
                Stage::InHands(_) => queue.in_hands += 1,
                Stage::Again => drop(self.again.insert((arrived, id))),
                Stage::Unrecorded(until) => drop(self.unrecorded.insert((until, id))),
            }
        }
        if age.is_none() && to.ages() {
            self.watch_age(id);
        }
    }

    fn take_off(&mut self, id: ItemId, arrived: Timestamp, from: Stage) {
        let Some(queue) = self.queue_mut(from.queue()) else { return };
        match from {
            Stage::Ready(_) => drop(queue.ready.remove(&(arrived, id))),
            Stage::Deferred(_, until) => drop(queue.deferred.remove(&(until, id))),
            Stage::Suspended(_) => drop(queue.suspended.remove(&id)),
            Stage::InHands(_) => queue.in_hands -= 1,
            Stage::Again => drop(self.again.remove(&(arrived, id))),
            Stage::Unrecorded(until) => drop(self.unrecorded.remove(&(until, id))),
        }
    }

    fn add(&mut self, item: Item, stage: Stage) -> ItemId {
        self.last_item += 1;
        let id = ItemId(self.last_item);
        let record = Record {
            item,
            stage,
            pending: None,
            wait: Wait::Nothing,
            why: None,
            age: None,
            give_up_from: Timestamp::from_millis(0),
        };
        // It is not on that shelf yet; from hands to hands would count it out first.
        if let Some(queue) = self.queue_mut(stage.queue())
            && matches!(stage, Stage::InHands(_))
        {
            queue.in_hands += 1;
        }
        self.records.insert(id, record);
        self.shift(id, stage);
        id
    }

    /// A message that was just accepted enters the Submission queue, whole.
    pub fn submit(&mut self, item: Item, now: Timestamp) -> ItemId {
        self.submission.incoming.count(now);
        let number = item.number;
        let id = self.add(item, Stage::Ready(QueueId::SUBMISSION));
        self.whole.insert(number, id);
        id
    }

    /// A message that was found in the spool at start enters it again, as one item, or as one that is suspended and one that is
    /// not; poison stays poison (QU-13, QU-14).
    pub fn recover(&mut self, items: impl IntoIterator<Item = Item>, now: Timestamp) -> Option<ItemId> {
        let mut first = None;
        for item in items {
            let poison = self.limits.is_poison(item.crashes);
            let stage = if poison { Stage::Suspended(QueueId::POISON) } else { Stage::Again };
            let number = item.number;
            let id = self.add(item, stage);
            match first {
                Some(first) => self.divide(number, first, id),
                None => {
                    self.whole.insert(number, id);
                    self.submission.incoming.count(now);
                    first = Some(id);
                }
            }
        }
        first
    }

    /// The next item to be categorized: oldest first, in turns with what was decided before.
    pub fn next_submitted(&mut self) -> Option<InHands> {
        if self.submission.is_suspended {
            return None; // QU-28
        }
        self.again_next = !self.again_next;
        let (fresh, again) = (self.submission.ready.first(), self.again.first());
        let (_, id) = *if self.again_next { again.or(fresh) } else { fresh.or(again) }?;
        Some(self.hand_out(id, QueueId::SUBMISSION))
    }

    pub(crate) fn hand_out(&mut self, id: ItemId, queue: QueueId) -> InHands {
        self.shift(id, Stage::InHands(queue));
        let record = &self.records[&id];
        InHands { id, queue, since: self.decided_from, item: record.item.clone() }
    }

    /// Puts what configuration `by` decided into effect: the item becomes as many as there are shares, at least one. What
    /// has been overtaken by a newer configuration meanwhile is categorized anew instead.
    pub fn decide(&mut self, decided: InHands, shares: Vec<Share>, by: Revision, now: Timestamp) -> Decided {
        let InHands { id, mut item, queue, .. } = decided;
        let number = item.number;
        item.decided = by;
        let items = shares.len();
        let mut demands = Vec::new();
        if by < self.decided_from {
            let mut all: Vec<u32> = shares.iter().flat_map(|share| share.recipients.as_slice()).copied().collect();
            all.sort_unstable();
            item.recipients = RecipientIndexes::new(&all).unwrap_or(item.recipients);
            self.record_mut(id).item = item;
            self.shift(id, Stage::Ready(QueueId::SUBMISSION));
            return Decided { demands: vec![(QueueId::SUBMISSION, Demand::Wake)], items: 1 };
        }
        self.submission.outgoing.count(now);
        let wait = std::mem::take(&mut self.record_mut(id).wait);
        let mut shares = shares.into_iter();
        if let Some(first) = shares.next() {
            item.recipients = first.recipients;
            self.record_mut(id).item = item.clone();
            self.go(id, first.to, &wait, now, &mut demands);
        }
        for share in shares {
            let item = Item { recipients: share.recipients, ..item.clone() };
            let other = self.add(item, Stage::InHands(queue));
            self.divide(number, id, other);
            self.go(other, share.to, &wait, now, &mut demands);
        }
        Decided { demands, items }
    }

    fn go(&mut self, id: ItemId, to: Destination, before: &Wait, now: Timestamp, demands: &mut Demands) {
        let by = self.records[&id].item.decided;
        match to {
            Destination::NextHop(route) => self.enqueue(id, &route, before, now, demands),
            Destination::Unreachable(why) => {
                let record = self.record_mut(id);
                record.why = Some(why);
                let stage = if record.item.suspended { Stage::Suspended } else { Stage::Ready };
                self.unreachable.incoming.count(now);
                self.shift(id, stage(QueueId::UNREACHABLE));
            }
            Destination::Later(until, why) => {
                let record = self.record_mut(id);
                (record.why, record.wait) = (Some(why), Wait::Configuration(by));
                self.shift(id, Stage::Deferred(QueueId::SUBMISSION, until));
            }
        }
    }

    /// Puts an item into the queue of `route`, or, while mail is redirected, into that of the server that takes all.
    pub(crate) fn enqueue(&mut self, id: ItemId, route: &Route, before: &Wait, now: Timestamp, demands: &mut Demands) {
        let redirected = self.redirect.clone();
        let route = redirected.as_ref().unwrap_or(route);
        let queue = self.lane_of(route, now);
        let held = match before {
            Wait::NextHop(key, until) if **key == *route.key && *until > now => Some(*until),
            _ => None,
        };
        let record = self.record_mut(id);
        if let Some(until) = held {
            record.wait = before.clone();
            let suspended = record.item.suspended;
            self.shift(id, if suspended { Stage::Suspended(queue) } else { Stage::Deferred(queue, until) });
        } else {
            record.item.deferrals = 0;
            (record.wait, record.why) = (Wait::Nothing, None);
            let stage = if record.item.suspended { Stage::Suspended } else { Stage::Ready };
            self.shift(id, stage(queue));
        }
        demands.extend(self.demand(queue));
        self.arm(queue);
    }

    /// The lane of a route, which is made if need be.
    fn lane_of(&mut self, route: &Route, now: Timestamp) -> QueueId {
        let id = match self.by_key.get(&route.key) {
            Some(id) => *id,
            None => {
                self.last_queue += 1;
                let id = QueueId(self.last_queue);
                let mut lane = Lane::new(Arc::new(route.clone()), now);
                lane.queue.is_suspended = self.suspended_keys.contains(&*route.key);
                self.lanes.insert(id, lane);
                self.by_key.insert(Arc::clone(&route.key), id);
                id
            }
        };
        let lane = self.lanes.get_mut(&id).expect("by_key holds living lanes");
        // The newest decision about attempts wins; the key is the same.
        if !Arc::ptr_eq(&lane.route.way, &route.way) || lane.route.connector != route.connector {
            lane.route = Arc::new(route.clone());
        }
        lane.empty_since = None;
        lane.queue.incoming.count(now);
        id
    }

    /// Divides an item in hands: `part` of its recipients become an item of their own, in the same hands.
    pub fn split(&mut self, from: &mut InHands, part: RecipientIndexes) -> InHands {
        let rest: Vec<u32> =
            from.item.recipients.as_slice().iter().copied().filter(|at| !part.as_slice().contains(at)).collect();
        from.item.recipients = RecipientIndexes::new(&rest).unwrap_or_else(|| from.item.recipients.clone());
        let item = Item { recipients: part, ..from.item.clone() };
        let pending = self.records.get(&from.id).and_then(|record| record.pending);
        let id = self.add(item.clone(), Stage::InHands(from.queue));
        self.record_mut(id).pending = pending;
        self.divide(item.number, from.id, id);
        InHands { id, queue: from.queue, since: from.since, item }
    }

    fn divide(&mut self, number: MessageNumber, one: ItemId, other: ItemId) {
        self.whole.remove(&number);
        self.divided.entry(number).or_insert_with(|| vec![one]).push(other);
    }

    /// An item has nothing left to do. `true` when it was the last of its message.
    #[must_use = "the message is to be removed with its last item"]
    pub fn finish(&mut self, finished: InHands, now: Timestamp) -> bool {
        let InHands { id, queue, item, .. } = finished;
        let number = item.number;
        if let Some(record) = self.records.remove(&id) {
            self.take_off(id, record.item.arrived, record.stage);
            if let Some(age) = record.age {
                self.ages.remove(&(age, id));
            }
        }
        self.note_empty(queue, now);
        let is_last = match self.divided.get_mut(&number) {
            None => true,
            Some(items) => {
                items.retain(|item| *item != id);
                items.is_empty()
            }
        };
        if is_last {
            self.whole.remove(&number);
            self.divided.remove(&number);
        }
        is_last
    }

    /// An item that was taken comes back untried or not finished: the connection ended.
    pub fn put_back(&mut self, returned: InHands, now: Timestamp) -> GivenBack {
        let queue = returned.queue;
        let mut given = self.give_back(returned, Stage::Ready(queue), now);
        given.until = self.lanes.get(&queue).and_then(|lane| lane.retry_at);
        given
    }

    /// A connected peer deferred the item: it alone waits, for `MessageRetryInterval` (QU-38).
    pub fn defer(&mut self, mut deferred: InHands, why: Arc<str>, now: Timestamp) -> GivenBack {
        let (id, queue, until) = (deferred.id, deferred.queue, now.plus(self.limits.message_retry));
        deferred.item.deferrals = deferred.item.deferrals.saturating_add(1);
        let Some(lane) = self.lanes.get_mut(&queue) else { return self.defer_submitted(deferred, until, why, now) };
        lane.queue.last_error = Some(Arc::clone(&why));
        lane.ladder.reset();
        let wait = Wait::NextHop(Arc::clone(&lane.route.key), until);
        let record = self.record_mut(id);
        (record.wait, record.why) = (wait, Some(why));
        let mut given = self.give_back(deferred, Stage::Deferred(queue, until), now);
        given.until = Some(until);
        given
    }

    /// The item comes back to the categorizer at that time.
    pub fn defer_submitted(&mut self, deferred: InHands, until: Timestamp, why: Arc<str>, now: Timestamp) -> GivenBack {
        self.record_mut(deferred.id).why = Some(why);
        let mut given = self.give_back(deferred, Stage::Deferred(QueueId::SUBMISSION, until), now);
        given.until = Some(until);
        given
    }

    /// The database of its recipients is active elsewhere, by a configuration that this server has or has not heard of: it
    /// is categorized by one that is newer than `by`, or else after `MailboxDeliveryQueueRetryInterval` (PL-13).
    pub fn reroute(&mut self, rerouted: InHands, by: Revision, why: Arc<str>, now: Timestamp) -> GivenBack {
        let until = now.plus(self.limits.retry.mailbox());
        if by < self.decided_from {
            return self.give_back(rerouted, Stage::Ready(QueueId::SUBMISSION), now);
        }
        self.record_mut(rerouted.id).wait = Wait::Configuration(by);
        self.defer_submitted(rerouted, until, why, now)
    }

    /// Processing it failed by a fault of this program: it waits, and is poison when that has happened as often as
    /// `PoisonThreshold` says (QU-13). `true` then.
    pub fn crashed(&mut self, mut crashed: InHands, why: Arc<str>, now: Timestamp) -> (GivenBack, bool) {
        crashed.item.crashes = crashed.item.crashes.saturating_add(1);
        if !self.limits.is_poison(crashed.item.crashes) {
            return (self.defer(crashed, why, now), false);
        }
        let (id, queue) = (crashed.id, crashed.queue);
        let record = self.record_mut(id);
        (record.item, record.why, record.pending) = (crashed.item, Some(why), None);
        self.shift(id, Stage::Suspended(QueueId::POISON));
        self.note_empty(queue, now);
        (GivenBack::default(), true)
    }

    /// What became of it is known and cannot be written down: that is tried again at that time.
    pub fn unrecorded(&mut self, waiting: InHands, until: Timestamp, why: Arc<str>, now: Timestamp) {
        let (id, queue) = (waiting.id, waiting.queue);
        let record = self.record_mut(id);
        (record.item, record.why, record.pending) = (waiting.item, Some(why), None);
        self.shift(id, Stage::Unrecorded(until));
        self.note_empty(queue, now);
    }

    /// It was to be given up, and cannot be yet: back to the Submission queue, and given up later.
    pub fn give_up_later(&mut self, kept: InHands, until: Timestamp, why: Arc<str>, now: Timestamp) -> GivenBack {
        self.record_mut(kept.id).give_up_from = until;
        self.defer_submitted(kept, until, why, now)
    }

    fn give_back(&mut self, returned: InHands, to: Stage, now: Timestamp) -> GivenBack {
        let is_stale = returned.since < self.decided_from && to.queue().is_delivery();
        let InHands { id, queue, item, .. } = returned;
        let record = self.record_mut(id);
        record.item = Item { delay_reported: item.delay_reported || record.item.delay_reported, ..item };
        let pending = record.pending.take();
        let to = match pending {
            Some(Pending::Remove(ndr)) => {
                let removed = self.hand_out(id, queue);
                return GivenBack { removed: Some((removed, ndr)), ..GivenBack::default() };
            }
            Some(Pending::Suspend) if queue.is_delivery() => {
                record.item.suspended = true;
                Stage::Suspended(queue)
            }
            // What was taken before a newer configuration came is decided anew, like all that waited then.
            _ if is_stale => Stage::Ready(QueueId::SUBMISSION),
            _ => to,
        };
        self.shift(id, to);
        self.note_empty(queue, now);
        let mut demands = Vec::new();
        match to {
            Stage::Ready(QueueId::SUBMISSION) => demands.push((QueueId::SUBMISSION, Demand::Wake)),
            Stage::Ready(_) => demands.extend(self.demand(queue)),
            _ => {}
        }
        self.arm(queue);
        GivenBack { demands, until: None, removed: None }
    }

    /// A queue may have nothing left.
    pub(crate) fn note_empty(&mut self, id: QueueId, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && lane.empty_since.is_none()
            && lane.is_forgettable()
        {
            lane.empty_since = Some(now);
            self.arm(id);
        }
    }

    pub(crate) fn record_mut(&mut self, id: ItemId) -> &mut Record {
        self.records.get_mut(&id).expect("an item in hands stays in the ledger until it is given back")
    }

    /// Items beyond the first of each message: with the number of messages, what this server is responsible for.
    #[must_use]
    pub fn further_items(&self) -> usize {
        self.records.len() - self.whole.len() - self.divided.len()
    }

    /// Whether its message has other items.
    #[must_use]
    pub fn is_divided(&self, one: &InHands) -> bool {
        self.divided.get(&one.number()).is_some_and(|items| items.len() > 1)
    }

    /// The items of a message.
    #[must_use]
    pub fn items_of_message(&self, number: MessageNumber) -> Vec<ItemId> {
        match self.divided.get(&number) {
            Some(items) => items.clone(),
            None => self.whole.get(&number).copied().into_iter().collect(),
        }
    }
}
