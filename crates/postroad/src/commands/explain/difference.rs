//! `postroad explain --diff`: what would change for recipients if the organization became what a file says.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use envelope::ServerName;
use inquiry::{AnswerChange, Difference, Inquiry, KnownRecipients, Subject, Tally, differences_of};
use organization::Document;
use serde::Serialize;

use super::super::source::Opened;
use super::super::{organization_file, output};
use super::Questions;
use crate::answers::{Gateways, Line, Palette, legend, line, reason, short, wrapped};

/// Where the text beside a label begins.
const INDENT: usize = 10;

pub(super) async fn run(opened: &Opened, asked: &Questions, path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let file = organization_file::read(path)?;
    let (is, shall) = (&opened.organization, &file.contents.organization);
    let subjects: Vec<_> = asked.within(is)?.into_iter().zip(asked.within(shall)?).collect();
    let both: Vec<Subject> = subjects.iter().flat_map(|(before, after)| [before.clone(), after.clone()]).collect();
    let known = opened.known(&both, &[is, shall]).await?;
    // As `apply` does: a file that does not speak of recipients leaves them as they are.
    let has_recipients = Document::parse(&file.text).is_ok_and(|document| document.has_recipients());
    let wanted = if has_recipients { KnownRecipients::all(file.contents.recipients) } else { known.clone() };
    let mut before = Inquiry::new(opened.organization.clone(), known);
    let mut after = Inquiry::new(Arc::new(file.contents.organization), wanted);
    let differences = differences_of(&subjects, &mut before, &mut after)?;
    let summary = Tally::of(subjects.len(), &differences);
    if json {
        output::print_json(&lines(&differences, summary)?)?;
    } else {
        let palette = Palette::of_output();
        let text = text(&differences, summary, palette);
        let legend = legend(&text, palette);
        output::print(&format!("{text}{}{legend}", if legend.is_empty() { "" } else { "\n" }))?;
    }
    Ok(if summary.changed() == 0 { ExitCode::SUCCESS } else { ExitCode::from(output::CHANGED) })
}

/// What changes, in words.
pub(crate) fn text(differences: &[Difference], summary: Tally, palette: Palette) -> String {
    let mut out = String::new();
    for (first, others) in alike(differences) {
        out.push_str(&one(first, others, palette));
        out.push('\n');
    }
    out.push_str(&wrapped("", 0, &conclusion(summary), palette.columns()));
    out
}

/// The first of those that change alike, with how many more there are.
fn alike(differences: &[Difference]) -> Vec<(&Difference, usize)> {
    let mut groups: Vec<(&Difference, usize)> = Vec::new();
    let mut known: HashMap<(String, String, Vec<String>, &ServerName), usize> = HashMap::new();
    for difference in differences {
        let Difference { before, after, .. } = difference;
        let key = (short(before), short(after), reasons(difference), &before.subject.from);
        match known.get(&key) {
            Some(&at) => groups[at].1 += 1,
            None => {
                known.insert(key, groups.len());
                groups.push((difference, 0));
            }
        }
    }
    groups
}

fn reasons(difference: &Difference) -> Vec<String> {
    difference.why.iter().map(reason).collect()
}

fn one(difference: &Difference, others: usize, palette: Palette) -> String {
    let Difference { before, after, change, .. } = difference;
    let subject = &before.subject;
    let title = match others {
        0 => palette.bold(subject.recipient.as_str()),
        others => format!("{} (and {others} more alike)", palette.bold(subject.recipient.as_str())),
    };
    let word = match change {
        AnswerChange::Lost => palette.bad("loses its way"),
        AnswerChange::Rerouted => palette.changed("goes another way"),
        AnswerChange::Gained => palette.good("gets a way"),
        AnswerChange::Detail => palette.quiet("goes the same way otherwise"),
    };
    let mut out = format!("{title} {word}, from {}\n", subject.from);
    let mut row = |label: &str, text: &str| {
        let first = format!("  {}{}", palette.quiet(label), " ".repeat(INDENT - 2 - label.len()));
        out.push_str(&wrapped(&first, INDENT, text, palette.columns()));
    };
    row("before", &short(before));
    row("after", &short(after));
    for (at, reason) in reasons(difference).iter().enumerate() {
        row(if at == 0 { "why" } else { "" }, reason);
    }
    out
}

fn conclusion(summary: Tally) -> String {
    let asked = if summary.asked == 1 { "1 question".to_owned() } else { format!("{} questions", summary.asked) };
    if summary.changed() == 0 {
        return format!("Nothing changes for {asked}.");
    }
    let kinds = [
        (summary.lost, "without a way after it"),
        (summary.rerouted, "by another way"),
        (summary.gained, "with a way only after it"),
        (summary.detail, "by the same way at another cost or in another order"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("{} of {asked} would be answered otherwise: {}.", summary.changed(), kinds.join(", "))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    recipient: &'a str,
    sender: Option<String>,
    from: String,
    size: u64,
    change: &'static str,
    before: Line,
    after: Line,
    why: Vec<String>,
}

#[derive(Serialize)]
struct Counted {
    summary: Counts,
}

#[derive(Serialize)]
struct Counts {
    asked: usize,
    changed: usize,
    lost: usize,
    rerouted: usize,
    gained: usize,
    detail: usize,
}

fn lines(differences: &[Difference], summary: Tally) -> anyhow::Result<String> {
    let mut out = String::new();
    for difference in differences {
        let Difference { before, after, change, .. } = difference;
        let subject = &before.subject;
        let changed = Changed {
            recipient: subject.recipient.as_str(),
            sender: subject.sender.text(),
            from: subject.from.to_string(),
            size: subject.size.as_u64(),
            change: change.as_str(),
            before: line(before, &Gateways::NotAsked),
            after: line(after, &Gateways::NotAsked),
            why: reasons(difference),
        };
        out.push_str(&serde_json::to_string(&changed)?);
        out.push('\n');
    }
    let Tally { asked, lost, rerouted, gained, detail } = summary;
    let counts = Counts { asked, changed: summary.changed(), lost, rerouted, gained, detail };
    out.push_str(&serde_json::to_string(&Counted { summary: counts })?);
    out.push('\n');
    Ok(out)
}
