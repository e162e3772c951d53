//! Where the certificates for SMTP of a server are.
//!
//! ```text
//!   identity/smtp/{cert,key}.pem            the server's own
//!   identity/smtp/<any name>/{cert,key}.pem further ones
//!   identity/smtp-pending/<thumbprint>/     made or requested here, and not shown yet
//! ```

use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Where they are: the server's own, and in folders of it the further ones.
#[must_use]
pub fn folder(settings: &Settings) -> PathBuf {
    settings.identity.join("smtp")
}

/// Where certificates lie that are not shown yet, and requests.
pub(crate) fn pending_folder(settings: &Settings) -> PathBuf {
    settings.identity.join("smtp-pending")
}

/// Their folders, in the order of their names.
pub(crate) fn pending_folders(settings: &Settings) -> Vec<PathBuf> {
    folders_in(&pending_folder(settings))
}

/// The folders of further ones, in the order of their names.
pub(crate) fn further(settings: &Settings) -> Vec<PathBuf> {
    folders_in(&folder(settings))
}

fn folders_in(above: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(above).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
