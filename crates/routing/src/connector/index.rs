//! The index from an address to the buckets of connectors that match it (RT-44…RT-47).

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{Domain, SiteName};
use topology::{
    AcceptedDomain, AcceptedDomainType, AddressSpace, Connector, DomainPattern, Guid, Organization, SendConnector,
    Server, ServerRole, SmartHost, Space, X400Address,
};

use super::{AggregateCost, Bucket, Distance, Precision, Rank, Row};
use crate::group::{Group, GroupKind, Roster};
use crate::key::{DeliveryType, NextHopSolutionKey};
use crate::path::{PathCost, PathTree, SiteIndex};
use crate::planning::Planner;

/// A connector's number in the order of names (RT-53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectorIndex(pub usize);

/// How a connector's mail leaves from here.
#[derive(Debug)]
pub(crate) enum Via {
    /// This server is a source and delivers by MX: one queue for each domain (RT-19).
    Dns,
    /// This server is a source and delivers to smart hosts.
    SmartHosts(Arc<NextHopSolutionKey>),
    /// This server is a source and hands over to an agent or a gateway: one queue for each address space.
    Gateway(DeliveryType),
    /// Other servers are the sources (RT-17, RT-54, RT-58).
    Group(Box<Planner>),
}

/// Why a connector cannot be used from here, whatever the message (RT-49).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Disabled,
    Scoped(Vec<SiteName>),
    NoPath,
    NoServerAtEdgeSite,
    NotOnThisEdge,
}

/// One connector as it is seen from here.
#[derive(Debug)]
pub(crate) struct Entry {
    pub guid: Guid,
    pub reach: Result<Reach, Obstacle>,
    position: Position,
}

/// Where a connector stands in its organization.
#[derive(Clone, Copy, Debug)]
enum Position {
    Send(usize),
    DeliveryAgent(usize),
    Foreign(usize),
}

impl Position {
    fn all(organization: &Organization) -> impl Iterator<Item = Self> {
        let send = (0..organization.send_connectors().len()).map(Self::Send);
        let agents = (0..organization.delivery_agent_connectors().len()).map(Self::DeliveryAgent);
        send.chain(agents).chain((0..organization.foreign_connectors().len()).map(Self::Foreign))
    }

    fn of(self, organization: &Organization) -> Connector<'_> {
        match self {
            Self::Send(at) => Connector::Send(&organization.send_connectors()[at]),
            Self::DeliveryAgent(at) => Connector::DeliveryAgent(&organization.delivery_agent_connectors()[at]),
            Self::Foreign(at) => Connector::Foreign(&organization.foreign_connectors()[at]),
        }
    }
}

/// How near a usable connector is.
#[derive(Debug)]
pub(crate) struct Reach {
    pub links: PathCost,
    pub distance: Distance,
    pub via: Via,
}

/// Buckets of one non-SMTP address type (RT-46).
#[derive(Debug, Default)]
struct OtherType {
    texts: HashMap<Box<str>, Bucket>,
    any: Bucket,
}

/// Buckets of X.400 address spaces (EN-71). There are at most 255 sets of routing attributes, hence as many lookups.
#[derive(Debug, Default)]
struct X400 {
    spaces: HashMap<X400Address, Bucket>,
    /// The sets of attributes that occur, most attributes first.
    sets: Vec<u8>,
    any: Bucket,
}

impl X400 {
    fn levels(&self, address: &X400Address) -> Vec<(Precision, &Bucket)> {
        let matching = self.sets.iter().filter_map(|set| {
            let bucket = self.spaces.get(&address.only(*set)?)?;
            Some((Precision::Within(set.count_ones() as usize), bucket))
        });
        matching.chain([(Precision::Any, &self.any)]).collect()
    }

    fn seal(&mut self) {
        self.sets = self.spaces.keys().map(X400Address::attributes).collect();
        self.sets.sort_unstable_by_key(|set| (std::cmp::Reverse(set.count_ones()), *set));
        self.sets.dedup();
    }
}

/// Every connector, and the address spaces that lead to it.
#[derive(Debug)]
pub(crate) struct Index {
    organization: Arc<Organization>,
    is_edge: bool,
    entries: Vec<Entry>,
    exact: HashMap<Box<str>, Bucket>,
    within: HashMap<Box<str>, Bucket>,
    any: Bucket,
    /// Address space `--` (SC-64): on an Edge server alone.
    own: Bucket,
    x400: X400,
    others: HashMap<Box<str>, OtherType>,
}

/// The local server's surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Local<'a> {
    pub organization: &'a Arc<Organization>,
    pub server: &'a Server,
    pub tree: &'a PathTree,
    pub roster: &'a Roster,
}

impl Index {
    pub(crate) fn build(local: &Local<'_>) -> Self {
        let organization = local.organization;
        let mut connectors: Vec<Position> = Position::all(organization).collect();
        connectors.sort_by_cached_key(|at| (at.of(organization).name().clone(), at.of(organization).guid()));
        let spaces = organization.connectors().map(|connector| connector.address_spaces().len()).sum();
        let mut index = Self {
            organization: Arc::clone(organization),
            is_edge: local.is_edge(),
            entries: Vec::with_capacity(connectors.len()),
            exact: HashMap::with_capacity(spaces),
            within: HashMap::new(),
            any: Bucket::default(),
            own: Bucket::default(),
            x400: X400::default(),
            others: HashMap::new(),
        };
        for position in connectors {
            let connector = position.of(organization);
            let entry = Entry { guid: connector.guid(), reach: local.reach(connector), position };
            for at in 0..connector.address_spaces().len() {
                index.insert(connector, &entry, at);
            }
            index.entries.push(entry);
        }
        index.seal();
        index
    }

    fn seal(&mut self) {
        let Self { exact, within, any, own, x400, others, .. } = self;
        exact.values_mut().chain(within.values_mut()).chain([any, own, &mut x400.any]).for_each(Bucket::seal);
        x400.spaces.values_mut().for_each(Bucket::seal);
        x400.seal();
        others.values_mut().flat_map(|other| other.texts.values_mut().chain([&mut other.any])).for_each(Bucket::seal);
        exact.shrink_to_fit();
    }

    fn insert(&mut self, connector: Connector<'_>, entry: &Entry, at: usize) {
        let number = ConnectorIndex(self.entries.len());
        let AddressSpace { space, cost } = &connector.address_spaces()[at];
        let row = entry.reach.as_ref().ok().map(|reach| {
            let cost = AggregateCost { links: reach.links, space: *cost };
            let rank = Rank { aggregate: cost.total(), distance: reach.distance, connector: number };
            Row { rank, cost, limit: connector.max_message_size(), space: at }
        });
        let add = |bucket: &mut Bucket| match &row {
            Some(row) => bucket.rows.push(row.clone()),
            None => bucket.unusable.push(number),
        };
        match space {
            Space::Smtp(pattern) => add(self.smtp_bucket(pattern)),
            Space::AcceptedDomains => add(&mut self.own),
            Space::Other { kind, text } if kind.as_ref() == X400Address::KIND => match X400Address::of_space(text) {
                Some(attributes) => add(self.x400.spaces.entry(attributes).or_default()),
                None => add(&mut self.x400.any),
            },
            Space::Other { kind, text } => {
                let other = self.others.entry(kind.clone()).or_default();
                match text.as_ref() {
                    "*" => add(&mut other.any),
                    text => add(other.texts.entry(text.to_lowercase().into()).or_default()),
                }
            }
        }
    }

    fn smtp_bucket(&mut self, pattern: &DomainPattern) -> &mut Bucket {
        match pattern {
            DomainPattern::Exact(domain) => self.exact.entry(domain.ascii().into()).or_default(),
            DomainPattern::Within(parent) => self.within.entry(parent.ascii().into()).or_default(),
            DomainPattern::Any => &mut self.any,
        }
    }

    /// Numbers of all connectors, in the order of their names.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = ConnectorIndex> + use<> {
        (0..self.entries.len()).map(ConnectorIndex)
    }

    pub(crate) fn entry(&self, connector: ConnectorIndex) -> &Entry {
        &self.entries[connector.0]
    }

    /// The connector as it is configured.
    pub(crate) fn connector(&self, connector: ConnectorIndex) -> Connector<'_> {
        self.entry(connector).position.of(&self.organization)
    }

    /// Connectors for everything that do not count for `domain`: on an Edge server what `--` stands for belongs to the organization,
    /// whether a connector leads there or not. By MX it would come back, by a smart host of the internet's side as well (EN-26).
    pub(crate) fn barred(&self, domain: &Domain) -> Option<&Bucket> {
        self.own_precision(domain).map(|_| &self.any)
    }

    /// How precisely `--` matches `domain`: as precisely as the accepted domain that it is in, which is the most precise one (SC-64).
    fn own_precision(&self, domain: &Domain) -> Option<Precision> {
        let accepted = if self.is_edge { self.organization.accepted_domain(domain)? } else { return None };
        stands_inside(accepted).then(|| match &accepted.domain {
            DomainPattern::Exact(_) => Precision::Exact,
            DomainPattern::Within(parent) => Precision::Within(parent.label_count()),
            DomainPattern::Any => Precision::Any,
        })
    }

    /// Buckets that match an SMTP domain, most precise first (RT-45).
    pub(crate) fn smtp_levels<'a>(&'a self, domain: &'a Domain) -> impl Iterator<Item = (Precision, &'a Bucket)> {
        let own = self.own_precision(domain);
        let own_at = move |precision| (own == Some(precision)).then_some((precision, &self.own));
        let exact = self.exact.get(domain.ascii()).map(|bucket| (Precision::Exact, bucket));
        let exact = exact.into_iter().chain(own_at(Precision::Exact));
        let walks = !self.within.is_empty() || matches!(own, Some(Precision::Within(_)));
        let parents = walks.then(|| domain.suffixes()).into_iter().flatten();
        let within = parents.flat_map(move |suffix| {
            let precision = Precision::Within(suffix.split('.').count());
            let bucket = self.within.get(suffix).map(|bucket| (precision, bucket));
            bucket.into_iter().chain(own_at(precision))
        });
        let any = own.is_none().then_some((Precision::Any, &self.any));
        exact.chain(within).chain(any)
    }

    /// Buckets that match an address of another type, most precise first (RT-46).
    pub(crate) fn other_levels(&self, kind: &str, text: &str) -> Vec<(Precision, &Bucket)> {
        if kind.eq_ignore_ascii_case(X400Address::KIND) {
            return self.x400.levels(&X400Address::of_address(text));
        }
        let Some(other) = self.others.get(kind.to_ascii_uppercase().as_str()) else { return Vec::new() };
        let exact = other.texts.get(text.to_lowercase().as_str()).map(|bucket| (Precision::Exact, bucket));
        exact.into_iter().chain([(Precision::Any, &other.any)]).collect()
    }
}

/// Whether `--` covers an accepted domain: mail for it is the organization's to deliver or to pass on (EN-26).
fn stands_inside(accepted: &AcceptedDomain) -> bool {
    accepted.domain_type != AcceptedDomainType::ExternalRelay
}

impl Local<'_> {
    fn is_edge(&self) -> bool {
        self.server.role == ServerRole::Edge
    }

    fn reach(&self, connector: Connector<'_>) -> Result<Reach, Obstacle> {
        if !connector.is_enabled() {
            return Err(Obstacle::Disabled);
        }
        let names = connector.source_transport_servers();
        let sources: Vec<&Server> = names.iter().filter_map(|name| self.organization.server(name)).collect();
        let here = sources.iter().any(|source| source.name == self.server.name);
        if connector.is_scoped() && !sources.iter().any(|source| source.site == self.server.site) {
            let mut sites: Vec<SiteName> = sources.iter().map(|source| source.site.clone()).collect();
            sites.sort();
            sites.dedup();
            return Err(Obstacle::Scoped(sites));
        }
        if here {
            let links = PathCost::default();
            return Ok(Reach { links, distance: Distance::LocalServer, via: self.deliver(connector)? });
        }
        if self.is_edge() {
            return Err(Obstacle::NotOnThisEdge);
        }
        let group = self.source_group(connector, &sources)?;
        let near = group.primary().and_then(|site| self.tree.proximity(site)).ok_or(Obstacle::NoPath)?;
        let distance =
            if group.primary() == Some(self.tree.source()) { Distance::LocalSite } else { Distance::Remote(near.hops) };
        Ok(Reach { links: near.cost, distance, via: Via::Group(Box::new(Planner::new(group))) })
    }

    /// RT-16, RT-18: this server is a source and delivers itself.
    fn deliver(&self, connector: Connector<'_>) -> Result<Via, Obstacle> {
        let connector: &SendConnector = match connector {
            Connector::DeliveryAgent(_) => return Ok(Via::Gateway(DeliveryType::DeliveryAgent)),
            Connector::Foreign(_) => return Ok(Via::Gateway(DeliveryType::NonSmtpGatewayDelivery)),
            Connector::Send(connector) if connector.dns_routing_enabled => return Ok(Via::Dns),
            Connector::Send(connector) => connector,
        };
        if connector.smart_hosts.contains(&SmartHost::SubscribedSite) {
            // EN-21, EN-27: servers of the site that an Edge server is subscribed to, whichever there are.
            return self.edge_site(self.tree.source()).map(|group| Via::Group(Box::new(Planner::new(group))));
        }
        let hosts = connector.smart_host_list();
        let key = NextHopSolutionKey::new(DeliveryType::SmartHostConnectorDelivery, hosts, connector.guid);
        Ok(Via::SmartHosts(Arc::new(key)))
    }

    fn source_group(&self, connector: Connector<'_>, sources: &[&Server]) -> Result<Group, Obstacle> {
        let (name, guid) = (connector.name().as_str().into(), connector.guid());
        let members = sources.iter().map(|source| (&source.name, &source.site));
        let group = Group::new(GroupKind::Connector { name, guid }, members, self.tree);
        if sources.iter().all(|source| source.role == ServerRole::Mailbox) {
            return Ok(group);
        }
        // RT-58, SC-85: of Edge servers subscribed to different sites only the nearest are used.
        let nearest = group.sites.into_iter().next().ok_or(Obstacle::NoPath)?;
        if nearest.site == self.tree.source() {
            let kind = GroupKind::LocalEdge { name: connector.name().as_str().into(), guid };
            return Ok(Group { kind, sites: vec![nearest] });
        }
        self.edge_site(nearest.site)
    }

    fn edge_site(&self, site: SiteIndex) -> Result<Group, Obstacle> {
        let name = self.tree.name(site);
        let servers = self.roster.servers(site);
        if servers.is_empty() {
            return Err(Obstacle::NoServerAtEdgeSite);
        }
        let kind = GroupKind::EdgeSite { name: name.clone(), guid: self.roster.guid(site) };
        Ok(Group::new(kind, servers.iter().map(|server| (server, name)), self.tree))
    }
}
