//! What the services of a process share, however many there are, and of however many servers: one follower of the directory, one book
//! of addresses, and for each server one set of routing tables.
//!
//! ```text
//!   directory ─▶ Ground: snapshot, presences ─▶ book of addresses ─┬─▶ Home of a server: its tables, its peers' failures ─▶ Node, Node, …
//!                                                                  └─▶ Home of another one ─▶ …
//! ```
//!
//! Services that show the directory different certificates have each a ground of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use directory::{LastGood, Shared};
use envelope::ServerName;
use net::Service;
use routing::RoutingTables;
use telemetry::Metrics;
use tokio::sync::watch;

use crate::error::NodeError;
use crate::follow::{Announced, Announcements, Follower, follow_presences};
use crate::opening::{directory_known_as, first_tables, open_backend_as};
use crate::peers::{Healths, PeerBook, PeerHealth};
use crate::settings::Settings;

/// What the services of this process have in common. Cheap to clone.
#[derive(Clone, Default)]
pub struct Commons(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// By how the directory is asked.
    grounds: tokio::sync::Mutex<BTreeMap<String, Ground>>,
    /// By the ground and the server.
    homes: tokio::sync::Mutex<BTreeMap<(String, ServerName), Home>>,
    healths: Healths,
}

/// A directory, as it is followed.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) directory: Arc<Shared>,
    remembered: Arc<LastGood>,
    pub(crate) book: watch::Receiver<Arc<PeerBook>>,
}

/// What all services of a server live by.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) tables: watch::Receiver<Arc<RoutingTables>>,
    pub(crate) away: watch::Receiver<bool>,
    pub(crate) left: watch::Receiver<bool>,
    pub(crate) health: PeerHealth,
    /// Of its services, each as long as the service is there.
    announced: Announced,
}

impl Home {
    /// A list for what a further service says of itself.
    pub(crate) fn announcements(&self) -> Announcements {
        let own = Announcements::default();
        self.announced.lock().push(Arc::downgrade(&own));
        own
    }
}

impl Commons {
    /// Which services of other servers failed lately, as a server of this process knows it.
    #[must_use]
    pub fn health(&self, server: &ServerName) -> PeerHealth {
        self.0.healths.lock().entry(server.clone()).or_default().clone()
    }

    /// The directory that these settings name, as this service may ask it.
    pub(crate) async fn ground(&self, settings: &Settings, service: Service) -> Result<Ground, NodeError> {
        let mut grounds = self.0.grounds.lock().await;
        let known_as = directory_known_as(settings, service.as_str());
        let ground = match grounds.get(&known_as) {
            Some(ground) => ground.clone(),
            None => {
                let ground = Ground::open(settings, service, Arc::clone(&self.0.healths))?;
                grounds.insert(known_as, ground.clone());
                ground
            }
        };
        Ok(ground)
    }

    /// What a server lives by, once there is a configuration that has it.
    pub(crate) async fn home(
        &self,
        ground: &Ground,
        settings: &Settings,
        service: Service,
        metrics: Metrics,
    ) -> Result<Home, NodeError> {
        let mut homes = self.0.homes.lock().await;
        let key = (directory_known_as(settings, service.as_str()), settings.server.clone());
        if let Some(home) = homes.get(&key) {
            return Ok(home.clone());
        }
        let left = settings.last_good(service).with_added_extension("left");
        ground.remembered.remember_leaving(settings.server.clone(), left);
        let home = ground.home(&settings.server, self.health(&settings.server), metrics).await?;
        homes.insert(key, home.clone());
        Ok(home)
    }
}

impl Ground {
    fn open(settings: &Settings, service: Service, healths: Healths) -> Result<Self, NodeError> {
        let backend = open_backend_as(settings, service.as_str())?;
        let remembered = Arc::new(LastGood::new(backend, settings.last_good(service)));
        let directory = Arc::new(Shared::new(Arc::clone(&remembered) as Arc<dyn directory::Directory>));
        let (sender, book) = watch::channel(Arc::new(PeerBook::default()));
        tokio::spawn(follow_presences(directory.clone(), sender, healths));
        Ok(Self { directory, remembered, book })
    }

    async fn home(&self, server: &ServerName, health: PeerHealth, metrics: Metrics) -> Result<Home, NodeError> {
        let (tables, left) = first_tables(&*self.directory, &self.remembered, server).await?;
        let (tables_sender, tables) = watch::channel(Arc::new(tables));
        let (left_sender, left) = watch::channel(left);
        let (away_sender, away) = watch::channel(false);
        let announced = Announced::default();
        let follower = Follower {
            directory: Arc::clone(&self.directory) as Arc<dyn directory::Directory>,
            server: server.clone(),
            metrics,
            tables: tables_sender,
            away: away_sender,
            left: left_sender,
            announced: Arc::clone(&announced),
        };
        tokio::spawn(follower.run());
        Ok(Home { tables, away, left, health, announced })
    }
}
