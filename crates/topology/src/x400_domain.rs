//! X.400 domains of the organization's own (EN-72): what accepted domains are to SMTP addresses.

use std::fmt;
use std::str::FromStr;

use envelope::ObjectName;

use crate::address_space::X400Address;
use crate::guid::Guid;

/// The attributes that all addresses of a domain have, as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X400Domain {
    text: Box<str>,
    attributes: X400Address,
}

impl X400Domain {
    /// The attributes.
    #[must_use]
    pub fn attributes(&self) -> &X400Address {
        &self.attributes
    }
}

/// A text is no X.400 domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an X.400 domain is a list of the attributes C (at most 2 characters), A and P (16), O (64), OU1 to OU4 (32), such as \
     C=US;A=Fabrikam;P=Contoso"
)]
pub struct X400DomainError;

impl FromStr for X400Domain {
    type Err = X400DomainError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A blank at the end may be the value of A.
        let (trimmed, whole) = (text.trim(), text.trim_start());
        let (text, attributes) = [trimmed, whole]
            .into_iter()
            .find_map(|text| Some((text, X400Address::of_space(text)?)))
            .ok_or(X400DomainError)?;
        Ok(Self { text: text.into(), attributes })
    }
}

impl fmt::Display for X400Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// X.400 addresses for which the organization answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X400AuthoritativeDomain {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name.
    pub name: ObjectName,
    /// Which addresses.
    pub domain: X400Domain,
    /// Whether recipients that nobody here is are elsewhere, and not an error.
    pub external_relay: bool,
}
