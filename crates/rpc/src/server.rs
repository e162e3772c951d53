//! The receiving side: streams of transfers, authorized by the peer's certificate.
//!
//! Each stream has one reader that hands content to its message in order ([`intake`]), and one task per message. The
//! reader waits for nothing but room for content, so that messages cannot lock each other out.

mod edge;
mod intake;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use authority::Act;
use envelope::{EnhancedStatus, Reply};
use net::PeerIdentity;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::convert;
use crate::limits::REPLIES_WAITING_MAX;
use crate::security::authorize;
use crate::transfer::{DeliverHandler, Incoming, SubmitHandler};
use crate::wire::transfer::v1 as wire;
use intake::Intake;
use wire::transfer_reply::Outcome;

type ReplyStream = ReceiverStream<Result<wire::TransferReply, Status>>;
type OutcomeFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;
/// Turns one message into its outcome; the only difference between the two services.
type Receive = Arc<dyn Fn(Arc<PeerIdentity>, Incoming) -> OutcomeFuture + Send + Sync>;

/// `postroad.transfer.v1.Transport` over a handler.
pub(crate) struct TransportService {
    pub(crate) handler: Arc<dyn SubmitHandler>,
    pub(crate) drain: CancellationToken,
}

#[tonic::async_trait]
impl wire::transport_server::Transport for TransportService {
    type SubmitStream = ReplyStream;

    async fn submit(
        &self,
        request: Request<Streaming<wire::TransferRequest>>,
    ) -> Result<Response<ReplyStream>, Status> {
        let caller = authorize(&request, Act::SubmitMail)?;
        let peer = caller.peer.clone();
        let handler = Arc::clone(&self.handler);
        let receive: Receive = Arc::new(move |peer, incoming| {
            if let Err(status) = caller.still_may(Act::SubmitMail) {
                return shut_out(&status);
            }
            let incoming = if caller.edge { edge::restricted(&peer.server, incoming) } else { incoming };
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let id = incoming.head.id;
                match handler.submit(&peer, incoming).await {
                    Ok(receipt) if receipt.message() == id => {
                        Outcome::Accepted(wire::Accepted { server: receipt.holder().to_string() })
                    }
                    Ok(receipt) => {
                        tracing::error!(message = %id, receipt = %receipt.message(), "a receipt for another message");
                        Outcome::Refused(convert::reply_to_wire(&internal_error()))
                    }
                    Err(reply) => Outcome::Refused(convert::reply_to_wire(&reply)),
                }
            })
        });
        Ok(serve_stream(request.into_inner(), peer, receive, self.drain.clone()))
    }

    async fn admit(&self, request: Request<wire::AdmitRequest>) -> Result<Response<wire::AdmitReply>, Status> {
        let caller = authorize(&request, Act::SubmitMail)?;
        let refused = self.handler.admits(&caller.peer).err().map(|reply| convert::reply_to_wire(&reply));
        Ok(Response::new(wire::AdmitReply { refused }))
    }
}

/// `postroad.transfer.v1.MailboxDelivery` over a handler.
pub(crate) struct DeliveryService {
    pub(crate) handler: Arc<dyn DeliverHandler>,
    pub(crate) drain: CancellationToken,
}

#[tonic::async_trait]
impl wire::mailbox_delivery_server::MailboxDelivery for DeliveryService {
    type DeliverStream = ReplyStream;

    async fn deliver(
        &self,
        request: Request<Streaming<wire::TransferRequest>>,
    ) -> Result<Response<ReplyStream>, Status> {
        let caller = authorize(&request, Act::DeliverMail)?;
        let peer = caller.peer.clone();
        let handler = Arc::clone(&self.handler);
        let receive: Receive = Arc::new(move |peer, incoming| {
            if let Err(status) = caller.still_may(Act::DeliverMail) {
                return shut_out(&status);
            }
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                match handler.deliver(&peer, incoming).await {
                    Ok(deliveries) => Outcome::Deliveries(convert::deliveries_to_wire(&deliveries)),
                    Err(reply) => Outcome::Refused(convert::reply_to_wire(&reply)),
                }
            })
        });
        Ok(serve_stream(request.into_inner(), peer, receive, self.drain.clone()))
    }
}

fn serve_stream(
    requests: Streaming<wire::TransferRequest>,
    peer: PeerIdentity,
    receive: Receive,
    drain: CancellationToken,
) -> Response<ReplyStream> {
    let (replies, stream) = mpsc::channel(REPLIES_WAITING_MAX);
    tokio::spawn(Intake::new(peer, receive, replies, drain).run(requests));
    Response::new(ReceiverStream::new(stream))
}

/// What a peer hears that is heard no more. Not for good: its mail goes on when it has a new certificate.
fn shut_out(status: &Status) -> OutcomeFuture {
    let reply = Reply::new(451, EnhancedStatus::new(4, 7, 1), status.message());
    Box::pin(std::future::ready(Outcome::Refused(convert::reply_to_wire(&reply))))
}

/// What a peer hears when a handler is at fault.
fn internal_error() -> Reply {
    Reply::new(451, EnhancedStatus::new(4, 3, 0), "Temporary server error")
}
