//! The content of one message on its way in: line endings, size and header limits, over `DATA` or any number of `BDAT`.
//!
//! After the first fault the rest is still taken, because only its end tells where commands start again, but nothing
//! more is passed on; the fault is the reply to the end. Of several faults the reply names one by rank, so that the
//! answer does not depend on how the content was cut into segments.

use bytes::Bytes;
use envelope::Reply;
use memchr::memchr_iter;

use super::config::ServerConfig;
use crate::lines::{BareLineEndings, LineEndings};
use crate::reply::parse_static;

/// Why content is refused, and whether the session may go on.
#[derive(Debug)]
pub(super) struct Fault {
    pub reply: Reply,
    pub close: bool,
}

/// One message being received.
#[derive(Debug, Default)]
pub(super) struct Content {
    endings: LineEndings,
    has_bare_endings: bool,
    header: HeaderMeter,
    octets: u64,
    refused: Option<Reply>,
}

impl Content {
    /// Checks `chunk`; gives what is passed on, or `None` when there is nothing or a fault.
    pub(super) fn take(&mut self, chunk: Bytes, config: &ServerConfig) -> Option<Bytes> {
        let chunk = match config.bare_line_endings {
            BareLineEndings::Normalize => self.endings.normalize(chunk),
            BareLineEndings::Reject => {
                self.has_bare_endings = self.has_bare_endings || !self.endings.check(&chunk);
                chunk
            }
        };
        self.octets += chunk.len() as u64;
        self.header.count(&chunk);
        (!chunk.is_empty() && !self.is_faulty(config)).then_some(chunk)
    }

    /// The end has come: a CR that still waits for its LF is a bare one.
    pub(super) fn finish(&mut self, config: &ServerConfig) {
        self.has_bare_endings |= config.bare_line_endings == BareLineEndings::Reject && !self.endings.is_complete();
    }

    /// The shell wants no more.
    pub(super) fn refuse(&mut self, reply: Reply) {
        self.refused.get_or_insert(reply);
    }

    pub(super) fn is_faulty(&self, config: &ServerConfig) -> bool {
        self.header_is_too_large(config) || self.is_too_large(config) || self.has_bare_endings || self.refused.is_some()
    }

    /// The fault to answer with.
    pub(super) fn into_fault(self, config: &ServerConfig) -> Option<Fault> {
        let reply = if self.header_is_too_large(config) {
            parse_static("552 5.3.4 Header size exceeds fixed maximum size")
        } else if self.is_too_large(config) {
            parse_static("552 5.3.4 Message size exceeds fixed maximum message size")
        } else if self.has_bare_endings {
            parse_static("550 5.6.11 The message contains a bare CR or LF")
        } else {
            let refused = self.refused?;
            return Some(Fault { close: refused.code == 421, reply: refused });
        };
        Some(Fault { reply, close: self.header_is_too_large(config) })
    }

    fn header_is_too_large(&self, config: &ServerConfig) -> bool {
        self.header.octets > config.header_size_max.as_u64()
    }

    fn is_too_large(&self, config: &ServerConfig) -> bool {
        self.octets > config.message_size_max.as_u64()
    }
}

/// Counts the octets before the first empty line.
#[derive(Debug, Default)]
struct HeaderMeter {
    octets: u64,
    line_octets: u64,
    ended: bool,
}

impl HeaderMeter {
    fn count(&mut self, chunk: &[u8]) {
        if self.ended {
            return;
        }
        let mut from = 0;
        for position in memchr_iter(b'\n', chunk) {
            let line = self.line_octets + (position + 1 - from) as u64;
            self.octets += (position + 1 - from) as u64;
            self.line_octets = 0;
            from = position + 1;
            // Line endings are CRLF here, so a line of two octets is an empty one.
            if line <= 2 {
                self.ended = true;
                return;
            }
        }
        self.octets += (chunk.len() - from) as u64;
        self.line_octets += (chunk.len() - from) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_at_the_first_empty_line() {
        for (chunks, octets) in [
            (&["A: b\r\n\r\nbody"][..], 8),
            (&["A: b\r", "\n\r", "\nbody", "more"], 8),
            (&["\r\nbody"], 2),
            (&["no end"], 6),
        ] {
            let mut meter = HeaderMeter::default();
            chunks.iter().for_each(|chunk| meter.count(chunk.as_bytes()));
            assert_eq!(meter.octets, octets, "{chunks:?}");
        }
    }
}
