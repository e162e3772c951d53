//! The Pickup and the Replay directory: mail that programs of this server put into a folder as files (PL-56…PL-67).
//!
//! ```text
//!   name.eml ─▶ name.tmp ─▶ Submission queue ─▶ gone
//!      ▲           ├─ not now ─▶ name.eml           (back pressure, a full disk)
//!      └── start ──┘
//!                  └─ never ──▶ name.bad            (what is wrong stands in the log)
//! ```
//!
//! Whoever may write into the folders may send as anybody: they are made for this service's user alone (0700). A file is what it is
//! itself; a link to another one is refused.

mod reading;

use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envelope::{ByteSize, EnhancedStatus, MessageHead, Origin, Reply, Revision, Severity, Timestamp};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use telemetry::metrics::Source;
use telemetry::{HopName, HopOutcome, keys};
use tokio::fs;
use tokio::io::AsyncReadExt;

use self::reading::{Context, Found, Unusable};
use super::accept::Intake;
use crate::core::Core;
use crate::settle::track;

/// How often the folders are looked into (PL-57).
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// `PickupDirectoryMaxMessagesPerMinute`: of each folder.
const MESSAGES_PER_MINUTE_MAX: u32 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// A longer file is no message: it is held in memory while it is read. Ours.
const FILE_SIZE_MAX: ByteSize = ByteSize::mib(128);

const WAITING: &str = "eml";
const UNDER_WAY: &str = "tmp";
const BAD: &str = "bad";

/// Which folder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages as somebody wrote them: the header says who gets them.
    Pickup,
    /// Messages with their envelope in front, as `postroad queue export` and gateways write them.
    Replay,
}

impl Kind {
    /// As trace lines and queues name it.
    const fn name(self) -> &'static str {
        match self {
            Self::Pickup => "Pickup",
            Self::Replay => "Replay",
        }
    }

    /// As the message tracking log names it (LG-22).
    const fn tracked(self) -> logs::tracking::Source {
        match self {
            Self::Pickup => logs::tracking::Source::Pickup,
            Self::Replay => logs::tracking::Source::Admin,
        }
    }
}

/// Takes what comes into the folder until the service stops.
pub(crate) async fn run(core: Arc<Core>, kind: Kind, folder: PathBuf) {
    let mut files = Files { core, kind, folder, minute: (Timestamp::from_millis(0), 0), told: HashSet::new() };
    if let Err(error) = files.give_back().await {
        tracing::warn!(folder = %files.folder.display(), %error, "{} directory: it cannot be read", kind.name());
    }
    loop {
        if let Err(error) = files.look().await {
            tracing::warn!(folder = %files.folder.display(), %error, "{} directory: it cannot be read", kind.name());
        }
        tokio::select! {
            () = files.core.drain.cancelled() => return,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

struct Files {
    core: Arc<Core>,
    kind: Kind,
    folder: PathBuf,
    /// When it began, and how many were taken in it.
    minute: (Timestamp, u32),
    /// Files that cannot be opened, of which that was said.
    told: HashSet<PathBuf>,
}

/// Why a file was not taken.
enum NotTaken {
    /// Somebody took it away, or it cannot be opened: next time.
    Gone(io::Error),
    Unusable(Unusable),
    Refused(Reply),
}

impl Files {
    /// PL-58: what was under way when the service ended comes again.
    async fn give_back(&self) -> io::Result<()> {
        for path in self.with_extension(UNDER_WAY).await? {
            if let Err(error) = self.rename(&path, &path, WAITING).await {
                tracing::warn!(file = %path.display(), %error, "{} directory: a file cannot be renamed", self.kind.name());
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> io::Result<()> {
        let waiting = self.with_extension(WAITING).await?;
        self.told.retain(|path| waiting.binary_search(path).is_ok());
        for path in waiting {
            // PL-67, BP-20: looked at again in a moment.
            if self.core.admits(Source::Submission).is_err() || !self.has_turn() {
                return Ok(());
            }
            // PL-57 (1): one that cannot be opened stays, and keeps no other waiting.
            match open(&path).await {
                Ok(_) => {
                    self.minute.1 += 1;
                    self.take(&path).await;
                }
                Err(NotTaken::Unusable(unusable)) => self.put_aside(&path, &path, BAD, &unusable.to_string()).await,
                Err(NotTaken::Refused(_)) => {}
                Err(NotTaken::Gone(error)) => {
                    if self.told.insert(path.clone()) {
                        tracing::warn!(file = %path.display(), %error, "{} directory: a file cannot be opened", self.kind.name());
                    }
                }
            }
        }
        Ok(())
    }

    fn has_turn(&mut self) -> bool {
        let now = self.core.now();
        if now.since(self.minute.0) >= MINUTE {
            self.minute = (now, 0);
        }
        self.minute.1 < MESSAGES_PER_MINUTE_MAX
    }

    /// In the order of their names.
    async fn with_extension(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let (mut entries, mut found) = (fs::read_dir(&self.folder).await?, Vec::new());
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            // Whoever writes a file under a hidden name has not finished it.
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden && path.extension().is_some_and(|has| has.eq_ignore_ascii_case(extension)) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    async fn take(&self, path: &Path) {
        let under_way = match self.rename(path, path, UNDER_WAY).await {
            Ok(under_way) => under_way,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "{} directory: a file cannot be renamed", self.kind.name());
                return;
            }
        };
        match self.submit(&under_way).await {
            Ok(()) => {
                if let Err(error) = fs::remove_file(&under_way).await {
                    tracing::error!(
                        file = %under_way.display(), %error,
                        "{} directory: a file was sent and cannot be deleted; after a restart it is sent again",
                        self.kind.name()
                    );
                }
            }
            Err(NotTaken::Gone(error)) => self.put_aside(path, &under_way, WAITING, &error.to_string()).await,
            Err(NotTaken::Refused(reply)) if reply.severity() == Severity::Transient => {
                self.put_aside(path, &under_way, WAITING, &reply.to_string()).await;
            }
            Err(NotTaken::Refused(reply)) => self.put_aside(path, &under_way, BAD, &reply.to_string()).await,
            Err(NotTaken::Unusable(unusable)) => {
                self.put_aside(path, &under_way, BAD, &unusable.to_string()).await;
            }
        }
    }

    /// Renames what is at `from` to the name of `path` with another extension, saying why.
    async fn put_aside(&self, path: &Path, from: &Path, extension: &str, why: &str) {
        match (self.rename(from, path, extension).await, extension) {
            (Ok(there), BAD) => {
                track::bad_mail(&self.core, self.kind.tracked(), &there, why);
                tracing::error!(file = %there.display(), why, "{} directory: a file is no message to send", self.kind.name());
            }
            (Ok(there), _) => {
                tracing::info!(file = %there.display(), why, "{} directory: a file is tried again", self.kind.name());
            }
            (Err(error), _) => {
                tracing::error!(file = %from.display(), why, %error, "{} directory: a file cannot be renamed", self.kind.name());
            }
        }
    }

    /// Gives what is at `from` the name of `path` with another extension, and with the time where there is one already (PL-57, PL-65,
    /// PL-68). What has a name keeps it, whoever makes one at the same moment.
    async fn rename(&self, from: &Path, path: &Path, extension: &str) -> io::Result<PathBuf> {
        let there = path.with_extension(extension);
        match rename_to_free(from, &there).await {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            renamed => return renamed.map(|()| there),
        }
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        let digits: String = self.core.now().to_iso8601().chars().filter(char::is_ascii_digit).collect();
        name.push(format!("{digits}.{extension}"));
        let there = path.with_file_name(name);
        rename_to_free(from, &there).await.map(|()| there)
    }

    async fn submit(&self, under_way: &Path) -> Result<(), NotTaken> {
        let core = &self.core;
        // Opened by the name that it has now: another file may have had its name before, and would be deleted unread.
        let text = open(under_way).await?.read().await?;
        let now = core.now();
        let mut hop = core.node.tracer.start(HopName::Receive, None, now);
        let result = self.submit_text(text, now, &mut hop).await;
        match &result {
            Err(NotTaken::Refused(reply)) => {
                hop.end(core.now(), HopOutcome::Failed { status: reply.status_or_generic(), cause: reply });
            }
            Err(NotTaken::Unusable(unusable)) => {
                let status = EnhancedStatus::new(5, 6, 0);
                hop.end(core.now(), HopOutcome::Failed { status, cause: unusable });
            }
            Ok(()) | Err(NotTaken::Gone(_)) => hop.end(core.now(), HopOutcome::Done),
        }
        result
    }

    async fn submit_text(&self, text: Bytes, now: Timestamp, hop: &mut telemetry::Hop) -> Result<(), NotTaken> {
        let (core, tables) = (&self.core, self.core.node.tables());
        let server = tables.local_server();
        let domain = tables.organization().default_domain().unwrap_or(&server.fqdn);
        let context = Context { id: core.node.clock.message_id(), now, domain, server: &server.fqdn };
        let found = match self.kind {
            Kind::Pickup => reading::pickup(&text, &context),
            Kind::Replay => reading::replay(&text, &context),
        };
        let Found { envelope, content, source, kind, client_address } = found.map_err(NotTaken::Unusable)?;
        hop.attribute(keys::MESSAGE_ID, &context.id);
        let head = MessageHead {
            id: context.id,
            envelope,
            arrived: now,
            size: ByteSize::bytes(content.len() as u64),
            original_size: None,
            trace: hop.context(),
            revision: Revision::default(),
            origin: Origin { kind, connector: source },
            backed_off: Vec::new(),
        };
        let submitted = async {
            core.admit(Source::Submission).await?;
            let mut intake = Intake::new(core, &head, self.kind.name(), None).await?;
            intake.seen.client_address = client_address;
            intake.seen.source = Some(self.kind.tracked());
            intake.write(content).await?;
            if let Some(id) = &intake.seen.message_id {
                hop.attribute(keys::INTERNET_MESSAGE_ID, id);
            }
            intake.commit(core, head, Vec::new(), Source::Submission).await
        };
        submitted.await.map(|_durable| ()).map_err(NotTaken::Refused)
    }
}

/// A file that is one, as it was when it was opened.
struct Opened {
    file: fs::File,
    about: Metadata,
}

async fn open(path: &Path) -> Result<Opened, NotTaken> {
    let mut options = std::fs::OpenOptions::new();
    // A link leads to what others may not read; a pipe would never end.
    options.read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK);
    let file = match fs::OpenOptions::from(options).open(path).await {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return Err(NotTaken::Unusable(Unusable::NoFile));
        }
        Err(error) => return Err(NotTaken::Gone(error)),
    };
    let about = file.metadata().await.map_err(NotTaken::Gone)?;
    if about.is_file() { Ok(Opened { file, about }) } else { Err(NotTaken::Unusable(Unusable::NoFile)) }
}

impl Opened {
    /// All of it, unless somebody is still writing it.
    async fn read(mut self) -> Result<Bytes, NotTaken> {
        let mut octets = Vec::new();
        let limit = FILE_SIZE_MAX.as_u64();
        (&mut self.file).take(limit + 1).read_to_end(&mut octets).await.map_err(NotTaken::Gone)?;
        if octets.len() as u64 > limit {
            return Err(NotTaken::Unusable(Unusable::TooLarge));
        }
        let now = self.file.metadata().await.map_err(NotTaken::Gone)?;
        let state = |about: &Metadata| (about.len(), about.mtime(), about.mtime_nsec());
        if state(&self.about) != state(&now) || octets.len() as u64 != now.len() {
            return Err(NotTaken::Gone(io::Error::new(io::ErrorKind::ResourceBusy, "somebody is still writing it")));
        }
        Ok(octets.into())
    }
}

/// Renames without writing over what has the name.
async fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let renaming = tokio::task::spawn_blocking(move || {
        match renameat2(AT_FDCWD, &from, AT_FDCWD, &to, RenameFlags::RENAME_NOREPLACE) {
            // A file system that cannot do both at once.
            Err(Errno::EINVAL | Errno::ENOSYS) if to.symlink_metadata().is_ok() => Err(Errno::EEXIST.into()),
            Err(Errno::EINVAL | Errno::ENOSYS) => std::fs::rename(&from, &to),
            renamed => renamed.map_err(io::Error::from),
        }
    });
    renaming.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_has_a_name_keeps_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let (from, to) = (folder.path().join("1.tmp"), folder.path().join("1.eml"));
        std::fs::write(&from, "under way").unwrap();
        std::fs::write(&to, "put there this moment").unwrap();
        let refused = rename_to_free(&from, &to).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "put there this moment");
        std::fs::remove_file(&to).unwrap();
        rename_to_free(&from, &to).await.unwrap();
        assert!(!from.exists() && std::fs::read_to_string(&to).unwrap() == "under way");
    }

    #[tokio::test]
    async fn a_file_that_grows_while_it_is_read_is_read_next_time() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("1.eml");
        std::fs::write(&path, "From: ann@contoso.com\n").unwrap();
        let Ok(whole) = open(&path).await.ok().unwrap().read().await else { panic!("nobody writes it") };
        assert_eq!(whole, "From: ann@contoso.com\n");
        let opened = open(&path).await.ok().unwrap();
        let mut writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        writer.write_all(b"To: bob@contoso.com\n").unwrap();
        assert!(matches!(opened.read().await, Err(NotTaken::Gone(_))));
        assert!(open(&path).await.ok().unwrap().read().await.is_ok());
    }
}
