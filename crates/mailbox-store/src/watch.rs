//! Watches the outboxes of mailbox databases with inotify: no polling.
//!
//! An event only says *look into this outbox*; what is there is then read from the directory. So lost events (queue
//! overflow: every outbox is looked into), events for things gone already, and messages that were there before the
//! start are all the same case. Each outbox is watched before it is first looked into, so nothing falls between.
//!
//! ```text
//! inotify ──event──▶ Signal {dirty outboxes} ──▶ next(): look into one ──▶ OutboxItem (claimed)
//! ```
//!
//! All outboxes of a process may share one [`Watcher`]: the kernel gives a user 128 instances of inotify unless it is told otherwise.
//!
//! A message is taken when its name appears in `new` or `cur`; by the rules of Maildir it is complete then. Drafts and
//! deleted messages (flags D, T) are left alone.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::claim::{Claim, InHand, Key};
use crate::database::MailboxDatabase;
use crate::disk::{self, blocking};
use crate::error::StoreError;
use crate::mailbox::{Folder, MailboxName, split_flags};
use crate::outbox::OutboxItem;

/// Messages taken from one outbox before the others have their turn: 64.
const TAKEN_AT_ONCE: usize = 64;

/// Directories of an outbox that are watched, the outbox itself because it may be renamed.
const WATCHED: [&str; 3] = ["", "new", "cur"];

/// What the inotify thread and [`Rescan`] tell the loop. Bounded by the number of mailboxes.
#[derive(Debug, Default)]
struct Signal {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    /// Databases whose list of mailboxes has to be read.
    databases: BTreeSet<usize>,
    /// Outboxes that have to be looked into.
    outboxes: BTreeSet<Key>,
    /// Those of them that may not be watched any more. `notify` forgets a watch by path when it reads that a directory
    /// went away, even when the path has been watched anew by then; only watching again afterwards helps.
    unwatched: BTreeSet<Key>,
}

impl Signal {
    fn all(&self, databases: usize) {
        self.pending.lock().databases.extend(0..databases);
        self.wake.notify_one();
    }
}

/// Lets every outbox be looked into again, for instance when Transport can be reached again and items were dropped.
#[derive(Clone, Debug)]
pub struct Rescan {
    signal: Arc<Signal>,
    databases: usize,
}

impl Rescan {
    /// Offers again all messages that nobody has in hand.
    pub fn now(&self) {
        self.signal.all(self.databases);
    }
}

/// Yields the messages that appear in the outboxes of some databases.
#[derive(Debug)]
pub struct OutboxWatch {
    databases: Arc<[MailboxDatabase]>,
    signal: Arc<Signal>,
    watcher: Arc<Mutex<Watched>>,
    in_hand: Arc<InHand>,
    found: VecDeque<OutboxItem>,
    /// Who is told, for as long as this is there.
    _listener: Arc<Listener>,
}

#[derive(Debug)]
struct Watched {
    watcher: Watcher,
    /// What it was told to watch.
    paths: HashSet<PathBuf>,
    outboxes: HashSet<Key>,
}

/// What is watched for one [`OutboxWatch`] is watched no more when that is gone.
impl Drop for Watched {
    fn drop(&mut self) {
        self.watcher.forget(&self.paths);
    }
}

/// One instance of inotify, with one thread, for the outboxes of many databases. Clones are the same; it starts with the first outbox.
#[derive(Clone, Debug, Default)]
pub struct Watcher(Arc<Mutex<Kernel>>);

#[derive(Debug, Default)]
struct Kernel {
    inotify: Option<RecommendedWatcher>,
    listeners: Arc<Mutex<Vec<Weak<Listener>>>>,
}

impl Watcher {
    fn tell(&self, listener: &Arc<Listener>) -> Result<(), StoreError> {
        let mut kernel = self.0.lock();
        let mut listeners = kernel.listeners.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
        drop(listeners);
        if kernel.inotify.is_none() {
            let listeners = Arc::clone(&kernel.listeners);
            let handle = move |event: notify::Result<Event>| {
                let listeners: Vec<_> = listeners.lock().iter().filter_map(Weak::upgrade).collect();
                listeners.iter().for_each(|listener| listener.handle(&event));
            };
            kernel.inotify = Some(notify::recommended_watcher(handle).map_err(watch_error(Path::new("")))?);
        }
        Ok(())
    }

    fn watch(&self, path: &Path) -> Result<(), StoreError> {
        let mut kernel = self.0.lock();
        let inotify = kernel.inotify.as_mut().expect("whoever watches has said who is to be told");
        inotify.watch(path, RecursiveMode::NonRecursive).map_err(watch_error(path))
    }

    fn forget(&self, paths: &HashSet<PathBuf>) {
        let mut kernel = self.0.lock();
        let Some(inotify) = kernel.inotify.as_mut() else { return };
        for path in paths {
            // What has gone is forgotten already.
            let _gone = inotify.unwatch(path);
        }
    }
}

impl OutboxWatch {
    /// Starts watching, alone. Messages already there come first.
    ///
    /// # Errors
    /// [`StoreError::Watch`] when the kernel refuses.
    pub async fn start(databases: Vec<MailboxDatabase>) -> Result<Self, StoreError> {
        Self::start_on(&Watcher::default(), databases).await
    }

    /// The same together with others who have this watcher.
    ///
    /// # Errors
    /// [`StoreError::Watch`] when the kernel refuses.
    pub async fn start_on(watcher: &Watcher, databases: Vec<MailboxDatabase>) -> Result<Self, StoreError> {
        let databases: Arc<[_]> = databases.into();
        let signal = Arc::new(Signal::default());
        let listener = Arc::new(Listener::new(&databases, Arc::clone(&signal)));
        let (roots, told) = (Arc::clone(&databases), Arc::clone(&listener));
        let mut watched = Watched { watcher: watcher.clone(), paths: HashSet::new(), outboxes: HashSet::new() };
        let watching = blocking(move || {
            watched.watcher.tell(&told)?;
            for database in roots.iter() {
                watched.watch(database.root())?;
            }
            Ok(watched)
        });
        let watched = watching.await?;
        signal.all(databases.len());
        Ok(Self {
            databases,
            signal,
            watcher: Arc::new(Mutex::new(watched)),
            in_hand: Arc::default(),
            found: VecDeque::new(),
            _listener: listener,
        })
    }

    /// A handle that can be kept elsewhere.
    #[must_use]
    pub fn rescan(&self) -> Rescan {
        Rescan { signal: Arc::clone(&self.signal), databases: self.databases.len() }
    }

    /// Waits for the next message. Cancelling loses nothing.
    ///
    /// # Errors
    /// [`StoreError`] when an outbox cannot be read or watched. It is tried again with its next event or a
    /// [`Rescan`]; the other outboxes go on.
    pub async fn next(&mut self) -> Result<OutboxItem, StoreError> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Ok(item);
            }
            let work = {
                let mut pending = self.signal.pending.lock();
                match pending.databases.pop_first() {
                    Some(database) => Some(Work::List(database)),
                    None => pending.outboxes.pop_first().map(Work::Look),
                }
            };
            match work {
                Some(work) => self.work(work).await?,
                None => self.signal.wake.notified().await,
            }
        }
    }

    async fn work(&mut self, work: Work) -> Result<(), StoreError> {
        let guard = Unfinished { signal: Arc::clone(&self.signal), work: Some(work.clone()) };
        let looker = Looker {
            databases: Arc::clone(&self.databases),
            signal: Arc::clone(&self.signal),
            watcher: Arc::clone(&self.watcher),
            in_hand: Arc::clone(&self.in_hand),
        };
        let result = blocking(move || looker.work(work)).await;
        guard.finished();
        self.found.extend(result?);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Work {
    List(usize),
    Look(Key),
}

/// Puts work back when [`OutboxWatch::next`] is cancelled in the middle of it.
struct Unfinished {
    signal: Arc<Signal>,
    work: Option<Work>,
}

impl Unfinished {
    fn finished(mut self) {
        self.work = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut pending = self.signal.pending.lock();
        match self.work.take() {
            Some(Work::List(database)) => {
                pending.databases.insert(database);
            }
            Some(Work::Look(key)) => {
                pending.outboxes.insert(key);
            }
            None => {}
        }
    }
}

/// The blocking half of [`OutboxWatch`].
struct Looker {
    databases: Arc<[MailboxDatabase]>,
    signal: Arc<Signal>,
    watcher: Arc<Mutex<Watched>>,
    in_hand: Arc<InHand>,
}

impl Looker {
    fn work(&self, work: Work) -> Result<Vec<OutboxItem>, StoreError> {
        match work {
            Work::List(database) => {
                let mailboxes = self.databases[database].mailboxes()?;
                let mut pending = self.signal.pending.lock();
                for key in mailboxes.into_iter().map(|name| (database, name)) {
                    pending.unwatched.insert(key.clone()); // events may have been lost: trust no watch
                    pending.outboxes.insert(key);
                }
                Ok(Vec::new())
            }
            Work::Look(key) => self.look(&key),
        }
    }

    fn look(&self, key: &Key) -> Result<Vec<OutboxItem>, StoreError> {
        let database = &self.databases[key.0];
        let mailbox = database.mailbox_path(&key.1);
        if !mailbox.is_dir() {
            self.watcher.lock().outboxes.remove(key); // removed; inotify has forgotten it as well
            return Ok(Vec::new());
        }
        self.watch_outbox(key, &mailbox)?;
        let outbox = Folder::Outbox.within(&mailbox);
        let mut names = Vec::new();
        for part in ["new", "cur"] {
            for entry in disk::names(&outbox.join(part))? {
                let entry = entry?;
                if let Some(claim) = self.claim(key, &outbox.join(part), &entry) {
                    names.push(claim);
                }
                if names.len() == TAKEN_AT_ONCE {
                    self.signal.pending.lock().outboxes.insert(key.clone());
                    return Ok(self.items(key, names));
                }
            }
        }
        Ok(self.items(key, names))
    }

    fn items(&self, key: &Key, mut claims: Vec<Claim>) -> Vec<OutboxItem> {
        claims.sort_by(|a, b| a.file_name().cmp(b.file_name())); // names begin with a time
        let database = &self.databases[key.0];
        claims.into_iter().map(|claim| OutboxItem::new(claim, database.clone())).collect()
    }

    fn claim(&self, key: &Key, directory: &Path, file_name: &OsString) -> Option<Claim> {
        let (name, flags) = split_flags(file_name.to_str()?);
        let path = directory.join(file_name);
        let ready = !name.starts_with('.') && !flags.contains(['D', 'T']);
        let metadata = path.symlink_metadata().ok().filter(|metadata| ready && metadata.is_file())?;
        Claim::new(&self.in_hand, (key.clone(), name.to_owned()), &metadata)
    }

    /// Watches first, so that what appears while the outbox is being read makes an event.
    fn watch_outbox(&self, key: &Key, mailbox: &Path) -> Result<(), StoreError> {
        let mut watched = self.watcher.lock();
        let distrusted = self.signal.pending.lock().unwatched.remove(key);
        let outbox = Folder::Outbox.within(mailbox);
        let directories = WATCHED.map(|part| outbox.join(part));
        let present = directories.iter().all(|directory| directory.is_dir());
        if present && !distrusted && watched.outboxes.contains(key) {
            return Ok(());
        }
        watched.outboxes.remove(key);
        disk::create_layout(mailbox)?;
        for directory in &directories {
            watched.watch(directory)?;
        }
        watched.outboxes.insert(key.clone());
        Ok(())
    }
}

impl Watched {
    fn watch(&mut self, path: &Path) -> Result<(), StoreError> {
        self.watcher.watch(path)?;
        self.paths.insert(path.to_owned());
        Ok(())
    }
}

fn watch_error(path: &Path) -> impl FnOnce(notify::Error) -> StoreError {
    move |source| StoreError::Watch { path: path.to_owned(), source }
}

/// Runs on the inotify thread: turns events into signals.
#[derive(Debug)]
struct Listener {
    roots: HashMap<PathBuf, usize>,
    databases: usize,
    signal: Arc<Signal>,
}

impl Listener {
    fn new(databases: &[MailboxDatabase], signal: Arc<Signal>) -> Self {
        let roots = databases.iter().enumerate().map(|(index, database)| (database.root().to_owned(), index)).collect();
        Self { roots, databases: databases.len(), signal }
    }

    fn handle(&self, event: &notify::Result<Event>) {
        match event {
            Ok(event) if !event.need_rescan() => {
                if event.kind.is_access() {
                    return; // our own reading must not make us read again
                }
                let vanished = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
                event.paths.iter().for_each(|path| self.changed(path, vanished));
            }
            // Events were lost.
            _ => self.signal.all(self.databases),
        }
    }

    /// `path` is `<root>/<mailbox>` or lies deeper; `vanished`: it has been removed or renamed.
    fn changed(&self, path: &Path, vanished: bool) {
        for ancestor in path.ancestors().skip(1) {
            let Some(&database) = self.roots.get(ancestor) else { continue };
            let below = path.strip_prefix(ancestor).expect("an ancestor is a prefix");
            let first =
                below.components().next().and_then(|part| std::str::from_utf8(part.as_os_str().as_bytes()).ok());
            if let Some(text) = first
                && let Ok(mailbox) = MailboxName::parse(text)
                && mailbox.as_str() == text
            {
                let outbox = Folder::Outbox.within(&ancestor.join(text));
                let was_watched = WATCHED.iter().any(|part| outbox.join(part) == path);
                let mut pending = self.signal.pending.lock();
                if vanished && was_watched {
                    pending.unwatched.insert((database, mailbox.clone()));
                }
                pending.outboxes.insert((database, mailbox));
                drop(pending);
                self.signal.wake.notify_one();
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests;
