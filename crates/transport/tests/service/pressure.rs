//! Back pressure: what comes in is refused or delayed while a resource is short, what goes out is not, and it ends by itself
//! (docs/rules.md, Back pressure).

use std::sync::Arc;

use directory::Directory;
use envelope::{ByteSize, MessageHead};
use net::Service;
use queue::Disk;
use queue::disk::lossy::LossyDisk;
use rpc::{RecipientDelivery, TransferError};
use telemetry::Health;
use testkit::entrances::{self, STRANGERS};
use testkit::{AwayDirectory, Client, until};

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, reply};

/// Whose mail waits, where some has to.
const BOB: &str = "bob@contoso.com";
/// Whose mail is delivered at once.
const EVE: &str = "eve@contoso.com";
const REFUSAL: &str = "452 4.3.1 Insufficient system resources";

/// With these settings of back pressure on MAIL1, looked at every second, and entrances for clients.
fn organization(settings: &str) -> String {
    let settings = format!("{{backPressure: {{resourceMeteringInterval: '00:00:01'{settings}}}, messageRetry");
    let servers = ORGANIZATION.replace("{messageRetry", &settings);
    format!("{servers}{}", entrances::receive_connectors("HubTransport"))
}

async fn stranger(transport: &Running) -> Client {
    let (_, bound) = transport.smtp.iter().find(|(binding, _)| binding.to_string() == STRANGERS).unwrap();
    Client::connect(*bound).await
}

async fn submit(scene: &Scene, head: &MessageHead) -> Result<(), String> {
    match scene.submit_as(head, MESSAGE).await {
        Ok(_) => Ok(()),
        Err(TransferError::Refused { reply, .. }) => Err(reply.to_string()),
        Err(error) => panic!("{error}"),
    }
}

/// Lets every attempt at bob's mailbox fail for now, until something else is said.
fn busy(scene: &Scene) {
    for _ in 0..1000 {
        scene
            .mailboxes
            .answer(BOB, RecipientDelivery::Retry(reply(432, (4, 3, 2), "STOREDRV; mailbox server is busy")));
    }
}

/// Takes all room but a little.
fn fill(disk: &LossyDisk) {
    let space = disk.mount().space("/".as_ref()).unwrap();
    let used = space.total.as_u64() - space.available.as_u64();
    disk.set_capacity(Some(ByteSize::bytes(used + used / 1000)));
}

async fn refused(scene: &Scene) {
    until("mail to be refused", async || {
        submit(scene, &scene.head("ann@contoso.com", &[EVE])).await.err().filter(|reply| reply == REFUSAL)
    })
    .await;
}

#[tokio::test]
async fn a_nearly_full_disk_takes_no_mail_and_lets_what_it_has_go_out() {
    // BP-11, BP-13, BP-14, BP-16
    let settings = ", databaseUsedSpace: {lowToMedium: 96, mediumToHigh: 99, highToMedium: 97, mediumToLow: 94}";
    let (scene, disk) = (Scene::new(&organization(settings)).await, LossyDisk::new());
    let of_server = disk.clone();
    let transport = scene.start_on(move || of_server.mount() as Arc<dyn Disk>, "MAIL1", |_| {}).await;
    assert_eq!(transport.health.ready(), Health::Good);
    busy(&scene);
    let waiting = scene.head("ann@contoso.com", &[BOB]);
    submit(&scene, &waiting).await.unwrap();
    scene.mailboxes.arrived(BOB, 1).await;

    fill(&disk);
    refused(&scene).await;
    let Health::Bad(why) = transport.health.ready() else { panic!("it is ready") };
    assert!(why.starts_with("back pressure: DatabaseUsedSpace is High, 99."), "{why}");
    assert_eq!(transport.health.live(), Health::Good, "nobody is to start it anew");
    let mut client = stranger(&transport).await;
    assert_eq!(client.say("MAIL FROM:<visitor@fabrikam.com>").await, REFUSAL);
    assert!(client.say("NOOP").await.starts_with("250"), "the connection stays");
    let asked = scene.front_end.peers.admitted(&scene.transport("MAIL1").await).await;
    assert!(matches!(asked, Err(TransferError::Refused { .. })), "{asked:?}");
    // What was there before goes out.
    scene.mailboxes.answer(BOB, RecipientDelivery::Delivered);
    let before = scene.mailboxes.attempts_at(BOB).len();
    scene.mailboxes.arrived(BOB, before + 1).await;

    disk.set_capacity(None);
    until("readiness", async || (transport.health.ready() == Health::Good).then_some(())).await;
    let reply = client.send("visitor@fabrikam.com", &[EVE], MESSAGE.trim_end()).await;
    assert!(reply.starts_with("250 2.6.0 "), "the same client, without doing anything: {reply}");
    scene.submit("ann@contoso.com", &[EVE]).await;
    scene.mailboxes.arrived(EVE, 2).await;
    transport.drain().await;
    let delivered = |attempt: &crate::support::Arrival| attempt.head.id == waiting.id;
    assert!(scene.mailboxes.attempts_at(BOB).iter().all(delivered), "nothing else was for bob");
}

#[tokio::test]
async fn at_medium_clients_are_refused_and_the_other_servers_are_not() {
    // BP-11: R without X and S. Every process uses more than nothing of its memory, and less than all of it.
    let settings = ", privateBytes: {lowToMedium: 0, mediumToHigh: 100, highToMedium: 100, mediumToLow: 0}";
    let scene = Scene::new(&organization(settings)).await;
    let transport = scene.start("MAIL1").await;
    assert_eq!(stranger(&transport).await.say("MAIL FROM:<visitor@fabrikam.com>").await, REFUSAL);
    refused(&scene).await;
    assert_eq!(transport.health.ready(), Health::Good, "it takes mail from those who have none to refuse");
    for service in [Service::Transport, Service::MailboxSubmission] {
        let node = scene.world.node("MAIL2", service).await;
        let (head, to) = (scene.head("ann@contoso.com", &[BOB]), scene.transport("MAIL1").await);
        let head = MessageHead { size: ByteSize::bytes(MESSAGE.len() as u64), ..head };
        let content = futures::stream::iter([Ok(MESSAGE.into())]);
        let content: rpc::Content = futures::StreamExt::boxed(content);
        let receipt = node.peers.submit(&to, &head, content).await;
        assert!(receipt.is_ok(), "{service}: {receipt:?}");
    }
    scene.mailboxes.arrived(BOB, 2).await;
    // Other thresholds count from the next look on.
    scene.world.apply(&organization("")).await;
    until("mail to be taken", async || submit(&scene, &scene.head("ann@contoso.com", &[BOB])).await.ok()).await;
    transport.drain().await;
}

#[tokio::test]
async fn a_long_submission_queue_delays_then_refuses_and_ends_when_it_is_short_again() {
    // BP-08, BP-10: Medium above one message; a delay that nobody would live to see the end of.
    let settings = ", submissionQueue: {lowToMedium: 1, mediumToHigh: 9, highToMedium: 9, mediumToLow: 1}, \
                    submissionQueueHistoryDepth: 3, smtpStartThrottlingDelayInterval: '10:00:00', \
                    smtpMaxThrottlingDelayInterval: '10:00:00'";
    let scene = Scene::new(&organization(settings)).await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let transport = scene
        .start_with("MAIL1", move |node| {
            let away = Arc::new(AwayDirectory::new(Arc::clone(&node.directory)));
            node.directory = Arc::clone(&away) as Arc<dyn Directory>;
            sender.send(away).unwrap();
        })
        .await;
    // Without the directory nothing leaves the Submission queue.
    for _ in 0..2 {
        scene.submit("ann@contoso.com", &[BOB]).await;
    }
    // Whoever is delayed is refused as soon as delaying is given up, though his ten hours are not over.
    let mut client = stranger(&transport).await;
    until("the end of patience", async || {
        let reply = client.say("MAIL FROM:<visitor@fabrikam.com>").await;
        if reply != REFUSAL {
            client.say("RSET").await;
        }
        (reply == REFUSAL).then_some(())
    })
    .await;
    refused(&scene).await;
    assert_eq!(transport.health.ready(), Health::Good, "the other servers' mail is taken at Medium");

    receiver.recv().unwrap().return_back();
    scene.mailboxes.arrived(BOB, 2).await;
    let taken = until("mail to be taken", async || {
        let reply = client.say("MAIL FROM:<visitor@fabrikam.com>").await;
        (reply != REFUSAL).then_some(reply)
    })
    .await;
    assert!(taken.starts_with("250"), "{taken}");
    transport.drain().await;
}
