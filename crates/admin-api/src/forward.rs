//! The admin service asks other servers for administrators who reach only it, or whom only its operating system knows. It has
//! ruled about them by their role groups; the servers believe it, by its certificate.
//!
//! A request names the server and the address of one of its services in its metadata. The admin service goes only where it
//! knows such a service to be.

use std::sync::Arc;

use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::{ServerName, Service};
use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use rpc::client::connect;
use rpc::limits::REQUEST_OCTETS_MAX;
use rpc::{Asker, Credentials, PeerAddress};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::audit::AuditTrail;
use crate::queues::audit::{Actor, server_object};
use crate::queues::convert::operated_from_wire;
use crate::queues::{self, Operated};
use crate::wire::v1 as wire;
use wire::queues_client::QueuesClient;
use wire::tracking_client::TrackingClient;

/// Name of the server that is meant, in octets.
const SERVER: &str = "postroad-server-bin";
/// Address of one of its services.
const ADDRESS: &str = "postroad-address";
/// The services that tell administrators something.
const TELLING: [Service; 2] = [Service::Transport, Service::MailboxDelivery];

/// Knows where the services of other servers are.
#[async_trait]
pub trait Whereabouts: Send + Sync + 'static {
    /// Where a service of a server is to be found.
    async fn find(&self, server: &ServerName, service: Service) -> Option<PeerAddress>;
}

/// A request for a service of the server at `at`.
pub(crate) fn addressed<T>(at: &PeerAddress, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert_bin(SERVER, MetadataValue::from_bytes(at.server.as_str().as_bytes()));
    let address = at.address.to_string().parse().expect("an address is ASCII");
    metadata.insert(ADDRESS, address);
    request
}

/// Queues and tracking logs of all servers.
#[derive(Clone)]
pub(crate) struct ForwardService {
    pub(crate) find: Arc<dyn Whereabouts>,
    pub(crate) credentials: Arc<Credentials>,
    /// Where it is written what administrators do.
    pub(crate) trail: AuditTrail,
}

impl ForwardService {
    /// A connection to the service that a request is for, once its author may ask it.
    async fn channel<T>(&self, request: &Request<T>, act: Act, cmdlet: &'static str) -> Result<Channel, Status> {
        self.trail.ruled(&Asker::of(request)?, act, cmdlet)?;
        let (server, address) =
            named(request).ok_or_else(|| Status::invalid_argument("the request names no server"))?;
        for service in TELLING {
            let Some(at) = self.find.find(&server, service).await else { continue };
            if at.address.to_string() == address {
                let connected = connect(&at, Some(service), &self.credentials).await;
                return connected.map_err(|cause| Status::unavailable(format!("cannot reach {at}: {cause}")));
            }
        }
        Err(Status::unavailable(format!("{server} has no service at {address} that this server knows of")))
    }

    async fn queues<T>(&self, request: &Request<T>) -> Result<QueuesClient<Channel>, Status> {
        let channel = self.channel(request, Act::Read(Feature::Queues), "Get-Queue").await?;
        Ok(QueuesClient::new(channel).max_decoding_message_size(REQUEST_OCTETS_MAX))
    }

    /// Who acts upon the queues of which server, if he may, and the way there.
    async fn acting<T>(
        &self,
        request: &Request<T>,
        caller: &mut Option<wire::Caller>,
        cmdlet: &str,
    ) -> Result<(Actor, ServerName, QueuesClient<Channel>), Status> {
        let actor = Actor::of(&Asker::of(request)?, &queues::convert::caller_from_wire(caller.take()), &self.trail);
        let (server, _) = named(request).ok_or_else(|| Status::invalid_argument("the request names no server"))?;
        actor.may(cmdlet, &server_object(server.as_str()))?;
        *caller = Some(queues::convert::caller_to_wire(actor.caller.clone()));
        let channel = self.channel(request, Act::Change(Feature::Queues), "Get-Queue").await?;
        Ok((actor, server, QueuesClient::new(channel).max_decoding_message_size(REQUEST_OCTETS_MAX)))
    }
}

fn named<T>(request: &Request<T>) -> Option<(ServerName, String)> {
    let server = request.metadata().get_bin(SERVER)?.to_bytes().ok()?;
    let address = request.metadata().get(ADDRESS)?.to_str().ok()?;
    Some((ServerName::parse(std::str::from_utf8(&server).ok()?).ok()?, address.to_owned()))
}

type Entries<T> = BoxStream<'static, Result<T, Status>>;

fn passed_on<T: Send + 'static>(answer: Response<Streaming<T>>) -> Response<Entries<T>> {
    Response::new(answer.into_inner().boxed())
}

#[tonic::async_trait]
impl wire::queues_server::Queues for ForwardService {
    type ListQueuesStream = Entries<wire::Queue>;
    type ListMessagesStream = Entries<wire::Message>;
    type ListPeersStream = Entries<wire::Peer>;
    type ListGatewaysStream = Entries<wire::Gateway>;
    type OperateStream = Entries<wire::Operated>;
    type ExportMessageStream = Entries<wire::ExportPiece>;

    async fn list_queues(
        &self,
        request: Request<wire::ListQueuesRequest>,
    ) -> Result<Response<Self::ListQueuesStream>, Status> {
        let mut client = self.queues(&request).await?;
        client.list_queues(request.into_inner()).await.map(passed_on)
    }

    async fn list_messages(
        &self,
        request: Request<wire::ListMessagesRequest>,
    ) -> Result<Response<Self::ListMessagesStream>, Status> {
        let mut client = self.queues(&request).await?;
        client.list_messages(request.into_inner()).await.map(passed_on)
    }

    async fn list_peers(
        &self,
        request: Request<wire::ListPeersRequest>,
    ) -> Result<Response<Self::ListPeersStream>, Status> {
        let mut client = self.queues(&request).await?;
        client.list_peers(request.into_inner()).await.map(passed_on)
    }

    async fn list_gateways(
        &self,
        request: Request<wire::ListGatewaysRequest>,
    ) -> Result<Response<Self::ListGatewaysStream>, Status> {
        let mut client = self.queues(&request).await?;
        client.list_gateways(request.into_inner()).await.map(passed_on)
    }

    async fn operate(
        &self,
        mut request: Request<wire::OperateRequest>,
    ) -> Result<Response<Self::OperateStream>, Status> {
        let operation = queues::wanted(request.get_ref())?;
        let mut caller = request.get_mut().caller.take();
        let (actor, server, mut client) = self.acting(&request, &mut caller, operation.cmdlet()).await?;
        let asked = wire::OperateRequest { caller, ..request.into_inner() };
        let mut operated = client.operate(asked).await?.into_inner();
        let (told, answer) = mpsc::unbounded();
        // Written down to the end, whether or not anybody waits for the answer.
        tokio::spawn(async move {
            while let Some(one) = operated.next().await {
                if let Some(one) = one.as_ref().ok().and_then(|one| operated_from_wire(one).ok()) {
                    actor.operated(server.as_str(), operation, &one);
                }
                let _ = told.unbounded_send(one);
            }
        });
        Ok(Response::new(answer.boxed()))
    }

    async fn redirect(
        &self,
        mut request: Request<wire::RedirectRequest>,
    ) -> Result<Response<wire::RedirectReply>, Status> {
        let mut caller = request.get_mut().caller.take();
        let (actor, server, mut client) = self.acting(&request, &mut caller, "Redirect-Message").await?;
        let asked = wire::RedirectRequest { caller, ..request.into_inner() };
        let target = asked.target.clone();
        let reply = client.redirect(asked).await?;
        actor.redirected(server.as_str(), &target, &reply.get_ref().refused);
        Ok(Response::new(reply.into_inner()))
    }

    async fn export_message(
        &self,
        mut request: Request<wire::ExportMessageRequest>,
    ) -> Result<Response<Self::ExportMessageStream>, Status> {
        let mut caller = request.get_mut().caller.take();
        let (actor, server, mut client) = self.acting(&request, &mut caller, "Export-Message").await?;
        let asked = wire::ExportMessageRequest { caller, ..request.into_inner() };
        let target = asked.target.map(queues::convert::target_from_wire);
        let mut pieces = match client.export_message(asked).await {
            Ok(pieces) => pieces.into_inner(),
            Err(status) => {
                if let Some(target) = target {
                    actor.exported(server.as_str(), &Operated::unknown(target), Err(status.message().into()));
                }
                return Err(status);
            }
        };
        let first = pieces.message().await?.unwrap_or_default();
        if let Some(what) = first.what.as_ref().and_then(|what| operated_from_wire(what).ok()) {
            actor.exported(server.as_str(), &what, Ok(()));
        }
        Ok(Response::new(stream::iter([Ok(first)]).chain(pieces).boxed()))
    }
}

#[tonic::async_trait]
impl wire::tracking_server::Tracking for ForwardService {
    type SearchStream = Entries<wire::Line>;

    async fn search(&self, request: Request<wire::SearchRequest>) -> Result<Response<Self::SearchStream>, Status> {
        let channel = self.channel(&request, Act::Read(Feature::MessageTracking), "Get-MessageTrackingLog").await?;
        let mut client = TrackingClient::new(channel).max_decoding_message_size(REQUEST_OCTETS_MAX);
        client.search(request.into_inner()).await.map(passed_on)
    }
}
