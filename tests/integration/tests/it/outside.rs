//! Other people's programs at the front end: swaks as a mail client, swaks as somebody who looks for a relay, Postfix's
//! `smtp-source` as a busy server of the internet.

use std::process::{Command, Output};

use net::Service;

use crate::support::{Lab, ONE_SERVER, run};

/// Messages that `smtp-source` sends, and over how many sessions at a time.
const MESSAGES: usize = 100;
const SESSIONS: usize = 10;

/// swaks with what every call needs: no message longer than a minute, one line as body.
fn swaks(server: std::net::SocketAddr, to: &str) -> Command {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", &server.ip().to_string(), "--port", &server.port().to_string()]);
    swaks.args(["--ehlo", "client.contoso.example", "--timeout", "60s", "--to", to]);
    swaks
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn contains(output: &Output, needle: &str) -> bool {
    said(output).contains(needle)
}

/// STARTTLS with a verified certificate, then AUTH, by each mechanism that is offered.
async fn a_user_sends(lab: &Lab) {
    let server = lab.server("BERLIN1");
    let submission = server.services[&Service::FrontendTransport].submission.unwrap();
    for mechanism in ["PLAIN", "LOGIN"] {
        let mut swaks = swaks(submission, "sales@fabrikam.example");
        swaks.args(["--from", "anna@contoso.example", "--h-Message-Id", &format!("<{mechanism}@swaks.example>")]);
        swaks.args(["--tls", "--tls-verify", "--tls-sni", server.fqdn.as_str(), "--tls-ca-path"]);
        swaks.arg(server.identity_path().join("ca.pem"));
        swaks.args(["--auth", mechanism, "--auth-user", "anna@contoso.example", "--auth-password", "demo-anna"]);
        let sent = run(swaks).await;
        assert!(sent.status.success(), "{}", said(&sent));
        let delivery = lab.wait_for_delivery(&format!("<{mechanism}@swaks.example>")).await;
        assert_eq!(delivery.sender, "anna@contoso.example");
    }
}

/// What a user may not do, and everybody else.
async fn nobody_relays(lab: &Lab) {
    let server = lab.server("BERLIN1");
    let submission = server.services[&Service::FrontendTransport].submission.unwrap();
    let mut wrong = swaks(submission, "sales@fabrikam.example");
    wrong.args(["--tls", "--auth", "PLAIN", "--auth-user", "anna@contoso.example", "--auth-password", "demo-ben"]);
    let refused = run(wrong).await;
    assert!(!refused.status.success() && contains(&refused, "535 5.7."), "{}", said(&refused));

    // In clear no password is taken.
    let mut clear = swaks(submission, "sales@fabrikam.example");
    clear.args(["--auth", "PLAIN", "--auth-user", "anna@contoso.example", "--auth-password", "demo-anna"]);
    let refused = run(clear).await;
    assert!(!refused.status.success() && !contains(&refused, "235 "), "{}", said(&refused));

    for from in ["visitor@tailspin.example", "anna@contoso.example", "<>"] {
        let mut relay = swaks(server.smtp().unwrap(), "sales@fabrikam.example");
        relay.args(["--from", from]);
        let refused = run(relay).await;
        assert!(!refused.status.success() && contains(&refused, "550 5.7."), "{}", said(&refused));
    }
}

/// A busy server: many sessions at once, each message to a mailbox here.
async fn postfix_sends(lab: &Lab) {
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    let before = inbox.message_ids().count();
    let mut source = Command::new("/usr/sbin/smtp-source");
    source.args(["-s", &SESSIONS.to_string(), "-m", &MESSAGES.to_string(), "-l", "10240", "-c"]);
    source.args(["-f", "visitor@tailspin.example", "-t", "anna@contoso.example", "-M", "mail.tailspin.example"]);
    source.arg(format!("inet:{}", lab.server("BERLIN1").smtp().unwrap()));
    let sent = run(source).await;
    assert!(sent.status.success(), "{}", said(&sent));
    testkit::until("everything of smtp-source in the mailbox", async || {
        (inbox.message_ids().count() == before + MESSAGES).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_are_served_and_get_no_relay() {
    let lab = Lab::start(ONE_SERVER).await;
    a_user_sends(&lab).await;
    nobody_relays(&lab).await;
    postfix_sends(&lab).await;
    assert_eq!(lab.world.deliveries().all().unwrap().len(), 2, "only what the user sent has left");
    lab.finish().await;
}
