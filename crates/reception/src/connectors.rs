//! Receive connectors as the SMTP listener needs them. A connector that does not change keeps its counts of connections
//! from one configuration to the next.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{Domain, Limit, ObjectName, ServerName, Timestamp};
use net::tls::{self, ClientCertificates, Fingerprint, OwnCertificate, TrustedRoots};
use net::{KeyedCertificate, TlsServer};
use parking_lot::{Mutex, RwLock};
use smtp::{ConnectionGate, ConnectionLimits, SessionSettings};
use smtp_session::ServerConfig;
use smtp_session::server::{AuthOffer, Extensions};
use telemetry::Metrics;
use telemetry::named::ReceiveMetrics;
use topology::{AuthMechanism, Organization, ReceiveConnector, Server, TransportRole};

use crate::policy;
use crate::rate::Rates;

/// File descriptors that are for others than clients and hosts outside: listeners, queue, logs, directory, other servers,
/// and strangers at the port of the organization.
const DESCRIPTORS_RESERVED: u64 = 1024;

/// A connector in use.
pub(crate) struct Entrance {
    /// As configured.
    pub(crate) connector: ReceiveConnector,
    /// The name in banner, EHLO reply and `Received`.
    pub(crate) hostname: Domain,
    /// For the listener.
    pub(crate) settings: Arc<SessionSettings>,
    /// What comes through it is counted here.
    pub(crate) metrics: ReceiveMetrics,
    /// `MessageRateLimit`.
    pub(crate) rates: Arc<Mutex<Rates>>,
    /// Which certificate is shown.
    shown: Shown,
}

/// What is shown to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// The server's own.
    Own,
    /// Another.
    Another(Fingerprint, Box<KeyedCertificate>),
    /// The connector names one that is not there.
    Nothing,
}

/// The connectors in use, by name.
pub(crate) struct Entrances {
    tls: TlsServer,
    /// The same, for clients that are asked who they are: partners (TA-41).
    partners: TlsServer,
    roots: TrustedRoots,
    /// What connectors may show in place of the server's own (TA-30).
    certificates: RwLock<Vec<OwnCertificate>>,
    metrics: Metrics,
    /// File descriptors of this process.
    descriptors: u64,
    known: Mutex<HashMap<ObjectName, Arc<Entrance>>>,
}

impl Entrances {
    pub(crate) fn new(tls: TlsServer, roots: TrustedRoots, metrics: Metrics, descriptors: u64) -> Self {
        let partners = tls.asking(ClientCertificates::Requested(roots.clone()));
        let certificates = RwLock::default();
        Self { tls, partners, roots, certificates, metrics, descriptors, known: Mutex::default() }
    }

    /// From now on connectors choose among these; the server's own, which is the first, is what `tls` shows.
    pub(crate) fn choose_among(&self, certificates: Vec<OwnCertificate>) {
        *self.certificates.write() = certificates;
    }

    /// What a connector shows: what it names (TA-32), or else the one that is for its name (TA-30).
    fn shown(&self, connector: &ReceiveConnector, hostname: &Domain, now: Timestamp) -> Shown {
        let certificates = self.certificates.read();
        let is_own =
            |chosen: &OwnCertificate| certificates.first().is_some_and(|own| own.fingerprint == chosen.fingerprint);
        let chosen = match connector.tls_certificate_name.as_deref() {
            Some(wanted) => match tls::named(&*certificates, wanted, now) {
                Some(chosen) => Some(chosen),
                None => return Shown::Nothing,
            },
            None => tls::for_host(&*certificates, hostname, now),
        };
        match chosen.filter(|chosen| !is_own(chosen)) {
            Some(chosen) => Shown::Another(chosen.fingerprint, Box::new(chosen.keyed.clone())),
            None => Shown::Own,
        }
    }

    /// TLS of a connector; nothing where it names a certificate that is not there: STARTTLS is not offered (TA-32).
    fn tls(&self, connector: &ReceiveConnector, shown: &Shown) -> Option<TlsServer> {
        let asks = policy::asks_clients(connector);
        let further = match shown {
            Shown::Nothing => return None,
            Shown::Own => None,
            Shown::Another(_, keyed) => {
                let clients =
                    if asks { ClientCertificates::Requested(self.roots.clone()) } else { ClientCertificates::Ignored };
                // Its key was found to fit when it was read.
                TlsServer::new(keyed, clients).ok()
            }
        };
        Some(further.unwrap_or_else(|| if asks { self.partners.clone() } else { self.tls.clone() }))
    }

    /// What the listener needs for `connector` of `server`.
    pub(crate) fn entrance(
        &self,
        connector: &ReceiveConnector,
        organization: &Organization,
        server: &Server,
        now: Timestamp,
    ) -> Arc<Entrance> {
        // What clients are told must not need SMTPUTF8.
        let hostname = &a_labels(connector.fqdn.as_ref().unwrap_or(&server.fqdn));
        // RFC 5321 §4.5.1: `RCPT TO:<postmaster>`, without a domain.
        let postmaster_domain = &organization.default_domain().map_or_else(|| hostname.clone(), a_labels);
        let mut known = self.known.lock();
        let before = known.get(&connector.name);
        let recipients_max = recipients_max(connector, organization);
        let shown = self.shown(connector, hostname, now);
        let same = |known: &&Arc<Entrance>| {
            known.connector == *connector
                && known.hostname == *hostname
                && known.shown == shown
                && known.settings.protocol.recipients_max == recipients_max
                && known.settings.protocol.postmaster_domain == *postmaster_domain
        };
        if let Some(entrance) = before.filter(same) {
            return Arc::clone(entrance);
        }
        let limits = limits_of(connector, fitting(connector, organization, server, self.descriptors));
        let gate = match before.filter(|before| before.settings.gate.limits() == limits) {
            Some(before) => Arc::clone(&before.settings.gate),
            None => {
                tell_lowered(connector, &limits, self.descriptors);
                ConnectionGate::new(limits)
            }
        };
        let rates = match before.filter(|before| before.rates.lock().fits(connector)) {
            Some(before) => Arc::clone(&before.rates),
            None => Arc::new(Mutex::new(Rates::of(connector))),
        };
        let tls = self.tls(connector, &shown);
        if tls.is_none() {
            let (connector, wanted) = (connector.name.as_str(), connector.tls_certificate_name.as_deref());
            tracing::error!(
                connector,
                wanted,
                "no valid certificate is that which the connector names (tlsCertificateName), so it does not offer STARTTLS: put \
                 cert.pem and key.pem into a folder of identity/smtp, or take the name away"
            );
        }
        let protocol = protocol_of(connector, hostname, postmaster_domain);
        let starttls = protocol.starttls && tls.is_some();
        let protocol = ServerConfig { recipients_max, starttls, ..protocol };
        let settings = SessionSettings::new(protocol, tls, gate);
        let entrance = Arc::new(Entrance {
            connector: connector.clone(),
            hostname: hostname.clone(),
            settings: Arc::new(settings),
            metrics: self.metrics.of_receive_connector(connector),
            rates,
            shown,
        });
        known.insert(connector.name.clone(), Arc::clone(&entrance));
        entrance
    }
}

/// A name as DNS has it, and every protocol before SMTPUTF8 (RFC 5890 §2.3.2.1).
fn a_labels(name: &Domain) -> Domain {
    Domain::parse(name.ascii()).unwrap_or_else(|_| name.clone())
}

/// The enabled connectors of `server` in the service of that role (RC-5), its default ones among them.
pub(crate) fn connectors_of(
    organization: &Organization,
    server: &ServerName,
    role: TransportRole,
) -> Vec<ReceiveConnector> {
    let of_role = |connector: &&ReceiveConnector| connector.transport_role == role;
    let connectors = organization.receive_connectors_of(server).filter(of_role);
    connectors.filter(|connector| connector.enabled).cloned().collect()
}

fn limits_of(connector: &ReceiveConnector, connections: Limit<u32>) -> ConnectionLimits {
    let percentage = connector.max_inbound_connection_percentage_per_source.clamp(1, 100);
    ConnectionLimits {
        connections,
        per_source: connector.max_inbound_connection_per_source,
        percentage_per_source: u8::try_from(percentage).expect("at most 100"),
    }
}

/// `MaxInboundConnection`, or as many as there are file descriptors for: a process without any can neither write its queue nor
/// hear the other servers. The connectors of a service share them as they would have shared more.
fn fitting(connector: &ReceiveConnector, organization: &Organization, server: &Server, descriptors: u64) -> Limit<u32> {
    let wanted = |connector: &ReceiveConnector| match connector.max_inbound_connection {
        Limit::At(connections) => u64::from(connections),
        Limit::Unlimited => u64::from(smtp::gate::CONNECTIONS_DEFAULT),
    };
    let outbound = match server.transport.max_outbound_connections {
        Limit::At(connections) => u64::from(connections),
        Limit::Unlimited => 0,
    };
    // Half of few are for clients whatever else is configured.
    let left = descriptors.saturating_sub(DESCRIPTORS_RESERVED + outbound).max(descriptors / 2);
    let all: u64 = connectors_of(organization, &server.name, connector.transport_role).iter().map(wanted).sum();
    if all <= left && connector.max_inbound_connection != Limit::Unlimited {
        return connector.max_inbound_connection;
    }
    let share = if all <= left { left - (all - wanted(connector)) } else { wanted(connector) * left / all };
    Limit::At(u32::try_from(share.max(1)).unwrap_or(u32::MAX))
}

fn tell_lowered(connector: &ReceiveConnector, limits: &ConnectionLimits, descriptors: u64) {
    if let (Limit::At(configured), Limit::At(possible)) = (connector.max_inbound_connection, limits.connections)
        && possible < configured
    {
        let connector = connector.name.as_str();
        tracing::warn!(
            connector,
            configured,
            possible,
            descriptors,
            "there are file descriptors for fewer connections than MaxInboundConnection: raise LimitNOFILE of the service, or \
             `ulimit -Hn`, or lower MaxInboundConnection"
        );
    }
}

/// The lower of `MaxRecipientsPerMessage` and `MaxRecipientEnvelopeLimit`: what would be refused whole behind the entrance is
/// put off here, recipient by recipient (LM-11, LM-12).
fn recipients_max(connector: &ReceiveConnector, organization: &Organization) -> u32 {
    let own = connector.max_recipients_per_message;
    match organization.transport_config().max_recipient_envelope_limit {
        Limit::At(limit) => own.min(limit),
        Limit::Unlimited => own,
    }
}

/// RC-46: `BasicAuth` alone is the administrator's own choice.
pub(crate) fn auth_offer(connector: &ReceiveConnector) -> AuthOffer {
    match (connector.offers(AuthMechanism::BasicAuth), connector.offers(AuthMechanism::BasicAuthRequireTLS)) {
        (_, true) => AuthOffer::UnderTls,
        (true, false) => AuthOffer::Always,
        (false, false) => AuthOffer::Never,
    }
}

fn protocol_of(connector: &ReceiveConnector, hostname: &Domain, postmaster_domain: &Domain) -> ServerConfig {
    let starttls = connector.offers(AuthMechanism::Tls);
    // `220 ` is written by the session.
    let banner = connector.banner.as_ref().map(|banner| banner.trim_start_matches("220").trim_start().into());
    ServerConfig {
        postmaster_domain: postmaster_domain.clone(),
        banner,
        message_size_max: connector.max_message_size,
        header_size_max: connector.max_header_size,
        protocol_errors_max: connector.max_protocol_errors,
        logon_failures_max: connector.max_logon_failures,
        inactivity_timeout: connector.connection_inactivity_timeout.0,
        session_timeout: connector.connection_timeout.0,
        tarpit_interval: connector.tarpit_interval.0,
        auth_tarpit_interval: connector.auth_tarpit_interval.0,
        starttls,
        require_tls: connector.require_tls,
        auth: auth_offer(connector),
        extensions: Extensions { long_addresses: connector.long_addresses_enabled, ..Extensions::default() },
        ..ServerConfig::new(hostname.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::Revision;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const FRONT_END: TransportRole = TransportRole::FrontendTransport;

    fn organization(revision: u64, connector: &str) -> Organization {
        let text = format!(
            "sites: [{{name: Berlin}}]\nservers: [{{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}}]\n\
             acceptedDomains: [{{name: contoso, domainName: contoso.com, default: true}}]\n{connector}"
        );
        organization::load(&text, Revision(revision)).unwrap_or_else(|problems| panic!("{problems}")).organization
    }

    #[expect(clippy::disallowed_methods, reason = "a certificate of a test is of now")]
    fn entrances() -> Entrances {
        let (server, fqdn) = (ServerName::parse("MAIL1").unwrap(), Domain::parse("mail1.contoso.com").unwrap());
        let now = std::time::SystemTime::now().into();
        let certificate = net::certificate::self_signed_for_smtp(&server, &fqdn, now).unwrap();
        let tls = TlsServer::new(&certificate, ClientCertificates::Ignored).unwrap();
        Entrances::new(tls, TrustedRoots::none(), Metrics::off(), 1 << 20)
    }

    #[test]
    fn a_server_without_connectors_has_the_documented_ones() {
        // RC-11, RC-12
        let organization = organization(1, "");
        let connectors = connectors_of(&organization, &ServerName::parse("mail1").unwrap(), FRONT_END);
        let names: Vec<_> = connectors.iter().map(|connector| connector.name.as_str().to_lowercase()).collect();
        assert_eq!(names, ["default frontend mail1", "client frontend mail1"]);
        let entrances = entrances();
        let of = |at: usize| entrances.entrance(&connectors[at], &organization, &organization.servers()[0], NOW);
        let (default, client) = (of(0), of(1));
        for entrance in [&default, &client] {
            let protocol = &entrance.settings.protocol;
            assert!(protocol.starttls && protocol.auth == AuthOffer::UnderTls && !protocol.require_tls);
            assert_eq!(
                (protocol.hostname.as_str(), protocol.postmaster_domain.as_str()),
                ("mail1.contoso.com", "contoso.com")
            );
        }
    }

    #[test]
    fn clients_are_told_names_that_need_no_smtputf8() {
        let text = "sites: [{name: Berlin}]\nservers: [{name: MAIL1, fqdn: mail1.müller.example, site: Berlin}]\n\
                    acceptedDomains: [{name: müller, domainName: bücher.example, default: true}]\n";
        let organization = organization::load(text, Revision(1)).unwrap().organization;
        let connectors = connectors_of(&organization, &ServerName::parse("MAIL1").unwrap(), FRONT_END);
        let entrance = entrances().entrance(&connectors[0], &organization, &organization.servers()[0], NOW);
        let protocol = &entrance.settings.protocol;
        assert_eq!(protocol.hostname.as_str(), "mail1.xn--mller-kva.example");
        assert_eq!(protocol.postmaster_domain.as_str(), "xn--bcher-kva.example");
        assert_eq!(entrance.hostname.as_str(), "mail1.xn--mller-kva.example");
    }

    #[test]
    fn each_service_has_its_own_connectors_and_disabled_ones_take_no_part() {
        // RC-2, RC-5, RC-14, RC-15; RC-30: a disabled one takes no part.
        let connector = |name: &str, role: &str, rest: &str| {
            format!("  - {{name: {name}, server: MAIL1, transportRole: {role}, bindings: ['0.0.0.0:25']{rest}}}\n")
        };
        let names = |connectors: &str, role| {
            let organization = organization(1, connectors);
            let connectors = connectors_of(&organization, &ServerName::parse("MAIL1").unwrap(), role);
            connectors.iter().map(|connector| connector.name.to_string()).collect::<Vec<_>>()
        };
        let hub = TransportRole::HubTransport;
        assert_eq!(names("", hub), ["Default MAIL1", "Client Proxy MAIL1"]);
        let relay =
            format!("receiveConnectors:\n{}", connector("Relay", "HubTransport", ", remoteIPRanges: [10.0.0.1]"));
        assert_eq!(names(&relay, hub), ["Relay", "Default MAIL1", "Client Proxy MAIL1"], "one more takes none away");
        assert_eq!(names(&relay, FRONT_END).len(), 2);
        let off = "  - {name: Default Frontend MAIL1, server: MAIL1, enabled: false}\n";
        assert_eq!(names(&format!("{relay}{off}"), FRONT_END), ["Client Frontend MAIL1"], "changed by its name alone");
    }

    #[test]
    fn there_are_no_more_connections_than_descriptors() {
        let of = |connectors: &str, descriptors| {
            let organization = organization(1, connectors);
            let connectors = connectors_of(&organization, &ServerName::parse("MAIL1").unwrap(), FRONT_END);
            let server = &organization.servers()[0];
            connectors.iter().map(|one| fitting(one, &organization, server, descriptors)).collect::<Vec<_>>()
        };
        // Two default connectors of 5,000 each; 1,000 connections outward.
        assert_eq!(of("", 1 << 20), [Limit::At(5000), Limit::At(5000)]);
        assert_eq!(of("", 12_024), [Limit::At(5000), Limit::At(5000)], "just enough");
        assert_eq!(of("", 7024), [Limit::At(2500), Limit::At(2500)]);
        assert_eq!(of("", 1024), [Limit::At(256), Limit::At(256)]);
        assert_eq!(of("", 0), [Limit::At(1), Limit::At(1)]);
        let unlimited =
            "receiveConnectors: [{name: Default Frontend MAIL1, server: MAIL1, maxInboundConnection: unlimited}]";
        let [first, second] = of(unlimited, 22_024)[..] else { panic!("two connectors") };
        assert!([first, second].contains(&Limit::At(15_000)) && [first, second].contains(&Limit::At(5000)));
    }

    #[test]
    fn what_did_not_change_keeps_its_connections() {
        let entrances = entrances();
        let entrance = |organization: &Organization| {
            let connectors = connectors_of(organization, &ServerName::parse("MAIL1").unwrap(), FRONT_END);
            entrances.entrance(&connectors[0], organization, &organization.servers()[0], NOW)
        };
        let connector = |rest: &str| {
            format!(
                "receiveConnectors: [{{name: In, server: MAIL1, transportRole: FrontendTransport, \
                 bindings: ['10.0.0.1:25'], permissionGroups: [AnonymousUsers]{rest}}}]"
            )
        };
        let first = entrance(&organization(1, &connector("")));
        let same = entrance(&organization(2, &connector("")));
        assert!(Arc::ptr_eq(&first, &same));
        let larger = entrance(&organization(3, &connector(", maxMessageSize: 50MB")));
        assert!(!Arc::ptr_eq(&first, &larger) && Arc::ptr_eq(&first.settings.gate, &larger.settings.gate));
        let fewer = entrance(&organization(4, &connector(", maxInboundConnection: 7")));
        assert!(!Arc::ptr_eq(&first.settings.gate, &fewer.settings.gate));
    }
}
