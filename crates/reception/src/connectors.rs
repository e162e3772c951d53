//! Receive connectors as the SMTP listener needs them. A connector that does not change keeps its counts of connections
//! from one configuration to the next.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{Domain, Limit, ObjectName, ServerName};
use net::TlsServer;
use parking_lot::Mutex;
use smtp::{ConnectionGate, ConnectionLimits, SessionSettings};
use smtp_session::ServerConfig;
use smtp_session::server::AuthOffer;
use telemetry::Metrics;
use telemetry::named::ReceiveMetrics;
use topology::{AuthMechanism, Organization, ReceiveConnector, Server, TransportRole};

use crate::rate::Rates;

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
}

/// The connectors in use, by name.
pub(crate) struct Entrances {
    tls: TlsServer,
    metrics: Metrics,
    known: Mutex<HashMap<ObjectName, Arc<Entrance>>>,
}

impl Entrances {
    pub(crate) fn new(tls: TlsServer, metrics: Metrics) -> Self {
        Self { tls, metrics, known: Mutex::default() }
    }

    /// What the listener needs for `connector` of `server`.
    pub(crate) fn entrance(
        &self,
        connector: &ReceiveConnector,
        organization: &Organization,
        server: &Server,
    ) -> Arc<Entrance> {
        let hostname = connector.fqdn.as_ref().unwrap_or(&server.fqdn);
        // RFC 5321 §4.5.1: `RCPT TO:<postmaster>`, without a domain.
        let postmaster_domain = organization.default_domain().unwrap_or(hostname);
        let mut known = self.known.lock();
        let before = known.get(&connector.name);
        let recipients_max = recipients_max(connector, organization);
        let same = |known: &&Arc<Entrance>| {
            known.connector == *connector
                && known.hostname == *hostname
                && known.settings.protocol.recipients_max == recipients_max
                && known.settings.protocol.postmaster_domain == *postmaster_domain
        };
        if let Some(entrance) = before.filter(same) {
            return Arc::clone(entrance);
        }
        let limits = limits_of(connector);
        let gate = match before.filter(|before| limits_of(&before.connector) == limits) {
            Some(before) => Arc::clone(&before.settings.gate),
            None => ConnectionGate::new(limits),
        };
        let rates = match before.filter(|before| before.rates.lock().fits(connector)) {
            Some(before) => Arc::clone(&before.rates),
            None => Arc::new(Mutex::new(Rates::of(connector))),
        };
        let protocol = ServerConfig { recipients_max, ..protocol_of(connector, hostname, postmaster_domain) };
        let settings = SessionSettings::new(protocol, Some(self.tls.clone()), gate);
        let entrance = Arc::new(Entrance {
            connector: connector.clone(),
            hostname: hostname.clone(),
            settings: Arc::new(settings),
            metrics: self.metrics.of_receive_connector(connector),
            rates,
        });
        known.insert(connector.name.clone(), Arc::clone(&entrance));
        entrance
    }
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

fn limits_of(connector: &ReceiveConnector) -> ConnectionLimits {
    let percentage = connector.max_inbound_connection_percentage_per_source.clamp(1, 100);
    ConnectionLimits {
        connections: connector.max_inbound_connection,
        per_source: connector.max_inbound_connection_per_source,
        percentage_per_source: u8::try_from(percentage).expect("at most 100"),
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

fn protocol_of(connector: &ReceiveConnector, hostname: &Domain, postmaster_domain: &Domain) -> ServerConfig {
    let starttls = connector.offers(AuthMechanism::Tls);
    // RC-46: BasicAuth alone is the administrator's own choice.
    let auth = match (connector.offers(AuthMechanism::BasicAuth), connector.offers(AuthMechanism::BasicAuthRequireTLS))
    {
        (_, true) => AuthOffer::UnderTls,
        (true, false) => AuthOffer::Always,
        (false, false) => AuthOffer::Never,
    };
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
        auth,
        ..ServerConfig::new(hostname.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::Revision;
    use net::tls::ClientCertificates;

    const FRONT_END: TransportRole = TransportRole::FrontendTransport;

    fn organization(revision: u64, connector: &str) -> Organization {
        let text = format!(
            "sites: [{{name: Berlin}}]\nservers: [{{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}}]\n\
             acceptedDomains: [{{name: contoso, domainName: contoso.com, default: true}}]\n{connector}"
        );
        organization::load(&text, Revision(revision)).unwrap_or_else(|problems| panic!("{problems}")).organization
    }

    fn entrances() -> Entrances {
        let (server, fqdn) = (ServerName::parse("MAIL1").unwrap(), Domain::parse("mail1.contoso.com").unwrap());
        let now = std::time::SystemTime::now().into();
        let certificate = net::certificate::self_signed_for_smtp(&server, &fqdn, now).unwrap();
        Entrances::new(TlsServer::new(&certificate, ClientCertificates::Ignored).unwrap(), Metrics::off())
    }

    #[test]
    fn a_server_without_connectors_has_the_documented_ones() {
        // RC-11, RC-12
        let organization = organization(1, "");
        let connectors = connectors_of(&organization, &ServerName::parse("mail1").unwrap(), FRONT_END);
        let names: Vec<_> = connectors.iter().map(|connector| connector.name.as_str().to_lowercase()).collect();
        assert_eq!(names, ["default frontend mail1", "client frontend mail1"]);
        let entrances = entrances();
        let of = |at: usize| entrances.entrance(&connectors[at], &organization, &organization.servers()[0]);
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
    fn each_service_has_its_own_connectors_and_disabled_ones_take_no_part() {
        // RC-5, RC-14, RC-15
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
    fn what_did_not_change_keeps_its_connections() {
        let entrances = entrances();
        let entrance = |organization: &Organization| {
            let connectors = connectors_of(organization, &ServerName::parse("MAIL1").unwrap(), FRONT_END);
            entrances.entrance(&connectors[0], organization, &organization.servers()[0])
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
