//! The document of the routing table log: everything that one server's tables say, enough to explain any decision made by
//! them (RT-05, LG-31…LG-33).
//!
//! ```text
//!   RoutingConfig            server, site, revision, time
//!   ├─ Topology              sites with their servers, site links with both costs
//!   ├─ ADTopologyPath        the least-cost path to each site: cost, hops, links
//!   ├─ RoutingTables         next hop, stops and attempts for each mailbox database and expansion server
//!   └─ Connectors            every connector with its address spaces, and its next hop or what is in its way
//! ```
//!
//! Nothing is opened or written here, and no clock is read: whoever writes the file passes the time.

use std::fmt::{self, Write as _};

use envelope::ByteSize;
use topology::{Connector, ServerRole};

use crate::connector::{ConnectorIndex, Elimination, Via};
use crate::decision::{Destination, Outcome};
use crate::path::Path;
use crate::planning::Planned;
use crate::tables::RoutingTables;
use crate::way::Way;

/// A time in UTC as logs print it: `2026-11-22T05:00:00.000Z` (LG-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTime<'a>(pub &'a str);

/// Name of the file with the `number`th document of a process: `RoutingConfig#1@2026-11-22T05-00-00.000Z.xml` (LG-33). Colons
/// are no characters for names of files that other systems are to read.
#[must_use]
pub fn log_file_name(number: u64, written: LogTime<'_>) -> String {
    format!("RoutingConfig#{number}@{}.xml", written.0.replace(':', "-"))
}

impl RoutingTables {
    /// Everything these tables say, as XML.
    #[must_use]
    pub fn log_document(&self, written: LogTime<'_>) -> String {
        let mut xml = Xml::new();
        let local = self.local_server();
        let revision = self.revision();
        xml.open(
            "RoutingConfig",
            &[("server", &local.name), ("site", &local.site), ("revision", &revision), ("time", &written.0)],
        );
        topology(self, &mut xml);
        paths(self, &mut xml);
        destinations(self, &mut xml);
        connectors(self, &mut xml);
        xml.close("RoutingConfig");
        xml.text
    }
}

fn topology(tables: &RoutingTables, xml: &mut Xml) {
    let organization = tables.organization();
    xml.open("Topology", &[]);
    for site in organization.sites() {
        let flags: [(&str, &dyn fmt::Display); 4] = [
            ("name", &site.name),
            ("guid", &site.guid),
            ("hubSiteEnabled", &site.hub_site_enabled),
            ("inboundMailEnabled", &site.inbound_mail_enabled),
        ];
        xml.open("Site", &flags);
        for server in organization.servers().iter().filter(|server| server.site == site.name) {
            let role = if server.role == ServerRole::Edge { "Edge" } else { "Mailbox" };
            let dag = server.dag.as_ref().map(ToString::to_string).unwrap_or_default();
            xml.empty("Server", &[("name", &server.name), ("fqdn", &server.fqdn), ("role", &role), ("dag", &dag)]);
        }
        xml.close("Site");
    }
    for link in organization.site_links() {
        let exchange = link.exchange_cost.map(|cost| cost.get().to_string()).unwrap_or_default();
        let attributes: [(&str, &dyn fmt::Display); 4] = [
            ("name", &link.name),
            ("cost", &link.cost.get()),
            ("exchangeCost", &exchange),
            ("maxMessageSize", &link.max_message_size),
        ];
        xml.open("SiteLink", &attributes);
        link.sites.iter().for_each(|site| xml.empty("Member", &[("site", site)]));
        xml.close("SiteLink");
    }
    xml.close("Topology");
}

fn paths(tables: &RoutingTables, xml: &mut Xml) {
    xml.open("ADTopologyPath", &[]);
    for site in tables.organization().sites() {
        match tables.path_to(&site.name) {
            Some(path) => path_element(&site.name, &path, xml),
            None => xml.empty("Unreachable", &[("site", &site.name)]),
        }
    }
    xml.close("ADTopologyPath");
}

fn path_element(site: &envelope::SiteName, path: &Path, xml: &mut Xml) {
    xml.open("Path", &[("to", site), ("cost", &path.cost()), ("hops", &path.hops())]);
    for leg in &path.legs {
        let limit = leg.max_message_size;
        xml.empty("Leg", &[("to", &leg.to), ("link", &leg.link), ("cost", &leg.cost), ("maxMessageSize", &limit)]);
    }
    xml.close("Path");
}

/// What a message without size is routed by: limits stand with the links and connectors.
const ANY_SIZE: ByteSize = ByteSize::bytes(0);

fn destinations(tables: &RoutingTables, xml: &mut Xml) {
    let organization = tables.organization();
    xml.open("RoutingTables", &[]);
    for database in organization.databases() {
        xml.open(
            "Database",
            &[("name", &database.name), ("guid", &database.guid), ("activeOn", database.active_server())],
        );
        outcome(&tables.route(Destination::Mailbox(&database.name), ANY_SIZE).outcome, xml);
        xml.close("Database");
    }
    for server in organization.servers().iter().filter(|server| server.role == ServerRole::Mailbox) {
        xml.open("ExpansionServer", &[("name", &server.name)]);
        outcome(&tables.route(Destination::ExpansionServer(&server.name), ANY_SIZE).outcome, xml);
        xml.close("ExpansionServer");
    }
    xml.close("RoutingTables");
}

fn outcome(outcome: &Outcome, xml: &mut Xml) {
    match outcome {
        Outcome::Route(route) => next_hop(&route.key, &route.way, xml),
        Outcome::Unreachable(reason) => xml.empty("Unreachable", &[("reason", reason), ("rule", &reason.rule())]),
        Outcome::Ndr(reason) => xml.empty("NDR", &[("reason", reason), ("rule", &reason.rule())]),
        Outcome::Deferred(reason) => xml.empty("Deferred", &[("reason", reason)]),
        Outcome::ExpandHere => xml.empty("ExpandHere", &[]),
    }
}

fn next_hop(key: &crate::key::NextHopSolutionKey, way: &Way, xml: &mut Xml) {
    let attributes: [(&str, &dyn fmt::Display); 4] = [
        ("deliveryType", &key.delivery_type),
        ("nextHopDomain", &key.domain),
        ("nextHopConnector", &key.connector),
        ("primarySite", way.primary_site()),
    ];
    xml.open("NextHop", &attributes);
    way.stops.iter().for_each(|stop| xml.empty("Stop", &[("site", stop)]));
    for attempt in &way.attempts {
        xml.empty("Attempt", &[("server", &attempt.server), ("site", &attempt.site), ("rule", &attempt.reason)]);
    }
    xml.close("NextHop");
}

fn connectors(tables: &RoutingTables, xml: &mut Xml) {
    let index = tables.connectors();
    xml.open("Connectors", &[]);
    for number in index.numbers() {
        let connector = index.connector(number);
        let attributes: [(&str, &dyn fmt::Display); 6] = [
            ("name", connector.name()),
            ("guid", &connector.guid()),
            ("kind", &connector),
            ("enabled", &connector.is_enabled()),
            ("scoped", &connector.is_scoped()),
            ("maxMessageSize", &connector.max_message_size()),
        ];
        xml.open("Connector", &attributes);
        connector.address_spaces().iter().for_each(|space| xml.empty("AddressSpace", &[("space", space)]));
        connector.source_transport_servers().iter().for_each(|source| xml.empty("Source", &[("server", source)]));
        reach(tables, number, connector, xml);
        xml.close("Connector");
    }
    xml.close("Connectors");
}

fn reach(tables: &RoutingTables, number: ConnectorIndex, connector: Connector<'_>, xml: &mut Xml) {
    let reach = match &tables.connectors().entry(number).reach {
        Ok(reach) => reach,
        Err(obstacle) => {
            let why = Elimination::from(obstacle.clone());
            return xml.empty("NotUsed", &[("reason", &why), ("rule", &why.rule())]);
        }
    };
    xml.open("Reach", &[("linkCost", &reach.links), ("nearestSource", &reach.distance)]);
    match &reach.via {
        Via::Dns => xml.empty("Delivery", &[("deliveryType", &crate::DeliveryType::DnsConnectorDelivery)]),
        Via::SmartHosts(key) => {
            xml.empty("Delivery", &[("deliveryType", &key.delivery_type), ("nextHopDomain", &key.domain)]);
        }
        Via::Gateway(kind) => {
            for space in connector.address_spaces() {
                xml.empty("Delivery", &[("deliveryType", kind), ("nextHopDomain", &space.queue_name())]);
            }
        }
        Via::Group(group) => match group.planned(tables.tree(), tables.roster()) {
            Planned::Ready { key, way } => next_hop(key, way, xml),
            Planned::Unreachable(reason) => xml.empty("Unreachable", &[("reason", reason), ("rule", &reason.rule())]),
            Planned::Deferred(reason) => xml.empty("Deferred", &[("reason", reason)]),
        },
    }
    xml.close("Reach");
}

type Attributes<'a> = [(&'a str, &'a dyn fmt::Display)];

/// XML of elements and attributes, indented.
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned(), depth: 0 }
    }

    fn open(&mut self, name: &str, attributes: &Attributes<'_>) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
    }

    fn empty(&mut self, name: &str, attributes: &Attributes<'_>) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.put(format_args!("{:1$}</{name}>\n", "", self.depth * 2));
    }

    fn start(&mut self, name: &str, attributes: &Attributes<'_>) {
        self.put(format_args!("{:1$}<{name}", "", self.depth * 2));
        for (key, value) in attributes {
            self.put(format_args!(" {key}=\""));
            escape(&value.to_string(), &mut self.text);
            self.text.push('"');
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a String takes every text");
    }
}

/// Attribute text (XML 1.0 §2.2, §2.4); characters that XML cannot hold are replaced.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
}
