//! Proving again who one is, before something grave (WA-61): what takes mail, rights or configuration away is not done by whoever
//! finds a browser open.

use std::time::Duration;

use super::{Answered, Outcome, Trouble, door, entrance};
use crate::centre::Visit;
use crate::person::Proof;
use crate::view::{Bit, Block, Button, Form, Group, Sheet, Tone};

/// A proof counts for so long (WA-61).
const AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// Why something grave is not done now, if so: for what is shown shut.
pub(crate) fn missing(visit: &Visit<'_>) -> Option<String> {
    let person = visit.person;
    let by_connection = person.proof == Proof::Certificate && shows_certificate(visit);
    let age = person.proved.map(|proved| visit.now.since(proved));
    if by_connection || age.is_some_and(|age| age < AGE_MAX) {
        return None;
    }
    Some(match age {
        Some(age) => format!("you proved who you are {} minutes ago; prove it again first", age.as_secs() / 60),
        None => "when you proved who you are is not known; prove it first".to_owned(),
    })
}

/// Where it is proved, for who goes on to `to`.
pub(crate) fn place(to: &str) -> String {
    let to = form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
    format!("/prove?{to}")
}

/// The page, in place of something grave: nothing if it was proved just now.
pub(crate) fn wanted(visit: &Visit<'_>, to: &str) -> Option<Outcome> {
    missing(visit).map(|_| Outcome::See(place(to)))
}

/// The connection itself proves it: the key of the certificate was used for it.
fn shows_certificate(visit: &Visit<'_>) -> bool {
    let shown = visit.centre.by_certificate(visit.ask).ok().flatten();
    shown.is_some_and(|(principal, _)| principal.who == visit.person.principal.who)
}

pub(super) async fn page(visit: &Visit<'_>, secret: &str) -> Answered {
    let to = entrance::to(visit.ask);
    if missing(visit).is_none() {
        return Ok(Outcome::See(to));
    }
    if !visit.ask.post {
        return Ok(Outcome::Sheet(sheet(visit, &to, None)));
    }
    if visit.person.proof != Proof::Account {
        return Err(Trouble::Wrong("Only accounts of this centre have a password here.".to_owned()));
    }
    match door::proves(visit.centre, visit.ask, visit.person.name()).await {
        Ok(_) => {
            visit.centre.sessions.proved(secret, visit.centre.now());
            visit.ruled.note("Sign-In", "admin centre, by password and code, again", None);
            Ok(Outcome::See(to))
        }
        Err((status, why)) => {
            if status == 401 {
                visit.ruled.note("Sign-In", "admin centre, by password and code, again", Some(&why));
            }
            let mut sheet = sheet(visit, &to, Some(why));
            sheet.status = status;
            Ok(Outcome::Sheet(sheet))
        }
    }
}

fn sheet(visit: &Visit<'_>, to: &str, wrong: Option<String>) -> Sheet {
    let mut sheet = Sheet::new("Is it you?").says(format!(
        "What comes next takes something away. It is done for who proved who he is within {} minutes.",
        AGE_MAX.as_secs() / 60
    ));
    if let Some(wrong) = wrong {
        sheet.notice(Tone::Bad, wrong, Vec::new());
    }
    match visit.person.proof {
        Proof::Account => sheet.form(Form {
            action: "/prove".to_owned(),
            hidden: vec![("to".to_owned(), to.to_owned())],
            groups: vec![Group {
                title: format!("Password and code of {}", visit.person.name()),
                fields: vec![entrance::password(), entrance::code()],
                ..Group::default()
            }],
            buttons: vec![Button::primary("It is me")],
            ..Form::default()
        }),
        Proof::Provider => {
            let by = visit.person.vouched.as_ref().map(|vouched| vouched.by.clone()).unwrap_or_default();
            let there = form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
            sheet.action(format!("{}?{there}", entrance::BEGIN), &format!("Prove it at {by}"), "primary", None);
        }
        Proof::Certificate => sheet.notice(
            Tone::Warn,
            "Your browser does not show your certificate any more",
            vec!["Open this page anew in a browser that shows it; it asks which one.".into()],
        ),
    }
    sheet.add(Block::Links(vec![Bit::link("/", "To the overview, without it").into()]));
    sheet
}
