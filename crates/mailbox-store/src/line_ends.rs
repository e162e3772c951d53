//! Line ends on disk are LF, as Maildir readers expect; in the transport they are CR LF.
//!
//! Content without a lone LF, the only kind that SMTP lets in, comes back octet for octet. Files that a mail reader
//! wrote with CR LF are read as they are.
//!
//! ```text
//! to disk:    CR LF → LF       CR CR LF → CR CR LF (unchanged, or the first CR would be taken for half a line end)
//! from disk:  LF → CR LF       CR LF    → CR LF
//! ```

/// Converts content on its way to disk, over chunk borders.
#[derive(Debug, Default)]
pub(crate) struct ToDisk {
    /// A CR that has not been written yet, because an LF may follow.
    pending_cr: bool,
    /// The last octet written was a CR.
    after_cr: bool,
}

impl ToDisk {
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len() + 1);
        let mut rest = chunk;
        while let Some(&first) = rest.first() {
            if self.pending_cr {
                self.pending_cr = false;
                if first == b'\n' && !self.after_cr {
                    out.push(b'\n');
                    rest = &rest[1..];
                    continue;
                }
                out.push(b'\r');
                self.after_cr = true;
            }
            let plain = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
            if plain > 0 {
                out.extend_from_slice(&rest[..plain]);
                self.after_cr = false;
            }
            rest = &rest[plain..];
            if !rest.is_empty() {
                self.pending_cr = true;
                rest = &rest[1..];
            }
        }
    }

    /// What remains at the end of the content.
    pub(crate) fn finish(self) -> &'static [u8] {
        if self.pending_cr { b"\r" } else { b"" }
    }
}

/// Converts content on its way from disk, over chunk borders.
#[derive(Debug, Default)]
pub(crate) struct FromDisk {
    after_cr: bool,
}

impl FromDisk {
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let after_cr = if end == 0 { self.after_cr } else { chunk[end - 1] == b'\r' };
            out.extend_from_slice(&chunk[start..end]);
            out.extend_from_slice(if after_cr { b"\n" } else { b"\r\n" });
            start = end + 1;
        }
        out.extend_from_slice(&chunk[start..]);
        if let Some(last) = chunk.last() {
            self.after_cr = *last == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to_disk(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut state, mut out) = (ToDisk::default(), Vec::new());
        chunks.iter().for_each(|chunk| state.push(chunk, &mut out));
        out.extend_from_slice(state.finish());
        out
    }

    fn from_disk(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut state, mut out) = (FromDisk::default(), Vec::new());
        chunks.iter().for_each(|chunk| state.push(chunk, &mut out));
        out
    }

    #[test]
    fn lines_end_in_lf_on_disk() {
        assert_eq!(to_disk(&[b"a\r", b"\nb\r\n\r\n"]), b"a\nb\n\n");
        assert_eq!(to_disk(&[b"a\rb\r"]), b"a\rb\r");
        assert_eq!(from_disk(&[b"crlf\r", b"\nlf\n", b"\n"]), b"crlf\r\nlf\r\n\r\n");
    }

    proptest! {
        #[test]
        fn what_smtp_lets_in_comes_back(text in "([ab\\r]|\\r\\n){0,40}", cut in 0usize..40, again in 0usize..40) {
            let (bytes, cut) = (text.as_bytes(), cut.min(text.len()));
            let disk = to_disk(&[&bytes[..cut], &bytes[cut..]]);
            prop_assert_eq!(&disk, &to_disk(&[bytes]));
            let again = again.min(disk.len());
            prop_assert_eq!(from_disk(&[&disk[..again], &disk[again..]]), bytes);
        }
    }
}
