//! Cross-parameter rules of Send connectors (docs/rules.md, Send connectors) and Receive connectors (RC-29, RC-45).

use std::collections::{HashMap, HashSet};

use envelope::{Limit, ServerName, Span};

use super::{Known, Problems};
use crate::address_space::Space;
use crate::draft::OrganizationDraft;
use crate::permission::{ConnectorRight, Grantee, PermissionKind};
use crate::receive_connector::{
    AuthMechanism, PermissionGroup, ReceiveConnector, RemoteRange, TransportRole, defaults,
};
use crate::send_connector::{ErrorPolicy, SendConnector, SmartHost, SmartHostAuthMechanism, TlsAuthLevel};
use crate::server::ServerRole;

/// Longest inactivity timeout (docs/rules.md, Send connectors).
const INACTIVITY_MAX: Span = Span::minutes(24 * 60);
/// Largest number of octets that a connector's size limit can state (docs/rules.md, Send connectors).
const CONNECTOR_SIZE_MAX: u64 = 2_147_483_647;

/// Checks one Send connector.
pub(super) fn send(known: &Known<'_>, connector: &SendConnector, problems: &mut Problems) {
    let place = format!("sendConnectors[\"{}\"]", connector.name);
    let mut error = |property: &str, text: &str| problems.error(format!("{place}.{property}"), text);
    spaces(known, connector, &mut error);
    next_hops(known, connector, &mut error);
    tls(connector, &mut error);
    sources(known, connector, &mut error);
    ranges(connector, &mut error);
    for permission in connector.permissions.iter().filter(|one| !one.right.is_of_sending()) {
        error("permissions", &format!("{} is a right of Receive connectors", permission.right)); // PF-69
    }
    if connector.smart_host_auth_mechanism != SmartHostAuthMechanism::None && connector.dns_routing_enabled {
        let text = "authentication is for smart hosts; sessions to MX hosts never authenticate"; // V-10
        problems.warning(format!("{place}.smartHostAuthMechanism"), text);
    }
    let upgrades = connector.error_policies.contains(&ErrorPolicy::UpgradeCustomFailures);
    if upgrades && connector.upgraded_replies.is_empty() {
        let text = "UpgradeCustomFailures does nothing without upgradedReplies, such as 4.2.2"; // SC-115
        problems.warning(format!("{place}.errorPolicies"), text);
    }
    if connector.frontend_proxy_enabled && connector.domain_secure_enabled {
        let text = "Domain Security is not supported through the front-end proxy; mutual TLS will not be attempted"; // SC-53
        problems.warning(format!("{place}.domainSecureEnabled"), text);
    }
}

fn is_edge(known: &Known<'_>, connector: &SendConnector) -> bool {
    connector.source_transport_servers.first().and_then(|name| known.role(name)) == Some(ServerRole::Edge)
}

fn spaces(known: &Known<'_>, connector: &SendConnector, error: &mut impl FnMut(&str, &str)) {
    if connector.address_spaces.is_empty() {
        error("addressSpaces", "a Send connector needs at least one address space, such as \"*\"");
    }
    let edge = is_edge(known, connector);
    let mut seen = HashSet::new();
    for space in &connector.address_spaces {
        if !seen.insert(space.coverage()) {
            error("addressSpaces", &format!("{space} is there more than once, whatever its cost")); // SC-65
        }
        match &space.space {
            Space::AcceptedDomains if !edge => error("addressSpaces", "\"--\" is for Edge servers only"), // V-7
            Space::Other { .. } if edge => {
                error("addressSpaces", "an Edge server's connector takes SMTP address spaces only")
            } // V-6
            Space::Other { .. } if connector.dns_routing_enabled || connector.smart_hosts.is_empty() => {
                error("addressSpaces", "a non-SMTP address space needs smartHosts and dnsRoutingEnabled: false"); // V-5
            }
            Space::AcceptedDomains | Space::Other { .. } | Space::Smtp(_) => {}
        }
    }
}

fn next_hops(known: &Known<'_>, connector: &SendConnector, error: &mut impl FnMut(&str, &str)) {
    let mechanism = connector.smart_host_auth_mechanism;
    let basic = matches!(mechanism, SmartHostAuthMechanism::BasicAuth | SmartHostAuthMechanism::BasicAuthRequireTLS);
    if connector.dns_routing_enabled && !connector.smart_hosts.is_empty() {
        error("dnsRoutingEnabled", "set it to false to use smartHosts, or remove the smart hosts"); // V-2
    }
    if !connector.dns_routing_enabled && connector.smart_hosts.is_empty() {
        error("smartHosts", "dnsRoutingEnabled: false needs at least one smart host"); // V-3
    }
    if connector.smart_hosts.contains(&SmartHost::SubscribedSite) {
        let alone = connector.smart_hosts.len() == 1;
        if !is_edge(known, connector) || !alone || basic {
            error("smartHosts", "\"--\" stands alone, without a password, on a connector of Edge servers"); // EN-21, EN-23
        }
    }
    if basic && connector.authentication_credential.is_none() {
        error("authenticationCredential", "Basic authentication needs a user name and a password"); // V-9
    }
    if mechanism == SmartHostAuthMechanism::BasicAuthRequireTLS && connector.ignore_starttls {
        error("ignoreSTARTTLS", "BasicAuthRequireTLS needs STARTTLS"); // V-16
    }
    if connector.force_helo && (connector.require_tls || basic || mechanism == SmartHostAuthMechanism::ExchangeServer) {
        error("forceHELO", "HELO offers no extensions, hence neither TLS nor authentication"); // TA-4
    }
}

fn tls(connector: &SendConnector, error: &mut impl FnMut(&str, &str)) {
    if connector.require_tls && connector.ignore_starttls {
        error("ignoreSTARTTLS", "requireTLS and ignoreSTARTTLS exclude each other"); // V-11
    }
    match (connector.tls_auth_level, connector.require_tls, connector.ignore_starttls) {
        (Some(_), _, true) => {
            error("tlsAuthLevel", "it needs ignoreSTARTTLS: false: without STARTTLS there is no certificate")
        } // V-12
        (Some(_), false, false) => error("tlsAuthLevel", "it needs requireTLS: true"), // V-12
        _ => {}
    }
    let by_domain = connector.tls_auth_level == Some(TlsAuthLevel::DomainValidation);
    if by_domain && !connector.dns_routing_enabled && connector.tls_domain.is_none() {
        error("tlsDomain", "DomainValidation with smart hosts needs the name to validate"); // V-13
    }
    if connector.tls_domain.is_some() && !by_domain {
        error("tlsDomain", "it is used only with tlsAuthLevel: DomainValidation"); // V-14
    }
    let external = connector.smart_host_auth_mechanism == SmartHostAuthMechanism::ExternalAuthoritative;
    if connector.domain_secure_enabled && (!connector.dns_routing_enabled || connector.ignore_starttls || external) {
        error("domainSecureEnabled", "it works only with MX delivery, STARTTLS and no ExternalAuthoritative"); // V-15
    }
    if connector.tls_certificate_name.as_deref().is_some_and(|name| !is_certificate_name(name)) {
        error("tlsCertificateName", CERTIFICATE_NAME); // V-22
    }
}

/// How a certificate is named.
const CERTIFICATE_NAME: &str = "write <I>issuer<S>subject, both as the certificate prints them";

fn is_certificate_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower
        .strip_prefix("<i>")
        .and_then(|rest| rest.split_once("<s>"))
        .is_some_and(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
}

fn sources(known: &Known<'_>, connector: &SendConnector, error: &mut impl FnMut(&str, &str)) {
    if connector.source_transport_servers.is_empty() {
        error("sourceTransportServers", "a connector needs at least one source server"); // SC-88
    }
    let mut roles = Vec::new();
    for name in &connector.source_transport_servers {
        match known.role(name) {
            Some(role) => roles.push(role),
            None => error("sourceTransportServers", &format!("there is no server {name:?}")), // V-19
        }
    }
    if roles.contains(&ServerRole::Edge) && roles.contains(&ServerRole::Mailbox) {
        error("sourceTransportServers", "Mailbox and Edge servers cannot be mixed in one connector"); // V-19
    }
    if roles.contains(&ServerRole::Mailbox)
        && connector.source_ip_address.is_some_and(|address| !address.is_unspecified())
    {
        error("sourceIPAddress", "it can be set on Edge servers only"); // V-17
    }
    if roles.contains(&ServerRole::Edge) && connector.frontend_proxy_enabled {
        error("frontendProxyEnabled", "an Edge server has no front end to send through"); // V-25
    }
}

fn ranges(connector: &SendConnector, error: &mut impl FnMut(&str, &str)) {
    let upgrades = connector.error_policies.contains(&ErrorPolicy::UpgradeCustomFailures);
    if !upgrades && !connector.upgraded_replies.is_empty() {
        error("upgradedReplies", "it needs errorPolicies: UpgradeCustomFailures"); // SC-115
    }
    if !(Span::seconds(1)..=INACTIVITY_MAX).contains(&connector.connection_inactivity_timeout) {
        error("connectionInactivityTimeOut", "it is 00:00:01 to 1.00:00:00"); // V-21
    }
    if matches!(connector.max_message_size, Limit::At(size) if size.as_u64() > CONNECTOR_SIZE_MAX) {
        error("maxMessageSize", "it is 0 to 2147483647 bytes, or unlimited"); // V-21
    }
}

/// Checks every Receive connector, alone and against its neighbours.
pub(super) fn receive(draft: &OrganizationDraft, known: &Known<'_>, problems: &mut Problems) {
    let mut earlier: HashMap<&ServerName, Vec<&ReceiveConnector>> = HashMap::new();
    for connector in &draft.receive_connectors {
        let place = format!("receiveConnectors[\"{}\\{}\"]", connector.server, connector.name);
        if !known.servers.contains_key(&connector.server) {
            problems.error(format!("{place}.server"), format!("there is no server {:?}", connector.server));
        }
        let is_edge = known.role(&connector.server) == Some(ServerRole::Edge);
        if connector.tls_certificate_name.as_deref().is_some_and(|name| !is_certificate_name(name)) {
            problems.error(format!("{place}.tlsCertificateName"), CERTIFICATE_NAME); // V-22
        }
        if is_edge && connector.transport_role == TransportRole::FrontendTransport {
            let text = "nobody listens there: an Edge server runs Transport alone; write HubTransport"; // EN-3
            problems.warning(format!("{place}.transportRole"), text);
        }
        let is_transport = !is_edge && connector.transport_role == TransportRole::HubTransport;
        if connector.long_addresses_enabled && !is_transport {
            let text = "only the Transport service of a Mailbox server takes long addresses"; // LM-15
            problems.error(format!("{place}.longAddressesEnabled"), text);
        }
        for text in mechanism_problems(connector) {
            problems.error(format!("{place}.authMechanism"), text);
        }
        if connector.connection_inactivity_timeout >= connector.connection_timeout {
            problems.error(format!("{place}.connectionInactivityTimeOut"), "it must be less than connectionTimeout");
        }
        if connector.bindings.is_empty() || connector.remote_ip_ranges.is_empty() {
            problems.error(place.clone(), "a Receive connector needs bindings and remoteIPRanges");
        }
        received_permissions(connector, &place, problems);
        let neighbours = earlier.entry(&connector.server).or_default();
        for other in neighbours.iter() {
            if collide(connector, other) {
                problems.error(format!("{place}.remoteIPRanges"), collision(connector, other)); // RC-29
            }
        }
        neighbours.push(connector);
    }
}

/// Rights besides those of the groups (PF-33, PF-36, PF-69).
fn received_permissions(connector: &ReceiveConnector, place: &str, problems: &mut Problems) {
    for permission in &connector.permissions {
        if permission.right.is_of_sending() {
            let text = format!("{} is a right of Send connectors", permission.right);
            problems.error(format!("{place}.permissions"), text);
        } else if permission.kind == PermissionKind::Without {
            let text =
                "what a permission group gives is not taken away one by one: deny it, or name other permissionGroups";
            problems.error(format!("{place}.permissions"), text);
        }
    }
    let everywhere = [RemoteRange::ALL_V4, RemoteRange::ALL_V6];
    let is_open = connector.remote_ip_ranges.iter().any(|range| everywhere.contains(range));
    let anonymous = |right| connector.gives(&[Grantee::Anonymous], right);
    if is_open && anonymous(ConnectorRight::Submit) && anonymous(ConnectorRight::AcceptAnyRecipient) {
        let text = "whoever reaches it may relay to anybody, from every address: name narrower remoteIPRanges";
        problems.warning(format!("{place}.permissions"), text);
    }
}

/// What to do about two connectors of which neither is for fewer clients than the other. A default one comes last, and is
/// not written perhaps: then it is the other that must give way.
fn collision<'a>(mut connector: &'a ReceiveConnector, mut other: &'a ReceiveConnector) -> String {
    let is_default = |connector: &ReceiveConnector| defaults::named(&connector.server, &connector.name).is_some();
    if is_default(connector) && !is_default(other) {
        std::mem::swap(&mut connector, &mut other);
    }
    let (name, server) = (&other.name, &other.server);
    let same = format!(
        "it serves the same endpoint as {name:?}, and the remoteIPRanges of one must contain those of the other"
    );
    if !is_default(other) || is_default(connector) {
        return same;
    }
    format!(
        "{:?} of {server:?} serves the same endpoint as the default connector {name:?}: write narrower remoteIPRanges, change \
         the default one by its name, or add that to removedReceiveConnectors of {server:?}",
        connector.name
    )
}

fn mechanism_problems(connector: &ReceiveConnector) -> Vec<&'static str> {
    let offers = |mechanism| connector.offers(mechanism);
    let mut problems = Vec::new(); // RC-45, PL-38
    if offers(AuthMechanism::None) && connector.auth_mechanism.len() > 1 {
        problems.push("None stands alone");
    }
    if offers(AuthMechanism::BasicAuthRequireTLS) && !(offers(AuthMechanism::BasicAuth) && offers(AuthMechanism::Tls)) {
        problems.push("BasicAuthRequireTLS needs BasicAuth and Tls");
    }
    if offers(AuthMechanism::ExternalAuthoritative) {
        let others = connector
            .auth_mechanism
            .iter()
            .any(|m| !matches!(m, AuthMechanism::ExternalAuthoritative | AuthMechanism::Tls));
        if others || !connector.permits(PermissionGroup::ExchangeServers) {
            problems.push("ExternalAuthoritative goes with Tls only and needs permission group ExchangeServers");
        }
    }
    if connector.require_tls && !offers(AuthMechanism::Tls) {
        problems.push("requireTLS needs Tls");
    }
    if connector.domain_secure_enabled && (!offers(AuthMechanism::Tls) || offers(AuthMechanism::ExternalAuthoritative))
    {
        problems.push("domainSecureEnabled needs Tls and excludes ExternalAuthoritative");
    }
    if !connector.tls_domain_capabilities.is_empty() && !offers(AuthMechanism::Tls) {
        problems.push("tlsDomainCapabilities needs Tls: a certificate is what proves a domain"); // TA-75
    }
    problems
}

fn collide(one: &ReceiveConnector, two: &ReceiveConnector) -> bool {
    let shared_binding = one.bindings.iter().any(|binding| two.bindings.contains(binding));
    let clash =
        |a: &RemoteRange, b: &RemoteRange| a == b || (a.overlaps(b) && !a.contains_range(b) && !b.contains_range(a));
    shared_binding && one.remote_ip_ranges.iter().any(|a| two.remote_ip_ranges.iter().any(|b| clash(a, b)))
}
