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

/// Decodes to printable ASCII (space included); `None` for anything else, so no line break comes out of it. Taken beyond the
/// grammar, because it is sent and says one thing only: lower-case digits, and `=` for itself.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let octet = match byte {
            b'+' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            b'!'..=b'~' => byte,
            _ => return None,
        };
        matches!(octet, b' '..=b'~').then(|| decoded.push(char::from(octet)))?;
    }
    Some(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// An address of type `utf-8` (RFC 6533 §3) in its ASCII form, `utf-8-addr-xtext`: characters outside of `QCHAR` as
/// `\x{HEX}`. It may come in that form or, under SMTPUTF8, in characters of its own; `None` for anything else.
#[must_use]
pub fn utf8_address(text: &str) -> Option<String> {
    let mut ascii = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => {
                let (digits, after) = rest.strip_prefix("x{")?.split_once('}')?;
                let digits = Some(digits).filter(|digits| (2..=6).contains(&digits.len()))?;
                let escaped = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
                push_utf8_address(escaped, &mut ascii)?;
                rest = after;
            }
            character => push_utf8_address(character, &mut ascii)?,
        }
    }
    Some(ascii)
}

fn push_utf8_address(character: char, ascii: &mut String) -> Option<()> {
    match character {
        '!'..='~' if !matches!(character, '\\' | '+' | '=') => ascii.push(character),
        '\\' | '+' | '=' | ' ' => ascii.push_str(&format!("\\x{{{:02X}}}", u32::from(character))),
        character if character.is_control() || character.is_ascii() => return None,
        character => ascii.push_str(&format!("\\x{{{:X}}}", u32::from(character))),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_the_grammar_of_rfc_3461_and_what_says_the_same() {
        for (text, decoded) in [
            ("QQ314159", Some("QQ314159")),
            ("a+2Bb+3Dc", Some("a+b=c")),
            ("a+20b", Some("a b")),
            ("", Some("")),
            ("a=b", Some("a=b")),
            ("a+2bb", Some("a+b")),
            ("a+tag", None),
            ("a+0D+0Ab", None),
            ("a+2", None),
            ("a b", None),
            ("ü", None),
            ("+FF", None),
        ] {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn utf8_addresses_have_one_form() {
        // RFC 6533 §3
        for (text, ascii) in [
            ("ann@contoso.com", Some("ann@contoso.com")),
            ("\\x{E4}nn@contoso.com", Some("\\x{E4}nn@contoso.com")),
            ("änn@contoso.com", Some("\\x{E4}nn@contoso.com")),
            ("a\\x{2B}b=c@d", Some("a\\x{2B}b\\x{3D}c@d")),
            ("用@例.example", Some("\\x{7528}@\\x{4F8B}.example")),
            ("\\x{D800}", None),
            ("\\x{0A}", None),
            ("\\x{E4", None),
            ("\\xE4", None),
            ("\\x{1234567}", None),
        ] {
            let decoded = utf8_address(text);
            assert_eq!(decoded.as_deref(), ascii, "{text}");
            assert_eq!(decoded.as_deref().and_then(utf8_address).as_deref(), ascii, "a form is itself");
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
