//! Why a TLS connection did not come up, in words that name the real cause (the alert, the certificate, the name).

use std::io;
use std::net::SocketAddr;

use envelope::{EnhancedStatus, Severity};
use rustls::{AlertDescription, CertificateError};

use super::peer::PeerCertificate;
use crate::revocation::RevocationProblem;

/// Why a TLS connection did not come up. All are transient (TA-3, TA-5, TA-12).
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// We refused the peer's certificate.
    #[error("Certificate validation failure: {problem}{}", shown(certificate.as_deref()))]
    Certificate {
        /// What is wrong with it.
        problem: CertificateProblem,
        /// What was shown, where it could be read.
        certificate: Option<Box<PeerCertificate>>,
    },
    /// The peer refused: our certificate, our versions, our ciphers.
    #[error("the peer ended TLS with the alert \"{0}\"")]
    Alert(Box<str>),
    /// No version, cipher or message in common, or no TLS at all.
    #[error("TLS handshake failed: {0}")]
    Protocol(Box<str>),
    /// The connection broke during the handshake.
    #[error("the connection broke during the TLS handshake: {0}")]
    Connection(#[source] io::Error),
    /// [`super::HANDSHAKE_TIMEOUT`] passed.
    #[error("no TLS handshake with {0} in time")]
    Timeout(SocketAddr),
    /// The server did not ask who we are, where both sides were to prove it (TA-43).
    #[error("the server did not ask for this server's certificate, and Domain Security wants it from both sides")]
    NotMutual,
    /// STARTTLS on a connection that is encrypted already, or a name that cannot stand in a handshake.
    #[error("TLS cannot start: {0}")]
    Unusable(&'static str),
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// After its last moment.
    #[error("the certificate has expired")]
    Expired,
    /// Before its first moment.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// Self-signed, or signed by someone who is not trusted, or an intermediate is missing.
    #[error(
        "no trusted authority has issued the certificate: `trusted-roots` in the settings adds one to those of the system"
    )]
    UnknownIssuer,
    /// Taken back, or nobody can tell.
    #[error(transparent)]
    Revocation(#[from] RevocationProblem),
    /// For others.
    #[error("the certificate is for {}, not for {wanted}", if presented.is_empty() { "no name" } else { presented })]
    WrongName {
        /// What it had to be for.
        wanted: Box<str>,
        /// What it is for, separated by commas.
        presented: Box<str>,
    },
    /// Anything else.
    #[error("{0}")]
    Other(Box<str>),
}

fn shown(certificate: Option<&PeerCertificate>) -> String {
    certificate
        .map(|shown| format!(" (subject {}, issuer {}, SHA-256 {})", shown.subject, shown.issuer, shown.fingerprint))
        .unwrap_or_default()
}

impl TlsError {
    /// `4.7.5`, cryptographic failure (TA-3, TA-12).
    pub const STATUS: EnhancedStatus = EnhancedStatus::new(4, 7, 5);

    /// [`Self::STATUS`].
    #[must_use]
    pub const fn status(&self) -> EnhancedStatus {
        Self::STATUS
    }

    /// Transient.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.status().severity()
    }

    /// What an I/O error on an encrypted stream really was. A broken connection is [`TlsError::Connection`].
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(cause) => Self::from_rustls(cause),
            None => Self::Connection(error),
        }
    }

    fn from_rustls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert_words(*alert).into()),
            rustls::Error::InvalidCertificate(cause) => {
                Self::Certificate { problem: CertificateProblem::from(cause), certificate: None }
            }
            rustls::Error::InvalidMessage(_) => Self::Protocol(format!("the peer does not speak TLS: {error}").into()),
            other => Self::Protocol(other.to_string().into()),
        }
    }
}

impl From<&CertificateError> for CertificateProblem {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            // Our own verdicts travel through rustls as `Other`.
            CertificateError::Other(inner) => match inner.0.downcast_ref::<Self>() {
                Some(problem) => problem.clone(),
                None => Self::Other(inner.0.to_string().into()),
            },
            other => Self::Other(format!("the certificate cannot be used: {other}").into()),
        }
    }
}

/// `HandshakeFailure` as `handshake failure`.
fn alert_words(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else { return format!("{alert:?}") };
    let mut words = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        // A word starts with a capital; in "UnknownCA" the last one does not start another.
        if character.is_ascii_uppercase() && !words.is_empty() && !words.ends_with(" c") {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
}
