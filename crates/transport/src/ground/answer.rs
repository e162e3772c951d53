//! What a next hop made of a message: one answer for each recipient, or nothing at all.

use std::sync::Arc;

use envelope::Reply;

/// What the next hop made of one recipient.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It has taken responsibility.
    Taken(Taken),
    /// Not now.
    Later(Arc<str>),
    /// The mailbox's database is active elsewhere.
    Elsewhere(Arc<str>),
    /// It is given up, and the sender told.
    Never {
        /// What it answered.
        reply: Reply,
        /// Who answered (DS-10).
        remote: Option<String>,
    },
}

/// Who has the message now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taken {
    /// It lies in the mailbox: the end of its way.
    Mailbox,
    /// A server of the organization.
    Server,
    /// A host outside.
    Host { reports_itself: bool },
}

/// The result of one transfer.
pub(crate) enum Sent {
    /// One answer per recipient.
    Answers(Vec<Answer>),
    /// The next hop cannot be reached any more: nothing is decided.
    Lost(Arc<str>),
    /// It takes nothing from anybody now, as it says itself: nothing is decided.
    Busy(Arc<str>),
}
