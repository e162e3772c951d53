//! The service from start to end: certificate, ports, connections, and on a signal the work in hand is finished.

use std::net::SocketAddr;
use std::sync::Arc;

use logs::protocol::{self, ProtocolLog, Receiving, Sending, Side};
use net::{OrganizationListener, Service};
use reception::{DRAIN_GRACE, Doors};
use rpc::Offer;
use runtime::node::VERSION;
use runtime::{Node, NodeError, certificate, service_logs};
use sending::{Keys, Sessions};
use telemetry::{Health, HealthChecks};
use tokio_util::sync::CancellationToken;
use topology::{LogRetention, ProtocolLogs, TransportRole};

use crate::destination::Transports;
use crate::proxy::OutboundProxy;

/// Why Front End Transport cannot start.
#[derive(Debug, thiserror::Error)]
pub enum FrontendError {
    /// The process around it.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The implicit connector.
    #[error("the implicit connector failed: {0}")]
    Connector(#[from] std::io::Error),
}

/// Front End Transport, ready to run.
pub struct FrontendTransport {
    node: Arc<Node>,
    proxy: Arc<OutboundProxy>,
    organization: OrganizationListener,
    doors: Doors,
    drain: CancellationToken,
}

/// Starts a protocol log (LG-06).
fn protocol_log<S: Side>(node: &Node, of: fn(&ProtocolLogs) -> LogRetention) -> ProtocolLog<S> {
    let log = ProtocolLog::new(protocol::folder::<S>(&node.settings.state, "FrontEnd"), VERSION, node.clock, || ());
    service_logs::follow(node, log.rules(), move |server| (true, of(&server.frontend_transport.protocol)));
    log
}

impl FrontendTransport {
    /// Reads the certificate and opens the ports. Nothing is accepted yet.
    ///
    /// # Errors
    /// [`FrontendError`]
    pub async fn build(node: Arc<Node>, drain: CancellationToken) -> Result<Self, FrontendError> {
        let own = certificate::of_server(&node)?;
        let sessions = Sessions::new(Arc::clone(&node), &own, Keys::none())?;
        let sessions = sessions.told_in(Arc::new(protocol_log::<Sending>(&node, |logs| logs.send)));
        let organization = node.listen().await?;
        let proxy = Arc::new(OutboundProxy::new(Arc::clone(&node), sessions));
        let destination = Arc::new(Transports::new(Arc::clone(&node)));
        let told = Arc::new(protocol_log::<Receiving>(&node, |logs| logs.receive));
        let doors = Doors::bind(&node, TransportRole::FrontendTransport, &own, destination, told)?;
        Ok(Self { node, proxy, organization, doors, drain })
    }

    /// Where clients are served: for each binding wanted, the address bound.
    #[must_use]
    pub fn smtp_addresses(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.doors.addresses()
    }

    /// Where Transport reaches the outbound proxy.
    ///
    /// # Errors
    /// As the system says.
    pub fn organization_address(&self) -> std::io::Result<SocketAddr> {
        self.organization.local()
    }

    /// Whether it lives and takes mail.
    #[must_use]
    pub fn health(&self) -> HealthChecks {
        let (drain, node, ports) = (self.drain.clone(), Arc::clone(&self.node), self.doors.ports());
        HealthChecks::new(
            || Health::Good,
            move || match (drain.is_cancelled(), node.knows(Service::Transport)) {
                (true, _) => Health::Bad("draining".into()),
                (false, false) => Health::Bad("no Transport service has been heard of yet".into()),
                (false, true) => {
                    let why = node.has_left().map(str::to_owned).or_else(|| ports.closed());
                    why.map_or(Health::Good, |why| Health::Bad(why.into()))
                }
            },
        )
    }

    /// Runs until drained.
    ///
    /// # Errors
    /// [`FrontendError::Connector`] when the port for the organization fails.
    pub async fn run(self) -> Result<(), FrontendError> {
        let Self { node, proxy, organization, doors, drain } = self;
        let address = organization.local()?;
        let mut offer = Offer::new(drain.clone());
        offer.outbound_proxy(proxy);
        offer.failed_logons(doors.failed_logons());
        let serving = tokio::spawn(offer.serve(organization, &node.credentials)?);
        node.announce(address);
        tracing::info!(%address, service = %Service::FrontendTransport, "ready");
        let settled = async {
            drain.cancelled().await;
            tokio::time::timeout(DRAIN_GRACE, serving).await
        };
        let ((), settled) = tokio::join!(doors.run(drain.clone()), settled);
        if settled.is_err() {
            tracing::warn!("not every proxied session ended in time; Transport still holds its message");
        }
        Ok(())
    }
}
