//! Following the configuration, whatever happens to the backend.
//!
//! Each change leads to reading the whole configuration again: after a lost connection, a restart or a compaction nothing
//! else is needed, and a change of several objects is never seen in part.
//!
//! ```text
//!            ┌───────────── changed ◀────────────┐
//!   start ─▶ read ── newer, valid ─▶ Snapshot ──▶ wait          (again, when what was refused is gone)
//!             │ ├──── not valid, or older ─▶ Rejected ─▶ wait      (the last good snapshot stays)
//!             │ ├──── nothing new ──────────────────────▶ wait
//!             │ └──── after Unavailable ─▶ Back (once) ─▶ read
//!             └─ no answer ─▶ Unavailable (once) ─▶ pause ─▶ read
//! ```

use std::sync::Arc;

use envelope::Revision;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::view::View;
use super::{Backoff, Forest};
use crate::directory::WatchEvent;
use crate::store::{Store, Unavailable};

/// Somebody who is told of every newer snapshot until he goes.
struct Watcher<S> {
    forest: Forest<S>,
    /// Revision of the last good snapshot.
    good: Revision,
    /// Store revision at the last reading; `None`: read again.
    read_at: Option<u64>,
    /// The last revision that was reported as not applied.
    rejected: Option<Revision>,
    away: bool,
    backoff: Backoff,
}

impl<S: Store> Forest<S> {
    pub(super) fn watch_configuration(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        let watcher = Watcher {
            forest: self.clone(),
            good: after,
            read_at: None,
            rejected: None,
            away: false,
            backoff: Backoff::default(),
        };
        stream::unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await;
            Some((event, watcher))
        })
        .boxed()
    }
}

impl<S: Store> Watcher<S> {
    async fn next(&mut self) -> WatchEvent {
        loop {
            let event = match self.read().await {
                Ok(_) if std::mem::take(&mut self.away) => Some(WatchEvent::Back),
                Ok(view) => {
                    self.backoff.reset();
                    self.read_at = Some(view.store_revision);
                    self.judge(&view)
                }
                Err(error) => self.lost(error).await,
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    async fn read(&mut self) -> Result<View, Unavailable> {
        if let Some(after) = self.read_at.take() {
            self.forest.store.changed(&self.forest.keys.configuration(), after).await?;
        }
        self.forest.view().await
    }

    fn judge(&mut self, view: &View) -> Option<WatchEvent> {
        if view.revision < self.good {
            let text = format!(
                "the directory went back from revision {} to {} (was it restored from a backup?); `postroad apply \
                 --restored FILE` makes it count",
                self.good, view.revision
            );
            return self.reject(view.revision, text);
        }
        // Told again when what was refused is gone: whoever counts that as an error learns that it is over.
        if view.revision == self.good && view.complete().is_ok() && self.rejected.is_none() {
            return None;
        }
        match view.organization() {
            Ok(organization) => {
                (self.good, self.rejected) = (view.revision, None);
                Some(WatchEvent::Snapshot(Arc::new(organization)))
            }
            Err(reason) => self.reject(view.revision, reason),
        }
    }

    fn reject(&mut self, revision: Revision, reason: String) -> Option<WatchEvent> {
        if self.rejected.replace(revision) == Some(revision) {
            return None;
        }
        Some(WatchEvent::Rejected { revision, reason })
    }

    async fn lost(&mut self, error: Unavailable) -> Option<WatchEvent> {
        self.backoff.pause().await;
        if std::mem::replace(&mut self.away, true) { None } else { Some(WatchEvent::Unavailable(error.0)) }
    }
}
