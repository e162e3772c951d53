//! By which authorities those who call are known: the own organization's, and those of an Edge subscription, each good for its
//! own forest alone. An authority of another forest that certifies a server of ours certifies nobody.

use std::sync::Arc;

use envelope::{Domain, ServerName};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::{CertificateError, PeerIdentity, parse_identity};
use crate::provider::provider;
use crate::tls::TrustedRoots;

/// Whom a port believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Believed {
    /// Authorities of the own organization (PEM), of which there are two while one follows the other.
    pub authorities_pem: String,
    /// Those of other forests, each for that forest alone.
    pub circles: Vec<Circle>,
    /// Whether somebody may come without a certificate, who is nobody then.
    pub anonymous: bool,
}

/// A forest beside the own one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// Its name.
    pub forest: Domain,
    /// Its authorities (PEM).
    pub authorities_pem: String,
    /// The only server of it that is believed; every one without.
    pub server: Option<ServerName>,
}

impl Circle {
    /// Whether a server of that identity belongs to it.
    #[must_use]
    pub fn has(&self, identity: &PeerIdentity) -> bool {
        identity.forest == self.forest && self.server.as_ref().is_none_or(|server| *server == identity.server)
    }
}

/// Verifies each certificate against the authorities of the forest that it names.
#[derive(Debug)]
pub(crate) struct CallerVerifier {
    own: Arc<dyn ClientCertVerifier>,
    circles: Vec<(Circle, Arc<dyn ClientCertVerifier>)>,
    anonymous: bool,
}

fn verifier(authorities_pem: &str) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let unusable = |error: &dyn std::fmt::Display| CertificateError::Certificate(error.to_string());
    let roots = TrustedRoots::none().and_pem(authorities_pem).map_err(|error| unusable(&error))?;
    let built = WebPkiClientVerifier::builder_with_provider(roots.shared(), provider()).build();
    built.map_err(|error| unusable(&error))
}

/// Whether authorities (PEM) can be used at all.
///
/// # Errors
/// [`CertificateError`]
pub fn check_authorities(authorities_pem: &str) -> Result<(), CertificateError> {
    verifier(authorities_pem).map(drop)
}

impl CallerVerifier {
    pub(crate) fn new(believed: &Believed) -> Result<Self, CertificateError> {
        let circle = |circle: &Circle| Ok((circle.clone(), verifier(&circle.authorities_pem)?));
        Ok(Self {
            own: verifier(&believed.authorities_pem)?,
            circles: believed.circles.iter().map(circle).collect::<Result<_, CertificateError>>()?,
            anonymous: believed.anonymous,
        })
    }
}

impl ClientCertVerifier for CallerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        !self.anonymous
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Services of another forest would take a list of ours for a reason to show nothing.
        if self.circles.is_empty() { self.own.root_hint_subjects() } else { &[] }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // A certificate counts by the authorities of the forest that it names, and by no others.
        let identity = parse_identity(end_entity).ok();
        let named = |circle: &Circle| identity.as_ref().is_some_and(|identity| circle.forest == identity.forest);
        if !self.circles.iter().any(|(circle, _)| named(circle)) {
            return self.own.verify_client_cert(end_entity, intermediates, now);
        }
        let believed = |circle: &Circle| identity.as_ref().is_some_and(|identity| circle.has(identity));
        match self.circles.iter().find(|(circle, _)| believed(circle)) {
            Some((_, verifier)) => verifier.verify_client_cert(end_entity, intermediates, now),
            None => Err(Error::General("not the server of that forest that is believed".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.supported_verify_schemes()
    }
}
