//! Receive connectors: how one server listens (docs/rules.md, Receive connectors).

mod capability;
pub mod defaults;
pub mod rights;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use envelope::{ByteSize, Domain, Limit, ObjectName, ServerName, Span};

pub use capability::TlsDomainCapability;

use crate::documented::documented_enum;
use crate::guid::Guid;
use crate::permission::Permission;
use crate::send_connector::ProtocolLoggingLevel;

documented_enum! {
    /// The service of a Mailbox server that listens (RC-5).
    TransportRole {
        /// Front End Transport.
        FrontendTransport = "FrontendTransport",
        /// Served by Transport itself, for servers and applications.
        HubTransport = "HubTransport",
    }
}

documented_enum! {
    /// One value of `AuthMechanism` (docs/rules.md, Receive connectors).
    AuthMechanism {
        /// Nothing; alone only.
        None = "None",
        /// Advertise STARTTLS.
        Tls = "Tls",
        /// NTLM and Kerberos.
        Integrated = "Integrated",
        /// User name and password.
        BasicAuth = "BasicAuth",
        /// User name and password only after STARTTLS.
        BasicAuthRequireTLS = "BasicAuthRequireTLS",
        /// GSSAPI between servers.
        ExchangeServer = "ExchangeServer",
        /// Secured outside of SMTP: every session is trusted.
        ExternalAuthoritative = "ExternalAuthoritative",
    }
}

documented_enum! {
    /// One value of `PermissionGroups` (PL-41).
    PermissionGroup {
        /// Nobody.
        None = "None",
        /// May submit to accepted domains.
        AnonymousUsers = "AnonymousUsers",
        /// Authenticated mailbox users: may submit to anyone.
        ExchangeUsers = "ExchangeUsers",
        /// Servers of the organization, and externally secured ones.
        ExchangeServers = "ExchangeServers",
        /// Servers of Exchange 2003 and before.
        ExchangeLegacyServers = "ExchangeLegacyServers",
        /// Partners with mutual TLS.
        Partners = "Partners",
        /// Says that there are permissions besides those of groups (PF-37); gives nothing.
        Custom = "Custom",
    }
}

documented_enum! {
    /// What `MessageRateLimit` counts by (LM-21).
    MessageRateSource {
        /// Nothing.
        None = "None",
        /// The client's address.
        IPAddress = "IPAddress",
        /// The authenticated user, or the sender of the envelope.
        User = "User",
        /// Both.
        All = "All",
    }
}

documented_enum! {
    /// A right that a permission group gives and a connector may take away (New-ReceiveConnector; deny wins, PF-4).
    ReceiveRight {
        /// Senders in the organization's authoritative domains (RC-53).
        AcceptAuthoritativeDomainSender = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender",
        /// Senders of any domain (RC-52).
        AcceptAnySender = "ms-Exch-SMTP-Accept-Any-Sender",
    }
}

/// Addresses from `first` to `last`, of one family (RC-28).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RemoteRange {
    first: IpAddr,
    last: IpAddr,
}

impl RemoteRange {
    /// Every IPv4 address.
    pub const ALL_V4: Self = Self { first: IpAddr::V4(Ipv4Addr::UNSPECIFIED), last: IpAddr::V4(Ipv4Addr::BROADCAST) };
    /// Every IPv6 address.
    pub const ALL_V6: Self =
        Self { first: IpAddr::V6(Ipv6Addr::UNSPECIFIED), last: IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)) };

    /// From the first address to the last.
    #[must_use]
    pub fn bounds(&self) -> RangeInclusive<IpAddr> {
        self.first..=self.last
    }

    /// Whether `address` lies in the range. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether every address of `other` lies in this range (RC-29).
    #[must_use]
    pub fn contains_range(&self, other: &Self) -> bool {
        self.contains(other.first) && self.contains(other.last)
    }

    /// Whether both ranges share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    /// Number of addresses less one: the smaller, the more specific (RC-30).
    #[must_use]
    pub fn span(&self) -> u128 {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => u128::from(last.to_bits() - first.to_bits()),
            (IpAddr::V6(first), IpAddr::V6(last)) => last.to_bits() - first.to_bits(),
            _ => unreachable!("a range is of one family"),
        }
    }
}

impl FromStr for RemoteRange {
    type Err = String;

    /// `192.168.1.1`, `192.168.1.0-192.168.1.255`, `192.168.1.1/24` (host bits are masked off).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("{text:?} is no address range: write an address, first-last, or address/prefix");
        let parse = |part: &str| part.trim().parse::<IpAddr>().map_err(|_| error());
        let (first, last) = match (text.split_once('/'), text.split_once('-')) {
            (Some((address, prefix)), _) => {
                masked(parse(address)?, prefix.parse().map_err(|_| error())?).ok_or_else(error)?
            }
            (None, Some((first, last))) => (parse(first)?, parse(last)?),
            (None, None) => (parse(text)?, parse(text)?),
        };
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(error());
        }
        Ok(Self { first, last })
    }
}

fn masked(address: IpAddr, prefix: u32) -> Option<(IpAddr, IpAddr)> {
    match address {
        IpAddr::V4(v4) if prefix <= 32 => {
            let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let network = v4.to_bits() & !host;
            Some((Ipv4Addr::from_bits(network).into(), Ipv4Addr::from_bits(network | host).into()))
        }
        IpAddr::V6(v6) if prefix <= 128 => {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            let network = v6.to_bits() & !host;
            Some((Ipv6Addr::from_bits(network).into(), Ipv6Addr::from_bits(network | host).into()))
        }
        _ => None,
    }
}

impl fmt::Display for RemoteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl fmt::Debug for RemoteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A Receive connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveConnector {
    /// Stable identity.
    pub guid: Guid,
    /// Unique on its server.
    pub name: ObjectName,
    /// The server that listens (RC-1).
    pub server: ServerName,
    /// The service that listens.
    pub transport_role: TransportRole,
    /// Local endpoints.
    pub bindings: Vec<SocketAddr>,
    /// Clients served.
    pub remote_ip_ranges: Vec<RemoteRange>,
    /// Offered mechanisms.
    pub auth_mechanism: Vec<AuthMechanism>,
    /// Who may submit.
    pub permission_groups: Vec<PermissionGroup>,
    /// Rights of those groups that clients of this connector do not have.
    pub denied_rights: Vec<ReceiveRight>,
    /// Rights that are given and denied besides (PF-36).
    pub permissions: Vec<Permission>,
    /// Default true.
    pub enabled: bool,
    /// Name in the banner and the EHLO reply; default the server's.
    pub fqdn: Option<Domain>,
    /// Custom `220 …`; default the documented one.
    pub banner: Option<String>,
    /// Free text.
    pub comment: String,
    /// MAIL only after STARTTLS; default false.
    pub require_tls: bool,
    /// Mutual TLS with the domains of the secure list (TA-41); default false, true on `Default Frontend <server>` (ER-07).
    pub domain_secure_enabled: bool,
    /// Who is the other half of a hybrid organization (PF-45); default nobody.
    pub tls_domain_capabilities: Vec<TlsDomainCapability>,
    /// `<I>issuer<S>subject` of the certificate shown at STARTTLS; default: the one that is for its name (TA-30, TA-32).
    pub tls_certificate_name: Option<String>,
    /// Default 36 MB, 64 KB to 2 GB.
    pub max_message_size: ByteSize,
    /// Default 256 KB.
    pub max_header_size: ByteSize,
    /// Default 200; 5000 on `Default <server>` (RC-50).
    pub max_recipients_per_message: u32,
    /// Default 30, 1 to 500 (RT-74).
    pub max_hop_count: u32,
    /// Default 8, 0 to 50, 0 is off (RT-74).
    pub max_local_hop_count: u32,
    /// Default 5000.
    pub max_inbound_connection: Limit<u32>,
    /// Default 20; unlimited on `Default <server>`.
    pub max_inbound_connection_per_source: Limit<u32>,
    /// Default 2; 100 on `Default <server>` (LM-19).
    pub max_inbound_connection_percentage_per_source: u32,
    /// Default 5.
    pub max_protocol_errors: Limit<u32>,
    /// Default 3, 0 never closes.
    pub max_logon_failures: u32,
    /// Default 5 minutes (New-ReceiveConnector).
    pub connection_inactivity_timeout: Span,
    /// Default 10 minutes: the whole session, even while transferring.
    pub connection_timeout: Span,
    /// Default 5 seconds: delay after a failed AUTH, 0 is off.
    pub auth_tarpit_interval: Span,
    /// Default 5 seconds: delay of refusals when a client looks as if it was guessing, 0 is off (LM-25).
    pub tarpit_interval: Span,
    /// Messages per minute and source.
    pub message_rate_limit: Limit<u32>,
    /// What a source is.
    pub message_rate_source: MessageRateSource,
    /// Whether senders who are not authenticated are told of success, relaying and expansion; default false: they may have
    /// forged whom we would tell.
    pub notify_anonymous_of_success: bool,
    /// Whether X.400 addresses up to 1860 octets are taken, `XLONGADDR` (EN-73, LM-15); default false.
    pub long_addresses_enabled: bool,
    /// Default None; Verbose on `Default Frontend <server>`.
    pub protocol_logging_level: ProtocolLoggingLevel,
}

impl ReceiveConnector {
    /// A connector with every limit at its documented default and no endpoint, mechanism or permission.
    #[must_use]
    pub fn new(guid: Guid, name: ObjectName, server: ServerName, transport_role: TransportRole) -> Self {
        Self {
            guid,
            name,
            server,
            transport_role,
            bindings: Vec::new(),
            remote_ip_ranges: vec![RemoteRange::ALL_V6, RemoteRange::ALL_V4],
            auth_mechanism: vec![AuthMechanism::Tls],
            permission_groups: Vec::new(),
            denied_rights: Vec::new(),
            permissions: Vec::new(),
            enabled: true,
            fqdn: None,
            banner: None,
            comment: String::new(),
            require_tls: false,
            domain_secure_enabled: false,
            tls_domain_capabilities: Vec::new(),
            tls_certificate_name: None,
            max_message_size: ByteSize::mib(36),
            max_header_size: ByteSize::kib(256),
            max_recipients_per_message: 200,
            max_hop_count: 30,
            max_local_hop_count: 8,
            max_inbound_connection: Limit::At(5000),
            max_inbound_connection_per_source: Limit::At(20),
            max_inbound_connection_percentage_per_source: 2,
            max_protocol_errors: Limit::At(5),
            max_logon_failures: 3,
            connection_inactivity_timeout: Span::minutes(5),
            connection_timeout: Span::minutes(10),
            auth_tarpit_interval: Span::seconds(5),
            tarpit_interval: Span::seconds(5),
            message_rate_limit: Limit::Unlimited,
            message_rate_source: MessageRateSource::IPAddress,
            notify_anonymous_of_success: false,
            long_addresses_enabled: false,
            protocol_logging_level: ProtocolLoggingLevel::None,
        }
    }

    /// The identity of the connector of that name on that server when it was given none.
    #[must_use]
    pub fn derived_guid(server: &ServerName, name: &ObjectName) -> Guid {
        Guid::derived("receiveConnector", &format!("{server}\\{name}"))
    }

    /// Whether `mechanism` is offered.
    #[must_use]
    pub fn offers(&self, mechanism: AuthMechanism) -> bool {
        self.auth_mechanism.contains(&mechanism)
    }

    /// Whether `group` may submit.
    #[must_use]
    pub fn permits(&self, group: PermissionGroup) -> bool {
        self.permission_groups.contains(&group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_parse_and_contain_as_documented() {
        // RC-28, RC-31
        let range = |text: &str| text.parse::<RemoteRange>().unwrap();
        for (text, inside, outside) in [
            ("192.168.1.1/24", "192.168.1.255", "192.168.2.0"),
            ("192.168.1.0-192.168.1.9", "192.168.1.9", "192.168.1.10"),
            ("2001:0DB8::CD3/60", "2001:db8::1", "2001:db8:0:10::1"),
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
        ] {
            assert!(range(text).contains(inside.parse().unwrap()), "{text}");
            assert!(!range(text).contains(outside.parse().unwrap()), "{text}");
        }
        assert!(
            RemoteRange::ALL_V4.contains_range(&range("10.0.0.0/8"))
                && !RemoteRange::ALL_V6.overlaps(&range("10.0.0.0/8"))
        );
        assert!(range("192.168.1.75").span() < range("192.168.1.0/24").span());
        for wrong in ["", "1.2.3", "1.2.3.4/33", "1.2.3.9-1.2.3.4", "1.2.3.4-::1"] {
            assert!(wrong.parse::<RemoteRange>().is_err(), "{wrong}");
        }
    }
}
