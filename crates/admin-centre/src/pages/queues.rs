//! Queues of all servers: by next hop and age (AP-17), with the columns and actions of the Queue Viewer (AC-64, AC-66), and one
//! queue with its messages. An action is on what the filter finds, with its number (WA-23).

use std::collections::BTreeMap;

use authority::{Act, Feature};
use envelope::{ServerName, Timestamp};
use topology::{Organization, Server};

use super::queue_words::{ACTIONS, handling, queue_id, reason, status, velocity};
use super::{Answered, Outcome, Trouble, heat, letters, missing, proof, segment};
use crate::centre::Visit;
use crate::estate::{Handling, QueueView};
use crate::request::{Pairs, find};
use crate::ruled::Denied;
use crate::text::{counted, some};
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Lines about servers of which not all is known, and names in a line.
const LINES_MAX: usize = 12;
const NAMES_MAX: usize = 8;

/// More than so many messages: their number is typed (WA-23).
const TYPED_FROM: u64 = 100;

/// Queues of all servers, as far as they are known.
#[derive(Default)]
pub(crate) struct Queued {
    pub(crate) all: Vec<(ServerName, QueueView)>,
    /// Servers of which nothing is known, and why.
    unknown: Vec<(ServerName, String)>,
    /// Servers that did not answer since they said what is shown of them.
    old: Vec<(ServerName, Timestamp, String)>,
    /// Servers that were asked and have not answered yet.
    coming: Vec<ServerName>,
}

impl Queued {
    /// Whether nobody knows what waits on a server.
    pub(crate) fn is_unknown(&self, server: &ServerName) -> bool {
        self.coming.contains(server) || self.unknown.iter().any(|(known, _)| known == server)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.unknown.is_empty() && self.old.is_empty() && self.coming.is_empty()
    }

    /// What is not known, or of before: a line for each reason.
    pub(crate) fn not_told(&self) -> Vec<Bits> {
        let mut lines = Vec::new();
        if !self.coming.is_empty() {
            let text = "being asked; what waits there comes when they answer";
            lines.push(Bits::of(vec![Bit::Strong(named(&self.coming)), Bit::text(text)]));
        }
        for (server, at, why) in &self.old {
            lines.push(Bits::of(vec![
                Bit::Strong(server.to_string()),
                Bit::text("is shown as of"),
                Bit::Time(*at),
                Bit::Quiet(why.clone()),
            ]));
        }
        let mut reasons: BTreeMap<String, Vec<ServerName>> = BTreeMap::new();
        for (server, why) in &self.unknown {
            // The same reason names the server that it is of.
            reasons.entry(why.replace(server.as_str(), "it")).or_default().push(server.clone());
        }
        for (why, servers) in reasons {
            lines.push(Bits::of(vec![Bit::Strong(named(&servers)), Bit::text("unknown, not empty:"), Bit::Quiet(why)]));
        }
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        if more > 0 {
            lines.push(format!("and {more} more servers").into());
        }
        lines
    }
}

/// Names, the first of them where they are many.
pub(crate) fn named(servers: &[ServerName]) -> String {
    let first: Vec<&str> = servers.iter().take(NAMES_MAX).map(ServerName::as_str).collect();
    match servers.len().saturating_sub(NAMES_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The servers that can be asked: those of this forest, and Edge servers that are announced all the same, as in a lab.
async fn asked(visit: &Visit<'_>, organization: &Organization) -> Vec<ServerName> {
    let services = visit.ruled.services_known().await.ok().and_then(|last| last.value);
    let services = services.map(|(services, _)| services).unwrap_or_default();
    let is_there = |server: &Server| services.iter().any(|one| one.server == server.name);
    let servers = organization.servers().iter().filter(|server| organization.is_own(server) || is_there(server));
    servers.map(|server| server.name.clone()).collect()
}

/// What is known of all servers. None is waited for that is down.
pub(crate) async fn gather(visit: &Visit<'_>, organization: &Organization) -> Result<Queued, Denied> {
    let servers = asked(visit, organization).await;
    let told = visit.ruled.queues_known(&servers).await?;
    let mut queued = Queued::default();
    for (server, last) in servers.into_iter().zip(told) {
        match (last.value, last.trouble) {
            (Some((queues, at)), trouble) => {
                queued.all.extend(queues.iter().map(|queue| (server.clone(), queue.clone())));
                queued.old.extend(trouble.map(|why| (server, at, why)));
            }
            (None, Some(why)) => queued.unknown.push((server, why)),
            (None, None) => queued.coming.push(server),
        }
    }
    Ok(queued)
}

/// The same, asked for now: something is done to what is there.
async fn ask(visit: &Visit<'_>, organization: &Organization) -> Result<Vec<(ServerName, QueueView)>, Denied> {
    let servers = asked(visit, organization).await;
    let asked = servers.iter().map(async |server| (server.clone(), visit.ruled.queues(server).await));
    let mut all = Vec::new();
    for (server, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(queues) => all.extend(queues.into_iter().map(|queue| (server.clone(), queue))),
            // Its queues are not among what is acted on: the page of the action says on which it is.
            Err(Denied::Away(_)) => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(all)
}

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    match (visit.ask.post, rest) {
        (false, []) => list(visit).await,
        (true, ["act"]) => act(visit).await,
        (false, [server, number]) => letters::queue(visit, server, number).await,
        (true, [server, number, "act"]) => letters::act(visit, server, number).await,
        _ => Err(missing("page", &visit.ask.path)),
    }
}

/// Whether a queue is one of those that a filter wants.
fn wants(filter: &Pairs, server: &ServerName, queue: &QueueView) -> bool {
    let has = |name: &str, text: &str| {
        let wanted = find(filter, name).trim().to_lowercase();
        wanted.is_empty() || text.to_lowercase().contains(&wanted)
    };
    let is = |name: &str, text: &str| {
        let wanted = find(filter, name).trim();
        wanted.is_empty() || wanted.eq_ignore_ascii_case(text)
    };
    is("server", server.as_str())
        && has("domain", &queue.domain)
        && is("status", &queue.status)
        && is("type", &queue.delivery_type)
        && is("connector", queue.connector.as_deref().unwrap_or_default())
        && has("error", queue.last_error.as_deref().unwrap_or_default())
        && (find(filter, "empty") == "true" || queue.messages > 0 || !find(filter, "status").is_empty())
}

async fn list(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let queued = gather(visit, &organization).await?;
    let mut sheet = Sheet::new("Queues").says("What waits on every server, for where, and why.");
    sheet.live = true;
    unknown(&mut sheet, &queued);
    let mut shown: Vec<&(ServerName, QueueView)> =
        queued.all.iter().filter(|(server, queue)| wants(&visit.ask.query, server, queue)).collect();
    shown.sort_by_key(|(server, queue)| (std::cmp::Reverse(queue.messages), server.to_string(), queue.number));
    let waiting: u64 = shown.iter().map(|(_, queue)| queue.messages).sum();
    sheet.add(Block::Prose(Bits::of(vec![
        Bit::Strong(said(waiting, shown.len())),
        Bit::link("/queues?status=Retry", "Only those in Retry"),
        Bit::link("/queues?type=Unreachable", "Only what has no way"),
        Bit::link("/queues?empty=true", "With empty ones"),
    ])));
    sheet.form(filter(visit));
    if let Some(grid) = heat::table(visit, &shown).await {
        sheet.grid(grid);
    }
    let mut grid = Grid::new("Queues", columns());
    grid.choose = "queue";
    for (server, queue) in shown.iter().take(super::objects::ROWS) {
        grid.rows.push(row(server, queue));
    }
    grid.empty = if queued.all.iter().all(|(_, queue)| queue.messages == 0) && queued.is_whole() {
        Bit::Badge(Tone::Good, "Nothing waits on any server that answers.".into()).into()
    } else {
        "No queue is so. Choose less in the filter.".into()
    };
    let is_cut = shown.len() > super::objects::ROWS;
    let refused = visit.ruled.why_not(Act::Change(Feature::Queues));
    let empty = grid.rows.is_empty();
    let buttons = ACTIONS.map(|(word, label, class)| Button::new(label, "do", word, class).unless(refused.clone()));
    let mut hidden: Pairs = visit.ask.query.iter().filter(|(name, _)| name != "as").cloned().collect();
    hidden.iter_mut().for_each(|(name, _)| *name = format!("filter.{name}"));
    sheet.form(Form {
        action: "/queues/act".to_owned(),
        hidden,
        grid: Some(grid),
        groups: Vec::new(),
        buttons: if empty { Vec::new() } else { buttons.to_vec() },
        ..Form::default()
    });
    if is_cut {
        // Beside the table, not in it: what changes with every message is sent alone.
        let text = format!("{} of {}, the longest; choose more in the filter.", super::objects::ROWS, shown.len());
        sheet.add(Block::Prose(Bit::Quiet(text).into()));
    }
    if !empty {
        sheet.add(Block::Prose(Bits::of(vec![Bit::Quiet(
            "With rows chosen an action is on those; with none, on all that the filter finds. The next page says how many.".into(),
        )])));
    }
    sheet.add(Block::More {
        title: "The same as a command".to_owned(),
        text: "Get-QueueDigest -Forest | Format-Table\nGet-Queue -Server <server> -Filter {MessageCount -gt 0}\npostroad queue --messages".to_owned(),
    });
    Ok(Outcome::Sheet(sheet))
}

fn unknown(sheet: &mut Sheet, queued: &Queued) {
    let lines = queued.not_told();
    if !lines.is_empty() {
        sheet.notice(Tone::Warn, "Not all is known", lines);
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("Queue", "Identity"),
        Column::new("Next hop", "NextHopDomain, DeliveryType"),
        Column::new("Status", "Status"),
        Column::number("Messages", "MessageCount"),
        Column::number("Velocity", "Velocity"),
        Column::new("Why", "LastError"),
        Column::new("Next and last retry", "NextRetryTime, LastRetryTime"),
    ]
}

fn row(server: &ServerName, queue: &QueueView) -> crate::view::GridRow {
    let to = format!("/queues/{}/{}", segment(server.as_str()), queue.number);
    let mut next = Vec::new();
    if queue.connector.as_deref() != Some(queue.domain.as_str()) {
        next.push(Bit::text(&queue.domain));
    }
    if let Some(connector) = &queue.connector {
        next.push(Bit::link(super::place_of(organization::Kind::SendConnector, connector), connector));
    }
    next.push(Bit::Break);
    next.push(Bit::Quiet(queue.delivery_type.clone()));
    let mut retries: Vec<Bit> = queue.next_retry.into_iter().map(Bit::Time).collect();
    if let Some(last) = queue.last_retry {
        retries.extend([Bit::Break, Bit::Quiet("last".into()), Bit::Time(last)]);
    }
    let mut row: crate::view::GridRow = vec![
        Bit::link(to, queue_id(server, queue)).into(),
        Bits::of(next),
        status(queue),
        counted(queue.messages).into(),
        velocity(queue).into(),
        reason(queue).into(),
        Bits::of(retries),
    ]
    .into();
    row.chosen_by = format!("{server}\\{}", queue.number);
    row
}

fn filter(visit: &Visit<'_>) -> Form {
    let ask = visit.ask;
    let search = Entry::Line { kind: "search", complete: "off" };
    let words = ["", "Active", "Connecting", "Ready", "Retry", "Suspended"];
    let states = words.map(|word| (word.to_owned(), if word.is_empty() { "any".to_owned() } else { word.to_owned() }));
    let field = |name: &str, label: &str| Field::line(name, label, ask.query(name)).with(search.clone());
    Form {
        action: "/queues".to_owned(),
        get: true,
        row: true,
        groups: vec![Group {
            fields: vec![
                field("domain", "Next hop domain contains"),
                field("server", "Server"),
                field("error", "Last error contains"),
                Field::line("status", "Status", ask.query("status")).with(Entry::Select(states.to_vec())),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::new("Show", "", "", "")],
        ..Form::default()
    }
}

/// `17 messages in 2 queues.`
fn said(messages: u64, queues: usize) -> String {
    let messages = some(usize::try_from(messages).unwrap_or(usize::MAX), "message", "messages");
    format!("{messages} in {}.", some(queues, "queue", "queues"))
}

/// First what would be done, with its number; then, if that is still so, done.
async fn act(visit: &Visit<'_>) -> Answered {
    let word = visit.ask.field("do").to_owned();
    let word = word.strip_prefix("yes-").map_or(word.as_str(), |word| word);
    let Some(handling) = handling(word) else { return Err(Trouble::Wrong(format!("nothing is called {word}"))) };
    let organization = visit.ruled.organization().await?;
    let queued = ask(visit, &organization).await?;
    let filter: Pairs = visit
        .ask
        .form
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("filter.")?.to_owned(), value.clone())))
        .collect();
    if let Some(first) = unproved(visit, handling, &filter) {
        return Ok(first);
    }
    let chosen: Vec<&str> = visit.ask.fields("queue").collect();
    let wanted: Vec<&(ServerName, QueueView)> = queued
        .iter()
        .filter(|(server, queue)| {
            let id = format!("{server}\\{}", queue.number);
            if chosen.is_empty() {
                wants(&filter, server, queue)
            } else {
                chosen.iter().any(|known| known.eq_ignore_ascii_case(&id))
            }
        })
        .collect();
    let messages: u64 = wanted.iter().map(|(_, queue)| queue.messages).sum();
    let agreed = visit.ask.field("messages").parse::<u64>().ok();
    let typed = visit.ask.field("confirm").replace(',', "").trim().parse::<u64>().ok();
    let needs_number = matches!(handling, Handling::Remove { .. }) && messages > TYPED_FROM;
    let said_yes = visit.ask.field("do").starts_with("yes-");
    // More than was shown is agreed to again (WA-23).
    let is_agreed = said_yes && agreed.is_some_and(|agreed| messages <= agreed) && (!needs_number || typed == agreed);
    if !is_agreed {
        return Ok(Outcome::Sheet(confirm(visit, word, &wanted, messages, said_yes, needs_number)));
    }
    let mut lines = Vec::new();
    let mut tone = Tone::Good;
    for server in organization.servers() {
        let of_it: Vec<(u64, Option<u64>)> =
            wanted.iter().filter(|(of, _)| *of == server.name).map(|(_, queue)| (queue.number, None)).collect();
        if of_it.is_empty() {
            continue;
        }
        match on_server(visit, &server.name, handling, of_it).await {
            Ok(done) => {
                if done.iter().any(Result::is_err) {
                    tone = Tone::Warn;
                }
                lines.extend(letters::outcome(&server.name, &done));
            }
            // Nothing was done anywhere yet.
            Err(refused @ Denied::Refused(_)) if lines.is_empty() => return Err(refused.into()),
            // What was done elsewhere is said, and the others are asked.
            Err(denied) => {
                tone = Tone::Warn;
                lines.push(not_done(&server.name, denied));
            }
        }
    }
    let (title, said) = if tone == Tone::Good { ("Done", "done") } else { ("Not all was done", "not all was done") };
    let mut sheet = Sheet::new(title).under("/queues", "Queues");
    sheet.notice(tone, format!("{}: {said}", crate::exchange::handling(handling)), lines);
    sheet.add(Block::Links(vec![Bit::link("/queues", "To the queues").into()]));
    Ok(Outcome::Sheet(sheet))
}

/// Mail that is removed is gone: whoever does it proves who he is. The filter is kept, rows are chosen again.
fn unproved(visit: &Visit<'_>, handling: Handling, filter: &Pairs) -> Option<Outcome> {
    let removes = matches!(handling, Handling::Remove { .. });
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(filter).finish();
    removes.then(|| proof::wanted(visit, &format!("/queues?{query}"))).flatten()
}

/// One thing done to queues of a server, or to all messages in them.
async fn on_server(
    visit: &Visit<'_>,
    server: &ServerName,
    handling: Handling,
    queues: Vec<(u64, Option<u64>)>,
) -> Result<Vec<Result<(), String>>, Denied> {
    let on = match handling {
        Handling::Remove { .. } => letters::of_queues(visit, server, &queues).await?,
        _ => queues,
    };
    visit.ruled.act(server, handling, &on).await
}

fn not_done(server: &ServerName, denied: Denied) -> Bits {
    let why = match denied {
        Denied::Refused(refusal) => refusal.to_string(),
        Denied::Away(why) => why,
    };
    Bits::of(vec![
        Bit::Strong(server.to_string()),
        Bit::Badge(Tone::Bad, "not known to be done".into()),
        Bit::text(why),
    ])
}

fn confirm(
    visit: &Visit<'_>,
    word: &str,
    wanted: &[&(ServerName, QueueView)],
    messages: u64,
    again: bool,
    needs_number: bool,
) -> Sheet {
    let label =
        ACTIONS.iter().find(|(known, _, _)| *known == word).map_or(word, |(_, label, _)| label.trim_end_matches(" …"));
    let mut sheet = Sheet::new(format!("{label}?")).under("/queues", "Queues");
    if wanted.is_empty() {
        sheet.notice(Tone::Plain, "No queue is meant", vec![Bit::link("/queues", "To the queues").into()]);
        return sheet;
    }
    if again {
        sheet.notice(
            Tone::Warn,
            "It is not what was shown any more",
            vec!["There is more now, or the number was not typed.".into()],
        );
    }
    sheet.add(Block::Prose(Bit::Strong(said(messages, wanted.len())).into()));
    let mut grid = Grid::new("Queues that are meant", columns());
    for (server, queue) in wanted.iter().take(10) {
        grid.rows.push(row(server, queue));
    }
    if wanted.len() > 10 {
        grid.foot = format!("and {} more", wanted.len() - 10).into();
    }
    sheet.grid(grid);
    let keep = |name: &str| name == "queue" || name.starts_with("filter.");
    let mut hidden: Pairs = visit.ask.form.iter().filter(|(name, _)| keep(name)).cloned().collect();
    hidden.push(("messages".to_owned(), messages.to_string()));
    let mut groups = Vec::new();
    if needs_number {
        let field = Field::line("confirm", &format!("Type the number of messages, {}", counted(messages)), "");
        groups.push(Group { fields: vec![field], ..Group::default() });
    }
    let class = if word.starts_with("remove") { "danger" } else { "primary" };
    let said = format!("{label}: {}", some(wanted.len(), "queue", "queues"));
    sheet.form(Form {
        action: "/queues/act".to_owned(),
        hidden,
        groups,
        buttons: vec![Button::new(&said, "do", &format!("yes-{word}"), class)],
        ..Form::default()
    });
    sheet.add(Block::Links(vec![Bit::link("/queues", "Do nothing").into()]));
    sheet
}
