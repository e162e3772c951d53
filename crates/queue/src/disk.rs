//! The few file operations that the spool needs, as a trait, so that a disk which loses power can stand in for a real
//! one in tests.
//!
//! Everything here blocks. Durability is only what `sync_data` (a file's bytes) and `sync_dir` (names in a directory)
//! promise, as in POSIX; nothing else may be relied on (see `fsync(2)`, and peers B2 on directory syncs).

pub mod lossy;
mod real;

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

use envelope::ByteSize;

pub use real::RealDisk;

/// A held lock; dropping it unlocks.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// Room on the file system that holds a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still use.
    pub available: ByteSize,
    /// Size of the file system, without what an unprivileged process can never use.
    pub total: ByteSize,
}

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Creates a directory and its parents; an existing one is fine.
    ///
    /// # Errors
    /// Those of the file system.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates a file that must not exist yet.
    ///
    /// # Errors
    /// `AlreadyExists`, `StorageFull` and whatever else the file system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` and whatever else the file system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Names of the files in a directory, in no order.
    ///
    /// # Errors
    /// Those of the file system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, in one step.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away; open handles go on.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` durable.
    ///
    /// # Errors
    /// After an error nothing is known about what is durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on `path`, created if needed, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<LockGuard>;

    /// Tells one run of the machine from another.
    fn boot_id(&self) -> [u8; 16];

    /// Room left for `dir`.
    ///
    /// # Errors
    /// Those of the file system.
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// An open file, read and written at offsets.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads into `buffer` from `offset`; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// Those of the file system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// After an error any part of the range may have changed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Grows the file to `length`, with blocks reserved, so that later writes below it need no space.
    ///
    /// # Errors
    /// `StorageFull` when there is not enough room.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Makes the written bytes and the file's length durable.
    ///
    /// # Errors
    /// After an error the spool must not be trusted to be clean (the kernel may have dropped the dirty pages).
    fn sync_data(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn length(&self) -> io::Result<u64>;
}

/// Whether an error says that space or quota ran out: acceptance stops, but the disk itself is sound.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
