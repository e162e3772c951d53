//! `servers`, `dags` and `databases` (docs/rules.md, Routing, docs/rules.md, Queues).

use std::net::{IpAddr, SocketAddr};

use envelope::{ObjectName, ServerName};
use topology::{
    BackPressureSettings, Dag, Database, DatabaseHome, EdgeSubscription, FrontendTransportSettings, Guid,
    MailboxTransportSettings, Server, ServerRole, TransportServiceSettings,
};

use super::services::{AGE_SECONDS_MAX, OCTETS_MAX, TRACKING_FILE_OCTETS_MAX, later};
use super::{name_property, no_domain, no_name, no_server, no_site};
use crate::kind::Kind;
use crate::literal::{Fault, Literal, kind_of, shape_of};
use crate::node::{Node, Value};
use crate::property::{self, Detail, Form, Property, property};

/// Settings of a service, written only where somebody said something, as backPressure.
macro_rules! where_said {
    ($name:literal, $field:ident, $of:ty, $takes:literal) => {
        Property::<Self>::new(
            $name,
            |server| match server.$field == <$of>::default() {
                true => Node::null(),
                false => property::write(&server.$field, Detail::Changed),
            },
            |server, node, secrets| {
                server.$field = if node.is_null() { <$of>::default() } else { property::read(node, secrets)? };
                Ok(())
            },
        )
        .takes(|_| $takes.to_owned())
        .defaults_to("")
        .holds(property::rows::<$of>)
    };
}

impl Form for Server {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Server),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "RT-01")
            .defaults_to("derived"),
        property!("fqdn", fqdn).is("Its name in DNS and in certificates.", "RT-01").required(),
        property!("site", site).is("The site of which it is a member.", "RT-01").required(),
        Property::<Self>::new(
            "role",
            |server| server.role.write(),
            |server, node, _| {
                server.role = Literal::read(node)?;
                server.transport = TransportServiceSettings::of(server.role);
                Ok(())
            },
        )
        .takes(|server| kind_of(&server.role))
        .shaped(|server| shape_of(&server.role))
        .is("What the server is.", "SC-2"),
        property!("dag", dag).is("The DAG of which it is a member.", "RT-30"),
        // Written only where somebody said something, as backPressure.
        Property::<Self>::new(
            "removedReceiveConnectors",
            |server| match server.removed_receive_connectors.is_empty() {
                true => Node::null(),
                false => server.removed_receive_connectors.write(),
            },
            |server, node, _| {
                let said = Option::<Vec<ObjectName>>::read(node)?;
                server.removed_receive_connectors = said.unwrap_or_default();
                Ok(())
            },
        )
        .takes(|server| kind_of(&server.removed_receive_connectors))
        .shaped(|server| shape_of(&server.removed_receive_connectors))
        .is("Default Receive connectors that the server does not have, by name.", "New-ReceiveConnector"),
        Property::<Self>::new(
            "edge",
            |server| match server.edge.is_none() {
                true => Node::null(),
                false => property::write(&server.edge, Detail::Changed),
            },
            |server, node, secrets| {
                let said = !node.is_null();
                server.edge = if said { property::read(node, secrets)? } else { EdgeSubscription::default() };
                Ok(())
            },
        )
        .takes(|_| "an Edge subscription".to_owned())
        .defaults_to("")
        .holds(property::rows::<EdgeSubscription>)
        .is(
            "By what an Edge server and its organization know each other; New-EdgeSubscription writes it.",
            "EN-11, EN-12",
        ),
        Property::<Self>::new(
            "transport",
            |server| property::write(&server.transport, Detail::Everything),
            |server, node, secrets| {
                let defaults = TransportServiceSettings::of(server.role);
                server.transport = property::read_onto(defaults, node, secrets)?;
                Ok(())
            },
        )
        .takes(|_| "settings of the Transport service".to_owned())
        .defaults_to("")
        .holds(property::rows::<TransportServiceSettings>)
        .is("Settings of the Transport service.", "message-intervals, message-rate-limits"),
        where_said!(
            "frontendTransport",
            frontend_transport,
            FrontendTransportSettings,
            "settings of the Front End Transport service"
        )
        .is("Settings of the Front End Transport service.", "LG-03, limits §3"),
        where_said!("mailboxTransport", mailbox_transport, MailboxTransportSettings, "settings of Mailbox Transport")
            .is("Settings of Mailbox Transport.", "limits §3"),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_server(),
            fqdn: no_domain(),
            site: no_site(),
            role: ServerRole::Mailbox,
            dag: None,
            removed_receive_connectors: Vec::new(),
            edge: EdgeSubscription::default(),
            transport: TransportServiceSettings::default(),
            frontend_transport: FrontendTransportSettings::default(),
            mailbox_transport: MailboxTransportSettings::default(),
        }
    }
}

impl Form for EdgeSubscription {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("forest", forest).is("The forest that the Edge server is by itself.", "EN-1"),
        property!("authorities", authorities)
            .is("Its authorities (PEM), by which the organization believes it.", "EN-15, EN-37"),
        property!("transportPort", transport_port)
            .is("Port of its Transport.", "EN-28")
            .within(1, 65535)
            .defaults_to("7525"),
        property!("syncPort", sync_port)
            .is("Port of its admin service for EdgeSync.", "EN-15")
            .within(1, 65535)
            .defaults_to("5477"),
        property!("pendingKey", pending_key)
            .is("On the Edge server: public key of a subscription file that nobody has used yet.", "EN-11"),
        property!("pendingUntil", pending_until)
            .is("On the Edge server: until when that file may be used, in seconds since 1970.", "EN-11"),
        property!("voucher", voucher)
            .is("In the organization, until the first synchronization: proof that the file was there.", "EN-12"),
        property!("organization", organization).is("The forest that the Edge server is subscribed to.", "EN-10"),
        property!("organizationAuthorities", organization_authorities)
            .is("Authorities of that organization (PEM), by which the Edge server believes its servers.", "EN-37"),
        property!("recipientSalt", recipient_salt).is("What digests of recipients begin with.", "EN-30"),
        property!("standIn", stand_in)
            .is("On the Edge server: who gets mail for postmaster and abuse in the organization.", "DS-21"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl Literal for ServerRole {
    fn kind() -> String {
        "Mailbox, Edge".to_owned()
    }
    fn shape() -> crate::schema::Shape {
        crate::schema::Shape::Word(vec!["Mailbox", "Edge"])
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match node.scalar().unwrap_or_default().to_ascii_lowercase().as_str() {
            "mailbox" => Ok(Self::Mailbox),
            "edge" => Ok(Self::Edge),
            _ => Err(vec![Fault::at(node, "a role is Mailbox or Edge")]),
        }
    }
    fn write(&self) -> Node {
        Node::text(match self {
            Self::Mailbox => "Mailbox",
            Self::Edge => "Edge",
        })
    }
}

/// A name server: an address, with a port when it is not 53.
struct NameServer(SocketAddr);

/// Port of a name server for which none is given (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

impl Literal for NameServer {
    fn kind() -> String {
        "an IP address, with a port if it is not 53".to_owned()
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let address = node.scalar().and_then(|text| text.parse::<IpAddr>().ok());
        match address {
            Some(address) => Ok(Self(SocketAddr::new(address, DNS_PORT))),
            None => SocketAddr::read(node).map(Self),
        }
    }
    fn write(&self) -> Node {
        if self.0.port() == DNS_PORT { self.0.ip().write() } else { self.0.write() }
    }
}

/// A list of name servers.
macro_rules! name_servers {
    ($name:literal, $field:ident) => {
        Property::<Self>::new(
            $name,
            |form| form.$field.iter().copied().map(NameServer).collect::<Vec<_>>().write(),
            |form, node, _| {
                form.$field = Vec::<NameServer>::read(node)?.into_iter().map(|server| server.0).collect();
                Ok(())
            },
        )
        .takes(|_| Vec::<NameServer>::kind())
        .shaped(|_| Vec::<NameServer>::shape())
    };
}

impl Form for TransportServiceSettings {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("queueGlitchRetryCount", queue_glitch_retry_count)
            .is("First stage of retries: attempts.", "QU-33")
            .within(0, 15),
        property!("queueGlitchRetryInterval", queue_glitch_retry_interval).is("First stage: interval.", "QU-33"),
        property!("transientFailureRetryCount", transient_failure_retry_count)
            .is("Second stage: attempts.", "QU-35")
            .within(0, 15),
        property!("transientFailureRetryInterval", transient_failure_retry_interval)
            .is("Second stage: interval.", "QU-33")
            .within(1, 43200)
            .on_edge("00:10:00"),
        property!("outboundConnectionFailureRetryInterval", outbound_connection_failure_retry_interval)
            .is("Last stage: interval.", "QU-33")
            .within(1, 1728000)
            .on_edge("00:30:00"),
        property!("messageRetryInterval", message_retry_interval)
            .is("A single message that a connected host deferred is tried again after this time.", "QU-38")
            .within(1, 86_400),
        property!("mailboxDeliveryQueueRetryInterval", mailbox_delivery_queue_retry_interval)
            .is("Deliveries to databases are tried again after this time.", "QU-37")
            .within(1, 86_400),
        property!("delayNotificationTimeout", delay_notification_timeout)
            .is("Late mail is reported after this time.", "QU-45")
            .within(1, 2592000),
        property!("messageExpirationTimeout", message_expiration_timeout)
            .is("Mail is given up after this time.", "QU-42")
            .within(5, 7776000),
        property!("maxIdleTimeBeforeResubmit", max_idle_time_before_resubmit)
            .is("A queue in Retry that delivered nothing for this time is decided anew.", "QU-40"),
        property!("queueMaxIdleTime", queue_max_idle_time)
            .is("An empty queue is forgotten after this time.", "QU-02")
            .within(5, 3600),
        property!("resolverRetryInterval", resolver_retry_interval)
            .is("What the directory could not be asked for is asked again after this time.", "PL-43"),
        property!("poisonMessageDetectionEnabled", poison_message_detection_enabled)
            .is("A message at which the program fails again and again goes to the poison queue.", "QU-13"),
        property!("poisonThreshold", poison_threshold).is("Failures after which it does.", "QU-13").within(1, 10),
        property!("maxOutboundConnections", max_outbound_connections)
            .is("Outbound connections of the server.", "SC-91")
            .within(1, 2147483647),
        property!("maxPerDomainOutboundConnections", max_per_domain_outbound_connections)
            .is("Outbound connections for one queue.", "SC-91, LM-17, LM-18")
            .within(1, 2147483647),
        property!(
            "intraOrgConnectorSmtpMaxMessagesPerConnection",
            intra_org_connector_smtp_max_messages_per_connection
        )
        .is("Messages in one connection of the implicit connector.", "SC-6, LM-23")
        .within(0, 2147483647)
        .stored_only("a stream of the implicit connector carries any number of messages"),
        name_servers!("externalDNSServers", external_dns_servers)
            .is("Name servers for connectors with useExternalDNSServersEnabled.", "SC-37")
            .defaults_to("those of the machine"),
        name_servers!("internalDNSServers", internal_dns_servers)
            .is("Name servers for every other connector.", "SC-38")
            .defaults_to("those of the machine"),
        later!("maxConnectionRatePerMinute", max_connection_rate_per_minute, "1200")
            .is("New connections that Transport takes by SMTP in a minute; those above are put off.", "limits §3")
            .within(1, 2_147_483_647),
        later!("messageTrackingLogEnabled", logs.message_tracking_enabled, "true")
            .is("Whether it is written down what becomes of messages, by Transport and Mailbox Transport.", "LG-16"),
        later!("messageTrackingLogSubjectLoggingEnabled", logs.message_tracking_subjects, "true")
            .is("Whether with the subjects of messages.", "LG-18"),
        later!("messageTrackingLogMaxAge", logs.message_tracking.max_age, "30.00:00:00")
            .is("Message tracking log: files go at this age; 0 is never.", "LG-03, LG-04, LG-17")
            .within(0, AGE_SECONDS_MAX),
        later!("messageTrackingLogMaxDirectorySize", logs.message_tracking.max_directory_size, "1000MB")
            .is("Message tracking log: of all files; the oldest goes.", "LG-03, LG-04, LG-17")
            .within(1, OCTETS_MAX),
        later!("messageTrackingLogMaxFileSize", logs.message_tracking.max_file_size, "10MB")
            .is("Message tracking log: of one file.", "LG-03, LG-04, LG-17")
            .within(1, TRACKING_FILE_OCTETS_MAX),
        later!("connectivityLogEnabled", logs.connectivity_enabled, "true")
            .is("Whether connections to next hops are written down.", "LG-13"),
        later!("connectivityLogMaxAge", logs.connectivity.max_age, "30.00:00:00")
            .is("Connectivity log: files go at this age; 0 is never.", "LG-03, LG-04")
            .within(0, AGE_SECONDS_MAX),
        later!("connectivityLogMaxDirectorySize", logs.connectivity.max_directory_size, "1000MB")
            .is("Connectivity log: of all files; the oldest goes.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("connectivityLogMaxFileSize", logs.connectivity.max_file_size, "10MB")
            .is("Connectivity log: of one file.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("receiveProtocolLogMaxAge", logs.protocol.receive.max_age, "30.00:00:00")
            .is("Protocol log of Receive connectors of Transport: files go at this age; 0 is never.", "LG-03, LG-04")
            .within(0, AGE_SECONDS_MAX),
        later!("receiveProtocolLogMaxDirectorySize", logs.protocol.receive.max_directory_size, "250MB")
            .is("Protocol log of Receive connectors of Transport: of all files; the oldest goes.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("receiveProtocolLogMaxFileSize", logs.protocol.receive.max_file_size, "10MB")
            .is("Protocol log of Receive connectors of Transport: of one file.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("sendProtocolLogMaxAge", logs.protocol.send.max_age, "30.00:00:00")
            .is("Protocol log of Send connectors of Transport: files go at this age; 0 is never.", "LG-03, LG-04")
            .within(0, AGE_SECONDS_MAX),
        later!("sendProtocolLogMaxDirectorySize", logs.protocol.send.max_directory_size, "250MB")
            .is("Protocol log of Send connectors of Transport: of all files; the oldest goes.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("sendProtocolLogMaxFileSize", logs.protocol.send.max_file_size, "10MB")
            .is("Protocol log of Send connectors of Transport: of one file.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("routingTableLogMaxAge", logs.routing_table.max_age, "7.00:00:00")
            .is("Routing table log: files go at this age; 0 is never.", "LG-03, LG-32")
            .within(0, AGE_SECONDS_MAX),
        later!("routingTableLogMaxDirectorySize", logs.routing_table.max_directory_size, "50MB")
            .is("Routing table log: of all files; the oldest goes.", "LG-03, LG-32")
            .within(1, OCTETS_MAX),
        // Written only where somebody said something: servers of an earlier version, which do not know it, read the rest.
        Property::<Self>::new(
            "backPressure",
            |settings| {
                let said = settings.back_pressure != BackPressureSettings::default();
                if said { property::write(&settings.back_pressure, Detail::Changed) } else { Node::null() }
            },
            |settings, node, secrets| {
                let said = !node.is_null();
                settings.back_pressure =
                    if said { property::read(node, secrets)? } else { BackPressureSettings::default() };
                Ok(())
            },
        )
        .takes(|_| "settings of back pressure".to_owned())
        .defaults_to("")
        .holds(property::rows::<BackPressureSettings>)
        .is("When this server takes no more mail for lack of a resource.", "back-pressure"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl Form for Dag {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Dag),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "RT-01")
            .defaults_to("derived"),
    ];

    fn blank() -> Self {
        Self { guid: Guid::ZERO, name: no_name() }
    }
}

/// A database as it is written: `{name, server}` or `{name, dag, activeOn}`.
pub(crate) struct DatabaseForm {
    guid: Guid,
    name: ObjectName,
    server: Option<ServerName>,
    dag: Option<ObjectName>,
    active_on: Option<ServerName>,
}

impl Form for DatabaseForm {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Database),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "RT-01")
            .defaults_to("derived"),
        property!("server", server).is("The server that holds the database alone.", "PL-13"),
        property!("dag", dag).is("The DAG that holds copies of the database.", "RT-30"),
        property!("activeOn", active_on).is("The member of the DAG with the active copy.", "PL-13"),
    ];

    fn blank() -> Self {
        Self { guid: Guid::ZERO, name: no_name(), server: None, dag: None, active_on: None }
    }
}

impl From<&Database> for DatabaseForm {
    fn from(database: &Database) -> Self {
        let (server, dag, active_on) = match database.home.clone() {
            DatabaseHome::Server(server) => (Some(server), None, None),
            DatabaseHome::Dag { dag, active_on } => (None, Some(dag), Some(active_on)),
        };
        Self { guid: database.guid, name: database.name.clone(), server, dag, active_on }
    }
}

impl DatabaseForm {
    /// The database, if the form says either server or DAG.
    pub(crate) fn finish(self, node: &Node) -> Result<Database, Vec<Fault>> {
        let home = match (self.server, self.dag, self.active_on) {
            (Some(server), None, None) => DatabaseHome::Server(server),
            (None, Some(dag), Some(active_on)) => DatabaseHome::Dag { dag, active_on },
            _ => {
                let text = "a database is either on a server (server) or in a DAG (dag and activeOn)";
                return Err(vec![Fault::at(node, text)]);
            }
        };
        Ok(Database { guid: self.guid, name: self.name, home })
    }
}

/// The label of a Receive connector: names are unique on a server only.
pub(crate) fn on_server(server: &ServerName, name: &ObjectName) -> String {
    format!("{server}\\{name}")
}

/// What stands for an object in messages: its name as written, or its place in the list.
pub(crate) fn label(kind: Kind, at: usize, node: &Node) -> String {
    let name = node.get("name").and_then(|name| name.scalar().map(String::from));
    let server = node.get("server").and_then(|server| server.scalar().map(String::from));
    match (kind, name, server, &node.value) {
        (Kind::ReceiveConnector, Some(name), Some(server), _) => format!("[\"{server}\\{name}\"]"),
        (_, Some(name), _, Value::Map(_)) => format!("[\"{name}\"]"),
        _ => format!("[{at}]"),
    }
}
