//! Random and mutated dialogues: the same result whatever the segments, bounded buffers, no panic.

use envelope::{ByteSize, Limit};
use proptest::prelude::*;

use super::*;
use crate::limits::INPUT_OCTETS_MAX;

/// Pieces that make many dialogues get far.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "EHLO a.example\r\n",
        "HELO a.example\r\n",
        "MAIL FROM:<a@b.example>\r\n",
        "MAIL FROM:<> SIZE=5 BODY=8BITMIME\r\n",
        "RCPT TO:<c@d.example>\r\n",
        "RCPT TO:<unknown@d.example>\r\n",
        "RCPT TO:<full@d.example>\r\n",
        "DATA\r\n",
        "BDAT 5\r\nab\r\nc",
        "BDAT 3 LAST\r\nx\r\n",
        "BDAT 0 LAST\r\n",
        "BDAT 9\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "text\r\n",
        "..\r\n",
        ".\r\n",
        "\r\n",
        "\r",
        "\n",
        ".",
        "AUTH PLAIN\r\n",
        "AHVzZXIAc2VjcmV0\r\n",
        "*\r\n",
        "QUIT\r\n",
        "STARTTLS\r\n",
        "\0",
        "X: y\r\n",
        "HELP\r\n",
        "VRFY x\r\n",
    ]);
    prop_oneof![
        20 => word.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

fn tolerant() -> ServerConfig {
    ServerConfig {
        unauthorized_pipelining: UnauthorizedPipelining::Tolerate,
        protocol_errors_max: Limit::Unlimited,
        message_size_max: ByteSize::bytes(40),
        header_size_max: ByteSize::bytes(30),
        auth: AuthOffer::Always,
        // Octets behind STARTTLS end the session in any case, and which those are is a matter of segments.
        starttls: false,
        ..config()
    }
}

/// Replies and events of a session that gets `wire` in segments of the given lengths, again and again.
fn run(config: ServerConfig, wire: &[u8], lengths: &[usize]) -> (String, String) {
    let mut desk = Desk::greeted(config);
    let (mut rest, mut said) = (wire, String::new());
    for length in lengths.iter().cycle() {
        let (segment, later) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        said.push_str(&desk.hear_octets(segment));
        assert!(desk.session.input.len() <= INPUT_OCTETS_MAX);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    (said, desk.heard())
}

proptest! {
    #[test]
    fn segments_do_not_matter(
        pieces in proptest::collection::vec(piece(), 0..25),
        lengths in proptest::collection::vec(1usize..12, 1..6),
        smudge in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut wire = pieces.concat();
        if let (Some((index, byte)), false) = (smudge, wire.is_empty()) {
            let at = index.index(wire.len());
            wire[at] = byte;
        }
        let whole = run(tolerant(), &wire, &[wire.len().max(1)]);
        prop_assert_eq!(&run(tolerant(), &wire, &lengths), &whole);
        prop_assert_eq!(&run(tolerant(), &wire, &[1]), &whole);
    }

    #[test]
    fn octets_of_any_kind_do_no_harm(
        wire in proptest::collection::vec(any::<u8>(), 0..400),
        lengths in proptest::collection::vec(1usize..100, 1..4),
    ) {
        run(config(), &wire, &lengths);
    }
}
