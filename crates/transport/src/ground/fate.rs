//! How a recipient ended here.

use envelope::{Reply, Timestamp};
use message::Action;
use queue::{Ended, RecipientState};

use super::answer::Taken;

/// The end of one recipient here.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    /// Position in the stored list.
    pub(crate) position: u32,
    pub(crate) kind: FateKind,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(crate) enum FateKind {
    /// In a mailbox.
    Delivered,
    /// Taken by a server of the organization, which reports further itself.
    Transferred,
    /// Taken by a host outside. It reports further itself when it understands DSN; else we say that it was relayed (DS-24).
    Relayed { reports_itself: bool },
    /// Given up.
    Failed {
        /// What was answered, or the answer that stands for our own decision.
        reply: Reply,
        /// Who answered, when it was somebody else (DS-10).
        remote: Option<String>,
        /// What was in the way until then (DS-44).
        last_error: Option<String>,
    },
    /// Removed by an administrator who did not want the sender to be told.
    Removed,
    /// A group that was replaced by its members.
    Expanded,
    /// Delivered under an equal recipient.
    Merged,
}

impl FateKind {
    /// What is stored of it: that it ended, when, and by whom if not by us.
    pub(crate) fn state(&self, now: Timestamp) -> RecipientState {
        let outcome = |by: Option<&str>| Ended { at: Some(now), by: by.map(Box::from) };
        match self {
            Self::Delivered | Self::Transferred | Self::Relayed { .. } => RecipientState::Delivered(outcome(None)),
            Self::Failed { remote, .. } => RecipientState::Failed(outcome(remote.as_deref())),
            Self::Removed => RecipientState::Failed(outcome(None)),
            Self::Expanded | Self::Merged => RecipientState::Expanded(outcome(None)),
        }
    }

    /// The notification that a sender may have asked for.
    pub(crate) fn action(&self) -> Option<Action> {
        match self {
            Self::Delivered => Some(Action::Delivered),
            Self::Relayed { reports_itself: false } => Some(Action::Relayed),
            Self::Failed { .. } => Some(Action::Failed),
            Self::Expanded => Some(Action::Expanded),
            Self::Transferred | Self::Relayed { reports_itself: true } | Self::Merged | Self::Removed => None,
        }
    }

    /// Whether an outcome needs no record but the removal of the message, for a sender who `asked` to be told of success or
    /// not.
    pub(crate) fn is_quiet(&self, asked: bool) -> bool {
        match self {
            Self::Delivered | Self::Relayed { reports_itself: false } => !asked,
            Self::Transferred | Self::Relayed { reports_itself: true } => true,
            Self::Failed { .. } | Self::Removed | Self::Expanded | Self::Merged => false,
        }
    }
}

impl From<Taken> for FateKind {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Mailbox => Self::Delivered,
            Taken::Server => Self::Transferred,
            Taken::Host { reports_itself } => Self::Relayed { reports_itself },
        }
    }
}
