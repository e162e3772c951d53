//! Connections of the lanes: who may open one, who has to wait for one, and what became of it.
//!
//! There are three budgets (outside, inside, mailboxes): a thousand hosts that do not answer take nothing from the mailboxes.
//! Within a budget connections are given out first come, first served, and a lane's first connection before anybody's
//! further one: a lane with several gives one back when another has none, and one that is being opened without an answer
//! makes room. Next hops that failed at the last attempt have half of the budget at most.

use std::sync::Arc;

use envelope::Timestamp;
use routing::Route;
use topology::Guid;

use crate::item::{InHands, ItemId, QueueId};
use crate::lane::{Budget, Lane, Line, Stand, WINDOW_INITIAL};
use crate::ledger::{Demand, Demands, Ledger, Wait};
use crate::queue::Stage;

/// What a connection is told that asks for work.
#[derive(Debug)]
#[must_use]
pub enum Work {
    /// To send this, by this route: if that is not the connection's own any more, it gives the item back and closes.
    Item(InHands, Arc<Route>),
    /// There is none: it is idle from now on.
    Idle,
    /// To close: another lane has no connection at all.
    Close,
}

impl Ledger {
    fn line(&mut self, budget: Budget) -> &mut Line {
        &mut self.lines[budget as usize]
    }

    /// What has to be done for a lane now; a demand for a connection is counted as met.
    pub(crate) fn demand(&mut self, id: QueueId) -> Option<(QueueId, Demand)> {
        let connections = self.limits.connections;
        let lane = self.lanes.get_mut(&id)?;
        let per_lane = self.limits.connections_per_lane;
        if lane.may_send() && lane.idle > 0 && !lane.queue.ready.is_empty() {
            lane.idle -= 1;
            return Some((id, Demand::Wake));
        }
        if !lane.wants_connection(per_lane) || !self.connector_allows_another(id) {
            return None;
        }
        let lane = self.lanes.get_mut(&id)?;
        let stand = match (lane.ladder.failures(), lane.connections()) {
            (1.., _) => Stand::Probe,
            (0, 0) => Stand::First,
            (0, _) => Stand::Further,
        };
        let line = &mut self.lines[lane.budget() as usize];
        if line.taken >= connections || (stand == Stand::Probe && !line.may_probe(connections)) {
            if lane.stands != Some(stand) {
                lane.stands = Some(stand);
                line.of(stand).push_back(id);
            }
            return None;
        }
        lane.opening += 1;
        line.taken += 1;
        if stand == Stand::Probe {
            lane.probing += 1;
            line.probing += 1;
        }
        Some((id, Demand::Connect))
    }

    /// The connector of a lane, where it allows so many connections and no more (EN-57).
    fn bounded_connector(&self, id: QueueId) -> Option<(Guid, u32)> {
        let connector = self.lanes.get(&id)?.route.connector?;
        self.limits.connections_of.get(&connector).map(|most| (connector, *most))
    }

    /// Lanes that leave by a connector: one for each of its address spaces.
    fn lanes_of(&self, connector: Guid) -> impl Iterator<Item = (&QueueId, &Lane)> {
        self.lanes.iter().filter(move |(_, lane)| lane.route.connector == Some(connector))
    }

    fn connector_allows_another(&self, id: QueueId) -> bool {
        let Some((connector, most)) = self.bounded_connector(id) else { return true };
        self.lanes_of(connector).map(|(_, lane)| lane.connections()).sum::<u32>() < most
    }

    /// What the other lanes of its connector may do when a connection of this one has ended: who has fewest comes first.
    fn demands_of_sisters(&mut self, id: QueueId) -> Demands {
        let Some((connector, _)) = self.bounded_connector(id) else { return Vec::new() };
        let others = self.lanes_of(connector).filter(|(other, _)| **other != id);
        let mut sisters: Vec<(u32, QueueId)> = others.map(|(other, lane)| (lane.connections(), *other)).collect();
        sisters.sort_unstable();
        sisters.into_iter().filter_map(|(_, other)| self.demand(other)).collect()
    }

    /// Everything that has to be done for a lane.
    pub(crate) fn demands(&mut self, id: QueueId) -> Demands {
        std::iter::from_fn(|| self.demand(id)).collect()
    }

    /// A connection of this budget is free.
    fn freed(&mut self, budget: Budget) -> Demands {
        let line = self.line(budget);
        line.taken = line.taken.saturating_sub(1);
        self.feed(budget)
    }

    /// Gives free connections to lanes that wait for one.
    pub(crate) fn feed(&mut self, budget: Budget) -> Demands {
        let mut demands = Vec::new();
        let connections = self.limits.connections;
        while self.lines[budget as usize].taken < connections {
            let Some((stand, next)) = self.line(budget).pop(connections) else { break };
            // It may have gone into another line meanwhile, or have what it wanted.
            if let Some(lane) = self.lanes.get_mut(&next).filter(|lane| lane.stands == Some(stand)) {
                lane.stands = None;
                demands.extend(self.demand(next));
            }
        }
        demands
    }

    /// The route that a connection of `id` is to take, as decided last.
    #[must_use]
    pub fn route(&self, id: QueueId) -> Option<Arc<Route>> {
        self.lanes.get(&id).map(|lane| Arc::clone(&lane.route))
    }

    /// The connection that was being opened is open.
    pub fn connected(&mut self, id: QueueId) {
        self.opened(id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.open += 1;
            lane.retry_at = None;
        }
    }

    /// A connection is not being opened any more: it is open, or it failed.
    fn opened(&mut self, id: QueueId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.opening = lane.opening.saturating_sub(1);
        if lane.probing > lane.opening {
            lane.probing -= 1;
            let line = &mut self.lines[lane.budget() as usize];
            line.probing = line.probing.saturating_sub(1);
        }
    }

    /// Whether a connection that is being opened, and gets no answer, is to make room: a lane waits that has none.
    #[must_use]
    pub fn makes_room(&self, id: QueueId) -> bool {
        self.lanes.get(&id).is_some_and(|lane| !self.lines[lane.budget() as usize].first.is_empty())
    }

    /// The connection that was being opened failed at every target: the lane goes to Retry, unless another connection of
    /// it is at work, which shows that the next hop lives. Other lanes may use the connection.
    pub fn connect_failed(&mut self, id: QueueId, error: Arc<str>, now: Timestamp) -> Demands {
        self.opened(id);
        self.failed(id, error, now)
    }

    /// An open connection broke before the next hop answered a single message: counts as one that could not be opened.
    pub fn connection_lost(&mut self, id: QueueId, error: Arc<str>, now: Timestamp) -> Demands {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.open = lane.open.saturating_sub(1);
        }
        self.failed(id, error, now)
    }

    fn failed(&mut self, id: QueueId, error: Arc<str>, now: Timestamp) -> Demands {
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        lane.queue.last_error = Some(error);
        lane.window = (lane.window / 2).max(1);
        if lane.open == 0 && lane.retry_at.is_none() {
            lane.retry_at = Some(lane.ladder.failed(lane.route.key.delivery_type, &self.limits.retry, now));
        }
        let budget = lane.budget();
        self.note_empty(id, now);
        self.arm(id);
        let mut demands = self.freed(budget);
        demands.extend(self.demands_of_sisters(id));
        demands
    }

    /// Gives a connection its next item: the oldest that waits.
    pub fn take(&mut self, id: QueueId) -> Work {
        let Some(lane) = self.lanes.get_mut(&id) else { return Work::Close };
        let others_have_none = !self.lines[lane.budget() as usize].first.is_empty();
        if lane.connections() > 1 && others_have_none {
            return Work::Close;
        }
        let next = if lane.queue.is_suspended { None } else { lane.queue.ready.first() };
        let Some((_, next)) = next.copied() else {
            lane.idle += 1;
            return Work::Idle;
        };
        let route = Arc::clone(&lane.route);
        Work::Item(self.hand_out(next, id), route)
    }

    /// Takes all that waits, for a next hop that can never be reached.
    pub fn take_all(&mut self, id: QueueId) -> Vec<InHands> {
        let ready = |ledger: &Self| ledger.lanes.get(&id)?.queue.ready.first().map(|(_, item)| *item);
        std::iter::from_fn(|| ready(self).map(|item| self.hand_out(item, id))).collect()
    }

    /// The next hop answered for an item. Success widens the lane's window and starts the ladder from the bottom (QU-36),
    /// which a connection alone does not show. Further connections may be worth opening now.
    pub fn answered(&mut self, id: QueueId, now: Timestamp) -> Demands {
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        let per_lane = self.limits.connections_per_lane;
        lane.last_progress = now;
        lane.queue.outgoing.count(now);
        lane.queue.last_error = None;
        lane.ladder.reset();
        lane.window = lane.window.saturating_add(1).min(per_lane.max(WINDOW_INITIAL));
        self.demand(id).into_iter().collect()
    }

    /// An idle connection gives up waiting and closes. `false`: it has just been woken and must ask for work first.
    pub fn stop_idling(&mut self, id: QueueId) -> bool {
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
    pub fn disconnected(&mut self, id: QueueId, now: Timestamp) -> Demands {
        let Some(lane) = self.lanes.get_mut(&id) else { return Vec::new() };
        lane.open = lane.open.saturating_sub(1);
        let budget = lane.budget();
        self.note_empty(id, now);
        let mut demands = self.freed(budget);
        // Before its own: mail without end of one address space keeps no other of the same connector waiting.
        demands.extend(self.demands_of_sisters(id));
        demands.extend(self.demand(id));
        demands
    }

    /// The item that a lane's next connection would take first.
    #[must_use]
    pub fn oldest(&self, id: QueueId) -> Option<ItemId> {
        self.lanes.get(&id)?.queue.ready.first().map(|(_, item)| *item)
    }

    /// Ends the waits of the lanes whose next hop it is: of those in Retry, as an administrator does it (QU-39), and of the
    /// items that were deferred, for the cause may be gone with what was there before.
    pub fn retry_now(&mut self, is_it: impl Fn(&Route) -> bool) -> Demands {
        let waits = |lane: &Lane| lane.retry_at.is_some() || !lane.queue.deferred.is_empty();
        let ids: Vec<QueueId> =
            self.lanes.iter().filter(|(_, lane)| waits(lane) && is_it(&lane.route)).map(|(id, _)| *id).collect();
        let mut demands = Vec::new();
        for id in ids {
            self.end_deferrals(id, None);
            demands.extend(self.reconnect(id));
        }
        demands
    }

    /// The next hop of lanes in Retry is there: they connect now. Items that wait for a time of their own go on waiting, since one
    /// of them may be what drove the next hop away.
    pub fn next_hop_came(&mut self, is_it: impl Fn(&Route) -> bool) -> Demands {
        let waiting = self.lanes.iter().filter(|(_, lane)| lane.retry_at.is_some() && is_it(&lane.route));
        let ids: Vec<QueueId> = waiting.map(|(id, _)| *id).collect();
        ids.into_iter().flat_map(|id| self.reconnect(id)).collect()
    }

    /// Ends the wait of a lane in Retry.
    pub(crate) fn reconnect(&mut self, id: QueueId) -> Demands {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.retry_at = None;
        }
        let demands = self.demands(id);
        self.arm(id);
        demands
    }

    /// Lets deferred items of a queue wait like all others: those that are due by then, or all. Gives how many.
    pub(crate) fn end_deferrals(&mut self, id: QueueId, due_by: Option<Timestamp>) -> usize {
        let mut ended = 0;
        while let Some((due, item)) = self.queue(id).and_then(|queue| queue.deferred.first().copied()) {
            if due_by.is_some_and(|by| due > by) {
                break;
            }
            self.record_mut(item).wait = Wait::Nothing;
            self.shift(item, Stage::Ready(id));
            ended += 1;
        }
        ended
    }
}
