//! Finds where the header of a message ends (RFC 5322 §2.1): at the first empty line, and nowhere else.
//!
//! A line that is no field does not end the header. Other readers might go on past it, so the firewall has to as well.
//! CR LF is what SMTP lets in; a lone LF is taken for a line end too, because Pickup and mailbox files may bring it.

use envelope::{ByteSize, EnhancedStatus};

/// Longest header accepted where no connector says otherwise: 256 KB, range 1 byte to 2147483647 bytes
/// (`MaxHeaderSize` of a Receive connector, limits §2).
pub const HEADER_SIZE_MAX: ByteSize = ByteSize::kib(256);
/// Longest header of a message that was let in: the most that a Receive connector may let in. What an entrance has accepted
/// is not refused behind it.
pub const ACCEPTED_HEADER_SIZE_MAX: ByteSize = ByteSize::bytes(2_147_483_647);

/// The header did not end within its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header of the message is longer than {limit}")]
pub struct HeaderTooLarge {
    /// The limit that was passed.
    pub limit: ByteSize,
}

impl HeaderTooLarge {
    /// Permanent: the same message will not become smaller (LM-08).
    #[must_use]
    pub const fn status(&self) -> EnhancedStatus {
        EnhancedStatus::new(5, 3, 4)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    LineStart,
    AfterLeadingCr,
    InLine,
}

/// Collects the header block of a message that arrives in chunks. Each octet is looked at once; memory is bounded by
/// the limit.
#[derive(Debug)]
pub struct HeaderCollector {
    block: Vec<u8>,
    position: Position,
    limit: ByteSize,
}

impl HeaderCollector {
    /// Collects at most `limit` octets, the empty line included.
    #[must_use]
    pub const fn new(limit: ByteSize) -> Self {
        Self { block: Vec::new(), position: Position::LineStart, limit }
    }

    /// Takes the next chunk. `Some(n)`: the header is complete, and `chunk[n..]` is the beginning of the body.
    /// `None`: the whole chunk belonged to the header; give the next one, or at the end of the message call
    /// [`into_block`](Self::into_block).
    ///
    /// # Errors
    /// [`HeaderTooLarge`]; the collector then holds what fitted before this chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Option<usize>, HeaderTooLarge> {
        let end = self.scan(chunk);
        let taken = end.unwrap_or(chunk.len());
        if (self.block.len() + taken) as u64 > self.limit.as_u64() {
            return Err(HeaderTooLarge { limit: self.limit });
        }
        self.block.extend_from_slice(&chunk[..taken]);
        Ok(end)
    }

    /// The header block: all fields, and the empty line after them unless the message ended without one.
    #[must_use]
    pub fn into_block(self) -> Vec<u8> {
        self.block
    }

    /// Index after the empty line, when it lies in `chunk`.
    fn scan(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut index = 0;
        while let Some(&byte) = chunk.get(index) {
            self.position = match (self.position, byte) {
                (Position::LineStart | Position::AfterLeadingCr, b'\n') => return Some(index + 1),
                (Position::LineStart, b'\r') => Position::AfterLeadingCr,
                (Position::InLine, b'\n') => Position::LineStart,
                _ => {
                    index += memchr::memchr(b'\n', &chunk[index..]).unwrap_or(chunk.len() - index);
                    self.position = Position::InLine;
                    continue;
                }
            };
            index += 1;
        }
        None
    }
}

/// Splits a message held in memory into header block (with its empty line) and body. A message without an empty line
/// is all header. Whatever its length: a firewall must not stop at a limit.
#[must_use]
pub fn split_header(message: &[u8]) -> (&[u8], &[u8]) {
    let end = HeaderCollector::new(ACCEPTED_HEADER_SIZE_MAX).scan(message).unwrap_or(message.len());
    message.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_ends_at_the_first_empty_line_only() {
        for (message, end) in [
            ("A: 1\r\n\r\nbody", 8),
            ("A: 1\n\nbody", 6),
            ("A: 1\r\n \r\nB: 2\r\n\r\nbody", 17), // a line of spaces is a fold, not the end
            ("no field\r\nB: 2\r\n\r\nbody", 18),
            ("\r\nbody", 2),
            ("\nbody", 1),
            ("A: 1\r\n\r\r\n\r\nbody", 11),
            ("A: 1\r\n", 6),
            ("A: 1", 4),
            ("", 0),
        ] {
            assert_eq!(split_header(message.as_bytes()).0.len(), end, "{message:?}");
        }
    }

    #[test]
    fn the_limit_includes_the_empty_line_and_equal_passes() {
        // LM-04
        let message = b"A: 1\r\n\r\nbody";
        assert_eq!(HeaderCollector::new(ByteSize::bytes(8)).push(message), Ok(Some(8)));
        let error = HeaderCollector::new(ByteSize::bytes(7)).push(message).unwrap_err();
        assert_eq!(error.status(), EnhancedStatus::new(5, 3, 4));
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(text in "[ab:\r\n ]{0,60}", cuts in prop::collection::vec(1usize..7, 0..40)) {
            let message = text.as_bytes();
            let expected = split_header(message).0;
            let mut collector = HeaderCollector::new(HEADER_SIZE_MAX);
            let (mut start, mut cuts) = (0, cuts.into_iter());
            while start < message.len() {
                let end = (start + cuts.next().unwrap_or(message.len())).min(message.len());
                if collector.push(&message[start..end]).unwrap().is_some() {
                    break;
                }
                start = end;
            }
            prop_assert_eq!(collector.into_block(), expected);
        }
    }
}
