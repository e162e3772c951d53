//! Opens sessions by plan.

use std::sync::Arc;
use std::time::Duration;

use envelope::{Envelope, Reply};
use kerberos::Initiator;
use net::{Resolver, TlsClient};

use crate::call::Caller;
use crate::failure::{Failure, Peer};
use crate::outbound::{Content, OutboundMessage, TlsOutcome};
use crate::plan::SessionPlan;
use crate::search::Search;
use crate::session::NextHopSession;
use crate::silent::Silent;
use crate::transcript::ToldConnector;

/// What a host that took a session said to a question.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who.
    pub peer: Peer,
    /// How the connection was secured.
    pub tls: TlsOutcome,
    /// One for each recipient, in the order of the envelope: whether it would take mail for it.
    pub recipients: Vec<Result<Reply, Failure>>,
}

/// Opens sessions by plan. Cheap to clone; clones remember the same hosts as silent.
#[derive(Clone)]
pub struct Sender {
    resolver: Resolver,
    tls: TlsClient,
    connect_timeout: Duration,
    silent: Silent,
    told: Option<ToldConnector>,
    kerberos: Option<Initiator>,
}

impl Sender {
    /// Asks `resolver`, secures with `tls`, waits [`net::stream::CONNECT_TIMEOUT`] for connections.
    #[must_use]
    pub fn new(resolver: Resolver, tls: TlsClient) -> Self {
        let connect_timeout = net::stream::CONNECT_TIMEOUT;
        Self { resolver, tls, connect_timeout, silent: Silent::default(), told: None, kerberos: None }
    }

    /// One that can log on by Kerberos.
    #[must_use]
    pub fn with_kerberos(self, kerberos: Option<Initiator>) -> Self {
        Self { kerberos, ..self }
    }

    /// Another time to wait for connections.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// One that asks another resolver and shows another certificate, and knows who did not answer this one.
    #[must_use]
    pub fn with(&self, resolver: Resolver, tls: TlsClient) -> Self {
        Self { resolver, tls, ..self.clone() }
    }

    /// One whose sessions are told, or not.
    #[must_use]
    pub fn told_as(self, told: Option<ToldConnector>) -> Self {
        Self { told, ..self }
    }

    /// Opens a session with the first target that takes one. `turn` should differ from call to call: it chooses among
    /// equal mail exchangers and the smart host to begin with.
    ///
    /// # Errors
    /// The failure of the last target tried, a transient one before a permanent one.
    pub async fn open(&self, plan: &SessionPlan, turn: u64) -> Result<NextHopSession, Box<Failure>> {
        NextHopSession::open(Search::begin(self.caller(plan), turn).await?).await
    }

    /// Asks every host of a plan, within the bounds of one attempt, whom of `envelope` it would take mail for. Nothing is sent.
    pub async fn probe(&self, plan: &SessionPlan, envelope: &Envelope) -> Vec<Result<Answered, Failure>> {
        let mut search = match Search::begin(self.caller(plan), 0).await {
            Ok(search) => search,
            Err(failure) => return vec![Err(*failure)],
        };
        let mut hosts = Vec::new();
        loop {
            let opened = search.next().await;
            hosts.extend(search.take_noted().into_iter().map(Err));
            let Some(mut session) = opened else { return hosts };
            let (peer, tls) = (session.peer().clone(), session.tls().clone());
            let outcome = session.send(OutboundMessage::new(envelope, Content::Nothing)).await;
            session.close().await;
            hosts.push(Ok(Answered { peer, tls, recipients: outcome.recipients }));
        }
    }

    fn caller(&self, plan: &SessionPlan) -> Caller {
        Caller {
            plan: Arc::new(plan.clone()),
            resolver: self.resolver.clone(),
            tls: self.tls.clone(),
            connect_timeout: self.connect_timeout,
            silent: self.silent.clone(),
            told: self.told.clone(),
            kerberos: self.kerberos.clone(),
        }
    }
}
