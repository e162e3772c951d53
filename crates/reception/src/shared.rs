//! What the sessions of a service share, and who answers for a connection: the Receive connector is chosen, and a session
//! begins (RC-30, RC-33).

use std::sync::Arc;

use envelope::{EnhancedStatus, Reply};
use parking_lot::Mutex;
use runtime::Node;
use smtp::{Admission, Connection, Reception};
use tokio::sync::Semaphore;
use topology::TransportRole;

use crate::connectors::{Entrances, connectors_of};
use crate::destination::MessageTaker;
use crate::memory::HeldOctets;
use crate::selection::{Place, select};
use crate::session::Session;
use crate::suspicion::Suspicion;

/// Passwords checked at a time: each check takes a core for some ten milliseconds and 19 MiB.
const PASSWORD_CHECKS_MAX: usize = 4;

/// Recipients of strangers looked up at a time: whoever guesses waits for himself, and the directory stays free for mail.
const LOOKUPS_MAX: usize = 32;

/// What every session of a service shares.
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    /// Which Receive connectors of the server are served here (RC-5).
    pub(crate) role: TransportRole,
    pub(crate) destination: Arc<dyn MessageTaker>,
    pub(crate) entrances: Entrances,
    pub(crate) password_checks: Semaphore,
    /// Questions of strangers to the directory under way.
    pub(crate) lookups: Semaphore,
    pub(crate) suspicion: Mutex<Suspicion>,
    pub(crate) held: Arc<HeldOctets>,
}

impl Shared {
    pub(crate) fn new(
        node: Arc<Node>,
        role: TransportRole,
        destination: Arc<dyn MessageTaker>,
        entrances: Entrances,
    ) -> Self {
        Self {
            node,
            role,
            destination,
            entrances,
            password_checks: Semaphore::new(PASSWORD_CHECKS_MAX),
            lookups: Semaphore::new(LOOKUPS_MAX),
            suspicion: Mutex::default(),
            held: Arc::default(),
        }
    }
}

/// One listening address.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) place: Place,
}

impl Reception for Door {
    fn admit(&self, connection: Connection) -> Result<Admission, Reply> {
        let shared = &self.shared;
        shared.suspicion.lock().check(connection.peer.ip(), shared.node.clock.now())?;
        let tables = shared.node.tables();
        let server = tables.local_server();
        let connectors = connectors_of(tables.organization(), &server.name, shared.role);
        let endpoint = self.place.endpoint(connection.local);
        let connector = select(&connectors, endpoint, connection.peer.ip())
            .ok_or_else(|| Reply::new(421, EnhancedStatus::new(4, 3, 2), "Service not available"))?;
        let entrance = shared.entrances.entrance(connector, tables.organization(), server);
        let settings = Arc::clone(&entrance.settings);
        Ok(Admission { settings, handler: Box::new(Session::new(Arc::clone(shared), entrance, connection.peer.ip())) })
    }
}
