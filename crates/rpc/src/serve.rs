//! Listening: which services a process offers on its one port for the organization.

use std::future::Future;
use std::io;
use std::sync::Arc;

use net::{LocalListener, OrganizationListener};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::service::{InterceptorLayer, RoutesBuilder};

use crate::agents::{AgentsHandler, AgentsService, SAID_OCTETS_MAX};
use crate::limits::{REQUEST_OCTETS_MAX, server_builder};
use crate::logons::{FailedLogonsHandler, FailedLogonsService, REQUEST_OCTETS_MAX as NEWS_OCTETS_MAX};
use crate::mailboxes::{MailboxesHandler, MailboxesService};
use crate::proxy::{OpenSession, ProxyService};
use crate::security::{Credentials, LocalUsers};
use crate::server::{DeliveryService, TransportService};
use crate::transfer::{DeliverHandler, SubmitHandler};
use crate::wire::agent::v1::delivery_agents_server::DeliveryAgentsServer;
use crate::wire::logons::v1::failed_logons_server::FailedLogonsServer;
use crate::wire::mailboxes::v1::mailboxes_server::MailboxesServer;
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

    /// Offers files of databases that leave for another server.
    pub fn mailboxes(&mut self, handler: Arc<dyn MailboxesHandler>) {
        let service = MailboxesServer::new(MailboxesService { handler, drain: self.drain.clone() });
        self.routes.add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
    }

    /// Offers the outbound proxy.
    pub fn outbound_proxy(&mut self, handler: Arc<dyn OpenSession>) {
        let service = OutboundProxyServer::new(ProxyService { handler, drain: self.drain.clone() });
        self.routes.add_service(service.max_decoding_message_size(REQUEST_OCTETS_MAX));
    }

    /// Hears of logons that failed at others.
    pub fn failed_logons(&mut self, handler: Arc<dyn FailedLogonsHandler>) {
        let service = FailedLogonsServer::new(FailedLogonsService { handler });
        self.routes.add_service(service.max_decoding_message_size(NEWS_OCTETS_MAX));
    }

    /// Hears delivery agents, by [a Unix socket](Self::serve_local) alone.
    pub fn delivery_agents(&mut self, handler: Arc<dyn AgentsHandler>) {
        let service = DeliveryAgentsServer::new(AgentsService { handler });
        self.routes.add_service(service.max_decoding_message_size(SAID_OCTETS_MAX));
    }

    /// Where another crate adds what it serves (`admin-api`).
    pub fn routes(&mut self) -> &mut RoutesBuilder {
        &mut self.routes
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
        let tls = credentials.server().map_err(io::Error::other)?;
        let trust = credentials.trust();
        let mut server = server_builder().layer(InterceptorLayer::new(move |mut request: Request<()>| {
            request.extensions_mut().insert(Arc::clone(&trust));
            Ok(request)
        }));
        let (routes, drain) = (self.routes.routes(), self.drain);
        let incoming = ReceiverStream::new(listener.incoming(tls)).map(Ok::<_, io::Error>);
        Ok(async move {
            let router = server.add_routes(routes);
            router.serve_with_incoming_shutdown(incoming, drain.cancelled_owned()).await.map_err(io::Error::other)
        })
    }

    /// The same over a Unix socket, for `users` of this machine. The operating system says who they are; whom `admits` does not
    /// let in, by his number, is not heard at all.
    pub fn serve_local<A: Fn(u32) -> bool + Send + 'static>(
        self,
        listener: LocalListener,
        credentials: &Credentials,
        users: LocalUsers,
        admits: A,
    ) -> impl Future<Output = io::Result<()>> + use<A> {
        let (trust, users) = (credentials.trust(), Arc::new(users));
        let mut server = server_builder().layer(InterceptorLayer::new(move |mut request: Request<()>| {
            request.extensions_mut().insert(Arc::clone(&trust));
            request.extensions_mut().insert(Arc::clone(&users));
            Ok(request)
        }));
        let (routes, drain) = (self.routes.routes(), self.drain);
        async move {
            let router = server.add_routes(routes);
            let incoming = futures::stream::unfold((listener, admits), |(listener, admits)| async move {
                loop {
                    let stream = listener.accept().await;
                    if stream.peer_cred().is_ok_and(|user| admits(user.uid())) {
                        return Some((io::Result::Ok(stream), (listener, admits)));
                    }
                }
            });
            let serving = router.serve_with_incoming_shutdown(Box::pin(incoming), drain.cancelled_owned());
            serving.await.map_err(io::Error::other)
        }
    }
}
