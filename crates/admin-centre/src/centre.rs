//! One request to one answer: whose host, who asks, whether a browser was made to ask, which page. No socket is here, so that a
//! test asks as a browser does.

use std::net::IpAddr;
use std::sync::Arc;

use authority::{Authority, Principal, Who};
use envelope::Timestamp;

use crate::accounts::Accounts;
use crate::assets::{self, ICON, SCRIPT, STYLE};
use crate::estate::Estate;
use crate::guard::{self, Hosts};
use crate::pages::{self, Outcome, Trouble};
use crate::person::{Person, Proof};
use crate::plans::Plans;
use crate::ruled::{Denied, Ruled};
use crate::session::{self, Attempts, Sessions};
use crate::text::kept;
use crate::view::{Bit, Document, Sheet, Tone};

/// Of what a centre is made.
pub struct CentreOptions {
    /// What is asked.
    pub estate: Arc<dyn Estate>,
    /// People without a certificate.
    pub accounts: Accounts,
    /// Names by which browsers may call it, without the port.
    pub hosts: Vec<String>,
    /// Where it listens.
    pub port: u16,
    /// The time.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The admin centre.
pub struct Centre {
    pub(crate) estate: Arc<dyn Estate>,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) attempts: Attempts,
    pub(crate) plans: Plans,
    hosts: Hosts,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Names and values, in their order.
pub(crate) type Pairs = Vec<(String, String)>;

/// What a browser asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) post: bool,
    /// As it was sent, without the query.
    pub(crate) path: String,
    pub(crate) query: Pairs,
    pub(crate) form: Pairs,
    pub(crate) host: String,
    pub(crate) cookies: String,
    pub(crate) fetch_site: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) agent: String,
    pub(crate) from: Option<IpAddr>,
    /// The client's certificate, verified.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// What it is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }

    fn see(to: &str) -> Self {
        Self { status: 303, headers: vec![("location", to.to_owned())], body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Ask {
    /// The parts of the path, decoded; without those that are empty.
    pub(crate) fn parts(&self) -> Vec<String> {
        let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        self.path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
    }

    pub(crate) fn query(&self, name: &str) -> &str {
        find(&self.query, name)
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        find(&self.form, name)
    }

    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.form.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).next()
    }

    pub(crate) fn from(&self) -> IpAddr {
        self.from.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }
}

pub(crate) fn find<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

/// A request of somebody who is signed in.
pub(crate) struct Visit<'a> {
    pub(crate) centre: &'a Centre,
    pub(crate) ask: &'a Ask,
    pub(crate) person: &'a Person,
    pub(crate) ruled: Ruled<'a>,
    pub(crate) now: Timestamp,
}

impl Centre {
    /// A centre without sessions.
    #[must_use]
    pub fn new(options: CentreOptions) -> Self {
        let CentreOptions { estate, accounts, hosts, port, now } = options;
        Self {
            estate,
            accounts,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            plans: Plans::default(),
            hosts: Hosts::new(hosts, port),
            clock: now,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

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

    async fn answered(&self, ask: &Ask) -> Reply {
        if !self.hosts.has(&ask.host) {
            let text = "This centre is not called by that name. Whoever runs it names its hosts with --host.\n";
            return Reply::new(421, "text/plain; charset=utf-8", text);
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
            Some(person) => {
                let visit = Visit {
                    centre: self,
                    ask,
                    person,
                    ruled: Ruled::new(self.estate.as_ref(), person),
                    now: self.now(),
                };
                pages::signed_in(&visit, secret).await
            }
            None => pages::door::page(self, ask).await,
        };
        self.told(ask, person.as_ref(), secret, outcome)
    }

    /// Who has the session, if he is still somebody: a certificate that was revoked, or an account that was ended, is nobody.
    fn present(&self, ask: &Ask, secret: &str) -> Option<Person> {
        let mut person = self.sessions.person(secret, self.now())?;
        person.from = ask.from();
        let counts = match person.proof {
            Proof::Account => {
                self.accounts.find(person.name()).is_some_and(|account| account.groups() == person.groups())
            }
            Proof::Certificate => self.estate.authority().not_revoked(&person.principal).is_ok(),
        };
        if !counts {
            self.sessions.end(secret);
            return None;
        }
        Some(person)
    }

    /// Whom the certificate of the connection names, if it is an administrator's that counts.
    pub(crate) fn by_certificate(&self, ask: &Ask) -> Result<Option<Principal>, String> {
        let Some(certificate) = &ask.certificate else { return Ok(None) };
        let Some(principal) = self.estate.principal(certificate) else { return Ok(None) };
        if !matches!(principal.who, Who::Administrator { .. }) {
            return Ok(None);
        }
        let authority: Authority = self.estate.authority();
        if principal.forest != *authority.forest() {
            return Err(format!("the certificate is of forest {}, not of {}", principal.forest, authority.forest()));
        }
        authority.not_revoked(&principal).map_err(|refusal| refusal.to_string())?;
        Ok(Some(principal))
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
            Ok(Outcome::End) => Reply::see("/sign-in")
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
        // Whoever is not signed in has a cookie as well: the token of the form at the door is made of it.
        let (own, fresh) = if secret.is_empty() { (crate::codes::token(), true) } else { (secret.to_owned(), false) };
        let token = session::form_token(&own);
        let sheet = sheet.sealed(&token);
        let name = person.map(Person::name);
        let document = Document {
            sheet: &sheet,
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
