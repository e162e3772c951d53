//! Mail that cannot get on: late, expired, without a route.

use crate::sink::Sink;
use crate::support::{ORGANIZATION, Scene, notified};

#[tokio::test]
async fn unreachable_mail_goes_on_with_the_configuration_that_has_a_way() {
    // QU-10, QU-11
    let sink = Sink::serve().await;
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    for recipient in ["one@example.com", "two@example.com"] {
        scene.submit("ann@contoso.com", &[recipient]).await;
    }
    scene.submit("ann@contoso.com", &["three@example.com", "bob@contoso.com"]).await;
    scene.mailboxes.arrived("bob@contoso.com", 1).await;
    scene.world.apply(&format!("{ORGANIZATION}{}", sink.connector())).await;
    for recipient in ["one@example.com", "two@example.com", "three@example.com"] {
        assert_eq!(sink.arrived(recipient, 1).await.len(), 1);
    }
    transport.drain().await;
    assert_eq!(scene.mailboxes.attempts().len(), 1);
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn late_mail_is_told_once_and_expires() {
    // DS-20, QU-42
    let short = "{delayNotificationTimeout: '00:00:01', messageExpirationTimeout: '00:00:06', messageRetry";
    let scene = Scene::new(&ORGANIZATION.replace("{messageRetry", short)).await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["nowhere@example.com"]).await;
    let late = notified(&scene.mailboxes, "ann@contoso.com", "delayed").await.content;
    assert!(late.contains("Status: 4.4.7\r\n") && late.contains("Will-Retry-Until: "), "{late}");
    // A restart does not forget that the sender knows.
    transport.drain().await;
    let transport = scene.start("MAIL1").await;
    let expired = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(expired.contains("QUEUE.Expired; message expired"), "{expired}");
    transport.drain().await;
    assert_eq!(scene.mailboxes.attempts_at("ann@contoso.com").len(), 2);
    assert_eq!(scene.spool("MAIL1").await, []);
}
