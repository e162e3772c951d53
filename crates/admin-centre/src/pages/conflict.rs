//! Somebody else was faster: both changes beside each other, and a way on (WA-12). Nothing is lost.

use std::sync::Arc;

use topology::Organization;

use super::{Answered, Outcome, difference};
use crate::centre::Visit;
use crate::plans::PlanEntry;
use crate::view::{Bit, Bits, Block, Button, Form, Sheet, Tone};

pub(crate) async fn page(visit: &Visit<'_>, id: &str, entry: &PlanEntry, now: &Arc<Organization>) -> Answered {
    let mut sheet = Sheet::new("Somebody else was faster").under("/plans", "Open plans");
    sheet.status = 409;
    let said = format!(
        "This plan is against revision {}; the configuration is at revision {} by now. Nothing of the plan was done.",
        entry.base,
        now.revision()
    );
    sheet.notice(Tone::Bad, said, Vec::new());
    sheet.form(Form {
        action: format!("/plans/{id}/do"),
        buttons: vec![
            Button::new("Plan again on top of it", "do", "again", "primary"),
            Button::new("Discard", "do", "discard", ""),
        ],
        ..Form::default()
    });
    sheet.heading(format!("What you wanted: {}", entry.title));
    sheet.blocks.extend(difference::blocks(&entry.changes));
    sheet.heading("What was changed meanwhile");
    let made = visit.ruled.history(20).await?;
    let mut lines = Vec::new();
    for one in made.iter().filter(|one| one.revision > entry.base) {
        let who = one.author.as_ref().map_or("somebody", |(who, _)| who.as_str());
        lines.push(Bits::of(vec![
            Bit::link(format!("/revisions/{}", one.revision), one.revision),
            Bit::Strong(who.to_owned()),
            Bit::text(&one.summary),
            Bit::Time(one.at),
        ]));
    }
    sheet.add(Block::Links(lines));
    match visit.ruled.at(entry.base).await {
        Ok(then) => {
            let objects = |organization: &Organization| organization::objects(organization.draft(), &[]);
            let between = organization::plan(objects(&then), objects(now));
            sheet.blocks.extend(difference::blocks(&between.changes));
        }
        Err(_) => sheet.add(Block::Prose(format!("Revision {} cannot be read any more.", entry.base).into())),
    }
    Ok(Outcome::Sheet(sheet))
}
