//! Reading of good, odd and hostile header blocks.

use super::*;
use proptest::prelude::*;

fn block(text: &str) -> HeaderBlock<'_> {
    HeaderBlock::new(text.as_bytes())
}

#[test]
fn fields_have_names_values_and_folds() {
    let header =
        block("Subject: one\r\n two\r\nTO :a@b.example\nnot a field\r\n more: of it\r\nEmpty:\r\n\r\nBody: x\r\n");
    let read: Vec<_> =
        header.fields().map(|f| (String::from_utf8_lossy(f.name()).into_owned(), f.text().into_owned())).collect();
    let expected = [("Subject", "one two"), ("TO", "a@b.example"), ("", "not a field more: of it"), ("Empty", "")];
    assert_eq!(read, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert!(header.field("to").is_some() && header.field("Body").is_none());
}

#[test]
fn decodes_what_decisions_need() {
    let header = block(
        "Message-ID: <one@fabrikam.com>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= an\r\n alle\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nFrom: \"Ann, A.\" <ann@fabrikam.com>\r\n\
         To: Group: bob@contoso.com, Carl <carl@contoso.com>;, nonsense\r\nTo: dora@contoso.com\r\n\
         X-MS-Exchange-Organization-OriginalSize: 4711\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    );
    assert_eq!(header.message_id().as_deref(), Some("one@fabrikam.com"));
    assert_eq!(header.subject().as_deref(), Some("Grüße an alle"));
    assert_eq!(header.date(), Some(Timestamp::from_millis(1_795_251_600_000)));
    assert_eq!(header.from(), Address::parse("ann@fabrikam.com").ok());
    let to: Vec<_> = header.addresses("To").iter().map(ToString::to_string).collect();
    assert_eq!(to, ["bob@contoso.com", "carl@contoso.com", "dora@contoso.com"]);
    assert_eq!(header.original_size(), Some(ByteSize::bytes(4711))); // LM-02
    assert!(header.trace_context().is_some());
}

#[test]
fn absent_or_broken_values_are_none() {
    for header in ["", "\r\n", "Date: yesterday\r\nX-MS-Exchange-Organization-OriginalSize: -1\r\nFrom: <>\r\n"] {
        let header = block(header);
        assert_eq!((header.date(), header.original_size(), header.from()), (None, None, None));
        assert_eq!((header.message_id(), header.subject(), header.trace_context()), (None, None, None));
    }
}

#[test]
fn hops_are_counted_all_local_and_own() {
    // RT-74
    let header = block(
        "Received: from a ([10.1.2.3]) by MBX1.contoso.com with ESMTP; date\r\n\
         Received: from b ([198.51.100.1])\r\n by mbx2.contoso.com with ESMTP; date\r\n\
         Received-SPF: pass\r\nsubject: first\r\nSubject: second\r\nmessage-id: <a@b>\r\n\
         received: from c by mbx1.contoso.com\r\n\r\nReceived: in the body\r\n",
    );
    assert_eq!(header.hop_count(), 3);
    assert_eq!(header.local_hop_count(|address| address == IpAddr::from([10, 1, 2, 3])), 1);
    let glimpse = header.glimpse("mbx1.contoso.com");
    assert_eq!((glimpse.hops, glimpse.visits), (3, 2));
    assert_eq!((glimpse.subject.as_deref(), glimpse.message_id.as_deref()), (Some("first"), Some("a@b")));
}

#[test]
fn a_huge_header_is_read_within_bounds() {
    // peers E2-9: encoded words, groups and comments without end
    for (name, unit) in
        [("Subject", "=?utf-8?Q?a?= "), ("To", "a:;,"), ("To", "((("), ("Message-ID", "<<<"), ("Date", "1 ")]
    {
        let text = format!("{name}: {}\r\n", unit.repeat(VALUE_OCTETS_MAX * 3 / unit.len()));
        let header = block(&text);
        let _ = (header.subject(), header.message_id(), header.date(), header.addresses("To"));
        assert!(header.subject().is_none_or(|subject| subject.len() <= TEXT_OCTETS_MAX));
    }
}

proptest! {
    #[test]
    fn fields_joined_are_the_block(text in "[a:\\r\\n \t]{0,80}") {
        let header = block(&text);
        let mut fields = header.fields();
        let mut joined: Vec<u8> = fields.by_ref().flat_map(|field| field.raw().to_vec()).collect();
        joined.extend_from_slice(fields.rest());
        prop_assert_eq!(joined, text.as_bytes());
    }

    #[test]
    fn reading_octets_of_any_kind_never_panics(
        name in prop::sample::select(vec!["Subject", "Message-ID", "Date", "From", "Received", ORIGINAL_SIZE, TRACE_PARENT]),
        value in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let bytes = [name.as_bytes(), b": ", &value].concat();
        let header = HeaderBlock::new(&bytes);
        let _ = (header.subject(), header.message_id(), header.date(), header.from(), header.original_size());
        let _ = (header.trace_context(), header.hop_count(), header.local_hop_count(|_| true), header.glimpse("x").visits);
    }

    #[test]
    fn reading_mail_like_text_never_panics(value in "[a-z0-9<>@:;,()\"\\\\=?\\[\\] \\r\\n]{0,120}") {
        for name in ["Subject", "Message-ID", "Date", "From", "Received"] {
            let text = format!("{name}:{value}\r\n");
            let header = block(&text);
            let _ = (header.subject(), header.message_id(), header.date(), header.from(), header.glimpse("a").visits);
        }
    }
}

#[test]
fn entries_that_are_no_addresses_are_told_too() {
    let block = HeaderBlock::new(b"To: Ann <a@b.example>, bob, team: c@d.example, x@;\r\nTo: none:;\r\n");
    let entries = block.address_entries("To");
    let texts: Vec<_> =
        entries.iter().map(|entry| entry.as_ref().map(Address::as_str).map_err(String::as_str)).collect();
    assert_eq!(texts, [Ok("a@b.example"), Err("bob"), Ok("c@d.example"), Err("x@")]);
}
