//! The organization as it was written, unchecked.

use std::collections::{HashMap, HashSet};

use envelope::{Domain, ObjectName, ServerName};

use crate::connector::Connector;
use crate::domain::{AcceptedDomain, DomainPattern};
use crate::gateway_connector::{DeliveryAgentConnector, ForeignConnector};
use crate::receive_connector::{ReceiveConnector, defaults};
use crate::send_connector::SendConnector;
use crate::server::{Dag, Database, Server};
use crate::settings::TransportConfig;
use crate::site::{Site, SiteLink};
use crate::x400_domain::X400AuthoritativeDomain;

/// A whole configuration as written, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationDraft {
    /// `sites:` of the organization file; a name is unique in each of these lists.
    pub sites: Vec<Site>,
    /// IP site links.
    pub site_links: Vec<SiteLink>,
    /// `servers:`, each in one site.
    pub servers: Vec<Server>,
    /// Database availability groups.
    pub dags: Vec<Dag>,
    /// Mailbox databases.
    pub databases: Vec<Database>,
    /// `sendConnectors:`, of all sites; who sees which is decided by scope.
    pub send_connectors: Vec<SendConnector>,
    /// `deliveryAgentConnectors:`, which compete with Send connectors.
    pub delivery_agent_connectors: Vec<DeliveryAgentConnector>,
    /// `foreignConnectors:`, which compete with Send connectors too.
    pub foreign_connectors: Vec<ForeignConnector>,
    /// `receiveConnectors:`, each of one server; the default ones are among them.
    pub receive_connectors: Vec<ReceiveConnector>,
    /// `acceptedDomains:`, one of which is the default.
    pub accepted_domains: Vec<AcceptedDomain>,
    /// `x400AuthoritativeDomains:`.
    pub x400_domains: Vec<X400AuthoritativeDomain>,
    /// Organization-wide settings.
    pub transport_config: TransportConfig,
}

impl OrganizationDraft {
    /// The domain of the default accepted domain, when there is one.
    #[must_use]
    pub fn default_domain(&self) -> Option<&Domain> {
        let default = self.accepted_domains.iter().find(|accepted| accepted.is_default)?;
        match &default.domain {
            DomainPattern::Exact(domain) | DomainPattern::Within(domain) => Some(domain),
            DomainPattern::Any => None,
        }
    }

    /// The servers that are of the same forest as whoever has this configuration: in an organization all but subscribed Edge
    /// servers, on a subscribed Edge server itself alone (EN-1).
    pub fn own_servers(&self) -> impl Iterator<Item = &Server> {
        let told = self.is_told();
        self.servers.iter().filter(move |server| is_own(server, told))
    }

    /// Whether a server is of that forest.
    #[must_use]
    pub fn is_own(&self, server: &Server) -> bool {
        is_own(server, self.is_told())
    }

    /// Whether this is what a subscribed Edge server was told.
    fn is_told(&self) -> bool {
        self.servers.iter().any(|server| server.edge.is_subscribed())
    }

    /// Settles what may be written in more than one way: servers by their names in DNS (SC-84), and the only accepted domain,
    /// which is the default one without saying so.
    pub fn settle(&mut self) {
        let known: HashSet<&ServerName> = self.servers.iter().map(|server| &server.name).collect();
        let by_fqdn: HashMap<&Domain, &ServerName> =
            self.servers.iter().map(|server| (&server.fqdn, &server.name)).collect();
        let named = |name: &ServerName| {
            let fqdn = Domain::parse(name.as_str()).ok().filter(|_| !known.contains(name))?;
            by_fqdn.get(&fqdn).map(|name| (*name).clone())
        };
        let send = self.send_connectors.iter_mut().map(|connector| &mut connector.source_transport_servers);
        let agents = self.delivery_agent_connectors.iter_mut().map(|connector| &mut connector.source_transport_servers);
        let foreign = self.foreign_connectors.iter_mut().map(|connector| &mut connector.source_transport_servers);
        for server in send.chain(agents).chain(foreign).flatten() {
            if let Some(name) = named(server) {
                *server = name;
            }
        }
        if let [only] = self.accepted_domains.as_mut_slice() {
            only.is_default = true;
        }
    }

    /// Adds what every organization has without being told: the default Receive connectors of its servers. Doing
    /// it twice adds nothing.
    pub fn complete(&mut self) {
        let written: HashSet<(&ServerName, &ObjectName)> =
            self.receive_connectors.iter().map(|connector| (&connector.server, &connector.name)).collect();
        let had = |server: &Server| {
            let removed = &server.removed_receive_connectors;
            let all = defaults::of(server).into_iter();
            all.filter(|connector| !removed.contains(&connector.name)).collect::<Vec<_>>()
        };
        let missing: Vec<ReceiveConnector> = self.servers.iter().flat_map(had).collect();
        let missing = missing.into_iter().filter(|connector| !written.contains(&(&connector.server, &connector.name)));
        let missing: Vec<ReceiveConnector> = missing.collect();
        self.receive_connectors.extend(missing);
    }

    /// Every connector that takes mail out of the organization, kind by kind.
    pub fn connectors(&self) -> impl Iterator<Item = Connector<'_>> {
        let send = self.send_connectors.iter().map(Connector::Send);
        let agents = self.delivery_agent_connectors.iter().map(Connector::DeliveryAgent);
        send.chain(agents).chain(self.foreign_connectors.iter().map(Connector::Foreign))
    }
}

/// Of a subscribed Edge server it is itself alone; of an organization everybody else.
fn is_own(server: &Server, told: bool) -> bool {
    if told { server.edge.is_subscribed() } else { !server.edge.is_elsewhere() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guid::Guid;
    use crate::receive_connector::TransportRole;
    use crate::server::ServerRole;
    use envelope::Span;

    #[test]
    fn what_is_written_by_name_replaces_a_default_and_nothing_else_does() {
        let server = |name: &str, role| Server {
            guid: Guid::ZERO,
            name: ServerName::parse(name).unwrap(),
            fqdn: Domain::parse(&format!("{name}.contoso.com")).unwrap(),
            site: envelope::SiteName::parse("Berlin").unwrap(),
            role,
            dag: None,
            removed_receive_connectors: Vec::new(),
            edge: crate::EdgeSubscription::default(),
            transport: crate::TransportServiceSettings::default(),
            frontend_transport: crate::FrontendTransportSettings::default(),
            mailbox_transport: crate::MailboxTransportSettings::default(),
        };
        let mut draft = OrganizationDraft {
            servers: vec![server("MAIL1", ServerRole::Mailbox), server("EDGE1", ServerRole::Edge)],
            ..OrganizationDraft::default()
        };
        let named = |text: &str| ObjectName::parse(text).unwrap();
        let own = |name: &str| {
            let mail1 = ServerName::parse("mail1").unwrap();
            ReceiveConnector::new(Guid::ZERO, named(name), mail1, TransportRole::FrontendTransport)
        };
        draft.receive_connectors = vec![own("Relay"), own("default frontend mail1")];
        draft.servers[0].removed_receive_connectors = vec![named("Client Proxy mail1")];
        let mut completed = draft.clone();
        completed.complete();
        let names: Vec<&str> = completed.receive_connectors.iter().map(|connector| connector.name.as_str()).collect();
        let expected = [
            "Relay",
            "default frontend mail1",
            "Client Frontend MAIL1",
            "Default MAIL1",
            "Default internal receive connector EDGE1",
        ];
        assert_eq!(names, expected);
        assert_eq!(completed.receive_connectors[1], draft.receive_connectors[1]);
        let again = completed.clone();
        completed.complete();
        assert_eq!(completed, again);
        // RC-2, RC-17, LM-20, RC-55
        let edge = &completed.receive_connectors[4];
        assert_eq!((edge.bindings.len(), edge.connection_timeout), (1, Span::minutes(5)));
    }
}
