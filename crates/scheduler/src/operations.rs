//! What an administrator does to queues and messages (docs/rules.md, Queues). Each says why it is refused.
//!
//! What is stopped stays where it is, and its expiry goes on (QU-46): only poison never expires (QU-14).

use std::fmt;
use std::sync::Arc;

use envelope::Timestamp;
use routing::{NextHopSolutionKey, Route};

use crate::item::{InHands, ItemId, MessageNumber, QueueId};
use crate::ledger::{Demand, Demands, Ledger, Pending, Wait, WithNdr};
use crate::queue::Stage;

/// Why an operation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such queue (any more).
    NoSuchQueue,
    /// There is no such message (any more).
    NoSuchMessage,
    /// The queue is not in Retry: there is nothing to be tried again (QU-39, QU-41).
    NotInRetry,
    /// It is not suspended.
    NotSuspended,
    /// A message in the Submission queue is neither suspended nor removed.
    InSubmission,
    /// Poison is suspended already, and leaves only one by one (QU-14).
    IsPoison,
    /// What became of it is decided; only writing it down is left.
    IsDone,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchQueue => "there is no such queue",
            Self::NoSuchMessage => "there is no such message",
            Self::NotInRetry => "the queue is not in Retry",
            Self::NotSuspended => "it is not suspended",
            Self::InSubmission => {
                "the message is in the Submission queue; it can be suspended or removed when it has left it"
            }
            Self::IsPoison => "messages of the poison queue are suspended, and are resumed or removed one by one",
            Self::IsDone => "the message has been delivered or given up; only the record of it is missing",
        })
    }
}

impl std::error::Error for Refusal {}

/// What came of an operation that need not be done yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Done<T> {
    /// It is done.
    Now(T),
    /// It is done if the item comes back to its queue: it is in a connection (PendingSuspend, PendingRemove).
    Pending,
}

impl Ledger {
    /// Nothing leaves the queue any more but what is in hands (QU-27).
    ///
    /// # Errors
    /// [`Refusal::NoSuchQueue`]; [`Refusal::IsPoison`]
    pub fn suspend_queue(&mut self, id: QueueId) -> Result<(), Refusal> {
        if id == QueueId::POISON {
            return Err(Refusal::IsPoison);
        }
        self.queue_mut(id).ok_or(Refusal::NoSuchQueue)?.is_suspended = true;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.empty_since = None;
            self.suspended_keys.insert(Arc::clone(&lane.route.key));
        }
        Ok(())
    }

    /// The queue of that next hop is suspended, there or not: what was so before a restart.
    pub fn suspend_next_hop(&mut self, key: NextHopSolutionKey) {
        if let Some(id) = self.by_key.get(&key).copied()
            && self.suspend_queue(id).is_ok()
        {
            return;
        }
        self.suspended_keys.insert(Arc::new(key));
    }

    /// Next hops whose queues are suspended.
    pub fn suspended_next_hops(&self) -> impl Iterator<Item = &NextHopSolutionKey> {
        self.suspended_keys.iter().map(|key| &**key)
    }

    /// Deliveries go on; what was decided by an older configuration is decided anew first.
    ///
    /// # Errors
    /// [`Refusal::NoSuchQueue`]; [`Refusal::NotSuspended`]
    pub fn resume_queue(&mut self, id: QueueId, now: Timestamp) -> Result<Demands, Refusal> {
        let queue = self.queue_mut(id).ok_or(Refusal::NoSuchQueue)?;
        if !std::mem::take(&mut queue.is_suspended) {
            return Err(Refusal::NotSuspended);
        }
        if let Some(lane) = self.lanes.get(&id) {
            self.suspended_keys.remove(&lane.route.key);
        }
        let stale = |item: &ItemId| self.records.get(item).is_some_and(|it| it.item.decided < self.decided_from);
        let waits = self.queue(id).into_iter().flat_map(|queue| queue.ready.iter().chain(&queue.deferred));
        let old: Vec<ItemId> = match id {
            QueueId::SUBMISSION => Vec::new(),
            _ => waits.map(|(_, item)| *item).filter(stale).collect(),
        };
        for item in &old {
            self.shift(*item, Stage::Again);
        }
        let mut demands = self.demands(id);
        if id == QueueId::SUBMISSION || !old.is_empty() {
            demands.push((QueueId::SUBMISSION, Demand::Wake));
        }
        self.note_empty(id, now);
        self.arm(id);
        Ok(demands)
    }

    /// Connects now (QU-39). Items that were deferred are tried as well.
    ///
    /// # Errors
    /// [`Refusal::NoSuchQueue`]; [`Refusal::NotInRetry`]
    pub fn retry_queue(&mut self, id: QueueId) -> Result<Demands, Refusal> {
        if id == QueueId::SUBMISSION {
            return match self.end_deferrals(id, None) {
                0 => Err(Refusal::NotInRetry),
                _ => Ok(vec![(id, Demand::Wake)]),
            };
        }
        let lane = self.lanes.get(&id).ok_or(Refusal::NoSuchQueue)?;
        if lane.retry_at.is_none() && lane.queue.deferred.is_empty() {
            return Err(Refusal::NotInRetry);
        }
        self.end_deferrals(id, None);
        Ok(self.reconnect(id))
    }

    /// Sends what waits in the queue to the categorizer, suspended messages excepted (QU-41). Gives how many.
    ///
    /// # Errors
    /// [`Refusal::NotInRetry`] for a delivery queue that is not; [`Refusal::IsPoison`]; [`Refusal::InSubmission`];
    /// [`Refusal::NoSuchQueue`]
    pub fn resubmit_queue(&mut self, id: QueueId, now: Timestamp) -> Result<(usize, Demands), Refusal> {
        match id {
            QueueId::SUBMISSION => return Err(Refusal::InSubmission),
            QueueId::POISON => return Err(Refusal::IsPoison),
            QueueId::UNREACHABLE => {}
            _ => {
                let lane = self.lanes.get(&id).ok_or(Refusal::NoSuchQueue)?;
                lane.retry_at.ok_or(Refusal::NotInRetry)?;
            }
        }
        let resubmitted = self.resubmit(id);
        self.note_empty(id, now);
        Ok((resubmitted, vec![(QueueId::SUBMISSION, Demand::Wake)]))
    }

    /// The item waits until it is resumed; one that is in a connection when it comes back (QU-29).
    ///
    /// # Errors
    /// [`Refusal::NoSuchMessage`]; [`Refusal::InSubmission`]; [`Refusal::IsPoison`]
    pub fn suspend_item(&mut self, id: ItemId) -> Result<Done<()>, Refusal> {
        match self.stage_of(id)? {
            Stage::InHands(_) => {
                self.record_mut(id).pending.get_or_insert(Pending::Suspend);
                Ok(Done::Pending)
            }
            stage => {
                self.record_mut(id).item.suspended = true;
                self.shift(id, Stage::Suspended(stage.queue()));
                Ok(Done::Now(()))
            }
        }
    }

    /// The item is ready again; poison goes to the categorizer (QU-14). A suspended queue still holds it.
    ///
    /// # Errors
    /// [`Refusal::NoSuchMessage`]; [`Refusal::NotSuspended`]
    pub fn resume_item(&mut self, id: ItemId, now: Timestamp) -> Result<Demands, Refusal> {
        let record = self.records.get_mut(&id).ok_or(Refusal::NoSuchMessage)?;
        let is_old = record.item.decided < self.decided_from;
        let queue = match record.stage {
            Stage::Suspended(queue) => queue,
            Stage::InHands(_) if record.pending == Some(Pending::Suspend) => {
                record.pending = None;
                return Ok(Vec::new());
            }
            _ => return Err(Refusal::NotSuspended),
        };
        record.item.suspended = false;
        if queue == QueueId::POISON {
            record.item.crashes = 0;
        }
        let until = match record.wait {
            Wait::NextHop(_, until) if until > now => Some(until),
            _ => None,
        };
        if queue == QueueId::POISON || is_old {
            self.shift(id, Stage::Again);
            self.note_empty(queue, now);
            return Ok(vec![(QueueId::SUBMISSION, Demand::Wake)]);
        }
        self.shift(id, until.map_or(Stage::Ready(queue), |until| Stage::Deferred(queue, until)));
        let demands = self.demand(queue).into_iter().collect();
        self.arm(queue);
        Ok(demands)
    }

    /// Takes the item out, to be ended with or without a report to its sender; one that is in a connection when it comes
    /// back (QU-30).
    ///
    /// # Errors
    /// [`Refusal::NoSuchMessage`]; [`Refusal::InSubmission`]; [`Refusal::IsDone`]
    pub fn remove_item(&mut self, id: ItemId, with_ndr: WithNdr) -> Result<Done<InHands>, Refusal> {
        match self.stage_of(id) {
            Err(Refusal::IsPoison) => Ok(Done::Now(self.hand_out(id, QueueId::POISON))),
            Err(refusal) => Err(refusal),
            Ok(Stage::InHands(_)) => {
                self.record_mut(id).pending = Some(Pending::Remove(with_ndr));
                Ok(Done::Pending)
            }
            Ok(stage) => Ok(Done::Now(self.hand_out(id, stage.queue()))),
        }
    }

    /// Where an item is that may be stopped or removed.
    fn stage_of(&self, id: ItemId) -> Result<Stage, Refusal> {
        let stage = self.records.get(&id).ok_or(Refusal::NoSuchMessage)?.stage;
        match (stage, stage.queue()) {
            (Stage::Unrecorded(_), _) => Err(Refusal::IsDone),
            (_, QueueId::SUBMISSION) => Err(Refusal::InSubmission),
            (_, QueueId::POISON) => Err(Refusal::IsPoison),
            _ => Ok(stage),
        }
    }

    /// A message in one queue (QU-24): it is several items there when its recipients wait for different reasons.
    #[must_use]
    pub fn items_in(&self, queue: QueueId, number: MessageNumber) -> Vec<ItemId> {
        let in_it = |id: &ItemId| self.records.get(id).is_some_and(|record| record.stage.queue() == queue);
        self.items_of_message(number).into_iter().filter(in_it).collect()
    }

    /// From now on all mail of the delivery queues goes to the server of this route, or, with `None`, where it is routed
    /// again (QU-60). Suspended mail stays. [`Ledger::sweep`] moves what waits.
    pub fn redirect(&mut self, to: Option<Route>) -> Demands {
        let before = std::mem::replace(&mut self.redirect, to);
        self.sweep_from = Some(ItemId(0));
        match before.and_then(|before| self.by_key.get(&before.key).copied()) {
            Some(id) if self.redirect.is_none() && self.resubmit(id) > 0 => vec![(QueueId::SUBMISSION, Demand::Wake)],
            _ => Vec::new(),
        }
    }

    pub(crate) fn redirect_item(
        &mut self,
        id: ItemId,
        from: QueueId,
        to: &Route,
        now: Timestamp,
        demands: &mut Demands,
    ) {
        let key = self.lanes.get(&from).map(|lane| Arc::clone(&lane.route.key));
        if key.is_some_and(|key| *key != *to.key) {
            self.enqueue(id, to, &Wait::Nothing, now, demands);
            self.note_empty(from, now);
        }
    }
}
