//! Ways to hand mail in: from the internet, as a user who logs on, and over the implicit connector as another service.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use ::lab::client::{ClientError, submit};
use ::lab::{Submission, TestMessage};
use bytes::Bytes;
use envelope::head::{Origin, OriginKind};
use envelope::{Address, ByteSize, Envelope, MessageHead, MessageId, Recipient, ReversePath, Revision};
use futures::StreamExt;
use net::{KeyedCertificate, Service};
use rpc::{Credentials, PeerAddress, Peers, TransferError};
use uuid::Uuid;

use crate::Lab;

/// A message that can be found again.
pub fn test_message(from: &str, to: &str) -> TestMessage {
    let recipients = vec![Address::parse(to).unwrap()];
    TestMessage::new("test", ReversePath::Address(Address::parse(from).unwrap()), recipients, SystemTime::now().into())
}

/// Hands a message in at the front end of a server, in clear and without a login, from an address of its own.
pub async fn submit_from_outside(lab: &Lab, server: &str, message: &TestMessage) -> Result<(), ClientError> {
    let at = lab.server(server).smtp().unwrap();
    submit_to(at, Ipv4Addr::LOCALHOST, message).await
}

async fn submit_to(at: std::net::SocketAddr, source: Ipv4Addr, message: &TestMessage) -> Result<(), ClientError> {
    let mut submission = Submission::new(at, message.sender.clone(), message.recipients.clone(), message.content());
    submission.source = Some(source.into());
    submit(&submission).await.map(drop)
}

/// Something that takes messages of one service: cheap to clone into many clients.
#[derive(Clone)]
pub enum Wire {
    /// SMTP at a front end, from this address.
    Smtp(std::net::SocketAddr, Ipv4Addr),
    /// The implicit connector to a Transport.
    Connector(Arc<Peers>, PeerAddress),
}

impl Wire {
    /// SMTP at the front end of a server.
    pub fn smtp(lab: &Lab, server: &str, source: Ipv4Addr) -> Self {
        Self::Smtp(lab.server(server).smtp().unwrap(), source)
    }

    /// The implicit connector to the Transport of a server, as its front end.
    pub fn connector(lab: &Lab, server: &str) -> Self {
        let peers = peers(lab, server, Service::FrontendTransport.as_str());
        Self::Connector(Arc::new(peers), peer_address(lab, server, Service::Transport))
    }

    /// Hands a message in; `true` when it was acknowledged. One that is sent again goes under its old id.
    pub async fn send(&self, message: &TestMessage) -> bool {
        self.hand_in(message).await.is_ok()
    }

    /// The same, with what is said to a message that is not taken.
    pub async fn hand_in(&self, message: &TestMessage) -> Result<(), String> {
        match self {
            Self::Smtp(at, source) => submit_to(*at, *source, message).await.map_err(|error| error.to_string()),
            Self::Connector(peers, to) => {
                submit_by_connector(peers, to, message).await.map_err(|error| error.to_string())
            }
        }
    }
}

/// Somebody who shows a certificate of a server, that of a service or `smtp`, and believes its authority.
pub fn peers(lab: &Lab, server: &str, certificate: &str) -> Peers {
    let identity = lab.server(server).identity_path();
    let own = KeyedCertificate::load_from(&identity.join(certificate)).unwrap();
    stranger(lab, server, own)
}

/// Somebody who shows this certificate and believes the authority of a server.
pub fn stranger(lab: &Lab, server: &str, own: KeyedCertificate) -> Peers {
    let authority = std::fs::read_to_string(lab.server(server).identity_path().join("ca.pem")).unwrap();
    Peers::new(Arc::new(Credentials::new(own, authority)))
}

/// Where a service of a server listens.
pub fn peer_address(lab: &Lab, server: &str, service: Service) -> PeerAddress {
    let layout = lab.server(server);
    let address = layout.services[&service].organization;
    PeerAddress { server: layout.name.clone(), fqdn: layout.fqdn.clone(), address }
}

/// What a front end says of a message before its content.
fn head(message: &TestMessage, size: usize) -> MessageHead {
    let recipients = message.recipients.iter().cloned().map(Recipient::new).collect();
    MessageHead {
        // Made from the message's own, so that the same message is the same message again.
        id: MessageId::from_uuid(Uuid::new_v5(&message.unique, b"connector")),
        envelope: Envelope::new(message.sender.clone(), recipients),
        arrived: message.date,
        size: ByteSize::bytes(size as u64),
        original_size: None,
        trace: None,
        revision: Revision::default(),
        origin: Origin { kind: OriginKind::Authenticated, connector: "Client Frontend".into() },
        backed_off: vec![],
    }
}

/// Hands a message to a Transport.
pub async fn submit_by_connector(peers: &Peers, to: &PeerAddress, message: &TestMessage) -> Result<(), TransferError> {
    submit_content_by_connector(peers, to, message, message.content()).await
}

/// Hands other content in under the envelope of a message.
pub async fn submit_content_by_connector(
    peers: &Peers,
    to: &PeerAddress,
    message: &TestMessage,
    content: Vec<u8>,
) -> Result<(), TransferError> {
    let head = head(message, content.len());
    peers.submit(to, &head, futures::stream::iter([Ok(Bytes::from(content))]).boxed()).await.map(drop)
}

/// Hands a message to a Mailbox Transport Delivery.
pub async fn deliver_by_connector(peers: &Peers, to: &PeerAddress, message: &TestMessage) -> Result<(), TransferError> {
    let content = message.content();
    let head = head(message, content.len());
    peers.deliver(to, &head, futures::stream::iter([Ok(Bytes::from(content))]).boxed()).await.map(drop)
}
