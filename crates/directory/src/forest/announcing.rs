//! Announcing services: all that a process says of its services stands under one lease, which one heartbeat keeps alive, however many
//! services there are.
//!
//! ```text
//!   announced first ─▶ grant ─▶ write what is said anew, take back what is not said any more ◀──┐
//!                        ▲            └─ nothing is said any more ─▶ revoke                      │ said anew, or
//!                        └──────────── the backend is away, or has forgotten the lease ─────────┴ heartbeat
//! ```

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::Instant;

use super::{Backoff, Forest};
use crate::presence::{Announcement, Presence, Said, decode, encode};
use crate::store::{Condition, Entry, LeaseId, Outcome, Store, Unavailable, Write};

/// Heartbeats in the life of a lease: two may be lost.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// By key.
type Wanted = BTreeMap<String, Presence>;
/// What this process has written, by key.
type Written = BTreeMap<String, Vec<u8>>;

impl<S: Store> Forest<S> {
    pub(super) fn announce_presence(&self, presence: Presence) -> Announcement {
        let (announcement, is_first) = Said::say(&self.said, presence);
        if is_first {
            let forest = self.clone();
            tokio::spawn(async move { forest.keep_announced().await });
        }
        announcement
    }

    /// Until nothing is announced any more.
    async fn keep_announced(&self) {
        let mut backoff = Backoff::default();
        while let Err(error) = self.hold_lease(&mut backoff).await {
            tracing::warn!(%error, "the presence of this process cannot be announced");
            tokio::select! {
                () = backoff.pause() => {}
                () = self.said.nothing() => {}
            }
            if self.said.has_ended() {
                return;
            }
        }
    }

    /// Takes a lease, announces under it and keeps it alive for as long as that goes and anything is announced.
    async fn hold_lease(&self, backoff: &mut Backoff) -> Result<(), Unavailable> {
        let lease = self.store.grant(self.lease_ttl).await?;
        let mut written = Written::new();
        let mut heartbeat = self.next_heartbeat();
        loop {
            if self.said.has_ended() {
                if let Err(error) = self.store.revoke(lease).await {
                    tracing::debug!(%error, "presences are left to their lease");
                }
                return Ok(());
            }
            let wanted = self.wanted();
            self.put_under(lease, &wanted, &mut written).await?;
            self.take_back(&wanted, &mut written).await?;
            backoff.reset();
            tokio::select! {
                () = self.said.changed() => {}
                () = tokio::time::sleep_until(heartbeat) => {
                    if !self.store.keep_alive(lease).await? {
                        return Err(ended());
                    }
                    heartbeat = self.next_heartbeat();
                    self.look_after(&wanted, &mut written).await?;
                }
            }
        }
    }

    fn next_heartbeat(&self) -> Instant {
        Instant::now() + self.lease_ttl / HEARTBEATS_PER_LEASE
    }

    /// Of what is said twice, what was said by whoever started last.
    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::new();
        for presence in self.said.all() {
            let key = self.keys.presence(&presence.server, presence.service);
            if wanted.get(&key).is_none_or(|other| order(other) <= order(&presence)) {
                wanted.insert(key, presence);
            }
        }
        wanted
    }

    /// Writes what is new. What one service may not say keeps nobody else from being heard: it is tried again with the next heartbeat.
    async fn put_under(&self, lease: LeaseId, wanted: &Wanted, written: &mut Written) -> Result<(), Unavailable> {
        let all = wanted.iter().map(|(key, presence)| (key.clone(), encode(presence)));
        let new: Vec<(String, Vec<u8>)> = all.filter(|(key, value)| written.get(key) != Some(value)).collect();
        for piece in new.chunks(self.store.operations_max()) {
            let pieces: Vec<_> = match self.put_together(lease, piece).await {
                // Each by itself, and all at once: a backend that does not answer is waited for once more, not once for each.
                Err(_) if piece.len() > 1 => {
                    let alone = piece.chunks(1).map(async |one| (one, self.put_together(lease, one).await));
                    join_all(alone).await
                }
                put => vec![(piece, put)],
            };
            let mut refused = Vec::new();
            for (piece, put) in pieces {
                match put {
                    Ok(Outcome::Refused) => return Err(ended()),
                    Ok(_) => written.extend(piece.iter().cloned()),
                    Err(error) => refused.extend(piece.iter().map(|(key, _)| (key, error.clone()))),
                }
            }
            if let Some((_, error)) = refused.first().filter(|_| written.is_empty()) {
                return Err(error.clone());
            }
            for (key, error) in refused {
                tracing::warn!(%error, key, "a service is not announced");
            }
        }
        Ok(())
    }

    async fn put_together(&self, lease: LeaseId, piece: &[(String, Vec<u8>)]) -> Result<Outcome, Unavailable> {
        let puts = piece.iter().map(|(key, value)| Write::PutUnder(lease, key.clone(), value.clone())).collect();
        self.store.transact(Vec::new(), puts).await
    }

    /// Removes what is not said any more. What another process says in its place stays.
    async fn take_back(&self, wanted: &Wanted, written: &mut Written) -> Result<(), Unavailable> {
        let gone: Vec<String> = written.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        for keys in gone.chunks(self.store.operations_max()) {
            let stored = self.store.get(keys).await?.into_iter().flatten();
            let own: Vec<Entry> = stored.filter(|entry| written.get(&entry.key) == Some(&entry.value)).collect();
            for (condition, delete) in own.into_iter().map(removal) {
                // Refused: somebody else has announced himself meanwhile.
                self.store.transact(vec![condition], vec![delete]).await?;
            }
            written.retain(|key, _| !keys.contains(key));
        }
        Ok(())
    }

    /// A backend that was restored from a backup knows the lease, and what was announced then: what is not stored as it was written is
    /// written anew.
    async fn look_after(&self, wanted: &Wanted, written: &mut Written) -> Result<(), Unavailable> {
        let keys: Vec<String> = written.keys().cloned().collect();
        for keys in keys.chunks(self.store.operations_max()) {
            for (key, stored) in keys.iter().zip(self.store.get(keys).await?) {
                let as_written = stored.is_some_and(|entry| {
                    let later = || wanted.get(key).is_some_and(|own| is_of_a_later_process(&entry.value, own));
                    written.get(key) == Some(&entry.value) || later()
                });
                if !as_written {
                    written.remove(key);
                }
            }
        }
        Ok(())
    }
}

fn removal(entry: Entry) -> (Condition, Write) {
    (Condition::Unchanged(entry.key.clone(), entry.revision), Write::Delete(entry.key))
}

fn ended() -> Unavailable {
    Unavailable("the lease has ended".into())
}

/// Of several processes of one service the one that was started last is announced: replicas of a front end. The others come forward
/// when it goes.
fn is_of_a_later_process(stored: &[u8], own: &Presence) -> bool {
    decode(stored).is_some_and(|there| order(&there) > order(own))
}

fn order(presence: &Presence) -> (envelope::Timestamp, &[std::net::SocketAddr]) {
    (presence.started, &presence.addresses)
}
