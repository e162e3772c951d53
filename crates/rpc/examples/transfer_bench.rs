//! How many messages a second one peer takes: 4 KiB each, 64 in flight, over loopback with mutual TLS, without a disk.
//!
//! `cargo run --release -p rpc --example transfer_bench [messages]`

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::head::{Origin, OriginKind};
use envelope::{
    Address, ByteSize, Domain, Envelope, MessageHead, MessageId, Receipt, Recipient, Reply, ReversePath, Revision,
    ServerName,
};
use futures::StreamExt;
use net::{CertificateAuthority, NodeIdentity, PeerIdentity, Service};
use rpc::{Credentials, Incoming, Offer, PeerAddress, Peers, SubmitHandler};
use tokio_util::sync::CancellationToken;

const MESSAGE_OCTETS: usize = 4096;
const IN_FLIGHT: usize = 64;
const MESSAGES_DEFAULT: u64 = 200_000;

/// Reads and forgets.
struct Sink(ServerName);

#[async_trait]
impl SubmitHandler for Sink {
    async fn submit(&self, _: &PeerIdentity, mut message: Incoming) -> Result<Receipt, Reply> {
        while let Some(piece) = message.content.next().await {
            drop(piece);
        }
        Ok(Receipt::after_commit(message.head.id, self.0.clone()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let messages = std::env::args().nth(1).map_or(Ok(MESSAGES_DEFAULT), |text| text.parse())?;
    let now = SystemTime::now().into();
    let authority = CertificateAuthority::create(&Domain::parse("contoso.com")?, now)?;
    let (server, fqdn) = (ServerName::parse("MAIL1")?, Domain::parse("mail1.contoso.com")?);
    let services = [Service::Transport].into();
    let own = authority.issue(&NodeIdentity { server: server.clone(), fqdn: fqdn.clone(), services }, now)?;
    let credentials = Arc::new(Credentials::new(own, authority.certificate_pem().to_owned()));

    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let to = PeerAddress { server: server.clone(), fqdn, address: listener.local_addr()? };
    let mut offer = Offer::new(CancellationToken::new());
    offer.transport(Arc::new(Sink(server)));
    tokio::spawn(offer.serve(listener.into(), &credentials)?);

    let peers = Peers::new(credentials);
    let head = MessageHead {
        id: MessageId::from_bytes([0; 16]),
        envelope: Envelope::new(ReversePath::Null, vec![Recipient::new(Address::parse("ann@contoso.com")?)]),
        arrived: now,
        size: ByteSize::bytes(MESSAGE_OCTETS as u64),
        original_size: None,
        trace: None,
        revision: Revision(1),
        origin: Origin { kind: OriginKind::Anonymous, connector: "Default Frontend MAIL1".into() },
        backed_off: vec![],
    };
    let content = Bytes::from(vec![b'x'; MESSAGE_OCTETS]);
    let started = Instant::now();
    let (peers, to, content) = (&peers, &to, &content);
    let mut sent = futures::stream::iter(0..messages)
        .map(|number| {
            let mut head = head.clone();
            head.id = MessageId::from_bytes(u128::from(number).to_be_bytes());
            let content = content.clone();
            async move { peers.submit(to, &head, futures::stream::once(async { Ok(content) }).boxed()).await }
        })
        .buffer_unordered(IN_FLIGHT);
    while let Some(receipt) = sent.next().await {
        let _receipt = receipt?;
    }
    let elapsed = started.elapsed();
    println!("{messages} messages in {elapsed:.2?}: {:.0} a second", messages as f64 / elapsed.as_secs_f64());
    Ok(())
}
