//! Whatever the directory holds, categorization ends and every recipient has exactly one place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use topology::ExternalAddress;

use super::*;

/// Addresses that recipients and envelopes are made of; `contoso.com` is authoritative.
const NAMES: usize = 12;

fn name(at: usize) -> String {
    let domain = if at.is_multiple_of(4) { "fabrikam.com" } else { "contoso.com" };
    format!("n{at}@{domain}")
}

#[derive(Clone, Debug)]
enum Kind {
    Absent,
    Unanswered,
    Mailbox(bool),
    Contact(usize),
    Group(Vec<usize>, Option<bool>),
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => Just(Kind::Absent),
        4 => any::<bool>().prop_map(Kind::Mailbox),
        4 => (0..NAMES).prop_map(Kind::Contact),
        4 => (prop::collection::vec(0..NAMES, 0..5), prop::option::of(any::<bool>()))
            .prop_map(|(members, on)| Kind::Group(members, on)),
    ]
}

fn directory(kinds: &[Kind], receive: &[Option<u64>]) -> World {
    let mut world = World::new();
    for (at, kind) in kinds.iter().enumerate() {
        let names = [name(at), format!("proxy{at}@contoso.com")];
        let addresses: Vec<&str> = names.iter().map(String::as_str).collect();
        let kind = match kind {
            Kind::Absent => continue,
            Kind::Unanswered => {
                world.directory.insert(name(at), Lookup::TransientError);
                continue;
            }
            Kind::Mailbox(near) => {
                let database = object(if *near { "DB-A" } else { "DB-B" });
                RecipientKind::Mailbox { database, password: None }
            }
            Kind::Contact(to) => RecipientKind::MailContact { external_address: address(&name(*to)).into() },
            Kind::Group(members, on) => RecipientKind::DistributionGroup {
                members: members.iter().map(|member| address(&name(*member))).collect(),
                expansion_server: on.map(|near| if near { "A1" } else { "A2" }.parse().unwrap()),
            },
        };
        world.add_limited(&addresses, kind, None, receive[at]);
    }
    world
}

/// How often each envelope position was placed.
fn places(outcome: &Categorized) -> BTreeMap<usize, usize> {
    let resolved = outcome
        .copies
        .iter()
        .flat_map(|copy| &copy.recipients)
        .chain(outcome.unreachable.iter().map(|unreachable| &unreachable.recipient))
        .chain(outcome.deferred.iter().map(|deferred| &deferred.recipient))
        .map(|resolved| resolved.origin);
    let others = outcome.failed.iter().map(|failed| failed.origin).chain(outcome.merged.iter().map(|m| m.origin));
    let expanded = outcome.expanded.iter().map(|expanded| Origin::Envelope(expanded.position));
    let mut places = BTreeMap::new();
    for origin in resolved.chain(others).chain(expanded) {
        if let Origin::Envelope(Position(at)) = origin {
            *places.entry(at).or_default() += 1;
        }
    }
    places
}

/// Every mailbox and outside address that the envelope leads to, found by walking the directory without any cleverness.
fn reachable(world: &World, start: &Address) -> Vec<String> {
    let (mut todo, mut seen, mut finals) = (vec![start.clone()], Vec::new(), Vec::new());
    while let Some(at) = todo.pop() {
        if seen.contains(&at.key()) {
            continue;
        }
        seen.push(at.key());
        match world.directory.get(&at.key()) {
            Some(Lookup::Found(found)) => match &found.kind {
                RecipientKind::Mailbox { .. } => finals.push(found.primary_address.key()),
                RecipientKind::MailContact { external_address }
                    if *external_address == ExternalAddress::Smtp(at.clone()) =>
                {
                    if at.domain_str() != "contoso.com" {
                        finals.push(at.key());
                    }
                }
                RecipientKind::MailContact { external_address } => todo.extend(external_address.in_smtp(None)),
                RecipientKind::DistributionGroup { expansion_server: Some(server), .. } if server.as_str() != "A1" => {
                    finals.push(found.primary_address.key());
                }
                RecipientKind::DistributionGroup { members, .. } => todo.extend(members.iter().cloned()),
            },
            _ if at.domain_str() != "contoso.com" => finals.push(at.key()),
            _ => {}
        }
    }
    finals
}

proptest! {
    #[test]
    fn every_recipient_has_exactly_one_place(
        kinds in prop::collection::vec(kind(), NAMES),
        receive in prop::collection::vec(prop::option::weighted(0.2, 0u64..3), NAMES),
        to in prop::collection::vec((0..NAMES, any::<bool>()), 0..30),
        size in 0u64..4,
    ) {
        let world = directory(&kinds, &receive);
        let names: Vec<String> =
            to.iter().map(|(at, proxy)| if *proxy { format!("proxy{at}@contoso.com") } else { name(*at) }).collect();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let size = SizeFacts { current: ByteSize::mib(size), original: None };
        let outcome = categorized(world.run(Message { size, ..message(&texts) }));
        let expected: BTreeMap<usize, usize> = (0..to.len()).map(|at| (at, 1)).collect();
        prop_assert_eq!(places(&outcome), expected);
    }

    #[test]
    fn exactly_those_are_reached_whom_the_directory_leads_to(
        kinds in prop::collection::vec(kind(), NAMES),
        to in prop::collection::vec(0..NAMES, 1..6),
    ) {
        let world = directory(&kinds, &[None; NAMES]);
        let names: Vec<String> = to.iter().map(|at| name(*at)).collect();
        let outcome = categorized(world.run(message(&names.iter().map(String::as_str).collect::<Vec<_>>())));
        let mut reached: Vec<String> = outcome
            .copies
            .iter()
            .flat_map(|copy| &copy.recipients)
            .map(|resolved| resolved.recipient.address.key())
            .collect();
        let mut expected: Vec<String> = names.iter().flat_map(|name| reachable(&world, &address(name))).collect();
        reached.sort();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(reached, expected); // delivered once each, RT-31
    }

    #[test]
    fn a_silent_directory_never_loses_or_fails_anybody(
        mut kinds in prop::collection::vec(kind(), NAMES),
        silent in 0..NAMES,
        to in prop::collection::vec(0..NAMES, 1..6),
    ) {
        kinds[silent] = Kind::Unanswered;
        let world = directory(&kinds, &[None; NAMES]);
        let names: Vec<String> = to.iter().map(|at| name(*at)).collect();
        let asked = to.contains(&silent);
        let outcome = world.run(message(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        let deferred = matches!(outcome, CategorizationOutcome::DirectoryUnavailable { .. });
        prop_assert!(deferred || !asked);
    }
}
