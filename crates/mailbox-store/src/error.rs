//! What can go wrong with a mailbox database, and what a sender is told about it (docs/rules.md, Notifications).
//!
//! Everything but a missing mailbox is transient: a full or broken disk is the administrator's matter, and mail waits
//! in Transport meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use envelope::EnhancedStatus;

use crate::mailbox::MailboxName;

/// Failure of a mailbox database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such mailbox in this database. Permanent.
    #[error("the database has no mailbox {mailbox}")]
    MailboxMissing {
        /// The name looked for.
        mailbox: MailboxName,
    },
    /// The owner's disk quota is used up.
    #[error("the disk quota for {} is used up", path.display())]
    QuotaExceeded {
        /// What was being written.
        path: PathBuf,
    },
    /// The file system is full.
    #[error("the file system of {} is full", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// The disk has not answered in time. What was begun may yet be done.
    #[error("the disk of {} has not answered for {} s", path.display(), waited.as_secs())]
    Hung {
        /// The database.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It is on its way to another server, and nobody writes into it any more.
    #[error("{} is on its way to another server", path.display())]
    Moving {
        /// The database.
        path: PathBuf,
    },
    /// What was asked for does not fit what is there.
    #[error("{}: {text}", path.display())]
    Refused {
        /// The database.
        path: PathBuf,
        /// Why, and what to do.
        text: String,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel refuses to watch a directory (often: `fs.inotify.max_user_watches` is too low).
    #[error("cannot watch {}: {source}", path.display())]
    Watch {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: notify::Error,
    },
}

impl StoreError {
    /// Permanent or transient, as a status for the recipient concerned.
    #[must_use]
    pub const fn status(&self) -> EnhancedStatus {
        match self {
            Self::MailboxMissing { .. } => EnhancedStatus::new(5, 1, 1),
            Self::QuotaExceeded { .. } => EnhancedStatus::new(4, 2, 2),
            Self::DiskFull { .. } => EnhancedStatus::new(4, 3, 1),
            // Nothing can be written into the database now, whatever it is.
            Self::Hung { .. } | Self::Moving { .. } | Self::Refused { .. } => EnhancedStatus::new(4, 3, 2),
            Self::Io { .. } | Self::Watch { .. } => EnhancedStatus::new(4, 3, 0),
        }
    }

    /// For `map_err`: says what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::QuotaExceeded => Self::QuotaExceeded { path },
            io::ErrorKind::StorageFull => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::Severity;
    use nix::errno::Errno;

    #[test]
    fn disk_trouble_is_transient_and_told_apart() {
        for (errno, status) in [
            (Errno::ENOSPC, EnhancedStatus::new(4, 3, 1)),
            (Errno::EDQUOT, EnhancedStatus::new(4, 2, 2)),
            (Errno::EIO, EnhancedStatus::new(4, 3, 0)),
            (Errno::EROFS, EnhancedStatus::new(4, 3, 0)),
            (Errno::EACCES, EnhancedStatus::new(4, 3, 0)),
        ] {
            let error = StoreError::io("write", Path::new("/x"))(errno.into());
            assert_eq!((error.status(), error.status().severity()), (status, Severity::Transient), "{errno}");
        }
        let missing = StoreError::MailboxMissing { mailbox: MailboxName::parse("ann").unwrap() };
        assert_eq!(missing.status().severity(), Severity::Permanent);
    }
}
