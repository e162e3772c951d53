//! Changes of an organization that must not change decisions, and changes whose effect is known beforehand.

use envelope::ByteSize;
use proptest::prelude::*;
use routing::{Decision, Destination, Outcome, RoutingTables};
use topology::{ConnectorCost, LinkCost, OrganizationDraft, ServerRole};

use crate::random::{both, domains, sizes, tables, worlds};
use crate::world::{World, name, server, site};

/// Every decision of one server, in the order of what was asked.
fn decisions(tables: &RoutingTables, draft: &OrganizationDraft, size: ByteSize) -> Vec<Decision> {
    let domains = domains();
    let mailboxes = draft.databases.iter().map(|database| Destination::Mailbox(&database.name));
    let servers = draft.servers.iter().map(|server| Destination::ExpansionServer(&server.name));
    let all = mailboxes.chain(servers).chain(domains.iter().map(Destination::External));
    all.map(|destination| tables.route(destination, size)).collect()
}

/// A name that sorts as `text` does among all names of the organization.
fn renamed(all: &[String], text: &str) -> String {
    let at = all.iter().position(|known| known.eq_ignore_ascii_case(text)).unwrap();
    format!("N{at:03}")
}

/// Every site, server, link and connector under another name, in the same order of names.
fn rename(world: &World) -> World {
    let mut world = world.clone();
    let draft = &mut world.draft;
    let mut all: Vec<String> = draft.sites.iter().map(|site| site.name.to_string()).collect();
    all.extend(draft.servers.iter().map(|server| server.name.to_string()));
    all.extend(draft.site_links.iter().map(|link| link.name.to_string()));
    all.extend(draft.connectors().map(|connector| connector.name().to_string()));
    all.sort_by_key(|name| name.to_lowercase());
    all.dedup_by_key(|name| name.to_lowercase());
    let to_site = |old: &envelope::SiteName| site(&renamed(&all, old.as_str()));
    let to_server = |old: &envelope::ServerName| server(&renamed(&all, old.as_str()));
    let to_name = |old: &envelope::ObjectName| name(&renamed(&all, old.as_str()));
    draft.sites.iter_mut().for_each(|site| site.name = to_site(&site.name));
    for link in &mut draft.site_links {
        link.name = to_name(&link.name);
        link.sites.iter_mut().for_each(|site| *site = to_site(site));
    }
    for server in &mut draft.servers {
        server.fqdn = envelope::Domain::parse(&format!("{}.contoso.com", renamed(&all, server.name.as_str()))).unwrap();
        (server.name, server.site) = (to_server(&server.name), to_site(&server.site));
    }
    for database in &mut draft.databases {
        match &mut database.home {
            topology::DatabaseHome::Server(on) => *on = to_server(on),
            topology::DatabaseHome::Dag { active_on, .. } => *active_on = to_server(active_on),
        }
    }
    for connector in &mut draft.send_connectors {
        connector.name = to_name(&connector.name);
        connector.source_transport_servers.iter_mut().for_each(|source| *source = to_server(source));
    }
    for connector in &mut draft.delivery_agent_connectors {
        connector.name = to_name(&connector.name);
        connector.source_transport_servers.iter_mut().for_each(|source| *source = to_server(source));
    }
    for connector in &mut draft.foreign_connectors {
        connector.name = to_name(&connector.name);
        connector.source_transport_servers.iter_mut().for_each(|source| *source = to_server(source));
    }
    world
}

/// What a decision is, apart from names: servers, sites and links by their place in the draft.
fn shape(decision: &Decision, draft: &OrganizationDraft) -> String {
    let site = |name: &envelope::SiteName| draft.sites.iter().position(|site| site.name == *name);
    let server = |name: &envelope::ServerName| draft.servers.iter().position(|server| server.name == *name);
    match &decision.outcome {
        Outcome::Route(route) => {
            let way = &route.way;
            let attempts: Vec<_> =
                way.attempts.iter().map(|attempt| (server(&attempt.server), attempt.reason)).collect();
            let path: Vec<_> = way.path.sites().map(site).collect();
            let stops: Vec<_> = way.stops.iter().map(site).collect();
            let key = (route.key.delivery_type, route.key.connector);
            format!("{key:?} {:?} {path:?} {} {stops:?} {attempts:?}", route.connector, way.path.cost())
        }
        Outcome::Ndr(reason) => format!("{} {}", reason.status(), reason.rule()),
        Outcome::Unreachable(reason) => reason.rule().to_string(),
        other => format!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn names_matter_by_their_order_only(world in worlds(6), size in sizes()) {
        let other = rename(&world);
        for (before, after) in both(&world, &other) {
            let (one, two) = (decisions(&before, &world.draft, size), decisions(&after, &other.draft, size));
            for (one, two) in one.iter().zip(&two) {
                prop_assert_eq!(shape(one, &world.draft), shape(two, &other.draft));
            }
        }
    }

    #[test]
    fn the_order_of_the_configuration_does_not_matter(world in worlds(6), size in sizes()) {
        let mut reversed = world.clone();
        reversed.draft.sites.reverse();
        reversed.draft.site_links.reverse();
        reversed.draft.site_links.iter_mut().for_each(|link| link.sites.reverse());
        reversed.draft.servers.reverse();
        reversed.draft.databases.reverse();
        reversed.draft.send_connectors.reverse();
        reversed.draft.send_connectors.iter_mut().for_each(|connector| connector.source_transport_servers.reverse());
        reversed.draft.delivery_agent_connectors.reverse();
        reversed.draft.foreign_connectors.reverse();
        let organization = reversed.organization();
        for (local, before) in tables(&world) {
            let after = RoutingTables::build(organization.clone(), &local.name).unwrap();
            prop_assert_eq!(decisions(&before, &world.draft, size), decisions(&after, &world.draft, size));
            for domain in domains() {
                let destination = Destination::External(&domain);
                prop_assert_eq!(before.explain(destination, size), after.explain(destination, size));
            }
        }
    }

    #[test]
    fn what_was_not_selected_may_change_for_the_worse(
        world in worlds(8), picked in any::<prop::sample::Index>(), size in sizes(),
    ) {
        prop_assume!(!world.draft.send_connectors.is_empty());
        let at = picked.index(world.draft.send_connectors.len());
        let loser = world.draft.send_connectors[at].guid;
        let mut disabled = world.clone();
        disabled.draft.send_connectors[at].enabled = false;
        let mut dearer = world.clone();
        for space in &mut dearer.draft.send_connectors[at].address_spaces {
            space.cost = ConnectorCost::MAX;
        }
        let mut gone = world.clone();
        gone.draft.send_connectors.remove(at);
        let changed = [disabled.organization(), dearer.organization(), gone.organization()];
        for (local, tables) in tables(&world) {
            let changed = changed.each_ref().map(|after| RoutingTables::build(after.clone(), &local.name).unwrap());
            for domain in domains() {
                let destination = Destination::External(&domain);
                let before = tables.explain(destination, size);
                let routed = matches!(before.decision.outcome, Outcome::Route(_));
                if routed && before.selected().is_some_and(|selected| selected.guid != loser) {
                    for changed in &changed {
                        prop_assert_eq!(&changed.route(destination, size), &before.decision);
                    }
                }
            }
        }
    }

    #[test]
    fn a_connector_that_is_worse_than_all_is_never_used_where_another_is(
        world in worlds(6), at in any::<prop::sample::Index>(), size in sizes(),
    ) {
        let servers: Vec<_> = world.draft.servers.iter().filter(|server| server.role == ServerRole::Mailbox).collect();
        let source = at.get(&servers).name.to_string();
        let added = world.clone().connector("zzz", &["*;100"], &[&source]);
        for (before, after) in both(&world, &added) {
            for domain in domains() {
                let destination = Destination::External(&domain);
                let decision = before.route(destination, size);
                if !matches!(&decision.outcome, Outcome::Unreachable(_)) && !matches!(&decision.outcome, Outcome::Ndr(why) if why.rule().0 == "RT-55") {
                    prop_assert_eq!(after.route(destination, size), decision);
                }
            }
        }
    }

    #[test]
    fn costs_count_by_their_ratio_only(world in worlds(0), factor in 2u32..50, size in sizes()) {
        let mut scaled = world.clone();
        for link in &mut scaled.draft.site_links {
            link.cost = LinkCost::new(link.cost.get() * factor).unwrap();
            link.exchange_cost = link.exchange_cost.and_then(|cost| LinkCost::new(cost.get() * factor));
        }
        for (before, after) in both(&world, &scaled) {
            let pairs = decisions(&before, &world.draft, size).into_iter().zip(decisions(&after, &world.draft, size));
            for (one, two) in pairs {
                let (Outcome::Route(one), Outcome::Route(two)) = (&one.outcome, &two.outcome) else {
                    prop_assert_eq!(one, two);
                    continue;
                };
                prop_assert_eq!((&one.key, &one.way.attempts, &one.way.stops), (&two.key, &two.way.attempts, &two.way.stops));
                prop_assert_eq!(one.way.path.cost().0 * u64::from(factor), two.way.path.cost().0);
            }
        }
    }

    #[test]
    fn a_link_that_is_not_on_the_path_may_get_dearer_or_smaller(
        world in worlds(0), picked in any::<prop::sample::Index>(),
    ) {
        let at = picked.index(world.draft.site_links.len());
        let link = world.draft.site_links[at].name.clone();
        let mut changed = world.clone();
        changed.draft.site_links[at].exchange_cost = Some(LinkCost::MAX);
        changed.draft.site_links[at].max_message_size = envelope::Limit::At(topology::site::SITE_LINK_SIZE_MIN);
        let size = ByteSize::kib(64);
        for (before, after) in both(&world, &changed) {
            let pairs = decisions(&before, &world.draft, size).into_iter().zip(decisions(&after, &world.draft, size));
            for (one, two) in pairs {
                let Outcome::Route(one) = one.outcome else { continue };
                if one.way.path.legs.iter().all(|leg| leg.link != link) {
                    let Outcome::Route(two) = two.outcome else { panic!("{:?} has become {:?}", one, two.outcome) };
                    prop_assert_eq!((&one.key, &one.way.path, &one.way.stops), (&two.key, &two.way.path, &two.way.stops));
                }
            }
        }
    }

    #[test]
    fn a_smaller_message_is_never_worse_off(world in worlds(8), mib in 1u64..5) {
        // Of connectors that take both sizes the same one is chosen; a more precise small one may lie behind a small link.
        for (_, tables) in tables(&world) {
            for domain in domains() {
                let outcome = |mib| tables.route(Destination::External(&domain), ByteSize::mib(mib)).outcome;
                let (smaller, larger) = (outcome(mib - 1), outcome(mib));
                let fails = |outcome: &Outcome| matches!(outcome, Outcome::Ndr(why) if why.rule().0 == "RT-55");
                prop_assert!(!fails(&smaller) || fails(&larger));
            }
            for database in &world.draft.databases {
                let outcome = |mib| tables.route(Destination::Mailbox(&database.name), ByteSize::mib(mib)).outcome;
                let (smaller, larger) = (outcome(mib - 1), outcome(mib));
                prop_assert!(smaller == larger || matches!(larger, Outcome::Ndr(_)));
            }
        }
    }

    #[test]
    fn a_hub_beside_every_path_changes_nothing(world in worlds(6), picked in any::<prop::sample::Index>(), size in sizes()) {
        let at = picked.index(world.draft.sites.len());
        let beside = world.draft.sites[at].name.clone();
        let mut flagged = world.clone();
        flagged.draft.sites[at].hub_site_enabled ^= true;
        for (before, after) in both(&world, &flagged) {
            let pairs = decisions(&before, &world.draft, size).into_iter().zip(decisions(&after, &world.draft, size));
            for (one, two) in pairs {
                let on_path = |decision: &Decision| match &decision.outcome {
                    Outcome::Route(route) => route.way.path.legs.iter().any(|leg| leg.to == beside), // RT-25, RT-26
                    _ => false,
                };
                // A flag can turn a closed destination into a hub's affair and back.
                let deferred = |decision: &Decision| matches!(decision.outcome, Outcome::Deferred(_) | Outcome::Ndr(_));
                if !on_path(&one) && !on_path(&two) && !deferred(&one) {
                    prop_assert_eq!(one, two);
                }
            }
        }
    }
}
