//! People of this centre: one's own sessions, and who has an account. An account is made by a link; nobody is ever given a password.

use std::collections::BTreeSet;

use authority::{Act, Feature, RoleGroup};

use super::{Answered, Outcome, Trouble, missing, proof};
use crate::accounts::LINK_GOOD;
use crate::centre::Visit;
use crate::ruled::Denied;
use crate::session::SessionView;
use crate::view::{Bit, Bits, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    match (visit.ask.post, rest) {
        (false, []) => Ok(Outcome::Sheet(sheet(visit, None, ""))),
        (true, ["sessions"]) => {
            end_sessions(visit)?;
            Ok(Outcome::See("/people".to_owned()))
        }
        (true, ["invite"]) => invite(visit),
        (true, ["remove"]) => {
            visit.ruled.accounts(true)?;
            if let Some(first) = proof::wanted(visit, "/people") {
                return Ok(first);
            }
            let name = visit.ask.field("name");
            visit.centre.accounts.remove(name).map_err(|error| Trouble::Away(error.to_string()))?;
            visit.centre.sessions.end_all(name);
            visit.ruled.note("Remove-Account", &format!("account {name} of the admin centre"), None);
            Ok(Outcome::See("/people".to_owned()))
        }
        _ => Err(missing("page", &visit.ask.path)),
    }
}

fn sheet(visit: &Visit<'_>, link: Option<String>, wrong: &str) -> Sheet {
    let mut sheet = Sheet::new("People").says("Who may sign in here, as what, and where you are signed in.");
    if let Some(link) = link {
        let lines = vec![
            Bits::of(vec![Bit::Code(link)]),
            format!(
                "It is good once, for {} hours. Hand it over where nobody else reads it.",
                LINK_GOOD.as_secs() / 3600
            )
            .into(),
        ];
        sheet.notice(Tone::Good, "The link for the new account", lines);
    }
    if !wrong.is_empty() {
        sheet.status = 422;
    }
    sessions(visit, &mut sheet);
    let may_look = visit.ruled.why_not(Act::Read(Feature::Certificates));
    if let Some(why) = may_look {
        sheet.notice(Tone::Plain, "Accounts are not shown to you", vec![why.into()]);
        return sheet;
    }
    let refused = visit.ruled.why_not(Act::Change(Feature::Certificates));
    let columns = ["Name", "Role groups", "Since"].map(|title| Column::new(title, "")).to_vec();
    let mut grid = Grid::new("Accounts", columns);
    for account in visit.centre.accounts.all() {
        let groups: Vec<&str> = account.groups().iter().map(|group| group.as_str()).collect();
        grid.row(vec![account.name.clone().into(), groups.join(", ").into(), Bit::Time(account.created()).into()]);
    }
    for (name, until) in visit.centre.accounts.expected(visit.now) {
        grid.row(vec![
            name.into(),
            Bit::Quiet("link not opened yet".into()).into(),
            Bits::of(vec![Bit::Quiet("until".into()), Bit::Time(until)]),
        ]);
    }
    grid.empty = "Nobody has an account; certificates of the organization sign in without one.".into();
    sheet.grid(grid);
    let groups = RoleGroup::ALL.map(|group| (group.as_str().to_owned(), group.as_str().to_owned(), false));
    sheet.form(Form {
        action: "/people/invite".to_owned(),
        groups: vec![Group {
            title: "New account".to_owned(),
            note: "Makes a link. Whoever opens it chooses a password.".to_owned(),
            fields: vec![
                Field::line("name", "Name", visit.ask.field("name")).needed().wrong(wrong),
                Field::line("groups", "Role groups", "").with(Entry::Several(groups.to_vec())),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::primary("Make the link").unless(refused.clone())],
        ..Form::default()
    });
    if let Some(form) = ending(visit, refused) {
        sheet.form(form);
    }
    sheet
}

/// Ends accounts and links, where there are any.
fn ending(visit: &Visit<'_>, refused: Option<String>) -> Option<Form> {
    let accounts = visit.centre.accounts.all().into_iter().map(|account| account.name);
    let links = visit.centre.accounts.expected(visit.now).into_iter().map(|(name, _)| name);
    let mut names: Vec<(String, String)> = accounts.chain(links).map(|name| (name.clone(), name)).collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| Form {
        action: "/people/remove".to_owned(),
        groups: vec![Group {
            title: "End an account".to_owned(),
            note: "It is signed out at once; a link for it that was not opened yet is good no more.".to_owned(),
            fields: vec![Field::line("name", "Account", "").with(Entry::Select(names))],
            ..Group::default()
        }],
        buttons: vec![Button::new("End it", "do", "go", "danger").unless(refused)],
        ..Form::default()
    })
}

fn sessions(visit: &Visit<'_>, sheet: &mut Sheet) {
    let own = visit.centre.sessions.of(visit.person.name(), true, visit.now);
    let title = format!("Sessions of {}", visit.person.name());
    sheet.form(ending_sessions(visit, title, own, None));
    if visit.ruled.why_not(Act::Read(Feature::Certificates)).is_some() {
        return;
    }
    let others = visit.centre.sessions.of(visit.person.name(), false, visit.now);
    if !others.is_empty() {
        let refused = visit.ruled.why_not(Act::Change(Feature::Certificates));
        sheet.form(ending_sessions(visit, "Sessions of others".to_owned(), others, refused));
    }
}

fn ending_sessions(visit: &Visit<'_>, title: String, all: Vec<SessionView>, refused: Option<String>) -> Form {
    let columns = ["Who", "From", "Browser", "By", "Begun", "Used"].map(|title| Column::new(title, "")).to_vec();
    let mut grid = Grid::new(title, columns);
    grid.choose = "session";
    grid.aside = true;
    for one in all {
        let is_me = one.name == visit.person.name();
        grid.rows.push(crate::view::GridRow {
            cells: vec![
                if is_me { Bit::text("you").into() } else { one.name.into() },
                one.from.to_string().into(),
                one.label.into(),
                one.by.into(),
                Bit::Time(one.begun).into(),
                Bit::Time(one.used).into(),
            ],
            chosen_by: one.id,
        });
    }
    Form {
        action: "/people/sessions".to_owned(),
        grid: Some(grid),
        buttons: vec![Button::new("End the chosen sessions", "do", "go", "").unless(refused)],
        ..Form::default()
    }
}

/// One's own, or those of others, by whoever may end accounts.
fn end_sessions(visit: &Visit<'_>) -> Result<(), Denied> {
    for id in visit.ask.fields("session") {
        let Some(name) = visit.centre.sessions.listed(id) else { continue };
        if name != visit.person.name() {
            visit.ruled.accounts(true)?;
            visit.ruled.note("Remove-Session", &format!("session of {name} at the admin centre"), None);
        }
        visit.centre.sessions.end_listed(id);
    }
    Ok(())
}

fn invite(visit: &Visit<'_>) -> Answered {
    visit.ruled.accounts(true)?;
    let name = visit.ask.field("name").trim();
    if let Some(first) = proof::wanted(visit, "/people") {
        return Ok(first);
    }
    let plain = |one: char| one.is_alphanumeric() || "._-@ ".contains(one);
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(plain) {
        return Ok(Outcome::Sheet(sheet(visit, None, "write letters, digits, blanks and . _ - @, 64 at most")));
    }
    if visit.centre.accounts.find(name).is_some() {
        return Ok(Outcome::Sheet(sheet(visit, None, "somebody has that name already")));
    }
    let groups: BTreeSet<RoleGroup> = visit.ask.fields("groups").filter_map(|group| group.parse().ok()).collect();
    let token = visit.centre.accounts.link(Some(name.to_owned()), &groups, visit.now);
    let token = token.map_err(|error| Denied::Away(error.to_string()))?;
    let named: Vec<&str> = groups.iter().map(|group| group.as_str()).collect();
    visit.ruled.note("New-Account", &format!("account {name} of the admin centre: {}", named.join(", ")), None);
    let link = format!("https://{}/welcome/{token}", visit.ask.host);
    Ok(Outcome::Sheet(sheet(visit, Some(link), "")))
}
