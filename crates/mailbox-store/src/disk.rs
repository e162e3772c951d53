//! The few file operations that durability is made of. Blocking: callers are on a blocking thread.
//!
//! Directories are created with mode 0700 and files with 0600: mail is its owner's.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::StoreError;
use crate::mailbox::Folder;

/// Flushes a directory, so that names created in it, moved or removed survive power loss.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    #[cfg(test)]
    synced::note(path);
    File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", path))
}

/// Creates a directory and its parents where they are missing.
pub(crate) fn create_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io("create", path))
}

/// Options for a new file that must not exist yet.
pub(crate) fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

/// Opens a message for reading. The owner of a mailbox writes to it, so the file may be anything: a symbolic link is
/// not followed, and what is no regular file is refused instead of waited for.
pub(crate) fn open_message(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    let open = || {
        let file = options.open(path)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
        }
    };
    open().map_err(StoreError::io("open", path))
}

/// Makes the directories of a mailbox below `mailbox` that are missing, and flushes them.
pub(crate) fn create_layout(mailbox: &Path) -> Result<(), StoreError> {
    let complete = |folder: Folder| ["tmp", "new", "cur"].iter().all(|part| folder.within(mailbox).join(part).is_dir());
    if Folder::ALL.into_iter().all(complete) {
        return Ok(());
    }
    for folder in Folder::ALL {
        let directory = folder.within(mailbox);
        for part in ["tmp", "new", "cur"] {
            create_directory(&directory.join(part))?;
        }
        if folder != Folder::Inbox {
            // Maildir++: marks a subfolder.
            let mark = directory.join("maildirfolder");
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&mark)
                .map_err(StoreError::io("create", &mark))?;
        }
        sync_directory(&directory)?;
    }
    sync_directory(&Folder::Inbox.within(mailbox))?;
    sync_directory(mailbox)
}

/// Names of the entries of a directory, one after the other.
pub(crate) fn names(path: &Path) -> Result<impl Iterator<Item = Result<OsString, StoreError>> + use<>, StoreError> {
    let path = path.to_owned();
    let entries = fs::read_dir(&path).map_err(StoreError::io("list", &path))?;
    Ok(entries.map(move |entry| entry.map(|entry| entry.file_name()).map_err(StoreError::io("list", &path))))
}

/// Runs file work where it blocks nobody.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("file work neither panics nor is cancelled")
}

/// Which directories were synced, for tests: of all that durability is made of, what was forgotten shows nowhere else.
#[cfg(test)]
pub(crate) mod synced {
    use std::path::{Path, PathBuf};

    use parking_lot::Mutex;

    static SYNCED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(crate) fn note(path: &Path) {
        SYNCED.lock().push(path.to_owned());
    }

    /// Those below `root` since the last call, itself included.
    pub(crate) fn take(root: &Path) -> Vec<PathBuf> {
        SYNCED.lock().extract_if(.., |path| path.starts_with(root)).collect()
    }
}
