//! Mail that passes an Edge server is decided twice: by the organization, and by the Edge server with what it was told. Where both
//! directories can be read, which is in a lab, both are asked; elsewhere it is said whose half the answer is, and where to ask on.
//!
//! ```text
//!   BERLIN1 ──organization──▶ EDGE1 ──its own directory──▶ internet
//!   BERLIN1 ◀──organization── EDGE1 ◀──its own directory── internet
//! ```

use std::collections::HashMap;
use std::path::PathBuf;

use envelope::{Address, ServerName};
use inquiry::{Answer, End, Subject};
use routing::{DeliveryType, Route};
use topology::{Organization, Server, ServerRole};

use super::super::source::{Opened, Source};

/// What comes behind an answer.
pub(super) enum Then {
    /// The next server that decides, on the other side of the perimeter.
    Answer(Box<Answer>),
    /// Whose half comes next, and how to ask there.
    Ask(String),
}

/// The other sides of the perimeter, as far as they can be asked.
pub(super) struct Perimeter {
    /// Settings of the servers of a lab.
    lab: HashMap<ServerName, PathBuf>,
    opened: HashMap<ServerName, Opened>,
}

impl Perimeter {
    pub(super) fn around(source: &Source) -> Self {
        let servers = source.lab_around().map(|lab| lab.servers).unwrap_or_default();
        let settings =
            |server: lab::world::ServerStatus| Some((ServerName::parse(&server.name).ok()?, server.settings));
        Self { lab: servers.into_iter().filter_map(settings).collect(), opened: HashMap::new() }
    }

    /// Who decides instead of the organization: an Edge server that can be asked itself.
    pub(super) async fn instead(&mut self, subject: &Subject, asked: &Organization) -> anyhow::Result<Option<Answer>> {
        match asked.server(&subject.from) {
            Some(server) if is_told(server) => self.ask(subject).await,
            _ => Ok(None),
        }
    }

    /// What the other side does with what this side sends there.
    pub(super) async fn then(&mut self, answer: &Answer) -> anyhow::Result<Vec<Then>> {
        let mut told = Vec::new();
        if is_told(answer.tables.local_server()) {
            told.push(Then::Ask(format!(
                "This is by what the organization has told Edge server {0}, or will: it decides by a directory of its own. `postroad explain` \
                 on {0} says how.",
                answer.subject.from
            )));
        }
        for end in &answer.ends {
            let Some(next) = end.route().and_then(|route| beyond(answer, route)) else { continue };
            let subject = Subject { recipient: end.address.clone(), from: next, ..answer.subject.clone() };
            told.push(match self.ask(&subject).await? {
                Some(answer) => Then::Answer(Box::new(answer)),
                None => Then::Ask(advice(answer, end, &subject.from)),
            });
        }
        Ok(told)
    }

    async fn ask(&mut self, subject: &Subject) -> anyhow::Result<Option<Answer>> {
        let Some(settings) = self.lab.get(&subject.from) else { return Ok(None) };
        if !self.opened.contains_key(&subject.from) {
            self.opened.insert(subject.from.clone(), Opened::of_server(settings).await?);
        }
        let opened = &self.opened[&subject.from];
        Ok(Some(opened.inquiry(std::slice::from_ref(subject)).await?.ask(subject)?))
    }
}

/// Whether this is an Edge server as its organization has it, and not as itself.
fn is_told(server: &Server) -> bool {
    server.role == ServerRole::Edge && server.edge.organization.is_none() && server.edge.forest.is_some()
}

/// The first server on the other side of the perimeter, if the route leads there.
fn beyond(answer: &Answer, route: &Route) -> Option<ServerName> {
    let organization = answer.tables.organization();
    if answer.tables.local_server().role == ServerRole::Edge {
        let inside = route.key.delivery_type == DeliveryType::SmtpRelayToRemoteActiveDirectorySite;
        return route.way.attempts.first().filter(|_| inside).map(|attempt| attempt.server.clone());
    }
    let connector = organization.send_connector(route.connector?)?;
    let site = route.way.primary_site();
    let sources = connector.source_transport_servers.iter().filter_map(|name| organization.server(name));
    // EN-45…EN-50: without a subscription it is a smart host like any other.
    let edges = sources.filter(|server| server.role == ServerRole::Edge && server.site == *site);
    edges.map(|edge| &edge.name).min().cloned()
}

fn advice(answer: &Answer, end: &End, next: &ServerName) -> String {
    let address: &Address = &end.address;
    if answer.tables.local_server().role == ServerRole::Edge {
        format!(
            "This is the Edge server's half. The organization decides next: ask there, on {next} or with its admin service, \
             `postroad explain {address} --from {next}`."
        )
    } else {
        let fqdn = answer.tables.organization().server(next).map(|edge| edge.fqdn.to_string()).unwrap_or_default();
        format!(
            "This is the organization's half. Edge server {next} decides next, by a directory of its own: ask there, \
             `postroad explain {address}`, or from here with a certificate of its authority, `postroad explain {address} --api {fqdn} \
             --identity FOLDER`."
        )
    }
}

/// Above the half of another side.
pub(super) fn heading(answer: &Answer) -> String {
    let server = answer.tables.local_server();
    match server.role {
        ServerRole::Edge => format!("then, on Edge server {}, by what it was told", server.name),
        ServerRole::Mailbox => format!("then, in the organization, on {}", server.name),
    }
}
