//! What message tracking logs say, for `postroad track` and `postroad trace`: found on all servers, put together by message, and
//! printed.

use std::collections::{BTreeMap, HashMap, HashSet};

use admin_api::tracking::NAMED_MAX;
use envelope::ServerName;
use logs::search::{Line, Query, RESULTS_DEFAULT};
use logs::tracking::FIELDS;
use serde_json::{Map, Value};

use super::output;
use super::queued::Transports;
use crate::answers::Palette;

/// Recipients of a line that are named; the rest is counted.
const RECIPIENTS_SHOWN: usize = 5;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The lines that are looked for.
    Lines,
    /// The whole way of the messages that they are about.
    Whole,
}

/// A line, and the server that wrote it.
pub(crate) struct Tracked {
    pub(crate) server: ServerName,
    pub(crate) line: Line,
}

/// What a person names a message by: a Message-ID has an `@`, other ids have none.
pub(crate) fn named(text: &str) -> Query {
    if text.contains('@') || text.starts_with('<') {
        Query { message_id: Some(text.to_owned()), ..Query::default() }
    } else {
        Query { ids: vec![text.to_owned()], ..Query::default() }
    }
}

/// Whom mail is looked for by: an address, `@DOMAIN` or `NAME@`. What has no `@` would be found nowhere.
pub(crate) fn recipient(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Ok(text.to_owned());
    }
    Err(format!("write an address, {text}@ for that name in every domain, or @{text} for a domain"))
}

/// The same, or `<>` for notifications.
pub(crate) fn sender(text: &str) -> Result<String, String> {
    if text == "<>" { Ok(text.to_owned()) } else { recipient(text) }
}

/// What `servers` have written about what `query` looks for, by time, and those that could not be asked. `limit`: of
/// messages where they are told whole, of lines of each server otherwise.
///
/// # Errors
/// When no server could be asked.
pub(crate) async fn find(
    transports: &Transports,
    servers: &[ServerName],
    query: &Query,
    limit: usize,
    shape: Shape,
) -> anyhow::Result<(Vec<Tracked>, Vec<String>)> {
    let lines = if shape == Shape::Lines { limit } else { RESULTS_DEFAULT.max(limit) };
    let (found, failed) = ask(transports, servers, query, lines).await?;
    if shape == Shape::Lines || found.is_empty() {
        return Ok((found, failed));
    }
    // The newest messages; the rest of what became of them may stand on any server, at any time.
    let (mut ids, mut known): (Vec<String>, HashSet<&str>) = (Vec::new(), HashSet::new());
    for tracked in found.iter().rev() {
        let id = identity(&tracked.line);
        if ids.len() < limit.min(NAMED_MAX) && known.insert(id) {
            ids.push(id.to_owned());
        }
    }
    let whole = Query { ids, ..Query::default() };
    let (found, mut failed_now) = ask(transports, &transports.servers(), &whole, logs::search::RESULTS_MAX).await?;
    failed_now.extend(failed);
    failed_now.sort();
    failed_now.dedup();
    Ok((found, failed_now))
}

async fn ask(
    transports: &Transports,
    servers: &[ServerName],
    query: &Query,
    limit: usize,
) -> anyhow::Result<(Vec<Tracked>, Vec<String>)> {
    let asked = servers.iter().map(|server| async move { (server, transports.track(server, query, limit).await) });
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (server, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(lines) => found.extend(lines.into_iter().map(|line| Tracked { server: server.clone(), line })),
            Err(error) => failed.push(format!("{server}: {error:#}")),
        }
    }
    if failed.len() == servers.len() {
        anyhow::bail!("no server could be asked\n       {}", failed.join("\n       "));
    }
    found.sort_by(|one, other| one.line.get("date-time").cmp(other.line.get("date-time")));
    Ok((found, failed))
}

/// The same for all lines about a message, on every server: its trace, else its id on that server.
pub(crate) fn identity(line: &Line) -> &str {
    line.trace_id().unwrap_or_else(|| line.get("network-message-id"))
}

/// Each message under a heading, the oldest first.
pub(crate) fn text(found: &[Tracked], limit: usize, palette: Palette) -> String {
    let mut messages: BTreeMap<usize, Vec<&Tracked>> = BTreeMap::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for tracked in found {
        let next = places.len();
        let at = *places.entry(identity(&tracked.line)).or_insert(next);
        messages.entry(at).or_default().push(tracked);
    }
    let mut out = String::new();
    for lines in messages.values() {
        out += &message(lines, palette);
        out.push('\n');
    }
    out + &match messages.len() {
        0 => "Nothing was found. Times are in UTC; logs are kept for 30 days.\n".to_owned(),
        1 => "1 message.\n".to_owned(),
        count if count >= limit => format!("{count} messages, the newest; --limit tells of more.\n"),
        count => format!("{count} messages.\n"),
    }
}

fn message(lines: &[&Tracked], palette: Palette) -> String {
    let first = |name: &str| lines.iter().map(|tracked| tracked.line.get(name)).find(|text| !text.is_empty());
    let subject = first("message-subject").map(|subject| format!("  {subject}")).unwrap_or_default();
    let sender = first("return-path").unwrap_or("<>");
    let mut out = format!("{}{subject}\n", palette.bold(first("message-id").unwrap_or("(no Message-ID was seen)")));
    let trace = lines.iter().find_map(|tracked| tracked.line.trace_id());
    let trace = trace.map(|trace| format!(", trace {trace}")).unwrap_or_default();
    out += &format!("  {}\n", palette.quiet(&format!("from {sender}{trace}")));
    let rows: Vec<Vec<String>> = lines.iter().map(|tracked| row(tracked)).collect();
    for (line, tracked) in output::table(&rows).lines().zip(lines) {
        let line = match tracked.line.get("event-id") {
            "FAIL" => palette.bad(line),
            "DEFER" => palette.changed(line),
            "DELIVER" | "SEND" => palette.good(line),
            _ => line.to_owned(),
        };
        out += &format!("  {line}\n");
    }
    out
}

/// When, where, what, and about whom.
fn row(tracked: &Tracked) -> Vec<String> {
    let line = &tracked.line;
    let at = line.get("date-time").get(..23).unwrap_or_default().replace('T', " ");
    let event = format!("{} {}", line.get("event-id"), line.get("source"));
    vec![at, tracked.server.to_string(), event, about(line)]
}

/// `bob@partner.example by Partner to relay.partner.example: 250 2.0.0 Ok`.
fn about(line: &Line) -> String {
    let recipients: Vec<&str> = line.get("recipient-address").split(';').filter(|text| !text.is_empty()).collect();
    let mut named: Vec<String> = recipients.iter().take(RECIPIENTS_SHOWN).map(|name| (*name).to_owned()).collect();
    if recipients.len() > RECIPIENTS_SHOWN {
        named.push(format!("{} more", recipients.len() - RECIPIENTS_SHOWN));
    }
    let mut text = named.join(", ");
    let mut add = |before: &str, what: &str| {
        if !what.is_empty() {
            text += &format!(" {before}{what}");
        }
    };
    add("was ", line.get("related-recipient-address"));
    add("by ", line.get("connector-id"));
    match line.get("event-id") {
        "RECEIVE" => add("from ", line.get("client-hostname")),
        "SEND" | "DEFER" | "FAIL" => add("to ", line.get("server-hostname")),
        _ => {}
    }
    // Each status once: a thousand recipients are refused for one reason.
    let mut statuses = statuses(line.get("recipient-status"));
    statuses.retain(|status| !status.is_empty());
    statuses.dedup();
    add("– ", &statuses.join(", "));
    if statuses.is_empty() {
        add("– ", line.get("source-context"));
    }
    text
}

/// The statuses of a list: replies, which may hold semicolons themselves, and empty ones.
fn statuses(list: &str) -> Vec<&str> {
    let is_code = |text: &str| {
        text.len() >= 4 && text.as_bytes()[..3].iter().all(u8::is_ascii_digit) && text.as_bytes()[3] == b' '
    };
    let (mut found, mut from) = (Vec::new(), 0);
    for (at, _) in list.match_indices(';') {
        let rest = &list[at + 1..];
        if is_code(rest) || rest.is_empty() || rest.starts_with(';') || list[from..at].is_empty() {
            found.push(&list[from..at]);
            from = at + 1;
        }
    }
    found.push(&list[from..]);
    found
}

/// JSON Lines, with the documented names: dashes removed, `timestamp`, `recipients`, `sender` (LG-23).
pub(crate) fn json(found: &[Tracked]) -> anyhow::Result<String> {
    let mut text = String::new();
    for tracked in found {
        let mut object = Map::new();
        object.insert("server".to_owned(), tracked.server.as_str().into());
        object.insert("log".to_owned(), tracked.line.prefix.into());
        for name in FIELDS.split(',') {
            object.insert(json_name(name), value(name, tracked.line.get(name)));
        }
        text += &serde_json::to_string(&Value::Object(object))?;
        text.push('\n');
    }
    Ok(text)
}

fn json_name(name: &str) -> String {
    match name {
        "date-time" => return "timestamp".to_owned(),
        "recipient-address" => return "recipients".to_owned(),
        "sender-address" => return "sender".to_owned(),
        _ => {}
    }
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &head.to_uppercase() + tail
    })
}

fn value(name: &str, text: &str) -> Value {
    match name {
        "recipient-address" | "recipient-status" if text.is_empty() => Value::Array(Vec::new()),
        "recipient-address" => text.split(';').map(Value::from).collect(),
        "recipient-status" => statuses(text).into_iter().map(Value::from).collect(),
        "total-bytes" | "recipient-count" | "log-id" => text.parse::<u64>().map_or(Value::Null, Value::from),
        _ if text.is_empty() => Value::Null,
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(time: &str, server: &str, event: &str, trace: &str, status: &str) -> Tracked {
        let fields = FIELDS.split(',').map(|name| match name {
            "date-time" => format!("2026-11-22T{time}.000Z"),
            "event-id" => event.to_owned(),
            "source" => "SMTP".to_owned(),
            "return-path" => "anna@contoso.example".to_owned(),
            "recipient-address" => "bob@partner.example;eve@partner.example".to_owned(),
            "recipient-status" => status.to_owned(),
            "connector-id" => "Partner".to_owned(),
            "message-id" if event == "RECEIVE" => "<1@contoso.example>".to_owned(),
            "message-subject" if event == "RECEIVE" => "Offer".to_owned(),
            "custom-data" => format!("Trace=00-{trace}-cd-01"),
            "total-bytes" => "120".to_owned(),
            _ => String::new(),
        });
        Tracked {
            server: ServerName::parse(server).unwrap(),
            line: Line { prefix: "MSGTRK", fields: fields.collect() },
        }
    }

    #[test]
    fn lines_are_told_by_message_with_what_each_says() {
        let found = [
            tracked("10:03:00", "BERLIN1", "RECEIVE", "aa", ""),
            tracked("10:03:00", "BERLIN1", "RECEIVE", "bb", ""),
            tracked("10:03:01", "OSLO1", "FAIL", "aa", "550 5.1.1 no;550 5.1.1 no"),
        ];
        let plain = Palette { colours: false, width: 200 };
        assert_eq!(
            text(&found, 50, plain),
            "\
<1@contoso.example>  Offer
  from anna@contoso.example, trace aa
  2026-11-22 10:03:00.000  BERLIN1  RECEIVE SMTP  bob@partner.example, eve@partner.example by Partner
  2026-11-22 10:03:01.000  OSLO1    FAIL SMTP     bob@partner.example, eve@partner.example by Partner – 550 5.1.1 no

<1@contoso.example>  Offer
  from anna@contoso.example, trace bb
  2026-11-22 10:03:00.000  BERLIN1  RECEIVE SMTP  bob@partner.example, eve@partner.example by Partner

2 messages.
"
        );
        assert!(text(&[], 50, plain).starts_with("Nothing was found."));
    }

    #[test]
    fn replies_with_semicolons_are_told_apart() {
        for (list, expected) in [
            ("550 5.1.1 RESOLVER.ADR; not found", vec!["550 5.1.1 RESOLVER.ADR; not found"]),
            ("250 2.1.5 ok;550 5.1.1 a; b;250 2.1.5 ok", vec!["250 2.1.5 ok", "550 5.1.1 a; b", "250 2.1.5 ok"]),
            ("250 2.1.5 ok;", vec!["250 2.1.5 ok", ""]),
            (";;451 4.4.0 a", vec!["", "", "451 4.4.0 a"]),
        ] {
            assert_eq!(statuses(list), expected, "{list}");
        }
    }

    #[test]
    fn programs_read_the_documented_names() {
        // LG-23
        let line = json(&[tracked("10:03:00", "OSLO1", "FAIL", "aa", "550 5.1.1 no;250 2.1.5 ok")]).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&object["timestamp"], &object["totalBytes"]), (&"2026-11-22T10:03:00.000Z".into(), &120.into()));
        assert_eq!(object["recipientStatus"], serde_json::json!(["550 5.1.1 no", "250 2.1.5 ok"]));
        assert_eq!((&object["server"], &object["messageSubject"]), (&"OSLO1".into(), &Value::Null));
        assert_eq!(object.as_object().unwrap().len(), 32);
    }
}
