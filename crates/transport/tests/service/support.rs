//! An organization with real Transports, Mailbox Transport Delivery that does as the test says, and somebody who submits.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{
    Address, ByteSize, EnhancedStatus, Envelope, MessageHead, MessageId, Notify, Origin, OriginKind, Receipt,
    Recipient, Reply, ReversePath, Revision,
};
use futures::StreamExt;
use net::{PeerIdentity, Service};
use parking_lot::Mutex;
use rpc::{DeliverHandler, Deliveries, Incoming, Offer, PeerAddress, RecipientDelivery, TransferError};
use runtime::Node;
use telemetry::HealthChecks;
use testkit::{World, until};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use transport::{Operations, Transport, TransportError};

/// Two servers in two sites with a database each, and settings that make waiting short.
pub(crate) const ORGANIZATION: &str = "
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Baltic, sites: [Berlin, Oslo], cost: 10}]
servers:
  - name: MAIL1
    fqdn: mail1.contoso.com
    site: Berlin
    transport: {messageRetryInterval: '00:00:01', queueGlitchRetryInterval: '00:00:01', resolverRetryInterval: '00:00:01',
      mailboxDeliveryQueueRetryInterval: '00:00:01'}
  - {name: MAIL2, fqdn: mail2.contoso.com, site: Oslo}
databases: [{name: DB1, server: MAIL1}, {name: DB2, server: MAIL2}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
recipients:
  - {name: ann, address: ann@contoso.com, database: DB1}
  - {name: bob, address: bob@contoso.com, database: DB1}
  - {name: eve, address: eve@contoso.com, database: DB1}
  - {name: joe, address: joe@contoso.com, database: DB2}
  - {name: all, address: all@contoso.com, members: [ann@contoso.com, bob@contoso.com, joe@contoso.com]}
";

pub(crate) const MESSAGE: &str = "Message-ID: <1@fabrikam.com>\r\nX-MS-Exchange-Organization-SCL: 1\r\n\
    Subject: Hello\r\n\r\nBody\r\n";

/// A message as a mailbox got it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub head: MessageHead,
    pub content: String,
}

impl Arrival {
    pub(crate) fn recipients(&self) -> Vec<&str> {
        self.head.envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect()
    }

    /// A notification of this action.
    pub(crate) fn is_notification(&self, action: &str) -> bool {
        self.head.envelope.reverse_path == ReversePath::Null
            && self.content.contains(&format!("\r\nAction: {action}\r\n"))
    }
}

/// What Mailbox Transport Delivery of one server got and answers.
#[derive(Default)]
pub(crate) struct Mailboxes {
    attempts: Mutex<Vec<Arrival>>,
    /// Answers before the one that stands: delivered.
    answers: Mutex<HashMap<String, VecDeque<RecipientDelivery>>>,
}

impl Mailboxes {
    /// Answers this once, before all that was said before.
    pub(crate) fn answer(&self, address: &str, outcome: RecipientDelivery) {
        self.answers.lock().entry(address.to_owned()).or_default().push_front(outcome);
    }

    /// Every attempt so far.
    pub(crate) fn attempts(&self) -> Vec<Arrival> {
        self.attempts.lock().clone()
    }

    /// Attempts at one address.
    pub(crate) fn attempts_at(&self, address: &str) -> Vec<Arrival> {
        let attempts = self.attempts();
        attempts.into_iter().filter(|attempt| attempt.recipients().contains(&address)).collect()
    }

    /// Waits for so many attempts at an address.
    pub(crate) async fn arrived(&self, address: &str, count: usize) -> Vec<Arrival> {
        until(&format!("{count} attempts at {address}"), async || {
            Some(self.attempts_at(address)).filter(|attempts| attempts.len() >= count)
        })
        .await
    }
}

/// Waits until an address has a notification.
pub(crate) async fn notified(mailboxes: &Mailboxes, address: &str, action: &str) -> Arrival {
    until(&format!("a notification {action} for {address}"), async || {
        mailboxes.attempts_at(address).into_iter().find(|arrival| arrival.is_notification(action))
    })
    .await
}

struct Handler(Arc<Mailboxes>);

#[async_trait]
impl DeliverHandler for Handler {
    async fn deliver(&self, _: &PeerIdentity, message: Incoming) -> Result<Deliveries, Reply> {
        let Incoming { head, mut content, .. } = message;
        let mut octets = Vec::new();
        while let Some(piece) = content.next().await {
            octets.extend_from_slice(&piece.map_err(|error| Reply::plain(451, error.to_string()))?);
        }
        let mut answers = self.0.answers.lock();
        let mut answer = |recipient: &Recipient| {
            let waiting = answers.get_mut(recipient.address.as_str());
            waiting.and_then(VecDeque::pop_front).unwrap_or(RecipientDelivery::Delivered)
        };
        let outcomes = head.envelope.recipients.iter().map(&mut answer).collect();
        let content = String::from_utf8(octets).unwrap();
        self.0.attempts.lock().push(Arrival { head, content });
        Ok(outcomes)
    }
}

/// A Transport in a runtime of its own, that can be taken away from under it.
pub(crate) struct Running {
    pub node: Arc<Node>,
    pub smtp: Vec<(SocketAddr, SocketAddr)>,
    pub health: HealthChecks,
    pub operations: Operations,
    pub drain: CancellationToken,
    pub ended: tokio::task::JoinHandle<Result<(), TransportError>>,
    runtime: Option<Runtime>,
}

impl Running {
    /// Ends it without a word: what is not durable is gone.
    pub(crate) fn crash(mut self) {
        self.runtime.take().expect("it runs").shutdown_background();
    }

    /// Ends it in good order.
    pub(crate) async fn drain(mut self) {
        self.drain.cancel();
        (&mut self.ended).await.unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The organization with what its servers' mailboxes got.
pub(crate) struct Scene {
    pub world: Arc<World>,
    pub front_end: Arc<Node>,
    /// Of MAIL1.
    pub mailboxes: Arc<Mailboxes>,
    /// Of MAIL2.
    pub others: Arc<Mailboxes>,
}

impl Scene {
    pub(crate) async fn new(organization: &str) -> Self {
        let world = Arc::new(World::new(organization).await);
        let front_end = world.node("MAIL1", Service::FrontendTransport).await;
        let (mailboxes, others) = (serve(&world, "MAIL1").await, serve(&world, "MAIL2").await);
        Self { world, front_end, mailboxes, others }
    }

    pub(crate) async fn start(&self, server: &'static str) -> Running {
        self.start_with(server, |_| {}).await
    }

    /// Starts the Transport of a server whose node was prepared.
    pub(crate) async fn start_with(
        &self,
        server: &'static str,
        prepare: impl FnOnce(&mut Node) + Send + 'static,
    ) -> Running {
        self.start_on(|| Arc::new(queue::RealDisk), server, prepare).await
    }

    /// Starts the Transport of a server on another disk than that of this machine.
    pub(crate) async fn start_on(
        &self,
        disk: impl Fn() -> Arc<dyn queue::Disk> + Send + 'static,
        server: &'static str,
        prepare: impl FnOnce(&mut Node) + Send + 'static,
    ) -> Running {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (world, drain, handle) = (Arc::clone(&self.world), CancellationToken::new(), runtime.handle().clone());
        let token = drain.clone();
        let setting_up =
            tokio::task::spawn_blocking(move || handle.block_on(set_up(&world, &disk, server, token, prepare)));
        let (node, service) = setting_up.await.unwrap();
        let (smtp, health, operations) = (service.smtp_addresses(), service.health(), service.operations());
        let ended = runtime.spawn(service.run());
        Running { node, smtp, health, operations, drain, ended, runtime: Some(runtime) }
    }

    /// Where a Transport is, once it answers there.
    pub(crate) async fn transport(&self, server: &str) -> PeerAddress {
        until("a Transport", async || {
            let address = self.world.found(&self.front_end, server, Service::Transport).await;
            self.front_end.peers.reach_transport(&address).await.ok().map(|()| address)
        })
        .await
    }

    /// Submits the message to MAIL1.
    pub(crate) async fn submit(&self, from: &str, to: &[&str]) {
        let head = self.head(from, to);
        let receipt = self.submit_as(&head, MESSAGE).await.unwrap();
        assert_eq!(receipt.message(), head.id);
    }

    pub(crate) async fn submit_as(&self, head: &MessageHead, content: &str) -> Result<Receipt, TransferError> {
        self.submit_to("MAIL1", head, content).await
    }

    /// Submits a message to that server's Transport.
    pub(crate) async fn submit_to(
        &self,
        server: &str,
        head: &MessageHead,
        content: &str,
    ) -> Result<Receipt, TransferError> {
        let head = MessageHead { size: ByteSize::bytes(content.len() as u64), ..head.clone() };
        let address = self.transport(server).await;
        let content = Bytes::copy_from_slice(content.as_bytes());
        self.front_end.peers.submit(&address, &head, futures::stream::iter([Ok(content)]).boxed()).await
    }

    pub(crate) fn head(&self, from: &str, to: &[&str]) -> MessageHead {
        let recipient = |text: &&str| Recipient::new(Address::parse(text).unwrap());
        let sender = if from.is_empty() { ReversePath::Null } else { ReversePath::parse(from).unwrap() };
        MessageHead {
            id: self.front_end.clock.message_id(),
            envelope: Envelope::new(sender, to.iter().map(recipient).collect()),
            arrived: self.front_end.clock.now(),
            size: ByteSize::bytes(0),
            original_size: None,
            trace: None,
            revision: Revision::default(),
            origin: Origin { kind: OriginKind::Authenticated, connector: "test".into() },
            backed_off: Vec::new(),
        }
    }

    /// The same with a `NOTIFY` for all recipients.
    pub(crate) fn head_with(&self, from: &str, to: &[&str], notify: Notify) -> MessageHead {
        let mut head = self.head(from, to);
        head.envelope.recipients.iter_mut().for_each(|recipient| recipient.notify = Some(notify));
        head
    }

    /// What the spool of a stopped server holds.
    pub(crate) async fn spool(&self, server: &str) -> Vec<MessageId> {
        self.stored(server).await.into_iter().map(|(stored, _)| stored.head.id).collect()
    }

    /// The same with all that it knows, and the contents.
    pub(crate) async fn stored(&self, server: &str) -> Vec<(queue::StoredMessage, String)> {
        let path = self.world.settings(server).spool();
        let name = envelope::ServerName::parse(server).unwrap();
        let (spool, mut recovery) = until("the spool to be free", async || {
            let options = queue::SpoolOptions::new(name.clone());
            match queue::Spool::open(Arc::new(queue::RealDisk), &path, options) {
                Ok(opened) => Some(opened),
                Err(queue::OpenError::InUse(_)) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        let mut left = Vec::new();
        for (id, stored) in recovery.next_batch().await {
            let content = spool.content(id).await.unwrap();
            let content = content.read_all(ByteSize::mib(64)).await.unwrap();
            left.push((stored.unwrap(), String::from_utf8(content.into()).unwrap()));
        }
        drop(recovery);
        spool.close().await;
        left
    }
}

async fn set_up(
    world: &World,
    disk: &dyn Fn() -> Arc<dyn queue::Disk>,
    server: &str,
    drain: CancellationToken,
    prepare: impl FnOnce(&mut Node),
) -> (Arc<Node>, Transport) {
    let mut node = world.node(server, Service::Transport).await;
    prepare(Arc::get_mut(&mut node).expect("nobody else has it yet"));
    for server in ["MAIL1", "MAIL2"] {
        world.found(&node, server, Service::MailboxDelivery).await;
    }
    // A spool that was just left is written to its end before it is free.
    let service = until("the spool to be free", async || {
        match Transport::build_on(disk(), Arc::clone(&node), drain.clone()).await {
            Ok(service) => Some(service),
            Err(TransportError::Spool(queue::OpenError::InUse(_))) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    (node, service)
}

pub(crate) fn reply(code: u16, status: (u8, u16, u16), text: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new(status.0, status.1, status.2), text.to_owned())
}

async fn serve(world: &World, server: &str) -> Arc<Mailboxes> {
    let node = world.node(server, Service::MailboxDelivery).await;
    let mailboxes = Arc::<Mailboxes>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut offer = Offer::new(CancellationToken::new());
    offer.mailbox_delivery(Arc::new(Handler(Arc::clone(&mailboxes))));
    node.announce(listener.local_addr().unwrap());
    let serving = offer.serve(listener.into(), &node.credentials).unwrap();
    tokio::spawn(async move {
        let _node = node; // its announcement
        serving.await
    });
    mailboxes
}
