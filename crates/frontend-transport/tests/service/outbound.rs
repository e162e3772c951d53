//! The outbound proxy with real SMTP at its far end: here, the front end's own door for devices.

use envelope::{Address, Envelope, Recipient, ReversePath};
use net::Service;
use rpc::OpenError;
use smtp::{Content, OutboundMessage, OutboundSession};

use crate::both_ways::Ways;
use crate::support::{Conduct, DEVICES, Scene};

fn to(address: std::net::SocketAddr) -> String {
    format!("dnsRoutingEnabled: false, smartHosts: ['{}'], port: {}", address.ip(), address.port())
}

#[tokio::test]
async fn a_message_leaves_through_the_front_end_and_its_replies_come_back() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", Conduct::Take)]).await;
    let door = scene.address(DEVICES);
    let ways = Ways::new(&scene).await;
    ways.configure(&scene, "", &to(door)).await;
    testkit::entrances::add_mailboxes(&scene.world).await;
    let mut session = ways.front_ends.open(&ways.at, &ways.request()).await.unwrap();
    assert_eq!(session.peer().address, Some(door));
    assert!(session.tls().starts_with("TLSv1.3 "), "{}", session.tls());
    let recipient = |text| Recipient::new(Address::parse(text).unwrap());
    let recipients = vec![recipient("ann@contoso.com"), recipient("nobody@contoso.com")];
    let envelope = Envelope::new(ReversePath::Null, recipients);
    for content in
        ["Subject: small\r\n\r\nBody\r\n".to_owned(), format!("Subject: large\r\n\r\n{}", "x\r\n".repeat(200_000))]
    {
        let content = Content::Streamed { size: content.len() as u64, source: Box::new(content.as_bytes()) };
        let outcome = session.send(OutboundMessage::new(&envelope, content)).await;
        assert!(outcome.reusable);
        let [Ok(taken), Err(unknown)] = &outcome.recipients[..] else { panic!("{outcome:?}") };
        assert!(taken.to_string().contains("Queued mail for delivery"), "{taken}");
        assert_eq!(unknown.reply.as_ref().unwrap().to_string(), "550 5.1.1 User unknown");
    }
    assert_eq!(scene.arrived(2).await.len(), 2);
    Box::new(session).close().await;
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_the_sessions_failure() {
    // SC-54
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ways.configure(&scene, "", &to(nobody)).await;
    match ways.front_ends.open(&ways.at, &ways.request()).await {
        Err(OpenError::Session(failure)) => {
            let text = failure.to_string();
            assert!(text.contains("refused") && text.contains(&nobody.to_string()), "{text}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn a_front_end_refuses_what_it_does_not_know() {
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ways.configure(&scene, "", &to(nobody)).await;
    let known = ways.request();
    let mut later = known.clone();
    later.revision.0 += 1;
    let mut newer = known.clone();
    newer.properties.push("requireQuantumResistance".into());
    let mut other = known.clone();
    other.connector = topology::Guid::ZERO;
    let mut by_dns = known.clone();
    by_dns.domain = Some("fabrikam.com".parse().unwrap());
    let from_elsewhere = ways.front_ends_of(&scene, "MAIL2", Service::Transport);
    for (front_ends, request, why) in [
        (&ways.front_ends, later, "not by "),
        (&ways.front_ends, newer, "requireQuantumResistance"),
        (&ways.front_ends, other, "there is no Send connector"),
        (&from_elsewhere, known.clone(), "MAIL2 is no source server"),
    ] {
        match front_ends.open(&ways.at, &request).await {
            Err(OpenError::Unknown { cause, .. }) => assert!(cause.contains(why), "{cause}"),
            opened => panic!("{why}: {:?}", opened.err()),
        }
    }
    match ways.front_ends.open(&ways.at, &by_dns).await {
        Err(OpenError::Session(failure)) => assert!(failure.to_string().contains("has changed"), "{failure}"),
        opened => panic!("{:?}", opened.err()),
    }
}

#[tokio::test]
async fn only_transport_may_use_the_proxy() {
    // SC-51
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    ways.configure(&scene, "", &to("127.0.0.1:9".parse().unwrap())).await;
    let submission = ways.front_ends_of(&scene, "MAIL1", Service::MailboxSubmission);
    match submission.open(&ways.at, &ways.request()).await {
        Err(OpenError::FrontEnd { cause, .. }) => assert!(cause.contains("PermissionDenied"), "{cause}"),
        other => panic!("{:?}", other.err()),
    }
}
