//! Header fields on their way between the two halves of a hybrid organization, and journal reports on their way out.
//!
//! ```text
//!   out:  X-MS-Exchange-Organization-AuthAs  ─▶  X-MS-Exchange-CrossPremises-AuthAs   (PF-40), then the firewall
//!   in:   the firewall, then  X-MS-Exchange-CrossPremises-AuthAs  ─▶  X-MS-Exchange-Organization-AuthAs   (PF-41)
//! ```
//!
//! What a stranger wrote into a message under the name of the other half never leaves in its name: only what is made here does.

use std::borrow::Cow;

use super::{CROSS_PREMISES_PREFIX, ORGANIZATION_PREFIX, is_one_of, strip_prefix};
use crate::header::{Field, HeaderBlock};

/// Organization headers that the other half is told (PF-44), without their prefix.
pub const CROSSING: [&str; 11] = [
    "AuthAs",
    "AuthDomain",
    "AuthMechanism",
    "AuthSource",
    "SCL",
    "OriginalArrivalTime",
    "OriginalSize",
    "Journal-Report",
    "BCC",
    "MessageDirectionality",
    "TransportTrafficType",
];
/// What marks a journal report, without the prefix of the organization.
const JOURNAL_REPORT: &str = "Journal-Report";
/// The same outside of the organization (PF-25).
const JOURNAL_REPORT_OUTSIDE: &[u8] = b"X-MS-Journal-Report";

/// The part of a name behind `prefix`, where the other half is told of it.
fn crossing<'a>(name: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    strip_prefix(name, prefix).filter(|rest| is_one_of(rest, &CROSSING))
}

/// PF-40, PF-44: before the firewall. Fields that came under the name of the other half go.
#[must_use]
pub fn to_other_half<'a>(header: HeaderBlock<'a>) -> Cow<'a, [u8]> {
    renamed(header, |field| match crossing(field.name(), ORGANIZATION_PREFIX) {
        Some(rest) => Name::Other([CROSS_PREMISES_PREFIX.as_bytes(), rest].concat()),
        None if strip_prefix(field.name(), CROSS_PREMISES_PREFIX).is_some() => Name::Gone,
        None => Name::Same,
    })
}

/// PF-41, PF-44: after the firewall. What the other half says replaces what is there under the same name.
#[must_use]
pub fn from_other_half<'a>(header: HeaderBlock<'a>) -> Cow<'a, [u8]> {
    let said: Vec<&[u8]> = header.fields().filter_map(|field| crossing(field.name(), CROSS_PREMISES_PREFIX)).collect();
    renamed(header, |field| {
        let name = field.name();
        let replaced = strip_prefix(name, ORGANIZATION_PREFIX)
            .is_some_and(|rest| said.iter().any(|said| said.eq_ignore_ascii_case(rest)));
        match crossing(name, CROSS_PREMISES_PREFIX) {
            Some(rest) => Name::Other([ORGANIZATION_PREFIX.as_bytes(), rest].concat()),
            None if replaced || strip_prefix(name, CROSS_PREMISES_PREFIX).is_some() => Name::Gone,
            None => Name::Same,
        }
    })
}

/// PF-25: a message that leaves Transport says in other words that it is a journal report. Before the firewall.
#[must_use]
pub fn journal_report_outside<'a>(header: HeaderBlock<'a>) -> Cow<'a, [u8]> {
    renamed(header, |field| match strip_prefix(field.name(), ORGANIZATION_PREFIX) {
        Some(rest) if rest.eq_ignore_ascii_case(JOURNAL_REPORT.as_bytes()) => {
            Name::Other(JOURNAL_REPORT_OUTSIDE.into())
        }
        _ => Name::Same,
    })
}

enum Name {
    Same,
    Gone,
    Other(Vec<u8>),
}

/// The header block with other names; the same octets where none is another.
fn renamed<'a>(header: HeaderBlock<'a>, name: impl Fn(&Field<'a>) -> Name) -> Cow<'a, [u8]> {
    if header.fields().all(|field| matches!(name(&field), Name::Same)) {
        return Cow::Borrowed(header.as_bytes());
    }
    let mut octets = Vec::with_capacity(header.as_bytes().len());
    let mut fields = header.fields();
    for field in fields.by_ref() {
        match name(&field) {
            Name::Same => octets.extend_from_slice(field.raw()),
            Name::Gone => {}
            // The colon and what follows, folds included, stay as they are.
            Name::Other(name) => {
                octets.extend_from_slice(&name);
                octets.extend_from_slice(field.from_colon());
            }
        }
    }
    octets.extend_from_slice(fields.rest());
    Cow::Owned(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(octets: Cow<'_, [u8]>) -> String {
        String::from_utf8(octets.into_owned()).unwrap()
    }

    const MESSAGE: &[u8] = b"x-ms-exchange-organization-AUTHAS: Internal\r\n\
        X-MS-Exchange-Organization-SCL : -1\r\n\tfolded\r\n\
        X-MS-Exchange-Organization-Antispam-Report: x\r\n\
        X-MS-Exchange-CrossPremises-AuthAs: forged\r\n\
        X-MS-Exchange-CrossPremises-Anything: forged\r\n\
        Subject: a\r\n\r\nX-MS-Exchange-Organization-SCL: body";

    #[test]
    fn what_the_other_half_may_know_leaves_under_its_name_and_nothing_else_does() {
        // PF-40, PF-44
        let expected = "X-MS-Exchange-CrossPremises-AUTHAS: Internal\r\n\
            X-MS-Exchange-CrossPremises-SCL: -1\r\n\tfolded\r\n\
            X-MS-Exchange-Organization-Antispam-Report: x\r\n\
            Subject: a\r\n\r\n";
        let (header, _) = crate::split_header(MESSAGE);
        assert_eq!(text(to_other_half(HeaderBlock::new(header))), expected);
        let nothing = b"Subject: a\r\n\r\n";
        assert!(matches!(to_other_half(HeaderBlock::new(nothing)), Cow::Borrowed(_)));
    }

    #[test]
    fn what_the_other_half_says_replaces_what_is_there() {
        // PF-41
        let block = b"X-MS-Exchange-Organization-AuthAs: Anonymous\r\nX-MS-Exchange-Organization-SCL: 5\r\n\
            X-MS-Exchange-Organization-AuthSource: here\r\n\
            X-MS-Exchange-crosspremises-authas: Internal\r\nX-MS-Exchange-CrossPremises-SCL: -1\r\n\
            X-MS-Exchange-CrossPremises-Strange: x\r\nA: 1\r\n\r\n";
        let expected = "X-MS-Exchange-Organization-AuthSource: here\r\nX-MS-Exchange-Organization-authas: Internal\r\n\
            X-MS-Exchange-Organization-SCL: -1\r\nA: 1\r\n\r\n";
        assert_eq!(text(from_other_half(HeaderBlock::new(block))), expected);
    }

    #[test]
    fn there_and_back_is_the_same() {
        // PF-40, PF-41, PF-44: every name of the list.
        let block: String = CROSSING.map(|name| format!("{ORGANIZATION_PREFIX}{name}: {name}\r\n")).concat() + "\r\n";
        let there = to_other_half(HeaderBlock::new(block.as_bytes())).into_owned();
        assert!(!String::from_utf8_lossy(&there).contains(ORGANIZATION_PREFIX));
        assert_eq!(text(from_other_half(HeaderBlock::new(&there))), block);
    }

    #[test]
    fn a_journal_report_is_one_outside_too() {
        // PF-25
        let block = b"X-MS-Exchange-Organization-Journal-Report: \r\nA: 1\r\n\r\n";
        let expected = "X-MS-Journal-Report: \r\nA: 1\r\n\r\n";
        assert_eq!(text(journal_report_outside(HeaderBlock::new(block))), expected);
    }
}
