//! All delivery queues of one server.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use envelope::{Limit, Timestamp};
use routing::{NextHopSolutionKey, Route};
use topology::TransportServiceSettings;

use crate::item::Item;
use crate::ladder::RetrySettings;
use crate::lane::{Lane, Place, WINDOW_INITIAL};

/// The smallest step of time.
const INSTANT: Duration = Duration::from_millis(1);

/// One lane, for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub(crate) u64);

impl LaneId {
    /// The integer of the Submission queue, which is no lane.
    pub const SUBMISSION: u64 = 0;
    /// The integer of the Unreachable queue, which is no lane either.
    pub const UNREACHABLE: u64 = 1;

    /// The queue's integer: counted up as queues come into being, never used twice.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What the shell has to do for a lane after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: connections under way will see to it, or the lane is in Retry.
    Nothing,
    /// An idle connection is to ask for work.
    Wake,
    /// A new connection is to be opened; it counts as opening from now on.
    Connect,
}

/// What time brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// See [`Demand`].
    Demand(LaneId, Demand),
    /// The item is older than `MessageExpirationTimeout`: it has left the queue and is to be given up (QU-42).
    Expired {
        /// What expired.
        item: Item,
        /// Why it had not been delivered.
        last_error: Option<Arc<str>>,
    },
    /// The item is late: its sender may be told, once (QU-45). It stays in the queue.
    Delayed {
        /// What is late.
        item: Item,
        /// Why.
        last_error: Option<Arc<str>>,
    },
    /// The lane has delivered nothing for long: these left it and are to be categorized again (QU-40).
    Resubmit(Vec<Item>),
}

/// Times and bounds, from `Set-TransportService`.
#[derive(Clone, Debug)]
pub struct Limits {
    retry: RetrySettings,
    message_retry: Duration,
    expiration: Duration,
    delay: Duration,
    resubmit: Duration,
    idle: Duration,
    connections: u32,
    connections_per_lane: u32,
}

impl From<&TransportServiceSettings> for Limits {
    fn from(settings: &TransportServiceSettings) -> Self {
        let bound = |limit: Limit<u32>| match limit {
            Limit::At(bound) => bound,
            Limit::Unlimited => u32::MAX,
        };
        Self {
            retry: RetrySettings::from(settings),
            message_retry: settings.message_retry_interval.0,
            expiration: settings.message_expiration_timeout.0,
            delay: settings.delay_notification_timeout.0,
            resubmit: settings.max_idle_time_before_resubmit.0,
            idle: settings.queue_max_idle_time.0,
            connections: bound(settings.max_outbound_connections),
            connections_per_lane: bound(settings.max_per_domain_outbound_connections),
        }
    }
}

/// Every delivery queue, the Unreachable queue among them.
pub struct Queues {
    limits: Limits,
    pub(crate) lanes: BTreeMap<LaneId, Lane>,
    by_key: HashMap<Arc<NextHopSolutionKey>, LaneId>,
    /// Items without a route, with the reason of each (QU-10).
    pub(crate) unreachable: BTreeMap<Place, (Item, Arc<str>)>,
    unreachable_unchecked_from: Timestamp,
    timer: BTreeSet<(Timestamp, LaneId)>,
    /// Lanes that want a connection which the server's total did not allow.
    starved: BTreeSet<LaneId>,
    connections: u32,
    last_lane: u64,
    last_place: u64,
}

impl Queues {
    /// No queues yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: BTreeMap::new(),
            by_key: HashMap::new(),
            unreachable: BTreeMap::new(),
            unreachable_unchecked_from: Timestamp::from_millis(0),
            timer: BTreeSet::new(),
            starved: BTreeSet::new(),
            connections: 0,
            last_lane: LaneId::UNREACHABLE,
            last_place: 0,
        }
    }

    /// Takes new times and bounds. They hold from the next decision on; retries already set keep their time.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Puts an item into the queue of `route`, which is made if need be.
    pub fn enqueue(&mut self, route: &Route, item: Item, now: Timestamp) -> (LaneId, Demand) {
        let id = match self.by_key.get(&route.key) {
            Some(id) => *id,
            None => self.add_lane(route, now),
        };
        let place = self.place(item.arrived);
        let lane = self.lanes.get_mut(&id).expect("by_key holds living lanes");
        lane.empty_since = None;
        lane.unchecked_from = lane.unchecked_from.min(item.arrived);
        // The newest decision about attempts wins; the key is the same.
        if !Arc::ptr_eq(&lane.route.way, &route.way) {
            lane.route = route.clone();
        }
        lane.incoming.count(now);
        lane.waiting.insert(place, item);
        (id, self.demand(id))
    }

    fn add_lane(&mut self, route: &Route, now: Timestamp) -> LaneId {
        self.last_lane += 1;
        let id = LaneId(self.last_lane);
        self.lanes.insert(id, Lane::new(route.clone(), now));
        self.by_key.insert(Arc::clone(&route.key), id);
        id
    }

    fn place(&mut self, at: Timestamp) -> Place {
        self.last_place += 1;
        (at, self.last_place)
    }

    /// Puts an item into the Unreachable queue (QU-10).
    pub fn park(&mut self, item: Item, reason: Arc<str>) {
        let place = self.place(item.arrived);
        self.unreachable_unchecked_from = self.unreachable_unchecked_from.min(item.arrived);
        self.unreachable.insert(place, (item, reason));
    }

    /// Takes everything out of the Unreachable queue, oldest first: after a change of configuration (QU-11).
    pub fn resubmit_unreachable(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.unreachable).into_values().map(|(item, _)| item).collect()
    }

    /// Takes every item that is not in a connection out of every lane, for a new decision. Lanes keep their connections
    /// and their place on the ladder.
    pub fn resubmit_waiting(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        for lane in self.lanes.values_mut() {
            items.extend(std::mem::take(&mut lane.waiting).into_values());
            items.extend(std::mem::take(&mut lane.deferred).into_values());
        }
        items
    }

    /// What has to be done for `id`; a demand for a connection is counted as met.
    fn demand(&mut self, id: LaneId) -> Demand {
        let Some(lane) = self.lanes.get_mut(&id) else { return Demand::Nothing };
        if lane.retry_at.is_none() && lane.idle > 0 && !lane.waiting.is_empty() {
            lane.idle -= 1;
            return Demand::Wake;
        }
        if !lane.wants_connection(self.limits.connections_per_lane) {
            self.arm(id);
            return Demand::Nothing;
        }
        if self.connections >= self.limits.connections {
            self.starved.insert(id);
            self.arm(id);
            return Demand::Nothing;
        }
        lane.opening += 1;
        self.connections += 1;
        Demand::Connect
    }

    /// The route that a connection of `id` is to take, as decided last.
    #[must_use]
    pub fn route(&self, id: LaneId) -> Option<Route> {
        self.lanes.get(&id).map(|lane| lane.route.clone())
    }

    /// The connection that was being opened is open.
    pub fn connected(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.opening = lane.opening.saturating_sub(1);
            lane.open += 1;
            lane.retry_at = None;
        }
    }

    /// The connection that was being opened failed at every target: the lane goes to Retry, unless another connection of
    /// it is at work, which shows that the next hop lives. Other lanes may use the connection.
    pub fn connect_failed(&mut self, id: LaneId, error: Arc<str>, now: Timestamp) -> Vec<(LaneId, Demand)> {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.opening = lane.opening.saturating_sub(1);
        }
        self.failed(id, error, now)
    }

    /// An open connection broke before the next hop answered a single message: counts as one that could not be opened.
    pub fn connection_lost(&mut self, id: LaneId, error: Arc<str>, now: Timestamp) -> Vec<(LaneId, Demand)> {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.open = lane.open.saturating_sub(1);
        }
        self.failed(id, error, now)
    }

    fn failed(&mut self, id: LaneId, error: Arc<str>, now: Timestamp) -> Vec<(LaneId, Demand)> {
        self.connections = self.connections.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.last_error = Some(error);
            lane.window = (lane.window / 2).max(1);
            if lane.open == 0 && lane.retry_at.is_none() {
                lane.retry_at = Some(lane.ladder.failed(lane.route.key.delivery_type, &self.limits.retry, now));
            }
            self.arm(id);
        }
        self.feed_starved()
    }

    /// Gives a connection its next item: the oldest that waits.
    pub fn take(&mut self, id: LaneId) -> Option<Item> {
        let lane = self.lanes.get_mut(&id)?;
        let (_, item) = lane.waiting.pop_first()?;
        lane.in_hand += 1;
        Some(item)
    }

    /// An item that was taken is settled here. Success widens the lane's window and starts the ladder from the bottom
    /// (QU-36): the next hop answered, which a connection alone does not show.
    pub fn done(&mut self, id: LaneId, now: Timestamp) {
        let per_lane = self.limits.connections_per_lane;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_hand = lane.in_hand.saturating_sub(1);
            lane.last_progress = now;
            lane.outgoing.count(now);
            lane.last_error = None;
            lane.ladder.reset();
            lane.window = lane.window.saturating_add(1).min(per_lane.max(WINDOW_INITIAL));
        }
    }

    /// An item that was taken leaves the lane for a new decision (rerouted).
    pub fn left(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_hand = lane.in_hand.saturating_sub(1);
        }
    }

    /// An item that was taken comes back untried or not finished: the connection ended.
    pub fn put_back(&mut self, id: LaneId, item: Item) -> Demand {
        let place = self.place(item.arrived);
        let Some(lane) = self.lanes.get_mut(&id) else { return Demand::Nothing };
        lane.in_hand = lane.in_hand.saturating_sub(1);
        lane.waiting.insert(place, item);
        self.demand(id)
    }

    /// A connected peer deferred the item: it alone waits, for `MessageRetryInterval` (QU-38). Gives until when.
    pub fn defer(&mut self, id: LaneId, item: Item, error: Arc<str>, now: Timestamp) -> Option<Timestamp> {
        let until = now.plus(self.limits.message_retry);
        let place = self.place(until);
        let lane = self.lanes.get_mut(&id)?;
        lane.in_hand = lane.in_hand.saturating_sub(1);
        lane.last_error = Some(error);
        lane.ladder.reset();
        lane.deferred.insert(place, Item { deferrals: item.deferrals.saturating_add(1), ..item });
        self.arm(id);
        Some(until)
    }

    /// The item that a lane's next connection would take first.
    #[must_use]
    pub fn oldest(&self, id: LaneId) -> Option<&Item> {
        self.lanes.get(&id)?.waiting.values().next()
    }

    /// When a lane whose next hop could not be reached is tried again.
    #[must_use]
    pub fn retry_at(&self, id: LaneId) -> Option<Timestamp> {
        self.lanes.get(&id)?.retry_at
    }

    /// A connection without work stays open for a while; [`Demand::Wake`] calls it back.
    pub fn idle(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.idle += 1;
        }
    }

    /// An idle connection gives up waiting and closes. `false`: it has just been woken and must ask for work first.
    pub fn stop_idling(&mut self, id: LaneId) -> bool {
        match self.lanes.get_mut(&id) {
            Some(lane) if lane.idle > 0 => {
                lane.idle -= 1;
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// A connection is gone. Others may be opened in its place, for this lane or for one that had to wait.
    pub fn disconnected(&mut self, id: LaneId, now: Timestamp) -> Vec<(LaneId, Demand)> {
        self.connections = self.connections.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.open = lane.open.saturating_sub(1);
            if lane.is_empty() {
                lane.empty_since = Some(now);
            }
        }
        let mut demands = vec![(id, self.demand(id))];
        demands.extend(self.feed_starved());
        demands.retain(|(_, demand)| *demand != Demand::Nothing);
        demands
    }

    /// Gives free connections to lanes that had to wait for one.
    fn feed_starved(&mut self) -> Vec<(LaneId, Demand)> {
        let mut demands = Vec::new();
        while self.connections < self.limits.connections {
            let Some(next) = self.starved.pop_first() else { break };
            match self.demand(next) {
                Demand::Nothing => {}
                demand => demands.push((next, demand)),
            }
        }
        demands
    }

    /// Ends the waits of the lanes whose next hop it is: of those in Retry, as an administrator does it (QU-39), and of the
    /// items that were deferred, for the cause may be gone with what was there before.
    pub fn retry_now(&mut self, is_it: impl Fn(&Route) -> bool) -> Vec<(LaneId, Demand)> {
        let waits = |lane: &Lane| lane.retry_at.is_some() || !lane.deferred.is_empty();
        let ids: Vec<LaneId> =
            self.lanes.iter().filter(|(_, lane)| waits(lane) && is_it(&lane.route)).map(|(id, _)| *id).collect();
        let mut demands = Vec::new();
        for id in ids {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.retry_at = None;
                lane.end_deferrals(None);
            }
            demands.extend(self.demands(id).map(|demand| (id, demand)));
            self.arm(id);
        }
        demands
    }

    /// Everything that has to be done for `id`.
    fn demands(&mut self, id: LaneId) -> impl Iterator<Item = Demand> {
        std::iter::from_fn(move || Some(self.demand(id)).filter(|demand| *demand != Demand::Nothing))
    }

    /// When [`Queues::handle_timeout`] is next to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lanes = self.timer.first().map(|(at, _)| *at);
        let parked = self
            .unreachable
            .first_key_value()
            .map(|((arrived, _), _)| self.next_age_event(*arrived, self.unreachable_unchecked_from));
        [lanes, parked].into_iter().flatten().min()
    }

    /// The moment at which an item of that age is late or expired, whichever has not been.
    fn next_age_event(&self, arrived: Timestamp, unchecked_from: Timestamp) -> Timestamp {
        let late = arrived.plus(self.limits.delay);
        if arrived >= unchecked_from {
            late.min(arrived.plus(self.limits.expiration))
        } else {
            arrived.plus(self.limits.expiration)
        }
    }

    fn arm(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let due = lane.deferred.first_key_value().map(|((due, _), _)| *due);
        let age = lane.oldest().map(|oldest| self.next_age_event(oldest, lane.unchecked_from));
        let late = lane
            .waiting
            .range((lane.unchecked_from, u64::MAX)..)
            .next()
            .map(|(_, item)| item.arrived.plus(self.limits.delay));
        let resubmit = lane.retry_at.map(|_| lane.last_progress.plus(self.limits.resubmit));
        let idle = lane.empty_since.map(|since| since.plus(self.limits.idle));
        let next = [lane.retry_at, due, age, late, resubmit, idle].into_iter().flatten().min();
        // An alarm that rings too early finds nothing due and is set again; moving it with every item would cost more.
        let Some(next) = next.filter(|next| lane.armed.is_none_or(|armed| *next < armed)) else { return };
        let lane = self.lanes.get_mut(&id).expect("found above");
        if let Some(old) = lane.armed.take() {
            self.timer.remove(&(old, id));
        }
        lane.armed = Some(next);
        self.timer.insert((next, id));
    }

    /// Does everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        self.age_unreachable(now, &mut events);
        let later = self.timer.split_off(&(now.plus(INSTANT), LaneId(0)));
        let due = std::mem::replace(&mut self.timer, later);
        for (_, id) in due {
            self.lane_due(id, now, &mut events);
        }
        events
    }

    fn lane_due(&mut self, id: LaneId, now: Timestamp, events: &mut Vec<Event>) {
        let limits = self.limits.clone();
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.armed = None;
        if lane.empty_since.is_some_and(|since| since.plus(limits.idle) <= now) && lane.is_empty() {
            self.by_key.remove(&lane.route.key); // QU-02
            self.lanes.remove(&id);
            self.starved.remove(&id);
            return;
        }
        if lane.retry_at.is_some() && lane.last_progress.plus(limits.resubmit) <= now {
            let waiting = std::mem::take(&mut lane.waiting).into_values();
            let items: Vec<Item> = waiting.chain(std::mem::take(&mut lane.deferred).into_values()).collect();
            lane.last_progress = now;
            lane.empty_since = lane.is_empty().then_some(now);
            events.push(Event::Resubmit(items)); // QU-40
        }
        lane.end_deferrals(Some(now));
        age_lane(lane, &limits, now, events);
        if lane.retry_at.is_some_and(|at| at <= now) {
            lane.retry_at = None;
        }
        if lane.is_empty() && lane.empty_since.is_none() {
            lane.empty_since = Some(now);
        }
        events.extend(self.demands(id).map(|demand| Event::Demand(id, demand)));
        self.arm(id);
    }

    fn age_unreachable(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        while let Some(entry) = self.unreachable.first_entry() {
            if entry.key().0.plus(self.limits.expiration) > now {
                break;
            }
            let (item, reason) = entry.remove();
            events.push(Event::Expired { item, last_error: Some(reason) }); // QU-12
        }
        let Some(late) = late_until(now, self.limits.delay) else { return };
        if late >= self.unreachable_unchecked_from {
            let range = (self.unreachable_unchecked_from, 0)..=(late, u64::MAX);
            for (_, (item, reason)) in self.unreachable.range_mut(range).filter(|(_, (item, _))| !item.delay_reported) {
                item.delay_reported = true;
                events.push(Event::Delayed { item: item.clone(), last_error: Some(Arc::clone(reason)) });
            }
            self.unreachable_unchecked_from = late.plus(INSTANT);
        }
    }

    /// The lane of a key.
    #[must_use]
    pub fn lane(&self, key: &NextHopSolutionKey) -> Option<LaneId> {
        self.by_key.get(key).copied()
    }

    /// Messages in the Unreachable queue.
    #[must_use]
    pub fn unreachable_count(&self) -> usize {
        self.unreachable.len()
    }
}

/// The latest arrival that is late at `now`.
fn late_until(now: Timestamp, delay: Duration) -> Option<Timestamp> {
    let delay = u64::try_from(delay.as_millis()).ok()?;
    now.as_millis().checked_sub(delay).map(Timestamp::from_millis)
}

fn age_lane(lane: &mut Lane, limits: &Limits, now: Timestamp, events: &mut Vec<Event>) {
    while let Some(entry) = lane.waiting.first_entry() {
        if entry.get().arrived.plus(limits.expiration) > now {
            break;
        }
        events.push(Event::Expired { item: entry.remove(), last_error: lane.last_error.clone() }); // QU-42
    }
    let Some(late) = late_until(now, limits.delay) else { return };
    if late < lane.unchecked_from {
        return;
    }
    for (_, item) in
        lane.waiting.range_mut((lane.unchecked_from, 0)..=(late, u64::MAX)).filter(|(_, item)| !item.delay_reported)
    {
        item.delay_reported = true;
        events.push(Event::Delayed { item: item.clone(), last_error: lane.last_error.clone() }); // QU-45
    }
    lane.unchecked_from = late.plus(INSTANT);
}
