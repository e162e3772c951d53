//! [`FaultyDisk`]: files of the operating system under a queue, with a disk that is full, fails or is slow when a file says so.
//!
//! ```text
//!   harness ──writes──▶ servers/BERLIN1/disk: "7 sync 3 lost" ──read before every operation──▶ Transport of BERLIN1
//! ```
//!
//! What a failed sync means is the kernel's worst: what was written since the last one is gone, and the next sync succeeds.
//! Reading never fails here.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use envelope::ByteSize;
use nix::errno::Errno;
use parking_lot::Mutex;
use queue::disk::{DiskFile, LockGuard};
use queue::{Disk, RealDisk, Space};

/// Name of the file, beside the settings of the server.
const FILE: &str = "disk";

/// How a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// As it should be.
    Fine,
    /// Only so many octets are left, and what is removed.
    Full {
        /// Octets.
        left: u64,
        /// What it has promised to files before counts for nothing, as on a disk that is thinly provisioned.
        everywhere: bool,
        /// Whoever asks is told that nothing is left: back pressure sees it coming.
        told: bool,
    },
    /// After so many others one write fails, half done.
    FailingWrite {
        /// How many succeed.
        after: u32,
    },
    /// After so many others one sync fails.
    FailingSync {
        /// How many succeed.
        after: u32,
        /// What was not synced is lost at once.
        lost: bool,
    },
    /// Every sync takes so long.
    Slow(Duration),
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("fine"),
            Self::Full { left, everywhere, told } => write!(f, "full {left} {everywhere} {told}"),
            Self::FailingWrite { after } => write!(f, "write {after}"),
            Self::FailingSync { after, lost } => write!(f, "sync {after} {lost}"),
            Self::Slow(duration) => write!(f, "slow {}", duration.as_millis()),
        }
    }
}

impl FromStr for DiskState {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["fine"] => Self::Fine,
            ["full", left, everywhere, told] => {
                Self::Full { left: left.parse()?, everywhere: everywhere.parse()?, told: told.parse()? }
            }
            ["write", after] => Self::FailingWrite { after: after.parse()? },
            ["sync", after, lost] => Self::FailingSync { after: after.parse()?, lost: lost.parse()? },
            ["slow", millis] => Self::Slow(Duration::from_millis(millis.parse()?)),
            _ => anyhow::bail!("no state of a disk: {text}"),
        })
    }
}

/// The file that says how the disk of a server is.
#[derive(Clone, Debug)]
pub struct DiskControl {
    path: PathBuf,
}

impl DiskControl {
    /// That of the server with these settings.
    #[must_use]
    pub fn beside(settings: &Path) -> Self {
        Self { path: settings.with_file_name(FILE) }
    }

    /// Says it. The same state with another number is a new one.
    pub fn set(&self, number: usize, state: DiskState) {
        let draft = self.path.with_extension("new");
        std::fs::write(&draft, format!("{number} {state}")).unwrap();
        std::fs::rename(&draft, &self.path).unwrap();
    }

    fn read(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_else(|_| format!("0 {}", DiskState::Fine))
    }
}

/// A disk that obeys.
pub struct FaultyDisk(Arc<Obedient>);

/// What a disk and its files share.
struct Obedient {
    control: DiskControl,
    now: Mutex<Now>,
}

/// What was read last, and what has happened since.
struct Now {
    text: String,
    state: DiskState,
    /// Octets left on a full disk.
    left: u64,
    /// Operations until one fails; `None` when it has failed.
    countdown: Option<u32>,
}

/// A sync has failed.
struct Failed {
    /// What was written since the last one is gone.
    lost: bool,
}

struct FaultyFile {
    file: Arc<dyn DiskFile>,
    disk: Arc<Obedient>,
    /// What stood where something was written since the last sync: kept only when a sync is about to lose it.
    before: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl FaultyDisk {
    /// One that obeys this file.
    #[must_use]
    pub fn new(control: DiskControl) -> Self {
        let now = Now { text: String::new(), state: DiskState::Fine, left: 0, countdown: None };
        Self(Arc::new(Obedient { control, now: Mutex::new(now) }))
    }

    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile { file, disk: Arc::clone(&self.0), before: Mutex::default() })
    }
}

/// Whether an operation is the one to fail.
fn counts_down(countdown: &mut Option<u32>) -> bool {
    let fails = *countdown == Some(0);
    *countdown = countdown.and_then(|left| left.checked_sub(1));
    fails
}

impl Obedient {
    /// Looks how it is, and does something with that.
    fn with<T>(&self, act: impl FnOnce(&mut Now) -> T) -> T {
        let mut now = self.now.lock();
        let text = self.control.read();
        if text != now.text {
            let (_, state) = text.split_once(' ').unwrap_or_default();
            now.state = state.parse().unwrap();
            (now.left, now.countdown) = match now.state {
                DiskState::Full { left, .. } => (left, None),
                DiskState::FailingWrite { after } | DiskState::FailingSync { after, .. } => (0, Some(after)),
                DiskState::Fine | DiskState::Slow(_) => (0, None),
            };
            now.text = text;
        }
        act(&mut now)
    }

    /// Takes octets from what is left.
    fn take(&self, octets: u64) -> io::Result<()> {
        self.with(|now| {
            if !matches!(now.state, DiskState::Full { .. }) {
                return Ok(());
            }
            now.left = now.left.checked_sub(octets).ok_or(Errno::ENOSPC).map_err(io::Error::from)?;
            Ok(())
        })
    }

    /// Before a sync: waits, or fails.
    fn sync(&self) -> Result<(), Failed> {
        let state = self.with(|now| match now.state {
            DiskState::FailingSync { lost, .. } if counts_down(&mut now.countdown) => Err(Failed { lost }),
            state => Ok(state),
        })?;
        if let DiskState::Slow(duration) = state {
            testkit::stall(duration);
        }
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let octets = std::fs::metadata(path).map_or(0, |about| about.len());
        RealDisk.remove(path)?;
        self.0.with(|now| now.left = now.left.saturating_add(octets));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync().map_err(|_| Errno::EIO)?;
        RealDisk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        RealDisk.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let space = RealDisk.space(dir)?;
        let nothing = self.0.with(|now| matches!(now.state, DiskState::Full { told: true, .. }));
        Ok(if nothing { Space { available: ByteSize::bytes(0), ..space } } else { space })
    }
}

impl FaultyFile {
    /// What a write is going to meet.
    fn check_write(&self, end: u64) -> io::Result<()> {
        let grown = end.saturating_sub(self.file.length()?);
        self.disk.with(|now| match now.state {
            DiskState::Full { everywhere: true, .. } => Err(io::Error::from(Errno::ENOSPC)),
            DiskState::FailingWrite { .. } if counts_down(&mut now.countdown) => Err(io::Error::from(Errno::EIO)),
            _ => Ok(()),
        })?;
        self.disk.take(grown)
    }

    /// Keeps what stands where something is going to be written.
    fn remember(&self, length: usize, offset: u64) -> io::Result<()> {
        let losing = |now: &mut Now| matches!(now.state, DiskState::FailingSync { lost: true, .. });
        if self.disk.with(|now| losing(now) && now.countdown.is_some()) {
            let mut before = vec![0; length];
            self.file.read_at(&mut before, offset)?;
            self.before.lock().push((offset, before));
        }
        Ok(())
    }

    /// Puts back what stood there.
    fn lose(&self) -> io::Result<()> {
        let before = std::mem::take(&mut *self.before.lock());
        before.iter().rev().try_for_each(|(offset, octets)| self.file.write_at(octets, *offset))
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.check_write(offset + bytes.len() as u64) {
            self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        self.remember(bytes.len(), offset)?;
        self.file.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.disk.take(length.saturating_sub(self.file.length()?))?;
        self.file.allocate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.disk.sync() {
            Ok(()) => {
                self.file.sync_data()?;
                self.before.lock().clear();
                Ok(())
            }
            Err(Failed { lost }) => {
                if lost {
                    self.lose()?;
                }
                Err(Errno::EIO.into())
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one octet, on a disk that is told how to be.
    fn file_on(state: DiskState) -> (tempfile::TempDir, FaultyDisk, Arc<dyn DiskFile>) {
        let folder = tempfile::tempdir().unwrap();
        let control = DiskControl::beside(&folder.path().join("server.toml"));
        let disk = FaultyDisk::new(control.clone());
        let file = disk.create(&folder.path().join("file")).unwrap();
        file.write_at(b"a", 0).unwrap();
        file.sync_data().unwrap();
        control.set(1, state);
        (folder, disk, file)
    }

    fn read(file: &dyn DiskFile) -> Vec<u8> {
        let mut octets = vec![0; 8];
        let count = file.read_at(&mut octets, 0).unwrap();
        octets.truncate(count);
        octets
    }

    #[test]
    fn every_state_is_read_as_it_was_written() {
        for state in [
            DiskState::Fine,
            DiskState::Full { left: 7, everywhere: true, told: false },
            DiskState::FailingWrite { after: 3 },
            DiskState::FailingSync { after: 0, lost: true },
            DiskState::Slow(Duration::from_millis(20)),
        ] {
            assert_eq!(state.to_string().parse::<DiskState>().unwrap(), state);
        }
        assert!("odd".parse::<DiskState>().is_err());
    }

    #[test]
    fn a_sync_fails_once_and_what_was_written_before_is_gone() {
        let (_folder, _disk, file) = file_on(DiskState::FailingSync { after: 1, lost: true });
        file.write_at(b"b", 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(b"c", 0).unwrap();
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
        assert_eq!(read(file.as_ref()), b"b");
        file.sync_data().unwrap();
    }

    #[test]
    fn a_write_fails_once_and_half_of_it_is_done() {
        let (_folder, _disk, file) = file_on(DiskState::FailingWrite { after: 0 });
        assert_eq!(file.write_at(b"wxyz", 0).unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
        assert_eq!(read(file.as_ref()), b"wx");
        file.write_at(b"wxyz", 0).unwrap();
    }

    #[test]
    fn what_was_promised_on_a_full_disk_is_there_and_no_more() {
        let (folder, disk, file) = file_on(DiskState::Full { left: 3, everywhere: false, told: false });
        file.allocate(4).unwrap();
        file.write_at(b"abcd", 0).unwrap();
        assert_eq!(file.allocate(5).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.write_at(b"e", 4).unwrap_err().kind(), io::ErrorKind::StorageFull);
        let other = disk.create(&folder.path().join("other")).unwrap();
        disk.remove(&folder.path().join("file")).unwrap();
        other.write_at(b"abcd", 0).unwrap();
    }
}
