//! Being told that the file changed, by whichever process changed it.
//!
//! Beside the file of the directory lies one that nobody reads: whoever has changed the directory writes an octet into it, and the
//! kernel tells all who wait (inotify). Heartbeats of presences change nothing that anybody waits for, and wake nobody. A process that
//! dies between change and octet, or a kernel that has no watch left to give, costs time and loses nothing: everybody looks for
//! himself now and then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use super::create_private;

/// What is added to the name of the directory's file.
pub(super) const SUFFIX: &str = "-changed";
/// How often somebody looks who is told.
const LOOK: Duration = Duration::from_secs(1);
/// How often somebody looks who is not.
const POLL: Duration = Duration::from_millis(50);

/// Tells and hears of changes.
#[derive(Debug)]
pub(super) struct News {
    path: PathBuf,
    file: File,
    heard: OnceLock<(Option<RecommendedWatcher>, watch::Receiver<()>)>,
}

impl News {
    /// Of the directory in the file at `path`.
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(SUFFIX);
        let path = PathBuf::from(name);
        create_private(&path)?;
        let file = File::options().write(true).open(&path)?;
        Ok(Self { path, file, heard: OnceLock::new() })
    }

    /// The directory has changed.
    pub(super) fn tell(&self) {
        // Whoever is not told looks for himself.
        if let Err(error) = self.file.write_all_at(b"\n", 0) {
            tracing::debug!(%error, "a change of the directory is not told");
        }
    }

    /// Somebody who hears of every change from now on.
    pub(super) fn listen(&self) -> Listener {
        let mut heard = self.heard.get_or_init(|| follow(&self.path)).1.clone();
        heard.mark_unchanged();
        Listener { heard }
    }
}

/// Waits for changes.
pub(super) struct Listener {
    heard: watch::Receiver<()>,
}

impl Listener {
    /// Returns when there may be something new; after `longest` at the latest.
    pub(super) async fn wait(&mut self, longest: Duration) {
        match tokio::time::timeout(longest.min(LOOK), self.heard.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => tokio::time::sleep(longest.min(POLL)).await,
        }
    }
}

/// What is heard, for as long as the watcher is there; closed at once when the kernel does not tell.
fn follow(path: &Path) -> (Option<RecommendedWatcher>, watch::Receiver<()>) {
    let (sender, receiver) = watch::channel(());
    let heard = move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access()) {
            sender.send_replace(());
        }
    };
    let watcher = notify::recommended_watcher(heard).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let watcher = watcher.inspect_err(|error| {
        let advice =
            "changes of the directory are not heard of: it is looked at (is fs.inotify.max_user_instances used up?)";
        tracing::warn!(%error, "{advice}");
    });
    (watcher.ok(), receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_process_hears_what_another_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        let (one, other) = (News::beside(&path).unwrap(), News::beside(&path).unwrap());
        other.tell();
        let (mut first, mut second) = (one.listen(), one.listen());
        other.tell();
        first.heard.changed().await.unwrap();
        second.heard.changed().await.unwrap();
        one.tell();
        first.heard.changed().await.unwrap();
    }
}
