//! A process of one service, of a server, or of a site: started, asked whether it is ready, ended by its id.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use envelope::ServerName;
use net::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use telemetry::probe;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::layout::{ServerLayout, ServiceAddresses};
use super::{WorldError, WorldOptions};

/// Time that a process has after SIGTERM for the work in hand; then it is killed. More than the drain of a service.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two questions whether a process is ready.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Last lines of the log shown when a process does not become ready.
const LOG_LINES_SHOWN: usize = 20;

/// A process that is not ready.
#[derive(Debug, thiserror::Error)]
#[error("{service} on {server} is not ready: {reason}\n{}:\n{log_end}", log.display())]
pub struct NotReady {
    /// On which server.
    pub server: ServerName,
    /// Which service.
    pub service: Service,
    /// What it says, or what became of it.
    pub reason: String,
    /// Where its stderr goes.
    pub log: PathBuf,
    /// The last lines of it.
    pub log_end: String,
}

#[derive(Debug)]
pub(super) struct Process {
    /// Whom it is known by: of those that it runs the one that was asked last.
    server: ServerName,
    service: Service,
    child: Child,
    pid: u32,
    runs: Vec<Run>,
    log: PathBuf,
}

/// A service that a process runs.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub server: ServerName,
    pub service: Service,
    /// Where it says how it is.
    pub metrics: SocketAddr,
}

impl Process {
    /// Starts the process of a service: of itself, or of all services of these servers.
    pub(super) fn spawn(
        servers: &[&ServerLayout],
        service: Option<Service>,
        log: PathBuf,
        options: &WorldOptions,
    ) -> Result<Self, WorldError> {
        let of_server = |layout: &ServerLayout| {
            let name = layout.name.clone();
            let wanted = layout.services.iter().filter(|(one, _)| service.is_none_or(|wanted| **one == wanted));
            let run = |(service, addresses): (&Service, &ServiceAddresses)| Run {
                server: name.clone(),
                service: *service,
                metrics: addresses.metrics,
            };
            wanted.map(run).collect::<Vec<_>>()
        };
        let runs: Vec<Run> = servers.iter().flat_map(|layout| of_server(layout)).collect();
        let Run { server, service: first, .. } =
            runs.first().expect("whoever starts a process knows a service").clone();
        let command_name = service.map_or("up", Service::as_str);
        let file = |cause| WorldError::File { path: log.clone(), cause };
        log.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(file)?;
        let output = File::options().create(true).append(true).mode(0o600).open(&log).map_err(file)?;
        let mut command = Command::new(&options.program);
        command.arg(command_name);
        for (at, layout) in servers.iter().enumerate() {
            command.arg(if at == 0 { "--settings" } else { "--and" }).arg(layout.settings_path());
        }
        command.envs(options.log_filter.iter().map(|filter| ("RUST_LOG", filter)));
        command.envs(&options.environment);
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(file)?).stderr(output).kill_on_drop(true);
        // A group of its own: an interrupt at the terminal reaches the lab, which then ends its processes in order.
        command.process_group(0);
        let program = options.program.clone();
        let child = command.spawn().map_err(|cause| WorldError::Spawn { program, cause })?;
        let pid = child.id().expect("a child that was not waited for has an id");
        Ok(Self { server, service: first, child, pid, runs, log })
    }

    /// The services that it runs.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks until it is ready, has ended, or `deadline` has passed.
    pub(super) async fn wait_until_ready(&mut self, deadline: Instant) -> Result<(), NotReady> {
        let mut asked = 0;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.not_ready(format!("it has ended with {status}")));
            }
            // Those that are ready are not asked again.
            let Some(Run { server, service, metrics }) = self.runs.get(asked).cloned() else { return Ok(()) };
            (self.server, self.service) = (server, service);
            let reason = match probe::ask(metrics, "/ready").await {
                Ok(answer) if answer.is_good() => {
                    asked += 1;
                    continue;
                }
                Ok(answer) => answer.body.trim_end().to_owned(),
                Err(error) => format!("{metrics}: {error}"),
            };
            if Instant::now() >= deadline {
                return Err(self.not_ready(reason));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn not_ready(&self, reason: String) -> NotReady {
        let (server, log) = (self.server.clone(), self.log.clone());
        NotReady { server, service: self.service, reason, log_end: last_lines(&log), log }
    }

    /// SIGTERM, and SIGKILL when that has not helped in `within`.
    pub(super) async fn stop(&mut self, within: Duration) -> io::Result<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Ok(status);
        }
        let pid = Pid::from_raw(i32::try_from(self.pid).expect("process ids are positive 32-bit numbers"));
        kill(pid, Signal::SIGTERM)?;
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!(server = %self.server, service = %self.service, "killed: it did not end in time");
                self.kill().await
            }
        }
    }

    /// SIGKILL.
    pub(super) async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.start_kill()?;
        self.child.wait().await
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
