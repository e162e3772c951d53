//! Which Receive connector gets a connection (RC-30, RC-31, PL-36, PL-37). Pure.

use std::net::{IpAddr, SocketAddr};

use topology::ReceiveConnector;

/// A listening address: a binding of the configuration, or what the process settings put in the place of a port, or open
/// beside it for TLS from the first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Configured(SocketAddr),
    InPlaceOf(u16, SocketAddr),
    UnderTls(u16, SocketAddr),
}

impl Place {
    /// Where to listen.
    pub(crate) fn address(self) -> SocketAddr {
        match self {
            Self::Configured(address) | Self::InPlaceOf(_, address) | Self::UnderTls(_, address) => address,
        }
    }

    /// The port of the configuration.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Configured(address) => address.port(),
            Self::InPlaceOf(port, _) | Self::UnderTls(port, _) => port,
        }
    }

    /// Whether a connection begins with TLS.
    pub(crate) fn begins_with_tls(self) -> bool {
        matches!(self, Self::UnderTls(..))
    }

    /// Where a connection to `local` came in. The port is the configured one: port 0 stands for any.
    pub(crate) fn endpoint(self, local: SocketAddr) -> LocalEndpoint {
        match self {
            Self::Configured(binding) => LocalEndpoint::At(SocketAddr::new(local.ip(), binding.port())),
            Self::InPlaceOf(port, _) | Self::UnderTls(port, _) => LocalEndpoint::InPlaceOf(port),
        }
    }
}

/// Where a connection came in, in terms of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalEndpoint {
    /// At a binding of a connector.
    At(SocketAddr),
    /// At an address of the process settings, which stands for every binding with this port.
    InPlaceOf(u16),
}

/// The connector with the most specific range around `client` among those that listen at `local`; between equal ranges,
/// one bound to the very address before one bound to all.
pub(crate) fn select<'a>(
    connectors: impl IntoIterator<Item = &'a ReceiveConnector>,
    local: LocalEndpoint,
    client: IpAddr,
) -> Option<&'a ReceiveConnector> {
    let matching = connectors.into_iter().filter_map(|connector| {
        let binding = connector.bindings.iter().filter_map(|binding| distance(*binding, local)).min()?;
        let ranges = connector.remote_ip_ranges.iter().filter(|range| range.contains(client));
        let range = ranges.map(topology::RemoteRange::span).min()?;
        // The name makes the choice the same everywhere where nothing else does; validation rules such pairs out.
        Some(((range, binding, &connector.name), connector))
    });
    matching.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, connector)| connector)
}

/// 0 for the very address, 1 for all addresses of its family.
fn distance(binding: SocketAddr, local: LocalEndpoint) -> Option<u8> {
    let local = match local {
        LocalEndpoint::At(local) => local,
        LocalEndpoint::InPlaceOf(port) => return (binding.port() == port).then_some(1),
    };
    let (bound, address) = (binding.ip(), local.ip().to_canonical());
    if binding.port() != local.port() || bound.is_ipv4() != address.is_ipv4() {
        return None;
    }
    if bound == address { Some(0) } else { bound.is_unspecified().then_some(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{ObjectName, ServerName};
    use topology::{Guid, RemoteRange, TransportRole};

    fn connector(name: &str, bindings: &[&str], ranges: &[&str]) -> ReceiveConnector {
        let (name, server) = (ObjectName::parse(name).unwrap(), ServerName::parse("MAIL1").unwrap());
        let mut connector = ReceiveConnector::new(Guid::ZERO, name, server, TransportRole::FrontendTransport);
        connector.bindings = bindings.iter().map(|binding| binding.parse().unwrap()).collect();
        connector.remote_ip_ranges = ranges.iter().map(|range| range.parse::<RemoteRange>().unwrap()).collect();
        connector
    }

    fn selected<'a>(connectors: &'a [ReceiveConnector], local: &str, client: &str) -> Option<&'a str> {
        let local = LocalEndpoint::At(local.parse().unwrap());
        select(connectors, local, client.parse().unwrap()).map(|connector| connector.name.as_str())
    }

    #[test]
    fn the_most_specific_range_wins() {
        // RC-30, RC-31, PL-37
        let all = [
            connector("Default", &["0.0.0.0:25"], &["0.0.0.0-255.255.255.255"]),
            connector("A", &["0.0.0.0:25"], &["192.168.1.0-192.168.1.255"]),
            connector("B", &["0.0.0.0:25"], &["192.168.1.75"]),
        ];
        for (client, expected) in
            [("192.168.1.75", "B"), ("::ffff:192.168.1.75", "B"), ("192.168.1.100", "A"), ("10.0.0.1", "Default")]
        {
            assert_eq!(selected(&all, "10.1.1.1:25", client), Some(expected), "{client}");
        }
        // RC-33
        assert_eq!(selected(&all, "10.1.1.1:587", "10.0.0.1"), None);
        assert_eq!(selected(&all, "[2001:db8::1]:25", "2001:db8::2"), None);
    }

    #[test]
    fn between_equal_ranges_the_very_address_wins_and_a_range_is_stronger_than_an_address() {
        // RC-30
        let all = [
            connector("All", &["0.0.0.0:25", "[::]:25"], &["0.0.0.0/0", "::/0"]),
            connector("Here", &["10.1.1.1:25"], &["0.0.0.0/0"]),
            connector("Printer", &["0.0.0.0:25"], &["10.0.0.9"]),
        ];
        for (local, client, expected) in [
            ("10.1.1.1:25", "10.0.0.1", "Here"),
            ("10.1.1.2:25", "10.0.0.1", "All"),
            ("10.1.1.1:25", "10.0.0.9", "Printer"),
            ("[2001:db8::1]:25", "2001:db8::2", "All"),
        ] {
            assert_eq!(selected(&all, local, client), Some(expected), "{local} {client}");
        }
    }

    #[test]
    fn an_address_of_the_settings_stands_for_a_port() {
        let all = [connector("Here", &["10.1.1.1:25"], &["0.0.0.0/0"])];
        let client = "127.0.0.1".parse().unwrap();
        assert!(select(&all, LocalEndpoint::InPlaceOf(25), client).is_some());
        assert!(select(&all, LocalEndpoint::InPlaceOf(587), client).is_none());
        // RC-19: port 465 of a connector begins in clear; TLS at once is for addresses of the settings.
        let at = "0.0.0.0:465".parse().unwrap();
        assert!(!Place::Configured(at).begins_with_tls() && Place::UnderTls(465, at).begins_with_tls());
    }
}
