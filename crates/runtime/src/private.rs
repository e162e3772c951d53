//! Folders that nobody else may look into: queue, logs and what is remembered lie below.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Read, write and enter, for the owner.
const FOLDER_MODE: u32 = 0o700;
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
    Ok(())
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
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(make_private(&file).is_err());
    }
}
