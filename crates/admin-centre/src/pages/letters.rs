//! One queue with its messages: the Queue Viewer's third tab (AC-62…68), and what is done to messages.

use std::sync::Arc;

use authority::{Act, Feature};
use envelope::{ServerName, Timestamp};

use super::queue_words::{handling, queue_id, reason, status};
use super::{Answered, Outcome, Trouble, missing, proof, segment};
use crate::centre::Visit;
use crate::estate::{Handling, LetterView, Letters, QueueView};
use crate::request::Pairs;
use crate::ruled::Denied;
use crate::text::{counted, some};
use crate::view::{Bit, Bits, Block, Button, Column, Form, Grid, GridRow, Sheet, Tone};

/// Messages that are shown of a queue.
const SHOWN: u32 = 200;
/// Messages that an action on a queue is done to.
const ACTED: u32 = 10_000;

/// Actions on messages: word, label, class.
const ACTIONS: [(&str, &str, &str); 4] = [
    ("suspend-message", "Suspend", ""),
    ("resume-message", "Resume", ""),
    ("remove-ndr", "Remove (with NDR) …", "danger"),
    ("remove", "Remove (without NDR) …", "danger"),
];

/// The server of a queue, and its integer there.
async fn place(visit: &Visit<'_>, server: &str, number: &str) -> Result<(ServerName, u64), Trouble> {
    let organization = visit.ruled.organization().await?;
    let known = organization.servers().iter().find(|known| known.name.as_str().eq_ignore_ascii_case(server));
    let server = known.map(|known| known.name.clone()).ok_or_else(|| missing("server", server))?;
    Ok((server, number.parse().map_err(|_| missing("queue", number))?))
}

fn of_number(queues: &[QueueView], server: &ServerName, number: u64) -> Result<QueueView, Trouble> {
    let queue = queues.iter().find(|queue| queue.number == number).cloned();
    queue.ok_or_else(|| missing("queue any more: its messages went on.", &format!("{server}\\{number}")))
}

/// A queue as it is now: something is done to it.
async fn found(visit: &Visit<'_>, server: &str, number: &str) -> Result<(ServerName, QueueView), Trouble> {
    let (server, number) = place(visit, server, number).await?;
    let queues = visit.ruled.queues(&server).await?;
    let queue = of_number(&queues, &server, number)?;
    Ok((server, queue))
}

/// A page about a queue of which nothing is known yet, or nothing can be.
fn unknown(server: &ServerName, number: u64, why: Option<String>) -> Sheet {
    let mut sheet = Sheet::new(format!("{server}\\{number}")).under("/queues", "Queues");
    sheet.live = true;
    match why {
        Some(why) => sheet.notice(Tone::Warn, format!("{server} does not answer"), vec![why.into()]),
        None => sheet.notice(Tone::Plain, format!("{server} is being asked"), Vec::new()),
    }
    sheet
}

pub(crate) async fn queue(visit: &Visit<'_>, server: &str, number: &str) -> Answered {
    let (server, number) = place(visit, server, number).await?;
    let last = visit.ruled.queues_known(std::slice::from_ref(&server)).await?.into_iter().next().unwrap_or_default();
    let Some((queues, at)) = last.value else { return Ok(Outcome::Sheet(unknown(&server, number, last.trouble))) };
    let queue = of_number(&queues, &server, number)?;
    let subjects = visit.ask.query("subjects") == "true";
    let letters = if subjects {
        let wanted = Letters { queue: Some(queue.number), subjects, limit: SHOWN };
        Arc::new(visit.ruled.letters(&server, wanted).await?)
    } else {
        let last = visit.ruled.letters_known(&server, Some(queue.number), SHOWN).await?;
        last.value.map(|(letters, _)| letters).unwrap_or_default()
    };
    let mut sheet = Sheet::new(queue_id(&server, &queue)).under("/queues", "Queues");
    // Each look at subjects is written down: none is taken by itself.
    sheet.live = !subjects;
    if let Some(why) = last.trouble {
        let lines = vec![Bits::of(vec![Bit::text("What is shown is of"), Bit::Time(at)]), why.into()];
        sheet.notice(Tone::Warn, format!("{server} does not answer"), lines);
    }
    let time =
        |time: Option<Timestamp>| time.map_or_else(|| Bit::Quiet("–".into()).into(), |time| Bit::Time(time).into());
    let mut hop = vec![Bit::text(&queue.domain)];
    if let Some(connector) = &queue.connector {
        hop.push(Bit::link(super::place_of(organization::Kind::SendConnector, connector), connector));
    }
    sheet.add(Block::Facts(vec![
        ("Next hop domain".into(), "NextHopDomain".to_owned(), Bits::of(hop)),
        ("Delivery type".into(), "DeliveryType".to_owned(), queue.delivery_type.clone().into()),
        ("Status".into(), "Status".to_owned(), status(&queue)),
        ("Messages".into(), "MessageCount".to_owned(), counted(queue.messages).into()),
        ("Attempts that failed".into(), "RetryCount".to_owned(), queue.retries.to_string().into()),
        ("Next retry".into(), "NextRetryTime".to_owned(), time(queue.next_retry)),
        ("Last retry".into(), "LastRetryTime".to_owned(), time(queue.last_retry)),
        ("Why".into(), "LastError".to_owned(), reason(&queue).into()),
    ]));
    let refused = visit.ruled.why_not(Act::Change(Feature::Queues));
    let of_queue = super::queue_words::ACTIONS
        .map(|(word, label, class)| Button::new(label, "do", word, class).unless(refused.clone()));
    sheet.form(Form {
        action: "/queues/act".to_owned(),
        hidden: vec![("queue".to_owned(), format!("{server}\\{}", queue.number))],
        buttons: of_queue.to_vec(),
        ..Form::default()
    });
    let place = format!("/queues/{}/{}", segment(server.as_str()), queue.number);
    let mut grid = table(&server, &letters, subjects);
    grid.choose = "message";
    if !subjects {
        sheet.add(Block::Prose(Bits::of(vec![
            Bit::Quiet("Subjects are content: a look at them is written into the audit log.".into()),
            Bit::link(format!("{place}?subjects=true"), "Show subjects"),
        ])));
    }
    let buttons = ACTIONS.map(|(word, label, class)| Button::new(label, "do", word, class).unless(refused.clone()));
    let empty = grid.rows.is_empty();
    sheet.form(Form {
        action: format!("{place}/act"),
        grid: Some(grid),
        buttons: if empty { Vec::new() } else { buttons.to_vec() },
        ..Form::default()
    });
    if letters.len() as u64 >= u64::from(SHOWN) {
        let text = format!("The first {SHOWN} of {}.", counted(queue.messages));
        sheet.add(Block::Prose(Bit::Quiet(text).into()));
    }
    Ok(Outcome::Sheet(sheet))
}

/// Messages as the Queue Viewer has them.
pub(crate) fn table(server: &ServerName, letters: &[LetterView], subjects: bool) -> Grid {
    let mut columns = vec![Column::new("From address", "FromAddress"), Column::new("Recipients", "Recipients")];
    if subjects {
        columns.push(Column::new("Subject", "Subject"));
    }
    columns.extend([
        Column::new("Status", "Status"),
        Column::number("Size (KB)", "Size"),
        Column::new("Received", "DateReceived"),
        Column::new("Expires", "ExpirationTime"),
        Column::number("Retries", "RetryCount"),
        Column::new("Source", "MessageSourceName"),
        Column::new("Last error", "LastError"),
    ]);
    let mut grid = Grid::new(format!("Messages on {server}"), columns);
    for letter in letters {
        let to: Vec<String> = letter.recipients.iter().map(ToString::to_string).collect();
        let id = letter.trace.as_deref().unwrap_or(&letter.id);
        let mut cells: Vec<Bits> = vec![
            Bit::link(format!("/messages/{}", segment(id)), &letter.from).into(),
            super::objects::few(&to.join("\n"), 3),
        ];
        if subjects {
            cells.push(letter.subject.clone().unwrap_or_default().into());
        }
        let tone = if letter.status == "Retry" { Tone::Warn } else { Tone::Plain };
        cells.extend::<[Bits; 7]>([
            Bit::Badge(tone, letter.status.clone()).into(),
            counted(letter.size.as_u64().div_ceil(1024)).into(),
            Bit::Time(letter.received).into(),
            Bit::Time(letter.expires).into(),
            letter.retries.to_string().into(),
            letter.source.clone().into(),
            letter.last_error.clone().or_else(|| letter.decision.clone()).unwrap_or_default().into(),
        ]);
        grid.rows.push(GridRow { cells, chosen_by: letter.number.to_string() });
    }
    grid.empty = "No message waits in it.".into();
    grid
}

/// The messages of queues, for what is done to messages only.
pub(crate) async fn of_queues(
    visit: &Visit<'_>,
    server: &ServerName,
    queues: &[(u64, Option<u64>)],
) -> Result<Vec<(u64, Option<u64>)>, Denied> {
    let mut all = Vec::new();
    for (queue, _) in queues {
        let wanted = Letters { queue: Some(*queue), subjects: false, limit: ACTED };
        let letters = visit.ruled.letters(server, wanted).await?;
        all.extend(letters.into_iter().map(|letter| (letter.queue, Some(letter.number))));
    }
    Ok(all)
}

/// What came of an action on a server.
pub(crate) fn outcome(server: &ServerName, done: &[Result<(), String>]) -> Vec<Bits> {
    let failed: Vec<&String> = done.iter().filter_map(|one| one.as_ref().err()).collect();
    let mut lines: Vec<Bits> = vec![Bits::of(vec![
        Bit::Strong(server.to_string()),
        Bit::text(format!("{} of {} done", done.len() - failed.len(), done.len())),
    ])];
    lines.extend(
        failed.iter().take(5).map(|why| Bits::of(vec![Bit::Badge(Tone::Bad, "not done".into()), Bit::text(why)])),
    );
    lines
}

pub(crate) async fn act(visit: &Visit<'_>, server: &str, number: &str) -> Answered {
    let (server, queue) = found(visit, server, number).await?;
    let said = visit.ask.field("do");
    let word = said.strip_prefix("yes-").unwrap_or(said);
    let Some(handling) = handling(word) else { return Err(Trouble::Wrong(format!("nothing is called {word}"))) };
    let chosen: Vec<u64> = visit.ask.fields("message").filter_map(|number| number.parse().ok()).collect();
    let place = format!("/queues/{}/{}", segment(server.as_str()), queue.number);
    if chosen.is_empty() {
        let mut sheet = Sheet::new("No message was chosen").under("/queues", "Queues").under(&place, &queue.name);
        sheet.notice(Tone::Plain, "Choose messages first; an action on all of them is one on the queue", Vec::new());
        return Ok(Outcome::Sheet(sheet));
    }
    if matches!(handling, Handling::Remove { .. })
        && let Some(first) = proof::wanted(visit, &place)
    {
        return Ok(first);
    }
    if matches!(handling, Handling::Remove { .. }) && !said.starts_with("yes-") {
        return Ok(Outcome::Sheet(confirm(visit, &server, &queue, &chosen, word).await?));
    }
    let on: Vec<(u64, Option<u64>)> = chosen.iter().map(|message| (queue.number, Some(*message))).collect();
    let done = visit.ruled.act(&server, handling, &on).await?;
    let mut sheet = Sheet::new("Done").under("/queues", "Queues").under(&place, &queue.name);
    sheet.notice(Tone::Good, crate::exchange::handling(handling), outcome(&server, &done));
    sheet.add(Block::Links(vec![Bit::link(place, "To the queue").into()]));
    Ok(Outcome::Sheet(sheet))
}

async fn confirm(
    visit: &Visit<'_>,
    server: &ServerName,
    queue: &QueueView,
    chosen: &[u64],
    word: &str,
) -> Result<Sheet, Trouble> {
    let wanted = Letters { queue: Some(queue.number), subjects: false, limit: ACTED };
    let mut letters = visit.ruled.letters(server, wanted).await?;
    letters.retain(|letter| chosen.contains(&letter.number));
    let place = format!("/queues/{}/{}", segment(server.as_str()), queue.number);
    let said = some(letters.len(), "message", "messages");
    let mut sheet = Sheet::new(format!("Remove {said}?")).under("/queues", "Queues").under(&place, &queue.name);
    letters.truncate(10);
    sheet.grid(table(server, &letters, false));
    let told = if word == "remove" { "Their senders are not told." } else { "Their senders are told." };
    sheet.add(Block::Prose(told.into()));
    let hidden: Pairs = chosen.iter().map(|number| ("message".to_owned(), number.to_string())).collect();
    sheet.form(Form {
        action: format!("{place}/act"),
        hidden,
        buttons: vec![Button::new(&format!("Remove {said}"), "do", &format!("yes-{word}"), "danger")],
        ..Form::default()
    });
    Ok(sheet)
}
