//! The linter: every problem of a draft at once, each with where it is, what is wrong and what to do.
//!
//! Cross-parameter rules of Send connectors are V-1…V-26 of the specification; their module is [`connectors`]. Each check
//! looks names up in [`Known`]: an organization of ten thousand connectors is checked in a moment.

mod connectors;
mod domains;
mod gateways;
#[cfg(test)]
mod tests;
mod written;

pub use written::written;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;

use crate::draft::OrganizationDraft;
use crate::receive_connector::defaults;
use crate::server::{DatabaseHome, Server, ServerRole};
use crate::site::SITE_LINK_SIZE_MIN;
use envelope::{Limit, ObjectName, ServerName, SiteName};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Accepted, but probably not meant.
    Warning,
    /// The draft cannot become a snapshot.
    Error,
}

/// One problem of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Warning or error.
    pub weight: Weight,
    /// Where: `sendConnectors["Internet"].smartHosts`.
    pub place: String,
    /// What is wrong and what to do, one sentence.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = if self.weight == Weight::Error { "error" } else { "warning" };
        match self.place.as_str() {
            "" => write!(f, "{weight}: {}", self.text),
            place => write!(f, "{weight}: {place}: {}", self.text),
        }
    }
}

/// Every problem found, in the order of the draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.weight == Weight::Error)
    }

    fn error(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem { weight: Weight::Error, place: place.into(), text: text.into() });
    }

    fn warning(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem { weight: Weight::Warning, place: place.into(), text: text.into() });
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Finds every problem of `draft`.
#[must_use]
pub fn lint(draft: &OrganizationDraft) -> Problems {
    let mut problems = Problems::default();
    let known = Known::of(draft);
    names(draft, &mut problems);
    sites(draft, &known, &mut problems);
    servers(draft, &known, &mut problems);
    databases(draft, &known, &mut problems);
    domains::check(draft, &mut problems);
    for connector in &draft.send_connectors {
        connectors::send(&known, connector, &mut problems);
    }
    gateways::check(draft, &known, &mut problems);
    gateways::types(draft, &mut problems);
    connectors::receive(draft, &known, &mut problems);
    problems
}

/// What other objects may refer to, by name.
struct Known<'a> {
    sites: HashSet<&'a SiteName>,
    /// Sites with a Mailbox server.
    manned: HashSet<&'a SiteName>,
    servers: HashMap<&'a ServerName, &'a Server>,
    dags: HashSet<&'a ObjectName>,
}

impl<'a> Known<'a> {
    fn of(draft: &'a OrganizationDraft) -> Self {
        let mailbox = draft.servers.iter().filter(|server| server.role == ServerRole::Mailbox);
        Self {
            sites: draft.sites.iter().map(|site| &site.name).collect(),
            manned: mailbox.map(|server| &server.site).collect(),
            servers: draft.servers.iter().map(|server| (&server.name, server)).collect(),
            dags: draft.dags.iter().map(|dag| &dag.name).collect(),
        }
    }

    fn role(&self, server: &ServerName) -> Option<ServerRole> {
        self.servers.get(server).map(|server| server.role)
    }
}

fn names(draft: &OrganizationDraft, problems: &mut Problems) {
    unique("sites", draft.sites.iter().map(|o| &o.name), problems);
    unique("siteLinks", draft.site_links.iter().map(|o| &o.name), problems);
    unique("servers", draft.servers.iter().map(|o| &o.name), problems);
    unique("servers", draft.servers.iter().map(|o| &o.fqdn), problems);
    unique("dags", draft.dags.iter().map(|o| &o.name), problems);
    unique("databases", draft.databases.iter().map(|o| &o.name), problems);
    unique("sendConnectors", draft.send_connectors.iter().map(|o| &o.name), problems); // V-26
    unique("deliveryAgentConnectors", draft.delivery_agent_connectors.iter().map(|o| &o.name), problems);
    unique("foreignConnectors", draft.foreign_connectors.iter().map(|o| &o.name), problems);
    unique("acceptedDomains", draft.accepted_domains.iter().map(|o| &o.name), problems);
    unique("acceptedDomains", draft.accepted_domains.iter().map(|o| &o.domain), problems);
    unique("x400AuthoritativeDomains", draft.x400_domains.iter().map(|o| &o.name), problems);
    let x400 = draft.x400_domains.iter().map(|o| o.domain.attributes());
    unique("x400AuthoritativeDomains", x400, problems);
    let receive = draft.receive_connectors.iter().map(|o| (&o.server, &o.name));
    unique("receiveConnectors", receive.map(|(server, name)| format!("{server}\\{name}")), problems);
}

fn unique<T: Hash + Eq + fmt::Display>(kind: &str, names: impl Iterator<Item = T>, problems: &mut Problems) {
    let mut seen: HashMap<T, u32> = HashMap::new();
    for name in names {
        *seen.entry(name).or_default() += 1;
    }
    let mut twice: Vec<String> =
        seen.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name.to_string()).collect();
    twice.sort();
    for name in twice {
        problems.error(kind, format!("{name:?} is there more than once; names are compared without regard to case"));
    }
}

fn sites(draft: &OrganizationDraft, known: &Known<'_>, problems: &mut Problems) {
    for link in &draft.site_links {
        let place = format!("siteLinks[\"{}\"]", link.name);
        for site in &link.sites {
            if !known.sites.contains(site) {
                problems.error(
                    format!("{place}.sites"),
                    format!("there is no site {site:?}; add it to sites or correct the name"),
                );
            }
        }
        let mut members = link.sites.clone();
        members.sort();
        members.dedup();
        if members.len() < 2 || members.len() != link.sites.len() {
            problems.error(format!("{place}.sites"), "a site link joins two or more different sites");
        }
        if matches!(link.max_message_size, Limit::At(size) if size < SITE_LINK_SIZE_MIN) {
            problems
                .error(format!("{place}.maxMessageSize"), "the smallest limit of a site link is 64KB (or unlimited)");
        }
    }
}

fn servers(draft: &OrganizationDraft, known: &Known<'_>, problems: &mut Problems) {
    for server in &draft.servers {
        let place = format!("servers[\"{}\"]", server.name);
        if !known.sites.contains(&server.site) {
            problems.error(format!("{place}.site"), format!("there is no site {:?}", server.site));
        }
        if server.role == ServerRole::Mailbox && !server.edge.is_none() {
            problems.error(format!("{place}.edge"), "only an Edge server is subscribed"); // EN-10
        }
        if let Some(dag) = &server.dag {
            if !known.dags.contains(dag) {
                problems.error(format!("{place}.dag"), format!("there is no DAG {dag:?}"));
            }
            if server.role == ServerRole::Edge {
                problems.error(format!("{place}.dag"), "an Edge server cannot be a member of a DAG");
            }
        }
        logs(server, &place, problems);
    }
    for server in &draft.servers {
        let defaults = defaults::of(server);
        for name in
            server.removed_receive_connectors.iter().filter(|name| defaults.iter().all(|known| known.name != **name))
        {
            let known: Vec<&str> = defaults.iter().map(|known| known.name.as_str()).collect();
            let text =
                format!("{name:?} is no default Receive connector of the server; there are {}", known.join(", "));
            problems.error(format!("servers[\"{}\"].removedReceiveConnectors", server.name), text);
        }
    }
    for site in draft.sites.iter().filter(|site| site.hub_site_enabled && !known.manned.contains(&site.name)) {
        let text = "a hub site needs a Mailbox server; the flag is ignored until there is one";
        problems.warning(format!("sites[\"{}\"].hubSiteEnabled", site.name), text); // RT-29
    }
}

/// LG-03: a file of a log is no larger than all of them together.
fn logs(server: &Server, place: &str, problems: &mut Problems) {
    let (own, front) = (&server.transport.logs, &server.frontend_transport.protocol);
    for (kept, name) in [
        (own.message_tracking, "transport.messageTrackingLogMaxFileSize"),
        (own.connectivity, "transport.connectivityLogMaxFileSize"),
        (own.protocol.receive, "transport.receiveProtocolLogMaxFileSize"),
        (own.protocol.send, "transport.sendProtocolLogMaxFileSize"),
        (front.receive, "frontendTransport.receiveProtocolLogMaxFileSize"),
        (front.send, "frontendTransport.sendProtocolLogMaxFileSize"),
    ] {
        if !kept.fits() {
            let directory = name.rsplit('.').next().unwrap_or(name).replace("MaxFileSize", "MaxDirectorySize");
            problems.error(format!("{place}.{name}"), format!("a file is no larger than {directory}"));
        }
    }
}

fn databases(draft: &OrganizationDraft, known: &Known<'_>, problems: &mut Problems) {
    for database in &draft.databases {
        let place = format!("databases[\"{}\"]", database.name);
        let active = database.active_server();
        match (&database.home, known.servers.get(active)) {
            (_, None) => problems.error(place, format!("there is no server {active:?}")),
            (_, Some(server)) if server.role == ServerRole::Edge => {
                problems.error(place, format!("{active:?} is an Edge server and holds no mailboxes"));
            }
            (DatabaseHome::Dag { dag, .. }, Some(server)) if server.dag.as_ref() != Some(dag) => {
                problems.error(format!("{place}.activeOn"), format!("{active:?} is not a member of DAG {dag:?}"));
            }
            (DatabaseHome::Dag { .. } | DatabaseHome::Server(_), Some(_)) => {}
        }
    }
}
