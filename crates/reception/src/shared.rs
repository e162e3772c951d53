//! What the sessions of a service share.

use std::sync::Arc;

use net::dns::ResolverError;
use net::{RevocationCheck, Revocations};
use parking_lot::Mutex;
use runtime::resolvers::Side;
use runtime::{Node, Resolvers};
use smtp::Transcripts;
use tokio::sync::{Notify, Semaphore};
use topology::TransportRole;

use crate::connectors::Entrances;
use crate::destination::MessageTaker;
use crate::keepers::Keepers;
use crate::memory::HeldOctets;
use crate::questions::Questions;
use crate::rate::Arrivals;
use crate::suspicion::Suspicion;

/// Passwords checked at a time: each check takes a core for some ten milliseconds and 19 MiB.
const PASSWORD_CHECKS_MAX: usize = 4;

/// What every session of a service shares.
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    /// Which Receive connectors of the server are served here (RC-5).
    pub(crate) role: TransportRole,
    pub(crate) destination: Arc<dyn MessageTaker>,
    pub(crate) entrances: Entrances,
    pub(crate) password_checks: Semaphore,
    /// The directories that keep passwords of mailboxes.
    pub(crate) keepers: Keepers,
    pub(crate) questions: Questions,
    pub(crate) suspicion: Mutex<Suspicion>,
    /// New connections lately.
    pub(crate) arrivals: Mutex<Arrivals>,
    /// A logon has failed, which others are to be told.
    pub(crate) has_news: Notify,
    pub(crate) held: Arc<HeldOctets>,
    resolvers: Resolvers,
    /// Whose certificates were revoked.
    revocations: Revocations,
    /// The protocol log.
    pub(crate) transcripts: Arc<dyn Transcripts>,
}

impl Shared {
    pub(crate) fn new(
        node: Arc<Node>,
        role: TransportRole,
        destination: Arc<dyn MessageTaker>,
        entrances: Entrances,
        keepers: Keepers,
        transcripts: Arc<dyn Transcripts>,
    ) -> Self {
        Self {
            keepers,
            node,
            role,
            destination,
            entrances,
            password_checks: Semaphore::new(PASSWORD_CHECKS_MAX),
            questions: Questions::default(),
            suspicion: Mutex::default(),
            arrivals: Mutex::default(),
            has_news: Notify::new(),
            held: Arc::default(),
            resolvers: Resolvers::default(),
            revocations: Revocations::default(),
            transcripts,
        }
    }

    /// Asks whose certificates were revoked, by the name servers of the configuration in force.
    pub(crate) fn revocation(&self) -> Result<RevocationCheck, ResolverError> {
        let tables = self.node.tables();
        let resolver = self.resolvers.of(&self.node.settings, tables.local_server(), Side::External)?;
        Ok(self.revocations.asking(resolver))
    }
}
