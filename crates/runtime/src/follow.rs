//! Following the directory: each new snapshot becomes routing tables, each presence an address.
//!
//! An invalid change never replaces a good snapshot: it is reported and the last good one stays. While the directory is
//! away nothing changes at all, for as long as that lasts.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use directory::{Announcement, Directory, Presences, WatchEvent};
use envelope::{Revision, ServerName};
use futures::StreamExt;
use parking_lot::Mutex;
use routing::{BuildError, RoutingTables};
use telemetry::Metrics;
use tokio::sync::watch;

use crate::peers::{Healths, PeerBook};

/// How often the members of the directory are asked, each by itself.
const MEMBERS_LOOK: Duration = Duration::from_secs(30);

/// What a service says of itself.
pub(crate) type Announcements = Arc<Mutex<Vec<Announcement>>>;
/// What the services of a server say of themselves, each as long as it is there.
pub(crate) type Announced = Arc<Mutex<Vec<Weak<Mutex<Vec<Announcement>>>>>>;

/// Turns new snapshots into tables for as long as anybody reads them.
pub(crate) struct Follower {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) server: ServerName,
    pub(crate) metrics: Metrics,
    pub(crate) tables: watch::Sender<Arc<RoutingTables>>,
    /// Whether the directory is away.
    pub(crate) away: watch::Sender<bool>,
    /// Whether the configuration has this server no more.
    pub(crate) left: watch::Sender<bool>,
    /// Of the services of this server that are still there.
    pub(crate) announced: Announced,
}

impl Follower {
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.follow() => {}
            never = self.look_at_members() => match never {},
        }
    }

    /// One of several that is dead is felt by nobody as long as the others answer: somebody has to look.
    async fn look_at_members(&self) -> Infallible {
        self.metrics.directory_members_away.set(0);
        loop {
            // Not at once: where everything starts together, nobody answers in time.
            tokio::time::sleep(MEMBERS_LOOK).await;
            let members = self.directory.members().await;
            let away = members.iter().filter(|member| member.failure.is_some()).count();
            self.metrics.directory_members_away.set(away as u64);
        }
    }

    async fn follow(&self) {
        let applied = self.tables.borrow().revision();
        self.applied(applied);
        self.away(false);
        self.metrics.configuration_refused.set(0);
        let mut changes = self.directory.watch(applied);
        loop {
            let event = tokio::select! {
                () = self.tables.closed() => return,
                event = changes.next() => event,
            };
            match event {
                Some(WatchEvent::Snapshot(organization)) => self.apply(organization),
                Some(WatchEvent::Rejected { revision, reason }) => {
                    tracing::error!(%revision, reason, "what the directory holds is not applied");
                    self.metrics.configuration_refused.set(1);
                }
                Some(WatchEvent::Unavailable(reason)) => {
                    tracing::warn!(reason, "the directory is away; the last good configuration stays in use");
                    self.away(true);
                }
                Some(WatchEvent::Back) => {
                    tracing::info!("the directory is back");
                    self.away(false);
                }
                None => return,
            }
        }
    }

    fn apply(&self, organization: Arc<topology::Organization>) {
        let revision = organization.revision();
        match RoutingTables::build(organization, &self.server) {
            Ok(tables) => {
                self.left.send_replace(false);
                self.tables.send_replace(Arc::new(tables));
                self.metrics.configuration_refused.set(0);
                self.applied(revision);
            }
            Err(BuildError::UnknownServer(server)) => {
                if !self.left.send_replace(true) {
                    tracing::warn!(%revision, %server, "this server has left the organization: no new mail is taken");
                }
                // Whoever follows the configuration looks again.
                self.tables.send_modify(|_| {});
            }
            Err(error) => {
                tracing::error!(%revision, %error, "the configuration cannot be used here and is not applied");
                self.metrics.configuration_refused.set(1);
            }
        }
    }

    fn away(&self, away: bool) {
        self.metrics.directory_away.set(u64::from(away));
        self.away.send_replace(away);
    }

    fn applied(&self, revision: Revision) {
        self.metrics.revision.set(revision.0);
        self.announced.lock().retain(|of_service| {
            let Some(of_service) = of_service.upgrade() else { return false };
            for announcement in of_service.lock().iter() {
                announcement.update(|presence| presence.applied_revision = revision);
            }
            true
        });
        tracing::info!(%revision, "configuration applied");
    }
}

/// Keeps the book of addresses for as long as anybody reads it. What failed before its last start has not failed, whichever server of
/// this process knows of it.
pub(crate) async fn follow_presences(
    directory: Arc<dyn Presences>,
    book: watch::Sender<Arc<PeerBook>>,
    healths: Healths,
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
        let started = updated.started_since(&before);
        for health in healths.lock().values() {
            started.iter().for_each(|(server, service)| health.started(server, *service));
        }
        book.send_replace(Arc::new(updated));
    }
}
