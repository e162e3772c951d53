//! `xtext` of delivery status notifications (RFC 3461 §4): printable ASCII, with `+`, `=` and the rest as `+HH`.

/// Appends `text` encoded. Octets outside printable ASCII are encoded too, so no line break can pass.
pub fn encode(text: &str, out: &mut impl Extend<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => out.extend([byte]),
            _ => out.extend([b'+', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
}

/// Decodes to printable ASCII (space included); `None` for anything else, so no line break comes out of it.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let octet = match byte {
            b'+' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            b'!'..=b'~' if byte != b'=' => byte,
            _ => return None,
        };
        matches!(octet, b' '..=b'~').then(|| decoded.push(char::from(octet)))?;
    }
    Some(decoded)
}

/// RFC 3461 §4: upper case only.
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_the_grammar_of_rfc_3461_and_nothing_else() {
        for (text, decoded) in [
            ("QQ314159", Some("QQ314159")),
            ("a+2Bb+3Dc", Some("a+b=c")),
            ("a+20b", Some("a b")),
            ("", Some("")),
            ("a=b", None),
            ("a+2bb", None),
            ("a+0D+0Ab", None),
            ("a+2", None),
            ("a b", None),
            ("ü", None),
            ("+FF", None),
        ] {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printable_text_round_trips(text in "[ -~]{0,40}") {
            let mut encoded = Vec::new();
            encode(&text, &mut encoded);
            prop_assert_eq!(decode(std::str::from_utf8(&encoded).unwrap()), Some(text));
        }

        #[test]
        fn encoding_never_lets_a_control_character_through(text in any::<String>()) {
            let mut encoded = Vec::new();
            encode(&text, &mut encoded);
            prop_assert!(encoded.iter().all(u8::is_ascii_graphic));
        }
    }
}
