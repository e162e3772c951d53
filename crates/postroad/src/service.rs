//! Running services: one per process in production, all of a server in one process with `postroad up`, those of several servers with
//! `--and`.
//!
//! Not here: what a service does. Tests run Transport this way on a disk that fails.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use admin::Admin;
use anyhow::{Context, bail};
use frontend_transport::FrontendTransport;
use mailbox_delivery::MailboxDelivery;
use mailbox_submission::{MailboxSubmission, Watcher};
use net::{InheritedSockets, Service};
use queue::{Disk, RealDisk};
use runtime::confine::Inmate;
use runtime::node::open_backend;
use runtime::settings::KerberosSettings;
use runtime::{
    Commons, Confinement, DirectorySettings, Node, Reloads, Settings, confine, descriptors, drain_on_signals,
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
    /// Settings of a further server that this process runs as well; again for each. For labs of many servers: they have one log, and end
    /// together.
    #[arg(long = "and", value_name = "FILE")]
    others: Vec<PathBuf>,
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

    /// Those of all servers.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.settings).chain(&self.others)
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
            Self::FrontendTransport => name_of(Service::FrontendTransport),
            Self::Transport => name_of(Service::Transport),
            Self::MailboxSubmission => name_of(Service::MailboxSubmission),
            Self::MailboxDelivery => name_of(Service::MailboxDelivery),
            Self::Admin => name_of(Service::Admin),
        }
    }
}

/// `service.name` of one service.
const fn name_of(service: Service) -> &'static str {
    match service {
        Service::FrontendTransport => "postroad-frontend-transport",
        Service::Transport => "postroad-transport",
        Service::MailboxSubmission => "postroad-mailbox-submission",
        Service::MailboxDelivery => "postroad-mailbox-delivery",
        Service::Admin => "postroad-admin",
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
    let inmate = |file: &PathBuf| {
        let settings = Settings::load(file).ok()?;
        Some(Inmate { services: choice.services(&settings), settings, file: file.clone() })
    };
    if let Some(inmates) = arguments.files().map(inmate).collect::<Option<Vec<_>>>() {
        arguments.confinement = Some(confine::confine(&inmates));
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
    let servers = servers(&arguments)?;
    let (_, first) = servers.first().expect("the first server is always there");
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: choice.name(),
        version: env!("CARGO_PKG_VERSION"),
        server: first.server.clone(),
        site: None,
        logs: LogSettings { filter: arguments.log, format: arguments.log_format },
        collector: collector(first)?,
    })?;
    descriptors::raise_limit();
    confine::tell(arguments.confinement.as_ref(), servers.len() * choice.services(first).len());
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let sockets = InheritedSockets::take().context("the sockets of systemd cannot be taken")?;
    let together = servers.len() > 1 || choice == ServiceChoice::All;
    let (commons, watcher) = (Commons::default(), Watcher::default());
    let surroundings = Surroundings { disk, drain, commons, watcher, sockets, together };
    let mut running = Running::default();
    for (at, (file, settings)) in servers.into_iter().enumerate() {
        let beside = if at == 0 { None } else { Some(telemetry.beside(&settings.server)?) };
        start_server(choice, settings, file, beside.as_ref().unwrap_or(&telemetry), &surroundings, &mut running)
            .await?;
        running.telemetries.extend(beside);
    }
    // One service that ends takes the others along: a server with half its services would look alive and not be.
    let mut result = Ok(ExitCode::SUCCESS);
    while let Some(ended) = running.services.join_next().await {
        surroundings.drain.cancel();
        if let Err(error) = ended.context("a service panicked").and_then(|ended| ended) {
            result = Err(error);
        }
    }
    drop(running);
    telemetry.shutdown().await;
    result
}

/// The settings of each server, and where they are.
fn servers(arguments: &ServiceArguments) -> anyhow::Result<Vec<(PathBuf, Arc<Settings>)>> {
    let loaded = arguments.files().map(|file| anyhow::Ok((file.clone(), Arc::new(Settings::load(file)?))));
    let servers = loaded.collect::<Result<Vec<_>, _>>()?;
    if let Some((file, _)) = servers.iter().find(|(_, settings)| servers.len() > 1 && settings.kerberos.is_some()) {
        bail!(
            "{}: a keytab belongs to a process, so that a server with `kerberos` needs one of its own: run it without --and",
            file.display()
        );
    }
    Ok(servers)
}

/// Starts the services of one server.
async fn start_server(
    choice: ServiceChoice,
    settings: Arc<Settings>,
    file: PathBuf,
    telemetry: &Telemetry,
    surroundings: &Surroundings,
    running: &mut Running,
) -> anyhow::Result<()> {
    let reloads = Reloads::on_signals(file, settings.identity.clone());
    let reloads = reloads.context("cannot listen for signals")?;
    for service in wanted(choice, &settings).await {
        let mut node = Node::start(Arc::clone(&settings), service, telemetry, &surroundings.commons).await?;
        node.follow_reloads(reloads.clone());
        node.sockets = surroundings.sockets.clone();
        if surroundings.together {
            node.tracer = telemetry.tracer_as(name_of(service));
        }
        let node = Arc::new(node);
        let serving = start(service, &node, telemetry, surroundings, &mut running.services).await?;
        running.operations.extend(serving);
    }
    Ok(())
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
    commons: Commons,
    /// Of outboxes.
    watcher: Watcher,
    sockets: InheritedSockets,
    /// Whether there are several of them.
    together: bool,
}

/// What runs, and what lives as long.
#[derive(Default)]
struct Running {
    services: JoinSet<anyhow::Result<()>>,
    operations: Vec<OperationsServer>,
    telemetries: Vec<Telemetry>,
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
    telemetry: &Telemetry,
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
            let built = MailboxSubmission::build(node_, surroundings.watcher.clone(), drain).await?;
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
