//! A message for hosts that take seven bits only (RFC 6152 §3): parts with octets above 127 become quoted-printable or
//! base64 (RFC 2045 §6), everything else stays as it is.
//!
//! What is signed is never touched (RFC 1847 §2.1): such a message comes back instead (`5.6.3`), as does one whose structure
//! cannot be told.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::encode::{encoded_words, quoted_printable};
use crate::header::{Field, HeaderBlock};
use crate::split::split_header;

/// Parts within parts that are followed. Default 50; messages of the field have fewer than ten.
const DEPTH_MAX: usize = 50;
/// Octets that become one line of base64 (RFC 2045 §6.8: 76 characters).
const BASE64_LINE_OCTETS: usize = 57;
/// Fields whose value is free text, and may be written as encoded words (RFC 2047 §5).
const UNSTRUCTURED: [&str; 3] = ["Subject", "Comments", "Content-Description"];

/// Why a message cannot be had in seven bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConvertible {
    /// A signature covers what would change.
    #[error("a signed part cannot be converted to seven bits")]
    Signed,
    /// A field of the header that only SMTPUTF8 can carry.
    #[error("a header field holds octets above 127")]
    Header,
    /// Parts that cannot be told from each other, or an encoding that is none.
    #[error("the structure of the message cannot be told")]
    Structure,
}

/// Gives `message` without octets above 127.
///
/// # Errors
/// [`NotConvertible`]
pub fn convert(message: &[u8]) -> Result<Vec<u8>, NotConvertible> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 4);
    entity(message, &mut out, 0)?;
    if !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

/// One message or part: header and body.
fn entity(octets: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), NotConvertible> {
    if octets.is_ascii() {
        out.extend_from_slice(octets);
        return Ok(());
    }
    if depth > DEPTH_MAX {
        return Err(NotConvertible::Structure);
    }
    let (header, body) = split_header(octets);
    let block = HeaderBlock::new(header);
    let media = Media::of(block);
    match (media.kind.as_str(), media.subtype.as_str()) {
        _ if body.is_ascii() => {
            fields(block, false, out)?;
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(body);
            Ok(())
        }
        ("multipart", "signed") | ("application", "pkcs7-mime" | "x-pkcs7-mime") => Err(NotConvertible::Signed),
        ("multipart", _) => {
            head(block, None, out)?;
            multipart(body, media.boundary.as_deref().ok_or(NotConvertible::Structure)?, out, depth)
        }
        ("message", "rfc822") => {
            head(block, None, out)?;
            entity(body, out, depth + 1)
        }
        ("message", _) => Err(NotConvertible::Structure),
        _ if !media.is_plain => Err(NotConvertible::Structure),
        ("text", _) => {
            head(block, Some("quoted-printable"), out)?;
            let canonical = with_crlf(body);
            out.extend_from_slice(quoted_printable(&canonical).as_bytes());
            Ok(())
        }
        _ => {
            head(block, Some("base64"), out)?;
            for (number, line) in body.chunks(BASE64_LINE_OCTETS).enumerate() {
                out.extend_from_slice(if number > 0 { b"\r\n" } else { b"" });
                out.extend_from_slice(STANDARD.encode(line).as_bytes());
            }
            Ok(())
        }
    }
}

/// What a part says of itself.
struct Media {
    kind: String,
    subtype: String,
    boundary: Option<String>,
    /// The body is not encoded.
    is_plain: bool,
}

impl Media {
    fn of(block: HeaderBlock<'_>) -> Self {
        let encoding = block.field("Content-Transfer-Encoding").map(|field| field.text().trim().to_ascii_lowercase());
        let is_plain = encoding.is_none_or(|encoding| matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary"));
        let value = block.field("Content-Type").map(|field| field.text());
        let value = value.as_deref().unwrap_or("text/plain");
        let (media, parameters) = value.split_once(';').unwrap_or((value, ""));
        let (kind, subtype) = media.split_once('/').unwrap_or((media, ""));
        let word = |text: &str| text.trim().to_ascii_lowercase();
        Self { kind: word(kind), subtype: word(subtype), boundary: parameter(parameters, "boundary"), is_plain }
    }
}

/// One parameter of a field (RFC 2045 §5.1), without its quotes.
fn parameter(mut rest: &str, wanted: &str) -> Option<String> {
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches([';', ' ', '\t']);
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find([';', ' ', '\t']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left;
    }
}

/// Up to the closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// The header with another `Content-Transfer-Encoding`, and the empty line.
fn head(block: HeaderBlock<'_>, encoding: Option<&str>, out: &mut Vec<u8>) -> Result<(), NotConvertible> {
    fields(block, true, out)?;
    if let Some(encoding) = encoding {
        // RFC 2045 §4: without it nobody would decode. A part of a multipart message has it above.
        if block.field("Content-Type").is_none() {
            if block.field("MIME-Version").is_none() {
                out.extend_from_slice(b"MIME-Version: 1.0\r\n");
            }
            out.extend_from_slice(b"Content-Type: text/plain; charset=unknown-8bit\r\n");
        }
        out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The fields, free text in encoded words where it is not ASCII.
fn fields(block: HeaderBlock<'_>, without_encoding: bool, out: &mut Vec<u8>) -> Result<(), NotConvertible> {
    for field in block.fields() {
        let is_end = matches!(field.raw(), b"\r\n" | b"\n");
        if is_end || (without_encoding && field.is("Content-Transfer-Encoding")) {
            continue;
        }
        if field.raw().is_ascii() {
            out.extend_from_slice(field.raw());
            if !field.raw().ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        } else {
            out.extend_from_slice(free_text(&field)?.as_bytes());
        }
    }
    Ok(())
}

fn free_text(field: &Field<'_>) -> Result<String, NotConvertible> {
    let name = String::from_utf8_lossy(field.name());
    let is_free = UNSTRUCTURED.iter().any(|known| field.is(known)) || name.to_ascii_lowercase().starts_with("x-");
    if !is_free || !name.is_ascii() {
        return Err(NotConvertible::Header);
    }
    Ok(format!("{name}: {}\r\n", encoded_words(&field.text())))
}

fn multipart(body: &[u8], boundary: &str, out: &mut Vec<u8>, depth: usize) -> Result<(), NotConvertible> {
    if boundary.is_empty() {
        return Err(NotConvertible::Structure);
    }
    let (mut part, mut open) = (0, None);
    for (from, line) in (Lines { rest: body, at: 0 }) {
        let Some(closing) = delimiter(line, boundary) else { continue };
        section(&body[part..from], open, out, depth)?;
        out.extend_from_slice(line);
        (part, open) = (from + line.len(), Some(closing));
    }
    match open {
        None => Err(NotConvertible::Structure),
        Some(_) => section(&body[part..], open, out, depth),
    }
}

/// What stands between two delimiters, before the first (`None`) or after the closing one.
fn section(octets: &[u8], after: Option<bool>, out: &mut Vec<u8>, depth: usize) -> Result<(), NotConvertible> {
    match after {
        Some(false) => {
            // The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
            let end = octets.strip_suffix(b"\r\n").or_else(|| octets.strip_suffix(b"\n"));
            entity(end.unwrap_or(octets), out, depth + 1)?;
            out.extend_from_slice(&octets[end.unwrap_or(octets).len()..]);
        }
        // For readers without MIME; nothing of it is shown by others.
        None | Some(true) => out.extend(octets.iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' })),
    }
    Ok(())
}

/// Whether a line is a delimiter, and if so the closing one.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?.trim_ascii_end();
    match rest {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

/// Lines with their ends, and where they begin.
struct Lines<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        let from = self.at;
        (self.rest, self.at) = (rest, from + end);
        Some((from, line))
    }
}

fn with_crlf(body: &[u8]) -> Cow<'_, [u8]> {
    let bare = |at: usize| at == 0 || body[at - 1] != b'\r';
    if !memchr::memchr_iter(b'\n', body).any(bare) {
        return Cow::Borrowed(body);
    }
    let mut out = Vec::with_capacity(body.len() + body.len() / 32);
    for (from, line) in (Lines { rest: body, at: 0 }) {
        let text = line.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
        out.extend_from_slice(text.unwrap_or(&body[from..from + line.len()]));
        if text.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;

    fn converted(message: &str) -> String {
        String::from_utf8(convert(message.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn text_becomes_quoted_printable_and_says_so() {
        // RFC 6152 §3, RFC 2045 §6.7
        assert_eq!(
            converted(
                "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße = 1\r\nEnde \r\n"
            ),
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =3D 1\r\nEnde=20\r\n"
        );
        let undeclared = converted("Subject: Grüße\r\nX-Note: ü\r\n\r\nü\n");
        assert_eq!(
            undeclared,
            "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nX-Note: =?utf-8?Q?=C3=BC?=\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n"
        );
    }

    #[test]
    fn parts_are_converted_one_by_one() {
        let message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
            für niemand\r\n--b 1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>ü</p>\r\n\
            --b 1\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n\r\nü\r\n\
            --b 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/plain\r\n\r\nä\r\n\
            --b 1\r\nContent-Type: text/plain\r\n\r\nascii = stays\r\n--b 1--\r\nnach\r\n";
        let expected = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b 1\"\r\n\r\n\
            f??r niemand\r\n--b 1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC</p>\r\n\
            --b 1\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nw7w=\r\n\
            --b 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n\
            --b 1\r\nContent-Type: text/plain\r\n\r\nascii = stays\r\n--b 1--\r\nnach\r\n";
        assert_eq!(converted(message), expected);
    }

    #[test]
    fn what_must_not_or_cannot_be_changed_is_refused() {
        for (message, why) in [
            ("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nü\r\n--b--\r\n", NotConvertible::Signed),
            ("Content-Type: application/pkcs7-mime\r\n\r\nü", NotConvertible::Signed),
            (
                "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n\
                 --b\r\n\r\nü\r\n--b--\r\n--a--\r\n",
                NotConvertible::Signed,
            ),
            ("From: Jörg <a@b.example>\r\n\r\nx", NotConvertible::Header),
            ("Content-Type: multipart/mixed\r\n\r\nü", NotConvertible::Structure),
            ("Content-Type: multipart/mixed; boundary=b\r\n\r\nü", NotConvertible::Structure),
            ("Content-Transfer-Encoding: base64\r\n\r\nü", NotConvertible::Structure),
            ("Content-Type: message/global\r\n\r\nSubject: ü\r\n\r\n", NotConvertible::Structure),
        ] {
            assert_eq!(convert(message.as_bytes()), Err(why), "{message}");
        }
        let signed_ascii = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/signed; \
                            boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--a\r\n\r\nü\r\n--a--\r\n";
        assert!(converted(signed_ascii).contains("--b\r\n\r\nx\r\n--b--\r\n"), "a signed part of seven bits stays");
    }

    #[test]
    fn nesting_has_a_bound() {
        let deep = format!("{}Subject: x\r\n\r\nü", "Content-Type: message/rfc822\r\n\r\n".repeat(100_000));
        assert_eq!(convert(deep.as_bytes()), Err(NotConvertible::Structure));
    }

    proptest! {
        #[test]
        fn a_reader_of_mime_finds_the_same_text(text in "[a-zäöü =.\\t]{0,200}", more in "[ -~é]{0,200}") {
            let message = format!(
                "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=xyz\r\n\r\n--xyz\r\n\
                 Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--xyz\r\n\
                 Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{more}\r\n--xyz--\r\n"
            );
            let converted = convert(message.as_bytes()).unwrap();
            prop_assert!(converted.is_ascii());
            prop_assert!(converted.split(|octet| *octet == b'\n').all(|line| line.len() <= 998));
            let (before, after) = (MessageParser::new().parse(message.as_bytes()).unwrap(), MessageParser::new().parse(&converted).unwrap());
            for part in 0..2 {
                let text = |message: &mail_parser::Message<'_>| message.body_text(part).map(|text| text.trim_end().to_owned());
                prop_assert_eq!(text(&before), text(&after));
            }
        }

        #[test]
        fn any_octets_give_ascii_or_a_reason(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(converted) = convert(&message) {
                prop_assert!(converted.is_ascii());
            }
        }
    }
}
