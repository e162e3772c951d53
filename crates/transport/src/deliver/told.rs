//! What administrators read about connections: the connectivity log, and the log of the service where mail does not get to its
//! next hop: which queue, by which connector, which message, and why.

use envelope::ByteSize;
use logs::connectivity::{ConnectionEvent, Direction};
use routing::Route;

use crate::core::Core;
use crate::ground::decision;
use crate::ground::fate::{Fate, FateKind};
use crate::ground::parcel::Parcel;

/// One connection, from its first attempt to its end.
pub(super) struct Told {
    /// The `session` of its lines.
    session: Box<str>,
    /// Messages that the next hop answered, and their octets.
    messages: u64,
    octets: u64,
}

impl Told {
    /// A connection is being opened.
    pub(super) fn begun(core: &Core, route: &Route) -> Self {
        let session = core.node.clock.message_id().to_string().into();
        let told = Self { session, messages: 0, octets: 0 };
        told.line(core, route, Direction::Connect, format!("DeliveryType {}", route.key.delivery_type));
        told
    }

    /// The next hop has answered.
    pub(super) fn established(&self, core: &Core, route: &Route, peer: &str) {
        self.line(core, route, Direction::Progress, format!("established with {peer}"));
    }

    /// No connection could be opened.
    pub(super) fn unreachable(self, core: &Core, route: &Route, error: &str) {
        let connector = connector(core, route);
        tracing::warn!(queue = %route.key, %connector, error, "the next hop cannot be reached");
        self.end(core, route, error);
    }

    /// The next hop answered about a message.
    pub(super) fn carried(&mut self, size: ByteSize) {
        self.messages += 1;
        self.octets += size.as_u64();
    }

    /// It was closed, or broke.
    pub(super) fn ended(self, core: &Core, route: &Route, lost: Option<&str>) {
        if let Some(error) = lost.filter(|_| self.messages == 0) {
            let connector = connector(core, route);
            tracing::warn!(queue = %route.key, %connector, error, "a connection was lost");
        }
        self.end(core, route, lost.unwrap_or("closed"));
    }

    fn end(&self, core: &Core, route: &Route, why: &str) {
        let description = format!("Messages: {} Bytes: {} ({why})", self.messages, self.octets);
        self.line(core, route, Direction::Disconnect, description);
    }

    fn line(&self, core: &Core, route: &Route, direction: Direction, description: String) {
        core.connectivity.record(ConnectionEvent {
            at: core.now(),
            session: self.session.clone(),
            destination: route.key.domain.clone(),
            direction,
            description: description.into(),
        });
    }
}

/// The connector of a queue; none between servers of the organization.
fn connector(core: &Core, route: &Route) -> Box<str> {
    decision::connector(&core.node.tables(), route.connector).unwrap_or_else(|| "none".into())
}

/// Recipients of a message were refused, for good or for now.
pub(super) fn not_taken(core: &Core, parcel: &Parcel, route: &Route, fates: &[Fate], later: Option<&str>) {
    let refused = fates.iter().find_map(|fate| match &fate.kind {
        FateKind::Failed { reply, .. } => Some(reply),
        _ => None,
    });
    if refused.is_none() && later.is_none() {
        return;
    }
    let (message, connector) = (parcel.head.id, connector(core, route));
    if let Some(reply) = refused {
        tracing::warn!(%message, queue = %route.key, %connector, %reply, "a recipient was refused for good");
    }
    if let Some(error) = later {
        tracing::info!(%message, queue = %route.key, %connector, error, "a recipient was not taken, and is tried again");
    }
}
