//! The serving side: everything is for administrators, whoever asks for it by loopback included.

use std::sync::Arc;

use authority::Act;
use futures::StreamExt;
use futures::stream::BoxStream;
use net::AdministratorIdentity;
use tonic::{Request, Response, Status};

use super::QueueHandler;
use crate::convert::admin as words;
use crate::security::authorize_administrator;
use crate::wire::admin::v1 as wire;

/// `postroad.admin.v1.Queues` over a handler.
pub(crate) struct QueuesService(pub(crate) Arc<dyn QueueHandler>);

type Entries<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl wire::queues_server::Queues for QueuesService {
    type ListQueuesStream = Entries<wire::Queue>;
    type ListMessagesStream = Entries<wire::Message>;
    type ListPeersStream = Entries<wire::Peer>;

    async fn list_queues(
        &self,
        request: Request<wire::ListQueuesRequest>,
    ) -> Result<Response<Self::ListQueuesStream>, Status> {
        let administrator = authorized(&request)?;
        let queues = self.0.queues(&administrator).into_iter().map(|queue| Ok(words::queue_to_wire(queue)));
        Ok(Response::new(futures::stream::iter(queues).boxed()))
    }

    async fn list_messages(
        &self,
        request: Request<wire::ListMessagesRequest>,
    ) -> Result<Response<Self::ListMessagesStream>, Status> {
        let administrator = authorized(&request)?;
        let request = words::messages_request_from_wire(&request.into_inner());
        let limit = request.limit;
        let messages = self.0.messages(&administrator, request);
        let messages = messages.take(limit as usize).map(|message| Ok(words::message_to_wire(message)));
        Ok(Response::new(messages.boxed()))
    }

    async fn list_peers(
        &self,
        request: Request<wire::ListPeersRequest>,
    ) -> Result<Response<Self::ListPeersStream>, Status> {
        let administrator = authorized(&request)?;
        let peers = self.0.peers(&administrator).into_iter().map(|peer| Ok(words::peer_to_wire(peer)));
        Ok(Response::new(futures::stream::iter(peers).boxed()))
    }
}

fn authorized<T>(request: &Request<T>) -> Result<AdministratorIdentity, Status> {
    let administrator = authorize_administrator(request, Act::LookAtQueues)?;
    tracing::debug!(administrator = administrator.name.as_str(), "an administrator looks at the queues");
    Ok(administrator)
}
