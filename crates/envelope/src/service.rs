//! The services of a server: the parts of Postroad that speak to each other.

use std::fmt;
use std::str::FromStr;

/// A part of Postroad that speaks on the implicit connector (ARCHITECTURE.md). Each RPC states which of them may call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Front End Transport.
    FrontendTransport,
    /// Transport, on Mailbox and Edge servers.
    Transport,
    /// Mailbox Transport Submission.
    MailboxSubmission,
    /// Mailbox Transport Delivery.
    MailboxDelivery,
    /// The admin API.
    Admin,
}

/// A text that names no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a service")]
pub struct ServiceError(pub String);

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::FrontendTransport, Self::Transport, Self::MailboxSubmission, Self::MailboxDelivery, Self::Admin];

    /// `frontend-transport`, `transport`, `mailbox-submission`, `mailbox-delivery`, `admin`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FrontendTransport => "frontend-transport",
            Self::Transport => "transport",
            Self::MailboxSubmission => "mailbox-submission",
            Self::MailboxDelivery => "mailbox-delivery",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Service {
    type Err = ServiceError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|service| service.as_str() == text).ok_or_else(|| ServiceError(text.to_owned()))
    }
}
