//! Send connectors with every documented property (docs/rules.md, Send connectors).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use envelope::{ByteSize, Domain, Limit, ObjectName, ServerName, Span};

use crate::address_space::AddressSpace;
use crate::documented::documented_enum;
use crate::domain::DomainPattern;
use crate::guid::Guid;
use crate::permission::{ConnectorRight, Grantee, Permission, held, send_default};
use crate::transient_reply::TransientReply;

/// A host that takes a connector's mail (SC-41, SC-43).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SmartHost {
    /// Printed bracketed: `[10.1.1.1]`.
    Address(IpAddr),
    /// A host with MX or address records.
    Name(Domain),
    /// `--`: all Mailbox servers of the site to which the Edge server is subscribed, those that come later too (EN-21).
    SubscribedSite,
}

impl FromStr for SmartHost {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == SUBSCRIBED_SITE {
            return Ok(Self::SubscribedSite);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && !host.contains(':')
            && port.bytes().all(|octet| octet.is_ascii_digit())
        {
            return Err(format!(
                "{text:?}: a smart host has no port of its own; write {host:?}, and port: {port} of the connector"
            ));
        }
        Domain::parse(text)
            .map(Self::Name)
            .map_err(|error| format!("{text:?} is neither an IP address nor a host name: {error}"))
    }
}

impl fmt::Display for SmartHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "[{address}]"),
            Self::Name(name) => name.fmt(f),
            Self::SubscribedSite => f.write_str(SUBSCRIBED_SITE),
        }
    }
}

/// How [`SmartHost::SubscribedSite`] is written.
const SUBSCRIBED_SITE: &str = "--";

/// A credential as it is stored: sealed under the organization's key. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCredential(pub Box<str>);

impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedCredential(…)")
    }
}

documented_enum! {
    /// `Usage`: a label given at creation (SC-20, SC-21).
    Usage {
        /// The default.
        Custom = "Custom",
        /// Default size unlimited (SC-23).
        Internal = "Internal",
        /// To the internet.
        Internet = "Internet",
        /// To partners.
        Partner = "Partner",
    }
}

documented_enum! {
    /// `ConnectorType`.
    ConnectorType {
        /// Not used to send to Microsoft 365.
        Default = "Default",
        /// Used to send to Microsoft 365.
        XPremises = "XPremises",
    }
}

documented_enum! {
    /// `ProtocolLoggingLevel` (SC-119).
    ProtocolLoggingLevel {
        /// No protocol log.
        None = "None",
        /// Every command and reply.
        Verbose = "Verbose",
    }
}

documented_enum! {
    /// `SmartHostAuthMechanism` (docs/rules.md, Send connectors).
    SmartHostAuthMechanism {
        /// No authentication.
        None = "None",
        /// User name and password, in clear unless TLS happens to be on.
        BasicAuth = "BasicAuth",
        /// User name and password, only after STARTTLS with a verified certificate (TA-21).
        BasicAuthRequireTLS = "BasicAuthRequireTLS",
        /// GSSAPI.
        ExchangeServer = "ExchangeServer",
        /// Secured outside of SMTP.
        ExternalAuthoritative = "ExternalAuthoritative",
    }
}

documented_enum! {
    /// `TlsAuthLevel` (TA-8).
    TlsAuthLevel {
        /// Encrypt, check nothing.
        EncryptionOnly = "EncryptionOnly",
        /// Encrypt and check the chain.
        CertificateValidation = "CertificateValidation",
        /// Encrypt, check the chain and the name.
        DomainValidation = "DomainValidation",
    }
}

documented_enum! {
    /// One flag of `ErrorPolicies` (SC-112…SC-116).
    ErrorPolicy {
        /// Permanent errors are permanent.
        Default = "Default",
        /// Every DNS error is transient.
        DowngradeDnsFailures = "DowngradeDnsFailures",
        /// Permanent SMTP errors up to MAIL FROM are transient.
        DowngradeCustomFailures = "DowngradeCustomFailures",
        /// Listed transient errors are permanent.
        UpgradeCustomFailures = "UpgradeCustomFailures",
    }
}

/// A Send connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendConnector {
    /// Stable identity.
    pub guid: Guid,
    /// Unique among Send connectors.
    pub name: ObjectName,
    /// At least one.
    pub address_spaces: Vec<AddressSpace>,
    /// Required by Basic authentication (SC-96).
    pub authentication_credential: Option<SealedCredential>,
    /// Default false (SC-117).
    pub cloud_services_mail_enabled: bool,
    /// Free text.
    pub comment: String,
    /// An idle outbound connection is closed after; default 10 minutes, 1 second to 1 day (SC-89).
    pub connection_inactivity_timeout: Span,
    /// Default `Default`.
    pub connector_type: ConnectorType,
    /// Deliver by MX; default true. False needs `smart_hosts` (SC-35).
    pub dns_routing_enabled: bool,
    /// Mutual TLS with listed partners; default false (TA-40).
    pub domain_secure_enabled: bool,
    /// Disabled connectors are ignored by routing; default true.
    pub enabled: bool,
    /// Default: `Default` alone.
    pub error_policies: Vec<ErrorPolicy>,
    /// What `UpgradeCustomFailures` makes permanent; default nothing (SC-115).
    pub upgraded_replies: Vec<TransientReply>,
    /// Send HELO; default false.
    pub force_helo: bool,
    /// Name given in EHLO; default: that of the source server (TA-7).
    pub fqdn: Option<Domain>,
    /// Send through a front end of the local site; default false (SC-50).
    pub frontend_proxy_enabled: bool,
    /// Never issue STARTTLS; default false (TA-2).
    pub ignore_starttls: bool,
    /// Visible only in the sites of its source servers; default false (SC-80).
    pub is_scoped_connector: bool,
    /// Default 35 MB, for usage Internal unlimited (SC-23).
    pub max_message_size: Limit<ByteSize>,
    /// Rights that are given, denied and taken away, besides the documented ones (PF-10, PF-33).
    pub permissions: Vec<Permission>,
    /// Port at the next hop; default 25.
    pub port: u16,
    /// Default None.
    pub protocol_logging_level: ProtocolLoggingLevel,
    /// Reserved; stored, no effect.
    pub require_oorg: bool,
    /// Every message must go over TLS; default false (TA-3).
    pub require_tls: bool,
    /// Default None.
    pub smart_host_auth_mechanism: SmartHostAuthMechanism,
    /// Hosts that take the connector's mail instead of the MX hosts.
    pub smart_hosts: Vec<SmartHost>,
    /// Default 20; 0 is no limit (SC-90).
    pub smtp_max_messages_per_connection: u32,
    /// Local address of outbound connections; Edge only (V-17).
    pub source_ip_address: Option<IpAddr>,
    /// The connector's source servers, at least one (SC-83).
    pub source_transport_servers: Vec<ServerName>,
    /// Needs `require_tls` (SC-94).
    pub tls_auth_level: Option<TlsAuthLevel>,
    /// `<I>issuer<S>subject` of the client certificate (TA-32).
    pub tls_certificate_name: Option<String>,
    /// Name that the certificate must carry with `DomainValidation` (TA-10).
    pub tls_domain: Option<DomainPattern>,
    /// Label given at creation.
    pub usage: Usage,
    /// Use the server's external name servers; default false (SC-37).
    pub use_external_dns_servers_enabled: bool,
}

/// Default `MaxMessageSize` of connectors of every usage but Internal (SC-23).
pub const CONNECTOR_SIZE_DEFAULT: ByteSize = ByteSize::mib(35);
/// Default `SmtpMaxMessagesPerConnection` (SC-90).
pub const MESSAGES_PER_CONNECTION_DEFAULT: u32 = 20;
/// Default `ConnectionInactivityTimeOut` (SC-89).
pub const INACTIVITY_DEFAULT: Span = Span::minutes(10);
/// Default `Port`.
pub const SMTP_PORT: u16 = 25;

impl SendConnector {
    /// A connector with every property at its documented default.
    #[must_use]
    pub fn new(
        guid: Guid,
        name: ObjectName,
        usage: Usage,
        spaces: Vec<AddressSpace>,
        sources: Vec<ServerName>,
    ) -> Self {
        let max_message_size =
            if usage == Usage::Internal { Limit::Unlimited } else { Limit::At(CONNECTOR_SIZE_DEFAULT) };
        Self {
            guid,
            name,
            address_spaces: spaces,
            authentication_credential: None,
            cloud_services_mail_enabled: false,
            comment: String::new(),
            connection_inactivity_timeout: INACTIVITY_DEFAULT,
            connector_type: ConnectorType::Default,
            dns_routing_enabled: true,
            domain_secure_enabled: false,
            enabled: true,
            error_policies: vec![ErrorPolicy::Default],
            upgraded_replies: Vec::new(),
            force_helo: false,
            fqdn: None,
            frontend_proxy_enabled: false,
            ignore_starttls: false,
            is_scoped_connector: false,
            max_message_size,
            permissions: Vec::new(),
            port: SMTP_PORT,
            protocol_logging_level: ProtocolLoggingLevel::None,
            require_oorg: false,
            require_tls: false,
            smart_host_auth_mechanism: SmartHostAuthMechanism::None,
            smart_hosts: Vec::new(),
            smtp_max_messages_per_connection: MESSAGES_PER_CONNECTION_DEFAULT,
            source_ip_address: None,
            source_transport_servers: sources,
            tls_auth_level: None,
            tls_certificate_name: None,
            tls_domain: None,
            usage,
            use_external_dns_servers_enabled: false,
        }
    }

    /// Whether these hold a right of the connector.
    #[must_use]
    pub fn gives(&self, grantees: &[Grantee], right: ConnectorRight) -> bool {
        held(&self.permissions, grantees, right, |grantee| send_default(grantee, right))
    }

    /// Whom the other end of its sessions is taken for (PF-6).
    #[must_use]
    pub fn other_end(&self) -> &'static [Grantee] {
        match self.smart_host_auth_mechanism {
            SmartHostAuthMechanism::ExternalAuthoritative => &[Grantee::ExternallySecuredServers],
            // Nothing goes before both sides have proved who they are.
            SmartHostAuthMechanism::ExchangeServer => &[Grantee::ExchangeServers, Grantee::HubTransportServers],
            _ => &[Grantee::Anonymous],
        }
    }

    /// The smart hosts as a queue is named after them: `[172.17.17.7],relay.tailspintoys.com` (SC-43).
    #[must_use]
    pub fn smart_host_list(&self) -> String {
        self.smart_hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn smart_hosts_are_addresses_or_names() {
        // SC-41, SC-43
        for (text, printed) in [
            ("10.1.1.1", "[10.1.1.1]"),
            ("[10.1.1.1]", "[10.1.1.1]"),
            ("2001:DB8::1", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("Relay.Tailspintoys.com", "relay.tailspintoys.com"),
            ("relais.müller.example", "relais.müller.example"),
            ("--", "--"), // EN-21
        ] {
            assert_eq!(text.parse::<SmartHost>().unwrap().to_string(), printed);
        }
        for wrong in
            ["", "*", "*.contoso.com", "[relay.contoso.com]", "a b", "relay:587", "10.1.1.1:25", "contoso.com."]
        {
            assert!(wrong.parse::<SmartHost>().is_err(), "{wrong}"); // SC-44
        }
    }

    #[test]
    fn enumerations_are_spelled_as_documented_in_any_case() {
        // SC-144
        assert_eq!("basicauthrequiretls".parse(), Ok(SmartHostAuthMechanism::BasicAuthRequireTLS));
        assert_eq!("DOMAINVALIDATION".parse(), Ok(TlsAuthLevel::DomainValidation));
        assert_eq!("downgradeDNSfailures".parse(), Ok(ErrorPolicy::DowngradeDnsFailures)); // SC-113, SC-116
        assert!("Basic Auth".parse::<SmartHostAuthMechanism>().unwrap_err().contains("ExternalAuthoritative"));
        assert!("".parse::<Usage>().is_err());
    }

    #[test]
    fn a_new_connector_has_the_documented_defaults() {
        // New-SendConnector, SC-20, SC-23, SC-25, SC-89, SC-90
        let new = |usage| {
            let name = ObjectName::parse("C").unwrap();
            SendConnector::new(Guid::ZERO, name, usage, Vec::new(), Vec::new())
        };
        for usage in [Usage::Custom, Usage::Internet, Usage::Partner] {
            assert_eq!(new(usage).max_message_size, Limit::At(ByteSize::bytes(36_700_160)));
        }
        assert_eq!(new(Usage::Internal).max_message_size, Limit::Unlimited);
        let connector = new(Usage::Custom);
        assert_eq!((connector.port, connector.smtp_max_messages_per_connection), (25, 20));
        assert_eq!(connector.connection_inactivity_timeout, "00:10:00".parse().unwrap());
        assert!(
            connector.dns_routing_enabled && connector.enabled && !connector.require_tls && !connector.ignore_starttls
        );
        assert!(!connector.frontend_proxy_enabled && !connector.is_scoped_connector && !connector.force_helo);
        assert!(!connector.domain_secure_enabled && !connector.cloud_services_mail_enabled && connector.fqdn.is_none());
        assert_eq!(connector.error_policies, [ErrorPolicy::Default]);
        assert_eq!((connector.tls_auth_level, connector.connector_type), (None, ConnectorType::Default));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(text in "\\[?([0-9.:a-f]{1,16}|[a-zȺİüß\u{308}.-]{1,16})\\]?") {
            if let Ok(host) = text.parse::<SmartHost>() {
                prop_assert_eq!(host.to_string().parse(), Ok(host));
            }
        }
    }
}
