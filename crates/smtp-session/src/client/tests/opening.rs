//! From the banner to readiness: HELO, STARTTLS, AUTH, and servers that do not play along.

use super::*;
use crate::credentials::{Credentials, Secret};

fn with_credentials(credentials_in_clear: CredentialUse) -> ClientConfig {
    let credentials = Some(Credentials { user: "user".into(), secret: Secret::new(b"secret".to_vec()) });
    ClientConfig { credentials, credentials_in_clear, ..config() }
}

fn failure(line: &mut Line) -> SessionFailure {
    match line.event() {
        Some(ClientEvent::Failed(failure)) => failure,
        other => panic!("{other:?} is no failure"),
    }
}

#[test]
fn helo_when_forced_or_when_ehlo_is_unknown() {
    let mut line = Line::new(ClientConfig { force_helo: true, ..config() });
    assert_eq!(line.says("220 mx\r\n"), "HELO mbx01.contoso.com\r\n");
    line.says("250 mx\r\n");
    assert_eq!(line.event(), Some(ClientEvent::Ready));
    let mut line = Line::new(config());
    line.says("220 mx\r\n");
    assert_eq!(line.says("502 5.5.1 What?\r\n"), "HELO mbx01.contoso.com\r\n");
}

#[test]
fn what_was_offered_before_tls_is_forgotten() {
    // TA-6, E2.13
    let mut line = Line::new(config());
    line.says("220 mx\r\n");
    assert_eq!(line.says("250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n"), "STARTTLS\r\n");
    line.says("220 go\r\n");
    assert_eq!(line.event(), Some(ClientEvent::StartTls));
    line.session.tls_established(CredentialUse::Permitted);
    assert_eq!(line.sent(), "EHLO mbx01.contoso.com\r\n");
    line.says("250-mx\r\n250 SIZE\r\n");
    assert_eq!(line.event(), Some(ClientEvent::Ready));
    assert_eq!(line.session.capabilities(), &Capabilities { size: true, ..Capabilities::default() });
}

#[test]
fn octets_behind_the_reply_to_starttls_end_the_session() {
    // CVE-2021-38371, E2.11
    let mut line = Line::new(config());
    line.says("220 mx\r\n");
    line.says("250-mx\r\n250 STARTTLS\r\n");
    line.says("220 go\r\n250-injected\r\n");
    let failure = failure(&mut line);
    assert_eq!((failure.phase, failure.cause), (Phase::StartTls, Cause::Unsolicited));
    assert_eq!(line.sent(), "");
}

#[test]
fn starttls_as_the_policy_says() {
    use StartTlsUse::{IfOffered, Never, Required};
    for (starttls, offered, reply, expected) in [
        (Never, true, "", "ready"),
        (IfOffered, false, "", "ready"),
        (IfOffered, true, "454 4.7.0 Not now\r\n", "ready"),
        (Required, false, "", "STARTTLS: TLS is required, and the server does not offer STARTTLS"),
        (Required, true, "454 4.7.0 Not now\r\n", "STARTTLS: 454 4.7.0 Not now"),
        (Required, true, "502 5.5.1 No\r\n", "STARTTLS: 502 5.5.1 No"),
    ] {
        let mut line = Line::new(ClientConfig { starttls, ..config() });
        line.says("220 mx\r\n");
        let ehlo = if offered { "250-mx\r\n250 STARTTLS\r\n" } else { "250 mx\r\n" };
        line.says(ehlo);
        if !reply.is_empty() {
            line.says(reply);
        }
        match line.event() {
            Some(ClientEvent::Ready) => assert_eq!("ready", expected),
            Some(ClientEvent::Failed(failure)) => {
                assert_eq!(failure.to_string(), expected);
                // TA-3: the message waits.
                assert_eq!(failure.severity(), envelope::Severity::Transient);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn login_is_preferred_to_plain() {
    // TA-22
    let mut line = Line::new(with_credentials(CredentialUse::Permitted));
    line.says("220 mx\r\n");
    assert_eq!(line.says("250-mx\r\n250 AUTH PLAIN LOGIN\r\n"), "AUTH LOGIN\r\n");
    assert_eq!(line.says("334 VXNlcm5hbWU6\r\n"), "dXNlcg==\r\n");
    assert_eq!(line.says("334 UGFzc3dvcmQ6\r\n"), "c2VjcmV0\r\n");
    line.says("235 2.7.0 Welcome\r\n");
    assert_eq!(line.event(), Some(ClientEvent::Ready));
    let mut line = Line::new(with_credentials(CredentialUse::Permitted));
    line.says("220 mx\r\n");
    assert_eq!(line.says("250-mx\r\n250 AUTH PLAIN\r\n"), "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n");
    line.says("535 5.7.8 Wrong\r\n");
    let failure = failure(&mut line);
    // TA-27: transient.
    assert_eq!(
        (failure.to_string().as_str(), failure.status().to_string().as_str()),
        ("AUTH: 535 5.7.8 Wrong", "4.7.8")
    );
}

#[test]
fn credentials_are_withheld_where_the_policy_says_so() {
    // TA-21, E2.14: neither in clear nor under TLS that was not validated.
    let mut line = Line::new(with_credentials(CredentialUse::Withheld));
    line.says("220 mx\r\n");
    assert_eq!(line.says("250-mx\r\n250 AUTH LOGIN PLAIN\r\n"), "");
    assert_eq!(failure(&mut line).cause, Cause::CredentialsWithheld);
    let mut line = Line::new(with_credentials(CredentialUse::Permitted));
    line.says("220 mx\r\n");
    line.says("250-mx\r\n250 STARTTLS\r\n");
    line.says("220 go\r\n");
    line.event();
    line.session.tls_established(CredentialUse::Withheld);
    line.sent();
    assert_eq!(line.says("250-mx\r\n250 AUTH LOGIN PLAIN\r\n"), "");
    assert_eq!(failure(&mut line).cause, Cause::CredentialsWithheld);
    let mut line = Line::new(with_credentials(CredentialUse::Permitted));
    line.says("220 mx\r\n");
    line.says("250-mx\r\n250 AUTH GSSAPI\r\n");
    assert_eq!(failure(&mut line).cause, Cause::AuthNotOffered);
}

#[test]
fn hostile_and_unwilling_servers() {
    // E2.15. A server that will not talk is no reason to bounce.
    let long = format!("220 {}\r\n", "x".repeat(10 << 20));
    let endless = "220-again\r\n".repeat(10_000);
    for (banner, expected) in [
        ("554 5.7.1 Go away\r\n", "banner: 554 5.7.1 Go away"),
        ("421 4.3.2 Busy\r\n", "banner: 421 4.3.2 Busy"),
        (
            "HTTP/1.1 400 Bad Request\r\n",
            "banner: the server broke the protocol: a reply line does not start with a reply code",
        ),
        (long.as_str(), "banner: the server broke the protocol: a reply line is longer than 4096 octets"),
        (&endless, "banner: the server broke the protocol: a reply has more than 128 lines or 32768 octets"),
    ] {
        let mut line = Line::new(config());
        line.says(banner);
        let failure = failure(&mut line);
        assert_eq!((failure.to_string().as_str(), failure.severity()), (expected, envelope::Severity::Transient));
    }
    let mut line = Line::new(config());
    let deadline = line.session.poll_timeout(Instant::now());
    line.session.handle_timeout(deadline - Duration::from_millis(1));
    assert_eq!(line.event(), None, "it may still answer");
    line.session.handle_timeout(deadline);
    assert_eq!(failure(&mut line).to_string(), "banner: the server did not answer in time");
    let mut line = Line::new(config());
    line.says("220 mx\r\n");
    line.session.handle_disconnect();
    assert_eq!(failure(&mut line).to_string(), "EHLO: the server closed the connection");
}
