//! The service over loopback: real connector, real directory, real folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envelope::{
    Address, ByteSize, Envelope, MessageHead, ObjectName, Origin, OriginKind, Recipient, Reply, ReversePath, Revision,
};
use futures::StreamExt;
use mailbox_delivery::MailboxDelivery;
use mailbox_store::Departing;
use net::Service;
use rpc::{Content, DatabaseMove, MailboxSource, PeerAddress, RecipientDelivery, TransferError};
use runtime::Node;
use testkit::{AwayDirectory, World};
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
  - {name: DB2, dag: DAG1, activeOn: BERLIN1}
  - {name: DB3, dag: DAG1, activeOn: BERLIN2}
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
recipients:
  - {name: ann, address: ann@contoso.com, database: DB1}
  - {name: bob, address: bob@contoso.com, database: DB1}
  - {name: eve, address: eve@contoso.com, database: DB2}
  - {name: joe, address: joe@contoso.com, database: DB3}
"#;

const MESSAGE: &str = "Return-Path: <forged@example.com>\r\n\
    Received: from a by b; Sat, 21 Nov 2026 09:00:00 +0000\r\n\
    X-MS-Exchange-Organization-SCL: 1\r\n\
    X-MS-Exchange-Organization-Secret: 1\r\n\
    X-MS-Exchange-Forest-Secret: 1\r\n\
    Subject: Hello\r\n\r\nBody\r\n";

/// A world with the service on BERLIN1 and a Transport of BERLIN2 that calls it.
struct Scene {
    world: World,
    node: Arc<Node>,
    transport: Arc<Node>,
    peer: PeerAddress,
    drain: CancellationToken,
    running: JoinHandle<Result<(), mailbox_delivery::MailboxDeliveryError>>,
}

impl Scene {
    async fn begin() -> Self {
        let world = World::new(ORGANIZATION).await;
        let node = world.node("BERLIN1", Service::MailboxDelivery).await;
        Self::begin_with(world, node).await
    }

    async fn begin_with(world: World, node: Arc<Node>) -> Self {
        let transport = world.node("BERLIN2", Service::Transport).await;
        let drain = CancellationToken::new();
        let service = MailboxDelivery::build(Arc::clone(&node), drain.clone()).await.unwrap();
        let running = tokio::spawn(service.run());
        let peer = world.found(&transport, "BERLIN1", Service::MailboxDelivery).await;
        Self { world, node, transport, peer, drain, running }
    }

    async fn deliver(&self, head: &MessageHead, content: Content) -> Result<Vec<RecipientDelivery>, TransferError> {
        self.transport.peers.deliver(&self.peer, head, content).await
    }

    fn head(&self, recipients: &[&str]) -> MessageHead {
        let address = |text: &&str| Recipient::new(Address::parse(text).unwrap());
        let sender = ReversePath::parse("sender@fabrikam.com").unwrap();
        MessageHead {
            id: self.node.clock.message_id(),
            envelope: Envelope::new(sender, recipients.iter().map(address).collect()),
            arrived: self.node.clock.now(),
            size: ByteSize::bytes(MESSAGE.len() as u64),
            original_size: None,
            trace: None,
            revision: Revision::default(),
            origin: Origin { kind: OriginKind::Anonymous, connector: "test".into() },
            backed_off: Vec::new(),
        }
    }

    fn inbox(&self, database: &str, mailbox: &str) -> PathBuf {
        self.node.settings.mailboxes.join(database).join(mailbox).join("Maildir/new")
    }
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

/// The message, in pieces that end anywhere.
fn content() -> Content {
    let pieces: Vec<_> = MESSAGE.as_bytes().chunks(7).map(|piece| Ok(Bytes::from_static(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

fn reply_of(outcome: &RecipientDelivery) -> &Reply {
    match outcome {
        RecipientDelivery::Failed(reply) | RecipientDelivery::Reroute(reply) | RecipientDelivery::Retry(reply) => reply,
        RecipientDelivery::Delivered => panic!("delivered"),
    }
}

#[tokio::test]
async fn a_message_reaches_each_mailbox_once_with_its_trace_lines() {
    let scene = Scene::begin().await;
    let head = scene.head(&["ann@contoso.com", "bob@contoso.com", "Eve@contoso.com"]);
    for _ in ["first", "again"] {
        let outcomes = scene.deliver(&head, content()).await.unwrap();
        assert_eq!(outcomes, vec![RecipientDelivery::Delivered; 3]);
    }
    // PF-30b; the forged Return-Path is gone; several recipients are not told about each other.
    let rest = "Received: from a by b; Sat, 21 Nov 2026 09:00:00 +0000\n\
                X-MS-Exchange-Organization-SCL: 1\nSubject: Hello\n\nBody\n";
    let shared = format!("Return-Path: <sender@fabrikam.com>\n{rest}");
    for mailbox in ["ann", "bob"] {
        assert_eq!(files(&scene.inbox("DB1", mailbox)), std::slice::from_ref(&shared));
    }
    let single = format!("Return-Path: <sender@fabrikam.com>\nDelivered-To: Eve@contoso.com\n{rest}");
    assert_eq!(files(&scene.inbox("DB2", "eve")), [single]);
}

#[tokio::test]
async fn each_recipient_has_an_outcome_of_its_own() {
    let scene = Scene::begin().await;
    let head = scene.head(&["nobody@contoso.com", "ann@contoso.com", "joe@contoso.com"]);
    let outcomes = scene.deliver(&head, content()).await.unwrap();
    let [RecipientDelivery::Failed(failed), RecipientDelivery::Delivered, RecipientDelivery::Reroute(rerouted)] =
        outcomes.as_slice()
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!(failed.status_or_generic().to_string(), "5.1.1");
    assert!(rerouted.to_string().starts_with("451 4.3.2 STOREDRV.Deliver; rerouted"), "{rerouted}");
    assert_eq!(files(&scene.inbox("DB1", "ann")).len(), 1);
}

#[tokio::test]
async fn a_database_is_read_by_the_server_that_it_goes_to_and_by_no_other() {
    let scene = Scene::begin().await;
    let head = scene.head(&["ann@contoso.com"]);
    scene.deliver(&head, content()).await.unwrap();
    let database = ObjectName::parse("DB1").unwrap();
    let new = scene.world.node("BERLIN2", Service::MailboxDelivery).await;
    let parts = async |node: &Node, id| {
        let of = DatabaseMove { database: database.clone(), id };
        MailboxSource::connect(&scene.peer, &node.credentials, of).await.unwrap().parts().await
    };
    assert!(
        parts(&new, [0; 16]).await.unwrap_err().contains("does not go to BERLIN2"),
        "it was not promised to anybody"
    );
    let departing = Departing::of(scene.node.settings.mailbox_database(&database));
    let departure = departing.begin(new.server()).await.unwrap();
    assert_eq!(parts(&new, departure.id.into_bytes()).await.unwrap(), ["ann"]);
    assert!(parts(&new, [0; 16]).await.is_err(), "another move");
    assert!(parts(&scene.node, departure.id.into_bytes()).await.is_err(), "another server");

    // Held: mail waits in the queue of whoever brings it, and another database goes on.
    departing.hold(departure.id).await.unwrap();
    let head = scene.head(&["bob@contoso.com", "eve@contoso.com"]);
    let outcomes = scene.deliver(&head, content()).await.unwrap();
    let [RecipientDelivery::Retry(waits), RecipientDelivery::Delivered] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert!(waits.to_string().contains("4.3.2") && waits.to_string().contains("on its way"), "{waits}");
    assert!(files(&scene.inbox("DB1", "bob")).is_empty());
    departing.stay().await.unwrap();
    assert_eq!(scene.deliver(&head, content()).await.unwrap(), vec![RecipientDelivery::Delivered; 2]);
}

#[tokio::test]
async fn a_message_that_is_cut_short_reaches_nobody() {
    let scene = Scene::begin().await;
    let mut head = scene.head(&["ann@contoso.com"]);
    head.size = ByteSize::bytes(MESSAGE.len() as u64 + 1);
    let error = scene.deliver(&head, content()).await.unwrap_err();
    assert!(error.to_reply().code == 451, "{error}");
    // The next one has waited for nothing and finds no trace of it.
    let whole = scene.head(&["bob@contoso.com"]);
    assert_eq!(scene.deliver(&whole, content()).await.unwrap(), [RecipientDelivery::Delivered]);
    assert_eq!(files(&scene.inbox("DB1", "ann")), Vec::<String>::new());
}

#[tokio::test]
async fn a_database_that_fails_does_not_keep_mail_from_the_others() {
    let scene = Scene::begin().await;
    let mailboxes = &scene.node.settings.mailboxes;
    std::fs::create_dir_all(mailboxes).unwrap();
    std::fs::write(mailboxes.join("DB2"), "a file where the database should be").unwrap();
    let outcomes = scene.deliver(&scene.head(&["eve@contoso.com", "ann@contoso.com"]), content()).await.unwrap();
    assert!(matches!(outcomes[0], RecipientDelivery::Retry(_)), "{outcomes:?}");
    assert_eq!(outcomes[1], RecipientDelivery::Delivered);
    let text = reply_of(&outcomes[0]).to_string();
    assert!(text.starts_with("451 4.3.0") && !text.contains('/'), "no paths leave the server: {text}");
    std::fs::remove_file(mailboxes.join("DB2")).unwrap();
    let head = scene.head(&["eve@contoso.com"]);
    assert_eq!(scene.deliver(&head, content()).await.unwrap(), [RecipientDelivery::Delivered]);
}

#[tokio::test]
async fn recipients_that_cannot_be_looked_up_are_tried_again() {
    let world = World::new(ORGANIZATION).await;
    let mut node = world.node("BERLIN1", Service::MailboxDelivery).await;
    let away = Arc::new(AwayDirectory::new(Arc::clone(&node.directory)));
    Arc::get_mut(&mut node).unwrap().directory = Arc::clone(&away) as Arc<dyn directory::Directory>;
    let scene = Scene::begin_with(world, node).await;
    let head = scene.head(&["ann@contoso.com", "nobody@contoso.com"]);
    for outcome in scene.deliver(&head, content()).await.unwrap() {
        assert!(matches!(outcome, RecipientDelivery::Retry(_)), "{outcome:?}");
        assert_eq!(reply_of(&outcome).status_or_generic().to_string(), "4.4.3");
    }
    away.return_back();
    let outcomes = scene.deliver(&head, content()).await.unwrap();
    assert!(matches!(outcomes[..], [RecipientDelivery::Delivered, RecipientDelivery::Failed(_)]), "{outcomes:?}");
}

#[tokio::test]
async fn a_database_that_moves_is_rerouted_from_then_on() {
    // PL-13
    let scene = Scene::begin().await;
    let moved =
        ORGANIZATION.replace("{name: DB1, dag: DAG1, activeOn: BERLIN1}", "{name: DB1, dag: DAG1, activeOn: BERLIN2}");
    let revision = scene.world.apply(&moved).await;
    scene.world.applied(&scene.node, revision).await;
    let outcomes = scene.deliver(&scene.head(&["ann@contoso.com"]), content()).await.unwrap();
    assert!(matches!(outcomes[0], RecipientDelivery::Reroute(_)), "{outcomes:?}");
}

#[tokio::test]
async fn a_configuration_that_only_the_sender_knows_yet_is_waited_for() {
    // PL-13
    let scene = Scene::begin().await;
    let arrives =
        ORGANIZATION.replace("{name: DB3, dag: DAG1, activeOn: BERLIN2}", "{name: DB3, dag: DAG1, activeOn: BERLIN1}");
    let now = scene.node.revision();
    let decided_by = |revision| MessageHead { revision, ..scene.head(&["joe@contoso.com"]) };
    let early = decided_by(Revision(now.0 + 1));
    let changed = async {
        // Long enough for an answer by what is known now.
        testkit::hold(Duration::from_millis(200)).await;
        scene.world.apply(&arrives).await
    };
    let (outcomes, revision) = tokio::join!(scene.deliver(&early, content()), changed);
    assert_eq!(outcomes.unwrap(), [RecipientDelivery::Delivered]);
    assert!(revision >= early.revision);
    let revision = scene.world.apply(ORGANIZATION).await;
    scene.world.applied(&scene.node, revision).await;
    // One that does not come: whoever sent it tries again here.
    let outcomes = scene.deliver(&decided_by(Revision(revision.0 + 100)), content()).await.unwrap();
    assert!(matches!(outcomes[0], RecipientDelivery::Retry(_)), "{outcomes:?}");
    let said = reply_of(&outcomes[0]);
    assert!(said.is_about_system() && said.to_string().ends_with("yet"), "{said}");
}

#[tokio::test]
async fn an_endless_header_is_refused_for_good() {
    let scene = Scene::begin().await;
    let line = Bytes::from(format!("X-Long: {}\r\n", "x".repeat(70_000)));
    let pieces = std::iter::repeat_n(line.clone(), 20);
    let mut head = scene.head(&["ann@contoso.com"]);
    head.size = ByteSize::bytes(20 * line.len() as u64);
    let error = scene.deliver(&head, futures::stream::iter(pieces.map(Ok)).boxed()).await.unwrap_err();
    assert!(error.to_string().contains("552 5.3.4"), "{error}");
}

#[tokio::test]
async fn a_drain_ends_the_service() {
    let scene = Scene::begin().await;
    let head = scene.head(&["ann@contoso.com"]);
    assert_eq!(scene.deliver(&head, content()).await.unwrap(), [RecipientDelivery::Delivered]);
    scene.drain.cancel();
    scene.running.await.unwrap().unwrap();
    assert!(scene.transport.peers.deliver(&scene.peer, &head, content()).await.is_err());
}
