//! Why DNS gave no answer to use, in words for a queue's LastError and with what it means for the message.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use envelope::{Domain, EnhancedStatus, Severity};

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, as configured or addressed.
    pub name: Domain,
    /// `MX`, `A` or `AAAA`.
    pub record: &'static str,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.record, self.name)
    }
}

/// Why there is no answer to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// NXDOMAIN.
    #[error("nonexistent domain {name}")]
    NonExistent {
        /// The name asked for.
        name: Domain,
    },
    /// The name exists and has no such record.
    #[error("DNS has no {question}")]
    NoRecords {
        /// What was asked.
        question: Question,
    },
    /// There are MX records, and none names a host.
    #[error("no MX record of {name} names a host")]
    NoUsableExchanger {
        /// The domain asked for.
        name: Domain,
    },
    /// The name cannot be asked for (no IDNA form, too long in it).
    #[error("{name} is not a name in DNS")]
    NotAName {
        /// The name given.
        name: Domain,
    },
    /// Timeout, SERVFAIL, REFUSED, unreachable servers and the like: another day may be better.
    #[error("DNS query failed: {question} from {}: {cause}", list(servers))]
    Transient {
        /// What was asked.
        question: Question,
        /// Who was asked.
        servers: Arc<[SocketAddr]>,
        /// What came back.
        cause: Arc<str>,
    },
}

fn list(servers: &[SocketAddr]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl DnsError {
    /// `5.4.4` for what DNS answered (SC-39, docs/rules.md, Notifications), `4.4.3` for what it did not (RFC 3463 §3.5).
    #[must_use]
    pub const fn status(&self) -> EnhancedStatus {
        match self {
            Self::NonExistent { .. } | Self::NoRecords { .. } | Self::NoUsableExchanger { .. } => {
                EnhancedStatus::new(5, 4, 4)
            }
            Self::NotAName { .. } => EnhancedStatus::new(5, 1, 2),
            Self::Transient { .. } => EnhancedStatus::new(4, 4, 3),
        }
    }

    /// Whether trying again can help.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.status().severity()
    }

    /// Whether trying again can help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}
