//! The serving side: everything is for administrators, whoever asks for it by loopback included.

use std::sync::Arc;

use authority::{Act, Feature};
use envelope::ServerName;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use rpc::Asker;
use tonic::{Request, Response, Status};

use super::audit::{Actor, server_object};
use super::operation::{Operation, TARGETS_MAX};
use super::{QueueHandler, convert};
use crate::audit::AuditTrail;
use crate::wire::v1 as wire;

/// `postroad.admin.v1.Queues` over a handler.
pub(crate) struct QueuesService {
    pub(crate) handler: Arc<dyn QueueHandler>,
    pub(crate) trail: AuditTrail,
}

impl QueuesService {
    fn authorized<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let asker = Asker::of(request)?;
        self.trail.ruled(&asker, Act::Read(Feature::Queues), "Get-Queue")?;
        tracing::debug!(administrator = asker.name(), "an administrator looks at the queues");
        Ok(())
    }

    /// Who acts, if he may.
    fn actor<T>(&self, request: &Request<T>, caller: Option<wire::Caller>, cmdlet: &str) -> Result<Actor, Status> {
        let actor = Actor::of(&Asker::of(request)?, &convert::caller_from_wire(caller), &self.trail);
        actor.may(cmdlet, &server_object(&self.trail.server))?;
        Ok(actor)
    }
}

/// What a request wants, and of how many.
///
/// # Errors
/// What this version does not know, and more than may be wanted at once.
pub(crate) fn wanted(request: &wire::OperateRequest) -> Result<Operation, Status> {
    let operation = convert::operation_from_wire(request.operation);
    let operation = operation.ok_or_else(|| Status::invalid_argument("this version knows no such operation"))?;
    if request.targets.len() > TARGETS_MAX {
        return Err(Status::invalid_argument(format!("at most {TARGETS_MAX} queues or messages at once")));
    }
    if request.targets.iter().any(|target| target.message.is_some() != operation.is_of_messages()) {
        return Err(Status::invalid_argument("the operation is not of what is named"));
    }
    Ok(operation)
}

type Entries<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl wire::queues_server::Queues for QueuesService {
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
        self.authorized(&request)?;
        let queues = self.handler.queues().into_iter().map(|queue| Ok(convert::queue_to_wire(queue)));
        Ok(Response::new(stream::iter(queues).boxed()))
    }

    async fn list_messages(
        &self,
        request: Request<wire::ListMessagesRequest>,
    ) -> Result<Response<Self::ListMessagesStream>, Status> {
        self.authorized(&request)?;
        let request = convert::messages_request_from_wire(&request.into_inner());
        let limit = request.limit;
        let messages = self.handler.messages(request).take(limit as usize);
        Ok(Response::new(messages.map(|message| Ok(convert::message_to_wire(message))).boxed()))
    }

    async fn list_peers(
        &self,
        request: Request<wire::ListPeersRequest>,
    ) -> Result<Response<Self::ListPeersStream>, Status> {
        self.authorized(&request)?;
        let peers = self.handler.peers().into_iter().map(|peer| Ok(convert::peer_to_wire(peer)));
        Ok(Response::new(stream::iter(peers).boxed()))
    }

    async fn list_gateways(
        &self,
        request: Request<wire::ListGatewaysRequest>,
    ) -> Result<Response<Self::ListGatewaysStream>, Status> {
        self.authorized(&request)?;
        let gateways = self.handler.gateways().await.into_iter();
        Ok(Response::new(stream::iter(gateways.map(|gateway| Ok(convert::gateway_to_wire(gateway)))).boxed()))
    }

    async fn operate(
        &self,
        mut request: Request<wire::OperateRequest>,
    ) -> Result<Response<Self::OperateStream>, Status> {
        let operation = wanted(request.get_ref())?;
        let caller = request.get_mut().caller.take();
        let actor = self.actor(&request, caller, operation.cmdlet())?;
        let (handler, server) = (Arc::clone(&self.handler), self.trail.server.clone());
        let targets = request.into_inner().targets;
        let (told, answer) = mpsc::unbounded();
        // What was asked for is done and written down to the end, whether or not anybody waits for the answer.
        tokio::spawn(async move {
            for target in targets {
                let operated = handler.operate(operation, convert::target_from_wire(target)).await;
                actor.operated(&server, operation, &operated);
                let _ = told.unbounded_send(Ok(convert::operated_to_wire(operated)));
            }
        });
        Ok(Response::new(answer.boxed()))
    }

    async fn redirect(
        &self,
        mut request: Request<wire::RedirectRequest>,
    ) -> Result<Response<wire::RedirectReply>, Status> {
        let caller = request.get_mut().caller.take();
        let actor = self.actor(&request, caller, "Redirect-Message")?;
        let text = request.into_inner().target;
        let target = (!text.is_empty()).then(|| ServerName::parse(&text)).transpose();
        let target = target.map_err(|_| Status::invalid_argument("no name of a server"))?;
        let redirected = self.handler.redirect(target.as_ref()).await;
        let refused = redirected.err().map(|refused| String::from(refused.0)).unwrap_or_default();
        actor.redirected(&self.trail.server, &text, &refused);
        Ok(Response::new(wire::RedirectReply { refused }))
    }

    async fn export_message(
        &self,
        mut request: Request<wire::ExportMessageRequest>,
    ) -> Result<Response<Self::ExportMessageStream>, Status> {
        let caller = request.get_mut().caller.take();
        let actor = self.actor(&request, caller, "Export-Message")?;
        let target = request.into_inner().target.map(convert::target_from_wire);
        let target = target.ok_or_else(|| Status::invalid_argument("no message is named"))?;
        let (what, content) = self.handler.export(target).await;
        let outcome = content.as_ref().map(|_| ()).map_err(|refused| refused.0.clone());
        actor.exported(&self.trail.server, &what, outcome);
        let content = content.map_err(|refused| Status::failed_precondition(refused.0))?;
        let first = wire::ExportPiece { what: Some(convert::operated_to_wire(what)), ..wire::ExportPiece::default() };
        let piece = |piece: Result<_, super::NotDone>| match piece {
            Ok(content) => Ok(wire::ExportPiece { content, what: None }),
            Err(error) => Err(Status::unavailable(error.0)),
        };
        Ok(Response::new(stream::iter([Ok(first)]).chain(content.map(piece)).boxed()))
    }
}
