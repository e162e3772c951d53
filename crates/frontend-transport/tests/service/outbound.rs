//! The outbound proxy with real SMTP at its far end: here, the front end's own door for devices.

use std::sync::Arc;

use envelope::{Address, Domain, Envelope, Recipient, ReversePath};
use net::{NodeIdentity, Service};
use rpc::{Credentials, FrontEnds, OpenError, PeerAddress, ProxyRequest};
use smtp::{Content, NextHop, OutboundMessage, OutboundSession, SessionPlan};

use crate::support::{Conduct, DEVICES, Scene};

fn front_ends(scene: &Scene, service: Service) -> (FrontEnds, PeerAddress) {
    let (server, fqdn) = ("MAIL2".parse().unwrap(), "mail2.contoso.com".parse().unwrap());
    let identity = NodeIdentity { server, fqdn, services: [service].into() };
    let own = scene.world.authority().issue(&identity, std::time::SystemTime::now().into()).unwrap();
    let credentials = Credentials::new(own, scene.world.authority().certificate_pem().to_owned());
    let at = PeerAddress {
        server: "MAIL1".parse().unwrap(),
        fqdn: "mail1.contoso.com".parse().unwrap(),
        address: scene.organization_address,
    };
    (FrontEnds::new(Arc::new(credentials)), at)
}

fn request(next_hop: NextHop) -> ProxyRequest {
    ProxyRequest {
        plan: SessionPlan::new(next_hop, Domain::parse("mail2.contoso.com").unwrap()),
        authentication: None,
        external_dns: false,
        turn: 0,
        connector: "To Internet".into(),
        trace: None,
    }
}

#[tokio::test]
async fn a_message_leaves_through_the_front_end_and_its_replies_come_back() {
    let scene = Scene::new(&[("MAIL1", Conduct::Take), ("MAIL2", Conduct::Take)]).await;
    let (front_ends, at) = front_ends(&scene, Service::Transport);
    let door = scene.address(DEVICES);
    let mut session = front_ends.open(&at, &request(NextHop::Addresses(vec![door]))).await.unwrap();
    assert_eq!(session.peer().address, Some(door));
    assert!(session.tls().starts_with("TLSv1.3 "), "{}", session.tls());
    let recipient = |text| Recipient::new(Address::parse(text).unwrap());
    let recipients = vec![recipient("ann@contoso.com"), recipient("nobody@contoso.com")];
    let envelope = Envelope::new(ReversePath::Null, recipients);
    for content in
        ["Subject: small\r\n\r\nBody\r\n".to_owned(), format!("Subject: large\r\n\r\n{}", "x\r\n".repeat(200_000))]
    {
        let content = Content::Streamed { size: content.len() as u64, source: Box::new(content.as_bytes()) };
        let outcome = session.send(OutboundMessage { envelope: &envelope, content }).await;
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
    let scene = Scene::new(&[]).await;
    let (front_ends, at) = front_ends(&scene, Service::Transport);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    match front_ends.open(&at, &request(NextHop::Addresses(vec![nobody]))).await {
        Err(OpenError::Session(failure)) => {
            let text = failure.to_string();
            assert!(text.contains("refused") && text.contains(&nobody.to_string()), "{text}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn only_transport_may_use_the_proxy() {
    let scene = Scene::new(&[]).await;
    let (front_ends, at) = front_ends(&scene, Service::MailboxSubmission);
    match front_ends.open(&at, &request(NextHop::Addresses(vec![]))).await {
        Err(OpenError::FrontEnd { cause, .. }) => assert!(cause.contains("PermissionDenied"), "{cause}"),
        other => panic!("{:?}", other.err()),
    }
}
