//! The attacks of docs/security.md that need a running organization, round after round for as long as one likes; after each
//! round mail flows as before, and nobody has died. What a round does is the same every time: `clients` has the random ones.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use net::{CertificateAuthority, NodeIdentity, Service};
use rpc::TransferError;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::clients::Session;
use super::{Plan, SERVERS, TWO_SERVERS};
use crate::{
    Lab, deliver_by_connector, peer_address, peers, stranger, submit_by_connector, submit_from_outside, test_message,
};

/// The services that listen for the organization.
const LISTENING: [Service; 3] = [Service::FrontendTransport, Service::Transport, Service::MailboxDelivery];
/// Connections of strangers to one port of the organization.
const STRANGERS: usize = 300;
/// A reply to an honest client takes no longer, whatever others do.
const PROMPT: Duration = Duration::from_secs(5);
/// Domains that grow, shrink, combine or turn around when they are compared.
const STRANGE_DOMAINS: [&str; 6] =
    ["ȺȺȺȺ.example", "İstanbul.example", "ﬀﬃ.example", "\u{202e}elpmaxe.example", "a\u{301}.example", "xn--a.example"];

pub(super) async fn run(plan: &Plan) {
    let lab = Lab::start(TWO_SERVERS).await;
    let (started, mut rounds) = (Instant::now(), 0);
    loop {
        strangers_at_the_ports(&lab).await;
        wrong_certificates(&lab).await;
        strange_words(&lab).await;
        costly_headers(&lab).await;
        nobody_relays(&lab).await;
        rounds += 1;
        for server in SERVERS {
            for service in LISTENING {
                assert!(!lab.has_ended(server, service), "{service} of {server} has died");
            }
        }
        if started.elapsed() >= plan.attack_for {
            break;
        }
    }
    println!("   {rounds} rounds in {:.1} s, and mail as before after each", started.elapsed().as_secs_f64());
    lab.finish().await;
}

/// Mail goes in, and to its mailbox.
async fn mail_flows(lab: &Lab) {
    let message = test_message("visitor@tailspin.example", "anna@contoso.example");
    let began = Instant::now();
    submit_from_outside(lab, "BERLIN1", &message).await.unwrap();
    assert!(began.elapsed() < PROMPT, "an honest client waited for {:?}", began.elapsed());
    lab.inbox("BERLIN1", "DB-Berlin1", "anna").wait_for(&message.message_id()).await;
}

/// Connections that say nothing to every port of the organization, from another address than the servers'.
async fn strangers_at_the_ports(lab: &Lab) {
    let mut held: Vec<TcpStream> = Vec::new();
    for service in LISTENING {
        let to = peer_address(lab, "BERLIN1", service).address;
        for number in 0..STRANGERS {
            let source = Ipv4Addr::new(127, 200, 0, u8::try_from(number % 7 + 1).expect("few"));
            held.push(connect(source, to).await.unwrap());
        }
    }
    // The next server that comes has no connection yet.
    let transport = peer_address(lab, "BERLIN1", Service::Transport);
    let message = test_message("visitor@tailspin.example", "anna@contoso.example");
    let newcomer = peers(lab, "BERLIN2", "frontend-transport");
    let sent = submit_by_connector(&newcomer, &transport, &message);
    tokio::time::timeout(PROMPT, sent).await.expect("a server is heard while strangers hold connections").unwrap();
    mail_flows(lab).await;
}

async fn connect(source: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(to).await
}

/// Certificates of another organization, of another service, and the one that everybody sees.
async fn wrong_certificates(lab: &Lab) {
    let authority = CertificateAuthority::create(&"contoso.example".parse().unwrap(), now()).unwrap();
    let identity = NodeIdentity {
        server: "BERLIN1".parse().unwrap(),
        fqdn: "berlin1.contoso.example".parse().unwrap(),
        services: Service::ALL.into_iter().collect(),
    };
    let message = test_message("visitor@tailspin.example", "anna@contoso.example");
    let (transport, delivery) =
        (peer_address(lab, "BERLIN1", Service::Transport), peer_address(lab, "BERLIN1", Service::MailboxDelivery));
    let etcd = lab.server("BERLIN1").identity_path().join("transport/etcd");
    for (name, intruder) in [
        ("another organization", stranger(lab, "BERLIN1", authority.issue(&identity, now()).unwrap())),
        ("SMTP", peers(lab, "BERLIN1", "smtp")),
        ("etcd", stranger(lab, "BERLIN1", net::KeyedCertificate::load_from(&etcd).unwrap())),
        ("Mailbox Delivery", peers(lab, "BERLIN1", "mailbox-delivery")),
    ] {
        let refused = submit_by_connector(&intruder, &transport, &message).await;
        assert!(matches!(refused, Err(TransferError::Unreachable { .. })), "{name}: {refused:?}");
        let refused = deliver_by_connector(&intruder, &delivery, &message).await;
        assert!(matches!(refused, Err(TransferError::Unreachable { .. })), "{name}: {refused:?}");
    }
    mail_flows(lab).await;
}

#[expect(clippy::disallowed_methods, reason = "certificates of the attacks are of now")]
fn now() -> envelope::Timestamp {
    std::time::SystemTime::now().into()
}

async fn open(lab: &Lab, name: &str) -> Session {
    let at = lab.server("BERLIN1").smtp().unwrap();
    let mut session = Session::connect(name, at, Ipv4Addr::new(127, 200, 0, 9), false).await.unwrap();
    session.greet().await.unwrap();
    session
}

/// Addresses by which programs have stumbled: each has an answer, and the session goes on.
async fn strange_words(lab: &Lab) {
    let long = "Ⱥ".repeat(120);
    for domain in STRANGE_DOMAINS.into_iter().chain([long.as_str()]) {
        let mut session = open(lab, domain).await;
        for line in [
            format!("MAIL FROM:<visitor@{domain}> SMTPUTF8"),
            format!("RCPT TO:<anna@{domain}>"),
            format!("RCPT TO:<{domain}@contoso.example>"),
            "RCPT TO:<an\u{0}na@contoso.example>".to_owned(),
            "RCPT TO:<anna@contoso.example> ORCPT=rfc822;+FF".to_owned(),
            "RSET".to_owned(),
            "NOOP".to_owned(),
        ] {
            let answer = session.say(&line).await;
            // Whoever is refused often enough is hung up on.
            let Ok(answer) = answer else { break };
            assert!(answer.code >= 250, "{line:?}: {answer:?}");
        }
    }
    mail_flows(lab).await;
}

/// A header that decoders have spent seconds with; others are answered meanwhile.
async fn costly_headers(lab: &Lab) {
    let mut session = open(lab, "costly headers").await;
    for line in ["MAIL FROM:<visitor@tailspin.example>", "RCPT TO:<anna@contoso.example>", "DATA"] {
        let answer = session.say(line).await.unwrap();
        assert!(answer.is_good(), "{line}: {answer:?}");
    }
    let words = "=?aa?q?x".repeat(100);
    let lines: String = std::iter::repeat_n(format!(" {words}\r\n"), 70).collect();
    session.write(format!("From: {words}\r\nSubject: x\r\n{lines}\r\ntext\r\n.\r\n").as_bytes()).await.unwrap();
    mail_flows(lab).await;
    session.answer().await.unwrap();
}

/// Every known form of an address by which others relay, and every name that nobody has.
async fn nobody_relays(lab: &Lab) {
    let mut session = open(lab, "relay").await;
    let started = session.say("MAIL FROM:<visitor@tailspin.example>").await.unwrap();
    assert!(started.is_good(), "{started:?}");
    for recipient in [
        "a@fabrikam.example",
        "a%fabrikam.example@contoso.example",
        "\"a@fabrikam.example\"@contoso.example",
        "fabrikam.example!a@contoso.example",
        "@contoso.example:a@fabrikam.example",
        "a@[127.0.0.1]",
        "nobody@contoso.example",
    ] {
        match session.say(format!("RCPT TO:<{recipient}>")).await {
            Ok(answer) => assert!(answer.code >= 500 || answer.code == 421, "{recipient}: {answer:?}"),
            Err(_) => break,
        }
    }
    mail_flows(lab).await;
}
