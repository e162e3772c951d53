//! A log of whole documents: the routing table log, one file for each time that tables are calculated (LG-31…LG-33).

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use envelope::Timestamp;

use crate::files::{delete_old, make_folder, new_file, there};
use crate::record::LogLimits;

/// Folder of the routing table log of Transport in a state directory (LG-32).
#[must_use]
pub fn routing_folder(state: &Path) -> PathBuf {
    state.join("logs").join("Routing")
}

/// Files named `prefix#number@time.extension`.
#[derive(Clone, Debug)]
pub struct Documents {
    folder: PathBuf,
    prefix: &'static str,
    limits: LogLimits,
}

impl Documents {
    /// The routing table log in `folder`.
    #[must_use]
    pub fn routing_table(folder: PathBuf) -> Self {
        Self { folder, prefix: "RoutingConfig", limits: LogLimits::ROUTING }
    }

    /// The same log, of which so much is kept.
    #[must_use]
    pub fn keeping(mut self, limits: LogLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes a document, and deletes the oldest that are too old or too many with it (LG-03). Blocks. The newest stays,
    /// whatever its size.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, document: &str, now: Timestamp) -> io::Result<()> {
        make_folder(&self.folder)?;
        let coming = u64::try_from(document.len()).unwrap_or(u64::MAX);
        delete_old(there(&self.folder, |name| parse(name, self.prefix))?, &self.limits, coming, now)?;
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        new_file(&path)?.write_all(document.as_bytes())
    }
}

/// When a document was written, as digits that begin with its day, and its number.
fn parse(name: &str, prefix: &str) -> Option<(String, u32)> {
    let (number, rest) = name.strip_prefix(prefix)?.strip_prefix('#')?.split_once('@')?;
    let (time, _) = rest.split_once('.')?;
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 8).then(|| number.parse().ok().map(|number| (digits, number))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_03_the_oldest_documents_go_and_what_others_put_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogLimits { folder_octets: 50, ..LogLimits::ROUTING };
        let log = Documents { limits, ..Documents::routing_table(folder.path().to_owned()) };
        let file = |name: &str, octets: usize| fs::write(folder.path().join(name), "x".repeat(octets)).unwrap();
        file("RoutingConfig#9@2026-11-01T05-00-00.000Z.xml", 1); // too old
        file("RoutingConfig#2@2026-11-22T04-00-00.000Z.xml", 10); // together too many
        file("RoutingConfig#1@2026-11-22T05-00-00.000Z.xml", 15);
        file("somebody else's", 100);
        let now = Timestamp::from_millis(1_795_335_330_250);
        log.write("RoutingConfig#1@2026-11-22T08-15-30.250Z.xml", &"y".repeat(30), now).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let (one, two) =
            ("RoutingConfig#1@2026-11-22T05-00-00.000Z.xml", "RoutingConfig#1@2026-11-22T08-15-30.250Z.xml");
        assert_eq!(left, [one, two, "somebody else's"]);
    }
}
