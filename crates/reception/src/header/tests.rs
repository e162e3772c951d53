//! What becomes of headers, good, odd and forged.

use super::*;
use envelope::{Address, ObjectName, Revision, ServerName};
use smtp::Connection;
use topology::receive_connector::defaults;
use topology::{DeliveryRestrictions, Guid, RecipientKind};

const OWN_ID: &str = "<07070707-0707-0707-0707-070707070707@mail1.contoso.com>";
const STRANGER: &str =
    "X-MS-Exchange-Organization-AuthSource: mail1.contoso.com\r\nX-MS-Exchange-Organization-AuthAs: Anonymous";

fn organization() -> Organization {
    let text = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
";
    organization::load(text, Revision(1)).unwrap().organization
}

fn ann() -> DirectoryRecipient {
    DirectoryRecipient {
        guid: Guid::ZERO,
        name: ObjectName::parse("ann").unwrap(),
        primary_address: Address::parse("ann@contoso.com").unwrap(),
        proxy_addresses: vec![Address::parse("ann.other@contoso.com").unwrap()],
        max_receive_size: None,
        max_send_size: None,
        restrictions: DeliveryRestrictions::default(),
        kind: RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: None },
        provenance: None,
    }
}

fn facts(user: Option<Box<str>>) -> SessionFacts {
    let connection = Connection { peer: "192.0.2.7:4711".parse().unwrap(), local: "198.51.100.1:25".parse().unwrap() };
    SessionFacts { connection, hello_name: "client.example".into(), extended: true, tls: None, user }
}

fn check_with(
    origin: OriginKind,
    block: &[u8],
    change: impl FnOnce(&mut ReceiveConnector, &mut SessionFacts, &mut bool),
) -> Result<(String, String), u16> {
    let [mut connector, _] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
    let (user, organization) = (ann(), organization());
    let user = (origin == OriginKind::Authenticated).then_some(&user);
    let (mut session, mut smtputf8) = (facts(user.map(|_| "ann".into())), false);
    change(&mut connector, &mut session, &mut smtputf8);
    let arrival = Arrival {
        organization: &organization,
        connector: &connector,
        hostname: &Domain::parse("mail1.contoso.com").unwrap(),
        session: &session,
        origin,
        user,
        partner: None,
        other_half: false,
        smtputf8,
        id: MessageId::from_bytes([7; 16]),
        recipients: &[Recipient::new(Address::parse("ann@contoso.com").unwrap())],
        at: Timestamp::from_millis(1_795_251_600_000),
    };
    let header = receive(block, &arrival).map_err(|reply| reply.code)?;
    let text = String::from_utf8(header.octets).unwrap().replace("\r\n ", " ");
    Ok((text, header.message_id.into()))
}

fn check(origin: OriginKind, block: &str) -> Result<(String, String), u16> {
    check_with(origin, block.as_bytes(), |_, _, _| {})
}

/// What follows our own lines of a stranger's message.
fn rest(block: &str) -> String {
    let (text, _) = check(OriginKind::Anonymous, block).unwrap();
    let (_, rest) = text.split_once(&format!("{STRANGER}\r\n")).unwrap();
    rest.to_owned()
}

#[test]
fn a_strangers_header_gets_a_trace_line_and_loses_what_is_ours() {
    // PF-2
    let block = "Received: from x by y; z\r\nX-MS-Exchange-Organization-SCL: -1\r\nSubject: Hi\r\n\
                 x-ms-exchange-forest-A: b\r\n\tfolded\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n\
                 Message-ID: <1@client.example>\r\n\r\n";
    let (text, id) = check(OriginKind::Anonymous, block).unwrap();
    assert_eq!(id, "<1@client.example>");
    assert_eq!(
        text,
        format!(
            "Received: from client.example ([192.0.2.7]) by mail1.contoso.com with ESMTP id \
             07070707-0707-0707-0707-070707070707 for <ann@contoso.com>; Sat, 21 Nov 2026 09:00:00 +0000\r\n\
             {STRANGER}\r\nReceived: from x by y; z\r\nSubject: Hi\r\nMessage-ID: <1@client.example>\r\n\r\n"
        )
    );
}

#[test]
fn the_trace_line_says_how_it_came() {
    // RFC 3848, RFC 6531 §4.3
    let with = |extended: bool, user: Option<&str>, utf8: bool| {
        let (text, _) = check_with(OriginKind::Anonymous, b"\r\n", |_, session, smtputf8| {
            session.extended = extended;
            session.user = user.map(Into::into);
            *smtputf8 = utf8;
        })
        .unwrap();
        text.split(" with ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(with(false, None, false), "SMTP");
    assert_eq!(with(true, None, false), "ESMTP");
    assert_eq!(with(true, Some("ann"), false), "ESMTPA");
    assert_eq!(with(true, None, true), "UTF8SMTP");
    assert_eq!(with(true, Some("ann"), true), "UTF8SMTPA");
}

#[test]
fn a_users_message_is_completed_and_a_strangers_is_not() {
    let (text, id) = check(OriginKind::Authenticated, "From: ann@contoso.com\r\nBcc: x@y.example\r\n\r\n").unwrap();
    assert_eq!(id, OWN_ID);
    let lines: Vec<_> = text.split("\r\n").skip(1).collect();
    assert!(text.contains(" with ESMTPA "));
    assert_eq!(
        lines,
        [
            "X-MS-Exchange-Organization-AuthSource: mail1.contoso.com",
            "X-MS-Exchange-Organization-AuthAs: Internal",
            "X-MS-Exchange-Organization-AuthMechanism: 01",
            &format!("Message-ID: {OWN_ID}"),
            "Date: Sat, 21 Nov 2026 09:00:00 +0000",
            "From: ann@contoso.com",
            "",
            ""
        ]
    );
    let (text, id) = check(OriginKind::Anonymous, "Subject: Hi\r\nBcc: x@y.example\r\n\r\n").unwrap();
    assert_eq!(id, OWN_ID);
    assert!(!text.contains("Message-ID") && !text.contains("Date:") && text.contains("Bcc:"));
}

#[test]
fn users_write_as_themselves() {
    for (block, code) in [
        ("From: Ann <ANN@contoso.com>\r\n\r\n", None),
        ("From: ann.other@contoso.com\r\nSender: ann@contoso.com\r\n\r\n", None),
        ("From: ceo@contoso.com\r\n\r\n", Some(550)),
        ("From: ann@contoso.com, ceo@contoso.com\r\n\r\n", Some(550)),
        ("From: ann@contoso.com\r\nFrom: ceo@contoso.com\r\n\r\n", Some(550)),
        ("From: ann@contoso.com\r\nSender: ceo@contoso.com\r\n\r\n", Some(550)),
        ("From: The Boss\r\n\r\n", Some(550)),
        ("Subject: nobody\r\n\r\n", None),
        ("just text\r\n", None),
    ] {
        assert_eq!(check(OriginKind::Authenticated, block).err(), code, "{block:?}");
        assert!(check(OriginKind::Anonymous, block).is_ok() && check(OriginKind::ExternallySecured, block).is_ok());
    }
}

#[test]
fn what_we_found_out_nobody_else_says() {
    // RFC 8601 §5
    let kept = rest(
        "Authentication-Results: mail1.contoso.com; spf=pass\r\n\
         authentication-results: (c) MAIL1.contoso.com 1;\r\n dkim=pass\r\n\
         Authentication-Results: contoso.com; dmarc=pass\r\n\
         Authentication-Results: mx.elsewhere.example; spf=pass\r\nSubject: x\r\n\r\n",
    );
    assert_eq!(kept, "Authentication-Results: mx.elsewhere.example; spf=pass\r\nSubject: x\r\n\r\n");
}

#[test]
fn text_without_a_header_stays_text() {
    for (block, expected) in [
        ("toner is low\r\n", "\r\ntoner is low\r\n"),
        ("toner is low\r\nTray: empty\r\n\r\nmore", "\r\ntoner is low\r\nTray: empty\r\n\r\nmore"),
        ("Subject: x\r\n", "Subject: x\r\n\r\n"),
        ("Subject: x", "Subject: x\r\n\r\n"),
        (
            "Subject: x\r\nhello\r\nX-MS-Exchange-Organization-SCL: -1\r\n\r\n",
            "Subject: x\r\n\r\nhello\r\nX-MS-Exchange-Organization-SCL: -1\r\n\r\n",
        ),
        ("Printer 7: low\r\n\r\n", "\r\nPrinter 7: low\r\n\r\n"),
        ("From ann Sat Nov 21 09:00:00 2026\r\nSubject: x\r\n\r\n", "Subject: x\r\n\r\n"),
        ("Subject : x\r\n\r\n", "Subject : x\r\n\r\n"),
        ("\r\n", "\r\n"),
        ("", "\r\n"),
    ] {
        assert_eq!(rest(block), expected, "{block:?}");
    }
}

#[test]
fn an_id_that_cannot_be_printed_is_not_repeated() {
    for id in ["<a b@c>".to_owned(), format!("<{}@c>", "x".repeat(300)), "<ü@c>".to_owned()] {
        let (_, repeated) = check(OriginKind::Anonymous, &format!("Message-ID: {id}\r\n\r\n")).unwrap();
        assert!(repeated == OWN_ID || is_printable(&repeated), "{id} {repeated}");
    }
}

#[test]
fn loops_and_headers_that_would_join_ours_are_refused() {
    // RT-74
    let hops = |count: usize, line: &str| format!("{}\r\n", line.repeat(count));
    let elsewhere = "Received: from a ([192.0.2.9]) by b; c\r\n";
    let here = "Received: from a ([198.51.100.1]) by b; c\r\n";
    assert!(check(OriginKind::Anonymous, &hops(30, elsewhere)).is_ok());
    assert_eq!(check(OriginKind::Anonymous, &hops(31, elsewhere)), Err(554));
    let raised = check_with(OriginKind::Anonymous, hops(60, elsewhere).as_bytes(), |connector, _, _| {
        connector.max_hop_count = 60;
    });
    assert!(raised.is_ok());
    assert!(check(OriginKind::Anonymous, &hops(8, here)).is_ok());
    assert_eq!(check(OriginKind::Anonymous, &hops(9, here)), Err(554));
    assert_eq!(check(OriginKind::Anonymous, " by trusted; today\r\nSubject: x\r\n\r\n"), Err(554));
}
