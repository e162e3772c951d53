//! Mail that leaves by a Send connector, to a host that answers as real ones do.

use std::sync::atomic::Ordering;

use rpc::RecipientDelivery;
use testkit::until;

use crate::sink::{Fault, Sink};
use crate::support::{MESSAGE, ORGANIZATION, Scene, notified, reply};

#[tokio::test]
async fn a_host_may_take_one_recipient_defer_one_and_refuse_one() {
    let sink = Sink::serve().await;
    let scene = Scene::new(&format!("{ORGANIZATION}{}", sink.connector())).await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["ok@example.com", "later@example.com", "never@example.com"]).await;
    assert_eq!(sink.arrived("ok@example.com", 1).await[0].recipients, ["ok@example.com"]);
    assert_eq!(sink.arrived("later@example.com", 1).await[0].recipients, ["later@example.com"]);
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("Final-Recipient: rfc822; never@example.com\r\n"), "{report}");
    assert!(report.contains("Status: 5.1.1\r\n") && !report.contains("rfc822; later@example.com"), "{report}");
    transport.drain().await;
    assert_eq!(sink.asked("ok@example.com"), 1, "who has it is left alone");
    assert_eq!(sink.asked("never@example.com"), 1);
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn header_fields_of_the_organization_do_not_leave_it() {
    // PL-73, PF-1; PF-24: the copy that stays inside keeps them.
    let sink = Sink::serve().await;
    let scene = Scene::new(&format!("{ORGANIZATION}{}", sink.connector())).await;
    let _transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["ok@example.com", "bob@contoso.com"]).await;
    let content = &sink.arrived("ok@example.com", 1).await[0].content;
    assert!(content.starts_with("Received: from MAIL1"), "{content}");
    assert!(content.contains("Subject: Hello\r\n") && content.ends_with("\r\n\r\nBody\r\n"), "{content}");
    assert!(!content.contains("X-MS-Exchange-Organization"), "{content}");
    let inside = &scene.mailboxes.arrived("bob@contoso.com", 1).await[0].content;
    assert!(inside.contains("X-MS-Exchange-Organization-SCL: 1\r\n"), "{inside}");
}

#[tokio::test]
async fn what_is_refused_before_the_recipients_comes_back_or_waits_as_the_connector_says() {
    // SC-112, SC-114
    for (policies, comes_back) in [("", true), ("errorPolicies: [DowngradeCustomFailures], ", false)] {
        let sink = Sink::serve().await;
        let connector = sink.connector().replace("port: ", &format!("{policies}port: "));
        let scene = Scene::new(&format!("{ORGANIZATION}{connector}")).await;
        let transport = scene.start("MAIL1").await;
        sink.fail(Fault::Refuses);
        scene.submit("ann@contoso.com", &["one@example.com"]).await;
        if comes_back {
            notified(&scene.mailboxes, "ann@contoso.com", "failed").await;
        } else {
            sink.arrived("one@example.com", 1).await;
        }
        transport.drain().await;
        assert_eq!(scene.mailboxes.attempts().len(), usize::from(comes_back), "{policies}");
        assert_eq!(sink.taken().is_empty(), comes_back, "{policies}");
        assert_eq!(scene.spool("MAIL1").await, [], "{policies}");
    }
}

#[tokio::test]
async fn what_a_connector_lists_comes_back_although_the_host_said_later() {
    // SC-115, SC-116
    for (list, comes_back) in [("['4.2.0']", true), ("['450', '4.7.9']", true), ("['4.2.1']", false)] {
        let sink = Sink::serve().await;
        let policies = format!("errorPolicies: [UpgradeCustomFailures], upgradedReplies: {list}, port: ");
        let connector = sink.connector().replace("port: ", &policies);
        let scene = Scene::new(&format!("{ORGANIZATION}{connector}")).await;
        let transport = scene.start("MAIL1").await;
        scene.submit("ann@contoso.com", &["later@example.com", "ok@example.com"]).await;
        sink.arrived("ok@example.com", 1).await;
        if comes_back {
            let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
            assert!(
                report.contains("rfc822; later@example.com\r\n") && report.contains("Status: 5.2.0\r\n"),
                "{report}"
            );
        } else {
            sink.arrived("later@example.com", 1).await;
        }
        transport.drain().await;
        assert_eq!(sink.asked("later@example.com"), if comes_back { 1 } else { 2 }, "{list}");
        assert_eq!(scene.spool("MAIL1").await, [], "{list}");
    }
}

#[tokio::test]
async fn header_fields_leave_as_the_permissions_of_the_connector_say() {
    // PF-4, PF-20, PF-33
    for (permissions, routing, organization) in [
        ("'allow ms-Exch-Send-Headers-Organization for ANONYMOUS LOGON'", true, true),
        ("'without ms-Exch-Send-Headers-Routing for ANONYMOUS LOGON'", false, false),
        (
            "'allow ms-Exch-Send-Headers-Organization for ANONYMOUS LOGON', \
             'deny ms-Exch-Send-Headers-Organization for ANONYMOUS LOGON'",
            true,
            false,
        ),
    ] {
        let sink = Sink::serve().await;
        let connector = sink.connector().replace("name: Out,", &format!("name: Out, permissions: [{permissions}],"));
        assert!(connector.contains("permissions"), "{connector}");
        let scene = Scene::new(&format!("{ORGANIZATION}{connector}")).await;
        let _transport = scene.start("MAIL1").await;
        scene.submit("ann@contoso.com", &["ok@example.com"]).await;
        let content = &sink.arrived("ok@example.com", 1).await[0].content;
        assert_eq!(content.contains("Received: from MAIL1"), routing, "{permissions}: {content}");
        assert_eq!(content.contains("X-MS-Exchange-Organization-SCL: 1"), organization, "{permissions}: {content}");
    }
}

#[tokio::test]
async fn the_other_half_of_a_hybrid_organization_is_told_what_was_found_out() {
    // PF-26, PF-40, PF-42, PF-43, PF-44, SC-117
    const CLOUD: &str = "cloudServicesMailEnabled: true, ";
    let shared = "acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}, \
                  {name: cloud, domainName: cloud.contoso.com, domainType: InternalRelay}]";
    let organization =
        ORGANIZATION.replace("acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]", shared);
    assert!(organization.contains("cloud.contoso.com"));
    for (property, recipients, told) in [
        (CLOUD, &["eve@cloud.contoso.com"][..], true),
        ("", &["eve@cloud.contoso.com"], false),
        // Somebody else shares the copy, or is alone in it.
        (CLOUD, &["eve@cloud.contoso.com", "ok@example.com"], false),
        (CLOUD, &["ok@example.com"], false),
    ] {
        let sink = Sink::serve().await;
        let connector = sink.connector().replace("port: ", &format!("{property}port: "));
        let scene = Scene::new(&format!("{organization}{connector}")).await;
        let transport = scene.start("MAIL1").await;
        let forged = "X-MS-Exchange-CrossPremises-AuthAs: forged\r\nX-MS-Exchange-Organization-Antispam-Report: x\r\n";
        let head = scene.head("ann@contoso.com", recipients);
        let receipt = scene.submit_as(&head, &format!("{forged}{MESSAGE}")).await.unwrap();
        assert_eq!(receipt.message(), head.id);
        let content = &sink.arrived(recipients[0], 1).await[0].content;
        let said = content.contains("X-MS-Exchange-CrossPremises-SCL: 1\r\n");
        assert_eq!(said, told, "{property}{recipients:?}: {content}");
        assert!(!content.contains("forged") && !content.contains("X-MS-Exchange-Organization-"), "{content}");
        transport.drain().await;
    }
}

#[tokio::test]
async fn a_host_that_goes_away_gets_the_mail_when_it_is_back() {
    for fault in [Fault::Goes, Fault::HangsUp] {
        let sink = Sink::serve().await;
        let scene = Scene::new(&format!("{ORGANIZATION}{}", sink.connector())).await;
        let transport = scene.start("MAIL1").await;
        sink.fail(fault);
        sink.fail(fault);
        scene.submit("ann@contoso.com", &["one@example.com"]).await;
        scene.submit("ann@contoso.com", &["two@example.com"]).await;
        sink.arrived("one@example.com", 1).await;
        sink.arrived("two@example.com", 1).await;
        transport.drain().await;
        assert_eq!(scene.spool("MAIL1").await, [], "{fault:?}");
        assert!(scene.mailboxes.attempts().is_empty(), "{fault:?}: nobody is told of what ended well");
    }
}

/// A message that waits for itself waits for half an hour, a queue for a second.
fn patient_messages() -> String {
    ORGANIZATION.replace("messageRetryInterval: '00:00:01'", "messageRetryInterval: '00:30:00'")
}

#[tokio::test]
async fn a_host_without_room_sends_nobody_away_for_long() {
    let sink = Sink::serve().await;
    let scene = Scene::new(&format!("{}{}", patient_messages(), sink.connector())).await;
    let transport = scene.start("MAIL1").await;
    (0..4).for_each(|_| sink.fail(Fault::Busy));
    for number in 0..20 {
        scene.submit("ann@contoso.com", &[&format!("r{number}@example.com")]).await;
    }
    for number in 0..20 {
        sink.arrived(&format!("r{number}@example.com"), 1).await;
    }
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_database_that_takes_nothing_sends_nobody_away_for_long() {
    let scene = Scene::new(&patient_messages()).await;
    let busy = || RecipientDelivery::Retry(reply(451, (4, 3, 2), "STOREDRV.Deliver; its disk does not answer"));
    (0..4).for_each(|_| scene.mailboxes.answer("bob@contoso.com", busy()));
    let transport = scene.start("MAIL1").await;
    for _ in 0..20 {
        scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    }
    scene.mailboxes.arrived("bob@contoso.com", 24).await;
    transport.drain().await;
    assert_eq!(scene.mailboxes.attempts_at("bob@contoso.com").len(), 24);
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_message_that_drives_the_host_away_does_not_keep_others_back() {
    let one_at_a_time =
        "maxPerDomainOutboundConnections: 1, messageExpirationTimeout: '1:00:00', messageRetryInterval: '00:10:00'";
    let organization = ORGANIZATION.replace("messageRetryInterval: '00:00:01'", one_at_a_time);
    let sink = Sink::serve().await;
    let scene = Scene::new(&format!("{organization}{}", sink.connector())).await;
    let transport = scene.start("MAIL1").await;
    sink.fail(Fault::HangsUp);
    sink.fail(Fault::HangsUp);
    scene.submit("ann@contoso.com", &["poison@example.com"]).await;
    until("the first attempt", async || (sink.asked("poison@example.com") > 0).then_some(())).await;
    scene.submit("ann@contoso.com", &["good@example.com"]).await;
    sink.arrived("good@example.com", 1).await;
    assert_eq!(sink.asked("poison@example.com"), 2, "it waits for itself");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await.len(), 1);
}

#[tokio::test]
async fn a_drain_ends_with_the_message_under_way_and_keeps_the_others() {
    let organization = ORGANIZATION.replace("{messageRetry", "{maxPerDomainOutboundConnections: 1, messageRetry");
    let sink = Sink::serve().await;
    let scene = Scene::new(&format!("{organization}{}", sink.connector())).await;
    let transport = scene.start("MAIL1").await;
    sink.patience.forget_permits(1000);
    for recipient in ["one@example.com", "two@example.com", "three@example.com"] {
        scene.submit("ann@contoso.com", &[recipient]).await;
    }
    until("the first message", async || (sink.asked("one@example.com") == 1).then_some(())).await;
    transport.drain.cancel();
    sink.patience.add_permits(1000);
    transport.drain().await;
    assert_eq!(sink.taken().len(), 1);
    assert_eq!(sink.connections.load(Ordering::SeqCst), 1, "no connection is opened to end at once");
    assert_eq!(scene.spool("MAIL1").await.len(), 2);
    let again = scene.start("MAIL1").await;
    sink.arrived("two@example.com", 1).await;
    sink.arrived("three@example.com", 1).await;
    again.drain().await;
    assert_eq!(sink.taken().len(), 3);
    assert_eq!(scene.spool("MAIL1").await, []);
}
