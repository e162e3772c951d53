//! The routing table log: each time tables are calculated they are written down, one file for each (LG-31, LG-32, RT-05).
//!
//! Files lie in `routing-log` of the server's state directory. The oldest go when they are too old or too many; a log that
//! cannot be written is told once a time and harms no mail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envelope::ByteSize;
use message::date;
use routing::{LogTime, RoutingTables, log_file_name};

use crate::core::Core;

/// Folder within the state directory.
const FOLDER: &str = "routing-log";
/// Files are kept as long (LG-32: 7 days).
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// All files together have at most this size (LG-32: 50 MB for Transport).
const FOLDER_SIZE_MAX: ByteSize = ByteSize::mib(50);

/// Runs until the service drains.
pub(crate) async fn run(core: Arc<Core>) {
    let folder = core.node.settings.state.join(FOLDER);
    let mut tables = core.node.watch_tables();
    for number in 1.. {
        let present = tables.borrow_and_update().clone();
        let (folder, written) = (folder.clone(), date::log_time(core.now()));
        let writing = tokio::task::spawn_blocking(move || write(&folder, &present, number, &written)).await;
        if let Err(error) = writing.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "the routing table log cannot be written");
        }
        tokio::select! {
            () = core.drain.cancelled() => return,
            changed = tables.changed() => if changed.is_err() { return },
        }
    }
}

fn write(folder: &Path, tables: &RoutingTables, number: u64, written: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = log_file_name(number, LogTime(written));
    std::fs::write(folder.join(name), tables.log_document(LogTime(written)))?;
    remove_old(folder, SystemTime::now())
}

/// Removes what is too old, then the oldest until the rest is small enough (LG-03).
fn remove_old(folder: &Path, now: SystemTime) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let (entry, metadata) = entry.and_then(|entry| entry.metadata().map(|metadata| (entry, metadata)))?;
        if metadata.is_file() && entry.file_name().to_string_lossy().starts_with("RoutingConfig#") {
            files.push((metadata.modified()?, entry.path(), metadata.len()));
        }
    }
    files.sort_by(|one, two| two.cmp(one)); // the newest first: it stays, whatever its size
    let mut total = 0;
    for (at, (modified, path, size)) in files.iter().enumerate() {
        total += size;
        let old = now.duration_since(*modified).is_ok_and(|age| age > AGE_MAX);
        if at > 0 && (old || total > FOLDER_SIZE_MAX.as_u64()) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lg_03_the_oldest_files_go() {
        let folder = std::env::temp_dir().join(format!("routing-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let now = SystemTime::now();
        let file = |name: &str, age: Duration, size: u64| {
            let file = std::fs::File::create(folder.join(name)).unwrap();
            file.set_len(size).unwrap();
            file.set_modified(now - age).unwrap();
        };
        let hour = Duration::from_secs(3600);
        file("RoutingConfig#3@a.xml", hour, 30 << 20);
        file("RoutingConfig#2@b.xml", 2 * hour, 15 << 20);
        file("RoutingConfig#1@c.xml", 3 * hour, 10 << 20); // together more than 50 MB
        file("RoutingConfig#9@d.xml", AGE_MAX + hour, 1);
        file("somebody else's", AGE_MAX + hour, 1);
        remove_old(&folder, now).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(left, ["RoutingConfig#2@b.xml", "RoutingConfig#3@a.xml", "somebody else's"]);
    }
}
