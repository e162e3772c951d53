//! The few file operations that durability is made of. Blocking: callers are on a blocking thread.
//!
//! Directories are created with mode 0700 and files with 0600: mail is its owner's. Services that are different users share a
//! database by a group: below a folder that is set-group-id and whose group may write, whatever is made has that group, may be
//! written by it (2770 and 0660), and stays closed to everybody else.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::error::StoreError;
use crate::mailbox::Folder;

/// Flushes a directory, so that names created in it, moved or removed survive power loss.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    #[cfg(test)]
    synced::note(path);
    File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", path))
}

/// Bits of a folder whose group shares what is in it: new things get its group (set-group-id), which may write.
const SHARED: u32 = 0o2020;
/// Rights of the group to a file that is shared.
const GROUP: u32 = 0o060;

fn is_shared(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|about| about.permissions().mode() & SHARED == SHARED)
}

/// Creates a directory and its parents where they are missing.
pub(crate) fn create_directory(path: &Path) -> Result<(), StoreError> {
    make_directory(path).map_err(StoreError::io("create", path))
}

fn make_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let make = || DirBuilder::new().mode(0o700).create(path);
    let made = match (make(), parent) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(parent).and_then(|()| make())
        }
        (made, _) => made,
    };
    match made {
        // The umask takes the rights of the group away.
        Ok(()) if parent.is_some_and(is_shared) => fs::set_permissions(path, Permissions::from_mode(0o2770)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Creates a file that must not exist yet.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    open_file(OpenOptions::new().write(true).create_new(true), path)
}

/// Opens a file for writing as `options` say, which is made where they say that as well.
pub(crate) fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(0o600).open(path)?;
    if path.parent().is_some_and(is_shared) {
        let mode = file.metadata()?.permissions().mode();
        if mode & GROUP != GROUP {
            file.set_permissions(Permissions::from_mode(mode | GROUP))?;
        }
    }
    Ok(file)
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
            open_file(OpenOptions::new().append(true).create(true), &mark).map_err(StoreError::io("create", &mark))?;
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
