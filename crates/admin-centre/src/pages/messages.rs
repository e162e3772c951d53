//! Message trace: what became of mail, whoever sent it (WA-25), and one message as a waterfall over all servers (AP-18).

use std::collections::BTreeMap;
use std::time::Duration;

use envelope::Timestamp;

use super::{Answered, Outcome, Trouble, segment, waterfall};
use crate::centre::Visit;
use crate::estate::{TrackView, Tracking};
use crate::text::{counted, some};
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Messages that are listed, the newest.
const LISTED: usize = 100;
/// Ways of writing a time.
const TIMES: &str = "2h for two hours ago, 1d, or 2026-11-22T10:03 (UTC)";

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let ask = visit.ask;
    let mut sheet = Sheet::new("Messages").says(
        "What became of mail: from any sender, by any way, on all servers. A search is written into the audit log.",
    );
    let mut wrong: Vec<(&str, String)> = Vec::new();
    let mut time = |name: &'static str| {
        let typed = ask.query(name).trim();
        if typed.is_empty() {
            return None;
        }
        let read = read_time(typed, visit.now);
        if read.is_none() {
            wrong.push((name, format!("write {TIMES}")));
        }
        read
    };
    let (start, end) = (time("start"), time("end"));
    let text = |name: &str| Some(ask.query(name).trim().to_owned()).filter(|text| !text.is_empty());
    for name in ["sender", "recipient"] {
        if text(name).is_some_and(|typed| !typed.contains('@') && typed != "<>") {
            wrong.push((name, "write an address, @domain or name@".to_owned()));
        }
    }
    sheet.form(form(visit, &wrong));
    if ask.query.iter().all(|(name, value)| value.is_empty() || name == "as") {
        sheet.add(Block::Prose(Bits::of(vec![
            Bit::text("For example:"),
            Bit::link("/messages?start=1h", "the last hour"),
            Bit::link("/messages?event=FAIL&start=1d", "what failed since yesterday"),
            Bit::link("/messages?event=DEFER&start=1h", "what was deferred in the last hour"),
        ])));
        return Ok(Outcome::Sheet(sheet));
    }
    if !wrong.is_empty() {
        sheet.status = 422;
        return Ok(Outcome::Sheet(sheet));
    }
    let wanted = Tracking {
        id: text("id"),
        sender: text("sender"),
        recipient: text("recipient"),
        subject: text("subject"),
        event: text("event"),
        start,
        end,
        limit: LISTED,
    };
    let (lines, failed) = visit.ruled.track(wanted).await?;
    not_asked(&mut sheet, &failed);
    sheet.grid(found(&lines));
    sheet.add(Block::More { title: "The same as a command".to_owned(), text: command(visit) });
    Ok(Outcome::Sheet(sheet))
}

fn command(visit: &Visit<'_>) -> String {
    let mut out = "postroad track".to_owned();
    for (name, value) in visit.ask.query.iter().filter(|(name, value)| !value.is_empty() && name != "as") {
        let value = value.replace('\'', "'\\''");
        out += &if name == "id" { format!(" '{value}'") } else { format!(" --{name} '{value}'") };
    }
    out
}

fn not_asked(sheet: &mut Sheet, failed: &[String]) {
    if !failed.is_empty() {
        let title = format!("{} could not be asked", some(failed.len(), "server", "servers"));
        sheet.notice(Tone::Warn, title, failed.iter().map(|text| text.clone().into()).collect());
    }
}

/// `2h`, `1d`, `30m`, or a time of ISO 8601.
fn read_time(typed: &str, now: Timestamp) -> Option<Timestamp> {
    let seconds = match typed.chars().next_back()? {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return iso(typed),
    };
    let number = &typed[..typed.len() - 1];
    let number: u64 = number.parse().ok().filter(|number| *number < 100_000)?;
    Some(now.minus(Duration::from_secs(number * seconds)))
}

/// Days since the epoch by counting months as [`Timestamp::to_iso8601`] does, the other way round.
fn iso(typed: &str) -> Option<Timestamp> {
    let (date, time) = typed.trim_end_matches('Z').split_once(['T', ' ']).unwrap_or((typed, "00:00"));
    let mut parts = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let mut clock = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().flatten().unwrap_or_default());
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = Duration::try_from_secs_f64(hour * 3_600.0 + minute * 60.0 + second).ok()?;
    let days = days.checked_sub(719_468)?;
    Some(Timestamp::from_millis(days * 86_400_000).plus(seconds))
}

fn form(visit: &Visit<'_>, wrong: &[(&str, String)]) -> Form {
    let ask = visit.ask;
    let field = |name: &str, label: &str| {
        let why = wrong.iter().find(|(at, _)| *at == name).map(|(_, why)| why.clone()).unwrap_or_default();
        Field::line(name, label, ask.query(name)).with(Entry::Line { kind: "search", complete: "off" }).wrong(why)
    };
    let events = ["", "RECEIVE", "SEND", "DELIVER", "DEFER", "FAIL", "EXPAND", "RESUBMIT", "DSN"];
    let events = events.map(|word| (word.to_owned(), if word.is_empty() { "any".to_owned() } else { word.to_owned() }));
    Form {
        action: "/messages".to_owned(),
        get: true,
        row: true,
        groups: vec![Group {
            fields: vec![
                field("recipient", "Recipient"),
                field("sender", "Sender"),
                field("subject", "Subject contains"),
                field("id", "Message id"),
                field("start", "From").helped(TIMES),
                field("end", "Until"),
                Field::line("event", "Event", ask.query("event")).with(Entry::Select(events.to_vec())),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::new("Search", "", "", "primary")],
        ..Form::default()
    }
}

/// What became of the recipients of a message, in one word (AC-48).
fn state(lines: &[&TrackView]) -> (Tone, &'static str) {
    let has = |event: &str| lines.iter().any(|line| line.event == event);
    match () {
        () if has("FAIL") => (Tone::Bad, "failed"),
        () if has("DELIVER") || has("SEND") => (Tone::Good, "delivered"),
        () if has("DEFER") => (Tone::Warn, "deferred"),
        () => (Tone::Plain, "pending"),
    }
}

/// Lines by message, the newest message first.
fn by_message(lines: &[TrackView]) -> Vec<Vec<&TrackView>> {
    let mut all: BTreeMap<&str, Vec<&TrackView>> = BTreeMap::new();
    for line in lines {
        all.entry(&line.message).or_default().push(line);
    }
    let mut all: Vec<Vec<&TrackView>> = all.into_values().collect();
    all.sort_by_key(|lines| std::cmp::Reverse(lines.first().map_or(0, |line| line.at)));
    all
}

fn found(lines: &[TrackView]) -> Grid {
    let columns = vec![
        Column::new("Subject", "MessageSubject"),
        Column::new("Sender", "Sender"),
        Column::new("Recipients", "Recipients"),
        Column::new("State", ""),
        Column::new("Time", "Timestamp"),
        Column::number("Size (KB)", "TotalBytes"),
        Column::new("Servers", ""),
    ];
    let mut grid = Grid::new("Messages, the newest first", columns);
    for lines in by_message(lines) {
        let first = |get: &dyn Fn(&TrackView) -> String| {
            lines.iter().map(|line| get(line)).find(|text| !text.is_empty()).unwrap_or_default()
        };
        let subject = first(&|line| line.subject.clone());
        let subject = if subject.is_empty() { "(no subject)".to_owned() } else { subject };
        let mut to: Vec<&str> = lines.iter().flat_map(|line| line.recipients.iter().map(String::as_str)).collect();
        to.sort_unstable();
        to.dedup();
        let mut servers: Vec<&str> = lines.iter().map(|line| line.server.as_str()).collect();
        let mut seen = std::collections::HashSet::new();
        servers.retain(|server| seen.insert(*server));
        let (tone, word) = state(&lines);
        let octets = lines.iter().map(|line| line.octets).max().unwrap_or_default();
        grid.row(vec![
            Bit::link(format!("/messages/{}", segment(&lines[0].message)), subject).into(),
            first(&|line| line.sender.clone()).into(),
            super::objects::few(&to.join("\n"), 3),
            Bit::Badge(tone, word.to_owned()).into(),
            Bit::Time(Timestamp::from_millis(lines[0].at)).into(),
            counted(octets.div_ceil(1024)).into(),
            servers.join(" → ").into(),
        ]);
    }
    grid.empty = "Nothing was found. Times are UTC; logs are kept for 30 days.".into();
    grid.foot = Bits::of(vec![Bit::Quiet(some(grid.rows.len(), "message", "messages"))]);
    grid
}

pub(crate) async fn one(visit: &Visit<'_>, id: &str) -> Answered {
    let wanted = Tracking { id: Some(id.to_owned()), limit: 10, ..Tracking::default() };
    let (lines, failed) = visit.ruled.track(wanted).await?;
    if lines.is_empty() {
        let near = vec![
            "Messages are known by their Message-ID, by the id of a log line or reply, and by the id of their trace."
                .into(),
            Bit::link("/messages?start=1h", "Those of the last hour").into(),
        ];
        return Err(Trouble::Missing { what: format!("No server knows a message {id}"), near });
    }
    let all: Vec<&TrackView> = lines.iter().collect();
    let first = |get: &dyn Fn(&TrackView) -> &str| {
        all.iter().map(|line| get(line)).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    };
    let subject = first(&|line| &line.subject);
    let mut sheet =
        Sheet::new(if subject.is_empty() { "(no subject)".to_owned() } else { subject }).under("/messages", "Messages");
    not_asked(&mut sheet, &failed);
    let (tone, word) = state(&all);
    let took = Duration::from_millis(all[all.len() - 1].at.saturating_sub(all[0].at));
    let sender = first(&|line| &line.sender);
    sheet.add(Block::Facts(vec![
        ("State".into(), String::new(), Bit::Badge(tone, word.to_owned()).into()),
        ("Sender".into(), "Sender".to_owned(), sender.clone().into()),
        ("Message-ID".into(), "MessageId".to_owned(), Bit::Code(first(&|line| &line.internet_id)).into()),
        ("Received".into(), String::new(), Bit::Time(Timestamp::from_millis(all[0].at)).into()),
        ("Time so far".into(), String::new(), waterfall::span(took).into()),
    ]));
    sheet.heading("Its way");
    sheet.add(Block::Picture {
        svg: waterfall::draw(&all),
        about: "Each step on its server; the table below says the same.".to_owned(),
    });
    sheet.grid(waterfall::table(&all));
    recipients(&mut sheet, &all, &sender);
    Ok(Outcome::Sheet(sheet))
}

/// What became of each recipient, and why it goes where it goes by the configuration of now.
fn recipients(sheet: &mut Sheet, lines: &[&TrackView], sender: &str) {
    let mut last: BTreeMap<&str, &TrackView> = BTreeMap::new();
    for line in lines {
        for recipient in &line.recipients {
            last.insert(recipient, line);
        }
    }
    let columns = vec![
        Column::new("Recipient", "Recipients"),
        Column::new("State", ""),
        Column::new("Last", ""),
        Column::new("What was said", "RecipientStatus"),
        Column::new("Why so", ""),
    ];
    let mut grid = Grid::new("Recipients", columns);
    let expands = lines.iter().any(|line| line.event == "EXPAND");
    for (recipient, line) in last {
        let (tone, word) = match line.event.as_str() {
            // The group itself: its members are the others.
            "RECEIVE" | "SUBMIT" if expands => (Tone::Plain, "group expanded"),
            _ => state(&[line]),
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("recipient", recipient).append_pair("sender", sender).append_pair("from", &line.server);
        grid.row(vec![
            recipient.to_owned().into(),
            Bit::Badge(tone, word.to_owned()).into(),
            format!("{} {}", line.event, line.source).into(),
            line.status.clone().into(),
            Bit::link(format!("/explain?{}", query.finish()), "Explain by the configuration of now").into(),
        ]);
    }
    sheet.grid(grid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let now = Timestamp::from_millis(1_780_000_000_000);
        for text in ["2026-11-22T10:03:00.000Z", "2024-02-29T23:59:59.000Z", "1999-12-31T00:00:00.000Z"] {
            assert_eq!(read_time(text, now).unwrap().to_iso8601(), text);
        }
        assert_eq!(read_time("2h", now), Some(now.minus(Duration::from_secs(7200))));
        for wrong in ["", "h", "yesterday", "2026-13-01", "é", "999999999999999999d"] {
            assert_eq!(read_time(wrong, now), None, "{wrong}");
        }
    }
}
