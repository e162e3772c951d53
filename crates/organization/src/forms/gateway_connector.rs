//! `deliveryAgentConnectors` and `foreignConnectors` with every documented property (EN-57, EN-63).

use topology::{DeliveryAgentConnector, ForeignConnector, Guid};

use super::{name_property, no_name};
use crate::property::{Form, Property, property};

impl Form for DeliveryAgentConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(DeliveryAgentConnector),
        property!("guid", guid),
        property!("addressSpaces", address_spaces).required(),
        property!("deliveryProtocol", delivery_protocol).required(),
        property!("sourceTransportServers", source_transport_servers),
        property!("enabled", enabled),
        property!("isScopedConnector", is_scoped_connector),
        property!("maxMessageSize", max_message_size),
        property!("maxConcurrentConnections", max_concurrent_connections),
        property!("maxMessagesPerConnection", max_messages_per_connection),
        property!("comment", comment),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), Vec::new(), Vec::new())
    }
}

impl Form for ForeignConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(ForeignConnector),
        property!("guid", guid),
        property!("addressSpaces", address_spaces).required(),
        property!("sourceTransportServers", source_transport_servers),
        property!("enabled", enabled),
        property!("isScopedConnector", is_scoped_connector),
        property!("maxMessageSize", max_message_size),
        property!("dropDirectory", drop_directory),
        property!("dropDirectoryQuota", drop_directory_quota),
        property!("relayDsnRequired", relay_dsn_required),
        property!("comment", comment),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), Vec::new(), Vec::new())
    }
}
