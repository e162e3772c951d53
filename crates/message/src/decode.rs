//! Decoders of field values: encoded words (RFC 2047), message ids, lists of addresses (RFC 5322 §3.4).
//!
//! What comes here was written by strangers, so the cost is the first promise: each octet of the input is visited a fixed
//! number of times, whatever it says ([`work`] counts that in tests). A library's decoders are used for what is already cut
//! into pieces: charsets, base64, dates.

use std::borrow::Cow;

use envelope::Address;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use memchr::memchr;

/// Longest name of a charset; registered ones have at most 40 characters (RFC 2978 §2.3).
const CHARSET_OCTETS_MAX: usize = 40;

/// An unstructured value: encoded words decoded, line ends removed, octets that are no UTF-8 replaced. White space between
/// two encoded words is part of neither (RFC 2047 §6.2).
pub(crate) fn unstructured(value: &[u8]) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = find_open(rest) {
        let (before, candidate) = rest.split_at(start);
        match encoded_word(candidate) {
            Some((text, length)) => {
                if !(after_word && before.iter().all(u8::is_ascii_whitespace)) {
                    push_plain(&mut out, before);
                }
                out.extend_from_slice(text.as_bytes());
                (rest, after_word) = (&candidate[length..], true);
            }
            None => {
                push_plain(&mut out, before);
                out.extend_from_slice(OPEN);
                (rest, after_word) = (&candidate[OPEN.len()..], false);
            }
        }
    }
    push_plain(&mut out, rest);
    String::from_utf8_lossy(&out).trim().to_owned()
}

const OPEN: &[u8] = b"=?";

fn find_open(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr(b'=', &text[from..]) {
        work::visited(at + 1);
        if text.get(from + at + 1) == Some(&b'?') {
            return Some(from + at);
        }
        from += at + 1;
    }
    work::visited(text.len() - from);
    None
}

/// RFC 5322 §2.2.3: unfolding removes the line end and keeps the white space after it.
fn push_plain(out: &mut Vec<u8>, text: &[u8]) {
    work::visited(text.len());
    out.extend(text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
}

/// The encoded word at the start of `text`, and its length: `=?charset?encoding?encoded-text?=`. No part holds a question
/// mark, so that each octet is looked at by at most four candidates.
fn encoded_word(text: &[u8]) -> Option<(String, usize)> {
    let (charset, rest) = part(&text[OPEN.len()..])?;
    let (encoding, rest) = part(rest)?;
    let (encoded, rest) = part(rest)?;
    let rest = rest.strip_prefix(b"=")?;
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset.split(|byte| *byte == b'*').next().unwrap_or_default();
    if charset.is_empty() || charset.len() > CHARSET_OCTETS_MAX {
        return None;
    }
    let octets = match encoding {
        b"Q" | b"q" => q_decoded(encoded),
        b"B" | b"b" => base64_decode(encoded)?,
        _ => return None,
    };
    let decoded = match charset_decoder(charset) {
        Some(decode) => decode(&octets),
        None => String::from_utf8_lossy(&octets).into_owned(),
    };
    Some((decoded.replace(['\r', '\n'], " "), text.len() - rest.len()))
}

/// What precedes the next question mark, and what follows it; nothing when a line ends before.
fn part(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr2(b'?', b'\n', text);
    work::visited(end.map_or(text.len(), |end| end + 1));
    let end = end.filter(|end| text[*end] == b'?')?;
    Some((&text[..end], &text[end + 1..]))
}

/// The Q encoding (RFC 2047 §4.2); what is no escape stands for itself.
fn q_decoded(encoded: &[u8]) -> Vec<u8> {
    work::visited(encoded.len());
    let hex = |at: usize| char::from(*encoded.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(byte) = encoded.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'=', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 2;
            }
            (b'_', ..) => out.push(b' '),
            (byte, ..) => out.push(*byte),
        }
        at += 1;
    }
    out
}

/// The first `<id>` of the value, without its brackets, or its first word; nothing when that is empty.
pub(crate) fn message_id(value: &[u8]) -> Option<String> {
    work::visited(value.len());
    let id = match memchr(b'<', value) {
        Some(open) => {
            let inner = &value[open + 1..];
            &inner[..memchr(b'>', inner).unwrap_or(inner.len())]
        }
        None => value.split(u8::is_ascii_whitespace).next().unwrap_or_default(),
    };
    let id = String::from_utf8_lossy(id.trim_ascii());
    (!id.is_empty()).then(|| id.into_owned())
}

/// The entries of an address list in order (RFC 5322 §3.4): an address, or the text that is none. Groups are seen through,
/// comments and display names passed over. Semicolons separate as commas do: mail programs write them.
pub(crate) fn address_entries(value: &[u8]) -> Vec<Result<Address, String>> {
    let mut list = List::default();
    work::visited(value.len());
    for byte in value {
        list.take(*byte);
    }
    list.end_entry();
    list.entries
}

/// What surrounds the next octet of a list.
#[derive(Clone, Copy, Default)]
enum Within {
    #[default]
    Plain,
    Quotes,
    Literal,
}

/// A list being read.
#[derive(Default)]
struct List {
    entries: Vec<Result<Address, String>>,
    within: Within,
    comments: usize,
    escaped: bool,
    /// What stands outside of angle brackets.
    plain: Vec<u8>,
    /// What stands between them, and whether they were closed.
    angle: Option<(Vec<u8>, bool)>,
}

impl List {
    fn take(&mut self, byte: u8) {
        if self.comments > 0 {
            return self.comment(byte);
        }
        match (self.within, byte) {
            (Within::Quotes, _) => self.quoted(byte),
            (Within::Literal, b']') => {
                self.within = Within::Plain;
                self.push(byte);
            }
            (Within::Literal, _) => self.push(byte),
            (Within::Plain, b'(') => self.comments = 1,
            (Within::Plain, b'"') => {
                self.within = Within::Quotes;
                self.push(byte);
            }
            (Within::Plain, b'[') => {
                self.within = Within::Literal;
                self.push(byte);
            }
            (Within::Plain, b'<') if self.angle.is_none() => self.angle = Some((Vec::new(), false)),
            (Within::Plain, b'>') if self.is_open() => {
                if let Some((_, closed)) = &mut self.angle {
                    *closed = true;
                }
            }
            (Within::Plain, b',' | b';') if !self.is_open() => self.end_entry(),
            // The name of a group.
            (Within::Plain, b':') if self.angle.is_none() => self.plain.clear(),
            (Within::Plain, _) => self.push(byte),
        }
    }

    fn comment(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'(' => self.comments += 1,
            b')' => self.comments -= 1,
            _ => {}
        }
    }

    fn quoted(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.within = Within::Plain,
            _ => {}
        }
        self.push(byte);
    }

    fn is_open(&self) -> bool {
        matches!(self.angle, Some((_, false)))
    }

    fn push(&mut self, byte: u8) {
        let to = match &mut self.angle {
            Some((angle, false)) => angle,
            // Words after an address are part of its name.
            Some((_, true)) => return,
            None => &mut self.plain,
        };
        if !matches!(byte, b'\r' | b'\n') {
            to.push(byte);
        }
    }

    fn end_entry(&mut self) {
        let plain = std::mem::take(&mut self.plain);
        let text: Cow<'_, [u8]> = match self.angle.take() {
            Some((angle, _)) => angle.into(),
            None if plain.trim_ascii().is_empty() => return,
            None => plain.into(),
        };
        let text = String::from_utf8_lossy(text.trim_ascii());
        self.entries.push(Address::parse(&text).map_err(|_| text.into_owned()));
        (self.within, self.escaped) = (Within::Plain, false);
    }
}

/// How many octets decoders have visited: nothing outside of tests.
pub(crate) mod work {
    #[cfg(test)]
    thread_local! {
        static VISITED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[cfg(test)]
    pub(crate) fn visited(octets: usize) {
        VISITED.set(VISITED.get() + octets);
    }

    #[cfg(not(test))]
    #[inline]
    pub(crate) const fn visited(_octets: usize) {}

    /// Octets visited during `decode`.
    #[cfg(test)]
    pub(crate) fn of(decode: impl FnOnce()) -> usize {
        VISITED.set(0);
        decode();
        VISITED.get()
    }
}

#[cfg(test)]
mod tests;
