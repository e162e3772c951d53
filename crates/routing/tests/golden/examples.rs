//! The worked examples EX-01…EX-36 of the routing reference: one test each, named after it.

use std::collections::BTreeSet;

use crate::world::{World, line, name, server};
use envelope::{ByteSize, Domain};
use routing::{Destination, Explanation, RecipientHome, RoutingTables};
use topology::SendConnector;

const MB: fn(u64) -> ByteSize = ByteSize::mib;

fn ask(tables: &RoutingTables, destination: Destination<'_>, size: ByteSize) -> Explanation {
    let explanation = tables.explain(destination, size);
    assert_eq!(tables.route(destination, size), explanation.decision, "explain is the decision of production");
    explanation
}

fn mailbox(world: &World, from: &str, database: &str) -> String {
    sized_mailbox(world, from, database, ByteSize::kib(1))
}

fn sized_mailbox(world: &World, from: &str, database: &str, size: ByteSize) -> String {
    line(&ask(&world.tables(from), Destination::Mailbox(&name(database)), size))
}

fn external(world: &World, from: &str, domain: &str) -> String {
    sized_external(world, from, domain, ByteSize::kib(1))
}

fn sized_external(world: &World, from: &str, domain: &str, size: ByteSize) -> String {
    let domain = Domain::parse(domain).unwrap();
    line(&ask(&world.tables(from), Destination::External(&domain), size))
}

/// `connector: key`, without the way.
fn choice(world: &World, from: &str, domain: &str) -> String {
    external(world, from, domain).split(" | ").next().unwrap().to_owned()
}

fn expansion(world: &World, from: &str, on: &str) -> String {
    line(&ask(&world.tables(from), Destination::ExpansionServer(&server(on)), ByteSize::kib(1)))
}

/// Path and cost only.
fn path(world: &World, from: &str, database: &str) -> String {
    mailbox(world, from, database).split(" | ").nth(1).unwrap().to_owned()
}

/// Servers that a stateless service on A1 of `world` asks, in order.
fn names(attempts: &[routing::Attempt]) -> String {
    attempts.iter().map(|attempt| attempt.server.to_string()).collect::<Vec<_>>().join(" ")
}

fn limit(mb: u64) -> impl FnOnce(&mut SendConnector) {
    move |connector| connector.max_message_size = envelope::Limit::At(MB(mb))
}

#[test]
fn no_example_is_missing() {
    let source = include_str!("examples.rs");
    for id in 1..=36 {
        let test = format!("#[test]\nfn ex_{id:02}_");
        assert_eq!(source.matches(&test).count(), 1, "EX-{id:02}");
    }
}

#[test]
fn ex_01_the_name_of_the_site_before_decides() {
    assert_eq!(
        mailbox(&World::t1(), "A1", "DB-D"),
        "SmtpRelayToMailboxDeliveryGroup Site:D;Version:15 | A-B-D 20 | D | D1/D2 B1"
    );
}

#[test]
fn ex_02_and_if_it_is_the_same_the_one_before_that() {
    assert_eq!(
        mailbox(&World::t1(), "A1", "DB-E"),
        "SmtpRelayToMailboxDeliveryGroup Site:E;Version:15 | A-B-D-E 25 | E | E1 D1/D2 B1"
    );
}

#[test]
fn ex_03_cost_beats_hops() {
    assert_eq!(path(&World::t1().link("AE", &["A", "E"], 30), "A1", "DB-E"), "A-B-D-E 25");
}

#[test]
fn ex_04_hops_beat_names() {
    assert_eq!(path(&World::t1().link("AE", &["A", "E"], 25), "A1", "DB-E"), "A-E 25");
}

#[test]
fn ex_05_exchange_cost_replaces_the_directory_cost() {
    let dear = World::t1().exchange_cost("BD", 100);
    assert_eq!((path(&dear, "A1", "DB-D").as_str(), path(&dear, "A1", "DB-E").as_str()), ("A-C-D 20", "A-C-D-E 25"));
    assert_eq!(path(&World::t1().exchange_cost("CD", 1), "A1", "DB-D"), "A-C-D 11");
}

#[test]
fn ex_06_a_path_need_not_be_the_reverse_of_the_opposite_path() {
    let mut world = World::default().sites(&["S", "P", "Y", "T", "Q", "X"]);
    for ends in ["SP", "PY", "YT", "SQ", "QX", "XT"] {
        world = world.link(ends, &[&ends[..1], &ends[1..]], 1);
    }
    world = world.server("S1", "S").server("T1", "T").database("DB-S", "S1").database("DB-T", "T1");
    assert_eq!(path(&world, "S1", "DB-T"), "S-Q-X-T 3");
    assert_eq!(path(&world, "T1", "DB-S"), "T-Y-P-S 3");
}

#[test]
fn ex_07_a_link_of_many_sites_is_one_hop_without_sites_between() {
    let mut world = World::default().sites(&["A", "B", "C", "D"]).link("all", &["A", "B", "C", "D"], 100).hub("B");
    for at in ["A", "B", "C", "D"] {
        world = world.server(&format!("{at}1"), at);
    }
    let world = world.database("DB-D", "D1");
    assert_eq!(mailbox(&world, "A1", "DB-D"), "SmtpRelayToMailboxDeliveryGroup Site:D;Version:15 | A-D 100 | D | D1");
}

#[test]
fn ex_08_a_hub_site_on_the_path() {
    let hub_b = World::t1().hub("B");
    assert_eq!(mailbox(&hub_b, "A1", "DB-D"), "SmtpRelayToRemoteActiveDirectorySite B | A-B-D 20 | B D | B1");
    assert_eq!(mailbox(&hub_b, "B1", "DB-D"), "SmtpRelayToMailboxDeliveryGroup Site:D;Version:15 | B-D 10 | D | D1/D2");
}

#[test]
fn ex_09_a_hub_site_beside_the_path() {
    assert_eq!(
        mailbox(&World::t1().hub("C"), "A1", "DB-D"),
        "SmtpRelayToMailboxDeliveryGroup Site:D;Version:15 | A-B-D 20 | D | D1/D2 B1"
    );
}

#[test]
fn ex_10_every_hub_site_is_a_stop() {
    let world = World::t1().hub("B").hub("D");
    assert_eq!(mailbox(&world, "A1", "DB-E"), "SmtpRelayToRemoteActiveDirectorySite B | A-B-D-E 25 | B D E | B1");
    assert_eq!(mailbox(&world, "B1", "DB-E"), "SmtpRelayToRemoteActiveDirectorySite D | B-D-E 15 | D E | D1/D2");
    assert_eq!(mailbox(&world, "D1", "DB-E"), "SmtpRelayToMailboxDeliveryGroup Site:E;Version:15 | D-E 5 | E | E1");
}

#[test]
fn ex_11_a_dag_that_spans_sites() {
    let world = World::t1().dag("DAG1", &["D1", "E1"]).dag_database("DB-DAG", "DAG1", "E1");
    assert_eq!(mailbox(&world, "A1", "DB-DAG"), "SmtpRelayToDag DAG1 | A-B-D 20 | D | D1 E1 D2 B1");
    assert_eq!(mailbox(&world, "D1", "DB-DAG"), "SmtpDeliveryToMailbox DB-DAG | D 0 |  | E1");
}

#[test]
fn ex_12_a_primary_site_that_is_a_hub() {
    let world = World::t1().dag("DAG1", &["D1", "E1"]).dag_database("DB-DAG", "DAG1", "E1").hub("D");
    assert_eq!(mailbox(&world, "A1", "DB-DAG"), "SmtpRelayToRemoteActiveDirectorySite D | A-B-D 20 | D | D1 D2 B1");
}

#[test]
fn ex_13_a_group_with_a_member_in_the_local_site() {
    let world = World::t1().dag("DAG1", &["A2", "D1"]).dag_database("DB-DAG", "DAG1", "D1");
    assert_eq!(mailbox(&world, "A1", "DB-DAG"), "SmtpRelayToDag DAG1 | A 0 |  | A2 D1");
}

#[test]
fn ex_14_hubs_do_not_count_inside_a_group() {
    let world = World::t1().hub("B").dag("DAG1", &["A1", "D1"]).dag_database("DB-DAG", "DAG1", "D1");
    assert_eq!(mailbox(&world, "A1", "DB-DAG"), "SmtpDeliveryToMailbox DB-DAG | A 0 |  | D1");
}

#[test]
fn ex_15_mail_that_was_backed_off_waits_where_it_got_to() {
    let world = World::t1();
    let tables = world.tables("A1");
    let database = name("DB-D");
    let explanation = ask(&tables, Destination::Mailbox(&database), ByteSize::kib(1));
    let attempts = &explanation.route().unwrap().way.attempts;
    let up = attempts.iter().find(|attempt| attempt.site.as_str() != "D").unwrap();
    assert_eq!((up.server.as_str(), up.is_backoff()), ("B1", true)); // D1 and D2 are down
    // On B1: D1, D2, then Retry (RT-39, RT-40). There is no way back to A.
    assert_eq!(mailbox(&world, "B1", "DB-D"), "SmtpRelayToMailboxDeliveryGroup Site:D;Version:15 | B-D 10 | D | D1/D2");
}

#[test]
fn ex_16_precision_before_cost() {
    // SC-79
    let world =
        World::t1().connector("Internet", &["*;1"], &["A1"]).connector("Partner", &["*.contoso.net;50"], &["E1"]);
    assert_eq!(
        external(&world, "A1", "mkt.contoso.net"),
        "Partner -> SmtpRelayToConnectorSourceServers Partner | A-B-D-E 25 | E | E1 D1/D2 B1"
    );
    assert_eq!(external(&world, "A1", "fabrikam.com"), "Internet -> DnsConnectorDelivery fabrikam.com | A 0 |  | ");
    let tables = world.tables("A1");
    let domain = Domain::parse("x.contoso.net").unwrap();
    let summary = tables.explain(Destination::External(&domain), ByteSize::kib(1)).summary("a@x.contoso.net");
    assert_eq!(summary.cost, Some(75));
}

#[test]
fn ex_17_a_domain_does_not_cover_its_subdomains() {
    let world = World::t1().connector("Internet", &["*;1"], &["A1"]).connector("Partner", &["contoso.net;1"], &["E1"]);
    assert_eq!(choice(&world, "A1", "mkt.contoso.net"), "Internet -> DnsConnectorDelivery mkt.contoso.net");
}

#[test]
fn ex_18_a_precise_connector_that_is_too_small_blocks_nobody() {
    let world = World::t1()
        .connector("Partner", &["contoso.net;1"], &["A1"])
        .with(limit(10))
        .connector("Internet", &["*;1"], &["A1"])
        .with(limit(35));
    let first = |size| sized_external(&world, "A1", "contoso.net", MB(size)).split(' ').next().unwrap().to_owned();
    assert_eq!([first(5), first(20)], ["Partner", "Internet"]);
    assert_eq!(sized_external(&world, "A1", "contoso.net", MB(50)), "ndr 5.3.4");
}

#[test]
fn ex_19_what_matches_nothing() {
    let world = World::t1().connector("Fabrikam", &["fabrikam.com"], &["A1"]).with(limit(35));
    assert_eq!(
        sized_external(&world, "A1", "contoso.net", MB(50)),
        "unreachable: A matching connector cannot be found to route the external recipient"
    );
    let fax = Destination::NonSmtp { kind: "FAX", text: "5551234" };
    assert_eq!(line(&ask(&world.tables("A1"), fax, MB(1))), "ndr 5.1.2");
}

#[test]
fn ex_20_aggregate_cost() {
    let world = World::t1().connector("Out-B", &["*;20"], &["B1"]).connector("Out-E", &["*;1"], &["E1"]);
    assert_eq!(choice(&world, "A1", "x.example"), "Out-E -> SmtpRelayToConnectorSourceServers Out-E");
}

#[test]
fn ex_21_hops_at_the_same_cost() {
    let world = World::t1().connector("Out-B", &["*;16"], &["B1"]).connector("Out-E", &["*;1"], &["E1"]);
    assert_eq!(choice(&world, "A1", "x.example"), "Out-B -> SmtpRelayToConnectorSourceServers Out-B");
}

#[test]
fn ex_22_the_local_server_before_the_name() {
    // SC-87
    let world = World::t1().connector("Zed", &["*;10"], &["A1"]).connector("Alpha", &["*;10"], &["A2"]);
    assert_eq!(choice(&world, "A1", "x.example"), "Zed -> DnsConnectorDelivery x.example");
    assert_eq!(choice(&world, "A3", "x.example"), "Alpha -> SmtpRelayToConnectorSourceServers Alpha");
}

#[test]
fn ex_23_cost_before_the_local_server() {
    let world = World::t1().connector("Local", &["*;5"], &["A1"]).connector("Peer", &["*;4"], &["A2"]);
    assert_eq!(choice(&world, "A1", "x.example"), "Peer -> SmtpRelayToConnectorSourceServers Peer");
}

#[test]
fn ex_24_the_nearest_source_server() {
    // SC-83
    let world = World::t1().connector("Wide", &["*;5"], &["B1", "E1"]);
    let way = |from| external(&world, from, "x.example");
    assert_eq!(way("D1"), "Wide -> SmtpRelayToConnectorSourceServers Wide | D-E 5 | E | E1 B1");
    assert_eq!(way("A1"), "Wide -> SmtpRelayToConnectorSourceServers Wide | A-B 10 | B | B1 E1");
}

#[test]
fn ex_25_a_scoped_connector_exists_in_its_site_only() {
    // SC-80
    let world = World::t1()
        .connector("S-E", &["*.contoso.net;1"], &["E1"])
        .with(|c| c.is_scoped_connector = true)
        .connector("Internet", &["*;1"], &["A1"]);
    assert_eq!(choice(&world, "A1", "mkt.contoso.net"), "Internet -> DnsConnectorDelivery mkt.contoso.net");
    assert_eq!(choice(&world, "E1", "mkt.contoso.net"), "S-E -> DnsConnectorDelivery mkt.contoso.net");
    // SC-82: in the site of each of its source servers.
    let world = World::t1()
        .connector("S-BE", &["*.contoso.net;1"], &["B1", "E1"])
        .with(|c| c.is_scoped_connector = true)
        .connector("Internet", &["*;1"], &["A1"]);
    for (from, connector) in [("A1", "Internet"), ("B1", "S-BE"), ("D1", "Internet"), ("E1", "S-BE")] {
        let choice = choice(&world, from, "mkt.contoso.net");
        assert!(choice.starts_with(&format!("{connector} -> ")), "{from}: {choice}");
    }
}

#[test]
fn ex_26_a_disabled_connector_does_not_exist() {
    let world = World::t1()
        .connector("Exact", &["mkt.contoso.net;1"], &["A1"])
        .with(|c| c.enabled = false)
        .connector("Sub", &["*.contoso.net;1"], &["A1"])
        .connector("Internet", &["*;1"], &["A1"]);
    assert_eq!(choice(&world, "A1", "mkt.contoso.net"), "Sub -> DnsConnectorDelivery mkt.contoso.net");
}

#[test]
fn ex_27_a_site_link_that_is_too_small() {
    let world = World::t1().link_limit("AB", MB(5));
    assert_eq!(sized_mailbox(&world, "A1", "DB-D", MB(8)), "ndr 5.3.4");
    assert!(sized_mailbox(&world, "A1", "DB-D", MB(5)).contains("| A-B-D 20 |")); // LM-04
}

#[test]
fn ex_28_edge_servers() {
    // SC-52: from Transport to the Edge server itself.
    let edge = "EdgeSync - D to Internet";
    let world = World::t1().edge("EDGE1", "D").connector(edge, &["*;100"], &["EDGE1"]);
    let way = |from| external(&world, from, "x.example");
    assert_eq!(way("A1"), format!("{edge} -> SmtpRelayToRemoteActiveDirectorySite D | A-B-D 20 | D | D1/D2 B1"));
    assert_eq!(way("D2"), format!("{edge} -> SmtpRelayWithinAdSiteToEdge {edge} | D 0 |  | EDGE1"));
    assert_eq!(way("EDGE1"), format!("{edge} -> DnsConnectorDelivery x.example | D 0 |  | "));
}

#[test]
fn ex_29_edge_connectors_compete_by_cost() {
    let world = World::t1()
        .edge("EDGE1", "D")
        .connector("EdgeSync - D to Internet", &["*;100"], &["EDGE1"])
        .connector("Internet", &["*;100"], &["C1"])
        .with(limit(35));
    assert_eq!(choice(&world, "A1", "x.example"), "Internet -> SmtpRelayToConnectorSourceServers Internet");
}

#[test]
fn ex_30_one_copy_to_the_first_hub() {
    let copies = |world: &World, from: &str| -> BTreeSet<String> {
        let key = |database| mailbox(world, from, database).split(" | ").next().unwrap().to_owned();
        ["DB-B", "DB-D", "DB-E"].map(key).into()
    };
    let hub = World::t1().hub("B");
    assert_eq!(copies(&hub, "A1"), ["SmtpRelayToRemoteActiveDirectorySite B".to_owned()].into()); // RT-28, RT-31
    let (d, e) =
        ("SmtpRelayToMailboxDeliveryGroup Site:D;Version:15", "SmtpRelayToMailboxDeliveryGroup Site:E;Version:15");
    assert_eq!(copies(&hub, "B1"), ["SmtpDeliveryToMailbox DB-B", d, e].map(str::to_owned).into());
    assert_eq!(copies(&World::t1(), "A1").len(), 3); // RT-32
}

#[test]
fn ex_31_expansion_servers() {
    let t1 = World::t1();
    assert_eq!(expansion(&t1, "A1", "D2"), "SmtpRelayToServers d2.contoso.com | A-B-D 20 | D | D2 D1 B1");
    assert_eq!(expansion(&t1, "D1", "D2"), "SmtpRelayToServers d2.contoso.com | D 0 |  | D2");
    assert_eq!(expansion(&t1, "D2", "D2"), "expand here");
    assert_eq!(expansion(&t1.hub("B"), "A1", "D2"), "SmtpRelayToRemoteActiveDirectorySite B | A-B-D 20 | B D | B1");
}

#[test]
fn ex_32_front_end_transport_chooses_the_closest_group() {
    let tables = World::t1().tables("A1");
    let databases = [name("DB-E"), name("DB-D"), name("DB-B")];
    let [e, d, b] = databases.each_ref().map(RecipientHome::Mailbox);
    let attempts = tables.front_end_target([RecipientHome::Other, e, d, b], 0, |_| false);
    assert_eq!(names(&attempts), "B1 A1 A2 A3"); // RT-66: then the local site
}

#[test]
fn ex_33_front_end_transport_looks_at_twenty_recipients() {
    let tables = World::t1().tables("A1");
    let (d, a) = (name("DB-D"), name("DB-A"));
    let mut recipients = vec![RecipientHome::Mailbox(&d); 20];
    recipients.push(RecipientHome::Mailbox(&a));
    assert_eq!(names(&tables.front_end_target(recipients, 0, |_| false)), "D1 D2 A1 A2 A3");
    let mut recipients = vec![RecipientHome::Other; 20];
    recipients.push(RecipientHome::Mailbox(&d));
    assert_eq!(names(&tables.front_end_target(recipients, 0, |_| false)), "A1 A2 A3"); // RT-64
}

#[test]
fn ex_34_front_end_transport_without_a_mailbox_recipient() {
    // SC-8: to a Transport, whatever a Send connector says.
    let tables = World::t1().tables("A1");
    let first =
        |rotation| tables.front_end_target([RecipientHome::Other; 3], rotation, |_| false)[0].server.to_string();
    assert_eq!([first(0), first(1), first(2)], ["A1", "A2", "A3"]);
}

#[test]
fn ex_35_mailbox_transport_submission() {
    let tables = World::t1().tables("A1");
    let database = name("DB-E");
    let targets = |home| names(&tables.submission_target([home], 1, |_| false));
    assert_eq!(targets(RecipientHome::Mailbox(&database)), "E1 A2 A3 A1"); // RT-69: then the local group
    assert_eq!(targets(RecipientHome::Other), "A2 A3 A1");
}

#[test]
fn ex_36_exact_before_wildcard() {
    let world =
        World::t1().connector("Exact", &["contoso.com;100"], &["A1"]).connector("Wild", &["*.contoso.com;1"], &["A1"]);
    assert_eq!(choice(&world, "A1", "contoso.com"), "Exact -> DnsConnectorDelivery contoso.com");
    assert_eq!(choice(&world, "A1", "x.contoso.com"), "Wild -> DnsConnectorDelivery x.contoso.com");
}
