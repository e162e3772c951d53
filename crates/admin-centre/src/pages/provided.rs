//! Signing in by a provider: the link at the door, the way there, and the way back.

use std::sync::Arc;

use authority::{Principal, Who};
use envelope::Timestamp;

use super::{Answered, Outcome, entrance, missing};
use crate::centre::{Centre, Visit};
use crate::person::{Person, Proof, Vouched};
use crate::provider::{Arrival, Departure, Identity, Provider, Return, Turned};
use crate::request::Ask;
use crate::view::{Block, Sheet, Tone};

/// The way there, of nobody.
pub(super) async fn begin(centre: &Centre, ask: &Ask) -> Answered {
    if entrance::cookie(ask).is_empty() {
        return Ok(Outcome::See("/sign-in".to_owned()));
    }
    go(centre, ask, entrance::cookie(ask), None).await
}

/// The same, of somebody who is signed in by the provider and proves himself again.
pub(super) async fn again(visit: &Visit<'_>, secret: &str) -> Answered {
    match &visit.person.vouched {
        Some(vouched) => go(visit.centre, visit.ask, secret, Some(vouched.identity.clone())).await,
        None => Ok(Outcome::See("/".to_owned())),
    }
}

async fn go(centre: &Centre, ask: &Ask, cookie: &str, again: Option<Identity>) -> Answered {
    let provider = centre.provider.as_ref().ok_or_else(|| missing("page", &ask.path))?;
    let to = entrance::to(ask);
    let departure = Departure { cookie, from: ask.from(), host: &ask.host, to: &to, again };
    match provider.begin(departure, centre.now()).await {
        Ok(address) => Ok(Outcome::See(address)),
        Err(turned) => Ok(Outcome::Sheet(told(centre, ask, provider, turned))),
    }
}

/// The way back.
pub(super) async fn returned(centre: &Centre, ask: &Ask, secret: &str) -> Answered {
    let provider = centre.provider.as_ref().ok_or_else(|| missing("page", &ask.path))?;
    let back = Return {
        state: ask.query("state"),
        code: ask.query("code"),
        issuer: ask.query("iss"),
        error: (ask.query("error"), ask.query("error_description")),
        cookie: secret,
    };
    let now = centre.now();
    match provider.finish(back, now).await {
        Ok(arrival) => {
            let to = arrival.to.clone();
            let person = of(centre, ask, provider, arrival);
            let subject = person.vouched.as_ref().map(|vouched| vouched.identity.subject.clone()).unwrap_or_default();
            entrance::note(centre, ask, person.name(), &format!("{}, subject {subject}", person.by()), None);
            // Whoever proves himself again begins anew, with the groups that he has now.
            centre.sessions.end(secret);
            let secret = centre.sessions.begin(person, &ask.agent, now);
            Ok(Outcome::Begin { secret, to })
        }
        Err(turned) => {
            let who = turned.who.clone().unwrap_or_else(|| "(nobody of this centre)".to_owned());
            entrance::note(
                centre,
                ask,
                &who,
                &format!("{} ({})", provider.name(), provider.issuer()),
                Some(&turned.why),
            );
            Ok(Outcome::Sheet(told(centre, ask, provider, turned)))
        }
    }
}

fn of(centre: &Centre, ask: &Ask, provider: &Provider, arrival: Arrival) -> Person {
    let forest = centre.estate.authority().forest().clone();
    let who = Who::User { name: arrival.name.as_str().into(), groups: arrival.groups };
    let principal = Principal { forest, who, issued: Timestamp::from_millis(0) };
    let vouched = Vouched { by: provider.name().to_owned(), identity: arrival.identity };
    let vouched = Some(Arc::new(vouched));
    Person { principal, proof: Proof::Provider, from: ask.from(), until: None, proved: arrival.proved, vouched }
}

fn told(centre: &Centre, ask: &Ask, provider: &Provider, turned: Turned) -> Sheet {
    let title = if turned.away {
        format!("{} cannot be asked just now", provider.name())
    } else {
        format!("You are not signed in by {}", provider.name())
    };
    let mut sheet = entrance::door(centre, ask, "", None);
    sheet.status = if turned.away { 503 } else { 401 };
    let mut lines = vec![turned.why.into()];
    if turned.away {
        lines.push("Accounts and certificates sign in as always.".into());
    }
    sheet.blocks.insert(0, Block::Notice { tone: Tone::Bad, title, lines });
    sheet
}
