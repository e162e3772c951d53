//! Whom a certificate is from and for, as `TlsCertificateName` names it.

use envelope::Timestamp;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::{CertificateError, KeyedCertificate};

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// X.500 name of who signed it, `CN=Contoso CA, O=Contoso`.
    pub issuer: Box<str>,
    /// X.500 name of whom it is for.
    pub subject: Box<str>,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
}

impl KeyedCertificate {
    /// Reads issuer, subject and dates.
    ///
    /// # Errors
    /// [`CertificateError::Certificate`].
    pub fn names(&self) -> Result<CertificateNames, CertificateError> {
        let der = self.to_der()?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|error| CertificateError::Certificate(error.to_string()))?;
        Ok(CertificateNames {
            issuer: certificate.issuer().to_string().into(),
            subject: certificate.subject().to_string().into(),
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
        })
    }
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1000))
}
