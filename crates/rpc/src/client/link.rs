//! One stream with the transfers that wait for their outcome.
//!
//! A transfer that is dropped before its content was sent whole is called off, so that the receiver does not wait for the
//! rest of it.
//!
//! Nothing is waited for without a bound. Until its last request is on its way a transfer is in line with the others: it ends
//! when the stream as a whole stands still. After that, when there is no sign of it alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use net::Progress;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
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
    requests: mpsc::Sender<Request>,
    in_flight: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
    /// Of the stream: requests that were taken, and replies.
    moving: Progress,
    patience: Duration,
}

/// A request in the line to the peer.
pub(super) struct Request {
    part: wire::TransferRequest,
    /// Is told when it leaves the line, where somebody waits for that.
    left: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
struct State {
    last_transfer: u64,
    waiting: HashMap<u64, Waiting>,
    ended: Option<String>,
}

/// Who waits for an outcome.
struct Waiting {
    outcome: oneshot::Sender<Outcome>,
    /// The peer is at it.
    signs: Progress,
}

/// Why a transfer has no outcome.
#[derive(Debug)]
pub(super) enum LinkError {
    /// The stream ended.
    Ended(String),
    /// The content cannot be read, or is not of its stated size.
    Content(String),
}

/// The line to a peer: where requests are put, and what the peer is given of it.
pub(super) fn line(
    waiting_max: usize,
    moving: Progress,
) -> (mpsc::Sender<Request>, impl Stream<Item = wire::TransferRequest> + Send + 'static) {
    let (requests, waiting) = mpsc::channel::<Request>(waiting_max);
    let outgoing = ReceiverStream::new(waiting).map(move |request| {
        moving.step();
        if let Some(left) = request.left {
            let _ = left.send(());
        }
        request.part
    });
    (requests, outgoing)
}

impl Link {
    /// Takes over an open stream: `requests` is the line to the peer, and `moving` what moves in it.
    pub(super) fn open(
        channel: Channel,
        requests: mpsc::Sender<Request>,
        replies: Replies,
        moving: Progress,
        patience: Duration,
    ) -> Arc<Self> {
        let in_flight = Arc::new(Semaphore::new(TRANSFERS_IN_FLIGHT_MAX));
        let link = Self { channel, requests, in_flight, state: Arc::default(), moving, patience };
        let reading = read_replies(Arc::clone(&link.state), Arc::clone(&link.in_flight), replies, link.moving.clone());
        tokio::spawn(reading);
        Arc::new(link)
    }

    /// Waits for something that comes when the stream gets on.
    async fn in_line<T>(&self, work: impl Future<Output = T>) -> Result<T, LinkError> {
        self.moving.wait_for(work, self.patience).await.ok_or_else(|| self.silent("took nothing"))
    }

    fn silent(&self, what: &str) -> LinkError {
        LinkError::Ended(format!("it {what} for {} s", self.patience.as_secs_f32()))
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
    pub(super) async fn send(self: &Arc<Self>, begin: wire::Begin, content: Content) -> Result<Sent, LinkError> {
        let mut transfer = self.register().await?;
        match transfer.send(begin, content).await {
            Ok(early) => Ok(Sent { transfer, early }),
            Err(error) => Err(error),
        }
    }

    async fn register(self: &Arc<Self>) -> Result<Transfer, LinkError> {
        let permit = self.in_line(Arc::clone(&self.in_flight).acquire_owned()).await?.map_err(|_| self.ended())?;
        let (sender, outcome) = oneshot::channel();
        let signs = Progress::default();
        let mut state = self.state.lock();
        if state.ended.is_some() {
            drop(state);
            return Err(self.ended());
        }
        state.last_transfer += 1;
        let number = state.last_transfer;
        state.waiting.insert(number, Waiting { outcome: sender, signs: signs.clone() });
        Ok(Transfer { link: Arc::clone(self), number, outcome, signs, unfinished: false, _permit: permit })
    }

    fn ended(&self) -> LinkError {
        let cause = self.state.lock().ended.clone();
        LinkError::Ended(cause.unwrap_or_else(|| "the stream ended".to_owned()))
    }
}

async fn read_replies(state: Arc<Mutex<State>>, in_flight: Arc<Semaphore>, mut replies: Replies, moving: Progress) {
    let cause = loop {
        let reply = replies.next().await;
        moving.step();
        match reply {
            Some(Ok(wire::TransferReply { transfer, outcome: Some(Outcome::AtIt(wire::AtIt {})) })) => {
                if let Some(waiting) = state.lock().waiting.get(&transfer) {
                    waiting.signs.step();
                }
            }
            Some(Ok(wire::TransferReply { transfer, outcome: Some(outcome) })) => {
                if let Some(waiting) = state.lock().waiting.remove(&transfer) {
                    let _ = waiting.outcome.send(outcome);
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
    signs: Progress,
    /// Something has been sent, but not the end.
    unfinished: bool,
    _permit: OwnedSemaphorePermit,
}

impl Transfer {
    /// Sends head and content; gives the outcome when it came before the end.
    async fn send(&mut self, begin: wire::Begin, mut content: Content) -> Result<Option<Outcome>, LinkError> {
        let mut missing = begin.head.as_ref().and_then(|head| head.size);
        let mut begin = Some(begin);
        loop {
            let piece = tokio::select! {
                biased;
                outcome = &mut self.outcome => return self.early(outcome).map(Some),
                piece = next_piece(&mut content, missing.is_some(), self.link.patience) => piece?,
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
            self.send_piece(&mut begin, piece, ended).await?;
            if ended {
                return Ok(None);
            }
        }
    }

    /// Sends one piece in chunks. An empty one is sent only when it is the end.
    async fn send_piece(
        &mut self,
        begin: &mut Option<wire::Begin>,
        mut piece: Bytes,
        ended: bool,
    ) -> Result<(), LinkError> {
        while ended || !piece.is_empty() {
            // Nothing is made before there is a place for it: it would be kept at every step of the wait.
            let place = self.link.in_line(self.link.requests.reserve()).await?.map_err(|_| self.link.ended())?;
            let content = piece.split_to(piece.len().min(CHUNK_OCTETS));
            let last = ended && piece.is_empty();
            let part = match begin.take() {
                Some(begin) => Part::Begin(wire::Begin { content, last, ..begin }),
                None => Part::Chunk(wire::Chunk { content, last }),
            };
            let part = wire::TransferRequest { transfer: self.number, part: Some(part) };
            self.unfinished = !last;
            if !last {
                place.send(Request { part, left: None });
                continue;
            }
            let (left, has_left) = oneshot::channel();
            place.send(Request { part, left: Some(left) });
            // When the line ends so does the wait, and whoever asks for the outcome hears why.
            let _ = self.link.in_line(has_left).await?;
            break;
        }
        Ok(())
    }

    fn early(&mut self, outcome: Result<Outcome, oneshot::error::RecvError>) -> Result<Outcome, LinkError> {
        match outcome {
            Ok(outcome @ (Outcome::Refused(_) | Outcome::Deliveries(_))) => Ok(outcome),
            Ok(Outcome::Accepted(_) | Outcome::AtIt(_)) => {
                Err(LinkError::Ended("it accepted a message before its end".to_owned()))
            }
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
        let part = wire::TransferRequest { transfer: self.number, part: Some(Part::Abort(wire::Abort {})) };
        let abort = Request { part, left: None };
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
    /// Waits for the acknowledgement, as long as there are signs of it.
    pub(super) async fn outcome(mut self) -> Result<Outcome, LinkError> {
        if let Some(outcome) = self.early {
            return Ok(outcome);
        }
        let Transfer { link, outcome, signs, .. } = &mut self.transfer;
        let answered = signs.wait_for(outcome, link.patience).await;
        answered.ok_or_else(|| link.silent("did not acknowledge"))?.map_err(|_| link.ended())
    }
}

/// The next piece of content. What is on a disk here comes soon, or that disk does not answer; what comes from a client takes
/// its time.
async fn next_piece(
    content: &mut Content,
    is_stored: bool,
    patience: Duration,
) -> Result<Option<std::io::Result<Bytes>>, LinkError> {
    if !is_stored {
        return Ok(content.next().await);
    }
    let next = tokio::time::timeout(patience, content.next()).await;
    next.map_err(|_| LinkError::Content(format!("nothing of it could be read for {} s", patience.as_secs_f32())))
}
