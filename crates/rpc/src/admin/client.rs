//! The asking side: one connection per question, made with an administrator's certificate.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use logs::search::{Line, Query};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::tracking::{line_from_wire, query_to_wire};
use super::{MessageEntry, MessagesRequest, PeerEntry, QueueEntry};
use crate::client::{PeerAddress, connect, in_words};
use crate::convert::{WireError, admin as words};
use crate::limits::REQUEST_OCTETS_MAX;
use crate::security::Credentials;
use crate::wire::admin::v1 as wire;
use wire::queues_client::QueuesClient;
use wire::tracking_client::TrackingClient;

/// Why a server's queues cannot be seen.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It is not there.
    #[error("cannot reach {peer}: {cause}")]
    Unreachable {
        /// Whom.
        peer: String,
        /// What happened, to the last cause.
        cause: String,
    },
    /// It does not take this certificate for an administrator's.
    #[error("{peer} refuses: {cause}")]
    Refused {
        /// Who.
        peer: String,
        /// What it said.
        cause: String,
    },
    /// The answer ended, or cannot be understood.
    #[error("the answer of {peer} cannot be used: {cause}")]
    Answer {
        /// Whose.
        peer: String,
        /// What is wrong.
        cause: String,
    },
}

/// Somebody who asks servers.
pub struct Administrator {
    credentials: Arc<Credentials>,
}

impl Administrator {
    /// Asks with these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials }
    }

    /// The queues of a Transport.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn queues(&self, at: &PeerAddress) -> Result<Vec<QueueEntry>, AdminError> {
        let asked = self.client(at).await?.list_queues(wire::ListQueuesRequest {}).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, words::queue_from_wire).try_collect().await
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
        let request = words::messages_request_to_wire(request);
        let asked = self.client(at).await?.list_messages(request).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        Ok(entries(at, answer, words::message_from_wire))
    }

    /// What the process of a Transport knows of the other servers.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn peers(&self, at: &PeerAddress) -> Result<Vec<PeerEntry>, AdminError> {
        let asked = self.client(at).await?.list_peers(wire::ListPeersRequest {}).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, words::peer_from_wire).try_collect().await
    }

    /// The newest `limit` lines of a service's message tracking logs that `query` looks for, the oldest of them first.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn track(&self, at: &PeerAddress, query: &Query, limit: usize) -> Result<Vec<Line>, AdminError> {
        let mut client = TrackingClient::new(self.channel(at).await?).max_decoding_message_size(REQUEST_OCTETS_MAX);
        let asked = client.search(query_to_wire(query, limit)).await;
        let answer = asked.map_err(|status| failure(at, &status))?.into_inner();
        entries(at, answer, |line| line_from_wire(&line)).try_collect().await
    }

    async fn client(&self, at: &PeerAddress) -> Result<QueuesClient<Channel>, AdminError> {
        Ok(QueuesClient::new(self.channel(at).await?).max_decoding_message_size(REQUEST_OCTETS_MAX))
    }

    async fn channel(&self, at: &PeerAddress) -> Result<Channel, AdminError> {
        let channel = connect(at, None, &self.credentials).await;
        channel.map_err(|cause| AdminError::Unreachable { peer: at.to_string(), cause })
    }
}

fn entries<W: Send + 'static, T: Send + 'static>(
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

fn failure(at: &PeerAddress, status: &Status) -> AdminError {
    let (peer, cause) = (at.to_string(), in_words(status));
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => {
            AdminError::Refused { peer, cause: status.message().to_owned() }
        }
        Code::Unavailable => AdminError::Unreachable { peer, cause },
        _ => AdminError::Answer { peer, cause },
    }
}
