//! JSON, written from values and read into them. Whoever needs more has a library; this needs none, and is bounded in depth.

use std::rc::Rc;

use crate::cursor::number;
use crate::display::properties;
use crate::operator::of_number;
use crate::value::{Object, Value, real_text};

/// How deep JSON may nest.
const DEPTH_MAX: usize = 64;

/// A value as JSON: sizes, spans, dates and words of enumerations as the texts that they are printed as.
#[must_use]
pub fn write(value: &Value, depth: usize, compress: bool) -> String {
    let mut out = String::new();
    Writer { compress, depth: depth.min(DEPTH_MAX) }.value(value, 0, &mut out);
    out
}

struct Writer {
    compress: bool,
    depth: usize,
}

impl Writer {
    fn value(&self, value: &Value, level: usize, out: &mut String) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Value::Whole(whole) => out.push_str(&whole.to_string()),
            Value::Real(real) if real.is_finite() => out.push_str(&real_text(*real)),
            Value::Limit(Some(inner)) => self.value(inner, level, out),
            Value::List(items) => {
                let items = items.borrow();
                self.nested(items.iter(), ('[', ']'), level, out, |writer, item, out| {
                    writer.value(item, level + 1, out)
                });
            }
            // As PowerShell does, but for the first level: what is deeper than asked for is a text.
            Value::Object(object) if level > 0 && (object.text.is_some() || level > self.depth) => {
                text(&value.text(), out);
            }
            Value::Object(_) | Value::Table(_) => {
                let entries = properties(value);
                self.nested(entries.iter(), ('{', '}'), level, out, |writer, (name, value), out| {
                    text(name, out);
                    out.push_str(if writer.compress { ":" } else { ": " });
                    writer.value(value, level + 1, out);
                });
            }
            other => text(&other.text(), out),
        }
    }

    fn nested<T>(
        &self,
        items: impl ExactSizeIterator<Item = T>,
        (open, close): (char, char),
        level: usize,
        out: &mut String,
        mut one: impl FnMut(&Self, T, &mut String),
    ) {
        out.push(open);
        if level > DEPTH_MAX || items.len() == 0 {
            out.push(close);
            return;
        }
        let line = |out: &mut String, level: usize| {
            if !self.compress {
                out.push('\n');
                out.push_str(&"  ".repeat(level));
            }
        };
        for (at, item) in items.enumerate() {
            if at > 0 {
                out.push(',');
            }
            line(out, level + 1);
            one(self, item, out);
        }
        line(out, level);
        out.push(close);
    }
}

/// A text of JSON (RFC 8259 §7).
fn text(text: &str, out: &mut String) {
    out.push('"');
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            one if u32::from(one) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(one))),
            one => out.push(one),
        }
    }
    out.push('"');
}

/// Reads JSON.
///
/// # Errors
/// Where it is none.
pub fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.wrong("more after the end")) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("Invalid JSON: {what} at octet {}.", self.at)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{feff}']).len();
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("it nests too deep"));
        }
        self.blanks();
        match self.rest().chars().next() {
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"') => Ok(Value::of(self.string()?)),
            _ if self.take("true") => Ok(Value::Bool(true)),
            _ if self.take("false") => Ok(Value::Bool(false)),
            _ if self.take("null") => Ok(Value::Null),
            _ => {
                let rest = self.rest();
                let end =
                    rest.find(|one: char| !(one.is_ascii_alphanumeric() || "+-.".contains(one))).unwrap_or(rest.len());
                let value = number(&rest[..end]).map(of_number);
                self.at += if value.is_some() { end } else { 0 };
                value.ok_or_else(|| self.wrong("no value"))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blanks();
            if self.take("]") {
                return Ok(Value::list(items));
            }
            if !items.is_empty() && !self.take(",") {
                return Err(self.wrong("no comma"));
            }
            items.push(self.value(depth + 1)?);
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut entries: Vec<(Rc<str>, Value)> = Vec::new();
        loop {
            self.blanks();
            if self.take("}") {
                return Ok(Value::Object(Object::new("", None, entries)));
            }
            if !entries.is_empty() && !self.take(",") {
                return Err(self.wrong("no comma"));
            }
            self.blanks();
            let name = self.string()?;
            self.blanks();
            if !self.take(":") {
                return Err(self.wrong("no colon"));
            }
            let value = self.value(depth + 1)?;
            entries.push((name.into(), value));
        }
    }

    fn string(&mut self) -> Result<String, String> {
        if !self.take("\"") {
            return Err(self.wrong("no text"));
        }
        let mut out = String::new();
        loop {
            let Some(one) = self.rest().chars().next() else { return Err(self.wrong("a text without end")) };
            self.at += one.len_utf8();
            match one {
                '"' => return Ok(out),
                '\\' => {
                    let Some(escaped) = self.rest().chars().next() else {
                        return Err(self.wrong("a text without end"));
                    };
                    self.at += escaped.len_utf8();
                    match escaped {
                        'n' => out.push('\n'),
                        'r' => out.push('\r'),
                        't' => out.push('\t'),
                        'b' => out.push('\u{8}'),
                        'f' => out.push('\u{c}'),
                        'u' => out.push(self.unicode()?),
                        other => out.push(other),
                    }
                }
                other => out.push(other),
            }
        }
    }

    fn unicode(&mut self) -> Result<char, String> {
        let unit = self.unit()?;
        if (0xD800..0xDC00).contains(&unit) && self.take("\\u") {
            let low = self.unit()?;
            return Ok(char::decode_utf16([unit, low]).next().and_then(Result::ok).unwrap_or('\u{fffd}'));
        }
        Ok(char::from_u32(unit.into()).unwrap_or('\u{fffd}'))
    }

    fn unit(&mut self) -> Result<u16, String> {
        let digits = self.rest().get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = digits.ok_or_else(|| self.wrong("no code of a character"))?;
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn what_is_written_reads_back() {
        for text in [r#"{"a":[1,2.5,true,null],"b":{"c":"x\n\"y\" \\ ü"}}"#, "[]", "{}", r#""\u0041""#] {
            let value = read(text).unwrap();
            let written = write(&value, 9, true);
            assert_eq!(write(&read(&written).unwrap(), 9, true), written, "{text}");
        }
        assert_eq!(write(&read(r#""\ud83d\ude00""#).unwrap(), 1, true), "\"😀\"");
        for wrong in ["", "{", "[1 2]", "{\"a\"}", "\"", "tru", "1 2", "\"\\u12\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
