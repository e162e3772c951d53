//! A mailbox database: creates mailboxes and delivers into them.
//!
//! The order in which a delivery becomes durable:
//!
//! ```text
//! begin  write…  finish            deliver, per recipient
//! .staging/x ──▶ fsync file ──▶ link new/NAME ──▶ fsync new ──▶ ledger + fsync ──▶ Delivered
//! ```
//!
//! NAME derives from the delivery's id, so a repeat after a crash at any point finds the name taken or the ledger
//! telling, and makes no second copy. Nothing is written in `tmp`: a link appears in `new` whole, like a rename.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::delivery::{DeliveryId, DeliveryOutcome};
use crate::disk::{self, blocking};
use crate::error::StoreError;
use crate::ledger::{Ledger, Source};
use crate::line_ends::ToDisk;
use crate::mailbox::{Folder, MailboxName};
use crate::moving::{self, Stay};
use crate::outbox_id::{Brought, brought};

/// Mailboxes whose ledgers are kept open: 256, about 50 MB at worst. Others are opened again when needed.
const OPEN_LEDGERS_MAX: usize = 256;
/// Age at which leftovers of a crash are removed from `.staging`: 36 hours, as Maildir says of `tmp`.
const STAGING_AGE_MAX: Duration = Duration::from_secs(36 * 3600);
const STAGING: &str = ".staging";
/// A mailbox database. Clones are the same database.
#[derive(Clone, Debug)]
pub struct MailboxDatabase(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    ledgers: Mutex<HashMap<MailboxName, Arc<Mutex<Option<Ledger>>>>>,
    /// Mailboxes whose ledger files say everything since the start: their folders need not be read again, however often
    /// their ledgers are closed and opened. Names only, one for each mailbox that had mail.
    complete: Mutex<HashSet<MailboxName>>,
    brought: OnceLock<Brought>,
}

impl MailboxDatabase {
    /// Opens the database in `root`, which is created when it is missing, and removes what a crash left behind. All of
    /// it has to lie on one file system.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be created, read or written.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        // inotify reports absolute paths.
        let root = std::path::absolute(&root).map_err(StoreError::io("find", &root))?;
        let (ledgers, complete, brought) = (Mutex::default(), Mutex::default(), OnceLock::new());
        let database = Self(Arc::new(Inner { root, ledgers, complete, brought }));
        let opened = database.clone();
        blocking(move || opened.prepare()).await?;
        Ok(database)
    }

    /// The directory of the database.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Makes sure that a mailbox exists, with its folders. It appears whole: made aside, then renamed.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be created.
    pub async fn create_mailbox(&self, mailbox: &MailboxName) -> Result<(), StoreError> {
        let (database, mailbox) = (self.clone(), mailbox.clone());
        blocking(move || database.create_mailbox_blocking(&mailbox)).await
    }

    /// Starts writing a message. `trace` goes on top of it: whole header lines ended by CR LF, such as `Return-Path`
    /// and, for a single recipient, `Delivered-To`.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be created or written.
    pub async fn begin(&self, trace: &[u8]) -> Result<ContentWriter, StoreError> {
        let staged = Staged(self.0.root.join(STAGING).join(Uuid::new_v4().to_string()));
        let path = staged.0.clone();
        let file = blocking(move || disk::create_file(&path).map_err(StoreError::io("create", &path))).await?.into();
        let mut writer = ContentWriter { database: self.clone(), staged, file, line_ends: ToDisk::default() };
        writer.write(trace).await?;
        Ok(writer)
    }

    /// The right to write into it: as long as the result is there, it does not leave for another server.
    ///
    /// # Errors
    /// [`StoreError::Moving`]
    pub async fn stay(&self) -> Result<Stay, StoreError> {
        let database = self.clone();
        blocking(move || moving::stay(&database.0.root)).await
    }

    /// Messages that waited in its outboxes when it came here.
    pub(crate) fn brought(&self) -> &Brought {
        self.0.brought.get_or_init(|| brought(&self.0.root))
    }

    pub(crate) fn mailbox_path(&self, mailbox: &MailboxName) -> PathBuf {
        self.0.root.join(mailbox.as_str())
    }

    /// Mailboxes present. Blocking.
    pub(crate) fn mailboxes(&self) -> Result<Vec<MailboxName>, StoreError> {
        let mut found = Vec::new();
        for name in disk::names(&self.0.root)? {
            let name = name?;
            // Only what has a mailbox name in its one spelling; `.staging` and strangers have not.
            if let Some(text) = name.to_str()
                && let Ok(mailbox) = MailboxName::parse(text)
                && mailbox.as_str() == text
                && self.mailbox_path(&mailbox).is_dir()
            {
                found.push(mailbox);
            }
        }
        Ok(found)
    }

    #[expect(clippy::disallowed_methods, reason = "the age of files in the staging folder")]
    fn prepare(&self) -> Result<(), StoreError> {
        let staging = self.0.root.join(STAGING);
        disk::create_directory(&staging)?;
        moving::in_use(&self.0.root)?;
        disk::sync_directory(&self.0.root)?;
        for name in disk::names(&staging)? {
            let path = staging.join(name?);
            let old = fs::symlink_metadata(&path)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > STAGING_AGE_MAX));
            if old && let Err(error) = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a leftover of a crash");
            }
        }
        Ok(())
    }

    fn create_mailbox_blocking(&self, mailbox: &MailboxName) -> Result<(), StoreError> {
        let _stay = moving::stay(&self.0.root)?;
        let path = self.mailbox_path(mailbox);
        if path.is_dir() {
            // Also completes a mailbox that was made by hand.
            return disk::create_layout(&path);
        }
        let aside = self.0.root.join(STAGING).join(Uuid::new_v4().to_string());
        disk::create_directory(&aside)?;
        disk::create_layout(&aside)?;
        match fs::rename(&aside, &path) {
            // Somebody else made it meanwhile.
            Err(_) if path.is_dir() => fs::remove_dir_all(&aside).map_err(StoreError::io("remove", &aside))?,
            other => other.map_err(StoreError::io("create", &path))?,
        }
        disk::sync_directory(&self.0.root)
    }

    fn deliver_blocking(&self, staged: &Path, to: &MailboxName, id: DeliveryId) -> Result<DeliveryOutcome, StoreError> {
        let _stay = moving::stay(&self.0.root)?;
        let slot = self.ledger(to);
        let mut slot = slot.lock();
        let path = self.mailbox_path(to);
        let inbox = Folder::Inbox.within(&path).join("new");
        if !inbox.is_dir() {
            *slot = None;
            self.0.complete.lock().remove(to);
            return Err(StoreError::MailboxMissing { mailbox: to.clone() });
        }
        let ledger = match &mut *slot {
            Some(ledger) => ledger,
            empty => empty.insert(self.open_ledger(to, &path)?),
        };
        if ledger.contains(id.key()) {
            return Ok(DeliveryOutcome::AlreadyDelivered);
        }
        let target = inbox.join(id.file_name());
        let delivery = match fs::hard_link(staged, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => DeliveryOutcome::AlreadyDelivered,
            other => other.map(|()| DeliveryOutcome::Delivered).map_err(StoreError::io("deliver", &target))?,
        };
        if let Err(error) = disk::sync_directory(&inbox) {
            // A sync that failed is not made up for by one that succeeds later: the next attempt makes the name anew.
            let _ = fs::remove_file(&target);
            return Err(error);
        }
        if let Err(error) = ledger.record(id.key()) {
            // The message is safe; refusing now would only bring it a second time.
            tracing::warn!(mailbox = %to, %error, "a delivery was made but not written into the ledger");
            self.0.complete.lock().remove(to);
        }
        Ok(delivery)
    }

    /// Reads the folders of a mailbox once after a start: what its ledger may lack is there.
    fn open_ledger(&self, mailbox: &MailboxName, path: &Path) -> Result<Ledger, StoreError> {
        let is_complete = self.0.complete.lock().contains(mailbox);
        let ledger = Ledger::open(path, if is_complete { Source::File } else { Source::FileAndFolders })?;
        self.0.complete.lock().insert(mailbox.clone());
        Ok(ledger)
    }

    fn ledger(&self, mailbox: &MailboxName) -> Arc<Mutex<Option<Ledger>>> {
        let mut ledgers = self.0.ledgers.lock();
        if ledgers.len() >= OPEN_LEDGERS_MAX && !ledgers.contains_key(mailbox) {
            // Those in use have a second owner; there are no more of them than deliveries under way.
            let idle = ledgers.iter().find(|(_, slot)| Arc::strong_count(slot) == 1).map(|(name, _)| name.clone());
            idle.and_then(|name| ledgers.remove(&name));
        }
        Arc::clone(ledgers.entry(mailbox.clone()).or_default())
    }
}

/// A message being written. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct ContentWriter {
    database: MailboxDatabase,
    staged: Staged,
    file: tokio::fs::File,
    line_ends: ToDisk,
}

impl ContentWriter {
    /// Appends a chunk of content with CR LF line ends.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let mut converted = Vec::new();
        self.line_ends.push(chunk, &mut converted);
        self.file.write_all(&converted).await.map_err(StoreError::io("write", &self.staged.0))
    }

    /// Ends the message and syncs it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written or synced.
    pub async fn finish(mut self) -> Result<StagedContent, StoreError> {
        let end = self.line_ends.finish();
        let write = async {
            self.file.write_all(end).await?;
            self.file.flush().await?;
            self.file.sync_all().await
        };
        write.await.map_err(StoreError::io("write", &self.staged.0))?;
        Ok(StagedContent { database: self.database, staged: Arc::new(self.staged) })
    }
}

/// A message on disk that can be delivered to any number of mailboxes of its database. Clones are the same message.
#[derive(Clone, Debug)]
pub struct StagedContent {
    database: MailboxDatabase,
    staged: Arc<Staged>,
}

impl StagedContent {
    /// Puts the message into a mailbox, unless this delivery has been made before.
    ///
    /// # Errors
    /// [`StoreError::MailboxMissing`] is permanent; everything else may work later.
    pub async fn deliver(&self, to: &MailboxName, id: DeliveryId) -> Result<DeliveryOutcome, StoreError> {
        let (database, staged, to) = (self.database.clone(), Arc::clone(&self.staged), to.clone());
        blocking(move || database.deliver_blocking(&staged.0, &to, id)).await
    }
}

/// A file in `.staging`, removed when nobody needs it any more; links to it in mailboxes stay.
#[derive(Debug)]
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        // The disk may not answer: then it is a thread for such things that waits, and not one that others need.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove_staged(&path))),
            Err(_) => remove_staged(&path),
        }
    }
}

fn remove_staged(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a staged file stays behind");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
