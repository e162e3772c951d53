//! The hosts: one process each that holds its namespaces, on a switch.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use integration::program;
use tempfile::TempDir;

/// A block that has not ended by then waits for something that does not happen.
const BLOCK_TIME_MAX: &str = "120";

/// All of them, ended when dropped.
pub(crate) struct Hosts {
    /// The page that is followed.
    page: &'static str,
    /// Names as the page has them, the desk first; their addresses end in 1, 2, …
    names: &'static [&'static str],
    folder: TempDir,
    /// The switch, then the hosts in order, then what is outside.
    processes: Vec<Child>,
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/production")
}

fn address(at: usize) -> String {
    format!("10.66.0.{}", at + 1)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `nsenter` into namespaces of a process.
fn within(pid: u32, namespaces: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg("--target").arg(pid.to_string()).args(namespaces);
    command
}

impl Hosts {
    /// `None` for who is not root.
    pub(crate) fn start(page: &'static str, names: &'static [&'static str]) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("postroad-production-").tempdir().unwrap();
        std::fs::copy(program(), folder.path().join("postroad")).unwrap();
        let mut hosts = Self { page, names, folder, processes: Vec::new() };
        hosts.switch();
        for (at, name) in names.iter().enumerate() {
            hosts.host(at, name);
        }
        hosts.outside();
        Some(hosts)
    }

    fn switch(&mut self) {
        let switch =
            Command::new("unshare").args(["--net", "--kill-child", "--fork", "sleep", "infinity"]).spawn().unwrap();
        let pid = child_of(switch.id());
        self.processes.push(switch);
        run(within(pid, &["--net"]).args(["ip", "link", "add", "switch", "type", "bridge"]));
        run(within(pid, &["--net"]).args(["ip", "link", "set", "switch", "up"]));
    }

    fn host(&mut self, at: usize, name: &str) {
        let root = self.folder.path().join(name);
        for folder in ["root", "varlib", "bin", "run"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        // Services run as users of their own: they have to get through.
        for path in [self.folder.path(), &root] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        run(Command::new("cp").arg("-a").arg("/etc").arg(root.join("etc")));
        std::fs::remove_file(root.join("etc/resolv.conf")).unwrap_or_default();
        std::fs::write(root.join("etc/resolv.conf"), format!("nameserver {}\n", address(0))).unwrap();
        std::fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n").unwrap();
        std::fs::write(root.join("etc/mailname"), "contoso.example\n").unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        symlink(repository.join("deploy"), root.join("root/deploy")).unwrap();
        symlink(self.folder.path().join("postroad"), root.join("bin/postroad")).unwrap();
        for tool in ["systemctl", "scp"] {
            let at = root.join("bin").join(tool);
            std::fs::copy(here().join(tool), &at).unwrap();
            std::fs::set_permissions(at, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let setup = format!(
            "set -eu; hostname {name}; cd {root}; for pair in etc:/etc root:/root varlib:/var/lib bin:/usr/local/bin; do \
             mount --bind ${{pair%%:*}} ${{pair#*:}}; done; ip link set lo up; touch {root}/ready; exec sleep infinity",
            root = root.display()
        );
        let mut keeper = Command::new("unshare");
        keeper.args([
            "--mount",
            "--net",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            &setup,
        ]);
        self.processes.push(keeper.stdin(Stdio::null()).spawn().unwrap());
        let patience = Instant::now() + Duration::from_secs(20);
        while !root.join("ready").exists() {
            assert!(Instant::now() < patience, "{name} does not come up");
            std::thread::yield_now();
        }
        let (switch, own, port) = (child_of(self.processes[0].id()), self.pid(at), format!("port{at}"));
        run(within(switch, &["--net"])
            .args(["ip", "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns"])
            .arg(own.to_string()));
        run(within(switch, &["--net"]).args(["ip", "link", "set", &port, "master", "switch", "up"]));
        run(within(own, &["--net"]).args(["ip", "address", "add", &format!("{}/24", address(at)), "dev", "eth0"]));
        run(within(own, &["--net"]).args(["ip", "link", "set", "eth0", "up"]));
        // By it a server knows which of its addresses the others see.
        run(within(own, &["--net"]).args(["ip", "route", "add", "default", "via", &address(0), "dev", "eth0"]));
    }

    /// At the desk's address: name servers, and the provider's relay.
    fn outside(&mut self) {
        let names = self.names.iter().enumerate().map(|(at, name)| format!("{name}.contoso.example={}", address(at)));
        let mut outside = within(self.pid(0), &["--net"]);
        outside.arg("python3").arg(here().join("outside.py")).arg(address(0)).args(names);
        outside.arg(format!("relay.provider.example={}", address(0)));
        outside.arg("mx:fabrikam.example=relay.provider.example");
        self.processes.push(outside.spawn().unwrap());
    }

    /// The process that holds a host's namespaces.
    fn pid(&self, at: usize) -> u32 {
        child_of(self.processes[at + 1].id())
    }

    /// Types commands on a host, as root in `/root`.
    pub(crate) fn type_in(&self, host: &str, line: usize, text: &str) {
        let at = self.names.iter().position(|name| *name == host).unwrap();
        let mut shell = within(self.pid(at), &["--mount", "--net", "--uts", "--pid"]);
        shell.args(["--wdns=/root", "timeout", BLOCK_TIME_MAX, "bash", "-eu", "-c", text]);
        shell.env_clear().env("HOME", "/root").env("USER", "root");
        shell.env("PATH", "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin");
        shell.env("HOSTS", self.folder.path()).env("HOST_RUN", self.folder.path().join(host).join("run"));
        let started = Instant::now();
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("{:>5.1} s  {host}, line {line}\n{said}", started.elapsed().as_secs_f64());
        assert!(
            output.status.success(),
            "{}:{line} on {host} ends with {}:\n{text}\n{said}{}",
            self.page,
            output.status,
            self.logs()
        );
    }

    /// The last words of everything that runs.
    fn logs(&self) -> String {
        let mut text = String::new();
        for host in self.names {
            let logs = std::fs::read_dir(self.folder.path().join(host).join("run")).into_iter().flatten().flatten();
            for log in logs.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "log")) {
                let lines = std::fs::read_to_string(log.path()).unwrap_or_default();
                let last: Vec<&str> = lines.lines().rev().take(6).collect();
                text += &format!("\n{host} {}:\n", log.file_name().display());
                last.into_iter().rev().for_each(|line| text += &format!("  {line}\n"));
            }
        }
        text
    }
}

/// The only child of a process, once it is there.
fn child_of(pid: u32) -> u32 {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        if let Some(child) = children.split_whitespace().next() {
            return child.parse().unwrap();
        }
        assert!(Instant::now() < patience, "process {pid} has no child");
        std::thread::yield_now();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            // Whoever holds a namespace takes all processes in it along.
            let _ended = process.kill();
            let _waited = process.wait();
        }
    }
}
