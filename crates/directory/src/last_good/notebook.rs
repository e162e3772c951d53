//! Lines on disk that follow what is remembered, a moment behind: losing the last of them costs a question, no mail.
//!
//! What is remembered changes one at a time and is many: a [`Journal`] appends each change, and is written anew when there are
//! twice as many lines as there is to remember. A [`Notebook`] is for few: it is written anew with each change.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Time between a change and its being written: what changes meanwhile is written with it.
const WRITE_DELAY: Duration = Duration::from_secs(1);
/// Lines up to which a journal is not written anew however few of them still count.
const LINES_MIN: usize = 1_000;

/// A file that is written anew when what it holds has changed.
pub(super) struct Notebook {
    path: PathBuf,
    due: AtomicBool,
}

impl Notebook {
    pub(super) fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, due: AtomicBool::new(false) })
    }

    /// The lines written last; none when there is no file. What cannot be read is reported and forgotten.
    pub(super) fn lines(&self) -> Vec<String> {
        lines(&self.path)
    }

    /// Writes what `lines` gives, in a moment; once for all changes until then.
    pub(super) fn write_soon(self: &Arc<Self>, lines: impl FnOnce() -> Vec<Vec<u8>> + Send + 'static) {
        if self.due.swap(true, Ordering::AcqRel) {
            return;
        }
        let notebook = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(WRITE_DELAY).await;
            notebook.due.store(false, Ordering::Release);
            let path = notebook.path.clone();
            told(&notebook.path, tokio::task::spawn_blocking(move || write_whole(&path, &lines().join(&b'\n'))).await);
        });
    }
}

/// A file to which changes are appended.
pub(super) struct Journal {
    path: PathBuf,
    state: Mutex<State>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Changes that are not written yet.
    waiting: Vec<Vec<u8>>,
    /// Lines of the file.
    written: usize,
    due: bool,
}

impl Journal {
    pub(super) fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, state: Mutex::default(), writing: Mutex::default() })
    }

    /// The lines of the file, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = lines(&self.path);
        self.state.lock().written = lines.len();
        lines
    }

    /// Appends lines, in a moment. Of all that is remembered there are `remembered` lines, which `all` gives when the file has
    /// become long. It must have every change that was appended before it is asked.
    pub(super) fn append_soon(
        self: &Arc<Self>,
        lines: Vec<Vec<u8>>,
        remembered: usize,
        all: impl FnOnce() -> Vec<Vec<u8>> + Send + 'static,
    ) {
        let mut state = self.state.lock();
        state.waiting.extend(lines);
        if state.waiting.is_empty() || std::mem::replace(&mut state.due, true) {
            return;
        }
        drop(state);
        let journal = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(WRITE_DELAY).await;
            let path = journal.path.clone();
            told(&path, tokio::task::spawn_blocking(move || journal.write(remembered, all)).await);
        });
    }

    fn write(&self, remembered: usize, all: impl FnOnce() -> Vec<Vec<u8>>) -> std::io::Result<()> {
        let _one = self.writing.lock();
        let (waiting, written) = {
            let mut state = self.state.lock();
            state.due = false;
            (std::mem::take(&mut state.waiting), state.written)
        };
        let is_long = written + waiting.len() > LINES_MIN.max(remembered * 2);
        self.state.lock().written = if is_long {
            let lines = all();
            write_whole(&self.path, &lines.join(&b'\n'))?;
            lines.len()
        } else {
            append(&self.path, &waiting)?;
            written + waiting.len()
        };
        Ok(())
    }
}

fn lines(path: &Path) -> Vec<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "what was remembered is lost");
            Vec::new()
        }
    }
}

fn told(path: &Path, written: Result<std::io::Result<()>, tokio::task::JoinError>) {
    if let Err(error) = written.map_err(std::io::Error::other).and_then(|written| written) {
        tracing::error!(path = %path.display(), %error, "what is remembered cannot be kept on disk");
    }
}

/// Each line begins with its end: what a crash has left of the last is a line of its own.
fn append(path: &Path, lines: &[Vec<u8>]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let mut text = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        text.push(b'\n');
        text.extend_from_slice(line);
    }
    file.write_all(&text)?;
    file.sync_data()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    #[test]
    fn a_change_costs_a_line_and_the_file_stays_in_proportion() {
        // Each line is synced: no more of them than it takes to be written anew twice.
        const LINES: usize = LINES_MIN * 3;
        const WRITTEN_ANEW_MAX: u64 = 4;
        let folder = tempfile::tempdir().unwrap();
        let (path, mut whole, mut octets) = (folder.path().join("journal"), 0, 0);
        let journal = Journal::at(path.clone());
        for number in 0..LINES {
            journal.state.lock().waiting.push(line(number));
            let before = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            // All that is remembered are the last two hundred.
            let all = || {
                whole += 1;
                (number.saturating_sub(199)..=number).map(line).collect()
            };
            journal.write(200, all).unwrap();
            octets += std::fs::metadata(&path).unwrap().len().saturating_sub(before);
        }
        assert!((1..=WRITTEN_ANEW_MAX).contains(&whole), "written anew {whole} times");
        assert!(octets < WRITTEN_ANEW_MAX * 20_000, "{octets}");
        let lines = Journal::at(path).lines();
        assert!(lines.len() <= LINES_MIN && lines.ends_with(&[(LINES - 1).to_string()]), "{}", lines.len());
    }

    #[test]
    fn what_a_crash_has_left_of_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, "one\ntw").unwrap();
        append(&path, &[b"three".to_vec(), b"four".to_vec()]).unwrap();
        assert_eq!(Journal::at(path).lines(), ["one", "tw", "three", "four"]);
    }
}
