//! Folders and files that nobody else may look into: queue, logs and what is remembered.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Read, write and enter, for the owner.
const FOLDER_MODE: u32 = 0o700;
/// Read and write, for the owner.
const FILE_MODE: u32 = 0o600;
/// How far below the state folder what is there is looked at: services, their folders, their files. Mail lies deeper, in
/// folders that are closed.
const DEPTH: u32 = 3;
/// Bits of group and others.
const OTHERS: u32 = 0o077;

/// Makes the folder at `path`, or closes one that is there to others, saying so.
///
/// # Errors
/// When it can be neither made nor closed: it belongs to somebody else.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
    let mode = path.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(FOLDER_MODE))?;
        let was = format!("{:04o}", mode & 0o7777);
        tracing::warn!(path = %path.display(), was, "others could look into this folder; it is closed to them now");
    }
    repair(path).iter().for_each(|done| tracing::warn!("{done}"));
    Ok(())
}

/// Closes what an earlier version left open below `folder`, and says so, one sentence for each. What belongs to somebody else
/// stays as it is, which is said as well.
pub(crate) fn repair(folder: &Path) -> Vec<String> {
    let mut said = Vec::new();
    close_below(folder, DEPTH, &mut said);
    said
}

fn close_below(folder: &Path, depth: u32, said: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let (path, Ok(about)) = (entry.path(), entry.metadata()) else { continue };
        let mode = about.permissions().mode();
        if (about.is_dir() || about.is_file()) && mode & OTHERS != 0 {
            let closed = if about.is_dir() { FOLDER_MODE } else { FILE_MODE };
            let was = format!("{:04o}", mode & 0o7777);
            let at = path.display();
            said.push(match std::fs::set_permissions(&path, std::fs::Permissions::from_mode(closed)) {
                Ok(()) => format!("others could read {at} ({was}); it is closed to them now"),
                Err(error) => format!("others can read {at} ({was}), and it cannot be closed: {error}"),
            });
        }
        if about.is_dir() && depth > 1 {
            close_below(&path, depth - 1, said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_private_and_a_wider_one_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let fresh = folder.path().join("a/b");
        make_private(&fresh).unwrap();
        assert_eq!(mode(&fresh), FOLDER_MODE);
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&fresh).unwrap();
        assert_eq!(mode(&fresh), FOLDER_MODE);
        // What lies in it, and no further: not what a link leads to.
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "").unwrap();
        std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o644)).unwrap();
        let queue = fresh.join("queue");
        std::fs::create_dir(&queue).unwrap();
        std::fs::write(queue.join("log"), "").unwrap();
        std::fs::set_permissions(&queue, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(queue.join("log"), std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&outside, queue.join("link")).unwrap();
        make_private(&fresh).unwrap();
        assert_eq!((mode(&queue), mode(&queue.join("log"))), (FOLDER_MODE, FILE_MODE));
        assert_eq!(mode(&outside), 0o644);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(make_private(&file).is_err());
    }
}
