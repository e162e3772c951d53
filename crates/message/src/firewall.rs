//! The header firewall: which headers may pass on which path (PL-73, PF-20 ff.).
//!
//! It works on the header block at the top of a message; nested messages are not looked into (PF-23), except that the
//! original inside a notification passes through here when it is attached. A removed field goes with its folds. What
//! only nearly is a field (white space before the colon, control characters in the name) is judged by its beginning,
//! since a later reader may take it for one. Which rights a session has is decided elsewhere. What is renamed on the way to the
//! other half of a hybrid organization, or from there, is [`premises`]'.

pub mod premises;

use std::borrow::Cow;

use crate::header::{Field, HeaderBlock};

/// Prefix of organization headers (PF-21).
pub const ORGANIZATION_PREFIX: &str = "X-MS-Exchange-Organization-";
/// Prefix of forest headers (PF-21).
pub const FOREST_PREFIX: &str = "X-MS-Exchange-Forest-";
/// Prefix of headers for the other half of a hybrid organization (PF-40, PF-42).
pub const CROSS_PREMISES_PREFIX: &str = "X-MS-Exchange-CrossPremises-";
/// Prefix of the routing headers besides `Received` (PF-21, PF-22).
pub const RESENT_PREFIX: &str = "Resent-";
/// Organization headers that delivery keeps (PF-30b), without [`ORGANIZATION_PREFIX`].
pub const KEPT_BY_DELIVERY: [&str; 7] =
    ["SCL", "AuthDomain", "AuthMechanism", "AuthSource", "AuthAs", "OriginalArrivalTime", "OriginalSize"];

/// Which header classes a session may bring or take along: the rights `ms-Exch-Accept-Headers-*` of a Receive
/// connector or `ms-Exch-Send-Headers-*` of a Send connector. A right granted keeps the class (PF-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderRights {
    /// `X-MS-Exchange-Organization-*`.
    pub organization: bool,
    /// `X-MS-Exchange-Forest-*`.
    pub forest: bool,
    /// `Received` and `Resent-*`.
    pub routing: bool,
}

impl HeaderRights {
    /// Nothing is kept.
    pub const NONE: Self = Self { organization: false, forest: false, routing: false };
    /// Only `Received` and `Resent-*` are kept: anonymous sessions (PF-11).
    pub const ROUTING: Self = Self { routing: true, ..Self::NONE };
    /// Everything is kept: sessions between servers of the organization (PF-13).
    pub const ALL: Self = Self { organization: true, forest: true, routing: true };
}

/// Who wrote a file in the Replay directory (PF-28).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayCreator {
    /// `X-CreatedBy: MSExchange15`.
    Exchange,
    /// Another value, or none.
    Other,
}

/// The rows of the table in pipeline §12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Accepted on a Receive connector.
    ReceiveConnector(HeaderRights),
    /// Sent through a Send connector.
    SendConnector(HeaderRights),
    /// Sent through a Send connector to the other half of a hybrid organization (PF-40).
    ToOtherHalf(HeaderRights),
    /// Read from the Pickup directory.
    Pickup,
    /// Read from the Replay directory.
    Replay(ReplayCreator),
    /// Written to a Drop directory.
    Drop,
    /// Taken from a mailbox by Mailbox Transport Submission.
    Submission,
    /// Written into a mailbox by Mailbox Transport Delivery.
    Delivery,
    /// The original attached to a notification.
    OriginalInDsn,
    /// Submitted by a transport agent.
    AgentSubmission,
}

impl Path {
    /// What this path keeps. [`Path::Delivery`] keeps [`KEPT_BY_DELIVERY`] besides.
    const fn rights(self) -> HeaderRights {
        match self {
            Self::ReceiveConnector(rights) | Self::SendConnector(rights) | Self::ToOtherHalf(rights) => rights,
            Self::Pickup | Self::Submission | Self::OriginalInDsn => HeaderRights::NONE,
            Self::Replay(ReplayCreator::Other) | Self::Drop | Self::Delivery => HeaderRights::ROUTING,
            Self::Replay(ReplayCreator::Exchange) | Self::AgentSubmission => HeaderRights::ALL,
        }
    }

    fn keeps(self, name: &[u8]) -> bool {
        let rights = self.rights();
        if let Some(rest) = strip_prefix(name, ORGANIZATION_PREFIX) {
            return rights.organization || (self == Self::Delivery && is_one_of(rest, &KEPT_BY_DELIVERY));
        }
        if strip_prefix(name, FOREST_PREFIX).is_some() {
            return rights.forest;
        }
        if name.eq_ignore_ascii_case(b"Received") || strip_prefix(name, RESENT_PREFIX).is_some() {
            return rights.routing;
        }
        if strip_prefix(name, CROSS_PREMISES_PREFIX).is_some() {
            return !matches!(self, Self::SendConnector(_) | Self::Drop);
        }
        true
    }
}

/// The header block without what `path` does not let through, and with other names where it renames; the same octets when
/// there is nothing to do.
#[must_use]
pub fn apply<'a>(header: HeaderBlock<'a>, path: Path) -> Cow<'a, [u8]> {
    let keeps = |field: &Field<'_>| path.keeps(field.name());
    match path {
        // PF-44: renamed before the firewall on the way out. On the way in it is after it: `premises::from_other_half`.
        Path::ToOtherHalf(_) => then(premises::to_other_half(header), |header| retain(header, keeps)),
        Path::SendConnector(_) | Path::Drop | Path::Delivery => {
            then(premises::journal_report_outside(header), |header| retain(header, keeps)) // PF-25
        }
        _ => retain(header, keeps),
    }
}

/// One after the other; without a copy when neither has anything to do.
fn then<'a>(first: Cow<'a, [u8]>, second: impl Fn(HeaderBlock<'_>) -> Cow<'_, [u8]>) -> Cow<'a, [u8]> {
    match first {
        Cow::Borrowed(octets) => match second(HeaderBlock::new(octets)) {
            Cow::Borrowed(_) => Cow::Borrowed(octets),
            Cow::Owned(changed) => Cow::Owned(changed),
        },
        Cow::Owned(octets) => Cow::Owned(second(HeaderBlock::new(&octets)).into_owned()),
    }
}

/// The header block without the fields of this name, such as `Bcc` before a message leaves a mailbox (PL-60, PL-63).
#[must_use]
pub fn without<'a>(header: HeaderBlock<'a>, name: &str) -> Cow<'a, [u8]> {
    retain(header, |field| !field.is(name))
}

/// The header block with the fields that `keep` lets pass.
#[must_use]
pub fn retain<'a>(header: HeaderBlock<'a>, keep: impl Fn(&Field<'a>) -> bool) -> Cow<'a, [u8]> {
    if header.fields().all(|field| keep(&field)) {
        return Cow::Borrowed(header.as_bytes());
    }
    let mut kept = Vec::with_capacity(header.as_bytes().len());
    let mut fields = header.fields();
    for field in fields.by_ref() {
        if keep(&field) {
            kept.extend_from_slice(field.raw());
        }
    }
    kept.extend_from_slice(fields.rest());
    Cow::Owned(kept)
}

fn strip_prefix<'a>(name: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

fn is_one_of(rest: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| rest.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests;
