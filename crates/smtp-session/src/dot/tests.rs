//! Tables for smuggling (CVE-2023-51764, -51765, -51766) and round trips over every split.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

/// Feeds `pieces`; gives the content, whether it ended, and what was left in the buffer.
fn unstuff(pieces: &[&[u8]]) -> (Vec<u8>, bool, Vec<u8>) {
    let (mut unstuffer, mut input) = (Unstuffer::default(), BytesMut::new());
    let (mut content, mut ended) = (Vec::new(), false);
    for piece in pieces {
        input.extend_from_slice(piece);
        if !ended {
            let decoded = unstuffer.decode(&mut input);
            content.extend_from_slice(&decoded.chunk);
            ended = decoded.end;
        }
    }
    (content, ended, input.to_vec())
}

#[test]
fn ends_at_crlf_dot_crlf_and_unstuffs() {
    for (wire, content, rest) in [
        (".\r\n", "", ""),
        ("a\r\n.\r\n", "a\r\n", ""),
        ("a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n"),
        ("..\r\n.\r\n", ".\r\n", ""),
        ("..a\r\n...b\r\n.\r\n", ".a\r\n..b\r\n", ""),
        (".a\r\n.\r\n", "a\r\n", ""),
        ("a.\r\n.b.\r\n\r\n.\r\n", "a.\r\nb.\r\n\r\n", ""),
        ("a\r\n.\r\n.\r\n", "a\r\n", ".\r\n"),
    ] {
        let expected = (content.as_bytes().to_vec(), true, rest.as_bytes().to_vec());
        assert_eq!(unstuff(&[wire.as_bytes()]), expected, "{wire:?}");
        let single: Vec<&[u8]> = wire.as_bytes().chunks(1).collect();
        let (bytewise, ended, left) = unstuff(&single);
        assert_eq!((bytewise, ended, left), expected, "{wire:?} octet by octet");
    }
}

#[test]
fn nothing_else_ends_a_message() {
    // The sequences of the smuggling advisories, and NUL between.
    for wire in [
        "a\n.\n",
        "a\n.\r\n",
        "a\r\n.\n",
        "a\r.\r",
        "a\r\n.\r",
        "a\r.\r\n",
        "a\r\n\0.\r\n",
        "a\r\n.\0\r\n",
        "a\r\n.\r\r\n",
        "a\n\r.\n\r",
        "\n.\r\n",
        "a\r\r.\r\n",
    ] {
        let (_, ended, _) = unstuff(&[wire.as_bytes(), b"x"]);
        assert!(!ended, "{wire:?}");
    }
}

proptest! {
    #[test]
    fn any_content_round_trips_over_any_split(
        content in proptest::collection::vec(prop::sample::select(b"\r\n..ab".to_vec()), 0..80),
        out_cut in 0usize..80,
        in_cuts in proptest::collection::vec(0usize..120, 0..4),
    ) {
        let mut wire = BytesMut::new();
        let mut stuffer = Stuffer::default();
        let (head, tail) = content.split_at(out_cut.min(content.len()));
        stuffer.encode(head, &mut wire);
        stuffer.encode(tail, &mut wire);
        stuffer.finish(&mut wire);

        let mut normal = BytesMut::new();
        LineEndings::default().normalize_into(&content, &mut normal);
        if !normal.is_empty() && !normal.ends_with(b"\r\n") {
            normal.extend_from_slice(b"\r\n");
        }

        let mut cuts: Vec<usize> = in_cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&wire[from..cut]);
            from = cut;
        }
        pieces.push(&wire[from..]);
        prop_assert_eq!(unstuff(&pieces), (normal.to_vec(), true, Vec::new()));
        prop_assert!(LineEndings::default().check(&wire));
    }
}
