//! The world of the shell: what it shows, whom it asks, which files it may touch.

use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::shell::{Console, Stream};
use time::OffsetDateTime;

use super::super::{output, times};

/// Octets of a file that is read or written (CM-39: 75 MB per object).
const FILE_OCTETS_MAX: u64 = 75 * 1024 * 1024;

/// Mode of a file that nobody else may read.
const SECRET_MODE: u32 = 0o600;

/// The terminal, or pipes in its place.
pub(super) struct Terminal {
    width: usize,
    allow_files: bool,
    interrupted: Arc<AtomicBool>,
}

impl Terminal {
    pub(super) fn new(width: usize, allow_files: bool, interrupted: Arc<AtomicBool>) -> Self {
        Self { width, allow_files, interrupted }
    }

    /// A file that a script may touch (SH-51).
    fn file(&self, path: &str) -> Result<PathBuf, String> {
        let path = PathBuf::from(path.replace('\\', "/"));
        let below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if below || self.allow_files {
            Ok(path)
        } else {
            Err(format!("{} is not below this folder; start the shell with --allow-files", path.display()))
        }
    }
}

/// Says when somebody presses Ctrl+C, from now on.
pub(super) fn interrupts() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            set.store(true, Ordering::Relaxed);
        }
    });
    flag
}

impl Console for Terminal {
    fn now(&mut self) -> OffsetDateTime {
        OffsetDateTime::from(std::time::SystemTime::from(times::now()))
    }

    fn write(&mut self, stream: Stream, text: &str) {
        let (colour, plain) = match std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            true => (if stream == Stream::Error { "\x1b[31m" } else { "\x1b[33m" }, "\x1b[0m"),
            false => ("", ""),
        };
        match stream {
            // Nothing more can be done when nobody reads.
            Stream::Output | Stream::Host => {
                let _ = output::print(text);
            }
            Stream::Error => eprint!("{colour}{}{plain}", output::harmless(text)),
            Stream::Warning => eprintln!("{colour}WARNING: {}{plain}", output::harmless(text)),
            Stream::Verbose => eprintln!("{colour}VERBOSE: {}{plain}", output::harmless(text)),
        }
    }

    fn ask(&mut self, prompt: &str, secret: bool) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        super::editor::ask(prompt, secret)
    }

    fn width(&self) -> usize {
        if std::io::stdout().is_terminal() { output::width() } else { self.width }
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.file(path)?;
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let length = std::fs::metadata(&path).map_err(told)?.len();
        if length > FILE_OCTETS_MAX {
            return Err(format!("{} has more than {FILE_OCTETS_MAX} octets", path.display()));
        }
        std::fs::read(&path).map_err(told)
    }

    fn save(&mut self, path: &str, octets: &[u8], append: bool) -> Result<(), String> {
        let path = self.file(path)?;
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).append(append).truncate(!append);
        let saved = options.open(&path).and_then(|mut file| file.write_all(octets));
        saved.map_err(|error| format!("{}: {error}", path.display()))
    }

    fn keep(&mut self, path: &str, octets: &[u8], replace: bool) -> Result<(), String> {
        let path = self.file(path)?;
        let told = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => format!("{} is there already; -Force overwrites it", path.display()),
            _ => format!("{}: {error}", path.display()),
        };
        if replace && let Err(error) = std::fs::remove_file(&path) {
            // What others may read or have open does not become the new one.
            (error.kind() == ErrorKind::NotFound).then_some(()).ok_or_else(|| told(error))?;
        }
        let created = std::fs::OpenOptions::new().create_new(true).write(true).mode(SECRET_MODE).open(&path);
        created.and_then(|mut file| file.write_all(octets)).map_err(told)
    }

    fn environment(&self, name: &str) -> Option<String> {
        if name == "HOSTNAME" {
            return std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname"))
                .ok()
                .map(|name| name.trim().to_owned());
        }
        std::env::var(name).ok()
    }

    fn guid(&mut self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    fn interrupted(&mut self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_for_nobody_else_also_where_a_file_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::new(80, true, Arc::default());
        for name in ["new.xml", "old.xml"] {
            let path = folder.path().join(name);
            if name == "old.xml" {
                std::fs::write(&path, "longer than what comes").unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            }
            let path_text = path.to_str().unwrap();
            assert_eq!(terminal.keep(path_text, b"key", false).is_ok(), name == "new.xml", "{name}");
            terminal.keep(path_text, b"key", true).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"key");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}
