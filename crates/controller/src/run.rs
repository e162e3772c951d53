//! The controller from start to end: it waits for the Lease, and with it goes round after every change of the cluster and of the
//! directory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use directory::{Administration, Author, CommitError, ReadError};
use envelope::{Revision, ServerName, Timestamp};
use futures::StreamExt;
use organization::{Object, Secrets};
use parking_lot::Mutex;
use telemetry::metrics::{ResourceState, RoundOutcome};
use telemetry::{Health, HealthChecks, Metrics};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, ClusterError};
use crate::lease::{LEASE, Lease, RENEWAL};
use crate::resource::{KINDS, Resource};
use crate::round::{Reason, Round, Verdict, decide};
use crate::status;

/// What belongs together comes together: `kubectl apply` of many resources is one round.
const GATHER: Duration = Duration::from_millis(200);
/// A round without anything having changed: what no watch told is found then.
const RESYNC: Duration = Duration::from_secs(300);
/// After a round that failed the next one waits, each time twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(300);
/// A watch that cannot begin waits the same way, and not as long: it is small.
const WATCH_RETRY_MOST: Duration = Duration::from_secs(30);
/// A round that takes longer is given up: thousands of resources are told within it.
const ROUND_MOST: Duration = Duration::from_secs(600);

/// Seals credentials against the objects that are stored. Blocks: it is asked beside the runtime.
pub trait Seals: Send + Sync + 'static {
    /// Calls `then` with the secrets.
    ///
    /// # Errors
    /// Why nothing can be sealed.
    fn with(&self, current: &[Object], then: &mut dyn FnMut(&dyn Secrets)) -> Result<(), String>;
}

/// What a controller is given.
pub struct ControllerSettings {
    /// Who it is among several: the name of its pod.
    pub holder: String,
    /// Who changes the organization.
    pub author: Author,
    /// The time of now.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The controller, ready to run.
pub struct Controller {
    cluster: Cluster,
    directory: Arc<dyn Administration>,
    seals: Arc<dyn Seals>,
    settings: ControllerSettings,
    metrics: Metrics,
    /// What stands in its way, for probes.
    failure: Arc<Mutex<Option<String>>>,
}

/// Why a round did not come to its end.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("{0}")]
    Seal(String),
    #[error("it took longer than {} s", ROUND_MOST.as_secs())]
    Late,
}

impl Controller {
    /// Puts it together.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        directory: Arc<dyn Administration>,
        seals: Arc<dyn Seals>,
        settings: ControllerSettings,
        metrics: Metrics,
    ) -> Self {
        Self { cluster, directory, seals, settings, metrics, failure: Arc::default() }
    }

    /// Alive: always, while it answers. Ready: it waits for the Lease, or has it and its last round went through.
    #[must_use]
    pub fn health(&self) -> HealthChecks {
        let failure = Arc::clone(&self.failure);
        let ready = move || match &*failure.lock() {
            None => Health::Good,
            Some(failure) => Health::Bad(failure.as_str().into()),
        };
        HealthChecks::new(|| Health::Good, ready)
    }

    /// Runs until `drain`.
    pub async fn run(self, drain: CancellationToken) {
        let mut lease = Lease::new(self.cluster.clone(), self.settings.holder.clone());
        loop {
            let now = self.now();
            let taken = tokio::select! {
                () = drain.cancelled() => break,
                taken = lease.take(&now) => taken,
            };
            match taken {
                Ok(true) => self.lead(&mut lease, &drain).await,
                Ok(false) => self.tell(None),
                Err(error) => {
                    tracing::warn!(%error, "the lease cannot be asked for");
                    self.tell(Some(error.to_string()));
                }
            }
            tokio::select! {
                () = drain.cancelled() => break,
                () = tokio::time::sleep(RENEWAL) => {}
            }
        }
        let _ = tokio::time::timeout(RENEWAL, lease.release(&self.now())).await;
    }

    fn tell(&self, failure: Option<String>) {
        *self.failure.lock() = failure;
    }

    /// Works for as long as the lease is renewed.
    async fn lead(&self, lease: &mut Lease, drain: &CancellationToken) {
        tracing::info!(holder = self.settings.holder, "this controller leads");
        self.metrics.controller_leading.set(1);
        tokio::select! {
            () = self.keep(lease) => tracing::warn!("the lease was lost"),
            () = self.rounds() => {}
            () = drain.cancelled() => {}
        }
        self.metrics.controller_leading.set(0);
    }

    /// Returns when the lease is lost: it is somebody else's, or could not be renewed for as long as it is given for.
    async fn keep(&self, lease: &mut Lease) {
        let mut until = Instant::now() + LEASE;
        loop {
            tokio::time::sleep(RENEWAL).await;
            let begun = Instant::now();
            match tokio::time::timeout_at(until, lease.take(&self.now())).await {
                Ok(Ok(true)) => until = begun + LEASE,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lease cannot be renewed");
                    if Instant::now() >= until {
                        return;
                    }
                }
            }
        }
    }

    fn now(&self) -> String {
        written((self.settings.clock)())
    }

    async fn rounds(&self) {
        let mut changes = self.follow();
        let mut retry = RETRY_FIRST;
        loop {
            let ended = tokio::time::timeout(ROUND_MOST, self.round()).await;
            match ended.unwrap_or(Err(RoundError::Late)) {
                Ok(outcome) => {
                    self.metrics.controller_rounds.add(outcome, 1);
                    self.tell(None);
                    retry = RETRY_FIRST;
                    // What was refused for its own sake waits for a change.
                    let _ = tokio::time::timeout(RESYNC, changes.recv()).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a round failed");
                    self.metrics.controller_rounds.add(RoundOutcome::Failed, 1);
                    self.tell(Some(error.to_string()));
                    // Changes do not hurry what failed: there would be no end of trying.
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MOST);
                }
            }
            tokio::time::sleep(GATHER).await;
            while changes.try_recv().is_ok() {}
        }
    }

    /// Is told of every change: of resources, of the configuration, of who is there. One that waits to be looked at stands for all.
    fn follow(&self) -> mpsc::Receiver<()> {
        let (told, changes) = mpsc::channel(1);
        for kind in KINDS {
            let (cluster, told) = (self.cluster.clone(), told.clone());
            tokio::spawn(async move {
                let watching = async {
                    let tell = || {
                        let _ = told.try_send(());
                    };
                    let mut pause = RETRY_FIRST;
                    loop {
                        let watched = cluster.watch(kind, &tell).await;
                        if let Err(error) = &watched {
                            tracing::debug!(%error, %kind, "a watch cannot begin");
                        }
                        pause = if watched.is_ok() { RETRY_FIRST } else { (pause * 2).min(WATCH_RETRY_MOST) };
                        tokio::time::sleep(pause).await;
                    }
                };
                tokio::select! {
                    () = watching => {}
                    () = told.closed() => {}
                }
            });
        }
        let mut configuration = self.directory.watch(Revision(0));
        let mut presences = self.directory.watch_presences();
        tokio::spawn(async move {
            loop {
                let there = tokio::select! {
                    event = configuration.next() => event.is_some(),
                    event = presences.next() => event.is_some(),
                    () = told.closed() => false,
                };
                if !there {
                    return;
                }
                let _ = told.try_send(());
            }
        });
        changes
    }

    async fn round(&self) -> Result<RoundOutcome, RoundError> {
        let mut resources = self.cluster.resources().await?;
        let organization = self.directory.snapshot().await?;
        let current = organization::objects(organization.draft(), &[]);
        let mut unclaimed = Ok(());
        let Round { plan, mut verdicts } = loop {
            let round = self.decide(&resources, &current).await?;
            match self.claim(&mut resources, &round.verdicts).await {
                Claimed::All => break round,
                Claimed::Without(error) => unclaimed = unclaimed.and(error.map_or(Ok(()), Err)),
            }
        };
        let (mut revision, mut outcome) = (organization.revision(), RoundOutcome::Unchanged);
        let mut failed = None;
        if !plan.is_empty() {
            match directory::apply(self.directory.as_ref(), plan, revision, &self.settings.author).await {
                Ok(made) => (revision, outcome) = (made, RoundOutcome::Changed),
                Err(error) => {
                    not_committed(&mut verdicts, &error);
                    failed = Some(error);
                }
            }
        }
        let reported = self.report(&resources, &verdicts, revision).await;
        if let Some(error) = failed {
            return Err(error.into());
        }
        reported?;
        unclaimed?;
        Ok(outcome)
    }

    async fn decide(&self, resources: &[Resource], current: &[Object]) -> Result<Round, RoundError> {
        let (resources, current, seals) = (resources.to_vec(), current.to_vec(), Arc::clone(&self.seals));
        let decided = tokio::task::spawn_blocking(move || {
            let mut round = None;
            seals.with(&current, &mut |secrets| round = Some(decide(&resources, &current, secrets)))?;
            round.ok_or_else(|| "nothing was decided".to_owned())
        });
        decided.await.map_err(|error| RoundError::Seal(error.to_string()))?.map_err(RoundError::Seal)
    }

    /// Before an object is made or changed its resource says that it is managed. One of which that cannot be said takes no part, and
    /// stops nobody else.
    async fn claim(&self, resources: &mut [Resource], verdicts: &[Verdict]) -> Claimed {
        let (mut all, mut first) = (true, None);
        for (resource, verdict) in resources.iter_mut().zip(verdicts) {
            if !matches!(verdict, Verdict::Accepted { .. }) || resource.managed {
                continue;
            }
            match self.cluster.finalize(resource, true).await {
                Ok(version) => (resource.version, resource.managed) = (version, true),
                Err(error) => {
                    tracing::info!(%error, resource.key, "a resource cannot be marked as managed");
                    all = false;
                    resource.held = Some(error.to_string());
                    first = first.or_else(|| of_weight(error));
                }
            }
        }
        if all { Claimed::All } else { Claimed::Without(first) }
    }

    /// Tells every resource what became of it, and lets those go whose objects are gone. Who cannot be told stops nobody else.
    async fn report(&self, resources: &[Resource], verdicts: &[Verdict], revision: Revision) -> Result<(), RoundError> {
        let organization = self.directory.snapshot().await?;
        let servers = status::servers(&organization, &self.directory.presences().await?);
        let now = self.now();
        let (mut accepted, mut refused) = (0, 0);
        let mut told = Ok(());
        for (resource, verdict) in resources.iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted { .. } => accepted += 1,
                Verdict::Refused { .. } | Verdict::Stays { .. } => refused += 1,
                Verdict::Gone => {}
            }
            if let Err(error) = self.report_one(resource, verdict, revision, &servers, &now).await {
                tracing::info!(%error, resource.key, "a resource cannot be told what became of it");
                told = told.and(of_weight(error).map_or(Ok(()), Err));
            }
        }
        self.metrics.controller_resources.set(ResourceState::Accepted, accepted);
        self.metrics.controller_resources.set(ResourceState::Refused, refused);
        Ok(told?)
    }

    async fn report_one(
        &self,
        resource: &Resource,
        verdict: &Verdict,
        revision: Revision,
        servers: &BTreeMap<ServerName, Revision>,
        now: &str,
    ) -> Result<(), ClusterError> {
        if let Some(event) = status::event(resource, verdict, revision) {
            self.cluster.tell(resource, event, &self.settings.holder, now).await;
        }
        match status::next(resource, verdict, revision, servers, now) {
            Some(next) if next != resource.status => self.cluster.set_status(resource, &next).await,
            None if resource.managed => self.cluster.finalize(resource, false).await.map(drop),
            _ => Ok(()),
        }
    }
}

/// Whether every resource that is accepted says that it is managed.
enum Claimed {
    All,
    /// Some are held; with the first error that is to be tried again.
    Without(Option<ClusterError>),
}

/// What is to be tried again soon. Nothing for a resource that went meanwhile, or that somebody changed: the watch tells of that. Nothing
/// for one that is not taken as it is either, or all the others would wait for it.
fn of_weight(error: ClusterError) -> Option<ClusterError> {
    match error {
        ClusterError::Absent(_) | ClusterError::Conflict(_) | ClusterError::Refused(_) => None,
        other => Some(other),
    }
}

/// What was not committed stays as it was, deletions too.
fn not_committed(verdicts: &mut [Verdict], error: &CommitError) {
    let text = error.to_string();
    for verdict in verdicts {
        match verdict {
            Verdict::Accepted { changes: true, .. } => {
                *verdict = Verdict::Refused { reason: Reason::NotCommitted, text: text.clone() };
            }
            Verdict::Gone => *verdict = Verdict::Stays { text: text.clone() },
            _ => {}
        }
    }
}

/// RFC 3339 with microseconds, as Kubernetes writes its own.
fn written(now: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let nanoseconds = i128::from(now.as_millis()) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&format).unwrap_or_default()
}
