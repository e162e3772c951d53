//! The containers: built from the program under test, started with addresses and ports of their own, asked, and taken away
//! again whatever becomes of the test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use integration::{Counts, program};
use parking_lot::Mutex;
use telemetry::probe;

/// With the network's number: neither the containers of `make up` nor those of another run.
const PROJECT: &str = "postroad-test";
/// An engine under load may count an endpoint that it has removed, and then keeps the empty network until it is restarted
/// (seen with 20.10).
const LEAKED_ENDPOINT: &str = "has active endpoints";
const TAG: &str = "test";
/// Networks of the containers are looked for from here on.
const FIRST_NETWORK: u8 = 120;

/// What waits for minutes in production waits for a second here: goes in the place of every server's thresholds for a laptop.
const QUICK: &str = "transport: {queueGlitchRetryInterval: 00:00:01, transientFailureRetryInterval: 00:00:01, \
    outboundConnectionFailureRetryInterval: 00:00:01, messageRetryInterval: 00:00:01, \
    mailboxDeliveryQueueRetryInterval: 00:00:01, resolverRetryInterval: 00:00:01}";

/// What the file of the organization does not have, because `compose.sh up` has brought it in: the Edge server, and its connectors.
const LEAVE: &str = "--leave servers,sendConnectors,receiveConnectors";

/// BERLIN2's Transport keeps its queue on a small disk; `tools` holds it, so that it stays when Transport is away. So it does with
/// what etcd's members keep: they die as processes here, and a disk that others keep busy for seconds would end their quorum.
const DISKS: &str = "
services:
  berlin2-transport: {volumes: ['small-disk:/var/lib/postroad/queue']}
  tools: {volumes: ['small-disk:/volumes/1', 'etcd1:/volumes/2', 'etcd2:/volumes/3', 'etcd3:/volumes/4']}
volumes:
  small-disk: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=192m,uid=10202,gid=10202,mode=0700'}}
  etcd1: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=256m,uid=10501,gid=10501,mode=0700'}}
  etcd2: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=256m,uid=10502,gid=10502,mode=0700'}}
  etcd3: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=256m,uid=10503,gid=10503,mode=0700'}}
";
/// Whose it is.
pub(crate) const SMALL_DISK_USER: &str = "10202";

pub(crate) const SERVICES: [&str; 4] = ["frontend-transport", "transport", "mailbox-submission", "mailbox-delivery"];
pub(crate) const SERVERS: [Server; 4] = [
    Server { name: "berlin1", site: 101, first: 0 },
    Server { name: "berlin2", site: 101, first: 64 },
    Server { name: "oslo1", site: 102, first: 0 },
    Server { name: "oslo2", site: 102, first: 64 },
];

/// Members of the directory.
pub(crate) const ETCD: [&str; 3] = ["etcd1", "etcd2", "etcd3"];

/// One server: its name in the names of its containers, and where their addresses begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub name: &'static str,
    site: u8,
    first: u8,
}

impl Server {
    /// Which site it is in.
    pub(crate) fn site(self) -> u8 {
        self.site
    }
}

/// The running containers; those of a test that fails are taken away as well, after their logs were shown.
#[derive(Clone)]
pub(crate) struct Stack {
    network: u8,
    override_file: PathBuf,
    started: Instant,
    /// Which container is whose, once it was looked for: it stays the same when it is ended and started.
    containers: Arc<Mutex<HashMap<String, String>>>,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A command of this machine to its end, while everything else goes on.
async fn run(mut command: Command) -> Output {
    let shown = format!("{command:?}");
    let ended = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    ended.unwrap_or_else(|error| panic!("{shown}: {error}"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Stack {
    /// Builds the images and starts everything.
    pub(crate) async fn up() -> Self {
        let started = Instant::now();
        let file = std::env::temp_dir().join(format!("{PROJECT}-{}.yaml", std::process::id()));
        std::fs::write(&file, DISKS).unwrap();
        let stack = Self { network: free_network(), override_file: file, started, containers: Arc::default() };
        let check = stack.compose(&["check"]).await;
        assert!(check.status.success(), "{}\nPOSTROAD_COMPOSE=off leaves this test out", said(&check));
        let mut image = Command::new(root().join("deploy/docker/image.sh"));
        image.arg(program()).arg(TAG);
        let built = run(image).await;
        assert!(built.status.success(), "{}\nPOSTROAD_COMPOSE=off leaves this test out", said(&built));
        stack.report("images");
        let up = stack.compose(&["up"]).await;
        if !up.status.success() {
            let said = said(&up);
            stack.give_up();
            panic!("{said}\nPOSTROAD_COMPOSE=off leaves this test out");
        }
        stack
    }

    /// Takes everything away, volumes too.
    pub(crate) async fn down(self) {
        let down = self.compose(&["down", "all"]).await;
        assert!(down.status.success() || said(&down).contains(LEAKED_ENDPOINT), "{}", said(&down));
        let _gone = run(self.forget_program()).await;
        self.report("down");
        let _gone = std::fs::remove_file(&self.override_file);
    }

    /// Says how far the test is.
    pub(crate) fn report(&self, what: &str) {
        println!("{:>6.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    /// Keeps the logs and takes everything away, from wherever the test has failed.
    pub(crate) fn give_up(&self) {
        let logs = std::env::temp_dir().join(format!("{PROJECT}-{}.log", std::process::id()));
        let status = self.command(&["status"]).output().map(|output| said(&output)).unwrap_or_default();
        eprintln!("{status}\nThe logs of the containers: {}", logs.display());
        if let Ok(file) = std::fs::File::create(&logs) {
            let _kept =
                self.command(&["logs", "--no-color", "--timestamps"]).stdout(file).stderr(Stdio::null()).status();
        }
        let _gone = self.command(&["down", "all"]).output();
        let _gone = self.forget_program().output();
        let _gone = std::fs::remove_file(&self.override_file);
    }

    /// The image of the program is of this build alone; those beside it stay for the next test.
    fn forget_program(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.args(["image", "rm", &self.image("postroad")]);
        docker
    }

    /// `compose.sh` with these arguments, on these containers.
    pub(crate) async fn compose(&self, arguments: &[&str]) -> Output {
        run(self.command(arguments)).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(root().join("deploy/compose/compose.sh"));
        command
            .args(arguments)
            .env("COMPOSE_PROJECT_NAME", self.project())
            .env("POSTROAD_COMPOSE_FILE", &self.override_file)
            .env("COMPOSE_PROFILES", "monitoring")
            .env("PERIMETER", "1")
            .env("EDGE1_SMTP", "0")
            .env("PROMETHEUS_PORT", "0")
            .env("CENTRE_PORT", "0");
        command.env("POSTROAD_NETWORK", format!("10.{}", self.network));
        for (variable, image) in [
            ("POSTROAD_IMAGE", "postroad"),
            ("POSTROAD_ETCD_IMAGE", "postroad-etcd"),
            ("POSTROAD_ROUTER_IMAGE", "postroad-router"),
            ("POSTROAD_PROMETHEUS_IMAGE", "postroad-prometheus"),
        ] {
            command.env(variable, self.image(image));
        }
        for server in SERVERS {
            // Any free port: nobody uses it, the test speaks to the containers themselves.
            let name = server.name.to_uppercase();
            command.env(format!("{name}_SMTP"), "0").env(format!("{name}_CLIENTS"), "0");
        }
        command
    }

    /// `docker` with these arguments; what it printed. `@name` stands for the container of a service.
    pub(crate) async fn docker(&self, arguments: &[&str]) -> String {
        let output = self.try_docker(arguments).await;
        assert!(output.status.success(), "docker {arguments:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) async fn try_docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        for argument in arguments {
            match argument.strip_prefix('@') {
                // Compose v1 puts `_` between the parts of a name, v2 `-`; a stopped container has to be found as well.
                Some(service) => docker.arg(self.container(service).await),
                None => docker.arg(argument),
            };
        }
        run(docker).await
    }

    /// A shell command on this machine; what it printed.
    pub(crate) async fn on_this_machine(&self, text: String) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-c", &text]);
        said(&run(shell).await)
    }

    fn project(&self) -> String {
        format!("{PROJECT}-{}", self.network)
    }

    async fn container(&self, service: &str) -> String {
        if let Some(known) = self.containers.lock().get(service) {
            return known.clone();
        }
        let of_project = format!("label=com.docker.compose.project={}", self.project());
        let of_service = format!("label=com.docker.compose.service={service}");
        let mut docker = Command::new("docker");
        docker.args(["ps", "--all", "--quiet", "--filter", &of_project, "--filter", &of_service]);
        let found = run(docker).await;
        let id = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        assert!(!id.is_empty(), "there is no container of {service}");
        self.containers.lock().insert(service.to_owned(), id.clone());
        id
    }

    /// A shell command in `tools`; what it printed.
    pub(crate) async fn tools(&self, command: &str) -> String {
        self.docker(&["exec", "@tools", "sh", "-c", command]).await
    }

    /// `link …` in the router.
    pub(crate) async fn link(&self, arguments: &[&str]) {
        self.docker(&[&["exec", "@router", "link"], arguments].concat()).await;
    }

    /// Applies the same organization with short retry intervals, as an administrator does: while mail flows.
    pub(crate) async fn retry_quickly(&self) {
        let thresholds = "/^ +(backPressure|databaseUsedSpace):/d";
        let edit =
            format!("sed -E 's/transport: [*&]laptop/{QUICK}/; {thresholds}' /lab/organization.yaml > /tmp/quick.yaml");
        self.tools(&format!("{edit} && postroad apply /tmp/quick.yaml --yes {LEAVE}")).await;
        self.everybody_is_current().await;
    }

    /// Changes what says nothing to mail, as an administrator does.
    pub(crate) async fn change(&self) {
        let edit = format!("s/^  - name: Internet$/&\\n    comment: at {} ms/", self.started.elapsed().as_millis());
        let apply = format!("postroad apply /tmp/changed.yaml --yes {LEAVE}");
        self.tools(&format!("sed '{edit}' /tmp/quick.yaml > /tmp/changed.yaml && {apply}")).await;
    }

    /// Revision of the directory.
    pub(crate) async fn revision(&self) -> u64 {
        let servers = self.tools("postroad servers --json").await;
        let number = servers.split("\"directoryRevision\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no revision: {servers}"))
    }

    /// Waits until every service works by the configuration of now.
    pub(crate) async fn everybody_is_current(&self) {
        testkit::until("every service works by the new configuration", async || {
            let servers = self.tools("postroad servers --json").await;
            let current = servers.matches("\"current\":true").count();
            // The admin service too.
            (current == SERVERS.len() * SERVICES.len() + 1).then_some(())
        })
        .await;
    }

    /// Where a port of a service is.
    pub(crate) fn address(&self, server: Server, service: &str, port: u16) -> SocketAddr {
        let at = SERVICES.iter().position(|name| *name == service).expect("a service");
        // Eight addresses for each service's network; its own is the third.
        let last = server.first + 10 + 8 * u8::try_from(at).expect("one of four");
        SocketAddr::from(([10, self.network, server.site, last], port))
    }

    /// An address of the containers, by its last two octets.
    pub(crate) fn within(&self, last: &str) -> String {
        format!("10.{}.{last}", self.network)
    }

    /// The name of an image under test.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{name}:{TAG}")
    }

    /// Where Prometheus answers.
    pub(crate) fn prometheus(&self) -> SocketAddr {
        SocketAddr::from(([10, self.network, 103, 42], 9090))
    }

    /// Whether a service says that it is ready; its reason if not.
    pub(crate) async fn ready(&self, server: Server, service: &str) -> Result<(), String> {
        let answer = probe::ask(self.metrics_address(server, service), "/ready").await;
        match answer {
            Ok(answer) if answer.is_good() => Ok(()),
            Ok(answer) => Err(answer.body.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn wait_until_ready(&self, server: Server, service: &str) {
        testkit::until(&format!("{} of {} ready", service, server.name), async || {
            self.ready(server, service).await.ok()
        })
        .await;
    }

    fn metrics_address(&self, server: Server, service: &str) -> SocketAddr {
        let port = match service {
            "frontend-transport" => 9717,
            "transport" => 9525,
            "mailbox-submission" => 9476,
            _ => 9475,
        };
        self.address(server, service, port)
    }

    /// What a server's Transport counts.
    pub(crate) async fn counts(&self, server: Server) -> Counts {
        let counts = Counts::ask(self.metrics_address(server, "transport")).await;
        counts.unwrap_or_else(|error| panic!("{}: {error}", server.name))
    }
}

/// The first network 10.n that no interface of this machine is in.
fn free_network() -> u8 {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    // Addresses stand there in the order of the machine's octets.
    let taken = |octet: &u8| routes.lines().any(|line| line.to_uppercase().contains(&format!("{octet:02X}0A\t")));
    (FIRST_NETWORK..250).find(|octet| !taken(octet)).expect("some network of 10.0.0.0/8 is free")
}
