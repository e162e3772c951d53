//! The certificate authorities that are believed.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Roots that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// Not PEM, or not certificates in it.
    #[error("not certificates in PEM: {0}")]
    Pem(String),
    /// A certificate that cannot be a root.
    #[error("a certificate cannot be a root: {0}")]
    Certificate(String),
    /// Nothing in it.
    #[error("there is no certificate in it")]
    Empty,
}

/// A set of trusted roots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TrustedRoots(Arc<RootCertStore>);

impl TrustedRoots {
    /// No root: nothing verifies.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// The roots of the operating system. Reads files; an unreadable one is logged and left out.
    #[must_use]
    pub fn system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some trusted roots of the system cannot be read");
        }
        let mut store = RootCertStore::empty();
        // Distributions ship a few roots that no library parses; the others are no worse for it.
        let (_added, _ignored) = store.add_parsable_certificates(found.certs);
        Self(Arc::new(store))
    }

    /// These and the certificates in `pem`.
    ///
    /// # Errors
    /// [`RootsError`] when there is none in it, or one that is none.
    pub fn and_pem(&self, pem: &str) -> Result<Self, RootsError> {
        let mut store = RootCertStore::clone(&self.0);
        let before = store.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| RootsError::Pem(error.to_string()))?;
            store.add(certificate).map_err(|error| RootsError::Certificate(error.to_string()))?;
        }
        if store.len() == before { Err(RootsError::Empty) } else { Ok(Self(Arc::new(store))) }
    }

    pub(crate) fn shared(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }

    pub(super) fn store(&self) -> &RootCertStore {
        &self.0
    }
}
