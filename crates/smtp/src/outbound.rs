//! One connection, and sending messages over it.
//!
//! The session machine decides what is said; here are the writes, the reads and the patience. Capabilities, TLS and
//! identity belong to the connection: whoever keeps sessions for reuse keys them by the whole [`crate::SessionPlan`].

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use envelope::{EnhancedStatus, Envelope, Reply};
use net::{PeerTls, Stream};
use smtp_session::client::{self, ClientEvent, ClientSession, MessageContent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::failure::{Failure, FailurePhase, Peer};
use crate::targets::Target;
use crate::transcript::Teller;

/// Content is read from its source in pieces of this many octets.
const CONTENT_CHUNK_OCTETS: usize = 64 * 1024;
/// After a write has failed, what the server said before it hung up is waited for this long.
const LAST_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the content of a message comes from. Header and body, any line endings: they leave as CRLF.
pub enum Content<'a> {
    /// All of it. Up to 64 KiB go out in one write with the commands, where the server allows it.
    Whole(&'a [u8]),
    /// Read while it is sent, once.
    Streamed {
        /// Announced with `SIZE=`, in octets.
        size: u64,
        /// Gives exactly the content.
        source: Box<dyn AsyncRead + Send + Unpin + 'a>,
    },
    /// None: the host is asked whether it would take the message (`MAIL`, `RCPT`, `RSET`), and nothing is sent.
    Nothing,
}

/// Which turn of a message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// The first: another message than before.
    #[default]
    First,
    /// The same message for who is left, after an outcome that says [`MessageOutcome::again`].
    Again,
    /// The same, to another host in any case.
    NextHost,
}

/// One message for one session.
pub struct OutboundMessage<'a> {
    /// All recipients go in one transaction.
    pub envelope: &'a Envelope,
    /// Header and body.
    pub content: Content<'a>,
    /// Whether it was sent before, for other recipients or in another form.
    pub turn: Turn,
}

impl<'a> OutboundMessage<'a> {
    /// A message that was not sent before.
    #[must_use]
    pub fn new(envelope: &'a Envelope, content: Content<'a>) -> Self {
        Self { envelope, content, turn: Turn::First }
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageOutcome {
    /// One for each recipient, in the order of the envelope; `Ok` holds the reply to end-of-data.
    pub recipients: Vec<Result<Reply, Failure>>,
    /// Whether another message may follow on this session.
    pub reusable: bool,
    /// Whether the message may be sent again at once, with [`Turn::Again`], for the recipients that failed but not for good:
    /// there is another host, or this one takes fewer recipients at a time.
    pub again: bool,
    /// Who answered.
    pub peer: Peer,
    /// The host understands DSN: it reports further itself (DS-24).
    pub dsn: bool,
}

/// A session that can send: over a connection of this server, or through another server.
#[async_trait]
pub trait OutboundSession: Send {
    /// Sends one message. Never fails as a whole: each recipient has its result. Dropping the future in the middle leaves
    /// a session that is not reusable.
    async fn send(&mut self, message: OutboundMessage<'_>) -> MessageOutcome;

    /// Whether a message may be sent now, as far as can be told without waiting.
    async fn is_reusable(&mut self) -> bool;

    /// Says `QUIT` and closes.
    async fn close(self: Box<Self>);
}

/// How a connection is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsOutcome {
    /// Not: not offered, or not to be used.
    Clear,
    /// Not, because the handshake failed and nothing required it (TA-5); why.
    FellBack(Box<str>),
    /// It is.
    Encrypted(PeerTls),
}

/// A session over a connection of this server.
pub struct SmtpSession {
    stream: Stream,
    machine: ClientSession,
    peer: Peer,
    target: Target,
    tls: TlsOutcome,
    /// What the system said when the connection broke.
    broken: Option<io::Error>,
    teller: Teller,
}

impl SmtpSession {
    pub(crate) fn new(stream: Stream, mut machine: ClientSession, peer: Peer, target: Target, teller: Teller) -> Self {
        if teller.is_telling() {
            machine.keep_words();
        }
        Self { stream, machine, peer, target, tls: TlsOutcome::Clear, broken: None, teller }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// How the connection is secured.
    #[must_use]
    pub fn tls(&self) -> &TlsOutcome {
        &self.tls
    }

    /// What the server offers.
    #[must_use]
    pub fn capabilities(&self) -> &client::Capabilities {
        self.machine.capabilities()
    }

    /// Whom the plan meant.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the host may be believed that it takes `BDAT`.
    pub(crate) fn may_chunk(&self) -> bool {
        self.machine.may_chunk()
    }

    pub(crate) fn fell_back(self, why: Box<str>) -> Self {
        Self { tls: TlsOutcome::FellBack(why), ..self }
    }

    pub(crate) fn machine(&mut self) -> &mut ClientSession {
        &mut self.machine
    }

    pub(crate) fn into_stream(self) -> (Stream, Parts) {
        let Self { stream, machine, peer, target, teller, .. } = self;
        (stream, Parts { machine, peer, target, teller })
    }

    /// Talks until the machine has something to tell; `None` when the session is over and has nothing more.
    pub(crate) async fn next_event(&mut self) -> Option<ClientEvent> {
        loop {
            let event = self.machine.poll_event();
            self.tell();
            if event.is_some() {
                return event;
            }
            if !self.transmit().await || !self.receive().await {
                let event = self.machine.poll_event();
                self.tell();
                return event;
            }
        }
    }

    fn tell(&mut self) {
        self.teller.spoken(|| self.machine.poll_spoken());
    }

    /// Gives whether the connection lives on.
    async fn transmit(&mut self) -> bool {
        self.tell();
        let Some(octets) = self.machine.poll_transmit() else { return true };
        let limit = self.deadline();
        let written = async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        };
        match timeout_at(limit, written).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                self.last_replies().await;
                self.broke(error);
            }
            Err(_) => self.machine.handle_timeout(Instant::now().into_std()),
        }
        false
    }

    /// Until when the server may take its time.
    fn deadline(&mut self) -> Instant {
        Instant::from_std(self.machine.poll_timeout(Instant::now().into_std()))
    }

    /// A server that hangs up in the middle has often said why.
    async fn last_replies(&mut self) {
        let reading = async { while let Ok(1..) = self.stream.read_buf(self.machine.input_space()).await {} };
        // Silence is as good an answer as the end of the connection.
        let _said_all = timeout(LAST_REPLY_TIMEOUT, reading).await;
    }

    /// Gives whether the connection lives on.
    async fn receive(&mut self) -> bool {
        let limit = self.deadline();
        match timeout_at(limit, self.stream.read_buf(self.machine.input_space())).await {
            Ok(Ok(1..)) => return true,
            Ok(Ok(0)) => self.hung_up(),
            Ok(Err(error)) => self.broke(error),
            Err(_) => self.machine.handle_timeout(Instant::now().into_std()),
        }
        false
    }

    fn hung_up(&mut self) {
        self.teller.hung_up();
        self.machine.handle_disconnect();
    }

    fn broke(&mut self, error: io::Error) {
        self.broken = Some(error);
        self.hung_up();
    }

    async fn give_content(&mut self, content: &mut Content<'_>) {
        let complete = match content {
            Content::Whole(octets) => self.give_whole(octets).await,
            Content::Streamed { source, .. } => self.give_stream(source.as_mut()).await,
            Content::Nothing => true,
        };
        if complete {
            self.machine.end_content();
        }
    }

    /// The last chunk stays with the machine: it leaves together with the final dot.
    async fn give_whole(&mut self, octets: &[u8]) -> bool {
        for (number, chunk) in octets.chunks(CONTENT_CHUNK_OCTETS).enumerate() {
            if number > 0 && !self.transmit().await {
                return false;
            }
            self.machine.content(chunk);
        }
        true
    }

    async fn give_stream(&mut self, source: &mut (dyn AsyncRead + Send + Unpin)) -> bool {
        let mut buffer = bytes::BytesMut::with_capacity(CONTENT_CHUNK_OCTETS);
        loop {
            buffer.clear();
            match source.read_buf(&mut buffer).await {
                Ok(0) => return true,
                Ok(_) => {
                    self.machine.content(&buffer);
                    if !self.transmit().await {
                        return false;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the content of a message cannot be read");
                    self.machine.abort_content();
                    return false;
                }
            }
        }
    }

    /// The session could not be opened.
    pub(crate) fn give_up(&mut self, failure: &client::SessionFailure) -> Failure {
        let explained = self.explain(failure);
        if explained.reply.is_none() {
            self.teller.note(&explained.text, "given up");
        }
        explained
    }

    pub(crate) fn explain(&self, failure: &client::SessionFailure) -> Failure {
        let mut explained = Failure::dialogue(self.peer.clone(), failure);
        if let (client::Cause::Disconnected, Some(error)) = (&failure.cause, &self.broken) {
            explained.text = format!("{}: {error}", explained.text).into();
        }
        explained
    }

    fn outcome(&mut self, outcome: client::MessageOutcome) -> MessageOutcome {
        let explained =
            |result: Result<Reply, client::SessionFailure>| result.map_err(|failure| self.explain(&failure));
        let recipients: Vec<Result<Reply, Failure>> = outcome.recipients.into_iter().map(explained).collect();
        // What the host said stands in its reply.
        let silent = recipients.iter().find_map(|result| result.as_ref().err().filter(|one| one.reply.is_none()));
        if let Some(failure) = silent {
            self.teller.note(&failure.text, "not sent");
        }
        MessageOutcome {
            recipients,
            reusable: outcome.reusable,
            again: false,
            peer: self.peer.clone(),
            dsn: self.capabilities().dsn,
        }
    }

    /// Nothing could be sent at all.
    fn unusable(&self, envelope: &Envelope, failure: Option<&client::SessionFailure>) -> MessageOutcome {
        let failure = failure.map_or_else(|| self.gone(), |failure| self.explain(failure));
        MessageOutcome {
            recipients: vec![Err(failure); envelope.recipients.len()],
            reusable: false,
            again: false,
            peer: self.peer.clone(),
            dsn: false,
        }
    }

    pub(crate) fn gone(&self) -> Failure {
        let phase = FailurePhase::Dialogue(client::Phase::Idle);
        let text = "the session is not usable any more";
        Failure::new(EnhancedStatus::new(4, 4, 2), phase, Some(self.peer.clone()), text)
    }

    /// Looks at what has come since the last message, without waiting: anything at all makes the session unusable, or a
    /// surplus reply would be taken for the answer to a later command.
    async fn idle_event(&mut self) -> Option<ClientEvent> {
        tokio::select! {
            biased;
            read = self.stream.read_buf(self.machine.input_space()) => match read {
                Ok(1..) => {}
                Ok(0) => self.hung_up(),
                Err(error) => self.broke(error),
            },
            () = std::future::ready(()) => {}
        }
        let event = self.machine.poll_event();
        self.tell();
        event
    }
}

/// What stays of a session while its stream is in the handshake.
pub(crate) struct Parts {
    machine: ClientSession,
    peer: Peer,
    target: Target,
    teller: Teller,
}

impl Parts {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn note(&mut self, data: &str, context: &str) {
        self.teller.note(data, context);
    }

    pub(crate) fn with_stream_and_tls(mut self, stream: Stream, about: PeerTls) -> SmtpSession {
        self.teller.secured(&about);
        let session = SmtpSession::new(stream, self.machine, self.peer, self.target, self.teller);
        SmtpSession { tls: TlsOutcome::Encrypted(about), ..session }
    }
}

impl SmtpSession {
    /// Sends a message over this connection.
    pub(crate) async fn send(&mut self, message: OutboundMessage<'_>) -> MessageOutcome {
        let OutboundMessage { envelope, mut content, .. } = message;
        match self.idle_event().await {
            Some(ClientEvent::Failed(failure)) => return self.unusable(envelope, Some(&failure)),
            _ if !self.machine.is_ready() => return self.unusable(envelope, None),
            _ => {}
        }
        self.machine.send(
            envelope,
            match &content {
                Content::Whole(octets) => MessageContent::Whole(octets),
                Content::Streamed { size, .. } => MessageContent::Streamed { size: *size },
                Content::Nothing => MessageContent::Nothing,
            },
        );
        loop {
            match self.next_event().await {
                Some(ClientEvent::Content) => self.give_content(&mut content).await,
                Some(ClientEvent::Finished(outcome)) => return self.outcome(outcome),
                Some(_) => {}
                None => return self.unusable(envelope, None),
            }
        }
    }

    pub(crate) async fn is_reusable(&mut self) -> bool {
        self.idle_event().await.is_none() && self.machine.is_ready()
    }

    pub(crate) async fn close(mut self) {
        if self.is_reusable().await {
            self.machine.quit();
            // Whatever it answers, the session is over.
            let _answer = self.next_event().await;
        }
        if let Err(error) = self.stream.shutdown().await {
            tracing::trace!(peer = %self.peer, %error, "closing a connection that is gone");
        }
    }
}
