//! Replies on the wire: a writer that cannot emit a stray line break, and a parser with bounds (RFC 5321 §4.2).
//!
//! Texts of other systems are made printable on the way in, so that they may stand in logs and notifications.

use bytes::{Buf, BufMut, BytesMut};
use envelope::{EnhancedStatus, Reply};
use memchr::memchr;

use crate::limits::{REPLY_LINE_OCTETS_MAX, REPLY_LINES_MAX, REPLY_OCTETS_MAX};

/// Why octets of a server are no reply. The connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Over [`REPLY_LINE_OCTETS_MAX`].
    #[error("a reply line is longer than {REPLY_LINE_OCTETS_MAX} octets")]
    LineTooLong,
    /// Over [`REPLY_LINES_MAX`] lines or [`REPLY_OCTETS_MAX`] octets.
    #[error("a reply has more than {REPLY_LINES_MAX} lines or {REPLY_OCTETS_MAX} octets")]
    TooLong,
    /// No three-digit code from 200 to 599, or something else than space, hyphen or the end after it.
    #[error("a reply line does not start with a reply code")]
    Code,
    /// Lines of one reply with different codes.
    #[error("the lines of a reply have different codes")]
    Mixed,
}

/// Collects the lines of one reply.
#[derive(Debug, Default)]
pub struct ReplyParser {
    code: u16,
    lines: usize,
    octets: usize,
    status: Option<EnhancedStatus>,
    text: String,
}

impl ReplyParser {
    /// Takes whole lines out of `input` up to the end of one reply; `None` when it needs more.
    ///
    /// # Errors
    /// [`ReplyError`] when the server sends no reply, or no end of it.
    pub fn parse(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        loop {
            let Some(end) = memchr(b'\n', input) else {
                return if input.len() >= REPLY_LINE_OCTETS_MAX { Err(ReplyError::LineTooLong) } else { Ok(None) };
            };
            if end >= REPLY_LINE_OCTETS_MAX {
                return Err(ReplyError::LineTooLong);
            }
            // A bare LF too: some hosts end replies so, and nothing but their own replies hangs on it.
            let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
            let last = self.take_line(line)?;
            input.advance(end + 1);
            if last {
                let text = std::mem::take(&mut self.text).into_boxed_str();
                let reply = Reply { code: self.code, status: self.status.take(), text };
                *self = Self::default();
                return Ok(Some(reply));
            }
        }
    }

    /// Whether lines of an unfinished reply were taken.
    #[must_use]
    pub fn is_inside_reply(&self) -> bool {
        self.lines > 0
    }

    /// Gives whether this was the last line.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, ReplyError> {
        let (code, last, text) = split_line(line)?;
        if self.lines > 0 && code != self.code {
            return Err(ReplyError::Mixed);
        }
        self.lines += 1;
        self.octets += line.len() + 2;
        if self.lines > REPLY_LINES_MAX || self.octets > REPLY_OCTETS_MAX {
            return Err(ReplyError::TooLong);
        }
        let text = String::from_utf8_lossy(text);
        let stripped = EnhancedStatus::strip_from(&text).filter(|(status, _)| agrees(*status, code));
        let mut rest = &*text;
        if let Some((status, after)) = stripped
            && self.status.is_none_or(|known| known == status)
            && (self.lines == 1 || self.status.is_some())
        {
            (self.status, rest) = (Some(status), after);
        }
        if self.lines > 1 {
            self.text.push('\n');
        }
        self.code = code;
        self.text.extend(rest.chars().map(|c| if c.is_control() { '?' } else { c }));
        Ok(last)
    }
}

/// RFC 2034 §4: the class of the status is the first digit of the code.
fn agrees(status: EnhancedStatus, code: u16) -> bool {
    Reply::plain(code, "").severity() == status.severity()
}

fn split_line(line: &[u8]) -> Result<(u16, bool, &[u8]), ReplyError> {
    let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit)).ok_or(ReplyError::Code)?;
    let code = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if !(200..=599).contains(&code) {
        return Err(ReplyError::Code);
    }
    match line.get(3) {
        None => Ok((code, true, b"")),
        Some(b' ') => Ok((code, true, &line[4..])),
        Some(b'-') => Ok((code, false, &line[4..])),
        Some(_) => Err(ReplyError::Code),
    }
}

/// How replies are written in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCodes {
    /// With their enhanced status (RFC 2034).
    Written,
    /// Without.
    LeftOut,
}

/// Appends `reply`: one line for each line of its text, anything that is not printable replaced by `?`.
pub fn write(reply: &Reply, codes: StatusCodes, out: &mut BytesMut) {
    let status = reply.status.filter(|_| codes == StatusCodes::Written).map(|status| status.to_string());
    let mut lines = reply.text.split('\n').peekable();
    while let Some(line) = lines.next() {
        write_code(reply.code, lines.peek().is_none(), out);
        if let Some(status) = &status {
            out.put_slice(status.as_bytes());
            out.put_u8(b' ');
        }
        for character in line.chars() {
            let printable = if character.is_control() { '?' } else { character };
            out.put_slice(printable.encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.put_slice(b"\r\n");
    }
}

fn write_code(code: u16, last: bool, out: &mut BytesMut) {
    let digit = |place: u16| b'0' + u8::try_from(code / place % 10).expect("one decimal digit");
    out.put_slice(&[digit(100), digit(10), digit(1), if last { b' ' } else { b'-' }]);
}

/// Appends a reply written in our code as `250 2.1.0 Sender OK`.
pub(crate) fn write_static(line: &'static str, codes: StatusCodes, out: &mut BytesMut) {
    match codes {
        StatusCodes::Written => {
            out.put_slice(line.as_bytes());
            out.put_slice(b"\r\n");
        }
        StatusCodes::LeftOut => write(&parse_static(line), codes, out),
    }
}

/// A reply written in our code as `250 2.1.0 Sender OK`.
pub(crate) fn parse_static(line: &'static str) -> Reply {
    let code = line[..3].parse().expect("replies in code start with their number");
    match EnhancedStatus::strip_from(&line[4..]) {
        Some((status, text)) => Reply::new(code, status, text),
        None => Reply::plain(code, &line[4..]),
    }
}

#[cfg(test)]
mod tests;
