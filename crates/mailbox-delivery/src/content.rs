//! A message on its way to disk: read once, through the header firewall, into one staged file per database.
//!
//! A database that fails, or whose disk does not answer in time, drops out; the others go on. What was staged leaves nothing
//! behind unless it is delivered.

use std::collections::BTreeMap;
use std::path::PathBuf;

use envelope::{Address, ByteSize, EnhancedStatus, MessageHead, Reply, ReversePath};
use futures::StreamExt;
use mailbox_store::{ContentWriter, StagedContent, StoreError};
use message::{HeaderBlock, HeaderCollector, firewall};

use crate::databases::{Databases, Visit};

/// Longest header that is delivered: 1 MiB. Above what any Receive connector lets in by default (256 KB), because every
/// server on the way has added its lines.
const HEADER_OCTETS_MAX: ByteSize = ByteSize::mib(1);

/// Why a message goes into no database at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// The peer gave up, or sent another number of octets than it stated.
    #[error("the message was cut short: {0}")]
    CutShort(std::io::Error),
    /// The header has no end within [`HEADER_OCTETS_MAX`].
    #[error(transparent)]
    Header(#[from] message::HeaderTooLarge),
}

impl ContentError {
    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::CutShort(_) => Reply::new(451, EnhancedStatus::new(4, 3, 0), self.to_string()),
            Self::Header(error) => Reply::new(552, error.status(), self.to_string()),
        }
    }
}

/// One database's copy.
pub(crate) struct DatabaseCopy<T> {
    pub(crate) database: PathBuf,
    pub(crate) state: Result<(Visit, T), StoreError>,
}

impl DatabaseCopy<ContentWriter> {
    async fn turn(&mut self) {
        if let Ok((visit, _)) = &self.state
            && let Err(error) = visit.turn().await
        {
            self.state = Err(error);
        }
    }

    async fn finish(self) -> DatabaseCopy<StagedContent> {
        let state = match self.state {
            Ok((visit, writer)) => visit.work(|_| writer.finish()).await.map(|content| (visit, content)),
            Err(error) => Err(error),
        };
        DatabaseCopy { database: self.database, state }
    }
}

/// The copies being written.
pub(crate) struct Copies(Vec<DatabaseCopy<ContentWriter>>);

impl Copies {
    /// Begins a copy for each database, with the trace lines of final delivery on top (RFC 5321 §4.4).
    pub(crate) async fn begin(
        databases: &Databases,
        wanted: BTreeMap<PathBuf, Vec<&Address>>,
        head: &MessageHead,
    ) -> Self {
        // At once: those whose disks do not answer are waited for no longer than one.
        let copies = wanted.into_iter().map(async |(database, recipients)| {
            let trace = trace_lines(&head.envelope.reverse_path, &recipients);
            let state = async {
                let visit = databases.enter(&database)?;
                let begun = visit.work(move |database| async move { database.begin(trace.as_bytes()).await }).await;
                begun.map(|writer| (visit, writer))
            };
            let state = state.await;
            DatabaseCopy { database, state }
        });
        Self(futures::future::join_all(copies).await)
    }

    /// Reads the content to its end.
    pub(crate) async fn write(&mut self, mut content: rpc::Content) -> Result<(), ContentError> {
        let mut header = Some(HeaderCollector::new(HEADER_OCTETS_MAX));
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(ContentError::CutShort)?;
            match header.take() {
                None => self.append(&piece).await,
                Some(mut collector) => match collector.push(&piece)? {
                    None => header = Some(collector),
                    Some(body) => {
                        self.append(&allowed(&collector.into_block())).await;
                        self.append(&piece[body..]).await;
                    }
                },
            }
        }
        if let Some(collector) = header {
            self.append(&allowed(&collector.into_block())).await;
        }
        Ok(())
    }

    /// Waits until it is this message's turn in each database, so that those in which it never is hold up nobody else.
    pub(crate) async fn turns(&mut self) {
        let turns = self.0.iter_mut().map(DatabaseCopy::turn);
        futures::future::join_all(turns).await;
    }

    /// Makes the copies durable.
    pub(crate) async fn finish(self) -> Vec<DatabaseCopy<StagedContent>> {
        futures::future::join_all(self.0.into_iter().map(DatabaseCopy::finish)).await
    }

    async fn append(&mut self, octets: &[u8]) {
        let appending = self.0.iter_mut().map(async |copy| {
            if let Ok((visit, writer)) = &mut copy.state
                && let Err(error) = visit.bounded(writer.write(octets)).await.and_then(|written| written)
            {
                copy.state = Err(error);
            }
        });
        futures::future::join_all(appending).await;
    }
}

/// What of the header may reach a mailbox (PF-30b). `Return-Path` is ours to write: one that came along is a forgery or
/// somebody else's (RFC 5321 §4.4).
fn allowed(header: &[u8]) -> Vec<u8> {
    let passed = firewall::apply(HeaderBlock::new(header), firewall::Path::Delivery);
    firewall::without(HeaderBlock::new(&passed), "Return-Path").into_owned()
}

fn trace_lines(sender: &ReversePath, recipients: &[&Address]) -> String {
    let mut lines = format!("Return-Path: <{sender}>\r\n");
    // With several, the line would tell each about the others.
    if let [recipient] = recipients {
        lines.push_str(&format!("Delivered-To: {recipient}\r\n"));
    }
    lines
}
