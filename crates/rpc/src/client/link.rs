//! One stream with the transfers that wait for their outcome.
//!
//! A transfer that is dropped before its content was sent whole is called off, so that the receiver does not wait for the
//! rest of it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tonic::Status;
use tonic::transport::Channel;

use super::in_words;
use crate::limits::{CHUNK_OCTETS, TRANSFERS_IN_FLIGHT_MAX};
use crate::transfer::Content;
use crate::wire::transfer::v1 as wire;
use wire::transfer_reply::Outcome;
use wire::transfer_request::Part;

type Replies = BoxStream<'static, Result<wire::TransferReply, Status>>;

/// A stream to a peer. It ends when nobody holds the link and every outcome has come.
pub(super) struct Link {
    channel: Channel,
    requests: mpsc::Sender<wire::TransferRequest>,
    in_flight: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last_transfer: u64,
    waiting: HashMap<u64, oneshot::Sender<Outcome>>,
    ended: Option<String>,
}

/// Why a transfer has no outcome.
#[derive(Debug)]
pub(super) enum LinkError {
    /// The stream ended.
    Ended(String),
    /// The content cannot be read, or is not of its stated size.
    Content(String),
}

impl Link {
    /// Takes over an open stream.
    pub(super) fn open(channel: Channel, requests: mpsc::Sender<wire::TransferRequest>, replies: Replies) -> Arc<Self> {
        let in_flight = Arc::new(Semaphore::new(TRANSFERS_IN_FLIGHT_MAX));
        let link = Self { channel, requests, in_flight, state: Arc::default() };
        tokio::spawn(read_replies(Arc::clone(&link.state), Arc::clone(&link.in_flight), replies));
        Arc::new(link)
    }

    /// The connection that the stream is on, for questions beside it.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().ended.is_none()
    }

    /// Sends one message: all of it in one request when it comes in one piece that fits into a chunk. Stops when the
    /// peer refuses it before its end.
    pub(super) async fn send(self: &Arc<Self>, head: wire::MessageHead, content: Content) -> Result<Sent, LinkError> {
        let mut transfer = self.register().await?;
        match transfer.send(head, content).await {
            Ok(early) => Ok(Sent { transfer, early }),
            Err(error) => Err(error),
        }
    }

    async fn register(self: &Arc<Self>) -> Result<Transfer, LinkError> {
        let permit = Arc::clone(&self.in_flight).acquire_owned().await.map_err(|_| self.ended())?;
        let (sender, outcome) = oneshot::channel();
        let mut state = self.state.lock();
        if state.ended.is_some() {
            drop(state);
            return Err(self.ended());
        }
        state.last_transfer += 1;
        let number = state.last_transfer;
        state.waiting.insert(number, sender);
        Ok(Transfer { link: Arc::clone(self), number, outcome, unfinished: false, _permit: permit })
    }

    fn ended(&self) -> LinkError {
        let cause = self.state.lock().ended.clone();
        LinkError::Ended(cause.unwrap_or_else(|| "the stream ended".to_owned()))
    }
}

async fn read_replies(state: Arc<Mutex<State>>, in_flight: Arc<Semaphore>, mut replies: Replies) {
    let cause = loop {
        match replies.next().await {
            Some(Ok(wire::TransferReply { transfer, outcome: Some(outcome) })) => {
                if let Some(waiting) = state.lock().waiting.remove(&transfer) {
                    let _ = waiting.send(outcome);
                }
            }
            Some(Ok(wire::TransferReply { outcome: None, .. })) => break "a reply without an outcome".to_owned(),
            Some(Err(status)) => break in_words(&status),
            None => break "the peer closed the stream".to_owned(),
        }
    };
    let mut state = state.lock();
    state.ended = Some(cause);
    state.waiting.clear();
    in_flight.close();
}

/// A transfer under way.
struct Transfer {
    link: Arc<Link>,
    number: u64,
    outcome: oneshot::Receiver<Outcome>,
    /// Something has been sent, but not the end.
    unfinished: bool,
    _permit: OwnedSemaphorePermit,
}

impl Transfer {
    /// Sends head and content; gives the outcome when it came before the end.
    async fn send(&mut self, head: wire::MessageHead, mut content: Content) -> Result<Option<Outcome>, LinkError> {
        let mut missing = head.size;
        let mut head = Some(head);
        loop {
            let piece = tokio::select! {
                biased;
                outcome = &mut self.outcome => return self.early(outcome).map(Some),
                piece = content.next() => piece,
            };
            let (piece, ended) = match piece {
                Some(Ok(piece)) => (piece, false),
                Some(Err(error)) => return Err(LinkError::Content(error.to_string())),
                None => (Bytes::new(), true),
            };
            if let Some(missing) = &mut missing {
                *missing = missing
                    .checked_sub(piece.len() as u64)
                    .filter(|rest| *rest == 0 || !ended)
                    .ok_or_else(|| LinkError::Content("its length is not what was recorded".to_owned()))?;
            }
            let ended = ended || missing == Some(0);
            self.send_piece(&mut head, piece, ended).await?;
            if ended {
                return Ok(None);
            }
        }
    }

    /// Sends one piece in chunks. An empty one is sent only when it is the end.
    async fn send_piece(
        &mut self,
        head: &mut Option<wire::MessageHead>,
        mut piece: Bytes,
        ended: bool,
    ) -> Result<(), LinkError> {
        while ended || !piece.is_empty() {
            let content = piece.split_to(piece.len().min(CHUNK_OCTETS));
            let last = ended && piece.is_empty();
            let part = match head.take() {
                Some(head) => Part::Begin(wire::Begin { head: Some(head), content, last }),
                None => Part::Chunk(wire::Chunk { content, last }),
            };
            let request = wire::TransferRequest { transfer: self.number, part: Some(part) };
            self.unfinished = true;
            self.link.requests.send(request).await.map_err(|_| self.link.ended())?;
            if last {
                self.unfinished = false;
                break;
            }
        }
        Ok(())
    }

    fn early(&mut self, outcome: Result<Outcome, oneshot::error::RecvError>) -> Result<Outcome, LinkError> {
        match outcome {
            Ok(outcome @ (Outcome::Refused(_) | Outcome::Deliveries(_))) => Ok(outcome),
            Ok(Outcome::Accepted(_)) => Err(LinkError::Ended("it accepted a message before its end".to_owned())),
            Err(_) => Err(self.link.ended()),
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.link.state.lock().waiting.remove(&self.number);
        if !self.unfinished {
            return;
        }
        let abort = wire::TransferRequest { transfer: self.number, part: Some(Part::Abort(wire::Abort {})) };
        if let Err(mpsc::error::TrySendError::Full(abort)) = self.link.requests.try_send(abort)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let requests = self.link.requests.clone();
            runtime.spawn(async move { requests.send(abort).await });
        }
    }
}

/// A message that was sent whole, or refused before its end.
pub(super) struct Sent {
    transfer: Transfer,
    early: Option<Outcome>,
}

impl Sent {
    /// Waits for the acknowledgement.
    pub(super) async fn outcome(mut self) -> Result<Outcome, LinkError> {
        match self.early {
            Some(outcome) => Ok(outcome),
            None => (&mut self.transfer.outcome).await.map_err(|_| self.transfer.link.ended()),
        }
    }
}
