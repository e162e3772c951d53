//! Mail between two Transports, and restarts.

use std::time::Duration;

use bytes::Bytes;
use envelope::{ByteSize, MessageHead, Notify, Revision};
use futures::StreamExt;
use net::Service;
use testkit::until;

use crate::sink::Sink;
use crate::support::{MESSAGE, ORGANIZATION, Scene, notified};
use crate::view::waiting_on;

#[tokio::test]
async fn another_servers_mail_is_its_own_from_then_on() {
    let scene = Scene::new(ORGANIZATION).await;
    let (first, second) = (scene.start("MAIL1").await, scene.start("MAIL2").await);
    let asked = Notify::On { success: true, failure: true, delay: true };
    let head = scene.head_with("ann@contoso.com", &["bob@contoso.com", "joe@contoso.com"], asked);
    let _receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
    let there = &scene.others.arrived("joe@contoso.com", 1).await[0];
    assert_ne!(there.head.id, head.id, "what comes back must not be taken for what was dealt with");
    assert_eq!(there.content.matches("Received: from MAIL1").count(), 2, "{}", there.content);
    // SC-5, PF-13: without a Send connector, and with every header of the organization.
    assert!(there.content.contains("X-MS-Exchange-Organization-SCL: 1\r\n"), "{}", there.content);
    assert_eq!(scene.mailboxes.arrived("bob@contoso.com", 1).await[0].head.id, head.id);
    // Each server tells of what it delivered, and nobody of a transfer.
    scene.mailboxes.arrived("ann@contoso.com", 2).await;
    first.drain().await;
    second.drain().await;
    assert_eq!(scene.mailboxes.attempts_at("ann@contoso.com").len(), 2);
    assert_eq!(scene.others.attempts_at("joe@contoso.com").len(), 1);
    assert_eq!((scene.spool("MAIL1").await, scene.spool("MAIL2").await), (vec![], vec![]));
}

#[tokio::test]
async fn a_message_that_loops_is_refused_and_its_sender_told() {
    // RT-74
    let scene = Scene::new(ORGANIZATION).await;
    let (first, second) = (scene.start("MAIL1").await, scene.start("MAIL2").await);
    let hops = |count: usize| format!("{}{MESSAGE}", "Received: from a by b\r\n".repeat(count));
    let head = scene.head("ann@contoso.com", &["joe@contoso.com"]);
    let refused = scene.submit_as(&head, &hops(message::header::INSIDE_HOP_COUNT_MAX + 1)).await.unwrap_err();
    assert!(refused.to_string().contains("554 5.4.6 Hop count exceeded"), "{refused}");
    // One hop less is taken here, but not by the next server.
    let _receipt = scene.submit_as(&head, &hops(message::header::INSIDE_HOP_COUNT_MAX)).await.unwrap();
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("Status: 5.4.6\r\n"), "{report}");
    first.drain().await;
    second.drain().await;
    assert!(scene.others.attempts().is_empty());
    assert_eq!((scene.spool("MAIL1").await, scene.spool("MAIL2").await), (vec![], vec![]));
}

#[tokio::test]
async fn servers_of_two_configurations_that_send_it_to_each_other_make_no_loop() {
    // RT-74
    let scene = Scene::new(ORGANIZATION).await;
    let running = scene.start("MAIL1").await;
    let other = scene.world.node("MAIL2", Service::Transport).await;
    let here = scene.transport("MAIL1").await;
    let hand_over = async |revision, visits: usize| {
        let content = Bytes::from(format!("{}{MESSAGE}", "Received: from a by mail1.contoso.com\r\n".repeat(visits)));
        let size = ByteSize::bytes(content.len() as u64);
        let head = MessageHead { revision, size, ..scene.head("ann@contoso.com", &["bob@contoso.com"]) };
        other.peers.submit(&here, &head, futures::stream::iter([Ok(content)]).boxed()).await
    };
    let (now, often) = (running.node.revision(), message::header::OWN_HOP_COUNT_MAX);
    let refused = hand_over(now, 2 * often + 1).await.unwrap_err().to_string();
    assert!(refused.contains("554 5.4.6 Hop count exceeded"), "{refused}");
    for theirs in [Revision(now.0 - 1), Revision(now.0 + 1)] {
        let later = hand_over(theirs, often + 1).await.unwrap_err();
        assert!(later.is_about_peer() && later.to_string().contains("451 4.3.2 servers work by"), "{later}");
    }
    // Once both know the same, it goes on.
    let _receipt = hand_over(now, often + 1).await.unwrap();
    // What comes back from somebody who knows better waits until this server does, too.
    let changed = async {
        testkit::hold(Duration::from_millis(200)).await;
        scene.world.apply(&ORGANIZATION.replace("cost: 10", "cost: 20")).await
    };
    let came_back = async {
        let _receipt = hand_over(Revision(now.0 + 1), 1).await.unwrap();
        running.node.revision()
    };
    let (known, changed) = tokio::join!(came_back, changed);
    assert_eq!(known, changed);
    scene.mailboxes.arrived("bob@contoso.com", 2).await;
    running.drain().await;
}

#[tokio::test]
async fn a_crash_loses_nobody_of_a_group_and_expands_it_once() {
    let scene = Scene::new(ORGANIZATION).await;
    let transport = scene.start("MAIL1").await;
    // MAIL2 is away: joe waits here, ann and bob have theirs.
    let head = scene.head("eve@contoso.com", &["all@contoso.com", "eve@contoso.com"]);
    let _receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    scene.submit("ann@contoso.com", &["ann@contoso.com"]).await; // writes what was recorded without haste before
    scene.mailboxes.arrived("ann@contoso.com", 2).await;
    transport.crash();
    let (first, second) = (scene.start("MAIL1").await, scene.start("MAIL2").await);
    scene.others.arrived("joe@contoso.com", 1).await;
    first.drain().await;
    second.drain().await;
    assert_eq!(scene.others.attempts().len(), 1);
    for address in ["bob@contoso.com", "eve@contoso.com"] {
        assert_eq!(scene.mailboxes.attempts_at(address).len(), 1, "{address}");
    }
    assert_eq!((scene.spool("MAIL1").await, scene.spool("MAIL2").await), (vec![], vec![]));
}

#[tokio::test]
async fn a_message_in_two_queues_gets_recipients_while_it_waits_in_the_other() {
    let expanded_there =
        ORGANIZATION.replace("address: all@contoso.com,", "address: all@contoso.com, expansionServer: MAIL2,");
    let scene = Scene::new(&expanded_there).await;
    let transport = scene.start("MAIL1").await;
    // The group waits for MAIL2, which is away; the other recipient has no route.
    scene.submit("eve@contoso.com", &["nowhere@example.com", "all@contoso.com", "eve@contoso.com"]).await;
    scene.mailboxes.arrived("eve@contoso.com", 1).await;
    assert!(scene.mailboxes.attempts_at("bob@contoso.com").is_empty());
    // A recipient alone makes no new configuration, and the one that does must find the recipient changed.
    scene.world.apply(ORGANIZATION).await;
    scene.world.apply(&ORGANIZATION.replace("cost: 10", "cost: 20")).await;
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    scene.mailboxes.arrived("bob@contoso.com", 1).await;
    transport.drain().await;
    // After a restart each has what it had: nothing came back, and the one without a route is not forgotten.
    let sink = Sink::serve().await;
    scene.world.apply(&format!("{ORGANIZATION}{}", sink.connector())).await;
    let (first, second) = (scene.start("MAIL1").await, scene.start("MAIL2").await);
    sink.arrived("nowhere@example.com", 1).await;
    scene.others.arrived("joe@contoso.com", 1).await;
    first.drain().await;
    second.drain().await;
    for address in ["ann@contoso.com", "bob@contoso.com", "eve@contoso.com"] {
        assert_eq!(scene.mailboxes.attempts_at(address).len(), 1, "{address}");
    }
    assert_eq!((scene.spool("MAIL1").await, scene.spool("MAIL2").await), (vec![], vec![]));
}

#[tokio::test]
async fn a_message_that_two_servers_have_is_known_one_hop_on() {
    // Whoever handed it in heard nothing from the first and went to the second: both have it.
    let two =
        ORGANIZATION.replace("databases: [", "  - {name: MAIL3, fqdn: mail3.contoso.com, site: Berlin}\ndatabases: [");
    let scene = Scene::new(&two).await;
    let (first, third) = (scene.start("MAIL1").await, scene.start("MAIL3").await);
    let head = scene.head("ann@contoso.com", &["joe@contoso.com"]);
    let _receipt = scene.submit_to("MAIL1", &head, MESSAGE).await.unwrap();
    let _receipt = scene.submit_to("MAIL3", &head, MESSAGE).await.unwrap();
    // Another message of the same sender to the same recipient is another message.
    let other = scene.head("ann@contoso.com", &["joe@contoso.com"]);
    let _receipt = scene.submit_to("MAIL3", &other, MESSAGE).await.unwrap();
    let second = scene.start("MAIL2").await;
    scene.others.arrived("joe@contoso.com", 2).await;
    for running in [&first, &third] {
        until("nothing to wait there", async || running.operations.items_after(None, 1).is_empty().then_some(())).await;
    }
    for running in [first, third, second] {
        running.drain().await;
    }
    assert_eq!(scene.others.attempts_at("joe@contoso.com").len(), 2, "each message once");
    for server in ["MAIL1", "MAIL2", "MAIL3"] {
        assert_eq!(scene.spool(server).await, vec![], "{server}");
    }
}

#[tokio::test]
async fn a_message_that_is_backed_off_names_the_site_that_it_came_from() {
    // RT-38, RT-40, RT-42
    let longer = ORGANIZATION
        .replace("sites: [{name: Berlin}, {name: Oslo}]", "sites: [{name: Berlin}, {name: Oslo}, {name: Bergen}]")
        .replace("cost: 10}]", "cost: 10}, {name: Railway, sites: [Oslo, Bergen], cost: 10}]")
        .replace(
            "databases: [",
            "  - {name: MAIL3, fqdn: mail3.contoso.com, site: Bergen}\ndatabases: [{name: DB3, server: MAIL3}, ",
        )
        .replace("recipients:\n", "recipients:\n  - {name: tor, address: tor@contoso.com, database: DB3}\n");
    let scene = Scene::new(&longer).await;
    let (first, second) = (scene.start("MAIL1").await, scene.start("MAIL2").await);
    // MAIL3 has never been there.
    scene.submit("ann@contoso.com", &["tor@contoso.com"]).await;
    waiting_on(&scene, "MAIL2", "Site:Bergen;Version:15", "Retry").await;
    first.drain().await;
    second.drain().await;
    assert_eq!(scene.spool("MAIL1").await, vec![]);
    let [(waiting, _)] = scene.stored("MAIL2").await.try_into().unwrap();
    let passed: Vec<_> = waiting.head.backed_off.iter().map(ToString::to_string).collect();
    assert_eq!(passed, ["Berlin"]);
}
