//! The service over loopback: real outboxes, real directory, and a Transport that answers as told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::{BodyType, EnhancedStatus, MessageHead, MessageId, OriginKind, Receipt, Reply, Revision};
use futures::StreamExt;
use mailbox_store::{MailboxDatabase, MailboxName};
use mailbox_submission::{MailboxSubmission, MailboxSubmissionError, Watcher};
use net::{PeerIdentity, Service};
use parking_lot::Mutex;
use rpc::{Incoming, Offer, SubmitHandler};
use runtime::Node;
use testkit::{AwayDirectory, World, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ORGANIZATION: &str = r#"
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.com, site: Berlin, dag: DAG1}
  - {name: BERLIN2, fqdn: berlin2.contoso.com, site: Berlin, dag: DAG1}
dags: [{name: DAG1}]
databases:
  - {name: DB1, dag: DAG1, activeOn: BERLIN1}
  - {name: DB2, dag: DAG1, activeOn: BERLIN2}
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
recipients:
  - {name: ann, address: ann@contoso.com, database: DB1}
  - {name: bob, address: bob@contoso.com, database: DB2}
"#;

const MESSAGE: &str = "From: Ann <ann@contoso.com>\nTo: bob@contoso.com\nBcc: x@fabrikam.com\nSubject: Hi\n\nBody\n";

/// A Transport service that takes everything after the replies it was told to give.
struct Transport {
    node: Arc<Node>,
    refusals: Mutex<VecDeque<Reply>>,
    /// Every message that it was offered.
    offered: Mutex<Vec<MessageId>>,
    taken: Mutex<Vec<(MessageHead, Vec<u8>)>>,
}

#[async_trait]
impl SubmitHandler for Transport {
    async fn submit(&self, _peer: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        let Incoming { head, mut content, .. } = message;
        self.offered.lock().push(head.id);
        if let Some(reply) = self.refusals.lock().pop_front() {
            return Err(reply);
        }
        let mut octets = Vec::new();
        while let Some(piece) = content.next().await {
            octets.extend_from_slice(&piece.map_err(|error| Reply::plain(451, error.to_string()))?);
        }
        let receipt = Receipt::after_commit(head.id, self.node.server().clone());
        self.taken.lock().push((head, octets));
        Ok(receipt)
    }
}

impl Transport {
    async fn start(world: &World, server: &str, refusals: &[Reply]) -> Arc<Self> {
        let node = world.node(server, Service::Transport).await;
        let (refusals, listener) = (Mutex::new(refusals.iter().cloned().collect()), node.listen().await.unwrap());
        let transport =
            Arc::new(Self { node: Arc::clone(&node), refusals, offered: Mutex::default(), taken: Mutex::default() });
        let address = listener.local().unwrap();
        let mut offer = Offer::new(CancellationToken::new());
        offer.transport(Arc::clone(&transport) as Arc<dyn SubmitHandler>);
        tokio::spawn(offer.serve(listener, &node.credentials).unwrap());
        node.announce(address);
        transport
    }

    async fn takes(&self) -> (MessageHead, String) {
        let (head, octets) = until("a submission", async || self.taken.lock().pop()).await;
        (head, String::from_utf8(octets).unwrap())
    }
}

/// The service on BERLIN1.
struct Scene {
    world: World,
    node: Arc<Node>,
    drain: CancellationToken,
    running: JoinHandle<Result<(), MailboxSubmissionError>>,
}

impl Scene {
    async fn begin() -> Self {
        let world = World::new(ORGANIZATION).await;
        let node = world.node("BERLIN1", Service::MailboxSubmission).await;
        Self::begin_with(world, node).await
    }

    async fn begin_with(world: World, node: Arc<Node>) -> Self {
        let drain = CancellationToken::new();
        let service = MailboxSubmission::build(Arc::clone(&node), Watcher::default(), drain.clone()).await.unwrap();
        let running = tokio::spawn(service.run());
        Self { world, node, drain, running }
    }

    async fn transport(&self, refusals: &[Reply]) -> Arc<Transport> {
        let transport = Transport::start(&self.world, "BERLIN1", refusals).await;
        self.world.found(&self.node, "BERLIN1", Service::Transport).await;
        transport
    }

    fn folder(&self, database: &str, mailbox: &str, folder: &str) -> PathBuf {
        self.node.settings.mailboxes.join(database).join(mailbox).join("Maildir").join(folder)
    }

    /// Puts a message into an outbox as a mail reader does: whole, by a rename.
    async fn write(&self, database: &str, mailbox: &str, name: &str, text: &str) {
        let store = MailboxDatabase::open(self.node.settings.mailboxes.join(database)).await.unwrap();
        store.create_mailbox(&MailboxName::parse(mailbox).unwrap()).await.unwrap();
        let outbox = self.folder(database, mailbox, ".Outbox");
        std::fs::write(outbox.join("tmp").join(name), text).unwrap();
        std::fs::rename(outbox.join("tmp").join(name), outbox.join("new").join(name)).unwrap();
    }

    async fn appears(&self, folder: PathBuf) -> String {
        until("a message in a folder", async || {
            let entry = std::fs::read_dir(&folder).ok()?.next()?;
            std::fs::read_to_string(entry.ok()?.path()).ok()
        })
        .await
    }
}

#[tokio::test]
async fn a_message_goes_from_the_outbox_to_transport_and_then_to_sent() {
    let scene = Scene::begin().await;
    let transport = scene.transport(&[]).await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    let (head, content) = transport.takes().await;
    assert_eq!(head.envelope.reverse_path.to_string(), "ann@contoso.com");
    let recipients: Vec<_> = head.envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(recipients, ["bob@contoso.com", "x@fabrikam.com"]);
    assert_eq!((head.origin.kind, &*head.origin.connector), (OriginKind::Mailbox, "Outbox"));
    assert_eq!(head.revision, Revision::default());
    assert_eq!(head.size.as_u64(), content.len() as u64);
    assert!(content.starts_with("Date: ") && content.contains("\r\nMessage-ID: <"), "{content}");
    assert!(content.ends_with("From: Ann <ann@contoso.com>\r\nTo: bob@contoso.com\r\nSubject: Hi\r\n\r\nBody\r\n"));
    assert_eq!(scene.appears(scene.folder("DB1", "ann", ".Sent/cur")).await, MESSAGE);
    assert_eq!(std::fs::read_dir(scene.folder("DB1", "ann", ".Outbox/new")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_can_never_be_sent_comes_back_with_the_reason() {
    let scene = Scene::begin().await;
    let refusal = Reply::new(552, EnhancedStatus::new(5, 3, 4), "Too big");
    let transport = scene.transport(&[refusal]).await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    let failed = scene.appears(scene.folder("DB1", "ann", ".Failed/new")).await;
    assert_eq!(failed, format!("X-Postroad-Failure: 5.3.4 Too big\n{MESSAGE}"));
    for file in std::fs::read_dir(scene.folder("DB1", "ann", ".Failed/new")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    scene.write("DB1", "ann", "2.a", &MESSAGE.replace("Ann <ann@", "Boss <boss@")).await;
    let failed = scene.appears(scene.folder("DB1", "ann", ".Failed/new")).await;
    assert!(failed.starts_with("X-Postroad-Failure: 5.7.1 boss@contoso.com is no address of this mailbox"), "{failed}");
    assert!(transport.taken.lock().is_empty());
}

#[tokio::test]
async fn a_busy_transport_is_passed_over_and_asked_again_later() {
    let scene = Scene::begin().await;
    let busy = Reply::new(452, EnhancedStatus::new(4, 3, 1), "Insufficient system resources");
    let transport = scene.transport(std::slice::from_ref(&busy)).await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    let (first, _) = transport.takes().await;
    scene.appears(scene.folder("DB1", "ann", ".Sent/cur")).await;
    // The same message has the same id wherever and whenever it is submitted; another of the same name has not.
    assert_eq!(*transport.offered.lock(), [first.id, first.id]);
    let other = Transport::start(&scene.world, "BERLIN2", &[]).await;
    scene.world.found(&scene.node, "BERLIN2", Service::Transport).await;
    transport.offered.lock().clear();
    transport.refusals.lock().extend([busy.clone(), busy]);
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    let (second, _) = other.takes().await;
    assert_ne!(second.id, first.id);
    assert!(transport.offered.lock().iter().all(|id| *id == second.id));
}

/// Transport has it, and the disk of the mailbox does not let it go: that alone is tried again.
#[tokio::test]
async fn a_message_that_cannot_be_moved_is_not_submitted_again() {
    let scene = Scene::begin().await;
    let transport = scene.transport(&[]).await;
    scene.write("DB1", "ann", "0.a", MESSAGE).await;
    let sent = scene.folder("DB1", "ann", ".Sent");
    scene.appears(sent.join("cur")).await;
    transport.takes().await;
    std::fs::remove_dir_all(&sent).unwrap();
    std::fs::write(&sent, "in the way").unwrap();
    let outbox = scene.folder("DB1", "ann", ".Outbox");
    for number in 1..=4 {
        // Each lets the outbox be looked into, and offers those before it again.
        let name = format!("{number}.a");
        std::fs::write(outbox.join("tmp").join(&name), MESSAGE).unwrap();
        std::fs::rename(outbox.join("tmp").join(&name), outbox.join("new").join(&name)).unwrap();
        transport.takes().await;
    }
    let mut offered = transport.offered.lock().clone();
    offered.sort_unstable();
    offered.dedup();
    assert_eq!(offered.len(), transport.offered.lock().len(), "each once");
    std::fs::remove_file(&sent).unwrap();
    scene.write("DB1", "ann", "5.a", MESSAGE).await;
    until("all messages in Sent", async || (std::fs::read_dir(sent.join("cur")).ok()?.count() == 5).then_some(()))
        .await;
    assert_eq!(transport.offered.lock().len(), 6);
}

#[tokio::test]
async fn long_headers_and_bodies_arrive_octet_for_octet() {
    let scene = Scene::begin().await;
    let transport = scene.transport(&[]).await;
    let filler = "X-Filler: some more of a header\n".repeat(4_000);
    let body = "Eine Zeile mit Umlauten: äöü\n".repeat(20_000);
    let header = format!(
        "From: ann@contoso.com\nTo: bob@contoso.com\nDate: Sat, 21 Nov 2026 09:00:00 +0000\n\
                          Message-ID: <1@client>\n{filler}\n"
    );
    scene.write("DB1", "ann", "1.a", &format!("{header}{body}")).await;
    let (head, content) = transport.takes().await;
    assert_eq!(content, format!("{header}{body}").replace('\n', "\r\n"));
    assert_eq!((head.size.as_u64(), head.envelope.body), (content.len() as u64, BodyType::EightBitMime));
}

#[tokio::test]
async fn mail_waits_while_the_directory_is_away() {
    let world = World::new(ORGANIZATION).await;
    let mut node = world.node("BERLIN1", Service::MailboxSubmission).await;
    let away = Arc::new(AwayDirectory::new(Arc::clone(&node.directory)));
    Arc::get_mut(&mut node).unwrap().directory = Arc::clone(&away) as Arc<dyn directory::Directory>;
    let scene = Scene::begin_with(world, node).await;
    let transport = scene.transport(&[]).await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    away.return_back();
    transport.takes().await;
}

#[tokio::test]
async fn mail_waits_in_the_outbox_while_no_transport_is_there() {
    let scene = Scene::begin().await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    let transport = scene.transport(&[]).await;
    transport.takes().await;
    scene.appears(scene.folder("DB1", "ann", ".Sent/cur")).await;
}

#[tokio::test]
async fn only_databases_that_are_active_here_are_read_and_that_follows_the_configuration() {
    // PL-11
    let scene = Scene::begin().await;
    let transport = scene.transport(&[]).await;
    let from_bob = MESSAGE.replace("ann@", "bob@");
    scene.write("DB2", "bob", "1.b", &from_bob).await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    assert_eq!(transport.takes().await.0.envelope.reverse_path.to_string(), "ann@contoso.com");
    let moved = ORGANIZATION.replace("activeOn: BERLIN2", "activeOn: berlin1");
    scene.world.apply(&moved).await;
    assert_eq!(transport.takes().await.0.envelope.reverse_path.to_string(), "bob@contoso.com");
    scene.appears(scene.folder("DB2", "bob", ".Sent/cur")).await;
    scene.world.apply(ORGANIZATION).await;
    scene.world.apply(&moved).await;
    scene.write("DB2", "bob", "2.b", &from_bob).await;
    transport.takes().await;
}

#[tokio::test]
async fn a_drain_ends_the_service_and_leaves_what_waits_in_its_outbox() {
    let mut scene = Scene::begin().await;
    scene.write("DB1", "ann", "1.a", MESSAGE).await;
    scene.drain.cancel();
    (&mut scene.running).await.unwrap().unwrap();
    assert_eq!(std::fs::read_dir(scene.folder("DB1", "ann", ".Outbox/new")).unwrap().count(), 1);
}
