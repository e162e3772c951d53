//! Decoders: what they give, and what they cost.

use super::*;
use proptest::prelude::*;

#[test]
fn encoded_words_are_decoded_and_what_is_none_is_left() {
    for (value, text) in [
        ("plain", "plain"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= an\r\n alle", "Grüße an alle"),
        ("=?utf-8?Q?one?= \r\n =?UTF-8?b?dHdv?= three", "onetwo three"),
        ("=?iso-8859-1*de?q?a_=E4?=", "a ä"),
        ("a=?utf-8?q?b?=c", "abc"),
        ("=?utf-8?x?b?=", "=?utf-8?x?b?="),
        ("=?utf-8?q?never closed", "=?utf-8?q?never closed"),
        ("=??q?x?=", "=??q?x?="),
        ("=?=?utf-8?q?x?=", "=?x"),
        ("=?utf-8?q?a=0D=0Ab?=", "a  b"),
        ("=?nobody-knows?q?x=C3=BC?=", "xü"),
        ("=?utf-8?q?x=4?=", "x=4"),
        ("a = b ? c", "a = b ? c"),
    ] {
        assert_eq!(unstructured(value.as_bytes()), text, "{value}");
    }
}

#[test]
fn lists_of_addresses_are_read_as_people_and_programs_write_them() {
    for (value, expected) in [
        ("a@b.example", vec![Ok("a@b.example")]),
        ("Ann <a@b.example>, (c) \"B, C\" <c@d.example> (later)", vec![Ok("a@b.example"), Ok("c@d.example")]),
        (
            "team: a@b.example, B <c@d.example>; e@f.example",
            vec![Ok("a@b.example"), Ok("c@d.example"), Ok("e@f.example")],
        ),
        ("a@b.example; c@d.example", vec![Ok("a@b.example"), Ok("c@d.example")]),
        ("\"x, y\"@b.example", vec![Ok("\"x, y\"@b.example")]),
        ("<@r.example,@s.example:a@b.example>", vec![Ok("a@b.example")]),
        ("a@b.example (comment (nested \\) ) , too)", vec![Ok("a@b.example")]),
        ("undisclosed-recipients:;", vec![]),
        ("", vec![]),
        (", ,", vec![]),
        ("<>", vec![Err("")]),
        ("Ann", vec![Err("Ann")]),
        ("Ann <a@b.example", vec![Ok("a@b.example")]),
        ("\"never closed, a@b.example", vec![Err("\"never closed, a@b.example")]),
        ("=?utf-8?q?x=2C_y?= <a@b.example>", vec![Ok("a@b.example")]),
        ("Ann\r\n <a@b.example>", vec![Ok("a@b.example")]),
    ] {
        let entries = address_entries(value.as_bytes());
        let texts: Vec<_> =
            entries.iter().map(|entry| entry.as_ref().map(Address::as_str).map_err(String::as_str)).collect();
        assert_eq!(texts, expected, "{value}");
    }
}

#[test]
fn message_ids_are_found() {
    for (value, expected) in [
        ("<a@b>", Some("a@b")),
        ("x <a@b> <c@d>", Some("a@b")),
        ("a@b c", Some("a@b")),
        ("<a@b", Some("a@b")),
        ("<>", None),
        ("", None),
    ] {
        assert_eq!(message_id(value.as_bytes()).as_deref(), expected, "{value}");
    }
}

type Decoder = fn(&[u8]);

/// Units that cost most when they never come to an end.
const HOSTILE: [&str; 14] = [
    "=?aa?q?x",
    "=?",
    "=?a?",
    "=?utf-8?Q?a?= ",
    "=?utf-8?b?YQ==?=",
    "=",
    "?",
    "(",
    "((\\)",
    "\"",
    "<",
    "a:;,",
    "[",
    "a@b.example,",
];

#[test]
fn no_decoder_costs_more_than_its_input() {
    let decoders: [(&str, Decoder); 3] = [
        ("unstructured", |value| drop(unstructured(value))),
        ("message_id", |value| drop(message_id(value))),
        ("address_entries", |value| drop(address_entries(value))),
    ];
    /// An octet is visited so often at most.
    const VISITS_MAX: usize = 8;
    for (name, decode) in decoders {
        for unit in HOSTILE {
            for size in [1 << 10, 1 << 14, 1 << 18] {
                let value = unit.repeat(size / unit.len());
                let visited = work::of(|| decode(value.as_bytes()));
                assert!(visited > 0 && visited <= value.len() * VISITS_MAX, "{name} {unit}: {visited} of {size}");
            }
        }
    }
}

proptest! {
    #[test]
    fn cost_is_linear_whatever_comes(value in "(=\\?|\\?=|\\?|q|b|[a-z]|[(),:;<>\"\\\\\\[\\] ]|\\r\\n ){0,400}") {
        let decode = |value: &[u8]| (unstructured(value), message_id(value), address_entries(value));
        prop_assert!(work::of(|| drop(decode(value.as_bytes()))) <= value.len() * 10);
    }

    #[test]
    fn decoding_never_panics(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (unstructured(&value), message_id(&value), address_entries(&value));
    }
}
