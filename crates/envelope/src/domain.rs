//! Domain names as they stand in addresses and connector settings (RFC 5321 §4.1.2, RFC 6531 for UTF-8 labels).
//!
//! A [`Domain`] is shown as it was written, lower-case and without a trailing dot, and compared in one canonical form: that
//! of DNS, with A-labels (RFC 5890, UTS 46). `müller.example`, the same with a combining diaeresis and
//! `xn--mller-kva.example` are one domain. What is printed reads back as the same. IP literals are not domains and are
//! refused here (SC-65).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::text::is_unprintable;

/// Longest domain name in octets (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS_MAX: usize = 255;
/// Longest label in octets (RFC 1035 §2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;

/// A fully spelled domain name, without a trailing dot. Equal when the canonical forms are.
#[derive(Clone)]
pub struct Domain {
    /// As it is shown.
    text: Box<str>,
    /// The canonical form, where it is another one.
    ascii: Option<Box<str>>,
}

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing before, after or between the dots.
    #[error("a domain name has an empty label (check for a leading, trailing or double dot)")]
    EmptyLabel,
    /// More than [`DOMAIN_OCTETS_MAX`] or a label over [`LABEL_OCTETS_MAX`].
    #[error("a domain name has at most 255 octets and at most 63 in each label")]
    TooLong,
    /// A character that is neither letter, digit, hyphen nor UTF-8.
    #[error("character {0:?} cannot stand in a domain name")]
    Character(char),
    /// A label that starts or ends with a hyphen.
    #[error("a label of a domain name cannot start or end with a hyphen")]
    Hyphen,
    /// A label that no international domain name may have.
    #[error("{0:?} is no international domain name (RFC 5890)")]
    International(String),
}

impl Domain {
    /// Parses `text` (any case, any normalization).
    ///
    /// # Errors
    /// [`DomainError`] names the first thing wrong.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if text.len() > DOMAIN_OCTETS_MAX {
            return Err(DomainError::TooLong);
        }
        if !text.is_ascii() {
            return Self::parse_international(text);
        }
        text.split('.').try_for_each(check_label)?;
        Ok(Self { text: text.to_ascii_lowercase().into(), ascii: None })
    }

    fn parse_international(text: &str) -> Result<Self, DomainError> {
        if let Some(character) = text.chars().find(|c| c.is_whitespace() || is_unprintable(*c)) {
            return Err(DomainError::Character(character));
        }
        // A forbidden ASCII character is found, and named, by the check of the labels.
        let wrong = || DomainError::International(text.to_owned());
        let uts46 = Uts46::new();
        let ascii = uts46.to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::CheckFirstLast, DnsLength::Ignore);
        let ascii = ascii.map_err(|_| wrong())?;
        ascii.split('.').try_for_each(check_label)?;
        let shown = |label: &str| {
            if label.is_ascii() {
                return Ok(label.to_ascii_lowercase());
            }
            let (shown, result) = uts46.to_unicode(label.as_bytes(), AsciiDenyList::EMPTY, Hyphens::CheckFirstLast);
            result.map(|()| shown.into_owned()).map_err(|_| wrong())
        };
        let shown = text.split('.').map(shown).collect::<Result<Vec<_>, _>>()?.join(".");
        if shown.len() > DOMAIN_OCTETS_MAX || ascii.len() > DOMAIN_OCTETS_MAX {
            return Err(DomainError::TooLong);
        }
        Ok(Self::from_parts(&shown, Some(ascii.into())))
    }

    /// From what another noun has taken of a checked domain.
    pub(crate) fn from_parts(text: &str, ascii: Option<Box<str>>) -> Self {
        Self { text: text.into(), ascii: ascii.filter(|ascii| **ascii != *text) }
    }

    /// The canonical form, where it is not [`as_str`](Self::as_str).
    pub(crate) fn other_form(&self) -> Option<Box<str>> {
        self.ascii.clone()
    }

    /// The name as it is shown: as it was written, lower-case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The canonical form, of ASCII alone: what DNS, certificates and hosts without SMTPUTF8 are given, and what is
    /// compared.
    #[must_use]
    pub fn ascii(&self) -> &str {
        self.ascii.as_deref().unwrap_or(&self.text)
    }

    /// Labels from left to right, as they are shown.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split('.')
    }

    /// Number of labels, at least one.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.text.split('.').count()
    }

    /// Whether the last label is a number, as in a mistyped IP address: no name in DNS ends so (RFC 3696 §2).
    #[must_use]
    pub fn ends_in_number(&self) -> bool {
        self.labels().next_back().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()))
    }

    /// Whether this name is `parent` or lies under it, compared by whole labels (RT-44).
    #[must_use]
    pub fn is_within(&self, parent: &Self) -> bool {
        match self.ascii().strip_suffix(parent.ascii()) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// The canonical form of this name and each of its parents, longest first: `a.b.c`, `b.c`, `c`.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(self.ascii());
        std::iter::from_fn(move || {
            let current = rest?;
            rest = current.split_once('.').map(|(_, parent)| parent);
            Some(current)
        })
    }
}

fn check_label(label: &str) -> Result<(), DomainError> {
    if label.is_empty() {
        return Err(DomainError::EmptyLabel);
    }
    if label.len() > LABEL_OCTETS_MAX {
        return Err(DomainError::TooLong);
    }
    // Underscores are no host names, yet they occur in mail domains of the field and harm nobody.
    let wrong = label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_'));
    match wrong {
        Some(character) => Err(DomainError::Character(character)),
        None if label.starts_with('-') || label.ends_with('-') => Err(DomainError::Hyphen),
        None => Ok(()),
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.ascii() == other.ascii()
    }
}
impl Eq for Domain {}
impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ascii().cmp(other.ascii())
    }
}
impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ascii().hash(state);
    }
}

impl FromStr for Domain {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_what_rfc_5321_allows_and_refuses_the_rest() {
        for (text, expected) in [
            ("Contoso.COM", Ok("contoso.com")),
            ("localhost", Ok("localhost")),
            ("xn--mnchen-3ya.example", Ok("xn--mnchen-3ya.example")),
            ("münchen.example", Ok("münchen.example")),
            ("", Err(DomainError::EmptyLabel)),
            ("contoso..com", Err(DomainError::EmptyLabel)),
            ("contoso.com.", Err(DomainError::EmptyLabel)),
            ("*.contoso.com", Err(DomainError::Character('*'))),
            ("[192.0.2.1]", Err(DomainError::Character('['))),
            ("-a.com", Err(DomainError::Hyphen)),
            ("a b.com", Err(DomainError::Character(' '))),
        ] {
            assert_eq!(Domain::parse(text).as_ref().map(Domain::as_str), expected.as_ref().map(|s| *s), "{text}");
        }
        assert_eq!(Domain::parse(&"a".repeat(64)), Err(DomainError::TooLong));
        assert_eq!(Domain::parse(&"a.".repeat(130)), Err(DomainError::TooLong));
    }

    #[test]
    fn one_domain_in_several_spellings_is_one_domain_shown_as_written() {
        for (shown, ascii, spellings) in [
            (
                "müller.example",
                "xn--mller-kva.example",
                ["MÜLLER.Example", "mu\u{308}ller.example", "ｍüller。example"],
            ),
            ("straße.example", "xn--strae-oqa.example", ["STRAßE.example", "straße.EXAMPLE", "Straße.example"]),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah", ["例え.テスト", "例え。テスト", "例え．ﾃｽﾄ"]),
            ("ⱥ.example", "xn--cgj.example", ["Ⱥ.example", "ⱥ.example", "Ⱥ.EXAMPLE"]),
            ("i\u{307}.example", "xn--i-9bb.example", ["İ.example", "i\u{307}.example", "İ.EXAMPLE"]),
        ] {
            let canonical = Domain::parse(ascii).unwrap();
            assert_eq!((canonical.as_str(), canonical.ascii()), (ascii, ascii));
            for spelling in spellings {
                let domain = Domain::parse(spelling).unwrap_or_else(|error| panic!("{spelling}: {error}"));
                assert_eq!((domain.as_str(), domain.ascii()), (shown, ascii), "{spelling}");
                assert_eq!(domain, canonical);
                let below = Domain::parse(&format!("a.{spelling}")).unwrap();
                assert!(below.is_within(&canonical) && below.suffixes().any(|suffix| suffix == ascii));
            }
        }
    }

    #[test]
    fn what_is_no_domain_in_unicode_either() {
        for text in [
            "a\u{202e}b.example", // changes direction
            "a\u{2028}b.example", // line separator
            "a\u{ad}b.example",   // soft hyphen
            "a\u{3000}b.example", // ideographic space
            "\u{378}.example",    // unassigned
            "\u{fffd}.example",
            "℀.example", // is a/c
            "-ü.example",
            "ü..example",
            "\u{308}u.example", // begins with a combining mark
            "אa.example",       // directions mixed
        ] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
        assert!(
            Domain::parse("10.0.0").unwrap().ends_in_number() && Domain::parse("300.1.1.1").unwrap().ends_in_number()
        );
        assert!(!Domain::parse("1.a1").unwrap().ends_in_number());
        assert_eq!(Domain::parse(&"ü".repeat(100)), Err(DomainError::TooLong));
    }

    proptest! {
        /// Characters that grow, shrink, combine and change direction among them.
        #[test]
        fn what_is_printed_reads_back_as_the_same(text in "[a-zA-Z0-9._ⱥȺİıßẞÄäü\u{308}ﬀΣς。．ＡａאبあアｱÅ㎏Ǆ🙂-]{1,24}|\\PC{0,40}") {
            if let Ok(domain) = Domain::parse(&text) {
                let again = Domain::parse(domain.as_str()).unwrap();
                prop_assert_eq!((again.as_str(), again.ascii()), (domain.as_str(), domain.ascii()));
                let ascii = Domain::parse(domain.ascii()).unwrap();
                prop_assert_eq!((&ascii, ascii.ascii()), (&domain, domain.ascii()));
                prop_assert!(domain.as_str().len() <= DOMAIN_OCTETS_MAX && domain.ascii().is_ascii());
            }
        }
    }

    #[test]
    fn within_compares_whole_labels() {
        // RT-44: `*.contoso.com` covers contoso.com and its subdomains, not notcontoso.com.
        let parent = Domain::parse("contoso.com").unwrap();
        for (name, within) in
            [("contoso.com", true), ("a.b.contoso.com", true), ("notcontoso.com", false), ("com", false)]
        {
            assert_eq!(Domain::parse(name).unwrap().is_within(&parent), within, "{name}");
        }
    }

    #[test]
    fn suffixes_go_from_long_to_short() {
        let domain = Domain::parse("a.b.c").unwrap();
        assert_eq!(domain.suffixes().collect::<Vec<_>>(), ["a.b.c", "b.c", "c"]);
    }
}
