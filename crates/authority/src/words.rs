//! The words: who asks, for what, whose certificates are void, and by which rule somebody is refused.

use std::collections::BTreeSet;
use std::fmt;

use envelope::{Domain, ObjectName, ServerName, Service, Timestamp};

/// Who asks, by a certificate that was verified against the organization's authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The forest that it belongs to, in A-labels.
    pub forest: Domain,
    /// A server's services, or a person.
    pub who: Who,
    /// When the certificate was issued.
    pub issued: Timestamp,
}

/// A server's services, or a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Services of a server.
    Server {
        /// Which server.
        server: ServerName,
        /// As what it may act.
        services: BTreeSet<Service>,
    },
    /// An administrator.
    Administrator(ObjectName),
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hand mail to a Transport, or ask whether it takes any.
    SubmitMail,
    /// Hand mail to Mailbox Transport Delivery.
    DeliverMail,
    /// Have a front end open a session to a host outside.
    OpenOutboundSession,
    /// Look at queues, messages and peers of a Transport.
    LookAtQueues,
    /// Search the message tracking log of a server.
    SearchTrackingLog,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SubmitMail, Self::DeliverMail, Self::OpenOutboundSession, Self::LookAtQueues, Self::SearchTrackingLog];

    /// The services that may; none where it is for administrators.
    #[must_use]
    pub fn services(self) -> &'static [Service] {
        match self {
            Self::SubmitMail => &[Service::FrontendTransport, Service::MailboxSubmission, Service::Transport],
            Self::DeliverMail | Self::OpenOutboundSession => &[Service::Transport],
            Self::LookAtQueues | Self::SearchTrackingLog => &[],
        }
    }
}

/// Whose certificates are void.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All services of a server.
    Server(ServerName),
    /// An administrator.
    Administrator(ObjectName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(name) => write!(f, "server {name}"),
            Self::Administrator(name) => write!(f, "administrator {name}"),
        }
    }
}

/// Every certificate of `subject` that was issued until then is void: whoever has its key is nobody. Newer ones count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub subject: Subject,
    /// Issued until then, this moment included.
    pub issued_until: Timestamp,
}

/// By which rule an act is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Another forest's.
    Forest,
    /// A certificate that was revoked.
    Revoked,
    /// A server that the organization does not have.
    Member,
    /// A service that servers of that role do not run.
    Role,
    /// Not for this service, or not for administrators.
    Act,
}

impl Rule {
    /// The word by which logs and answers name it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Forest => "forest",
            Self::Revoked => "revoked",
            Self::Member => "member",
            Self::Role => "role",
            Self::Act => "act",
        }
    }
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (rule `{}`)", rule.id())]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// In words.
    pub why: String,
}
