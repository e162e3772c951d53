//! What an administrator sees of the ledger: each queue with its figures, each item with where it is and why it is still
//! there. Reading changes nothing.

use std::ops::Bound;
use std::sync::Arc;

use envelope::Timestamp;
use routing::{NextHopSolutionKey, Route};

use crate::item::{Item, ItemId, MessageNumber, QueueId};
use crate::lane::{Lane, QueueStatus};
use crate::ledger::{Ledger, Pending, Record};
use crate::queue::{Queue, Stage};

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Which queue.
    pub id: QueueId,
    /// The next hop, of a delivery queue.
    pub route: Option<Arc<Route>>,
    /// Active, Connecting, Ready, Retry, Suspended.
    pub status: QueueStatus,
    /// Messages waiting or in hands.
    pub message_count: usize,
    /// Of these, waiting for a time of their own.
    pub deferred_message_count: usize,
    /// Connections open or being opened.
    pub connections: u32,
    /// Failures in a row.
    pub retry_count: u32,
    /// When the first of these failures was.
    pub first_failure: Option<Timestamp>,
    /// When the last failure was.
    pub last_failure: Option<Timestamp>,
    /// Next attempt, in Retry.
    pub next_retry: Option<Timestamp>,
    /// The full cause of the last failure.
    pub last_error: Option<Arc<str>>,
    /// Messages per second that entered, over the last minute (QU-32).
    pub incoming_rate: f64,
    /// Messages per second that were settled, over the last minute (QU-32).
    pub outgoing_rate: f64,
}

/// Status of a message in one queue (docs/rules.md, Queues).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemStatus {
    /// It waits, and can be processed.
    Ready,
    /// In delivery or in categorization.
    Active,
    /// The last attempt failed; it waits for the next.
    Retry,
    /// Stopped by an administrator, or poison.
    Suspended,
    /// In delivery; suspended if it comes back.
    PendingSuspend,
    /// In delivery; removed if it comes back.
    PendingRemove,
}

impl ItemStatus {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Active => "Active",
            Self::Retry => "Retry",
            Self::Suspended => "Suspended",
            Self::PendingSuspend => "PendingSuspend",
            Self::PendingRemove => "PendingRemove",
        }
    }
}

/// Why an item is still here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its turn with the categorizer has not come.
    AwaitsCategorizer,
    /// It is being categorized.
    BeingCategorized,
    /// It is being sent.
    BeingSent,
    /// An administrator suspended its queue.
    QueueSuspended,
    /// An administrator suspended it.
    Suspended,
    /// It failed this program so often; it is not touched again by itself.
    Poison {
        /// Failures.
        crashes: u8,
    },
    /// It was deferred.
    Deferred {
        /// It is tried again then.
        until: Timestamp,
    },
    /// The next hop could not be reached.
    NextHopFailed {
        /// It is tried again then.
        until: Timestamp,
        /// Failures in a row.
        failures: u32,
    },
    /// It has no route, and waits for another configuration.
    NoRoute,
    /// A connection is being opened.
    Connecting,
    /// Connections are busy with mail that came earlier.
    AwaitsItsTurn,
    /// Its queue stands in line for a connection: as many are open as may be.
    AwaitsConnection,
    /// What became of it is known, and could not be written down.
    Unrecorded {
        /// That is tried again then.
        until: Timestamp,
    },
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemView {
    /// Which.
    pub id: ItemId,
    /// The message integer (QU-24).
    pub number: MessageNumber,
    /// What it stands for.
    pub item: Item,
    /// In which queue.
    pub queue: QueueId,
    /// The next hop, in a delivery queue.
    pub route: Option<Arc<Route>>,
    /// Ready, Active, Retry, Suspended, …
    pub status: ItemStatus,
    /// Why it is still here.
    pub why: Why,
    /// Its last error, or its queue's, or the reason why it has no route.
    pub last_error: Option<Arc<str>>,
}

impl ItemView {
    /// When it is tried again, when that is set.
    #[must_use]
    pub fn next_retry(&self) -> Option<Timestamp> {
        match self.why {
            Why::Deferred { until } | Why::NextHopFailed { until, .. } | Why::Unrecorded { until } => Some(until),
            _ => None,
        }
    }
}

impl Ledger {
    /// Every queue that there is: Submission always, Unreachable and poison when something is in them or they are suspended,
    /// then the delivery queues in the order of creation.
    pub fn queues(&self, now: Timestamp) -> impl Iterator<Item = QueueView> {
        let persistent = [QueueId::SUBMISSION, QueueId::UNREACHABLE, QueueId::POISON].into_iter();
        let others = persistent.filter_map(move |id| self.queue_view(id, now));
        let lanes = self.lanes.iter().map(move |(id, lane)| delivery_queue(*id, lane, now));
        others.chain(lanes)
    }

    /// The queue that is this, among [those that there are](Self::queues).
    #[must_use]
    pub fn queue_view(&self, id: QueueId, now: Timestamp) -> Option<QueueView> {
        if id == QueueId::SUBMISSION {
            return Some(self.submission_view(now));
        }
        if let Some(lane) = self.lanes.get(&id) {
            return Some(delivery_queue(id, lane, now));
        }
        let queue = self.queue(id).filter(|queue| !queue.is_empty() || queue.is_suspended)?;
        Some(persistent(id, queue, now))
    }

    fn submission_view(&self, now: Timestamp) -> QueueView {
        let queue = &self.submission;
        let (again, unrecorded) = (self.again.len(), self.unrecorded.len());
        let deferred = queue.deferred.len() + unrecorded;
        let message_count = queue.len() + again + unrecorded;
        let due = [queue.deferred.first(), self.unrecorded.first()].into_iter().flatten().min();
        let status = match (queue.is_suspended, queue.in_hands, deferred) {
            (true, _, _) => QueueStatus::Suspended,
            (_, 1.., _) => QueueStatus::Active,
            (_, 0, 1..) if deferred == message_count => QueueStatus::Retry,
            _ => QueueStatus::Ready,
        };
        let last_error = due.and_then(|(_, id)| self.records.get(id)?.why.clone());
        QueueView {
            status,
            message_count,
            deferred_message_count: deferred,
            next_retry: due.map(|(at, _)| *at),
            last_error,
            ..persistent(QueueId::SUBMISSION, queue, now)
        }
    }

    /// How many items the Submission queue has, as back pressure counts them: refusing mail makes what was accepted long ago,
    /// and is only decided anew, no less.
    #[must_use]
    pub fn submission_length(&self) -> usize {
        self.submission.len()
    }

    /// The delivery queue of a next hop.
    #[must_use]
    pub fn queue_of(&self, key: &NextHopSolutionKey) -> Option<QueueId> {
        self.by_key.get(key).copied()
    }

    /// When a lane whose next hop could not be reached is tried again.
    #[must_use]
    pub fn retry_at(&self, id: QueueId) -> Option<Timestamp> {
        self.lanes.get(&id)?.retry_at
    }

    /// Up to `limit` items after that one, in the order in which they came. One that comes or goes between two pieces of the
    /// list is told or not.
    #[must_use]
    pub fn items_after(&self, after: Option<ItemId>, limit: usize) -> Vec<ItemView> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = self.records.range((from, Bound::Unbounded)).take(limit);
        records.map(|(id, record)| self.item_view(*id, record)).collect()
    }

    /// One item.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<ItemView> {
        self.records.get(&id).map(|record| self.item_view(id, record))
    }

    fn item_view(&self, id: ItemId, record: &Record) -> ItemView {
        let queue = record.stage.queue();
        let lane = self.lanes.get(&queue);
        let why = self.why(record, lane);
        let status = match (&why, record.pending) {
            (Why::BeingCategorized | Why::BeingSent, Some(Pending::Suspend)) => ItemStatus::PendingSuspend,
            (Why::BeingCategorized | Why::BeingSent, Some(Pending::Remove(_))) => ItemStatus::PendingRemove,
            (Why::BeingCategorized | Why::BeingSent, None) => ItemStatus::Active,
            (Why::Suspended | Why::Poison { .. }, _) => ItemStatus::Suspended,
            (Why::Deferred { .. } | Why::NextHopFailed { .. } | Why::Unrecorded { .. }, _) => ItemStatus::Retry,
            _ => ItemStatus::Ready,
        };
        let of_queue = || self.queue(queue).and_then(|queue| queue.last_error.clone());
        ItemView {
            id,
            number: record.item.number,
            item: record.item.clone(),
            queue,
            route: lane.map(|lane| Arc::clone(&lane.route)),
            status,
            why,
            last_error: record.why.clone().or_else(of_queue),
        }
    }

    fn why(&self, record: &Record, lane: Option<&Lane>) -> Why {
        let queue_stopped = |queue: QueueId| self.queue(queue).is_some_and(|queue| queue.is_suspended);
        match record.stage {
            Stage::InHands(QueueId::SUBMISSION) => Why::BeingCategorized,
            Stage::InHands(_) => Why::BeingSent,
            Stage::Suspended(QueueId::POISON) => Why::Poison { crashes: record.item.crashes },
            Stage::Suspended(_) => Why::Suspended,
            Stage::Unrecorded(until) => Why::Unrecorded { until },
            stage if queue_stopped(stage.queue()) => Why::QueueSuspended,
            Stage::Deferred(_, until) => Why::Deferred { until },
            Stage::Again | Stage::Ready(QueueId::SUBMISSION) => Why::AwaitsCategorizer,
            Stage::Ready(_) => match lane {
                None => Why::NoRoute,
                Some(lane) => match (lane.retry_at, lane.open, lane.opening) {
                    (Some(until), ..) => Why::NextHopFailed { until, failures: lane.ladder.failures() },
                    (None, 0, 1..) => Why::Connecting,
                    (None, 0, 0) => Why::AwaitsConnection,
                    (None, 1.., _) => Why::AwaitsItsTurn,
                },
            },
        }
    }
}

fn persistent(id: QueueId, queue: &Queue, now: Timestamp) -> QueueView {
    let suspended = queue.is_suspended || id == QueueId::POISON;
    QueueView {
        id,
        route: None,
        status: if suspended { QueueStatus::Suspended } else { QueueStatus::Ready },
        message_count: queue.len(),
        deferred_message_count: queue.deferred.len(),
        connections: 0,
        retry_count: 0,
        first_failure: None,
        last_failure: None,
        next_retry: None,
        last_error: queue.last_error.clone(),
        incoming_rate: queue.incoming.per_second(now),
        outgoing_rate: queue.outgoing.per_second(now),
    }
}

fn delivery_queue(id: QueueId, lane: &Lane, now: Timestamp) -> QueueView {
    let (first_failure, last_failure) = lane.ladder.failed_at();
    QueueView {
        route: Some(Arc::clone(&lane.route)),
        status: lane.status(),
        connections: lane.connections(),
        retry_count: lane.ladder.failures(),
        first_failure,
        last_failure,
        next_retry: lane.retry_at,
        ..persistent(id, &lane.queue, now)
    }
}
