//! Sender and listener on loopback: plain, STARTTLS, AUTH, streaming, limits, draining; and clients of others.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod support;

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use envelope::Limit;
use net::tls::TrustedRoots;
use net::{Host, Verification};
use smtp::{
    Authentication, ConnectionLimits, Content, CredentialRequirement, MessageOutcome, NextHop, NextHopSession,
    OutboundMessage, OutboundSession, SessionPlan, TlsOutcome, TlsPolicy,
};
use smtp_session::ServerConfig;
use support::scripted::{Step, play_always, say};
use support::*;
use testkit::dns::{self, Record};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const BODY: &[u8] = b"Subject: x\r\n\r\n.dot\r\nend\r\n";

async fn send(session: &mut NextHopSession, recipients: &[&str], content: Content<'_>) -> MessageOutcome {
    let envelope = envelope(recipients);
    session.send(OutboundMessage::new(&envelope, content)).await
}

fn shown(outcome: &MessageOutcome) -> Vec<String> {
    let shown = |result: &Result<_, smtp::Failure>| match result {
        Ok(reply) => format!("{reply:?}"),
        Err(failure) => failure.as_reply().to_string(),
    };
    outcome.recipients.iter().map(shown).collect()
}

#[tokio::test]
async fn messages_arrive_one_after_the_other_on_one_connection() {
    let server = Server::start(settings());
    let mut session = plain_sender().open(&server.plan(), 0).await.unwrap();
    assert_eq!(session.tls(), &TlsOutcome::Clear);
    for _ in 0..3 {
        let outcome = send(&mut session, &["a@contoso.com", "unknown@contoso.com"], Content::Whole(BODY)).await;
        assert!(outcome.reusable);
        assert_eq!(shown(&outcome), ["Reply(250 2.6.0 Queued mail for delivery)", "550 5.1.1 User unknown"]);
        let error = outcome.recipients[1].clone().unwrap_err().to_string();
        assert_eq!(error, format!("{}, RCPT: 550 5.1.1 User unknown", server.address));
    }
    assert!(session.is_reusable().await);
    Box::new(session).close().await;
    let received = server.received.lock().clone();
    assert_eq!(received.len(), 3);
    assert_eq!((received[2].content.as_slice(), &*received[2].facts.hello_name), (BODY, "mbx01.contoso.com"));
}

#[tokio::test]
async fn large_messages_are_streamed() {
    let server = Server::start(settings());
    let mut session = plain_sender().open(&server.plan(), 0).await.unwrap();
    let lines = b"A line of some length that starts with no dot.\r\n.and one that does\r\n".repeat(60_000);
    let content = [b"Subject: x\r\n\r\n".as_slice(), &lines].concat();
    let source = Box::new(content.as_slice());
    let size = content.len() as u64;
    let outcome = send(&mut session, &["a@contoso.com"], Content::Streamed { size, source }).await;
    assert!(outcome.reusable && outcome.recipients[0].is_ok(), "{outcome:?}");
    let outcome = send(&mut session, &["a@contoso.com"], Content::Whole(&content)).await;
    assert!(outcome.reusable && outcome.recipients[0].is_ok(), "{outcome:?}");
    assert!(server.received.lock().iter().all(|received| received.content == content));
    let too_large = vec![b'x'; 37 << 20];
    let outcome = send(&mut session, &["a@contoso.com"], Content::Whole(&too_large)).await;
    assert_eq!(outcome.recipients[0].as_ref().unwrap_err().status.to_string(), "5.3.4");
}

/// A server called `relay.test` with a certificate for `name`, and a plan for it as smart host.
async fn relay(name: &str) -> (Server, smtp::Sender, SessionPlan) {
    let (settings, roots) = tls_settings(name);
    let server = Server::start(settings);
    let dns = dns::serve(&[("relay.test", Record::A(Ipv4Addr::LOCALHOST))]).await;
    let next_hop = NextHop::SmartHosts(vec![Host::Name(domain("relay.test"))]);
    let plan = SessionPlan { next_hop, port: server.address.port(), ..server.plan() };
    (server, sender(dns, roots), plan)
}

#[tokio::test]
async fn tls_and_credentials_as_the_policy_says() {
    let validated = |password| {
        let requirement = CredentialRequirement::ValidatedTls;
        Some(Authentication::Password { credentials: credentials(password), requirement })
    };
    let (server, sender, plan) = relay("relay.test").await;
    // TA-21: opportunistic by policy, yet the credentials make it validated.
    let plan = SessionPlan { authentication: validated("secret"), ..plan };
    let mut session = sender.open(&plan, 0).await.unwrap();
    assert!(matches!(session.tls(), TlsOutcome::Encrypted(_)));
    assert!(send(&mut session, &["a@contoso.com"], Content::Whole(BODY)).await.recipients[0].is_ok());
    let facts = server.received.lock()[0].facts.clone();
    assert_eq!((facts.user.as_deref(), facts.tls.is_some()), (Some("user"), true));
    // TA-27
    let plan = SessionPlan { authentication: validated("wrong"), ..plan };
    let failure = sender.open(&plan, 0).await.err().unwrap();
    let port = server.address.port();
    assert_eq!(
        failure.to_string(),
        format!("relay.test (127.0.0.1:{port}), AUTH: 535 5.7.3 Authentication unsuccessful")
    );
    assert_eq!((failure.severity, failure.status.to_string().as_str()), (envelope::Severity::Transient, "4.7.3"));

    let (_server, sender, plan) = relay("other.test").await;
    let plan = SessionPlan { authentication: validated("secret"), ..plan };
    let failure = sender.open(&plan, 0).await.err().unwrap();
    assert!(failure.to_string().contains("the certificate is for other.test, not for relay.test"), "{failure}");
    assert_eq!(failure.status.to_string(), "4.7.5");
    // Another name is what the policy wants, but the password is for relay.test only.
    let tls = TlsPolicy::Require(Verification::Domain(domain("other.test")));
    let failure = sender.open(&SessionPlan { tls, ..plan }, 0).await.err().unwrap();
    assert!(failure.to_string().contains("AUTH: 451 4.7.0 the credentials may not be sent"), "{failure}");
}

#[tokio::test]
async fn required_tls_is_required() {
    let (_server, _, plan) = relay("relay.test").await;
    let dns = dns::serve(&[("relay.test", Record::A(Ipv4Addr::LOCALHOST))]).await;
    let stranger = sender(dns, TrustedRoots::none());
    let plan = SessionPlan { tls: TlsPolicy::Require(Verification::Chain), ..plan };
    let failure = stranger.open(&plan, 0).await.err().unwrap();
    assert!(failure.to_string().contains("TLS handshake: 454 4.7.5 Certificate validation failure"), "{failure}");
    // E2.12: a server without STARTTLS.
    let server = Server::start(settings());
    let plan = SessionPlan { tls: TlsPolicy::Require(Verification::None), ..server.plan() };
    let failure = stranger.open(&plan, 0).await.err().unwrap();
    assert!(
        failure.to_string().ends_with("STARTTLS: 454 4.7.5 TLS is required, and the server does not offer STARTTLS")
    );
    assert!(server.received.lock().is_empty());
}

#[tokio::test]
async fn opportunistic_tls_takes_any_certificate_and_falls_back_to_clear() {
    let (settings, _) = tls_settings("whatever.test");
    let server = Server::start(settings);
    let session = plain_sender().open(&server.plan(), 0).await.unwrap();
    assert!(matches!(session.tls(), TlsOutcome::Encrypted(_)));
    // TA-5: a server that offers STARTTLS and hangs up when it comes to that.
    let hello = [say("220 mx\n"), Step::Hear("EHLO"), say("250-mx\n250 STARTTLS\n")];
    let script = hello.into_iter().chain([Step::Hear("STARTTLS"), say("220 go\n")]).collect();
    let plan = SessionPlan { next_hop: NextHop::Addresses(vec![play_always(script).await]), ..server.plan() };
    let session = plain_sender().open(&plan, 0).await.unwrap();
    assert!(matches!(session.tls(), TlsOutcome::FellBack(why) if why.contains("TLS handshake: 454 4.7.5 ")));
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away() {
    let limits = ConnectionLimits { per_source: Limit::At(1), ..ConnectionLimits::default() };
    let server = Server::start(settings_with(limits));
    let first = plain_sender().open(&server.plan(), 0).await.unwrap();
    let failure = plain_sender().open(&server.plan(), 0).await.err().unwrap();
    assert!(
        failure.to_string().contains("banner: 421 4.3.2 The maximum number of concurrent connections"),
        "{failure}"
    );
    Box::new(first).close().await;
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

async fn raw(server: &Server) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(server.address).await.unwrap());
    assert!(line(&mut stream).await.starts_with("220 mx.contoso.com "));
    stream
}

#[tokio::test]
async fn draining_sends_idle_clients_away_and_lets_others_finish() {
    let server = Server::start(settings());
    let (mut idle, mut busy) = (raw(&server).await, raw(&server).await);
    busy.write_all(b"HELO busy.test\r\n").await.unwrap();
    line(&mut busy).await;
    busy.write_all(b"MAIL FROM:<>\r\nRCPT TO:<a@contoso.com>\r\n").await.unwrap();
    assert_eq!(line(&mut busy).await, "250 2.1.0 Sender OK");
    assert_eq!(line(&mut busy).await, "250 2.1.5 Recipient OK");
    server.drain.cancel();
    assert_eq!(line(&mut idle).await, "421 4.3.2 Service shutting down");
    assert_eq!(line(&mut idle).await, "");
    busy.write_all(b"DATA\r\n").await.unwrap();
    assert!(line(&mut busy).await.starts_with("354 "));
    busy.write_all(b"x\r\n.\r\n").await.unwrap();
    assert_eq!(line(&mut busy).await, "250 2.6.0 Queued mail for delivery");
    assert_eq!(line(&mut busy).await, "421 4.3.2 Service shutting down");
    server.task.await.unwrap().unwrap();
    assert_eq!(server.received.lock().len(), 1);
}

#[tokio::test]
async fn silent_and_endless_clients_meet_a_limit() {
    let expired = "421 4.4.2 Connection timed out";
    let short = Duration::from_millis(30);
    let server = Server::start(settings_by(ServerConfig { inactivity_timeout: short, ..protocol() }));
    assert_eq!(line(&mut raw(&server).await).await, expired);
    let server = Server::start(settings_by(ServerConfig { session_timeout: short, ..protocol() }));
    assert_eq!(line(&mut raw(&server).await).await, expired);
    // Whoever never stops talking meets its end too.
    let mut client = raw(&server).await;
    while line(&mut client).await != expired {
        client.get_mut().write_all(b"NOOP\r\n").await.unwrap();
    }
}

/// Runs a client of others; `false` where it is not installed.
async fn client(program: &str, arguments: &[String]) -> bool {
    let output = tokio::process::Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    let Ok(output) = output else { return false };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    true
}

fn words(line: &str) -> Vec<String> {
    line.split_ascii_whitespace().map(Into::into).collect()
}

#[tokio::test]
async fn swaks_delivers_with_tls_and_password() {
    let (settings, _) = tls_settings("relay.test");
    let server = Server::start(settings);
    let options = "--from a@b.example --to c@contoso.com,d@contoso.com --helo swaks.test --tls --auth-user user";
    let port = server.address.port();
    let arguments = words(&format!("--server 127.0.0.1 --port {port} {options} --auth-password secret --pipeline"));
    if client("swaks", &arguments).await {
        let received = server.received.lock()[0].clone();
        assert_eq!((received.envelope.recipients.len(), received.facts.user.as_deref()), (2, Some("user")));
        assert!(received.facts.tls.is_some());
    }
}

#[tokio::test]
async fn smtp_source_of_postfix_delivers() {
    let server = Server::start(settings());
    let target = format!("inet:127.0.0.1:{}", server.address.port());
    let options = words("-s 4 -m 40 -l 10000 -f a@b.example -t c@contoso.com");
    let arguments: Vec<String> = options.into_iter().chain([target]).collect();
    if client("/usr/sbin/smtp-source", &arguments).await {
        assert_eq!(server.received.lock().len(), 40);
    }
}
