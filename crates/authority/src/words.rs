//! The words: who asks, for what, whose certificates are void, and by which rule somebody is refused.

use std::collections::BTreeSet;
use std::fmt;

use envelope::{Domain, ObjectName, ServerName, Service, Timestamp};

use crate::features::{Feature, RoleGroup};

/// Who asks: by a certificate that was verified against the organization's authority, or by what the operating system says of
/// the other end of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The forest that it belongs to, in A-labels.
    pub forest: Domain,
    /// A server's services, or a person.
    pub who: Who,
    /// When the certificate was issued; for a user, now.
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
    /// An Edge server that is subscribed to this server's site, by its own authority. What it says of its mail is a stranger's.
    Edge {
        /// Which one.
        server: ServerName,
    },
    /// An administrator, by a certificate.
    Administrator {
        /// Who.
        name: ObjectName,
        /// As what.
        groups: BTreeSet<RoleGroup>,
    },
    /// A user of this server's operating system.
    User {
        /// Who.
        name: Box<str>,
        /// As what.
        groups: BTreeSet<RoleGroup>,
    },
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hand mail to a Transport, or ask whether it takes any.
    SubmitMail,
    /// Hand mail to Mailbox Transport Delivery.
    DeliverMail,
    /// Read the mailboxes of a database that leaves for the caller's server.
    TakeMailboxes,
    /// Have a front end open a session to a host outside.
    OpenOutboundSession,
    /// Tell a service that takes logons of those that failed.
    TellFailedLogons,
    /// Look at a part of the organization: for administrators.
    Read(Feature),
    /// Change it: for administrators.
    Change(Feature),
}

impl Act {
    /// The services that may. Of what is for administrators the admin service may ask others: it has heard who asks it.
    #[must_use]
    pub fn services(self) -> &'static [Service] {
        match self {
            Self::SubmitMail => &[Service::FrontendTransport, Service::MailboxSubmission, Service::Transport],
            Self::DeliverMail | Self::OpenOutboundSession => &[Service::Transport],
            Self::TellFailedLogons => &[Service::FrontendTransport, Service::Transport],
            Self::TakeMailboxes => &[Service::MailboxDelivery],
            Self::Read(Feature::Queues | Feature::MessageTracking) | Self::Change(Feature::Queues) => &[Service::Admin],
            Self::Read(_) | Self::Change(_) => &[],
        }
    }

    pub(crate) fn is_for_administrators(self) -> bool {
        matches!(self, Self::Read(_) | Self::Change(_))
    }

    pub(crate) fn is_for(self, group: RoleGroup) -> bool {
        match self {
            Self::Read(feature) => feature.is_read_by(group),
            Self::Change(feature) => feature.administered_by().contains(&group),
            _ => false,
        }
    }
}

/// Whose certificates are void.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All services of a server.
    Server(ServerName),
    /// A person, by the name in the certificate; never a service.
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
    /// Not for an administrator of these role groups.
    RoleGroup,
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
            Self::RoleGroup => "role-group",
        }
    }
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (rule `{}`)", rule.id())]
pub struct Refusal {
    /// Which row of the table refused it.
    pub rule: Rule,
    /// In words.
    pub why: String,
}
