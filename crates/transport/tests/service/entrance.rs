//! SMTP straight into Transport: its own Receive connectors (RC-14, RC-15).

use rpc::RecipientDelivery;
use testkit::entrances::{self, Entrances, STRANGERS};
use testkit::{Client, until};

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, reply};

fn organization() -> String {
    format!("{ORGANIZATION}{}", entrances::receive_connectors("HubTransport"))
}

async fn stranger(transport: &Running) -> Client {
    let (_, bound) = transport.smtp.iter().find(|(binding, _)| binding.to_string() == STRANGERS).unwrap();
    Client::connect(*bound).await
}

#[tokio::test]
async fn clients_are_answered_as_their_connector_says() {
    // RC-40, RC-41, RC-51, RT-74, the relay matrix: as at the entrances of a front end.
    let scene = Scene::new(&organization()).await;
    entrances::add_mailboxes(&scene.world).await;
    scene.mailboxes.answer("ann@contoso.com", RecipientDelivery::Retry(reply(432, (4, 3, 2), "not yet")));
    let transport = scene.start("MAIL1").await;
    entrances::check(&Entrances::new(&transport.smtp)).await;
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    transport.drain().await;
    let stored = scene.stored("MAIL1").await.into_iter();
    entrances::check_taken(stored.map(|(stored, content)| (stored.head, content)));
}

#[tokio::test]
async fn a_change_of_the_configuration_opens_and_closes_entrances() {
    let scene = Scene::new(&organization()).await;
    let transport = scene.start("MAIL1").await;
    entrances::check_configuration(&scene.world, &organization(), "HubTransport").await;
    transport.drain().await;
}

#[tokio::test]
async fn what_was_answered_with_250_survives_a_crash() {
    // Invariant 1, small and large: the log, and a file of its own.
    let scene = Scene::new(&organization()).await;
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(60_000));
    let mut answers = Vec::new();
    for content in [MESSAGE, &large] {
        let transport = scene.start("MAIL1").await;
        let mut client = stranger(&transport).await;
        let answer = client.send("visitor@fabrikam.com", &["ann@contoso.com"], content.trim_end()).await;
        transport.crash();
        let id = answer.split("InternalId=").nth(1).and_then(|rest| rest.split(',').next());
        answers.push((id.unwrap_or_else(|| panic!("{answer}")).to_owned(), content));
    }
    let again = scene.start("MAIL1").await;
    for (id, content) in answers {
        let attempt = until(&format!("{id}, which was answered with 250"), async || {
            scene.mailboxes.attempts().into_iter().find(|attempt| attempt.head.id.to_string() == id)
        })
        .await;
        let body = content.split("\r\n\r\n").nth(1).unwrap();
        assert!(attempt.content.ends_with(body) && attempt.content.starts_with("Received: from client.example"));
    }
    again.drain().await;
}

#[tokio::test]
async fn a_drain_finishes_the_message_under_way_and_sends_the_idle_away() {
    let scene = Scene::new(&organization()).await;
    let transport = scene.start("MAIL1").await;
    let (mut busy, mut idle) = (stranger(&transport).await, stranger(&transport).await);
    busy.say("MAIL FROM:<stranger@elsewhere.example>").await;
    busy.say("RCPT TO:<ann@contoso.com>").await;
    busy.say("DATA").await;
    transport.drain.cancel();
    assert!(idle.reply().await.starts_with("421 4.3.2 "));
    busy.write(MESSAGE.as_bytes()).await;
    assert!(busy.say(".").await.starts_with("250 2.6.0 "));
    assert!(busy.reply().await.starts_with("421 4.3.2 "));
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await.len(), 1, "taken, and kept for the next start");
}
