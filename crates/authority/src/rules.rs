//! The rules, in their order: forest, revoked, member, role, act, role group.

use std::collections::{BTreeMap, BTreeSet};

use envelope::{Domain, ServerName, Service, Timestamp};
use topology::{Organization, ServerRole};

use crate::features::{Feature, RoleGroup};
use crate::words::{Act, Principal, Refusal, Revocation, Rule, Subject, Who};

/// What of an Edge server its own administrator alone looks at and changes, by a shell on it (EN-4).
const EDGES_OWN: [Feature; 4] =
    [Feature::Queues, Feature::MessageTracking, Feature::AuditLog, Feature::ReceiveConnectors];

/// What is known about an organization's members just now.
#[derive(Clone, Debug)]
pub struct Authority {
    forest: Domain,
    /// Of an Edge server: the forest that it is subscribed to.
    organization: Option<Domain>,
    /// Edge servers that may come, each of a forest of its own.
    edges: BTreeMap<ServerName, Domain>,
    /// Whether this forest is that of an Edge server, which has an admin service of its own.
    is_edge: bool,
    servers: Option<BTreeMap<ServerName, ServerRole>>,
    revoked: BTreeMap<Subject, Timestamp>,
}

impl Authority {
    /// Of `forest` alone: its servers are not known yet, and nothing is revoked.
    #[must_use]
    pub fn of_forest(forest: Domain) -> Self {
        Self {
            forest,
            organization: None,
            edges: BTreeMap::new(),
            is_edge: false,
            servers: None,
            revoked: BTreeMap::new(),
        }
    }

    /// The same with what is believed beside the forest: on an Edge server the organization that it is subscribed to, in an
    /// organization the Edge servers of this site.
    #[must_use]
    pub fn with_neighbours(mut self, organization: Option<Domain>, edges: BTreeMap<ServerName, Domain>) -> Self {
        (self.organization, self.edges) = (organization, edges);
        self
    }

    /// Whether that is the forest of an Edge server that is subscribed here.
    #[must_use]
    pub fn is_edge(&self, forest: &Domain) -> bool {
        self.edges.values().any(|edge| edge == forest)
    }

    /// Whose members are heard.
    #[must_use]
    pub fn forest(&self) -> &Domain {
        &self.forest
    }

    /// The same forest with the servers of a configuration.
    #[must_use]
    pub fn with_servers(mut self, organization: &Organization) -> Self {
        // A subscribed Edge server is of a forest of its own, whatever certificates of this one it may still have.
        let own = organization.servers().iter().filter(|server| !server.edge.is_elsewhere());
        self.servers = Some(own.map(|server| (server.name.clone(), server.role)).collect());
        self.is_edge = organization.own_servers().all(|server| server.role == ServerRole::Edge);
        self
    }

    /// The same with these revocations and no others.
    #[must_use]
    pub fn with_revocations<'a>(mut self, revocations: impl IntoIterator<Item = &'a Revocation>) -> Self {
        self.revoked.clear();
        for Revocation { subject, issued_until } in revocations {
            let until = self.revoked.entry(subject.clone()).or_insert(*issued_until);
            *until = (*until).max(*issued_until);
        }
        self
    }

    /// Whether `principal` may do that.
    ///
    /// # Errors
    /// [`Refusal`], by the first rule that does not hold.
    pub fn rule(&self, principal: &Principal, act: Act) -> Result<(), Refusal> {
        if let Who::Edge { server } = &principal.who {
            self.not_revoked(principal)?;
            return self.edge(server, &principal.forest, act);
        }
        if self.organization.as_ref() == Some(&principal.forest) {
            return self.organization(principal, act);
        }
        if principal.forest != self.forest {
            let why = format!("the certificate is of forest {}, not of {}", principal.forest, self.forest);
            return Err(Refusal { rule: Rule::Forest, why });
        }
        self.not_revoked(principal)?;
        match &principal.who {
            Who::Server { server, services } => {
                let services = self.running(server, services)?;
                if act.services().iter().any(|service| services.contains(service)) {
                    return Ok(());
                }
                let names: Vec<&str> = act.services().iter().map(|service| service.as_str()).collect();
                let whom = if act.is_for_administrators() { "administrators".to_owned() } else { names.join(", ") };
                Err(Refusal { rule: Rule::Act, why: format!("{server} may not call this; it is for {whom}") })
            }
            Who::Administrator { name, groups } => in_group(name.as_str(), groups, act),
            Who::User { name, groups } => in_group(name, groups, act),
            Who::Edge { server } => self.edge(server, &principal.forest, act),
        }
    }

    /// What an Edge server of this site may: hand in mail, and nothing else (EN-27).
    fn edge(&self, server: &ServerName, forest: &Domain, act: Act) -> Result<(), Refusal> {
        if self.edges.get(server) != Some(forest) {
            let why = format!("{server} of {forest} is no Edge server that is subscribed to the site of this server");
            return Err(Refusal { rule: Rule::Member, why });
        }
        match act {
            Act::SubmitMail => Ok(()),
            _ => Err(Refusal { rule: Rule::Act, why: format!("{server} is an Edge server and hands in mail alone") }),
        }
    }

    /// What the organization may on an Edge server: Transports of its site hand over mail, and whoever administers keeps the
    /// configuration (EN-30). Its administrators come by an admin service of theirs.
    fn organization(&self, principal: &Principal, act: Act) -> Result<(), Refusal> {
        self.not_revoked(principal)?;
        let Who::Server { server, services } = &principal.who else {
            let why = format!("this is for servers of {}", principal.forest);
            return Err(Refusal { rule: Rule::Act, why });
        };
        let may = match act {
            Act::SubmitMail => self.running(server, services)?.contains(&Service::Transport),
            // Which servers there are it says itself, with the first synchronization.
            Act::Read(feature) | Act::Change(feature) => {
                services.contains(&Service::Admin) && !EDGES_OWN.contains(&feature)
            }
            _ => false,
        };
        if may {
            return Ok(());
        }
        let why =
            format!("{server} may not call this on an Edge server; its Transport and its admin service may call some");
        Err(Refusal { rule: Rule::Act, why })
    }

    /// Whether the certificate of `principal` still counts.
    ///
    /// # Errors
    /// [`Refusal`] by [`Rule::Revoked`].
    pub fn not_revoked(&self, principal: &Principal) -> Result<(), Refusal> {
        let subject = match &principal.who {
            Who::Server { server, .. } => Subject::Server(server.clone()),
            Who::Administrator { name, .. } => Subject::Administrator(name.clone()),
            Who::Edge { server } => Subject::Server(server.clone()),
            Who::User { .. } => return Ok(()),
        };
        match self.revoked.get(&subject) {
            Some(until) if principal.issued <= *until => {
                let why = format!("the certificates of {subject} were revoked; it needs a new one");
                Err(Refusal { rule: Rule::Revoked, why })
            }
            _ => Ok(()),
        }
    }

    /// What an Edge server runs: its one transport service (EN-3), and in a forest of its own what keeps its directory (EN-1).
    fn runs_on_edge(&self, service: Service) -> bool {
        service == Service::Transport || (self.is_edge && service == Service::Admin)
    }

    /// Which of `services` a server of the organization runs.
    fn running<'a>(
        &self,
        server: &ServerName,
        services: &'a BTreeSet<Service>,
    ) -> Result<&'a BTreeSet<Service>, Refusal> {
        let Some(servers) = &self.servers else { return Ok(services) };
        let role = servers
            .get(server)
            .ok_or_else(|| Refusal { rule: Rule::Member, why: format!("{server} is no server of the organization") })?;
        match role {
            ServerRole::Mailbox => Ok(services),
            ServerRole::Edge if services.iter().all(|service| self.runs_on_edge(*service)) => Ok(services),
            ServerRole::Edge => {
                let why = format!("{server} is an Edge server and runs Transport alone");
                Err(Refusal { rule: Rule::Role, why })
            }
        }
    }
}

/// Whether somebody of these role groups may do that.
fn in_group(name: &str, groups: &BTreeSet<RoleGroup>, act: Act) -> Result<(), Refusal> {
    let (verb, feature) = match act {
        Act::Read(feature) => ("read", feature),
        Act::Change(feature) => ("change", feature),
        _ => return Err(Refusal { rule: Rule::Act, why: format!("{name} is an administrator; this is for services") }),
    };
    if groups.iter().any(|group| act.is_for(*group)) {
        return Ok(());
    }
    let named =
        |groups: &mut dyn Iterator<Item = RoleGroup>| groups.map(RoleGroup::as_str).collect::<Vec<_>>().join(", ");
    let whose = match named(&mut groups.iter().copied()) {
        none if none.is_empty() => "no role group".to_owned(),
        some => some,
    };
    let whom = named(&mut RoleGroup::ALL.into_iter().filter(|group| act.is_for(*group)));
    let why = format!("{name}, of {whose}, may not {verb} {}; that is for {whom}", feature.as_str());
    Err(Refusal { rule: Rule::RoleGroup, why })
}

#[cfg(test)]
mod tests;
