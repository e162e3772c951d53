//! A database that comes: its copy is made aside, and takes its place when it is whole and synced.
//!
//! ```text
//!   <mailboxes>/.arriving/DB/…     the copy; a file appears in it whole, with the time of the original
//!   <mailboxes>/.arriving/DB/.partial/…   files being written
//!   <mailboxes>/DB/.arrived        which move it came by
//!   <mailboxes>/DB/.outbox-ids     ids of the messages that waited in outboxes
//! ```

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use envelope::MessageId;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::departure::MARK;
use super::difference::Steps;
use super::listing::{self, Entry, EntryKind, StoredFile};
use crate::claim;
use crate::disk::{self, blocking};
use crate::error::StoreError;
use crate::outbox_id::OUTBOX_IDS;

const ARRIVING: &str = ".arriving";
const PARTIAL: &str = ".partial";
const ARRIVED: &str = ".arrived";

/// A copy that is being made.
#[derive(Clone, Debug)]
pub struct IncomingDatabase {
    id: Uuid,
    /// Where the copy is.
    root: PathBuf,
    /// Where it will be.
    place: PathBuf,
}

/// What is there of a move.
#[derive(Debug)]
pub enum Opened {
    /// All of it, at its place.
    Whole,
    /// A part, or nothing yet.
    Partly(IncomingDatabase),
}

impl IncomingDatabase {
    /// The copy of move `id` that is to lie in `place`, as far as it was made. A copy of an earlier move that never came into
    /// use is what it goes on from.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a database is there that did not come by a move.
    pub async fn open(place: PathBuf, id: Uuid) -> Result<Opened, StoreError> {
        blocking(move || open(place, id)).await
    }

    /// What the copy consists of.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn parts(&self) -> Result<Vec<OsString>, StoreError> {
        let root = self.root.clone();
        blocking(move || listing::parts(&root)).await
    }

    /// One of its parts.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, part: OsString) -> Result<Vec<Entry>, StoreError> {
        let root = self.root.clone();
        blocking(move || listing::list(&root, &part)).await
    }

    /// Removes a part that the original has no more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove(&self, part: &OsStr) -> Result<(), StoreError> {
        let at = self.root.join(part);
        blocking(move || {
            let removed = if at.is_dir() { fs::remove_dir_all(&at) } else { fs::remove_file(&at) };
            removed.map_err(StoreError::io("remove", &at))
        })
        .await
    }

    /// Does what needs no content: removes, and makes folders.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prepare(&self, steps: &Steps) -> Result<(), StoreError> {
        let (root, remove, folders) = (self.root.clone(), steps.remove.clone(), steps.folders.clone());
        blocking(move || {
            for Entry { path, kind } in remove {
                let at = root.join(path);
                let removed = if kind == EntryKind::Folder { fs::remove_dir(&at) } else { fs::remove_file(&at) };
                removed.map_err(StoreError::io("remove", &at))?;
            }
            folders.iter().try_for_each(|folder| disk::create_directory(&root.join(folder)))
        })
        .await
    }

    /// Another name for a file that is there. `false`: it is not there any more, or cannot have another.
    pub async fn link(&self, from: &Path, to: &Path) -> bool {
        let (from, to) = (self.root.join(from), self.root.join(to));
        blocking(move || {
            let _replaced = fs::remove_file(&to);
            fs::hard_link(from, to).is_ok()
        })
        .await
    }

    /// A whole file, as old as the original. `false`: it is not as long as that, and left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn put(&self, path: &Path, octets: Vec<u8>, original: &StoredFile) -> Result<bool, StoreError> {
        let (aside, place) = self.places(path)?;
        let (size, modified) = (original.size, original.modified);
        blocking(move || {
            if octets.len() as u64 != size {
                return Ok(false);
            }
            let written = disk::create_file(&aside).and_then(|mut file| {
                file.write_all(&octets)?;
                Ok(file)
            });
            dated(&written.map_err(StoreError::io("write", &aside))?, modified, &aside, &place)?;
            Ok(true)
        })
        .await
    }

    /// Where a file is written, and where it belongs.
    fn places(&self, path: &Path) -> Result<(PathBuf, PathBuf), StoreError> {
        if !listing::is_within(path) {
            return Err(StoreError::io("write", path)(io::ErrorKind::InvalidInput.into()));
        }
        Ok((self.root.join(PARTIAL).join(Uuid::new_v4().to_string()), self.root.join(path)))
    }

    /// Begins a file.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn receive(&self, path: &Path) -> Result<Receiving, StoreError> {
        let (aside, place) = self.places(path)?;
        let path = aside.clone();
        let file = blocking(move || disk::create_file(&path).map_err(StoreError::io("create", &path))).await?.into();
        Ok(Receiving { file, aside, place, written: 0 })
    }

    /// It is what the original is: makes that durable and puts it at its place. `waiting`: messages of outboxes, each by its
    /// path, and the ids that they keep.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn finish(self, waiting: Vec<(PathBuf, MessageId)>) -> Result<(), StoreError> {
        blocking(move || self.finish_blocking(&waiting)).await
    }

    fn finish_blocking(&self, waiting: &[(PathBuf, MessageId)]) -> Result<(), StoreError> {
        let root = &self.root;
        let mut ids = String::new();
        for (path, id) in waiting {
            let at = root.join(path);
            let metadata = fs::symlink_metadata(&at).map_err(StoreError::io("look at", &at))?;
            ids.push_str(&format!("{id} {} {}\n", claim::identity(&metadata), path.display()));
        }
        let write = |name: &str, text: &str| {
            let at = root.join(name);
            let file = disk::open_file(OpenOptions::new().write(true).create(true).truncate(true), &at);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(StoreError::io("write", &at))
        };
        write(OUTBOX_IDS, &ids)?;
        write(ARRIVED, &self.id.to_string())?;
        let partial = root.join(PARTIAL);
        fs::remove_dir_all(&partial).map_err(StoreError::io("remove", &partial))?;
        // All of it, those of earlier passes and processes included: one file system has them all.
        let folder = File::open(root).map_err(StoreError::io("open", root))?;
        nix::unistd::syncfs(&folder).map_err(|errno| StoreError::io("sync", root)(errno.into()))?;
        clear(&self.place)?;
        fs::rename(root, &self.place).map_err(StoreError::io("move", root))?;
        let (mailboxes, _) = listing::place(&self.place)?;
        disk::sync_directory(&mailboxes.join(ARRIVING))?;
        disk::sync_directory(mailboxes)
    }
}

fn open(place: PathBuf, id: Uuid) -> Result<Opened, StoreError> {
    let (mailboxes, name) = listing::place(&place)?;
    let root = mailboxes.join(ARRIVING).join(name);
    match (arrived(&place), listing::parts(&place)?.is_empty()) {
        (Some(other), _) if other == id => return Ok(Opened::Whole),
        (Some(_), _) if !place.join(MARK).exists() => {
            disk::create_directory(&mailboxes.join(ARRIVING))?;
            if root.exists() {
                fs::remove_dir_all(&root).map_err(StoreError::io("remove", &root))?;
            }
            fs::rename(&place, &root).map_err(StoreError::io("move", &place))?;
        }
        (_, true) => {}
        (_, false) => {
            let text = "there is a database in that folder which is not this one: look what it is, and move it away";
            return Err(StoreError::Refused { path: place, text: text.to_owned() });
        }
    }
    let partial = root.join(PARTIAL);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(StoreError::io("remove", &partial))?;
    }
    disk::create_directory(&partial)?;
    Ok(Opened::Partly(IncomingDatabase { id, root, place }))
}

/// The move by which the database in `place` came, if it was not in use since.
fn arrived(place: &Path) -> Option<Uuid> {
    fs::read_to_string(place.join(ARRIVED)).ok()?.parse().ok()
}

/// The database in `place` comes into use: from now on it is no copy of anything.
pub(crate) fn in_use(place: &Path) -> Result<(), StoreError> {
    let mark = place.join(ARRIVED);
    match fs::remove_file(&mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(StoreError::io("remove", &mark)),
    }
}

/// Removes what stays of a database that went from here before: its mark, and no mail.
fn clear(place: &Path) -> Result<(), StoreError> {
    if !listing::parts(place)?.is_empty() {
        let text = "a database has come into being in that folder meanwhile".to_owned();
        return Err(StoreError::Refused { path: place.to_owned(), text });
    }
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", place)(error)),
        _ => Ok(()),
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Receiving {
    file: tokio::fs::File,
    aside: PathBuf,
    place: PathBuf,
    written: u64,
}

impl Receiving {
    /// Appends.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.written += octets.len() as u64;
        self.file.write_all(octets).await.map_err(StoreError::io("write", &self.aside))
    }

    /// It will not be whole: leaves nothing behind.
    pub async fn abandon(self) {
        let aside = self.aside;
        blocking(move || drop(fs::remove_file(aside))).await;
    }

    /// It is whole: puts it at its place, as old as the original. `false`: it is not as long as that, and left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn finish(mut self, original: &StoredFile) -> Result<bool, StoreError> {
        self.file.flush().await.map_err(StoreError::io("write", &self.aside))?;
        let (size, modified) = (original.size, original.modified);
        let file = self.file.into_std().await;
        blocking(move || {
            if self.written != size {
                let _removed = fs::remove_file(&self.aside);
                return Ok(false);
            }
            dated(&file, modified, &self.aside, &self.place)?;
            Ok(true)
        })
        .await
    }
}

/// Makes a file as old as its original, and puts it at its place.
fn dated(file: &File, modified: (i64, u32), aside: &Path, place: &Path) -> Result<(), StoreError> {
    file.set_times(FileTimes::new().set_modified(time(modified))).map_err(StoreError::io("date", aside))?;
    fs::rename(aside, place).map_err(StoreError::io("move", aside))
}

fn time((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base =
        if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(whole) } else { SystemTime::UNIX_EPOCH.checked_add(whole) };
    let nanoseconds = Duration::from_nanos(nanoseconds.into());
    base.and_then(|base| base.checked_add(nanoseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::super::{Departing, steps};
    use super::*;
    use crate::{MailboxDatabase, MailboxName, OutboxWatch};
    use envelope::ServerName;

    /// One pass over all parts, as a service does it over the network.
    async fn pass(from: &Departing, to: &IncomingDatabase) -> (usize, Vec<(PathBuf, MessageId)>) {
        let (mut changed, mut waiting) = (0, Vec::new());
        for part in from.parts().await.unwrap() {
            let there = from.list(part.clone()).await.unwrap();
            let steps = steps(&there, &to.list(part).await.unwrap());
            changed += steps.count();
            to.prepare(&steps).await.unwrap();
            for Entry { path, .. } in steps.fetch {
                let Some((mut file, Entry { kind: EntryKind::File(original), .. })) = from.open(path.clone()).unwrap()
                else {
                    panic!("{path:?}")
                };
                let mut octets = Vec::new();
                io::Read::read_to_end(&mut file, &mut octets).unwrap();
                let mut receiving = to.receive(&path).await.unwrap();
                receiving.write(&octets).await.unwrap();
                assert!(receiving.finish(&original).await.unwrap());
            }
            waiting.extend(there.into_iter().filter_map(|entry| match entry.kind {
                EntryKind::File(file) => Some((entry.path, file.message?)),
                EntryKind::Folder => None,
            }));
        }
        (changed, waiting)
    }

    async fn partly(place: &Path, id: Uuid) -> IncomingDatabase {
        match IncomingDatabase::open(place.to_owned(), id).await.unwrap() {
            Opened::Partly(arrival) => arrival,
            Opened::Whole => panic!("it is whole"),
        }
    }

    #[tokio::test]
    async fn a_database_comes_whole_and_what_waits_in_outboxes_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old/DB1"), folder.path().join("new/DB1"));
        let database = MailboxDatabase::open(&old).await.unwrap();
        let ann = MailboxName::parse("ann").unwrap();
        database.create_mailbox(&ann).await.unwrap();
        fs::write(old.join("ann/Maildir/.Outbox/new/one"), "To: b@c.example\n\nhello\n").unwrap();
        fs::write(old.join("ann/deliveries"), "x\n").unwrap();
        let mut watch = OutboxWatch::start(vec![database]).await.unwrap();
        let id = watch.next().await.unwrap().message_id();

        let departing = Departing::of(&old);
        let departure = departing.begin(&ServerName::parse("OSLO1").unwrap()).await.unwrap();
        let arrival = partly(&new, departure.id).await;
        assert!(pass(&departing, &arrival).await.0 > 0);
        assert!(!new.exists(), "it is not whole");
        // The process dies, a file half written; the next goes on.
        fs::write(arrival.root.join(PARTIAL).join("half"), "x").unwrap();
        fs::write(old.join("ann/Maildir/new/later"), "later").unwrap();
        let arrival = partly(&new, departure.id).await;
        assert_eq!(pass(&departing, &arrival).await.0, 1);
        departing.hold(departure.id).await.unwrap();
        let (changed, waiting) = pass(&departing, &arrival).await;
        assert_eq!((changed, waiting.len()), (0, 1));
        arrival.finish(waiting).await.unwrap();
        assert!(matches!(IncomingDatabase::open(new.clone(), departure.id).await.unwrap(), Opened::Whole));
        assert_eq!(fs::read_to_string(new.join("ann/Maildir/new/later")).unwrap(), "later");
        let mut watch = OutboxWatch::start(vec![MailboxDatabase::open(&new).await.unwrap()]).await.unwrap();
        assert_eq!(watch.next().await.unwrap().message_id(), id, "Transport knows it");

        // And back: where it was only the mark is left once it was put aside.
        departing.put_aside(&departure).await.unwrap();
        let departing = Departing::of(&new);
        let back = departing.begin(&ServerName::parse("BERLIN1").unwrap()).await.unwrap();
        departing.hold(back.id).await.unwrap();
        let arrival = partly(&old, back.id).await;
        while pass(&departing, &arrival).await.0 > 0 {}
        let waiting = pass(&departing, &arrival).await.1;
        arrival.finish(waiting).await.unwrap();
        let mut watch = OutboxWatch::start(vec![MailboxDatabase::open(&old).await.unwrap()]).await.unwrap();
        assert_eq!(watch.next().await.unwrap().message_id(), id, "twice moved, and still the same");
    }

    #[tokio::test]
    async fn a_copy_of_a_move_that_was_cancelled_is_gone_on_from_and_a_strange_database_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old/DB1"), folder.path().join("new/DB1"));
        fs::create_dir_all(old.join("ann")).unwrap();
        fs::write(old.join("ann/one"), "1").unwrap();
        let departing = Departing::of(&old);
        let arrival = partly(&new, Uuid::new_v4()).await;
        pass(&departing, &arrival).await;
        arrival.finish(Vec::new()).await.unwrap();
        fs::write(old.join("ann/two"), "2").unwrap();
        fs::remove_file(old.join("ann/one")).unwrap();
        let arrival = partly(&new, Uuid::new_v4()).await;
        assert!(!new.exists(), "it is not this move's");
        assert_eq!(pass(&departing, &arrival).await.0, 2);
        arrival.finish(Vec::new()).await.unwrap();
        assert_eq!(fs::read_dir(new.join("ann")).unwrap().count(), 1);

        MailboxDatabase::open(&new).await.unwrap();
        assert!(
            matches!(IncomingDatabase::open(new, Uuid::new_v4()).await, Err(StoreError::Refused { .. })),
            "it was in use"
        );
    }
}
