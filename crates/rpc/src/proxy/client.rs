//! Transport's side: sessions of front ends that look like its own.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use envelope::{EnhancedStatus, Envelope, Service};
use futures::StreamExt;
use futures::stream::BoxStream;
use smtp::{Content, Failure, FailurePhase, MessageOutcome, OutboundMessage, OutboundSession, Peer, Turn};
use smtp_session::client::Phase;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::ProxyRequest;
use crate::address::PeerAddress;
use crate::client::{CONNECT_TIMEOUT, Channels, in_words};
use crate::convert::{self, proxy as words};
use crate::limits::CHUNK_OCTETS;
use crate::security::Credentials;
use crate::wire::proxy::v1 as wire;
use wire::outbound_proxy_client::OutboundProxyClient;
use wire::session_reply::Part as ReplyPart;
use wire::session_request::Part;

/// Requests of one session that wait to be sent.
const REQUESTS_WAITING_MAX: usize = 4;

/// Connections to front ends; each carries many sessions.
pub struct FrontEnds {
    channels: Channels,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The front end cannot be used; another one may be tried at once.
    #[error("cannot use the front end {peer}: {cause}")]
    FrontEnd {
        /// Which one.
        peer: String,
        /// What happened, to the last cause.
        cause: String,
    },
    /// The front end works and does not know what was asked for: its configuration is older, or its program.
    #[error("the front end {peer} does not open the session: {cause}")]
    Unknown {
        /// Which one.
        peer: String,
        /// What it does not know.
        cause: String,
    },
    /// The front end tried, and it failed as it would have failed here.
    #[error(transparent)]
    Session(Box<Failure>),
}

impl FrontEnds {
    /// No connections yet; they will be made with these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self { channels: Channels::new(credentials) }
    }

    /// Opens a session through the front end `at`.
    ///
    /// # Errors
    /// [`OpenError`] tells the front end's own failure from that of the session.
    pub async fn open(&self, at: &PeerAddress, request: &ProxyRequest) -> Result<ProxySession, OpenError> {
        let unusable = |cause: String| OpenError::FrontEnd { peer: at.to_string(), cause };
        let mut client = OutboundProxyClient::new(self.channels.to(at, Service::FrontendTransport).map_err(unusable)?);
        let (requests, outgoing) = mpsc::channel(REQUESTS_WAITING_MAX);
        let open = wire::SessionRequest { part: Some(Part::Open(words::open_to_wire(request))) };
        requests.try_send(open).expect("the channel is new");
        let opening = tokio::time::timeout(CONNECT_TIMEOUT, client.session(ReceiverStream::new(outgoing))).await;
        let opening = opening.map_err(|_| unusable("no answer in time".to_owned()))?;
        let mut replies = opening.map_err(|status| unusable(in_words(&status)))?.into_inner().boxed();
        match first(&mut replies, at).await? {
            ReplyPart::Opened(wire::Opened { peer: Some(peer), tls, dsn }) => {
                let peer = words::peer_from_wire(&peer).map_err(|error| unusable(error.to_string()))?;
                let state = State::Ready;
                Ok(ProxySession { requests, replies, front_end: at.to_string(), peer, tls: tls.into(), dsn, state })
            }
            ReplyPart::OpenFailed(failure) => match words::failure_from_wire(&failure) {
                Ok(failure) => Err(OpenError::Session(Box::new(failure))),
                Err(error) => Err(unusable(error.to_string())),
            },
            _ => Err(unusable("it answered another question".to_owned())),
        }
    }
}

type Replies = BoxStream<'static, Result<wire::SessionReply, Status>>;

/// The answer to the request. What the front end refuses for want of knowledge is its refusal, not its failure.
async fn first(replies: &mut Replies, at: &PeerAddress) -> Result<ReplyPart, OpenError> {
    let peer = at.to_string();
    match replies.next().await {
        Some(Err(status)) if status.code() == tonic::Code::FailedPrecondition => {
            Err(OpenError::Unknown { peer, cause: convert::without_controls(status.message()).into() })
        }
        reply => part(reply).map_err(|cause| OpenError::FrontEnd { peer, cause }),
    }
}

async fn next(replies: &mut Replies) -> Result<ReplyPart, String> {
    part(replies.next().await)
}

fn part(reply: Option<Result<wire::SessionReply, Status>>) -> Result<ReplyPart, String> {
    match reply {
        Some(Ok(wire::SessionReply { part: Some(part) })) => Ok(part),
        Some(Ok(wire::SessionReply { part: None })) => Err("a reply without content".to_owned()),
        Some(Err(status)) => Err(in_words(&status)),
        None => Err("the front end closed the session".to_owned()),
    }
}

/// What a session is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// For another turn of the same message only.
    Again,
    /// A question is under way. A session that is found like this was left in the middle.
    Asked,
    Ended,
}

/// A session over a connection of a front end.
pub struct ProxySession {
    requests: mpsc::Sender<wire::SessionRequest>,
    replies: Replies,
    front_end: String,
    peer: Peer,
    tls: Box<str>,
    dsn: bool,
    state: State,
}

impl ProxySession {
    /// Who is at the other end, as the front end says.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Protocol version and cipher suite between front end and peer; empty: in clear.
    #[must_use]
    pub fn tls(&self) -> &str {
        &self.tls
    }

    /// Whether the host understands DSN, and so reports further itself (DS-24).
    #[must_use]
    pub fn reports_itself(&self) -> bool {
        self.dsn
    }

    /// Sends a message. `Ok` holds its outcome, which may come before the content was sent to its end.
    async fn exchange(
        &mut self,
        message: OutboundMessage<'_>,
        sent_whole: &mut bool,
    ) -> Result<MessageOutcome, String> {
        let Self { requests, replies, .. } = self;
        let mut reply = std::pin::pin!(next(replies));
        let reply = tokio::select! {
            biased;
            reply = &mut reply => reply,
            whole = give(requests, message) => {
                *sent_whole = whole;
                reply.await
            }
        };
        match reply? {
            ReplyPart::Outcome(outcome) => words::outcome_from_wire(outcome).map_err(|error| error.to_string()),
            _ => Err("it answered another question".to_owned()),
        }
    }

    async fn probe(&mut self) -> Result<bool, String> {
        put(&self.requests, Part::Probe(wire::Probe {})).await?;
        match next(&mut self.replies).await? {
            ReplyPart::Probed(wire::Probed { reusable }) => Ok(reusable),
            _ => Err("it answered another question".to_owned()),
        }
    }

    /// The same failure for everyone, because the front end is lost.
    fn lost(&self, envelope: &Envelope, cause: &str, sent_whole: bool) -> MessageOutcome {
        let phase = if sent_whole { Phase::EndOfData } else { Phase::Data };
        let text = format!("the session through the front end {} was lost: {cause}", self.front_end);
        let peer = Some(self.peer.clone());
        let failure = Failure::new(EnhancedStatus::new(4, 4, 2), FailurePhase::Dialogue(phase), peer, text);
        let failure = Failure { ambiguous: sent_whole, ..failure };
        MessageOutcome {
            recipients: vec![Err(failure); envelope.recipients.len()],
            reusable: false,
            again: false,
            peer: self.peer.clone(),
            dsn: false,
        }
    }
}

#[async_trait]
impl OutboundSession for ProxySession {
    async fn send(&mut self, message: OutboundMessage<'_>) -> MessageOutcome {
        let envelope = message.envelope;
        let usable = match message.turn {
            Turn::First => self.state == State::Ready,
            Turn::Again | Turn::NextHost => matches!(self.state, State::Ready | State::Again),
        };
        if !usable {
            return self.lost(envelope, "it is not usable any more", false);
        }
        self.state = State::Asked;
        let mut sent_whole = false;
        let outcome = match self.exchange(message, &mut sent_whole).await {
            Ok(outcome) if outcome.recipients.len() == envelope.recipients.len() => outcome,
            Ok(_) => self.lost(envelope, "its answer does not fit the question", sent_whole),
            Err(cause) => self.lost(envelope, &cause, sent_whole),
        };
        // What may be sent again needs no session that takes another message.
        self.state = match (outcome.reusable, outcome.again) {
            (true, _) => State::Ready,
            (false, true) => State::Again,
            (false, false) => State::Ended,
        };
        self.peer.clone_from(&outcome.peer);
        self.dsn = outcome.dsn;
        outcome
    }

    async fn is_reusable(&mut self) -> bool {
        if self.state != State::Ready {
            return false;
        }
        self.state = State::Asked;
        let probed = tokio::time::timeout(CONNECT_TIMEOUT, self.probe()).await;
        let reusable = matches!(probed, Ok(Ok(true)));
        self.state = if reusable { State::Ready } else { State::Ended };
        reusable
    }

    /// The end of the stream is the word for it; the front end says `QUIT`.
    async fn close(self: Box<Self>) {}
}

async fn put(requests: &mpsc::Sender<wire::SessionRequest>, part: Part) -> Result<(), String> {
    let request = wire::SessionRequest { part: Some(part) };
    requests.send(request).await.map_err(|_| "the front end closed the session".to_owned())
}

/// Sends envelope and content; whether to their end. Content that cannot be read is called off, and the front end's
/// outcome says so; when the stream has ended its end says why.
async fn give(requests: &mpsc::Sender<wire::SessionRequest>, message: OutboundMessage<'_>) -> bool {
    let OutboundMessage { envelope, content, turn } = message;
    let (envelope, turn) = (Some(convert::envelope_to_wire(envelope)), words::turn_to_wire(turn));
    let begin = |envelope, size, content, last| Part::Begin(wire::Begin { envelope, size, content, last, turn });
    match content {
        Content::Whole(octets) => {
            let (first, rest) = octets.split_at(octets.len().min(CHUNK_OCTETS));
            let begin = begin(envelope, octets.len() as u64, Bytes::copy_from_slice(first), rest.is_empty());
            let mut sent = put(requests, begin).await.is_ok();
            let mut chunks = rest.chunks(CHUNK_OCTETS).peekable();
            while let Some(chunk) = chunks.next().filter(|_| sent) {
                let (content, last) = (Bytes::copy_from_slice(chunk), chunks.peek().is_none());
                sent = put(requests, Part::Chunk(wire::Chunk { content, last })).await.is_ok();
            }
            sent
        }
        Content::Nothing => put(requests, Part::Ask(wire::Ask { envelope })).await.is_ok(),
        Content::Streamed { size, source } => {
            put(requests, begin(envelope, size, Bytes::new(), false)).await.is_ok()
                && give_stream(requests, source).await
        }
    }
}

async fn give_stream(
    requests: &mpsc::Sender<wire::SessionRequest>,
    mut source: Box<dyn AsyncRead + Send + Unpin + '_>,
) -> bool {
    loop {
        let mut buffer = BytesMut::with_capacity(CHUNK_OCTETS);
        match source.read_buf(&mut buffer).await {
            Ok(count) => {
                let (content, last) = (buffer.freeze(), count == 0);
                let sent = put(requests, Part::Chunk(wire::Chunk { content, last })).await.is_ok();
                if last || !sent {
                    return sent;
                }
            }
            Err(error) => {
                tracing::error!(%error, "the content of a message cannot be read");
                // Sent or not: the message has no end.
                let _ = put(requests, Part::Abort(wire::Abort {})).await;
                return false;
            }
        }
    }
}
