//! Mail that cannot get on: late, expired, without a route.

use crate::sink::Sink;
use crate::support::{ORGANIZATION, Scene, notified};

#[tokio::test]
async fn unreachable_mail_goes_on_with_the_configuration_that_has_a_way() {
    // QU-10, QU-11, SC-78
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

#[tokio::test]
async fn the_report_of_expired_mail_says_what_it_had_waited_for() {
    // DS-44
    let short = "{messageExpirationTimeout: '00:00:06', messageRetry";
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let connector = format!(
        "sendConnectors: [{{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1], dnsRoutingEnabled: false, \
         smartHosts: [127.0.0.1], port: {}}}]\n",
        nobody.port()
    );
    let scene = Scene::new(&format!("{}{connector}", ORGANIZATION.replace("{messageRetry", short))).await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["bob@example.com"]).await;
    let expired = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    let text = expired.replace("=\r\n", "");
    assert!(text.contains("QUEUE.Expired") && text.contains("refused"), "{expired}");
    transport.drain().await;
}

#[tokio::test]
async fn what_dns_ends_is_reported_and_stands_in_the_tracking_log() {
    let dns = testkit::dns::serve(&[]).await;
    let servers = format!("{{internalDNSServers: ['{dns}'], messageRetry");
    let connector = "sendConnectors: [{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1]}]\n";
    let scene = Scene::new(&format!("{}{connector}", ORGANIZATION.replace("{messageRetry", &servers))).await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["bob@none.test"]).await;
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("Status: 5.4.4\r\n") && !report.contains("Remote-MTA"), "{report}");
    transport.drain().await;
    // The log is written behind mail's back.
    let failed = testkit::until("the line in the message tracking log", async || {
        let log = logged(&scene.world.settings("MAIL1").state);
        log.lines().find(|line| line.contains(",FAIL,") && line.contains("bob@none.test")).map(str::to_owned)
    })
    .await;
    assert!(failed.contains("NonExistentDomain"), "{failed}");
}

/// Everything that the message tracking log of a server holds.
fn logged(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&logged(&path));
        } else if entry.file_name().to_string_lossy().starts_with("MSGTRK") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}
