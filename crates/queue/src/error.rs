//! What can go wrong, by what a caller can do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use envelope::{EnhancedStatus, MessageId};

/// Why a spool could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another part of this one) has it open.
    #[error("the spool in {0} is in use by another process")]
    InUse(PathBuf),
    /// A newer version of the software wrote it.
    #[error("segment {segment} of the spool has format version {version}, which this version cannot read")]
    Version {
        /// Number of the segment.
        segment: u32,
        /// What the file says; this program reads the versions that docs/queue.md lists.
        version: u8,
    },
    /// The segment size is outside of its range.
    #[error("the segment size must be between {min} and {max} bytes")]
    SegmentSize {
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// The file system refused something that opening needs.
    #[error("cannot {action}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the file system said.
        error: io::Error,
    },
}

/// Why something was not made durable. Always transient for the sender of a message: nothing is wrong with the message.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// No space left, or quota used up. Goes away when space returns.
    #[error("the spool is out of space")]
    Full,
    /// The disk failed. The spool takes nothing more until it is opened again.
    #[error("the spool has failed: {0}")]
    Failed(Arc<str>),
    /// The spool was closed.
    #[error("the spool is closed")]
    Closed,
    /// The transaction changes a message that is not stored (any more); nothing of it was done.
    #[error("message {0} is not in the spool")]
    Unknown(MessageId),
    /// More than [`TRANSACTION_OCTETS_MAX`](crate::TRANSACTION_OCTETS_MAX).
    #[error("the transaction is too large")]
    TooLarge,
}

impl CommitError {
    /// Status for the sender: 4.3.1 mail system full, else 4.3.0 (RFC 3463 §3.4).
    #[must_use]
    pub fn status(&self) -> EnhancedStatus {
        match self {
            Self::Full => EnhancedStatus::new(4, 3, 1),
            _ => EnhancedStatus::new(4, 3, 0),
        }
    }
}

/// Why a stored message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not stored (any more).
    #[error("message {0} is not in the spool")]
    Unknown(MessageId),
    /// What is stored does not match its checksum, or is not there.
    #[error("message {0} is damaged on disk")]
    Damaged(MessageId),
    /// Nothing can be read of it any more but that it was there: it is set aside in `quarantine/`. It stays known until it is
    /// removed by whoever has told of its end, so that none ends without a word.
    #[error("message {0} can no longer be read: what is left of it is in the quarantine of the queue")]
    Lost(MessageId),
    /// A newer version stored something about it that this one does not understand and may not pass over.
    #[error("message {0} was changed by a newer version, which alone can go on with it")]
    Newer(MessageId),
    /// Longer than the caller wants to hold in memory.
    #[error("message {0} is larger than wanted")]
    TooLarge(MessageId),
    /// The file system said so.
    #[error("message {id} cannot be read: {error}")]
    Io {
        /// The message.
        id: MessageId,
        /// What the file system said.
        error: io::Error,
    },
}

impl ReadError {
    /// Whether trying again later may help: a disk that comes to its senses, a newer version that is started again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Newer(_))
    }
}

/// Whether the spool takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ready,
    /// No space: no new mail, but delivered mail can be removed. Goes away by itself.
    Full,
    /// The disk failed, for this reason: nothing can be stored until the spool is opened again.
    Failed(Arc<str>),
}
