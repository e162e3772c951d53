//! The part for programs: `message/delivery-status` (RFC 3464 §2, DS-12; RFC 6533 §3 for UTF-8 addresses, which stand in
//! their ASCII form unless the part is of the global type).
//!
//! Everything that came from outside is made printable and cut. Not written: X-Supplementary-Info and X-Display-Name.

use envelope::Address;

use super::{RecipientReport, Report};
use crate::date;
use crate::encode::{printable, push_field};

/// Longest diagnostic that is repeated, in octets: a reply of several lines is cut here, lest a hostile server fill a
/// notification. RFC 5321 §4.5.3.1.5 allows 512 for a line.
pub(super) const DIAGNOSTIC_OCTETS_MAX: usize = 900;
/// Longest ENVID (RFC 3461 §4.4) and ORCPT (§4.2), and longest host name, that is repeated.
const NAME_OCTETS_MAX: usize = 500;

/// Appends the fields of the message, then a group for each recipient; `wide` is the global type.
pub(super) fn push(out: &mut String, report: &Report<'_>, wide: bool) {
    let reporting = printable(report.reporting_mta.ascii(), NAME_OCTETS_MAX);
    push_field(out, "Reporting-MTA", &format!("dns; {reporting}"));
    if let Some(id) = &report.original.envelope.envelope_id {
        push_field(out, "Original-Envelope-Id", &printable(id, NAME_OCTETS_MAX));
    }
    push_field(out, "Arrival-Date", &date::rfc5322(report.original.arrival));
    for recipient in report.recipients {
        out.push_str("\r\n");
        push_recipient(out, report, recipient, wide);
    }
}

fn push_recipient(out: &mut String, report: &Report<'_>, one: &RecipientReport<'_>, wide: bool) {
    if let Some(original) = &one.recipient.original {
        let (kind, address) =
            (printable(&original.kind, NAME_OCTETS_MAX), printable(&original.address, NAME_OCTETS_MAX));
        push_field(out, "Original-Recipient", &format!("{kind}; {address}"));
    }
    push_field(out, "Final-Recipient", &typed(&one.recipient.address, wide));
    push_field(out, "Action", report.action.as_str());
    push_field(out, "Status", &one.status.to_string());
    if let Some(remote) = one.remote_mta {
        push_field(out, "Remote-MTA", &format!("dns; {}", printable(remote, NAME_OCTETS_MAX)));
    }
    if let Some(reply) = one.reply {
        let text = printable(&reply.to_string(), DIAGNOSTIC_OCTETS_MAX);
        push_field(out, "Diagnostic-Code", &format!("smtp; {text}"));
    }
    if let Some(time) = one.last_attempt {
        push_field(out, "Last-Attempt-Date", &date::rfc5322(time));
    }
    if let Some(time) = one.will_retry_until {
        push_field(out, "Will-Retry-Until", &date::rfc5322(time));
    }
}

fn typed(address: &Address, wide: bool) -> String {
    match (address.is_ascii(), wide) {
        (true, _) => format!("rfc822; {address}"),
        (false, true) => format!("utf-8; {address}"),
        (false, false) => format!("utf-8; {}", address.utf8_xtext()),
    }
}
