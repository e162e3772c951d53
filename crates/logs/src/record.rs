//! What a log is made of: its form, which names and limits its files, and its records, each a line of fields.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use envelope::Timestamp;

/// Octets of a text of others that are written.
pub const TEXT_OCTETS_MAX: usize = 2_048;

/// How long and how much is kept (LG-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Octets of one file; then the next begins.
    pub file_octets: u64,
    /// Octets of all files of a prefix; then the oldest goes.
    pub folder_octets: u64,
    /// Age at which a file goes.
    pub age: Duration,
}

const MEGABYTE: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl LogLimits {
    /// Message tracking and connectivity: 10 MB, 1000 MB, 30 days. Source: docs/rules.md, Logs.
    pub const WIDE: Self = Self { file_octets: 10 * MEGABYTE, folder_octets: 1000 * MEGABYTE, age: times(30) };
    /// Protocol: 10 MB, 250 MB, 30 days. Source: docs/rules.md, Logs.
    pub const PROTOCOL: Self = Self { file_octets: 10 * MEGABYTE, folder_octets: 250 * MEGABYTE, age: times(30) };
    /// Audit: 10 MB, 1000 MB, 90 days, the documented age limit of the administrator audit log.
    pub const AUDIT: Self = Self { age: times(90), ..Self::WIDE };
    /// Routing table, of Transport: 50 MB, 7 days; a file is a document. Source: docs/rules.md, Logs, LG-32.
    pub const ROUTING: Self = Self { file_octets: u64::MAX, folder_octets: 50 * MEGABYTE, age: times(7) };
}

const fn times(days: u32) -> Duration {
    DAY.saturating_mul(days)
}

/// What names, heads and limits the files of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogForm {
    /// Of the header: `Message Tracking Log`.
    pub log_type: &'static str,
    /// Of the header: the names of the fields, separated by commas (LG-01).
    pub fields: &'static str,
    /// What is kept.
    pub limits: LogLimits,
}

/// One line of a log.
pub trait Record: Send + 'static {
    /// Its log.
    const FORM: LogForm;

    /// When it happened: it goes into the file of that day.
    fn at(&self) -> Timestamp;

    /// The fields in their order. `number` counts the records of this process.
    fn write(&self, number: u64, row: &mut Row);
}

/// A line under construction, as RFC 4180 has it (LG-05). A line is a line, whatever others wrote into a field: control and
/// format characters become spaces, and a text that a spreadsheet would take for a formula is told apart by an apostrophe.
#[derive(Debug, Default)]
pub struct Row {
    line: String,
    fields: usize,
}

impl Row {
    /// A text; what is longer than [`TEXT_OCTETS_MAX`] is cut.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.put(&text[..text.floor_char_boundary(TEXT_OCTETS_MAX)]);
        self
    }

    /// A list whose length the caller has bounded.
    pub fn list(&mut self, text: &str) -> &mut Self {
        self.put(text);
        self
    }

    /// What a program made and needs no escape: a number, a time, an id, a word. Checked all the same.
    pub fn value(&mut self, value: impl Display) -> &mut Self {
        self.separate();
        let begins = self.line.len();
        write!(self.line, "{value}").expect("a String takes everything");
        if !is_plain(&self.line[begins..]) {
            let field = self.line.split_off(begins);
            self.escape(&field);
        }
        self
    }

    /// Nothing is known.
    pub fn empty(&mut self) -> &mut Self {
        self.put("");
        self
    }

    /// The line. Ends with CR LF (RFC 4180 §2).
    #[must_use]
    pub fn finish(mut self) -> String {
        self.line.push_str("\r\n");
        self.line
    }

    /// The same for one line after another: it is given to `take`, and the next one begins in its place.
    pub(crate) fn finished<T>(&mut self, take: impl FnOnce(&str) -> T) -> T {
        self.line.push_str("\r\n");
        let taken = take(&self.line);
        self.line.clear();
        self.fields = 0;
        taken
    }

    fn separate(&mut self) {
        if self.fields > 0 {
            self.line.push(',');
        }
        self.fields += 1;
    }

    fn put(&mut self, field: &str) {
        self.separate();
        if is_plain(field) { self.line.push_str(field) } else { self.escape(field) }
    }

    fn escape(&mut self, field: &str) {
        self.line.push('"');
        if is_formula(field) {
            self.line.push('\'');
        }
        for character in field.chars() {
            match character {
                '"' => self.line.push_str("\"\""),
                character if is_unprintable(character) => self.line.push(' '),
                character => self.line.write_char(character).expect("a String takes everything"),
            }
        }
        self.line.push('"');
    }
}

/// Whether a field stands in a line as it is. Nearly all are of ASCII, and are looked at once.
fn is_plain(field: &str) -> bool {
    let harmless = |octet: u8| matches!(octet, b' '..=b'~') && !matches!(octet, b',' | b'"');
    let passes = |character| !matches!(character, ',' | '"') && !is_unprintable(character);
    // Every octet, whatever came before it: so many are looked at at once.
    let all_harmless = field.bytes().fold(true, |harmless_before, octet| harmless_before & harmless(octet));
    !is_formula(field) && (all_harmless || field.chars().all(passes))
}

/// What a spreadsheet would run instead of show. `+` and `-` alone are events of the logs, and no formula.
fn is_formula(field: &str) -> bool {
    let mut characters = field.chars();
    matches!(characters.next(), Some('=' | '@' | '+' | '-')) && characters.next().is_some()
}

/// Control characters, and format characters that change the direction or the look of what follows them: a line must show
/// what it says.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Fields of a line, as any reader of RFC 4180 has them.
#[must_use]
pub fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            character => field.push(character),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fields: &[&str]) -> String {
        let mut row = Row::default();
        fields.iter().for_each(|field| {
            row.text(field);
        });
        row.finish()
    }

    #[test]
    fn fields_round_trip_unless_they_would_harm_who_reads_them() {
        // LG-05
        for (field, read) in [
            ("", ""),
            ("a,b", "a,b"),
            ("he said \"no\"", "he said \"no\""),
            ("a\r\nb\0", "a  b "),
            ("safe \u{202e}txt.exe", "safe  txt.exe"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(1)", "'@SUM(1)"),
            ("-1+1", "'-1+1"),
            ("+", "+"),
            ("-", "-"),
            ("Grüße aus Köln", "Grüße aus Köln"),
        ] {
            let line = line(&["x", field, "y"]);
            assert_eq!(line.matches('\n').count(), 1, "{field:?}");
            assert_eq!(fields(&line), ["x", read, "y"], "{line:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let line = line(&[&"ü".repeat(TEXT_OCTETS_MAX)]);
        assert_eq!(fields(&line)[0], "ü".repeat(TEXT_OCTETS_MAX / 2));
    }
}
