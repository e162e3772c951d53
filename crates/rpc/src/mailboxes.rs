//! Files of a mailbox database that changes its server: read on the old one by the new one.
//!
//! What a database consists of is the mailbox store's to know; here are names, octets and who may ask for them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authority::Act;
use bytes::Bytes;
use envelope::{MessageId, ObjectName, Service};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use net::PeerIdentity;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::address::PeerAddress;
use crate::client::{connect, in_words};
use crate::convert::WireError;
use crate::limits::PATIENCE;
use crate::security::{Credentials, authorize};
use crate::wire::mailboxes::v1 as wire;
use wire::mailboxes_client::MailboxesClient;

/// Files asked for in one request.
pub const FILES_MAX: usize = 1024;
/// How long the other server may be silent: a folder of a million messages takes a while to be read.
const SILENCE_MAX: Duration = PATIENCE.saturating_mul(4);

/// Which move of which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseMove {
    /// The database.
    pub database: ObjectName,
    /// Tells this move from every other.
    pub id: [u8; 16],
}

/// A file or folder, named by any octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxEntry {
    /// Below the database.
    pub path: Bytes,
    /// A folder when there is none.
    pub file: Option<MailboxFile>,
}

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxFile {
    /// Octets.
    pub size: u64,
    /// Seconds and nanoseconds of its last change.
    pub modified: (i64, u32),
    /// The same for every name of one file.
    pub shared: Option<u64>,
    /// The id under which a message of an outbox is submitted.
    pub message: Option<MessageId>,
}

/// Of one file after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxPiece {
    /// The next octets.
    Octets(Bytes),
    /// All was sent of what was this when it was opened.
    End(MailboxFile),
    /// It is no more, or was changed meanwhile.
    Gone,
}

/// Answers; each `Err` says why not, for people.
#[async_trait]
pub trait MailboxesHandler: Send + Sync + 'static {
    /// What lies directly in a database.
    async fn parts(&self, peer: &PeerIdentity, of: &DatabaseMove) -> Result<Vec<Bytes>, String>;
    /// One of these.
    async fn list(&self, peer: &PeerIdentity, of: &DatabaseMove, part: Bytes) -> Result<Vec<MailboxEntry>, String>;
    /// Contents.
    async fn fetch(
        &self,
        peer: &PeerIdentity,
        of: &DatabaseMove,
        paths: Vec<Bytes>,
    ) -> Result<BoxStream<'static, Result<MailboxPiece, String>>, String>;
}

/// `postroad.mailboxes.v1.Mailboxes` over a handler.
pub(crate) struct MailboxesService {
    pub(crate) handler: Arc<dyn MailboxesHandler>,
    pub(crate) drain: CancellationToken,
}

type Told<T> = BoxStream<'static, Result<T, Status>>;

impl MailboxesService {
    /// Until the service is being stopped.
    fn told<T: Send + 'static>(
        &self,
        stream: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Response<Told<T>> {
        Response::new(stream.take_until(self.drain.clone().cancelled_owned()).boxed())
    }
}

#[tonic::async_trait]
impl wire::mailboxes_server::Mailboxes for MailboxesService {
    type PartsStream = Told<wire::Part>;
    type ListStream = Told<wire::Entry>;
    type FetchStream = Told<wire::Piece>;

    async fn parts(&self, request: Request<wire::Move>) -> Result<Response<Self::PartsStream>, Status> {
        let peer = authorize(&request, Act::TakeMailboxes)?.peer;
        let of = move_from_wire(Some(request.into_inner())).map_err(malformed)?;
        let parts = self.handler.parts(&peer, &of).await.map_err(Status::failed_precondition)?;
        Ok(self.told(futures::stream::iter(parts.into_iter().map(|name| Ok(wire::Part { name })))))
    }

    async fn list(&self, request: Request<wire::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let peer = authorize(&request, Act::TakeMailboxes)?.peer;
        let wire::ListRequest { of, part } = request.into_inner();
        let of = move_from_wire(of).map_err(malformed)?;
        let entries = self.handler.list(&peer, &of, part).await.map_err(Status::failed_precondition)?;
        Ok(self.told(futures::stream::iter(entries.into_iter().map(|entry| Ok(entry_to_wire(entry))))))
    }

    async fn fetch(&self, request: Request<wire::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let peer = authorize(&request, Act::TakeMailboxes)?.peer;
        let wire::FetchRequest { of, paths } = request.into_inner();
        let of = move_from_wire(of).map_err(malformed)?;
        if paths.len() > FILES_MAX {
            return Err(malformed(WireError::Invalid("number of files")));
        }
        let pieces = self.handler.fetch(&peer, &of, paths).await.map_err(Status::failed_precondition)?;
        Ok(self.told(pieces.map(|piece| piece.map(piece_to_wire).map_err(Status::aborted))))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn malformed(error: WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// The old server, asked by the new one. Every `Err` says why not, for people.
pub struct MailboxSource {
    client: MailboxesClient<Channel>,
    of: DatabaseMove,
    name: String,
}

impl MailboxSource {
    /// Connects to the Mailbox Transport Delivery at `at`.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn connect(at: &PeerAddress, credentials: &Credentials, of: DatabaseMove) -> Result<Self, String> {
        let channel = connect(at, Some(Service::MailboxDelivery), credentials).await;
        let channel = channel.map_err(|cause| format!("cannot reach {at}: {cause}"))?;
        Ok(Self { client: MailboxesClient::new(channel), of, name: at.to_string() })
    }

    /// What lies directly in the database.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn parts(&self) -> Result<Vec<Bytes>, String> {
        let asked = self.within(self.client.clone().parts(move_to_wire(&self.of))).await?;
        let (mut told, mut parts) = (asked.map_err(|status| self.failed(&status))?.into_inner(), Vec::new());
        while let Some(part) = self.next(&mut told).await? {
            parts.push(part.name);
        }
        Ok(parts)
    }

    /// One of its parts.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn list(&self, part: Bytes) -> Result<Vec<MailboxEntry>, String> {
        let request = wire::ListRequest { of: Some(move_to_wire(&self.of)), part };
        let asked = self.within(self.client.clone().list(request)).await?;
        let (mut told, mut entries) = (asked.map_err(|status| self.failed(&status))?.into_inner(), Vec::new());
        while let Some(entry) = self.next(&mut told).await? {
            entries.push(entry_from_wire(entry).map_err(|error| format!("{}: {error}", self.name))?);
        }
        Ok(entries)
    }

    /// Contents of files, at most [`FILES_MAX`].
    ///
    /// # Errors
    /// Why there are none.
    pub async fn fetch(&self, paths: Vec<Bytes>) -> Result<MailboxPieces<'_>, String> {
        let request = wire::FetchRequest { of: Some(move_to_wire(&self.of)), paths };
        let asked = self.within(self.client.clone().fetch(request)).await?;
        Ok(MailboxPieces { source: self, told: asked.map_err(|status| self.failed(&status))?.into_inner() })
    }

    async fn next<T>(&self, told: &mut Streaming<T>) -> Result<Option<T>, String> {
        self.within(told.message()).await?.map_err(|status| self.failed(&status))
    }

    async fn within<T>(&self, asking: impl Future<Output = T>) -> Result<T, String> {
        let answered = tokio::time::timeout(SILENCE_MAX, asking).await;
        answered.map_err(|_| format!("{} has said nothing for {} s", self.name, SILENCE_MAX.as_secs()))
    }

    fn failed(&self, status: &Status) -> String {
        match status.code() {
            tonic::Code::FailedPrecondition | tonic::Code::Aborted | tonic::Code::PermissionDenied => {
                format!("{}: {}", self.name, status.message())
            }
            _ => format!("{}: {}", self.name, in_words(status)),
        }
    }
}

/// Contents on their way.
pub struct MailboxPieces<'a> {
    source: &'a MailboxSource,
    told: Streaming<wire::Piece>,
}

impl MailboxPieces<'_> {
    /// The next piece; an end too early is an error.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn next(&mut self) -> Result<MailboxPiece, String> {
        let piece = self.source.next(&mut self.told).await?;
        let piece = piece.ok_or_else(|| format!("{} has stopped sending", self.source.name))?;
        piece_from_wire(piece).map_err(|error| format!("{}: {error}", self.source.name))
    }
}

fn move_to_wire(of: &DatabaseMove) -> wire::Move {
    wire::Move { database: of.database.to_string(), id: Bytes::copy_from_slice(&of.id) }
}

fn move_from_wire(of: Option<wire::Move>) -> Result<DatabaseMove, WireError> {
    let of = of.ok_or(WireError::Missing("the move"))?;
    Ok(DatabaseMove {
        database: ObjectName::parse(&of.database).map_err(|_| WireError::Invalid("name of a database"))?,
        id: of.id.as_ref().try_into().map_err(|_| WireError::Invalid("id of a move"))?,
    })
}

fn file_to_wire(file: MailboxFile) -> wire::File {
    wire::File {
        size: file.size,
        modified_seconds: file.modified.0,
        modified_nanoseconds: file.modified.1,
        shared: file.shared,
        message_id: file.message.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default(),
    }
}

fn file_from_wire(file: &wire::File) -> Result<MailboxFile, WireError> {
    let id = |octets: &[u8]| octets.try_into().map(MessageId::from_bytes).map_err(|_| WireError::Invalid("message id"));
    if file.modified_nanoseconds >= 1_000_000_000 {
        return Err(WireError::Invalid("time of a file"));
    }
    Ok(MailboxFile {
        size: file.size,
        modified: (file.modified_seconds, file.modified_nanoseconds),
        shared: file.shared,
        message: if file.message_id.is_empty() { None } else { Some(id(&file.message_id)?) },
    })
}

fn entry_to_wire(entry: MailboxEntry) -> wire::Entry {
    wire::Entry { path: entry.path, file: entry.file.map(file_to_wire) }
}

fn entry_from_wire(entry: wire::Entry) -> Result<MailboxEntry, WireError> {
    Ok(MailboxEntry { path: entry.path, file: entry.file.as_ref().map(file_from_wire).transpose()? })
}

fn piece_to_wire(piece: MailboxPiece) -> wire::Piece {
    use wire::piece::Piece;
    let piece = match piece {
        MailboxPiece::Octets(octets) => Piece::Octets(octets),
        MailboxPiece::End(file) => Piece::End(file_to_wire(file)),
        MailboxPiece::Gone => Piece::Gone(wire::Gone {}),
    };
    wire::Piece { piece: Some(piece) }
}

fn piece_from_wire(piece: wire::Piece) -> Result<MailboxPiece, WireError> {
    use wire::piece::Piece;
    Ok(match piece.piece.ok_or(WireError::Missing("a piece"))? {
        Piece::Octets(octets) => MailboxPiece::Octets(octets),
        Piece::End(file) => MailboxPiece::End(file_from_wire(&file)?),
        Piece::Gone(wire::Gone {}) => MailboxPiece::Gone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_pieces_survive_the_wire_and_what_is_malformed_does_not() {
        let message = Some(MessageId::from_bytes([3; 16]));
        let file = MailboxFile { size: 7, modified: (-1, 999_999_999), shared: Some(9), message };
        let plain = MailboxFile { size: 0, modified: (1_700_000_000, 0), shared: None, message: None };
        for file in [None, Some(file), Some(plain)] {
            let entry = MailboxEntry { path: Bytes::from_static(b"ann/Maildir/\xff"), file };
            assert_eq!(entry_from_wire(entry_to_wire(entry.clone())).unwrap(), entry);
        }
        for piece in [MailboxPiece::Octets(Bytes::from_static(b"x")), MailboxPiece::End(file), MailboxPiece::Gone] {
            assert_eq!(piece_from_wire(piece_to_wire(piece.clone())).unwrap(), piece);
        }
        let of = DatabaseMove { database: ObjectName::parse("DB 1").unwrap(), id: [7; 16] };
        assert_eq!(move_from_wire(Some(move_to_wire(&of))).unwrap(), of);
        let wrong = |change: fn(&mut wire::File)| {
            let mut file = file_to_wire(file);
            change(&mut file);
            file_from_wire(&file).is_err()
        };
        assert!(wrong(|file| file.message_id = Bytes::from_static(b"short")));
        assert!(wrong(|file| file.modified_nanoseconds = 1_000_000_000));
        assert!(move_from_wire(None).is_err() && piece_from_wire(wire::Piece { piece: None }).is_err());
        assert!(move_from_wire(Some(wire::Move { id: Bytes::new(), ..move_to_wire(&of) })).is_err());
    }
}
