//! What of its organization an Edge server is told (EN-30): its site and the Mailbox servers there, accepted domains, the Send
//! connectors that it is a source of, and whom it exchanges mail with over mutual TLS. Its own settings and Receive connectors stay its
//! own; of recipients it is told digests. Pure.

use std::collections::HashMap;

use envelope::ServerName;
use organization::{Kind, Object};
use topology::{
    EdgeSubscription, Guid, OrganizationDraft, SealedCredential, Server, ServerRole, TransportServiceSettings,
};

/// Kinds of objects that EdgeSync alone changes on a subscribed Edge server (EN-14).
pub const REPLICATED: [Kind; 9] = [
    Kind::Site,
    Kind::SiteLink,
    Kind::Dag,
    Kind::Database,
    Kind::SendConnector,
    Kind::DeliveryAgentConnector,
    Kind::ForeignConnector,
    Kind::AcceptedDomain,
    Kind::X400AuthoritativeDomain,
];

/// Whether a change of this object is EdgeSync's alone on a subscribed Edge server. Other servers are; its own is its own.
#[must_use]
pub fn is_replicated(object: &Object, own: &ServerName) -> bool {
    match object {
        Object::Server(server) => server.name != *own,
        other => REPLICATED.contains(&other.kind()),
    }
}

/// The configuration of Edge server `edge` as it ought to be: `outside` is what it has, `inside` the organization, `credentials`
/// those of connectors, sealed for the Edge server, `authorities` those of the organization now. `None` when the organization has no such Edge server.
#[must_use]
pub fn of(
    inside: &OrganizationDraft,
    outside: &OrganizationDraft,
    edge: &ServerName,
    credentials: &HashMap<Guid, SealedCredential>,
    authorities: &[String],
) -> Option<OrganizationDraft> {
    let known = inside.servers.iter().find(|server| server.name == *edge && server.role == ServerRole::Edge)?;
    let own = outside.servers.iter().find(|server| server.name == *edge)?;
    let site = inside.sites.iter().find(|site| site.name == known.site)?;
    let mut own = Server { site: known.site.clone(), edge: told(&own.edge, &known.edge, authorities), ..own.clone() };
    own.edge.stand_in = inside.transport_config.external_postmaster_address.clone();
    let of_site = |server: &&Server| server.role == ServerRole::Mailbox && server.site == known.site;
    let neighbours = inside.servers.iter().filter(of_site).map(neighbour);
    let mut all = OrganizationDraft {
        sites: vec![site.clone()],
        servers: neighbours.chain([own]).collect(),
        send_connectors: connectors(inside, edge, credentials),
        accepted_domains: inside.accepted_domains.clone(),
        receive_connectors: outside.receive_connectors.iter().filter(|one| one.server == *edge).cloned().collect(),
        transport_config: outside.transport_config.clone(),
        ..OrganizationDraft::default()
    };
    let lists = &inside.transport_config;
    all.transport_config.tls_send_domain_secure_list = lists.tls_send_domain_secure_list.clone();
    all.transport_config.tls_receive_domain_secure_list = lists.tls_receive_domain_secure_list.clone();
    // Whom mail with a plus leads to is decided at both ends alike.
    all.transport_config.plus_addressing_enabled = lists.plus_addressing_enabled;
    all.complete();
    Some(all)
}

/// A Mailbox server as the perimeter knows it: by its names.
fn neighbour(server: &Server) -> Server {
    Server {
        dag: None,
        removed_receive_connectors: Vec::new(),
        edge: EdgeSubscription::default(),
        transport: TransportServiceSettings::of(server.role),
        frontend_transport: topology::FrontendTransportSettings::default(),
        mailbox_transport: topology::MailboxTransportSettings::default(),
        ..server.clone()
    }
}

/// What the Edge server's own object says of its subscription: authorities of the organization may have changed since.
fn told(own: &EdgeSubscription, known: &EdgeSubscription, authorities: &[String]) -> EdgeSubscription {
    let organization_authorities = authorities.to_vec();
    EdgeSubscription { recipient_salt: known.recipient_salt.clone(), organization_authorities, ..own.clone() }
}

fn connectors(
    inside: &OrganizationDraft,
    edge: &ServerName,
    credentials: &HashMap<Guid, SealedCredential>,
) -> Vec<topology::SendConnector> {
    let of_edge = inside.send_connectors.iter().filter(|one| one.source_transport_servers.contains(edge));
    let mut all: Vec<topology::SendConnector> = of_edge.cloned().collect();
    for connector in &mut all {
        connector.source_transport_servers = vec![edge.clone()];
        connector.is_scoped_connector = false;
        if connector.authentication_credential.is_some() {
            connector.authentication_credential = credentials.get(&connector.guid).cloned();
        }
    }
    all
}

/// The Send connectors of an Edge server that have a credential, with it.
#[must_use]
pub fn with_credential(
    inside: &OrganizationDraft,
    edge: &ServerName,
) -> Vec<(topology::SendConnector, SealedCredential)> {
    let of_edge = inside.send_connectors.iter().filter(|one| one.source_transport_servers.contains(edge));
    of_edge.filter_map(|one| Some((one.clone(), one.authentication_credential.clone()?))).collect()
}
