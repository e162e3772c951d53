//! What an operator sees of the queues: each with its figures, and what waits in it. Reading changes nothing.

use std::ops::Bound;
use std::sync::Arc;

use envelope::Timestamp;
use routing::{NextHopSolutionKey, Route, Way};
use topology::Guid;

use crate::item::Item;
use crate::lane::{Lane, LaneStatus, Place};
use crate::queues::{LaneId, Queues};

/// What an operator sees of one delivery queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Which queue.
    pub id: LaneId,
    /// Next hop.
    pub key: Arc<NextHopSolutionKey>,
    /// The servers that are tried, in order.
    pub way: Arc<Way>,
    /// The Send connector chosen, for mail that leaves the organization.
    pub connector: Option<Guid>,
    /// Active, Connecting, Ready, Retry.
    pub status: LaneStatus,
    /// Messages waiting or in a connection.
    pub message_count: usize,
    /// Of these, waiting because the peer deferred them.
    pub deferred_message_count: usize,
    /// Connections open or being opened.
    pub connections: u32,
    /// Failures in a row.
    pub retry_count: u32,
    /// Next attempt, in Retry.
    pub next_retry: Option<Timestamp>,
    /// The full cause of the last failure.
    pub last_error: Option<Arc<str>>,
    /// Messages per second that entered, over the last minute (QU-32).
    pub incoming_rate: f64,
    /// Messages per second that were settled, over the last minute (QU-32).
    pub outgoing_rate: f64,
}

/// One item that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemView {
    /// The item.
    pub item: Item,
    /// Where it waits; `None` is the Unreachable queue.
    pub queue: Option<(LaneId, Route)>,
    /// Why it waits: the queue's last error, or the reason why it has no route.
    pub why: Option<Arc<str>>,
    /// When it is tried again, when that is set.
    pub next_retry: Option<Timestamp>,
}

/// A place in the list of all items, to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bookmark {
    stage: Stage,
    place: Place,
}

/// The list is: the Unreachable queue, then each lane, waiting items first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Unreachable,
    Waiting(LaneId),
    Deferred(LaneId),
}

impl Stage {
    /// Lanes in the order of creation, in each waiting items before deferred ones.
    fn rank(self) -> (u64, u8) {
        match self {
            Self::Unreachable => (0, 0),
            Self::Waiting(lane) => (lane.0, 0),
            Self::Deferred(lane) => (lane.0, 1),
        }
    }
}

impl Queues {
    /// Every delivery queue that exists, in the order of creation.
    pub fn views(&self, now: Timestamp) -> impl Iterator<Item = QueueView> {
        self.lanes.iter().map(move |(id, lane)| view(*id, lane, now))
    }

    /// Up to `limit` items after `bookmark`, each with its own bookmark: oldest first within a queue. Items in connections
    /// are not among them. One that moves between two pieces of the list may be told twice or not at all.
    #[must_use]
    pub fn items_after(&self, bookmark: Option<Bookmark>, limit: usize) -> Vec<(Bookmark, ItemView)> {
        let from = bookmark.map(|bookmark| bookmark.stage.rank());
        let begins = |stage: Stage| match bookmark {
            Some(bookmark) if bookmark.stage == stage => Bound::Excluded(bookmark.place),
            _ => Bound::Unbounded,
        };
        let wanted = |stage: Stage| from.is_none_or(|from| stage.rank() >= from);
        let range = |stage: Stage| wanted(stage).then(|| (begins(stage), Bound::Unbounded));
        let unreachable = range(Stage::Unreachable).into_iter().flat_map(|range| self.unreachable.range(range));
        let unreachable = unreachable.map(|(place, (item, reason))| {
            let why = Some(Arc::clone(reason));
            let view = ItemView { item: item.clone(), queue: None, why, next_retry: None };
            (Bookmark { stage: Stage::Unreachable, place: *place }, view)
        });
        let first = from.map_or(LaneId(0), |(lane, _)| LaneId(lane));
        let lanes = self.lanes.range(first..).flat_map(|(id, lane)| {
            let waiting = range(Stage::Waiting(*id)).into_iter().flat_map(|range| lane.waiting.range(range));
            let waiting = waiting.map(|(place, item)| (Stage::Waiting(*id), *place, item, lane.retry_at));
            let deferred = range(Stage::Deferred(*id)).into_iter().flat_map(|range| lane.deferred.range(range));
            let deferred = deferred.map(|(place, item)| (Stage::Deferred(*id), *place, item, Some(place.0)));
            waiting.chain(deferred).map(|(stage, place, item, next_retry)| {
                let queue = Some((*id, lane.route.clone()));
                (
                    Bookmark { stage, place },
                    ItemView { item: item.clone(), queue, why: lane.last_error.clone(), next_retry },
                )
            })
        });
        unreachable.chain(lanes).take(limit).collect()
    }
}

fn view(id: LaneId, lane: &Lane, now: Timestamp) -> QueueView {
    QueueView {
        id,
        key: Arc::clone(&lane.route.key),
        way: Arc::clone(&lane.route.way),
        connector: lane.route.connector,
        status: lane.status(),
        message_count: lane.waiting.len() + lane.deferred.len() + lane.in_hand,
        deferred_message_count: lane.deferred.len(),
        connections: lane.open + lane.opening,
        retry_count: lane.ladder.failures(),
        next_retry: lane.retry_at,
        last_error: lane.last_error.clone(),
        incoming_rate: lane.incoming.per_second(now),
        outgoing_rate: lane.outgoing.per_second(now),
    }
}
