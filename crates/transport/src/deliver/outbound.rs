//! How this server reaches hosts outside: a Send connector's settings as a session plan, and the two resolvers (SC-37).

use std::sync::Arc;

use envelope::Domain;
use net::dns::DnsProtocol;
use net::{Host, Resolver, TargetPolicy, TlsClient, Verification};
use routing::{DeliveryType, Route};
use rpc::proxy::FrontEnds;
use runtime::{Node, NodeError};
use smtp::plan::{Authentication, CredentialRequirement};
use smtp::{NextHop, Sender, SessionPlan, TlsPolicy};
use smtp_session::{Credentials, Secret};
use topology::send_connector::{SmartHost, SmartHostAuthMechanism, TlsAuthLevel};
use topology::{DomainPattern, SendConnector, Server};

/// Opens sessions with hosts outside.
pub(crate) struct Outbound {
    internal: Sender,
    external: Sender,
    /// Sessions through front ends.
    pub(crate) front_ends: FrontEnds,
}

impl Outbound {
    /// Reads the server's DNS settings.
    pub(crate) fn new(node: &Node) -> Result<Self, NodeError> {
        let tables = node.tables();
        let settings = &tables.local_server().transport;
        let tls = TlsClient::new(reception::certificate::trusted_roots(node)?);
        let resolver = |servers: &[std::net::SocketAddr]| {
            let servers = if servers.is_empty() { &node.settings.dns } else { servers };
            let resolver =
                if servers.is_empty() { Resolver::system() } else { Resolver::with_servers(servers, DnsProtocol::Any) };
            resolver.map_err(|error| NodeError::Directory(format!("DNS: {error}")))
        };
        Ok(Self {
            internal: Sender::new(resolver(&settings.internal_dns_servers)?, tls.clone()),
            external: Sender::new(resolver(&settings.external_dns_servers)?, tls),
            front_ends: FrontEnds::new(Arc::clone(&node.credentials)),
        })
    }

    /// The sender that a connector's mail uses (SC-37).
    pub(crate) fn sender(&self, connector: &SendConnector) -> &Sender {
        if connector.use_external_dns_servers_enabled { &self.external } else { &self.internal }
    }
}

/// The session that a connector wants for a route.
///
/// # Errors
/// A text for `LastError` when the connector's secret cannot be used.
pub(crate) fn plan(
    node: &Node,
    connector: &SendConnector,
    route: &Route,
    server: &Server,
) -> Result<SessionPlan, String> {
    let domain = Domain::parse(&route.key.domain);
    let next_hop = match (route.key.delivery_type, domain) {
        (DeliveryType::DnsConnectorDelivery, Ok(domain)) => NextHop::Mx(domain),
        (DeliveryType::DnsConnectorDelivery, Err(error)) => return Err(error.to_string()),
        _ => NextHop::SmartHosts(connector.smart_hosts.iter().map(host).collect()),
    };
    let policy = tls_policy(connector, &next_hop);
    Ok(SessionPlan {
        port: connector.port,
        force_helo: connector.force_helo,
        tls: policy,
        authentication: authentication(node, connector)?,
        inactivity_timeout: connector.connection_inactivity_timeout.0,
        source: connector.source_ip_address.filter(|address| !address.is_unspecified()),
        targets: if node.settings.allow_private_targets { TargetPolicy::AllowAll } else { TargetPolicy::RefuseSpecial },
        ..SessionPlan::new(next_hop, connector.fqdn.clone().unwrap_or_else(|| server.fqdn.clone()))
    })
}

fn host(smart_host: &SmartHost) -> Host {
    match smart_host {
        SmartHost::Address(address) => Host::Address(*address),
        SmartHost::Name(name) => Host::Name(name.clone()),
    }
}

fn tls_policy(connector: &SendConnector, next_hop: &NextHop) -> TlsPolicy {
    if connector.ignore_starttls {
        return TlsPolicy::Ignore;
    }
    if !connector.require_tls {
        return TlsPolicy::Opportunistic;
    }
    TlsPolicy::Require(match (connector.tls_auth_level, &connector.tls_domain, next_hop) {
        (None | Some(TlsAuthLevel::EncryptionOnly), _, _) => Verification::None,
        (Some(TlsAuthLevel::CertificateValidation), _, _) => Verification::Chain,
        (Some(TlsAuthLevel::DomainValidation), Some(DomainPattern::Exact(domain)), _) => {
            Verification::Domain(domain.clone())
        }
        (Some(TlsAuthLevel::DomainValidation), Some(DomainPattern::Within(domain)), _) => {
            Verification::Subdomains(domain.clone())
        }
        // TA-11: an empty TlsDomain means the recipient's domain, which is the queue's.
        (Some(TlsAuthLevel::DomainValidation), _, NextHop::Mx(domain)) => Verification::Domain(domain.clone()),
        (Some(TlsAuthLevel::DomainValidation), _, _) => Verification::Chain,
    })
}

fn authentication(node: &Node, connector: &SendConnector) -> Result<Option<Authentication>, String> {
    let requirement = match connector.smart_host_auth_mechanism {
        SmartHostAuthMechanism::BasicAuth => CredentialRequirement::AnyConnection,
        SmartHostAuthMechanism::BasicAuthRequireTLS => CredentialRequirement::ValidatedTls,
        SmartHostAuthMechanism::None
        | SmartHostAuthMechanism::ExchangeServer
        | SmartHostAuthMechanism::ExternalAuthoritative => return Ok(None),
    };
    let Some(sealed) = &connector.authentication_credential else { return Ok(None) };
    let credential = node
        .sealer
        .unseal(sealed)
        .map_err(|error| format!("the credential of {} cannot be used: {error}", connector.name))?;
    let secret = Secret::new(credential.password.as_bytes().to_vec());
    Ok(Some(Authentication { credentials: Credentials { user: credential.user.into(), secret }, requirement }))
}
