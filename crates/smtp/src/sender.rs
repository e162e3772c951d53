//! Opens sessions by plan.

use std::sync::Arc;
use std::time::Duration;

use net::{Resolver, TlsClient};

use crate::call::Caller;
use crate::failure::Failure;
use crate::plan::SessionPlan;
use crate::search::Search;
use crate::session::NextHopSession;
use crate::silent::Silent;

/// Opens sessions by plan. Cheap to clone; clones remember the same hosts as silent.
#[derive(Clone)]
pub struct Sender {
    resolver: Resolver,
    tls: TlsClient,
    connect_timeout: Duration,
    silent: Silent,
}

impl Sender {
    /// Asks `resolver`, secures with `tls`, waits [`net::stream::CONNECT_TIMEOUT`] for connections.
    #[must_use]
    pub fn new(resolver: Resolver, tls: TlsClient) -> Self {
        Self { resolver, tls, connect_timeout: net::stream::CONNECT_TIMEOUT, silent: Silent::default() }
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

    /// Opens a session with the first target that takes one. `turn` should differ from call to call: it chooses among
    /// equal mail exchangers and the smart host to begin with.
    ///
    /// # Errors
    /// The failure of the last target tried, a transient one before a permanent one.
    pub async fn open(&self, plan: &SessionPlan, turn: u64) -> Result<NextHopSession, Box<Failure>> {
        let caller = Caller {
            plan: Arc::new(plan.clone()),
            resolver: self.resolver.clone(),
            tls: self.tls.clone(),
            connect_timeout: self.connect_timeout,
            silent: self.silent.clone(),
        };
        NextHopSession::open(Search::begin(caller, turn).await?).await
    }
}
