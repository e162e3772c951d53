//! One message in an outbox: read it, submit it, and settle it.
//!
//! ```text
//!  .Outbox/{new,cur}/NAME ──▶ OutboxItem ──▶ submitted ──▶ sent      ──▶ .Sent/cur/ID.sent:2,S
//!        ▲                        │     └──▶ refused   ──▶ rejected  ──▶ .Failed/new/ID.failed
//!        └────────────────────────┴ dropped: stays, offered again after a rescan or restart
//! ```
//!
//! The message id derives from the mailbox, NAME, and the file behind it (inode, size, time of its last change), which survive
//! a crash and any change of flags. So a message that was submitted, but not moved before a crash, is submitted again under
//! the same id and Transport knows it already; and a script that uses a name twice has sent two messages. The names in
//! `Sent` and `Failed` are new: a message moved back to the outbox from there is a new message.

use std::any::Any;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use envelope::MessageId;

use crate::claim::Claim;
use crate::database::MailboxDatabase;
use crate::disk::{self, blocking};
use crate::error::StoreError;
use crate::line_ends::FromDisk;
use crate::mailbox::{Folder, MailboxName, split_flags};
use crate::outbox_id;

/// Octets read from an outbox at once: 64 KB.
const CHUNK_OCTETS: usize = 64 * 1024;
/// Longest reason that is written on top of a message that could not be sent, in characters.
const REASON_CHARACTERS_MAX: usize = 900;
/// Header that carries the reason; to be removed from a message that is sent again.
pub const FAILURE_HEADER: &str = "X-Postroad-Failure";

/// What is held until the disk has answered, such as one of a number of turns.
pub type Held = Arc<dyn Any + Send + Sync>;

/// A message that a user wants to send. While it exists, nobody else is offered the same one.
#[derive(Debug)]
pub struct OutboxItem {
    claim: Claim,
    database: MailboxDatabase,
    /// Directory `.Outbox`.
    outbox: PathBuf,
}

impl OutboxItem {
    pub(crate) fn new(claim: Claim, database: MailboxDatabase) -> Self {
        let outbox = Folder::Outbox.within(&database.mailbox_path(claim.mailbox()));
        Self { claim, database, outbox }
    }

    /// Whose outbox it is.
    #[must_use]
    pub fn mailbox(&self) -> &MailboxName {
        self.claim.mailbox()
    }

    /// The database of that mailbox.
    #[must_use]
    pub fn database(&self) -> &MailboxDatabase {
        &self.database
    }

    /// The id to submit it under: always the same for the same message, another one for another file of the same name.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        outbox_id::id(self.database.brought(), self.mailbox(), self.name(), self.claim.file())
    }

    /// Opens the content. `None` when the user has taken the message back meanwhile: drop the item then. What is begun on a
    /// disk that does not answer goes on when nobody waits for it any more; `held` is not dropped before that.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened or is no regular file.
    pub async fn open(&self, held: Held) -> Result<Option<OutboxReader>, StoreError> {
        let (outbox, name) = (self.outbox.clone(), self.name().to_owned());
        blocking(move || {
            let Some(path) = locate(&outbox, &name)? else { return Ok(None) };
            let file = disk::open_message(&path)?;
            Ok(Some(OutboxReader { file: Arc::new(file), path, line_ends: FromDisk::default(), held }))
        })
        .await
    }

    /// Transport has the message: moves it to `Sent`, as read. Fine when the user has removed it meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be moved; it is then offered again, and Transport will know it.
    pub async fn sent(self, held: Held) -> Result<(), StoreError> {
        blocking(move || {
            let _held = held;
            let Some(source) = locate(&self.outbox, self.name())? else { return Ok(()) };
            let sent = self.folder(Folder::Sent)?.join("cur");
            let target = sent.join(format!("{}.sent:2,S", self.message_id()));
            fs::rename(&source, &target).map_err(StoreError::io("move", &source))?;
            disk::sync_directory(&sent)?;
            disk::sync_directory(parent(&source))
        })
        .await
    }

    /// The message cannot be sent: moves it to `Failed`, unread, with the reason on top.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be moved; it is then offered again.
    pub async fn rejected(self, reason: &str, held: Held) -> Result<(), StoreError> {
        let line = failure_line(reason);
        blocking(move || {
            let _held = held;
            let Some(source) = locate(&self.outbox, self.name())? else { return Ok(()) };
            let failed = self.folder(Folder::Failed)?;
            let name = format!("{}.failed", self.message_id());
            let (aside, target) = (failed.join("tmp").join(&name), failed.join("new").join(&name));
            copy_with_reason(&source, &aside, &line)?;
            fs::rename(&aside, &target).map_err(StoreError::io("move", &aside))?;
            disk::sync_directory(&failed.join("new"))?;
            fs::remove_file(&source).map_err(StoreError::io("remove", &source))?;
            disk::sync_directory(parent(&source))
        })
        .await
    }

    /// File name without flags.
    fn name(&self) -> &str {
        self.claim.file_name()
    }

    /// A folder to move the message to; made again if its owner has removed it.
    fn folder(&self, folder: Folder) -> Result<PathBuf, StoreError> {
        let mailbox = self.database.mailbox_path(self.mailbox());
        disk::create_layout(&mailbox)?;
        Ok(folder.within(&mailbox))
    }
}

/// Reads the content of a message with CR LF line ends.
pub struct OutboxReader {
    file: Arc<File>,
    path: PathBuf,
    line_ends: FromDisk,
    held: Held,
}

impl fmt::Debug for OutboxReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxReader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl OutboxReader {
    /// The next chunk, `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        let (file, held) = (Arc::clone(&self.file), Arc::clone(&self.held));
        let read = blocking(move || {
            let _held = held;
            let mut chunk = vec![0; CHUNK_OCTETS];
            let length = file.as_ref().read(&mut chunk)?;
            chunk.truncate(length);
            Ok(chunk)
        });
        let chunk = read.await.map_err(StoreError::io("read", &self.path))?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let mut converted = Vec::with_capacity(chunk.len() + chunk.len() / 32);
        self.line_ends.push(&chunk, &mut converted);
        Ok(Some(converted.into()))
    }
}

/// Where the message is now: a reader may have moved it from `new` to `cur` or changed its flags.
fn locate(outbox: &Path, name: &str) -> Result<Option<PathBuf>, StoreError> {
    let unread = outbox.join("new").join(name);
    if unread.symlink_metadata().is_ok() {
        return Ok(Some(unread));
    }
    let cur = outbox.join("cur");
    for candidate in disk::names(&cur)? {
        let candidate = candidate?;
        if candidate.to_str().is_some_and(|text| split_flags(text).0 == name) {
            return Ok(Some(cur.join(candidate)));
        }
    }
    Ok(None)
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("a message lies in a folder")
}

fn failure_line(reason: &str) -> String {
    let clean: String =
        reason.chars().take(REASON_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{FAILURE_HEADER}: {clean}\n")
}

fn copy_with_reason(source: &Path, target: &Path, line: &str) -> Result<(), StoreError> {
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("remove", target)(error)),
        _ => {} // nothing there, or the half of a copy that a crash left
    }
    let mut from = disk::open_message(source)?;
    let mut copy = || {
        let mut to = disk::create_file(target)?;
        to.write_all(line.as_bytes())?;
        io::copy(&mut from, &mut to)?;
        to.sync_all()
    };
    copy().map_err(StoreError::io("write", target))
}

#[cfg(test)]
mod tests;
