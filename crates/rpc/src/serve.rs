//! Listening: which services a process offers on its one port for the organization.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use net::OrganizationListener;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::service::{InterceptorLayer, RoutesBuilder};
use tonic::transport::server::TcpIncoming;

use crate::admin::{QueueHandler, QueuesService, TrackingService};
use crate::limits::{REQUEST_OCTETS_MAX, server_builder};
use crate::proxy::{OpenSession, ProxyService};
use crate::security::Credentials;
use crate::server::{DeliveryService, TransportService};
use crate::transfer::{DeliverHandler, SubmitHandler};
use crate::wire::admin::v1::queues_server::QueuesServer;
use crate::wire::admin::v1::tracking_server::TrackingServer;
use crate::wire::proxy::v1::outbound_proxy_server::OutboundProxyServer;
use crate::wire::transfer::v1::mailbox_delivery_server::MailboxDeliveryServer;
use crate::wire::transfer::v1::transport_server::TransportServer;

/// What one port offers.
pub struct Offer {
    routes: RoutesBuilder,
    drain: CancellationToken,
}

impl Offer {
    /// Nothing yet. When `drain` is cancelled no new message is begun; those under way are finished.
    #[must_use]
    pub fn new(drain: CancellationToken) -> Self {
        Self { routes: RoutesBuilder::default(), drain }
    }

    /// Offers Transport.
    pub fn transport(&mut self, handler: Arc<dyn SubmitHandler>) {
        let service = TransportServer::new(TransportService { handler, drain: self.drain.clone() });
        self.routes.add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
    }

    /// Offers Mailbox Transport Delivery.
    pub fn mailbox_delivery(&mut self, handler: Arc<dyn DeliverHandler>) {
        let service = MailboxDeliveryServer::new(DeliveryService { handler, drain: self.drain.clone() });
        self.routes.add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
    }

    /// Offers the outbound proxy.
    pub fn outbound_proxy(&mut self, handler: Arc<dyn OpenSession>) {
        let service = OutboundProxyServer::new(ProxyService { handler, drain: self.drain.clone() });
        self.routes.add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
    }

    /// Offers the view of the queues to administrators.
    pub fn queues(&mut self, handler: Arc<dyn QueueHandler>) {
        self.routes.add_service(QueuesServer::new(QueuesService(handler)));
    }

    /// Offers the message tracking logs in `folder`, of these prefixes, to administrators.
    pub fn tracking(&mut self, folder: PathBuf, prefixes: &'static [&'static str]) {
        self.routes.add_service(TrackingServer::new(TrackingService::new(folder, prefixes)));
    }

    /// Serves until drained and every message under way has its acknowledgement. The caller bounds the wait.
    ///
    /// # Errors
    /// When the credentials cannot be used.
    pub fn serve(
        self,
        listener: OrganizationListener,
        credentials: &Credentials,
    ) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
        let server = server_builder().tls_config(credentials.server()).map_err(io::Error::other)?;
        let trust = credentials.trust();
        let mut server = server.layer(InterceptorLayer::new(move |mut request: Request<()>| {
            request.extensions_mut().insert(Arc::clone(&trust));
            Ok(request)
        }));
        let (routes, drain) = (self.routes.routes(), self.drain);
        // The builder's own setting is not for listeners that are given to it. Without this an acknowledgement may wait 40 ms
        // for the peer's delayed ACK.
        let incoming = TcpIncoming::from(listener.into_socket()).with_nodelay(Some(true));
        Ok(async move {
            let router = server.add_routes(routes);
            router.serve_with_incoming_shutdown(incoming, drain.cancelled_owned()).await.map_err(io::Error::other)
        })
    }
}
