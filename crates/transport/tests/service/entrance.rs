//! SMTP straight into Transport: its own Receive connectors (RC-14, RC-15).

#![expect(clippy::disallowed_methods, reason = "certificates of a test are of now, and the delays are real")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{Announcement, Presence};
use envelope::{Revision, ServerName, Timestamp};
use net::{NodeIdentity, PeerIdentity, Service};
use parking_lot::Mutex;
use queue::Disk;
use queue::disk::lossy::LossyDisk;
use rpc::{Colleagues, Credentials, FailedLogons, FailedLogonsHandler, Offer, RecipientDelivery, ToldTooOften};
use testkit::entrances::{self, CLIENTS, Entrances, STRANGERS};
use testkit::{Client, until};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, reply};

fn organization() -> String {
    format!("{ORGANIZATION}{}", entrances::receive_connectors("HubTransport"))
}

async fn stranger(transport: &Running) -> Client {
    let (_, bound) = transport.smtp.iter().find(|(binding, _)| binding.to_string() == STRANGERS).unwrap();
    Client::connect(*bound).await
}

#[tokio::test]
async fn clients_are_answered_as_their_connector_says() {
    // RC-40, RC-41, RC-51, RT-74, the relay matrix: as at the entrances of a front end.
    let scene = Scene::new(&organization()).await;
    entrances::add_mailboxes(&scene.world).await;
    scene.mailboxes.answer("ann@contoso.com", RecipientDelivery::Retry(reply(432, (4, 3, 2), "not yet")));
    let transport = scene.start("MAIL1").await;
    entrances::check(&Entrances::new(&transport.smtp)).await;
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    transport.drain().await;
    let stored = scene.stored("MAIL1").await.into_iter();
    entrances::check_taken(stored.map(|(stored, content)| (stored.head, content)));
}

#[tokio::test]
async fn a_change_of_the_configuration_opens_and_closes_entrances() {
    let scene = Scene::new(&organization()).await;
    let transport = scene.start("MAIL1").await;
    entrances::check_configuration(&scene.world, &organization(), "HubTransport").await;
    transport.drain().await;
}

/// A front end that is played: what it is told.
#[derive(Default)]
struct FrontEnd(Mutex<Vec<FailedLogons>>);

impl FailedLogonsHandler for FrontEnd {
    fn told(&self, _: &PeerIdentity, news: FailedLogons) -> Result<(), ToldTooOften> {
        self.0.lock().push(news);
        Ok(())
    }
}

/// A front end of MAIL2 that is there: what it is told, and its credentials.
async fn front_end(scene: &Scene) -> (Arc<FrontEnd>, Arc<Credentials>, Announcement) {
    let authority = scene.world.authority();
    let server = ServerName::parse("MAIL2").unwrap();
    let fqdn = "mail2.contoso.com".parse().unwrap();
    let identity = NodeIdentity { server: server.clone(), fqdn, services: [Service::FrontendTransport].into() };
    let own = authority.issue(&identity, std::time::SystemTime::now().into()).unwrap();
    let credentials = Arc::new(Credentials::new(own, authority.certificate_pem().to_owned()));
    let (front_end, mut offer) = (Arc::<FrontEnd>::default(), Offer::new(CancellationToken::new()));
    offer.failed_logons(front_end.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let announcement = scene.world.directory().announce(Presence {
        server,
        service: Service::FrontendTransport,
        addresses: vec![listener.local_addr().unwrap()],
        started: Timestamp::from_millis(1),
        version: "0".to_owned(),
        applied_revision: Revision(1),
        out_of_reach: Vec::new(),
    });
    tokio::spawn(offer.serve(listener.into(), &credentials).unwrap());
    (front_end, credentials, announcement)
}

#[tokio::test]
async fn failed_logons_are_told_to_front_ends_and_theirs_are_counted() {
    let scene = Scene::new(&organization()).await;
    let (front_end, credentials, _announcement) = front_end(&scene).await;
    let transport = scene.start("MAIL1").await;
    scene.world.found_by_presence(&transport.node, "MAIL2", Service::FrontendTransport).await;
    let clients = transport.smtp.iter().find(|(binding, _)| binding.to_string() == CLIENTS).unwrap().1;
    let guess = async || {
        let mut client = Client::connect(clients).await.start_tls().await;
        let asked = Instant::now();
        assert_eq!(client.log_on("guess", "wrong").await, "535 5.7.3 Authentication unsuccessful");
        asked.elapsed()
    };
    guess().await;
    let news = until("the front end to be told", async || front_end.0.lock().first().cloned()).await;
    let [(account, 1)] = news.accounts[..] else { panic!("{news:?}") };
    // It had one itself: the next one is the third.
    let at = scene.transport("MAIL1").await;
    let own = FailedLogons { accounts: vec![(account, 1)], networks: vec![] };
    Colleagues::new(credentials).tell(&at, Service::Transport, &own).await.unwrap();
    let took = guess().await;
    assert!(took >= Duration::from_secs(4), "{took:?}");
    transport.drain().await;
    let accounts = front_end.0.lock().iter().map(|news| news.accounts.clone()).collect::<Vec<_>>();
    assert_eq!(accounts, [vec![(account, 1)], vec![(account, 1)]], "what others told is not told again");
}

#[tokio::test]
async fn what_was_answered_with_250_survives_a_crash() {
    // Invariant 1, small and large: the log, and a file of its own.
    let scene = Scene::new(&organization()).await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(60_000));
    let mut answers = Vec::new();
    for content in [MESSAGE, &large] {
        let transport = scene.start("MAIL1").await;
        let mut client = stranger(&transport).await;
        let answer = client.send("visitor@fabrikam.com", &["ann@contoso.com"], content.trim_end()).await;
        transport.crash();
        let id = answer.split("InternalId=").nth(1).and_then(|rest| rest.split(',').next());
        answers.push((id.unwrap_or_else(|| panic!("{answer}")).to_owned(), content));
    }
    let again = scene.start("MAIL1").await;
    for (id, content) in answers {
        let attempt = until(&format!("{id}, which was answered with 250"), async || {
            scene.mailboxes.attempts().into_iter().find(|attempt| attempt.head.id.to_string() == id)
        })
        .await;
        let body = content.split("\r\n\r\n").nth(1).unwrap();
        assert!(attempt.content.ends_with(body) && attempt.content.starts_with("Received: from client.example"));
    }
    again.drain().await;
}

#[tokio::test]
async fn a_commit_that_has_begun_outlives_its_client_and_its_entrance() {
    let (scene, disk) = (Scene::new(&organization()).await, LossyDisk::new());
    let mounted = disk.clone();
    let transport = scene.start_on(move || mounted.mount() as Arc<dyn Disk>, "MAIL1", |_| {}).await;
    let (_, bound) = transport.smtp.iter().find(|(binding, _)| binding.to_string() == STRANGERS).unwrap();
    let mut client = stranger(&transport).await;
    client.say("MAIL FROM:<stranger@elsewhere.example>").await;
    client.say("RCPT TO:<ann@contoso.com>").await;
    client.say("DATA").await;
    let before = disk.counters().changes;
    disk.set_hang(true);
    client.write(MESSAGE.as_bytes()).await;
    client.write(b".\r\n").await;
    until("the commit to wait for the disk", async || (disk.counters().changes > before).then_some(())).await;
    drop(client);
    scene.world.apply(ORGANIZATION).await;
    let closed = async || tokio::net::TcpStream::connect(*bound).await.is_err().then_some(());
    until("the entrance to be closed", closed).await;
    disk.set_hang(false);
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    transport.drain().await;
}

#[tokio::test]
async fn a_drain_finishes_the_message_under_way_and_sends_the_idle_away() {
    let scene = Scene::new(&organization()).await;
    let transport = scene.start("MAIL1").await;
    let (mut busy, mut idle) = (stranger(&transport).await, stranger(&transport).await);
    busy.say("MAIL FROM:<stranger@elsewhere.example>").await;
    busy.say("RCPT TO:<ann@contoso.com>").await;
    busy.say("DATA").await;
    transport.drain.cancel();
    assert!(idle.reply().await.starts_with("421 4.3.2 "));
    busy.write(MESSAGE.as_bytes()).await;
    assert!(busy.say(".").await.starts_with("250 2.6.0 "));
    assert!(busy.reply().await.starts_with("421 4.3.2 "));
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await.len(), 1, "taken, and kept for the next start");
}
