//! The deliveries that a mailbox has had lately, so that a delivery repeated after a lost answer makes no second copy,
//! even when the owner has already moved or deleted the first.
//!
//! A text file, one id a line, appended and synced after the message itself is durable. What the file lacks because of
//! a crash in between is made up for by the names of the messages present, which are derived from the same ids: they
//! are read once, when the ledger is opened for the first time after a start. So only a message that its owner deleted
//! between the crash and the restart can come twice, and none can be lost.
//!
//! What is read then was perhaps never synced: the process may have died between link and sync. Whoever is told *delivered
//! already* relies on it as on *delivered*, so the folders are synced before their names are believed.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::delivery::DeliveryId;
use crate::disk;
use crate::error::StoreError;
use crate::mailbox::Folder;

/// Deliveries remembered for each mailbox: 4096. A repeat comes within minutes, at worst within the two days that a
/// message may wait; about 200 KB of memory for a mailbox in use.
const ENTRIES_MAX: usize = 4096;
/// The file is rewritten when it has this many lines.
const LINES_MAX: usize = 2 * ENTRIES_MAX;
const FILE_NAME: &str = "deliveries";

/// Recent deliveries into one mailbox.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    lines: usize,
    order: VecDeque<Uuid>,
    known: HashSet<Uuid>,
}

/// What a ledger is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Its file and the names of the messages that are there: nothing is known about how the mailbox was left.
    FileAndFolders,
    /// Its file: everything delivered since the start stands in it.
    File,
}

impl Ledger {
    /// Opens the ledger of the mailbox in the directory `mailbox`, which must exist.
    pub(crate) fn open(mailbox: &Path, source: Source) -> Result<Self, StoreError> {
        let path = mailbox.join(FILE_NAME);
        let octets = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(StoreError::io("read", &path))?,
        };
        let text = String::from_utf8_lossy(&octets);
        let entries: Vec<Uuid> = text.lines().filter_map(|line| line.parse().ok()).collect();
        // Power loss may leave half a line, or zeros.
        let torn = !text.is_empty() && (!text.ends_with('\n') || entries.len() != text.lines().count());
        let file = open_for_append(&path)?;
        let mut ledger = Self { path, file, lines: entries.len(), order: VecDeque::new(), known: HashSet::new() };
        if source == Source::FileAndFolders {
            sync_folders(mailbox)?;
            present(mailbox)?.into_iter().for_each(|id| ledger.remember(id));
        }
        entries.into_iter().for_each(|id| ledger.remember(id));
        if torn {
            ledger.rewrite()?;
        }
        Ok(ledger)
    }

    pub(crate) fn contains(&self, id: Uuid) -> bool {
        self.known.contains(&id)
    }

    /// Remembers a delivery whose message is durable already.
    pub(crate) fn record(&mut self, id: Uuid) -> Result<(), StoreError> {
        self.remember(id);
        if self.lines >= LINES_MAX {
            return self.rewrite();
        }
        self.file
            .write_all(format!("{id}\n").as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(StoreError::io("write", &self.path))?;
        self.lines += 1;
        Ok(())
    }

    fn remember(&mut self, id: Uuid) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn rewrite(&mut self) -> Result<(), StoreError> {
        let text: String = self.order.iter().map(|id| format!("{id}\n")).collect();
        let fresh = self.path.with_extension("tmp");
        let opened = disk::open_file(OpenOptions::new().write(true).create(true).truncate(true), &fresh);
        let written = opened.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&fresh, &self.path)).map_err(StoreError::io("rewrite", &self.path))?;
        disk::sync_directory(self.path.parent().expect("the ledger lies in a mailbox"))?;
        self.file = open_for_append(&self.path)?;
        self.lines = self.order.len();
        Ok(())
    }
}

fn open_for_append(path: &Path) -> Result<File, StoreError> {
    disk::open_file(OpenOptions::new().append(true).create(true), path).map_err(StoreError::io("open", path))
}

/// Makes durable what a process that died may have left: the messages, and the mailbox itself.
fn sync_folders(mailbox: &Path) -> Result<(), StoreError> {
    let inbox = Folder::Inbox.within(mailbox);
    for directory in [&inbox.join("new"), &inbox.join("cur"), &inbox, mailbox] {
        disk::sync_directory(directory)?;
    }
    mailbox.parent().map_or(Ok(()), disk::sync_directory)
}

/// Ids of the newest deliveries whose messages are still in the inbox, oldest first.
fn present(mailbox: &Path) -> Result<Vec<Uuid>, StoreError> {
    let inbox = Folder::Inbox.within(mailbox);
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        for name in disk::names(&inbox.join(part))? {
            found.extend(name?.to_str().and_then(DeliveryId::from_file_name));
            if found.len() >= 2 * ENTRIES_MAX {
                keep_newest(&mut found);
            }
        }
    }
    keep_newest(&mut found);
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

fn keep_newest(found: &mut Vec<(u64, Uuid)>) {
    found.sort_unstable();
    found.drain(..found.len().saturating_sub(ENTRIES_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        disk::create_layout(directory.path()).unwrap();
        directory
    }

    #[test]
    fn remembers_over_restarts_and_forgets_the_oldest() {
        let directory = mailbox();
        let mut ledger = Ledger::open(directory.path(), Source::FileAndFolders).unwrap();
        ledger.record(Uuid::from_u128(1)).unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(directory.path(), Source::FileAndFolders).unwrap();
        assert!(ledger.contains(Uuid::from_u128(1)));
        (2..=ENTRIES_MAX as u128 + 1).for_each(|id| ledger.remember(Uuid::from_u128(id)));
        assert!(!ledger.contains(Uuid::from_u128(1)) && ledger.contains(Uuid::from_u128(2)));
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let directory = mailbox();
        let path = directory.path().join(FILE_NAME);
        let lines: String = (0..LINES_MAX as u128).map(|id| format!("{}\n", Uuid::from_u128(id))).collect();
        fs::write(&path, lines).unwrap();
        Ledger::open(directory.path(), Source::FileAndFolders).unwrap().record(Uuid::from_u128(1 << 100)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), ENTRIES_MAX);
        assert!(Ledger::open(directory.path(), Source::FileAndFolders).unwrap().contains(Uuid::from_u128(1 << 100)));
    }

    #[test]
    fn a_torn_file_keeps_its_good_lines() {
        for tear in [&b"0000"[..], b"\xff\xfe\0\n"] {
            let directory = mailbox();
            let path = directory.path().join(FILE_NAME);
            fs::write(&path, [format!("{}\n", Uuid::from_u128(7)).as_bytes(), tear].concat()).unwrap();
            let mut ledger = Ledger::open(directory.path(), Source::FileAndFolders).unwrap();
            ledger.record(Uuid::from_u128(8)).unwrap();
            let ledger = Ledger::open(directory.path(), Source::FileAndFolders).unwrap();
            assert!(ledger.contains(Uuid::from_u128(8)));
            assert!(ledger.contains(Uuid::from_u128(7)), "{tear:?}");
        }
    }
}
