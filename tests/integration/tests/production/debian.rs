//! `docs/debian.md` as somebody follows it on a plain Debian server: a container with systemd, in which the package is installed, run,
//! upgraded under mail that waits, removed and purged. Beside it a container is everybody else: who sends, and the provider's
//! relay.
//!
//! Needs Docker; `POSTROAD_COMPOSE=off` leaves it out, as it does the other containers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use integration::program;
use tempfile::TempDir;

use crate::{Block, blocks};

const PAGE: &str = include_str!("../../../../docs/debian.md");
const IMAGE: &str = "postroad-debian:test";
const HOSTS: [&str; 2] = ["mail1", "outside"];
/// A block that has not ended by then waits for something that does not happen.
const BLOCK_TIME_MAX: &str = "90";
const ADVICE: &str = "POSTROAD_COMPOSE=off leaves this test out";
/// The versions that the page installs.
const VERSIONS: [&str; 2] = ["0.1.0", "0.2.0"];
/// What systemd needs that Docker does not give by itself, to make the namespaces of its units. The host's devices and control
/// groups stay the host's.
const RIGHTS: [&str; 9] = [
    "--cap-add=SYS_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp",
    "--env=container=docker",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}; {ADVICE}"));
    assert!(output.status.success(), "{command:?}: {}\n{ADVICE}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments))
}

/// Both containers, taken away when dropped.
struct Machines {
    name: String,
    packages: TempDir,
    started: Instant,
}

impl Machines {
    fn start() -> Self {
        let started = Instant::now();
        let machines = Self {
            name: format!("postroad-debian-{}", std::process::id()),
            packages: tempfile::tempdir().unwrap(),
            started,
        };
        run(Command::new(root().join("deploy/docker/base.sh")).arg("postroad-base:bookworm"));
        let context = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/production/debian");
        docker(&["build", "--quiet", "--tag", IMAGE, context.to_str().unwrap()]);
        machines.report("image");
        std::thread::scope(|scope| {
            for version in VERSIONS {
                let mut build = Command::new(root().join("deploy/debian/build.sh"));
                // Compressed it would be the same package after a longer time.
                build.env("COMPRESS", "none").arg(program()).arg(machines.packages.path()).arg(version);
                scope.spawn(move || run(&mut build));
            }
        });
        machines.report("packages");
        docker(&["network", "create", &machines.name]);
        machines.container("outside", "relay.provider.example", &["--entrypoint=/bin/sleep"], &["infinity"]);
        machines.container("mail1", "mail1.contoso.example", &RIGHTS, &[]);
        machines
    }

    fn container(&self, host: &str, known_as: &str, options: &[&str], arguments: &[&str]) {
        let name = self.of(host);
        let mut all = vec!["run", "--detach", "--name", &name, "--network", &self.name, "--network-alias", known_as];
        all.extend(["--hostname", known_as]);
        all.extend(options);
        all.push(IMAGE);
        all.extend(arguments);
        docker(&all);
    }

    /// The container of a host.
    fn of(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    fn report(&self, what: &str) {
        println!("{:>6.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    /// A package as somebody copies it to the server.
    fn copy(&self, version: &str) {
        for file in std::fs::read_dir(self.packages.path()).unwrap().flatten() {
            if file.file_name().to_string_lossy().contains(version) {
                docker(&["cp", file.path().to_str().unwrap(), &format!("{}:/root/", self.of("mail1"))]);
            }
        }
    }

    fn try_on(&self, host: &str, text: &str) -> Output {
        let mut docker = Command::new("docker");
        docker.args(["exec", "--workdir", "/root", "--env", "DEBIAN_FRONTEND=noninteractive", &self.of(host)]);
        docker.args(["timeout", BLOCK_TIME_MAX, "bash", "-eu", "-c", text]).stdin(Stdio::null()).output().unwrap()
    }

    /// What a command says on a host; it has to succeed.
    fn on(&self, host: &str, text: &str) -> String {
        let output = self.try_on(host, text);
        assert!(output.status.success(), "on {host}:\n{text}\n{}{}", said(&output), self.journal());
        said(&output)
    }

    /// Types a block of the page; what it says.
    fn type_in(&self, block: &Block<'_>) -> String {
        let mut all = String::new();
        for host in &block.hosts {
            let output = self.try_on(host, block.text);
            let (said, line) = (said(&output), block.line);
            self.report(&format!("{host}, line {line}\n{said}"));
            assert!(
                output.status.success(),
                "docs/debian.md:{line} on {host}:\n{}\n{said}{}",
                block.text,
                self.journal()
            );
            all += &said;
        }
        all
    }

    fn journal(&self) -> String {
        said(&self.try_on("mail1", "journalctl --no-pager --lines 60; systemctl --no-pager --failed"))
    }

    fn relay(&self, runs: bool) {
        let command = "kill $(cat /relay.pid)";
        if runs {
            docker(&["exec", "--detach", &self.of("outside"), "sh", "-c", "echo $$ >/relay.pid; exec relay.pl /taken"]);
        } else {
            self.on("outside", command);
        }
    }

    /// A message that waits, because the relay is away; it has been tried when this returns.
    async fn wait_for_the_relay(&self, subject: &str) {
        let send = format!(
            "printf 'From: anna@contoso.example\\nSubject: {subject}\\n\\nhello\\n' >waiting; curl --silent --show-error --crlf \
             --ssl-reqd --cacert /etc/postroad/identity/ca.pem --user \"anna@contoso.example:$(cat anna.password)\" \
             smtp://mail1.contoso.example:587 --mail-from anna@contoso.example --mail-rcpt clerk@fabrikam.example \
             --upload-file waiting"
        );
        self.on("mail1", &send);
        testkit::until("the message waits for the relay", async || {
            let queue = self.on("mail1", "postroad queue --messages");
            (queue.contains(subject) && queue.contains("Retry")).then_some(())
        })
        .await;
    }
}

impl Machines {
    async fn arrives(&self, subject: &str) {
        testkit::until("the relay has the message", async || {
            self.on("mail1", "postroad queue retry --all");
            self.try_on("outside", &format!("grep -q 'Subject: {subject}' /taken")).status.success().then_some(())
        })
        .await;
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for host in HOSTS {
            let _gone = Command::new("docker").args(["rm", "--force", "--volumes", &self.of(host)]).output();
        }
        let _gone = Command::new("docker").args(["network", "rm", &self.name]).output();
    }
}

#[test]
fn every_command_of_the_debian_page_is_for_a_host() {
    let blocks = blocks(PAGE);
    assert!(blocks.len() > 12, "the page has lost its commands");
    for Block { hosts, line, .. } in &blocks {
        assert!(hosts.iter().all(|host| HOSTS.contains(host)), "line {line}: {hosts:?}");
    }
    // The one for the builder's machine.
    assert_eq!(PAGE.matches("```").count(), (blocks.len() + 1) * 2, "a block is for no host, and nobody runs it");
    assert_eq!(PAGE.matches("```console").count(), 1);
}

#[tokio::test]
async fn the_package_is_installed_upgraded_under_mail_and_removed() {
    if std::env::var("POSTROAD_COMPOSE").is_ok_and(|value| value == "off") {
        return eprintln!("left out: POSTROAD_COMPOSE=off");
    }
    let machines = Machines::start();
    testkit::until("systemd is up in the container", async || {
        let state = said(&machines.try_on("mail1", "systemctl is-system-running || true"));
        ["running", "degraded"].contains(&state.trim()).then_some(())
    })
    .await;
    machines.copy(VERSIONS[0]);
    machines.relay(true);
    let blocks = blocks(PAGE);
    let section = |heading: &str| {
        let line = PAGE.lines().position(|text| text == heading).unwrap();
        blocks.partition_point(|block| block.line < line)
    };
    let (upgrade, removal) = (section("## Upgrade"), section("## Removal"));
    blocks[..upgrade].iter().for_each(|block| drop(machines.type_in(block)));
    machines.on("outside", "grep -q 'Subject: an answer' /taken");
    what_was_installed(&machines);
    upgraded_under_mail(&machines, &blocks[upgrade..removal]).await;
    removed_and_purged(&machines, &blocks[removal..]).await;
    machines.report("done");
}

/// What no command of the page shows.
fn what_was_installed(machines: &Machines) {
    for file in [
        "man/man1/postroad.1.gz",
        "man/man1/postroad-queue-retry.1.gz",
        "bash-completion/completions/postroad",
        "zsh/vendor-completions/_postroad",
        "fish/vendor_completions.d/postroad.fish",
        "doc/postroad/debian.md",
        "doc/postroad/copyright",
    ] {
        machines.on("mail1", &format!("test -s /usr/share/{file}"));
    }
    let capabilities = "for service in $(systemctl list-units --plain --no-legend 'postroad@*.service' | cut -d' ' -f1); do \
        grep -E '^Cap(Eff|Bnd)' /proc/$(systemctl show --value --property MainPID $service)/status; done";
    let capabilities = machines.on("mail1", capabilities);
    assert_eq!(capabilities.lines().count(), 12, "{capabilities}");
    assert!(capabilities.lines().all(|line| line.ends_with("\t0000000000000000")), "{capabilities}");
    // In tenths: 2.0.
    let exposed = "for service in frontend-transport transport mailbox-submission mailbox-delivery admin admin-centre; do \
        systemd-analyze security --no-pager --offline=true --threshold=20 postroad@$service.service; done";
    machines.on("mail1", exposed);
    let verified =
        machines.on("mail1", "systemd-analyze verify postroad@transport.service postroad@admin-centre.service postroad@frontend-transport.socket");
    assert_eq!(verified, "", "systemd has nothing to say about the units");
    let reloaded = "systemctl reload postroad@transport; \
        until journalctl --unit postroad@transport | grep 'read anew: '; do sleep 1; done";
    machines.on("mail1", reloaded);
    let writable = machines.on(
        "mail1",
        "find / -xdev -user postroad -not -path '/proc/*' | sed -E 's|(/[^/]+/[^/]+/[^/]+).*|\\1|' | sort -u",
    );
    assert!(
        writable.lines().all(|path| path.starts_with("/var/lib/postroad") || path.starts_with("/etc/postroad")),
        "{writable}"
    );
}

/// Mail that waits is there afterwards, who comes meanwhile is not refused, and what was set stays.
async fn upgraded_under_mail(machines: &Machines, blocks: &[Block<'_>]) {
    machines.relay(false);
    machines.wait_for_the_relay("waits through the upgrade").await;
    machines.copy(VERSIONS[1]);
    let knock = "touch /knocking; while [ -e /knocking ]; do (exec 3<>/dev/tcp/mail1.contoso.example/25 && \
        read -r -t 60 line <&3 && echo \"$line\" | cut -c1-3) >>/knocks 2>&1 || echo refused >>/knocks; done";
    docker(&["exec", "--detach", &machines.of("outside"), "bash", "-c", knock]);
    let [upgrade, back] = blocks else { panic!("the upgrade, and the way back") };
    for (block, version) in [(upgrade, VERSIONS[1]), (back, VERSIONS[0])] {
        machines.type_in(block);
        let there =
            machines.on("mail1", "dpkg-query --show postroad; grep -c '^submissions' /etc/postroad/server.toml");
        assert!(there.contains(version) && there.trim_end().ends_with("\n1"), "{there}");
        let queue = machines.on("mail1", "postroad queue --messages");
        assert!(queue.contains("waits through the upgrade"), "{queue}");
    }
    let knocks = machines.on("outside", "rm /knocking; cat /knocks");
    assert!(knocks.lines().count() > 20, "nobody came meanwhile: {knocks}");
    // 421: who had come in when it ended was sent away, and comes again.
    assert!(knocks.lines().all(|line| ["220", "421"].contains(&line)), "{knocks}");
    machines.report(&format!("{} came meanwhile", knocks.lines().count()));
    machines.relay(true);
    machines.arrives("waits through the upgrade").await;
    machines.on("mail1", "grep -rqs 'Subject: from outside' /var/lib/postroad/mailboxes/DB1/anna/Maildir");
}

/// A removal says what waits, and a purge keeps it; where there is no mail it leaves nothing.
async fn removed_and_purged(machines: &Machines, blocks: &[Block<'_>]) {
    machines.relay(false);
    machines.wait_for_the_relay("waits through the removal").await;
    let [removal, purge, end] = blocks else { panic!("removal, purge, and when nobody needs the mail") };
    let said = machines.type_in(removal);
    assert!(said.contains("messages in the queue: 1."), "{said}");
    machines.relay(true);
    machines.arrives("waits through the removal").await;
    machines.relay(false);
    machines.wait_for_the_relay("waits through the purge").await;
    let said = machines.type_in(purge);
    assert!(said.contains("messages in the queue: 1.") && said.contains("KEPT"), "{said}");
    machines.on("mail1", "test -s /etc/postroad/identity/organization.key; test ! -e /etc/postroad/server.toml");
    // With the settings again it would go on: the message is there.
    machines.type_in(end);
    let package = format!("./postroad_{}_*.deb", VERSIONS[1]);
    let again = machines.on("mail1", &format!("apt-get install -y {package}; apt-get purge -y postroad"));
    assert!(!again.contains("KEPT"), "{again}");
    let left = "ls -d /var/lib/postroad* /etc/postroad* /etc/systemd/system/*.wants/postroad@* 2>/dev/null || true";
    assert_eq!(machines.on("mail1", left), "", "a purge without mail leaves nothing");
}
