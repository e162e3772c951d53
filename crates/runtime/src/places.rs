//! Where the certificates for SMTP of a server are.
//!
//! ```text
//!   identity/smtp/{cert,key}.pem            the server's own
//!   identity/smtp/<any name>/{cert,key}.pem further ones
//! ```

use std::path::PathBuf;

use crate::settings::Settings;

/// Where they are: the server's own, and in folders of it the further ones.
#[must_use]
pub fn folder(settings: &Settings) -> PathBuf {
    settings.identity.join("smtp")
}

/// The folders of further ones, in the order of their names.
pub(crate) fn further(settings: &Settings) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(settings)).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
