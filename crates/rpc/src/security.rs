//! Who may call what. Both sides show a certificate of the organization's CA. A caller asks for one service of one server
//! and hangs up on any other certificate; whoever is called rules by `authority` about the certificate that it met, for
//! each call and for each message of a long stream. Loopback is no exception.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authority::{Act, Authority, Principal, Revocation, Who};
use envelope::{Domain, Timestamp};
use net::certificate::{IdentityError, issued_at, service_name};
use net::{AdministratorIdentity, KeyedCertificate, PeerIdentity, Service, parse_administrator, parse_identity};
use parking_lot::RwLock;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use tonic::{Request, Status};
use topology::Organization;

use crate::limits::HANDSHAKE_TIMEOUT;

/// A service's own certificate, the authority by which it knows the others, and what is known about them just now.
pub struct Credentials {
    own: RwLock<KeyedCertificate>,
    authority_pem: String,
    trust: Arc<Trust>,
    renewals: AtomicU64,
}

/// Who is heard just now.
pub(crate) struct Trust(RwLock<Option<Authority>>);

impl Credentials {
    /// `own` must have been issued by the authority of `authority_pem`; a peer will refuse it otherwise. Every server of
    /// its forest is heard until [`heed`](Self::heed) says which there are.
    #[must_use]
    pub fn new(own: KeyedCertificate, authority_pem: String) -> Self {
        let forest = own.to_der().ok().and_then(|der| principal(&der).ok()).map(|principal| principal.forest);
        let trust = Arc::new(Trust(RwLock::new(forest.map(Authority::of_forest))));
        Self { own: RwLock::new(own), authority_pem, trust, renewals: AtomicU64::new(0) }
    }

    /// From now on only servers of `organization` are heard, in their role, and nobody whose certificate is revoked. Calls
    /// under way hear of it with their next message.
    pub fn heed(&self, organization: &Organization, revocations: &[Revocation]) {
        let mut known = self.trust.0.write();
        *known = known.take().map(|known| known.with_servers(organization).with_revocations(revocations));
    }

    /// Shows `own` from the next call on. Whether it is another certificate than before.
    pub fn renew(&self, own: &KeyedCertificate) -> bool {
        let mut known = self.own.write();
        let other = *known != *own;
        known.clone_from(own);
        if other {
            self.renewals.fetch_add(1, Ordering::Release);
        }
        other
    }

    /// How often it was renewed: connections of before show the old certificate, and are left for new ones.
    pub(crate) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Acquire)
    }

    fn identity(&self) -> Identity {
        let own = self.own.read();
        Identity::from_pem(&own.cert_pem, own.key_pem.expose())
    }

    /// To call `service`, or any, of the server called `peer` in DNS, and nobody else.
    pub(crate) fn client(&self, peer: &Domain, service: Option<Service>) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority_pem))
            .identity(self.identity())
            .domain_name(service_name(service, peer))
    }

    pub(crate) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(self.identity())
            .client_ca_root(Certificate::from_pem(&self.authority_pem))
            .timeout(HANDSHAKE_TIMEOUT)
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust)
    }
}

impl Trust {
    fn rule(&self, principal: &Principal, act: Act) -> Result<(), Status> {
        let known = self.0.read();
        let Some(authority) = &*known else {
            return Err(Status::permission_denied("the certificate of this server names no forest"));
        };
        authority.rule(principal, act).map_err(|refusal| Status::permission_denied(refusal.to_string()))
    }
}

/// A service that called, and was heard.
pub(crate) struct Caller {
    pub(crate) peer: PeerIdentity,
    principal: Principal,
    trust: Arc<Trust>,
}

impl Caller {
    /// Whether it would still be heard: a stream may last for weeks.
    pub(crate) fn still_may(&self, act: Act) -> Result<(), Status> {
        self.trust.rule(&self.principal, act)
    }
}

/// What the caller showed; TLS has verified it against the authority of the organization.
fn certificate<T>(request: &Request<T>) -> Result<Vec<u8>, Status> {
    let chain =
        request.peer_certs().ok_or_else(|| Status::unauthenticated("a certificate of the organization is needed"))?;
    let leaf = chain.first().ok_or_else(|| Status::unauthenticated("the certificate chain is empty"))?;
    Ok(leaf.to_vec())
}

fn principal(der: &[u8]) -> Result<Principal, IdentityError> {
    let issued = issued_at(der).unwrap_or(Timestamp::from_millis(0));
    match parse_identity(der) {
        Ok(PeerIdentity { forest, server, services }) => {
            Ok(Principal { forest, who: Who::Server { server, services }, issued })
        }
        Err(IdentityError::Administrator) => {
            let AdministratorIdentity { forest, name } = parse_administrator(der)?;
            Ok(Principal { forest, who: Who::Administrator(name), issued })
        }
        Err(error) => Err(error),
    }
}

fn heard<T>(request: &Request<T>, der: &[u8], act: Act) -> Result<(Principal, Arc<Trust>), Status> {
    let trust = request.extensions().get::<Arc<Trust>>().cloned();
    let trust = trust.ok_or_else(|| Status::internal("nobody says who may call"))?;
    let principal = principal(der).map_err(|error| refused(&error))?;
    trust.rule(&principal, act)?;
    Ok((principal, trust))
}

fn refused(error: &IdentityError) -> Status {
    match error {
        IdentityError::Administrator | IdentityError::Server => Status::permission_denied(error.to_string()),
        _ => Status::unauthenticated(error.to_string()),
    }
}

/// The caller, if it is an administrator who may do that. No service is one.
pub(crate) fn authorize_administrator<T>(request: &Request<T>, act: Act) -> Result<AdministratorIdentity, Status> {
    let der = certificate(request)?;
    heard(request, &der, act)?;
    parse_administrator(&der).map_err(|error| refused(&error))
}

/// The caller, if it runs one of the services that may do that.
pub(crate) fn authorize<T>(request: &Request<T>, act: Act) -> Result<Caller, Status> {
    let der = certificate(request)?;
    let (principal, trust) = heard(request, &der, act)?;
    let peer = parse_identity(&der).map_err(|error| refused(&error))?;
    Ok(Caller { peer, principal, trust })
}
