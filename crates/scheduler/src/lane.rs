//! One delivery queue: its items by age, its connections, its place on the ladder.

use std::collections::BTreeMap;
use std::sync::Arc;

use envelope::Timestamp;
use routing::Route;

use crate::item::Item;
use crate::ladder::Ladder;
use crate::rate::Rate;

/// Order of waiting items: oldest first, then in the order of arrival in the queue.
pub(crate) type Place = (Timestamp, u64);

/// Status of a delivery queue (queues.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneStatus {
    /// Transmitting.
    Active,
    /// Opening a connection.
    Connecting,
    /// Recently transmitted, now empty.
    Ready,
    /// The last attempt failed; waiting for the next.
    Retry,
}

impl LaneStatus {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Connecting => "Connecting",
            Self::Ready => "Ready",
            Self::Retry => "Retry",
        }
    }
}

/// A delivery queue.
pub(crate) struct Lane {
    pub(crate) route: Route,
    pub(crate) waiting: BTreeMap<Place, Item>,
    /// By the time at which they become due.
    pub(crate) deferred: BTreeMap<Place, Item>,
    /// Handed to connections.
    pub(crate) in_hand: usize,
    pub(crate) opening: u32,
    pub(crate) open: u32,
    pub(crate) idle: u32,
    /// Connections that may be open: grows with success, shrinks with failure (peers.md B3, Postfix's feedback).
    pub(crate) window: u32,
    pub(crate) ladder: Ladder,
    pub(crate) retry_at: Option<Timestamp>,
    /// When the lane last delivered, or was made: after a long silence it is resubmitted (QU-40).
    pub(crate) last_progress: Timestamp,
    pub(crate) empty_since: Option<Timestamp>,
    pub(crate) last_error: Option<Arc<str>>,
    pub(crate) incoming: Rate,
    pub(crate) outgoing: Rate,
    /// Items that arrived before this have been reported late.
    pub(crate) unchecked_from: Timestamp,
    /// The moment for which the lane stands in the timer.
    pub(crate) armed: Option<Timestamp>,
}

/// Connections that a new lane may open at once. Source: Postfix `initial_destination_concurrency`.
pub(crate) const WINDOW_INITIAL: u32 = 5;

impl Lane {
    pub(crate) fn new(route: Route, now: Timestamp) -> Self {
        Self {
            route,
            waiting: BTreeMap::new(),
            deferred: BTreeMap::new(),
            in_hand: 0,
            opening: 0,
            open: 0,
            idle: 0,
            window: WINDOW_INITIAL,
            ladder: Ladder::default(),
            retry_at: None,
            last_progress: now,
            empty_since: None,
            last_error: None,
            incoming: Rate::default(),
            outgoing: Rate::default(),
            unchecked_from: Timestamp::from_millis(0),
            armed: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.deferred.is_empty() && self.in_hand == 0 && self.open == 0 && self.opening == 0
    }

    pub(crate) fn status(&self) -> LaneStatus {
        match (self.retry_at, self.open, self.opening) {
            (Some(_), _, _) => LaneStatus::Retry,
            (None, 1.., _) if self.in_hand > 0 || !self.waiting.is_empty() => LaneStatus::Active,
            (None, 0, 1..) => LaneStatus::Connecting,
            (None, 0, 0) if !self.waiting.is_empty() => LaneStatus::Connecting,
            (None, _, _) => LaneStatus::Ready,
        }
    }

    /// Whether one more connection is worth opening: each has something to do, and the window allows it.
    pub(crate) fn wants_connection(&self, per_lane_max: u32) -> bool {
        let connections = self.open + self.opening;
        self.retry_at.is_none()
            && connections < self.window.min(per_lane_max)
            && self.waiting.len() > (self.opening + self.idle) as usize
    }

    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        // Deferred items stand by due time; their age is looked at when they are due.
        self.waiting.first_key_value().map(|(_, item)| item.arrived)
    }

    /// Lets deferred items wait like all others: those that are due by then, or all.
    pub(crate) fn end_deferrals(&mut self, due_by: Option<Timestamp>) {
        while let Some(entry) = self.deferred.first_entry() {
            let (due, order) = *entry.key();
            if due_by.is_some_and(|by| due > by) {
                break;
            }
            let item = entry.remove();
            self.unchecked_from = self.unchecked_from.min(item.arrived);
            self.waiting.insert((item.arrived, order), item);
        }
    }
}
