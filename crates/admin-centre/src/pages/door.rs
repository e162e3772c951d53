//! The door: signing in, and the link by which an account is made.

use std::time::Duration;

use authority::{Principal, Who};
use envelope::Timestamp;

use super::{Answered, Outcome, Trouble, missing};
use crate::accounts::{Mismatch, PASSWORD_MAX, PASSWORD_MIN};
use crate::centre::Centre;
use crate::codes;
use crate::estate::Note;
use crate::person::{Person, Proof};
use crate::request::Ask;
use crate::view::{Bit, Block, Button, Entry, Field, Form, Group, Sheet, Tone};

/// A turn at the door is waited for as long.
const TURN: Duration = Duration::from_secs(10);
/// Characters of a name.
const NAME_MAX: usize = 64;

/// The page of an address, of nobody.
pub(crate) async fn page(centre: &Centre, ask: &Ask) -> Answered {
    let parts = ask.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (ask.post, parts.as_slice()) {
        (false, ["sign-in"]) => Ok(Outcome::Sheet(door(centre, ask, "", None))),
        (true, ["sign-in"]) => enter(centre, ask).await,
        (false, ["welcome", token]) => Ok(Outcome::Sheet(welcome(centre, ask, token, &[])?)),
        (true, ["welcome", token]) => settle(centre, ask, token).await,
        (true, _) => Err(Trouble::Wrong("Nobody is signed in: the session has ended. Nothing was changed.".to_owned())),
        (false, [] | ["sign-out"]) => Ok(Outcome::See("/sign-in".to_owned())),
        // Where somebody wanted to go is where he is led afterwards.
        (false, _) => {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&ask.query).finish();
            let to = if query.is_empty() { ask.path.clone() } else { format!("{}?{query}", ask.path) };
            let to = form_urlencoded::Serializer::new(String::new()).append_pair("to", &to).finish();
            Ok(Outcome::See(format!("/sign-in?{to}")))
        }
    }
}

/// An address of our own.
fn to(ask: &Ask) -> String {
    let wanted = if ask.post { ask.field("to") } else { ask.query("to") };
    let own = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.contains(|one: char| one == '\\' || one.is_control());
    if own { wanted.to_owned() } else { "/".to_owned() }
}

fn door(centre: &Centre, ask: &Ask, name: &str, wrong: Option<String>) -> Sheet {
    let mut sheet = Sheet::new("Sign in");
    if centre.accounts.is_empty() {
        let lines = vec![
            "Nobody has an account yet. The one-time link for the first administrator was printed where the centre was started.".into(),
        ];
        sheet.notice(Tone::Warn, "This centre is new", lines);
    }
    if let Some(wrong) = wrong {
        sheet.status = 401;
        sheet.notice(Tone::Bad, wrong, Vec::new());
    }
    match centre.by_certificate(ask) {
        Ok(Some(principal)) => {
            let Who::Administrator { name, groups } = &principal.who else { return sheet };
            let groups: Vec<&str> = groups.iter().map(|group| group.as_str()).collect();
            sheet.form(Form {
                action: "/sign-in".to_owned(),
                hidden: vec![("by".to_owned(), "certificate".to_owned()), ("to".to_owned(), to(ask))],
                groups: vec![Group {
                    title: "With your certificate".to_owned(),
                    note: format!("Your browser shows the certificate of {name}: {}.", groups.join(", ")),
                    ..Group::default()
                }],
                buttons: vec![Button::primary(&format!("Sign in as {name}"))],
                ..Form::default()
            });
        }
        Ok(None) => {}
        Err(why) => sheet.notice(Tone::Bad, "Your certificate does not count", vec![why.into()]),
    }
    sheet.form(Form {
        action: "/sign-in".to_owned(),
        hidden: vec![("to".to_owned(), to(ask))],
        groups: vec![Group {
            title: "With name, password and code".to_owned(),
            fields: vec![
                Field::line("name", "Name", name).with(Entry::Line { kind: "text", complete: "username" }).needed(),
                Field::line("password", "Password", "")
                    .with(Entry::Line { kind: "password", complete: "current-password" })
                    .needed(),
                Field::line("code", "Code of your authenticator", "")
                    .with(Entry::Line { kind: "text", complete: "one-time-code" })
                    .helped("Six digits that change every half minute.")
                    .needed(),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::primary("Sign in")],
        ..Form::default()
    });
    sheet
}

fn note(centre: &Centre, ask: &Ask, who: &str, how: Proof, refused: Option<&str>) {
    let from = ask.from().to_string();
    let object = format!("admin centre, by {}", how.as_str());
    // What was typed as a name may be a password in the wrong field: a stranger's is not written.
    centre.estate.note(Note { who, from: &from, cmdlet: "Sign-In", object: &object, refused });
}

fn begin(centre: &Centre, ask: &Ask, person: Person) -> Outcome {
    note(centre, ask, person.name(), person.proof, None);
    let secret = centre.sessions.begin(person, &ask.agent, centre.now());
    Outcome::Begin { secret, to: to(ask) }
}

const BUSY: &str = "Too many sign in at this moment. Try again.";

/// Verifiers are made and checked in turn: each takes its time and its memory.
async fn turn(centre: &Centre) -> Option<tokio::sync::SemaphorePermit<'_>> {
    tokio::time::timeout(TURN, centre.door.acquire()).await.ok()?.ok()
}

fn busy(mut sheet: Sheet) -> Sheet {
    sheet.status = 503;
    sheet
}

/// Who comes too early after what failed.
fn early(centre: &Centre, ask: &Ask, name: &str) -> Option<Sheet> {
    let wait = centre.attempts.wait(ask.from(), name, centre.now())?;
    let text = format!("Too many attempts. Try again in {} seconds.", wait.as_secs() + 1);
    let mut sheet = door(centre, ask, name, Some(text));
    sheet.status = 429;
    Some(sheet)
}

async fn enter(centre: &Centre, ask: &Ask) -> Answered {
    if ask.field("by") == "certificate" {
        return match centre.by_certificate(ask) {
            Ok(Some(principal)) => {
                Ok(begin(centre, ask, Person { principal, proof: Proof::Certificate, from: ask.from() }))
            }
            Ok(None) => Ok(Outcome::Sheet(door(centre, ask, "", Some("Your browser shows no certificate".to_owned())))),
            Err(why) => Ok(Outcome::Sheet(door(centre, ask, "", Some(why)))),
        };
    }
    let (name, from, password) = (ask.field("name").trim(), ask.from(), ask.field("password"));
    if let Some(sheet) = early(centre, ask, name) {
        return Ok(Outcome::Sheet(sheet));
    }
    let Some(_turn) = turn(centre).await else {
        return Ok(Outcome::Sheet(busy(door(centre, ask, name, Some(BUSY.to_owned())))));
    };
    // Others of the same address may have failed while this one waited.
    if let Some(sheet) = early(centre, ask, name) {
        return Ok(Outcome::Sheet(sheet));
    }
    let now = centre.now();
    let checked = if password.len() <= PASSWORD_MAX {
        tokio::task::block_in_place(|| centre.accounts.check(name, password, ask.field("code"), now))
    } else {
        Err(Mismatch::Password)
    };
    let Ok(account) = checked else {
        centre.attempts.failed(from, name, checked.is_err_and(|why| why == Mismatch::Code), now);
        let who = centre.accounts.find(name).map_or_else(|| "(nobody of this centre)".to_owned(), |known| known.name);
        note(centre, ask, &who, Proof::Account, Some("name, password or code is wrong"));
        let text = "Name, password or code is wrong. A code is good once; the password must be typed again.".to_owned();
        return Ok(Outcome::Sheet(door(centre, ask, name, Some(text))));
    };
    centre.attempts.succeeded(from, name);
    Ok(begin(centre, ask, of_account(centre, ask, &account)))
}

fn of_account(centre: &Centre, ask: &Ask, account: &crate::accounts::Account) -> Person {
    let forest = centre.estate.authority().forest().clone();
    let who = Who::User { name: account.name.as_str().into(), groups: account.groups() };
    let principal = Principal { forest, who, issued: Timestamp::from_millis(0) };
    Person { principal, proof: Proof::Account, from: ask.from() }
}

fn welcome(centre: &Centre, ask: &Ask, token: &str, wrong: &[(&str, String)]) -> Result<Sheet, Trouble> {
    let Some(open) = centre.accounts.welcome(token, centre.now()) else {
        return Err(missing("such link: it was used, or is older than a day. Nobody is signed in by", "it"));
    };
    let why = |name: &str| wrong.iter().find(|(at, _)| *at == name).map(|(_, text)| text.clone()).unwrap_or_default();
    let groups: Vec<&str> = open.groups.iter().map(|group| group.as_str()).collect();
    let mut sheet = Sheet::new("Your account")
        .says(format!("This link is good once. It makes an account with: {}.", groups.join(", ")));
    if !wrong.is_empty() {
        sheet.status = 422;
    }
    let name = open.name.clone().unwrap_or_else(|| ask.field("name").to_owned());
    let address = codes::address(&open.secret, if name.is_empty() { "administrator" } else { &name }, "Postroad");
    sheet.add(Block::Facts(vec![
        ("Key for your authenticator".to_owned(), String::new(), Bit::Code(spaced(&open.secret)).into()),
        ("The same as an address".to_owned(), String::new(), Bit::link(address.clone(), address).into()),
    ]));
    let mut fields = Vec::new();
    if open.name.is_none() {
        let field = Field::line("name", "Name", name).with(Entry::Line { kind: "text", complete: "username" });
        fields.push(field.helped("As it will stand in the audit log.").needed().wrong(why("name")));
    } else {
        fields.push(Field::line("shown", "Name", name).helped("Given by whoever made the link.").wrong(why("name")));
    }
    let password = Entry::Line { kind: "password", complete: "new-password" };
    let rule = format!("{PASSWORD_MIN} characters or more; whatever you like.");
    fields.push(
        Field::line("password", "Password", "").with(password.clone()).helped(rule).needed().wrong(why("password")),
    );
    fields.push(Field::line("again", "Password again", "").with(password).needed().wrong(why("again")));
    fields.push(
        Field::line("code", "Code of your authenticator", "")
            .with(Entry::Line { kind: "text", complete: "one-time-code" })
            .helped("Put the key into an authenticator app first; it shows six digits.")
            .needed()
            .wrong(why("code")),
    );
    sheet.form(Form {
        action: format!("/welcome/{token}"),
        groups: vec![Group { fields, ..Group::default() }],
        buttons: vec![Button::primary("Make the account")],
        ..Form::default()
    });
    Ok(sheet)
}

fn spaced(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

async fn settle(centre: &Centre, ask: &Ask, token: &str) -> Answered {
    let now = centre.now();
    let Some(open) = centre.accounts.welcome(token, now) else {
        return Err(missing("such link: it was used, or is older than a day. No account was made by", "it"));
    };
    let name = open.name.unwrap_or_else(|| ask.field("name").trim().to_owned());
    let (password, again) = (ask.field("password"), ask.field("again"));
    let mut wrong: Vec<(&str, String)> = Vec::new();
    let plain = |one: char| one.is_alphanumeric() || "._-@ ".contains(one);
    if name.is_empty() || name.chars().count() > NAME_MAX || !name.chars().all(plain) {
        wrong.push(("name", format!("write letters, digits, blanks and . _ - @, {NAME_MAX} at most")));
    }
    if password.chars().count() < PASSWORD_MIN || password.len() > PASSWORD_MAX {
        wrong.push(("password", format!("{PASSWORD_MIN} characters are the least")));
    } else if password != again {
        wrong.push(("again", "the two are not the same".to_owned()));
    }
    if wrong.is_empty() {
        let Some(_turn) = turn(centre).await else {
            return Ok(Outcome::Sheet(busy(welcome(centre, ask, token, &[("name", BUSY.to_owned())])?)));
        };
        let settled =
            tokio::task::block_in_place(|| centre.accounts.settle(token, &name, password, ask.field("code"), now));
        match settled {
            Ok(account) => {
                let (from, object) = (ask.from().to_string(), format!("account {} of the admin centre", account.name));
                let note =
                    Note { who: &account.name, from: &from, cmdlet: "New-Account", object: &object, refused: None };
                centre.estate.note(note);
                return Ok(begin(centre, ask, of_account(centre, ask, &account)));
            }
            Err(why) => wrong.push(why),
        }
    }
    Ok(Outcome::Sheet(welcome(centre, ask, token, &wrong)?))
}
