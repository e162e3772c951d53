//! The content of a message in an outbox: read once to collect its header and to measure it, and once more to send it.
//!
//! Two readings instead of a copy in memory: a message may have any size, and its file does not change.
//!
//! The header ends at the empty line, or before the first line that is no field: whoever forgets the empty line gets one, so
//! that the text is text and no reader looks for fields in it. Nothing after that line names a recipient.

use bytes::Bytes;
use envelope::{BodyType, ByteSize};
use futures::StreamExt;
use mailbox_store::{Held, OutboxItem, OutboxReader, StoreError};
use message::{HeaderCollector, HeaderTooLarge};

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The store; transient.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Permanent.
    #[error(transparent)]
    Header(#[from] HeaderTooLarge),
}

/// What one reading tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The header, its empty line included.
    pub(crate) header: Vec<u8>,
    /// Octets after it.
    pub(crate) body: u64,
    pub(crate) body_type: BodyType,
    /// There is a CR without an LF, which servers on the way may take for a line end (RFC 5321 §2.3.8).
    pub(crate) has_lone_cr: bool,
}

/// Reads a message. `None`: its owner has taken it back. `turn` is given back when the disk has answered.
pub(crate) async fn scan(item: &OutboxItem, turn: Held) -> Result<Option<Scan>, ScanError> {
    let Some(mut reader) = item.open(turn).await? else { return Ok(None) };
    let mut scanner = Scanner::default();
    while let Some(chunk) = reader.next_chunk().await? {
        scanner.push(&chunk)?;
    }
    Ok(Some(scanner.finish()))
}

struct Scanner {
    collector: Option<HeaderCollector>,
    scan: Scan,
    after_cr: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        let collector = Some(HeaderCollector::new(message::split::HEADER_SIZE_MAX));
        Self { collector, scan: Scan::default(), after_cr: false }
    }
}

impl Scanner {
    fn push(&mut self, chunk: &[u8]) -> Result<(), HeaderTooLarge> {
        for octet in chunk {
            self.scan.has_lone_cr |= self.after_cr && *octet != b'\n';
            self.after_cr = *octet == b'\r';
        }
        let mut body = chunk;
        if let Some(mut collector) = self.collector.take() {
            let Some(end) = collector.push(chunk)? else {
                self.collector = Some(collector);
                return Ok(());
            };
            self.header(collector);
            body = &chunk[end..];
        }
        self.body(body);
        Ok(())
    }

    fn header(&mut self, collector: HeaderCollector) {
        let mut header = collector.into_block();
        let text = header.split_off(fields_end(&header));
        self.body(&text);
        self.scan.header = header;
    }

    fn body(&mut self, octets: &[u8]) {
        self.scan.body += octets.len() as u64;
        if !octets.is_ascii() {
            self.scan.body_type = BodyType::EightBitMime;
        }
    }

    fn finish(mut self) -> Scan {
        self.scan.has_lone_cr |= self.after_cr;
        if let Some(collector) = self.collector.take() {
            self.header(collector);
        }
        self.scan
    }
}

/// Octets before the first line that is neither a field, nor goes on with one, nor is empty (RFC 5322 §2.2).
fn fields_end(header: &[u8]) -> usize {
    let mut end = 0;
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        let goes_on = end > 0 && matches!(line[0], b' ' | b'\t');
        let is_empty = matches!(line, b"\n" | b"\r\n");
        if !goes_on && !is_empty && !is_field(line) {
            return end;
        }
        end += line.len();
    }
    end
}

fn is_field(line: &[u8]) -> bool {
    let name = line.iter().position(|octet| *octet == b':').map_or(&[][..], |colon| line[..colon].trim_ascii_end());
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

/// What is sent: the outgoing header, then the body as it is in the outbox.
pub(crate) struct Outgoing {
    /// Ends with an empty line.
    pub(crate) header: Bytes,
    /// Octets of the header in the outbox.
    pub(crate) skip: u64,
    /// Octets of the body.
    pub(crate) body: u64,
}

impl Outgoing {
    /// Exactly what [`Self::open`] gives.
    pub(crate) fn size(&self) -> ByteSize {
        ByteSize::bytes(self.header.len() as u64 + self.body)
    }

    /// The content for one attempt. `None`: its owner has taken it back.
    pub(crate) async fn open(&self, item: &OutboxItem, turn: Held) -> Result<Option<rpc::Content>, StoreError> {
        let Some(reader) = item.open(turn).await? else { return Ok(None) };
        let header = futures::stream::once(std::future::ready(Ok(self.header.clone())));
        let body = futures::stream::try_unfold((reader, self.skip), next_of_body);
        Ok(Some(header.chain(body).boxed()))
    }
}

async fn next_of_body(
    (mut reader, mut skip): (OutboxReader, u64),
) -> std::io::Result<Option<(Bytes, (OutboxReader, u64))>> {
    while let Some(mut chunk) = reader.next_chunk().await.map_err(std::io::Error::other)? {
        let skipped = usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
        skip -= skipped as u64;
        let rest = chunk.split_off(skipped);
        if !rest.is_empty() {
            return Ok(Some((rest, (reader, skip))));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_of(chunks: &[&[u8]]) -> Scan {
        let mut scanner = Scanner::default();
        chunks.iter().for_each(|chunk| scanner.push(chunk).unwrap());
        scanner.finish()
    }

    #[test]
    fn header_and_body_are_told_apart_wherever_chunks_end() {
        let message = b"From: a@b.example\r\nTo: c@d.example\r\n\r\nbody\r\n";
        for cut in 0..message.len() {
            let scan = scan_of(&[&message[..cut], &message[cut..]]);
            assert_eq!((scan.header.len() as u64, scan.body), (38, 6), "{cut}");
            assert_eq!((scan.body_type, scan.has_lone_cr), (BodyType::SevenBit, false), "{cut}");
        }
        let only_header = scan_of(&[b"From: a@b.example\r\n"]);
        assert_eq!((only_header.header.len(), only_header.body), (19, 0));
    }

    /// Whoever forgets the empty line has written text all the same; it is counted as text, wherever chunks end.
    #[test]
    fn the_first_line_that_is_no_field_begins_the_text() {
        for (message, header) in [
            ("From: a@b.example\r\nHello Bob,\r\nBcc: c@d.example\r\n", 19),
            ("From: a@b.example\r\nHello Bob,\r\n\r\nmore\r\n", 19),
            ("From: a@b.example\r\n goes on\r\n\tand on\r\nSubject : x\r\n\r\nbody", 53),
            ("Hello Bob: how are you\r\n", 0),
            (" Hello\r\n", 0),
            ("\r\nHello", 2),
            ("Gr\u{fc}\u{df}e: 1\r\n\r\n", 0),
        ] {
            let octets = message.as_bytes();
            for cut in 0..octets.len() {
                let scan = scan_of(&[&octets[..cut], &octets[cut..]]);
                assert_eq!(
                    (scan.header.len(), scan.body),
                    (header, (octets.len() - header) as u64),
                    "{message:?}, {cut}"
                );
            }
        }
    }

    #[test]
    fn eight_bits_and_lone_crs_are_seen() {
        assert_eq!(scan_of(&["A: 1\r\n\r\nü".as_bytes()]).body_type, BodyType::EightBitMime);
        for lone in [&[b"A: 1\r\n\r\nx\ry".as_slice()][..], &[b"A: 1\r", b"B: 1"], &[b"A: 1\r\n\r\nx\r"], &[b"A\r\r\n"]]
        {
            assert!(scan_of(lone).has_lone_cr, "{lone:?}");
        }
    }
}
