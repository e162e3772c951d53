//! The manifests of `deploy/k8s` are what Kubernetes takes, the chart is made of them, and what they lay out is what the program reads.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use integration::program;
use tempfile::TempDir;

/// What the script ends with where its tools cannot be had.
const NOT_CHECKED: i32 = 3;

#[test]
fn the_manifests_and_the_chart_are_valid_and_lay_out_what_services_read() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/k8s/check.sh");
    let output = Command::new(script).env("POSTROAD", program()).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NOT_CHECKED) {
        eprintln!("left out: {complained}");
        return;
    }
    assert!(output.status.success(), "{said}{complained}");
    for overlay in ["trying", "zones", "production"] {
        assert!(said.contains(&format!("{overlay}: ")), "{said}");
    }
}

/// The stand-in for Secrets, and a kubeconfig that leads to it.
struct Secrets {
    process: Child,
    folder: TempDir,
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Secrets {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/secrets.py");
        let mut process = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        let config = format!(
            "{{apiVersion: v1, kind: Config, current-context: x, users: [{{name: u, user: {{}}}}],\n\
             clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{}'}}}}],\n\
             contexts: [{{name: x, context: {{cluster: a, user: u, namespace: postroad}}}}]}}\n",
            port.trim()
        );
        std::fs::write(folder.path().join("kubeconfig"), config).unwrap();
        Self { process, folder }
    }

    /// `postroad cert cluster`, as the Job runs it; what it says.
    fn identities(&self, more: &[&str]) -> String {
        let mut command = Command::new(program());
        command
            .args(["cert", "cluster", "--forest", "contoso.example", "--server", "M1=m1.contoso.example"])
            .args(more);
        let output = command.env("KUBECONFIG", self.folder.path().join("kubeconfig")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The Job makes what is not there and leaves alone what counts: the authority above all, or every server would be cut off.
#[test]
fn identities_are_made_once_in_the_cluster_and_stay_until_they_end() {
    let cluster = Secrets::start();
    let first = cluster.identities(&[]);
    for name in
        ["m1-transport-tls", "m1-transport-etcd", "m1-smtp", "administrator-etcd", "controller-tls", "centre-tls"]
    {
        assert!(first.contains(name), "{first}");
    }
    let again = cluster.identities(&[]);
    assert!(again.contains("nothing was to be renewed; 15 stay as they are"), "{again}");
    // A server more, and the etcd: they alone.
    let more = cluster.identities(&["--server", "M2=m2.contoso.example", "--etcd", "etcd"]);
    assert!(more.contains("m2-admin-tls") && more.contains("etcd-tls") && !more.contains("m1-"), "{more}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Blocks of a page, with what stands behind the fence; those within lists too.
fn blocks(page: &str) -> Vec<(String, String)> {
    let (mut blocks, mut open): (Vec<(String, String)>, bool) = (Vec::new(), false);
    for line in page.lines() {
        let text = line.trim_start();
        match (text.strip_prefix("```"), open) {
            (Some(kind), false) => blocks.push((kind.to_owned(), String::new())),
            (Some(_), true) => {}
            (None, true) => {
                let (_, block) = blocks.last_mut().unwrap();
                block.push_str(text);
                block.push('\n');
                continue;
            }
            (None, false) => continue,
        }
        open = !open;
    }
    blocks
}

/// What is typed at the desk is typed here; what needs a cluster is marked by `$`, and names files that are there.
#[test]
fn what_the_page_types_at_a_desk_works_and_what_needs_a_cluster_says_so() {
    let page = std::fs::read_to_string(repository().join("docs/kubernetes.md")).unwrap();
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("left out: kubectl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository().join("deploy"), folder.path().join("deploy")).unwrap();
    let beside = program();
    let path = format!("{}:{}", beside.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let (mut typed, mut marked) = (0, 0);
    for (kind, block) in blocks(&page) {
        match kind.as_str() {
            "sh desk" => {
                let mut shell = Command::new("sh");
                shell
                    .args(["-ec", &block])
                    .current_dir(folder.path())
                    .env("PATH", &path)
                    .env_remove("POSTROAD_SETTINGS");
                let output = shell.output().unwrap();
                assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
                typed += 1;
            }
            "console" => {
                for file in block.split_whitespace().filter(|word| word.starts_with("deploy/")) {
                    assert!(repository().join(file).exists(), "{file}: {block}");
                }
                marked += 1;
            }
            other => panic!("a block {other:?} is neither typed nor marked"),
        }
    }
    assert!(typed >= 4 && marked >= 8, "{typed} {marked}");
}

/// Each alert has its place in the runbook, and what is typed there is typed elsewhere.
#[test]
fn each_alert_has_its_place_in_the_runbook_and_its_commands_are_tried() {
    let read = |name: &str| std::fs::read_to_string(repository().join(name)).unwrap();
    let (alerts, runbook) = (read("deploy/compose/prometheus/alerts.yml"), read("docs/runbook.md"));
    let alerts: BTreeSet<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let places: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alerts, places);
    let tried = read("docs/production.md") + &read("docs/debian.md");
    let commands = runbook.split('`').skip(1).step_by(2).filter(|text| text.starts_with("postroad "));
    for command in commands {
        assert!(tried.contains(command), "{command} is typed by no test");
    }
}
