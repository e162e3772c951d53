//! The service from start to end: port and socket are opened, calls are answered, and on a signal those that have begun are
//! finished.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin_api::offer;
use admin_api::{
    AuditTrail, Audited, EdgeHandler, EdgeSyncHandler, HealthHandler, Managed, ServiceHealth, Whereabouts,
};
use async_trait::async_trait;
use directory::{Administration, Backend, Sealer};
use envelope::{ServerName, Service};
use logs::{Log, LogSettings, audit};
use net::{LocalListener, OrganizationListener};
use parking_lot::Mutex;
use perimeter::keeper::Witness;
use perimeter::sync::Inside;
use perimeter::{EdgeHost, Keeper};
use rpc::{LocalUsers, Offer, PeerAddress};
use runtime::node::{VERSION, open_backend};
use runtime::{Node, NodeError};
use telemetry::named::EdgeMetrics;
use telemetry::{Health, HealthChecks, probe};
use tokio_util::sync::CancellationToken;
use topology::ServerRole;

use crate::certificates::Shelf;

/// Calls under way at a drain are waited for as long; a watch has no end of its own.
const SETTLE_BOUND: Duration = Duration::from_secs(5);

/// Why the admin service cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum AdminServiceError {
    /// The process around it.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The port, the socket or the audit log.
    #[error("the admin service failed: {0}")]
    Failed(#[from] std::io::Error),
}

/// The admin service, ready to run.
pub struct Admin {
    node: Arc<Node>,
    managed: Managed,
    perimeter: Perimeter,
    listener: OrganizationListener,
    local: LocalListener,
    drain: CancellationToken,
}

/// On which side of the perimeter this server is.
enum Perimeter {
    /// An Edge server, which is told.
    Edge(Arc<EdgeHost>),
    /// A server that may have to tell those of its site.
    Inside(Arc<Keeper>),
}

fn perimeter(node: &Arc<Node>, managed: &Managed, directory: Arc<dyn Backend>) -> Perimeter {
    let server = node.settings.server.clone();
    // What is changed here is written down as what an administrator changes.
    let audited = Audited::new(Arc::clone(&managed.directory), managed.trail.clone(), perimeter::sync::THROUGH);
    let changes: Arc<dyn Administration> = Arc::new(audited);
    if node.tables().local_server().role == ServerRole::Edge {
        let clock = node.clock;
        return Perimeter::Edge(Arc::new(EdgeHost::new(directory, changes, server, Arc::new(move || clock.now()))));
    }
    let inside = Inside {
        directory: changes,
        server,
        forest: node.settings.forest.clone(),
        sealer: managed.sealer.clone(),
        credentials: Arc::clone(&node.credentials),
    };
    let followed = Arc::clone(node);
    let known = Arc::new(move || Arc::clone(followed.tables().organization()));
    let told = Told { node: Arc::clone(node), edges: Mutex::default() };
    Perimeter::Inside(Keeper::new(inside, known, Arc::new(Peers(Arc::clone(node))), Arc::new(told)))
}

/// How EdgeSync goes, for the other servers of the site and for metrics.
struct Told {
    node: Arc<Node>,
    /// Those that were told from here.
    edges: Mutex<HashMap<ServerName, EdgeMetrics>>,
}

impl Witness for Told {
    fn out_of_reach(&self, edges: &[ServerName]) {
        self.node.announce_out_of_reach(edges);
    }

    fn told(&self, edge: &ServerName) {
        let mut edges = self.edges.lock();
        if !edges.contains_key(edge)
            && let Some(server) = self.node.tables().organization().server(edge)
        {
            edges.insert(edge.clone(), self.node.metrics.of_edge(server));
        }
        if let Some(metrics) = edges.get(edge) {
            metrics.told(self.node.clock.now().as_millis() / 1000);
        }
    }

    fn gone(&self, edge: &ServerName) {
        if let Some(metrics) = self.edges.lock().remove(edge) {
            metrics.told(0);
        }
    }
}

/// A node knows where everybody is.
struct Peers(Arc<Node>);

#[async_trait]
impl Whereabouts for Peers {
    async fn find(&self, server: &ServerName, service: Service) -> Option<PeerAddress> {
        self.0.find(server, service).await
    }
}

/// The services of this server, at the endpoints that its settings name.
struct Probes(Arc<Node>);

#[async_trait]
impl HealthHandler for Probes {
    async fn check(&self, service: Option<Service>) -> Vec<ServiceHealth> {
        let settings = &self.0.settings;
        let wanted = Service::ALL.into_iter().filter(|one| service.is_none_or(|service| service == *one));
        let asked = wanted.filter_map(|service| Some((service, settings.service(service).metrics?)));
        let asked = asked.map(|(service, address)| async move {
            let (reason, metrics) = probe::ready(address).await;
            ServiceHealth {
                server: settings.server.as_str().into(),
                service: service.as_str().into(),
                reason: reason.map(Into::into),
                metrics: metrics.into(),
            }
        });
        let mut all = Vec::new();
        for one in asked {
            all.push(one.await);
        }
        all
    }
}

impl Admin {
    /// Opens the directory, the port and the socket.
    ///
    /// # Errors
    /// [`AdminServiceError`]
    pub async fn build(node: Arc<Node>, drain: CancellationToken) -> Result<Self, AdminServiceError> {
        let settings = &node.settings;
        let directory = open_backend(settings)?;
        let sealer = match Sealer::load(&settings.organization_key) {
            Ok(sealer) => Some(Arc::new(sealer)),
            Err(error) => {
                tracing::warn!(%error, "this server has no key of the organization: credentials cannot be sealed here");
                None
            }
        };
        let folder = audit::folder(&settings.state);
        let lost = || tracing::error!("a change was made that the audit log does not have");
        let log = LogSettings { folder: folder.clone(), prefix: audit::PREFIX, version: VERSION };
        let clock = node.clock;
        let log = Arc::new(Log::new(log, lost));
        let trail = AuditTrail::new(log, Arc::new(move || clock.now()), settings.server.as_str());
        let managed =
            Managed { directory: Arc::clone(&directory) as Arc<dyn Administration>, sealer, trail, log_folder: folder };
        let perimeter = perimeter(&node, &managed, directory);
        let listener = node.listen().await?;
        let path = settings.admin_socket();
        let local = LocalListener::bind(&path).map_err(|cause| NodeError::File {
            path,
            cause: cause.to_string(),
            advice: "It is the Unix socket of the admin service; another process may have it, or name another one with \
                     services.admin.socket",
        })?;
        Ok(Self { node, managed, perimeter, listener, local, drain })
    }

    /// Where administrators reach it.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local()
    }

    /// Where users of this server reach it.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.local.path()
    }

    /// Whether it lives and answers.
    #[must_use]
    pub fn health(&self) -> HealthChecks {
        let drain = self.drain.clone();
        HealthChecks::new(
            || Health::Good,
            move || if drain.is_cancelled() { Health::Bad("draining".into()) } else { Health::Good },
        )
    }

    fn offer(&self) -> Offer {
        let mut offered = Offer::new(self.drain.clone());
        offer::management(&mut offered, &self.managed);
        let find = Arc::new(Peers(Arc::clone(&self.node)));
        let probes = Arc::new(Probes(Arc::clone(&self.node)));
        offer::health(&mut offered, probes, self.managed.trail.clone());
        offer::forwarding(&mut offered, find, Arc::clone(&self.node.credentials), self.managed.trail.clone());
        let shelf = Arc::new(Shelf(Arc::clone(&self.node)));
        offer::certificates(&mut offered, shelf, self.managed.trail.clone());
        match &self.perimeter {
            Perimeter::Edge(host) => offer::edge(&mut offered, Arc::clone(host) as Arc<dyn EdgeHandler>),
            Perimeter::Inside(keeper) => {
                let keeper = Arc::clone(keeper) as Arc<dyn EdgeSyncHandler>;
                offer::edge_sync(&mut offered, keeper, self.managed.trail.clone());
            }
        }
        offered
    }

    /// Runs until drained.
    ///
    /// # Errors
    /// [`AdminServiceError::Failed`] when port or socket fail.
    pub async fn run(self) -> Result<(), AdminServiceError> {
        let (remote, near) = (self.offer(), self.offer());
        let Self { node, perimeter, listener, local, drain, .. } = self;
        match perimeter {
            Perimeter::Edge(host) => tokio::spawn(host.run(drain.clone())),
            Perimeter::Inside(keeper) => tokio::spawn(keeper.run(drain.clone())),
        };
        let address = listener.local()?;
        let socket = local.path().to_owned();
        let users = LocalUsers::new(node.settings.administrators.clone());
        let mut remote = tokio::spawn(remote.serve(listener, &node.credentials)?);
        let mut near = tokio::spawn(near.serve_local(local, &node.credentials, users, |_| true));
        node.announce(address);
        tracing::info!(%address, socket = %socket.display(), service = %node.service, "ready");
        tokio::select! {
            () = drain.cancelled() => {}
            // Not drained: it has failed.
            ended = &mut remote => return ended.map_err(std::io::Error::other)?.map_err(Into::into),
            ended = &mut near => return ended.map_err(std::io::Error::other)?.map_err(Into::into),
        }
        let settled = tokio::time::timeout(SETTLE_BOUND, async {
            let _ = (&mut remote).await;
            let _ = (&mut near).await;
        });
        if settled.await.is_err() {
            // Whoever watches begins anew elsewhere.
            remote.abort();
            near.abort();
        }
        Ok(())
    }
}
