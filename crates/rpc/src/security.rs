//! Who may call what. Both sides show a certificate of the organization's CA; each RPC states which services may call it
//! and anyone else gets PERMISSION_DENIED. Loopback is no exception.

use envelope::Domain;
use net::certificate::IdentityError;
use net::{AdministratorIdentity, KeyedCertificate, PeerIdentity, Service, parse_administrator, parse_identity};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use tonic::{Request, Status};

use crate::limits::HANDSHAKE_TIMEOUT;

/// A service's own certificate and the authority by which it knows the others.
pub struct Credentials {
    own: KeyedCertificate,
    authority_pem: String,
}

impl Credentials {
    /// `own` must have been issued by the authority of `authority_pem`; a peer will refuse it otherwise.
    #[must_use]
    pub fn new(own: KeyedCertificate, authority_pem: String) -> Self {
        Self { own, authority_pem }
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.own.cert_pem, self.own.key_pem.expose())
    }

    pub(crate) fn client(&self, peer: &Domain) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority_pem))
            .identity(self.identity())
            .domain_name(peer.as_str())
    }

    pub(crate) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity())
            .client_ca_root(Certificate::from_pem(&self.authority_pem))
            .timeout(HANDSHAKE_TIMEOUT)
    }
}

/// What the caller showed; TLS has verified it against the authority of the organization.
fn certificate<T>(request: &Request<T>) -> Result<Vec<u8>, Status> {
    let chain =
        request.peer_certs().ok_or_else(|| Status::unauthenticated("a certificate of the organization is needed"))?;
    let leaf = chain.first().ok_or_else(|| Status::unauthenticated("the certificate chain is empty"))?;
    Ok(leaf.to_vec())
}

fn refused(error: &IdentityError) -> Status {
    match error {
        IdentityError::Administrator | IdentityError::Server => Status::permission_denied(error.to_string()),
        _ => Status::unauthenticated(error.to_string()),
    }
}

/// The caller, if it is an administrator. No service is one.
pub(crate) fn authorize_administrator<T>(request: &Request<T>) -> Result<AdministratorIdentity, Status> {
    parse_administrator(&certificate(request)?).map_err(|error| refused(&error))
}

/// The caller's identity, if it runs one of the services that may call.
pub(crate) fn authorize<T>(request: &Request<T>, allowed: &[Service]) -> Result<PeerIdentity, Status> {
    let peer = parse_identity(&certificate(request)?).map_err(|error| refused(&error))?;
    if allowed.iter().any(|service| peer.services.contains(service)) {
        return Ok(peer);
    }
    let names: Vec<_> = allowed.iter().map(|service| service.as_str()).collect();
    Err(Status::permission_denied(format!("{} may not call this; it is for {}", peer.server, names.join(", "))))
}
