//! What the categorizer is told about a message.

use envelope::{ByteSize, ObjectName, Recipient, ReversePath, ServerName};

/// A message to be categorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `MAIL FROM`.
    pub sender: ReversePath,
    /// What is known of the sender besides its address.
    pub sender_kind: SenderKind,
    /// In envelope order.
    pub recipients: Vec<Incoming>,
    /// How large it is.
    pub size: SizeFacts,
    /// Where it came from.
    pub arrival: Arrival,
    /// How much is wanted to be known.
    pub detail: Detail,
}

/// A recipient as it comes to the categorizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// As it stood in the envelope.
    Fresh(Recipient),
    /// Resolved before, for instance ahead of a restart: only routed (PL-48).
    Resolved(ResolvedRecipient),
}

/// Where a recipient stood in the list that categorization began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub usize);

/// How a recipient came into the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// It is, or contacts made of it, the recipient at this position.
    Envelope(Position),
    /// It is a member of the group at this position, or of one inside that.
    Member(Position),
}

impl Origin {
    /// The recipient that categorization began with.
    #[must_use]
    pub fn position(self) -> Position {
        match self {
            Self::Envelope(position) | Self::Member(position) => position,
        }
    }
}

/// A final recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRecipient {
    /// The address to deliver to, with `NOTIFY` and `ORCPT` as they travel on.
    pub recipient: Recipient,
    /// Where the mail must get to.
    pub home: Home,
    /// What it came from.
    pub origin: Origin,
}

/// What a final recipient is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// A mailbox in this database.
    Mailbox(ObjectName),
    /// An SMTP address for a Send connector.
    External,
    /// An encapsulated address of another type (PL-45).
    NonSmtp {
        /// Upper-case type.
        kind: Box<str>,
        /// The address itself.
        text: Box<str>,
    },
    /// A group that another server expands (RT-72).
    Expansion(ServerName),
}

/// What kind of sender a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderKind {
    /// From outside, or nobody proved to be somebody. A null reverse-path from outside is this, too.
    Anonymous,
    /// A user or a server of the organization.
    Authenticated,
    /// Made by the transport itself: notifications, journal reports, system mail. Exempt from size limits (LM-14).
    System,
}

/// Sizes that limits are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeFacts {
    /// Now.
    pub current: ByteSize,
    /// `X-MS-Exchange-Organization-OriginalSize`, when there is one.
    pub original: Option<ByteSize>,
}

impl SizeFacts {
    /// The lower of both (LM-02): conversion on the way never pushes a message over a limit.
    #[must_use]
    pub fn effective(self) -> ByteSize {
        self.original.map_or(self.current, |original| original.min(self.current))
    }
}

/// How a message came to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// No server of the organization has categorized it: recipients are counted (LM-12).
    FirstServer,
    /// Another one has.
    LaterServer,
}

/// How much is kept of each routing decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// What was decided and by which rule, without the candidates: for mail.
    Decision,
    /// The decision with every candidate, for traces.
    Explanation,
}
