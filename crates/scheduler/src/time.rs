//! What time and configurations bring: retries fall due, mail grows late and old, what waits is decided anew.

use std::sync::Arc;
use std::time::Duration;

use envelope::{Revision, Timestamp};

use crate::item::{InHands, Item, ItemId, QueueId};
use crate::lane::Budget;
use crate::ledger::{Demand, Demands, Ledger, Wait};
use crate::limits::Limits;
use crate::queue::Stage;

/// The smallest step of time.
const INSTANT: Duration = Duration::from_millis(1);

/// What time brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// See [`Demand`].
    Demand(QueueId, Demand),
    /// The item is older than `MessageExpirationTimeout`: it has left its queue and is to be given up (QU-42).
    Expired {
        /// What expired.
        item: InHands,
        /// Why it had not been delivered.
        last_error: Option<Arc<str>>,
    },
    /// The item is late: its sender may be told, once (QU-45). It stays in its queue.
    Delayed {
        /// What is late.
        item: Item,
        /// Why.
        last_error: Option<Arc<str>>,
    },
    /// What became of the item is to be written down, which failed before.
    Record(InHands),
}

impl Ledger {
    /// The moment at which an item is late or too old, whichever has not been.
    fn age_event(&self, item: &Item) -> Timestamp {
        let expires = item.arrived.plus(self.limits.expiration);
        if item.delay_reported { expires } else { item.arrived.plus(self.limits.delay).min(expires) }
    }

    pub(crate) fn watch_age(&mut self, id: ItemId) {
        let Some(record) = self.records.get(&id) else { return };
        let at = self.age_event(&record.item).max(record.give_up_from);
        self.record_mut(id).age = Some(at);
        self.ages.insert((at, id));
    }

    /// When [`Ledger::handle_timeout`] is next to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lanes = self.timer.first().map(|(at, _)| *at);
        let ages = self.ages.first().map(|(at, _)| *at);
        let unrecorded = self.unrecorded.first().map(|(at, _)| *at);
        [lanes, ages, unrecorded, self.submission.next_due()].into_iter().flatten().min()
    }

    pub(crate) fn arm(&mut self, id: QueueId) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let resubmit = lane.retry_at.map(|_| lane.last_progress.plus(self.limits.resubmit));
        let idle = lane.empty_since.map(|since| since.plus(self.limits.idle));
        let next = [lane.retry_at, lane.queue.next_due(), resubmit, idle].into_iter().flatten().min();
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
        self.grow_old(now, &mut events);
        if self.end_deferrals(QueueId::SUBMISSION, Some(now)) > 0 {
            events.push(Event::Demand(QueueId::SUBMISSION, Demand::Wake));
        }
        events.extend(self.hand_out_unrecorded(Some(now)).into_iter().map(Event::Record));
        let later = self.timer.split_off(&(now.plus(INSTANT), QueueId::SUBMISSION));
        for (_, id) in std::mem::replace(&mut self.timer, later) {
            self.lane_due(id, now, &mut events);
        }
        events
    }

    /// Hands out what became of is known and not written down: what is due at a time, or all of it.
    pub fn hand_out_unrecorded(&mut self, due: Option<Timestamp>) -> Vec<InHands> {
        let mut handed_out = Vec::new();
        while let Some((_, id)) = self.unrecorded.first().copied().filter(|(at, _)| due.is_none_or(|due| *at <= due)) {
            handed_out.push(self.hand_out(id, QueueId::SUBMISSION));
        }
        handed_out
    }

    fn grow_old(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        while let Some((at, id)) = self.ages.first().copied().filter(|(at, _)| *at <= now) {
            self.ages.remove(&(at, id));
            let expiration = self.limits.expiration;
            let record = self.record_mut(id);
            record.age = None;
            if !record.stage.ages() {
                continue; // looked at again when it comes back
            }
            let (queue, why) = (record.stage.queue(), record.why.clone());
            let is_old = record.item.arrived.plus(expiration) <= now;
            record.item.delay_reported |= !is_old;
            let item = record.item.clone();
            let last_error = why.or_else(|| self.queue(queue).and_then(|queue| queue.last_error.clone()));
            if is_old {
                let item = self.hand_out(id, queue);
                events.push(Event::Expired { item, last_error }); // QU-42
            } else {
                self.watch_age(id);
                events.push(Event::Delayed { item, last_error }); // QU-45
            }
        }
    }

    fn lane_due(&mut self, id: QueueId, now: Timestamp, events: &mut Vec<Event>) {
        let (idle, resubmit) = (self.limits.idle, self.limits.resubmit);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.armed = None;
        if lane.empty_since.is_some_and(|since| since.plus(idle) <= now) && lane.is_forgettable() {
            self.by_key.remove(&lane.route.key); // QU-02
            self.lanes.remove(&id);
            return;
        }
        if lane.retry_at.is_some() && lane.last_progress.plus(resubmit) <= now && !lane.queue.is_suspended {
            lane.last_progress = now;
            if self.resubmit(id) > 0 {
                events.push(Event::Demand(QueueId::SUBMISSION, Demand::Wake)); // QU-40
            }
        }
        self.end_deferrals(id, Some(now));
        if let Some(lane) = self.lanes.get_mut(&id)
            && lane.retry_at.is_some_and(|at| at <= now)
        {
            lane.retry_at = None;
        }
        self.note_empty(id, now);
        events.extend(self.demands(id).into_iter().map(|(id, demand)| Event::Demand(id, demand)));
        self.arm(id);
    }

    /// Sends what waits in a queue to the categorizer again; suspended items stay (QU-41). Gives how many.
    pub(crate) fn resubmit(&mut self, id: QueueId) -> usize {
        let Some(queue) = self.queue(id) else { return 0 };
        let items: Vec<ItemId> = queue.ready.iter().chain(&queue.deferred).map(|(_, item)| *item).collect();
        for item in &items {
            self.shift(*item, Stage::Again);
        }
        items.len()
    }

    /// A new configuration: what waits is to be decided anew by it, the Unreachable queue's mail too (QU-11, invariant 3).
    /// [`Ledger::sweep`] does it, in pieces.
    pub fn reconfigure(&mut self, limits: Limits, by: Revision) -> Demands {
        if (limits.delay, limits.expiration) != (self.limits.delay, self.limits.expiration) {
            self.limits = limits;
            let watched: Vec<ItemId> = std::mem::take(&mut self.ages).into_iter().map(|(_, id)| id).collect();
            watched.into_iter().for_each(|id| self.watch_age(id));
        } else {
            self.limits = limits;
        }
        self.decided_from = self.decided_from.max(by);
        self.sweep_from = Some(ItemId(0));
        Budget::ALL.into_iter().flat_map(|budget| self.feed(budget)).collect()
    }

    /// Whether a change that concerns all items is not done yet: [`Ledger::sweep`] goes on with it.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.sweep_from.is_some()
    }

    /// Looks at up to `limit` items of all, after [`Ledger::reconfigure`] or [`Ledger::redirect`].
    pub fn sweep(&mut self, limit: usize, now: Timestamp) -> Demands {
        let Some(from) = self.sweep_from else { return Vec::new() };
        let piece: Vec<ItemId> = self.records.range(from..).take(limit).map(|(id, _)| *id).collect();
        self.sweep_from = piece.last().map(|last| ItemId(last.0 + 1));
        let (mut demands, mut submitted) = (Vec::new(), false);
        for id in piece {
            submitted |= self.look_again(id, now, &mut demands);
        }
        if submitted {
            demands.push((QueueId::SUBMISSION, Demand::Wake));
        }
        demands
    }

    /// One item after a change that concerns all. `true` when it waits for the categorizer because of it.
    fn look_again(&mut self, id: ItemId, now: Timestamp, demands: &mut Demands) -> bool {
        let Some(record) = self.records.get(&id) else { return false };
        let (stage, is_old) = (record.stage, record.item.decided < self.decided_from);
        let queue = stage.queue();
        match stage {
            Stage::Deferred(QueueId::SUBMISSION, _) => {
                let ends = matches!(record.wait, Wait::Configuration(by) if by < self.decided_from);
                if ends {
                    self.record_mut(id).wait = Wait::Nothing;
                    self.shift(id, Stage::Ready(QueueId::SUBMISSION));
                }
                ends
            }
            Stage::Ready(QueueId::SUBMISSION) => false,
            // QU-27, QU-28: nothing leaves a queue that is stopped; it is looked at again when that ends.
            Stage::Ready(_) | Stage::Deferred(..) if self.queue(queue).is_some_and(|queue| !queue.is_suspended) => {
                if let Some(route) = self.redirect.clone().filter(|_| queue.is_delivery()) {
                    self.redirect_item(id, queue, &route, now, demands);
                    return false;
                }
                if is_old {
                    self.shift(id, Stage::Again);
                    self.note_empty(queue, now);
                }
                is_old
            }
            _ => false,
        }
    }
}
