//! Messages: what is sent at once, and what becomes of each recipient.

use envelope::{BodyType, DsnReturn, Notify, OriginalRecipient};

use super::*;

const BODY: MessageContent<'static> = MessageContent::Whole(b"Subject: x\r\n\r\n.dot\r\n");

#[test]
fn with_chunking_a_message_is_one_write() {
    let mut line = Line::ready(&["PIPELINING", "CHUNKING", "SIZE 1000"]);
    line.session.send(&envelope(&["b@c.example", "d@c.example"]), BODY);
    assert_eq!(
        line.sent(),
        "MAIL FROM:<a@contoso.com> SIZE=20\r\nRCPT TO:<b@c.example>\r\nRCPT TO:<d@c.example>\r\nBDAT 20 LAST\r\n\
         Subject: x\r\n\r\n.dot\r\n"
    );
    line.says("250 ok\r\n250 ok\r\n550 5.1.1 No such user\r\n250 2.6.0 Queued\r\n");
    assert_eq!(line.outcome(), "reusable|ok 250 2.6.0 Queued|Permanent 5.1.1 RCPT: 550 5.1.1 No such user");
}

#[test]
fn en_73_a_long_address_goes_to_who_offers_it() {
    let long = format!("IMCEAX400-{}@c.example", "x".repeat(600));
    let mut line = Line::ready(&["XLONGADDR"]);
    line.session.send(&envelope(&[&long]), BODY);
    line.sent();
    assert_eq!(line.says("250 ok\r\n"), format!("RCPT TO:<{long}>\r\n"));
    let refused = "Permanent 5.1.3 RCPT: the address is longer than 571 octets, or 315 before the @, and the server does not \
                   offer XLONGADDR";
    let mut line = Line::ready(&["PIPELINING", "CHUNKING"]);
    line.session.send(&envelope(&[&long, "b@c.example"]), BODY);
    assert!(line.sent().starts_with("MAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@c.example>\r\nBDAT 20 LAST\r\n"));
    line.says("250 ok\r\n250 ok\r\n250 Queued\r\n");
    assert_eq!(line.outcome(), format!("reusable|{refused}|ok 250 Queued"));
    // Nobody is left to ask for.
    line.session.send(&envelope(&[&long]), BODY);
    assert_eq!((line.sent().as_str(), line.outcome()), ("", format!("reusable|{refused}")));
}

#[test]
fn with_pipelining_data_goes_with_the_envelope() {
    let mut line = Line::ready(&["PIPELINING"]);
    line.session.send(&envelope(&["b@c.example"]), BODY);
    assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@c.example>\r\nDATA\r\n");
    line.says("250 ok\r\n250 ok\r\n354 go\r\n");
    assert_eq!(line.event(), Some(ClientEvent::Content));
    line.session.content(b"Subject: x\n\n.do");
    line.session.content(b"t");
    line.session.end_content();
    assert_eq!(line.sent(), "Subject: x\r\n\r\n..dot\r\n.\r\n");
    line.says("250 Queued\r\n");
    assert_eq!(line.outcome(), "reusable|ok 250 Queued");
}

#[test]
fn without_extensions_it_goes_step_by_step() {
    let mut line = Line::ready(&[]);
    line.session.send(&envelope(&["b@c.example", "d@c.example"]), BODY);
    assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com>\r\n");
    assert_eq!(line.says("250 ok\r\n"), "RCPT TO:<b@c.example>\r\n");
    assert_eq!(line.says("450 4.2.0 Later\r\n"), "RCPT TO:<d@c.example>\r\n");
    assert_eq!(line.says("250 ok\r\n"), "DATA\r\n");
    line.says("354 go\r\n");
    assert_eq!(line.event(), Some(ClientEvent::Content));
    line.session.end_content();
    assert_eq!(line.sent(), ".\r\n");
    line.says("554 5.6.0 Bad content\r\n");
    assert_eq!(
        line.outcome(),
        "reusable|Transient 4.2.0 RCPT: 450 4.2.0 Later|Permanent 5.6.0 end of data: 554 5.6.0 Bad content"
    );
    // Nothing is left to say after a refusal of everything.
    line.session.send(&envelope(&["b@c.example"]), BODY);
    assert_eq!(line.sent(), "RSET\r\n");
    assert_eq!(line.says("250 ok\r\n"), "MAIL FROM:<a@contoso.com>\r\n");
    assert_eq!(line.says("550 5.7.1 Not you\r\n"), "");
    assert_eq!(line.outcome(), "reusable|Permanent 5.7.1 MAIL: 550 5.7.1 Not you");
}

#[test]
fn a_question_asks_for_recipients_and_sends_nothing() {
    let mut line = Line::ready(&["PIPELINING", "CHUNKING"]);
    line.session.send(&envelope(&["b@c.example", "d@c.example"]), MessageContent::Nothing);
    assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@c.example>\r\nRCPT TO:<d@c.example>\r\nRSET\r\n");
    line.says("250 ok\r\n250 ok\r\n550 5.1.1 No\r\n250 2.0.0 Reset\r\n");
    assert_eq!(line.outcome(), "reusable|ok 250 2.0.0 Reset|Permanent 5.1.1 RCPT: 550 5.1.1 No");
    // It has no transaction any more: the next message needs no RSET.
    line.session.send(&envelope(&["b@c.example"]), MessageContent::Nothing);
    assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@c.example>\r\nRSET\r\n");
    let mut line = Line::ready(&[]);
    line.session.send(&envelope(&["b@c.example"]), MessageContent::Nothing);
    assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com>\r\n");
    assert_eq!(line.says("550 5.7.1 Not you\r\n"), "RSET\r\n");
    line.says("250 ok\r\n");
    assert_eq!(line.outcome(), "reusable|Permanent 5.7.1 MAIL: 550 5.7.1 Not you");
}

#[test]
fn all_recipients_refused_and_yet_invited() {
    // RFC 2920 §3.1: an empty message, which nobody accepted.
    let mut line = Line::ready(&["PIPELINING"]);
    line.session.send(&envelope(&["b@c.example"]), BODY);
    line.sent();
    assert_eq!(line.says("250 ok\r\n550 5.1.1 No\r\n354 go\r\n"), ".\r\n");
    line.says("250 taken\r\n");
    assert_eq!(line.outcome(), "reusable|Permanent 5.1.1 RCPT: 550 5.1.1 No");
    line.session.send(&envelope(&["b@c.example"]), BODY);
    line.sent();
    line.says("250 ok\r\n550 5.1.1 No\r\n503 5.5.1 No recipients\r\n");
    line.outcome();
    line.session.send(&envelope(&["b@c.example"]), BODY);
    assert!(line.sent().starts_with("RSET\r\nMAIL"), "the server still has a transaction");
    line.says("451 4.3.0 Cannot\r\n");
    assert_eq!(line.outcome(), "closed|Transient 4.3.0 RSET: 451 4.3.0 Cannot");
}

#[test]
fn parameters_go_where_they_are_offered() {
    let mut mail = envelope(&["b@c.example"]);
    mail.body = BodyType::EightBitMime;
    mail.dsn_return = Some(DsnReturn::Headers);
    mail.envelope_id = Some("id+1\r\nQUIT".into());
    mail.recipients[0].notify = Some(Notify::On { success: true, failure: false, delay: true });
    mail.recipients[0].original = Some(OriginalRecipient { kind: "rfc822".into(), address: "x=y@z".into() });
    let mut line = Line::ready(&["PIPELINING", "CHUNKING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN"]);
    line.session.send(&mail, MessageContent::Streamed { size: 70_000 });
    assert_eq!(
        line.sent(),
        "MAIL FROM:<a@contoso.com> SIZE=70000 BODY=8BITMIME RET=HDRS ENVID=id+2B1+0D+0AQUIT\r\n\
         RCPT TO:<b@c.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+3Dy@z\r\nDATA\r\n"
    );
    for (keywords, change, expected) in [
        (&["SMTPUTF8"][..], "utf8", None),
        (
            &[],
            "utf8",
            Some("reusable|Permanent 5.6.7 MAIL: the message needs SMTPUTF8, which the server does not offer"),
        ),
        (&[], "flag", None),
        (
            &[],
            "8bit",
            Some("reusable|Permanent 5.6.3 MAIL: the message needs 8BITMIME, which the server does not offer"),
        ),
        (
            &["SIZE 10"],
            "",
            Some("reusable|Permanent 5.3.4 MAIL: the message is larger than the 10 octets that the server takes"),
        ),
    ] {
        let mut mail = envelope(&[if change == "utf8" { "ü@c.example" } else { "b@c.example" }]);
        // What is there counts, not what was said.
        (mail.body, mail.smtputf8) = match change {
            "flag" => (BodyType::EightBitMime, true),
            _ => (BodyType::SevenBit, false),
        };
        let body =
            if change == "8bit" { MessageContent::Whole("Subject: x\r\n\r\nGrüße\r\n".as_bytes()) } else { BODY };
        let mut line = Line::ready(keywords);
        line.session.send(&mail, body);
        match expected {
            Some(expected) => assert_eq!((line.sent().as_str(), line.outcome().as_str()), ("", expected)),
            None if change == "flag" => assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com>\r\n"),
            None => assert_eq!(line.sent(), "MAIL FROM:<a@contoso.com> SMTPUTF8\r\n"),
        }
    }
}

#[test]
fn bare_line_endings_never_leave() {
    // E2.2, in BDAT as in DATA.
    let mut line = Line::ready(&["PIPELINING", "CHUNKING"]);
    line.session.send(&envelope(&["b@c.example"]), MessageContent::Whole(b"a\n.\r\nb\rc\r"));
    assert!(line.sent().ends_with("BDAT 12 LAST\r\na\r\n.\r\nb\r\nc\r\n"));
}

#[test]
fn hostile_servers_while_sending() {
    // E2.15
    let full = "250 ok\r\n250 ok\r\n550 5.1.1 No\r\n";
    let dropped = "the server closed the connection";
    for (said, expected) in [
        // Everything was sent: the server may have taken it.
        (
            full.to_owned(),
            format!("closed|Transient 4.4.2 end of data: {dropped} AMBIGUOUS|Permanent 5.1.1 RCPT: 550 5.1.1 No"),
        ),
        (
            "250 o".to_owned(),
            format!(
                "closed|Transient 4.4.2 end of data: {dropped} AMBIGUOUS|Transient 4.4.2 end of data: {dropped} AMBIGUOUS"
            ),
        ),
        (
            "250 ok\r\n421 4.3.2 Going down\r\n".to_owned(),
            "closed|Transient 4.3.2 RCPT: 421 4.3.2 Going down|Transient 4.3.2 RCPT: 421 4.3.2 Going down".to_owned(),
        ),
        (format!("{full}250 Queued\r\n"), "reusable|ok 250 Queued|Permanent 5.1.1 RCPT: 550 5.1.1 No".to_owned()),
        // One reply too many: whose is it?
        (
            format!("{full}250 Queued\r\n250 again\r\n"),
            "closed|ok 250 Queued|Permanent 5.1.1 RCPT: 550 5.1.1 No".to_owned(),
        ),
        (format!("{full}250 Queued\r\n25"), "closed|ok 250 Queued|Permanent 5.1.1 RCPT: 550 5.1.1 No".to_owned()),
        (
            format!("{full}what?\r\n"),
            "closed|Transient 4.5.0 end of data: the server broke the protocol: a reply line does not start with a \
             reply code AMBIGUOUS|Permanent 5.1.1 RCPT: 550 5.1.1 No"
                .to_owned(),
        ),
        (
            format!("{full}452 4.3.1 Full\r\n"),
            "reusable|Transient 4.3.1 end of data: 452 4.3.1 Full|Permanent 5.1.1 RCPT: 550 5.1.1 No".to_owned(),
        ),
        (
            format!("{full}552 5.3.4 Big\r\n"),
            "reusable|Permanent 5.3.4 end of data: 552 5.3.4 Big|Permanent 5.1.1 RCPT: 550 5.1.1 No".to_owned(),
        ),
    ] {
        let mut line = Line::ready(&["PIPELINING", "CHUNKING"]);
        line.session.send(&envelope(&["b@c.example", "d@c.example"]), BODY);
        line.sent();
        line.says(&said);
        line.session.handle_disconnect();
        assert_eq!(line.outcome(), expected, "{said:?}");
    }
}

#[test]
fn content_that_breaks_off_is_never_ended() {
    for aborted in [true, false] {
        let mut line = Line::ready(&["PIPELINING"]);
        line.session.send(&envelope(&["b@c.example"]), BODY);
        line.sent();
        line.says("250 ok\r\n250 ok\r\n354 go\r\n");
        line.event();
        line.session.content(b"half");
        let expected = if aborted {
            line.session.abort_content();
            assert_eq!(line.sent(), "");
            "closed|Transient 4.3.0 DATA: the content could not be read"
        } else {
            line.session.handle_disconnect();
            "closed|Transient 4.4.2 DATA: the server closed the connection"
        };
        assert_eq!(line.outcome(), expected);
    }
}

#[test]
fn an_idle_session_that_is_spoken_to_is_over() {
    for (said, expected) in [
        ("421 4.4.2 Idle too long\r\n", "between messages: 421 4.4.2 Idle too long"),
        ("250 surplus\r\n", "between messages: the server sent a reply that nothing asked for"),
    ] {
        let mut line = Line::ready(&[]);
        line.says(said);
        let Some(ClientEvent::Failed(failure)) = line.event() else { panic!("{said}") };
        assert_eq!(failure.to_string(), expected);
        assert!(!line.session.is_ready());
    }
    let mut line = Line::ready(&[]);
    line.session.quit();
    assert_eq!(line.sent(), "QUIT\r\n");
    line.says("221 bye\r\n250 and more\r\n");
    assert_eq!(line.event(), Some(ClientEvent::Closed));
}

#[test]
fn a_great_many_recipients_are_not_sent_all_at_once() {
    let addresses: Vec<String> = (0..350).map(|number| format!("r{number}@c.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut line = Line::ready(&["PIPELINING", "CHUNKING"]);
    line.session.send(&envelope(&addresses), BODY);
    let mut sent = line.sent();
    assert_eq!(sent.lines().count(), 100);
    let mut commands = 0;
    while !sent.is_empty() {
        let count = sent
            .lines()
            .filter(|line| line.starts_with("MAIL") || line.starts_with("RCPT") || line.starts_with("BDAT"))
            .count();
        commands += count;
        sent = line.says(&"250 ok\r\n".repeat(count));
    }
    assert_eq!(commands, 352);
    assert!(line.outcome().starts_with("reusable|ok 250 ok|"));
}
