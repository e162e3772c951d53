//! Organizations drawn at random, small and full of ties: few costs, names that sort against intuition, links of several
//! sites, hubs, closed sites, limits, a DAG, Edge servers, connectors of all kinds.

use std::collections::HashSet;

use envelope::{ByteSize, Domain, Limit, SiteName};
use proptest::prelude::*;
use routing::RoutingTables;
use topology::{AcceptedDomainType, LinkCost, Server};

use crate::world::World;

const SITES: [&str; 6] = ["B", "a", "site2", "Site10", "z", "1"];
const DOMAINS: [&str; 6] =
    ["contoso.net", "mkt.contoso.net", "x.mkt.contoso.net", "out.mkt.contoso.net", "fabrikam.com", "com"];
const SPACES: [&str; 9] = [
    "*",
    "*.com",
    "*.net",
    "contoso.net",
    "*.contoso.net",
    "mkt.contoso.net",
    "*.mkt.contoso.net",
    "fabrikam.com",
    "--",
];

#[derive(Clone, Debug)]
struct LinkLine {
    sites: HashSet<usize>,
    cost: u32,
    exchange: Option<u32>,
    limit: Option<u64>,
}

#[derive(Clone, Debug)]
struct SiteLine {
    servers: usize,
    edge: bool,
    hub: bool,
    closed: bool,
}

#[derive(Clone, Debug)]
struct ConnectorLine {
    kind: u8,
    spaces: Vec<(usize, u32)>,
    sources: Vec<prop::sample::Index>,
    enabled: bool,
    scoped: bool,
    limit: Option<u64>,
}

fn links() -> impl Strategy<Value = Vec<LinkLine>> {
    let sites = prop::collection::hash_set(0..SITES.len(), 2..=4);
    let line = (sites, 1u32..4, prop::option::weighted(0.2, 1u32..6), prop::option::weighted(0.15, 1u64..4));
    let line = line.prop_map(|(sites, cost, exchange, limit)| LinkLine { sites, cost, exchange, limit });
    prop::collection::vec(line, 3..10)
}

fn sites() -> impl Strategy<Value = Vec<SiteLine>> {
    let weighted = prop::bool::weighted;
    let line = (0usize..3, weighted(0.2), weighted(0.25), weighted(0.12));
    let line = line.prop_map(|(servers, edge, hub, closed)| SiteLine { servers, edge, hub, closed });
    prop::collection::vec(line, SITES.len())
}

fn connectors(most: usize) -> impl Strategy<Value = Vec<ConnectorLine>> {
    let spaces = prop::collection::hash_set(0..SPACES.len(), 1..3)
        .prop_flat_map(|spaces| spaces.into_iter().map(|space| (Just(space), 1u32..4)).collect::<Vec<_>>());
    let sources = prop::collection::vec(any::<prop::sample::Index>(), 1..3);
    let flags = (prop::bool::weighted(0.8), prop::bool::weighted(0.3));
    let line = (0u8..8, spaces, sources, flags, prop::option::of(0u64..4));
    let line = line.prop_map(|(kind, spaces, sources, (enabled, scoped), limit)| ConnectorLine {
        kind,
        spaces,
        sources,
        enabled,
        scoped,
        limit,
    });
    prop::collection::vec(line, 0..=most)
}

/// Organizations with at least one Mailbox server and up to `connectors` connectors.
pub(crate) fn worlds(most: usize) -> impl Strategy<Value = World> {
    let dag = prop::collection::hash_set(0..SITES.len(), 1..4);
    (links(), sites(), dag, connectors(most))
        .prop_map(|(links, sites, dag, connectors)| {
            let world = with_links(World::default().sites(&SITES), &links);
            with_connectors(with_dag(with_servers(world, &sites), &sites, &dag), &connectors)
        })
        .prop_filter("a Mailbox server", |world| !world.draft.databases.is_empty())
}

fn with_links(mut world: World, links: &[LinkLine]) -> World {
    for (at, line) in links.iter().enumerate() {
        let mut sites: Vec<&str> = line.sites.iter().map(|site| SITES[*site]).collect();
        sites.sort_unstable();
        world = world.link(&format!("link{at}"), &sites, line.cost);
        let link = world.draft.site_links.last_mut().unwrap();
        link.exchange_cost = line.exchange.and_then(LinkCost::new);
        link.max_message_size = line.limit.map_or(Limit::Unlimited, |mib| Limit::At(ByteSize::mib(mib)));
    }
    world
}

fn with_servers(mut world: World, sites: &[SiteLine]) -> World {
    for (site, line) in SITES.iter().zip(sites) {
        for at in 0..line.servers {
            world = world.server(&format!("{site}-{at}"), site);
        }
        if line.servers > 0 {
            world = world.database(&format!("DB-{site}"), &format!("{site}-0"));
        }
        world = if line.edge { world.edge(&format!("{site}-edge"), site) } else { world };
        world = if line.hub { world.hub(site) } else { world };
        world = if line.closed { world.inbound_disabled(site) } else { world };
    }
    world
        .accepted("contoso.net", AcceptedDomainType::Authoritative)
        .accepted("*.mkt.contoso.net", AcceptedDomainType::InternalRelay)
        .accepted("out.mkt.contoso.net", AcceptedDomainType::ExternalRelay)
        .accepted("fabrikam.com", AcceptedDomainType::ExternalRelay)
}

fn with_dag(world: World, sites: &[SiteLine], members: &HashSet<usize>) -> World {
    let mut members: Vec<&usize> = members.iter().filter(|at| sites[**at].servers > 1).collect();
    members.sort();
    let members: Vec<String> = members.into_iter().map(|at| format!("{}-1", SITES[*at])).collect();
    let names: Vec<&str> = members.iter().map(String::as_str).collect();
    let world = world.dag("DAG", &names);
    match names.last() {
        Some(active) => world.dag_database("DB-DAG", "DAG", active),
        None => world,
    }
}

/// Every eighth connector is a Delivery Agent's, every eighth a Foreign one, two of eight are on Edge servers where there
/// are some.
fn with_connectors(mut world: World, lines: &[ConnectorLine]) -> World {
    let of = |world: &World, role| -> Vec<String> {
        let servers = world.draft.servers.iter().filter(|server| server.role == role);
        servers.map(|server| server.name.to_string()).collect()
    };
    let (mailbox, edge) = (of(&world, topology::ServerRole::Mailbox), of(&world, topology::ServerRole::Edge));
    for (at, line) in lines.iter().enumerate().filter(|_| !mailbox.is_empty()) {
        let on_edge = line.kind >= 6 && !edge.is_empty();
        let servers = if on_edge { &edge } else { &mailbox };
        let mut sources: Vec<&str> = line.sources.iter().map(|source| source.get(servers).as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        let spaces = line.spaces.iter().map(|(space, cost)| (SPACES[*space], cost));
        let spaces =
            spaces.filter(|(space, _)| on_edge || *space != "--").map(|(space, cost)| format!("{space};{cost}"));
        let spaces: Vec<String> = spaces.collect();
        let spaces: Vec<&str> = if spaces.is_empty() { vec!["*"] } else { spaces.iter().map(String::as_str).collect() };
        let name = format!("connector{}", (at * 7) % 10);
        let size = line.limit.map_or(Limit::Unlimited, |mib| Limit::At(ByteSize::mib(mib)));
        world = match line.kind {
            0 => world.agent(&name, &spaces, &sources),
            1 => world.foreign(&name, &spaces, &sources),
            _ => world.connector(&name, &spaces, &sources),
        };
        match line.kind {
            0 => {
                let agent = world.draft.delivery_agent_connectors.last_mut().unwrap();
                (agent.enabled, agent.is_scoped_connector) = (line.enabled, line.scoped);
            }
            1 => {
                let foreign = world.draft.foreign_connectors.last_mut().unwrap();
                (foreign.enabled, foreign.is_scoped_connector, foreign.max_message_size) =
                    (line.enabled, line.scoped, size);
            }
            _ => {
                world = world.with(|connector| {
                    (connector.enabled, connector.is_scoped_connector) = (line.enabled, line.scoped);
                    connector.max_message_size = size;
                });
            }
        }
    }
    world
}

/// Sizes around the limits of links and connectors.
pub(crate) fn sizes() -> impl Strategy<Value = ByteSize> {
    (0u64..5).prop_map(ByteSize::mib)
}

/// Domains that the address spaces match in every way, and not.
pub(crate) fn domains() -> Vec<Domain> {
    DOMAINS.iter().map(|domain| Domain::parse(domain).unwrap()).collect()
}

/// The tables of every server.
pub(crate) fn tables(world: &World) -> Vec<(&Server, RoutingTables)> {
    let organization = world.organization();
    let build = |server: &Server| RoutingTables::build(organization.clone(), &server.name).unwrap();
    world.draft.servers.iter().map(|local| (local, build(local))).collect()
}

/// The tables of every server before and after a change that leaves the servers alone.
pub(crate) fn both(before: &World, after: &World) -> Vec<(RoutingTables, RoutingTables)> {
    let after = tables(after).into_iter().map(|(_, tables)| tables);
    tables(before).into_iter().map(|(_, tables)| tables).zip(after).collect()
}

/// Every site that a chain of links leads to.
pub(crate) fn connected(world: &World, from: &SiteName) -> HashSet<SiteName> {
    let mut near = HashSet::from([from.clone()]);
    loop {
        let touching = world.draft.site_links.iter().filter(|link| link.sites.iter().any(|site| near.contains(site)));
        let more: Vec<SiteName> = touching.flat_map(|link| link.sites.clone()).collect();
        let before = near.len();
        near.extend(more);
        if near.len() == before {
            return near;
        }
    }
}
