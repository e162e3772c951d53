//! Rules that no worked example covers, by id.

use std::sync::Arc;

use envelope::{ByteSize, Domain, Limit};
use routing::{
    Candidate, DeliveryType, Destination, Elimination, HandedTo, Outcome, RecipientHome, RoutingTables, Verdict,
};
use topology::AcceptedDomainType;

use crate::world::{World, line, name, server, site};

const SMALL: ByteSize = ByteSize::kib(1);

fn external(tables: &RoutingTables, domain: &str) -> String {
    line(&tables.explain(Destination::External(&Domain::parse(domain).unwrap()), SMALL))
}

fn mailbox(tables: &RoutingTables, database: &str) -> String {
    line(&tables.explain(Destination::Mailbox(&name(database)), SMALL))
}

fn eliminations(tables: &RoutingTables, domain: &str, size: ByteSize) -> Vec<String> {
    let domain = Domain::parse(domain).unwrap();
    let candidates = tables.explain(Destination::External(&domain), size).candidates;
    let verdict = |candidate: &Candidate| match &candidate.verdict {
        Verdict::Selected { .. } => format!("{} selected", candidate.connector),
        Verdict::Eliminated(elimination) => format!("{} {}", candidate.connector, elimination.rule()),
    };
    candidates.iter().map(verdict).collect()
}

#[test]
fn one_domain_in_several_spellings_goes_one_way() {
    // SC-65, RT-44: a connector that requires TLS is not passed by because the domain is spelled otherwise.
    let spellings =
        ["müller.example", "MÜLLER.example", "mu\u{308}ller.example", "xn--mller-kva.example", "XN--MLLER-KVA.EXAMPLE"];
    for space in ["*.müller.example", "*.xn--mller-kva.example", "*.mu\u{308}ller.example"] {
        let world = World::t1().connector("Secure", &[space], &["A1"]).connector("Wide", &["*"], &["A1"]);
        for spelling in spellings {
            for domain in [spelling.to_owned(), format!("sales.{spelling}")] {
                let found = eliminations(&world.tables("A1"), &domain, SMALL);
                assert_eq!(found, ["Secure selected", "Wide RT-50"], "{space} {domain}");
            }
        }
        let ways: std::collections::BTreeSet<_> =
            spellings.iter().map(|spelling| external(&world.tables("A1"), spelling)).collect();
        assert_eq!(ways.len(), 1, "one queue: {ways:?}");
    }
}

#[test]
fn each_candidate_names_the_rule_that_eliminated_it() {
    // SC-70, SC-71, SC-72, SC-73, SC-74, SC-77
    let world = World::t1()
        .connector("Best", &["*.contoso.net;5"], &["B1"])
        .connector("Dear", &["*.contoso.net;6"], &["B1"])
        .connector("Disabled", &["mkt.contoso.net"], &["A1"])
        .with(|c| c.enabled = false)
        .connector("Far", &["*.contoso.net;5"], &["C1"])
        .connector("Scoped", &["mkt.contoso.net"], &["E1"])
        .with(|c| c.is_scoped_connector = true)
        .connector("Small", &["mkt.contoso.net"], &["A1"])
        .with(|c| c.max_message_size = Limit::At(ByteSize::mib(1)))
        .connector("Stranger", &["fabrikam.com"], &["A1"])
        .connector("Wide", &["*"], &["A1"]);
    assert_eq!(
        eliminations(&world.tables("A1"), "mkt.contoso.net", ByteSize::mib(2)),
        [
            "Best selected",
            "Dear RT-51",
            "Disabled RT-49",
            "Far RT-53",
            "Scoped RT-49",
            "Small RT-48",
            "Stranger RT-44",
            "Wide RT-50",
        ]
    );
}

#[test]
fn rt_04_of_two_links_between_the_same_sites_the_cheaper_counts() {
    let world = World::t1().link("AB2", &["A", "B"], 7).link_limit("AB2", ByteSize::mib(1));
    assert_eq!(mailbox(&world.tables("A1"), "DB-B").split(" | ").nth(1).unwrap(), "A-B 7");
    let decision = world.tables("A1").route(Destination::Mailbox(&name("DB-B")), ByteSize::mib(2));
    assert!(matches!(decision.outcome, Outcome::Ndr(reason) if reason.status().to_string() == "5.3.4")); // RT-13
}

#[test]
fn rt_10_names_are_compared_without_case_and_not_as_numbers() {
    let mut world = World::default().sites(&["A", "Site10", "site2", "Z"]);
    for middle in ["Site10", "site2"] {
        world = world.link(&format!("A{middle}"), &["A", middle], 1).link(&format!("{middle}Z"), &[middle, "Z"], 1);
    }
    let world = world.server("A1", "A").server("Z1", "Z").database("DB", "Z1");
    assert_eq!(mailbox(&world.tables("A1"), "DB").split(" | ").nth(1).unwrap(), "A-Site10-Z 2");
}

#[test]
fn rt_21_primary_sites_tie_on_the_name() {
    let world = World::t1().dag("DAG1", &["C1", "B1"]).dag_database("DB-DAG", "DAG1", "C1");
    assert_eq!(mailbox(&world.tables("A1"), "DB-DAG"), "SmtpRelayToDag DAG1 | A-B 10 | B | B1 C1");
}

#[test]
fn rt_24_targets_share_the_load_and_failed_ones_come_last_among_equals() {
    let tables = World::t1().tables("A1");
    let Outcome::Route(route) = tables.route(Destination::Mailbox(&name("DB-D")), SMALL).outcome else { panic!() };
    let order = |rotation, failed: &str| {
        let attempts = route.way.attempts_from(rotation, |server| server.as_str() == failed);
        attempts.iter().map(|attempt| attempt.server.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order(0, ""), "D1 D2 B1");
    assert_eq!(order(1, ""), "D2 D1 B1");
    assert_eq!(order(u64::MAX, ""), "D2 D1 B1");
    assert_eq!(order(1, "D2"), "D1 D2 B1");
}

#[test]
fn pl_27_proxied_mail_leaves_through_front_ends_of_the_site_this_one_first() {
    // SC-50, SC-51
    let world = World::t1().connector("Proxied", &["*"], &["A2"]).with(|c| c.frontend_proxy_enabled = true).connector(
        "Direct",
        &["direct.example"],
        &["A2"],
    );
    let tables = world.tables("A2");
    let route = |domain: &str| {
        let domain = Domain::parse(domain).unwrap();
        let explanation = tables.explain(Destination::External(&domain), SMALL);
        let Outcome::Route(route) = explanation.decision.outcome.clone() else { panic!() };
        (route, explanation)
    };
    let (proxied, explanation) = route("fabrikam.com");
    let order = |failed: &str| {
        let attempts = proxied.way.attempts_from(0, |server| server.as_str() == failed);
        attempts.iter().map(|attempt| attempt.server.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((order(""), order("A2")), ("A2 A1 A3".into(), "A1 A3 A2".into()));
    assert_eq!(proxied.key.delivery_type.handed_to(), HandedTo::FrontEnd);
    assert_eq!(explanation.summary("a@fabrikam.com").targets, ["A2", "A1", "A3"]);
    assert!(explanation.to_string().contains("attempts      A2 or A1 or A3 in A (PL-27), then Retry here"));
    assert!(route("direct.example").0.way.attempts.is_empty(), "from this server itself");
}

#[test]
fn rt_42_mail_is_never_backed_off_through_a_site_that_it_passed() {
    let tables = World::t1().tables("A1");
    let Outcome::Route(route) = tables.route(Destination::Mailbox(&name("DB-E")), SMALL).outcome else { panic!() };
    let order = |passed: &[&str]| {
        let passed: Vec<_> = passed.iter().map(|name| site(name)).collect();
        let attempts = route.way.attempts_avoiding(&passed, 0, |_| false);
        attempts.iter().map(|attempt| attempt.server.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order(&[]), "E1 D1 D2 B1");
    assert_eq!(order(&["b"]), "E1 D1 D2");
    assert_eq!(order(&["B", "D", "E"]), "E1"); // the destination itself stays
}

#[test]
fn rt_29_a_hub_without_a_server_is_no_hub() {
    let world = World::default()
        .sites(&["A", "H", "Z"])
        .link("AH", &["A", "H"], 1)
        .link("HZ", &["H", "Z"], 1)
        .hub("H")
        .server("A1", "A")
        .server("Z1", "Z")
        .database("DB", "Z1");
    assert_eq!(
        mailbox(&world.tables("A1"), "DB"),
        "SmtpRelayToMailboxDeliveryGroup Site:Z;Version:15 | A-H-Z 2 | Z | Z1"
    );
}

#[test]
fn rt_43_servers_of_a_site_without_inbound_mail_are_left_out() {
    let world = World::t1().inbound_disabled("D");
    assert_eq!(mailbox(&world.tables("A1"), "DB-D"), "deferred: Target Site Inbound Mail Disabled");
    assert_eq!(mailbox(&world.tables("D2"), "DB-D"), "SmtpDeliveryToMailbox DB-D | D 0 |  | D1");
    let spanning = world.dag("DAG1", &["D1", "E1"]).dag_database("DB-DAG", "DAG1", "E1");
    assert_eq!(mailbox(&spanning.tables("A1"), "DB-DAG"), "SmtpRelayToDag DAG1 | A-B-D 20 | D | E1 B1");
}

#[test]
fn rt_47_the_most_precise_space_of_a_connector_counts() {
    let world = World::t1().connector("Both", &["*;1", "contoso.net;90"], &["A1"]).connector(
        "Exact",
        &["contoso.net;10"],
        &["A1"],
    );
    assert!(external(&world.tables("A1"), "contoso.net").starts_with("Exact -> "));
    assert_eq!(eliminations(&world.tables("A1"), "contoso.net", SMALL), ["Exact selected", "Both RT-51"]);
}

#[test]
fn rt_44_accepted_domains_space_counts_on_edge_servers_only() {
    let world = World::t1()
        .accepted("contoso.com", AcceptedDomainType::Authoritative)
        .accepted("*.relay.example", AcceptedDomainType::InternalRelay)
        .accepted("away.example", AcceptedDomainType::ExternalRelay)
        .accepted("away.relay.example", AcceptedDomainType::ExternalRelay)
        .accepted("*.away.example", AcceptedDomainType::ExternalRelay)
        .accepted("*.in.away.example", AcceptedDomainType::InternalRelay)
        .edge("EDGE1", "D")
        .edge("EDGE2", "D")
        .connector("Inbound", &["--"], &["EDGE1"])
        .connector("Outbound", &["*"], &["EDGE1"])
        .connector("Other", &["contoso.com"], &["EDGE2"]);
    let edge = world.tables("EDGE1");
    for (domain, connector) in [
        ("contoso.com", "Inbound"),
        ("a.relay.example", "Inbound"),
        ("away.example", "Outbound"),
        // EN-26, PL-86: the most precise accepted domain says whose mail it is.
        ("away.relay.example", "Outbound"),
        ("x.away.relay.example", "Inbound"),
        ("a.away.example", "Outbound"),
        ("in.away.example", "Inbound"),
        ("x.example", "Outbound"),
    ] {
        assert!(external(&edge, domain).starts_with(&format!("{connector} -> DnsConnectorDelivery")), "{domain}");
    }
    assert_eq!(eliminations(&edge, "contoso.com", SMALL), ["Inbound selected", "Other RT-59", "Outbound EN-26"]);
    assert!(external(&world.tables("D1"), "a.relay.example").starts_with("Outbound -> "));
    assert_eq!(mailbox(&edge, "DB-D"), "unreachable: An Edge server routes by Send connector only"); // RT-59
}

#[test]
fn en_26_on_an_edge_server_the_organizations_domains_never_leave_by_a_star() {
    let world = World::t1()
        .accepted("contoso.com", AcceptedDomainType::Authoritative)
        .accepted("*.relay.example", AcceptedDomainType::InternalRelay)
        .accepted("out.relay.example", AcceptedDomainType::ExternalRelay)
        .edge("EDGE1", "D")
        .connector("Outbound", &["*"], &["EDGE1"]);
    let edge = world.tables("EDGE1");
    for domain in ["contoso.com", "a.relay.example"] {
        let told = external(&edge, domain);
        assert!(told.starts_with("unreachable: ") && told.contains("EdgeSync - Inbound to D"), "{domain}: {told}");
        assert_eq!(eliminations(&edge, domain, SMALL), ["Outbound EN-26"]);
    }
    // PL-86
    for domain in ["out.relay.example", "x.example", "sub.contoso.com"] {
        assert!(external(&edge, domain).starts_with("Outbound -> DnsConnectorDelivery"), "{domain}");
    }
    // A Mailbox server has the connector of its Edge server for everything: who is unknown there is answered by the directory.
    assert!(external(&world.tables("D1"), "a.relay.example").starts_with("Outbound -> "));
    // What the connector for the inside is too small for does not leave by the other one either (RT-56).
    let limit = |connector: &mut topology::SendConnector| connector.max_message_size = Limit::At(ByteSize::mib(1));
    let small = world.connector("Inbound", &["--"], &["EDGE1"]).with(limit);
    let domain = Domain::parse("contoso.com").unwrap();
    let explanation = small.tables("EDGE1").explain(Destination::External(&domain), ByteSize::mib(2));
    assert_eq!(line(&explanation), "ndr 5.3.4");
    // One that an administrator makes for the domain itself counts.
    let own = small.with(|inbound| inbound.enabled = false).connector("By hand", &["contoso.com;50"], &["EDGE1"]);
    assert!(external(&own.tables("EDGE1"), "contoso.com").starts_with("By hand -> "));
}

#[test]
fn en_83_internal_relay_needs_a_mailbox_server_as_source_and_external_relay_an_edge_server() {
    // EN-83, PL-86
    let world = World::t1()
        .accepted("contoso.com", AcceptedDomainType::Authoritative)
        .accepted("in.example", AcceptedDomainType::InternalRelay)
        .accepted("out.example", AcceptedDomainType::ExternalRelay)
        .edge("EDGE1", "D")
        .connector("Inbound", &["--"], &["EDGE1"])
        .connector("Internet", &["*"], &["EDGE1"]);
    // Without: what the Edge server brings in goes out to it again, and to the MX, which is the Edge server.
    assert!(external(&world.tables("EDGE1"), "in.example").starts_with("Inbound -> "));
    assert!(external(&world.tables("D1"), "in.example").starts_with("Internet -> "));
    assert!(external(&world.tables("EDGE1"), "out.example").starts_with("Internet -> DnsConnectorDelivery"));
    // With: a Mailbox server sends on what came in; the Edge server hands over what is elsewhere, without looking for the MX.
    let world = world
        .connector("Relay", &["in.example"], &["D1"])
        .connector("Elsewhere", &["out.example"], &["EDGE1"])
        .smart(&["mx.provider.example"]);
    assert!(external(&world.tables("EDGE1"), "in.example").starts_with("Inbound -> "));
    assert!(external(&world.tables("D1"), "in.example").starts_with("Relay -> DnsConnectorDelivery"));
    assert!(external(&world.tables("EDGE1"), "out.example").starts_with("Elsewhere -> SmartHostConnectorDelivery"));
    assert!(external(&world.tables("D1"), "out.example").starts_with("Elsewhere -> SmtpRelayWithinAdSiteToEdge"));
}

#[test]
fn rt_57_the_size_of_links_does_not_change_the_connector() {
    let world = World::t1().link_limit("AB", ByteSize::mib(5)).connector("Near", &["*;1"], &["B1"]).connector(
        "Other",
        &["*;2"],
        &["C1"],
    );
    let domain = Domain::parse("x.example").unwrap();
    let explanation = world.tables("A1").explain(Destination::External(&domain), ByteSize::mib(8));
    assert_eq!(line(&explanation), "ndr 5.3.4");
}

#[test]
fn sc_85_of_edge_servers_of_several_sites_the_nearest_serve() {
    let world = World::t1().edge("EDGE1", "D").edge("EDGE2", "B").connector("Out", &["*"], &["EDGE1", "EDGE2"]);
    let tables = world.tables("A1");
    assert_eq!(external(&tables, "x.example"), "Out -> SmtpRelayToRemoteActiveDirectorySite B | A-B 10 | B | B1");
    assert_eq!(external(&world.tables("B1"), "x.example"), "Out -> SmtpRelayWithinAdSiteToEdge Out | B 0 |  | EDGE2");
    let empty =
        World::t1().sites(&["F"]).link("AF", &["A", "F"], 1).edge("EDGE1", "F").connector("Out", &["*"], &["EDGE1"]);
    assert_eq!(eliminations(&empty.tables("A1"), "x.example", SMALL), ["Out RT-58"]);
}

#[test]
fn what_no_link_leads_to_is_unreachable() {
    let world = World::t1().sites(&["X"]).server("X1", "X").database("DB-X", "X1").connector("Out", &["*"], &["X1"]);
    let tables = world.tables("A1");
    assert!(mailbox(&tables, "DB-X").starts_with("unreachable: No chain of site links"));
    assert_eq!(mailbox(&tables, "DB-?"), "unreachable: The mailbox database DB-? is not in the configuration");
    assert_eq!(eliminations(&tables, "x.example", SMALL), ["Out RT-51"]);
    let gone = tables.route(Destination::ExpansionServer(&server("Q1")), SMALL);
    assert!(matches!(gone.outcome, Outcome::Unreachable(_)));
    assert!(RoutingTables::build(world.organization(), &server("Q1")).is_err());
}

#[test]
fn rt_61_66_front_end_transport_stops_at_hubs_and_falls_back_by_distance() {
    let world = World::t1().hub("B").dag("DAG1", &["D1", "E1"]).dag_database("DB-DAG", "DAG1", "E1");
    let database = name("DB-DAG");
    let tables = world.tables("A1");
    let attempts = tables.front_end_target([RecipientHome::Mailbox(&database)], 0, |_| false);
    let text: Vec<String> = attempts.iter().map(|attempt| format!("{} {}", attempt.server, attempt.reason)).collect();
    assert_eq!(text, ["B1 RT-27", "D1 RT-34", "E1 RT-66", "A1 RT-66", "A2 RT-66", "A3 RT-66"]);
    let primary = World::t1().hub("D").dag("DAG1", &["D2", "E1"]).dag_database("DB-DAG", "DAG1", "E1").tables("A1");
    let attempts = primary.front_end_target([RecipientHome::Mailbox(&database)], 0, |_| false);
    let text: Vec<String> = attempts.iter().map(|attempt| format!("{} {}", attempt.server, attempt.reason)).collect();
    assert_eq!(text, ["D2 RT-28", "D1 RT-27", "E1 RT-66", "A1 RT-66", "A2 RT-66", "A3 RT-66"]);
    let other = tables.front_end_target([RecipientHome::Other], 1, |server| server.as_str() == "A2");
    let text: Vec<String> = other.iter().map(|attempt| attempt.server.to_string()).collect();
    assert_eq!(text, ["A3", "A1", "A2"]); // RT-63, RT-24
}

#[test]
fn rt_67_the_local_delivery_group_of_a_dag_member_is_its_dag() {
    let world = World::t1().dag("DAG1", &["A1", "D1", "D2"]);
    let attempts = world.tables("A1").submission_target([RecipientHome::Other], 0, |_| false);
    let text: Vec<String> = attempts.iter().map(|attempt| attempt.server.to_string()).collect();
    assert_eq!(text, ["A1", "D1", "D2"]);
}

#[test]
fn equal_routes_share_what_was_computed() {
    let world = World::t1().connector("Out", &["*"], &["E1"]);
    let tables = world.tables("A1");
    let route = |domain: &str| {
        let domain = Domain::parse(domain).unwrap();
        match tables.route(Destination::External(&domain), SMALL).outcome {
            Outcome::Route(route) => route,
            other => panic!("{other:?}"),
        }
    };
    let (one, two) = (route("a.example"), route("b.example"));
    assert!(Arc::ptr_eq(&one.key, &two.key) && Arc::ptr_eq(&one.way, &two.way));
    assert_eq!(one.key.delivery_type, DeliveryType::SmtpRelayToConnectorSourceServers);
}

#[test]
fn a_summary_holds_the_fields_of_the_json_output() {
    let world = World::t1().connector("Partner", &["*.contoso.net;50"], &["E1"]).connector("Internet", &["*"], &["A1"]);
    let tables = world.tables("A1");
    let domain = Domain::parse("mkt.contoso.net").unwrap();
    let summary = tables.explain(Destination::External(&domain), SMALL).summary("x@mkt.contoso.net");
    assert_eq!(
        (summary.outcome, summary.recipient.as_str(), summary.from.as_str()),
        ("route", "x@mkt.contoso.net", "A1")
    );
    assert_eq!((summary.connector.as_deref(), summary.primary_site.as_deref()), (Some("Partner"), Some("E")));
    assert_eq!((summary.cost, summary.path_cost, summary.size, summary.revision), (Some(75), Some(25), 1024, 7));
    assert_eq!(summary.path, ["A", "B", "D", "E"]);
    assert_eq!(summary.targets, ["E1", "D1", "D2", "B1"]);
    let next_hop = summary.next_hop.unwrap();
    assert_eq!((next_hop.delivery_type, next_hop.domain.as_str()), ("SmtpRelayToConnectorSourceServers", "Partner"));
    let eliminated: Vec<_> = summary.candidates.iter().map(|c| (c.connector.as_str(), c.eliminated)).collect();
    assert_eq!(eliminated, [("Partner", None), ("Internet", Some("RT-50"))]);

    let too_large = World::t1().link_limit("AB", ByteSize::mib(5)).tables("A1");
    let database = name("DB-D");
    let summary = too_large.explain(Destination::Mailbox(&database), ByteSize::mib(6)).summary("d@contoso.com");
    assert_eq!((summary.outcome, summary.status.as_deref(), summary.cost), ("ndr", Some("5.3.4"), None));
    assert!(summary.reason.unwrap().contains("AB"));
}

#[test]
fn advice_says_how_to_win() {
    let world = World::t1().connector("Best", &["*;10"], &["A1"]).connector("Dear", &["*;5"], &["B1"]);
    let explanation = world.tables("A1").explain(Destination::External(&Domain::parse("x.example").unwrap()), SMALL);
    let Verdict::Eliminated(dear) = &explanation.candidates[1].verdict else { panic!() };
    assert!(matches!(dear, Elimination::Costlier { .. }));
    assert!(dear.advice().starts_with("raise the cost of the selected connector"));
}
