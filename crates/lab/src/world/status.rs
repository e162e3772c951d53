//! `lab.json`: what runs where, so that other commands find a running lab.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use envelope::{ServerName, Service};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::World;
use super::process::{Process, Run};

const FILE: &str = "lab.json";

/// A running lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabStatus {
    /// Process id of the lab itself; without one its services are containers, which somebody else starts and ends.
    pub pid: Option<u32>,
    /// First address of its network.
    pub network: Ipv4Addr,
    /// The DNS server of the internet.
    pub dns: SocketAddr,
    /// SMTP port of all hosts of the internet.
    pub smtp_port: u16,
    /// The trace receiver.
    pub otlp: String,
    /// Directory for [`crate::Deliveries`].
    pub deliveries: PathBuf,
    /// Directory for [`crate::TraceStore`].
    pub traces: PathBuf,
    /// Servers, in the order of the organization.
    pub servers: Vec<ServerStatus>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerStatus {
    /// As the organization names it.
    pub name: String,
    /// Where it stands.
    #[serde(default)]
    pub site: String,
    /// Its name in DNS.
    pub fqdn: String,
    /// The loopback address that all its services listen on.
    pub address: Ipv4Addr,
    /// Settings file of its processes, also for commands that talk to it.
    pub settings: PathBuf,
    /// Where the internet sends mail.
    pub smtp: Option<SocketAddr>,
    /// Where mail clients send mail.
    pub submission: Option<SocketAddr>,
    /// What runs on it now.
    pub processes: Vec<ProcessStatus>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessStatus {
    /// `transport`, …
    pub service: String,
    /// Its process id.
    pub pid: u32,
    /// Metrics and health.
    pub metrics: SocketAddr,
    /// What it logs.
    pub log: PathBuf,
}

/// No running lab is to be found.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No `lab.json`.
    #[error("no lab runs in {}", .0.display())]
    NoLab(PathBuf),
    /// It cannot be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl LabStatus {
    /// Reads the status of the lab that runs in `directory`.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn read(directory: &Path) -> Result<Self, StatusError> {
        let path = directory.join(FILE);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(StatusError::NoLab(directory.to_owned()));
            }
            Err(cause) => Err(cause),
        }
        .map_err(|cause| StatusError::File { path, cause })
    }

    /// Asks the lab to end (SIGTERM); it ends its processes in order and removes its status.
    ///
    /// # Errors
    /// When there is no such process any more (its `lab.json` can be removed then), or it is not ours to end.
    pub fn ask_to_end(&self) -> io::Result<()> {
        let pid = self.pid.ok_or_else(|| io::Error::other("its services are containers: `make down` ends them"))?;
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .map_err(|error| io::Error::other(format!("its process {pid} is gone ({error}): remove the file")))
    }

    /// Replaces the file as a whole: a reader sees the old or the new one.
    pub(super) fn write(&self, directory: &Path) -> Result<(), (PathBuf, io::Error)> {
        let (path, draft) = (directory.join(FILE), directory.join(".lab.json.new"));
        let text = serde_json::to_vec_pretty(self).expect("a status is plain data");
        std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path)).map_err(|cause| (path, cause))
    }

    /// The lab has ended. A file that stays behind names processes that are gone, which readers have to bear anyway.
    pub(super) fn remove(directory: &Path) {
        let _gone = std::fs::remove_file(directory.join(FILE));
    }
}

pub(super) fn of(world: &World) -> LabStatus {
    let processes = world.processes.values();
    let running: BTreeMap<(&ServerName, Service), (&Process, &Run)> = processes
        .flat_map(|process| process.runs().iter().map(move |run| ((&run.server, run.service), (process, run))))
        .collect();
    let server = |layout: &super::ServerLayout| {
        let here = layout.services.keys().filter_map(|service| running.get(&(&layout.name, *service)));
        let here = here.map(|(process, run)| ProcessStatus {
            service: run.service.to_string(),
            pid: process.pid(),
            metrics: run.metrics,
            log: process.log().to_owned(),
        });
        ServerStatus {
            name: layout.name.to_string(),
            site: layout.site.to_string(),
            fqdn: layout.fqdn.to_string(),
            address: layout.address,
            settings: layout.settings_path(),
            smtp: world.exchange.entrance(&layout.name).or_else(|| layout.smtp()),
            submission: layout.services.values().find_map(|addresses| addresses.submission),
            processes: here.collect(),
        }
    };
    LabStatus {
        pid: Some(std::process::id()),
        network: world.network.address(),
        dns: world.internet.dns_address(),
        smtp_port: world.internet.smtp_port(),
        otlp: world.traces.endpoint(),
        deliveries: world.options.directory.join("deliveries"),
        traces: world.options.directory.join("traces"),
        servers: world.servers.iter().map(server).collect(),
    }
}
