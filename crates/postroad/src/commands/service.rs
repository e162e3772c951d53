//! Running services: one per process in production, all of a server in one process with `postroad up`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use frontend_transport::FrontendTransport;
use mailbox_delivery::MailboxDelivery;
use mailbox_submission::MailboxSubmission;
use net::Service;
use runtime::{Node, PeerHealth, Settings, drain_on_signals};
use telemetry::{
    Collector, HealthChecks, LogFormat, LogSettings, OperationsServer, SampleRatio, Telemetry, TelemetrySettings,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transport::Transport;

/// What every service is told.
#[derive(clap::Args)]
pub(crate) struct ServiceArguments {
    /// Settings of this server (TOML): its name, directory, certificates, addresses.
    #[arg(long, short, value_name = "FILE", env = "POSTROAD_SETTINGS")]
    settings: PathBuf,
    /// Levels of the log, such as `info` or `warn,transport=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
    /// `text` for people, `json` for collectors.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Which services this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceChoice {
    All,
    FrontendTransport,
    Transport,
    MailboxSubmission,
    MailboxDelivery,
}

impl ServiceChoice {
    fn services(self) -> Vec<Service> {
        match self {
            // Deliveries first: by the time mail comes in, everybody who handles it is there.
            Self::All => vec![
                Service::MailboxDelivery,
                Service::Transport,
                Service::FrontendTransport,
                Service::MailboxSubmission,
            ],
            Self::FrontendTransport => vec![Service::FrontendTransport],
            Self::Transport => vec![Service::Transport],
            Self::MailboxSubmission => vec![Service::MailboxSubmission],
            Self::MailboxDelivery => vec![Service::MailboxDelivery],
        }
    }

    /// `service.name` of telemetry.
    fn name(self) -> &'static str {
        match self {
            Self::All => "postroad",
            Self::FrontendTransport => "postroad-frontend-transport",
            Self::Transport => "postroad-transport",
            Self::MailboxSubmission => "postroad-mailbox-submission",
            Self::MailboxDelivery => "postroad-mailbox-delivery",
        }
    }
}

pub(crate) async fn run(choice: ServiceChoice, arguments: ServiceArguments) -> anyhow::Result<ExitCode> {
    let settings = Arc::new(Settings::load(&arguments.settings)?);
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: choice.name(),
        version: env!("CARGO_PKG_VERSION"),
        server: settings.server.clone(),
        site: None,
        logs: LogSettings { filter: arguments.log, format: arguments.log_format },
        collector: settings.otlp.clone().map(collector),
    })?;
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let (mut running, health) = (JoinSet::new(), PeerHealth::default());
    let mut operations = Vec::new();
    for service in choice.services() {
        let node = Arc::new(Node::start(Arc::clone(&settings), service, &telemetry, health.clone()).await?);
        operations.push(start(service, &node, &drain, &mut running, &telemetry).await?);
    }
    // One service that ends takes the others along: a server with half its services would look alive and not be.
    let mut result = Ok(ExitCode::SUCCESS);
    while let Some(ended) = running.join_next().await {
        drain.cancel();
        if let Err(error) = ended.context("a service panicked").and_then(|ended| ended) {
            result = Err(error);
        }
    }
    telemetry.shutdown().await;
    result
}

fn collector(endpoint: String) -> Collector {
    Collector { endpoint, roots_pem: None, sample_ratio: SampleRatio::ALL, metrics: false }
}

async fn start(
    service: Service,
    node: &Arc<Node>,
    drain: &CancellationToken,
    running: &mut JoinSet<anyhow::Result<()>>,
    telemetry: &Telemetry,
) -> anyhow::Result<Option<OperationsServer>> {
    let (node_, drain) = (Arc::clone(node), drain.clone());
    let health = match service {
        Service::FrontendTransport => {
            let built = FrontendTransport::build(node_, drain).await?;
            let health = built.health();
            running.spawn(async { Ok(built.run().await?) });
            health
        }
        Service::Transport => {
            let built = Transport::build(node_, drain).await?;
            let health = built.health();
            running.spawn(async { Ok(built.run().await?) });
            health
        }
        Service::MailboxSubmission => {
            let built = MailboxSubmission::build(node_, drain).await?;
            let health = built.health();
            running.spawn(async { Ok(built.run().await?) });
            health
        }
        Service::MailboxDelivery => {
            let built = MailboxDelivery::build(node_, drain).await?;
            let health = built.health();
            running.spawn(async { Ok(built.run().await?) });
            health
        }
        Service::Admin => anyhow::bail!("the admin service is not part of this version"),
    };
    serve_operations(node, health, telemetry).await
}

async fn serve_operations(
    node: &Node,
    health: HealthChecks,
    telemetry: &Telemetry,
) -> anyhow::Result<Option<OperationsServer>> {
    let Some(address) = node.settings.service(node.service).metrics else { return Ok(None) };
    let serving = telemetry.serve(address, health).await;
    Ok(Some(serving.with_context(|| format!("cannot serve metrics on {address}: {}", hint(address)))?))
}

fn hint(address: SocketAddr) -> String {
    format!("change services.<service>.metrics in the settings, or free port {}", address.port())
}
