//! Next-hop keys with their GUIDs, row by row of RT-18 and of the table of delivery types (QU-20), and connectors of all
//! kinds: the vectors of docs/rules.md, Send connectors and other address types (RT-46, EN-60, EN-71).

use envelope::{ByteSize, Domain, Limit};
use routing::{Destination, NextHopCategory, NextHopSolutionKey, Outcome};
use topology::{Guid, SendConnector};

use crate::world::{World, line, name, server};

/// An organization in which every row of RT-18 occurs, seen from A1.
fn everything() -> World {
    World::t1()
        .dag("DAG1", &["C1", "E1"])
        .dag_database("DB-DAG", "DAG1", "E1")
        .edge("EDGE-A", "A")
        .edge("EDGE-D", "D")
        .connector("Dns", &["dns.example"], &["A1"])
        .connector("Smart", &["smart.example"], &["A1", "D1"])
        .smart(&["192.0.2.7", "relay.example"])
        .connector("Remote", &["remote.example"], &["D1"])
        .connector("Neighbour", &["neighbour.example"], &["A2"])
        .connector("Near Edge", &["near.example"], &["EDGE-A"])
        .connector("Far Edge", &["far.example"], &["EDGE-D"])
        .agent("Mobile", &["MOBILE:*", "X400:c=US;a=Fabrikam;7"], &["A1"])
        .agent("Away agent", &["PAGER:*"], &["D1"])
        .foreign("Fax", &["FAX:*", "fax.example"], &["A1", "A2"])
        .foreign("Away gateway", &["NOTES:*"], &["D1"])
}

fn key(world: &World, from: &str, destination: Destination<'_>) -> NextHopSolutionKey {
    match world.tables(from).route(destination, ByteSize::kib(1)).outcome {
        Outcome::Route(route) => (*route.key).clone(),
        Outcome::Unreachable(_) => NextHopSolutionKey::unreachable(),
        other => panic!("{destination}: {other:?}"),
    }
}

/// What an address of the table asks for: `database:`, `server:`, `TYPE:` or a domain.
fn ask(world: &World, from: &str, question: &str) -> NextHopSolutionKey {
    match question.split_once(':') {
        Some(("database", database)) => key(world, from, Destination::Mailbox(&name(database))),
        Some(("server", on)) => key(world, from, Destination::ExpansionServer(&server(on))),
        Some((kind, text)) => key(world, from, Destination::NonSmtp { kind, text }),
        None => key(world, from, Destination::External(&Domain::parse(question).unwrap())),
    }
}

/// The GUID of the object of that name; zero for none.
fn guid(world: &World, object: &str) -> Guid {
    let draft = &world.draft;
    let connectors = draft.connectors().map(|connector| (connector.name().to_string(), connector.guid()));
    let databases = draft.databases.iter().map(|database| (database.name.to_string(), database.guid));
    let dags = draft.dags.iter().map(|dag| (dag.name.to_string(), dag.guid));
    let sites = draft.sites.iter().map(|site| (site.name.to_string(), site.guid));
    let mut known = connectors.chain(databases).chain(dags).chain(sites);
    if object.is_empty() { Guid::ZERO } else { known.find(|(name, _)| name == object).unwrap().1 }
}

#[test]
fn rt_18_every_row_with_its_guid() {
    // SC-40: all that a connector with smart hosts takes is for them, whatever its domain.
    use NextHopCategory::{External, Internal};
    let world = everything();
    for (question, kind, domain, object, category) in [
        ("database:DB-A", "SmtpDeliveryToMailbox", "DB-A", "DB-A", Internal),
        ("database:DB-DAG", "SmtpRelayToDag", "DAG1", "DAG1", Internal),
        ("database:DB-D", "SmtpRelayToMailboxDeliveryGroup", "Site:D;Version:15", "", Internal),
        ("x.dns.example", "Unreachable", "Unreachable Domain", "", Internal),
        ("dns.example", "DnsConnectorDelivery", "dns.example", "Dns", External),
        ("smart.example", "SmartHostConnectorDelivery", "[192.0.2.7],relay.example", "Smart", External),
        ("MOBILE:+1", "DeliveryAgent", "MOBILE", "Mobile", External),
        ("X400:c=us;a=fabrikam", "DeliveryAgent", "X400:c=US;a=Fabrikam", "Mobile", External),
        ("FAX:5551234", "NonSmtpGatewayDelivery", "FAX", "Fax", External),
        ("fax.example", "NonSmtpGatewayDelivery", "fax.example", "Fax", External),
        ("remote.example", "SmtpRelayToConnectorSourceServers", "Remote", "Remote", Internal),
        ("neighbour.example", "SmtpRelayToConnectorSourceServers", "Neighbour", "Neighbour", Internal),
        ("PAGER:1", "SmtpRelayToConnectorSourceServers", "Away agent", "Away agent", Internal),
        ("NOTES:1", "SmtpRelayToConnectorSourceServers", "Away gateway", "Away gateway", Internal),
        ("near.example", "SmtpRelayWithinAdSiteToEdge", "Near Edge", "Near Edge", Internal),
        ("far.example", "SmtpRelayToRemoteActiveDirectorySite", "D", "D", Internal),
        ("server:D2", "SmtpRelayToServers", "d2.contoso.com", "", Internal),
        ("server:A2", "SmtpRelayToServers", "a2.contoso.com", "", Internal), // RT-72
    ] {
        let key = ask(&world, "A1", question);
        assert_eq!((key.delivery_type.as_str(), key.domain.as_ref()), (kind, domain), "{question}");
        assert_eq!((key.connector, key.delivery_type.category()), (guid(&world, object), category), "{question}");
    }
    // RT-30: with a hub ahead the key is the hub's, whatever the destination.
    let world = world.hub("B");
    for question in ["database:DB-D", "remote.example", "PAGER:1", "NOTES:1", "far.example", "server:D2"] {
        let key = ask(&world, "A1", question);
        assert_eq!(key.to_string(), "SmtpRelayToRemoteActiveDirectorySite B", "{question}");
        assert_eq!(key.connector, guid(&world, "B"), "{question}");
    }
    // RT-16: a database of the site on another server of it, and a DAG over site borders.
    assert_eq!(ask(&world, "A2", "database:DB-A").to_string(), "SmtpDeliveryToMailbox DB-A");
    assert_eq!(ask(&world, "C1", "database:DB-DAG").to_string(), "SmtpDeliveryToMailbox DB-DAG");
}

fn chosen(world: &World, question: &str, mb: u64) -> String {
    let destination = |destination| line(&world.tables("A1").explain(destination, ByteSize::mib(mb)));
    let line = match question.split_once(':') {
        Some((kind, text)) => destination(Destination::NonSmtp { kind, text }),
        None => destination(Destination::External(&Domain::parse(question).unwrap())),
    };
    line.split_once(" -> ").map_or(line.clone(), |(connector, _)| connector.to_owned())
}

#[test]
fn sc_6_3_every_vector() {
    // SC-3, SC-76, SC-77
    const NONE: &str = "unreachable: A matching connector cannot be found to route the external recipient";
    let with = |connectors: &[(&str, &str)]| {
        connectors.iter().fold(World::t1(), |world, (name, space)| world.connector(name, &[space], &["A1"]))
    };
    let limit = |mb| move |c: &mut SendConnector| c.max_message_size = Limit::At(ByteSize::mib(mb));
    let small =
        |other| with(&[("C1", "contoso.com")]).with(limit(1)).connector("C2", &["*"], &["A1"]).with(limit(other));
    let remote = World::t1().connector("Far", &["*;1"], &["B1"]).connector("Near", &["*;5"], &["A1"]);
    let scoped = World::t1().connector("C1", &["*"], &["E1"]).with(|c| c.is_scoped_connector = true);
    let disabled = with(&[("C1", "contoso.com")]).with(|c| c.enabled = false).connector("C2", &["*"], &["A1"]);
    let marketing = "marketing.contoso.com";
    for (vector, world, recipient, mb, expected) in [
        ("A", with(&[("C1", "*"), ("C2", "*.contoso.com"), ("C3", marketing)]), marketing, 1, "C3"),
        ("B", with(&[("C1", "*"), ("C2", "*.contoso.com")]), marketing, 1, "C2"),
        ("C", with(&[("C1", "*")]), marketing, 1, "C1"),
        ("D", with(&[("C2a", "*.contoso.com;5"), ("C2b", "*.contoso.com;3")]), marketing, 1, "C2b"),
        ("E", with(&[("C1", "*;1"), ("C2", "*.contoso.com;100")]), "contoso.com", 1, "C2"),
        ("F", with(&[("C1", "*"), ("C2", "contoso.com")]), marketing, 1, "C1"),
        ("G", with(&[("C1", "*.contoso.com"), ("C2", "*.marketing.contoso.com")]), "eu.marketing.contoso.com", 1, "C2"),
        ("H", with(&[("C1", "*.com"), ("C2", "*")]), "fabrikam.com", 1, "C1"),
        ("H", with(&[("C1", "*.com"), ("C2", "*")]), "fabrikam.net", 1, "C2"),
        ("I", small(35), "contoso.com", 5, "C2"),
        ("J", small(1), "contoso.com", 5, "ndr 5.3.4"),
        ("K", with(&[("C1", "fabrikam.com")]), "contoso.com", 1, NONE),
        ("L", with(&[("C1", "*")]), "X400:c=US;a=x;p=y", 1, "ndr 5.1.2"),
        ("M", remote, "x.example", 1, "Near"),
        ("N", with(&[("Beta", "*;10"), ("Alpha", "*;10")]), "x.example", 1, "Alpha"),
        ("O", scoped, "x.example", 1, NONE),
        ("P", disabled, "contoso.com", 1, "C2"),
    ] {
        assert_eq!(chosen(&world, recipient, mb), expected, "vector {vector}");
    }
}

#[test]
fn rt_46_other_address_types() {
    // SC-47, SC-63: by SMTP to the smart hosts.
    let smart = |world: World| world.smart(&["192.0.2.7", "fax.example"]);
    let world = smart(World::t1().connector("Fax", &["FAX:*"], &["A1"]));
    let world = smart(world.connector("FaxOne", &["FAX:+1-555"], &["A1"]));
    let world = smart(world.connector("X1", &["X400:c=US;a=Fabrikam;1"], &["A1"]));
    let world = smart(world.connector("X2", &["X400:C=us;A=fabrikam;P=Contoso;100"], &["A1"]));
    for (question, expected) in [
        ("fax:+1-777", "Fax"),
        ("FAX:+1-555", "FaxOne"),
        ("X400:c=US;a=Fabrikam;o=Sales", "X1"),
        ("X400:c=US;a=Fabrikam;p=Contoso;s=Ann;", "X2"),
        ("x400:/P=contoso/A=Fabrikam/C=us/G=Ann", "X2"), // EN-70: any order
        ("X400:c=US;a=Fabrikam2", "ndr 5.1.2"),
        ("X400:a=Fabrikam", "ndr 5.1.2"),
    ] {
        assert_eq!(chosen(&world, question, 1), expected, "{question}");
    }
    let key = ask(&world, "A1", "FAX:1");
    assert_eq!(key.to_string(), "SmartHostConnectorDelivery [192.0.2.7],fax.example");
}

#[test]
fn en_71_x400_spaces_with_as_many_attributes_compete_by_cost() {
    let world = World::t1()
        .agent("By organization", &["X400:c=US;o=Sales;20"], &["A1"])
        .agent("By domain", &["X400:c=US;a=Fabrikam;30", "X400:c=US;p=Contoso;10"], &["A1"])
        .agent("Rest", &["X400:*;1"], &["A1"]);
    for (question, expected) in [
        ("X400:c=US;a=Fabrikam;o=Sales", "By organization"),
        ("X400:c=US;a=Fabrikam;p=Contoso;o=Sales", "By domain"),
        ("X400:c=US;a=Fabrikam", "By domain"),
        ("X400:c=DE", "Rest"),
    ] {
        assert_eq!(chosen(&world, question, 1), expected, "{question}");
    }
    let tables = world.tables("A1");
    let both = Destination::NonSmtp { kind: "X400", text: "c=US;a=Fabrikam;p=Contoso;o=Sales" };
    let explanation = tables.explain(both, ByteSize::kib(1));
    let summary = explanation.summary("x@contoso.com");
    assert_eq!((summary.cost, summary.next_hop.unwrap().domain.as_str()), (Some(10), "X400:c=US;p=Contoso"));
    let rules: Vec<_> = summary.candidates.iter().map(|c| (c.connector.as_str(), c.eliminated)).collect();
    assert_eq!(rules, [("By domain", None), ("By organization", Some("RT-51")), ("Rest", Some("RT-50"))]);
}

#[test]
fn sc_70_connectors_of_all_kinds_compete_by_the_same_rules() {
    let world = World::t1()
        .foreign("Foreign", &["FAX:*;5"], &["A2"])
        .agent("Agent", &["FAX:*;5"], &["A1"])
        .connector("Send", &["FAX:*;6"], &["A1"])
        .smart(&["fax.example"]);
    assert_eq!(chosen(&world, "FAX:1", 1), "Agent"); // RT-52: on this server
    let mut same = World::t1().foreign("Same", &["FAX:*"], &["A1"]).agent("Same", &["FAX:*"], &["A1"]);
    assert_eq!(ask(&same, "A1", "FAX:1").delivery_type.as_str(), "NonSmtpGatewayDelivery"); // the lower GUID
    same.draft.foreign_connectors[0].enabled = false;
    assert_eq!(ask(&same, "A1", "FAX:1").delivery_type.as_str(), "DeliveryAgent");
    same.draft.delivery_agent_connectors[0].max_message_size = Limit::At(ByteSize::mib(1));
    assert_eq!(chosen(&same, "FAX:1", 2), "ndr 5.3.4"); // RT-55
}
