//! Opening sessions: for this server, and as a front end for another one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use envelope::{Domain, ServerName};
use net::{KeyedCertificate, TargetPolicy};
use routing::RoutingTables;
use rpc::{NotOpened, ProxyRequest};
use runtime::{Node, NodeError};
use smtp::{Failure, NextHopSession, Sender, SessionPlan};
use topology::{SendConnector, Server};

use crate::certificates::Certificates;
use crate::ourselves::OwnNames;
use crate::plan::{self, Circumstances, Unready};
use crate::resolvers::{Resolvers, Side};

/// A configuration that was applied by whoever asks is here within moments too; a front end waits this long for it.
const REVISION_WAIT: Duration = Duration::from_secs(2);

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
    certificates: Certificates,
    resolvers: Resolvers,
    /// Knows who did not answer lately.
    sender: OnceLock<Sender>,
    ourselves: OwnNames,
}

impl Sessions {
    /// Shows `own` to the hosts that ask for a certificate, unless a connector names another one.
    ///
    /// # Errors
    /// [`NodeError::File`] when the certificate or the trusted roots cannot be used.
    pub fn new(node: Arc<Node>, own: &KeyedCertificate) -> Result<Self, NodeError> {
        let certificates = Certificates::load(&node, own)?;
        Ok(Self {
            node,
            certificates,
            resolvers: Resolvers::default(),
            sender: OnceLock::new(),
            ourselves: OwnNames::default(),
        })
    }

    /// Opens a session of this server.
    ///
    /// # Errors
    /// The failure of the last host tried, or why the connector cannot be used.
    pub async fn open(&self, errand: Errand<'_>) -> Result<NextHopSession, Box<Failure>> {
        let tables = self.node.tables();
        self.open_for(tables.local_server(), true, errand).await
    }

    /// What a front end of the site is asked for the same session (SC-50).
    #[must_use]
    pub fn request(&self, tables: &RoutingTables, errand: Errand<'_>) -> ProxyRequest {
        ProxyRequest {
            connector: errand.connector.guid,
            name: errand.connector.name.as_str().into(),
            revision: tables.revision(),
            properties: plan::properties_in_use(errand.connector).into_iter().map(Into::into).collect(),
            domain: errand.domain.cloned(),
            turn: errand.turn,
            trace: None,
        }
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
        let tables = self.at_least(request).await?;
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
        let errand = Errand { connector, domain: request.domain.as_ref(), turn: request.turn };
        self.open_for(server, false, errand).await.map_err(NotOpened::Failed)
    }

    /// The tables of the revision by which the request was made, or of a later one.
    async fn at_least(&self, request: &ProxyRequest) -> Result<Arc<RoutingTables>, NotOpened> {
        let mut tables = self.node.watch_tables();
        let applied = tables.wait_for(|tables| tables.revision() >= request.revision);
        // Without one in time, what is there says which revision it is.
        if let Ok(Ok(tables)) = tokio::time::timeout(REVISION_WAIT, applied).await {
            return Ok(Arc::clone(&tables));
        }
        let (has, wanted) = (self.node.revision(), request.revision);
        Err(NotOpened::Unknown(format!(
            "this server works by revision {has} of the configuration, not by {wanted} yet"
        )))
    }

    async fn open_for(
        &self,
        source: &Server,
        by_source: bool,
        errand: Errand<'_>,
    ) -> Result<NextHopSession, Box<Failure>> {
        let (plan, sender) = self.prepare(source, by_source, errand).map_err(Unready::into_failure)?;
        sender.open(&plan, errand.turn).await
    }

    fn prepare(&self, source: &Server, by_source: bool, errand: Errand<'_>) -> Result<(SessionPlan, Sender), Unready> {
        let connector = errand.connector;
        let private = self.node.settings.allow_private_targets;
        let around = Circumstances {
            source,
            domain: errand.domain,
            by_source,
            targets: if private { TargetPolicy::AllowAll } else { TargetPolicy::RefuseSpecial },
            ourselves: self.ourselves.of(&self.node.tables()),
        };
        let plan = plan::of(connector, &around, |sealed| {
            let credential = self.node.sealer.unseal(sealed).map_err(|error| error.to_string())?;
            Ok(plan::credentials(&credential))
        })?;
        let side = if connector.use_external_dns_servers_enabled { Side::External } else { Side::Internal };
        let resolver = self.resolvers.of(&self.node, side)?;
        let tls = self.certificates.client(&self.node, connector.tls_certificate_name.as_deref())?;
        let sender = self.sender.get_or_init(|| Sender::new(resolver.clone(), tls.clone()));
        Ok((plan, sender.with(resolver, tls)))
    }
}
