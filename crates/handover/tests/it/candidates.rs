//! Handing over to Transports that do as the test says: who is asked, in what order, and under which id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{
    Address, ByteSize, EnhancedStatus, Envelope, MessageHead, Origin, OriginKind, Receipt, Recipient, Reply,
    ReversePath, Revision, ServerName,
};
use futures::StreamExt;
use handover::{Candidates, NotHandedOver, Offered, Taker};
use net::{PeerIdentity, Service};
use parking_lot::Mutex;
use rpc::{Content, Incoming, Offer, Peers, SubmitHandler, TransferError};
use runtime::Node;
use testkit::World;
use tokio_util::sync::CancellationToken;

const ORGANIZATION: &str = "
sites: [{name: Berlin}]
servers:
  - {name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}
  - {name: MAIL2, fqdn: mail2.contoso.com, site: Berlin}
  - {name: MAIL3, fqdn: mail3.contoso.com, site: Berlin}
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
";
const SERVERS: [&str; 3] = ["MAIL1", "MAIL2", "MAIL3"];
/// How patient the tests are with who stands still; a busy machine may take longer for who is alive.
const PATIENCE: Duration = Duration::from_secs(2);
const CONTENT: &[u8] = b"Subject: Hello\r\n\r\nBody\r\n";

/// What a Transport does.
#[derive(Clone)]
enum Conduct {
    Takes,
    Answers(Reply),
    /// Reads it all, and says nothing: its disk does not answer.
    Silent,
}

/// Every message offered, by server.
type Offers = Arc<Mutex<Vec<(ServerName, MessageHead)>>>;

struct Transport {
    server: ServerName,
    conduct: Conduct,
    offers: Offers,
}

#[async_trait]
impl SubmitHandler for Transport {
    async fn submit(&self, _: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        let Incoming { head, mut content, .. } = message;
        let mut octets = Vec::new();
        while let Some(piece) = content.next().await {
            octets.extend_from_slice(&piece.map_err(|error| Reply::plain(451, error.to_string()))?);
        }
        assert_eq!(octets, CONTENT, "everybody is offered all of it");
        let id = head.id;
        self.offers.lock().push((self.server.clone(), head));
        match &self.conduct {
            Conduct::Takes => Ok(Receipt::after_commit(id, self.server.clone())),
            Conduct::Answers(reply) => Err(reply.clone()),
            Conduct::Silent => std::future::pending().await,
        }
    }
}

struct Scene {
    _world: World,
    node: Arc<Node>,
    offers: Offers,
    _transports: Vec<Arc<Node>>,
}

impl Scene {
    /// With these Transports; those that are not named are not there.
    async fn new(conducts: &[(&str, Conduct)]) -> Self {
        let world = World::new(ORGANIZATION).await;
        let (offers, mut transports) = (Offers::default(), Vec::new());
        for (server, conduct) in conducts {
            let node = world.node(server, Service::Transport).await;
            let listener = node.listen().await.unwrap();
            let address = listener.local().unwrap();
            let server = ServerName::parse(server).unwrap();
            let mut offer = Offer::new(CancellationToken::new());
            offer.transport(Arc::new(Transport { server, conduct: conduct.clone(), offers: Arc::clone(&offers) }));
            tokio::spawn(offer.serve(listener, &node.credentials).unwrap());
            node.announce(address);
            transports.push(node);
        }
        let mut node = world.node("MAIL1", Service::FrontendTransport).await;
        for (server, _) in conducts {
            world.found(&node, server, Service::Transport).await;
        }
        let own = Arc::get_mut(&mut node).unwrap();
        own.peers = Arc::new(Peers::with_patience(Arc::clone(&own.credentials), PATIENCE));
        Self { _world: world, node, offers, _transports: transports }
    }

    fn head(&self) -> MessageHead {
        let recipient = Recipient::new(Address::parse("ann@contoso.com").unwrap());
        MessageHead {
            id: self.node.clock.message_id(),
            envelope: Envelope::new(ReversePath::Null, vec![recipient]),
            arrived: self.node.clock.now(),
            size: ByteSize::bytes(CONTENT.len() as u64),
            original_size: None,
            trace: None,
            revision: Revision::default(),
            origin: Origin { kind: OriginKind::Anonymous, connector: "test".into() },
            backed_off: Vec::new(),
        }
    }

    /// In the order of the servers' names, as long as none has failed.
    fn candidates(&self) -> Candidates {
        Candidates::of_front_end(&self.node, &self.node.tables(), &[], 0)
    }

    async fn hand_over(&self, head: &MessageHead) -> Result<ServerName, NotHandedOver<String>> {
        let mut message = Held { head: head.clone(), opened: 0, broken_from: usize::MAX };
        self.candidates().hand_over(&mut message).await.map(|taken| {
            assert_eq!((taken.receipt.message(), taken.receipt.holder()), (head.id, &taken.by));
            taken.by
        })
    }

    /// Who was offered it.
    fn asked(&self, head: &MessageHead) -> Vec<String> {
        let offers = self.offers.lock();
        offers.iter().filter(|(_, offered)| offered.id == head.id).map(|(server, _)| server.to_string()).collect()
    }
}

struct Held {
    head: MessageHead,
    opened: usize,
    /// Its content can be read so often.
    broken_from: usize,
}

#[async_trait]
impl Offered for Held {
    type Unreadable = String;

    async fn open(&mut self, _: &Taker) -> Result<(MessageHead, Content), String> {
        self.opened += 1;
        if self.opened > self.broken_from {
            return Err("the disk does not read it any more".to_owned());
        }
        Ok((self.head.clone(), futures::stream::iter([Ok(Bytes::from_static(CONTENT))]).boxed()))
    }
}

fn reply(code: u16, status: (u8, u16, u16)) -> Conduct {
    Conduct::Answers(Reply::new(code, EnhancedStatus::new(status.0, status.1, status.2), "because"))
}

#[tokio::test]
async fn who_gives_no_sign_is_left_in_time_and_the_next_gets_the_message_under_its_id() {
    // PL-25
    let scene = Scene::new(&[("MAIL1", Conduct::Silent), ("MAIL2", Conduct::Takes)]).await;
    let (head, begun) = (scene.head(), Instant::now());
    assert_eq!(scene.hand_over(&head).await.unwrap().as_str(), "MAIL2");
    assert!(begun.elapsed() < PATIENCE * 10, "{:?}", begun.elapsed());
    assert_eq!(scene.asked(&head), ["MAIL1", "MAIL2"], "under the same id");
    // RT-24: whoever was left is asked last by the next.
    let next = scene.head();
    assert_eq!(scene.hand_over(&next).await.unwrap().as_str(), "MAIL2");
    assert_eq!(scene.asked(&next), ["MAIL2"]);
}

#[tokio::test]
async fn those_who_are_not_there_or_take_nothing_are_passed_over() {
    // MAIL1 has never been heard of.
    let busy = reply(452, (4, 3, 1));
    let scene = Scene::new(&[("MAIL2", busy), ("MAIL3", Conduct::Takes)]).await;
    let head = scene.head();
    assert_eq!(scene.hand_over(&head).await.unwrap().as_str(), "MAIL3");
    assert_eq!(scene.asked(&head), ["MAIL2", "MAIL3"]);
    let failed: BTreeMap<_, _> =
        scene.node.health.entries().into_iter().map(|entry| (entry.server.to_string(), entry.failed)).collect();
    assert_eq!(failed, SERVERS.map(|server| (server.to_owned(), server != "MAIL3")).into());
}

#[tokio::test]
async fn one_that_says_never_speaks_for_all() {
    let scene = Scene::new(&[("MAIL1", reply(550, (5, 7, 1))), ("MAIL2", Conduct::Takes)]).await;
    let head = scene.head();
    let refused = scene.hand_over(&head).await;
    assert!(matches!(refused, Err(NotHandedOver::Refused(TransferError::Refused { .. }))), "{refused:?}");
    assert_eq!(scene.asked(&head), ["MAIL1"]);
}

#[tokio::test]
async fn when_nobody_takes_it_the_one_that_did_not_want_it_says_why() {
    // MAIL2 wants nobody's mail, MAIL3 is not there.
    let scene = Scene::new(&[("MAIL1", reply(450, (4, 7, 1))), ("MAIL2", reply(421, (4, 3, 2)))]).await;
    let Err(NotHandedOver::Nobody(Some(why))) = scene.hand_over(&scene.head()).await else { panic!("somebody has it") };
    assert_eq!(why.to_reply().to_string(), "450 4.7.1 because");
    let nobody = Scene::new(&[]).await;
    let nowhere = nobody.hand_over(&nobody.head()).await;
    assert!(matches!(nowhere, Err(NotHandedOver::Nobody(None))), "{nowhere:?}");
}

#[tokio::test]
async fn content_that_cannot_be_read_again_ends_it() {
    let scene = Scene::new(&[("MAIL1", reply(421, (4, 3, 2))), ("MAIL2", Conduct::Takes)]).await;
    let mut message = Held { head: scene.head(), opened: 0, broken_from: 1 };
    let unreadable = scene.candidates().hand_over(&mut message).await;
    assert!(matches!(unreadable, Err(NotHandedOver::Unreadable(_))), "{unreadable:?}");
    assert_eq!(scene.asked(&message.head), ["MAIL1"]);
}

#[tokio::test]
async fn the_first_that_answers_is_reached() {
    let scene = Scene::new(&[("MAIL2", Conduct::Takes)]).await;
    assert_eq!(scene.candidates().reach().await.unwrap().attempt.server.as_str(), "MAIL2");
    let nobody = Scene::new(&[]).await;
    assert!(nobody.candidates().reach().await.is_err());
}
