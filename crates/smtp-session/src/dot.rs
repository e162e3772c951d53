//! Dot-stuffing both ways (RFC 5321 §4.5.2), for content of any size in chunks of any size.
//!
//! [`Unstuffer`] finds the end of `DATA`: `CRLF . CRLF`, or `. CRLF` at the very beginning, and nothing else. It works
//! in place, so that a chunk leaves the input buffer without a copy. [`Stuffer`] is the sender's side; it also makes
//! every bare CR or LF a CRLF, so nothing that a lenient server might take for an end can leave us.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memmem;

use crate::lines::LineEndings;

/// Takes the content of one `DATA` out of an input buffer.
#[derive(Debug)]
pub struct Unstuffer {
    line_start: bool,
}

/// What [`Unstuffer::decode`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Content without stuffed dots; may be empty.
    pub chunk: Bytes,
    /// Whether the end of data was seen; what follows it stays in the buffer.
    pub end: bool,
}

/// What a dot at the start of a line means.
enum Dot {
    Stuffed,
    End,
    /// Too few octets after it to tell.
    Undecided,
}

impl Default for Unstuffer {
    fn default() -> Self {
        Self { line_start: true }
    }
}

impl Unstuffer {
    /// Takes everything that can be decided out of `input`. At most two octets stay behind when `end` is not set.
    pub fn decode(&mut self, input: &mut BytesMut) -> Decoded {
        // Content up to `write` is compacted; `[from, …)` is examined content not yet moved there.
        let (mut write, mut from, mut search) = (0, 0, 0);
        let mut next_dot = (self.line_start && input.first() == Some(&b'.')).then_some(0);
        loop {
            next_dot = next_dot.or_else(|| memmem::find(&input[search..], b"\r\n.").map(|found| search + found + 2));
            let Some(dot) = next_dot.take() else { break };
            let kind = classify(&input[dot + 1..]);
            write = compact(input, from, dot, write);
            match kind {
                Dot::Stuffed => (from, search) = (dot + 1, dot + 1),
                Dot::End => return take(input, write, dot + 3, true),
                Dot::Undecided => {
                    self.line_start = true;
                    return take(input, write, dot, false);
                }
            }
        }
        let end = if input.last() == Some(&b'\r') { input.len() - 1 } else { input.len() };
        // Nothing examined (an empty buffer, or only the held-back CR): the place in the line has not changed.
        if end > 0 {
            self.line_start = input[..end].ends_with(b"\r\n");
        }
        write = compact(input, from, end, write);
        take(input, write, end, false)
    }
}

fn classify(after: &[u8]) -> Dot {
    match after {
        [] | [b'\r'] => Dot::Undecided,
        [b'\r', b'\n', ..] => Dot::End,
        _ => Dot::Stuffed,
    }
}

/// Moves `[from, to)` down to `write`; gives the new end of the compacted content.
fn compact(input: &mut BytesMut, from: usize, to: usize, write: usize) -> usize {
    if from != write {
        input.copy_within(from..to, write);
    }
    write + (to - from)
}

/// Splits the first `content` octets off and drops what lies between them and `consumed`.
fn take(input: &mut BytesMut, content: usize, consumed: usize, end: bool) -> Decoded {
    let chunk = input.split_to(content).freeze();
    input.advance(consumed - content);
    Decoded { chunk, end }
}

/// Writes the content of one `DATA`.
#[derive(Debug)]
pub struct Stuffer {
    endings: LineEndings,
    line_start: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { endings: LineEndings::default(), line_start: true }
    }
}

impl Stuffer {
    /// Appends `chunk` to `out`, line endings made CRLF and dots stuffed.
    pub fn encode(&mut self, chunk: &[u8], out: &mut BytesMut) {
        let mut ahead = self.endings.clone();
        if self.endings.is_complete() && ahead.check(chunk) && ahead.is_complete() {
            self.stuff(chunk, out);
            return;
        }
        let mut normal = BytesMut::with_capacity(chunk.len() + chunk.len() / 8 + 2);
        self.endings.normalize_into(chunk, &mut normal);
        self.stuff(&normal, out);
    }

    /// Appends the end of data, with a CRLF before it if the content has none at its end.
    pub fn finish(self, out: &mut BytesMut) {
        out.put_slice(if self.line_start { b".\r\n" } else { b"\r\n.\r\n" });
    }

    /// `normal` has no line endings but whole CRLFs, and never a CRLF split from the one before.
    fn stuff(&mut self, normal: &[u8], out: &mut BytesMut) {
        if normal.is_empty() {
            return;
        }
        if self.line_start && normal[0] == b'.' {
            out.put_u8(b'.');
        }
        let mut from = 0;
        for position in memmem::find_iter(normal, b"\n.") {
            out.put_slice(&normal[from..=position]);
            out.put_u8(b'.');
            from = position + 1;
        }
        out.put_slice(&normal[from..]);
        self.line_start = normal.ends_with(b"\n");
    }
}

#[cfg(test)]
mod tests;
