//! The endpoint for whoever operates the service: `/metrics` (Prometheus text), `/live` and `/ready`.
//!
//! Not live means "restart me" (the disk under the queue has failed), not ready means "send me nothing now" (starting,
//! draining, back pressure). The closures decide; this only answers. Plain HTTP without authentication: bind it to an
//! address that only the operator's network reaches.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Media type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be: 200.
    Good,
    /// Not so, and why: 503 with the text.
    Bad(Box<str>),
}

/// Asked at each request; must not block.
type Check = Arc<dyn Fn() -> Health + Send + Sync>;

/// Whether the service is alive and ready.
#[derive(Clone)]
pub struct HealthChecks {
    live: Check,
    ready: Check,
}

impl HealthChecks {
    /// The two questions. Neither may block.
    pub fn new(
        live: impl Fn() -> Health + Send + Sync + 'static,
        ready: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Self {
        Self { live: Arc::new(live), ready: Arc::new(ready) }
    }

    /// Whether it can go on; if not, whoever watches it starts it anew.
    #[must_use]
    pub fn live(&self) -> Health {
        (self.live)()
    }

    /// Whether it takes work.
    #[must_use]
    pub fn ready(&self) -> Health {
        (self.ready)()
    }
}

impl fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HealthChecks")
    }
}

/// The endpoint, running. It ends when this is dropped.
#[derive(Debug)]
pub struct OperationsServer {
    local: SocketAddr,
    task: JoinHandle<()>,
}

impl OperationsServer {
    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for OperationsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    registry: Registry,
    checks: HealthChecks,
}

pub(crate) async fn serve(
    address: SocketAddr,
    registry: Registry,
    checks: HealthChecks,
) -> io::Result<OperationsServer> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/live", get(async |State(shared): State<Shared>| health(shared.checks.live())))
        .route("/ready", get(async |State(shared): State<Shared>| health(shared.checks.ready())))
        .with_state(Shared { registry, checks });
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the operations endpoint has ended");
        }
    });
    Ok(OperationsServer { local, task })
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match TextEncoder::new().encode_to_string(&shared.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn health(health: Health) -> Response {
    match health {
        Health::Good => (StatusCode::OK, "good\n").into_response(),
        Health::Bad(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
