//! What a confined process cannot do, tried by one: this program once more, as a service of each kind.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use net::Service;
use nix::sys::signal::kill;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::getppid;
use runtime::Settings;
use runtime::confine::{Inmate, confine};

/// Says to the child who it is: folder and service.
const CHILD: &str = "CONFINED_CHILD";

fn settings(folder: &Path) -> Settings {
    let at = folder.display();
    let text = format!(
        "server = 'MAIL1'\nforest = 'contoso.com'\nstate = '{at}/state'\n[directory]\nkind = 'etcd'\n\
         endpoints = ['http://127.0.0.1:1']\n[identity]\npath = '{at}/identity'"
    );
    Settings::parse(&text, &folder.join("server.toml")).unwrap()
}

/// Yes, no, or what else went wrong.
fn outcome<T>(done: std::io::Result<T>) -> String {
    match done {
        Ok(_) => "yes".to_owned(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => "no".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// What is tried, by name.
fn attempts(folder: &Path, service: Service) -> Vec<(&'static str, String)> {
    let other = if service == Service::Transport { Service::FrontendTransport } else { Service::Transport };
    let key = |of: &str| folder.join("identity").join(of).join("key.pem");
    let in_state = |name: &str| folder.join("state").join(name);
    vec![
        ("own key", outcome(fs::read(key(service.as_str())))),
        ("another's key", outcome(fs::read(key(other.as_str())))),
        ("the organization's key", outcome(fs::read(folder.join("identity/organization.key")))),
        ("the key for SMTP", outcome(fs::read(key("smtp")))),
        ("write own key", outcome(fs::write(key(service.as_str()), "x"))),
        ("log", outcome(fs::write(in_state("logs/log"), "x"))),
        ("memory", outcome(fs::write(in_state("last-good/x.json"), "x"))),
        ("queue", outcome(fs::write(in_state("queue/segment"), "x"))),
        ("folder above the queue, synced", outcome(fs::File::open(in_state("")).and_then(|folder| folder.sync_all()))),
        ("mailbox", outcome(fs::create_dir_all(in_state("mailboxes/DB1/ann/new")))),
        ("file elsewhere", outcome(fs::write(folder.join("file"), "x"))),
        ("read elsewhere", outcome(fs::read(folder.join("secret")))),
        ("passwords of the system", outcome(fs::read("/etc/shadow"))),
        (
            "resolver",
            outcome(fs::read("/etc/resolv.conf").or_else(|error| match error.kind() {
                ErrorKind::NotFound => Ok(Vec::new()),
                _ => Err(error),
            })),
        ),
        ("program", outcome(Command::new("/bin/true").status())),
        ("raw packets", outcome(raw(AddressFamily::Packet))),
        ("connection", outcome(raw(AddressFamily::Inet6))),
        ("signal to another", outcome(kill(getppid(), None).map_err(Into::into))),
        ("another name", outcome(nix::unistd::chown(&folder.join("file"), None, None).map_err(Into::into))),
    ]
}

fn raw(family: AddressFamily) -> std::io::Result<()> {
    Ok(socket(family, SockType::Datagram, SockFlag::empty(), None).map(drop)?)
}

/// The child's part. Nothing unless it was called by the test below.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (folder, service) = told.rsplit_once('|').unwrap();
    let (folder, service) = (Path::new(folder), service.parse::<Service>().unwrap());
    let (settings, file) = (settings(folder), folder.join("server.toml"));
    let done = confine(&[Inmate { settings, file, services: vec![service] }]);
    for lacking in done.lacking {
        println!("RESULT lacking={lacking}");
    }
    for (what, outcome) in attempts(folder, service) {
        println!("RESULT {what}={outcome}");
    }
}

#[test]
fn a_confined_process_does_what_its_service_needs_and_nothing_else() {
    for service in
        [Service::FrontendTransport, Service::Transport, Service::MailboxSubmission, Service::MailboxDelivery]
    {
        let folder = tempfile::tempdir().unwrap();
        for of in Service::ALL.map(Service::as_str).into_iter().chain(["smtp"]) {
            let at = folder.path().join("identity").join(of);
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join("key.pem"), "key").unwrap();
        }
        fs::create_dir_all(folder.path().join("state/queue")).unwrap();
        fs::create_dir_all(folder.path().join("state/mailboxes")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(folder.path().join("identity/organization.key"), "key").unwrap();
        let told = format!("{}|{service}", folder.path().display());
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["child", "--exact", "--nocapture"]).env(CHILD, told).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let results: Vec<&str> =
            text.lines().filter_map(|line| line.split_once("RESULT ")).map(|(_, one)| one).collect();
        let (smtp, queue, mailbox) = match service {
            Service::FrontendTransport => ("yes", "no", "no"),
            Service::Transport => ("yes", "yes", "no"),
            _ => ("no", "no", "yes"),
        };
        let expected = [
            "own key=yes".to_owned(),
            "another's key=no".to_owned(),
            format!("the organization's key={queue}"),
            format!("the key for SMTP={smtp}"),
            "write own key=no".to_owned(),
            "log=yes".to_owned(),
            "memory=yes".to_owned(),
            format!("queue={queue}"),
            "folder above the queue, synced=yes".to_owned(),
            format!("mailbox={mailbox}"),
            "file elsewhere=no".to_owned(),
            "read elsewhere=no".to_owned(),
            "passwords of the system=no".to_owned(),
            "resolver=yes".to_owned(),
            "program=no".to_owned(),
            "raw packets=no".to_owned(),
            "connection=yes".to_owned(),
            "signal to another=no".to_owned(),
            "another name=no".to_owned(),
        ];
        // On a kernel that lacks something that is said, and what it lacks is not to be expected.
        if results.iter().any(|result| result.starts_with("lacking=")) {
            println!("{service}: {results:?}");
            continue;
        }
        assert_eq!(results, expected, "{service}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
