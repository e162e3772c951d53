//! The certificate that a server shows in SMTP, and the roots by which it judges those of others.

use std::path::PathBuf;

use crate::node::{Node, NodeError};
use net::KeyedCertificate;
use net::tls::TrustedRoots;

/// Certificate and key for SMTP: those of the settings, or made here (TA-35).
///
/// # Errors
/// [`NodeError::File`] when the files that are there cannot be used.
pub fn of_server(node: &Node) -> Result<KeyedCertificate, NodeError> {
    let path = folder(node);
    if path.join("cert.pem").exists() || path.join("key.pem").exists() {
        return KeyedCertificate::load_from(&path).map_err(|error| file_error(path, error.to_string()));
    }
    let tables = node.tables();
    let server = tables.local_server();
    tracing::warn!(path = %path.display(), "no certificate for STARTTLS; using a self-signed one until the next start");
    net::certificate::self_signed_for_smtp(&server.name, &server.fqdn, node.clock.now())
        .map_err(|error| file_error(path, error.to_string()))
}

/// The roots of the system, and those of the settings.
///
/// # Errors
/// [`NodeError::File`] when they cannot be read.
pub fn trusted_roots(node: &Node) -> Result<TrustedRoots, NodeError> {
    let roots = TrustedRoots::system();
    let Some(path) = &node.settings.trusted_roots else { return Ok(roots) };
    let pem = std::fs::read_to_string(path).map_err(|error| file_error(path.clone(), error.to_string()))?;
    roots.and_pem(&pem).map_err(|error| file_error(path.clone(), error.to_string()))
}

/// What the certificate of the settings is refused with.
#[must_use]
pub fn refused(node: &Node, cause: String) -> NodeError {
    file_error(folder(node), cause)
}

/// Where they are: the server's own, and in folders of it those that connectors name.
#[must_use]
pub fn folder(node: &Node) -> PathBuf {
    node.settings.identity.join("smtp")
}

fn file_error(path: PathBuf, cause: String) -> NodeError {
    NodeError::File { path, cause, advice: "It must hold certificates, and their keys, in PEM" }
}
