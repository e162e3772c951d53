//! Following who is there.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::{Backoff, Forest};
use crate::presence::{Presence, decode};
use crate::store::{Store, Unavailable};

/// So long, for each presence that is there, is waited after a change until all are read: 30 ms for ten services, four seconds for
/// a thousand. Ours: what one reading costs, some thousand times, so that all who read together do not fill a machine.
const PAUSE_PER_PRESENCE: Duration = Duration::from_millis(3);
/// And no longer.
const PAUSE_MAX: Duration = Duration::from_secs(4);

impl<S: Store> Forest<S> {
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
            self.store.came_or_went(&self.keys.presences(), after).await?;
            // What else changes meanwhile is read with it.
            tokio::time::sleep(pause).await;
        }
        self.list_presences().await
    }
}
