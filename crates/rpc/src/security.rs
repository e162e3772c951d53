//! Who may call what. Both sides show a certificate of the organization's CA. A caller asks for one service of one server
//! and hangs up on any other certificate; whoever is called rules by `authority` about the certificate that it met, for
//! each call and for each message of a long stream. Loopback is no exception.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authority::{Act, Authority, Principal, Revocation, RoleGroup, Who};
use envelope::{Domain, ServerName, Timestamp};
use net::certificate::{CertificateError, IdentityError, issued_at, service_name};
use net::{
    AdministratorIdentity, Believed, Circle, KeyedCertificate, OrganizationTls, PeerIdentity, Service,
    check_authorities, parse_administrator, parse_identity,
};
use parking_lot::{Mutex, RwLock};
use tonic::transport::server::UdsConnectInfo;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use tonic::{Request, Status};
use topology::{Organization, Server, ServerRole};

use crate::address::PeerAddress;

/// A service's own certificate, the authorities by which it knows the others, and what is known about them just now.
pub struct Credentials {
    papers: RwLock<Papers>,
    /// What the ports show that were opened.
    ports: Mutex<Vec<OrganizationTls>>,
    trust: Arc<Trust>,
    renewals: AtomicU64,
    /// Held by whoever changes what is shown and believed.
    changing: Mutex<()>,
}

/// What is shown, and what is believed.
#[derive(Clone, PartialEq, Eq)]
struct Papers {
    own: KeyedCertificate,
    believed: Believed,
}

/// Who is heard just now.
pub(crate) struct Trust(RwLock<Option<Authority>>);

impl Credentials {
    /// `own` must have been issued by an authority of `authorities_pem`; a peer will refuse it otherwise. Every server of
    /// its forest is heard until [`heed`](Self::heed) says which there are.
    #[must_use]
    pub fn new(own: KeyedCertificate, authorities_pem: String) -> Self {
        let forest = own.to_der().ok().and_then(|der| principal(&der).ok()).map(|principal| principal.forest);
        let trust = Arc::new(Trust(RwLock::new(forest.map(Authority::of_forest))));
        let believed = Believed { authorities_pem, ..Believed::default() };
        let papers = RwLock::new(Papers { own, believed });
        Self { papers, ports: Mutex::default(), trust, renewals: AtomicU64::new(0), changing: Mutex::default() }
    }

    /// From now on only servers of `organization` are heard, in their role, and nobody whose certificate is revoked. Calls
    /// under way hear of it with their next message. `server` is this one, for which an Edge subscription may count.
    ///
    /// # Errors
    /// [`CertificateError`] when authorities of an Edge subscription cannot be used: nobody is believed by them.
    pub fn heed(
        &self,
        server: &ServerName,
        organization: &Organization,
        revocations: &[Revocation],
    ) -> Result<(), CertificateError> {
        let forest = self.trust.0.read().as_ref().map(|known| known.forest().clone());
        let Some(forest) = forest else { return Ok(()) };
        let mut neighbours = Neighbours::of(&forest, server, organization);
        // One that cannot be used is nobody's trouble but its own.
        let mut unusable = None;
        neighbours.circles.retain(|circle| {
            check_authorities(&circle.authorities_pem).map_err(|error| unusable = Some(error)).is_ok()
        });
        let _one = self.changing.lock();
        let papers = self.papers.read().clone();
        // Only the admin service is asked by somebody whom nobody knows yet.
        let is_admin = own_identity(&papers.own).is_some_and(|own| own.services.contains(&Service::Admin));
        let believed = Believed {
            circles: neighbours.circles,
            anonymous: neighbours.pending && is_admin,
            ..papers.believed.clone()
        };
        let shown = self.show(Papers { believed, ..papers });
        let mut known = self.trust.0.write();
        *known = known.take().map(|known| {
            let known = known.with_servers(organization).with_revocations(revocations);
            known.with_neighbours(neighbours.organization, neighbours.edges)
        });
        shown?;
        unusable.map_or(Ok(()), Err)
    }

    /// Whether this service's own certificate counts no more: no other service hears it.
    #[must_use]
    pub fn own_is_revoked(&self) -> bool {
        let own = self.papers.read().own.to_der().ok().and_then(|der| principal(&der).ok());
        let known = self.trust.0.read();
        own.zip(known.as_ref()).is_some_and(|(own, known)| known.not_revoked(&own).is_err())
    }

    /// Shows `own` and believes `authorities_pem` from the next call and the next caller on. Whether one of the two is another
    /// than before.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be used; what was there goes on.
    pub fn renew(&self, own: KeyedCertificate, authorities_pem: String) -> Result<bool, CertificateError> {
        let _one = self.changing.lock();
        let believed = Believed { authorities_pem, ..self.papers.read().believed.clone() };
        self.show(Papers { own, believed })
    }

    fn show(&self, papers: Papers) -> Result<bool, CertificateError> {
        if *self.papers.read() == papers {
            return Ok(false);
        }
        OrganizationTls::new(&papers.own, &papers.believed)?;
        for port in &*self.ports.lock() {
            port.replace(&papers.own, &papers.believed)?;
        }
        *self.papers.write() = papers;
        self.renewals.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// The authorities by which the own forest is known, in PEM.
    #[must_use]
    pub fn authorities_pem(&self) -> String {
        self.papers.read().believed.authorities_pem.clone()
    }

    /// How often it was renewed: connections of before show the old certificate, and are left for new ones.
    pub(crate) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Acquire)
    }

    /// To call `service`, or any, of the server `peer` and nobody else: by the authorities of its forest.
    pub(crate) fn client(&self, peer: &PeerAddress, service: Option<Service>) -> ClientTlsConfig {
        let Papers { own, believed } = &*self.papers.read();
        let own_forest = own_identity(own).is_some_and(|own| own.server == peer.server);
        let circle = believed.circles.iter().find(|circle| match &circle.server {
            Some(server) => *server == peer.server,
            None => !own_forest,
        });
        let authorities = circle.map_or(&believed.authorities_pem, |circle| &circle.authorities_pem);
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authorities))
            .identity(Identity::from_pem(&own.cert_pem, own.key_pem.expose()))
            .domain_name(service_name(service, &peer.fqdn))
    }

    /// For a port of this service.
    pub(crate) fn server(&self) -> Result<OrganizationTls, CertificateError> {
        let Papers { own, believed } = &*self.papers.read();
        let port = OrganizationTls::new(own, believed)?;
        self.ports.lock().push(port.clone());
        Ok(port)
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust)
    }
}

fn own_identity(own: &KeyedCertificate) -> Option<PeerIdentity> {
    parse_identity(&own.to_der().ok()?).ok()
}

/// Who is believed beside the own forest, by the Edge subscriptions of a configuration.
#[derive(Default)]
struct Neighbours {
    circles: Vec<Circle>,
    organization: Option<Domain>,
    edges: BTreeMap<ServerName, Domain>,
    /// Whether a file of a subscription waits to be used: whoever has it comes without a certificate that is known.
    pending: bool,
}

impl Neighbours {
    fn of(forest: &Domain, server: &ServerName, organization: &Organization) -> Self {
        let Some(own) = organization.server(server) else { return Self::default() };
        let mut all = Self::default();
        if own.role == ServerRole::Edge {
            all.pending = own.edge.is_pending();
            let subscribed = own.edge.organization.clone().filter(|organization| organization != forest);
            if let Some(organization) = subscribed.filter(|_| own.edge.is_subscribed()) {
                let authorities_pem = own.edge.organization_authorities.concat();
                all.circles.push(Circle { forest: organization.clone(), authorities_pem, server: None });
                all.organization = Some(organization);
            }
            return all;
        }
        // EN-27: only servers of the site that an Edge server is subscribed to exchange mail with it.
        let of_site = |edge: &&Server| edge.role == ServerRole::Edge && edge.site == own.site;
        for edge in organization.servers().iter().filter(of_site) {
            let subscribed = edge.edge.forest.clone().filter(|other| other != forest);
            let Some(other) = subscribed.filter(|_| !edge.edge.authorities.is_empty()) else { continue };
            let authorities_pem = edge.edge.authorities.concat();
            let circle = Circle { forest: other.clone(), authorities_pem, server: Some(edge.name.clone()) };
            all.circles.push(circle);
            all.edges.insert(edge.name.clone(), other);
        }
        all
    }
}

impl Trust {
    fn forest(&self) -> Result<Domain, Status> {
        let known = self.0.read().as_ref().map(|authority| authority.forest().clone());
        known.ok_or_else(|| Status::permission_denied("the certificate of this server names no forest"))
    }

    /// A server of an Edge server's forest is that Edge server, whatever it calls itself.
    fn known(&self, principal: Principal) -> Principal {
        let known = self.0.read();
        match &principal.who {
            Who::Server { server, .. } if known.as_ref().is_some_and(|known| known.is_edge(&principal.forest)) => {
                let who = Who::Edge { server: server.clone() };
                Principal { who, ..principal }
            }
            _ => principal,
        }
    }

    fn rule(&self, principal: &Principal, act: Act) -> Result<(), Status> {
        let known = self.0.read();
        let Some(authority) = &*known else {
            return Err(Status::permission_denied("the certificate of this server names no forest"));
        };
        authority.rule(principal, act).map_err(|refusal| Status::permission_denied(refusal.to_string()))
    }
}

/// Somebody who asks: a service or an administrator by a certificate that TLS has verified, or a user of this server's operating
/// system by its Unix socket.
#[derive(Clone)]
pub struct Asker {
    principal: Principal,
    from: Box<str>,
    trust: Arc<Trust>,
}

impl Asker {
    /// Who sent the request.
    ///
    /// # Errors
    /// Nobody who is known.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let trust = request.extensions().get::<Arc<Trust>>().cloned();
        let trust = trust.ok_or_else(|| Status::internal("nobody says who may call"))?;
        if let Some((users, uid)) = local(request) {
            let principal = users.principal(uid, trust.forest()?);
            return Ok(Self { principal, from: "local".into(), trust });
        }
        let principal = trust.known(principal(&certificate(request)?).map_err(|error| refused(&error))?);
        let from = request.remote_addr().map(|address| address.ip().to_string()).unwrap_or_default();
        Ok(Self { principal, from: from.into(), trust })
    }

    /// Whether that may be done just now.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` with the rule.
    pub fn may(&self, act: Act) -> Result<(), Status> {
        self.trust.rule(&self.principal, act)
    }

    /// Who it is, for logs: `anna`, `root@local`, `MAIL1`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.principal.who {
            Who::Server { server, .. } | Who::Edge { server } => server.to_string(),
            Who::Administrator { name, .. } => name.to_string(),
            Who::User { name, .. } => name.to_string(),
        }
    }

    /// Whether a service asks, for somebody whom it has heard.
    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self.principal.who, Who::Server { .. })
    }

    /// From where: an address, or `local` by the Unix socket.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }
}

/// Which role groups users of this server's operating system are in when they come by its Unix socket. Root and the service's
/// own user are in Organization Management: whoever is one of them has the files below everything anyway.
#[derive(Clone, Debug, Default)]
pub struct LocalUsers(BTreeMap<String, BTreeSet<RoleGroup>>);

impl LocalUsers {
    /// With these, by their names.
    #[must_use]
    pub fn new(named: BTreeMap<String, BTreeSet<RoleGroup>>) -> Self {
        Self(named)
    }

    fn principal(&self, uid: u32, forest: Domain) -> Principal {
        let name = net::user_name(uid);
        let mut groups = self.0.get(&name).cloned().unwrap_or_default();
        if uid == 0 || uid == net::own_user() {
            groups.insert(RoleGroup::OrganizationManagement);
        }
        Principal { forest, who: Who::User { name: name.into(), groups }, issued: Timestamp::from_millis(0) }
    }
}

/// The user at the other end of a Unix socket, as the kernel knows him (`SO_PEERCRED`).
fn local<T>(request: &Request<T>) -> Option<(Arc<LocalUsers>, u32)> {
    let users = request.extensions().get::<Arc<LocalUsers>>()?;
    let about = request.extensions().get::<UdsConnectInfo>()?;
    Some((Arc::clone(users), about.peer_cred?.uid()))
}

/// A service that called, and was heard.
pub(crate) struct Caller {
    pub(crate) peer: PeerIdentity,
    /// Whether it is an Edge server: what it says of its mail is a stranger's.
    pub(crate) edge: bool,
    asker: Asker,
}

impl Caller {
    /// Whether it would still be heard: a stream may last for weeks.
    pub(crate) fn still_may(&self, act: Act) -> Result<(), Status> {
        self.asker.may(act)
    }
}

/// What the caller showed; TLS has verified it against the authority of the organization.
fn certificate<T>(request: &Request<T>) -> Result<Vec<u8>, Status> {
    let chain =
        request.peer_certs().ok_or_else(|| Status::unauthenticated("a certificate of the organization is needed"))?;
    let leaf = chain.first().ok_or_else(|| Status::unauthenticated("the certificate chain is empty"))?;
    Ok(leaf.to_vec())
}

/// Whom a certificate names that was verified against the authority of the organization.
///
/// # Errors
/// [`IdentityError`]: it names nobody.
pub fn principal(der: &[u8]) -> Result<Principal, IdentityError> {
    let issued = issued_at(der).unwrap_or(Timestamp::from_millis(0));
    match parse_identity(der) {
        Ok(PeerIdentity { forest, server, services }) => {
            Ok(Principal { forest, who: Who::Server { server, services }, issued })
        }
        Err(IdentityError::Administrator) => {
            let AdministratorIdentity { forest, name, mut groups } = parse_administrator(der)?;
            // Of a version before role groups, whose administrators looked and changed nothing.
            if groups.is_empty() {
                groups.insert(RoleGroup::ViewOnlyOrganizationManagement);
            }
            Ok(Principal { forest, who: Who::Administrator { name, groups }, issued })
        }
        Err(error) => Err(error),
    }
}

fn refused(error: &IdentityError) -> Status {
    match error {
        IdentityError::Administrator | IdentityError::Server => Status::permission_denied(error.to_string()),
        _ => Status::unauthenticated(error.to_string()),
    }
}

/// The caller, if it runs one of the services that may do that.
pub(crate) fn authorize<T>(request: &Request<T>, act: Act) -> Result<Caller, Status> {
    let asker = Asker::of(request)?;
    asker.may(act)?;
    let mut peer = parse_identity(&certificate(request)?).map_err(|error| refused(&error))?;
    let edge = matches!(asker.principal.who, Who::Edge { .. });
    if edge {
        // As what it acts here, no certificate of its own says.
        peer.services.clear();
    }
    Ok(Caller { peer, edge, asker })
}
