//! Lines on disk that follow what is remembered, a moment behind: losing the last of them costs a question, no mail.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time between a change and its being written: what changes meanwhile is written with it.
const WRITE_DELAY: Duration = Duration::from_secs(1);

/// A file that is written anew when what it holds has changed.
pub(super) struct Notebook {
    path: PathBuf,
    due: AtomicBool,
}

impl Notebook {
    pub fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, due: AtomicBool::new(false) })
    }

    /// The lines written last; none when there is no file. What cannot be read is reported and forgotten.
    pub fn lines(&self) -> Vec<String> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "what was remembered is lost");
                Vec::new()
            }
        }
    }

    /// Writes what `lines` gives, in a moment; once for all changes until then.
    pub fn write_soon(self: &Arc<Self>, lines: impl FnOnce() -> Vec<Vec<u8>> + Send + 'static) {
        if self.due.swap(true, Ordering::AcqRel) {
            return;
        }
        let notebook = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(WRITE_DELAY).await;
            notebook.due.store(false, Ordering::Release);
            let path = notebook.path.clone();
            let written = tokio::task::spawn_blocking(move || write_whole(&path, &lines().join(&b'\n'))).await;
            if let Err(error) = written.map_err(std::io::Error::other).and_then(|written| written) {
                tracing::error!(path = %notebook.path.display(), %error, "what is remembered cannot be kept on disk");
            }
        });
    }
}

/// Replaces a file by renaming, after a sync: there is always a whole one.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_added_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
