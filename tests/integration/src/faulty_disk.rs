//! [`FaultyDisk`]: files of the operating system under a queue, with a disk that is full, fails or is slow when a file says so.
//!
//! ```text
//!   harness ──writes──▶ servers/BERLIN1/disk: "7 sync 3 lost" ──read before every operation──▶ Transport of BERLIN1
//! ```
//!
//! What a failed sync means is the kernel's worst: what was written since the last one is gone, at once or when the power goes,
//! and the next sync succeeds. In between it can be read, by the next process too: what is to go is kept in a file beside the
//! settings until it has been written again and synced, and goes at the first start under [`DiskState::PowerLost`].
//! Reading never fails here.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use envelope::ByteSize;
use nix::errno::Errno;
use parking_lot::Mutex;
use queue::disk::{DiskFile, LockGuard};
use queue::{Disk, RealDisk, Space};

/// How often a sync that hangs looks whether it still does.
const HANG_LOOK_INTERVAL: Duration = Duration::from_millis(20);

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
        /// What becomes of what was not synced.
        lost: Lost,
    },
    /// Every sync takes so long.
    Slow(Duration),
    /// No sync ends until the disk is in another state.
    Hanging,
    /// What a failed sync left in memory only is gone when a process starts; else as it should be.
    PowerLost,
}

/// What becomes of octets whose sync failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// They reach the disk all the same.
    Nothing,
    /// They are gone.
    AtOnce,
    /// They can be read until the power goes, and no later sync makes them durable.
    WithThePower,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::AtOnce => "now",
            Self::WithThePower => "later",
        })
    }
}

impl FromStr for Lost {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let all = [Self::Nothing, Self::AtOnce, Self::WithThePower];
        all.into_iter().find(|lost| lost.to_string() == text).ok_or_else(|| anyhow::anyhow!("no loss: {text}"))
    }
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("fine"),
            Self::Full { left, everywhere, told } => write!(f, "full {left} {everywhere} {told}"),
            Self::FailingWrite { after } => write!(f, "write {after}"),
            Self::FailingSync { after, lost } => write!(f, "sync {after} {lost}"),
            Self::Slow(duration) => write!(f, "slow {}", duration.as_millis()),
            Self::Hanging => f.write_str("hang"),
            Self::PowerLost => f.write_str("power"),
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
            ["hang"] => Self::Hanging,
            ["power"] => Self::PowerLost,
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
    unsynced: Mutex<Unsynced>,
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
    lost: Lost,
}

struct FaultyFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    disk: Arc<Obedient>,
    /// What stood where something was written since the last sync: kept only when a sync is about to lose it.
    before: Mutex<Vec<(u64, Vec<u8>)>>,
    /// Where something was written since the last sync.
    written: Mutex<Vec<Range<u64>>>,
}

/// What stands on the disk in the place of what can be read, by file.
#[derive(Default)]
struct Unsynced {
    kept_in: PathBuf,
    files: BTreeMap<PathBuf, Vec<(u64, Vec<u8>)>>,
}

impl Unsynced {
    /// Looks what an earlier process left; if the power went meanwhile, that is what is there.
    fn open(control: &DiskControl) -> Self {
        let kept_in = control.path.with_extension("unsynced");
        let text = std::fs::read_to_string(&kept_in).unwrap_or_default();
        let mut unsynced = Self { kept_in, files: serde_json::from_str(&text).unwrap_or_default() };
        if control.read().ends_with(&DiskState::PowerLost.to_string()) {
            for (path, before) in std::mem::take(&mut unsynced.files) {
                let Ok(file) = RealDisk.open(&path) else { continue };
                before.iter().rev().for_each(|(offset, octets)| file.write_at(octets, *offset).unwrap());
            }
            unsynced.keep();
        }
        unsynced
    }

    fn keep(&self) {
        std::fs::write(&self.kept_in, serde_json::to_string(&self.files).unwrap()).unwrap();
    }

    fn add(&mut self, path: &Path, before: Vec<(u64, Vec<u8>)>) {
        self.files.entry(path.to_owned()).or_default().extend(before);
        self.keep();
    }

    /// A sync has succeeded: what was written again before it is durable.
    fn written_again(&mut self, path: &Path, written: &[Range<u64>]) {
        let Some(before) = self.files.get_mut(path) else { return };
        let covers =
            |range: &Range<u64>, offset: u64, length: u64| range.start <= offset && offset + length <= range.end;
        before.retain(|(offset, octets)| !written.iter().any(|range| covers(range, *offset, octets.len() as u64)));
        self.keep();
    }

    fn renamed(&mut self, from: &Path, to: Option<&Path>) {
        let Some(before) = self.files.remove(from) else { return };
        if let Some(to) = to {
            self.files.insert(to.to_owned(), before);
        }
        self.keep();
    }
}

impl FaultyDisk {
    /// One that obeys this file.
    #[must_use]
    pub fn new(control: DiskControl) -> Self {
        let now = Now { text: String::new(), state: DiskState::Fine, left: 0, countdown: None };
        let unsynced = Mutex::new(Unsynced::open(&control));
        Self(Arc::new(Obedient { control, now: Mutex::new(now), unsynced }))
    }

    /// What is in hands is written to the kernel's memory and never synced; a fault there is nobody's (`queue::hands`), and would
    /// be the one that a scenario waits to see.
    fn wrap(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        if path.ends_with("hands") {
            return file;
        }
        let (path, disk) = (path.to_owned(), Arc::clone(&self.0));
        Arc::new(FaultyFile { file, path, disk, before: Mutex::default(), written: Mutex::default() })
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
                DiskState::Fine | DiskState::Slow(_) | DiskState::Hanging | DiskState::PowerLost => (0, None),
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
        while self.with(|now| now.state == DiskState::Hanging) {
            testkit::stall(HANG_LOOK_INTERVAL);
        }
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, RealDisk.open(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        self.0.unsynced.lock().renamed(from, Some(to));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let octets = std::fs::metadata(path).map_or(0, |about| about.len());
        RealDisk.remove(path)?;
        self.0.unsynced.lock().renamed(path, None);
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

    fn boot_id(&self) -> [u8; 16] {
        RealDisk.boot_id()
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
        let losing =
            |now: &mut Now| matches!(now.state, DiskState::FailingSync { lost: Lost::AtOnce | Lost::WithThePower, .. });
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
        self.written.lock().push(offset..offset + bytes.len() as u64);
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
                let written = std::mem::take(&mut *self.written.lock());
                self.disk.unsynced.lock().written_again(&self.path, &written);
                Ok(())
            }
            Err(Failed { lost }) => {
                self.written.lock().clear();
                match lost {
                    Lost::Nothing => {}
                    Lost::AtOnce => self.lose()?,
                    Lost::WithThePower => {
                        let before = std::mem::take(&mut *self.before.lock());
                        self.disk.unsynced.lock().add(&self.path, before);
                    }
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
            DiskState::FailingSync { after: 0, lost: Lost::AtOnce },
            DiskState::FailingSync { after: 0, lost: Lost::WithThePower },
            DiskState::Slow(Duration::from_millis(20)),
            DiskState::Hanging,
            DiskState::PowerLost,
        ] {
            assert_eq!(state.to_string().parse::<DiskState>().unwrap(), state);
        }
        assert!("odd".parse::<DiskState>().is_err());
    }

    #[test]
    fn a_sync_fails_once_and_what_was_written_before_is_gone() {
        let (_folder, _disk, file) = file_on(DiskState::FailingSync { after: 1, lost: Lost::AtOnce });
        file.write_at(b"b", 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(b"c", 0).unwrap();
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(Errno::EIO as i32));
        assert_eq!(read(file.as_ref()), b"b");
        file.sync_data().unwrap();
    }

    #[test]
    fn what_a_failed_sync_left_in_memory_goes_with_the_power_unless_it_is_written_again() {
        let (folder, disk, file) = file_on(DiskState::FailingSync { after: 0, lost: Lost::WithThePower });
        let path = folder.path().join("file");
        file.write_at(b"bcd", 0).unwrap();
        file.sync_data().unwrap_err();
        let control = DiskControl::beside(&folder.path().join("server.toml"));
        control.set(2, DiskState::Fine);
        // A later sync succeeds and makes nothing durable; the next process reads it.
        file.sync_data().unwrap();
        drop((file, disk));
        let disk = FaultyDisk::new(control.clone());
        let file = disk.open(&path).unwrap();
        assert_eq!(read(file.as_ref()), b"bcd");
        control.set(3, DiskState::PowerLost);
        drop(disk);
        let disk = FaultyDisk::new(control.clone());
        assert_eq!(read(file.as_ref()), b"a\0\0");
        // Written again, it stays.
        control.set(4, DiskState::FailingSync { after: 0, lost: Lost::WithThePower });
        let file = disk.open(&path).unwrap();
        file.write_at(b"bcd", 0).unwrap();
        file.sync_data().unwrap_err();
        control.set(5, DiskState::Fine);
        let disk = FaultyDisk::new(control.clone());
        let file = disk.open(&path).unwrap();
        file.write_at(b"bcd", 0).unwrap();
        file.sync_data().unwrap();
        control.set(6, DiskState::PowerLost);
        assert_eq!(read(FaultyDisk::new(control).open(&path).unwrap().as_ref()), b"bcd");
    }

    #[test]
    fn a_sync_that_hangs_ends_when_the_disk_answers_again() {
        let (folder, _disk, file) = file_on(DiskState::Hanging);
        let syncing = std::thread::spawn(move || file.sync_data());
        assert!(!syncing.is_finished());
        DiskControl::beside(&folder.path().join("server.toml")).set(2, DiskState::Fine);
        syncing.join().unwrap().unwrap();
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
