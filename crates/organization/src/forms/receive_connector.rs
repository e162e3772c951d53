//! `receiveConnectors` (receive-connectors.md).

use topology::{Guid, ReceiveConnector, TransportRole};

use super::server::receive_connector_guid;
use super::{no_name, no_server};
use crate::literal::Literal;
use crate::property::{Form, Property, property};

impl Form for ReceiveConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("name", name).required(),
        Property::<Self>::new(
            "server",
            |connector| connector.server.write(),
            |connector, node, _| {
                connector.server = Literal::read(node)?;
                connector.guid = receive_connector_guid(&connector.server, &connector.name);
                Ok(())
            },
        )
        .required(),
        property!("guid", guid),
        property!("transportRole", transport_role),
        property!("enabled", enabled),
        property!("bindings", bindings).required(),
        property!("remoteIPRanges", remote_ip_ranges),
        property!("authMechanism", auth_mechanism),
        property!("permissionGroups", permission_groups),
        property!("fqdn", fqdn),
        property!("banner", banner),
        property!("requireTLS", require_tls),
        property!("maxMessageSize", max_message_size),
        property!("maxHeaderSize", max_header_size),
        property!("maxRecipientsPerMessage", max_recipients_per_message),
        property!("maxHopCount", max_hop_count),
        property!("maxLocalHopCount", max_local_hop_count),
        property!("maxInboundConnection", max_inbound_connection),
        property!("maxInboundConnectionPerSource", max_inbound_connection_per_source),
        property!("maxInboundConnectionPercentagePerSource", max_inbound_connection_percentage_per_source),
        property!("maxProtocolErrors", max_protocol_errors),
        property!("maxLogonFailures", max_logon_failures),
        property!("connectionInactivityTimeOut", connection_inactivity_timeout),
        property!("connectionTimeout", connection_timeout),
        property!("authTarpitInterval", auth_tarpit_interval),
        property!("messageRateLimit", message_rate_limit),
        property!("protocolLoggingLevel", protocol_logging_level),
        property!("comment", comment),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), no_server(), TransportRole::FrontendTransport)
    }
}
