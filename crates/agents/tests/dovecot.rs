//! The LMTP agent and a real Dovecot, which runs as a process of the test. That needs root, for its users and their rights;
//! without it, or without Dovecot's LMTP (Debian: dovecot-lmtpd), the test says so and passes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agents::Agent;
use agents::lmtp::{Lmtp, Place};
use bytes::Bytes;
use rpc::{AgentAnswer, AgentDelivery};
use tempfile::TempDir;

const DOVECOT: &str = "/usr/sbin/dovecot";
const LMTP: &str = "/usr/lib/dovecot/lmtp";
/// Whose the mailboxes are.
const NOBODY: u32 = 65_534;

struct Dovecot {
    process: Child,
    configuration: PathBuf,
    folder: TempDir,
}

impl Dovecot {
    /// With two mailboxes, `anna` and `full`, whose quota is nothing.
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let here = folder.path().display().to_string();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir(folder.path().join("mail")).unwrap();
        chown(folder.path().join("mail"), Some(NOBODY), Some(NOBODY)).unwrap();
        let users = format!(
            "anna@lists.example:::::{here}/mail/anna\nfull@lists.example:::::{here}/mail/full::userdb_quota_rule=*:bytes=1\n"
        );
        std::fs::write(folder.path().join("users"), users).unwrap();
        let configuration = folder.path().join("dovecot.conf");
        let text = format!(
            "base_dir = {here}/run\nstate_dir = {here}/run\nlog_path = /dev/stderr\nssl = no\nprotocols = lmtp\n\
             listen = 127.0.0.1\nfirst_valid_uid = 1\nmail_location = maildir:~/Maildir\nmail_uid = nobody\nmail_gid = nogroup\n\
             mail_plugins = quota\nplugin {{\n quota = count:User quota\n quota_vsizes = yes\n}}\n\
             service lmtp {{\n unix_listener lmtp {{\n  mode = 0666\n }}\n}}\nprotocol lmtp {{\n mail_plugins = quota\n}}\n\
             passdb {{\n driver = passwd-file\n args = {here}/users\n}}\nuserdb {{\n driver = passwd-file\n args = {here}/users\n}}\n"
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
        Self { process, configuration, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/lmtp")
    }

    /// What is new in somebody's inbox.
    fn inbox(&self, user: &str) -> Vec<String> {
        let new = self.folder.path().join("mail").join(user).join("Maildir/new");
        let entries = std::fs::read_dir(new).into_iter().flatten();
        entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It ends its children when it is asked to, not when it is killed.
        let _ = Command::new("/usr/bin/doveadm").arg("-c").arg(&self.configuration).arg("stop").status();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn dovecot_takes_mail_and_refuses_by_recipient() {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0);
    if !Path::new(LMTP).exists() || !is_root {
        eprintln!("left out: it needs root and Dovecot with LMTP");
        return;
    }
    let dovecot = Dovecot::start();
    let agent = Lmtp { place: Place::Socket(dovecot.socket()), host: "mail1.contoso.com".into() };
    let to = ["anna@lists.example", "nobody@lists.example", "full@lists.example"];
    let content = Bytes::from_static(b"From: ann@contoso.com\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n.a line\r\n..\r\n");
    let delivery = AgentDelivery {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        connector: "Lists".into(),
        sender: "ann@contoso.com".into(),
        recipients: to.iter().map(|address| ("SMTP".into(), (*address).into())).collect(),
        size: content.len() as u64,
        eight_bit_mime: true,
        smtputf8: false,
        trace: None,
    };
    let answers = agent.deliver(&delivery, content).await;
    let [anna, nobody, full] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(*anna, AgentAnswer::Delivered);
    assert!(matches!(nobody, AgentAnswer::Failed(reply) if reply.to_string().starts_with("550 5.1.1")), "{nobody:?}");
    assert!(matches!(full, AgentAnswer::Failed(_) | AgentAnswer::Later(_)), "{full:?}");
    let inbox = dovecot.inbox("anna");
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    let text = inbox[0].replace("\r\n", "\n");
    assert!(
        text.contains("Return-Path: <ann@contoso.com>") && text.ends_with("Subject: Grüße\n\n.a line\n..\n"),
        "{text}"
    );
}
