//! Connections do not outlive the decision that opened them: mail that keeps coming goes where the newest configuration says.

use std::sync::Arc;

use testkit::until;

use crate::sink::Sink;
use crate::support::{ORGANIZATION, Running, Scene};

/// Both servers in one DAG.
fn dag(active: &str) -> String {
    ORGANIZATION
        .replace("{name: MAIL2, fqdn", "{name: MAIL2, dag: DAG1, fqdn")
        .replace("fqdn: mail1.contoso.com\n", "fqdn: mail1.contoso.com\n    dag: DAG1\n")
        .replace(
            "databases: [{name: DB1, server: MAIL1}",
            &format!("dags: [{{name: DAG1}}]\ndatabases: [{{name: DB1, dag: DAG1, activeOn: {active}}}"),
        )
}

/// Applies a configuration. What is submitted afterwards is decided by it, while the connection of before is still open: a
/// connection ends by itself after some messages, so that the very next one must take the new way.
async fn apply(scene: &Scene, transport: &Running, organization: &str) {
    let before = transport.node.revision();
    scene.world.apply(organization).await;
    until("the new configuration", async || (transport.node.revision() > before).then_some(())).await;
}

async fn submit_and_wait(scene: &Scene, count: &mut usize) {
    scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    *count += 1;
    let total = async || {
        let there =
            scene.mailboxes.attempts_at("bob@contoso.com").len() + scene.others.attempts_at("bob@contoso.com").len();
        (there >= *count).then_some(())
    };
    until("the message to arrive", total).await;
}

#[tokio::test]
async fn mail_follows_its_database_while_it_keeps_coming() {
    let scene = Scene::new(&dag("MAIL1")).await;
    let transport = scene.start("MAIL1").await;
    let mut count = 0;
    for _ in 0..3 {
        submit_and_wait(&scene, &mut count).await;
    }
    assert_eq!(scene.mailboxes.attempts().len(), 3);
    apply(&scene, &transport, &dag("MAIL2")).await;
    let before = scene.mailboxes.attempts().len();
    for _ in 0..5 {
        submit_and_wait(&scene, &mut count).await;
    }
    assert_eq!(scene.mailboxes.attempts().len(), before, "the old server gets nothing any more");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

async fn send_and_wait(scene: &Scene, sinks: [&Arc<Sink>; 2], count: &mut usize) {
    scene.submit("ann@contoso.com", &["ok@example.com"]).await;
    *count += 1;
    let all = async || (sinks.iter().map(|sink| sink.asked("ok@example.com")).sum::<usize>() >= *count).then_some(());
    until("the message to arrive", all).await;
}

#[tokio::test]
async fn mail_follows_what_its_connector_wants_while_it_keeps_coming() {
    // The queue is the same: the smart host's name and the connector are. Its port is another, and so could be TLS or credentials.
    let (old, new) = (Sink::serve().await, Sink::serve().await);
    let scene = Scene::new(&format!("{ORGANIZATION}{}", old.connector())).await;
    let transport = scene.start("MAIL1").await;
    let mut count = 0;
    for _ in 0..3 {
        send_and_wait(&scene, [&old, &new], &mut count).await;
    }
    apply(&scene, &transport, &format!("{ORGANIZATION}{}", new.connector())).await;
    let before = old.asked("ok@example.com");
    for _ in 0..5 {
        send_and_wait(&scene, [&old, &new], &mut count).await;
    }
    assert_eq!(old.asked("ok@example.com"), before, "the old settings are not used any more");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}
