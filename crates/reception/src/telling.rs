//! Failed logons are told to the other services that take logons, and theirs are heard: whoever guesses has one budget at all of
//! them, wherever he comes in.
//!
//! ```text
//!   a logon fails ─▶ Suspicion ─▶ at most once a second ─▶ every service with an entrance for logons ─▶ its Suspicion
//!         └──▶ its reply: nothing here is waited for
//! ```
//!
//! To whom: whoever has a Receive connector that offers `AUTH`, and was heard of. For one that is slow the news is added up, as
//! much as can be told at a time; one that is away is not told, and not told later. News is never passed on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use envelope::{ServerName, Service};
use net::PeerIdentity;
use parking_lot::Mutex;
use routing::RoutingTables;
use rpc::{Colleagues, FailedLogons, FailedLogonsHandler, PeerAddress, ToldTooOften};
use runtime::Node;
use smtp_session::server::AuthOffer;
use telemetry::Metrics;
use telemetry::metrics::Told;
use tokio_util::sync::CancellationToken;
use topology::{Server, TransportRole};

use crate::connectors::{auth_offer, connectors_of};
use crate::news::News;
use crate::shared::Shared;
use crate::tally::Teller;

/// Time between two tellings of one service: a guess is counted everywhere before the reply to it, which waits for a second, is
/// there.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Who has SMTP entrances, and for which connectors.
const TAKERS: [(Service, TransportRole); 2] =
    [(Service::FrontendTransport, TransportRole::FrontendTransport), (Service::Transport, TransportRole::HubTransport)];

/// Counts what others tell.
pub(crate) struct Ears(pub(crate) Arc<Shared>);

impl FailedLogonsHandler for Ears {
    fn told(&self, peer: &PeerIdentity, news: FailedLogons) -> Result<(), ToldTooOften> {
        let (metrics, now) = (&self.0.node.metrics, self.0.node.clock.now());
        let all = failures(&news);
        let counted = self.0.suspicion.lock().told(&teller(peer), news, now);
        let of_all = counted.unwrap_or_default();
        metrics.logons_told.add(Told::Counted, of_all);
        metrics.logons_told.add(Told::Dropped, all.saturating_sub(of_all));
        counted.map(drop)
    }
}

/// One certificate is one teller.
fn teller(peer: &PeerIdentity) -> Teller {
    let services: Vec<&str> = peer.services.iter().map(|service| service.as_str()).collect();
    format!("{}/{}", peer.server.key(), services.join(",")).into()
}

fn failures(news: &FailedLogons) -> u64 {
    news.accounts.iter().map(|(_, failures)| u64::from(*failures)).sum()
}

/// Tells the others of what fails here, until the drain.
pub(crate) async fn run(shared: Arc<Shared>, drain: CancellationToken) {
    let colleagues = Arc::new(Colleagues::new(Arc::clone(&shared.node.credentials)));
    let mouth = Mouth { colleagues, being_told: Arc::default(), metrics: shared.node.metrics.clone() };
    let telling = async || loop {
        shared.has_news.notified().await;
        let news = shared.suspicion.lock().take_news();
        if let Some(news) = news {
            for (service, at) in others(&shared.node) {
                mouth.tell(service, at, &news);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    };
    drain.run_until_cancelled(telling()).await;
}

/// Tells.
struct Mouth {
    colleagues: Arc<Colleagues>,
    /// Who has not answered yet, and what it is told then.
    being_told: Arc<Mutex<HashMap<(Service, ServerName), News>>>,
    metrics: Metrics,
}

impl Mouth {
    /// Tells one of them, behind everybody's back.
    fn tell(&self, service: Service, at: PeerAddress, news: &FailedLogons) {
        let key = (service, at.server.clone());
        match self.being_told.lock().entry(key) {
            Entry::Occupied(mut waiting) => return waiting.get_mut().add(news),
            Entry::Vacant(nobody) => drop(nobody.insert(News::default())),
        }
        let telling = Telling {
            colleagues: Arc::clone(&self.colleagues),
            being_told: Arc::clone(&self.being_told),
            metrics: self.metrics.clone(),
            service,
            at,
        };
        tokio::spawn(telling.run(news.clone()));
    }
}

/// One service being told.
struct Telling {
    colleagues: Arc<Colleagues>,
    being_told: Arc<Mutex<HashMap<(Service, ServerName), News>>>,
    metrics: Metrics,
    service: Service,
    at: PeerAddress,
}

impl Telling {
    /// Tells this, and what came up meanwhile. To one that is away neither is told.
    async fn run(self, news: FailedLogons) {
        let mut next = Some(news);
        while let Some(news) = next.take() {
            let told = self.colleagues.tell(&self.at, self.service, &news).await;
            let mut being_told = self.being_told.lock();
            let Entry::Occupied(mut waiting) = being_told.entry((self.service, self.at.server.clone())) else { return };
            let more = waiting.get_mut().take();
            if let Err(error) = told {
                tracing::debug!(at = %self.at, service = %self.service, error, "another service was not told of failed logons");
                let unsent = failures(&news) + more.as_ref().map_or(0, failures);
                self.metrics.logons_told.add(Told::Unsent, unsent);
                waiting.remove();
                return;
            }
            if more.is_none() {
                waiting.remove();
            }
            next = more;
        }
    }
}

/// The other services that take logons, as far as they were heard of.
fn others(node: &Node) -> Vec<(Service, PeerAddress)> {
    let tables: Arc<RoutingTables> = node.tables();
    let organization = tables.organization();
    let takes = |server: &Server, role| {
        connectors_of(organization, &server.name, role).iter().any(|one| auth_offer(one) != AuthOffer::Never)
    };
    let mut others = Vec::new();
    for server in organization.own_servers() {
        for (service, role) in TAKERS {
            let own = *node.server() == server.name && node.service == service;
            if !own
                && takes(server, role)
                && let Some(at) = node.heard_of(&server.name, service)
            {
                others.push((service, at));
            }
        }
    }
    others
}
