//! One inbound session: moves octets between the stream and the machine, and events between the machine and the handler.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use envelope::{EnhancedStatus, Reply};
use net::{PeerTls, Stream, TlsError};
use smtp_session::{ServerEvent, ServerSession, Spoken, reply};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::handler::{Admission, Connection, SessionFacts, SessionHandler, SessionSettings};
use crate::transcript::{Teller, Transcript};

/// A client that is turned away, or does not take our replies, gets this long.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a session ended otherwise than by the protocol.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the client hung up")]
    HungUp,
    #[error("the client did not take our replies in time")]
    NotReading,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

struct Inbound {
    stream: Stream,
    session: ServerSession,
    handler: Box<dyn SessionHandler>,
    settings: Arc<SessionSettings>,
    facts: SessionFacts,
    teller: Teller,
}

/// Serves one client to the end of its session; `tls` from the first octet on, or as it asks.
pub(crate) async fn run(
    stream: Stream,
    connection: Connection,
    admission: Admission,
    tls: bool,
    drain: CancellationToken,
) {
    let Admission { settings, handler, transcript } = admission;
    let mut session =
        ServerSession::new(Arc::clone(&settings.protocol), connection.peer.ip()).at(connection.local.ip());
    let teller = Teller::connected(transcript, connection.local, connection.peer);
    if teller.is_telling() {
        session.keep_words();
    }
    let facts = SessionFacts { connection, hello_name: "".into(), extended: false, tls: None, user: None };
    let inbound = Inbound { stream, session, handler, settings, facts, teller };
    let served =
        async { if tls { inbound.begin_tls().await?.serve(&drain).await } else { inbound.serve(&drain).await } };
    if let Err(ended) = served.await {
        tracing::debug!(peer = %connection.peer, %ended, "inbound session ended");
    }
}

/// Says `reply` instead of a banner.
pub(crate) async fn turn_away(mut stream: Stream, reply: Reply, transcript: Option<Box<dyn Transcript>>) {
    let mut teller = Teller::connected(transcript, stream.local(), stream.peer());
    let mut said = Some(Spoken::Sent(reply.to_string().into()));
    teller.spoken(|| said.take());
    let mut line = bytes::BytesMut::new();
    reply::write(&reply, reply::StatusCodes::Written, &mut line);
    let last_words = async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(LAST_WORDS_TIMEOUT, last_words).await, Ok(Ok(()))) {
        tracing::debug!(peer = %stream.peer(), "a client that was turned away did not listen");
    }
}

/// What ends a wait for input.
enum Input {
    Octets,
    Draining,
    /// The machine wanted to be called at this time.
    Due,
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Inbound {
    async fn serve(mut self, drain: &CancellationToken) -> Result<(), Ended> {
        #[expect(clippy::disallowed_methods, reason = "the banner says what time it is")]
        let date = OffsetDateTime::now_utc().format(&Rfc2822).expect("the present has a date of four digits");
        self.early_talk().await?;
        self.session.greet(&date, now());
        loop {
            while let Some(event) = self.session.poll_event() {
                self.tell();
                match event {
                    ServerEvent::StartTls => self = self.start_tls().await?,
                    ServerEvent::Close => return self.close().await,
                    event => self.answer(event).await,
                }
            }
            self.transmit().await?;
            match self.input(drain).await? {
                Input::Octets => self.session.handle_read(now()),
                Input::Due => self.session.handle_timeout(now()),
                Input::Draining => {
                    let status = EnhancedStatus::new(4, 3, 2);
                    self.session.shut_down(&Reply::new(421, status, "Service shutting down"));
                }
            }
        }
    }

    /// Takes what the client has sent before the banner, without waiting for it.
    async fn early_talk(&mut self) -> Result<(), Ended> {
        let Some(space) = self.session.input_space() else { return Ok(()) };
        tokio::select! {
            biased;
            read = self.stream.read_buf(space) => if read? == 0 { Err(Ended::HungUp) } else { Ok(()) },
            () = std::future::ready(()) => Ok(()),
        }
    }

    async fn input(&mut self, drain: &CancellationToken) -> Result<Input, Ended> {
        let may_leave = self.session.is_idle();
        let due = self.session.poll_timeout(now()).map(Instant::from_std);
        let due = async { if let Some(due) = due { sleep_until(due).await } else { std::future::pending().await } };
        let Some(space) = self.session.input_space() else {
            // A reply is held back: the client is not heard before it has it.
            due.await;
            return Ok(Input::Due);
        };
        tokio::select! {
            biased;
            () = drain.cancelled(), if may_leave => Ok(Input::Draining),
            read = self.stream.read_buf(space) => match read {
                Ok(1..) => Ok(Input::Octets),
                read => {
                    self.teller.hung_up();
                    Err(read.map_or_else(Ended::from, |_| Ended::HungUp))
                }
            },
            () = due => Ok(Input::Due),
        }
    }

    fn tell(&mut self) {
        self.teller.spoken(|| self.session.poll_spoken());
    }

    async fn transmit(&mut self) -> Result<(), Ended> {
        let octets = self.session.poll_transmit();
        self.tell();
        let Some(octets) = octets else { return Ok(()) };
        let written = async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        };
        match timeout(self.settings.protocol.inactivity_timeout, written).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::NotReading),
        }
    }

    async fn close(mut self) -> Result<(), Ended> {
        // Last words may be held back, too.
        if let Some(due) = self.session.poll_timeout(now()) {
            sleep_until(Instant::from_std(due)).await;
            self.session.handle_timeout(now().max(due));
        }
        let last_words = async {
            self.transmit().await?;
            Ok(self.stream.shutdown().await?)
        };
        timeout(LAST_WORDS_TIMEOUT, last_words).await.unwrap_or(Err(Ended::NotReading))
    }

    async fn begin_tls(self) -> Result<Self, Ended> {
        let begun = self.encrypt().await?;
        Ok(Self { session: begun.session.under_tls(), ..begun })
    }

    async fn start_tls(mut self) -> Result<Self, Ended> {
        self.transmit().await?;
        let mut started = self.encrypt().await?;
        started.session.tls_established();
        Ok(started)
    }

    async fn encrypt(mut self) -> Result<Self, Ended> {
        let server = self.settings.tls.clone().ok_or(TlsError::Unusable("no certificate is configured"))?;
        let accepted = Box::pin(server.accept(self.stream)).await;
        let (stream, about): (Stream, PeerTls) =
            accepted.inspect_err(|error| self.teller.note(&error.to_string(), "TLS handshake"))?;
        self.teller.secured(&about);
        self.facts = SessionFacts { tls: Some(about), user: None, hello_name: "".into(), ..self.facts };
        Ok(Self { stream, ..self })
    }

    async fn answer(&mut self, event: ServerEvent) {
        let verdict = match event {
            ServerEvent::Authenticate(credentials) => {
                self.refresh_facts();
                let user = credentials.user.clone();
                let verdict = self.handler.authenticate(credentials, &self.facts).await;
                self.teller.note(&user, if verdict.is_ok() { "authenticated" } else { "not authenticated" });
                verdict
            }
            ServerEvent::Mail(mail) => {
                self.refresh_facts();
                self.handler.mail(&mail, &self.facts).await
            }
            ServerEvent::Rcpt(recipient) => self.handler.rcpt(&recipient).await,
            ServerEvent::Begin(envelope) => self.handler.begin(envelope).await,
            ServerEvent::Chunk(content) => {
                if let Err(reply) = self.handler.chunk(content).await {
                    self.session.refuse_content(reply);
                }
                return;
            }
            ServerEvent::EndOfData => {
                return match self.handler.finish().await {
                    Ok(accepted) => self.session.end_of_data_accepted(accepted.receipt, &accepted.text),
                    Err(reply) => self.session.end_of_data_rejected(reply),
                };
            }
            ServerEvent::Reset => return self.handler.reset().await,
            ServerEvent::StartTls | ServerEvent::Close => unreachable!("these two are handled by the loop"),
        };
        match verdict {
            Ok(()) => self.session.accept(),
            Err(reply) => {
                self.session.hold_reply(self.handler.delay());
                self.session.reject(reply);
            }
        }
    }

    /// Only copies what has changed since the last transaction, which is nothing as a rule.
    fn refresh_facts(&mut self) {
        let name = self.session.hello_name().unwrap_or_default();
        if *self.facts.hello_name != *name {
            self.facts.hello_name = name.into();
        }
        self.facts.extended = self.session.is_extended();
        if self.facts.user.as_deref() != self.session.user() {
            self.facts.user = self.session.user().map(Into::into);
        }
    }
}
