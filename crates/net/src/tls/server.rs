//! The server's end: one certificate, replaceable while connections come in, and client certificates where wanted.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;
use tokio_rustls::TlsAcceptor;

use super::error::TlsError;
use super::peer::{PeerCertificate, PeerTls, Trust};
use super::roots::TrustedRoots;
use super::verify::AnyClient;
use super::{HANDSHAKE_TIMEOUT, TLS_VERSIONS};
use crate::certificate::{CertificateError, KeyedCertificate};
use crate::provider::provider;
use crate::stream::{Stream, Transport};

/// Whether clients are asked for a certificate.
#[derive(Clone, Debug)]
pub enum ClientCertificates {
    /// They are not.
    Ignored,
    /// They are, may refuse, and any is taken: [`PeerCertificate::trust`] tells whether these roots believe it.
    Requested(TrustedRoots),
}

/// Turns connections that we accepted into encrypted ones. Cheap to clone; clones share the certificate.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: TlsAcceptor,
    certificate: Arc<ReplaceableCertificate>,
    clients: ClientCertificates,
}

impl TlsServer {
    /// Shows `certificate` to every client.
    ///
    /// # Errors
    /// [`CertificateError`] when certificate and key do not fit.
    pub fn new(certificate: &KeyedCertificate, clients: ClientCertificates) -> Result<Self, CertificateError> {
        let certificate = Arc::new(ReplaceableCertificate(ArcSwap::new(certificate.certified_key()?)));
        Ok(Self::showing(certificate, clients))
    }

    /// The same server, for clients that are asked otherwise. Both show the same certificate from now on.
    #[must_use]
    pub fn asking(&self, clients: ClientCertificates) -> Self {
        Self::showing(Arc::clone(&self.certificate), clients)
    }

    fn showing(certificate: Arc<ReplaceableCertificate>, clients: ClientCertificates) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(TLS_VERSIONS)
            .expect("the provider has cipher suites for both versions");
        let builder = match clients {
            ClientCertificates::Ignored => builder.with_no_client_auth(),
            ClientCertificates::Requested(_) => {
                builder.with_client_cert_verifier(Arc::new(AnyClient { provider: provider() }))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&certificate) as _);
        // No resumption, see the module: no session store for TLS 1.2, no tickets for TLS 1.3.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate, clients }
    }

    /// Shows `certificate` from the next handshake on. Running connections keep what they have.
    ///
    /// # Errors
    /// [`CertificateError`] when certificate and key do not fit; the present one stays.
    pub fn replace(&self, certificate: &KeyedCertificate) -> Result<(), CertificateError> {
        self.certificate.0.store(certificate.certified_key()?);
        Ok(())
    }

    /// Shakes hands as a server.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is of no use afterwards.
    pub async fn accept(&self, stream: Stream) -> Result<(Stream, PeerTls), TlsError> {
        let (peer, local) = (stream.peer(), stream.local());
        let Transport::Plain(socket) = stream.transport else {
            return Err(TlsError::Unusable("the connection is encrypted already"));
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(socket)).await;
        let tls = handshake.map_err(|_| TlsError::Timeout(peer))?.map_err(TlsError::from_io)?;
        let (_, connection) = tls.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let (trust, proved) = match &self.clients {
            ClientCertificates::Ignored => (Trust::NotChecked, None),
            ClientCertificates::Requested(roots) => roots.trust_in_client(chain, UnixTime::now()),
        };
        let certificate = chain.first().and_then(|first| PeerCertificate::parse(first, trust));
        let certificate = certificate.map(|certificate| PeerCertificate { chain: proved, ..certificate });
        let about = PeerTls::of(connection, certificate);
        Ok((Stream::encrypted(tls.into(), peer, local), about))
    }
}

#[derive(Debug)]
struct ReplaceableCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for ReplaceableCertificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // TA-30: the connector's name chooses the certificate, not the client's.
        Some(self.0.load_full())
    }
}
