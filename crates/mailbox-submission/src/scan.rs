//! The content of a message in an outbox: read once to collect its header and to measure it, and once more to send it.
//!
//! Two readings instead of a copy in memory: a message may have any size, and its file does not change.

use bytes::Bytes;
use envelope::{BodyType, ByteSize};
use futures::StreamExt;
use mailbox_store::{OutboxItem, OutboxReader, StoreError};
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

/// Reads a message. `None`: its owner has taken it back.
pub(crate) async fn scan(item: &OutboxItem) -> Result<Option<Scan>, ScanError> {
    let Some(mut reader) = item.open().await? else { return Ok(None) };
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
            self.scan.header = collector.into_block();
            body = &chunk[end..];
        }
        self.scan.body += body.len() as u64;
        if !body.is_ascii() {
            self.scan.body_type = BodyType::EightBitMime;
        }
        Ok(())
    }

    fn finish(mut self) -> Scan {
        self.scan.has_lone_cr |= self.after_cr;
        if let Some(collector) = self.collector {
            self.scan.header = collector.into_block();
        }
        self.scan
    }
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
    pub(crate) async fn open(&self, item: &OutboxItem) -> Result<Option<rpc::Content>, StoreError> {
        let Some(reader) = item.open().await? else { return Ok(None) };
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

    #[test]
    fn eight_bits_and_lone_crs_are_seen() {
        assert_eq!(scan_of(&["A: 1\r\n\r\nü".as_bytes()]).body_type, BodyType::EightBitMime);
        for lone in [&[b"A: 1\r\n\r\nx\ry".as_slice()][..], &[b"A: 1\r", b"B: 1"], &[b"A: 1\r\n\r\nx\r"], &[b"A\r\r\n"]]
        {
            assert!(scan_of(lone).has_lone_cr, "{lone:?}");
        }
    }
}
