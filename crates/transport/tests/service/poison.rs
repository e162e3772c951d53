//! Messages at which the program fails: they go to the poison queue, and an administrator finds that in the message tracking log.

use std::sync::Arc;

use envelope::MessageId;
use queue::{Spool, SpoolOptions, Transaction, Update};
use scheduler::QueueId;
use testkit::until;

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene};

async fn becomes_poison(transport: &Running) {
    until("poison", async || {
        let items = transport.operations.items_after(None, 9);
        items.iter().any(|item| item.queue == QueueId::POISON).then_some(())
    })
    .await;
}

/// Lines of the message tracking log of MAIL1 about poison.
fn poison_lines(scene: &Scene, message: MessageId) -> usize {
    let folder = logs::tracking::folder(&scene.world.settings("MAIL1").state);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let text: String = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).collect();
    let internal = logs::tracking::internal_id(message).to_string();
    text.lines().filter(|line| line.contains(",POISONMESSAGE,") && line.contains(&internal)).count()
}

async fn told_once(scene: &Scene, message: MessageId) {
    until("a line of the log", async || (poison_lines(scene, message) > 0).then_some(())).await;
    assert_eq!(poison_lines(scene, message), 1);
}

#[tokio::test]
async fn what_ended_the_process_as_often_as_configured_is_poison_and_told_at_the_next_start() {
    // QU-13, QU-14
    let scene = Scene::new(&ORGANIZATION.replace("{messageRetry", "{poisonThreshold: 3, messageRetry")).await;
    let name = envelope::ServerName::parse("MAIL1").unwrap();
    let (path, disk) = (scene.world.settings("MAIL1").spool(), Arc::new(queue::RealDisk));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (spool, recovery) = Spool::open(disk, &path, SpoolOptions::new(name)).unwrap();
    let heads = [("bob@contoso.com", 2), ("eve@contoso.com", 1)]
        .map(|(to, crashes)| (scene.head("ann@contoso.com", &[to]), crashes));
    for (head, crashes) in &heads {
        let mut draft = spool.begin();
        draft.write(MESSAGE.into()).await.unwrap();
        let _committed = draft.commit(head.clone()).await.unwrap();
        Transaction::new().update(head.id, &Update::crashes(*crashes)).commit(&spool).await.unwrap();
        // The process dies with the message in its hands.
        std::mem::forget(spool.take_in_hand(head.id));
    }
    drop(recovery);
    spool.close().await;
    let [(poison, _), (other, _)] = heads;
    let transport = scene.start("MAIL1").await;
    becomes_poison(&transport).await;
    told_once(&scene, poison.id).await;
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    transport.drain().await;
    // It stays so over a restart, which is not told again.
    let again = scene.start("MAIL1").await;
    becomes_poison(&again).await;
    let number = again.operations.items_after(None, 1)[0].number;
    again.operations.resume_message(QueueId::POISON, number).await.unwrap();
    scene.mailboxes.arrived("bob@contoso.com", 1).await;
    again.drain().await;
    assert_eq!((poison_lines(&scene, poison.id), poison_lines(&scene, other.id)), (1, 0));
    assert_eq!(scene.spool("MAIL1").await, []);
}
