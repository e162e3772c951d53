//! Who is there: services that announce themselves under a lease.

use std::net::SocketAddr;

use envelope::{Revision, ServerName, Service};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A service that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Its server.
    pub server: ServerName,
    /// Which service.
    pub service: Service,
    /// Where the implicit connector reaches it.
    pub addresses: Vec<SocketAddr>,
    /// Version of the program.
    pub version: String,
    /// The configuration by which it works.
    pub applied_revision: Revision,
}

/// Keeps a [`Presence`] announced. Dropping it withdraws the presence; a process that dies leaves it to the lease.
#[derive(Debug)]
pub struct Announcement {
    presence: watch::Sender<Presence>,
}

impl Announcement {
    pub(crate) fn new(presence: Presence) -> (Self, watch::Receiver<Presence>) {
        let (sender, receiver) = watch::channel(presence);
        (Self { presence: sender }, receiver)
    }

    /// Changes what is announced, for example the applied revision.
    pub fn update(&self, change: impl FnOnce(&mut Presence)) {
        self.presence.send_if_modified(|presence| {
            let before = presence.clone();
            change(presence);
            *presence != before
        });
    }
}

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    v: u64,
    server: String,
    service: String,
    addresses: Vec<SocketAddr>,
    version: String,
    applied_revision: u64,
}

const STORED_VERSION: u64 = 1;

pub(crate) fn encode(presence: &Presence) -> Vec<u8> {
    let stored = Stored {
        v: STORED_VERSION,
        server: presence.server.to_string(),
        service: presence.service.to_string(),
        addresses: presence.addresses.clone(),
        version: presence.version.clone(),
        applied_revision: presence.applied_revision.0,
    };
    serde_json::to_vec(&stored).expect("a presence is plain data")
}

/// `None` for what this version does not understand: such a service cannot be spoken to anyway.
pub(crate) fn decode(bytes: &[u8]) -> Option<Presence> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    (stored.v == STORED_VERSION).then_some(())?;
    Some(Presence {
        server: ServerName::parse(&stored.server).ok()?,
        service: stored.service.parse().ok()?,
        addresses: stored.addresses,
        version: stored.version,
        applied_revision: Revision(stored.applied_revision),
    })
}
