//! The organization as it was checked, at one revision.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use envelope::encapsulated;
use envelope::{Address, ByteSize, Domain, ObjectName, Revision, ServerName, SiteName};

use crate::address_space::{X400Address, respelled};
use crate::connector::Connector;
use crate::domain::{AcceptedDomain, AcceptedDomainType, DomainPattern};
use crate::draft::OrganizationDraft;
use crate::external_address::ExternalAddress;
use crate::gateway_connector::{DeliveryAgentConnector, ForeignConnector};
use crate::guid::Guid;
use crate::receive_connector::ReceiveConnector;
use crate::send_connector::SendConnector;
use crate::server::{Dag, Database, Server, ServerRole};
use crate::settings::TransportConfig;
use crate::site::{Site, SiteLink};
use crate::validation::{self, Problems};
use crate::x400_domain::X400AuthoritativeDomain;

/// A checked configuration at one revision. Immutable; share it by `Arc`.
#[derive(Clone, Debug)]
pub struct Organization {
    revision: Revision,
    draft: OrganizationDraft,
    sites: HashMap<SiteName, usize>,
    servers: HashMap<ServerName, usize>,
    server_fqdns: HashSet<Domain>,
    dags: HashMap<ObjectName, usize>,
    databases: HashMap<ObjectName, usize>,
    send_connectors: HashMap<Guid, usize>,
    delivery_agent_connectors: HashMap<Guid, usize>,
    foreign_connectors: HashMap<Guid, usize>,
    receive_connectors: HashMap<ServerName, Vec<usize>>,
    longest_header: ByteSize,
    accepted_exact: HashMap<Domain, usize>,
    accepted_within: HashMap<Domain, usize>,
    default_domain: Option<Domain>,
    x400_domains: HashMap<X400Address, usize>,
    /// The sets of attributes that they have, most attributes first.
    x400_sets: Vec<u8>,
}

impl Organization {
    /// Checks `draft` and freezes it at `revision`.
    ///
    /// # Errors
    /// Every problem found, errors and warnings, when at least one is an error. Warnings alone do not fail: read them
    /// with [`validation::lint`].
    pub fn validate(mut draft: OrganizationDraft, revision: Revision) -> Result<Self, Problems> {
        draft.complete();
        let problems = validation::lint(&draft);
        if problems.has_errors() {
            return Err(problems);
        }
        let within = |pattern: &DomainPattern| match pattern {
            DomainPattern::Within(domain) => Some(domain.clone()),
            DomainPattern::Exact(_) | DomainPattern::Any => None,
        };
        let exact = |pattern: &DomainPattern| match pattern {
            DomainPattern::Exact(domain) => Some(domain.clone()),
            DomainPattern::Within(_) | DomainPattern::Any => None,
        };
        let mut receive_connectors: HashMap<ServerName, Vec<usize>> = HashMap::new();
        for (at, connector) in draft.receive_connectors.iter().enumerate() {
            receive_connectors.entry(connector.server.clone()).or_default().push(at);
        }
        let headers = draft.receive_connectors.iter().map(|connector| connector.max_header_size);
        let x400_domains = index(&draft.x400_domains, |one| Some(one.domain.attributes().clone()));
        let x400_sets: BTreeSet<_> = x400_domains.keys().map(X400Address::attributes).collect();
        let mut x400_sets: Vec<u8> = x400_sets.into_iter().collect();
        x400_sets.sort_by_key(|set| Reverse(set.count_ones()));
        Ok(Self {
            revision,
            sites: index(&draft.sites, |site| Some(site.name.clone())),
            servers: index(&draft.servers, |server| Some(server.name.clone())),
            server_fqdns: draft.servers.iter().map(|server| server.fqdn.clone()).collect(),
            dags: index(&draft.dags, |dag| Some(dag.name.clone())),
            databases: index(&draft.databases, |database| Some(database.name.clone())),
            send_connectors: index(&draft.send_connectors, |connector| Some(connector.guid)),
            delivery_agent_connectors: index(&draft.delivery_agent_connectors, |connector| Some(connector.guid)),
            foreign_connectors: index(&draft.foreign_connectors, |connector| Some(connector.guid)),
            receive_connectors,
            longest_header: headers.max().unwrap_or_default(),
            accepted_exact: index(&draft.accepted_domains, |accepted| exact(&accepted.domain)),
            accepted_within: index(&draft.accepted_domains, |accepted| within(&accepted.domain)),
            default_domain: draft.default_domain().cloned(),
            x400_domains,
            x400_sets,
            draft,
        })
    }

    /// The revision of this snapshot: it travels with every decision made by it (invariant 5).
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The objects as they were written, for export and comparison.
    #[must_use]
    pub fn draft(&self) -> &OrganizationDraft {
        &self.draft
    }

    /// Every site.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.draft.sites
    }

    /// Every site link.
    #[must_use]
    pub fn site_links(&self) -> &[SiteLink] {
        &self.draft.site_links
    }

    /// Every server.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.draft.servers
    }

    /// Every DAG.
    #[must_use]
    pub fn dags(&self) -> &[Dag] {
        &self.draft.dags
    }

    /// Every mailbox database.
    #[must_use]
    pub fn databases(&self) -> &[Database] {
        &self.draft.databases
    }

    /// Every Send connector, enabled or not, visible from here or not: routing decides.
    #[must_use]
    pub fn send_connectors(&self) -> &[SendConnector] {
        &self.draft.send_connectors
    }

    /// Every Delivery Agent connector.
    #[must_use]
    pub fn delivery_agent_connectors(&self) -> &[DeliveryAgentConnector] {
        &self.draft.delivery_agent_connectors
    }

    /// Every Foreign connector.
    #[must_use]
    pub fn foreign_connectors(&self) -> &[ForeignConnector] {
        &self.draft.foreign_connectors
    }

    /// Every connector that takes mail out of the organization, kind by kind.
    pub fn connectors(&self) -> impl Iterator<Item = Connector<'_>> {
        self.draft.connectors()
    }

    /// Every accepted domain.
    #[must_use]
    pub fn accepted_domains(&self) -> &[AcceptedDomain] {
        &self.draft.accepted_domains
    }

    /// Organization-wide settings.
    #[must_use]
    pub fn transport_config(&self) -> &TransportConfig {
        &self.draft.transport_config
    }

    /// The site of that name.
    #[must_use]
    pub fn site(&self, name: &SiteName) -> Option<&Site> {
        self.sites.get(name).map(|&at| &self.draft.sites[at])
    }

    /// The server of that name.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&Server> {
        self.servers.get(name).map(|&at| &self.draft.servers[at])
    }

    /// The DAG of that name.
    #[must_use]
    pub fn dag(&self, name: &ObjectName) -> Option<&Dag> {
        self.dags.get(name).map(|&at| &self.draft.dags[at])
    }

    /// The database of that name.
    #[must_use]
    pub fn database(&self, name: &ObjectName) -> Option<&Database> {
        self.databases.get(name).map(|&at| &self.draft.databases[at])
    }

    /// The Send connector of that identity.
    #[must_use]
    pub fn send_connector(&self, guid: Guid) -> Option<&SendConnector> {
        self.send_connectors.get(&guid).map(|&at| &self.draft.send_connectors[at])
    }

    /// The Delivery Agent connector of that identity.
    #[must_use]
    pub fn delivery_agent_connector(&self, guid: Guid) -> Option<&DeliveryAgentConnector> {
        self.delivery_agent_connectors.get(&guid).map(|&at| &self.draft.delivery_agent_connectors[at])
    }

    /// The Foreign connector of that identity.
    #[must_use]
    pub fn foreign_connector(&self, guid: Guid) -> Option<&ForeignConnector> {
        self.foreign_connectors.get(&guid).map(|&at| &self.draft.foreign_connectors[at])
    }

    /// The connector of that identity, of whatever kind.
    #[must_use]
    pub fn connector(&self, guid: Guid) -> Option<Connector<'_>> {
        let agent = || self.delivery_agent_connector(guid).map(Connector::DeliveryAgent);
        let foreign = || self.foreign_connector(guid).map(Connector::Foreign);
        self.send_connector(guid).map(Connector::Send).or_else(agent).or_else(foreign)
    }

    /// Databases whose active copy is on `server` (PL-13).
    pub fn databases_active_on<'a>(&'a self, server: &'a ServerName) -> impl Iterator<Item = &'a Database> {
        self.draft.databases.iter().filter(move |database| database.active_server() == server)
    }

    /// Receive connectors of one server.
    pub fn receive_connectors_of(&self, server: &ServerName) -> impl Iterator<Item = &ReceiveConnector> {
        let of_server = self.receive_connectors.get(server).into_iter().flatten();
        of_server.map(|&at| &self.draft.receive_connectors[at])
    }

    /// The longest header that a Receive connector lets in (LM-08): no message of the organization came in with a longer one.
    #[must_use]
    pub fn longest_header(&self) -> ByteSize {
        self.longest_header
    }

    /// The accepted domain that covers `domain`: the exact entry, else the longest `*.parent`.
    #[must_use]
    pub fn accepted_domain(&self, domain: &Domain) -> Option<&AcceptedDomain> {
        if let Some(&at) = self.accepted_exact.get(domain) {
            return Some(&self.draft.accepted_domains[at]);
        }
        if self.accepted_within.is_empty() {
            return None;
        }
        domain.suffixes().find_map(|suffix| {
            let at = self.accepted_within.get(&Domain::parse(suffix).ok()?)?;
            Some(&self.draft.accepted_domains[*at])
        })
    }

    /// Whether the organization answers for `domain` alone, so that an unknown recipient is an error (5.1.1).
    #[must_use]
    pub fn is_authoritative(&self, domain: &Domain) -> bool {
        self.accepted_domain(domain).is_some_and(|accepted| accepted.domain_type == AcceptedDomainType::Authoritative)
    }

    /// Type and address of another type that an address of the default accepted domain has inside (PL-45, EN-73).
    #[must_use]
    pub fn encapsulated(&self, address: &Address) -> Option<(Box<str>, Box<str>)> {
        self.is_in_default_domain(address).then(|| decode_foreign(address)).flatten()
    }

    fn is_in_default_domain(&self, address: &Address) -> bool {
        self.default_domain().is_some_and(|domain| domain.ascii() == address.domain_ascii())
    }

    /// The same of an address that a server of the organization has resolved: since then another domain may have become the default
    /// one. Whatever else is in an authoritative domain does not leave it.
    #[must_use]
    pub fn carried(&self, address: &Address) -> Option<(Box<str>, Box<str>)> {
        let decode = || self.is_authoritative(&address.domain()).then(|| decode_foreign(address));
        self.encapsulated(address).or_else(|| decode().flatten())
    }

    /// The SMTP address by which mail goes to one outside; nothing where that has another type, and there is no default domain for it.
    #[must_use]
    pub fn way_to(&self, external: &ExternalAddress) -> Option<Address> {
        external.in_smtp(self.default_domain())
    }

    /// The X.400 domain of the organization's own that an address of that type is in: the one with most attributes (EN-71, EN-72).
    #[must_use]
    pub fn x400_domain(&self, kind: &str, text: &str) -> Option<&X400AuthoritativeDomain> {
        if self.x400_sets.is_empty() || !kind.eq_ignore_ascii_case(X400Address::KIND) {
            return None;
        }
        let address = X400Address::of_address(text);
        let at = self.x400_sets.iter().find_map(|set| self.x400_domains.get(&address.only(*set)?))?;
        Some(&self.draft.x400_domains[*at])
    }

    /// Every X.400 domain of the organization's own.
    #[must_use]
    pub fn x400_domains(&self) -> &[X400AuthoritativeDomain] {
        &self.draft.x400_domains
    }

    /// The names under which servers of the organization are known: their own, and those that connectors give (`Fqdn`). Mail
    /// that DNS leads to one of them would come back (RFC 5321 §5.1).
    pub fn own_names(&self) -> impl Iterator<Item = &Domain> {
        let servers = self.draft.servers.iter().map(|server| &server.fqdn);
        let receiving = self.draft.receive_connectors.iter().filter_map(|connector| connector.fqdn.as_ref());
        let sending = self.draft.send_connectors.iter().filter_map(|connector| connector.fqdn.as_ref());
        servers.chain(receiving).chain(sending)
    }

    /// The default accepted domain, when the organization has accepted domains at all.
    #[must_use]
    pub fn default_domain(&self) -> Option<&Domain> {
        self.default_domain.as_ref()
    }

    /// Who gets mail for an address of ours that nobody has: the organization's postmaster for postmaster (RFC 5321 §4.5.1) and
    /// abuse (RFC 2142 §4) of any domain; with plus addressing whoever has the part before the `+` (RFC 5233 §4). An address of
    /// another type stands for the same in its one spelling (PL-45, EN-70).
    #[must_use]
    pub fn stand_in(&self, address: &Address) -> Option<Address> {
        if self.is_in_default_domain(address) && encapsulated::decode(address.local_part()).is_some() {
            return respelled(address);
        }
        if !self.is_authoritative(&address.domain()) {
            return None;
        }
        let local = address.local_part();
        if STOOD_IN.iter().any(|role| local.eq_ignore_ascii_case(role)) {
            return self.stands_in().filter(|postmaster| postmaster.key() != address.key());
        }
        let (before, _) = local.split_once('+').filter(|_| self.transport_config().plus_addressing_enabled)?;
        Address::new(before, &address.domain()).ok()
    }

    /// [`OrganizationDraft::own_servers`]
    pub fn own_servers(&self) -> impl Iterator<Item = &Server> {
        self.draft.own_servers()
    }

    /// [`OrganizationDraft::is_own`]
    #[must_use]
    pub fn is_own(&self, server: &Server) -> bool {
        self.draft.is_own(server)
    }

    /// Whether a name in DNS is that of a server, or an accepted domain: only we say in it what we found out (RFC 8601 §5).
    #[must_use]
    pub fn is_own_name(&self, name: &Domain) -> bool {
        self.server_fqdns.contains(name) || self.accepted_domain(name).is_some()
    }

    /// Who gets mail for postmaster and abuse. A subscribed Edge server is told whom its organization says.
    fn stands_in(&self) -> Option<Address> {
        let configured = match self.servers().iter().find(|server| server.edge.is_subscribed()) {
            Some(edge) => edge.edge.stand_in.clone(),
            None => self.transport_config().external_postmaster_address.clone(),
        };
        configured.or_else(|| Address::new("postmaster", self.default_domain()?).ok())
    }

    /// In whose name `server` reports to strangers (DS-21): an Edge server that nobody has subscribed has no domain of its own but
    /// its name.
    #[must_use]
    pub fn postmaster(&self, server: &Server) -> Option<Address> {
        let alone = server.role == ServerRole::Edge && !server.edge.is_subscribed();
        let domain = self.default_domain().filter(|_| !alone).unwrap_or(&server.fqdn);
        let configured = self.transport_config().external_postmaster_address.clone();
        configured.or_else(|| Address::new("postmaster", domain).ok())
    }
}

/// The address of another type inside. Those of type EX are Exchange's own: whoever has one is in the directory (PL-44), and no
/// gateway leads to the others.
fn decode_foreign(address: &Address) -> Option<(Box<str>, Box<str>)> {
    encapsulated::decode(address.local_part()).filter(|(kind, _)| **kind != *"EX")
}

/// Mailboxes that every domain has.
const STOOD_IN: [&str; 2] = ["postmaster", "abuse"];

fn index<T, K: std::hash::Hash + Eq>(objects: &[T], key: impl Fn(&T) -> Option<K>) -> HashMap<K, usize> {
    objects.iter().enumerate().filter_map(|(at, object)| Some((key(object)?, at))).collect()
}
