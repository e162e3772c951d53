//! `postroad controller`: custom resources of Kubernetes become objects of the organization.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use controller::{Cluster, Controller, ControllerSettings, Seals};
use directory::Author;
use envelope::ServerName;
use organization::{Object, Secrets};
use runtime::drain_on_signals;
use telemetry::{LogFormat, LogSettings, Telemetry, TelemetrySettings};
use tokio_util::sync::CancellationToken;

use super::apply::SecretsOf;
use super::place::{Place, Reach};
use super::times;

const EXAMPLES: &str = "\
Examples:
  # In a pod, as deploy/k8s/controller has it: the admin service is asked, with an administrator's certificate.
  postroad controller --api berlin1.contoso.example=berlin1-admin:5477 --identity /etc/postroad/identity
  # Outside, for trying: the cluster and namespace of KUBECONFIG, the directory of a server's settings.
  postroad controller --settings server.toml

SendConnector, ReceiveConnector, AcceptedDomain, Site and SiteLink of the namespace are brought into the
organization, one change for all that changed; their status says what became of each. What no resource
names is never touched; what a resource names is put back when somebody changes it by another way. Of
several controllers the one with the Lease `postroad-controller` works.";

/// Until the admin service answers for the first time.
const PATIENCE: Duration = Duration::from_secs(2);
/// A certificate that was renewed is found then.
const LOOK: Duration = Duration::from_secs(60);

/// Arguments of `postroad controller`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ControllerArguments {
    /// Namespace of the resources [default: that of the pod or of the context].
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Who this controller is among several.
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "controller")]
    name: String,
    /// Folder in which passwordFile of a credential is a file.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/postroad/credentials")]
    credentials: PathBuf,
    /// Where to serve /metrics, /live and /ready.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// Levels of the log, such as `info` or `warn,controller=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
    /// `text` for people, `json` for collectors.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    place: Place,
}

/// The admin service seals, or this process with the organization's key.
struct Sealing {
    reach: Reach,
    credentials: PathBuf,
}

impl Seals for Sealing {
    fn with(&self, current: &[Object], then: &mut dyn FnMut(&dyn Secrets)) -> Result<(), String> {
        // Relative to a file in the folder of credentials, which need not be there.
        let file = self.credentials.join("resource");
        let secrets = SecretsOf::of(&self.reach, &file, current).map_err(|error| format!("{error:#}"))?;
        secrets.with(|secrets| then(secrets));
        Ok(())
    }
}

pub(crate) async fn run(arguments: ControllerArguments) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: "postroad-controller",
        version: env!("CARGO_PKG_VERSION"),
        server: ServerName::parse(&arguments.name).context("--name")?,
        site: None,
        logs: LogSettings { filter: arguments.log, format: arguments.log_format },
        collector: None,
    })?;
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let cluster = Cluster::infer(arguments.namespace).await?;
    let Some(reach) = reached(&arguments.place, &drain).await else { return Ok(ExitCode::SUCCESS) };
    let directory = Arc::clone(&reach.directory);
    let seals = Arc::new(Sealing { reach, credentials: arguments.credentials });
    let who = format!("{}/{}", cluster.namespace(), arguments.name);
    let author = Author::new(who, "postroad controller");
    let settings = ControllerSettings { holder: arguments.name, author, clock: Arc::new(times::now) };
    let built = Controller::new(cluster, directory, seals, settings, telemetry.metrics());
    let operations = match arguments.metrics {
        Some(address) => {
            let serving = telemetry.serve(address, built.health()).await;
            Some(serving.with_context(|| format!("cannot serve metrics on {address}"))?)
        }
        None => None,
    };
    tokio::spawn(end_when_renewed(arguments.place, drain.clone()));
    built.run(drain).await;
    drop(operations);
    telemetry.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// The directory, as soon as it can be reached; nothing when this process ends before.
async fn reached(place: &Place, drain: &CancellationToken) -> Option<Reach> {
    loop {
        match place.reach().await {
            Ok(reach) => return Some(reach),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the organization cannot be reached yet"),
        }
        tokio::select! {
            () = drain.cancelled() => return None,
            () = tokio::time::sleep(PATIENCE) => {}
        }
    }
}

/// A connection shows the certificate that it began with: with another one this process ends, and whoever runs it starts it anew.
pub(crate) async fn end_when_renewed(place: Place, drain: CancellationToken) {
    let Some(path) = place.administrator_certificate() else { return };
    let first = std::fs::read(&path).ok();
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = std::fs::read(&path).ok();
        if now.is_some() && now != first {
            tracing::info!("the certificate was renewed: this process ends, to be started with it");
            drain.cancel();
        }
    }
}
