//! Domain patterns (`*`, `*.contoso.com`, `contoso.com`) and accepted domains (RT-44, SC-64).

use std::fmt;
use std::str::FromStr;

use envelope::domain::DomainError;
use envelope::{Domain, ObjectName};

use crate::guid::Guid;

/// What an address space or an accepted domain covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DomainPattern {
    /// `contoso.com`: exactly that domain, no subdomains.
    Exact(Domain),
    /// `*.contoso.com`: the domain itself and every subdomain.
    Within(Domain),
    /// `*`: every domain.
    Any,
}

impl DomainPattern {
    /// Whether `domain` is covered (RT-44).
    #[must_use]
    pub fn covers(&self, domain: &Domain) -> bool {
        match self {
            Self::Exact(exact) => exact == domain,
            Self::Within(parent) => domain.is_within(parent),
            Self::Any => true,
        }
    }
}

impl FromStr for DomainPattern {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("*.") {
            Some(parent) => Domain::parse(parent).map(Self::Within),
            None if text == "*" => Ok(Self::Any),
            None => Domain::parse(text).map(Self::Exact),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(domain) => domain.fmt(f),
            Self::Within(domain) => write!(f, "*.{domain}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// What the organization does with mail for an accepted domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptedDomainType {
    /// Every recipient is known here; an unknown one is refused (`5.1.1`).
    Authoritative,
    /// Known recipients are here, others are routed by Send connector.
    InternalRelay,
    /// No recipient is here; mail is relayed by Send connector.
    ExternalRelay,
}

impl AcceptedDomainType {
    /// Whether recipients are looked up when nobody says so: where all of them are known (EN-82).
    #[must_use]
    pub const fn looks_recipients_up(self) -> bool {
        matches!(self, Self::Authoritative)
    }
}

/// A domain for which the organization accepts mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedDomain {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name.
    pub name: ObjectName,
    /// Exact or `*.domain`; `*` alone is refused by validation (it would be an open relay).
    pub domain: DomainPattern,
    /// What to do with it.
    pub domain_type: AcceptedDomainType,
    /// Whether strangers' mail is taken only for recipients that the directory has (EN-82).
    pub address_book_enabled: bool,
    /// The default domain; exactly one has it.
    pub is_default: bool,
}
