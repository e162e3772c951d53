//! The service from start to end: the outboxes of the databases that are active here are watched, as the configuration
//! says at each time, and on a signal what is under way is finished.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use envelope::ObjectName;
use mailbox_store::Watcher;
use routing::RoutingTables;
use runtime::{Node, NodeError};
use telemetry::{Health, HealthChecks};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::outboxes;
use crate::submission::Core;

/// Submissions under way at a drain are waited for as long as one of them gets on within this time; the others stay in their
/// outboxes.
const SETTLE_PATIENCE: Duration = Duration::from_secs(20);

/// Why Mailbox Transport Submission cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum MailboxSubmissionError {
    /// The process around it.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Mailbox Transport Submission, ready to run. It opens no port: nobody calls it.
pub struct MailboxSubmission {
    core: Arc<Core>,
    drain: CancellationToken,
}

impl MailboxSubmission {
    /// Nothing is read yet. `watcher` is that of the process.
    ///
    /// # Errors
    /// None today.
    pub async fn build(
        node: Arc<Node>,
        watcher: Watcher,
        drain: CancellationToken,
    ) -> Result<Self, MailboxSubmissionError> {
        Ok(Self { core: Arc::new(Core::new(node, watcher)), drain })
    }

    /// Whether it lives and takes mail.
    #[must_use]
    pub fn health(&self) -> HealthChecks {
        let (drain, node) = (self.drain.clone(), Arc::clone(&self.core.node));
        HealthChecks::new(
            || Health::Good,
            move || match (drain.is_cancelled(), node.has_left()) {
                (true, _) => Health::Bad("draining".into()),
                (false, Some(why)) => Health::Bad(why.into()),
                (false, None) => Health::Good,
            },
        )
    }

    /// Runs until drained.
    ///
    /// # Errors
    /// None today, see [`Self::build`].
    pub async fn run(self) -> Result<(), MailboxSubmissionError> {
        let Self { core, drain } = self;
        let mut tables = core.node.watch_tables();
        let mut watched = Watched::new(Arc::clone(&core), drain.clone());
        core.node.announce(None);
        tracing::info!(service = %core.node.service, "ready");
        loop {
            watched.follow(&tables.borrow_and_update().clone());
            tokio::select! {
                () = drain.cancelled() => break,
                () = watched.ended() => {}
                changed = tables.changed() => if changed.is_err() {
                    break; // the node is going down
                },
            }
        }
        watched.settle().await;
        Ok(())
    }
}

/// One task per database.
struct Watched {
    core: Arc<Core>,
    drain: CancellationToken,
    stops: HashMap<ObjectName, (CancellationToken, Id)>,
    tasks: JoinSet<()>,
}

impl Watched {
    fn new(core: Arc<Core>, drain: CancellationToken) -> Self {
        Self { core, drain, stops: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Begins with the databases that have become active here, and ends with those that no longer are (PL-11). One that
    /// comes back waits until its former task has ended, so that no message is in hand twice.
    fn follow(&mut self, tables: &RoutingTables) {
        let organization = tables.organization();
        let server = self.core.node.server().clone();
        let has_left = self.core.node.has_left().is_some();
        for (name, (stop, _)) in &self.stops {
            if has_left || organization.database(name).is_none_or(|database| database.active_server() != &server) {
                stop.cancel();
            }
        }
        for database in organization.databases_active_on(&server).filter(|_| !has_left) {
            if !self.stops.contains_key(&database.name) {
                let stop = self.drain.child_token();
                let work = outboxes::run(Arc::clone(&self.core), database.name.clone(), stop.clone());
                let task = self.tasks.spawn(work);
                self.stops.insert(database.name.clone(), (stop, task.id()));
            }
        }
    }

    /// Waits until a database's task has ended. Cancelling loses nothing.
    async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            None => std::future::pending().await,
            Some(ended) => {
                let ended = ended.map_or_else(|error| error.id(), |(id, ())| id);
                self.stops.retain(|_, (_, id)| *id != ended);
            }
        }
    }

    async fn settle(mut self) {
        self.stops.values().for_each(|(stop, _)| stop.cancel());
        let tasks = &mut self.tasks;
        let settled = async { while tasks.join_next().await.is_some() {} };
        if self.core.progress.wait_for(settled, SETTLE_PATIENCE).await.is_none() {
            tracing::warn!("not every submission was settled in time; those are in their outboxes");
        }
    }
}
