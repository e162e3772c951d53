//! From the banner to readiness: HELO, STARTTLS, AUTH, and servers that do not play along.

use super::*;
use crate::credentials::{Credentials, ExchangeTls, Logon, Secret};

fn with_credentials(credentials_in_clear: CredentialUse) -> ClientConfig {
    let credentials = Credentials { user: "user".into(), secret: Secret::new(b"secret".to_vec()) };
    ClientConfig { logon: Some(Logon::Password(credentials)), credentials_in_clear, ..config() }
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
    // TA-2: never, although it is offered.
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
fn a_server_that_repeats_the_password_is_quoted_without_it() {
    // LG-12: neither in the protocol log nor in LastError.
    for reply in ["500 5.5.1 What is c2VjcmV0?", "535 5.7.8 wrong: secret", "501 5.5.4 AHVzZXIAc2VjcmV0 again"] {
        let mut line = Line::new(with_credentials(CredentialUse::Permitted));
        line.session.keep_words();
        line.says("220 mx\r\n");
        line.says("250-mx\r\n250 AUTH LOGIN\r\n");
        line.says("334 VXNlcm5hbWU6\r\n");
        line.says("334 UGFzc3dvcmQ6\r\n");
        line.says(&format!("{reply}\r\n"));
        let failure = failure(&mut line).to_string();
        assert!(failure.ends_with("(the reply repeats the credentials)"), "{failure}");
        let said: Vec<_> = std::iter::from_fn(|| line.session.poll_spoken()).collect();
        assert_eq!(said.len(), 9, "{said:?}");
        let said = format!("{said:?}");
        assert!(!said.contains("c2VjcmV0") && !said.contains("secret"), "{said}");
    }
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
    // TA-20: no suitable AUTH.
    line.says("250-mx\r\n250 AUTH GSSAPI\r\n");
    let failure = failure(&mut line);
    assert_eq!((failure.severity(), failure.cause), (envelope::Severity::Transient, Cause::AuthNotOffered));
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

fn as_server(tls: ExchangeTls, starttls: StartTlsUse) -> Line {
    let mut line = Line::new(ClientConfig { logon: Some(Logon::Exchange(tls)), starttls, ..config() });
    line.says("220 mx\r\n");
    line
}

#[test]
fn exchange_servers_authenticate_by_their_verb_or_by_that_of_everybody() {
    // TA-60, TA-61
    for (offer, verb, by_exps) in [
        ("250-mx\r\n250-AUTH GSSAPI NTLM\r\n250 X-EXPS GSSAPI NTLM\r\n", "X-EXPS", true),
        ("250-mx\r\n250 AUTH PLAIN GSSAPI\r\n", "AUTH", false),
    ] {
        let mut line = as_server(ExchangeTls::IfOffered, StartTlsUse::IfOffered);
        assert_eq!(line.says(offer), format!("{verb} GSSAPI\r\n"));
        // The first challenge is empty, whatever a server writes there.
        assert_eq!(line.says("334 GSSAPI supported\r\n"), "");
        assert_eq!(line.event(), Some(ClientEvent::Challenge(Vec::new())));
        line.session.respond(b"ticket");
        assert_eq!(line.sent(), "dGlja2V0\r\n");
        assert_eq!(line.says("334 cHJvb2Y=\r\n"), "");
        assert_eq!(line.event(), Some(ClientEvent::Challenge(b"proof".to_vec())));
        line.session.respond(b"");
        assert_eq!(line.sent(), "\r\n");
        line.says("235 2.7.0 dG9rZW4=\r\n");
        let token = by_exps.then(|| b"token".to_vec());
        assert_eq!(line.event(), Some(ClientEvent::LoggedOn(token, by_exps)));
        assert!(!line.session.is_ready(), "{verb}: not before the server has proved who it is");
        line.session.server_proved();
        assert_eq!(line.event(), Some(ClientEvent::Ready));
    }
}

#[test]
fn who_is_no_exchange_server_gets_nothing() {
    // TA-62
    let failure = |line: &mut Line| match line.event() {
        Some(ClientEvent::Failed(failure)) => format!("{} {failure}", failure.status()),
        other => panic!("{other:?}"),
    };
    let mut line = as_server(ExchangeTls::IfOffered, StartTlsUse::IfOffered);
    assert_eq!(line.says("250-mx\r\n250 AUTH PLAIN LOGIN NTLM\r\n"), "");
    assert!(failure(&mut line).starts_with("4.7.3 AUTH: Cannot achieve Exchange Server authentication"));
    for (said, words) in [("334 no base64!\r\n", "no base64"), ("535 5.7.8 no\r\n", "5.7.8 no")] {
        let mut line = as_server(ExchangeTls::Never, StartTlsUse::IfOffered);
        line.says("250-mx\r\n250 AUTH GSSAPI\r\n");
        line.says("334 \r\n");
        line.event();
        line.session.respond(b"ticket");
        line.says(said);
        let failure = failure(&mut line);
        assert!(failure.contains(words) && failure.starts_with("4.7."), "{failure}");
    }
    let mut line = as_server(ExchangeTls::Never, StartTlsUse::IfOffered);
    line.says("250-mx\r\n250 X-EXPS GSSAPI\r\n");
    line.says("334 \r\n");
    line.event();
    line.session.give_up_logon("no ticket");
    assert!(failure(&mut line).ends_with("no ticket"));
    line.session.respond(b"too late");
    assert_eq!(line.sent(), "");
}

#[test]
fn exchange_servers_encrypt_by_their_verb_where_nothing_is_asked_of_the_certificate() {
    // TA-60
    let offer = "250-mx\r\n250-STARTTLS\r\n250-X-ANONYMOUSTLS\r\n250 X-EXPS GSSAPI\r\n";
    let mut line = as_server(ExchangeTls::IfOffered, StartTlsUse::Required);
    assert_eq!(line.says(offer), "X-ANONYMOUSTLS\r\n");
    line.says("220 2.0.0 SMTP server ready\r\n");
    assert_eq!(line.event(), Some(ClientEvent::StartTls));
    line.session.tls_established(CredentialUse::Permitted);
    assert_eq!(line.sent(), "EHLO mbx01.contoso.com\r\n");
    assert_eq!(line.says("250-mx\r\n250 X-EXPS GSSAPI\r\n"), "X-EXPS GSSAPI\r\n");
    let mut line = as_server(ExchangeTls::Never, StartTlsUse::Required);
    assert_eq!(line.says(offer), "STARTTLS\r\n");
    // Somebody who took STARTTLS out of the offer gets nothing in clear.
    let mut line = as_server(ExchangeTls::Never, StartTlsUse::Required);
    assert_eq!(line.says("250-mx\r\n250 X-EXPS GSSAPI\r\n"), "");
}
