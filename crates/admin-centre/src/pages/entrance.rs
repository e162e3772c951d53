//! What everybody meets at the door: the page, where he wanted to go, and that it is written down.

use authority::Who;

use crate::centre::Centre;
use crate::estate::Note;
use crate::provider::Provider;
use crate::request::Ask;
use crate::view::{Bit, Button, Entry, Field, Form, Group, Sheet, Tone};

pub(super) fn cookie(ask: &Ask) -> &str {
    ask.cookie(crate::session::COOKIE).unwrap_or_default()
}

/// Where somebody wanted to go.
pub(super) fn to(ask: &Ask) -> String {
    own(if ask.post { ask.field("to") } else { ask.query("to") })
}

/// An address of our own, or the first page.
fn own(wanted: &str) -> String {
    let own = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.contains(|one: char| one == '\\' || one.is_control());
    if own { wanted.to_owned() } else { "/".to_owned() }
}

pub(super) fn door(centre: &Centre, ask: &Ask, name: &str, wrong: Option<String>) -> Sheet {
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
    if let Some(provider) = &centre.provider {
        offer(&mut sheet, provider, ask);
    }
    match centre.by_certificate(ask) {
        Ok(Some((principal, _))) => {
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
                password(),
                code(),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::primary("Sign in")],
        ..Form::default()
    });
    sheet
}

pub(super) fn password() -> Field {
    Field::line("password", "Password", "")
        .with(Entry::Line { kind: "password", complete: "current-password" })
        .needed()
}

pub(super) fn code() -> Field {
    Field::line("code", "Code of your authenticator", "")
        .with(Entry::Line { kind: "text", complete: "one-time-code" })
        .helped("Six digits that change every half minute.")
        .needed()
}

pub(super) fn note(centre: &Centre, ask: &Ask, who: &str, how: &str, refused: Option<&str>) {
    let from = ask.from().to_string();
    let object = format!("admin centre, by {how}");
    // What was typed as a name may be a password in the wrong field: a stranger's is not written.
    centre.estate.note(Note { who, from: &from, cmdlet: "Sign-In", object: &object, refused });
}

/// Whoever goes to the provider has a cookie from the door: he comes back by it.
pub(super) const BEGIN: &str = "/sign-in/provider";

/// At the door.
pub(super) fn offer(sheet: &mut Sheet, provider: &Provider, ask: &Ask) {
    if !ask.query("provider").is_empty()
        && let Some(there) = provider.sign_out(&ask.host)
    {
        let line = Bit::link(there, format!("Sign out of {} as well", provider.name()));
        sheet.notice(Tone::Plain, "You are signed out here", vec![line.into()]);
    }
    let to = form_urlencoded::Serializer::new(String::new()).append_pair("to", &to(ask)).finish();
    sheet.action(format!("{BEGIN}?{to}"), &format!("Sign in with {}", provider.name()), "primary", None);
}
