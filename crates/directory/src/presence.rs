//! Who is there: services that announce themselves under a lease.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use envelope::{Revision, ServerName, Service, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

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
    said: Arc<Said>,
    number: u64,
}

impl Announcement {
    /// Changes what is announced, for example the applied revision.
    pub fn update(&self, change: impl FnOnce(&mut Presence)) {
        let mut state = self.said.state.lock();
        let presence = state.presences.get_mut(&self.number).expect("it is there as long as its announcement");
        let before = presence.clone();
        change(presence);
        if *presence != before {
            drop(state);
            self.said.changed.notify_one();
        }
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.said.state.lock().presences.remove(&self.number);
        self.said.changed.notify_one();
    }
}

/// What a process says of its services, for as long as the [`Announcement`]s live.
#[derive(Debug, Default)]
pub(crate) struct Said {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// By the number of its announcement.
    presences: BTreeMap<u64, Presence>,
    announcements: u64,
    /// Somebody keeps them announced.
    is_kept: bool,
}

impl Said {
    /// Says one thing more; `true` if nobody keeps announced what is said here, so that the caller has to.
    pub(crate) fn say(said: &Arc<Self>, presence: Presence) -> (Announcement, bool) {
        let mut state = said.state.lock();
        state.announcements += 1;
        let number = state.announcements;
        state.presences.insert(number, presence);
        let is_first = !std::mem::replace(&mut state.is_kept, true);
        drop(state);
        said.changed.notify_one();
        (Announcement { said: Arc::clone(said), number }, is_first)
    }

    pub(crate) fn all(&self) -> Vec<Presence> {
        self.state.lock().presences.values().cloned().collect()
    }

    /// Whether nothing is said any more: then whoever keeps it announced has to end, and the next who says something begins anew.
    pub(crate) fn has_ended(&self) -> bool {
        let mut state = self.state.lock();
        if state.presences.is_empty() {
            state.is_kept = false;
        }
        !state.is_kept
    }

    /// Returns when something else is said than before.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns when nothing is said any more.
    pub(crate) async fn nothing(&self) {
        while !self.state.lock().presences.is_empty() {
            self.changed.notified().await;
        }
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
