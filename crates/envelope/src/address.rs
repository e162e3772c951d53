//! Mailbox addresses and reverse-paths (RFC 5321 §4.1.2, RFC 6531 for UTF-8 local parts).
//!
//! The local part is kept exactly as it was written (it is case-sensitive on the wire, RFC 5321 §2.4); the domain is a
//! [`Domain`], shown as written and compared in its canonical form. [`Address::key`] is the form under which a directory
//! finds a recipient: without regard to case, to normalization and to quotes that are not needed. Source routes
//! (`@a,@b:user@c`) are accepted on input and dropped, as RFC 5321 appendix C says. Control and format characters never
//! pass, so no address can carry a line break into a command or a header, or look like another one.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::domain::{Domain, DomainError};
use crate::text::{folded, is_unprintable};

/// Longest address in octets: 315 local part, `@`, 255 domain (LM-15, PL-45).
pub const ADDRESS_OCTETS_MAX: usize = 571;
/// Longest local part in octets (PL-45; RFC 5321 asks for at least 64).
pub const LOCAL_PART_OCTETS_MAX: usize = 315;
/// Longest address in octets with an X.400 address inside (EN-73, LM-15).
pub const LONG_ADDRESS_OCTETS_MAX: usize = 1860;

/// `local-part@domain`. Equal when the local parts are, to the octet, and the domains.
#[derive(Clone)]
pub struct Address {
    text: Box<str>,
    at: u16,
    /// The canonical form of the domain, where it is another one.
    ascii: Option<Box<str>>,
}

/// Why a text is not an address. Status: `5.1.3` for recipients, `5.1.7` for senders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@`, or nothing before it.
    #[error("an address needs a local part, an @ and a domain")]
    Incomplete,
    /// Over [`ADDRESS_OCTETS_MAX`] or [`LOCAL_PART_OCTETS_MAX`], or over [`LONG_ADDRESS_OCTETS_MAX`].
    #[error("an address has at most 571 octets, of which 315 before the @, and 1860 with an X.400 address inside")]
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
        if text.len() > LONG_ADDRESS_OCTETS_MAX {
            return Err(AddressError::TooLong);
        }
        let at = text.rfind('@').ok_or(AddressError::Incomplete)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        check_local_part(local)?;
        Self::assemble(local, &Domain::parse(domain)?)
    }

    /// Joins a local part and a domain.
    ///
    /// # Errors
    /// [`AddressError`] when `local` is not a local part.
    pub fn new(local: &str, domain: &Domain) -> Result<Self, AddressError> {
        check_local_part(local)?;
        Self::assemble(local, domain)
    }

    fn assemble(local: &str, domain: &Domain) -> Result<Self, AddressError> {
        let text = format!("{local}@{domain}").into_boxed_str();
        let at = u16::try_from(local.len()).map_err(|_| AddressError::TooLong)?;
        if text.len() > if is_x400(local) { LONG_ADDRESS_OCTETS_MAX } else { ADDRESS_OCTETS_MAX } {
            return Err(AddressError::TooLong);
        }
        Ok(Self { text, at, ascii: domain.other_form() })
    }

    /// The part before the `@`, as written, quotes included.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// The part after the `@`, as it is shown.
    #[must_use]
    pub fn domain_str(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// The part after the `@` in its canonical form, of ASCII alone.
    #[must_use]
    pub fn domain_ascii(&self) -> &str {
        self.ascii.as_deref().unwrap_or_else(|| self.domain_str())
    }

    /// The domain as a [`Domain`] of its own.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::from_parts(self.domain_str(), self.ascii.clone())
    }

    /// The whole address as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address as a host without SMTPUTF8 is given it, with A-labels; nothing when the local part is not ASCII.
    #[must_use]
    pub fn to_ascii(&self) -> Option<Cow<'_, str>> {
        match &self.ascii {
            _ if !self.local_part().is_ascii() => None,
            None => Some(Cow::Borrowed(&self.text)),
            Some(domain) => Some(Cow::Owned(format!("{}@{domain}", self.local_part()))),
        }
    }

    /// The ASCII form of an address of type `utf-8` in notifications and `ORCPT`: `utf-8-addr-xtext` (RFC 6533 §3), with
    /// `\x{HEX}` for what is no `QCHAR`.
    #[must_use]
    pub fn utf8_xtext(&self) -> String {
        let mut text = String::with_capacity(self.text.len());
        for character in self.text.chars() {
            match character {
                '!'..='~' if !matches!(character, '\\' | '+' | '=') => text.push(character),
                character if character.is_ascii() => text.push_str(&format!("\\x{{{:02X}}}", u32::from(character))),
                character => text.push_str(&format!("\\x{{{:X}}}", u32::from(character))),
            }
        }
        text
    }

    /// The form under which directories compare addresses: folded, without quotes that are not needed (RFC 5321 §4.1.2:
    /// `"ann"@` is `ann@`), the domain canonical.
    #[must_use]
    pub fn key(&self) -> String {
        let (local, domain) = (self.local_part(), self.domain_ascii());
        let local = if local.starts_with('"') { requoted(local) } else { Cow::Borrowed(local) };
        let local = folded(&local);
        // Several times for each message: one allocation where the local part is in the form already.
        let mut key = String::with_capacity(local.len() + 1 + domain.len());
        key.push_str(&local);
        key.push('@');
        key.push_str(domain);
        key
    }

    /// Whether the address is longer than those that every server takes: with an X.400 address inside alone (EN-73).
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.text.len() > ADDRESS_OCTETS_MAX || self.local_part().len() > LOCAL_PART_OCTETS_MAX
    }

    /// Whether the address is shown in ASCII alone. One that is not needs SMTPUTF8 (RFC 6531) unless it has
    /// [`to_ascii`](Self::to_ascii).
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        (self.local_part(), self.domain_ascii()) == (other.local_part(), other.domain_ascii())
    }
}
impl Eq for Address {}
impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.local_part(), self.domain_ascii()).cmp(&(other.local_part(), other.domain_ascii()))
    }
}
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.local_part(), self.domain_ascii()).hash(state);
    }
}

/// A quoted local part with no more quotes and quoted pairs than it needs.
fn requoted(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    if is_dot_atom(&plain) {
        return plain.into();
    }
    let mut needed = String::with_capacity(quoted.len());
    needed.push('"');
    for character in plain.chars() {
        if matches!(character, '"' | '\\') {
            needed.push('\\');
        }
        needed.push(character);
    }
    needed.push('"');
    needed.into()
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
    if local.len() > LOCAL_PART_OCTETS_MAX && !is_x400(local) {
        return Err(AddressError::TooLong);
    }
    let valid = match local.strip_prefix('"') {
        Some(rest) => is_quoted_rest(rest),
        None => is_dot_atom(local),
    };
    if valid { Ok(()) } else { Err(AddressError::LocalPart) }
}

/// Whether a local part is that of an X.400 address, which may be longer than others (EN-73).
fn is_x400(local: &str) -> bool {
    const PREFIX: &str = "IMCEAX400-";
    local.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
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
    !character.is_ascii() && !is_unprintable(character)
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

    /// As people and logs name it: the address, or `<>`.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.address().map_or("<>", Address::as_str)
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
            "a\u{202e}b@example.com",
            "a\u{2028}b@example.com",
            "\"a\u{200b}\"@example.com",
            "a@[192.0.2.1]",
            "a\u{2028}b@example.com",
            "\"a\u{202e}b\"@example.com",
            "a\u{200b}b@example.com",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Address::parse(&format!("{}@a.example", "x".repeat(316))), Err(AddressError::TooLong));
    }

    #[test]
    fn quotes_without_need_make_no_other_address() {
        let key = |text| Address::parse(text).unwrap().key();
        for text in ["ben.b@contoso.com", "\"ben.b\"@contoso.com", "\"Ben\\.b\"@Contoso.com"] {
            assert_eq!(key(text), "ben.b@contoso.com");
        }
        for text in ["\"ben b\"@contoso.com", "\"ben..b\"@contoso.com", "\"\"@contoso.com"] {
            assert_eq!(key(text), text);
        }
    }

    #[test]
    fn the_ascii_form_says_all() {
        // RFC 6533 §3
        for (text, ascii) in [
            ("a+b@contoso.com", "a\\x{2B}b@contoso.com"),
            ("änn@contoso.com", "\\x{E4}nn@contoso.com"),
            ("\"a b\"@contoso.com", "\"a\\x{20}b\"@contoso.com"),
        ] {
            assert_eq!(Address::parse(text).unwrap().utf8_xtext(), ascii);
        }
    }

    #[test]
    fn the_null_path_is_not_an_address() {
        assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));
        assert_eq!(ReversePath::parse("a@b.example").unwrap().to_string(), "a@b.example");
    }

    #[test]
    fn one_address_in_several_spellings_is_found_under_one_key() {
        let key = |text: &str| Address::parse(text).unwrap().key();
        for (text, expected) in [
            ("Ann@Contoso.com", "ann@contoso.com"),
            ("\"Ann\"@contoso.com", "ann@contoso.com"),
            ("\"A\\nn\"@contoso.com", "ann@contoso.com"),
            ("\"a b\"@contoso.com", "\"a b\"@contoso.com"),
            ("\"a\\ b\\\"\"@contoso.com", "\"a b\\\"\"@contoso.com"),
            ("JÖRG@MÜLLER.example", "jörg@xn--mller-kva.example"),
            ("jo\u{308}rg@xn--mller-kva.example", "jörg@xn--mller-kva.example"),
        ] {
            assert_eq!(key(text), expected, "{text}");
        }
        let (unicode, ascii) = ("ann@müller.example", "ann@xn--mller-kva.example");
        assert_eq!(Address::parse(unicode), Address::parse(ascii));
        assert_eq!(Address::parse(unicode).unwrap().to_ascii().as_deref(), Some(ascii));
        assert_eq!(Address::parse("jörg@a.example").unwrap().to_ascii(), None);
    }

    #[test]
    fn an_address_that_grows_when_it_is_folded_is_measured_as_it_is_kept() {
        // `Ⱥ` has two octets, `ⱥ` three.
        let domain = format!("{}example", "Ⱥ.".repeat(82));
        let text = format!("{}@{domain}", "x".repeat(LOCAL_PART_OCTETS_MAX));
        assert!(text.len() <= ADDRESS_OCTETS_MAX && Address::parse(&text).is_err());
    }

    #[test]
    fn only_an_address_with_an_x400_address_inside_may_be_long() {
        // LM-15, EN-73
        let of = |prefix: &str, octets: usize| {
            let local = format!("{prefix}{}", "x".repeat(octets - prefix.len() - "@contoso.com".len()));
            Address::parse(&format!("{local}@contoso.com"))
        };
        assert!(!of("IMCEAX400-", 320).unwrap().is_long());
        assert!(of("imceax400-", 572).unwrap().is_long() && of("IMCEAX400-", 1860).unwrap().is_long());
        assert_eq!(of("IMCEAX400-", 1861), Err(AddressError::TooLong));
        assert_eq!((of("IMCEAFAX-", 572), of("x", 400)), (Err(AddressError::TooLong), Err(AddressError::TooLong)));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(
            text in "\\PC{0,80}|[a-z.\"\\\\@ ]{0,30}|[aȺİ\u{308}u]{1,9}@[aȺİßΣ\u{308}u.א。]{1,20}"
        ) {
            if let Ok(address) = Address::parse(&text) {
                let again = Address::parse(address.as_str()).unwrap();
                prop_assert_eq!(again.as_str(), address.as_str());
                prop_assert_eq!(again.domain(), address.domain());
                prop_assert_eq!(again.key(), address.key());
                let key = Address::parse(&address.key());
                if let Ok(key) = key {
                    prop_assert_eq!(key.key(), address.key());
                }
                if let Some(ascii) = address.to_ascii() {
                    prop_assert_eq!(Address::parse(&ascii).unwrap(), address);
                }
            }
        }
    }
}
