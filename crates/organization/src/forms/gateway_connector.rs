//! `deliveryAgentConnectors` and `foreignConnectors` with every documented property (EN-57, EN-63).

use topology::{DeliveryAgentConnector, ForeignConnector, Guid};

use super::{name_property, no_name};
use crate::property::{Form, Property, property};

impl Form for DeliveryAgentConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(DeliveryAgentConnector),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "EN-57")
            .defaults_to("derived"),
        property!("addressSpaces", address_spaces)
            .is("Addresses that the connector takes, with costs.", "EN-58, SC-55…SC-65")
            .required(),
        property!("deliveryProtocol", delivery_protocol)
            .is("Names the agents that take the connector's mail.", "EN-55…EN-57")
            .required(),
        property!("sourceTransportServers", source_transport_servers)
            .is("Mailbox servers with the agent.", "EN-56")
            .defaults_to(""),
        property!("enabled", enabled).is("A connector that is not enabled does not exist for routing.", "SC-70"),
        property!("isScopedConnector", is_scoped_connector)
            .is("Only servers in the sites of its source servers see the connector.", "SC-80"),
        property!("maxMessageSize", max_message_size)
            .is("Larger messages do not go by the connector.", "EN-57")
            .within(65536, 2147483647),
        property!("maxConcurrentConnections", max_concurrent_connections)
            .is("Connections of the agent at one time.", "EN-57")
            .within(1, 2147483647),
        property!("maxMessagesPerConnection", max_messages_per_connection)
            .is("Messages in one connection of the agent.", "EN-57")
            .within(1, 2147483647),
        property!("comment", comment).is("Free text.", "EN-57"),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), Vec::new(), Vec::new())
    }
}

impl Form for ForeignConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(ForeignConnector),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "EN-63")
            .defaults_to("derived"),
        property!("addressSpaces", address_spaces)
            .is("Addresses that the connector takes, with costs.", "EN-62, SC-55…SC-65")
            .required(),
        property!("sourceTransportServers", source_transport_servers)
            .is("Mailbox servers that write the files.", "EN-63")
            .defaults_to(""),
        property!("enabled", enabled).is("A connector that is not enabled does not exist for routing.", "SC-70"),
        property!("isScopedConnector", is_scoped_connector)
            .is("Only servers in the sites of its source servers see the connector.", "SC-80"),
        property!("maxMessageSize", max_message_size)
            .is("Larger messages do not go by the connector; 0 lets none pass.", "EN-66"),
        property!("dropDirectory", drop_directory)
            .is("Where files go: below the folder `drop` of the server's settings.", "EN-64")
            .defaults_to("the connector's name"),
        property!("dropDirectoryQuota", drop_directory_quota)
            .is("No new file while the directory holds more.", "EN-66")
            .within(1, 2147483647),
        property!("relayDsnRequired", relay_dsn_required)
            .is("A written file is reported to whoever asked for reports of success as relayed.", "EN-67"),
        property!("comment", comment).is("Free text.", "EN-63"),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), Vec::new(), Vec::new())
    }
}
