//! Mail for mailboxes of this server: every outcome that Mailbox Transport Delivery may give.

use envelope::Notify;
use rpc::RecipientDelivery;

use crate::support::{MESSAGE, ORGANIZATION, Scene, notified, reply};

#[tokio::test]
async fn a_message_is_delivered_once_however_often_it_is_submitted() {
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    let head = scene.head("ann@contoso.com", &["bob@contoso.com"]);
    for _ in ["first", "acknowledgement lost", "and again"] {
        let receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
        assert_eq!(receipt.message(), head.id);
    }
    // What is submitted later arrives later: the repetitions would have arrived by then.
    scene.submit("ann@contoso.com", &["eve@contoso.com"]).await;
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    let arrived = scene.mailboxes.arrived("bob@contoso.com", 1).await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].head.id, head.id);
    let content = &arrived[0].content;
    assert!(content.starts_with("Received: from MAIL1"), "{content}");
    assert!(content.ends_with(MESSAGE), "inside the organization its header fields stay: {content}");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn each_recipient_has_its_own_end() {
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    let busy = reply(451, (4, 3, 0), "busy");
    scene.mailboxes.answer("bob@contoso.com", RecipientDelivery::Retry(busy));
    scene.mailboxes.answer("eve@contoso.com", RecipientDelivery::Failed(reply(552, (5, 2, 2), "mailbox full")));
    scene.submit("ann@contoso.com", &["ann@contoso.com", "bob@contoso.com", "eve@contoso.com"]).await;
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("Final-Recipient: rfc822; eve@contoso.com\r\n"), "{report}");
    assert!(report.contains("Status: 5.2.2\r\n") && !report.contains("bob@contoso.com"), "{report}");
    let attempts = scene.mailboxes.arrived("bob@contoso.com", 2).await;
    assert_eq!(attempts[0].recipients(), ["ann@contoso.com", "bob@contoso.com", "eve@contoso.com"]);
    assert_eq!(attempts[1].recipients(), ["bob@contoso.com"], "only what was deferred is tried again");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn nobody_is_told_who_does_not_want_to_be_or_is_nobody() {
    // DS-02, DS-04
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    for (from, notify) in [("ann@contoso.com", Notify::Never), ("", Notify::DEFAULT)] {
        scene.mailboxes.answer("bob@contoso.com", RecipientDelivery::Failed(reply(550, (5, 2, 1), "closed")));
        let head = scene.head_with(from, &["bob@contoso.com", "nobody@contoso.com"], notify);
        let _receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
    }
    scene.mailboxes.arrived("bob@contoso.com", 2).await;
    scene.submit("eve@contoso.com", &["nobody@contoso.com"]).await;
    notified(&scene.mailboxes, "eve@contoso.com", "failed").await;
    assert!(scene.mailboxes.attempts_at("ann@contoso.com").is_empty());
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_notification_that_cannot_be_delivered_makes_no_other() {
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    scene.mailboxes.answer("ann@contoso.com", RecipientDelivery::Failed(reply(552, (5, 2, 2), "full")));
    scene.submit("ann@contoso.com", &["nobody@contoso.com"]).await;
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
    assert_eq!(scene.mailboxes.attempts().len(), 1);
}

#[tokio::test]
async fn what_is_rerouted_waits_for_a_configuration_that_knows_why() {
    // PL-13: a message that is sent to and fro until the configuration has come round would be a storm.
    let patient =
        ORGANIZATION.replace("mailboxDeliveryQueueRetryInterval: '00:00:01'", "messageExpirationTimeout: '1:00:00'");
    let scene = Scene::new(&patient).await;
    let first = scene.start("MAIL1").await;
    let second = scene.start("MAIL2").await;
    scene.transport("MAIL2").await;
    scene.mailboxes.answer("bob@contoso.com", RecipientDelivery::Reroute(reply(451, (4, 3, 2), "moved")));
    scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    scene.mailboxes.arrived("bob@contoso.com", 1).await;
    scene.submit("ann@contoso.com", &["eve@contoso.com"]).await;
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    assert_eq!(scene.mailboxes.attempts_at("bob@contoso.com").len(), 1, "it waits");
    let moved = patient.replace("{name: DB1, server: MAIL1}", "{name: DB1, server: MAIL2}");
    scene.world.apply(&moved).await;
    scene.others.arrived("bob@contoso.com", 1).await;
    first.drain().await;
    second.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn success_is_told_to_those_who_ask() {
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    let head = scene.head_with(
        "ann@contoso.com",
        &["bob@contoso.com"],
        Notify::On { success: true, failure: true, delay: false },
    );
    let _receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
    let report = notified(&scene.mailboxes, "ann@contoso.com", "delivered").await;
    assert!(report.content.contains("Final-Recipient: rfc822; bob@contoso.com\r\n"));
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}
