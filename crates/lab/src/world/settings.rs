//! The settings file that tells the processes of a server who they are and what is around them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use envelope::Domain;
use net::Service;
use serde::Serialize;

use super::authorities::internet_roots;
use super::backend::Backend;
use super::layout::{ServerLayout, ServiceAddresses};
use super::links::Detours;
use crate::plan::Processes;
use crate::traces::TraceReceiver;

/// MiB that a queue takes of the disk where there are many servers: hundreds would else take twenty GiB before the first message.
const QUEUE_SEGMENT_MIB: u32 = 4;

/// MiB that the queue of a server takes from its start on, where that is not what it takes by itself.
#[must_use]
pub fn queue_segment(processes: Processes) -> Option<u32> {
    (processes != Processes::Service).then_some(QUEUE_SEGMENT_MIB)
}

/// The settings file, as `runtime` reads it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SettingsFile<'a> {
    server: &'a str,
    forest: &'a str,
    state: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pickup: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_segment: Option<u32>,
    otlp: String,
    dns: Vec<SocketAddr>,
    trusted_roots: PathBuf,
    directory: DirectoryTable,
    identity: IdentityTable,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    peers: BTreeMap<&'a str, BTreeMap<&'static str, SocketAddr>>,
    services: BTreeMap<&'static str, &'a ServiceAddresses>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum DirectoryTable {
    Embedded { path: PathBuf },
    Etcd { endpoints: Vec<String> },
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct IdentityTable {
    path: PathBuf,
    organization_key: PathBuf,
}

/// What every server of a lab has around it.
pub(super) struct Around<'a> {
    pub forest: &'a Domain,
    pub backend: &'a Backend,
    pub dns: SocketAddr,
    pub traces: &'a TraceReceiver,
    pub processes: Processes,
}

/// Text of the settings file of a server.
pub(super) fn settings(server: &ServerLayout, directory: &Path, around: &Around<'_>, detours: &Detours) -> String {
    let Around { forest, backend, dns, traces, processes } = around;
    let by_name = |services: &BTreeMap<Service, SocketAddr>| {
        services.iter().map(|(service, address)| (service.as_str(), *address)).collect()
    };
    let file = SettingsFile {
        server: server.name.as_str(),
        forest: if server.is_edge { server.fqdn.as_str() } else { forest.as_str() },
        state: server.folder.join("state"),
        drop: server.drop_folder(),
        pickup: server.pickup_folder(),
        queue_segment: queue_segment(*processes),
        otlp: traces.endpoint(),
        dns: vec![*dns],
        trusted_roots: internet_roots(directory),
        directory: match backend {
            _ if server.is_edge => DirectoryTable::Embedded { path: server.own_directory() },
            Backend::Embedded { path } => DirectoryTable::Embedded { path: path.clone() },
            Backend::Etcd(etcd) => DirectoryTable::Etcd { endpoints: etcd.endpoints() },
        },
        identity: IdentityTable {
            path: server.identity_path(),
            organization_key: if server.is_edge { server.own_key() } else { directory.join("organization.key") },
        },
        peers: detours.iter().map(|(server, services)| (server.as_str(), by_name(services))).collect(),
        services: server.services.iter().map(|(service, addresses)| (service.as_str(), addresses)).collect(),
    };
    toml::to_string(&file).expect("settings are plain data")
}
