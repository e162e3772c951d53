//! Identities: the message id of the organization, trace contexts, configuration revisions, server and site names.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use uuid::Uuid;

use crate::text::{folded, is_unprintable};

/// The network message id: given once, when the organization accepts a message, and the same on every server after.
/// A copy made by bifurcation has an id of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Wraps a UUID (version 7 by convention, so that ids sort by time of acceptance).
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id of the message for some of its recipients: the same for the same ones, and for no others.
    #[must_use]
    pub fn of_part<'a>(&self, recipients: impl IntoIterator<Item = &'a str>) -> Self {
        let mut named = String::new();
        for recipient in recipients {
            named.push_str(recipient);
            // No address has one.
            named.push('\n');
        }
        Self(Uuid::new_v5(&self.0, named.as_bytes()))
    }

    /// From sixteen octets, as stored and sent.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Position of a message in one trace: the `traceparent` of W3C Trace Context level 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Never all zero.
    pub trace_id: [u8; 16],
    /// Span under which the next hop's spans belong. Never all zero.
    pub span_id: [u8; 8],
    /// Whether spans of this trace are recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// The id of the trace, which is the same on every server: 32 digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (Uuid::from_bytes(self.trace_id), u64::from_be_bytes(self.span_id));
        write!(f, "00-{}-{span:016x}-0{}", trace.simple(), u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let well_formed = bytes.len() == 55 && bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        if !well_formed || &bytes[..2] != b"00" {
            return Err(());
        }
        let (mut trace_id, mut span_id, mut flags) = ([0; 16], [0; 8], [0; 1]);
        hex(&bytes[3..35], &mut trace_id)?;
        hex(&bytes[36..52], &mut span_id)?;
        hex(&bytes[53..55], &mut flags)?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return Err(());
        }
        Ok(Self { trace_id, span_id, sampled: flags[0] & 1 == 1 })
    }
}

fn hex(text: &[u8], out: &mut [u8]) -> Result<(), ()> {
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        let digit = |character: u8| match character {
            b'0'..=b'9' => Ok(character - b'0'),
            b'a'..=b'f' => Ok(character - b'a' + 10),
            _ => Err(()),
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(())
}

/// Version of the organization's configuration: what the directory counts up with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name compared without regard to case and normalization, printed as written (RT-10: ordinal, digits before letters).
#[derive(Clone)]
struct Name(Box<str>);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        match self.0.is_ascii() && other.0.is_ascii() {
            true => self.0.eq_ignore_ascii_case(&other.0),
            false => folded(&self.0) == folded(&other.0),
        }
    }
}
impl Eq for Name {}
impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.0.is_ascii() && other.0.is_ascii() {
            true => {
                let lower = u8::to_ascii_lowercase;
                self.0.as_bytes().iter().map(lower).cmp(other.0.as_bytes().iter().map(lower))
            }
            false => folded(&self.0).cmp(&folded(&other.0)),
        }
    }
}
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Nearly every name is ASCII; one write for all of it is what makes lookups by name fast.
        let mut buffer = [0; NAME_CHARACTERS_MAX];
        match buffer.get_mut(..self.0.len()) {
            Some(lower) if self.0.is_ascii() => {
                lower.copy_from_slice(self.0.as_bytes());
                lower.make_ascii_lowercase();
                state.write(lower);
            }
            _ => state.write(folded(&self.0).as_bytes()),
        }
        state.write_u8(0xff);
    }
}

/// A text that cannot name an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: 1 to 64 characters, no control or format characters, no space at either end")]
pub struct NameError(pub String);

/// Longest object name in characters (RC-25; proposed for all objects).
pub const NAME_CHARACTERS_MAX: usize = 64;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Name);

        impl $name {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, too long, padded or holds characters that are not seen.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let length = text.chars().count();
                let valid = (1..=NAME_CHARACTERS_MAX).contains(&length)
                    && text.trim() == text
                    && !text.chars().any(is_unprintable);
                if valid { Ok(Self(Name(text.into()))) } else { Err(NameError(text.to_owned())) }
            }

            /// The name as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.0
            }

            /// The form in which names are compared: equal names have the same.
            #[must_use]
            pub fn key(&self) -> String {
                folded(&self.0.0).into_owned()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.0)
            }
        }
    };
}

name_type! {
    /// Name of a server, unique in the forest, without regard to case.
    ServerName
}
name_type! {
    /// Name of a site, unique in the forest, without regard to case; ordered as RT-10 says.
    SiteName
}
name_type! {
    /// Name of any other directory object (connector, link, database, DAG, group).
    ObjectName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_contexts_round_trip_and_refuse_forgeries_of_form() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<TraceContext>().unwrap().to_string(), text);
        for wrong in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(wrong.parse::<TraceContext>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_compare_without_case_and_digits_come_first() {
        // RT-10
        let name = |text| SiteName::parse(text).unwrap();
        assert_eq!(name("Berlin"), name("BERLIN"));
        assert!(name("Site10") < name("Site2") && name("1") < name("a") && name("a") < name("B"));
        assert_eq!((name("MÜNCHEN"), name("mu\u{308}nchen").key()), (name("München"), "münchen".to_owned()));
        for wrong in ["", " a", "a ", "a\n", "a\0b", "a\u{202e}b", "a\u{2028}b", "\u{feff}a", &"x".repeat(65)] {
            assert!(SiteName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
