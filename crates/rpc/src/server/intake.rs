//! Reads one stream: takes the parts of its messages apart and runs a handler for each message.
//!
//! ```text
//!   Begin ─▶ task with a channel ─▶ handler ─▶ outcome ─▶ replies
//!   Chunk ─▶ the channel of its message     (bounded in octets over all messages of the stream)
//!   last  ─▶ the channel ends well;  anything else that closes it means "cut short"
//! ```
//!
//! A message that is refused before its end is forgotten; what still comes of it is let pass.

use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envelope::{ByteSize, EnhancedStatus, Reply};
use futures::{FutureExt, Stream, StreamExt};
use net::{PeerIdentity, Progress};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Receive, internal_error};
use crate::convert::{self, WireError};
use crate::limits::{
    CHUNK_OCTETS_CHARGED_MIN, CONTENT_WAITING_OCTETS_MAX, STORED_CONTENT_PATIENCE, STREAMED_CONTENT_PATIENCE,
    TRANSFERS_IN_FLIGHT_MAX,
};
use crate::transfer::{Content, Incoming, Signs};
use crate::wire::transfer::v1 as wire;
use wire::transfer_reply::Outcome;
use wire::transfer_request::Part;

/// The reader of one stream.
pub(super) struct Intake {
    peer: Arc<PeerIdentity>,
    receive: Receive,
    replies: mpsc::Sender<Result<wire::TransferReply, Status>>,
    drain: CancellationToken,
    in_flight: Arc<Semaphore>,
    room: Arc<Semaphore>,
    open: HashMap<u64, Open>,
    /// Requests that come.
    moving: Progress,
}

/// A message whose end has not come.
struct Open {
    pieces: mpsc::UnboundedSender<io::Result<Piece>>,
    missing: Option<u64>,
}

/// A chunk on its way to its receiver.
struct Piece {
    octets: Bytes,
    last: bool,
    _room: OwnedSemaphorePermit,
}

impl Intake {
    pub(super) fn new(
        peer: PeerIdentity,
        receive: Receive,
        replies: mpsc::Sender<Result<wire::TransferReply, Status>>,
        drain: CancellationToken,
    ) -> Self {
        Self {
            peer: Arc::new(peer),
            receive,
            replies,
            drain,
            in_flight: Arc::new(Semaphore::new(TRANSFERS_IN_FLIGHT_MAX)),
            room: Arc::new(Semaphore::new(CONTENT_WAITING_OCTETS_MAX as usize)),
            open: HashMap::new(),
            moving: Progress::default(),
        }
    }

    /// Runs until the peer ends the stream, or until the service drains and no message is in flight. Messages in flight
    /// hold the reply channel: the stream to the peer ends with the last of them.
    pub(super) async fn run(
        mut self,
        mut requests: impl Stream<Item = Result<wire::TransferRequest, Status>> + Unpin + Send,
    ) {
        let (drain, in_flight) = (self.drain.clone(), Arc::clone(&self.in_flight));
        let drained = async move {
            drain.cancelled().await;
            let all = u32::try_from(TRANSFERS_IN_FLIGHT_MAX).expect("a small number");
            let _ = in_flight.acquire_many(all).await;
        };
        tokio::pin!(drained);
        loop {
            let request = tokio::select! {
                biased;
                () = &mut drained => return,
                request = requests.next() => request,
            };
            let Some(Ok(request)) = request else { return };
            self.moving.step();
            if let Err(status) = self.part(request).await {
                // The peer broke the protocol: nothing it says on this stream can be trusted any more.
                let _ = self.replies.send(Err(status)).await;
                return;
            }
        }
    }

    async fn part(&mut self, request: wire::TransferRequest) -> Result<(), Status> {
        let transfer = request.transfer;
        match request.part.ok_or_else(|| Status::invalid_argument("a transfer request without a part"))? {
            Part::Begin(_) if self.open.contains_key(&transfer) => {
                Err(Status::invalid_argument("a transfer number is used twice"))
            }
            Part::Begin(begin) => {
                if let Err(reply) = self.begin(transfer, begin).await {
                    let outcome = Outcome::Refused(convert::reply_to_wire(&reply));
                    let _ = self.replies.send(Ok(wire::TransferReply { transfer, outcome: Some(outcome) })).await;
                }
                Ok(())
            }
            Part::Chunk(chunk) => {
                self.chunk(transfer, chunk).await;
                Ok(())
            }
            Part::Abort(wire::Abort {}) => {
                self.open.remove(&transfer);
                Ok(())
            }
        }
    }

    async fn begin(&mut self, transfer: u64, begin: wire::Begin) -> Result<(), Reply> {
        if self.drain.is_cancelled() {
            return Err(Reply::new(421, EnhancedStatus::new(4, 3, 2), "Service is shutting down"));
        }
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| Reply::new(451, EnhancedStatus::new(4, 3, 2), "Too many messages in flight"))?;
        let head = begin.head.ok_or(WireError::Missing("the head")).map_err(|error| malformed(&error))?;
        let size = head.size.map(ByteSize::bytes);
        let head = convert::head_from_wire(head).map_err(|error| malformed(&error))?;
        let history = begin.history.map(|history| convert::history_from_wire(history, head.envelope.recipients.len()));
        let history = history.transpose().map_err(|error| malformed(&error))?;
        let (pieces, waiting) = mpsc::unbounded_channel();
        let patience = if size.is_some() { STORED_CONTENT_PATIENCE } else { STREAMED_CONTENT_PATIENCE };
        let content = content_of(waiting, self.moving.clone(), patience);
        let signs = self.signs(transfer, begin.hears_signs);
        self.start(transfer, permit, Incoming { head, size, history, content, signs, stranger: false });
        self.open.insert(transfer, Open { pieces, missing: size.map(ByteSize::as_u64) });
        self.chunk(transfer, wire::Chunk { content: begin.content, last: begin.last }).await;
        Ok(())
    }

    /// Signs of a message go the way of its outcome; when that is full, the peer sees enough of what goes on.
    fn signs(&self, transfer: u64, heard: bool) -> Signs {
        let replies = heard.then(|| self.replies.clone());
        Signs::new(move || {
            if let Some(replies) = &replies {
                let outcome = Some(Outcome::AtIt(wire::AtIt {}));
                let _ = replies.try_send(Ok(wire::TransferReply { transfer, outcome }));
            }
        })
    }

    async fn chunk(&mut self, transfer: u64, chunk: wire::Chunk) {
        let Some(mut open) = self.open.remove(&transfer) else { return };
        let given = chunk.content.len() as u64;
        let fits = match &mut open.missing {
            None => true,
            Some(missing) => match missing.checked_sub(given) {
                Some(rest) => {
                    *missing = rest;
                    rest == 0 || !chunk.last
                }
                None => false,
            },
        };
        if !fits {
            let _ = open.pieces.send(Err(wrong_size()));
            return;
        }
        let charged =
            u32::try_from(given).unwrap_or(u32::MAX).clamp(CHUNK_OCTETS_CHARGED_MIN, CONTENT_WAITING_OCTETS_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(charged).await.expect("it is never closed");
        let piece = Piece { octets: chunk.content, last: chunk.last, _room: room };
        if open.pieces.send(Ok(piece)).is_ok() && !chunk.last {
            self.open.insert(transfer, open);
        }
    }

    fn start(&self, transfer: u64, permit: OwnedSemaphorePermit, incoming: Incoming) {
        let (receive, peer, replies) = (Arc::clone(&self.receive), Arc::clone(&self.peer), self.replies.clone());
        tokio::spawn(async move {
            // A handler that panics must not leave the peer waiting for its outcome.
            let outcome = AssertUnwindSafe(async { receive(peer, incoming).await }).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Outcome::Refused(convert::reply_to_wire(&internal_error())));
            let _ = replies.send(Ok(wire::TransferReply { transfer, outcome: Some(outcome) })).await;
            drop(permit);
        });
    }
}

/// The pieces up to the last one. When they end without a last one the message was cut short, and so it is when the whole
/// stream stands still.
fn content_of(pieces: mpsc::UnboundedReceiver<io::Result<Piece>>, moving: Progress, patience: Duration) -> Content {
    futures::stream::unfold(Some((pieces, moving)), move |rest| async move {
        let (mut pieces, moving) = rest?;
        Some(match moving.wait_for(pieces.recv(), patience).await {
            Some(Some(Ok(piece))) => (Ok(piece.octets), (!piece.last).then_some((pieces, moving))),
            Some(Some(Err(error))) => (Err(error), None),
            Some(None) => (Err(cut_short()), None),
            None => (Err(silent(patience)), None),
        })
    })
    .boxed()
}

fn silent(patience: Duration) -> io::Error {
    let text = format!("nothing of the message came for {} s", patience.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn malformed(error: &WireError) -> Reply {
    Reply::new(554, EnhancedStatus::new(5, 6, 0), format!("Malformed transfer: {error}"))
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the message was cut short")
}

fn wrong_size() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the content is not of the size that was stated")
}

#[cfg(test)]
mod tests;
