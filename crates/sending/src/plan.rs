//! A Send connector's settings as a session plan. The same connector gives the same plan on every server, but for the
//! addresses that the server itself has (PL-29).

use std::sync::Arc;

use envelope::{Domain, EnhancedStatus};
use net::{Host, TargetPolicy, Verification};
use smtp::plan::{Authentication, CredentialRequirement};
use smtp::{Failure, FailurePhase, NextHop, Ourselves, SessionPlan, TlsPolicy};
use smtp_session::{Credentials, Secret};
use topology::send_connector::{SmartHost, SmartHostAuthMechanism, TlsAuthLevel};
use topology::{DomainPattern, SealedCredential, SendConnector, Server};

/// Why a connector cannot be used as it is: a sentence for `LastError`. Waiting may mend it, sending otherwise would not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unready(Box<str>);

impl Unready {
    pub(crate) fn new(why: impl Into<Box<str>>) -> Self {
        Self(why.into())
    }

    /// As the failure of a session: transient, since a configuration can be mended (`4.3.5`, RFC 3463 §3.4).
    #[must_use]
    pub fn into_failure(self) -> Box<Failure> {
        Box::new(Failure::new(EnhancedStatus::new(4, 3, 5), FailurePhase::Configuration, None, self.0))
    }
}

/// What a plan needs beside the connector.
pub(crate) struct Circumstances<'a> {
    /// The source server: whoever holds the message, not a front end that sends for it (TA-7).
    pub(crate) source: &'a Server,
    /// The domain whose exchangers are asked; `None` with smart hosts.
    pub(crate) domain: Option<&'a Domain>,
    /// Whether the session is opened by the source server itself, from addresses of its own.
    pub(crate) by_source: bool,
    /// Which addresses DNS may lead to.
    pub(crate) targets: TargetPolicy,
    /// Whom DNS must not lead to.
    pub(crate) ourselves: Arc<Ourselves>,
}

/// The session that a connector wants. `unseal` opens its credential, if the connector authenticates at all.
pub(crate) fn of(
    connector: &SendConnector,
    around: &Circumstances<'_>,
    unseal: impl FnOnce(&SealedCredential) -> Result<Credentials, String>,
) -> Result<SessionPlan, Unready> {
    let next_hop = next_hop(connector, around.domain)?;
    if connector.domain_secure_enabled && !connector.frontend_proxy_enabled {
        // TA-43 asks for mutual TLS with the domains of a list that this program does not have.
        return Err(Unready::new(format!(
            "{}: Domain Security (domainSecureEnabled) is not there yet; use requireTLS with tlsAuthLevel: \
             DomainValidation",
            connector.name
        )));
    }
    let hello_name = connector.fqdn.clone().unwrap_or_else(|| around.source.fqdn.clone());
    Ok(SessionPlan {
        port: connector.port,
        force_helo: connector.force_helo,
        tls: tls_policy(connector, &next_hop),
        authentication: authentication(connector, unseal)?,
        inactivity_timeout: connector.connection_inactivity_timeout.0,
        source: connector.source_ip_address.filter(|address| around.by_source && !address.is_unspecified()),
        targets: around.targets,
        ourselves: Arc::clone(&around.ourselves),
        ..SessionPlan::new(next_hop, hello_name)
    })
}

fn next_hop(connector: &SendConnector, domain: Option<&Domain>) -> Result<NextHop, Unready> {
    match (connector.dns_routing_enabled, domain) {
        (true, Some(domain)) => Ok(NextHop::Mx(domain.clone())),
        (false, None) => Ok(NextHop::SmartHosts(connector.smart_hosts.iter().map(host).collect())),
        // Decided by an earlier configuration: what it had meant for other hosts must not go to these.
        (true, None) | (false, Some(_)) => {
            let text =
                format!("{} has changed between DNS and smart hosts; the message is decided anew", connector.name);
            Err(Unready::new(text))
        }
    }
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

fn authentication(
    connector: &SendConnector,
    unseal: impl FnOnce(&SealedCredential) -> Result<Credentials, String>,
) -> Result<Option<Authentication>, Unready> {
    // V-10, TA-26: hosts that DNS chose never see credentials.
    if connector.dns_routing_enabled {
        return Ok(None);
    }
    let requirement = match connector.smart_host_auth_mechanism {
        SmartHostAuthMechanism::None | SmartHostAuthMechanism::ExternalAuthoritative => return Ok(None),
        SmartHostAuthMechanism::BasicAuth => CredentialRequirement::AnyConnection,
        SmartHostAuthMechanism::BasicAuthRequireTLS => CredentialRequirement::ValidatedTls,
        // TA-60 ff.: going without would send as nobody what was to be sent as one of the organization.
        SmartHostAuthMechanism::ExchangeServer => {
            let text = format!(
                "{}: smartHostAuthMechanism ExchangeServer is not there yet; use BasicAuthRequireTLS, or None where the \
                 smart host knows this server by its address",
                connector.name
            );
            return Err(Unready::new(text));
        }
    };
    let Some(sealed) = &connector.authentication_credential else {
        return Err(Unready::new(format!("{} authenticates and has no credential", connector.name)));
    };
    let unsealed = unseal(sealed);
    let credentials = unsealed
        .map_err(|error| Unready::new(format!("the credential of {} cannot be used: {error}", connector.name)))?;
    Ok(Some(Authentication { credentials, requirement }))
}

/// What was sealed, for the session.
pub(crate) fn credentials(credential: &directory::Credential) -> Credentials {
    let secret = Secret::new(credential.password.as_bytes().to_vec());
    Credentials { user: credential.user.as_str().into(), secret }
}

/// Properties of a connector that say how a session is opened and that differ from their defaults. Whoever opens one for
/// another server must know them all: an older program would drop a newer property without a word.
///
/// Every property is named here, those of no concern to a session too, so that a new one is not forgotten.
#[must_use]
pub fn properties_in_use(connector: &SendConnector) -> Vec<&'static str> {
    let SendConnector {
        // Who and what for.
        guid: _,
        name: _,
        comment: _,
        enabled: _,
        usage: _,
        address_spaces: _,
        is_scoped_connector: _,
        source_transport_servers: _,
        frontend_proxy_enabled: _,
        max_message_size: _,
        // Transport's own: which header fields leave, what an answer means, how many messages.
        cloud_services_mail_enabled: _,
        connector_type: _,
        require_oorg: _,
        error_policies: _,
        smtp_max_messages_per_connection: _,
        protocol_logging_level: _,
        // Addresses of the source server (PL-29).
        source_ip_address: _,
        // The session.
        authentication_credential,
        connection_inactivity_timeout,
        dns_routing_enabled,
        domain_secure_enabled,
        force_helo,
        fqdn,
        ignore_starttls,
        port,
        require_tls,
        smart_host_auth_mechanism,
        smart_hosts,
        tls_auth_level,
        tls_certificate_name,
        tls_domain,
        use_external_dns_servers_enabled,
    } = connector;
    let used = [
        ("authenticationCredential", authentication_credential.is_some()),
        ("connectionInactivityTimeOut", *connection_inactivity_timeout != topology::send_connector::INACTIVITY_DEFAULT),
        ("dnsRoutingEnabled", !dns_routing_enabled),
        ("domainSecureEnabled", *domain_secure_enabled),
        ("forceHELO", *force_helo),
        ("fqdn", fqdn.is_some()),
        ("ignoreSTARTTLS", *ignore_starttls),
        ("port", *port != topology::send_connector::SMTP_PORT),
        ("requireTLS", *require_tls),
        ("smartHostAuthMechanism", *smart_host_auth_mechanism != SmartHostAuthMechanism::None),
        ("smartHosts", !smart_hosts.is_empty()),
        ("tlsAuthLevel", tls_auth_level.is_some()),
        ("tlsCertificateName", tls_certificate_name.is_some()),
        ("tlsDomain", tls_domain.is_some()),
        ("useExternalDNSServersEnabled", *use_external_dns_servers_enabled),
    ];
    used.into_iter().filter_map(|(name, used)| used.then_some(name)).collect()
}
