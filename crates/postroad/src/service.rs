//! Running services: one per process in production, all of a server in one process with `postroad up`.
//!
//! Not here: what a service does. Tests run Transport this way on a disk that fails.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use admin::Admin;
use anyhow::Context;
use frontend_transport::FrontendTransport;
use mailbox_delivery::MailboxDelivery;
use mailbox_submission::MailboxSubmission;
use net::{InheritedSockets, Service};
use queue::{Disk, RealDisk};
use runtime::node::open_backend;
use runtime::settings::KerberosSettings;
use runtime::{
    Confinement, DirectorySettings, Node, PeerHealth, Reloads, Settings, confine, descriptors, drain_on_signals,
};
use telemetry::{
    Collector, HealthChecks, LogFormat, LogSettings, OperationsServer, SampleRatio, Telemetry, TelemetrySettings,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use topology::ServerRole;
use transport::Transport;

/// The settings of the server that this machine is.
pub const SETTINGS_DEFAULT: &str = "/etc/postroad/server.toml";

/// What every service is told.
#[derive(Debug, clap::Args)]
pub struct ServiceArguments {
    /// Settings of this server (TOML): its name, directory, certificates, addresses.
    #[arg(long, short, value_name = "FILE", env = "POSTROAD_SETTINGS", default_value = SETTINGS_DEFAULT)]
    settings: PathBuf,
    /// Levels of the log, such as `info` or `warn,transport=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
    /// `text` for people, `json` for collectors.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Give nothing up: no Landlock, no seccomp, core dumps as the system has them. For debuggers.
    #[arg(long, env = "POSTROAD_UNCONFINED")]
    unconfined: bool,
    /// What this process has given up.
    #[arg(skip)]
    confinement: Option<Confinement>,
}

impl ServiceArguments {
    /// The file of the settings.
    #[must_use]
    pub fn settings(&self) -> &Path {
        &self.settings
    }
}

/// Which services this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceChoice {
    /// All of a server.
    All,
    /// Front End Transport.
    FrontendTransport,
    /// The queue, the categorizer, routing and the Send connectors.
    Transport,
    /// Mailbox Transport Submission.
    MailboxSubmission,
    /// Mailbox Transport Delivery.
    MailboxDelivery,
    /// The admin service.
    Admin,
}

impl ServiceChoice {
    fn services(self, settings: &Settings) -> Vec<Service> {
        match self {
            // Deliveries first: by the time mail comes in, everybody who handles it is there.
            Self::All => {
                let mail = [
                    Service::MailboxDelivery,
                    Service::Transport,
                    Service::FrontendTransport,
                    Service::MailboxSubmission,
                ];
                // Not every server may change the configuration.
                let admin = settings.has_service(Service::Admin).then_some(Service::Admin);
                mail.into_iter().chain(admin).collect()
            }
            Self::FrontendTransport => vec![Service::FrontendTransport],
            Self::Transport => vec![Service::Transport],
            Self::MailboxSubmission => vec![Service::MailboxSubmission],
            Self::MailboxDelivery => vec![Service::MailboxDelivery],
            Self::Admin => vec![Service::Admin],
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
            Self::Admin => "postroad-admin",
        }
    }
}

/// Starts this program anew, as the same process, where its environment does not name the keytab of its settings: the library
/// of Kerberos takes it from there. Before the first thread is started; comes back where there is nothing to do.
///
/// # Errors
/// The program cannot be started again.
pub fn with_keytab(kerberos: &KerberosSettings) -> std::io::Result<()> {
    if kerberos::is_in_force(&kerberos.keytab) {
        return Ok(());
    }
    let mut again = std::process::Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).envs(kerberos::environment(&kerberos.keytab));
    Err(again.exec())
}

/// Takes away from this process what these services do not need. Before the first thread is started.
///
/// Settings that cannot be read are told by [`run`].
pub fn confine_process(choice: ServiceChoice, arguments: &mut ServiceArguments) {
    if arguments.unconfined {
        return;
    }
    if let Ok(settings) = Settings::load(&arguments.settings) {
        arguments.confinement = Some(confine::confine(&settings, &arguments.settings, &choice.services(&settings)));
    }
}

/// Runs them until a signal or the end of one of them.
///
/// # Errors
/// The settings, or whatever a service needs, are not as they must be.
pub async fn run(choice: ServiceChoice, arguments: ServiceArguments) -> anyhow::Result<ExitCode> {
    run_on(Arc::new(RealDisk), choice, arguments).await
}

/// The same with the spool on another disk: one that fails, in tests.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    disk: Arc<dyn Disk>,
    choice: ServiceChoice,
    arguments: ServiceArguments,
) -> anyhow::Result<ExitCode> {
    let settings = Arc::new(Settings::load(&arguments.settings)?);
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: choice.name(),
        version: env!("CARGO_PKG_VERSION"),
        server: settings.server.clone(),
        site: None,
        logs: LogSettings { filter: arguments.log, format: arguments.log_format },
        collector: collector(&settings)?,
    })?;
    descriptors::raise_limit();
    confine::tell(arguments.confinement.as_ref(), choice.services(&settings).len());
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let reloads = Reloads::on_signals(arguments.settings, settings.identity.clone());
    let reloads = reloads.context("cannot listen for signals")?;
    let sockets = InheritedSockets::take().context("the sockets of systemd cannot be taken")?;
    let (mut running, health) = (JoinSet::new(), PeerHealth::default());
    let surroundings = Surroundings { disk, drain, telemetry };
    let mut operations = Vec::new();
    for service in wanted(choice, &settings).await {
        let started = Node::start(Arc::clone(&settings), service, &surroundings.telemetry, health.clone());
        let mut node = started.await?;
        node.follow_reloads(reloads.clone());
        node.sockets = sockets.clone();
        let node = Arc::new(node);
        operations.push(start(service, &node, &surroundings, &mut running).await?);
    }
    // One service that ends takes the others along: a server with half its services would look alive and not be.
    let mut result = Ok(ExitCode::SUCCESS);
    while let Some(ended) = running.join_next().await {
        surroundings.drain.cancel();
        if let Err(error) = ended.context("a service panicked").and_then(|ended| ended) {
            result = Err(error);
        }
    }
    surroundings.telemetry.shutdown().await;
    result
}

/// The services of a choice that a server of its role has: on an Edge server Transport and its admin service (EN-3). It has a
/// directory of its own, which is a file.
async fn wanted(choice: ServiceChoice, settings: &Settings) -> Vec<Service> {
    let mut services = choice.services(settings);
    if matches!(choice, ServiceChoice::All) && matches!(settings.directory, DirectorySettings::Embedded { .. }) {
        let known = match open_backend(settings) {
            Ok(directory) => directory.snapshot().await.ok(),
            Err(_) => None,
        };
        let role = known.and_then(|known| known.server(&settings.server).map(|own| own.role));
        if role == Some(ServerRole::Edge) {
            services.retain(|service| matches!(service, Service::Transport | Service::Admin));
        }
    }
    services
}

/// What the services of a process share.
struct Surroundings {
    disk: Arc<dyn Disk>,
    drain: CancellationToken,
    telemetry: Telemetry,
}

fn collector(settings: &Settings) -> anyhow::Result<Option<Collector>> {
    let Some(endpoint) = settings.otlp.clone() else { return Ok(None) };
    let read = |path: &PathBuf| {
        let pem = std::fs::read_to_string(path);
        pem.with_context(|| format!("cannot read {} (otlp-ca): it must hold the collector's authority", path.display()))
    };
    let roots_pem = settings.otlp_ca.as_ref().map(read).transpose()?;
    Ok(Some(Collector { endpoint, roots_pem, sample_ratio: SampleRatio::ALL, metrics: false }))
}

async fn start(
    service: Service,
    node: &Arc<Node>,
    surroundings: &Surroundings,
    running: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Option<OperationsServer>> {
    let (node_, drain) = (Arc::clone(node), surroundings.drain.clone());
    let health = match service {
        Service::FrontendTransport => {
            let built = FrontendTransport::build(node_, drain).await?;
            let health = built.health();
            running.spawn(async { Ok(built.run().await?) });
            health
        }
        Service::Transport => {
            let built = Transport::build_on(Arc::clone(&surroundings.disk), node_, drain).await?;
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
        Service::Admin => {
            let built = Admin::build(node_, drain).await?;
            let health = built.health();
            running.spawn(async { Ok(built.run().await?) });
            health
        }
    };
    serve_operations(node, health, &surroundings.telemetry).await
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
