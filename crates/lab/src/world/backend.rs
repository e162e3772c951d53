//! Where the lab's configuration lives: a SQLite file that the processes share, or an etcd of the lab's own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use directory::{EmbeddedSettings, EtcdSettings};
use envelope::Domain;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::WorldError;

/// Fourth octet of the lab's etcd in its network.
const ETCD_HOST: u8 = 2;
/// etcd's registered ports.
const ETCD_CLIENT_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;
/// Time for etcd to answer after its start.
const ETCD_START_TIMEOUT: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The running backend.
pub(super) enum Backend {
    Embedded { path: PathBuf },
    Etcd(Etcd),
}

/// An etcd of the lab's own; killed when dropped.
pub(super) struct Etcd {
    address: Ipv4Addr,
    directory: PathBuf,
    /// `None` while it is away.
    process: Option<Child>,
}

impl Backend {
    /// The file, or a started etcd that answers.
    pub async fn start(etcd: bool, network: Ipv4Addr, directory: &Path) -> Result<Self, WorldError> {
        if !etcd {
            return Ok(Self::Embedded { path: directory.join("directory.db") });
        }
        let [first, second, third, _] = network.octets();
        let address = Ipv4Addr::new(first, second, third, ETCD_HOST);
        let mut etcd = Etcd { address, directory: directory.to_owned(), process: None };
        etcd.start().await?;
        Ok(Self::Etcd(etcd))
    }

    /// Opens it.
    pub fn open(&self, forest: &Domain) -> Result<Arc<dyn directory::Backend>, WorldError> {
        match self {
            Self::Embedded { path } => {
                Ok(directory::open_embedded(&EmbeddedSettings::new(path.clone()), forest.as_str())?)
            }
            Self::Etcd(etcd) => Ok(directory::connect_etcd(EtcdSettings::new(vec![etcd.endpoint()]), forest.as_str())),
        }
    }
}

impl Etcd {
    fn client(&self) -> SocketAddr {
        SocketAddr::from((self.address, ETCD_CLIENT_PORT))
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.client())
    }

    /// Starts it, with the data that it had, and waits until it answers.
    pub async fn start(&mut self) -> Result<(), WorldError> {
        self.process = Some(spawn(self.address, &self.directory)?);
        let deadline = Instant::now() + ETCD_START_TIMEOUT;
        while tokio::net::TcpStream::connect(self.client()).await.is_err() {
            if Instant::now() >= deadline {
                let cause = std::io::Error::other("etcd does not answer; its log says why");
                return Err(WorldError::File { path: log(&self.directory), cause });
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        Ok(())
    }

    /// Kills it, as a power loss would.
    pub async fn kill(&mut self) -> Result<(), WorldError> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill().await.map_err(|cause| WorldError::File { path: log(&self.directory), cause })
    }
}

fn log(directory: &Path) -> PathBuf {
    directory.join("etcd.log")
}

fn spawn(address: Ipv4Addr, directory: &Path) -> Result<Child, WorldError> {
    let path = log(directory);
    let file = |cause| WorldError::File { path: path.clone(), cause };
    let output = File::options().create(true).append(true).open(&path).map_err(file)?;
    let (client, peer) = (format!("http://{address}:{ETCD_CLIENT_PORT}"), format!("http://{address}:{ETCD_PEER_PORT}"));
    let mut command = Command::new("etcd");
    command.args(["--name", "lab", "--data-dir"]).arg(directory.join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("lab={peer}")]);
    command.stdin(Stdio::null()).stdout(output.try_clone().map_err(file)?).stderr(output);
    command.kill_on_drop(true).process_group(0);
    command
        .spawn()
        .map_err(|cause| WorldError::Spawn { program: PathBuf::from("etcd (apt-get install etcd-server)"), cause })
}
