//! Golden notifications, and what mail-parser reads in them.

use super::*;
use envelope::{OriginalRecipient, ReversePath};
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

const HEADER: &str = "Received: from a ([10.0.0.1]) by mbx1.contoso.com with ESMTP\r\n\
    X-MS-Exchange-Organization-AuthAs: Internal\r\nFrom: Ann <ann@contoso.com>\r\nTo: <bob@fabrikam.com>\r\n\
    Subject: Quarterly figures\r\nMessage-ID: <original@contoso.com>\r\n\r\n";
const BODY: &str = "Hello Bob,\r\n--=_not the boundary\r\nAnn\r\n";

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn envelope() -> Envelope {
    let mut bob = Recipient::new(address("bob@fabrikam.com"));
    bob.original = Some(OriginalRecipient { kind: "rfc822".into(), address: "robert@contoso.com".into() });
    let recipients = vec![bob, Recipient::new(address("carl@fabrikam.com"))];
    let mut envelope = Envelope::new(ReversePath::Address(address("ann@contoso.com")), recipients);
    envelope.envelope_id = Some("QQ314159".into());
    envelope
}

/// What a case changes about the report on `reports`.
fn build(action: Action, envelope: &Envelope, header: &str, reports: &[RecipientReport<'_>], limit: ByteSize) -> Dsn {
    let domain = |text| Domain::parse(text).unwrap();
    Report {
        action,
        id: MessageId::from_bytes([1; 16]),
        date: Timestamp::from_millis(1_795_255_200_000),
        from: &address("postmaster@contoso.com"),
        to: envelope.reverse_path.address().unwrap(),
        reporting_mta: &domain("contoso.com"),
        generating_server: &domain("mbx1.contoso.com"),
        original: Original {
            envelope,
            header: HeaderBlock::new(header.as_bytes()),
            body_is_ascii: true,
            size: ByteSize::bytes((header.len() + BODY.len()) as u64),
            arrival: Timestamp::from_millis(1_795_251_600_000),
        },
        recipients: reports,
        attached_size_max: limit,
        eight_bit_way: false,
    }
    .build()
}

fn whole(dsn: &Dsn) -> Vec<u8> {
    let body = if dsn.returns == DsnReturn::Full { BODY.as_bytes() } else { b"" };
    [dsn.prefix.as_slice(), body, &dsn.suffix].concat()
}

fn check_golden(name: &str, expected: &str, dsn: &Dsn) {
    let actual = String::from_utf8(whole(dsn)).unwrap();
    assert!(actual.split("\r\n").all(|line| !line.contains(['\r', '\n'])), "lone CR or LF");
    assert_eq!(actual.replace("\r\n", "\n"), expected, "golden/{name}.eml");
}

#[test]
fn failure_of_two_recipients_is_one_notification() {
    // DS-07, DS-08, DS-09, DS-10, DS-12, DS-14, DS-41, DS-44
    let envelope = envelope();
    let refused = Reply::new(550, EnhancedStatus::new(5, 1, 1), "User unknown");
    let expired = Reply::new(550, EnhancedStatus::new(4, 4, 7), "QUEUE.Expired; message expired");
    let mut bob = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(5, 1, 1));
    bob.reply = Some(&refused);
    bob.remote_mta = Some("mx1.fabrikam.com");
    let mut carl = RecipientReport::new(&envelope.recipients[1], EnhancedStatus::new(4, 4, 7));
    carl.reply = Some(&expired);
    carl.last_error = Some("connect mx2.fabrikam.com [192.0.2.2]:25: timed out");
    carl.last_attempt = Some(Timestamp::from_millis(1_795_254_000_000));
    let dsn = build(Action::Failed, &envelope, HEADER, &[bob, carl], ATTACHED_SIZE_MAX);
    assert_eq!((dsn.returns, dsn.body, dsn.smtputf8), (DsnReturn::Full, BodyType::SevenBit, false));
    check_golden("failed", include_str!("golden/failed.eml"), &dsn);
}

#[test]
fn delay_says_until_when_and_returns_headers_only() {
    // DS-20; RFC 3461 §4.3
    let mut envelope = envelope();
    envelope.dsn_return = Some(DsnReturn::Full);
    let mut bob = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(4, 4, 7));
    bob.last_error = Some("451 4.7.1 greylisted");
    bob.will_retry_until = Some(Timestamp::from_millis(1_795_420_000_000));
    let dsn = build(Action::Delayed, &envelope, HEADER, &[bob], ATTACHED_SIZE_MAX);
    assert_eq!(dsn.returns, DsnReturn::Headers);
    check_golden("delayed", include_str!("golden/delayed.eml"), &dsn);
}

#[test]
fn delivery_beyond_ascii() {
    // RFC 6533
    let mut envelope = envelope();
    envelope.recipients = vec![Recipient::new(address("büro@例子.example"))];
    envelope.smtputf8 = true;
    let one = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(2, 1, 5));
    let header = "Subject: Grüße\r\n\r\n";
    // To a sender whose host may know ASCII only.
    let dsn = build(Action::Delivered, &envelope, header, &[one], ATTACHED_SIZE_MAX);
    assert_eq!((dsn.body, dsn.smtputf8), (BodyType::SevenBit, false));
    assert!(whole(&dsn).is_ascii());
    check_golden("delivered-ascii", include_str!("golden/delivered-ascii.eml"), &dsn);
    // To one that needs SMTPUTF8 himself.
    envelope.reverse_path = ReversePath::Address(address("änn@contoso.com"));
    let one = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(2, 1, 5));
    let dsn = build(Action::Delivered, &envelope, header, &[one], ATTACHED_SIZE_MAX);
    assert_eq!((dsn.body, dsn.smtputf8), (BodyType::EightBitMime, true));
    check_golden("delivered-utf8", include_str!("golden/delivered-utf8.eml"), &dsn);
}

#[test]
fn a_report_needs_only_what_it_holds() {
    // What the original came with does not matter, and what its sender's host may lack is not needed.
    let wide_header = "Subject: Grüße\r\n\r\n";
    for (header, body_is_ascii, eight_bit_way, returns, body) in [
        (HEADER, true, false, DsnReturn::Full, BodyType::SevenBit),
        (HEADER, true, true, DsnReturn::Full, BodyType::SevenBit),
        (HEADER, false, false, DsnReturn::Headers, BodyType::SevenBit),
        (HEADER, false, true, DsnReturn::Full, BodyType::EightBitMime),
        (wide_header, true, false, DsnReturn::Headers, BodyType::SevenBit),
        (wide_header, true, true, DsnReturn::Full, BodyType::EightBitMime),
    ] {
        let mut envelope = envelope();
        (envelope.smtputf8, envelope.body) = (true, BodyType::EightBitMime);
        let one = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(5, 0, 0));
        let domain = Domain::parse("contoso.com").unwrap();
        let report = Report {
            action: Action::Failed,
            id: MessageId::from_bytes([1; 16]),
            date: Timestamp::from_millis(0),
            from: &address("postmaster@müller.example"),
            to: &address("ann@contoso.com"),
            reporting_mta: &Domain::parse("müller.example").unwrap(),
            generating_server: &domain,
            original: Original {
                envelope: &envelope,
                header: HeaderBlock::new(header.as_bytes()),
                body_is_ascii,
                size: ByteSize::bytes(100),
                arrival: Timestamp::from_millis(0),
            },
            recipients: &[one],
            attached_size_max: ATTACHED_SIZE_MAX,
            eight_bit_way,
        };
        let dsn = report.build();
        assert_eq!(
            (dsn.returns, dsn.body, dsn.smtputf8),
            (returns, body, false),
            "{header} {body_is_ascii} {eight_bit_way}"
        );
        assert!(dsn.body == BodyType::EightBitMime || dsn.prefix.is_ascii());
        let text = String::from_utf8_lossy(&dsn.prefix).into_owned();
        assert!(text.contains("Reporting-MTA: dns; xn--mller-kva.example\r\n"), "{text}");
        assert!(
            text.contains("Message-ID: <01010101-0101-0101-0101-010101010101@xn--mller-kva.example>\r\n"),
            "{text}"
        );
        assert!(text.contains("report-type=delivery-status;") && !text.contains("global-delivery-status"), "{text}");
        assert_eq!(text.contains("message/global"), body == BodyType::EightBitMime && header == wide_header);
    }
}

#[test]
fn how_much_is_returned() {
    // DS-13, RFC 3461 §4.3
    let one_mb = ByteSize::mib(1);
    for (action, ret, limit, expected) in [
        (Action::Failed, None, one_mb, DsnReturn::Full),
        (Action::Failed, Some(DsnReturn::Full), one_mb, DsnReturn::Full),
        (Action::Failed, Some(DsnReturn::Headers), one_mb, DsnReturn::Headers),
        (Action::Failed, Some(DsnReturn::Full), ByteSize::bytes((HEADER.len() + BODY.len()) as u64), DsnReturn::Full),
        (Action::Failed, Some(DsnReturn::Full), ByteSize::bytes(10), DsnReturn::Headers),
        (Action::Failed, None, ByteSize::bytes(0), DsnReturn::Headers),
        (Action::Relayed, Some(DsnReturn::Full), one_mb, DsnReturn::Headers),
        (Action::Expanded, None, one_mb, DsnReturn::Headers),
    ] {
        let mut envelope = envelope();
        envelope.dsn_return = ret;
        let one = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(5, 0, 0));
        assert_eq!(build(action, &envelope, HEADER, &[one], limit).returns, expected, "{action:?} {ret:?} {limit:?}");
    }
}

#[test]
fn mail_parser_reads_report_and_original() {
    let envelope = envelope();
    let one = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(5, 1, 1));
    let bytes = whole(&build(Action::Failed, &envelope, HEADER, &[one], ATTACHED_SIZE_MAX));
    let message = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(message.subject(), Some("Undeliverable: Quarterly figures")); // DS-45
    let kind = message.content_type().unwrap();
    assert_eq!((kind.ctype(), kind.attribute("report-type")), ("multipart", Some("delivery-status")));
    assert_eq!(message.parts.len(), 4);
    let original = message.parts[3].message().unwrap();
    assert_eq!(original.subject(), Some("Quarterly figures"));
    assert_eq!(original.received(), None); // DS-14
    assert_eq!(original.body_text(0).unwrap().replace("\r\n", "\n"), BODY.replace("\r\n", "\n"));
}

#[test]
fn a_header_without_an_end_gets_one() {
    assert_eq!(returned_header(HeaderBlock::new(b"A: 1")), b"A: 1\r\n\r\n");
    assert_eq!(returned_header(HeaderBlock::new(b"A: 1\r\n")), b"A: 1\r\n\r\n");
    assert_eq!(returned_header(HeaderBlock::new(b"")), b"\r\n");
    assert_eq!(returned_header(HeaderBlock::new(b"A: 1\r\n\r\n")), b"A: 1\r\n\r\n");
}

proptest! {
    #[test]
    fn nothing_from_outside_adds_a_field_or_a_part(
        reply in "(\\PC|[\r\n:]|--=_|Bcc: x){0,60}",
        remote in "[\\PC\r\n]{0,30}",
        error in "[\\PC\r\n]{0,30}",
        subject in "(\\PC|\r\n |=\\?){0,40}",
        envid in "[\\PC\r\n]{0,30}",
    ) {
        // peers E2-17
        let mut envelope = envelope();
        envelope.envelope_id = Some(envid.into());
        let reply = Reply::plain(550, reply);
        let mut one = RecipientReport::new(&envelope.recipients[0], EnhancedStatus::new(5, 0, 0));
        (one.reply, one.remote_mta, one.last_error) = (Some(&reply), Some(remote.as_str()), Some(error.as_str()));
        let header = format!("Subject: {subject}\r\nMessage-ID: <{remote}>\r\n\r\n");
        let (header, _) = crate::split_header(header.as_bytes());
        let header = String::from_utf8(header.to_vec()).unwrap();
        let dsn = build(Action::Failed, &envelope, &header, &[one], ByteSize::bytes(0));
        let bytes = whole(&dsn);
        let message = MessageParser::default().parse(&bytes).unwrap();
        prop_assert_eq!(message.parts.len(), 4);
        let (top, _) = crate::split_header(&bytes);
        let names: Vec<_> = HeaderBlock::new(top).fields().map(|f| String::from_utf8_lossy(f.name()).into_owned()).collect();
        let expected = ["From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
            "MIME-Version", "Content-Transfer-Encoding", "Content-Type"];
        prop_assert!(names.iter().all(|name| expected.contains(&name.as_str())), "{names:?}");
        let mut status = String::new();
        push_status_lines(&mut status, &bytes);
        let allowed = ["Reporting-MTA", "Original-Envelope-Id", "Arrival-Date", "Original-Recipient", "Final-Recipient",
            "Action", "Status", "Remote-MTA", "Diagnostic-Code"];
        for line in status.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with(' ')) {
            prop_assert!(allowed.iter().any(|name| line.starts_with(&format!("{name}:"))), "{line:?}");
        }
    }
}

/// The lines of the `message/delivery-status` part.
fn push_status_lines(out: &mut String, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (_, rest) = text.split_once("Content-Type: message/delivery-status\r\n\r\n").unwrap();
    let (status, _) = rest.split_once("\r\n--=_").unwrap();
    out.push_str(status);
}
