//! A database that leaves: who it goes to is written in its folder, and from a moment on nothing is written into it any more.
//!
//! Several processes write into a database. Each has a shared lock on its folder while it does, and looks for the mark under it.
//! Whoever holds the database writes the mark first, so that nobody begins, and then waits for the exclusive lock, so that
//! everybody has ended. The kernel ends the locks of a process that dies.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use envelope::ServerName;
use uuid::Uuid;

use super::listing::{self, Entry};
use crate::disk::{self, blocking};
use crate::error::StoreError;

/// In the folder of a database that is on its way.
pub(super) const MARK: &str = ".move";
/// Beside the databases: those that have gone.
const GONE: &str = ".moved";
const HELD: &str = "held";
const COPIED: &str = "copied";

/// A database on its way to another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Tells this move from every other.
    pub id: Uuid,
    /// Where it goes.
    pub to: ServerName,
    /// Nobody writes into it any more.
    pub held: bool,
}

impl Departure {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (id, to, state) = (lines.next()?, lines.next()?, lines.next()?);
        Some(Self { id: id.parse().ok()?, to: ServerName::parse(to).ok()?, held: state == HELD })
    }

    fn written(&self) -> String {
        format!("{}\n{}\n{}\n", self.id, self.to, if self.held { HELD } else { COPIED })
    }
}

/// The right to write into a database; it is not held as long as this is there.
#[derive(Debug)]
pub struct Stay {
    _locked: File,
}

/// Blocks for no longer than the file system needs.
pub(crate) fn stay(root: &Path) -> Result<Stay, StoreError> {
    let moving = || StoreError::Moving { path: root.to_owned() };
    let folder = File::open(root).map_err(StoreError::io("open", root))?;
    match folder.try_lock_shared() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(moving()),
        Err(fs::TryLockError::Error(error)) => return Err(StoreError::io("lock", root)(error)),
    }
    match read(root)? {
        Some(departure) if departure.held => Err(moving()),
        _ => Ok(Stay { _locked: folder }),
    }
}

fn read(root: &Path) -> Result<Option<Departure>, StoreError> {
    let path = root.join(MARK);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let unreadable = || StoreError::io("understand", &path)(io::ErrorKind::InvalidData.into());
            Departure::parse(&text).map(Some).ok_or_else(unreadable)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", &path)(error)),
    }
}

fn write(root: &Path, departure: &Departure) -> Result<(), StoreError> {
    let path = root.join(MARK);
    let fresh = path.with_extension("new");
    let written = || {
        let mut file = disk::open_file(OpenOptions::new().write(true).create(true).truncate(true), &fresh)?;
        file.write_all(departure.written().as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    written().map_err(StoreError::io("write", &path))?;
    disk::sync_directory(root)
}

/// The folder of a database that leaves, or could.
#[derive(Clone, Debug)]
pub struct Departing {
    root: PathBuf,
}

impl Departing {
    /// The database in `root`.
    #[must_use]
    pub fn of(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it goes, if it does.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be read.
    pub async fn state(&self) -> Result<Option<Departure>, StoreError> {
        let root = self.root.clone();
        blocking(move || read(&root)).await
    }

    /// It goes to `to`: mail is written into it as before, and its files may be read there. Begun before, it goes on.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it is on its way to somebody else.
    pub async fn begin(&self, to: &ServerName) -> Result<Departure, StoreError> {
        let (root, to) = (self.root.clone(), to.clone());
        blocking(move || {
            match read(&root)? {
                Some(departure) if departure.to == to => return Ok(departure),
                Some(Departure { to, .. }) => {
                    let text = format!("it is on its way to {to}; --cancel ends that");
                    return Err(StoreError::Refused { path: root, text });
                }
                None => {}
            }
            disk::create_directory(&root)?;
            let departure = Departure { id: Uuid::new_v4(), to, held: false };
            write(&root, &departure)?;
            Ok(departure)
        })
        .await
    }

    /// Nobody writes into it from now on, over restarts too. Waits for those who do.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this is not the move that was begun.
    pub async fn hold(&self, id: Uuid) -> Result<(), StoreError> {
        let root = self.root.clone();
        blocking(move || {
            match read(&root)? {
                Some(departure) if departure.id == id => write(&root, &Departure { held: true, ..departure })?,
                _ => {
                    let text = "another move of it was begun meanwhile, or this one cancelled".to_owned();
                    return Err(StoreError::Refused { path: root, text });
                }
            }
            let folder = File::open(&root).map_err(StoreError::io("open", &root))?;
            folder.lock().map_err(StoreError::io("lock", &root))
        })
        .await
    }

    /// It stays after all.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written.
    pub async fn stay(&self) -> Result<(), StoreError> {
        let root = self.root.clone();
        blocking(move || {
            let mark = root.join(MARK);
            match fs::remove_file(&mark) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => {
                    other.map_err(StoreError::io("remove", &mark))?;
                    disk::sync_directory(&root)
                }
            }
        })
        .await
    }

    /// It has gone: its files are put where nobody takes them for mailboxes. The mark stays, so that whoever comes late writes
    /// nothing that nobody would find.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be moved; what was not is moved by the next call.
    pub async fn put_aside(&self, departure: &Departure) -> Result<PathBuf, StoreError> {
        let (root, id) = (self.root.clone(), departure.id);
        blocking(move || {
            let (mailboxes, name) = listing::place(&root)?;
            let gone = mailboxes.join(GONE);
            let mut aside = name.to_owned();
            aside.push(format!(".{id}"));
            let aside = gone.join(aside);
            disk::create_directory(&aside)?;
            for part in listing::parts(&root)? {
                let from = root.join(&part);
                fs::rename(&from, aside.join(&part)).map_err(StoreError::io("move", &from))?;
            }
            for folder in [&aside, &gone, mailboxes, &root] {
                disk::sync_directory(folder)?;
            }
            Ok(aside)
        })
        .await
    }

    /// What it consists of: mailboxes, and what else its owner put beside them.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn parts(&self) -> Result<Vec<OsString>, StoreError> {
        let root = self.root.clone();
        blocking(move || listing::parts(&root)).await
    }

    /// One of its parts, itself first, every folder before what is in it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn list(&self, part: OsString) -> Result<Vec<Entry>, StoreError> {
        let root = self.root.clone();
        blocking(move || listing::list(&root, &part)).await
    }

    /// Opens a file that was listed, and says what it is now. `None`: it is no more. Blocks.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened.
    pub fn open(&self, path: PathBuf) -> Result<Option<(File, Entry)>, StoreError> {
        listing::open(&self.root, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeliveryId, MailboxDatabase, MailboxName};
    use envelope::{Address, MessageId};

    fn server(name: &str) -> ServerName {
        ServerName::parse(name).unwrap()
    }

    #[tokio::test]
    async fn nobody_writes_into_a_database_that_is_held_and_everybody_when_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("DB1");
        let database = MailboxDatabase::open(&root).await.unwrap();
        let ann = MailboxName::parse("ann").unwrap();
        database.create_mailbox(&ann).await.unwrap();
        let content = database.begin(b"").await.unwrap().finish().await.unwrap();
        let delivery =
            |at| DeliveryId::new(MessageId::from_bytes([at; 16]), &Address::parse("ann@contoso.com").unwrap());
        let departing = Departing::of(&root);
        let departure = departing.begin(&server("OSLO1")).await.unwrap();
        assert_eq!(departing.begin(&server("OSLO1")).await.unwrap(), departure, "begun once");
        assert!(matches!(departing.begin(&server("OSLO2")).await, Err(StoreError::Refused { .. })));
        content.deliver(&ann, delivery(1)).await.unwrap();
        assert!(departing.hold(Uuid::new_v4()).await.is_err(), "another move");
        departing.hold(departure.id).await.unwrap();
        departing.hold(departure.id).await.unwrap();
        assert!(matches!(content.deliver(&ann, delivery(2)).await, Err(StoreError::Moving { .. })));
        let bob = MailboxName::parse("bob").unwrap();
        assert!(matches!(database.create_mailbox(&bob).await, Err(StoreError::Moving { .. })));
        // Another process, or this one after a restart.
        let again = MailboxDatabase::open(&root).await.unwrap();
        assert!(matches!(again.create_mailbox(&bob).await, Err(StoreError::Moving { .. })));
        departing.stay().await.unwrap();
        content.deliver(&ann, delivery(2)).await.unwrap();
    }

    #[tokio::test]
    async fn holding_waits_for_whoever_writes() {
        let folder = tempfile::tempdir().unwrap();
        let departing = Departing::of(folder.path().join("DB1"));
        let departure = departing.begin(&server("OSLO1")).await.unwrap();
        let writing = stay(&departing.root).unwrap();
        let holding = tokio::spawn({
            let departing = departing.clone();
            async move { departing.hold(departure.id).await }
        });
        while !departing.state().await.unwrap().unwrap().held {
            tokio::task::yield_now().await;
        }
        assert!(stay(&departing.root).is_err(), "nobody begins");
        assert!(!holding.is_finished(), "and somebody has not ended");
        drop(writing);
        holding.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_has_gone_is_put_aside_whole_and_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("DB1");
        let database = MailboxDatabase::open(&root).await.unwrap();
        for name in ["ann", "bob"] {
            database.create_mailbox(&MailboxName::parse(name).unwrap()).await.unwrap();
        }
        let departing = Departing::of(&root);
        let departure = departing.begin(&server("OSLO1")).await.unwrap();
        departing.hold(departure.id).await.unwrap();
        // As if a call had ended in the middle.
        let gone = folder.path().join(GONE).join(format!("DB1.{}", departure.id));
        fs::create_dir_all(&gone).unwrap();
        fs::rename(root.join("ann"), gone.join("ann")).unwrap();
        assert_eq!(departing.put_aside(&departure).await.unwrap(), gone);
        assert!(gone.join("ann/Maildir/new").is_dir() && gone.join("bob/Maildir/new").is_dir());
        assert_eq!(departing.parts().await.unwrap(), Vec::<OsString>::new());
        let late = MailboxDatabase::open(&root).await.unwrap();
        assert!(late.create_mailbox(&MailboxName::parse("ann").unwrap()).await.is_err());
    }
}
