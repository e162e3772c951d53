//! A plan: what would change, what the linter says, what it does to mail, the same as commands; then made, or not (WA-10…14).

use authority::Refusal;
use organization::Change;
use topology::{Organization, Weight};

use super::{Answered, Outcome, Trouble, conflict, difference, edit, impact, import, missing, proof};
use crate::centre::Visit;
use crate::estate::NotMade;
use crate::plans::{self, PlanEntry};
use crate::ruled::Denied;
use crate::view::{Bit, Bits, Block, Button, Column, Field, Form, Grid, Group, Sheet, Tone};

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    let owner = visit.person.name();
    let find = |id: &str| {
        let found = visit.centre.plans.find(id, owner, visit.now);
        found.ok_or_else(|| missing("plan of yours, or it is older than a day:", id))
    };
    match (visit.ask.post, rest) {
        (false, []) => Ok(Outcome::Sheet(list(visit))),
        (false, [id]) => {
            let entry = find(id)?;
            let organization = visit.ruled.organization().await?;
            if let Some(made) = entry.made {
                return Ok(Outcome::See(format!("/revisions/{made}")));
            }
            if organization.revision() != entry.base {
                return conflict::page(visit, id, &entry, &organization).await;
            }
            Ok(Outcome::Sheet(look(visit, id, &entry, &organization, None).await?))
        }
        (true, [id, "do"]) => {
            let entry = find(id)?;
            match visit.ask.field("do") {
                "apply" => apply(visit, id, &entry).await,
                "discard" => {
                    visit.centre.plans.drop(id, owner);
                    Ok(Outcome::See(entry.back))
                }
                "again" => again(visit, id, entry).await,
                other => Err(Trouble::Wrong(format!("there is nothing called {other} that can be done"))),
            }
        }
        _ => Err(missing("page", &visit.ask.path)),
    }
}

fn list(visit: &Visit<'_>) -> Sheet {
    let mut sheet =
        Sheet::new("Open plans").says("Changes that you looked at and did not make. They are forgotten after a day.");
    let columns = vec![Column::new("Plan", ""), Column::new("Since", ""), Column::number("Against revision", "")];
    let mut grid = Grid::new("Open plans", columns);
    grid.quiet_caption = true;
    for (id, entry) in visit.centre.plans.of(visit.person.name(), visit.now) {
        if entry.made.is_none() {
            let link = Bit::link(format!("/plans/{id}"), &entry.title);
            grid.row(vec![link.into(), Bit::Time(entry.at).into(), entry.base.to_string().into()]);
        }
    }
    grid.empty = "There is none: every change that you began was made or discarded.".into();
    sheet.grid(grid);
    sheet
}

async fn look(
    visit: &Visit<'_>,
    id: &str,
    entry: &PlanEntry,
    organization: &std::sync::Arc<Organization>,
    wrong: Option<String>,
) -> Result<Sheet, Trouble> {
    let mut sheet = Sheet::new(entry.title.clone())
        .under("/plans", "Open plans")
        .says(format!("A plan against revision {}. Nothing is changed yet.", entry.base));
    import::report(&mut sheet, entry.report.as_deref());
    if entry.changes.is_empty() {
        sheet.notice(Tone::Plain, "Nothing would change", vec![Bit::link(entry.back.clone(), "Back").into()]);
        return Ok(sheet);
    }
    sheet.heading("What changes");
    sheet.blocks.extend(difference::blocks(&entry.changes));
    let problems = edit::found(organization, &entry.changes);
    let is_wrong = problems.iter().any(|problem| problem.weight == Weight::Error);
    if !problems.is_empty() {
        let lines =
            problems.iter().map(|problem| Bits::of(vec![Bit::Code(problem.place.clone()), Bit::text(&problem.text)]));
        let title = if is_wrong { "This would not be a valid organization" } else { "What to know before" };
        sheet.notice(if is_wrong { Tone::Bad } else { Tone::Warn }, title, lines.collect());
    }
    sheet.heading("What it does to mail");
    let after = plans::with(organization, &entry.changes);
    let mut typed = match visit.ruled.impact(std::sync::Arc::clone(organization), after.clone()).await {
        Ok(found) => {
            sheet.blocks.extend(impact::blocks(visit, &found));
            (impact::lost(&found) > 0).then_some(LOST)
        }
        // What nobody looked at may be the worst.
        Err(Denied::Refused(refusal)) => {
            not_known(&mut sheet, &refusal);
            Some(UNKNOWN)
        }
        Err(Denied::Away(why)) => {
            sheet.notice(Tone::Warn, "What it does to mail is not known", vec![why.into()]);
            Some(UNKNOWN)
        }
    };
    match impact::probes(visit, organization, &after, &entry.changes).await {
        Ok(found) => {
            typed = found.iter().any(impact::is_lost).then_some(LOST).or(typed);
            sheet.blocks.extend(impact::probed(visit, &found));
        }
        Err(Denied::Refused(refusal)) => not_known(&mut sheet, &refusal),
        Err(Denied::Away(why)) => sheet.notice(Tone::Warn, "Probes have no answer", vec![why.into()]),
    }
    let left = visit
        .ruled
        .left_behind(&entry.plan())
        .await
        .unwrap_or_else(|_| vec!["Whether mail would be left behind is not known.".to_owned()]);
    if !left.is_empty() {
        typed = Some(LOST);
        sheet.notice(Tone::Bad, "Mail would be left behind", left.into_iter().map(Bits::from).collect());
    }
    visit.centre.plans.looked(id, typed.is_some());
    buttons(visit, &mut sheet, id, entry, organization, Confirm { typed, is_wrong, wrong });
    sheet.heading("The same as commands");
    let commands = visit.ruled.commands(&entry.changes);
    sheet.add(Block::Text {
        label: "Exchange Management Shell, and `postroad shell`".to_owned(),
        text: commands.join("\n"),
    });
    Ok(sheet)
}

fn not_known(sheet: &mut Sheet, refusal: &Refusal) {
    sheet.notice(Tone::Warn, "What it does to mail is not told to you", vec![refusal.to_string().into()]);
}

/// What takes something away, takes changes back, or loses mail is done for who proved just now who he is (WA-61).
fn is_grave(entry: &PlanEntry, typed: bool) -> bool {
    let removes = entry.changes.iter().any(|change| matches!(change, Change::Delete(_)));
    typed || removes || entry.back.starts_with("/revisions/")
}

struct Confirm {
    /// Why the word is typed, if it is.
    typed: Option<&'static str>,
    is_wrong: bool,
    wrong: Option<String>,
}

/// The word that is typed where mail would lose its way, or where nobody knows whether it would.
const WORD: &str = "apply";
const LOST: &str = "mail loses its way by this";
const UNKNOWN: &str = "what it does to mail is not known";

fn buttons(
    visit: &Visit<'_>,
    sheet: &mut Sheet,
    id: &str,
    entry: &PlanEntry,
    organization: &Organization,
    confirm: Confirm,
) {
    let refused = visit.ruled.refused_plan(&entry.plan(), organization).map(|refusal| refusal.to_string());
    let refused = refused.or_else(|| confirm.is_wrong.then(|| "it would not be valid".to_owned()));
    let unproved = is_grave(entry, confirm.typed.is_some()).then(|| proof::missing(visit)).flatten();
    let unproved = unproved.filter(|_| refused.is_none());
    let prove = unproved.as_ref().map(|_| Bit::link(proof::place(&format!("/plans/{id}")), "Prove that it is you"));
    let refused = refused.or(unproved);
    let mut groups = Vec::new();
    if let Some(why) = confirm.typed {
        let field = Field::line("confirm", &format!("Type “{WORD}”, because {why}"), "");
        groups.push(Group { fields: vec![field.wrong(confirm.wrong.unwrap_or_default())], ..Group::default() });
    }
    let class = if confirm.typed.is_some() { "danger" } else { "primary" };
    sheet.form(Form {
        action: format!("/plans/{id}/do"),
        groups,
        buttons: vec![
            Button::new("Apply", "do", "apply", class).unless(refused),
            Button::new("Discard", "do", "discard", ""),
        ],
        ..Form::default()
    });
    let again = Bit::link(entry.back.clone(), "Edit again");
    sheet.add(Block::Links(prove.into_iter().chain([again]).map(Bits::from).collect()));
}

async fn apply(visit: &Visit<'_>, id: &str, entry: &PlanEntry) -> Answered {
    if let Some(made) = entry.made {
        // Sent twice, or sent again after *Back*: it was made once (WA-43).
        return Ok(Outcome::See(format!("/revisions/{made}")));
    }
    let organization = visit.ruled.organization().await?;
    if organization.revision() != entry.base {
        return conflict::page(visit, id, entry, &organization).await;
    }
    let Some(typed) = entry.typed else { return Ok(Outcome::See(format!("/plans/{id}"))) };
    if is_grave(entry, typed)
        && let Some(first) = proof::wanted(visit, &format!("/plans/{id}"))
    {
        return Ok(first);
    }
    if typed && visit.ask.field("confirm").trim() != WORD {
        let mut sheet = look(visit, id, entry, &organization, Some(format!("type {WORD}"))).await?;
        sheet.status = 422;
        return Ok(Outcome::Sheet(sheet));
    }
    match visit.ruled.commit(entry.plan(), entry.base, &organization).await? {
        Ok(revision) => {
            visit.centre.plans.made(id, revision);
            Ok(Outcome::See(format!("/revisions/{revision}")))
        }
        Err(NotMade::Conflict) => {
            let organization = visit.ruled.organization().await?;
            conflict::page(visit, id, entry, &organization).await
        }
        Err(NotMade::Invalid(problems)) => {
            let mut sheet = Sheet::new("Nothing was changed").under("/plans", "Open plans");
            sheet.status = 422;
            let lines = problems.0.iter().map(|problem| problem.to_string().into()).collect();
            sheet.notice(Tone::Bad, "It would not be a valid organization", lines);
            sheet.add(Block::Links(vec![Bit::link(entry.back.clone(), "Edit again").into()]));
            Ok(Outcome::Sheet(sheet))
        }
        Err(NotMade::Other(why)) => Err(Trouble::Away(why)),
    }
}

/// The same intention against the configuration of now, as a new plan.
async fn again(visit: &Visit<'_>, id: &str, entry: PlanEntry) -> Answered {
    let organization = visit.ruled.organization().await?;
    let Some(changes) = plans::again(&entry.changes, &organization) else {
        return Err(Trouble::Wrong("What this plan changes is not there any more.".to_owned()));
    };
    visit.centre.plans.drop(id, visit.person.name());
    edit::planned(visit, &organization, changes, &entry.title, &entry.back)
}
