//! Whom a certificate is for, and whether that is who was meant: a host exactly, a domain with the certificate's wildcard, or
//! anything under a domain (TA-10, TA-21, TA-33).

use std::fmt;
use std::net::IpAddr;

use envelope::Domain;

use crate::host::{Host, a_labels};

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// A dNSName or a common name, as written: wildcards occur, and in a common name anything does.
    Dns(Box<str>),
    /// An iPAddress.
    Address(IpAddr),
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(f),
            Self::Address(address) => write!(f, "[{address}]"),
        }
    }
}

/// As an administrator reads them.
pub(super) fn joined(names: &[CertificateName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// TA-21: exactly, no wildcard.
pub(super) fn is_host(name: &CertificateName, host: &Host) -> bool {
    match (name, host) {
        (CertificateName::Address(name), Host::Address(wanted)) => name == wanted,
        (CertificateName::Dns(name), Host::Name(wanted)) => {
            a_labels(wanted).is_some_and(|wanted| name.eq_ignore_ascii_case(wanted.as_str()))
        }
        _ => false,
    }
}

/// TA-10, TA-33: equal, or the certificate's `*.` stands for exactly one label.
pub(super) fn name_covers(name: &CertificateName, domain: &Domain) -> bool {
    let (CertificateName::Dns(name), Some(domain)) = (name, a_labels(domain)) else { return false };
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(domain.as_str()),
        Some(parent) => {
            let above = domain.as_str().split_once('.').map(|(_, above)| above);
            above.is_some_and(|above| above.eq_ignore_ascii_case(parent))
        }
    }
}

/// TA-10: the connector's `*.contoso.com` takes contoso.com and any name under it, `*.eu.contoso.com` included.
pub(super) fn name_is_within(name: &CertificateName, parent: &Domain) -> bool {
    let (CertificateName::Dns(name), Some(parent)) = (name, a_labels(parent)) else { return false };
    let bare = name.strip_prefix("*.").unwrap_or(name);
    Domain::parse(bare).is_ok_and(|bare| bare.is_within(&parent))
}
