//! Who answers for a connection: the Receive connector is chosen, and a session begins (RC-30, RC-33).

use std::net::SocketAddr;
use std::sync::Arc;

use envelope::{EnhancedStatus, Reply};
use smtp::{Admission, Connection, Preamble, Reception};
use topology::send_connector::ProtocolLoggingLevel;
use topology::{Server, TransportRole};

use crate::connectors::connectors_of;
use crate::selection::{Place, select};
use crate::session::Session;
use crate::shared::Shared;

/// One listening address.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) place: Place,
}

/// `MaxConnectionRatePerMinute` of the service (limits §3).
fn rate_of(server: &Server, role: TransportRole) -> u32 {
    match role {
        TransportRole::FrontendTransport => server.frontend_transport.max_connection_rate_per_minute,
        TransportRole::HubTransport => server.transport.max_connection_rate_per_minute,
    }
}

impl Reception for Door {
    fn preamble(&self, peer: SocketAddr) -> Preamble {
        let node = &self.shared.node;
        let balancers = node.settings.service(node.service).load_balancers;
        let balanced = balancers.iter().any(|balancer| balancer.contains(peer.ip()));
        Preamble { balanced, tls: self.place.begins_with_tls() }
    }

    fn admit(&self, connection: Connection) -> Result<Admission, Reply> {
        let shared = &self.shared;
        shared.suspicion.lock().check(connection.peer.ip(), shared.node.clock.now())?;
        let tables = shared.node.tables();
        let server = tables.local_server();
        shared.arrivals.lock().count(rate_of(server, shared.role), shared.node.clock.now())?;
        let connectors = connectors_of(tables.organization(), &server.name, shared.role);
        let endpoint = self.place.endpoint(connection.local);
        let connector = select(&connectors, endpoint, connection.peer.ip())
            .ok_or_else(|| Reply::new(421, EnhancedStatus::new(4, 3, 2), "Service not available"))?;
        let entrance = shared.entrances.entrance(connector, tables.organization(), server, shared.node.clock.now());
        let settings = Arc::clone(&entrance.settings);
        // LG-07, LG-08: as the connector of the configuration in force says.
        let transcript = (entrance.connector.protocol_logging_level == ProtocolLoggingLevel::Verbose)
            .then(|| shared.transcripts.begin(&format!("{}\\{}", server.name, entrance.connector.name)));
        let handler = Box::new(Session::new(Arc::clone(shared), entrance, connection.peer.ip()));
        Ok(Admission { settings, handler, transcript })
    }
}
