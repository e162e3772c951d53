//! What the tests share: a server that accepts mail into memory, a server that says what a script says, a DNS server
//! that answers from a table, and certificates.

#![expect(dead_code, reason = "each test binary uses its part")]

pub(crate) mod scripted;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{
    Address, Domain, EnhancedStatus, Envelope, MessageId, Receipt, Recipient, Reply, ReversePath, ServerName,
};
use net::tls::{ClientCertificates, TrustedRoots};
use net::{CertificateAuthority, Resolver, TlsClient, TlsServer};
use parking_lot::Mutex;
use smtp::{
    Accepted, Admission, Connection, ConnectionGate, ConnectionLimits, NextHop, Reception, Sender, SessionFacts,
    SessionHandler, SessionPlan, SessionSettings, SmtpListener,
};
use smtp_session::command::MailCommand;
use smtp_session::server::AuthOffer;
use smtp_session::{Credentials, Secret, ServerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than any test may take.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub envelope: Envelope,
    pub content: Vec<u8>,
    pub facts: SessionFacts,
}

pub(crate) fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    let recipients = recipients.iter().map(|text| Recipient::new(Address::parse(text).unwrap())).collect();
    Envelope::new(ReversePath::parse("sender@contoso.com").unwrap(), recipients)
}

pub(crate) fn credentials(password: &str) -> Credentials {
    Credentials { user: "user".into(), secret: Secret::new(password.into()) }
}

/// A receive connector that takes everything but what its recipients' names ask for.
pub(crate) struct Mailroom {
    settings: Arc<SessionSettings>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Reception for Mailroom {
    fn admit(&self, _connection: Connection) -> Result<Admission, Reply> {
        let clerk = Clerk { received: Arc::clone(&self.received), facts: None, envelope: None, content: Vec::new() };
        Ok(Admission { settings: Arc::clone(&self.settings), handler: Box::new(clerk), transcript: None })
    }
}

struct Clerk {
    received: Arc<Mutex<Vec<Received>>>,
    facts: Option<SessionFacts>,
    envelope: Option<Envelope>,
    content: Vec<u8>,
}

fn no(code: u16, subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new(u8::try_from(code / 100).unwrap(), subject, detail), text)
}

#[async_trait]
impl SessionHandler for Clerk {
    async fn authenticate(&mut self, credentials: Credentials, _session: &SessionFacts) -> Result<(), Reply> {
        let right = &*credentials.user == "user" && credentials.secret.expose() == b"secret";
        if right { Ok(()) } else { Err(no(535, 7, 3, "Authentication unsuccessful")) }
    }

    async fn mail(&mut self, _mail: &MailCommand, session: &SessionFacts) -> Result<(), Reply> {
        self.facts = Some(session.clone());
        Ok(())
    }

    async fn rcpt(&mut self, recipient: &Recipient) -> Result<(), Reply> {
        match recipient.address.local_part() {
            "unknown" => Err(no(550, 1, 1, "User unknown")),
            "later" => Err(no(450, 2, 0, "Try again later")),
            _ => Ok(()),
        }
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
        let envelope = self.envelope.take().unwrap();
        let content = std::mem::take(&mut self.content);
        if envelope.recipients[0].address.local_part() != "discard" {
            self.received.lock().push(Received { envelope, content, facts: self.facts.clone().unwrap() });
        }
        let receipt = Receipt::after_commit(MessageId::from_bytes([1; 16]), ServerName::parse("mbx01").unwrap());
        Ok(Accepted { receipt, text: "Queued mail for delivery".into() })
    }

    async fn reset(&mut self) {
        self.envelope = None;
        self.content.clear();
    }
}

/// A running listener.
pub(crate) struct Server {
    pub address: SocketAddr,
    pub received: Arc<Mutex<Vec<Received>>>,
    pub drain: CancellationToken,
    pub task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) fn start(settings: SessionSettings) -> Self {
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let mailroom = Mailroom { settings: Arc::new(settings), received: Arc::clone(&received) };
        let listener = SmtpListener::on(net::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap(), Arc::new(mailroom));
        let (address, drain) = (listener.local(), CancellationToken::new());
        let task = tokio::spawn(listener.run(drain.clone(), GRACE));
        Self { address, received, drain, task }
    }

    pub(crate) fn plan(&self) -> SessionPlan {
        SessionPlan::new(NextHop::Addresses(vec![self.address]), domain("mbx01.contoso.com"))
    }
}

/// Settings for a server without TLS.
pub(crate) fn settings() -> SessionSettings {
    settings_with(ConnectionLimits::default())
}

pub(crate) fn settings_with(limits: ConnectionLimits) -> SessionSettings {
    SessionSettings::new(protocol(), None, ConnectionGate::new(limits))
}

/// What takes passwords always and lets nobody wait.
pub(crate) fn protocol() -> ServerConfig {
    ServerConfig {
        auth: AuthOffer::Always,
        tarpit_interval: Duration::ZERO,
        auth_tarpit_interval: Duration::ZERO,
        ..ServerConfig::new(domain("mx.contoso.com"))
    }
}

/// Settings for a server by `protocol`, without TLS.
pub(crate) fn settings_by(protocol: ServerConfig) -> SessionSettings {
    SessionSettings { protocol: Arc::new(protocol), ..settings() }
}

/// An authority, and settings for a server named `name` with a certificate of it that takes passwords only under TLS.
pub(crate) fn tls_settings(name: &str) -> (SessionSettings, TrustedRoots) {
    #[expect(clippy::disallowed_methods, reason = "a certificate of a test is of now")]
    let now = SystemTime::now().into();
    let authority = CertificateAuthority::create(&domain("contoso.com"), now).unwrap();
    let certificate = authority.issue_for_smtp(&ServerName::parse("mx").unwrap(), &domain(name), now).unwrap();
    let tls = TlsServer::new(&certificate, ClientCertificates::Ignored).unwrap();
    let protocol = ServerConfig { auth: AuthOffer::UnderTls, starttls: true, hostname: domain(name), ..protocol() };
    let settings = SessionSettings { protocol: Arc::new(protocol), tls: Some(tls), ..settings() };
    (settings, TrustedRoots::none().and_pem(authority.certificate_pem()).unwrap())
}

/// A sender that asks `dns` and believes `roots`.
pub(crate) fn sender(dns: SocketAddr, roots: TrustedRoots) -> Sender {
    let resolver = Resolver::with_servers(&[dns], net::dns::DnsProtocol::UdpOnly).unwrap();
    Sender::new(resolver, TlsClient::new(roots))
}

/// A sender that never asks DNS.
pub(crate) fn plain_sender() -> Sender {
    sender((Ipv4Addr::LOCALHOST, 9).into(), TrustedRoots::none())
}
