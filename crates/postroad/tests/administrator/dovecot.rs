//! The passwd-file of `postroad export` in a real Dovecot: the same people, the same passwords, their own mailboxes.
//!
//! Dovecot runs as a process of the test, with a configuration, folders and a port of its own. That needs root, for its users
//! and their rights; without it, or without Dovecot, the test says so and passes.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::Desk;

const DOVECOT: &str = "/usr/sbin/dovecot";
/// Whose the mailboxes are.
const NOBODY: u32 = 65_534;

struct Dovecot {
    process: Child,
    configuration: PathBuf,
    port: u16,
}

impl Dovecot {
    /// With what `docs/ldap.md` says to write, and where this test has its files. Who is refused does not wait: Dovecot would
    /// let each one wait longer than the one before him, up to 17 seconds.
    fn start(folder: &Path) -> Self {
        let here = folder.display();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ldap.md")).unwrap();
        let (_, rest) = page.split_once("```text\n# /etc/dovecot/conf.d/postroad.conf\n").unwrap();
        let (documented, _) = rest.split_once("```").unwrap();
        let documented = documented.replace("/etc/dovecot/postroad.users", &format!("{here}/users"));
        let documented = documented.replace("mail_uid = postroad", "mail_uid = nobody");
        let documented = documented.replace("mail_gid = postroad", "mail_gid = nogroup");
        let configuration = folder.join("dovecot.conf");
        let text = format!(
            "base_dir = {here}/run\nstate_dir = {here}/run\nlog_path = /dev/stderr\nssl = no\nprotocols = imap\n\
             listen = 127.0.0.1\nfirst_valid_uid = 1\n\
             auth_failure_delay = 0\nservice anvil {{\n unix_listener anvil-auth-penalty {{\n  mode = 0\n }}\n}}\n\
             service imap-login {{\n inet_listener imap {{\n  port = {port}\n }}\n inet_listener imaps {{\n  port = 0\n }}\n}}\n\
             {documented}"
        );
        std::fs::write(&configuration, text).unwrap();
        let mut process = Command::new(DOVECOT);
        process
            .arg("-F")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = process.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let started = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.contains("starting up"))
        });
        assert!(started, "{said:#?}");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, configuration, port }
    }

    /// Whether Dovecot lets somebody in.
    fn lets_in(&self, user: &str, password: &str) -> bool {
        let mut doveadm = Command::new("/usr/bin/doveadm");
        doveadm.arg("-c").arg(&self.configuration).args(["auth", "test", user, password]);
        doveadm.output().unwrap().status.success()
    }

    /// What a mail reader of somebody sees in INBOX.
    fn inbox(&self, user: &str, password: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let mut seen = lines.next().unwrap();
        for (tag, command) in
            [("a", format!("LOGIN {user} {password}")), ("b", "SELECT INBOX".into()), ("c", "FETCH 1:* BODY[]".into())]
        {
            write!(stream, "{tag} {command}\r\n").unwrap();
            for line in lines.by_ref() {
                seen.push_str(&format!("{line}\n"));
                if line.starts_with(&format!("{tag} ")) {
                    break;
                }
            }
        }
        seen
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It ends its children when it is asked to, not when it is killed.
        let mut doveadm = Command::new("/usr/bin/doveadm");
        let _ = doveadm.arg("-c").arg(&self.configuration).arg("stop").status();
        let _ = self.process.wait();
    }
}

#[test]
fn dovecot_shares_names_passwords_and_places() {
    if !Path::new(DOVECOT).exists() || !nix::unistd::Uid::effective().is_root() {
        eprintln!("{DOVECOT} is not installed, or this is not root: nothing checked");
        return;
    }
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    let users = desk.path("users");
    // As an administrator makes it, for Dovecot to read.
    std::fs::write(&users, "").unwrap();
    std::fs::set_permissions(&users, std::fs::Permissions::from_mode(0o644)).unwrap();
    let state = desk.path("state");
    let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
    desk.write("server.toml", &settings.replace("state = 'state'", &format!("state = '{}'", state.display())));
    desk.done("export --settings server.toml --passwd-file users");
    assert_eq!(users.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    desk.done("export --settings server.toml --passwd-file new-users");
    assert_eq!(desk.path("new-users").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let maildir = state.join("mailboxes/DB1/anna/Maildir");
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(maildir.join(name)).unwrap();
    }
    std::fs::write(maildir.join("new/1.a.b"), "Subject: hello\n\nfirst line\n").unwrap();
    open_to_nobody(desk.path("").as_path(), &state.join("mailboxes/DB1/anna"));

    let dovecot = Dovecot::start(&desk.path(""));
    assert!(dovecot.lets_in("anna", "battery") && dovecot.lets_in("A.Berg@contoso.example", "battery"));
    for (user, password) in
        [("anna", "batter"), ("anna", ""), ("olga", ""), ("olga", "!"), ("carol@contoso.example", "battery")]
    {
        assert!(!dovecot.lets_in(user, password), "{user} {password}");
    }
    let seen = dovecot.inbox("a.berg@contoso.example", "battery");
    assert!(seen.contains("* 1 EXISTS") && seen.contains("first line"), "{seen}");

    // A verifier that Dovecot made is one of ours, and a new password is there with the next export.
    let made = Command::new("/usr/bin/doveadm").args(["pw", "-s", "ARGON2ID", "-p", "staple"]).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let organization = crate::support::ORGANIZATION
        .replace("password: battery", &format!("password: {{verifier: '{}'}}", made.trim()));
    desk.write("contoso.yaml", &organization);
    desk.done("apply contoso.yaml --settings server.toml --yes");
    desk.done("export --settings server.toml --passwd-file users");
    // Dovecot looks at the file once in a second, and knows its time in seconds: it may have read the one before in this one.
    let written = std::fs::File::options().write(true).open(&users).unwrap();
    written.set_modified(written.metadata().unwrap().modified().unwrap() + Duration::from_secs(2)).unwrap();
    while !dovecot.lets_in("anna", "staple") {}
    assert!(!dovecot.lets_in("anna", "battery"));
}

/// Dovecot reads mail as nobody: down to the mailbox everybody may go, and it is its own.
fn open_to_nobody(from: &Path, mailbox: &Path) {
    for folder in mailbox.ancestors().skip(1).take_while(|folder| folder.starts_with(from)) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut folders = vec![mailbox.to_owned()];
    while let Some(path) = folders.pop() {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}
