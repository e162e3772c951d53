//! Text made safe for headers and notifications: what comes from a peer is cut, made printable and folded here.
//!
//! Decoding is not done here; that is mail-parser's.

use std::fmt::Write as _;

/// Where a field is folded: lines should be at most 78 characters without the line end (RFC 5322 §2.1.1).
const LINE_CHARACTERS: usize = 78;
/// Longest line that RFC 5322 §2.1.1 allows, without the line end.
pub(crate) const LINE_OCTETS_MAX: usize = 998;
/// Longest encoded word (RFC 2047 §2).
const ENCODED_WORD_CHARACTERS: usize = 75;

/// `text` as printable ASCII on one line, at most `max` octets: white space of any kind becomes one space, anything else
/// outside ASCII or not printable becomes `?`. So a remote reply can break neither a field nor a line (peers E2-17).
pub(crate) fn printable(text: &str, max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        if line.len() >= max {
            break;
        }
        match character {
            '\r' | '\n' | '\t' | ' ' if line.ends_with(' ') => {}
            '\r' | '\n' | '\t' | ' ' => line.push(' '),
            '!'..='~' => line.push(character),
            _ => line.push('?'),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Appends `name: value` CR LF, folded at spaces. `value` must hold no line ends. A word longer than a line stays whole.
pub(crate) fn push_field(out: &mut String, name: &str, value: &str) {
    debug_assert!(!value.contains(['\r', '\n']), "values are made printable before they get here");
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 && column + 1 + word.len() > LINE_CHARACTERS && !word.is_empty() {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out.push_str("\r\n");
}

/// An unstructured value as encoded words where it is not ASCII (RFC 2047, Q encoding).
pub(crate) fn encoded_words(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    const OPEN: &str = "=?utf-8?Q?";
    let mut out = String::from(OPEN);
    let mut column = OPEN.len();
    for character in text.chars() {
        let encoded = q_encoded(character);
        if column + encoded.len() + 2 > ENCODED_WORD_CHARACTERS {
            out.push_str("?= ");
            out.push_str(OPEN);
            column = OPEN.len();
        }
        out.push_str(&encoded);
        column += encoded.len();
    }
    out.push_str("?=");
    out
}

/// A character is never split between two words (RFC 2047 §5).
fn q_encoded(character: char) -> String {
    if character.is_ascii_alphanumeric() {
        return character.to_string();
    }
    if character == ' ' {
        return "_".to_owned();
    }
    let mut octets = [0; 4];
    escaped(character.encode_utf8(&mut octets).as_bytes())
}

/// Quoted-printable (RFC 2045 §6.7) of a text with CR LF line ends.
pub(crate) fn quoted_printable(text: &[u8]) -> String {
    const SOFT_BREAK_AT: usize = 73;
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        let (content, end) = line.strip_suffix(b"\r\n").map_or((line, ""), |content| (content, "\r\n"));
        let mut column = 0;
        for (index, byte) in content.iter().copied().enumerate() {
            let at_end = index + 1 == content.len();
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !at_end);
            if column >= SOFT_BREAK_AT {
                out.push_str("=\r\n");
                column = 0;
            }
            if plain {
                out.push(char::from(byte));
                column += 1;
            } else {
                out.push_str(&escaped(&[byte]));
                column += 3;
            }
        }
        out.push_str(end);
    }
    out
}

fn escaped(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut out, byte| {
        write!(out, "={byte:02X}").expect("writing to a string does not fail");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::parsers::MessageStream;
    use proptest::prelude::*;

    #[test]
    fn a_reply_cannot_break_a_line() {
        assert_eq!(printable("550 no\r\nBcc: x@y.example\t\u{7}ü", 100), "550 no Bcc: x@y.example ??");
        assert_eq!(printable("abc def", 4), "abc");
    }

    #[test]
    fn fields_fold_at_spaces() {
        let mut out = String::new();
        push_field(&mut out, "Subject", &"word ".repeat(30));
        assert!(out.lines().all(|line| line.len() <= LINE_CHARACTERS));
        assert_eq!(out.lines().count(), 3);
    }

    proptest! {
        #[test]
        fn encoded_words_decode_to_the_same_text(text in "[\\PC]{1,80}") {
            let text = text.trim();
            prop_assume!(!text.is_empty() && !text.is_ascii());
            let mut field = String::new();
            push_field(&mut field, "Subject", &encoded_words(text));
            prop_assert!(field.lines().all(|line| line.len() <= LINE_CHARACTERS + 7));
            let decoded = MessageStream::new(&field.as_bytes()["Subject:".len()..]).parse_unstructured();
            prop_assert_eq!(decoded.as_text().unwrap_or_default(), text);
        }

        #[test]
        fn printable_is_printable_and_bounded(text in any::<String>(), max in 0usize..50) {
            let line = printable(&text, max);
            prop_assert!(line.len() <= max && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }

        #[test]
        fn quoted_printable_is_short_ascii(text in "[\\PC\t =]{0,300}") {
            let encoded = quoted_printable(text.as_bytes());
            prop_assert!(encoded.is_ascii() && encoded.split("\r\n").all(|line| line.len() <= 76));
            let decoded = mail_parser::decoders::quoted_printable::quoted_printable_decode(encoded.as_bytes());
            prop_assert_eq!(decoded.unwrap_or_default(), text.as_bytes());
        }
    }
}
