//! Opening sessions: for this server, and as a front end for another one.

use std::sync::{Arc, OnceLock};

use envelope::{Domain, Revision, ServerName, Timestamp};
use kerberos::Initiator;
use net::{KeyedCertificate, Resolver, Revocations, TargetPolicy, TlsClient};
use routing::RoutingTables;
use rpc::{NotOpened, ProxyRequest};
use runtime::resolvers::Side;
use runtime::{Node, NodeError, Resolvers, Settings};
use smtp::{Failure, NextHopSession, Ourselves, Sender, SessionPlan, ToldConnector, Transcripts};
use smtp_session::Credentials;
use topology::send_connector::ProtocolLoggingLevel;
use topology::{Organization, RemoteRange, SendConnector, Server};

use crate::certificates::{self, Certificates};
use crate::kerberos::Kerberos;
use crate::keys::{self, Keys};
use crate::ourselves::OwnNames;
use crate::plan::{self, Circumstances, Unready};

/// What a session is wanted for.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    /// By which connector.
    pub connector: &'a SendConnector,
    /// The recipients' domain, for a connector that routes by DNS; `None` for one with smart hosts.
    pub domain: Option<&'a Domain>,
    /// Differs from call to call: chooses among equals (SC-45).
    pub turn: u64,
}

/// Opens sessions with hosts outside.
pub struct Sessions {
    node: Arc<Node>,
    keys: Keys,
    certificates: Arc<Certificates>,
    resolvers: Resolvers,
    kerberos: Kerberos,
    /// Knows who was revoked.
    revocations: Revocations,
    /// Knows who did not answer lately.
    sender: OnceLock<Sender>,
    ourselves: OwnNames,
    /// The protocol log.
    transcripts: Option<Arc<dyn Transcripts>>,
}

impl Sessions {
    /// Shows `own` to the hosts that ask for a certificate, unless another one fits the connector better (TA-30, TA-32). `keys` open the
    /// credentials of connectors: Transport has the organization's, a front end has none.
    ///
    /// # Errors
    /// [`NodeError::File`] when the certificate or the trusted roots cannot be used.
    pub fn new(node: Arc<Node>, own: &KeyedCertificate, keys: Keys) -> Result<Self, NodeError> {
        let certificates = Arc::new(Certificates::load(&node.settings, own)?);
        tokio::spawn(certificates::read_anew(Arc::clone(&node), Arc::clone(&certificates)));
        Ok(Self {
            node,
            keys,
            certificates,
            resolvers: Resolvers::default(),
            kerberos: Kerberos::default(),
            revocations: Revocations::default(),
            sender: OnceLock::new(),
            ourselves: OwnNames::default(),
            transcripts: None,
        })
    }

    /// With a protocol log, for the connectors that want it.
    #[must_use]
    pub fn told_in(self, transcripts: Arc<dyn Transcripts>) -> Self {
        Self { transcripts: Some(transcripts), ..self }
    }

    /// Opens a session of this server.
    ///
    /// # Errors
    /// The failure of the last host tried, or why the connector cannot be used.
    pub async fn open(&self, errand: Errand<'_>) -> Result<NextHopSession, Box<Failure>> {
        let tables = self.node.tables();
        self.open_for(tables.local_server(), true, errand, || self.keys.open(errand.connector)).await
    }

    /// What a front end of the site is asked for the same session (SC-50), the credential opened for it.
    ///
    /// # Errors
    /// Why the connector cannot be used, as [`open`](Self::open) says it.
    pub fn request(&self, tables: &RoutingTables, errand: Errand<'_>) -> Result<ProxyRequest, Box<Failure>> {
        request(&self.keys, tables.revision(), errand).map_err(Unready::into_failure)
    }

    /// Opens a session for Transport of the server `source`, by this server's own snapshot.
    ///
    /// # Errors
    /// [`NotOpened::Unknown`] when this server does not know what is asked for: another front end may.
    pub async fn open_requested(
        &self,
        source: &ServerName,
        request: &ProxyRequest,
    ) -> Result<NextHopSession, NotOpened> {
        let tables = self.node.tables_of(request.revision).await;
        let tables = tables.map_err(|behind| NotOpened::Unknown(behind.to_string()))?;
        let unknown =
            |what: String| NotOpened::Unknown(format!("{what} in revision {} of this server", tables.revision()));
        let organization = tables.organization();
        let server = organization.server(source).ok_or_else(|| unknown(format!("there is no server {source}")))?;
        let connector = organization.send_connector(request.connector);
        let connector = connector.ok_or_else(|| unknown(format!("there is no Send connector {}", request.name)))?;
        if !connector.source_transport_servers.contains(source) {
            return Err(unknown(format!("{source} is no source server of {}", request.name)));
        }
        let known = plan::properties_in_use(connector);
        let news = request.properties.iter().find(|property| !known.contains(&&***property));
        if let Some(property) = news {
            return Err(unknown(format!("{property} of {} means nothing", request.name)));
        }
        // A password for other hosts than those of this server's configuration is said to nobody.
        let handed = request.credential.as_ref();
        if let Some(other) = handed.and_then(|handed| keys::not_for(handed, connector)) {
            return Err(unknown(format!(
                "the credential of {} is for {other}, which is not what there is",
                request.name
            )));
        }
        let errand = Errand { connector, domain: request.domain.as_ref(), turn: request.turn };
        let opened = self.open_for(server, false, errand, || keys::handed(handed)).await;
        opened.map_err(NotOpened::Failed)
    }

    async fn open_for(
        &self,
        source: &Server,
        by_source: bool,
        errand: Errand<'_>,
        credential: impl FnOnce() -> Result<Credentials, String>,
    ) -> Result<NextHopSession, Box<Failure>> {
        let prepared = self.prepare(source, by_source, errand, credential);
        let (plan, sender) = prepared.map_err(Unready::into_failure)?;
        sender.open(&plan, errand.turn).await
    }

    fn prepare(
        &self,
        source: &Server,
        by_source: bool,
        errand: Errand<'_>,
        credential: impl FnOnce() -> Result<Credentials, String>,
    ) -> Result<(SessionPlan, Sender), Unready> {
        let tables = self.node.tables();
        let means = Means {
            settings: &self.node.settings,
            local: tables.local_server(),
            certificates: &self.certificates,
            resolvers: &self.resolvers,
            kerberos: &self.kerberos,
            revocations: &self.revocations,
            targets: targets_of(tables.organization()),
            secured: &tables.organization().transport_config().tls_send_domain_secure_list,
            ourselves: self.ourselves.of(&self.node, &tables),
            now: self.node.clock.now(),
        };
        let Prepared { plan, resolver, tls, kerberos } = means.prepare(source, by_source, errand, credential)?;
        let sender = self.sender.get_or_init(|| Sender::new(resolver.clone(), tls.clone()));
        let sender = sender.with(resolver, tls).with_kerberos(kerberos);
        Ok((plan, sender.told_as(self.told(errand.connector))))
    }

    /// SC-119: as the connector of the configuration in force says.
    fn told(&self, connector: &SendConnector) -> Option<ToldConnector> {
        let transcripts = self.transcripts.as_ref()?;
        (connector.protocol_logging_level == ProtocolLoggingLevel::Verbose)
            .then(|| ToldConnector { transcripts: Arc::clone(transcripts), name: connector.name.as_str().into() })
    }
}

/// What a front end is asked for a session by the configuration of this revision (SC-50), the credential opened for it.
pub(crate) fn request(keys: &Keys, revision: Revision, errand: Errand<'_>) -> Result<ProxyRequest, Unready> {
    Ok(ProxyRequest {
        connector: errand.connector.guid,
        name: errand.connector.name.as_str().into(),
        revision,
        properties: plan::properties_in_use(errand.connector).into_iter().map(Into::into).collect(),
        domain: errand.domain.cloned(),
        credential: keys::hand_over(keys, errand.connector)?,
        turn: errand.turn,
        trace: None,
    })
}

/// What a server has for sessions with hosts outside.
pub(crate) struct Means<'a> {
    pub(crate) settings: &'a Settings,
    /// Whose name servers are asked.
    pub(crate) local: &'a Server,
    pub(crate) certificates: &'a Certificates,
    pub(crate) resolvers: &'a Resolvers,
    pub(crate) kerberos: &'a Kerberos,
    pub(crate) revocations: &'a Revocations,
    /// Where DNS may lead.
    pub(crate) targets: TargetPolicy,
    /// `TLSSendDomainSecureList`.
    pub(crate) secured: &'a [Domain],
    pub(crate) ourselves: Arc<Ourselves>,
    pub(crate) now: Timestamp,
}

/// A session that can be opened.
pub(crate) struct Prepared {
    pub(crate) plan: SessionPlan,
    /// Who is asked for names.
    pub(crate) resolver: Resolver,
    /// What is shown.
    pub(crate) tls: TlsClient,
    /// Who logs on, where the plan says so.
    pub(crate) kerberos: Option<Initiator>,
}

impl Prepared {
    pub(crate) fn sender(self) -> (SessionPlan, Sender) {
        (self.plan, Sender::new(self.resolver, self.tls).with_kerberos(self.kerberos))
    }
}

impl Means<'_> {
    /// The plan of a session that `source` wants, who is asked for names, and what is shown.
    pub(crate) fn prepare(
        &self,
        source: &Server,
        by_source: bool,
        errand: Errand<'_>,
        credential: impl FnOnce() -> Result<Credentials, String>,
    ) -> Result<Prepared, Unready> {
        let connector = errand.connector;
        let around = Circumstances {
            source,
            domain: errand.domain,
            by_source,
            targets: self.targets.clone(),
            ourselves: Arc::clone(&self.ourselves),
            secured: self.secured,
        };
        let plan = plan::of(connector, &around, credential)?;
        let side = if connector.use_external_dns_servers_enabled { Side::External } else { Side::Internal };
        let resolver = self.resolvers.of(self.settings, self.local, side);
        let resolver = resolver.map_err(|error| Unready::new(format!("DNS cannot be used: {error}")))?;
        let tls = self.certificates.client(self.settings, connector, &plan.hello_name, self.now)?;
        let tls = tls.with_revocation(self.revocations.asking(resolver.clone()));
        let kerberos = plan::by_kerberos(connector).then(|| self.kerberos.of(self.settings, connector)).transpose()?;
        Ok(Prepared { plan, resolver, tls, kerberos })
    }
}

/// Where DNS may lead mail: not into private networks, nor into those of sites, unless the organization lists them.
pub(crate) fn targets_of(organization: &Organization) -> TargetPolicy {
    let listed = organization.transport_config().private_target_ranges.iter().map(RemoteRange::bounds);
    let own = organization.sites().iter().flat_map(|site| &site.subnets).map(RemoteRange::bounds);
    TargetPolicy::new(listed, own)
}
