//! Organizations for the routing tests, built in a few words. Topology T1 is that of the routing reference, section 10.

use std::sync::Arc;

use envelope::{ByteSize, Domain, Limit, ObjectName, Revision, ServerName, SiteName};
use routing::{Explanation, Outcome, RoutingTables};
use topology::send_connector::Usage;
use topology::{
    AcceptedDomain, AcceptedDomainType, Dag, Database, DatabaseHome, DeliveryAgentConnector, ForeignConnector, Guid,
    LinkCost, Organization, OrganizationDraft, SendConnector, Server, ServerRole, Site, SiteLink,
    TransportServiceSettings,
};
use uuid::Uuid;

/// A draft under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub draft: OrganizationDraft,
    guids: u128,
}

/// An object name.
pub(crate) fn name(text: &str) -> ObjectName {
    text.parse().unwrap()
}

/// A server name.
pub(crate) fn server(text: &str) -> ServerName {
    text.parse().unwrap()
}

/// A site name.
pub(crate) fn site(text: &str) -> SiteName {
    text.parse().unwrap()
}

impl World {
    /// Topology T1.
    pub(crate) fn t1() -> Self {
        let mut world = Self::default().sites(&["A", "B", "C", "D", "E"]);
        for (link, ends, cost) in
            [("AB", "AB", 10), ("AC", "AC", 10), ("BD", "BD", 10), ("CD", "CD", 10), ("DE", "DE", 5)]
        {
            world = world.link(link, &[&ends[..1], &ends[1..]], cost);
        }
        for server in ["A1", "A2", "A3", "B1", "C1", "D1", "D2", "E1"] {
            world = world.server(server, &server[..1]);
        }
        for site in ["A", "B", "C", "D", "E"] {
            world = world.database(&format!("DB-{site}"), &format!("{site}1"));
        }
        world
    }

    fn guid(&mut self) -> Guid {
        self.guids += 1;
        Guid::from_uuid(Uuid::from_u128(self.guids))
    }

    pub(crate) fn sites(mut self, names: &[&str]) -> Self {
        for text in names {
            let guid = self.guid();
            self.draft.sites.push(Site {
                guid,
                name: site(text),
                hub_site_enabled: false,
                inbound_mail_enabled: true,
                subnets: Vec::new(),
            });
        }
        self
    }

    pub(crate) fn hub(mut self, name: &str) -> Self {
        self.draft.sites.iter_mut().find(|known| known.name == site(name)).unwrap().hub_site_enabled = true;
        self
    }

    pub(crate) fn inbound_disabled(mut self, name: &str) -> Self {
        self.draft.sites.iter_mut().find(|known| known.name == site(name)).unwrap().inbound_mail_enabled = false;
        self
    }

    pub(crate) fn link(mut self, link: &str, sites: &[&str], cost: u32) -> Self {
        let guid = self.guid();
        self.draft.site_links.push(SiteLink {
            guid,
            name: name(link),
            sites: sites.iter().map(|name| site(name)).collect(),
            cost: LinkCost::new(cost).unwrap(),
            exchange_cost: None,
            max_message_size: Limit::Unlimited,
        });
        self
    }

    fn link_mut(&mut self, link: &str) -> &mut SiteLink {
        self.draft.site_links.iter_mut().find(|known| known.name == name(link)).unwrap()
    }

    pub(crate) fn exchange_cost(mut self, link: &str, cost: u32) -> Self {
        self.link_mut(link).exchange_cost = LinkCost::new(cost);
        self
    }

    pub(crate) fn link_limit(mut self, link: &str, size: ByteSize) -> Self {
        self.link_mut(link).max_message_size = Limit::At(size);
        self
    }

    pub(crate) fn server(self, name: &str, site: &str) -> Self {
        self.any_server(name, site, ServerRole::Mailbox)
    }

    /// An Edge server, subscribed to `site`.
    pub(crate) fn edge(self, name: &str, site: &str) -> Self {
        self.any_server(name, site, ServerRole::Edge)
    }

    fn any_server(mut self, name: &str, at: &str, role: ServerRole) -> Self {
        let guid = self.guid();
        self.draft.servers.push(Server {
            guid,
            name: server(name),
            fqdn: Domain::parse(&format!("{name}.contoso.com")).unwrap(),
            site: site(at),
            role,
            dag: None,
            removed_receive_connectors: Vec::new(),
            edge: topology::EdgeSubscription::default(),
            transport: TransportServiceSettings::default(),
            frontend_transport: topology::FrontendTransportSettings::default(),
            mailbox_transport: topology::MailboxTransportSettings::default(),
        });
        self
    }

    pub(crate) fn dag(mut self, dag: &str, members: &[&str]) -> Self {
        let guid = self.guid();
        self.draft.dags.push(Dag { guid, name: name(dag) });
        for member in members {
            let member = server(member);
            self.draft.servers.iter_mut().find(|known| known.name == member).unwrap().dag = Some(name(dag));
        }
        self
    }

    pub(crate) fn database(mut self, database: &str, on: &str) -> Self {
        let guid = self.guid();
        let home = DatabaseHome::Server(server(on));
        self.draft.databases.push(Database { guid, name: name(database), home });
        self
    }

    pub(crate) fn dag_database(mut self, database: &str, dag: &str, on: &str) -> Self {
        let guid = self.guid();
        let home = DatabaseHome::Dag { dag: name(dag), active_on: server(on) };
        self.draft.databases.push(Database { guid, name: name(database), home });
        self
    }

    /// An unlimited connector by DNS.
    pub(crate) fn connector(mut self, connector: &str, spaces: &[&str], sources: &[&str]) -> Self {
        let guid = self.guid();
        let spaces = spaces.iter().map(|space| space.parse().unwrap()).collect();
        let sources = sources.iter().map(|source| server(source)).collect();
        self.draft.send_connectors.push(SendConnector::new(guid, name(connector), Usage::Internal, spaces, sources));
        self
    }

    /// Changes the connector added last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut SendConnector)) -> Self {
        change(self.draft.send_connectors.last_mut().unwrap());
        self
    }

    /// Sends the connector added last by smart hosts.
    pub(crate) fn smart(self, hosts: &[&str]) -> Self {
        self.with(|connector| {
            connector.dns_routing_enabled = false;
            connector.smart_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        })
    }

    /// A Delivery Agent connector.
    pub(crate) fn agent(mut self, connector: &str, spaces: &[&str], sources: &[&str]) -> Self {
        let guid = self.guid();
        let spaces = spaces.iter().map(|space| space.parse().unwrap()).collect();
        let sources = sources.iter().map(|source| server(source)).collect();
        let mut agent = DeliveryAgentConnector::new(guid, name(connector), spaces, sources);
        agent.delivery_protocol = "X.400".to_owned();
        self.draft.delivery_agent_connectors.push(agent);
        self
    }

    /// A Foreign connector.
    pub(crate) fn foreign(mut self, connector: &str, spaces: &[&str], sources: &[&str]) -> Self {
        let guid = self.guid();
        let spaces = spaces.iter().map(|space| space.parse().unwrap()).collect();
        let sources = sources.iter().map(|source| server(source)).collect();
        self.draft.foreign_connectors.push(ForeignConnector::new(guid, name(connector), spaces, sources));
        self
    }

    pub(crate) fn accepted(mut self, domain: &str, domain_type: AcceptedDomainType) -> Self {
        let guid = self.guid();
        let is_default = self.draft.accepted_domains.is_empty();
        let (name, domain) = (name(domain), domain.parse().unwrap());
        self.draft.accepted_domains.push(AcceptedDomain {
            guid,
            name,
            domain,
            domain_type,
            address_book_enabled: domain_type.looks_recipients_up(),
            is_default,
        });
        self
    }

    pub(crate) fn organization(&self) -> Arc<Organization> {
        Arc::new(
            Organization::validate(self.draft.clone(), Revision(7)).unwrap_or_else(|problems| panic!("{problems}")),
        )
    }

    pub(crate) fn tables(&self, local: &str) -> RoutingTables {
        RoutingTables::build(self.organization(), &server(local)).unwrap()
    }
}

/// One line: `key | path cost | stops | attempts`, attempts of equal standing joined with `/`.
pub(crate) fn line(explanation: &Explanation) -> String {
    let route = match &explanation.decision.outcome {
        Outcome::Route(route) => route,
        Outcome::Unreachable(reason) => return format!("unreachable: {reason}"),
        Outcome::Ndr(reason) => return format!("ndr {}", reason.status()),
        Outcome::Deferred(reason) => return format!("deferred: {reason}"),
        Outcome::ExpandHere => return "expand here".to_owned(),
    };
    let way = &route.way;
    let stops: Vec<&str> = way.stops.iter().map(SiteName::as_str).collect();
    let runs: Vec<String> = way
        .attempts
        .chunk_by(|a, b| (a.reason, &a.site) == (b.reason, &b.site))
        .map(|run| run.iter().map(|attempt| attempt.server.as_str()).collect::<Vec<_>>().join("/"))
        .collect();
    let connector = explanation.selected().map(|selected| format!("{} -> ", selected.connector)).unwrap_or_default();
    format!("{connector}{} | {} {} | {} | {}", route.key, way.path, way.path.cost(), stops.join(" "), runs.join(" "))
}
