//! Following the directory: each new snapshot becomes routing tables, each presence an address.
//!
//! An invalid change never replaces a good snapshot: it is reported and the last good one stays. While the directory is
//! away nothing changes at all, for as long as that lasts.

use std::sync::Arc;

use directory::{Announcement, Configuration, Presences, WatchEvent};
use envelope::{Revision, ServerName};
use futures::StreamExt;
use parking_lot::Mutex;
use routing::RoutingTables;
use telemetry::Metrics;
use tokio::sync::watch;

use crate::peers::{PeerBook, PeerHealth};

/// Turns new snapshots into tables for as long as anybody reads them.
pub(crate) struct Follower {
    pub(crate) directory: Arc<dyn Configuration>,
    pub(crate) server: ServerName,
    pub(crate) metrics: Metrics,
    pub(crate) tables: watch::Sender<Arc<RoutingTables>>,
    pub(crate) announcements: Arc<Mutex<Vec<Announcement>>>,
}

impl Follower {
    pub(crate) async fn run(self) {
        let applied = self.tables.borrow().revision();
        self.applied(applied);
        let mut changes = self.directory.watch(applied);
        loop {
            let event = tokio::select! {
                () = self.tables.closed() => return,
                event = changes.next() => event,
            };
            match event {
                Some(WatchEvent::Snapshot(organization)) => self.apply(organization),
                Some(WatchEvent::Rejected { revision, reason }) => {
                    tracing::error!(%revision, reason, "a change of the configuration is invalid and is not applied");
                }
                Some(WatchEvent::Unavailable(reason)) => {
                    tracing::warn!(reason, "the directory is away; the last good configuration stays in use");
                }
                None => return,
            }
        }
    }

    fn apply(&self, organization: Arc<topology::Organization>) {
        let revision = organization.revision();
        match RoutingTables::build(organization, &self.server) {
            Ok(tables) => {
                self.tables.send_replace(Arc::new(tables));
                self.applied(revision);
            }
            Err(error) => {
                tracing::error!(%revision, %error, "the configuration cannot be used here and is not applied")
            }
        }
    }

    fn applied(&self, revision: Revision) {
        self.metrics.revision.set(revision.0);
        for announcement in self.announcements.lock().iter() {
            announcement.update(|presence| presence.applied_revision = revision);
        }
        tracing::info!(%revision, "configuration applied");
    }
}

/// Keeps the book of addresses for as long as anybody reads it. What failed before its last start has not failed.
pub(crate) async fn follow_presences(
    directory: Arc<dyn Presences>,
    book: watch::Sender<Arc<PeerBook>>,
    health: PeerHealth,
) {
    let mut changes = directory.watch_presences();
    loop {
        let presences = tokio::select! {
            () = book.closed() => return,
            presences = changes.next() => presences,
        };
        let Some(presences) = presences else { return };
        let before = Arc::clone(&book.borrow());
        let updated = before.updated(&presences);
        for (server, service) in updated.started_since(&before) {
            health.started(&server, service);
        }
        book.send_replace(Arc::new(updated));
    }
}
