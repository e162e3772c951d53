//! A peer as configured or as DNS names it: by name or by address.
//!
//! Keeps no port and resolves nothing.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use envelope::{Domain, DomainError};
use hickory_proto::rr::Name;

/// A host by name or by address. Addresses print in brackets, as queues show them (SC-43).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name.
    Name(Domain),
    /// An IP address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = DomainError;

    /// `relay.contoso.com`, `192.0.2.1`, `[192.0.2.1]`, `[2001:db8::1]` (SC-43).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => Domain::parse(text).map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => write!(f, "[{address}]"),
        }
    }
}

impl From<Domain> for Host {
    fn from(name: Domain) -> Self {
        Self::Name(name)
    }
}

/// The name as DNS asks for it, absolute, so that no search domain is ever appended. U-labels become A-labels.
pub(crate) fn dns_name(domain: &Domain) -> Option<Name> {
    let mut name = Name::from_ascii(domain.ascii()).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The name with U-labels as A-labels, for certificates and SNI.
pub(crate) fn a_labels(domain: &Domain) -> Option<Domain> {
    Domain::parse(domain.ascii()).ok()
}

/// A name out of a DNS answer. Names that no mail host can have (binary labels, the root) give nothing.
pub(crate) fn domain_of(name: &Name) -> Option<Domain> {
    let text = name.to_ascii();
    Domain::parse(text.strip_suffix('.').unwrap_or(&text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_parse_with_and_without_brackets_and_print_as_queues_show_them() {
        // SC-43
        for (text, printed) in [
            ("Relay.Contoso.com", "relay.contoso.com"),
            ("10.10.10.100", "[10.10.10.100]"),
            ("[10.10.10.100]", "[10.10.10.100]"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), printed);
        }
        for wrong in ["", "[relay.contoso.com]", "[", "a b"] {
            assert!(wrong.parse::<Host>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn u_labels_become_a_labels() {
        for (text, expected) in [
            ("münchen.example", Some("xn--mnchen-3ya.example")),
            ("contoso.com", Some("contoso.com")),
            ("dis_allowed.contoso.com", Some("dis_allowed.contoso.com")),
        ] {
            let converted = a_labels(&Domain::parse(text).unwrap());
            assert_eq!(converted.as_ref().map(Domain::as_str), expected, "{text}");
        }
    }
}
