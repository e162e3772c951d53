//! One delivery queue: its items, its connections, where it stands on the ladder.

use std::collections::VecDeque;
use std::sync::Arc;

use envelope::Timestamp;
use routing::{DeliveryType, Route};

use crate::item::QueueId;
use crate::ladder::Ladder;
use crate::queue::Queue;

/// Status of a queue (docs/rules.md, Queues).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueStatus {
    /// Transmitting.
    Active,
    /// Opening a connection.
    Connecting,
    /// Recently transmitted, now empty.
    Ready,
    /// The last attempt failed; waiting for the next.
    Retry,
    /// Stopped by an administrator.
    Suspended,
}

impl QueueStatus {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Connecting => "Connecting",
            Self::Ready => "Ready",
            Self::Retry => "Retry",
            Self::Suspended => "Suspended",
        }
    }
}

/// Which budget a lane's connections count against: what one of them does to its connections is nothing to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Budget {
    /// Hosts outside of the organization.
    Outside,
    /// Other servers of the organization.
    Inside,
    /// Mailbox databases.
    Mailboxes,
}

impl Budget {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outside, Self::Inside, Self::Mailboxes];

    /// That of a delivery type.
    #[must_use]
    pub fn of(kind: DeliveryType) -> Self {
        match kind {
            DeliveryType::SmtpDeliveryToMailbox => Self::Mailboxes,
            kind if kind.category() == routing::NextHopCategory::External => Self::Outside,
            _ => Self::Inside,
        }
    }
}

/// Who has a budget's connections, and who waits for one.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Connections that are open or being opened.
    pub(crate) taken: u32,
    /// Of these, being opened to next hops that failed at the last attempt.
    pub(crate) probing: u32,
    /// Lanes without any connection that wait for one.
    pub(crate) first: VecDeque<QueueId>,
    /// Lanes that wait for a further one.
    pub(crate) further: VecDeque<QueueId>,
    /// Lanes whose last attempt failed.
    pub(crate) probes: VecDeque<QueueId>,
}

/// In which of its lines a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    First,
    Further,
    Probe,
}

impl Line {
    pub(crate) fn of(&mut self, stand: Stand) -> &mut VecDeque<QueueId> {
        match stand {
            Stand::First => &mut self.first,
            Stand::Further => &mut self.further,
            Stand::Probe => &mut self.probes,
        }
    }

    /// Whether a next hop whose last attempt failed may be tried: they never have more than half of the budget, so that any
    /// number of hosts that do not answer leave room for those that do.
    pub(crate) fn may_probe(&self, connections: u32) -> bool {
        self.probing < (connections / 2).max(1)
    }

    /// The lane whose turn is next.
    pub(crate) fn pop(&mut self, connections: u32) -> Option<(Stand, QueueId)> {
        if let Some(id) = self.first.pop_front() {
            return Some((Stand::First, id));
        }
        if self.may_probe(connections)
            && let Some(id) = self.probes.pop_front()
        {
            return Some((Stand::Probe, id));
        }
        self.further.pop_front().map(|id| (Stand::Further, id))
    }
}

/// A delivery queue.
#[derive(Debug)]
pub(crate) struct Lane {
    /// As decided last.
    pub(crate) route: Arc<Route>,
    pub(crate) queue: Queue,
    pub(crate) opening: u32,
    pub(crate) open: u32,
    pub(crate) idle: u32,
    /// Connections that may be open: grows with success, shrinks with failure (Postfix's feedback).
    pub(crate) window: u32,
    pub(crate) ladder: Ladder,
    pub(crate) retry_at: Option<Timestamp>,
    /// When the lane last delivered, or was made: after a long silence it is resubmitted (QU-40).
    pub(crate) last_progress: Timestamp,
    pub(crate) empty_since: Option<Timestamp>,
    /// In which line for a connection it stands.
    pub(crate) stands: Option<Stand>,
    /// Of those that are being opened, begun when the last attempt had failed.
    pub(crate) probing: u32,
    /// The moment for which the lane stands in the timer.
    pub(crate) armed: Option<Timestamp>,
}

/// Connections that a new lane may open at once. Source: Postfix `initial_destination_concurrency`.
pub(crate) const WINDOW_INITIAL: u32 = 5;

impl Lane {
    pub(crate) fn new(route: Arc<Route>, now: Timestamp) -> Self {
        Self {
            route,
            queue: Queue::default(),
            opening: 0,
            open: 0,
            idle: 0,
            window: WINDOW_INITIAL,
            ladder: Ladder::default(),
            retry_at: None,
            last_progress: now,
            empty_since: None,
            stands: None,
            probing: 0,
            armed: None,
        }
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::of(self.route.key.delivery_type)
    }

    pub(crate) fn connections(&self) -> u32 {
        self.open + self.opening
    }

    /// Nothing is in it and nobody works for it. One that an administrator stopped stays, so that he finds it.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.queue.is_empty() && self.connections() == 0 && !self.queue.is_suspended
    }

    pub(crate) fn status(&self) -> QueueStatus {
        let waits = !self.queue.ready.is_empty();
        match (self.retry_at, self.open, self.opening) {
            _ if self.queue.is_suspended => QueueStatus::Suspended,
            (Some(_), _, _) => QueueStatus::Retry,
            (None, 1.., _) if self.queue.in_hands > 0 || waits => QueueStatus::Active,
            (None, 0, 1..) => QueueStatus::Connecting,
            (None, 0, 0) if waits => QueueStatus::Connecting,
            (None, _, _) => QueueStatus::Ready,
        }
    }

    /// Whether its items may go out now.
    pub(crate) fn may_send(&self) -> bool {
        self.retry_at.is_none() && !self.queue.is_suspended
    }

    /// Whether one more connection is worth opening: each has something to do, and the window allows it.
    pub(crate) fn wants_connection(&self, per_lane_max: u32) -> bool {
        self.may_send()
            && self.connections() < self.window.min(per_lane_max)
            && self.queue.ready.len() > (self.opening + self.idle) as usize
    }
}
