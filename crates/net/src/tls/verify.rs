//! What a certificate must be: chain and names (TA-8, TA-10, TA-21).
//!
//! webpki checks the chain. The names are compared here because the documented rule is another one than RFC 6125's: a
//! common name counts where there is no subject alternative name, and the wildcard may stand on either side.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use rustls_webpki::{EndEntityCert, KeyUsage};

use super::Verification;
use super::error::CertificateProblem;
use super::names::{is_host, joined, name_covers, name_is_within};
use super::peer::{PeerCertificate, Trust};
use super::roots::TrustedRoots;
use crate::provider::provider;
use crate::revocation::Chain;

/// Verifies a server as its connector asks.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) verification: Verification,
    pub(super) roots: TrustedRoots,
    pub(super) provider: Arc<CryptoProvider>,
    /// The certificate that was refused, for the error: rustls itself forgets it.
    pub(super) refused: OnceLock<PeerCertificate>,
    /// What was proved, where a proof was wanted: to be asked about after the handshake.
    pub(super) chain: OnceLock<Chain>,
}

impl ServerVerifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if self.verification == Verification::None {
            return Ok(());
        }
        self.roots.verify_server(end_entity, intermediates, now)?;
        let chain = self.roots.chain(end_entity, intermediates, stapled, now, KeyUsage::server_auth());
        let _first_kept =
            self.chain.set(chain.ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?);
        check_name(end_entity, &self.verification).map_err(|problem| {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(problem))))
        })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verify(end_entity, intermediates, ocsp_response, now);
        if let (Err(error), Some(shown)) = (&verdict, PeerCertificate::parse(end_entity, Trust::NotChecked)) {
            let trust = Trust::Untrusted(why(error));
            let _first_kept = self.refused.set(PeerCertificate { trust, ..shown });
        }
        verdict.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.verification == Verification::None {
            // Nobody is authenticated, so a proof of possession proves nothing; old devices have keys and certificates
            // (1024 bits, version 1) that it could not even be checked with. Encrypted is better than in clear.
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.verification == Verification::None {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes any client certificate or none: who the client is gets decided afterwards, from [`PeerCertificate::trust`], so
/// that a client with a bad certificate is an anonymous client and not a failed connection (TA-76).
#[derive(Debug)]
pub(super) struct AnyClient {
    pub(super) provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    // The proof of possession is always checked: without it a certificate says nothing about who sent it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl TrustedRoots {
    fn verify_server(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, self.store(), intermediates, now, algorithms)
    }

    /// The way to a root, of what leads to one.
    fn chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        stapled: &[u8],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Option<Chain> {
        let end_entity = EndEntityCert::try_from(end_entity).ok()?;
        let algorithms = provider().signature_verification_algorithms.all;
        let anchors = &self.store().roots;
        let path = end_entity.verify_for_usage(algorithms, anchors, intermediates, now, usage, None, None).ok()?;
        Chain::of(&path, stapled)
    }

    /// Whether a client's certificates lead to one of these roots. Certificates for servers count too: mail servers
    /// show the one they have, and public authorities no longer issue any for clients.
    /// With the way to the root.
    pub(super) fn trust_in_client(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> (Trust, Option<Arc<Chain>>) {
        let Some((end_entity, intermediates)) = chain.split_first() else { return (Trust::NotChecked, None) };
        let proved = |usage| self.chain(end_entity, intermediates, &[], now, usage).map(Arc::new);
        let as_client = WebPkiClientVerifier::builder_with_provider(Arc::new(self.store().clone()), provider())
            .build()
            .is_ok_and(|verifier| verifier.verify_client_cert(end_entity, intermediates, now).is_ok());
        match self.verify_server(end_entity, intermediates, now) {
            _ if as_client => (Trust::Trusted, proved(KeyUsage::client_auth())),
            Ok(()) => (Trust::Trusted, proved(KeyUsage::server_auth())),
            Err(error) => (Trust::Untrusted(why(&error)), None),
        }
    }
}

/// Why a certificate was refused, in words.
pub(super) fn why(error: &rustls::Error) -> Box<str> {
    match error {
        rustls::Error::InvalidCertificate(cause) => CertificateProblem::from(cause).to_string().into(),
        other => other.to_string().into(),
    }
}

fn check_name(end_entity: &CertificateDer<'_>, verification: &Verification) -> Result<(), CertificateProblem> {
    let certificate = PeerCertificate::parse(end_entity, Trust::Trusted)
        .ok_or_else(|| CertificateProblem::Other("the certificate cannot be read".into()))?;
    let names = &certificate.names;
    let (matches, wanted) = match verification {
        Verification::None | Verification::Chain => return Ok(()),
        Verification::Host(host) => (names.iter().any(|name| is_host(name, host)), host.to_string()),
        Verification::Domain(domain) | Verification::Mutual(domain) => {
            (names.iter().any(|name| name_covers(name, domain)), domain.to_string())
        }
        Verification::Subdomains(domain) => {
            (names.iter().any(|name| name_is_within(name, domain)), format!("*.{domain}"))
        }
    };
    if matches {
        return Ok(());
    }
    Err(CertificateProblem::WrongName { wanted: wanted.into(), presented: joined(names).into() })
}
