//! The default Receive connectors of a server (RC-11, RC-12, RC-14, RC-15; RC-17 of an Edge server). They are objects like any
//! other: every server has them unless it says of one, by name, that it does not, and one that is written by that name is
//! that one. The others of the documented list (RC-13, RC-16) stand for the implicit connector, which is no Receive connector
//! here.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use envelope::identity::NAME_CHARACTERS_MAX;
use envelope::{Limit, ObjectName, ServerName, Span};

use super::{AuthMechanism, MessageRateSource, PermissionGroup, ReceiveConnector, RemoteRange, TransportRole};
use crate::send_connector::ProtocolLoggingLevel;
use crate::server::{Server, ServerRole};

/// Port of `Default Frontend <server>`.
pub const FRONTEND_PORT: u16 = 25;
/// Port of `Client Frontend <server>`.
pub const CLIENT_PORT: u16 = 587;
/// Port of `Default <server>`.
pub const HUB_PORT: u16 = 2525;
/// Port of `Client Proxy <server>`: STARTTLS, no TLS from the first octet (RC-19).
pub const CLIENT_PROXY_PORT: u16 = 465;
/// `MaxRecipientsPerMessage` of `Default <server>` (RC-50).
pub const HUB_RECIPIENTS_MAX: u32 = 5000;
/// `MessageRateLimit` of `Client Frontend <server>` and `Client Proxy <server>`: messages per minute and user.
pub const CLIENT_MESSAGE_RATE: u32 = 5;

/// `MessageRateLimit` of `Default internal receive connector <server>`.
pub const EDGE_MESSAGE_RATE: u32 = 600;

/// Every default connector of `server`, whether it has it or not.
#[must_use]
pub fn of(server: &Server) -> Vec<ReceiveConnector> {
    match server.role {
        ServerRole::Mailbox => [front_end(&server.name), transport(&server.name)].concat(),
        ServerRole::Edge => vec![edge(&server.name)],
    }
}

/// The default connector of that name on that server, as it is before anybody changes it.
#[must_use]
pub fn named(server: &ServerName, name: &ObjectName) -> Option<ReceiveConnector> {
    let [default, client] = front_end(server);
    let [hub, proxy] = transport(server);
    [default, client, hub, proxy, edge(server)].into_iter().find(|connector| connector.name == *name)
}

/// `Default internal receive connector <server>` of an Edge server.
fn edge(server: &ServerName) -> ReceiveConnector {
    let connector =
        on_all_addresses("Default internal receive connector", server, TransportRole::HubTransport, FRONTEND_PORT);
    ReceiveConnector {
        bindings: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, FRONTEND_PORT))],
        remote_ip_ranges: vec![RemoteRange::ALL_V4],
        auth_mechanism: vec![AuthMechanism::Tls, AuthMechanism::ExchangeServer],
        permission_groups: vec![
            PermissionGroup::AnonymousUsers,
            PermissionGroup::ExchangeServers,
            PermissionGroup::Partners,
        ],
        message_rate_limit: Limit::At(EDGE_MESSAGE_RATE),
        connection_inactivity_timeout: Span::minutes(1),
        connection_timeout: Span::minutes(5),
        ..connector
    }
}

/// `Default Frontend <server>` and `Client Frontend <server>`.
#[must_use]
pub fn front_end(server: &ServerName) -> [ReceiveConnector; 2] {
    let basic = [AuthMechanism::Tls, AuthMechanism::BasicAuth, AuthMechanism::BasicAuthRequireTLS];
    let default = ReceiveConnector {
        auth_mechanism: [&basic[..], &[AuthMechanism::ExchangeServer, AuthMechanism::Integrated]].concat(),
        permission_groups: vec![
            PermissionGroup::AnonymousUsers,
            PermissionGroup::ExchangeLegacyServers,
            PermissionGroup::ExchangeServers,
        ],
        protocol_logging_level: ProtocolLoggingLevel::Verbose,
        domain_secure_enabled: true,
        ..on_all_addresses("Default Frontend", server, TransportRole::FrontendTransport, FRONTEND_PORT)
    };
    let client = ReceiveConnector {
        auth_mechanism: [&basic[..], &[AuthMechanism::Integrated]].concat(),
        permission_groups: vec![PermissionGroup::ExchangeUsers],
        message_rate_limit: Limit::At(CLIENT_MESSAGE_RATE),
        message_rate_source: MessageRateSource::User,
        ..on_all_addresses("Client Frontend", server, TransportRole::FrontendTransport, CLIENT_PORT)
    };
    [default, client]
}

/// `Default <server>` and `Client Proxy <server>`, of Transport itself.
#[must_use]
pub fn transport(server: &ServerName) -> [ReceiveConnector; 2] {
    let between_servers = [AuthMechanism::ExchangeServer, AuthMechanism::Integrated];
    // Real servers have BasicAuthRequireTLS here, other than documented (RC-14): no password in clear by default.
    let basic = [AuthMechanism::Tls, AuthMechanism::BasicAuth, AuthMechanism::BasicAuthRequireTLS];
    let default = ReceiveConnector {
        auth_mechanism: [&basic[..], &between_servers].concat(),
        permission_groups: vec![
            PermissionGroup::ExchangeLegacyServers,
            PermissionGroup::ExchangeServers,
            PermissionGroup::ExchangeUsers,
        ],
        max_recipients_per_message: HUB_RECIPIENTS_MAX,
        max_inbound_connection_per_source: Limit::Unlimited,
        max_inbound_connection_percentage_per_source: 100,
        ..on_all_addresses("Default", server, TransportRole::HubTransport, HUB_PORT)
    };
    let client = ReceiveConnector {
        auth_mechanism: [&basic[..], &between_servers].concat(),
        permission_groups: vec![PermissionGroup::ExchangeServers, PermissionGroup::ExchangeUsers],
        message_rate_limit: Limit::At(CLIENT_MESSAGE_RATE),
        message_rate_source: MessageRateSource::User,
        ..on_all_addresses("Client Proxy", server, TransportRole::HubTransport, CLIENT_PROXY_PORT)
    };
    [default, client]
}

fn on_all_addresses(prefix: &str, server: &ServerName, role: TransportRole, port: u16) -> ReceiveConnector {
    let short: String = format!("{prefix} {server}").chars().take(NAME_CHARACTERS_MAX).collect();
    let name = ObjectName::parse(short.trim_end()).expect("a prefix and a server's name, cut to the length of names");
    let guid = ReceiveConnector::derived_guid(server, &name);
    ReceiveConnector {
        bindings: vec![
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        ],
        ..ReceiveConnector::new(guid, name, server.clone(), role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        // RC-11, RC-12
        let [default, client] = front_end(&ServerName::parse("MAIL1").unwrap());
        assert_eq!((default.name.as_str(), client.name.as_str()), ("Default Frontend MAIL1", "Client Frontend MAIL1"));
        assert!(default.permits(PermissionGroup::AnonymousUsers) && !default.permits(PermissionGroup::ExchangeUsers));
        assert!(client.permits(PermissionGroup::ExchangeUsers) && !client.permits(PermissionGroup::AnonymousUsers));
        assert!(
            default.offers(AuthMechanism::BasicAuthRequireTLS) && !default.offers(AuthMechanism::ExternalAuthoritative)
        );
        assert_eq!(client.bindings[0], "0.0.0.0:587".parse().unwrap());
        assert_eq!(default.remote_ip_ranges.len(), 2);
        assert_eq!(default, front_end(&ServerName::parse("MAIL1").unwrap())[0]);
        let [long, _] = front_end(&ServerName::parse(&"x".repeat(64)).unwrap());
        assert_eq!(long.name.as_str().len(), NAME_CHARACTERS_MAX);
    }

    #[test]
    fn those_of_transport_are_for_servers_and_users() {
        // RC-14, RC-15: nobody who is not authenticated.
        let [default, client] = transport(&ServerName::parse("MAIL1").unwrap());
        assert_eq!((default.name.as_str(), client.name.as_str()), ("Default MAIL1", "Client Proxy MAIL1"));
        assert_eq!((default.bindings[0].port(), client.bindings[0].port()), (2525, 465)); // RC-2, RC-19
        for connector in [&default, &client] {
            assert_eq!(connector.transport_role, TransportRole::HubTransport);
            assert!(connector.permits(PermissionGroup::ExchangeUsers));
            assert!(!connector.permits(PermissionGroup::AnonymousUsers));
        }
        assert!(
            default.offers(AuthMechanism::BasicAuthRequireTLS) && client.offers(AuthMechanism::BasicAuthRequireTLS)
        );
        assert_eq!((default.max_recipients_per_message, client.max_recipients_per_message), (5000, 200));
        assert_eq!(default.max_inbound_connection_per_source, Limit::Unlimited);
        assert_eq!(default.max_inbound_connection_percentage_per_source, 100);
    }
}
