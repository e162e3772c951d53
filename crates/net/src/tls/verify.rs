//! What a certificate must be: chain and names (TA-8, TA-10, TA-21).
//!
//! webpki checks the chain. The names are compared here because the documented rule is another one than RFC 6125's: a
//! common name counts where there is no subject alternative name, and the wildcard may stand on either side.

use std::sync::{Arc, OnceLock};

use envelope::Domain;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Verification;
use super::error::CertificateProblem;
use super::peer::{CertificateName, PeerCertificate, Trust};
use super::roots::TrustedRoots;
use crate::host::{Host, a_labels};
use crate::provider::provider;

/// Verifies a server as its connector asks.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    pub(super) verification: Verification,
    pub(super) roots: TrustedRoots,
    pub(super) provider: Arc<CryptoProvider>,
    /// The certificate that was refused, for the error: rustls itself forgets it.
    pub(super) refused: OnceLock<PeerCertificate>,
}

impl ServerVerifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if self.verification == Verification::None {
            return Ok(());
        }
        self.roots.verify_server(end_entity, intermediates, now)?;
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
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verify(end_entity, intermediates, now);
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

    /// Whether a client's certificates lead to one of these roots. Certificates for servers count too: mail servers
    /// show the one they have, and public authorities no longer issue any for clients.
    pub(super) fn trust_in_client(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Trust {
        let Some((end_entity, intermediates)) = chain.split_first() else { return Trust::NotChecked };
        let as_client = WebPkiClientVerifier::builder_with_provider(Arc::new(self.store().clone()), provider())
            .build()
            .is_ok_and(|verifier| verifier.verify_client_cert(end_entity, intermediates, now).is_ok());
        match self.verify_server(end_entity, intermediates, now) {
            _ if as_client => Trust::Trusted,
            Ok(()) => Trust::Trusted,
            Err(error) => Trust::Untrusted(why(&error)),
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
        Verification::Domain(domain) => (names.iter().any(|name| name_covers(name, domain)), domain.to_string()),
        Verification::Subdomains(domain) => {
            (names.iter().any(|name| name_is_within(name, domain)), format!("*.{domain}"))
        }
    };
    if matches {
        return Ok(());
    }
    Err(CertificateProblem::WrongName { wanted: wanted.into(), presented: joined(names).into() })
}

fn joined(names: &[CertificateName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// TA-21: exactly, no wildcard.
fn is_host(name: &CertificateName, host: &Host) -> bool {
    match (name, host) {
        (CertificateName::Address(name), Host::Address(wanted)) => name == wanted,
        (CertificateName::Dns(name), Host::Name(wanted)) => {
            a_labels(wanted).is_some_and(|wanted| name.eq_ignore_ascii_case(wanted.as_str()))
        }
        _ => false,
    }
}

/// TA-10, TA-33: equal, or the certificate's `*.` stands for exactly one label.
pub(super) fn name_covers(name: &CertificateName, domain: &Domain) -> bool {
    let (CertificateName::Dns(name), Some(domain)) = (name, a_labels(domain)) else { return false };
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(domain.as_str()),
        Some(parent) => {
            let above = domain.as_str().split_once('.').map(|(_, above)| above);
            above.is_some_and(|above| above.eq_ignore_ascii_case(parent))
        }
    }
}

/// TA-10: the connector's `*.contoso.com` takes contoso.com and any name under it, `*.eu.contoso.com` included.
fn name_is_within(name: &CertificateName, parent: &Domain) -> bool {
    let (CertificateName::Dns(name), Some(parent)) = (name, a_labels(parent)) else { return false };
    let bare = name.strip_prefix("*.").unwrap_or(name);
    Domain::parse(bare).is_ok_and(|bare| bare.is_within(&parent))
}
