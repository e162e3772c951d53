//! Slow, obvious models of the rules, to compare the tables with: every simple path is tried, every connector eliminated
//! step by step as the reference words it. Nothing here is shared with the crate but the nouns.

use std::collections::HashMap;

use envelope::{ByteSize, Domain, Limit, ServerName, SiteName};
use topology::{
    AcceptedDomainType, AddressSpace, Connector, DomainPattern, OrganizationDraft, Server, ServerRole, SiteLink, Space,
};

/// A path as the sites it visits.
pub(crate) type Sites = Vec<SiteName>;

/// A site by its place in the order of names (RT-10).
type Number = usize;

/// RT-06, RT-07, then the sites before the destination from the last to the first (RT-08).
type Rank = (u64, usize, Vec<Number>);

/// The least-cost path between any two sites, found by trying every simple path.
pub(crate) struct Paths {
    names: Vec<SiteName>,
    best: HashMap<(Number, Number), (Rank, Vec<Number>)>,
    /// The cheapest link between two sites (RT-02…RT-04); of equal ones the first by name.
    links: HashMap<(Number, Number), SiteLink>,
}

impl Paths {
    pub(crate) fn of(draft: &OrganizationDraft) -> Self {
        let mut names: Vec<SiteName> = draft.sites.iter().map(|site| site.name.clone()).collect();
        names.sort();
        let mut links = HashMap::new();
        for (a, one) in names.iter().enumerate() {
            for (b, two) in names.iter().enumerate().filter(|(b, _)| *b != a) {
                let joins = |link: &&SiteLink| link.sites.contains(one) && link.sites.contains(two);
                let link = draft.site_links.iter().filter(joins).min_by_key(|link| (link.effective_cost(), &link.name));
                links.extend(link.map(|link| ((a, b), link.clone())));
            }
        }
        let mut paths = Self { names, best: HashMap::new(), links };
        for site in 0..paths.names.len() {
            paths.walk(&mut vec![site], 0);
        }
        paths
    }

    fn walk(&mut self, path: &mut Vec<Number>, cost: u64) {
        let last = *path.last().expect("a path has a start");
        let rank = (cost, path.len(), path.iter().rev().skip(1).copied().collect());
        let ends = (path[0], last);
        if self.best.get(&ends).is_none_or(|(known, _)| rank < *known) {
            self.best.insert(ends, (rank, path.clone()));
        }
        for site in 0..self.names.len() {
            let Some(link) = self.links.get(&(last, site)) else { continue };
            if !path.contains(&site) {
                let more = u64::from(link.effective_cost().get());
                path.push(site);
                self.walk(path, cost + more);
                path.pop();
            }
        }
    }

    fn number(&self, site: &SiteName) -> Number {
        self.names.iter().position(|name| name == site).expect("a site of the draft")
    }

    /// Sites of the path and its cost.
    pub(crate) fn best(&self, from: &SiteName, to: &SiteName) -> Option<(Sites, u64)> {
        let (rank, path) = self.best.get(&(self.number(from), self.number(to)))?;
        Some((path.iter().map(|site| self.names[*site].clone()).collect(), rank.0))
    }

    /// How near a site is: the rank of its path, then its name (RT-21).
    fn near(&self, from: &SiteName, to: &SiteName) -> Option<(Rank, Number)> {
        let to = self.number(to);
        self.best.get(&(self.number(from), to)).map(|(rank, _)| (rank.clone(), to))
    }

    /// The nearest of some sites.
    pub(crate) fn nearest<'a>(&self, from: &SiteName, sites: impl Iterator<Item = &'a SiteName>) -> Option<SiteName> {
        let near = sites.filter_map(|site| Some((self.near(from, site)?, site)));
        near.min_by_key(|(near, _)| near.clone()).map(|(_, site)| site.clone())
    }

    /// RT-13: whether a link of the path is too small.
    pub(crate) fn too_small(&self, path: &Sites, size: ByteSize) -> bool {
        path.windows(2).any(|pair| {
            let limit = self.links[&(self.number(&pair[0]), self.number(&pair[1]))].max_message_size;
            matches!(limit, Limit::At(limit) if limit < size)
        })
    }
}

fn accepting<'a>(draft: &'a OrganizationDraft, local: &Server, site: &SiteName) -> Vec<&'a ServerName> {
    let open = draft.sites.iter().any(|known| known.name == *site && known.inbound_mail_enabled);
    let mut servers: Vec<&ServerName> = draft
        .servers
        .iter()
        .filter(|server| server.site == *site && server.role == ServerRole::Mailbox)
        .filter(|_| open || *site == local.site)
        .map(|server| &server.name)
        .collect();
    servers.sort();
    servers
}

/// What a group's next hop is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    NoPath,
    Closed,
    /// RT-13.
    TooSmall,
    To {
        path: Sites,
        hub: Option<SiteName>,
        attempts: Vec<ServerName>,
    },
}

/// Sections 4 to 7 of the reference, for a group of which the local server is no member. Members that are Edge servers
/// take mail in the local site only.
pub(crate) fn next_hop(
    draft: &OrganizationDraft,
    known: &Paths,
    local: &Server,
    members: &[&Server],
    size: ByteSize,
) -> Hop {
    let mut sites: Vec<SiteName> = members.iter().map(|member| member.site.clone()).collect();
    sites.retain(|site| known.best(&local.site, site).is_some());
    sites.sort_by_key(|site| known.near(&local.site, site));
    sites.dedup();
    let Some(primary) = sites.first() else { return Hop::NoPath };
    let (path, _) = known.best(&local.site, primary).expect("sites without a path are left out");
    let in_site = |site: &SiteName| -> Vec<ServerName> {
        let open = *site == local.site || !accepting(draft, local, site).is_empty();
        let members = members.iter().filter(|member| member.site == *site && open);
        let mut members: Vec<ServerName> = members.map(|member| member.name.clone()).collect();
        members.sort();
        members
    };
    let all = |site: &SiteName| accepting(draft, local, site).into_iter().cloned();
    let is_hub = |site: &&SiteName| {
        draft.sites.iter().any(|known| known.name == **site && known.hub_site_enabled)
            && !accepting(draft, local, site).is_empty()
    };
    let hub = path[1..].iter().find(is_hub).cloned();
    let mut attempts: Vec<ServerName> = Vec::new();
    let stop = hub.as_ref().unwrap_or(primary);
    if hub.is_some() {
        attempts.extend(if stop == primary { in_site(primary) } else { Vec::new() }); // RT-28
        attempts.extend(all(stop)); // RT-27
    } else {
        attempts.extend(sites.iter().flat_map(in_site)); // RT-34, RT-35
        if *primary != local.site {
            attempts.extend(all(primary)); // RT-36, RT-37
        }
    }
    if attempts.is_empty() {
        return Hop::Closed; // RT-43
    }
    if known.too_small(&path, size) {
        return Hop::TooSmall;
    }
    let backoff = path[1..].iter().take_while(|site| *site != stop).collect::<Vec<_>>();
    attempts.extend(backoff.into_iter().rev().flat_map(all)); // RT-38
    let mut seen = Vec::new();
    attempts.retain(|server| {
        let new = !seen.contains(server);
        seen.push(server.clone());
        new
    });
    Hop::To { hub, attempts, path }
}

fn covers(pattern: &DomainPattern, domain: &Domain) -> Option<usize> {
    match pattern {
        DomainPattern::Exact(exact) => (exact == domain).then_some(1000),
        DomainPattern::Within(parent) => domain.is_within(parent).then(|| parent.label_count()),
        DomainPattern::Any => Some(0),
    }
}

/// EN-26: whether mail for a domain is the organization's, by the most precise accepted domain that covers it.
pub(crate) fn is_inside(draft: &OrganizationDraft, domain: &Domain) -> bool {
    inside(draft, domain).is_some()
}

/// And how precise that is (SC-64).
fn inside(draft: &OrganizationDraft, domain: &Domain) -> Option<usize> {
    let covering =
        draft.accepted_domains.iter().filter_map(|one| Some((covers(&one.domain, domain)?, one.domain_type)));
    let (precision, kind) = covering.max_by_key(|(precision, _)| *precision)?;
    (kind != AcceptedDomainType::ExternalRelay).then_some(precision)
}

fn precision(draft: &OrganizationDraft, local: &Server, space: &AddressSpace, domain: &Domain) -> Option<usize> {
    match &space.space {
        Space::Smtp(DomainPattern::Any) if local.role == ServerRole::Edge && is_inside(draft, domain) => None,
        Space::Smtp(pattern) => covers(pattern, domain),
        Space::AcceptedDomains if local.role == ServerRole::Edge => inside(draft, domain),
        Space::AcceptedDomains | Space::Other { .. } => None,
    }
}

/// Servers that are the connector's sources.
pub(crate) fn sources<'a>(draft: &'a OrganizationDraft, connector: Connector<'_>) -> Vec<&'a Server> {
    let names = connector.source_transport_servers();
    names.iter().filter_map(|name| draft.servers.iter().find(|server| server.name == *name)).collect()
}

/// Section 8.2: what is left after the literal steps, and whether the size alone emptied it (RT-55).
pub(crate) fn select<'a>(
    draft: &'a OrganizationDraft,
    known: &Paths,
    local: &Server,
    domain: &Domain,
    size: ByteSize,
) -> Result<Connector<'a>, bool> {
    let is_source = |connector: Connector<'_>| connector.source_transport_servers().contains(&local.name);
    let nearest = |connector: Connector<'_>| {
        let sites = sources(draft, connector).into_iter().map(|source| source.site.clone());
        sites.filter_map(|site| known.best(&local.site, &site)).map(|(path, cost)| (cost, path.len() - 1)).min()
    };
    let precise = |connector: Connector<'a>| {
        let spaces = connector.address_spaces().iter();
        let matching = spaces.filter_map(|space| Some((precision(draft, local, space, domain)?, space.cost.get())));
        matching.max_by_key(|(labels, cost)| (*labels, std::cmp::Reverse(*cost)))
    };
    let usable = |connector: &Connector<'a>| {
        let here = sources(draft, *connector).iter().any(|source| source.site == local.site);
        let visible = !connector.is_scoped() || here;
        let edge = local.role == ServerRole::Edge && !is_source(*connector); // RT-59
        let by_edge = sources(draft, *connector).iter().any(|source| source.role == ServerRole::Edge);
        // RT-58: mail for an Edge server of another site needs a Mailbox server there.
        let sites = sources(draft, *connector).into_iter().map(|source| &source.site);
        let manned = known.nearest(&local.site, sites).is_some_and(|site| {
            let mut servers = draft.servers.iter().filter(|server| server.site == site);
            site == local.site || servers.any(|server| server.role == ServerRole::Mailbox)
        });
        connector.is_enabled()
            && visible
            && !edge
            && (!by_edge || manned)
            && nearest(*connector).is_some()
            && precise(*connector).is_some()
    };
    let large = |connector: &Connector<'a>| match connector.max_message_size() {
        Limit::At(limit) => limit >= size,
        Limit::Unlimited => true,
    };
    let mut left: Vec<Connector<'a>> = draft.connectors().filter(large).filter(usable).collect();
    if left.is_empty() {
        return Err(draft.connectors().any(|connector| usable(&connector)));
    }
    let best = left.iter().filter_map(|connector| precise(*connector)).map(|(labels, _)| labels).max();
    left.retain(|connector| precise(*connector).map(|(labels, _)| labels) == best);
    let links = |connector| if is_source(connector) { 0 } else { nearest(connector).expect("usable").0 };
    let cost = |connector| links(connector) + u64::from(precise(connector).expect("usable").1);
    let least = left.iter().map(|connector| cost(*connector)).min();
    left.retain(|connector| Some(cost(*connector)) == least);
    let hops = |connector| if is_source(connector) { 0 } else { 1 + nearest(connector).expect("usable").1 };
    let fewest = left.iter().map(|connector| hops(*connector)).min();
    left.retain(|connector| Some(hops(*connector)) == fewest);
    Ok(left.into_iter().min_by_key(|connector| (connector.name(), connector.guid())).expect("one was left"))
}

/// RT-61, RT-62, RT-65: the group that is nearest, given the groups of the first twenty recipients in order.
pub(crate) fn closest<'a>(known: &Paths, local: &Server, groups: &[Vec<&'a Server>]) -> Option<Vec<&'a Server>> {
    let near = |group: &Vec<&Server>| group.iter().filter_map(|member| known.near(&local.site, &member.site)).min();
    let reachable = groups.iter().filter(|group| near(group).is_some());
    reachable.min_by_key(|group| near(group)).cloned() // the first of equal ones
}
