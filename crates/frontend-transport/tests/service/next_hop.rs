//! A host outside that takes everything and remembers how it came.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Domain, Envelope, MessageId, Receipt, Recipient, Reply, ServerName};
use net::tls::{ClientCertificates, TrustedRoots};
use net::{KeyedCertificate, TlsServer};
use parking_lot::Mutex;
use smtp::{
    Accepted, Admission, Connection, ConnectionGate, ConnectionLimits, Reception, SessionFacts, SessionHandler,
    SessionSettings, SmtpListener,
};
use smtp_session::command::MailCommand;
use smtp_session::server::AuthOffer;
use smtp_session::{Credentials, ServerConfig};
use tokio_util::sync::CancellationToken;

/// A message, and everything that can be known of the session that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub hello: String,
    pub tls: Option<&'static str>,
    /// Fingerprint of the client's certificate.
    pub certificate: Option<String>,
    pub user: Option<String>,
    pub password: Option<Vec<u8>>,
    pub envelope: Envelope,
    pub content: Vec<u8>,
}

pub(crate) struct NextHop {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _drain: tokio_util::sync::DropGuard,
}

impl NextHop {
    /// Shows `certificate`, and asks for the client's.
    pub(crate) fn serve(certificate: &KeyedCertificate) -> Self {
        let name = Domain::parse("mx.fabrikam.com").unwrap();
        let tls = TlsServer::new(certificate, ClientCertificates::Requested(TrustedRoots::none())).unwrap();
        let protocol = ServerConfig { auth: AuthOffer::Always, starttls: true, ..ServerConfig::new(name) };
        let settings =
            Arc::new(SessionSettings::new(protocol, Some(tls), ConnectionGate::new(ConnectionLimits::default())));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let reception = Arc::new(Host { settings, seen: Arc::clone(&seen) });
        let listener = SmtpListener::on(net::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap(), reception);
        let (address, drain) = (listener.local(), CancellationToken::new());
        tokio::spawn(listener.run(drain.clone(), Duration::from_secs(1)));
        Self { address, seen, _drain: drain.drop_guard() }
    }

    /// What has come since it was asked last.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock())
    }
}

struct Host {
    settings: Arc<SessionSettings>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Reception for Host {
    fn admit(&self, _: Connection) -> Result<Admission, Reply> {
        let session =
            Session { seen: Arc::clone(&self.seen), facts: None, password: None, envelope: None, content: vec![] };
        Ok(Admission { settings: Arc::clone(&self.settings), handler: Box::new(session), transcript: None })
    }
}

struct Session {
    seen: Arc<Mutex<Vec<Seen>>>,
    facts: Option<SessionFacts>,
    password: Option<Vec<u8>>,
    envelope: Option<Envelope>,
    content: Vec<u8>,
}

#[async_trait]
impl SessionHandler for Session {
    async fn authenticate(&mut self, credentials: Credentials, _: &SessionFacts) -> Result<(), Reply> {
        self.password = Some(credentials.secret.expose().to_vec());
        Ok(())
    }

    async fn mail(&mut self, _: &MailCommand, session: &SessionFacts) -> Result<(), Reply> {
        self.facts = Some(session.clone());
        Ok(())
    }

    async fn rcpt(&mut self, _: &Recipient) -> Result<(), Reply> {
        Ok(())
    }

    async fn begin(&mut self, envelope: Envelope) -> Result<(), Reply> {
        self.envelope = Some(envelope);
        Ok(())
    }

    async fn chunk(&mut self, content: Bytes) -> Result<(), Reply> {
        self.content.extend_from_slice(&content);
        Ok(())
    }

    async fn finish(&mut self) -> Result<Accepted, Reply> {
        let facts = self.facts.take().unwrap();
        let certificate = facts.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
        self.seen.lock().push(Seen {
            hello: facts.hello_name.to_string(),
            tls: facts.tls.as_ref().map(|tls| tls.version),
            certificate: certificate.map(|certificate| certificate.fingerprint.to_string()),
            user: facts.user.map(|user| user.to_string()),
            password: self.password.clone(),
            envelope: self.envelope.take().unwrap(),
            content: std::mem::take(&mut self.content),
        });
        let receipt = Receipt::after_commit(MessageId::from_bytes([1; 16]), ServerName::parse("mx").unwrap());
        Ok(Accepted { receipt, text: "Queued".into() })
    }

    async fn reset(&mut self) {
        self.envelope = None;
        self.content.clear();
    }
}
