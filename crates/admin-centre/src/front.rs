//! One request to one answer: whose host, who asks, whether a browser was made to ask, which page. No socket is here, so that a
//! test asks as a browser does.

use crate::assets::{self, ICON, SCRIPT, STYLE};
use crate::centre::Centre;
use crate::guard;
use crate::live::Drawn;
use crate::pages::{self, Outcome, Trouble};
use crate::person::Person;
use crate::request::{Ask, Reply};
use crate::ruled::Denied;
use crate::session;
use crate::text::kept;
use crate::view::{Bit, Document, Sheet, Tone};

impl Centre {
    /// The answer, with the headers that every answer has.
    pub(crate) async fn answer(&self, ask: &Ask) -> Reply {
        let mut reply = self.answered(ask).await;
        if !reply.headers.iter().any(|(name, _)| *name == "cache-control") {
            reply = reply.with("cache-control", "no-store".to_owned());
        }
        for (name, value) in guard::HEADERS {
            reply.headers.push((name, value.to_owned()));
        }
        reply
    }

    /// What whoever calls the centre by another name is told.
    pub(crate) fn not_called(&self, host: &str) -> Option<Reply> {
        let text = "This centre is not called by that name. Whoever runs it names its hosts with --host.\n";
        let reply = || Reply::new(421, "text/plain; charset=utf-8", text).with("cache-control", "no-store".to_owned());
        (!self.hosts.has(host)).then(reply)
    }

    async fn answered(&self, ask: &Ask) -> Reply {
        if let Some(reply) = self.not_called(&ask.host) {
            return reply;
        }
        if let Some(asset) = assets::find(&ask.path) {
            let reply = Reply::new(200, asset.kind, asset.body);
            return reply.with("cache-control", "public, max-age=31536000, immutable".to_owned());
        }
        let secret = ask.cookie(session::COOKIE).unwrap_or_default();
        if ask.post {
            let here = guard::is_from_here(ask.fetch_site.as_deref(), ask.origin.as_deref(), &ask.host);
            let token = session::form_token(secret);
            if !here || secret.is_empty() || !crate::codes::same(ask.field("token"), &token) {
                return self.not_from_here(ask, secret);
            }
        }
        let person = self.present(ask, secret);
        let outcome = match &person {
            Some(person) => pages::signed_in(&self.visit(ask, person), secret).await,
            None => pages::door::page(self, ask).await,
        };
        self.told(ask, person.as_ref(), secret, outcome)
    }

    fn not_from_here(&self, ask: &Ask, secret: &str) -> Reply {
        let mut sheet = Sheet::new("This was not sent by a page of this centre");
        let why = "The session may have ended while the page was open. Nothing was changed. Open the page again and repeat it.";
        sheet.notice(Tone::Bad, "Nothing was changed", vec![why.into(), Bit::link("/", "To the start page").into()]);
        sheet.status = 403;
        let person = self.present(ask, secret);
        self.told(ask, person.as_ref(), secret, Ok(Outcome::Sheet(sheet)))
    }

    fn told(&self, ask: &Ask, person: Option<&Person>, secret: &str, outcome: Result<Outcome, Trouble>) -> Reply {
        match outcome {
            Ok(Outcome::See(to)) => Reply::see(&to),
            Ok(Outcome::Begin { secret, to }) => Reply::see(&to).with("set-cookie", cookie(&secret)),
            Ok(Outcome::End(to)) => Reply::see(&to)
                .with("set-cookie", format!("{}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0", session::COOKIE)),
            Ok(Outcome::File { kind, name, body }) => {
                let reply = Reply::new(200, kind, body);
                if name.is_empty() {
                    reply
                } else {
                    reply.with("content-disposition", format!("attachment; filename=\"{name}\""))
                }
            }
            Ok(Outcome::Sheet(sheet)) => self.shown(ask, person, secret, sheet),
            Err(trouble) => self.shown(ask, person, secret, pages::trouble(trouble)),
        }
    }

    /// HTML, or what the end of the path asks for.
    fn shown(&self, ask: &Ask, person: Option<&Person>, secret: &str, sheet: Sheet) -> Reply {
        if let Some(table) = sheet.table().filter(|_| sheet.status == 200 && !ask.post) {
            match ask.query("as") {
                "csv" => {
                    let body = table.csv(!ask.query("raw").is_empty());
                    let reply = Reply::new(200, "text/csv; charset=utf-8", body);
                    return reply.with("content-disposition", "attachment; filename=\"list.csv\"".to_owned());
                }
                "json" => return Reply::new(200, "application/json", table.json().to_string()),
                _ => {}
            }
        }
        // Before the forms have the token of this session: what changes later is written for everybody who sees the same.
        let mark = if sheet.live { self.live.drawn(&Drawn::of(&sheet)) } else { String::new() };
        // Whoever is not signed in has a cookie as well: the token of the form at the door is made of it.
        let (own, fresh) = if secret.is_empty() { (crate::codes::token(), true) } else { (secret.to_owned(), false) };
        let token = session::form_token(&own);
        let sheet = sheet.sealed(&token);
        let name = person.map(Person::name);
        let document = Document {
            sheet: &sheet,
            regions: sheet.regions(),
            mark,
            person: name,
            groups: person.map(Person::groups_text).unwrap_or_default(),
            areas: if person.is_some() { pages::areas(&ask.path) } else { Vec::new() },
            css: &STYLE.path,
            script: &SCRIPT.path,
            icon: &ICON.path,
            revision: format!("Drawn {} UTC", crate::view::shown_time(&self.now())),
            token,
            search: kept(ask.query("q")),
        };
        let reply = match askama::Template::render(&document) {
            Ok(html) => Reply::new(sheet.status, "text/html; charset=utf-8", html),
            Err(error) => {
                tracing::error!(%error, "a page cannot be written");
                Reply::new(500, "text/plain; charset=utf-8", "This page cannot be written.\n")
            }
        };
        if fresh { reply.with("set-cookie", cookie(&own)) } else { reply }
    }
}

/// Strict would lose the session on a link from a ticket (WA-61).
fn cookie(secret: &str) -> String {
    format!("{}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax", session::COOKIE)
}

impl From<Denied> for Trouble {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(refusal) => Self::Refused(refusal),
            Denied::Away(why) => Self::Away(why),
        }
    }
}
