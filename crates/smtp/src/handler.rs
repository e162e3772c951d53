//! What an inbound session asks of the service behind it. No network here, and no opinions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Envelope, Receipt, Recipient, Reply};
use net::{PeerTls, TlsServer};
use smtp_session::command::MailCommand;
use smtp_session::{Credentials, ServerConfig};

use crate::gate::ConnectionGate;
use crate::transcript::Transcript;

/// Both ends of an inbound connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The client.
    pub peer: SocketAddr,
    /// Where it came in.
    pub local: SocketAddr,
}

/// How sessions of one Receive connector are held.
#[derive(Clone)]
pub struct SessionSettings {
    /// What the protocol machine needs.
    pub protocol: Arc<ServerConfig>,
    /// The certificate for `STARTTLS`; needed where `protocol.starttls` is set.
    pub tls: Option<TlsServer>,
    /// How many connections the connector takes.
    pub gate: Arc<ConnectionGate>,
}

impl SessionSettings {
    /// Sessions by `protocol`.
    #[must_use]
    pub fn new(protocol: ServerConfig, tls: Option<TlsServer>, gate: Arc<ConnectionGate>) -> Self {
        Self { protocol: Arc::new(protocol), tls, gate }
    }
}

/// A connection that may come in: by which rules, and who answers for it.
pub struct Admission {
    /// Of the Receive connector that was chosen (RC-30).
    pub settings: Arc<SessionSettings>,
    /// For this connection only.
    pub handler: Box<dyn SessionHandler>,
    /// Where the session is told, if somebody wants to know.
    pub transcript: Option<Box<dyn Transcript>>,
}

/// What comes before SMTP on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preamble {
    /// The peer is a load balancer of ours, and says who the client is (PROXY protocol).
    pub balanced: bool,
    /// TLS from the first octet (RFC 8314 §3.3).
    pub tls: bool,
}

/// Chooses the Receive connector for a connection and makes its handler.
pub trait Reception: Send + Sync + 'static {
    /// What comes before SMTP on a connection of `peer`.
    fn preamble(&self, _peer: SocketAddr) -> Preamble {
        Preamble::default()
    }

    /// Called once for each connection, before anything is said.
    ///
    /// # Errors
    /// The reply instead of a banner, after which the connection is closed (RC-33).
    fn admit(&self, connection: Connection) -> Result<Admission, Reply>;
}

/// What is known of the client when a transaction starts; it stays so until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Both ends.
    pub connection: Connection,
    /// The name given with EHLO or HELO.
    pub hello_name: Box<str>,
    /// It was given with EHLO.
    pub extended: bool,
    /// The encryption, if there is any.
    pub tls: Option<PeerTls>,
    /// Who authenticated.
    pub user: Option<Box<str>>,
}

/// A message that somebody holds durably.
#[derive(Debug)]
pub struct Accepted {
    /// The proof (invariant 1).
    pub receipt: Receipt,
    /// What follows `250 2.6.0 `: `<message-id> [InternalId=…, Hostname=…] Queued mail for delivery`.
    pub text: Box<str>,
}

/// Answers for one connection. Every refusal is the reply that the client gets; a 421 also ends the session. The client
/// waits, and nothing more is read from it, while a method runs: that is the back pressure.
#[async_trait]
pub trait SessionHandler: Send {
    /// `AUTH`: who is it? The secret is wiped when `credentials` are dropped.
    async fn authenticate(&mut self, credentials: Credentials, session: &SessionFacts) -> Result<(), Reply>;

    /// How long the reply to what was just refused is held back at least, by what is known of the client from elsewhere.
    fn delay(&mut self) -> Duration {
        Duration::ZERO
    }

    /// `MAIL`: starts a transaction.
    async fn mail(&mut self, mail: &MailCommand, session: &SessionFacts) -> Result<(), Reply>;

    /// `RCPT`.
    async fn rcpt(&mut self, recipient: &Recipient) -> Result<(), Reply>;

    /// `DATA` or the first `BDAT`: the envelope is complete.
    async fn begin(&mut self, envelope: Envelope) -> Result<(), Reply>;

    /// A piece of the content, dots unstuffed, line endings CRLF, at most 64 KiB. After an error nothing more comes.
    async fn chunk(&mut self, content: Bytes) -> Result<(), Reply>;

    /// The content is complete: take responsibility or refuse. Ends the transaction.
    async fn finish(&mut self) -> Result<Accepted, Reply>;

    /// The transaction is over without [`Self::finish`]. The handler is dropped without this when the session breaks.
    async fn reset(&mut self);
}
