//! Announcing services and following who is there.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use super::{Backoff, Forest};
use crate::presence::{Announcement, Presence, decode, encode};
use crate::store::{LeaseId, Outcome, Store, Unavailable, Write};

/// Heartbeats in the life of a lease: two may be lost.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// So long, for each presence that is there, is waited after a change until all are read: 30 ms for ten services, four seconds for
/// a thousand. Ours: what one reading costs, some thousand times, so that all who read together do not fill a machine.
const PAUSE_PER_PRESENCE: Duration = Duration::from_millis(3);
/// And no longer.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Why a lease is not kept alive any longer.
enum Ended {
    /// The announcement was dropped.
    Withdrawn(LeaseId),
    /// The backend is away, or has forgotten the lease.
    Lost(Unavailable),
}

impl From<Unavailable> for Ended {
    fn from(error: Unavailable) -> Self {
        Self::Lost(error)
    }
}

impl<S: Store> Forest<S> {
    pub(super) fn announce_presence(&self, presence: Presence) -> Announcement {
        let (announcement, receiver) = Announcement::new(presence);
        let forest = self.clone();
        tokio::spawn(async move { forest.keep_announced(receiver).await });
        announcement
    }

    async fn keep_announced(&self, mut presence: watch::Receiver<Presence>) {
        let mut backoff = Backoff::default();
        loop {
            match self.hold_lease(&mut presence, &mut backoff).await {
                Ok(never) => match never {},
                Err(Ended::Withdrawn(lease)) => {
                    if let Err(error) = self.store.revoke(lease).await {
                        tracing::debug!(%error, "a presence is left to its lease");
                    }
                    return;
                }
                Err(Ended::Lost(error)) => {
                    tracing::warn!(%error, "the presence of this service cannot be announced");
                    tokio::select! {
                        () = backoff.pause() => {}
                        () = withdrawn(&mut presence) => return,
                    }
                }
            }
        }
    }

    /// Takes a lease, announces under it and keeps it alive for as long as that goes.
    async fn hold_lease(
        &self,
        presence: &mut watch::Receiver<Presence>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Ended> {
        let lease = self.store.grant(self.lease_ttl).await?;
        loop {
            let now = presence.borrow_and_update().clone();
            let key = self.keys.presence(&now.server, now.service);
            if let Outcome::Refused =
                self.store.transact(Vec::new(), vec![Write::PutUnder(lease, key.clone(), encode(&now))]).await?
            {
                return Err(Unavailable("the lease has ended".into()).into());
            }
            backoff.reset();
            loop {
                tokio::select! {
                    changed = presence.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return Err(Ended::Withdrawn(lease)),
                    },
                    () = tokio::time::sleep(self.lease_ttl / HEARTBEATS_PER_LEASE) => {
                        if !self.store.keep_alive(lease).await? {
                            return Err(Unavailable("the lease has ended".into()).into());
                        }
                        // A backend that was restored from a backup knows the lease, and what was announced then.
                        let stored = self.store.get(std::slice::from_ref(&key)).await?.pop().flatten();
                        if stored.is_none_or(|entry| entry.value != encode(&now) && !is_of_a_later_process(&entry.value, &now)) {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Revision of the store, and who is there.
    pub(super) async fn list_presences(&self) -> Result<(u64, Vec<Presence>), Unavailable> {
        let listing = self.store.list(&self.keys.presences()).await?;
        Ok((listing.revision, listing.entries.iter().filter_map(|entry| decode(&entry.value)).collect()))
    }

    pub(super) fn watch_all_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        let start = (self.clone(), None, None);
        stream::unfold(start, |(forest, mut read_at, last): (Self, Option<u64>, Option<Vec<Presence>>)| async move {
            let mut backoff = Backoff::default();
            loop {
                // Where many come and go at once, as many read all of them: that grows with the square unless they wait.
                let there = last.as_ref().map_or(0, Vec::len);
                let pause = PAUSE_PER_PRESENCE.saturating_mul(u32::try_from(there).unwrap_or(u32::MAX));
                match forest.presences_after(read_at, pause.min(PAUSE_MAX)).await {
                    Ok((revision, presences)) => {
                        read_at = Some(revision);
                        if last.as_ref() != Some(&presences) {
                            return Some((presences.clone(), (forest, read_at, Some(presences))));
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "presences cannot be read");
                        read_at = None;
                        backoff.pause().await;
                    }
                }
            }
        })
        .boxed()
    }

    async fn presences_after(
        &self,
        read_at: Option<u64>,
        pause: Duration,
    ) -> Result<(u64, Vec<Presence>), Unavailable> {
        if let Some(after) = read_at {
            self.store.changed(&self.keys.presences(), after).await?;
            // What else changes meanwhile is read with it.
            tokio::time::sleep(pause).await;
        }
        self.list_presences().await
    }
}

/// Of several processes of one service the one that was started last is announced: replicas of a front end. The others come forward
/// when it goes.
fn is_of_a_later_process(stored: &[u8], own: &Presence) -> bool {
    let order = |presence: &Presence| (presence.started, presence.addresses.clone());
    decode(stored).is_some_and(|there| order(&there) > order(own))
}

/// Returns when the announcement was dropped.
async fn withdrawn(presence: &mut watch::Receiver<Presence>) {
    while presence.changed().await.is_ok() {}
}
