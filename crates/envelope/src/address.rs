//! Mailbox addresses and reverse-paths (RFC 5321 §4.1.2, RFC 6531 for UTF-8 local parts).
//!
//! The local part is kept exactly as it was written (it is case-sensitive on the wire, RFC 5321 §2.4); the domain is
//! lower-case. [`Address::key`] is the case-insensitive form under which a directory finds a recipient. Source routes
//! (`@a,@b:user@c`) are accepted on input and dropped, as RFC 5321 appendix C says. Control characters never pass, so
//! no address can carry a line break into a command or a header.

use std::fmt;
use std::str::FromStr;

use crate::domain::{Domain, DomainError};

/// Longest address in octets: 315 local part, `@`, 255 domain (LM-15, PL-45).
pub const ADDRESS_OCTETS_MAX: usize = 571;
/// Longest local part in octets (PL-45; RFC 5321 asks for at least 64).
pub const LOCAL_PART_OCTETS_MAX: usize = 315;

/// `local-part@domain`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: Box<str>,
    at: u16,
}

/// Why a text is not an address. Status: `5.1.3` for recipients, `5.1.7` for senders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@`, or nothing before it.
    #[error("an address needs a local part, an @ and a domain")]
    Incomplete,
    /// Over [`ADDRESS_OCTETS_MAX`] or [`LOCAL_PART_OCTETS_MAX`].
    #[error("an address has at most 571 octets, of which 315 before the @")]
    TooLong,
    /// A character that may not stand in a local part, or an unfinished quoted string.
    #[error("the local part is not a dot-atom or a quoted string")]
    LocalPart,
    /// What follows the `@` is no domain name.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl Address {
    /// Parses `local@domain`, without angle brackets.
    ///
    /// # Errors
    /// [`AddressError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = strip_source_route(text);
        if text.len() > ADDRESS_OCTETS_MAX {
            return Err(AddressError::TooLong);
        }
        let at = text.rfind('@').ok_or(AddressError::Incomplete)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        check_local_part(local)?;
        Ok(Self::assemble(local, &Domain::parse(domain)?))
    }

    /// Joins a local part and a domain.
    ///
    /// # Errors
    /// [`AddressError`] when `local` is not a local part.
    pub fn new(local: &str, domain: &Domain) -> Result<Self, AddressError> {
        check_local_part(local)?;
        Ok(Self::assemble(local, domain))
    }

    fn assemble(local: &str, domain: &Domain) -> Self {
        let text = format!("{local}@{domain}").into_boxed_str();
        let at = u16::try_from(local.len()).expect("a checked local part has at most 315 octets");
        Self { text, at }
    }

    /// The part before the `@`, as written, quotes included.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// The part after the `@`, lower-case.
    #[must_use]
    pub fn domain_str(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// The domain as a [`Domain`] of its own.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::parse(self.domain_str()).expect("an address holds a checked domain")
    }

    /// The whole address as written (domain lower-case).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The lower-case form under which directories compare addresses.
    #[must_use]
    pub fn key(&self) -> String {
        self.text.to_lowercase()
    }

    /// Whether the address needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

/// Drops `@a,@b:` (RFC 5321 appendix C: a server must accept and should ignore source routes).
fn strip_source_route(text: &str) -> &str {
    if !text.starts_with('@') {
        return text;
    }
    text.split_once(':').map_or(text, |(_, rest)| rest)
}

fn check_local_part(local: &str) -> Result<(), AddressError> {
    if local.is_empty() {
        return Err(AddressError::Incomplete);
    }
    if local.len() > LOCAL_PART_OCTETS_MAX {
        return Err(AddressError::TooLong);
    }
    let valid = match local.strip_prefix('"') {
        Some(rest) => is_quoted_rest(rest),
        None => local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)),
    };
    if valid { Ok(()) } else { Err(AddressError::LocalPart) }
}

/// What follows the opening quote: qtext and quoted pairs up to one final quote (RFC 5321 `Quoted-string`).
fn is_quoted_rest(rest: &str) -> bool {
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return characters.next().is_none(),
            '\\' => {
                if !characters.next().is_some_and(|c| (' '..='~').contains(&c)) {
                    return false;
                }
            }
            c if (' '..='~').contains(&c) || is_utf8_text(c) => {}
            _ => return false,
        }
    }
    false
}

fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character) || is_utf8_text(character)
}

fn is_utf8_text(character: char) -> bool {
    !character.is_ascii() && !character.is_control()
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.text)
    }
}

/// The sender of an envelope: an address, or the null reverse-path `<>` of notifications (RFC 5321 §4.5.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: whatever happens to this message, no notification is sent (DS-04).
    Null,
    /// An ordinary sender.
    Address(Address),
}

impl ReversePath {
    /// The address, unless the path is null.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }

    /// Parses what stands between the angle brackets of `MAIL FROM:<…>`.
    ///
    /// # Errors
    /// [`AddressError`] as for [`Address::parse`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() { Ok(Self::Null) } else { Address::parse(text).map(Self::Address) }
    }
}

impl fmt::Display for ReversePath {
    /// Without angle brackets; the null path prints nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().map_or(Ok(()), |address| f.write_str(address.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_the_forms_of_rfc_5321() {
        for (text, local, domain) in [
            ("user@Example.COM", "user", "example.com"),
            ("First.Last+tag@example.com", "First.Last+tag", "example.com"),
            ("\"a b\"@c.example", "\"a b\"", "c.example"),
            ("\"a\\\"@b\"@c.example", "\"a\\\"@b\"", "c.example"),
            ("@relay.example,@other.example:user@example.com", "user", "example.com"),
            ("用户@例子.example", "用户", "例子.example"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.local_part(), address.domain_str()), (local, domain), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_break_a_line_or_a_command() {
        for text in [
            "",
            "user",
            "@example.com",
            "user@",
            "a..b@example.com",
            ".a@example.com",
            "a b@example.com",
            "a\r\n@example.com",
            "\"a@example.com",
            "\"a\"b@example.com",
            "\"a\r\"@example.com",
            "a\0@example.com",
            "<a@example.com>",
            "a@[192.0.2.1]",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Address::parse(&format!("{}@a.example", "x".repeat(316))), Err(AddressError::TooLong));
    }

    #[test]
    fn the_null_path_is_not_an_address() {
        assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));
        assert_eq!(ReversePath::parse("a@b.example").unwrap().to_string(), "a@b.example");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(text in "\\PC{0,80}|[a-z.\"\\\\@ ]{0,30}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(address.as_str()).unwrap(), address);
            }
        }
    }
}
