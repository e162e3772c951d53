//! Text of pages: one escaper for all of it. Mail is written by strangers: what of it is no plain character is shown by its
//! number, and nothing of it is ever markup (WA-65).

use std::fmt::{self, Write};

use askama::filters::Escaper;

/// The escaper of all templates (askama.toml).
#[derive(Clone, Copy, Debug)]
pub struct Hostile;

impl Escaper for Hostile {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        string.chars().try_for_each(|one| write_shown(&mut dest, one))
    }

    fn write_escaped_char<W: Write>(&self, mut dest: W, one: char) -> fmt::Result {
        write_shown(&mut dest, one)
    }
}

fn write_shown<W: Write>(dest: &mut W, one: char) -> fmt::Result {
    match one {
        '<' => dest.write_str("&lt;"),
        '>' => dest.write_str("&gt;"),
        '&' => dest.write_str("&amp;"),
        '"' => dest.write_str("&#34;"),
        '\'' => dest.write_str("&#39;"),
        '\n' | '\t' => dest.write_char(one),
        one if is_hidden(one) => write!(dest, "‹U+{:04X}›", u32::from(one)),
        one => dest.write_char(one),
    }
}

/// Characters that nobody sees, or that turn what stands around them: controls, directions (bidi), widths of nothing, and tags.
fn is_hidden(one: char) -> bool {
    one.is_control()
        || matches!(
            u32::from(one),
            0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
                | 0xE0000..=0xE0FFF
        )
}

/// A value of a form field: it comes back as it was sent, so that only markup is escaped.
pub(crate) fn kept(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for one in value.chars() {
        match one {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\r' => {}
            '\0' => out.push('\u{fffd}'),
            one => out.push(one),
        }
    }
    out
}

/// A cell of a CSV file. What a spreadsheet would take for a formula has an apostrophe in front (WA-66).
pub(crate) fn csv_cell(text: &str, raw: bool) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !raw;
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// `1,234`, as numbers are read.
pub(crate) fn counted(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3 messages`.
pub(crate) fn some(number: usize, one: &str, more: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {more}", counted(number as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        Hostile.write_escaped_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn what_strangers_wrote_is_shown_and_does_nothing() {
        // WA-65, WA-89
        for (text, expected) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onclick='x'", "&#34; onclick=&#39;x&#39;"),
            ("gpj.\u{202e}exe", "gpj.‹U+202E›exe"),
            ("a\u{0}b\u{1b}[31m\r", "a‹U+0000›b‹U+001B›[31m‹U+000D›"),
            ("zero\u{200b}width\u{feff}", "zero‹U+200B›width‹U+FEFF›"),
            ("\u{2066}isolate\u{2069} \u{e0041}", "‹U+2066›isolate‹U+2069› ‹U+E0041›"),
            ("Grüße, 日本語, עברית", "Grüße, 日本語, עברית"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_field_keeps_what_was_typed() {
        assert_eq!(kept("a\u{200f}\"<b>\nc"), "a\u{200f}&#34;&lt;b&gt;\nc");
    }

    #[test]
    fn no_cell_is_a_formula() {
        // WA-66
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+49 30", "'+49 30"),
            ("-1", "'-1"),
            ("\tx", "'\tx"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("plain", "plain"),
        ] {
            assert_eq!(csv_cell(text, false), expected);
        }
        assert_eq!(csv_cell("=1+1", true), "=1+1");
        assert_eq!(
            (counted(0), counted(1_234), counted(36_700_160)),
            ("0".into(), "1,234".into(), "36,700,160".into())
        );
    }
}
