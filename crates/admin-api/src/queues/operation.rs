//! What an administrator does to a queue or to a message in it, to which of them, and what came of it.

use envelope::{Address, MessageId, ReversePath};

/// Queues or messages of one request. Ours: a line in the audit log for each.
pub const TARGETS_MAX: usize = 1_000;

/// One thing that is done to a queue or to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Connects now (QU-39).
    RetryQueue,
    /// Sends what waits to the categorizer (QU-41).
    ResubmitQueue,
    /// Nothing leaves it any more (QU-27).
    SuspendQueue,
    /// Its mail goes on.
    ResumeQueue,
    /// The message waits until it is resumed.
    SuspendMessage,
    /// The message goes on; poison goes to the categorizer (QU-14).
    ResumeMessage,
    /// The message ends, with or without a report to its sender (QU-58).
    RemoveMessage {
        /// Whether its sender is told.
        with_ndr: bool,
    },
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RetryQueue,
        Self::ResubmitQueue,
        Self::SuspendQueue,
        Self::ResumeQueue,
        Self::SuspendMessage,
        Self::ResumeMessage,
        Self::RemoveMessage { with_ndr: true },
        Self::RemoveMessage { with_ndr: false },
    ];

    /// The documented cmdlet that does it.
    #[must_use]
    pub const fn cmdlet(self) -> &'static str {
        match self {
            Self::RetryQueue | Self::ResubmitQueue => "Retry-Queue",
            Self::SuspendQueue => "Suspend-Queue",
            Self::ResumeQueue => "Resume-Queue",
            Self::SuspendMessage => "Suspend-Message",
            Self::ResumeMessage => "Resume-Message",
            Self::RemoveMessage { .. } => "Remove-Message",
        }
    }

    /// Whether it is done to messages.
    #[must_use]
    pub const fn is_of_messages(self) -> bool {
        matches!(self, Self::SuspendMessage | Self::ResumeMessage | Self::RemoveMessage { .. })
    }
}

/// A queue, or a message in it, by integers: as they were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The queue.
    pub queue: u64,
    /// The message (QU-24).
    pub message: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done {
        /// Messages sent back to the categorizer.
        messages: u64,
    },
    /// It is done when the message comes back from a connection.
    Pending,
    /// It is not done, and why.
    Refused(Box<str>),
    /// It is done, and the next start will not know of it, and why.
    NotDurable(Box<str>),
}

impl Outcome {
    /// Why it is not as it was wanted.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        match self {
            Self::Done { .. } | Self::Pending => None,
            Self::Refused(why) | Self::NotDurable(why) => Some(why),
        }
    }
}

/// What came of it for one queue or message, and what that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operated {
    /// Which.
    pub target: Target,
    /// What came of it.
    pub outcome: Outcome,
    /// The name of the queue; empty when it is not there.
    pub queue_name: Box<str>,
    /// The status before.
    pub status: Box<str>,
    /// The message, where it is one that is there.
    pub message: Option<OperatedMessage>,
}

impl Operated {
    /// Of a queue or message of which nothing is known.
    #[must_use]
    pub fn unknown(target: Target) -> Self {
        let outcome = Outcome::Refused("nothing is known of it".into());
        Self { target, outcome, queue_name: Box::default(), status: Box::default(), message: None }
    }
}

/// A message to which something was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatedMessage {
    /// Its id on that server.
    pub id: MessageId,
    /// Who sent it.
    pub sender: ReversePath,
    /// The recipients that waited in that queue.
    pub recipients: Vec<Address>,
}

/// Who asks, and by what, as he says it: the admin service tells whom it has heard, anybody else only by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Who; empty: whom the certificate names.
    pub name: String,
    /// Such as `postroad queue suspend`.
    pub through: String,
    /// From where; empty: from where the request comes.
    pub client: String,
}

impl Caller {
    /// Somebody who asks by this command.
    #[must_use]
    pub fn by(through: &str) -> Self {
        Self { through: through.to_owned(), ..Self::default() }
    }
}
