//! The certificate that a server shows in SMTP, and the roots by which it judges those of others.

use std::path::PathBuf;

pub use crate::places::folder;

use crate::node::{Node, NodeError};
use crate::places::further;
use crate::settings::Settings;
use envelope::Timestamp;
use net::KeyedCertificate;
use net::tls::{OwnCertificate, TrustedRoots};
use topology::Server;

/// Certificate and key for SMTP of a running service: [`for_smtp`].
///
/// # Errors
/// [`NodeError::File`] when the files that are there cannot be used.
pub fn of_server(node: &Node) -> Result<KeyedCertificate, NodeError> {
    for_smtp(&node.settings, node.tables().local_server(), node.clock.now())
}

/// Certificate and key for SMTP: those of the settings, or made here (TA-35).
///
/// # Errors
/// [`NodeError::File`] when the files that are there cannot be used.
pub fn for_smtp(settings: &Settings, server: &Server, now: Timestamp) -> Result<KeyedCertificate, NodeError> {
    let path = folder(settings);
    if path.join("cert.pem").exists() || path.join("key.pem").exists() {
        return KeyedCertificate::load_from(&path).map_err(|error| file_error(path, error.to_string()));
    }
    tracing::warn!(path = %path.display(), "no certificate for STARTTLS; using a self-signed one until the next start");
    net::certificate::self_signed_for_smtp(&server.name, &server.fqdn, now)
        .map_err(|error| file_error(path, error.to_string()))
}

/// All that a server can show in SMTP (TA-30): `own`, which is what it shows where no other fits, first, and those in folders
/// beside it. What cannot be used is logged and left out. Blocks.
#[must_use]
pub fn all_for_smtp(settings: &Settings, own: &KeyedCertificate) -> Vec<OwnCertificate> {
    OwnCertificate::of(own.clone()).ok().into_iter().chain(all_further(settings)).collect()
}

/// All that lies there, the server's own first if it has one. Blocks.
#[must_use]
pub fn all_on_disk(settings: &Settings) -> Vec<OwnCertificate> {
    let own = KeyedCertificate::load_from(&folder(settings)).and_then(OwnCertificate::of).ok();
    own.into_iter().chain(all_further(settings)).collect()
}

fn all_further(settings: &Settings) -> impl Iterator<Item = OwnCertificate> {
    further(settings).into_iter().filter_map(|folder| {
        let read = KeyedCertificate::load_from(&folder).and_then(OwnCertificate::of);
        let told = |error| tracing::warn!(folder = %folder.display(), %error, "a certificate cannot be used");
        read.map_err(told).ok()
    })
}

/// The roots of the system, and those of the settings.
///
/// # Errors
/// [`NodeError::File`] when they cannot be read.
pub fn trusted_roots(settings: &Settings) -> Result<TrustedRoots, NodeError> {
    let roots = TrustedRoots::system();
    let Some(path) = &settings.trusted_roots else { return Ok(roots) };
    let pem = std::fs::read_to_string(path).map_err(|error| file_error(path.clone(), error.to_string()))?;
    roots.and_pem(&pem).map_err(|error| file_error(path.clone(), error.to_string()))
}

/// What the certificate of the settings is refused with.
#[must_use]
pub fn refused(settings: &Settings, cause: String) -> NodeError {
    file_error(folder(settings), cause)
}

fn file_error(path: PathBuf, cause: String) -> NodeError {
    NodeError::File { path, cause, advice: "It must hold certificates, and their keys, in PEM" }
}
