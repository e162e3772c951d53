//! What the services of a process share, and how it comes about.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authority::Revocation;
use directory::{Directory, Presence};
use envelope::{Revision, ServerName};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use net::{InheritedSockets, KeyedCertificate, Service};
use routing::RoutingTables;
use rpc::{Credentials, PeerAddress, Peers};
use telemetry::{MessageTracer, Metrics, Telemetry};
use tokio::sync::watch;
use topology::Organization;

use crate::clock::Clock;
use crate::commons::Commons;
pub use crate::error::NodeError;
use crate::error::file_error;
use crate::expiry::Expiry;
use crate::follow::Announcements;
pub use crate::opening::open_backend;
use crate::opening::{LEFT, authority_beside, read};
use crate::peers::{PeerBook, PeerHealth};
use crate::private::make_private;
use crate::reload::Reloads;
use crate::settings::Settings;
use crate::twin::Twin;

/// How often it is looked at when certificates end, besides whenever one changes.
const EXPIRY_LOOK: Duration = Duration::from_secs(60 * 60);
/// A configuration by which another server works is here within moments too; this long it is waited for.
const REVISION_WAIT: Duration = Duration::from_secs(2);
const CERTIFICATE_ADVICE: &str = "`postroad cert issue` makes the certificates of a server";
/// Version told to the other servers.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the services of one process share.
pub struct Node {
    /// Process settings.
    pub settings: Arc<Settings>,
    /// The service that this is.
    pub service: Service,
    /// Recipients, and everything that is not in the snapshot.
    pub directory: Arc<dyn Directory>,
    /// Connections to the other servers.
    pub peers: Arc<Peers>,
    /// Which of them failed lately, as all services of this process know it.
    pub health: PeerHealth,
    /// Certificate and authority of this service.
    pub credentials: Arc<Credentials>,
    /// Starts hops of messages.
    pub tracer: MessageTracer,
    /// Counts.
    pub metrics: Metrics,
    /// Time and new message ids.
    pub clock: Clock,
    /// When certificates are to be read anew.
    pub reloads: Reloads,
    /// What systemd opened for this process.
    pub sockets: InheritedSockets,
    tables: watch::Receiver<Arc<RoutingTables>>,
    away: watch::Receiver<bool>,
    left: watch::Receiver<bool>,
    book: watch::Receiver<Arc<PeerBook>>,
    announcements: Announcements,
    /// Whether another process says that it is this one.
    pub twin: Twin,
}

impl Node {
    /// Opens the directory, waits for a configuration that has this server, and follows it from then on. With the
    /// directory away, the last good configuration is used. `commons` are those of the process: its services share them.
    ///
    /// # Errors
    /// [`NodeError`] for what waiting will not mend.
    pub async fn start(
        settings: Arc<Settings>,
        service: Service,
        telemetry: &Telemetry,
        commons: &Commons,
    ) -> Result<Self, NodeError> {
        make_private(&settings.state).map_err(|error| {
            file_error(
                &settings.state,
                &error,
                "It is the directory for the queue and the last good configuration, and must belong to the user of the service",
            )
        })?;
        let remembered = settings.remembered();
        make_private(&remembered)
            .map_err(|error| file_error(&remembered, &error, "It must belong to the user of the service"))?;
        let credentials = Arc::new(load_credentials(&settings.identity, service)?);
        let ground = commons.ground(&settings, service).await?;
        let home = commons.home(&ground, &settings, service, telemetry.metrics()).await?;
        let directory: Arc<dyn Directory> = ground.directory;
        let mut revocations = directory.watch_revocations();
        // Those that were known last count before anybody is heard.
        let revoked = revocations.next().now_or_never().flatten().unwrap_or_default();
        let heeding = Heeding {
            credentials: Arc::clone(&credentials),
            server: settings.server.clone(),
            metrics: telemetry.metrics(),
        };
        heeding.heed(home.tables.borrow().organization(), &revoked);
        tokio::spawn(heeding.keep_on(revocations, revoked, home.tables.clone()));
        Ok(Self {
            settings,
            service,
            directory,
            peers: Arc::new(Peers::new(Arc::clone(&credentials))),
            announcements: home.announcements(),
            health: home.health,
            credentials,
            tracer: telemetry.tracer(),
            metrics: telemetry.metrics(),
            clock: Clock::default(),
            reloads: Reloads::never(),
            sockets: InheritedSockets::default(),
            tables: home.tables,
            away: home.away,
            left: home.left,
            book: ground.book,
            twin: Twin::default(),
        })
    }

    /// Reads this service's certificate and the organization's authorities anew whenever `reloads` says so. Calls to others and
    /// those of others have them from then on.
    pub fn follow_reloads(&mut self, reloads: Reloads) {
        self.reloads = reloads.clone();
        let expiry = Expiry::of(&self.settings, self.service, self.metrics.clone());
        let (clock, metrics) = (self.clock, self.metrics.clone());
        expiry.look(clock.now());
        let (credentials, settings, service) =
            (Arc::clone(&self.credentials), Arc::clone(&self.settings), self.service);
        let mut reloads = reloads;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = reloads.next() => {}
                    () = tokio::time::sleep(EXPIRY_LOOK) => {}
                }
                expiry.look(clock.now());
                let read = read_papers(&settings.identity, service).map_err(|error| error.to_string());
                let renewed = read.and_then(|(own, authorities)| {
                    credentials.renew(own, authorities).map_err(|error| error.to_string())
                });
                match renewed {
                    Ok(true) => {
                        tracing::info!("certificates were renewed: calls to others and calls of others have them");
                        metrics.certificate_revoked.set(u64::from(credentials.own_is_revoked()));
                    }
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "certificates cannot be read anew; the old ones go on"),
                }
            }
        });
    }

    /// This server.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.settings.server
    }

    /// The routing tables of the configuration applied last: take them once per decision (invariant 5).
    #[must_use]
    pub fn tables(&self) -> Arc<RoutingTables> {
        Arc::clone(&self.tables.borrow())
    }

    /// The tables as they change.
    #[must_use]
    pub fn watch_tables(&self) -> watch::Receiver<Arc<RoutingTables>> {
        self.tables.clone()
    }

    /// Why this server takes no mail any more, when the configuration has it no more: what it holds goes on by the last
    /// configuration that had it, as far as that leads without the servers that are still there.
    #[must_use]
    pub fn has_left(&self) -> Option<&'static str> {
        self.left.borrow().then_some(LEFT)
    }

    /// Whether the directory is away, as it changes.
    #[must_use]
    pub fn watch_directory_away(&self) -> watch::Receiver<bool> {
        self.away.clone()
    }

    /// Where a service of a server is to be found.
    pub async fn find(&self, server: &ServerName, service: Service) -> Option<PeerAddress> {
        let (book, tables) = (Arc::clone(&self.book.borrow()), self.tables());
        if let Some(address) = self.settings.peers.get(server).and_then(|services| services.get(&service)) {
            let fqdn = tables.organization().server(server)?.fqdn.clone();
            return Some(PeerAddress { server: server.clone(), fqdn, address: *address });
        }
        book.find(tables.organization(), server, service).await
    }

    /// Where a service of a server is, if it was heard of: nobody is asked for it.
    #[must_use]
    pub fn heard_of(&self, server: &ServerName, service: Service) -> Option<PeerAddress> {
        let set = self.settings.peers.get(server).and_then(|services| services.get(&service)).copied();
        let address = set.or_else(|| self.book.borrow().announced(server, service).map(|(address, _)| address))?;
        let fqdn = self.tables().organization().server(server)?.fqdn.clone();
        Some(PeerAddress { server: server.clone(), fqdn, address })
    }

    /// Where the services of all servers are, as it changes.
    #[must_use]
    pub fn watch_peers(&self) -> watch::Receiver<Arc<PeerBook>> {
        self.book.clone()
    }

    /// Whether a service of that kind has been heard of, on any server.
    #[must_use]
    pub fn knows(&self, service: Service) -> bool {
        self.settings.peers.values().any(|services| services.contains_key(&service))
            || self.book.borrow().knows(service)
    }

    /// Tells the others that this service is there, by which configuration it works, and where it listens, if it does.
    pub fn announce(&self, listening: impl Into<Option<SocketAddr>>) {
        let address = |listening: SocketAddr| {
            let ip = self.settings.advertise.unwrap_or_else(|| reachable(listening));
            SocketAddr::new(ip, listening.port())
        };
        // Held from before the revision is read: one that is applied meanwhile must find this announcement in the list.
        let mut announcements = self.announcements.lock();
        let presence = Presence {
            server: self.settings.server.clone(),
            service: self.service,
            addresses: listening.into().map(address).into_iter().collect(),
            started: self.clock.now(),
            version: VERSION.to_owned(),
            applied_revision: self.tables().revision(),
            out_of_reach: Vec::new(),
        };
        let (server, started) = (presence.server.clone(), presence.started);
        announcements.push(self.directory.announce(presence));
        // A front end keeps nothing: several processes may be one.
        if self.service != Service::FrontendTransport {
            tokio::spawn(self.twin.clone().watch(self.book.clone(), server, self.service, started));
        }
    }

    /// Tells the others which Edge servers this service cannot reach.
    pub fn announce_out_of_reach(&self, edges: &[ServerName]) {
        for announcement in self.announcements.lock().iter() {
            announcement.update(|presence| presence.out_of_reach = edges.to_vec());
        }
    }

    /// The revision applied last.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.tables.borrow().revision()
    }

    /// The tables of that revision or of a later one: by what another server has decided, this one is to answer.
    ///
    /// # Errors
    /// [`Behind`] after two seconds.
    pub async fn tables_of(&self, wanted: Revision) -> Result<Arc<RoutingTables>, Behind> {
        let mut tables = self.watch_tables();
        let applied = tables.wait_for(|tables| tables.revision() >= wanted);
        match tokio::time::timeout(REVISION_WAIT, applied).await {
            Ok(Ok(tables)) => Ok(Arc::clone(&tables)),
            Ok(Err(_)) | Err(_) => Err(Behind { has: self.revision(), wanted }),
        }
    }

    /// Opens the port on which this service serves the organization.
    ///
    /// # Errors
    /// [`NodeError::Listen`].
    pub async fn listen(&self) -> Result<net::OrganizationListener, NodeError> {
        let address = self.settings.organization_address(self.service);
        net::OrganizationListener::bind(address).await.map_err(|cause| NodeError::Listen { address, cause })
    }
}

/// Another server works by a later revision than this one does yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this server works by revision {has} of the configuration, not by {wanted} yet")]
pub struct Behind {
    /// The one applied last.
    pub has: Revision,
    /// The one that the other server works by.
    pub wanted: Revision,
}

/// Who is heard follows the configuration and the revocations.
struct Heeding {
    credentials: Arc<Credentials>,
    server: ServerName,
    metrics: Metrics,
}

impl Heeding {
    fn heed(&self, organization: &Organization, revoked: &[Revocation]) {
        let before = self.credentials.own_is_revoked();
        if let Err(error) = self.credentials.heed(&self.server, organization, revoked) {
            tracing::error!(%error, "authorities of an Edge subscription cannot be used: nobody is believed by them");
        }
        let after = self.credentials.own_is_revoked();
        self.metrics.certificate_revoked.set(u64::from(after));
        if after && !before {
            tracing::error!(
                "the certificate of this service is revoked, and no other hears it: `postroad cert issue` makes a new one"
            );
        }
    }

    async fn keep_on(
        self,
        mut revocations: BoxStream<'static, Vec<Revocation>>,
        mut revoked: Vec<Revocation>,
        mut tables: watch::Receiver<Arc<RoutingTables>>,
    ) {
        loop {
            tokio::select! {
                newer = revocations.next() => match newer {
                    Some(newer) => revoked = newer,
                    None => return,
                },
                changed = tables.changed() => if changed.is_err() { return },
            }
            self.heed(tables.borrow_and_update().organization(), &revoked);
        }
    }
}

/// The address that others can use when this one listens on all: the one by which it reaches the world.
fn reachable(listening: SocketAddr) -> std::net::IpAddr {
    if !listening.ip().is_unspecified() {
        return listening.ip();
    }
    let outward = net::outward_address();
    if outward.is_loopback() {
        tracing::warn!(
            %listening,
            "this machine has no route to the world, so no other server can reach this one: set `advertise` to the address by \
             which they do"
        );
    }
    outward
}

fn load_credentials(identity: &Path, service: Service) -> Result<Credentials, NodeError> {
    let (own, authorities) = read_papers(identity, service)?;
    Ok(Credentials::new(own, authorities))
}

/// This service's certificate, and the organization's authorities.
fn read_papers(identity: &Path, service: Service) -> Result<(KeyedCertificate, String), NodeError> {
    let path = identity.join(service.as_str());
    let authorities = read(&authority_beside(identity, service.as_str()), CERTIFICATE_ADVICE)?;
    let own = KeyedCertificate::load_from(&path).map_err(|error| file_error(&path, &error, CERTIFICATE_ADVICE))?;
    Ok((own, authorities))
}
