//! Domain names as they stand in addresses and connector settings (RFC 5321 §4.1.2, RFC 6531 for UTF-8 labels).
//!
//! A [`Domain`] is kept lower-case (ASCII part) without a trailing dot, so that equality is the documented
//! case-insensitive comparison. IP literals are not domains and are refused here (SC-65).

use std::fmt;
use std::str::FromStr;

/// Longest domain name in octets (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS_MAX: usize = 255;
/// Longest label in octets (RFC 1035 §2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;

/// A fully spelled domain name, lower-case, without a trailing dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

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
}

impl Domain {
    /// Parses `text` (any case).
    ///
    /// # Errors
    /// [`DomainError`] names the first thing wrong.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if text.len() > DOMAIN_OCTETS_MAX {
            return Err(DomainError::TooLong);
        }
        for label in text.split('.') {
            check_label(label)?;
        }
        Ok(Self(text.to_lowercase().into_boxed_str()))
    }

    /// The name as text, lower-case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Labels from left to right.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Number of labels, at least one.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.0.split('.').count()
    }

    /// Whether this name is `parent` or lies under it, compared by whole labels (RT-44).
    #[must_use]
    pub fn is_within(&self, parent: &Self) -> bool {
        match self.0.strip_suffix(&*parent.0) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// This name and each of its parents, longest first: `a.b.c`, `b.c`, `c`.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(&*self.0);
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
    let wrong =
        label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_' || is_utf8_label_char(*c)));
    match wrong {
        Some(character) => Err(DomainError::Character(character)),
        None if label.starts_with('-') || label.ends_with('-') => Err(DomainError::Hyphen),
        None => Ok(()),
    }
}

fn is_utf8_label_char(character: char) -> bool {
    !character.is_ascii() && !character.is_control() && !character.is_whitespace()
}

impl FromStr for Domain {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
