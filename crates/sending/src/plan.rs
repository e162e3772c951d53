//! A Send connector's settings as a session plan. The same connector gives the same plan on every server, but for the
//! addresses that the server itself has (PL-29).

use std::sync::Arc;

use envelope::{Domain, EnhancedStatus};
use net::{Host, TargetPolicy, Verification};
use smtp::plan::{Authentication, CredentialRequirement};
use smtp::{Failure, FailurePhase, NextHop, Ourselves, SessionPlan, TlsPolicy};
use smtp_session::Credentials;
use topology::send_connector::{SmartHost, SmartHostAuthMechanism, TlsAuthLevel};
use topology::{DomainPattern, SendConnector, Server};

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
    /// `TLSSendDomainSecureList`.
    pub(crate) secured: &'a [Domain],
}

/// The session that a connector wants. `credential` is asked for, if the connector authenticates at all.
pub(crate) fn of(
    connector: &SendConnector,
    around: &Circumstances<'_>,
    credential: impl FnOnce() -> Result<Credentials, String>,
) -> Result<SessionPlan, Unready> {
    let next_hop = next_hop(connector, around.domain)?;
    let named = connector.fqdn.as_ref().unwrap_or(&around.source.fqdn);
    // Before it says what it offers, no host is known to understand U-labels.
    let hello_name = Domain::parse(named.ascii()).unwrap_or_else(|_| named.clone());
    Ok(SessionPlan {
        port: connector.port,
        force_helo: connector.force_helo,
        tls: tls_policy(connector, &next_hop, around.secured),
        authentication: authentication(connector, credential)?,
        inactivity_timeout: connector.connection_inactivity_timeout.0,
        source: connector.source_ip_address.filter(|address| around.by_source && !address.is_unspecified()),
        targets: around.targets.clone(),
        ourselves: Arc::clone(&around.ourselves),
        ..SessionPlan::new(next_hop, hello_name)
    })
}

fn next_hop(connector: &SendConnector, domain: Option<&Domain>) -> Result<NextHop, Unready> {
    match (connector.dns_routing_enabled, domain) {
        (true, Some(domain)) => Ok(NextHop::Mx(domain.clone())),
        (false, None) => Ok(NextHop::SmartHosts(connector.smart_hosts.iter().filter_map(host).collect())),
        // Decided by an earlier configuration: what it had meant for other hosts must not go to these.
        (true, None) | (false, Some(_)) => {
            let text =
                format!("{} has changed between DNS and smart hosts; the message is decided anew", connector.name);
            Err(Unready::new(text))
        }
    }
}

/// Nothing for servers of the organization: no session of SMTP leads there.
fn host(smart_host: &SmartHost) -> Option<Host> {
    match smart_host {
        SmartHost::Address(address) => Some(Host::Address(*address)),
        SmartHost::Name(name) => Some(Host::Name(name.clone())),
        SmartHost::SubscribedSite => None,
    }
}

fn tls_policy(connector: &SendConnector, next_hop: &NextHop, secured: &[Domain]) -> TlsPolicy {
    if connector.ignore_starttls {
        return TlsPolicy::Ignore;
    }
    if let Some(domain) = secured_domain(connector, next_hop, secured) {
        return TlsPolicy::Require(Verification::Mutual(domain.clone()));
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

/// The domain with which the session is secured both ways (TA-40, TA-43); none where it is not, which is no less than others
/// get (TA-44). Through a front end it never is (TA-47, SC-53).
fn secured_domain<'a>(connector: &SendConnector, next_hop: &'a NextHop, secured: &[Domain]) -> Option<&'a Domain> {
    match next_hop {
        NextHop::Mx(domain) => is_secured(connector, domain, secured).then_some(domain),
        NextHop::SmartHosts(_) | NextHop::Addresses(_) => None,
    }
}

/// Whether a connector's sessions with the exchangers of `domain` are secured both ways, given `TLSSendDomainSecureList`: then
/// the queue's `TlsDomain` is that domain (TA-46).
#[must_use]
pub fn is_secured(connector: &SendConnector, domain: &Domain, secured: &[Domain]) -> bool {
    let wanted = connector.domain_secure_enabled && connector.dns_routing_enabled && !connector.ignore_starttls;
    wanted && !connector.frontend_proxy_enabled && secured.contains(domain)
}

fn authentication(
    connector: &SendConnector,
    credential: impl FnOnce() -> Result<Credentials, String>,
) -> Result<Option<Authentication>, Unready> {
    if by_kerberos(connector) {
        return Ok(Some(Authentication::ExchangeServer));
    }
    let Some(requirement) = requirement(connector)? else { return Ok(None) };
    let credentials = credential()
        .map_err(|error| Unready::new(format!("the credential of {} cannot be used: {error}", connector.name)))?;
    Ok(Some(Authentication::Password { credentials, requirement }))
}

/// Whether a session logs on by Kerberos (TA-60), with the keytab of the server that opens it.
pub(crate) fn by_kerberos(connector: &SendConnector) -> bool {
    // V-10, TA-26: hosts that DNS chose are not logged on to.
    !connector.dns_routing_enabled && connector.smart_host_auth_mechanism == SmartHostAuthMechanism::ExchangeServer
}

/// Under which circumstances a session gives a password away; never, where the connector has none to give.
pub(crate) fn requirement(connector: &SendConnector) -> Result<Option<CredentialRequirement>, Unready> {
    // V-10, TA-26: hosts that DNS chose never see credentials.
    if connector.dns_routing_enabled {
        return Ok(None);
    }
    let requirement = match connector.smart_host_auth_mechanism {
        SmartHostAuthMechanism::None
        | SmartHostAuthMechanism::ExternalAuthoritative
        | SmartHostAuthMechanism::ExchangeServer => return Ok(None),
        SmartHostAuthMechanism::BasicAuth => CredentialRequirement::AnyConnection,
        SmartHostAuthMechanism::BasicAuthRequireTLS => CredentialRequirement::ValidatedTls,
    };
    if connector.authentication_credential.is_none() {
        return Err(Unready::new(format!("{} authenticates and has no credential", connector.name)));
    }
    Ok(Some(requirement))
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
        permissions: _,
        connector_type: _,
        require_oorg: _,
        error_policies: _,
        upgraded_replies: _,
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

#[cfg(test)]
mod tests {
    use envelope::ObjectName;
    use topology::Guid;
    use topology::send_connector::{SealedCredential, Usage};

    use super::*;

    fn connector() -> SendConnector {
        SendConnector::new(Guid::ZERO, ObjectName::parse("Out").unwrap(), Usage::Custom, Vec::new(), Vec::new())
    }

    #[test]
    fn each_domain_is_validated_by_its_own_name_where_the_connector_names_none() {
        // TA-8, TA-11
        let mut connector = connector();
        (connector.require_tls, connector.tls_auth_level) = (true, Some(TlsAuthLevel::DomainValidation));
        for name in ["fabrikam.com", "contoso.com"] {
            let domain = Domain::parse(name).unwrap();
            let by_domain = TlsPolicy::Require(Verification::Domain(domain.clone()));
            assert_eq!(tls_policy(&connector, &NextHop::Mx(domain), &[]), by_domain);
        }
        connector.tls_domain = Some("*.fabrikam.com".parse().unwrap());
        let below = TlsPolicy::Require(Verification::Subdomains("fabrikam.com".parse().unwrap()));
        assert_eq!(tls_policy(&connector, &NextHop::Mx("contoso.com".parse().unwrap()), &[]), below);
    }

    #[test]
    fn passwords_are_for_smart_hosts_of_connectors_that_log_on() {
        // TA-24, TA-25, TA-26, V-10
        use SmartHostAuthMechanism::{
            BasicAuth, BasicAuthRequireTLS, ExchangeServer, ExternalAuthoritative, None as Open,
        };
        for (mechanism, given) in [
            (Open, None),
            (ExternalAuthoritative, None),
            (ExchangeServer, None),
            (BasicAuth, Some(CredentialRequirement::AnyConnection)),
            (BasicAuthRequireTLS, Some(CredentialRequirement::ValidatedTls)),
        ] {
            let mut connector = connector();
            connector.smart_host_auth_mechanism = mechanism;
            connector.authentication_credential = Some(SealedCredential("v1:x".into()));
            connector.dns_routing_enabled = false;
            assert_eq!(requirement(&connector), Ok(given), "{mechanism:?}");
            connector.dns_routing_enabled = true;
            assert_eq!(requirement(&connector), Ok(None), "{mechanism:?}: hosts that DNS chose");
            assert!(!by_kerberos(&connector), "{mechanism:?}");
        }
    }
}
