//! A disk that is full, fails, is slow or loses power under a running Transport: what was acknowledged is delivered, and
//! what cannot be kept is not acknowledged (peers E2 26, 27).

use std::sync::Arc;
use std::time::Duration;

use envelope::{ByteSize, MessageHead, Severity};
use queue::Disk;
use queue::disk::lossy::{Fault, Loss, LossyDisk};
use rpc::{RecipientDelivery, TransferError};
use telemetry::Health;
use testkit::until;

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, reply};

const BOB: &str = "bob@contoso.com";
/// A message with a file of its own.
const LARGE: usize = 600_000;

async fn start(scene: &Scene, disk: &LossyDisk) -> Running {
    let disk = disk.clone();
    scene.start_on(move || disk.mount() as Arc<dyn Disk>, "MAIL1", |_| {}).await
}

/// Submits a message for bob; whether it was taken, or refused for now.
async fn submit(scene: &Scene, content: &str) -> Result<MessageHead, TransferError> {
    let head = scene.head("ann@contoso.com", &[BOB]);
    scene.submit_as(&head, content).await.map(|_| head)
}

fn is_for_now(error: &TransferError) -> bool {
    match error {
        TransferError::Refused { reply, .. } => reply.severity() == Severity::Transient,
        _ => true,
    }
}

/// Lets all changes fail from the one after the next `after` on. Some of them are marks that the queue can do without.
fn fail_from(disk: &LossyDisk, after: u64) {
    let changes = disk.counters().changes + after;
    (changes..changes + 100).for_each(|change| disk.fail_at(change, Fault::InputOutput));
}

/// Lets every attempt at bob's mailbox fail for now, `times` times.
fn busy(scene: &Scene, times: usize) {
    for _ in 0..times {
        scene
            .mailboxes
            .answer(BOB, RecipientDelivery::Retry(reply(432, (4, 3, 2), "STOREDRV; mailbox server is busy")));
    }
}

/// Waits until bob has everything that was acknowledged.
async fn all_arrive(scene: &Scene, taken: &[MessageHead]) {
    for head in taken {
        let done =
            async || scene.mailboxes.attempts_at(BOB).iter().any(|arrival| arrival.head.id == head.id).then_some(());
        until("what was acknowledged", done).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_stops_no_delivery() {
    // Between two looks of back pressure, of which this has only the first.
    let seldom = "{backPressure: {resourceMeteringInterval: '01:00:00'}, messageRetry";
    let (scene, disk) = (Scene::new(&ORGANIZATION.replace("{messageRetry", seldom)).await, LossyDisk::new());
    let transport = start(&scene, &disk).await;
    busy(&scene, 1);
    let waiting = submit(&scene, MESSAGE).await.unwrap();
    scene.mailboxes.arrived(BOB, 1).await;

    disk.set_capacity(Some(ByteSize::bytes(0)));
    let large = format!("{MESSAGE}{}", "full\r\n".repeat(LARGE / 6));
    let mut taken = vec![waiting];
    let refusal = until("the disk to be full", async || match submit(&scene, &large).await {
        Ok(head) => {
            taken.push(head);
            None
        }
        Err(error) => Some(error),
    })
    .await;
    assert!(is_for_now(&refusal), "{refusal}");
    // The log was given its space long ago: what fits into it is still taken, and settled.
    assert_eq!(transport.health.live(), Health::Good);
    taken.push(submit(&scene, MESSAGE).await.unwrap());
    scene.mailboxes.arrived(BOB, taken.len() + 1).await;

    disk.set_capacity(None);
    let after = until("there is space again", async || submit(&scene, &large).await.ok()).await;
    taken.push(after);
    scene.mailboxes.arrived(BOB, taken.len() + 1).await;
    transport.drain().await;
    let arrived = scene.mailboxes.attempts_at(BOB);
    for head in &taken {
        assert!(arrived.iter().any(|arrival| arrival.head.id == head.id), "{}", head.id);
    }
}

#[tokio::test]
async fn a_disk_that_fails_ends_acceptance_until_the_next_start() {
    let (scene, disk) = (Scene::new(ORGANIZATION).await, LossyDisk::new());
    let transport = start(&scene, &disk).await;
    busy(&scene, 10);
    let mut taken = vec![submit(&scene, MESSAGE).await.unwrap()];
    fail_from(&disk, 4);
    let refusal = until("the disk to fail", async || match submit(&scene, MESSAGE).await {
        Ok(head) => {
            taken.push(head);
            None
        }
        Err(error) => Some(error),
    })
    .await;
    assert!(is_for_now(&refusal), "{refusal}");
    assert!(matches!(transport.health.live(), Health::Bad(_)), "whoever watches it is to start it anew");
    assert!(submit(&scene, MESSAGE).await.is_err());
    transport.crash();
    disk.crash(Loss::Everything);

    let transport = start(&scene, &disk).await;
    all_arrive(&scene, &taken).await;
    transport.drain().await;
}

#[tokio::test]
async fn nothing_goes_out_that_could_not_be_recorded() {
    // What is sent after the disk has failed would be sent again after the next start.
    let (scene, disk) = (Scene::new(ORGANIZATION).await, LossyDisk::new());
    let transport = start(&scene, &disk).await;
    busy(&scene, 1);
    submit(&scene, MESSAGE).await.unwrap();
    scene.mailboxes.arrived(BOB, 1).await;
    fail_from(&disk, 1);
    until("the disk to fail", async || submit(&scene, MESSAGE).await.is_err().then_some(())).await;
    until("the failure to be known", async || matches!(transport.health.live(), Health::Bad(_)).then_some(())).await;
    let queues = transport.operations.queues();
    let lane = queues.iter().find(|queue| queue.route.is_some()).map(|queue| queue.id).unwrap();
    until("the retry to be due", async || transport.operations.retry_queue(lane).ok()).await;
    testkit::hold(Duration::from_millis(500)).await;
    assert_eq!(scene.mailboxes.attempts_at(BOB).len(), 1);
    transport.crash();
}

#[tokio::test]
async fn a_power_loss_of_the_whole_server_loses_nothing_acknowledged() {
    let (scene, disk) = (Scene::new(ORGANIZATION).await, LossyDisk::new());
    let mut taken = Vec::new();
    for round in 0..6 {
        let transport = start(&scene, &disk).await;
        disk.fail_at(disk.counters().changes + 3 + 5 * round, Fault::PowerLoss);
        while !disk.is_off() {
            taken.extend(submit(&scene, MESSAGE).await);
        }
        transport.crash();
        disk.crash(Loss::Some(round));
    }
    assert!(taken.len() > 6, "{} were taken", taken.len());
    let transport = start(&scene, &disk).await;
    all_arrive(&scene, &taken).await;
    transport.drain().await;
}

#[tokio::test]
async fn many_share_the_syncs_of_a_slow_disk() {
    let (scene, disk) = (Scene::new(ORGANIZATION).await, LossyDisk::new());
    let transport = start(&scene, &disk).await;
    submit(&scene, MESSAGE).await.unwrap();
    let before = disk.counters().syncs;
    disk.set_sync_delay(Duration::from_millis(100));
    const MESSAGES: usize = 100;
    let all = futures::future::join_all((0..MESSAGES).map(|_| submit(&scene, MESSAGE))).await;
    assert!(all.iter().all(Result::is_ok));
    let syncs = disk.counters().syncs - before;
    assert!(syncs < MESSAGES as u64 / 4, "{syncs} syncs for {MESSAGES} messages");
    disk.set_sync_delay(Duration::ZERO);
    scene.mailboxes.arrived(BOB, MESSAGES + 1).await;
    transport.drain().await;
}
