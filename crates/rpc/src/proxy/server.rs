//! The front end's side: drives one session of its own as Transport says, and gives back what the remote host says.

use std::io;
use std::sync::Arc;

use authority::Act;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use smtp::{Content, OutboundMessage};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{NotOpened, OpenSession, OpenedSession};
use crate::convert::{self, proxy as words};
use crate::security::authorize;
use crate::wire::proxy::v1 as wire;
use wire::session_reply::Part as ReplyPart;
use wire::session_request::Part;

/// Replies of one session that wait to be sent: there is one per question.
const REPLIES_WAITING_MAX: usize = 4;

type ReplyStream = ReceiverStream<Result<wire::SessionReply, Status>>;

/// `postroad.proxy.v1.OutboundProxy` over a handler.
pub(crate) struct ProxyService {
    pub(crate) handler: Arc<dyn OpenSession>,
    pub(crate) drain: CancellationToken,
}

#[tonic::async_trait]
impl wire::outbound_proxy_server::OutboundProxy for ProxyService {
    type SessionStream = ReplyStream;

    async fn session(
        &self,
        request: Request<Streaming<wire::SessionRequest>>,
    ) -> Result<Response<ReplyStream>, Status> {
        let peer = authorize(&request, Act::OpenOutboundSession)?.peer;
        let mut requests = request.into_inner();
        if self.drain.is_cancelled() {
            return Err(Status::unavailable("shutting down"));
        }
        let (replies, stream) = mpsc::channel(REPLIES_WAITING_MAX);
        let (handler, drain) = (Arc::clone(&self.handler), self.drain.clone());
        // A task of its own: a session that nobody waits for any more says QUIT all the same.
        tokio::spawn(async move {
            let opened = async {
                let open = match requests.message().await? {
                    Some(wire::SessionRequest { part: Some(Part::Open(open)) }) => open,
                    _ => return Err(Status::invalid_argument("a session begins with open")),
                };
                let request = words::open_from_wire(open).map_err(|error| malformed(&error))?;
                Ok(handler.open(&peer, request).await)
            };
            match opened.await {
                Ok(Ok(opened)) => Driver { requests, replies }.run(opened, &drain).await,
                Ok(Err(NotOpened::Unknown(what))) => {
                    let _ = replies.send(Err(Status::failed_precondition(what))).await;
                }
                Ok(Err(NotOpened::Failed(failure))) => {
                    let part = ReplyPart::OpenFailed(words::failure_to_wire(&failure));
                    let _ = replies.send(Ok(wire::SessionReply { part: Some(part) })).await;
                }
                Err(status) => {
                    let _ = replies.send(Err(status)).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn malformed(error: &convert::WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// One open session.
struct Driver<R> {
    requests: R,
    replies: mpsc::Sender<Result<wire::SessionReply, Status>>,
}

impl<R: Stream<Item = Result<wire::SessionRequest, Status>> + Unpin + Send> Driver<R> {
    /// Serves until Transport is done with the session, or the service drains and no message is under way.
    async fn run(mut self, opened: OpenedSession, drain: &CancellationToken) {
        let OpenedSession { mut session, peer, tls, dsn } = opened;
        let opened = wire::Opened { peer: Some(words::peer_to_wire(&peer)), tls: tls.into(), dsn };
        self.reply(ReplyPart::Opened(opened)).await;
        loop {
            let request = tokio::select! {
                biased;
                () = drain.cancelled() => break,
                request = self.requests.next() => request,
            };
            let Some(Ok(wire::SessionRequest { part: Some(part) })) = request else { break };
            match part {
                Part::Begin(begin) => {
                    let reply = match self.message(session.as_mut(), begin).await {
                        Ok(outcome) => Ok(wire::SessionReply { part: Some(ReplyPart::Outcome(outcome)) }),
                        Err(status) => Err(status),
                    };
                    let broken = reply.is_err();
                    if self.replies.send(reply).await.is_err() || broken {
                        break;
                    }
                }
                Part::Ask(wire::Ask { envelope }) => match ask(session.as_mut(), envelope).await {
                    Ok(outcome) => self.reply(ReplyPart::Outcome(outcome)).await,
                    Err(status) => {
                        let _ = self.replies.send(Err(status)).await;
                        break;
                    }
                },
                // The rest of a message whose outcome was known before its end.
                Part::Chunk(_) | Part::Abort(_) => {}
                Part::Probe(wire::Probe {}) => {
                    let reusable = session.is_reusable().await;
                    self.reply(ReplyPart::Probed(wire::Probed { reusable })).await;
                }
                Part::Open(_) => {
                    let _ = self.replies.send(Err(Status::invalid_argument("a session is opened once"))).await;
                    break;
                }
            }
        }
        // The stream to Transport ends first: QUIT is of no interest to it.
        drop(self);
        session.close().await;
    }

    async fn message(
        &mut self,
        session: &mut dyn smtp::OutboundSession,
        begin: wire::Begin,
    ) -> Result<wire::Outcome, Status> {
        let turn = words::turn_from_wire(&begin);
        let wire::Begin { envelope, size, content, last, .. } = begin;
        let envelope = read_envelope(envelope)?;
        let outcome = if last {
            let content = Content::Whole(&content);
            session.send(OutboundMessage { envelope: &envelope, content, turn }).await
        } else {
            let pieces = futures::stream::once(async { Ok(content) }).chain(rest_of(&mut self.requests));
            let source = Box::new(StreamReader::new(Box::pin(pieces)));
            let content = Content::Streamed { size, source };
            session.send(OutboundMessage { envelope: &envelope, content, turn }).await
        };
        Ok(words::outcome_to_wire(&outcome))
    }

    async fn reply(&self, part: ReplyPart) {
        // When nobody listens, the next request is not there either.
        let _ = self.replies.send(Ok(wire::SessionReply { part: Some(part) })).await;
    }
}

fn read_envelope(envelope: Option<crate::wire::transfer::v1::Envelope>) -> Result<envelope::Envelope, Status> {
    let envelope = envelope.ok_or(convert::WireError::Missing("the envelope")).map_err(|error| malformed(&error))?;
    convert::envelope_from_wire(envelope).map_err(|error| malformed(&error))
}

/// Whom the host would take mail for.
async fn ask(
    session: &mut dyn smtp::OutboundSession,
    envelope: Option<crate::wire::transfer::v1::Envelope>,
) -> Result<wire::Outcome, Status> {
    let envelope = read_envelope(envelope)?;
    let outcome = session.send(OutboundMessage::new(&envelope, Content::Nothing)).await;
    Ok(words::outcome_to_wire(&outcome))
}

/// Content up to its last chunk. Anything else that comes, the end of the stream included, is an error, so that a message
/// is never taken for whole when it is not.
fn rest_of<R>(requests: &mut R) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    R: Stream<Item = Result<wire::SessionRequest, Status>> + Unpin + Send,
{
    futures::stream::unfold(Some(requests), |requests| async {
        let requests = requests?;
        match requests.next().await {
            Some(Ok(wire::SessionRequest { part: Some(Part::Chunk(chunk)) })) => {
                Some((Ok(chunk.content), (!chunk.last).then_some(requests)))
            }
            _ => Some((Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the message was cut short")), None)),
        }
    })
}
