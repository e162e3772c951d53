//! [`LossyDisk`]: a disk in memory that forgets, on a crash, whatever was not synced. For tests, of this crate and others.
//!
//! What it models: bytes written but not synced may survive, vanish or be torn, each write for itself and in any order
//! between files; names created, renamed or removed may be undone, last first, until their directory is synced. When only
//! the process dies everything can still be read, and is lost at the next loss of power unless it is synced until then;
//! what a failed sync had to make durable can be read too, but no later sync makes it durable: it has to be written again.
//! What it does not model: directories themselves (they are durable at once) and bad sectors that come and go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use envelope::ByteSize;

use super::{Disk, DiskFile, LockGuard, Space};

/// How often a sync that hangs looks whether it still does.
const HANG_LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Something that goes wrong at one counted operation (see [`LossyDisk::fail_at`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine stops: this and every later operation fails until [`LossyDisk::crash`] starts it again.
    PowerLoss,
    /// This operation reports that the disk is full (`ENOSPC`). Half of a write is done.
    NoSpace,
    /// This operation reports an input/output error (`EIO`). Half of a write is done; a failed sync drops what it had
    /// to make durable, as Linux does.
    InputOutput,
    /// The calling thread panics, as if there were a fault in the program.
    Panic,
}

/// What a crash does to everything that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is gone.
    Everything,
    /// None of it is gone yet: the process died, the machine did not. All of it can be read, none of it is durable, and the
    /// next crash may take it.
    Nothing,
    /// Each write is kept, dropped or torn, and the last few names are undone, as this seed decides.
    Some(u64),
}

/// Operations seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of `write_at`.
    pub writes: u64,
    /// Bytes handed to `write_at`.
    pub bytes_written: u64,
    /// Calls of `sync_data` and `sync_dir`.
    pub syncs: u64,
    /// Bytes returned by `read_at`.
    pub bytes_read: u64,
    /// Everything that changes the disk, syncs included: the count that [`LossyDisk::fail_at`] refers to.
    pub changes: u64,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone, Default)]
pub struct LossyDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: HashMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    name_changes: Vec<NameChange>,
    locks: HashSet<PathBuf>,
    next_inode: u64,
    /// Counts runs of the process.
    boot: u64,
    /// The first of them since the machine was started.
    machine_boot: u64,
    off: bool,
    syncs_ignored: bool,
    sync_delay: Duration,
    /// While it is set, no sync of a file ends.
    hangs: bool,
    /// From which offset on reads of a file fail.
    unreadable: HashMap<PathBuf, u64>,
    capacity: Option<u64>,
    faults: HashMap<u64, Fault>,
    counters: Counters,
}

#[derive(Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

struct NameChange {
    dir: PathBuf,
    remove: Option<PathBuf>,
    add: Option<(PathBuf, u64)>,
}

/// The disk as one run of the machine sees it.
struct Mounted {
    disk: LossyDisk,
    boot: u64,
}

struct LossyFile {
    disk: LossyDisk,
    inode: u64,
    boot: u64,
}

struct LossyLock {
    disk: LossyDisk,
    path: PathBuf,
    boot: u64,
}

impl LossyDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk for one run of the machine. After the next crash everything done with it fails, so that what is left of
    /// a process that "died" changes nothing any more.
    #[must_use]
    pub fn mount(&self) -> Arc<dyn Disk> {
        Arc::new(Mounted { disk: self.clone(), boot: self.state().boot })
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// Lets the change number `change` (counted from 0 by [`Counters::changes`]) fail.
    pub fn fail_at(&self, change: u64, fault: Fault) {
        self.state().faults.insert(change, fault);
    }

    /// Limits the sum of all file lengths; `None` takes the limit away.
    pub fn set_capacity(&self, capacity: Option<ByteSize>) {
        self.state().capacity = capacity.map(ByteSize::as_u64);
    }

    /// Makes every sync of a file take so long.
    pub fn set_sync_delay(&self, delay: Duration) {
        self.state().sync_delay = delay;
    }

    /// Makes every sync of a file wait until this is taken back: a disk that does not answer.
    pub fn set_hang(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    /// Makes every read of a file fail that goes beyond this offset, or work again: bad sectors that come and go.
    pub fn set_unreadable(&self, path: &Path, from: Option<u64>) {
        let mut state = self.state();
        match from {
            Some(from) => state.unreadable.insert(path.to_owned(), from),
            None => state.unreadable.remove(path),
        };
    }

    /// Makes every sync a lie: the negative control of crash tests.
    pub fn ignore_syncs(&self) {
        self.state().syncs_ignored = true;
    }

    /// Whether a [`Fault::PowerLoss`] has stopped the machine.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Stops the machine and starts it again: open files and locks are gone, and `loss` says what else.
    pub fn crash(&self, loss: Loss) {
        let mut state = self.state();
        state.boot += 1;
        state.off = false;
        state.faults.clear();
        state.locks.clear();
        if loss == Loss::Nothing {
            return;
        }
        state.machine_boot = state.boot;
        let mut random = Random(match loss {
            Loss::Some(seed) => seed,
            _ => 0,
        });
        state.lose_names(loss, &mut random);
        let mut inodes: Vec<_> = state.inodes.iter_mut().collect();
        inodes.sort_by_key(|(number, _)| **number);
        inodes.into_iter().for_each(|(_, inode)| inode.lose(loss, &mut random));
        let kept: HashSet<u64> = state.names.values().copied().collect();
        state.inodes.retain(|number, _| kept.contains(number));
    }

    /// The present bytes of a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.inodes[inode].current.clone())
    }

    /// Puts a file there, durably, whatever was there before: how tests damage, copy or truncate files.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let inode = state.add_inode();
        state.inodes.insert(inode, Inode { durable: bytes.clone(), current: bytes, pending: Vec::new() });
        state.names.insert(path.to_owned(), inode);
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// Takes a file away, durably.
    pub fn lose(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, inode: u64, boot: u64) -> Arc<dyn DiskFile> {
        Arc::new(LossyFile { disk: self.clone(), inode, boot })
    }
}

impl State {
    fn add_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Inode::default());
        self.next_inode
    }

    fn check_on(&self, boot: u64) -> io::Result<()> {
        if self.off || self.boot != boot { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }

    /// Counts a change and says what shall go wrong with it.
    fn begin_change(&mut self, boot: u64) -> io::Result<Option<Fault>> {
        self.check_on(boot)?;
        let fault = self.faults.get(&self.counters.changes).copied();
        self.counters.changes += 1;
        if fault == Some(Fault::PowerLoss) {
            self.off = true;
        }
        Ok(fault)
    }

    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[inode].current.len() as u64).sum()
    }

    fn check_room(&self, growth: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if growth > 0 && self.used() + growth > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn change_names(&mut self, change: NameChange) {
        if let Some(path) = &change.remove {
            self.names.remove(path);
        }
        if let Some((path, inode)) = &change.add {
            self.names.insert(path.clone(), *inode);
        }
        self.name_changes.push(change);
    }

    fn lose_names(&mut self, loss: Loss, random: &mut Random) {
        let changes = std::mem::take(&mut self.name_changes);
        let kept = match loss {
            Loss::Some(_) => random.below(changes.len() + 1),
            Loss::Everything | Loss::Nothing => 0,
        };
        for change in changes.into_iter().take(kept) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(path) = self.remove {
            names.remove(&path);
        }
        if let Some((path, inode)) = self.add {
            names.insert(path, inode);
        }
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    fn lose(&mut self, loss: Loss, random: &mut Random) {
        for change in std::mem::take(&mut self.pending) {
            match (loss, random.below(3)) {
                (Loss::Everything | Loss::Nothing, _) | (Loss::Some(_), 0) => {}
                (Loss::Some(_), 1) => change.apply(&mut self.durable),
                (Loss::Some(_), _) => change.tear(random).apply(&mut self.durable),
            }
        }
        self.current.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => lengthen(bytes, usize::try_from(*length).expect("test files fit in memory")),
            Self::Write(offset, data) => {
                let start = usize::try_from(*offset).expect("test files fit in memory");
                let end = start + data.len();
                lengthen(bytes, end);
                bytes[start..end].copy_from_slice(data);
            }
        }
    }

    /// A part of a write: from its start to somewhere, or from somewhere to its end.
    fn tear(self, random: &mut Random) -> Self {
        match self {
            Self::Length(length) => Self::Length(length),
            Self::Write(offset, mut data) => {
                let cut = random.below(data.len() + 1);
                if random.below(2) == 0 {
                    data.truncate(cut);
                    Self::Write(offset, data)
                } else {
                    Self::Write(offset + cut as u64, data.split_off(cut))
                }
            }
        }
    }
}

impl Disk for Mounted {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.disk.state();
        fail(state.begin_change(self.boot)?)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.add_inode();
        state.change_names(NameChange { dir: parent(path), remove: None, add: Some((path.to_owned(), inode)) });
        Ok(self.disk.file(inode, self.boot))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.disk.state();
        state.check_on(self.boot)?;
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.disk.file(inode, self.boot))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.disk.state();
        state.check_on(self.boot)?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        fail(state.begin_change(self.boot)?)?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let change = NameChange { dir: parent(to), remove: Some(from.to_owned()), add: Some((to.to_owned(), inode)) };
        state.change_names(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        fail(state.begin_change(self.boot)?)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_names(NameChange { dir: parent(path), remove: Some(path.to_owned()), add: None });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.begin_change(self.boot)?;
        state.counters.syncs += 1;
        fail(fault)?;
        if !state.syncs_ignored {
            let changes = std::mem::take(&mut state.name_changes);
            let (synced, left): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.dir == dir);
            state.name_changes = left;
            synced.into_iter().for_each(|change| change.apply(&mut state.durable_names));
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        let mut state = self.disk.state();
        state.check_on(self.boot)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(LossyLock { disk: self.disk.clone(), path: path.to_owned(), boot: self.boot }))
    }

    fn boot_id(&self) -> [u8; 16] {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&self.disk.state().machine_boot.to_le_bytes());
        id
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let state = self.disk.state();
        let total = state.capacity.unwrap_or(u64::MAX);
        let available = total.saturating_sub(state.used());
        Ok(Space { available: ByteSize::bytes(available), total: ByteSize::bytes(total) })
    }
}

impl Drop for LossyLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}

impl LossyFile {
    fn hangs(&self) -> bool {
        let state = self.disk.state();
        state.hangs && state.boot == self.boot
    }

    fn inode<'s>(&self, state: &'s mut State) -> &'s mut Inode {
        state.inodes.get_mut(&self.inode).expect("an inode lives until the machine restarts")
    }

    fn grow(&self, state: &mut State, end: u64) -> io::Result<()> {
        let length = self.inode(state).current.len() as u64;
        state.check_room(end.saturating_sub(length))
    }
}

impl DiskFile for LossyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.check_on(self.boot)?;
        let end = offset + buffer.len() as u64;
        let fails = |(path, from): (&PathBuf, &u64)| end > *from && state.names.get(path) == Some(&self.inode);
        if state.unreadable.iter().any(fails) {
            return Err(io::Error::other("injected error of a read"));
        }
        let bytes = &self.inode(&mut state).current;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        state.counters.bytes_read += count as u64;
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.begin_change(self.boot)?;
        state.counters.writes += 1;
        state.counters.bytes_written += bytes.len() as u64;
        self.grow(&mut state, offset + bytes.len() as u64)?;
        let done = if fault.is_some() { bytes.len() / 2 } else { bytes.len() };
        self.inode(&mut state).change(Change::Write(offset, bytes[..done].to_vec()));
        fail(fault)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        fail(state.begin_change(self.boot)?)?;
        self.grow(&mut state, length)?;
        let inode = self.inode(&mut state);
        if length > inode.current.len() as u64 {
            inode.change(Change::Length(length));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let delay = self.disk.state().sync_delay;
        std::thread::sleep(delay);
        while self.hangs() {
            std::thread::sleep(HANG_LOOK_INTERVAL);
        }
        let mut state = self.disk.state();
        let fault = state.begin_change(self.boot)?;
        state.counters.syncs += 1;
        let ignored = state.syncs_ignored;
        let inode = self.inode(&mut state);
        match fault {
            Some(Fault::PowerLoss) => {}
            Some(_) => inode.pending.clear(),
            None if ignored => {}
            None => {
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.durable);
                }
            }
        }
        fail(fault)
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.check_on(self.boot)?;
        Ok(self.inode(&mut state).current.len() as u64)
    }
}

fn lengthen(bytes: &mut Vec<u8>, length: usize) {
    // Much faster than `resize` without optimization, in which tests run.
    bytes.extend_from_slice(&vec![0; length.saturating_sub(bytes.len())]);
}

fn fail(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::PowerLoss) => Err(io::Error::other("the machine is off")),
        Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
        Some(Fault::InputOutput) => Err(io::Error::other("injected input/output error")),
        Some(Fault::Panic) => panic!("injected panic"),
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit as u64).expect("below a usize")
    }
}
