//! Being told that the file changed, by whichever process changed it.
//!
//! Beside the file of the directory lie two more: whoever has changed the directory writes a number into one of them that nobody wrote
//! before, and the kernel tells all who wait (inotify). One is for what stays, the other for services that come and go: hundreds of servers that
//! start together do not wake each other's followers of the configuration. Heartbeats change nothing that anybody waits for, and wake
//! nobody. A process that dies between change and number, or a kernel that has no watch left to give, costs time and loses nothing:
//! everybody looks for himself now and then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use uuid::Uuid;

use super::create_private;

/// What is added to the name of the directory's file: changes of what stays, and whatever programs before this one told.
pub(super) const CHANGED: &str = "-changed";
/// Services that come and go.
pub(super) const THERE: &str = "-there";
/// How often somebody looks who is told.
const LOOK: Duration = Duration::from_secs(10);
/// How often somebody looks who is not.
const POLL: Duration = Duration::from_millis(500);

/// Tells and hears of changes.
#[derive(Debug)]
pub(super) struct News {
    changed: Bell,
    there: Bell,
    heard: OnceLock<Heard>,
}

/// A file of which the kernel tells.
#[derive(Debug)]
struct Bell {
    path: PathBuf,
    file: File,
}

/// What is heard, for as long as the watcher is there; closed at once when the kernel does not tell.
#[derive(Debug)]
struct Heard {
    _watcher: Option<RecommendedWatcher>,
    changed: watch::Receiver<()>,
    there: watch::Receiver<()>,
}

impl News {
    /// Of the directory in the file at `path`.
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        Ok(Self { changed: Bell::beside(path, CHANGED)?, there: Bell::beside(path, THERE)?, heard: OnceLock::new() })
    }

    /// The directory has changed.
    pub(super) fn tell_change(&self) {
        self.changed.ring();
    }

    /// What whoever changed the directory last has left, each time something else. Nothing where that cannot be read.
    pub(super) fn last_told(&self) -> Option<u128> {
        self.changed.last()
    }

    /// A service came or went.
    pub(super) fn tell_presence(&self) {
        self.there.ring();
    }

    /// Somebody who hears of every change from now on, but not of who comes and goes.
    pub(super) fn changes(&self) -> Listener {
        let mut changed = self.heard().changed.clone();
        changed.mark_unchanged();
        Listener { changed, there: None }
    }

    /// Somebody who hears of everything.
    pub(super) fn presences(&self) -> Listener {
        let (mut changed, mut there) = (self.heard().changed.clone(), self.heard().there.clone());
        changed.mark_unchanged();
        there.mark_unchanged();
        Listener { changed, there: Some(there) }
    }

    fn heard(&self) -> &Heard {
        self.heard.get_or_init(|| follow(&self.changed.path, &self.there.path))
    }
}

impl Bell {
    fn beside(path: &Path, suffix: &str) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        create_private(&path)?;
        let file = File::options().read(true).write(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// What was left by whoever rang last; zero before.
    fn last(&self) -> Option<u128> {
        let mut left = [0; 16];
        match self.file.read_at(&mut left, 0) {
            Ok(count) if count == left.len() || count == 0 => Some(u128::from_be_bytes(left)),
            _ => None,
        }
    }

    fn ring(&self) {
        // Whoever is not told looks for himself.
        if let Err(error) = self.file.write_all_at(Uuid::new_v4().as_bytes(), 0) {
            tracing::debug!(%error, "a change of the directory is not told");
        }
    }
}

/// Waits for changes.
pub(super) struct Listener {
    changed: watch::Receiver<()>,
    there: Option<watch::Receiver<()>>,
}

impl Listener {
    /// Returns when there may be something new; after `longest` at the latest.
    pub(super) async fn wait(&mut self, longest: Duration) {
        let (changed, there) = (&mut self.changed, &mut self.there);
        let there = async {
            match there {
                Some(there) => there.changed().await,
                None => std::future::pending().await,
            }
        };
        let told = async {
            tokio::select! {
                told = changed.changed() => told,
                told = there => told,
            }
        };
        match tokio::time::timeout(longest.min(LOOK), told).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => tokio::time::sleep(longest.min(POLL)).await,
        }
    }
}

fn follow(changed: &Path, there: &Path) -> Heard {
    let (of_changes, hears_changes) = watch::channel(());
    let (of_presences, hears_presences) = watch::channel(());
    let presences = there.to_owned();
    let heard = move |event: notify::Result<notify::Event>| match event {
        Ok(event) if event.kind.is_access() => {}
        Ok(event) if !event.paths.is_empty() && event.paths.iter().all(|path| *path == presences) => {
            of_presences.send_replace(());
        }
        // Whatever else there is, events that were lost among it, may be a change.
        _ => {
            of_changes.send_replace(());
        }
    };
    let watcher = notify::recommended_watcher(heard).and_then(|mut watcher| {
        watcher.watch(changed, RecursiveMode::NonRecursive)?;
        watcher.watch(there, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let watcher = watcher.inspect_err(|error| {
        let advice =
            "changes of the directory are not heard of: it is looked at (is fs.inotify.max_user_instances used up?)";
        tracing::warn!(%error, "{advice}");
    });
    Heard { _watcher: watcher.ok(), changed: hears_changes, there: hears_presences }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_process_hears_what_another_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let (one, other) = (News::beside(&path).unwrap(), News::beside(&path).unwrap());
        other.tell_change();
        let (mut first, mut second) = (one.changes(), one.changes());
        other.tell_change();
        first.changed.changed().await.unwrap();
        second.changed.changed().await.unwrap();
        one.tell_change();
        first.changed.changed().await.unwrap();
    }

    #[tokio::test]
    async fn who_follows_the_configuration_is_not_woken_by_services_that_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let (one, other) = (News::beside(&path).unwrap(), News::beside(&path).unwrap());
        let (mut changes, mut presences) = (one.changes(), one.presences());
        other.tell_presence();
        presences.there.as_mut().unwrap().changed().await.unwrap();
        // What is told of a change comes after it.
        other.tell_change();
        changes.changed.changed().await.unwrap();
        changes.changed.mark_unchanged();
        other.tell_presence();
        presences.there.as_mut().unwrap().changed().await.unwrap();
        assert!(!changes.changed.has_changed().unwrap());
    }
}
