//! An authority, servers with its certificates, and handlers that do as the test says.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::head::{Origin, OriginKind};
use envelope::{
    Address, ByteSize, Domain, EnhancedStatus, Envelope, MessageHead, MessageId, Receipt, Recipient, Reply,
    ReversePath, Revision, ServerName, Timestamp,
};
use futures::{FutureExt, StreamExt};
use net::{CertificateAuthority, KeyedCertificate, NodeIdentity, PeerIdentity, Service};
use rpc::{
    Content, Credentials, DeliverHandler, Deliveries, History, Incoming, Offer, PeerAddress, Peers, SubmitHandler,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SERVER: &str = "MAIL1";
pub(crate) const FQDN: &str = "mail1.contoso.com";

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

pub(crate) fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

pub(crate) fn authority() -> CertificateAuthority {
    CertificateAuthority::create(&Domain::parse("contoso.com").unwrap(), now()).unwrap()
}

pub(crate) fn identity(server: &str, services: &[Service]) -> NodeIdentity {
    let fqdn = Domain::parse(&format!("{server}.contoso.com")).unwrap();
    NodeIdentity { server: name(server), fqdn, services: services.iter().copied().collect() }
}

/// What a node of this authority shows, believing this authority.
pub(crate) fn credentials(authority: &CertificateAuthority, server: &str, services: &[Service]) -> Arc<Credentials> {
    let own = authority.issue(&identity(server, services), now()).unwrap();
    Arc::new(Credentials::new(own, authority.certificate_pem().to_owned()))
}

/// The same trusting several authorities.
pub(crate) fn trusting(
    own: &CertificateAuthority,
    all: &[&CertificateAuthority],
    server: &str,
) -> (KeyedCertificate, String) {
    let certificate = own.issue(&identity(server, &[Service::Transport]), now()).unwrap();
    (certificate, all.iter().map(|one| one.certificate_pem()).collect())
}

pub(crate) fn peers(authority: &CertificateAuthority, service: Service) -> Peers {
    Peers::new(credentials(authority, "MAIL2", &[service]))
}

/// Leaves a peer that gives no sign of a message for so long.
pub(crate) fn impatient(authority: &CertificateAuthority, service: Service, patience: Duration) -> Peers {
    Peers::with_patience(credentials(authority, "MAIL2", &[service]), patience)
}

pub(crate) fn head(id: u8, size: u64) -> MessageHead {
    let recipient = |text| Recipient::new(Address::parse(text).unwrap());
    MessageHead {
        id: MessageId::from_bytes([id; 16]),
        envelope: Envelope::new(ReversePath::Null, vec![recipient("ann@contoso.com"), recipient("bob@contoso.com")]),
        arrived: now(),
        size: ByteSize::bytes(size),
        original_size: None,
        trace: None,
        revision: Revision(1),
        origin: Origin { kind: OriginKind::Anonymous, connector: "Default Frontend MAIL1".into() },
        backed_off: vec![],
    }
}

pub(crate) fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Content {
    let pieces: Vec<_> = pieces.into_iter().map(Ok).collect();
    futures::stream::iter(pieces).boxed()
}

pub(crate) fn no_content() -> Content {
    futures::stream::empty().boxed()
}

/// Reads content to its end.
pub(crate) async fn read(mut content: Content) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    while let Some(piece) = content.next().await {
        octets.extend_from_slice(&piece.map_err(|error| error.to_string())?);
    }
    Ok(octets)
}

/// A message as a handler saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub head: MessageHead,
    pub from: ServerName,
    pub size: Option<ByteSize>,
    pub history: Option<History>,
    pub content: Result<Vec<u8>, String>,
}

/// Takes every message, once its content was read and the gate is open.
pub(crate) struct Recorder {
    pub arrivals: watch::Sender<Vec<Arrival>>,
    pub gate: watch::Sender<bool>,
}

impl Recorder {
    pub(crate) fn open() -> Arc<Self> {
        Arc::new(Self { arrivals: watch::Sender::default(), gate: watch::Sender::new(true) })
    }

    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self { arrivals: watch::Sender::default(), gate: watch::Sender::new(false) })
    }

    /// Waits until so many messages have been read.
    pub(crate) async fn arrived(&self, count: usize) -> Vec<Arrival> {
        self.arrivals.subscribe().wait_for(|arrivals| arrivals.len() >= count).await.unwrap().clone()
    }
}

#[async_trait]
impl SubmitHandler for Recorder {
    async fn submit(&self, peer: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        let Incoming { head, size, history, content, .. } = message;
        let content = read(content).await;
        let cut_short = content.is_err();
        let id = head.id;
        let arrival = Arrival { head, from: peer.server.clone(), size, history, content };
        self.arrivals.send_modify(|arrivals| arrivals.push(arrival));
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        if cut_short {
            return Err(Reply::new(451, EnhancedStatus::new(4, 3, 0), "Cut short"));
        }
        Ok(Receipt::after_commit(id, name(SERVER)))
    }
}

/// Answers every delivery with the same outcomes.
pub(crate) struct Deliverer(pub Deliveries);

#[async_trait]
impl DeliverHandler for Deliverer {
    async fn deliver(&self, _: &PeerIdentity, message: Incoming) -> Result<Deliveries, Reply> {
        read(message.content).await.map_err(|error| Reply::new(451, EnhancedStatus::new(4, 3, 0), error))?;
        Ok(self.0.clone())
    }
}

/// A server of the organization on a loopback port.
pub(crate) struct Running {
    pub address: PeerAddress,
    pub drain: CancellationToken,
    pub ended: JoinHandle<std::io::Result<()>>,
    pub credentials: Arc<Credentials>,
}

impl Running {
    pub(crate) async fn transport(authority: &CertificateAuthority, handler: Arc<dyn SubmitHandler>) -> Self {
        Self::transport_at(authority, handler, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub(crate) async fn transport_at(
        authority: &CertificateAuthority,
        handler: Arc<dyn SubmitHandler>,
        address: SocketAddr,
    ) -> Self {
        Self::start(authority, Service::Transport, address, |offer| offer.transport(handler)).await
    }

    pub(crate) async fn start(
        authority: &CertificateAuthority,
        service: Service,
        address: SocketAddr,
        add: impl FnOnce(&mut Offer),
    ) -> Self {
        let drain = CancellationToken::new();
        let mut offer = Offer::new(drain.clone());
        add(&mut offer);
        Self::serving(offer, credentials(authority, SERVER, &[service]), address, drain).await
    }

    /// The same with a certificate of one's own.
    pub(crate) async fn serving(
        offer: Offer,
        credentials: Arc<Credentials>,
        address: SocketAddr,
        drain: CancellationToken,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = offer.serve(listener.into(), &credentials).unwrap();
        let address = PeerAddress { server: name(SERVER), fqdn: Domain::parse(FQDN).unwrap(), address };
        Self { address, drain, ended: tokio::spawn(serving), credentials }
    }

    /// Drains and waits for the end.
    pub(crate) async fn stop(self) {
        self.drain.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

/// A cable between client and server that can be cut.
pub(crate) struct Cable {
    pub address: PeerAddress,
    task: JoinHandle<()>,
}

impl Cable {
    pub(crate) async fn to(server: &PeerAddress) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = PeerAddress { address: listener.local_addr().unwrap(), ..server.clone() };
        let to = server.address;
        let task = tokio::spawn(async move {
            let mut connections = futures::stream::FuturesUnordered::new();
            loop {
                tokio::select! {
                    Ok((mut from, _)) = listener.accept() => connections.push(async move {
                        let mut to = TcpStream::connect(to).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }.boxed()),
                    Some(()) = connections.next() => {}
                }
            }
        });
        Self { address, task }
    }

    pub(crate) async fn cut(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
