//! Files as people and programs write them, and what becomes of each.

use std::sync::LazyLock;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

static DOMAIN: LazyLock<Domain> = LazyLock::new(|| Domain::parse("contoso.com").unwrap());
static SERVER: LazyLock<Domain> = LazyLock::new(|| Domain::parse("mail1.contoso.com").unwrap());

fn context() -> Context<'static> {
    Context { id: MessageId::from_uuid(Uuid::nil()), now: Timestamp::from_millis(0), domain: &DOMAIN, server: &SERVER }
}

fn picked(text: &str) -> Result<(String, Vec<String>, String), Unusable> {
    shown_of(pickup(text.as_bytes(), &context()))
}

fn replayed(text: &str) -> Result<(String, Vec<String>, String), Unusable> {
    shown_of(replay(text.as_bytes(), &context()))
}

fn shown_of(found: Result<Found, Unusable>) -> Result<(String, Vec<String>, String), Unusable> {
    let found = found?;
    let recipients = found.envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let content = String::from_utf8(found.content.into()).unwrap();
    Ok((found.envelope.reverse_path.to_string(), recipients, content))
}

#[test]
fn a_message_that_somebody_wrote_is_sent_to_whom_its_header_names() {
    // PL-59, PL-60, PL-61
    let text = "Received: from elsewhere\nResent-To: x@other.example\nFrom: Ann <ann@contoso.com>\nTo: bob@contoso.com,\n \
                BOB@contoso.com\nBcc: eve@contoso.com\nX-MS-Exchange-Organization-SCL: -1\nSubject: Hello\n\nBody\n";
    let (sender, recipients, content) = picked(text).unwrap();
    assert_eq!(
        (sender.as_str(), recipients),
        ("ann@contoso.com", vec!["bob@contoso.com".into(), "eve@contoso.com".into()])
    );
    assert!(content.starts_with("Received: from localhost by Pickup with Postroad id "), "{content}");
    assert!(content.contains("\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <"), "{content}");
    assert!(content.contains("@contoso.com>\r\nFrom: Ann <ann@contoso.com>\r\n"), "{content}");
    assert!(content.ends_with("Subject: Hello\r\n\r\nBody\r\n"), "{content}");
    for gone in ["elsewhere", "Resent", "eve", "SCL"] {
        assert!(!content.contains(gone), "{gone}: {content}");
    }
    let (_, _, content) = picked("From: a@contoso.com\nBcc: b@contoso.com\n\n").unwrap();
    assert!(content.contains("To: Undisclosed Recipients:;\r\n"), "{content}");
}

#[test]
fn the_sender_is_who_is_responsible() {
    // PL-59
    let sender = |header: &str| picked(&format!("{header}To: b@contoso.com\n\n")).map(|(sender, ..)| sender);
    for (header, expected) in [
        ("From: a@contoso.com\n", Ok("a@contoso.com")),
        ("From: a@contoso.com\nSender: s@contoso.com\n", Ok("a@contoso.com")),
        ("From: a@contoso.com, c@contoso.com\nSender: s@contoso.com\n", Ok("s@contoso.com")),
        ("Sender: s@contoso.com\n", Ok("s@contoso.com")),
        ("From: a@contoso.com, c@contoso.com\n", Err(Unusable::WhichSender)),
        ("From: a@contoso.com\nSender: s@contoso.com, t@contoso.com\n", Err(Unusable::Senders)),
        ("", Err(Unusable::NoSender)),
    ] {
        assert_eq!(sender(header), expected.map(str::to_owned), "{header:?}");
    }
}

#[test]
fn a_file_that_is_no_message_is_refused_with_the_reason() {
    // PL-65
    let many: String = (0..=PICKUP_RECIPIENTS_MAX).map(|number| format!("To: r{number}@contoso.com\n")).collect();
    for (text, expected) in [
        ("From: a@contoso.com\n\n".to_owned(), Unusable::NoRecipients),
        ("From: a@contoso.com\nTo: nobody\n\n".into(), Unusable::NoAddress("nobody".into())),
        (format!("From: a@contoso.com\n{many}\n"), Unusable::Recipients),
        ("From: a@contoso.com\rTo: b@contoso.com\n\n".into(), Unusable::LoneCr),
        (String::new(), Unusable::NoSender),
    ] {
        assert_eq!(picked(&text), Err(expected), "{text:.80}");
    }
    let large = format!("From: a@contoso.com\nTo: b@contoso.com\nX: {}\n\n", "x".repeat(70_000));
    assert!(matches!(picked(&large), Err(Unusable::Header(_))));
}

#[test]
fn what_was_exported_is_replayed_to_its_envelope() {
    // PL-62, PL-63, QU-59
    let text = "X-Sender: <ann@contoso.com> BODY=8BITMIME RET=HDRS ENVID=a+2Bb\r\nX-Receiver: <bob@contoso.com> NOTIFY=NEVER\r\n\
                X-Receiver: eve@contoso.com\r\nX-CreatedBy: MSExchange15\r\nX-Source: SMTP:Default\r\n\
                X-EndOfInjectedXHeaders: 120\r\nReceived: from before\r\nX-MS-Exchange-Organization-SCL: -1\r\nFrom: x@other.example\r\n\
                Message-ID: <1@other.example>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nBcc: q@contoso.com\r\nTo: y@other.example\r\n\r\nBody\r\n";
    let found = replay(text.as_bytes(), &context()).unwrap();
    assert_eq!((found.kind, &*found.source), (OriginKind::Authenticated, "SMTP:Default"));
    assert_eq!(found.envelope.envelope_id.as_deref(), Some("a+b"));
    assert_eq!(found.envelope.body, BodyType::EightBitMime);
    assert_eq!(found.envelope.recipients[0].notify, Some(envelope::Notify::Never));
    let (sender, recipients, content) = replayed(text).unwrap();
    assert_eq!(
        (sender.as_str(), recipients),
        ("ann@contoso.com", vec!["bob@contoso.com".into(), "eve@contoso.com".into()])
    );
    let rest = "Received: from before\r\nX-MS-Exchange-Organization-SCL: -1\r\nFrom: x@other.example\r\n\
                Message-ID: <1@other.example>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nTo: y@other.example\r\n\r\nBody\r\n";
    assert!(content.starts_with("Received: from mail1.contoso.com by Replay") && content.ends_with(rest), "{content}");

    // What follows the last one is the message's own, whatever it is called.
    let forged = text.replace("Received: from before", "X-Receiver: <forged@contoso.com>\r\nReceived: from before");
    let (_, recipients, content) = replayed(&forged).unwrap();
    assert!(recipients.len() == 2 && content.contains("X-Receiver: <forged@contoso.com>"), "{recipients:?} {content}");

    // PF-28: whoever is no server keeps what is on its way, and nothing of the organization.
    let by_gateway = text.replace("MSExchange15", "FAX");
    let found = replay(by_gateway.as_bytes(), &context()).unwrap();
    let content = String::from_utf8(found.content.into()).unwrap();
    assert!(content.contains("from before") && !content.contains("SCL"), "{content}");
    assert_eq!(found.kind, OriginKind::Anonymous);
}

#[test]
fn what_is_known_of_its_first_session_is_kept() {
    // PL-62, PL-63
    let text = |fields: &str| {
        format!("X-Sender: <a@contoso.com>\n{fields}X-Receiver: <b@contoso.com>\n NOTIFY=NEVER\nSubject: x\n\n")
    };
    let found =
        replay(text("X-HeloDomain: host.example\nX-SourceIPAddress: 192.0.2.7\n").as_bytes(), &context()).unwrap();
    assert_eq!(found.client_address, Some([192, 0, 2, 7].into()));
    assert!(found.content.starts_with(b"Received: from host.example by Replay with "), "{:?}", found.content);
    // A line may be folded.
    assert_eq!(found.envelope.recipients[0].notify, Some(envelope::Notify::Never));
    for unknown in ["", "X-SourceIPAddress: 0.0.0.0\n", "X-SourceIPAddress: whoever\n"] {
        assert_eq!(replay(text(unknown).as_bytes(), &context()).unwrap().client_address, None);
    }
}

#[test]
fn the_mark_of_an_editor_is_no_part_of_the_first_field() {
    let (sender, ..) = picked("\u{feff}From: a@contoso.com\nTo: b@contoso.com\n\n").unwrap();
    assert_eq!(sender, "a@contoso.com");
    let (sender, ..) = replayed("\u{feff}X-Sender: <a@contoso.com>\nX-Receiver: <b@contoso.com>\n\n").unwrap();
    assert_eq!(sender, "a@contoso.com");
}

#[test]
fn a_gateway_writes_addresses_as_it_knows_them() {
    // EN-69, EN-73: as Drop directories have them.
    let text = "X-Sender: X400:C=DE;A= ;P=Telekom;S=Eve\nX-Receiver: FAX:+49 30/1\n\
                X-Receiver: <FAX:2> NOTIFY=NEVER\nX-Receiver: ann@contoso.com\nX-CreatedBy: X400\nSubject: x\n\n";
    let (sender, recipients, _) = replayed(text).unwrap();
    assert_eq!(sender, "IMCEAX400-C=DE+3BA=+20+3BP=Telekom+3BS=Eve@contoso.com");
    assert_eq!(recipients, ["IMCEAFAX-+2B49+2030_1@contoso.com", "IMCEAFAX-2@contoso.com", "ann@contoso.com"]);
    let wrong = "X-Sender: <>\nX-Receiver: FAX:ü\n\n";
    assert_eq!(replayed(wrong), Err(Unusable::NoAddress("FAX:ü".to_owned())));
}

#[test]
fn a_file_without_an_envelope_is_not_replayed() {
    // PL-62
    let (sender, receiver) = ("X-Sender: <a@contoso.com>\n", "X-Receiver: <b@contoso.com>\n");
    for (text, expected) in [
        (receiver.to_owned(), Unusable::XSender),
        (format!("{sender}{sender}{receiver}"), Unusable::XSender),
        (sender.to_owned(), Unusable::XReceiver),
        // In front of the others, or it is a field of the message.
        (format!("{sender}Subject: x\n{receiver}"), Unusable::XReceiver),
        (format!("{sender}{receiver}X-CreatedBy:\n"), Unusable::XCreatedBy),
    ] {
        assert_eq!(replayed(&format!("{text}\n")), Err(expected), "{text}");
    }
    let wrong = format!("{sender}X-Receiver: <b@contoso.com> NOTIFY=MAYBE\n\n");
    assert!(matches!(replayed(&wrong), Err(Unusable::Parameter("X-Receiver", _))));
    let (null, ..) = replayed(&format!("X-Sender: <>\n{receiver}\n")).unwrap();
    assert_eq!(null, "");
}

proptest! {
    #[test]
    fn no_file_is_a_panic(text in "(X-Sender: |X-Receiver: |From: |To: |<|>|@|a|é|\r|\n|:| |;|,){0,60}") {
        let _either = pickup(text.as_bytes(), &context());
        if let Ok(found) = replay(text.as_bytes(), &context()) {
            prop_assert!(!found.envelope.recipients.is_empty());
            prop_assert!(HeaderBlock::new(message::split_header(&found.content).0).message_id().is_some());
        }
    }
}
