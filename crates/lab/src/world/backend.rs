//! Where the lab's configuration lives: a SQLite file that the processes share, or an etcd of the lab's own, of three members.

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

/// Members of the lab's etcd: one may be away.
const ETCD_MEMBERS: usize = 3;
/// Their fourth octets in the lab's network.
const ETCD_HOSTS: [u8; ETCD_MEMBERS] = [2, 3, 4];
/// etcd's registered ports.
const ETCD_CLIENT_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;
/// Time for etcd to answer after its start.
const ETCD_START_TIMEOUT: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The running backend.
pub(super) enum Backend {
    Embedded { path: PathBuf },
    Etcd(Box<Etcd>),
}

/// Three etcd of the lab's own, as an organization has them; killed when dropped.
pub(super) struct Etcd {
    directory: PathBuf,
    members: [Member; ETCD_MEMBERS],
}

struct Member {
    address: Ipv4Addr,
    /// `None` while it is away.
    process: Option<Child>,
}

impl Backend {
    /// The file, or a started etcd that answers.
    pub(super) async fn start(etcd: bool, network: Ipv4Addr, directory: &Path) -> Result<Self, WorldError> {
        if !etcd {
            return Ok(Self::Embedded { path: directory.join("directory.db") });
        }
        let [first, second, third, _] = network.octets();
        let address = |host| Ipv4Addr::new(first, second, third, host);
        let members = ETCD_HOSTS.map(|host| Member { address: address(host), process: None });
        let mut etcd = Etcd { directory: directory.to_owned(), members };
        etcd.start().await?;
        Ok(Self::Etcd(Box::new(etcd)))
    }

    /// Opens it.
    pub(super) fn open(&self, forest: &Domain) -> Result<Arc<dyn directory::Backend>, WorldError> {
        match self {
            Self::Embedded { path } => {
                Ok(directory::open_embedded(&EmbeddedSettings::new(path.clone()), forest.as_str())?)
            }
            Self::Etcd(etcd) => Ok(directory::connect_etcd(EtcdSettings::new(etcd.endpoints()), forest.as_str())),
        }
    }
}

impl Etcd {
    /// One for each member.
    pub(super) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("http://{}", member.client())).collect()
    }

    /// Starts those that are away, with the data that they had, and waits until all answer.
    pub(super) async fn start(&mut self) -> Result<(), WorldError> {
        let cluster = self.cluster();
        for at in 0..ETCD_MEMBERS {
            if self.members[at].process.is_none() {
                self.members[at].process = Some(self.spawn(at, &cluster)?);
            }
        }
        let deadline = Instant::now() + ETCD_START_TIMEOUT;
        for (at, member) in self.members.iter().enumerate() {
            while tokio::net::TcpStream::connect(member.client()).await.is_err() {
                if Instant::now() >= deadline {
                    let cause = std::io::Error::other("etcd does not answer; its log says why");
                    return Err(WorldError::File { path: self.log(at), cause });
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Kills all, as a power loss would.
    pub(super) async fn kill(&mut self) -> Result<(), WorldError> {
        for at in 0..ETCD_MEMBERS {
            self.kill_member(at).await?;
        }
        Ok(())
    }

    /// Kills one, if there is one of that number: the others go on.
    pub(super) async fn kill_member(&mut self, at: usize) -> Result<(), WorldError> {
        let Some(mut process) = self.members.get_mut(at).and_then(|member| member.process.take()) else {
            return Ok(());
        };
        process.kill().await.map_err(|cause| WorldError::File { path: self.log(at), cause })
    }

    /// `--initial-cluster`.
    fn cluster(&self) -> String {
        let member = |(at, member): (usize, &Member)| format!("lab{at}={}", member.peer());
        self.members.iter().enumerate().map(member).collect::<Vec<_>>().join(",")
    }

    fn log(&self, at: usize) -> PathBuf {
        self.directory.join(format!("etcd{at}.log"))
    }

    fn spawn(&self, at: usize, cluster: &str) -> Result<Child, WorldError> {
        let path = self.log(at);
        let file = |cause| WorldError::File { path: path.clone(), cause };
        let output = File::options().create(true).append(true).open(&path).map_err(file)?;
        let (client, peer) = (format!("http://{}", self.members[at].client()), self.members[at].peer());
        let data = self.directory.join("etcd").join(at.to_string());
        std::fs::create_dir_all(&data).map_err(file)?;
        let mut command = Command::new("etcd");
        command.args(["--name", &format!("lab{at}"), "--data-dir"]).arg(data);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", cluster]);
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(file)?).stderr(output);
        command.kill_on_drop(true).process_group(0);
        command
            .spawn()
            .map_err(|cause| WorldError::Spawn { program: PathBuf::from("etcd (apt-get install etcd-server)"), cause })
    }
}

impl Member {
    fn client(&self) -> SocketAddr {
        SocketAddr::from((self.address, ETCD_CLIENT_PORT))
    }

    fn peer(&self) -> String {
        format!("http://{}:{ETCD_PEER_PORT}", self.address)
    }
}
