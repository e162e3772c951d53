//! Who synchronizes which Edge server, and when (EN-31, EN-32): of the admin services of its site the first by name that is there
//! and reaches it. Who is there says the directory, under leases, and whom each cannot reach: when one dies or is cut off, the next
//! takes over, and gives back. An Edge server that does not answer holds up no other.
//!
//! ```text
//!   leads ──cannot reach EDGE1──▶ says so, and looks whether EDGE1 answers; changes nothing there
//!     ▲                                │                    the next by name leads
//!     └──says no more──────────────────┘ it does
//! ```
//!
//! For the moment in which one hears of the other two may send at once: each sends the difference to the same directory, under the
//! condition that nothing changed meanwhile, so that one of them begins anew. When nobody reaches an Edge server, the first by name tries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use admin_api::{Compared, Comparison, EdgeSyncHandler, Synchronized, Whereabouts};
use async_trait::async_trait;
use directory::{Moment, Presence};
use envelope::{Address, ServerName, Service};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::{Organization, ServerRole};

use crate::error::SyncError;
use crate::recipients::{Depth, ToldBefore, ToldReport};
use crate::sync::{Compare, Difference, Inside, SyncReport};

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

/// Who hears how it goes.
pub trait Witness: Send + Sync {
    /// Edge servers that cannot be reached from here, all of them, for the others of the site.
    fn out_of_reach(&self, edges: &[ServerName]);

    /// An Edge server was told everything just now, or was tried for the first time.
    fn told(&self, edge: &ServerName);

    /// It is no Edge server of the site any more.
    fn gone(&self, edge: &ServerName);
}

/// Edge subscriptions of a site, kept by one of its servers.
pub struct Keeper {
    inside: Inside,
    known: Known,
    find: Arc<dyn Whereabouts>,
    witness: Arc<dyn Witness>,
    edges: Mutex<HashMap<ServerName, Arc<Kept>>>,
}

/// One Edge server.
#[derive(Default)]
struct Kept {
    /// Held by whoever synchronizes it.
    told: tokio::sync::Mutex<ToldBefore>,
    next: Mutex<Next>,
}

/// When it is synchronized next.
#[derive(Default)]
struct Next {
    at: Option<Instant>,
    /// The last change of the directory before it was synchronized.
    newest: Option<Moment>,
    failing: bool,
    /// The others are told so.
    out_of_reach: bool,
}

/// Whether `server` synchronizes the Edge server `edge` just now (EN-32), which is of its site.
#[must_use]
pub fn leads(organization: &Organization, presences: &[Presence], server: &ServerName, edge: &ServerName) -> bool {
    let site_of = |name| organization.server(name).map(|known| &known.site);
    let Some(site) = site_of(server).filter(|site| site_of(edge) == Some(*site)) else { return false };
    let there = presences.iter().filter(|presence| presence.service == Service::Admin);
    let of_site = there.filter(|presence| {
        let known = organization.server(&presence.server);
        known.is_some_and(|known| known.site == *site && known.role == ServerRole::Mailbox)
    });
    let first = of_site.min_by_key(|presence| (presence.out_of_reach.contains(edge), &presence.server));
    first.is_some_and(|first| first.server == *server)
}

impl Keeper {
    /// Of the site of the server that synchronizes.
    #[must_use]
    pub fn new(inside: Inside, known: Known, find: Arc<dyn Whereabouts>, witness: Arc<dyn Witness>) -> Arc<Self> {
        Arc::new(Self { inside, known, find, witness, edges: Mutex::default() })
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
        self.edges.lock().retain(|edge, _| {
            let is_there = subscribed.contains(edge);
            if !is_there {
                self.witness.gone(edge);
            }
            is_there
        });
        if subscribed.is_empty() {
            return Ok(());
        }
        let presences = self.inside.directory.presences().await?;
        let leads = |edge: &ServerName| leads(&organization, &presences, &self.inside.server, edge);
        let (own, others): (Vec<ServerName>, Vec<ServerName>) = subscribed.into_iter().partition(leads);
        others.into_iter().for_each(|edge| self.look_for(edge));
        if own.is_empty() {
            return Ok(());
        }
        // A recipient is a change of the directory, and none of the configuration.
        let newest = self.inside.newest().await?;
        for edge in own {
            let kept = self.kept(&edge);
            let due = {
                let next = kept.next.lock();
                let changed = next.newest != newest && !next.failing;
                let is_time = next.at.is_none_or(|at| at <= Instant::now());
                is_time.then_some(Depth::Compare).or(changed.then_some(Depth::Changes))
            };
            if let Some(depth) = due.filter(|_| kept.told.try_lock().is_ok()) {
                let keeper = Arc::clone(self);
                tokio::spawn(async move { drop(keeper.start(&edge, depth).await) });
            }
        }
        Ok(())
    }

    /// An Edge server that could not be reached: as soon as it answers, the others are told no more that it cannot.
    fn look_for(self: &Arc<Self>, edge: ServerName) {
        let kept = self.kept(&edge);
        if !kept.next.lock().out_of_reach {
            return;
        }
        let keeper = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_alone) = kept.told.try_lock() else { return };
            let Ok(at) = keeper.address(&edge).await else { return };
            if keeper.inside.reach(&at).await.is_ok() {
                *kept.next.lock() = Next::default();
                keeper.tell_all();
                tracing::info!(%edge, "an Edge server can be reached again");
            }
        });
    }

    /// Tells the others which Edge servers cannot be reached from here.
    fn tell_all(&self) {
        let edges = self.edges.lock();
        let away = edges.iter().filter(|(_, kept)| kept.next.lock().out_of_reach).map(|(edge, _)| edge.clone());
        let mut away: Vec<ServerName> = away.collect();
        away.sort();
        self.witness.out_of_reach(&away);
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
    pub async fn start(&self, edge: &ServerName, depth: Depth) -> Result<SyncReport, SyncError> {
        let kept = self.kept(edge);
        let mut told = kept.told.lock().await;
        let newest = self.inside.newest().await?;
        let done = match self.address(edge).await {
            Err(error) => Err(error),
            Ok(at) => {
                let synchronizing = self.inside.synchronize(edge, &at, &mut told, depth);
                let late = |_| Err(SyncError::Unreachable(format!("{edge} did not answer in time")));
                tokio::time::timeout(TIME_MAX, synchronizing).await.unwrap_or_else(late)
            }
        };
        self.plan_next(edge, &kept, newest, &done);
        done
    }

    /// When it is synchronized next, and by whom, after what came of it.
    fn plan_next(&self, edge: &ServerName, kept: &Kept, newest: Option<Moment>, done: &Result<SyncReport, SyncError>) {
        let mut next = kept.next.lock();
        let before = next.out_of_reach;
        if done.is_ok() || next.at.is_none() {
            self.witness.told(edge);
        }
        match done {
            Ok(report) => {
                let SyncReport { configuration, recipients } = report;
                let ToldReport { addresses, buckets, read, all_read } = recipients;
                if *configuration > 0 || *buckets > 0 || all_read.is_some() || next.failing || next.at.is_none() {
                    let why_all = all_read.as_deref().map(tracing::field::display);
                    tracing::info!(%edge, configuration, addresses, buckets, read, why_all, "an Edge server was synchronized");
                }
                *next = Next { at: Some(Instant::now() + INTERVAL), newest, failing: false, out_of_reach: false };
            }
            Err(error) => {
                if !next.failing {
                    tracing::warn!(%edge, %error, "an Edge server cannot be synchronized; tried again");
                }
                let out_of_reach = matches!(error, SyncError::Unreachable(_) | SyncError::NoAddress(_));
                *next = Next { at: Some(Instant::now() + RETRY), newest, failing: true, out_of_reach };
            }
        }
        let changed = before != next.out_of_reach;
        drop(next);
        if changed {
            self.tell_all();
        }
    }

    /// What differs now (EN-34). What is going on is waited for.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn compare(&self, edge: &ServerName, what: Compare) -> Result<Difference, SyncError> {
        let kept = self.edges.lock().get(edge).cloned().unwrap_or_default();
        let told = kept.told.lock().await;
        self.inside.compare(edge, &self.address(edge).await?, &told, what).await
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
        let depth = if full { Depth::Full } else { Depth::Compare };
        let SyncReport { configuration, recipients } =
            Self::start(self, edge, depth).await.map_err(|error| error.to_string())?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Synchronized {
            configuration: number(configuration),
            recipients: number(recipients.addresses),
            buckets: number(recipients.buckets),
            recipients_read: number(recipients.read),
            all_read: recipients.all_read.unwrap_or_default(),
        })
    }

    async fn test(&self, edge: &ServerName, what: Comparison<'_>) -> Result<Compared, String> {
        let what = match what {
            Comparison::Address(address) => {
                let verified = self.verify(edge, address).await.map_err(|error| error.to_string())?;
                return Ok(Compared { verified: Some(verified), ..Compared::default() });
            }
            Comparison::Configuration => Compare::Nothing,
            Comparison::All => Compare::Told,
            Comparison::Full => Compare::Each,
        };
        let Difference { configuration, buckets: (differ, all) } =
            self.compare(edge, what).await.map_err(|error| error.to_string())?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Compared { configuration, buckets_differ: number(differ), buckets: number(all), verified: None })
    }
}

#[cfg(test)]
mod tests {
    use envelope::{Revision, Timestamp};

    use super::*;

    // EN-32
    #[test]
    fn the_first_by_name_that_is_there_and_reaches_the_edge_server_synchronizes_it() {
        let text = "sites: [{name: Berlin}, {name: Oslo}]
servers:
- {name: BERLIN1, fqdn: berlin1.contoso.com, site: Berlin}
- {name: BERLIN2, fqdn: berlin2.contoso.com, site: Berlin}
- {name: AAA, fqdn: aaa.contoso.com, site: Oslo}
- {name: EDGE1, fqdn: edge1.contoso.com, site: Berlin, role: Edge}
- {name: EDGE2, fqdn: edge2.contoso.com, site: Berlin, role: Edge}
";
        let organization = organization::load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        let organization = organization.organization;
        let name = |text: &str| ServerName::parse(text).unwrap();
        let there = |server: &str, service, away: &[&str]| Presence {
            server: name(server),
            service,
            addresses: Vec::new(),
            started: Timestamp::from_millis(1),
            version: "1".to_owned(),
            applied_revision: Revision(1),
            out_of_reach: away.iter().map(|edge| name(edge)).collect(),
        };
        let who = |presences: &[Presence], edge: &str| {
            let all = ["BERLIN1", "BERLIN2", "AAA", "EDGE1"];
            all.into_iter().filter(|own| leads(&organization, presences, &name(own), &name(edge))).collect::<Vec<_>>()
        };
        let admin = |server, away: &[&str]| there(server, Service::Admin, away);
        let (one, two) = (admin("BERLIN1", &[]), admin("BERLIN2", &[]));
        let others = [admin("AAA", &[]), admin("EDGE1", &[]), there("BERLIN1", Service::Transport, &[])];
        let with = |more: &[&Presence]| more.iter().map(|one| (*one).clone()).chain(others.clone()).collect::<Vec<_>>();
        assert_eq!(who(&with(&[]), "EDGE1"), Vec::<&str>::new());
        assert_eq!(who(&with(&[&two, &one]), "EDGE1"), ["BERLIN1"]);
        assert_eq!(who(&with(&[&two]), "EDGE1"), ["BERLIN2"]);
        // Cut off from one Edge server and not from the other.
        let cut = admin("BERLIN1", &["EDGE1"]);
        assert_eq!(who(&with(&[&two, &cut]), "EDGE1"), ["BERLIN2"]);
        assert_eq!(who(&with(&[&two, &cut]), "EDGE2"), ["BERLIN1"]);
        // Nobody reaches it: exactly one goes on trying.
        let both = [&admin("BERLIN2", &["EDGE1"]), &cut];
        assert_eq!(who(&with(&both), "EDGE1"), ["BERLIN1"]);
    }
}
