//! What message tracking logs say about a message, found again (docs/rules.md, Logs). Blocks: a caller that serves others runs it
//! where that harms nobody, and ends it by its sink.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use envelope::Timestamp;

use crate::files::{LogFile, day, parse, there};
use crate::record::fields;
use crate::tracking::FIELDS;

/// Lines found unless told otherwise (`ResultSize`). Source: docs/rules.md, Logs.
pub const RESULTS_DEFAULT: usize = 1_000;
/// Most lines found at once. Ours: some hundred megabytes of memory at worst.
pub const RESULTS_MAX: usize = 100_000;
/// Octets of a line that are read; ours have half as many at most.
const LINE_OCTETS_MAX: u64 = 4 * 1024 * 1024;
/// Prefixes of the files of Transport, Mailbox Transport Delivery and Submission (LG-16).
pub const PREFIXES: [&str; 3] = ["MSGTRK", "MSGTRKMD", "MSGTRKMS"];

/// What is looked for: everything that is named must hold; of several recipients one (LG-23). Texts are compared without
/// regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// From this time on.
    pub start: Option<Timestamp>,
    /// Before this time.
    pub end: Option<Timestamp>,
    /// `event-id`
    pub event_id: Option<String>,
    /// Who wrote the line: `SMTP`, `STOREDRIVER`, `ROUTING` and the like, in any case.
    pub source: Option<String>,
    /// `message-id`; angle brackets may be left out.
    pub message_id: Option<String>,
    /// One of these: `network-message-id`, `internal-message-id`, or the id of the message's trace, which is the same on
    /// every server.
    pub ids: Vec<String>,
    /// Addresses of recipients, or parts of them that begin or end with `@`.
    pub recipients: Vec<String>,
    /// The sender, likewise; `<>` for notifications.
    pub sender: Option<String>,
    /// A part of the subject.
    pub subject: Option<String>,
    /// `connector-id`, or its part after the backslash.
    pub connector: Option<String>,
}

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// [`PREFIXES`]: whose log it stands in.
    pub prefix: &'static str,
    /// By [`FIELDS`].
    pub fields: Vec<String>,
}

impl Line {
    /// The field of this name; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let at = FIELDS.split(',').position(|known| known == name);
        at.and_then(|at| self.fields.get(at)).map(String::as_str).unwrap_or_default()
    }

    /// The id of the message's trace, which is the same on every server.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        let context = self.get("custom-data").split(';').find_map(|part| part.strip_prefix("Trace="))?;
        context.split('-').nth(1)
    }
}

impl Query {
    /// Whether a line is one of those that are looked for.
    #[must_use]
    pub fn matches(&self, line: &Line) -> bool {
        // Times of one form compare as texts.
        let at = line.get("date-time");
        let within = self.start.is_none_or(|start| *at >= *start.to_iso8601())
            && self.end.is_none_or(|end| *at < *end.to_iso8601());
        let equal =
            |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| same(wanted, line.get(name)));
        let bare = |id: &str| id.trim_matches(['<', '>']).to_lowercase();
        within
            && equal(&self.event_id, "event-id")
            && equal(&self.source, "source")
            && self.message_id.as_ref().is_none_or(|id| bare(id) == bare(line.get("message-id")))
            && (self.ids.is_empty() || self.ids.iter().any(|id| has_id(line, id)))
            && self.sender.as_ref().is_none_or(|sender| is_address(sender, line.get("return-path")))
            && self
                .subject
                .as_ref()
                .is_none_or(|part| line.get("message-subject").to_lowercase().contains(&part.to_lowercase()))
            && self.connector.as_ref().is_none_or(|wanted| {
                let connector = line.get("connector-id");
                same(wanted, connector) || connector.rsplit('\\').next().is_some_and(|name| same(wanted, name))
            })
            && (self.recipients.is_empty() || self.recipients.iter().any(|wanted| has_recipient(line, wanted)))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn has_id(line: &Line, id: &str) -> bool {
    same(id, line.get("network-message-id"))
        || same(id, line.get("internal-message-id"))
        || line.trace_id().is_some_and(|trace| same(id, trace))
}

fn has_recipient(line: &Line, wanted: &str) -> bool {
    let related = std::iter::once(line.get("related-recipient-address"));
    line.get("recipient-address").split(';').chain(related).any(|address| is_address(wanted, address))
}

/// `anna@contoso.example`, `@contoso.example` for everybody of a domain, `anna@` for every Anna.
#[must_use]
pub fn is_address(wanted: &str, address: &str) -> bool {
    let (wanted, address) = (wanted.to_lowercase(), address.to_lowercase());
    match (wanted.starts_with('@'), wanted.ends_with('@')) {
        (true, false) => address.ends_with(&wanted),
        (false, true) => address.starts_with(&wanted),
        _ => wanted == address,
    }
}

/// The newest `limit` lines of the message tracking logs in `folder` that `query` looks for, in files of
/// `prefixes`, the oldest of them first.
/// `go_on` is asked after each file, and ends it early.
///
/// # Errors
/// When a file cannot be read; a folder that is not there has none.
pub fn search(
    folder: &Path,
    prefixes: &[&'static str],
    query: &Query,
    limit: usize,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> io::Result<Vec<Line>> {
    let mut found: Vec<Line> = Vec::new();
    for prefix in prefixes.iter().copied() {
        let there = match there(folder, |name| parse(name, prefix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            there => there?,
        };
        let mut own: Vec<Line> = Vec::new();
        for file in there.iter().rev().filter(|file| may_hold(file, query)) {
            if own.len() >= limit || go_on().is_break() {
                break;
            }
            let mut lines = read(file, prefix, query)?;
            lines.append(&mut own);
            own = lines;
        }
        found.append(&mut own);
    }
    // Times of one form sort as texts.
    found.sort_by(|one, other| one.get("date-time").cmp(other.get("date-time")));
    found.drain(..found.len().saturating_sub(limit));
    Ok(found)
}

fn may_hold(file: &LogFile, query: &Query) -> bool {
    query.start.is_none_or(|start| file.day >= day(start)) && query.end.is_none_or(|end| file.day <= day(end))
}

fn read(file: &LogFile, prefix: &'static str, query: &Query) -> io::Result<Vec<Line>> {
    let mut found = Vec::new();
    each_line(file, |fields| {
        let line = Line { prefix, fields };
        if query.matches(&line) {
            found.push(line);
        }
    })?;
    Ok(found)
}

/// Hands the fields of each line of a file to `take`.
pub(crate) fn each_line(file: &LogFile, mut take: impl FnMut(Vec<String>)) -> io::Result<()> {
    // Deleted since the folder was read: too old.
    let opened = match File::open(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut reader = BufReader::new(opened);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if reader.by_ref().take(LINE_OCTETS_MAX).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        // A header, or a line that is being written.
        if bytes.starts_with(b"#") || !bytes.ends_with(b"\n") {
            continue;
        }
        take(fields(&String::from_utf8_lossy(&bytes)).into_iter().map(without_apostrophe).collect());
    }
}

/// As it was before it was made no formula.
fn without_apostrophe(field: String) -> String {
    match field.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '@', '+', '-']) => rest.to_owned(),
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use envelope::{Address, MessageId, ReversePath};

    use super::*;
    use crate::tracking::{EventId, Source, TrackingEvent, folder};
    use crate::{Log, LogSettings};

    const HOUR: u64 = 3_600_000;
    const START: u64 = 1_795_335_330_250;

    fn event(number: u8, id: EventId, recipients: &[&str]) -> TrackingEvent {
        let sender = ReversePath::parse("anna@contoso.example").unwrap();
        let at = Timestamp::from_millis(START + u64::from(number) * HOUR);
        let mut event = TrackingEvent::new(at, id, Source::Smtp, MessageId::from_bytes([number; 16]), sender);
        let recipients = recipients.iter().map(|address| (Address::parse(address).unwrap(), None));
        event.recipients = recipients.collect();
        event.subject = Some("=Offer for the bank, \"final\"".into());
        event.internet_message_id = Some(format!("<{number}@contoso.example>").into());
        event.connector = "OSLO1\\Default".into();
        event.custom_data = format!("Rule=none;Trace=00-ab{number}-cd-01").into();
        event
    }

    fn written() -> tempfile::TempDir {
        let state = tempfile::tempdir().unwrap();
        for (prefix, id) in [("MSGTRK", EventId::Receive), ("MSGTRKMD", EventId::Deliver)] {
            let log = Log::new(LogSettings { folder: folder(state.path()), prefix, version: "0" }, || ());
            for number in 0..40 {
                log.record(event(number, id, &["olga@contoso.example", &format!("p{number}@fabrikam.example")]));
            }
        }
        state
    }

    fn found(query: &Query, limit: usize) -> Vec<(String, String)> {
        let state = written();
        let lines = search(&folder(state.path()), &PREFIXES, query, limit, || ControlFlow::Continue(())).unwrap();
        lines.iter().map(|line| (line.get("event-id").to_owned(), line.get("message-id").to_owned())).collect()
    }

    #[test]
    fn each_option_narrows_what_is_found() {
        // LG-23
        let at = |hours: u64| Some(Timestamp::from_millis(START + hours * HOUR));
        let text = |text: &str| Some(text.to_owned());
        let all = Query::default;
        for (query, count) in [
            (all(), 80),
            (Query { start: at(38), ..all() }, 4),
            (Query { end: at(2), ..all() }, 4),
            (Query { start: at(3), end: at(4), ..all() }, 2),
            (Query { event_id: text("deliver"), ..all() }, 40),
            (Query { source: text("DNS"), ..all() }, 0),
            (Query { message_id: text("7@contoso.example"), ..all() }, 2),
            (Query { message_id: text("<7@CONTOSO.example>"), ..all() }, 2),
            (Query { ids: vec!["AB12".into(), "none".into()], ..all() }, 2),
            (Query { ids: vec![MessageId::from_bytes([9; 16]).to_string()], ..all() }, 2),
            (Query { recipients: vec!["p1@fabrikam.example".into(), "p2@".into()], ..all() }, 4),
            (Query { recipients: vec!["@contoso.example".into()], ..all() }, 80),
            (Query { sender: text("Anna@Contoso.Example"), ..all() }, 80),
            (Query { sender: text("<>"), ..all() }, 0),
            (Query { subject: text("=OFFER for the bank, \"f"), ..all() }, 80),
            (Query { connector: text("default"), ..all() }, 80),
        ] {
            assert_eq!(found(&query, RESULTS_DEFAULT).len(), count, "{query:?}");
        }
    }

    #[test]
    fn the_newest_are_found_and_told_the_oldest_first() {
        let names: Vec<_> = found(&Query::default(), 4).into_iter().map(|(_, id)| id).collect();
        assert_eq!(
            names,
            ["<38@contoso.example>", "<38@contoso.example>", "<39@contoso.example>", "<39@contoso.example>"]
        );
        let nothing =
            search(Path::new("/no/such/folder"), &PREFIXES, &Query::default(), 4, || ControlFlow::Continue(()));
        assert_eq!(nothing.unwrap(), []);
    }
}
