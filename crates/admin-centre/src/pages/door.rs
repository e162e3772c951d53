//! The door: signing in, and the link by which an account is made.

use std::time::Duration;

use authority::{Principal, Who};
use envelope::Timestamp;

use super::entrance::{cookie, door, note, to};
use super::{Answered, Outcome, Trouble, missing, provided};
use crate::accounts::{Account, Mismatch, PASSWORD_MAX, PASSWORD_MIN};
use crate::centre::Centre;
use crate::codes;
use crate::estate::Note;
use crate::person::{Person, Proof};
use crate::request::Ask;
use crate::view::{Bit, Block, Button, Entry, Field, Form, Group, Sheet};

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
        (false, ["sign-in", "provider"]) => provided::begin(centre, ask).await,
        (false, ["sign-in", "callback"]) => provided::returned(centre, ask, cookie(ask)).await,
        (false, ["welcome", token]) => Ok(Outcome::Sheet(welcome(centre, ask, token, &[])?)),
        (true, ["welcome", token]) => settle(centre, ask, token).await,
        (true, _) => Err(Trouble::Wrong("Nobody is signed in: the session has ended. Nothing was changed.".to_owned())),
        (false, [] | ["sign-out" | "prove"]) => Ok(Outcome::See("/sign-in".to_owned())),
        // Where somebody wanted to go is where he is led afterwards.
        (false, _) => {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&ask.query).finish();
            let to = if query.is_empty() { ask.path.clone() } else { format!("{}?{query}", ask.path) };
            let to = form_urlencoded::Serializer::new(String::new()).append_pair("to", &to).finish();
            Ok(Outcome::See(format!("/sign-in?{to}")))
        }
    }
}

fn begin(centre: &Centre, ask: &Ask, person: Person) -> Outcome {
    note(centre, ask, person.name(), person.proof.as_str(), None);
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

/// What whoever comes too early after what failed is told.
fn early(centre: &Centre, ask: &Ask, name: &str) -> Result<(), (u16, String)> {
    match centre.attempts.wait(ask.from(), name, centre.now()) {
        Some(wait) => Err((429, format!("Too many attempts. Try again in {} seconds.", wait.as_secs() + 1))),
        None => Ok(()),
    }
}

/// The account of a name, if password and code are its: in turn, and not too often. Otherwise the status and the words for it.
pub(super) async fn proves(centre: &Centre, ask: &Ask, name: &str) -> Result<Account, (u16, String)> {
    early(centre, ask, name)?;
    let _turn = turn(centre).await.ok_or((503, BUSY.to_owned()))?;
    // Others of the same address may have failed while this one waited.
    early(centre, ask, name)?;
    let (from, password, now) = (ask.from(), ask.field("password"), centre.now());
    let checked = if password.len() <= PASSWORD_MAX {
        tokio::task::block_in_place(|| centre.accounts.check(name, password, ask.field("code"), now))
    } else {
        Err(Mismatch::Password)
    };
    match checked {
        Ok(account) => {
            centre.attempts.succeeded(from, name);
            Ok(account)
        }
        Err(why) => {
            centre.attempts.failed(from, name, why == Mismatch::Code, now);
            let text = "Name, password or code is wrong. A code is good once; the password must be typed again.";
            Err((401, text.to_owned()))
        }
    }
}

async fn enter(centre: &Centre, ask: &Ask) -> Answered {
    if ask.field("by") == "certificate" {
        return match centre.by_certificate(ask) {
            Ok(Some((principal, until))) => {
                let until = Some(until);
                let (proof, from, proved) = (Proof::Certificate, ask.from(), Some(centre.now()));
                Ok(begin(centre, ask, Person { principal, proof, from, until, proved, vouched: None }))
            }
            Ok(None) => Ok(Outcome::Sheet(door(centre, ask, "", Some("Your browser shows no certificate".to_owned())))),
            Err(why) => Ok(Outcome::Sheet(door(centre, ask, "", Some(why)))),
        };
    }
    let name = ask.field("name").trim();
    match proves(centre, ask, name).await {
        Ok(account) => Ok(begin(centre, ask, of_account(centre, ask, &account))),
        Err((status, text)) => {
            if status == 401 {
                let known = centre.accounts.find(name);
                let who = known.map_or_else(|| "(nobody of this centre)".to_owned(), |known| known.name);
                note(centre, ask, &who, Proof::Account.as_str(), Some("name, password or code is wrong"));
            }
            let mut sheet = door(centre, ask, name, Some(text));
            sheet.status = status;
            Ok(Outcome::Sheet(sheet))
        }
    }
}

fn of_account(centre: &Centre, ask: &Ask, account: &Account) -> Person {
    let forest = centre.estate.authority().forest().clone();
    let who = Who::User { name: account.name.as_str().into(), groups: account.groups() };
    let principal = Principal { forest, who, issued: Timestamp::from_millis(0) };
    let (proof, from, proved) = (Proof::Account, ask.from(), Some(centre.now()));
    Person { principal, proof, from, until: None, proved, vouched: None }
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
    if let Some(svg) = codes::drawing(&address) {
        sheet.add(Block::Picture {
            svg,
            about: "Let your authenticator app read this, or type the key below.".to_owned(),
        });
    }
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
