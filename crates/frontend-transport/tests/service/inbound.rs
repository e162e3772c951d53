//! Mail from clients to a Transport (docs/rules.md, Pipeline).

use std::sync::Arc;

use envelope::{EnhancedStatus, OriginKind, Reply, ServerName};
use frontend_transport::FrontendTransport;
use net::Service;
use net::certificate::PrivateKeyPem;
use telemetry::Health;

use crate::authority::Authority;
use crate::real_hosts::ran;
use testkit::entrances::{CLIENTS, PASSWORD};

use crate::support::{self, Conduct, STRANGERS, Scene, organization};

const MESSAGE: &str = "Message-ID: <1@client.example>\r\nSubject: Hi\r\nX-MS-Exchange-Organization-SCL: -1\r\n\r\nBody";

fn insufficient() -> Reply {
    Reply::new(452, EnhancedStatus::new(4, 3, 1), "Insufficient system resources")
}

fn overloaded() -> Conduct {
    Conduct::Refuse(insufficient())
}

fn large() -> String {
    format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(60_000))
}

#[tokio::test]
async fn a_strangers_message_is_with_a_transport_before_the_250() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", Conduct::Take)]).await;
    let mut client = scene.client(STRANGERS).await;
    let reply = client.send("stranger@elsewhere.example", &["ann@contoso.com"], MESSAGE).await;
    let arrivals = scene.arrivals.borrow().clone();
    let [arrival] = &arrivals[..] else { panic!("one message") };
    // RT-61: the server of the recipient's database.
    assert_eq!(arrival.server.as_str(), "MAIL1");
    assert_eq!(
        reply,
        format!(
            "250 2.6.0 <1@client.example> [InternalId={}, Hostname=mail1.contoso.com] Queued mail for delivery",
            arrival.head.id
        )
    );
    let content = arrival.content.as_ref().unwrap();
    assert!(content.starts_with("Received: from client.example ([127.0.0.1]) by mail1.contoso.com with ESMTP id"));
    assert!(content.ends_with("\r\nMessage-ID: <1@client.example>\r\nSubject: Hi\r\n\r\nBody\r\n"), "{content}");
    assert_eq!((arrival.head.origin.kind, &*arrival.head.origin.connector), (OriginKind::Anonymous, "Default"));
    // SC-26: what is counted is what was transmitted.
    assert_eq!(arrival.head.size.as_u64(), content.len() as u64);
    // No server has decided about it yet: Transport looks at the limits of the organization (LM-12).
    assert_eq!(arrival.head.revision, envelope::Revision::default());
    // The session goes on.
    let reply = client.send("", &["bob@contoso.com"], MESSAGE).await;
    assert!(reply.starts_with("250 2.6.0 "), "{reply}");
    assert_eq!(scene.arrived(2).await[1].server.as_str(), "MAIL2");
}

#[tokio::test]
async fn whoever_logs_on_is_served_by_the_server_of_his_mailbox() {
    // RC-47: not by that of the recipient, where only authenticated users come.
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", Conduct::Take)]).await;
    for (at, (user, recipient, server)) in
        [("ann", "bob@contoso.com", "MAIL1"), ("bob", "ann@contoso.com", "MAIL2")].into_iter().enumerate()
    {
        let mut client = scene.client(CLIENTS).await.start_tls().await;
        let said = client.log_on(&format!("{user}@contoso.com"), PASSWORD).await;
        assert!(said.starts_with("235 "), "{said}");
        let reply = client.send(&format!("{user}@contoso.com"), &[recipient], MESSAGE).await;
        assert!(reply.starts_with("250 2.6.0 "), "{reply}");
        assert_eq!(scene.arrived(at + 1).await[at].server.as_str(), server, "{user}");
    }
    // Where anybody comes, the recipient decides (RT-61).
    let mut client = scene.client(STRANGERS).await;
    client.send("ann@contoso.com", &["bob@contoso.com"], MESSAGE).await;
    assert_eq!(scene.arrived(3).await[2].server.as_str(), "MAIL2");
}

#[tokio::test]
async fn clients_are_answered_as_their_connector_says() {
    // RC-40, RC-41, RC-51, RT-74, the relay matrix: as at Transport's own entrances.
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", Conduct::Take)]).await;
    testkit::entrances::check(&scene.entrances()).await;
    let arrivals = scene.arrivals.borrow().clone();
    testkit::entrances::check_taken(arrivals.into_iter().map(|arrival| (arrival.head, arrival.content.unwrap())));
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_of_the_connectors_name() {
    // TA-30, TA-31, TA-33: by the Receive connector's name, not by what the client asks for; the server's own otherwise.
    const NAMED: &str = "127.0.0.4:0";
    const WILD: &str = "127.0.0.5:0";
    let connector = |name: &str, binding: &str, fqdn: &str| {
        format!(
            "  - {{name: {name}, server: MAIL1, transportRole: FrontendTransport, bindings: ['{binding}'], \
             authMechanism: [Tls], permissionGroups: [AnonymousUsers], fqdn: {fqdn}}}\n"
        )
    };
    let connectors = connector("Named", NAMED, "in.contoso.com") + &connector("Wild", WILD, "a.eu.contoso.com");
    let authority = Authority::new().await;
    let pem = std::fs::read_to_string(authority.certify("wild", &["*.eu.contoso.com"])).unwrap();
    let (key, certificate) = pem.split_at(pem.find("-----BEGIN CERTIFICATE").unwrap());
    let wild = net::KeyedCertificate::from_pem(certificate.to_owned(), PrivateKeyPem::new(key.to_owned())).unwrap();
    let mut exact = None;
    let scene = Scene::of(&format!("{}{connectors}", organization()), &[], |world| {
        exact = Some(support::certificate(world, "smtp/exact", "in.contoso.com"));
        wild.save_to(&world.settings("MAIL1").identity.join("smtp/wild")).unwrap();
        world.settings("MAIL1")
    })
    .await;
    let own = net::KeyedCertificate::load_from(&scene.world.settings("MAIL1").identity.join("smtp")).unwrap();
    for (binding, expected) in [(NAMED, exact.unwrap()), (WILD, wild.clone()), (STRANGERS, own)] {
        let address = scene.address(binding).to_string();
        let shown = tokio::task::spawn_blocking(move || {
            let arguments = ["s_client", "-starttls", "smtp", "-servername", "other.contoso.com", "-connect", &address];
            ran(std::process::Command::new("openssl").args(arguments).stdin(std::process::Stdio::null()))
        });
        let shown = shown.await.unwrap();
        let leaf = expected.cert_pem.replace("\r\n", "\n");
        assert!(shown.replace("\r\n", "\n").contains(leaf.trim()), "{binding}: {shown}");
    }
}

#[tokio::test]
async fn a_change_of_the_configuration_opens_and_closes_entrances() {
    // RC-27, RC-33: see there.
    let scene = Scene::new(&[]).await;
    testkit::entrances::check_configuration(&scene.world, &organization(), "FrontendTransport").await;
}

#[tokio::test]
async fn large_messages_are_passed_on_as_they_come() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take)]).await;
    let mut client = scene.client(STRANGERS).await;
    let reply = client.send("stranger@elsewhere.example", &["ann@contoso.com"], &large()).await;
    assert!(reply.starts_with("250 2.6.0 <"), "{reply}");
    let arrival = scene.arrived(1).await.remove(0);
    assert!(arrival.content.unwrap().ends_with(&format!("\r\n{}\r\n", large())));
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing_whole() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take)]).await;
    let mut client = scene.client(STRANGERS).await;
    client.say("MAIL FROM:<stranger@elsewhere.example>").await;
    client.say("RCPT TO:<ann@contoso.com>").await;
    client.say("DATA").await;
    client.write(large().as_bytes()).await;
    drop(client);
    assert!(scene.arrived(1).await[0].content.is_err());
}

#[tokio::test]
async fn another_transport_is_tried_while_that_is_safe() {
    // PL-25, RT-66: Bob's server is MAIL2; then come those of the local site, which is MAIL1.
    for (content, what) in [(MESSAGE.to_owned(), "small"), (large(), "large")] {
        let scene = Scene::new(&[("MAIL1", Conduct::Take)]).await;
        let mut client = scene.client(STRANGERS).await;
        let reply = client.send("stranger@elsewhere.example", &["bob@contoso.com"], &content).await;
        assert!(reply.contains("Hostname=mail1.contoso.com"), "{what}: {reply}");
        assert_eq!(scene.arrived(1).await[0].server.as_str(), "MAIL1");
    }
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", overloaded())]).await;
    let mut client = scene.client(STRANGERS).await;
    let reply = client.send("stranger@elsewhere.example", &["bob@contoso.com"], MESSAGE).await;
    assert!(reply.contains("Hostname=mail1.contoso.com"), "{reply}");
}

#[tokio::test]
async fn a_transport_under_pressure_is_left_for_the_next() {
    // BP-15: at MAIL, before large content, and when its disk is full at the commit. Bob's server is MAIL2.
    for (conduct, content) in [
        (overloaded(), MESSAGE.to_owned()),
        (Conduct::RefuseWhenAsked(insufficient()), MESSAGE.to_owned()),
        (Conduct::RefuseWhenAsked(insufficient()), large()),
        (Conduct::RefuseAtEnd(insufficient()), MESSAGE.to_owned()),
    ] {
        let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", conduct)]).await;
        let mut client = scene.client(STRANGERS).await;
        for _ in 0..2 {
            let reply = client.send("stranger@elsewhere.example", &["bob@contoso.com"], &content).await;
            assert!(reply.contains("Hostname=mail1.contoso.com"), "{reply}");
        }
        let server = "MAIL2".parse().unwrap();
        assert!(scene.node.health.has_failed(&server, Service::Transport), "it is tried last from now on");
    }
}

#[tokio::test]
async fn large_content_goes_once_and_the_next_message_goes_elsewhere() {
    // PL-25: what has gone to a server whose disk is full at the commit cannot be sent to another.
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", Conduct::RefuseAtEnd(insufficient()))]).await;
    let mut client = scene.client(STRANGERS).await;
    let reply = client.send("stranger@elsewhere.example", &["bob@contoso.com"], &large()).await;
    assert_eq!(reply, "452 4.3.1 Insufficient system resources");
    let mut other = scene.client(STRANGERS).await;
    let reply = other.send("stranger@elsewhere.example", &["bob@contoso.com"], MESSAGE).await;
    assert!(reply.contains("Hostname=mail1.contoso.com"), "{reply}");
}

#[tokio::test]
async fn without_a_transport_the_client_keeps_its_message() {
    // SC-8: a front end keeps nothing.
    let scene = Scene::new(&[]).await;
    let mut client = scene.client(STRANGERS).await;
    for content in [MESSAGE.to_owned(), large()] {
        let reply = client.send("stranger@elsewhere.example", &["ann@contoso.com"], &content).await;
        assert!(reply.starts_with("451 4.4.0 "), "{reply}");
    }
    let refused = Conduct::Refuse(Reply::new(554, EnhancedStatus::new(5, 6, 0), "Not this one"));
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", refused)]).await;
    let mut client = scene.client(STRANGERS).await;
    let reply = client.send("stranger@elsewhere.example", &["bob@contoso.com"], MESSAGE).await;
    assert_eq!(reply, "554 5.6.0 Not this one");
    assert!(scene.arrivals.borrow().is_empty(), "nobody else is asked after a permanent refusal");
    let scene = Scene::new(&[("MAIL1", overloaded()), ("MAIL2", overloaded())]).await;
    for content in [MESSAGE.to_owned(), large()] {
        let mut client = scene.client(STRANGERS).await;
        let reply = client.send("stranger@elsewhere.example", &["ann@contoso.com"], &content).await;
        assert_eq!(reply, "452 4.3.1 Insufficient system resources");
    }
}

#[tokio::test]
async fn several_front_ends_of_a_server_are_ready_together() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take)]).await;
    let begins = async || {
        let node = scene.world.node("MAIL1", Service::FrontendTransport).await;
        let front_end = FrontendTransport::build(Arc::clone(&node), scene.drain.clone()).await.unwrap();
        let (health, address) = (front_end.health(), front_end.organization_address().unwrap());
        tokio::spawn(front_end.run());
        (node, health, address)
    };
    let (elder, elder_health, _) = begins().await;
    let (_younger, younger_health, address) = begins().await;
    let server = ServerName::parse("MAIL1").unwrap();
    testkit::until("the elder to hear of the younger", async || {
        elder.find(&server, Service::FrontendTransport).await.filter(|found| found.address == address)
    })
    .await;
    for health in [elder_health, younger_health] {
        assert!(matches!(health.ready(), Health::Good), "{:?}", health.ready());
    }
    assert_eq!(elder.twin.there(), None);
}

#[tokio::test]
async fn a_drain_finishes_the_message_under_way_and_sends_the_idle_away() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take)]).await;
    let (mut busy, mut idle) = (scene.client(STRANGERS).await, scene.client(STRANGERS).await);
    busy.say("MAIL FROM:<stranger@elsewhere.example>").await;
    busy.say("RCPT TO:<ann@contoso.com>").await;
    busy.say("DATA").await;
    scene.drain.cancel();
    assert!(idle.reply().await.starts_with("421 4.3.2 "));
    busy.write(MESSAGE.as_bytes()).await;
    assert!(busy.say("\r\n.").await.starts_with("250 2.6.0 "));
    assert!(busy.reply().await.starts_with("421 4.3.2 "));
    scene.ended.await.unwrap().unwrap();
}
