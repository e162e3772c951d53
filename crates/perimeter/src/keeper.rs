//! Who synchronizes which Edge server, and when (EN-31, EN-32): of the admin services of its site the first by name that is there.
//! Who is there says the directory, under leases: when that one dies, the next takes over. An Edge server that does not answer
//! holds up no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use admin_api::{Compared, EdgeSyncHandler, Synchronized, Whereabouts};
use async_trait::async_trait;
use directory::Presence;
use envelope::{Address, Revision, ServerName, Service};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::{Organization, ServerRole};

use crate::sync::{Difference, Inside, Sent, SyncError, SyncReport};

/// The longest time between two synchronizations: the documented interval of configuration (EN-31). Recipients and the topology, for
/// which it is 5 minutes, come along.
pub const INTERVAL: Duration = Duration::from_secs(3 * 60);
/// How often it is looked whether there is something to do: a change is on its way within this time.
const LOOK: Duration = Duration::from_secs(5);
/// After a failure.
const RETRY: Duration = Duration::from_secs(30);
/// Longest time for one synchronization.
const TIME_MAX: Duration = Duration::from_secs(10 * 60);

/// What tells the configuration that this process works by, which it follows anyway.
pub type Known = Arc<dyn Fn() -> Arc<Organization> + Send + Sync>;

/// Edge subscriptions of a site, kept by one of its servers.
pub struct Keeper {
    inside: Inside,
    known: Known,
    find: Arc<dyn Whereabouts>,
    edges: Mutex<HashMap<ServerName, Arc<Kept>>>,
}

/// One Edge server.
#[derive(Default)]
struct Kept {
    /// Held by whoever synchronizes it.
    sent: tokio::sync::Mutex<Sent>,
    next: Mutex<Next>,
}

/// When it is synchronized next.
#[derive(Default)]
struct Next {
    at: Option<Instant>,
    /// The last change of the directory before it was synchronized.
    newest: Option<Revision>,
    failing: bool,
}

/// Whether `server` synchronizes the Edge servers of its site just now (EN-32).
#[must_use]
pub fn leads(organization: &Organization, presences: &[Presence], server: &ServerName) -> bool {
    let Some(site) = organization.server(server).map(|own| &own.site) else { return false };
    let there = presences.iter().filter(|presence| presence.service == Service::Admin);
    let of_site = there.filter(|presence| {
        let known = organization.server(&presence.server);
        known.is_some_and(|known| known.site == *site && known.role == ServerRole::Mailbox)
    });
    of_site.map(|presence| &presence.server).min() == Some(server)
}

impl Keeper {
    /// Of the site of the server that synchronizes.
    #[must_use]
    pub fn new(inside: Inside, known: Known, find: Arc<dyn Whereabouts>) -> Arc<Self> {
        Arc::new(Self { inside, known, find, edges: Mutex::default() })
    }

    /// Runs until drained.
    pub async fn run(self: Arc<Self>, drain: CancellationToken) {
        loop {
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "Edge servers cannot be looked at now");
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(self: &Arc<Self>) -> Result<(), SyncError> {
        // Without Edge servers in its site, a server asks the directory nothing.
        let organization = (self.known)();
        let Some(own) = organization.server(&self.inside.server) else { return Ok(()) };
        let of_site =
            organization.servers().iter().filter(|server| server.role == ServerRole::Edge && server.site == own.site);
        let subscribed: Vec<ServerName> =
            of_site.filter(|edge| edge.edge.forest.is_some()).map(|edge| edge.name.clone()).collect();
        self.edges.lock().retain(|edge, _| subscribed.contains(edge));
        if subscribed.is_empty()
            || !leads(&organization, &self.inside.directory.presences().await?, &self.inside.server)
        {
            return Ok(());
        }
        // A recipient is a change of the directory, and none of the configuration.
        let newest = self.inside.newest().await?;
        for edge in subscribed {
            let kept = self.kept(&edge);
            let due = {
                let next = kept.next.lock();
                let changed = next.newest != newest && !next.failing;
                changed || next.at.is_none_or(|at| at <= Instant::now())
            };
            if due && kept.sent.try_lock().is_ok() {
                let keeper = Arc::clone(self);
                tokio::spawn(async move { drop(keeper.start(&edge, false).await) });
            }
        }
        Ok(())
    }

    fn kept(&self, edge: &ServerName) -> Arc<Kept> {
        Arc::clone(self.edges.lock().entry(edge.clone()).or_default())
    }

    async fn address(&self, edge: &ServerName) -> Result<rpc::PeerAddress, SyncError> {
        match self.find.find(edge, Service::Admin).await {
            Some(address) => Ok(address),
            None => Err(SyncError::NoAddress(edge.clone())),
        }
    }

    /// Synchronizes an Edge server now (EN-33). What was going on is waited for.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn start(&self, edge: &ServerName, full: bool) -> Result<SyncReport, SyncError> {
        let kept = self.kept(edge);
        let mut sent = kept.sent.lock().await;
        let newest = self.inside.newest().await?;
        let at = self.address(edge).await?;
        let synchronizing = self.inside.synchronize(edge, &at, &mut sent, full);
        let done = match tokio::time::timeout(TIME_MAX, synchronizing).await {
            Ok(done) => done,
            Err(_) => Err(SyncError::Edge(format!("{edge} did not answer in time"))),
        };
        let mut next = kept.next.lock();
        match &done {
            Ok(report) => {
                if report.configuration > 0 || report.buckets > 0 || next.failing || next.at.is_none() {
                    let SyncReport { configuration, recipients, buckets } = report;
                    tracing::info!(%edge, configuration, recipients, buckets, "an Edge server was synchronized");
                }
                *next = Next { at: Some(Instant::now() + INTERVAL), newest, failing: false };
            }
            Err(error) => {
                if !next.failing {
                    tracing::warn!(%edge, %error, "an Edge server cannot be synchronized; tried again");
                }
                *next = Next { at: Some(Instant::now() + RETRY), newest, failing: true };
            }
        }
        done
    }

    /// What differs now (EN-34).
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn compare(&self, edge: &ServerName) -> Result<Difference, SyncError> {
        self.inside.compare(edge, &self.address(edge).await?).await
    }

    /// Whether an Edge server knows an address as the organization does.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn verify(&self, edge: &ServerName, address: &Address) -> Result<Option<bool>, SyncError> {
        self.inside.verify(edge, &self.address(edge).await?, address).await
    }
}

#[async_trait]
impl EdgeSyncHandler for Keeper {
    async fn start(&self, edge: &ServerName, full: bool) -> Result<Synchronized, String> {
        let SyncReport { configuration, recipients, buckets } =
            Self::start(self, edge, full).await.map_err(|error| error.to_string())?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Synchronized {
            configuration: number(configuration),
            recipients: number(recipients),
            buckets: number(buckets),
        })
    }

    async fn test(&self, edge: &ServerName, address: Option<&Address>) -> Result<Compared, String> {
        if let Some(address) = address {
            let verified = self.verify(edge, address).await.map_err(|error| error.to_string())?;
            return Ok(Compared { verified: Some(verified), ..Compared::default() });
        }
        let Difference { configuration, buckets: (differ, all) } =
            self.compare(edge).await.map_err(|error| error.to_string())?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Compared { configuration, buckets_differ: number(differ), buckets: number(all), verified: None })
    }
}
