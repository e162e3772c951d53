//! The client's end: verification by the connector, an optional certificate of our own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, SignatureScheme};
use rustls_pki_types::{ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::error::TlsError;
use super::peer::{PeerCertificate, PeerTls, Trust};
use super::roots::TrustedRoots;
use super::verify::ServerVerifier;
use super::{HANDSHAKE_TIMEOUT, TLS_VERSIONS, Verification};
use crate::certificate::{CertificateError, KeyedCertificate};
use crate::host::{Host, a_labels};
use crate::provider::provider;
use crate::revocation::RevocationCheck;
use crate::stream::{Stream, Transport};

/// Turns connections that we opened into encrypted ones. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsClient {
    roots: TrustedRoots,
    certificate: Option<Arc<CertifiedKey>>,
    revocation: Option<RevocationCheck>,
}

impl TlsClient {
    /// Believes `roots`, shows no certificate, does not ask who was revoked.
    #[must_use]
    pub fn new(roots: TrustedRoots) -> Self {
        Self { roots, certificate: None, revocation: None }
    }

    /// Asks whether what has to be proved has been revoked (TA-8).
    #[must_use]
    pub fn with_revocation(self, check: RevocationCheck) -> Self {
        Self { revocation: Some(check), ..self }
    }

    /// Shows `certificate` to servers that ask for one (TA-7, TA-21, TA-43).
    ///
    /// # Errors
    /// [`CertificateError`] when certificate and key do not fit.
    pub fn with_certificate(self, certificate: &KeyedCertificate) -> Result<Self, CertificateError> {
        Ok(Self { certificate: Some(certificate.certified_key()?), ..self })
    }

    /// Shakes hands as a client. `host` is whom we called, sent as server name where it is a name.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is of no use afterwards.
    pub async fn connect(
        &self,
        stream: Stream,
        host: &Host,
        verification: &Verification,
    ) -> Result<(Stream, PeerTls), TlsError> {
        let (peer, local) = (stream.peer(), stream.local());
        let Transport::Plain(socket) = stream.transport else {
            return Err(TlsError::Unusable("the connection is encrypted already"));
        };
        let name = server_name(host)?;
        let verifier = Arc::new(ServerVerifier {
            verification: verification.clone(),
            roots: self.roots.clone(),
            provider: provider(),
            refused: OnceLock::new(),
            chain: OnceLock::new(),
        });
        let shown = self.certificate.clone().map(|certificate| Arc::new(OurCertificate::new(certificate)));
        let connector = TlsConnector::from(Arc::new(self.config(Arc::clone(&verifier), shown.clone())));
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, connector.connect(name, socket)).await;
        let tls = match handshake {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return Err(with_refused(TlsError::from_io(error), &verifier)),
            Err(_) => return Err(TlsError::Timeout(peer)),
        };
        let (_, connection) = tls.get_ref();
        let trust = if *verification == Verification::None { Trust::NotChecked } else { Trust::Trusted };
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.and_then(|first| PeerCertificate::parse(first, trust));
        let asked_for_ours = shown.is_some_and(|shown| shown.was_asked_for());
        if matches!(verification, Verification::Mutual(_)) && !asked_for_ours {
            return Err(TlsError::NotMutual);
        }
        // Boxed: few connections need it, and all would be as large.
        Box::pin(self.check_revocation(&verifier, certificate.as_ref())).await?;
        let about = PeerTls { asked_for_ours, ..PeerTls::of(connection, certificate) };
        Ok((Stream::encrypted(tls.into(), peer, local), about))
    }

    async fn check_revocation(
        &self,
        verifier: &ServerVerifier,
        shown: Option<&PeerCertificate>,
    ) -> Result<(), TlsError> {
        let (Some(check), Some(chain)) = (&self.revocation, verifier.chain.get()) else { return Ok(()) };
        let checked = check.check(chain, UnixTime::now()).await;
        checked.map_err(|problem| TlsError::Certificate {
            problem: problem.into(),
            certificate: shown.cloned().map(Box::new),
        })
    }

    /// Made for each connection, because the verification belongs to it: a few allocations beside a handshake.
    fn config(&self, verifier: Arc<ServerVerifier>, shown: Option<Arc<OurCertificate>>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(TLS_VERSIONS)
            .expect("the provider has cipher suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match shown {
            Some(shown) => builder.with_client_cert_resolver(shown),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config
    }
}

/// What we show, and whether somebody wanted to see it.
#[derive(Debug)]
struct OurCertificate {
    shown: SingleCertAndKey,
    asked_for: AtomicBool,
}

impl OurCertificate {
    fn new(certificate: Arc<CertifiedKey>) -> Self {
        Self { shown: SingleCertAndKey::from(certificate), asked_for: AtomicBool::new(false) }
    }

    fn was_asked_for(&self) -> bool {
        self.asked_for.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for OurCertificate {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked_for.store(true, Ordering::Relaxed);
        ResolvesClientCert::resolve(&self.shown, issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, TlsError> {
    let name = match host {
        Host::Address(address) => return Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => a_labels(name).and_then(|name| ServerName::try_from(name.as_str().to_owned()).ok()),
    };
    name.ok_or(TlsError::Unusable("the host's name cannot be sent as a server name"))
}

fn with_refused(error: TlsError, verifier: &ServerVerifier) -> TlsError {
    match error {
        TlsError::Certificate { problem, .. } => {
            TlsError::Certificate { problem, certificate: verifier.refused.get().cloned().map(Box::new) }
        }
        other => other,
    }
}
