//! The audit log: every change, act, refusal, sign-in and look at content (WA-68).

use super::{Answered, Outcome, objects};
use crate::centre::Visit;
use crate::estate::Audit;
use crate::view::{Bit, Bits, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Lines that are listed, the newest.
const LISTED: usize = 200;

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let ask = visit.ask;
    let text = |name: &str| Some(ask.query(name).trim().to_owned()).filter(|text| !text.is_empty());
    let done = match ask.query("done") {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let wanted = Audit { user: text("user"), cmdlet: text("cmdlet"), object: text("object"), done, limit: LISTED };
    let lines = visit.ruled.audit(wanted).await?;
    let mut sheet = Sheet::new("Audit log")
        .says("Who changed, did, looked at or was refused what. It can be read here and changed nowhere.");
    let search = Entry::Line { kind: "search", complete: "off" };
    let options = [("", "any"), ("yes", "done"), ("no", "refused or failed")];
    let options = options.map(|(value, text)| (value.to_owned(), text.to_owned()));
    sheet.form(Form {
        action: "/audit".to_owned(),
        get: true,
        row: true,
        groups: vec![Group {
            fields: vec![
                Field::line("user", "By", ask.query("user")).with(search.clone()),
                Field::line("cmdlet", "What", ask.query("cmdlet")).with(search.clone()),
                Field::line("object", "Object", ask.query("object")).with(search),
                Field::line("done", "Outcome", ask.query("done")).with(Entry::Select(options.to_vec())),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::new("Show", "", "", "")],
        ..Form::default()
    });
    let columns = vec![
        Column::new("Time", "RunDate"),
        Column::new("Who", "Caller"),
        Column::new("What", "CmdletName"),
        Column::new("To what", "ObjectModified"),
        Column::new("From what to what", "ModifiedProperties"),
        Column::new("Outcome", "Succeeded"),
        Column::new("Through, from, on", "OriginatingServer"),
    ];
    let mut grid = Grid::new("The newest first", columns);
    for line in lines {
        let outcome = match &line.error {
            None => Bits::from(Bit::Badge(Tone::Good, "done".into())),
            Some(why) => Bits::of(vec![Bit::Badge(Tone::Bad, "refused".into()), Bit::Quiet(why.clone())]),
        };
        grid.row(vec![
            line.at.get(..19).unwrap_or(&line.at).replace('T', " ").into(),
            Bit::Strong(line.caller).into(),
            line.cmdlet.into(),
            line.object.into(),
            objects::few(&line.modified.join("\n"), 6),
            outcome,
            Bit::Quiet(format!("{}, {}, {}", line.through, line.client, line.server)).into(),
        ]);
    }
    grid.empty = "No line is so.".into();
    grid.foot = Bit::Quiet(format!("the newest {LISTED} at most")).into();
    sheet.grid(grid);
    Ok(Outcome::Sheet(sheet))
}
