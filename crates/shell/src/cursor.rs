//! The lexer: characters and the words made of them. Which characters end a word depends on the mode, which the parser
//! knows: an argument is read by other rules than an expression (SH-01, SH-02).

use crate::tree::{Extent, Number};

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in the documented words.
    pub message: String,
    /// Where.
    pub extent: Extent,
    /// Whether more text could make it right: what was begun is still open.
    pub incomplete: bool,
}

/// Reading or not.
pub(crate) type Reads<T> = Result<T, SyntaxError>;

/// A place in a text that moves on.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// `-`, and what word processors make of it (SH-05).
pub(crate) fn is_dash(one: char) -> bool {
    matches!(one, '-' | '\u{2013}' | '\u{2014}' | '\u{2015}')
}

/// `'`, and what word processors make of it.
pub(crate) fn is_single_quote(one: char) -> bool {
    matches!(one, '\'' | '\u{2018}'..='\u{201b}')
}

/// `"`, and what word processors make of it.
pub(crate) fn is_double_quote(one: char) -> bool {
    matches!(one, '"' | '\u{201c}'..='\u{201e}')
}

/// A blank that is no line end.
pub(crate) fn is_blank(one: char) -> bool {
    one.is_whitespace() && !is_line_end(one)
}

pub(crate) fn is_line_end(one: char) -> bool {
    matches!(one, '\n' | '\r')
}

/// A character of a name of a variable or a member.
pub(crate) fn is_name(one: char) -> bool {
    one.is_alphanumeric() || one == '_'
}

/// What ends an argument (SH-02).
pub(crate) fn ends_argument(one: char) -> bool {
    one.is_whitespace() || matches!(one, ',' | ';' | '(' | ')' | '{' | '}' | '|' | '&')
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where it is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The span from `start` to here.
    pub(crate) fn span(&self, start: usize) -> Extent {
        Extent { start, end: self.at }
    }

    pub(crate) fn rest(&self) -> &'a str {
        #[cfg(test)]
        work::done();
        &self.text[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The character after the next.
    pub(crate) fn second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Goes back or on to a place where it was.
    pub(crate) fn set(&mut self, at: usize) {
        self.at = at;
    }

    /// Takes `wanted` if it is next.
    pub(crate) fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// Takes characters while they are of a sort.
    pub(crate) fn take_while(&mut self, mut sort: impl FnMut(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&mut sort) {
            self.bump();
        }
        self.since(start)
    }

    pub(crate) fn error<T>(&self, message: impl Into<String>, start: usize) -> Reads<T> {
        let end = if self.at > start { self.at } else { (start + 1).min(self.text.len()).max(start) };
        Err(SyntaxError { message: message.into(), extent: Extent { start, end }, incomplete: false })
    }

    /// What was begun at `start` is still open at the end of the text.
    pub(crate) fn open<T>(&self, message: impl Into<String>, start: usize) -> Reads<T> {
        Err(SyntaxError { message: message.into(), extent: self.span(start), incomplete: true })
    }

    /// An error here: of something that is missing at the end of the text, or in the way.
    pub(crate) fn missing<T>(&self, message: impl Into<String>) -> Reads<T> {
        if self.peek().is_none() { self.open(message, self.at) } else { self.error(message, self.at) }
    }

    /// `Unexpected token 'X' in expression or statement.` (SH-71)
    pub(crate) fn unexpected<T>(&mut self) -> Reads<T> {
        let start = self.at;
        let word = self.take_while(|one| !ends_argument(one));
        let word = if word.is_empty() { self.bump().map(String::from).unwrap_or_default() } else { word.to_owned() };
        self.error(format!("Unexpected token '{word}' in expression or statement."), start)
    }

    /// Blanks, comments within a line, and line ends behind a back-tick.
    pub(crate) fn blanks(&mut self) -> Reads<()> {
        loop {
            match self.peek() {
                Some(one) if is_blank(one) => {
                    self.bump();
                }
                Some('`') if self.second().is_some_and(is_line_end) => {
                    self.bump();
                    self.line_end();
                }
                Some('`') if self.second().is_none() => {
                    self.bump();
                    return self.open("Missing expression after the back-tick at the end of the line.", self.at);
                }
                Some('`') if self.second().is_some_and(is_blank) => return self.trailing_back_tick(),
                Some('<') if self.rest().starts_with("<#") => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// A blank behind a back-tick breaks the line's continuation (SH-10).
    fn trailing_back_tick(&mut self) -> Reads<()> {
        let start = self.at;
        self.bump();
        self.take_while(is_blank);
        if self.peek().is_none_or(is_line_end) {
            return self
                .error("A blank stands behind the back-tick: it continues a line only as its last character.", start);
        }
        self.at = start;
        Ok(())
    }

    fn line_end(&mut self) {
        if !self.take("\r\n") {
            self.bump();
        }
    }

    /// `<# … #>`
    fn comment(&mut self) -> Reads<()> {
        let start = self.at;
        match self.rest().find("#>") {
            Some(length) => self.at += length + 2,
            None => {
                self.at = self.text.len();
                return self.open("The terminator '#>' is missing from the multiline comment.", start);
            }
        }
        Ok(())
    }

    /// Blanks, line ends and comments; with `;` where statements are separated.
    pub(crate) fn lines(&mut self, semicolons: bool) -> Reads<()> {
        loop {
            self.blanks()?;
            match self.peek() {
                Some(one) if is_line_end(one) => self.line_end(),
                Some(';') if semicolons => {
                    self.bump();
                }
                Some('#') => {
                    self.take_while(|one| !is_line_end(one));
                }
                _ => return Ok(()),
            }
        }
    }

    /// Whether a line that begins with `|` comes next, which continues this one (SH-10).
    pub(crate) fn continued_by_pipe(&mut self) -> Reads<bool> {
        let here = self.at;
        self.lines(false)?;
        let pipe = self.peek() == Some('|') && self.second() != Some('|');
        if !pipe {
            self.at = here;
        }
        Ok(pipe)
    }

    /// A word of letters if one is next; the cursor stays.
    pub(crate) fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|one: char| !(one.is_alphanumeric() || one == '_' || one == '-')).unwrap_or(rest.len());
        &rest[..end]
    }

    /// An operator such as `-eq` if one is next, in lower case without its dash; the cursor stays.
    pub(crate) fn operator_word(&self) -> Option<(String, usize)> {
        let mut rest = self.rest().chars();
        let dash = rest.next().filter(|one| is_dash(*one))?;
        let name: String = rest.take_while(char::is_ascii_alphabetic).collect();
        (!name.is_empty()).then(|| (name.to_ascii_lowercase(), dash.len_utf8() + name.len()))
    }
}

/// A text that is wholly a number (SH-06).
pub(crate) fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.chars().next() {
        Some(one) if is_dash(one) => (true, &text[one.len_utf8()..]),
        Some('+') => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|one: char| one.is_ascii_digit() || one == '.') {
        return None;
    }
    let sign = |number: Number| match number {
        Number::Whole(whole) if negative => Number::Whole(-whole),
        Number::Real(real) if negative => Number::Real(-real),
        other => other,
    };
    let lower = digits.to_ascii_lowercase();
    let units = [("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40), ("pb", 50)];
    if let Some((body, shift)) = units.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift))) {
        let factor = 1_i64 << shift;
        return Some(sign(match plain(body)? {
            Number::Whole(whole) => {
                whole.checked_mul(factor).map_or(Number::Real(real(whole) * real(factor)), Number::Whole)
            }
            Number::Real(fraction) => whole_if_it_is(fraction * real(factor)),
        }));
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex.trim_end_matches('l'), 16).ok().map(|whole| sign(Number::Whole(whole)));
    }
    if let Some(body) = lower.strip_suffix(['d', 'l']) {
        return plain(body).map(sign);
    }
    plain(&lower).map(sign)
}

fn plain(text: &str) -> Option<Number> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|one| one.is_ascii_digit());
    if digits(text) {
        return Some(text.parse().map_or_else(|_| Number::Real(text.parse().unwrap_or(f64::INFINITY)), Number::Whole));
    }
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(body, power)| (body, Some(power)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let power_is_good = exponent.is_none_or(|power| digits(power.strip_prefix(['-', '+']).unwrap_or(power)));
    let is_number = (whole.is_empty() || digits(whole)) && digits(fraction) && power_is_good;
    if is_number { text.parse().ok().map(Number::Real) } else { None }
}

/// A product of a fraction and a unit is a whole number when nothing is left over: `1.5GB`.
fn whole_if_it_is(value: f64) -> Number {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "compared just before")]
        return Number::Whole(value as i64);
    }
    Number::Real(value)
}

/// A whole number as a real one, which may lose its last digits.
pub(crate) fn real(whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "as PowerShell does")]
    let real = whole as f64;
    real
}

/// How often somebody looked at what comes next: what reading costs, for tests.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn done() {
        LOOKS.set(LOOKS.get() + 1);
    }

    /// Of `read`.
    pub(crate) fn of(read: impl FnOnce()) -> u64 {
        LOOKS.set(0);
        read();
        LOOKS.get()
    }
}
