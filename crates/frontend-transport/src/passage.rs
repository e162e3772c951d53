//! One message on its way to one Transport (PL-04, RT-60 ff.), and to the next one as long as that is safe (PL-25).
//!
//! Small content is held until it is whole and then offered to one server after the other; the id makes a message that
//! arrived after all harmless. Large content is passed on as it comes: once more of it than what is still held has gone,
//! there is no second server.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{ByteSize, EnhancedStatus, MessageHead, Receipt, Reply};
use futures::{FutureExt, Stream, StreamExt};
use handover::{Candidates, NotHandedOver, Offered, Taker};
use rpc::{Content, TransferError};
use runtime::Node;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// Pieces of at most 64 KiB that wait to be passed on; then the client waits.
const PIECES_WAITING_MAX: usize = 4;
/// Time from the end of data to the reply, over all candidates: below the ten minutes that a client waits (RFC 5321
/// §4.5.3.2.6).
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(9 * 60);

/// A message on its way to a Transport.
pub(crate) struct Passage {
    node: Arc<Node>,
    head: MessageHead,
    candidates: Candidates,
    /// What every further candidate is given first.
    prefix: Bytes,
    /// Something after the prefix has gone.
    committed: bool,
    uplink: Option<Uplink>,
}

/// Content under way.
struct Uplink {
    candidate: Taker,
    pieces: mpsc::Sender<Piece>,
    outcome: AbortOnDropHandle<Result<Receipt, TransferError>>,
}

/// Anything but an `End` ends the content with an error: a session that breaks must not look like a message that ends.
enum Piece {
    Octets(Bytes),
    End,
}

/// A message that is held whole.
struct Held<'a> {
    head: &'a MessageHead,
    content: Bytes,
}

#[async_trait]
impl Offered for Held<'_> {
    type Unreadable = Infallible;

    async fn open(&mut self, _: &Taker) -> Result<(MessageHead, Content), Infallible> {
        Ok((self.head.clone(), futures::stream::iter([Ok(self.content.clone())]).boxed()))
    }
}

impl Passage {
    pub(crate) fn new(node: Arc<Node>, head: MessageHead, candidates: Candidates) -> Self {
        Self { node, head, candidates, prefix: Bytes::new(), committed: false, uplink: None }
    }

    /// Hands over a message that is held whole.
    pub(crate) async fn submit(&mut self, content: Bytes) -> Result<Receipt, Reply> {
        let Self { head, candidates, .. } = self;
        head.size = ByteSize::bytes(content.len() as u64);
        let mut held = Held { head, content };
        let taken = candidates.hand_over(&mut held);
        in_time(taken.map(|taken| taken.map(|taken| taken.receipt).map_err(not_handed_over))).await
    }

    /// Begins to pass on content, of which this is the beginning.
    pub(crate) async fn begin(&mut self, prefix: Bytes) -> Result<(), Reply> {
        self.prefix = prefix;
        self.connect().await
    }

    /// Passes on another piece.
    pub(crate) async fn push(&mut self, piece: Bytes) -> Result<(), Reply> {
        loop {
            let Some(uplink) = &self.uplink else {
                self.connect().await?;
                continue;
            };
            if uplink.pieces.send(Piece::Octets(piece.clone())).await.is_ok() {
                self.committed = true;
                return Ok(());
            }
            self.ended().await?;
        }
    }

    /// The content is complete: waits for the receipt.
    pub(crate) async fn finish(&mut self) -> Result<Receipt, Reply> {
        let finishing = async {
            loop {
                let Some(uplink) = &self.uplink else {
                    self.connect().await?;
                    continue;
                };
                // When it cannot be sent, the outcome is there and says why.
                let _ = uplink.pieces.send(Piece::End).await;
                if let Some(receipt) = self.ended().await? {
                    return Ok(receipt);
                }
            }
        };
        in_time(finishing).await
    }

    /// Opens a transfer with the first candidate that answers.
    async fn connect(&mut self) -> Result<(), Reply> {
        while let Some(candidate) = self.candidates.next().await {
            let to = candidate.address.clone();
            // What goes after the prefix goes once: a server that takes nothing now is passed over before that (BP-15).
            if let Err(error) = self.node.peers.admitted(&to).await {
                self.not_taken(&candidate, error)?;
                continue;
            }
            let (pieces, rest) = mpsc::channel(PIECES_WAITING_MAX);
            let (begun, has_begun) = oneshot::channel();
            let content = content(self.prefix.clone(), begun, rest).boxed();
            let (node, head) = (Arc::clone(&self.node), self.head.clone());
            let transfer = async move { node.peers.submit_streamed(&to, &head, content).await };
            let outcome = AbortOnDropHandle::new(tokio::spawn(transfer));
            self.uplink = Some(Uplink { candidate, pieces, outcome });
            // Content is asked for as soon as there is a connection, and dropped when there is none.
            if has_begun.await.is_ok() {
                return Ok(());
            }
            self.ended().await?;
        }
        Err(nobody(self.candidates.why()))
    }

    /// The outcome of the transfer under way. `None`: another candidate may be tried.
    async fn ended(&mut self) -> Result<Option<Receipt>, Reply> {
        let Some(Uplink { candidate, outcome, .. }) = self.uplink.take() else { return Ok(None) };
        let outcome = outcome.await.unwrap_or_else(|error| Err(TransferError::Content(error.to_string())));
        match outcome {
            Ok(receipt) => {
                self.candidates.took(&candidate);
                Ok(Some(receipt))
            }
            Err(error) => {
                let reply = presentable(error.to_reply());
                self.not_taken(&candidate, error)?;
                if self.committed { Err(reply) } else { Ok(None) }
            }
        }
    }

    /// `Err`: nobody else may be asked.
    fn not_taken(&mut self, candidate: &Taker, error: TransferError) -> Result<(), Reply> {
        tracing::warn!(message = %self.head.id, %error, "a Transport did not take the message");
        self.candidates.passed_over(candidate, error).map_err(|error| presentable(error.to_reply()))
    }
}

fn not_handed_over(why: NotHandedOver<Infallible>) -> Reply {
    match why {
        NotHandedOver::Refused(error) => presentable(error.to_reply()),
        NotHandedOver::Nobody(why) => nobody(why),
        NotHandedOver::Unreadable(never) => match never {},
    }
}

/// PL-25
fn nobody(why: Option<TransferError>) -> Reply {
    why.map_or_else(
        || {
            tracing::warn!(
                "a message is put off with 451: no Transport that this front end may ask is there (postroad servers)"
            );
            Reply::new(451, EnhancedStatus::new(4, 4, 0), "Temporary server error; no transport service is available")
        },
        |error| presentable(error.to_reply()),
    )
}

/// A 421 of a Transport is about its own connections; to our client it would mean the end of his.
fn presentable(reply: Reply) -> Reply {
    if reply.code == 421 { Reply { code: 451, ..reply } } else { reply }
}

/// No `async fn`: that would keep room for `outcome` twice.
fn in_time(outcome: impl Future<Output = Result<Receipt, Reply>>) -> impl Future<Output = Result<Receipt, Reply>> {
    let late = "Temporary server error; no acknowledgement came in time";
    tokio::time::timeout(ACKNOWLEDGEMENT_TIMEOUT, outcome)
        .map(move |ended| ended.unwrap_or_else(|_| Err(Reply::new(451, EnhancedStatus::new(4, 4, 0), late))))
}

fn content(
    prefix: Bytes,
    begun: oneshot::Sender<()>,
    pieces: mpsc::Receiver<Piece>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let first = futures::stream::once(async move {
        // Nobody waits for it when the session is over.
        let _ = begun.send(());
        Ok(prefix)
    });
    first.chain(futures::stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Piece::Octets(octets)) => Some((Ok(octets), Some(pieces))),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the client broke off")), None)),
        }
    }))
}
