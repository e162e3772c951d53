//! Connectors to systems that do not speak SMTP: Delivery Agent connectors (EN-55…EN-61) and Foreign connectors
//! (EN-62…EN-69), with every documented property.

use envelope::{ByteSize, Limit, ObjectName, ServerName};

use crate::address_space::AddressSpace;
use crate::guid::Guid;

/// Default `MaxConcurrentConnections` of a Delivery Agent connector (EN-57).
pub const AGENT_CONNECTIONS_DEFAULT: u32 = 5;
/// Default `MaxMessagesPerConnection` of a Delivery Agent connector (EN-57).
pub const AGENT_MESSAGES_DEFAULT: u32 = 20;
/// Smallest `MaxMessageSize` of a Delivery Agent connector (EN-57).
pub const AGENT_SIZE_MIN: ByteSize = ByteSize::kib(64);

/// The Delivery Agent connector that a new organization has (EN-59).
pub const TEXT_MESSAGING: &str = "Text Messaging Delivery Agent Connector";

/// A connector whose queue is emptied by an agent that speaks another system's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAgentConnector {
    /// Stable identity.
    pub guid: Guid,
    /// Unique among Delivery Agent connectors.
    pub name: ObjectName,
    /// At least one.
    pub address_spaces: Vec<AddressSpace>,
    /// Names the agents that take the connector's mail, such as `X.400` or `MOBILE`.
    pub delivery_protocol: String,
    /// Free text.
    pub comment: String,
    /// Disabled connectors are ignored by routing; default true.
    pub enabled: bool,
    /// Visible only in the sites of its source servers; default false (SC-80).
    pub is_scoped_connector: bool,
    /// Connections of the agent at one time; default 5.
    pub max_concurrent_connections: u32,
    /// Default 20.
    pub max_messages_per_connection: u32,
    /// Default unlimited; 64 KB to 2147483647 bytes.
    pub max_message_size: Limit<ByteSize>,
    /// Mailbox servers with the agent, at least one (EN-56).
    pub source_transport_servers: Vec<ServerName>,
}

impl DeliveryAgentConnector {
    /// A connector with every property at its documented default.
    #[must_use]
    pub fn new(guid: Guid, name: ObjectName, spaces: Vec<AddressSpace>, sources: Vec<ServerName>) -> Self {
        Self {
            guid,
            name,
            address_spaces: spaces,
            delivery_protocol: String::new(),
            comment: String::new(),
            enabled: true,
            is_scoped_connector: false,
            max_concurrent_connections: AGENT_CONNECTIONS_DEFAULT,
            max_messages_per_connection: AGENT_MESSAGES_DEFAULT,
            max_message_size: Limit::Unlimited,
            source_transport_servers: sources,
        }
    }

    /// The one that a new organization has, for text messages to mobile telephones (EN-59).
    #[must_use]
    pub fn text_messaging(sources: Vec<ServerName>) -> Self {
        let name = ObjectName::parse(TEXT_MESSAGING).expect("it is a name");
        let guid = Guid::derived("deliveryAgentConnector", TEXT_MESSAGING);
        let everything = "MOBILE:*;1".parse().expect("it is an address space");
        Self { delivery_protocol: "MOBILE".to_owned(), ..Self::new(guid, name, vec![everything], sources) }
    }
}

/// A connector that writes messages as files into a directory, which a gateway empties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignConnector {
    /// Stable identity.
    pub guid: Guid,
    /// Unique among Foreign connectors.
    pub name: ObjectName,
    /// At least one, SMTP or not (EN-62).
    pub address_spaces: Vec<AddressSpace>,
    /// Free text.
    pub comment: String,
    /// Where files go; default: the connector's name under the server's root directory (EN-64).
    pub drop_directory: Option<String>,
    /// No new file while the directory holds more; default unlimited (EN-66).
    pub drop_directory_quota: Limit<ByteSize>,
    /// Disabled connectors are ignored by routing; default true.
    pub enabled: bool,
    /// Visible only in the sites of its source servers; default false (SC-80).
    pub is_scoped_connector: bool,
    /// Default unlimited (EN-66).
    pub max_message_size: Limit<ByteSize>,
    /// A written file is reported to the sender as relayed; default false (EN-67).
    pub relay_dsn_required: bool,
    /// Mailbox servers that write the files, at least one.
    pub source_transport_servers: Vec<ServerName>,
}

impl ForeignConnector {
    /// A connector with every property at its documented default.
    #[must_use]
    pub fn new(guid: Guid, name: ObjectName, spaces: Vec<AddressSpace>, sources: Vec<ServerName>) -> Self {
        Self {
            guid,
            name,
            address_spaces: spaces,
            comment: String::new(),
            drop_directory: None,
            drop_directory_quota: Limit::Unlimited,
            enabled: true,
            is_scoped_connector: false,
            max_message_size: Limit::Unlimited,
            relay_dsn_required: false,
            source_transport_servers: sources,
        }
    }
}
