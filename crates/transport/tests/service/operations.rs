//! What an administrator does to the queues of a running service, and what mail does then.

use std::time::Duration;

use envelope::ServerName;
use queue::RecipientState;
use rpc::{RecipientDelivery, TransferError};
use scheduler::{Done, ItemStatus, ItemView, QueueId, QueueStatus, Refusal, Why, WithNdr};
use testkit::{hold, until};
use transport::{OperationError, RedirectError, State};

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, notified, reply};

const BOB: &str = "bob@contoso.com";

async fn waiting(transport: &Running, what: impl Fn(&ItemView) -> bool) -> ItemView {
    until("the message to wait", async || {
        transport.operations.items_after(None, 100).into_iter().find(|item| what(item))
    })
    .await
}

/// The queue of bob's database, which has delivered something.
async fn database_queue(scene: &Scene, transport: &Running) -> QueueId {
    scene.submit("ann@contoso.com", &["eve@contoso.com"]).await;
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    let queues = transport.operations.queues();
    queues.into_iter().find(|queue| queue.route.is_some()).map(|queue| queue.id).unwrap()
}

#[tokio::test]
async fn a_suspended_queue_holds_its_mail_until_it_is_resumed() {
    // QU-27
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    let queue = database_queue(&scene, &transport).await;
    transport.operations.suspend_queue(queue).await.unwrap();
    scene.submit("ann@contoso.com", &[BOB]).await;
    let held = waiting(&transport, |item| item.queue == queue).await;
    assert_eq!((held.status, held.why), (ItemStatus::Ready, Why::QueueSuspended));
    let view = transport.operations.queues().into_iter().find(|view| view.id == queue).unwrap();
    assert_eq!((view.status, view.message_count), (QueueStatus::Suspended, 1));
    assert!(scene.mailboxes.attempts_at(BOB).is_empty());
    // So it is after a restart.
    transport.drain().await;
    let transport = scene.start("MAIL1").await;
    let held = waiting(&transport, |item| item.why == Why::QueueSuspended && item.queue.is_delivery()).await;
    assert!(scene.mailboxes.attempts_at(BOB).is_empty());
    transport.operations.resume_queue(held.queue).await.unwrap();
    scene.mailboxes.arrived(BOB, 1).await;
    let again = transport.operations.resume_queue(held.queue).await;
    assert!(matches!(again, Err(OperationError::Refused(Refusal::NotSuspended))), "{again:?}");
    transport.drain().await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &[BOB]).await;
    scene.mailboxes.arrived(BOB, 2).await;
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_message_is_suspended_resumed_and_removed_and_its_sender_is_told() {
    // QU-24, QU-29, QU-30, QU-58
    let slow = ORGANIZATION.replace("messageRetryInterval: '00:00:01'", "messageRetryInterval: '00:30:00'");
    let scene = Scene::new(&slow).await;
    let transport = scene.start("MAIL1").await;
    // One that came before and has gone.
    scene.submit("ann@contoso.com", &["eve@contoso.com"]).await;
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    scene.mailboxes.answer(BOB, RecipientDelivery::Retry(reply(450, (4, 2, 2), "Mailbox full")));
    scene.submit("ann@contoso.com", &[BOB]).await;
    let deferred = waiting(&transport, |item| matches!(item.why, Why::Deferred { .. })).await;
    assert!(deferred.last_error.as_ref().is_some_and(|error| error.contains("Mailbox full")), "{deferred:?}");
    let operations = &transport.operations;
    let (queue, number) = (deferred.queue, deferred.number);
    assert_eq!(operations.suspend_message(queue, number).await.unwrap(), Done::Now(()));
    operations.retry_queue(queue).unwrap_err();
    let nowhere = operations.suspend_message(QueueId::SUBMISSION, number).await;
    assert!(matches!(nowhere, Err(OperationError::Refused(Refusal::NoSuchMessage))), "{nowhere:?}");
    // So it is after a restart, in the queue that it comes to, under its number (QU-24).
    transport.drain().await;
    let transport = scene.start("MAIL1").await;
    let held = waiting(&transport, |item| item.status == ItemStatus::Suspended).await;
    assert_eq!(held.number, number);
    let (operations, queue, number) = (&transport.operations, held.queue, held.number);
    assert!(queue.is_delivery());
    scene.mailboxes.answer(BOB, RecipientDelivery::Retry(reply(450, (4, 2, 2), "Mailbox full")));
    operations.resume_message(queue, number).await.unwrap();
    scene.mailboxes.arrived(BOB, 2).await;
    waiting(&transport, |item| matches!(item.why, Why::Deferred { .. })).await;
    assert_eq!(operations.remove_message(queue, number, WithNdr(true)), Ok(Done::Now(())));
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("Status: 5.4.0\r\n") && report.contains("removed by administrator"), "{report}");
    transport.drain().await;
    assert_eq!(scene.mailboxes.attempts_at(BOB).len(), 2);
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_message_removed_without_a_report_is_gone_and_nobody_is_told() {
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["nowhere@example.com"]).await;
    let unreachable = waiting(&transport, |item| item.queue == QueueId::UNREACHABLE).await;
    assert_eq!(unreachable.why, Why::NoRoute);
    let removed = transport.operations.remove_message(QueueId::UNREACHABLE, unreachable.number, WithNdr(false));
    assert_eq!(removed, Ok(Done::Now(())));
    let nothing = async || transport.operations.items_after(None, 1).is_empty().then_some(());
    until("it to be gone", nothing).await;
    transport.drain().await;
    assert!(scene.mailboxes.attempts().is_empty());
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_redirected_server_takes_nothing_and_its_mail_goes_to_the_other() {
    // QU-60: the database does not answer; the other server has the mail then.
    let slow = ORGANIZATION.replace("messageRetryInterval: '00:00:01'", "messageRetryInterval: '00:30:00'");
    let scene = Scene::new(&slow).await;
    let first = scene.start("MAIL1").await;
    let second = scene.start("MAIL2").await;
    scene.transport("MAIL2").await;
    scene.mailboxes.answer(BOB, RecipientDelivery::Retry(reply(450, (4, 2, 2), "Mailbox full")));
    scene.submit("ann@contoso.com", &[BOB]).await;
    waiting(&first, |item| matches!(item.why, Why::Deferred { .. })).await;
    let name = |text: &str| ServerName::parse(text).unwrap();
    assert_eq!(first.operations.redirect(&name("MAIL1")), Err(RedirectError::ThisServer(name("MAIL1"))));
    assert!(matches!(first.operations.redirect(&name("MAIL7")), Err(RedirectError::NoWay { .. })));
    assert_eq!(first.operations.state(), State::Active);
    first.operations.redirect(&name("MAIL2")).unwrap();
    assert_eq!(first.operations.state(), State::Redirecting);
    let handed_over = async || first.operations.items_after(None, 1).is_empty().then_some(());
    until("the other server to have it", handed_over).await;
    // Mail for DB1 stops at the point where it cannot go on: MAIL1 takes nothing.
    let waits = waiting(&second, |item| item.queue.is_delivery()).await;
    assert_eq!(waits.route.unwrap().key.delivery_type, routing::DeliveryType::SmtpRelayToMailboxDeliveryGroup);
    let head = scene.head("ann@contoso.com", &["eve@contoso.com"]);
    let refused = scene.submit_as(&head, MESSAGE).await.unwrap_err();
    assert!(matches!(refused, TransferError::Refused { ref reply, .. } if reply.code == 421), "{refused}");
    first.operations.end_redirection();
    let _receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    let lane = waits.queue;
    until("mail to come back", async || {
        let _ = second.operations.retry_queue(lane);
        (scene.mailboxes.attempts_at(BOB).len() == 2).then_some(())
    })
    .await;
    first.drain().await;
    second.drain().await;
    assert_eq!((scene.spool("MAIL1").await, scene.spool("MAIL2").await), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_redirected_is_no_younger_and_was_tried_as_often() {
    let slow = ORGANIZATION.replace("messageRetryInterval: '00:00:01'", "messageRetryInterval: '00:30:00'");
    let scene = Scene::new(&slow).await;
    let (first, second) = (scene.start("MAIL1").await, scene.start("MAIL2").await);
    scene.transport("MAIL2").await;
    scene.mailboxes.answer(BOB, RecipientDelivery::Retry(reply(450, (4, 2, 2), "Mailbox full")));
    scene.submit("ann@contoso.com", &[BOB]).await;
    let before = waiting(&first, |item| matches!(item.why, Why::Deferred { .. })).await.item.arrived;
    hold(Duration::from_secs(1)).await;
    first.operations.redirect(&ServerName::parse("MAIL2").unwrap()).unwrap();
    let after = waiting(&second, |item| item.queue.is_delivery()).await.item.arrived;
    let differ = after.since(before).max(before.since(after));
    assert!(differ < Duration::from_millis(900), "the way there counts, the second before does not: {differ:?}");
    first.drain().await;
    second.drain().await;
    let [(stored, _)] = scene.stored("MAIL2").await.try_into().unwrap();
    let [RecipientState::Pending(pending)] = &stored.states[..] else { panic!("{stored:?}") };
    assert!(pending.attempts == 1 && pending.last_error.as_ref().unwrap().contains("Mailbox full"), "{pending:?}");
}
