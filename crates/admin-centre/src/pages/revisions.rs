//! History: who changed what, each change property by property, which servers have taken it, and the way back (WA-13).

use envelope::Revision;
use organization::{Change, Kind};
use topology::Organization;

use super::{Answered, Outcome, Trouble, difference, edit, missing};
use crate::centre::Visit;
use crate::ruled::Denied;
use crate::view::{Bit, Bits, Block, Button, Column, Form, Grid, Sheet, Tone};

/// Changes that are listed.
const LISTED: usize = 100;

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    match (visit.ask.post, rest) {
        (false, []) => list(visit).await,
        (false, [number]) => one(visit, number.parse().map(Revision).map_err(|_| missing("revision", number))?).await,
        (true, [number, "restore"]) => {
            restore(visit, number.parse().map(Revision).map_err(|_| missing("revision", number))?).await
        }
        (true, [number, "undo"]) => {
            take_back(visit, number.parse().map(Revision).map_err(|_| missing("revision", number))?).await
        }
        _ => Err(missing("page", &visit.ask.path)),
    }
}

async fn list(visit: &Visit<'_>) -> Answered {
    let mut sheet = Sheet::new("History")
        .says("The last changes that the directory still keeps. Each can be looked at, and undone.");
    let columns = ["Revision", "When", "Who", "Through", "What"].map(|title| Column::new(title, "")).to_vec();
    let mut grid = Grid::new("Changes, the newest first", columns);
    grid.quiet_caption = true;
    for made in visit.ruled.history(LISTED).await? {
        let (who, through) = made.author.unwrap_or_default();
        grid.row(vec![
            Bit::link(format!("/revisions/{}", made.revision), made.revision).into(),
            Bit::Time(made.at).into(),
            who.into(),
            Bit::Quiet(through).into(),
            made.summary.into(),
        ]);
    }
    grid.empty = "The directory keeps no change.".into();
    sheet.grid(grid);
    Ok(Outcome::Sheet(sheet))
}

/// The configuration before a revision, if it can still be read.
async fn before(visit: &Visit<'_>, revision: Revision) -> Option<std::sync::Arc<Organization>> {
    visit.ruled.at(Revision(revision.0.checked_sub(1)?)).await.ok()
}

async fn one(visit: &Visit<'_>, revision: Revision) -> Answered {
    let now = visit.ruled.organization().await?;
    let made = visit.ruled.history(1_000).await?.into_iter().find(|made| made.revision == revision);
    let then = match visit.ruled.at(revision).await {
        Ok(then) => then,
        Err(Denied::Away(why)) => return Err(Trouble::Missing { what: why, near: Vec::new() }),
        Err(refused) => return Err(refused.into()),
    };
    let mut sheet = Sheet::new(format!("Revision {revision}")).under("/revisions", "History");
    if let Some(made) = &made {
        let (who, through) = made.author.clone().unwrap_or_default();
        sheet.add(Block::Facts(vec![
            ("Made by".to_owned(), String::new(), Bits::of(vec![Bit::Strong(who), Bit::Quiet(through)])),
            ("When".to_owned(), String::new(), Bit::Time(made.at).into()),
            ("What".to_owned(), String::new(), made.summary.clone().into()),
        ]));
    }
    taken(visit, &mut sheet, revision, now.revision()).await;
    sheet.heading("What it changed");
    match before(visit, revision).await {
        Some(before) => {
            let objects = |organization: &Organization| organization::objects(organization.draft(), &[]);
            let changes = organization::plan(objects(&before), objects(&then)).changes;
            if changes.is_empty() {
                sheet.add(Block::Prose(
                    "Nothing of the configuration: recipients, or something that was written anew.".into(),
                ));
            }
            sheet.blocks.extend(difference::blocks(&changes));
            if !changes.is_empty() {
                let gone: Vec<String> = changes
                    .iter()
                    .filter(|change| matches!(change, Change::Delete(_)))
                    .map(|change| change.object().name())
                    .collect();
                let label = match &gone[..] {
                    [] => "Undo this change …".to_owned(),
                    [one] => format!("Put {one} back …"),
                    many => format!("Put {} back …", crate::text::some(many.len(), "object", "objects")),
                };
                undo(visit, &mut sheet, &format!("/revisions/{revision}/undo"), &label);
                if revision != now.revision() {
                    let to = Revision(revision.0 - 1);
                    undo(visit, &mut sheet, &format!("/revisions/{to}/restore"), "Go back to before it …");
                }
            }
        }
        None => sheet.add(Block::Prose("The revision before it is not kept any more.".into())),
    }
    if revision != now.revision() {
        undo(visit, &mut sheet, &format!("/revisions/{revision}/restore"), "Make it so again …");
    }
    Ok(Outcome::Sheet(sheet))
}

/// Which services work by it.
async fn taken(visit: &Visit<'_>, sheet: &mut Sheet, revision: Revision, now: Revision) {
    let Ok(services) = visit.ruled.services().await else { return };
    if services.is_empty() {
        sheet.add(Block::Prose("No service is there that could take it.".into()));
        return;
    }
    let behind: Vec<String> = services
        .iter()
        .filter(|one| one.revision < revision)
        .map(|one| format!("{} of {} is at {}", one.service, one.server, one.revision))
        .collect();
    if behind.is_empty() {
        sheet.notice(
            Tone::Good,
            format!("All {} services work by it, or by something newer", services.len()),
            Vec::new(),
        );
    } else {
        let title = format!("{} of {} services have not taken it yet", behind.len(), services.len());
        sheet.notice(Tone::Warn, title, behind.into_iter().map(Bits::from).collect());
        sheet.live = revision == now;
    }
}

fn undo(visit: &Visit<'_>, sheet: &mut Sheet, to: &str, label: &str) {
    let refused = visit.ruled.why_not(edit::changing(Kind::SendConnector));
    sheet.form(Form {
        action: to.to_owned(),
        buttons: vec![Button::new(label, "do", "go", "").unless(refused)],
        ..Form::default()
    });
}

/// One change taken back, with all that came after it left as it is: what was removed is there again, under its own GUID (WA-83).
async fn take_back(visit: &Visit<'_>, revision: Revision) -> Answered {
    let (now, then) = (visit.ruled.organization().await?, visit.ruled.at(revision).await?);
    let before = before(visit, revision).await;
    let before = before.ok_or_else(|| Trouble::Wrong("The revision before it is not kept any more.".to_owned()))?;
    let objects = |organization: &Organization| organization::objects(organization.draft(), &[]);
    let changes = organization::plan(objects(&before), objects(&then)).changes;
    let Some(changes) = crate::plans::inverse(&changes, &now) else {
        return Err(Trouble::Wrong("What it changed is not there any more.".to_owned()));
    };
    edit::planned(visit, &now, changes, &format!("Undo of revision {revision}"), &format!("/revisions/{revision}"))
}

/// The configuration as it was, as a plan against that of now. Recipients stay as they are.
async fn restore(visit: &Visit<'_>, revision: Revision) -> Answered {
    let now = visit.ruled.organization().await?;
    let then = visit.ruled.at(revision).await?;
    let objects = |organization: &Organization| organization::objects(organization.draft(), &[]);
    let changes = organization::plan(objects(&now), objects(&then)).changes;
    let title = format!("Back to revision {revision}");
    edit::planned(visit, &now, changes, &title, &format!("/revisions/{revision}"))
}
