//! Random organizations: the tables agree with the slow models.
//!
//! Each organization is seen from all of its servers and asked for all of its destinations. A failure prints the smallest
//! organization that fails; `make explore` asks about more of them. The organizations are made by [`crate::random`]; what
//! must not change when something else does is in [`crate::metamorphic`].

use envelope::ByteSize;
use proptest::prelude::*;
use routing::{
    DeliveryType, Destination, Explanation, NdrReason, Outcome, RecipientHome, RoutingTables, UnreachableReason,
    Verdict,
};
use topology::{Connector, Database, DatabaseHome, Guid, Server, ServerRole};

use crate::model::{self, Hop, Paths};
use crate::random::{connected, domains, sizes, tables, worlds};
use crate::world::{World, name, server, site};

/// A size that every limit allows.
const NOTHING: ByteSize = ByteSize::bytes(0);

/// Members of the group that serves a database.
fn group<'a>(world: &'a World, database: &Database) -> Vec<&'a Server> {
    let active = world.draft.servers.iter().find(|s| s.name == *database.active_server()).unwrap();
    let member = |server: &&Server| match &database.home {
        DatabaseHome::Dag { dag, .. } => server.dag.as_ref() == Some(dag),
        DatabaseHome::Server(_) => server.site == active.site && server.role == ServerRole::Mailbox,
    };
    world.draft.servers.iter().filter(member).collect()
}

/// Whether an outcome is what the model says.
fn agrees(expected: &Hop, found: &Outcome, known: &Paths) -> Result<(), TestCaseError> {
    match (expected, found) {
        (Hop::NoPath, Outcome::Unreachable(reason)) => prop_assert_eq!(reason, &UnreachableReason::NoPath),
        (Hop::Closed, Outcome::Deferred(_)) => {}
        (Hop::TooSmall, Outcome::Ndr(reason)) => {
            let link = matches!(reason, NdrReason::SiteLinkTooSmall { .. });
            prop_assert!(link, "{}", reason);
        }
        (Hop::To { hub, attempts, path }, Outcome::Route(route)) => {
            let found: Vec<_> = route.way.attempts.iter().map(|attempt| attempt.server.clone()).collect();
            prop_assert_eq!(&found, attempts);
            prop_assert_eq!(&route.way.path.sites().cloned().collect::<Vec<_>>(), path);
            let (_, cost) = known.best(&path[0], route.way.primary_site()).unwrap();
            prop_assert_eq!((route.way.path.cost().0, route.way.path.hops().0 as usize), (cost, path.len() - 1));
            prop_assert_eq!(hub.is_some(), route.way.stops.len() > 1 || hub.as_ref() == Some(route.way.primary_site()));
            if let Some(hub) = hub {
                prop_assert_eq!(route.way.stops.first(), Some(hub));
                prop_assert_eq!(route.key.domain.as_ref(), hub.as_str());
            }
        }
        (expected, found) => prop_assert!(false, "{:?} but {:?}", expected, found),
    }
    Ok(())
}

/// What the model says about a connector that was selected.
fn way_of(world: &World, known: &Paths, local: &Server, connector: Connector<'_>, size: ByteSize) -> Option<Hop> {
    let sources = model::sources(&world.draft, connector);
    if sources.iter().any(|source| source.name == local.name) {
        return None; // RT-16
    }
    if sources.iter().all(|source| source.role == ServerRole::Mailbox) {
        return Some(model::next_hop(&world.draft, known, local, &sources, size));
    }
    // RT-58, SC-85: the nearest site with an Edge server of the connector.
    let site = known.nearest(&local.site, sources.iter().map(|source| &source.site)).expect("selected");
    let of_site = |role| -> Vec<&Server> {
        world.draft.servers.iter().filter(|server| server.site == site && server.role == role).collect()
    };
    if site == local.site {
        let edges: Vec<&Server> = sources.into_iter().filter(|source| source.site == site).collect();
        return Some(model::next_hop(&world.draft, known, local, &edges, size));
    }
    Some(model::next_hop(&world.draft, known, local, &of_site(ServerRole::Mailbox), size))
}

fn check_external(
    world: &World,
    known: &Paths,
    local: &Server,
    tables: &RoutingTables,
    domain: &envelope::Domain,
    size: ByteSize,
) -> Result<(), TestCaseError> {
    let explanation = tables.explain(Destination::External(domain), size);
    prop_assert_eq!(&tables.route(Destination::External(domain), size), &explanation.decision);
    prop_assert_eq!(explanation.candidates.len(), world.draft.connectors().count());
    let selected: Vec<_> = explanation
        .candidates
        .iter()
        .filter(|candidate| matches!(candidate.verdict, Verdict::Selected { .. }))
        .map(|candidate| candidate.guid)
        .collect();
    match model::select(&world.draft, known, local, domain, size) {
        Ok(expected) => {
            prop_assert_eq!(selected, vec![expected.guid()]);
            if let Some(hop) = way_of(world, known, local, expected, size) {
                return agrees(&hop, &explanation.decision.outcome, known);
            }
            let Outcome::Route(route) = &explanation.decision.outcome else { panic!("a source delivers (RT-16)") };
            prop_assert!(route.way.attempts.is_empty());
            prop_assert_eq!(route.key.connector, expected.guid());
        }
        Err(too_small) => {
            let inside = local.role == ServerRole::Edge && model::is_inside(&world.draft, domain);
            let reason = if inside {
                UnreachableReason::NoWayInside(local.site.clone())
            } else {
                UnreachableReason::NoConnector
            };
            let none = Outcome::Unreachable(reason);
            let outcome = if too_small { Outcome::Ndr(NdrReason::ConnectorsTooSmall) } else { none };
            prop_assert_eq!(&explanation.decision.outcome, &outcome);
            prop_assert!(selected.is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn paths_keys_and_attempts_agree_with_all_simple_paths(world in worlds(0), size in sizes()) {
        let known = Paths::of(&world.draft);
        for (local, tables) in tables(&world) {
            for database in &world.draft.databases {
                let members = group(&world, database);
                let outcome = tables.route(Destination::Mailbox(&database.name), size).outcome;
                if local.role == ServerRole::Edge {
                    prop_assert_eq!(outcome, Outcome::Unreachable(UnreachableReason::NotOnEdge));
                } else if members.iter().any(|member| member.name == local.name) {
                    let Outcome::Route(route) = outcome else { panic!("RT-16") };
                    prop_assert_eq!(route.key.delivery_type, DeliveryType::SmtpDeliveryToMailbox);
                    prop_assert_eq!(&route.way.attempts[0].server, database.active_server());
                } else {
                    agrees(&model::next_hop(&world.draft, &known, local, &members, size), &outcome, &known)?;
                }
            }
            for expansion in world.draft.servers.iter().filter(|server| server.role == ServerRole::Mailbox) {
                let outcome = tables.route(Destination::ExpansionServer(&expansion.name), size).outcome;
                if local.role == ServerRole::Edge {
                    prop_assert_eq!(outcome, Outcome::Unreachable(UnreachableReason::NotOnEdge));
                } else if expansion.name == local.name {
                    prop_assert_eq!(outcome, Outcome::ExpandHere);
                } else {
                    agrees(&model::next_hop(&world.draft, &known, local, &[expansion], size), &outcome, &known)?;
                }
            }
        }
    }

    #[test]
    fn selection_agrees_with_literal_elimination(world in worlds(8), size in sizes()) {
        let known = Paths::of(&world.draft);
        for (local, tables) in tables(&world) {
            for domain in domains() {
                check_external(&world, &known, local, &tables, &domain, size)?;
            }
        }
    }

    #[test]
    fn stateless_services_choose_the_closest_of_twenty(
        world in worlds(0), picked in prop::collection::vec(prop::option::weighted(0.3, any::<prop::sample::Index>()), 0..30),
    ) {
        prop_assume!(!world.draft.databases.is_empty());
        let known = Paths::of(&world.draft);
        let databases: Vec<Option<&Database>> =
            picked.iter().map(|picked| picked.as_ref().map(|at| at.get(&world.draft.databases))).collect();
        let homes = || databases.iter().map(|database| match database {
            Some(database) => RecipientHome::Mailbox(&database.name),
            None => RecipientHome::Other,
        });
        let groups: Vec<Vec<&Server>> =
            databases.iter().take(20).flatten().map(|database| group(&world, database)).collect();
        for (local, tables) in tables(&world).into_iter().filter(|(local, _)| local.role == ServerRole::Mailbox) {
            let found = tables.front_end_target(homes(), 0, |_| false);
            let submitted = tables.submission_target(homes(), 0, |_| false);
            // The local site is the last resort of both, unless the server's group is a DAG (RT-66, RT-69).
            prop_assert!(found.iter().any(|attempt| attempt.site == local.site), "nobody is left");
            prop_assert!(submitted.iter().any(|attempt| attempt.server == local.name));
            let Some(members) = model::closest(&known, local, &groups) else {
                prop_assert!(found.iter().all(|attempt| attempt.site == local.site)); // RT-63
                continue;
            };
            let first = match model::next_hop(&world.draft, &known, local, &members, NOTHING) {
                Hop::To { attempts, .. } => attempts[0].clone(),
                _ => continue, // closed: the fallback is all there is
            };
            let stops: Vec<_> = [&found, &submitted].map(|attempts| &attempts[0].server).into_iter().collect();
            prop_assert_eq!(stops, [&first, &first]);
        }
    }

    #[test]
    fn equal_keys_mean_the_same_servers(world in worlds(6), size in sizes()) {
        // A queue has one way, whichever of its messages it was made for (RT-31).
        for (_, tables) in tables(&world) {
            let databases = world.draft.databases.iter().map(|database| Destination::Mailbox(&database.name));
            let servers = world.draft.servers.iter().map(|server| Destination::ExpansionServer(&server.name));
            let domains = domains();
            let all = databases.chain(servers).chain(domains.iter().map(Destination::External));
            let mut seen = std::collections::HashMap::new();
            for destination in all {
                let Outcome::Route(route) = tables.route(destination, size).outcome else { continue };
                let mut servers: Vec<_> = route.way.attempts.iter().map(|attempt| attempt.server.clone()).collect();
                servers.sort();
                let known = seen.entry(route.key.clone()).or_insert_with(|| servers.clone());
                prop_assert_eq!(&*known, &servers, "{}", route.key);
            }
        }
    }

    #[test]
    fn mail_arrives_or_waits_and_never_goes_round(
        world in worlds(6), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        down in prop::collection::hash_set(0usize..12, 0..8), rotation: u64,
    ) {
        let servers = &world.draft.servers;
        let is_down = |name: &envelope::ServerName| servers.iter().position(|s| s.name == *name).is_some_and(|at| down.contains(&at));
        let domains = domains();
        let databases = world.draft.databases.iter().map(|database| Destination::Mailbox(&database.name));
        let destinations: Vec<Destination<'_>> = databases.chain(domains.iter().map(Destination::External)).collect();
        let destination = *to.get(&destinations);
        let organization = world.organization();
        let mut here = from.get(servers).name.clone();
        let mut visited = vec![here.clone()];
        let mut distance = None;
        loop {
            let explanation = RoutingTables::build(organization.clone(), &here).unwrap().explain(destination, NOTHING);
            let Some(route) = explanation.route() else {
                // RT-43, behind a hub; EN-26, on an Edge server that was given the organization's own mail.
                let no_way_inside = Outcome::Unreachable(UnreachableReason::NoWayInside(explanation.site.clone()));
                let closed = matches!(explanation.decision.outcome, Outcome::Deferred(_))
                    || explanation.decision.outcome == no_way_inside;
                prop_assert!(closed || visited.len() == 1, "a later server knows no route: {}", explanation);
                break;
            };
            if route.way.attempts.is_empty() || route.key.delivery_type == DeliveryType::SmtpDeliveryToMailbox {
                break; // it leaves the organization, or gets into the mailbox
            }
            // Every hop to another site is nearer to the end than the one before, or ends in the new site, where a scoped
            // connector that others do not see may match better (RT-49), or comes from the sites of a scoped connector, which
            // need not see the same ones besides: RT-42 needs no guard in one snapshot.
            let left = left(&explanation);
            let ends_here = route.way.path.hops().0 == 0;
            let scoped = |guid: Option<Guid>| {
                let connectors = &world.draft.send_connectors;
                connectors.iter().any(|one| Some(one.guid) == guid && one.is_scoped_connector)
            };
            let nearer = distance.is_none_or(|(site, connector, before)| {
                let other_view = connector != route.connector && scoped(connector);
                site == explanation.site || ends_here || other_view || left < before
            });
            prop_assert!(nearer, "{} after {:?}", explanation, visited);
            distance = Some((explanation.site.clone(), route.connector, left));
            let next = route.way.attempts_from(rotation, |server| is_down(server)).into_iter().find(|attempt| !is_down(&attempt.server));
            let Some(next) = next else { break }; // RT-39
            here = next.server.clone();
            prop_assert!(!visited.contains(&here), "{here} again after {visited:?}");
            visited.push(here.clone());
        }
    }
}

/// What is still to go: links and address space.
fn left(explanation: &Explanation) -> u64 {
    explanation.summary("").cost.expect("there is a route")
}

proptest! {
    #[test]
    fn a_way_is_found_exactly_when_links_lead_there(world in worlds(0)) {
        for (local, tables) in tables(&world).into_iter().filter(|(local, _)| local.role == ServerRole::Mailbox) {
            let near = connected(&world, &local.site);
            for database in &world.draft.databases {
                let outcome = tables.route(Destination::Mailbox(&database.name), NOTHING).outcome;
                let reachable = group(&world, database).iter().any(|member| near.contains(&member.site));
                let lost = outcome == Outcome::Unreachable(UnreachableReason::NoPath);
                prop_assert_eq!(lost, !reachable);
            }
        }
    }

    #[test]
    fn attempts_are_a_permutation_whatever_failed(
        rotation: u64, failed in prop::collection::hash_set(0usize..4, 0..4), passed: bool,
    ) {
        let world = World::t1().dag("DAG1", &["D1", "D2", "E1"]).dag_database("DB-DAG", "DAG1", "E1");
        let tables = world.tables("A1");
        let found = tables.route(Destination::Mailbox(&name("DB-DAG")), NOTHING).outcome;
        let Outcome::Route(route) = found else { panic!() };
        let servers = ["D1", "D2", "E1", "B1"].map(server);
        let failed = |known: &envelope::ServerName| failed.iter().any(|at| servers[*at] == *known);
        let passed: Vec<_> = passed.then(|| site("B")).into_iter().collect();
        let order = route.way.attempts_avoiding(&passed, rotation, failed);
        let mut sorted: Vec<_> = order.iter().map(|attempt| attempt.server.clone()).collect();
        prop_assert_eq!(order[..2].iter().filter(|attempt| attempt.site.as_str() == "D").count(), 2); // RT-34 first
        sorted.sort();
        let mut all = servers[..4 - passed.len()].to_vec(); // RT-42: not through B again
        all.sort();
        prop_assert_eq!(sorted, all);
    }
}
