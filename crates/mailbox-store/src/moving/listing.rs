//! What a database consists of, file by file: read on both sides of a move, and compared.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use envelope::MessageId;

use crate::disk;
use crate::error::StoreError;
use crate::outbox_id::{self, Brought};

/// Deepest nesting of folders: Maildir++ needs four.
const DEPTH_MAX: usize = 16;

/// A file or folder of a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Below the folder of the database.
    pub path: PathBuf,
    /// Which of the two.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// With whatever is in it, which is listed after it.
    Folder,
    /// A message, or anything else.
    File(StoredFile),
}

/// A file, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredFile {
    /// Octets.
    pub size: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, u32),
    /// The same for all names of one file: a message that several mailboxes have. `None` where there is one name.
    pub shared: Option<u64>,
    /// The id under which a message of an outbox is submitted.
    pub message: Option<MessageId>,
}

impl StoredFile {
    fn of(metadata: &Metadata) -> Self {
        let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
        Self {
            size: metadata.len(),
            modified: (metadata.mtime(), nanoseconds),
            shared: (metadata.nlink() > 1).then(|| metadata.ino()),
            message: None,
        }
    }

    /// Whether they hold the same, as far as size and time tell: a message never changes.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        (self.size, self.modified) == (other.size, other.modified)
    }
}

/// The folder of all databases, and the name of this one in it.
pub(super) fn place(root: &Path) -> Result<(&Path, &OsStr), StoreError> {
    let nowhere = || StoreError::io("find", root)(io::ErrorKind::InvalidInput.into());
    Ok((root.parent().ok_or_else(nowhere)?, root.file_name().ok_or_else(nowhere)?))
}

/// Whether it names something within a database and nothing of ours: no path that another server sends leads elsewhere.
pub(super) fn is_within(path: &Path) -> bool {
    let mut components = path.components();
    let is_plain = |component: &Component<'_>| matches!(component, Component::Normal(_));
    path.components().all(|component| is_plain(&component))
        && path.components().count() <= DEPTH_MAX
        && components.next().is_some_and(|first| is_part(first.as_os_str()))
}

/// What begins with a dot is ours: the staging folder, the marks of a move.
fn is_part(name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".")
}

/// What lies directly in `root`; nothing when it is not there.
pub(super) fn parts(root: &Path) -> Result<Vec<OsString>, StoreError> {
    if !root.exists() {
        return Ok(Vec::new());
    }
    let mut parts = disk::names(root)?.collect::<Result<Vec<_>, _>>()?;
    parts.retain(|part| is_part(part));
    parts.sort();
    Ok(parts)
}

/// `part` and what is in it, sorted: a folder comes before what is in it. What is removed meanwhile is left out.
pub(super) fn list(root: &Path, part: &OsStr) -> Result<Vec<Entry>, StoreError> {
    let mut looked = Looked { root, brought: outbox_id::brought(root), found: Vec::new(), folders: Vec::new() };
    looked.at(PathBuf::from(part))?;
    while let Some(folder) = looked.folders.pop() {
        if folder.components().count() >= DEPTH_MAX {
            let text = format!("{} lies deeper than {DEPTH_MAX} folders: move it out", folder.display());
            return Err(StoreError::Refused { path: root.to_owned(), text });
        }
        let names = match disk::names(&root.join(&folder)) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for name in names {
            looked.at(folder.join(name?))?;
        }
    }
    looked.found.sort();
    Ok(looked.found)
}

/// What was found so far, and the folders that are still to be looked into.
struct Looked<'a> {
    root: &'a Path,
    brought: Brought,
    found: Vec<Entry>,
    folders: Vec<PathBuf>,
}

impl Looked<'_> {
    fn at(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let at = self.root.join(&path);
        let metadata = match fs::symlink_metadata(&at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(StoreError::io("look at", &at))?,
        };
        if metadata.is_dir() {
            self.folders.push(path.clone());
            self.found.push(Entry { path, kind: EntryKind::Folder });
        } else if metadata.is_file() {
            let message = outbox_id::id_of(&self.brought, &path, &metadata);
            self.found.push(Entry { path, kind: EntryKind::File(StoredFile { message, ..StoredFile::of(&metadata) }) });
        }
        Ok(())
    }
}

/// The file at `path`, and what it is as it is opened.
pub(super) fn open(root: &Path, path: PathBuf) -> Result<Option<(File, Entry)>, StoreError> {
    let at = root.join(&path);
    if !is_within(&path) {
        return Err(StoreError::io("open", &at)(io::ErrorKind::InvalidInput.into()));
    }
    let file = match disk::open_message(&at) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let metadata = file.metadata().map_err(StoreError::io("look at", &at))?;
    Ok(Some((file, Entry { path, kind: EntryKind::File(StoredFile::of(&metadata)) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_a_database_or_to_what_is_ours() {
        for path in ["", "/etc/passwd", "..", "ann/../../x", ".move", ".staging/x", "./ann", &"a/".repeat(17)] {
            assert!(!is_within(Path::new(path)), "{path:?}");
        }
        for path in ["ann", "ann/Maildir/new/1.2.postroad:2,S", "ann/Maildir/.Outbox/cur"] {
            assert!(is_within(Path::new(path)), "{path:?}");
        }
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_links_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("ann/Maildir/new")).unwrap();
        fs::write(root.path().join("ann/Maildir/new/1"), "one").unwrap();
        fs::hard_link(root.path().join("ann/Maildir/new/1"), root.path().join("ann/Maildir/new/2")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("ann/passwd")).unwrap();
        fs::create_dir(root.path().join(".staging")).unwrap();
        assert_eq!(parts(root.path()).unwrap(), ["ann"]);
        let found = list(root.path(), OsStr::new("ann")).unwrap();
        let paths: Vec<&str> = found.iter().map(|entry| entry.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["ann", "ann/Maildir", "ann/Maildir/new", "ann/Maildir/new/1", "ann/Maildir/new/2"]);
        let [EntryKind::File(one), EntryKind::File(two)] = [&found[3].kind, &found[4].kind] else {
            panic!("{found:?}")
        };
        assert!(one.shared.is_some() && one.shared == two.shared && one.is_as(two));
        assert_eq!(list(root.path(), OsStr::new("bob")).unwrap(), []);
    }
}
