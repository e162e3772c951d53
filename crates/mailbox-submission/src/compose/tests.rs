//! Headers as mail programs write them, and what becomes of them.

use envelope::BodyType;
use proptest::prelude::*;
use topology::{DeliveryRestrictions, Guid, RecipientKind};

use super::*;

fn owner() -> DirectoryRecipient {
    let address = |text| Address::parse(text).unwrap();
    DirectoryRecipient {
        guid: Guid::ZERO,
        name: "ann".parse().unwrap(),
        primary_address: address("Ann.Lee@contoso.com"),
        proxy_addresses: vec![address("ann@contoso.com")],
        max_receive_size: None,
        max_send_size: None,
        restrictions: DeliveryRestrictions::default(),
        kind: RecipientKind::Mailbox { database: "DB1".parse().unwrap(), password: None },
        provenance: None,
    }
}

fn composed(header: &str) -> Result<Composed, Unsendable> {
    let scan = Scan { header: header.as_bytes().to_vec(), ..Scan::default() };
    let (owner, domain) = (owner(), Domain::parse("contoso.com").unwrap());
    let id = MessageId::from_bytes([0x11; 16]);
    let now = Timestamp::from_millis(1_795_251_600_999);
    compose(&scan, &Context { owner: &owner, id, now, domain: &domain })
}

fn header_of(composed: &Composed) -> &str {
    std::str::from_utf8(&composed.header).unwrap()
}

const COMPLETE: &str = "Date: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@client>\r\n";

#[test]
fn the_envelope_is_made_of_the_owner_and_of_all_recipients_once() {
    let header = "From: Ann <ANN@contoso.com>\r\nTo: Bob <bob@contoso.com>, team: c@d.example;\r\n\
                  Cc: BOB@contoso.com\r\nBcc: secret@d.example\r\nTo: more@d.example\r\n\r\n";
    let composed = composed(header).unwrap();
    let envelope = &composed.envelope;
    assert_eq!(envelope.reverse_path.to_string(), "Ann.Lee@contoso.com"); // PL-44
    let recipients: Vec<_> = envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(recipients, ["bob@contoso.com", "c@d.example", "more@d.example", "secret@d.example"]);
    assert_eq!((envelope.body, envelope.smtputf8), (BodyType::SevenBit, false));
}

#[test]
fn what_is_private_goes_and_what_is_missing_is_added() {
    let kept = "From: ann@contoso.com\r\nTo: bob@contoso.com\r\nSubject: x\r\n\r\n";
    let private = "Bcc: a@b.example,\r\n c@d.example\r\nX-Postroad-Failure: 5.1.3\r\nReturn-Path: <>\r\n\
                   Received: from x\r\nX-MS-Exchange-Organization-SCL: -1\r\n\
                   x-ms-exchange-forest-a: b\r\n";
    let whole = composed(&format!("{private}{COMPLETE}{kept}")).unwrap();
    assert_eq!(header_of(&whole), format!("{COMPLETE}{kept}")); // PF-30a
    let added = "Date: Sat, 21 Nov 2026 09:00:00 +0000\r\n\
                 Message-ID: <11111111-1111-1111-1111-111111111111@contoso.com>\r\n";
    assert_eq!(header_of(&composed(kept).unwrap()), format!("{added}{kept}")); // PL-61
    let unreadable = composed(&format!("Date: soon\r\nMessage-ID: \r\n{kept}")).unwrap();
    assert_eq!(header_of(&unreadable), format!("{added}{kept}"));
}

/// RFC 5322 §3.6.6: who gets it once more stands in the topmost block; the others have it already.
#[test]
fn a_message_sent_again_goes_to_those_of_the_topmost_resent_fields_only() {
    let original = "From: ann@contoso.com\r\nTo: bob@contoso.com\r\nCc: team@contoso.com\r\nBcc: b@c.example\r\n\r\n";
    let recipients = |header: String| {
        let composed = composed(&header)?;
        for name in ["Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"] {
            assert!(HeaderBlock::new(&composed.header).field(name).is_none(), "{name}");
        }
        let envelope = composed.envelope;
        Ok::<_, Unsendable>(envelope.recipients.iter().map(|one| one.address.to_string()).collect::<Vec<_>>())
    };
    let again =
        "Resent-From: ann@contoso.com\r\nResent-To: eve@d.example,\r\n fay@d.example\r\nresent-bcc: gil@d.example\r\n";
    let earlier = "Resent-From: ann@contoso.com\r\nResent-To: old@d.example\r\n";
    let wanted = Ok(["eve@d.example", "fay@d.example", "gil@d.example"].map(str::to_owned).to_vec());
    assert_eq!(recipients(format!("{again}{original}")), wanted);
    assert_eq!(recipients(format!("{again}{earlier}{original}")), wanted);
    // Nobody sends as somebody else this way.
    for sender in ["Resent-From: boss@contoso.com\r\n", "Resent-Sender: boss@contoso.com\r\n"] {
        assert!(matches!(recipients(format!("{sender}{again}{original}")), Err(Unsendable::NotOwner(_))), "{sender}");
    }
    let unreadable = recipients(format!("Resent-To: nobody\r\n{original}"));
    assert_eq!(unreadable, Err(Unsendable::RecipientUnreadable("nobody".to_owned())));
}

#[test]
fn a_header_without_its_empty_line_gets_one() {
    for end in ["", "\r\n"] {
        let composed = composed(&format!("{COMPLETE}From: ann@contoso.com\r\nTo: b@c.example{end}")).unwrap();
        assert!(header_of(&composed).ends_with("To: b@c.example\r\n\r\n"), "{end:?}");
    }
}

#[test]
fn what_needs_smtputf8_says_so() {
    for (line, needed) in [("Subject: x", false), ("Subject: Grüße", true), ("Cc: grün@d.example", true)] {
        let composed = composed(&format!("From: ann@contoso.com\r\nTo: b@c.example\r\n{line}\r\n\r\n")).unwrap();
        assert_eq!(composed.envelope.smtputf8, needed, "{line}");
    }
}

#[test]
fn what_cannot_be_sent_says_why() {
    let long = format!("From: ann@contoso.com\r\nTo: {}\r\n\r\n", "bob@contoso.com, ".repeat(5000));
    for (header, status, text) in [
        ("To: b@c.example\r\n\r\n", "5.6.0", "the message has no From"),
        (
            "From: boss@contoso.com\r\nTo: b@c.example\r\n\r\n",
            "5.7.1",
            "boss@contoso.com is no address of this mailbox",
        ),
        ("From: ann@contoso.com, boss@contoso.com\r\nTo: b@c.example\r\n\r\n", "5.7.1", "boss@contoso.com"),
        ("From: ann@contoso.com\r\nFrom: boss@contoso.com\r\nTo: b@c.example\r\n\r\n", "5.7.1", "boss@contoso.com"),
        ("From: ann@contoso.com\r\nSender: boss@contoso.com\r\nTo: b@c.example\r\n\r\n", "5.7.1", "boss@contoso.com"),
        ("From: boss\r\nTo: b@c.example\r\n\r\n", "5.7.1", "boss"),
        ("From: ann@contoso.com\r\nSubject: x\r\n\r\n", "5.1.3", "no recipients"),
        ("From: ann@contoso.com\r\nTo: undisclosed-recipients:;\r\n\r\n", "5.1.3", "no recipients"),
        ("From: ann@contoso.com\r\nTo: b@c.example, bob\r\n\r\n", "5.1.3", "\"bob\" is not an address"),
        ("From: ann@contoso.com\r\nTo: b@c.example\r\nCc: x@[192.0.2.1]\r\n\r\n", "5.1.3", "is not an address"),
        (&long, "5.5.3", "longer than 65536 octets"),
    ] {
        let error = composed(header).unwrap_err();
        assert_eq!(error.status().to_string(), status, "{header:.200}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let scan = Scan { has_lone_cr: true, ..Scan::default() };
    let (owner, domain) = (owner(), Domain::parse("contoso.com").unwrap());
    let (id, now) = (MessageId::from_bytes([1; 16]), Timestamp::from_millis(0));
    assert_eq!(compose(&scan, &Context { owner: &owner, id, now, domain: &domain }), Err(Unsendable::LoneCr));
}

proptest! {
    #[test]
    fn nothing_private_leaves_whatever_the_header_is(
        text in "(From: ann@contoso\\.com|To: b@c\\.example|Bcc: s@x\\.example|bcc :s@x\\.example| fold|X: \\PC{0,9}|\\r\\n){0,12}"
    ) {
        if let Ok(composed) = composed(&text) {
            let block = HeaderBlock::new(&composed.header);
            prop_assert!(block.field("Bcc").is_none());
            prop_assert!(composed.header.ends_with(b"\r\n\r\n"));
            prop_assert_eq!(composed.envelope.reverse_path.to_string(), "Ann.Lee@contoso.com");
        }
    }
}
