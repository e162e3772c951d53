//! Certificates: the organization's own authority, the identities that its servers show each other, and key files.
//!
//! ```text
//!   CertificateAuthority (one per forest, made by `postroad up`)
//!     ├─ issue(NodeIdentity)  → KeyedCertificate: who I am on the implicit connector (ARCHITECTURE.md)
//!     │      SAN  DNS:mail1.contoso.com
//!     │           DNS:_transport._postroad.mail1.contoso.com                   (by which a caller asks for a service)
//!     │           URI:postroad://contoso.com/server/MAIL1/service/transport   (one for each service)
//!     ├─ issue_for_smtp(…)    → KeyedCertificate: what STARTTLS shows (TA-35)
//!     ├─ issue_administrator(…) → KeyedCertificate: who may look into queues; good for no service
//!     └─ issue_for_etcd(…)    → KeyedCertificate: a user of etcd; good for nothing else
//!   parse_identity(der)       → PeerIdentity: who the peer is, read back from the URIs
//!   parse_administrator(der)  → AdministratorIdentity
//! ```
//!
//! A [`PeerIdentity`] is only as good as the chain behind it: call [`parse_identity`] on certificates that the TLS layer
//! has verified against the organization's authority alone. What a service may do is not decided here.

mod authority;
mod files;
mod identity;
mod names;
mod own;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use authority::{
    AUTHORITY_VALIDITY, CertificateAuthority, IDENTITY_VALIDITY, SERVER_CERTIFICATE_VALIDITY, self_signed_for_smtp,
};
pub use files::{ADMINISTRATOR_FOLDER, ETCD_FOLDER, write_private, write_public};
pub use identity::{
    AdministratorIdentity, BACKDATE, ETCD_ADMINISTRATOR, ETCD_ROOT, IdentityError, NodeIdentity, PeerIdentity,
    each_pem, etcd_user, first_end, host_of, issued_at, parse_administrator, parse_identity, serial_of, service_name,
    validity,
};

pub use names::CertificateNames;
pub use own::{KeySize, PendingRequest, RequestNames, Wanted, chain_of, request_names};

use crate::provider::provider;

/// Why a certificate cannot be made, read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No certificate in PEM form.
    #[error("cannot read a certificate: {0}")]
    Certificate(String),
    /// No private key in PEM form, or one of a kind that is not supported. Says nothing about the key.
    #[error("cannot read a private key: {0}")]
    Key(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// Signing failed.
    #[error("cannot issue a certificate: {0}")]
    Issue(String),
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which one.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

/// A private key in PEM form. Never printed; overwritten in memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKeyPem(zeroize::Zeroizing<String>);

impl PrivateKeyPem {
    /// Wraps PEM text.
    #[must_use]
    pub fn new(pem: String) -> Self {
        Self(zeroize::Zeroizing::new(pem))
    }

    /// The PEM text: for TLS libraries and key files, never for output.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyPem(…)")
    }
}

/// A certificate with its chain, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedCertificate {
    /// End entity first, then intermediates.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: PrivateKeyPem,
}

impl KeyedCertificate {
    /// Takes certificate and key from elsewhere and checks that they fit.
    ///
    /// # Errors
    /// [`CertificateError`] says which of the two is wrong.
    pub fn from_pem(cert_pem: String, key_pem: PrivateKeyPem) -> Result<Self, CertificateError> {
        let pair = Self { cert_pem, key_pem };
        pair.certified_key()?;
        Ok(pair)
    }

    /// The certificate itself, as [`parse_identity`] takes it.
    ///
    /// # Errors
    /// [`CertificateError::Certificate`] when there is none in the PEM text.
    pub fn to_der(&self) -> Result<Vec<u8>, CertificateError> {
        CertificateDer::from_pem_slice(self.cert_pem.as_bytes())
            .map(|der| der.to_vec())
            .map_err(|error| CertificateError::Certificate(error.to_string()))
    }

    pub(crate) fn certified_key(&self) -> Result<Arc<CertifiedKey>, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(self.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| CertificateError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(CertificateError::Certificate("there is none in the PEM text".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.expose().as_bytes())
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(certified) => Ok(Arc::new(certified)),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch),
            Err(rustls::Error::InvalidCertificate(error)) => Err(CertificateError::Certificate(error.to_string())),
            Err(error) => Err(CertificateError::Key(error.to_string())),
        }
    }
}
