//! Commands, their order, and the replies in the documented wording.

use envelope::{ByteSize, Limit};

use super::*;

const OK: &str = "250 2.1.0 Sender OK";
const RCPT_OK: &str = "250 2.1.5 Recipient OK";
const GO: &str = "354 Start mail input; end with <CRLF>.<CRLF>";
const QUEUED: &str = "250 2.6.0 Queued";

#[test]
fn a_whole_session_step_by_step() {
    let mut desk = Desk::new(config());
    check(
        &mut desk,
        &[
            (
                "EHLO client.example\r\n",
                "250-mail.contoso.com Hello [192.0.2.1]|250-SIZE 37748736|250-PIPELINING|250-DSN|250-ENHANCEDSTATUSCODES|\
                 250-STARTTLS|250-8BITMIME|250-CHUNKING|250 SMTPUTF8",
            ),
            ("MAIL FROM:<a@b.example>\r\n", OK),
            ("RCPT TO:<unknown@contoso.com>\r\n", "550 5.1.1 User unknown"),
            ("RCPT TO:<c@contoso.com>\r\n", RCPT_OK),
            ("DATA\r\n", GO),
            ("Subject: x\r\n\r\n..dot\r\n.\r\n", QUEUED),
            ("MAIL FROM:<>\r\n", OK),
            ("RSET\r\n", "250 2.0.0 Resetting"),
            ("NOOP\r\n", "250 2.0.0 OK"),
            ("VRFY a\r\n", "252 2.1.5 Cannot VRFY user, but will take message and attempt delivery"),
            ("EXPN a\r\n", "502 5.3.3 Command not implemented"),
            ("QUIT\r\n", "221 2.0.0 Service closing transmission channel"),
            ("NOOP\r\n", ""),
        ],
    );
    assert_eq!(
        desk.heard(),
        "mail <a@b.example> rcpt unknown@contoso.com rcpt c@contoso.com begin 1 \
         end \"Subject: x\\r\\n\\r\\n.dot\\r\\n\" mail <> reset close "
    );
}

#[test]
fn pipelined_groups_get_their_replies_in_order_and_at_once() {
    let mut desk = Desk::greeted(config());
    check(
        &mut desk,
        &[
            (
                "MAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@c.example>\r\nRCPT TO:<d@c.example>\r\nDATA\r\n",
                "250 2.1.0 Sender OK|550 5.1.1 User unknown|250 2.1.5 Recipient OK|354 Start mail input; end with <CRLF>.<CRLF>",
            ),
            // RFC 2920 §3.1: the end of the content may be followed by the next group.
            (
                "x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<d@c.example>\r\n",
                "250 2.6.0 Queued|250 2.1.0 Sender OK|250 2.1.5 Recipient OK",
            ),
            (
                "BDAT 4 LAST\r\nab\r\nMAIL FROM:<>\r\nRCPT TO:<e@c.example>\r\nBDAT 0 LAST\r\nQUIT\r\n",
                "250 2.6.0 Queued|250 2.1.0 Sender OK|250 2.1.5 Recipient OK|250 2.6.0 Queued|\
                 221 2.0.0 Service closing transmission channel",
            ),
        ],
    );
}

#[test]
fn commands_out_of_order() {
    let table = [
        ("MAIL FROM:<a@b.example>\r\n", "503 5.5.2 Send hello first"),
        ("AUTH LOGIN\r\n", "503 5.5.2 Send hello first"),
        ("HELO client.example\r\n", "250 mail.contoso.com Hello [192.0.2.1]"),
        ("RCPT TO:<a@b.example>\r\n", "503 5.5.2 Need mail command"),
        ("DATA\r\n", "503 5.5.2 Need mail command"),
        ("MAIL FROM:<a@b.example>\r\n", OK),
        ("MAIL FROM:<a@b.example>\r\n", "503 5.5.2 Sender already specified"),
        ("DATA\r\n", "503 5.5.2 Need rcpt command"),
        ("STARTTLS\r\n", "503 5.5.1 Bad sequence of commands"),
        ("RSET\r\n", "250 2.0.0 Resetting"),
        ("AUTH PLAIN\r\n", "538 5.7.11 Encryption required for requested authentication mechanism"),
        ("XYZZY\r\n", "500 5.3.3 Unrecognized command"),
        ("MAIL FROM:a@b.example>\r\n", "501 5.5.2 Syntax error in the path"),
        ("MAIL FROM:<a b@c.example>\r\n", "550 5.1.7 Invalid address"),
        ("MAIL FROM:<a@b.example> X=1\r\n", "555 5.5.4 Unsupported parameter"),
        ("MAIL FROM:<a@b.example> SIZE=99999999\r\n", "552 5.3.4 Message size exceeds fixed maximum message size"),
        (
            "MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n",
            "552 5.3.4 Message size exceeds fixed maximum message size",
        ),
    ];
    check(&mut Desk::new(ServerConfig { protocol_errors_max: Limit::Unlimited, ..config() }), &table);
}

#[test]
fn a_new_hello_forgets_the_transaction() {
    let mut desk = Desk::greeted(config());
    desk.hear("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    desk.hear("EHLO again.example\r\n");
    check(&mut desk, &[("DATA\r\n", "503 5.5.2 Need mail command")]);
    assert!(desk.heard().ends_with("reset "));
}

#[test]
fn bad_lines_are_answered_and_the_session_goes_on() {
    // E2.6, KU #550: 501 and continue.
    let mut desk = Desk::greeted(ServerConfig { protocol_errors_max: Limit::Unlimited, ..config() });
    for (line, reply) in [
        (&b"NOOP\0\r\n"[..], "501 5.5.2 Invalid characters in command\r\n"),
        (b"MAIL FROM:<\xff@b.example>\r\n", "501 5.5.2 Invalid characters in command\r\n"),
        (b"MAIL FROM:<a@b.example>\rRCPT TO:<c@d.example>\r\n", "501 5.5.2 Invalid characters in command\r\n"),
        (b"NOOP\n", "500 5.5.2 Line does not end in CRLF\r\n"),
        (b"NOOP\r\n", "250 2.0.0 OK\r\n"),
    ] {
        assert_eq!(desk.hear_octets(line), reply);
    }
    let long = |verb: &str, octets: usize| format!("{verb}{}\r\n", "x".repeat(octets - verb.len() - 2));
    let too_long = "500 5.5.2 Line too long\r\n";
    assert_eq!(desk.hear(&long("NOOP ", 512)), "250 2.0.0 OK\r\n");
    assert_eq!(desk.hear(&long("NOOP ", 513)), too_long);
    assert_eq!(desk.hear(&long("MAIL FROM:<", 2049)), too_long);
    assert_eq!(desk.hear(&long("NOOP ", 1 << 20)), too_long, "a megabyte, in a bounded buffer");
    assert!(desk.session.input.capacity() <= 2 * crate::limits::INPUT_OCTETS_MAX);
    assert_eq!(desk.hear("NOOP\r\n"), "250 2.0.0 OK\r\n");
}

#[test]
fn too_many_errors_close_the_session() {
    let mut desk = Desk::new(config());
    for _ in 0..5 {
        assert_eq!(desk.hear("BOGUS\r\n"), "500 5.3.3 Unrecognized command\r\n");
    }
    let last = "421 4.7.0 Too many errors on this connection, closing transmission channel";
    check(&mut desk, &[("BOGUS\r\nBOGUS\r\n", last)]);
    assert_eq!(desk.heard(), "close ");
}

#[test]
fn too_many_recipients_are_refused_and_the_message_goes_on() {
    // RC-50
    let mut desk = Desk::greeted(ServerConfig { recipients_max: 1, ..config() });
    check(
        &mut desk,
        &[
            (
                "MAIL FROM:<>\r\nRCPT TO:<unknown@x.example>\r\nRCPT TO:<a@x.example>\r\n",
                "250 2.1.0 Sender OK|550 5.1.1 User unknown|250 2.1.5 Recipient OK",
            ),
            ("RCPT TO:<b@x.example>\r\n", "452 4.5.3 Too many recipients"),
            ("DATA\r\n", GO),
            ("x\r\n.\r\n", QUEUED),
        ],
    );
}

#[test]
fn tls_forgets_what_was_said_in_clear() {
    // TA-71; TA-72: LOGIN appears under TLS.
    let mut desk = Desk::greeted(ServerConfig { require_tls: true, ..config() });
    check(
        &mut desk,
        &[
            ("MAIL FROM:<a@b.example>\r\n", "530 5.7.0 Must issue a STARTTLS command first"),
            ("STARTTLS\r\n", "220 2.0.0 SMTP server ready"),
        ],
    );
    assert_eq!(desk.heard(), "tls ");
    assert_eq!(desk.session.handle_input(b"EHLO injected\r\n"), 0, "nothing is read before the handshake");
    desk.session.tls_established();
    check(&mut desk, &[("MAIL FROM:<a@b.example>\r\n", "503 5.5.2 Send hello first")]);
    let ehlo = desk.hear("EHLO client.example\r\n");
    assert!(ehlo.contains("250-AUTH LOGIN PLAIN\r\n") && !ehlo.contains("STARTTLS"), "{ehlo}");
    check(&mut desk, &[("STARTTLS\r\n", "503 5.5.1 Bad sequence of commands"), ("MAIL FROM:<a@b.example>\r\n", OK)]);
}

#[test]
fn octets_behind_starttls_end_the_session() {
    // CVE-2011-0411, E2.4; even where pipelining errors are tolerated.
    for unauthorized_pipelining in [UnauthorizedPipelining::Refuse, UnauthorizedPipelining::Tolerate] {
        let mut desk = Desk::greeted(ServerConfig { unauthorized_pipelining, ..config() });
        check(
            &mut desk,
            &[("STARTTLS\r\nMAIL FROM:<a@b.example>\r\n", "554 5.5.0 Unauthorized pipelining after STARTTLS")],
        );
        assert_eq!(desk.heard(), "close ");
    }
}

#[test]
fn clients_that_do_not_wait_are_sent_away() {
    // E2.5
    for segment in ["EHLO x.example\r\nMAIL FROM:<>\r\n", "DATA\r\nSubject: x\r\n"] {
        let mut desk = Desk::greeted(config());
        desk.hear("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n");
        check(&mut desk, &[(segment, "554 5.5.0 Unauthorized pipelining")]);
        assert!(desk.heard().ends_with("close "));
    }
    let mut session = ServerSession::new(Arc::new(config()), [192, 0, 2, 1].into());
    session.handle_input(b"EHLO early.example\r\n");
    session.greet("today", Instant::now());
    assert_eq!(session.poll_event(), Some(ServerEvent::Close));
    assert_eq!(session.poll_transmit().unwrap(), "554 5.5.0 Client talked before the greeting\r\n");
}

#[test]
fn tolerated_clients_that_do_not_wait_are_served_in_order() {
    let mut desk = Desk::new(ServerConfig { unauthorized_pipelining: UnauthorizedPipelining::Tolerate, ..config() });
    let said = desk.hear("HELO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n");
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "354", "250", "221"]);
}

fn under_tls() -> Desk {
    let mut desk = Desk::greeted(config());
    desk.hear("STARTTLS\r\n");
    desk.session.tls_established();
    desk.hear("EHLO client.example\r\n");
    desk.heard();
    desk
}

#[test]
fn authentication_dialogues() {
    // base64: dXNlcg== user, c2VjcmV0 secret, AHVzZXIAc2VjcmV0 NUL user NUL secret
    let ok = "235 2.7.0 Authentication successful";
    for table in [
        &[("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", ok)][..],
        // Without its padding; as oneself in other letters.
        &[("AUTH PLAIN VVNFUgB1c2VyAHNlY3JldA\r\n", ok)],
        &[("AUTH PLAIN\r\n", "334 "), ("AHVzZXIAc2VjcmV0\r\n", ok)],
        &[("auth login\r\n", "334 VXNlcm5hbWU6"), ("dXNlcg==\r\n", "334 UGFzc3dvcmQ6"), ("c2VjcmV0\r\n", ok)],
        &[("AUTH LOGIN dXNlcg==\r\n", "334 UGFzc3dvcmQ6"), ("c2VjcmV0\r\n", ok)],
    ] {
        let mut desk = under_tls();
        check(&mut desk, table);
        assert_eq!((desk.heard().as_str(), desk.session.user()), ("auth user ", Some("user")));
        check(&mut desk, &[("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "503 5.5.1 Bad sequence of commands")]);
    }
    for (first, second, reply) in [
        ("AUTH PLAIN\r\n", "*\r\n", "501 5.7.0 Authentication cancelled"),
        ("AUTH PLAIN\r\n", "not base64!\r\n", "501 5.5.2 Cannot decode authentication response"),
        // user NUL secret, NUL user NUL secret NUL, NUL NUL secret, NUL us CR LF er NUL secret
        ("AUTH PLAIN\r\n", "dXNlcgBzZWNyZXQ=\r\n", "501 5.5.2 Cannot decode authentication response"),
        ("AUTH PLAIN\r\n", "AHVzZXIAc2VjcmV0AA==\r\n", "501 5.5.2 Cannot decode authentication response"),
        ("AUTH PLAIN\r\n", "AABzZWNyZXQ=\r\n", "501 5.5.2 Cannot decode authentication response"),
        ("AUTH PLAIN\r\n", "AHVzDQplcgBzZWNyZXQ=\r\n", "501 5.5.2 Cannot decode authentication response"),
        // other NUL user NUL secret
        ("AUTH PLAIN\r\n", "b3RoZXIAdXNlcgBzZWNyZXQ=\r\n", "535 5.7.8 Authorization as another user is not supported"),
        ("NOOP\r\n", "AUTH NTLM\r\n", "504 5.7.4 Unrecognized authentication type"),
        ("NOOP\r\n", "AUTH PLAIN =\r\n", "501 5.5.2 Cannot decode authentication response"),
        ("NOOP\r\n", "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n", "535 5.1.1 Authentication unsuccessful"),
    ] {
        let mut desk = under_tls();
        desk.hear(first);
        check(&mut desk, &[(second, reply), ("NOOP\r\n", "250 2.0.0 OK")]);
        assert_eq!(desk.session.user(), None, "{second}");
    }
}

#[test]
fn the_third_wrong_password_closes_the_session() {
    // TA-73
    let mut desk = under_tls();
    let wrong = "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n";
    check(
        &mut desk,
        &[
            (wrong, "535 5.1.1 Authentication unsuccessful"),
            (wrong, "535 5.1.1 Authentication unsuccessful"),
            (wrong, "421 4.7.0 Too many logon failures on this connection, closing transmission channel"),
        ],
    );
    assert!(desk.heard().ends_with("close "));
}

#[test]
fn extensions_that_are_off_are_neither_offered_nor_taken() {
    // TA-70
    let off = Extensions {
        size: false,
        pipelining: false,
        dsn: false,
        enhanced_status_codes: false,
        eight_bit_mime: false,
        chunking: false,
        smtputf8: false,
        long_addresses: false,
    };
    let plain = ServerConfig { extensions: off, starttls: false, auth: AuthOffer::Never, ..config() };
    check(
        &mut Desk::new(ServerConfig { message_size_max: ByteSize::kib(64), ..plain }),
        &[
            ("EHLO client.example\r\n", "250 mail.contoso.com Hello [192.0.2.1]"),
            ("MAIL FROM:<> SIZE=1\r\n", "555 Unsupported parameter"),
            ("MAIL FROM:<>\r\n", "250 Sender OK"),
            ("RCPT TO:<a@b.example>\r\n", "250 Recipient OK"),
            ("BDAT 1 LAST\r\nx", "503 Bad sequence of commands"),
            ("STARTTLS\r\n", "500 Unrecognized command"),
            ("AUTH PLAIN\r\n", "500 Unrecognized command"),
        ],
    );
}

#[test]
fn en_73_long_addresses_are_taken_where_they_are_offered() {
    let long = |octets: usize| format!("IMCEAX400-{}@contoso.com", "x".repeat(octets - "IMCEAX400-@contoso.com".len()));
    let session = |long_addresses, steps: &[(&str, &str)]| {
        let extensions = Extensions { long_addresses, ..Extensions::default() };
        let mut desk = Desk::new(ServerConfig { extensions, ..config() });
        let offered = desk.hear("EHLO client.example\r\n");
        assert_eq!(offered.contains("250 XLONGADDR"), long_addresses, "{offered}");
        check(&mut desk, steps);
    };
    let (from, to) = (format!("MAIL FROM:<{}>\r\n", long(600)), format!("RCPT TO:<{}>\r\n", long(1860)));
    // LM-15: a longer line, too.
    let with_original = format!("RCPT TO:<{}> ORCPT=rfc822;{}\r\n", long(1860), "x".repeat(480));
    let too_long = format!("RCPT TO:<{}>\r\n", long(1861));
    let sender = ("MAIL FROM:<ann@contoso.com>\r\n", "250 2.1.0 Sender OK");
    session(
        true,
        &[
            (&from, "250 2.1.0 Sender OK"),
            (&to, "250 2.1.5 Recipient OK"),
            (&with_original, "250 2.1.5 Recipient OK"),
            (&too_long, "501 5.1.3 Invalid address"),
        ],
    );
    session(false, &[(&from, "550 5.1.7 Invalid address"), sender, (&to, "501 5.1.3 Invalid address")]);
}

#[test]
fn names_of_devices_are_taken_and_shown_safely() {
    // RFC 5321 §4.1.4
    for (name, kept) in [
        ("my printer", "my printer"),
        ("PC#1", "PC#1"),
        ("(null)", "(null)"),
        ("-pc-", "-pc-"),
        ("host/1", "host/1"),
        ("büro", "büro"),
        ("a\u{202e}b\u{2028}", "a?b?"),
        ("", ""),
    ] {
        let mut desk = Desk::new(config());
        assert!(desk.hear(&format!("HELO {name}\r\n")).starts_with("250 "), "{name}");
        assert_eq!((desk.session.hello_name(), desk.session.is_extended()), (Some(kept), false));
    }
    let mut desk = Desk::new(config());
    assert!(desk.hear_octets(b"EHLO b\xfcro\r\n").starts_with("250-"), "Latin-1");
    assert_eq!((desk.session.hello_name(), desk.session.is_extended()), (Some("b?ro"), true));
    check(&mut desk, &[(&format!("EHLO {}\r\n", "x".repeat(256)), "501 5.5.4 Invalid domain name")]);
}

#[test]
fn shutdown_ends_the_session_with_421() {
    let mut desk = Desk::greeted(config());
    desk.hear("MAIL FROM:<>\r\n");
    assert!(!desk.session.is_idle());
    desk.hear("RSET\r\n");
    assert!(desk.session.is_idle());
    desk.session.shut_down(&Reply::new(421, EnhancedStatus::new(4, 3, 2), "Service shutting down"));
    assert_eq!(desk.hear(""), "421 4.3.2 Service shutting down\r\n");
}
