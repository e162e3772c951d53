//! Who is there: services that announce themselves under a lease.

use std::net::SocketAddr;

use envelope::{Revision, ServerName, Service, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A service that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Of which server the service is.
    pub server: ServerName,
    /// Which service.
    pub service: Service,
    /// Where the implicit connector reaches it.
    pub addresses: Vec<SocketAddr>,
    /// When it began to listen: another time after every start.
    pub started: Timestamp,
    /// Version of the program.
    pub version: String,
    /// The configuration by which it works.
    pub applied_revision: Revision,
    /// Edge servers that an admin service should synchronize and cannot reach: another one of its site does meanwhile (EN-32).
    pub out_of_reach: Vec<ServerName>,
}

/// Who works by the newest of what is newer than `stored`: then the directory was restored from a backup, if `presences` were
/// read before it was. Read after it, somebody may have changed it in between.
pub fn ahead_of(presences: &[Presence], stored: Revision) -> Option<&Presence> {
    let ahead = presences.iter().filter(|presence| presence.applied_revision > stored);
    ahead.max_by_key(|presence| presence.applied_revision)
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

/// The stored form. Services of the next version may say more of themselves.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    v: u64,
    server: String,
    service: String,
    addresses: Vec<SocketAddr>,
    /// Milliseconds since 1970.
    #[serde(default)]
    started: u64,
    version: String,
    applied_revision: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    out_of_reach: Vec<String>,
}

const STORED_VERSION: u64 = 1;

pub(crate) fn encode(presence: &Presence) -> Vec<u8> {
    let stored = Stored {
        v: STORED_VERSION,
        server: presence.server.to_string(),
        service: presence.service.to_string(),
        addresses: presence.addresses.clone(),
        started: presence.started.as_millis(),
        version: presence.version.clone(),
        applied_revision: presence.applied_revision.0,
        out_of_reach: presence.out_of_reach.iter().map(ToString::to_string).collect(),
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
        started: Timestamp::from_millis(stored.started),
        version: stored.version,
        applied_revision: Revision(stored.applied_revision),
        out_of_reach: stored.out_of_reach.iter().filter_map(|name| ServerName::parse(name).ok()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_versions_say_is_understood() {
        let before = r#"{"v":1,"server":"MAIL1","service":"transport","addresses":["127.0.0.1:7525"],"version":"0.0.9",
            "appliedRevision":7}"#;
        let presence = decode(before.as_bytes()).unwrap();
        assert_eq!((presence.started, presence.applied_revision), (Timestamp::from_millis(0), Revision(7)));
        let after = before.replace(r#""v":1"#, r#""v":1,"load":0.5"#);
        assert_eq!(decode(after.as_bytes()), Some(presence.clone()));
        assert_eq!(decode(&encode(&presence)), Some(presence.clone()));
        let alone = Presence { out_of_reach: vec![ServerName::parse("EDGE1").unwrap()], ..presence };
        assert_eq!(decode(&encode(&alone)), Some(alone));
    }
}
