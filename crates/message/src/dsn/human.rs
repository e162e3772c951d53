//! The part for people (DS-09): what happened and what to do, then diagnostic information for administrators.
//!
//! Plain text. Words for causes are in [`super::texts`].

use super::delivery_status::DIAGNOSTIC_OCTETS_MAX;
use super::{Action, RecipientReport, Report, texts};
use crate::date;
use crate::encode::printable;
use crate::header::HeaderBlock;

/// How much of the original's header the diagnostic section repeats; the attached part has all of it.
const HEADERS_SHOWN_OCTETS_MAX: usize = 16 * 1024;
/// Longest subject shown.
const SUBJECT_CHARACTERS_MAX: usize = 200;

/// The text, with CR LF line ends. `header` is the firewalled header of the original.
pub(super) fn text(report: &Report<'_>, header: &[u8]) -> String {
    let mut lines = vec![headline(report).to_owned(), String::new()];
    if let Some(subject) = report.original.header.subject() {
        let subject: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        lines.push(format!("Subject: {}", subject.chars().take(SUBJECT_CHARACTERS_MAX).collect::<String>()));
        lines.push(String::new());
    }
    for recipient in report.recipients {
        push_for_sender(&mut lines, report.action, recipient);
    }
    lines.push("Diagnostic information for administrators:".to_owned());
    lines.push(String::new());
    lines.push(format!("Generating server: {}", report.generating_server));
    lines.push(String::new());
    for recipient in report.recipients {
        push_for_administrator(&mut lines, recipient);
    }
    lines.push("Original message headers:".to_owned());
    lines.push(String::new());
    push_headers(&mut lines, header);
    lines.join("\r\n") + "\r\n"
}

const fn headline(report: &Report<'_>) -> &'static str {
    match report.action {
        Action::Failed => "Your message could not be delivered to the following recipients.",
        Action::Delayed => {
            "Your message has not been delivered to the following recipients yet. \
             Delivery is still being tried; you do not need to send it again."
        }
        Action::Relayed => {
            "Your message was handed to a mail system that sends no delivery receipts. \
             You may not hear about it again."
        }
        Action::Delivered => "Your message was delivered to the following recipients.",
        Action::Expanded => "Your message was delivered to the following groups and passed on to their members.",
    }
}

fn push_for_sender(lines: &mut Vec<String>, action: Action, one: &RecipientReport<'_>) {
    lines.push(one.recipient.address.to_string());
    if matches!(action, Action::Failed | Action::Delayed) {
        let text = texts::for_status(one.status, action);
        lines.push(format!("    {}", text.cause));
        lines.push(format!("    What you can do: {}", text.remedy));
    }
    if let Some(until) = one.will_retry_until {
        lines.push(format!("    Delivery is tried until {}.", date::rfc5322(until)));
    }
    if let (Action::Failed, Some(remote)) = (action, one.remote_mta) {
        lines.push(format!("    Rejected by: {}", printable(remote, DIAGNOSTIC_OCTETS_MAX)));
    }
    lines.push(String::new());
}

fn push_for_administrator(lines: &mut Vec<String>, one: &RecipientReport<'_>) {
    lines.push(one.recipient.address.to_string());
    if let Some(remote) = one.remote_mta {
        lines.push(format!("    Remote server: {}", printable(remote, DIAGNOSTIC_OCTETS_MAX)));
    }
    lines.push(format!("    Status: {}", one.status));
    if let Some(reply) = one.reply {
        lines.push(format!("    Response: {}", printable(&reply.to_string(), DIAGNOSTIC_OCTETS_MAX)));
    }
    if let Some(error) = one.last_error {
        lines.push(format!("    Last error: {}", printable(error, DIAGNOSTIC_OCTETS_MAX)));
    }
    if let Some(time) = one.last_attempt {
        lines.push(format!("    Last attempt: {}", date::rfc5322(time)));
    }
    lines.push(String::new());
}

fn push_headers(lines: &mut Vec<String>, header: &[u8]) {
    let mut shown = 0;
    for field in HeaderBlock::new(header).fields() {
        shown += field.raw().len();
        if shown > HEADERS_SHOWN_OCTETS_MAX {
            lines.push("(the rest is in the attachment)".to_owned());
            return;
        }
        let text = String::from_utf8_lossy(field.raw());
        let visible = |line: &str| line.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect();
        lines.extend(text.lines().map(visible));
    }
}
