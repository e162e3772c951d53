//! Content on its way out of the spool: as it is, or with the header fields removed that may not pass (PL-73).

use std::borrow::Cow;
use std::io;

use bytes::{Bytes, BytesMut};
use envelope::ByteSize;
use futures::StreamExt;
use message::firewall::{self, Path};
use message::{HeaderBlock, HeaderCollector};
use net::Progress;
use queue::{ContentReader, ReadError};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

/// Messages up to this size are sent from memory, in as few writes as the peer allows; longer ones are streamed.
/// Default 256 KiB: nearly all mail, and what the spool itself keeps in its log.
pub(crate) const WHOLE_OCTETS_MAX: ByteSize = ByteSize::kib(256);

/// Content ready to be sent once.
pub(crate) enum Outgoing {
    /// All of it.
    Whole(Bytes),
    /// Too long to hold: what has been read of it, and the reader with the rest.
    Streamed {
        /// Octets of all of it.
        size: u64,
        /// The beginning, the header among it.
        beginning: Bytes,
        /// What follows.
        rest: Rest,
    },
}

/// What follows of a content. That it is read shows that the next hop takes it.
pub(crate) struct Rest {
    reader: ContentReader,
    progress: Progress,
}

impl Outgoing {
    /// Octets of content.
    pub(crate) fn size(&self) -> ByteSize {
        match self {
            Self::Whole(octets) => ByteSize::bytes(octets.len() as u64),
            Self::Streamed { size, .. } => ByteSize::bytes(*size),
        }
    }

    /// The content as pieces, for the implicit connector.
    pub(crate) fn into_pieces(self) -> rpc::Content {
        match self {
            Self::Whole(octets) => futures::stream::once(async { Ok(octets) }).boxed(),
            Self::Streamed { beginning, rest, .. } => {
                futures::stream::once(async { Ok(beginning) }).chain(pieces(rest)).boxed()
            }
        }
    }
}

/// The rest of a streamed content as something to read from.
pub(crate) fn reader(beginning: Bytes, rest: Rest) -> impl AsyncRead + Send + Unpin {
    StreamReader::new(futures::stream::once(async { Ok(beginning) }).chain(pieces(rest)).boxed())
}

fn pieces(rest: Rest) -> impl futures::Stream<Item = io::Result<Bytes>> + Send {
    futures::stream::unfold(Some(rest), |rest| async {
        let mut rest = rest?;
        rest.progress.step();
        match rest.reader.chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(rest))),
            Ok(None) => None,
            // An error ends the content: whoever reads it must not take it for the whole message.
            Err(error) => Some((Err(io::Error::other(error.to_string())), None)),
        }
    })
}

/// Reads a message for sending along `path`; `None` leaves every header field as it is.
pub(crate) async fn prepare(
    mut reader: ContentReader,
    path: Option<Path>,
    progress: &Progress,
) -> Result<Outgoing, ReadError> {
    let rest = |reader: ContentReader| Rest { reader, progress: progress.clone() };
    let size = reader.size();
    if size <= WHOLE_OCTETS_MAX {
        let content = reader.read_all(size).await?;
        return Ok(Outgoing::Whole(match path {
            Some(path) => filtered(content, path),
            None => content,
        }));
    }
    let Some(path) = path else {
        return Ok(Outgoing::Streamed { size: size.as_u64(), beginning: Bytes::new(), rest: rest(reader) });
    };
    let mut beginning = BytesMut::new();
    let mut collector = HeaderCollector::new(message::split::ACCEPTED_HEADER_SIZE_MAX);
    while let Some(chunk) = reader.chunk().await? {
        beginning.extend_from_slice(&chunk);
        if !matches!(collector.push(&chunk), Ok(None)) {
            break;
        }
    }
    let before = beginning.len() as u64;
    let beginning = filtered(beginning.freeze(), path);
    let size = size.as_u64() - before + beginning.len() as u64;
    Ok(Outgoing::Streamed { size, beginning, rest: rest(reader) })
}

/// The content with its header filtered; without a copy when nothing has to go.
fn filtered(content: Bytes, path: Path) -> Bytes {
    let (header, body) = message::split_header(&content);
    match firewall::apply(HeaderBlock::new(header), path) {
        Cow::Borrowed(_) => content,
        Cow::Owned(kept) => {
            let mut filtered = BytesMut::with_capacity(kept.len() + body.len());
            filtered.extend_from_slice(&kept);
            filtered.extend_from_slice(body);
            filtered.freeze()
        }
    }
}
