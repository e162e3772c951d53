//! Import: what Exchange or Postfix exported becomes a plan, with what is taken otherwise, lost, and why (WA-88). Nothing is changed
//! here; the plan is looked at like any other.

use authority::Act;
use topology::ServerRole;

use super::{Answered, Outcome, Trouble, edit, missing};
use crate::centre::Visit;
use crate::estate::{Export, ImportFinding};
use crate::plans::PlanEntry;
use crate::text::{counted, some};
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Its address: bodies of this one may be large.
pub(crate) const PATH: &str = "/import";
/// Lines of a report that are shown; the losses come first.
const SHOWN: usize = 200;

/// Whoever may change how mail leaves may bring what says it; the plan is ruled by what it touches.
const fn act() -> Act {
    edit::changing(organization::Kind::SendConnector)
}

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    match (visit.ask.post, rest) {
        (false, []) => Ok(Outcome::Sheet(sheet(visit, "").await?)),
        (false, ["export-for-postroad.ps1"]) => {
            let body = visit.centre.estate.export_script().as_bytes().to_vec();
            Ok(Outcome::File { kind: "text/plain; charset=utf-8", name: "Export-ForPostroad.ps1", body })
        }
        (true, []) => read(visit).await,
        _ => Err(missing("page", &visit.ask.path)),
    }
}

async fn sheet(visit: &Visit<'_>, wrong: &str) -> Result<Sheet, Trouble> {
    let organization = visit.ruled.organization().await?;
    let mut sheet = Sheet::new("Import").says(
        "What Exchange or Postfix exported, as a plan: first what becomes of it, then what would change. Nothing is changed before.",
    );
    sheet.add(Block::Prose(Bits::of(vec![
        Bit::text(
            "Files of Export-Clixml, ConvertTo-Json, Export-Csv or Format-List, several at once, in any encoding; or main.cf of \
             Postfix with its maps.",
        ),
        Bit::link("/import/export-for-postroad.ps1", "A script for the shell of Exchange"),
        Bit::text("exports everything without loss."),
    ])));
    let servers = organization.servers().iter().filter(|server| server.role == ServerRole::Mailbox);
    let servers: Vec<(String, String)> =
        servers.map(|server| (server.name.to_string(), server.name.to_string())).collect();
    let files = Field::line("files", "Files", "")
        .with(Entry::File { several: true })
        .needed()
        .wrong(wrong)
        .helped("32 MB in all, at most.");
    let assumed = Field::line("assume", "What an export has lost", visit.ask.field("assume"))
        .with(Entry::Lines(3))
        .helped("A property and its value in each line, such as maxMessageSize=35MB. The report says what is lost.");
    let server = Field::line("server", "Of Postfix: the source server of the connectors", visit.ask.field("server"))
        .with(Entry::Select(servers));
    sheet.form(Form {
        action: PATH.to_owned(),
        files: true,
        groups: vec![Group { fields: vec![files, assumed, server], ..Group::default() }],
        buttons: vec![Button::primary("Look at what becomes of it").unless(visit.ruled.why_not(act()))],
        ..Form::default()
    });
    sheet.add(Block::More {
        title: "The same as a command".to_owned(),
        text: "postroad import send.xml domains.json --dry-run\npostroad import postfix /etc/postfix/main.cf --server MAIL1 --dry-run".to_owned(),
    });
    Ok(sheet)
}

async fn read(visit: &Visit<'_>) -> Answered {
    visit.ruled.may_import(act())?;
    let again = async |why: &str| {
        let mut sheet = sheet(visit, why).await?;
        sheet.status = 422;
        Ok(Outcome::Sheet(sheet))
    };
    let files: Vec<(String, Vec<u8>)> =
        visit.ask.files.iter().filter(|(name, body)| !name.is_empty() && !body.is_empty()).cloned().collect();
    if files.is_empty() {
        return again("choose the files of an export").await;
    }
    let mut assumed = Vec::new();
    for line in visit.ask.field("assume").lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=') {
            Some((name, value)) => assumed.push((name.trim().to_owned(), value.trim().to_owned())),
            None => return again(&format!("“{line}” is no PROPERTY=VALUE, such as maxMessageSize=35MB")).await,
        }
    }
    let organization = visit.ruled.organization().await?;
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let title = format!("Import of {}", names.iter().take(3).copied().collect::<Vec<_>>().join(", "));
    let export = Export { files, assumed, server: visit.ask.field("server").to_owned() };
    let read = match visit.ruled.import(export, std::sync::Arc::clone(&organization)).await {
        Ok(read) => read,
        Err(why) => return again(&why).await,
    };
    let id = visit.centre.plans.add(PlanEntry {
        owner: visit.person.name().to_owned(),
        title,
        at: visit.now,
        base: organization.revision(),
        changes: read.changes,
        back: PATH.to_owned(),
        report: Some(read.findings),
        typed: None,
        made: None,
    });
    Ok(Outcome::See(format!("/plans/{id}")))
}

/// What became of an export: first of all what was lost, and why.
pub(crate) fn report(sheet: &mut Sheet, findings: Option<&[ImportFinding]>) {
    let Some(findings) = findings else { return };
    sheet.heading("What became of the export");
    let count = |verdict: &str| findings.iter().filter(|one| one.verdict == verdict).count();
    let lost = count("lost");
    let said = ["changed", "assumed", "ignored"].map(|verdict| format!("{} {verdict}", counted(count(verdict) as u64)));
    if lost > 0 {
        let title = format!("{} in it, or cannot be said here", some(lost, "value is not", "values are not"));
        let what = "Say it under “What an export has lost” and import again, export with the script, or write it by hand afterwards.";
        sheet.notice(Tone::Bad, title, vec![what.into(), Bit::link(PATH, "Import again").into()]);
    }
    let mut grid = Grid::new(
        format!("{}; all else was taken as it is", said.join(", ")),
        ["Verdict", "Object", "What", "Where"].map(|title| Column::new(title, "")).to_vec(),
    );
    let mut all: Vec<&ImportFinding> = findings.iter().collect();
    all.sort_by_key(|one| ["lost", "changed", "assumed", "ignored"].iter().position(|verdict| *verdict == one.verdict));
    for one in all.iter().take(SHOWN) {
        let tone = match one.verdict {
            "lost" => Tone::Bad,
            "ignored" => Tone::Plain,
            _ => Tone::Warn,
        };
        let at = if one.line == 0 { one.file.clone() } else { format!("{}:{}", one.file, one.line) };
        grid.row(vec![
            Bit::Badge(tone, one.verdict.to_owned()).into(),
            Bit::Code(one.object.clone()).into(),
            one.text.clone().into(),
            Bit::Quiet(at).into(),
        ]);
    }
    if all.len() > SHOWN {
        grid.foot = format!("{SHOWN} of {}, what is lost first", counted(all.len() as u64)).into();
    }
    grid.empty = Bit::Badge(Tone::Good, "Everything was taken as it is.".into()).into();
    sheet.grid(grid);
}
