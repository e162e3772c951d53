//! Line endings of content: finds bare CR and bare LF, or turns them into CRLF (RFC 5321 §2.3.8).
//!
//! Works on chunks as they come; a CRLF split between two chunks is one CRLF. Says nothing about dots: see [`crate::dot`].
//! A bare CR or LF is what SMTP smuggling is made of (CVE-2023-51764 and its kin), so content either has none or is
//! refused or rewritten as a whole; it is never passed on as it came.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr_iter, memchr2};

/// What a server does with content that has a bare CR or LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BareLineEndings {
    /// Takes it to its end, then answers `550 5.6.11`.
    #[default]
    Reject,
    /// Makes each one a CRLF.
    Normalize,
}

/// Follows the line endings of one message.
#[derive(Clone, Debug, Default)]
pub struct LineEndings {
    after_cr: bool,
}

impl LineEndings {
    /// Whether `chunk`, coming after all earlier ones, has no bare CR or LF. A CR at its end is decided by the next.
    pub fn check(&mut self, chunk: &[u8]) -> bool {
        let Some(&last) = chunk.last() else { return true };
        let mut rest = chunk;
        if std::mem::replace(&mut self.after_cr, last == b'\r') {
            if chunk[0] != b'\n' {
                return false;
            }
            rest = &chunk[1..];
        }
        if self.after_cr {
            rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        }
        // Every LF has its CR before it, and there are no more CRs than LFs: then there is nothing but CRLF.
        let mut line_feeds = 0;
        for position in memchr_iter(b'\n', rest) {
            if position == 0 || rest[position - 1] != b'\r' {
                return false;
            }
            line_feeds += 1;
        }
        memchr_iter(b'\r', rest).count() == line_feeds
    }

    /// Whether the message may end here: not after a CR without its LF.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.after_cr
    }

    /// `chunk` with every bare CR and bare LF made a CRLF. Clean chunks come back as they are, without a copy.
    #[must_use]
    pub fn normalize(&mut self, chunk: Bytes) -> Bytes {
        let mut ahead = self.clone();
        if !self.after_cr && ahead.check(&chunk) && ahead.is_complete() {
            return chunk;
        }
        let mut out = BytesMut::with_capacity(chunk.len() + chunk.len() / 8 + 2);
        self.normalize_into(&chunk, &mut out);
        out.freeze()
    }

    /// As [`Self::normalize`], appending to `out`.
    pub fn normalize_into(&mut self, chunk: &[u8], out: &mut BytesMut) {
        // A CR is answered with CRLF at once; the LF that may follow it is then dropped.
        let mut rest = chunk;
        if self.after_cr {
            let Some(&first) = rest.first() else { return };
            self.after_cr = false;
            if first == b'\n' {
                rest = &rest[1..];
            }
        }
        while let Some(position) = memchr2(b'\r', b'\n', rest) {
            out.put_slice(&rest[..position]);
            out.put_slice(b"\r\n");
            let is_cr = rest[position] == b'\r';
            rest = &rest[position + 1..];
            match rest.first() {
                Some(b'\n') if is_cr => rest = &rest[1..],
                None => self.after_cr = is_cr,
                _ => {}
            }
        }
        out.put_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(chunks: &[&[u8]]) -> bool {
        let mut endings = LineEndings::default();
        chunks.iter().all(|chunk| endings.check(chunk)) && endings.is_complete()
    }

    #[test]
    fn only_crlf_is_clean() {
        for (chunks, expected) in [
            (&[b"a\r\nb\r\n".as_slice()][..], true),
            (&[b"a\r", b"\nb"], true),
            (&[b"a\r", b"", b"\nb"], true),
            (&[b"\r\n", b"\r\n"], true),
            (&[b""], true),
            (&[b"a\nb"], false),
            (&[b"a\rb"], false),
            (&[b"a\r", b"b"], false),
            (&[b"a\r\r\n"], false),
            (&[b"\n"], false),
            (&[b"a\r"], false),
            (&[b"a\r\n\n\r\n"], false),
            (&[b"a\r", b"\r\n"], false),
            (&[b"\n\r"], false),
        ] {
            assert_eq!(clean(chunks), expected, "{chunks:?}");
        }
    }

    /// The rule in its simplest form, octet by octet.
    fn reference(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, &byte) in text.iter().enumerate() {
            match byte {
                b'\r' => out.extend(b"\r\n"),
                b'\n' if index > 0 && text[index - 1] == b'\r' => {}
                b'\n' => out.extend(b"\r\n"),
                other => out.push(other),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_split_gives_the_reference(text in proptest::collection::vec(prop::sample::select(b"\r\n.a".to_vec()), 0..60), cut in 0usize..60) {
            let cut = cut.min(text.len());
            let (head, tail) = text.split_at(cut);
            let mut endings = LineEndings::default();
            let mut out = endings.normalize(Bytes::copy_from_slice(head)).to_vec();
            out.extend(endings.normalize(Bytes::copy_from_slice(tail)));
            let expected = reference(&text);
            prop_assert_eq!(&out, &expected);
            prop_assert!(clean(&[&expected]));
            prop_assert_eq!(clean(&[head, tail]), expected == text);
        }
    }
}
