//! The asking side of queues, of what is done to them, and of tracking logs: one connection per question, made with an administrator's certificate; or
//! through an admin service, which asks the servers for whom it has heard.

use std::sync::Arc;

use bytes::Bytes;
use envelope::ServerName;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use logs::search::{Line, Query};
use rpc::client::connect;
use rpc::convert::{WireError, without_controls};
use rpc::limits::REQUEST_OCTETS_MAX;
use rpc::{Credentials, PeerAddress};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::api::Api;
use crate::error::AdminError;
use crate::forward::addressed;
use crate::queues::{
    Caller, GatewayEntry, MessageEntry, MessagesRequest, NotDone, Operated, Operation, PeerEntry, QueueEntry,
    TARGETS_MAX, Target, convert,
};
use crate::tracking::{line_from_wire, query_to_wire};
use crate::wire::v1 as wire;
use wire::queues_client::QueuesClient;
use wire::tracking_client::TrackingClient;

/// By which way servers are asked.
enum Way {
    /// Each by itself.
    Directly(Arc<Credentials>),
    /// All through one admin service.
    Through(Channel),
}

/// Somebody who asks servers.
pub struct Administrator(Way);

/// A message that was exported.
pub struct Exported {
    /// Which it is.
    pub what: Operated,
    /// Its octets, as they come.
    pub content: BoxStream<'static, Result<Bytes, AdminError>>,
}

impl Administrator {
    /// Asks each server with these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self(Way::Directly(credentials))
    }

    /// Asks through the admin service at the other end.
    #[must_use]
    pub fn through(api: &Api) -> Self {
        Self(Way::Through(api.channel()))
    }

    /// The queues of a Transport.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn queues(&self, at: &PeerAddress) -> Result<Vec<QueueEntry>, AdminError> {
        let asked = self.client(at).await?.list_queues(self.request(at, wire::ListQueuesRequest {})).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, convert::queue_from_wire).try_collect().await
    }

    /// The messages in them, as they come.
    ///
    /// # Errors
    /// [`AdminError`], at once or as the last entry.
    pub async fn messages(
        &self,
        at: &PeerAddress,
        request: MessagesRequest,
    ) -> Result<BoxStream<'static, Result<MessageEntry, AdminError>>, AdminError> {
        let request = self.request(at, convert::messages_request_to_wire(request));
        let asked = self.client(at).await?.list_messages(request).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        Ok(entries(at, answer, convert::message_from_wire))
    }

    /// What the process of a Transport knows of the other servers.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn peers(&self, at: &PeerAddress) -> Result<Vec<PeerEntry>, AdminError> {
        let asked = self.client(at).await?.list_peers(self.request(at, wire::ListPeersRequest {})).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, convert::peer_from_wire).try_collect().await
    }

    /// What the connectors of a Transport that are not for SMTP meet there now.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn gateways(&self, at: &PeerAddress) -> Result<Vec<GatewayEntry>, AdminError> {
        let asked = self.client(at).await?.list_gateways(self.request(at, wire::ListGatewaysRequest {})).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, convert::gateway_from_wire).try_collect().await
    }

    /// Does one thing to each of some queues or messages of a Transport; what came of each, in their order. What is done is done,
    /// whether or not the answer arrives.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn operate(
        &self,
        at: &PeerAddress,
        operation: Operation,
        targets: &[Target],
        through: &str,
    ) -> Result<Vec<Operated>, AdminError> {
        let mut client = self.client(at).await?;
        let mut all = Vec::new();
        for piece in targets.chunks(TARGETS_MAX) {
            let request = wire::OperateRequest {
                caller: Some(convert::caller_to_wire(Caller::by(through))),
                operation: convert::operation_to_wire(operation).into(),
                targets: piece.iter().copied().map(convert::target_to_wire).collect(),
            };
            let asked = client.operate(self.request(at, request)).await;
            let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
            let operated: Vec<Operated> =
                entries(at, answer, |told| convert::operated_from_wire(&told)).try_collect().await?;
            all.extend(operated);
        }
        Ok(all)
    }

    /// Has a Transport take no new mail and send what waits for a next hop to the server `target`; or, with `None`, ends that.
    /// The inner error says why it does not.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn redirect(
        &self,
        at: &PeerAddress,
        target: Option<&ServerName>,
        through: &str,
    ) -> Result<Result<(), NotDone>, AdminError> {
        let request = wire::RedirectRequest {
            caller: Some(convert::caller_to_wire(Caller::by(through))),
            target: target.map(ToString::to_string).unwrap_or_default(),
        };
        let asked = self.client(at).await?.redirect(self.request(at, request)).await;
        let refused = asked.map_err(|status| failure(at, &status))?.into_inner().refused;
        Ok(if refused.is_empty() { Ok(()) } else { Err(NotDone(without_controls(&refused))) })
    }

    /// A suspended message of a Transport as a file for a Replay directory: which it is, and its octets as they come. The inner
    /// error says why there is none.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn export(
        &self,
        at: &PeerAddress,
        target: Target,
        through: &str,
    ) -> Result<Result<Exported, NotDone>, AdminError> {
        let request = wire::ExportMessageRequest {
            caller: Some(convert::caller_to_wire(Caller::by(through))),
            target: Some(convert::target_to_wire(target)),
        };
        let asked = self.client(at).await?.export_message(self.request(at, request)).await;
        let mut pieces = match asked {
            Ok(pieces) => pieces.into_inner(),
            Err(status) if status.code() == Code::FailedPrecondition => {
                return Ok(Err(NotDone(without_controls(status.message()))));
            }
            Err(status) => return Err(failure(at, &status)),
        };
        let first = pieces.message().await.map_err(|status| failure(at, &status))?;
        let wrong = |cause: String| AdminError::Answer { peer: at.to_string(), cause };
        let what =
            first.and_then(|first| first.what).ok_or_else(|| wrong("it does not say of which message".into()))?;
        let what = convert::operated_from_wire(&what).map_err(|error| wrong(error.to_string()))?;
        Ok(Ok(Exported { what, content: entries(at, pieces, |piece| Ok(piece.content)) }))
    }

    /// The newest `limit` lines of a service's message tracking logs that `query` looks for, the oldest of them first.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn track(&self, at: &PeerAddress, query: &Query, limit: usize) -> Result<Vec<Line>, AdminError> {
        let mut client = TrackingClient::new(self.channel(at).await?).max_decoding_message_size(REQUEST_OCTETS_MAX);
        let asked = client.search(self.request(at, query_to_wire(query, limit))).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, |line| line_from_wire(&line)).try_collect().await
    }

    async fn client(&self, at: &PeerAddress) -> Result<QueuesClient<Channel>, AdminError> {
        Ok(QueuesClient::new(self.channel(at).await?).max_decoding_message_size(REQUEST_OCTETS_MAX))
    }

    fn request<T>(&self, at: &PeerAddress, message: T) -> Request<T> {
        match &self.0 {
            Way::Directly(_) => Request::new(message),
            Way::Through(_) => addressed(at, message),
        }
    }

    /// A connection to the server itself: what others do with its disk is asked of it by nobody else.
    pub(crate) async fn direct(&self, at: &PeerAddress) -> Result<Channel, AdminError> {
        match &self.0 {
            Way::Directly(_) => self.channel(at).await,
            Way::Through(_) => {
                let cause =
                    "an admin service does not ask this for others: name settings with --settings in place of --api";
                Err(AdminError::Refused { peer: at.to_string(), cause: cause.to_owned() })
            }
        }
    }

    async fn channel(&self, at: &PeerAddress) -> Result<Channel, AdminError> {
        match &self.0 {
            Way::Directly(credentials) => {
                let channel = connect(at, None, credentials).await;
                channel.map_err(|cause| AdminError::Unreachable { peer: at.to_string(), cause })
            }
            Way::Through(channel) => Ok(channel.clone()),
        }
    }
}

pub(crate) fn entries<W: Send + 'static, T: Send + 'static>(
    at: &PeerAddress,
    answer: Streaming<W>,
    read: fn(W) -> Result<T, WireError>,
) -> BoxStream<'static, Result<T, AdminError>> {
    let at = at.clone();
    let entry = move |entry: Result<W, Status>| {
        let entry = entry.map_err(|status| failure(&at, &status))?;
        read(entry).map_err(|error| AdminError::Answer { peer: at.to_string(), cause: error.to_string() })
    };
    answer.map(entry).boxed()
}

pub(crate) fn failure(at: &PeerAddress, status: &Status) -> AdminError {
    AdminError::of(at.to_string(), status)
}
