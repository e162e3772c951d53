//! A real etcd as a process: for tests of `directory` and of whole clusters.
//!
//! It listens on loopback on free ports, keeps its data in a temporary folder, and is killed when it is dropped. Killing
//! and starting it again is how tests take the directory away and bring it back. [`EtcdCluster`] is several of them that
//! elect a leader, each an [`EtcdServer`] to be killed, frozen or started again by itself.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::daemon::answering;

/// How often other ports are tried when somebody takes a free one first.
const PORT_ATTEMPTS: u32 = 5;
/// How long the others may take until their members can be changed.
const MEMBER_PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const MEMBER_PAUSE: Duration = Duration::from_millis(100);
/// What etcd prints when it answers.
const READY: &str = "serving client traffic";

/// Files of a server that speaks TLS and asks for a certificate.
#[derive(Clone, Debug)]
pub struct EtcdTlsFiles {
    /// Its certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Whose client certificates it believes, PEM.
    pub client_ca: PathBuf,
}

/// A running, or stopped, etcd.
#[derive(Debug)]
pub struct EtcdServer {
    child: Option<Child>,
    folder: TempDir,
    name: String,
    ports: (u16, u16),
    /// `--initial-cluster`: all members, this one among them.
    cluster: String,
    tls: Option<EtcdTlsFiles>,
    /// Further arguments.
    extra: Vec<String>,
}

/// Several etcd that elect a leader.
#[derive(Debug)]
pub struct EtcdCluster {
    /// Its members, in the order of [`endpoints`](Self::endpoints).
    pub members: Vec<EtcdServer>,
}

impl EtcdCluster {
    /// Starts `number` members and waits until all answer. `tls` is for clients; among themselves they speak plain text.
    ///
    /// # Panics
    /// When there is no etcd on this machine, or they do not start.
    #[must_use]
    pub fn start(number: usize, tls: Option<&EtcdTlsFiles>, extra: &[&str]) -> Self {
        for _ in 0..PORT_ATTEMPTS {
            let ports: Vec<(u16, u16)> = distinct_ports(number);
            let name = |at: usize| format!("member{at}");
            let urls = ports.iter().enumerate().map(|(at, ports)| format!("{}=http://127.0.0.1:{}", name(at), ports.1));
            let cluster = urls.collect::<Vec<_>>().join(",");
            let member = |(at, ports)| EtcdServer {
                child: None,
                folder: tempfile::tempdir().expect("a temporary folder can be made"),
                name: name(at),
                ports,
                cluster: cluster.clone(),
                tls: tls.cloned(),
                extra: extra.iter().map(|argument| (*argument).to_owned()).collect(),
            };
            let mut members: Vec<EtcdServer> = ports.into_iter().enumerate().map(member).collect();
            // None answers before more than half of them run.
            let started = std::thread::scope(|scope| {
                let runs: Vec<_> = members.iter_mut().map(|member| scope.spawn(|| member.run())).collect();
                runs.into_iter().all(|run| run.join().expect("starting etcd does not panic"))
            });
            if started {
                return Self { members };
            }
        }
        panic!("etcd does not start; its last words are above");
    }

    /// Where clients connect, one for each member.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(EtcdServer::endpoint).collect()
    }

    /// A member whose machine is gone: the others take it out, and one of another name, on other ports and without data, comes in
    /// its place and has caught up when this returns.
    ///
    /// # Panics
    /// When the others do not agree, or it does not start.
    pub fn replace(&mut self, at: usize) {
        self.members[at].kill();
        let (gone, first) = (self.members[at].name.clone(), self.members[(at + 1) % self.members.len()].endpoint());
        let listed = etcdctl(&first, &["member", "list"]).expect("the others answer");
        let mut lines = listed.lines().map(|line| line.split(", ").collect::<Vec<_>>());
        let line = lines.find(|words| words.get(2) == Some(&gone.as_str())).expect("it was a member");
        let removed = insisted(&first, &["member", "remove", line[0]]);
        assert!(removed.contains("removed"), "{removed}");
        let (name, ports) = (format!("{gone}-anew"), distinct_ports(1)[0]);
        let peer = format!("--peer-urls=http://127.0.0.1:{}", ports.1);
        let added = insisted(&first, &["member", "add", &name, &peer]);
        let cluster = added.lines().find_map(|line| line.strip_prefix("ETCD_INITIAL_CLUSTER=")).expect("it says so");
        let old = &self.members[at];
        let mut anew = EtcdServer {
            child: None,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            name,
            ports,
            cluster: cluster.trim_matches('"').to_owned(),
            tls: old.tls.clone(),
            extra: [old.extra.clone(), vec!["--initial-cluster-state=existing".to_owned()]].concat(),
        };
        assert!(anew.run(), "the new member does not start; its last words are above");
        self.members[at] = anew;
    }

    /// Starts all that do not run, at once: alone none would answer.
    ///
    /// # Panics
    /// When one does not start.
    pub fn restart_dead(&mut self) {
        std::thread::scope(|scope| {
            let dead = self.members.iter_mut().filter(|member| member.child.is_none());
            let runs: Vec<_> = dead.map(|member| scope.spawn(|| member.run())).collect();
            assert!(runs.into_iter().all(|run| run.join().expect("starting etcd does not panic")));
        });
    }
}

impl EtcdServer {
    /// Starts a server without TLS and waits until it answers.
    ///
    /// # Panics
    /// When there is no etcd on this machine, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a server that speaks TLS and asks for a certificate.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_tls(files: EtcdTlsFiles) -> Self {
        Self::start_with(Some(files))
    }

    fn start_with(tls: Option<EtcdTlsFiles>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // One member needs no patience: it leads at once, and leases may be short.
        let extra = ["--heartbeat-interval", "10", "--election-timeout", "100"].map(str::to_owned).to_vec();
        let (name, cluster) = ("test".to_owned(), String::new());
        let mut server = Self { child: None, folder, name, ports: (0, 0), cluster, tls, extra };
        for _ in 0..PORT_ATTEMPTS {
            server.ports = distinct_ports(1)[0];
            server.cluster = format!("test=http://127.0.0.1:{}", server.ports.1);
            if server.run() {
                return server;
            }
        }
        panic!("etcd does not start; its last words are above");
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.ports.0)
    }

    /// Kills the server, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// Freezes the server: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("only a running server gets signals");
        let pid = i32::try_from(child.id()).expect("process ids of Linux fit");
        kill(Pid::from_raw(pid), signal).expect("our own child takes signals");
    }

    /// Starts a killed server again, on the same port with the same data, and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "etcd does not start again on port {}", self.ports.0);
    }

    /// Forgets all data, as if restored from an empty backup, and starts again.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("data")).expect("the data folder can be removed");
        self.restart();
    }

    /// Runs the process; false when it ends before it answers.
    fn run(&mut self) -> bool {
        let child = self.command().spawn().unwrap_or_else(|error| {
            panic!("etcd cannot be started ({error}); install it: apt-get install etcd-server (Debian: package etcd)")
        });
        self.child = answering(child, "etcd", READY);
        self.child.is_some()
    }

    fn command(&self) -> Command {
        let client = self.endpoint();
        let peer = format!("http://127.0.0.1:{}", self.ports.1);
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.folder.path().join("data"));
        command.args(["--name", &self.name, "--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &self.cluster, "--logger", "zap"]).args(&self.extra);
        if let Some(files) = &self.tls {
            command.arg("--cert-file").arg(&files.certificate).arg("--key-file").arg(&files.key);
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(&files.client_ca);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `etcdctl` says, or why nothing.
fn etcdctl(endpoint: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").arg(format!("--endpoints={endpoint}")).args(arguments);
    let output = command.output().expect("etcdctl can be run; install it: apt-get install etcd-client");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The same, again while the cluster is not healthy enough for a change of its members: etcd says so of members that have not
/// been connected for five seconds.
fn insisted(endpoint: &str, arguments: &[&str]) -> String {
    let begun = Instant::now();
    loop {
        match etcdctl(endpoint, arguments) {
            Ok(said) => return said,
            Err(error) => assert!(begun.elapsed() < MEMBER_PATIENCE, "{arguments:?}: {error}"),
        }
        std::thread::sleep(MEMBER_PAUSE);
    }
}

/// A port for clients and one for peers, for each member. All are held until all are found.
pub(crate) fn distinct_ports(number: usize) -> Vec<(u16, u16)> {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = |listener: &TcpListener| listener.local_addr().expect("a listener has an address").port();
    let held: Vec<(TcpListener, TcpListener)> = (0..number).map(|_| (listen(), listen())).collect();
    held.iter().map(|(client, peer)| (port(client), port(peer))).collect()
}
