//! What the commands share in speaking to people and to pipes: whole texts to standard output, colour and width of the
//! terminal.

use std::io::{ErrorKind, IsTerminal, Write};
use std::time::SystemTime;

use anyhow::{Context, bail};
use logs::record::is_unprintable;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Columns where there is no terminal to ask.
const WIDTH_DEFAULT: usize = 110;

/// Exit status of a command for CI that found what it was asked to find: a difference, a test that fails.
pub(crate) const CHANGED: u8 = 1;
/// Exit status of such a command when it has no answer.
pub(crate) const NO_ANSWER: u8 = 2;

/// A time of day in UTC, to the second: `2026-11-22T09:30:00Z`.
pub(crate) fn time(time: SystemTime) -> String {
    let seconds = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    seconds.format(&Rfc3339).expect("years of four digits can be written")
}

/// Whether somebody who is there says yes; an error in the words of `unasked` when nobody is.
pub(crate) fn agreed(question: &str, unasked: &'static str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(unasked);
    }
    eprint!("\n{question} Only `yes` does it: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim() == "yes")
}

/// Writes a text for people to standard output: what others wrote into it cannot act on a terminal.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_raw(&harmless(text))
}

/// Writes JSON to standard output: the same value, with escapes for what would act on a terminal.
pub(crate) fn print_json(text: &str) -> anyhow::Result<()> {
    print_raw(&json(text))
}

/// Control and format characters become `\u{fffd}`. Colours stay, in the forms that [`crate::answers::Palette`] gives them.
pub(crate) fn harmless(text: &str) -> String {
    const ESCAPE: char = '\x1b';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|character| is_unprintable(character) && character != '\n') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let colour = rest.strip_prefix("\x1b[").and_then(|codes| {
            let end = codes.find(|character: char| !(character.is_ascii_digit() || character == ';'))?;
            codes[end..].starts_with('m').then_some(end + 3)
        });
        match colour {
            Some(length) if colours() || colours_of_errors() => {
                out.push_str(&rest[..length]);
                rest = &rest[length..];
            }
            _ => {
                let character = rest.chars().next().unwrap_or(ESCAPE);
                out.push(if character == '\t' { ' ' } else { '\u{fffd}' });
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    out + rest
}

pub(super) fn colours_of_errors() -> bool {
    std::io::stderr().is_terminal()
}

/// RFC 8259 §7: any character of a string may be written as `\u` and four digits. Between values there are only line feeds.
fn json(text: &str) -> String {
    if !text.chars().any(|character| is_unprintable(character) && character != '\n') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unprintable(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Writes `text` to standard output as it is. A reader that has enough, such as `head`, is no failure.
pub(crate) fn print_raw(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Servers that are named one by one without being asked for: of more there is a line for each site.
pub(crate) const SERVERS_NAMED_MAX: usize = 12;

/// The first of some names, and how many more there are.
pub(crate) fn cut(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether standard output shows colours: a terminal, and nobody asked for none (no-color.org).
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal that standard output is.
pub(crate) fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH_DEFAULT, |(width, _)| usize::from(width.0))
}

/// Columns of texts, each as wide as its widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{harmless, json};

    #[test]
    fn what_others_wrote_cannot_act_on_a_terminal() {
        for (text, shown) in [
            ("Grüße\nnext line", "Grüße\nnext line"),
            ("\x1b]0;title\x07\x1b[2Jgone", "\u{fffd}]0;title\u{fffd}\u{fffd}[2Jgone"),
            ("safe \u{202e}gpj.exe", "safe \u{fffd}gpj.exe"),
            ("a\rb\tc", "a\u{fffd}b c"),
        ] {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
    }

    #[test]
    fn json_stays_what_it_says() {
        let value = serde_json::json!({"subject": "a\u{202e}b\u{e0001}\u{7f}"});
        let text = json(&value.to_string());
        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
