//! Dovecot, a mail reader that is not ours, opens the mailboxes: reads what was delivered, and sends through the outbox.
//!
//! Its `imap` program speaks IMAP on standard input and output here: no port, no login, one private configuration in the
//! test's own directory. Where Dovecot is not installed the test says so and passes.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail like the test itself")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use envelope::{Address, MessageId};
use mailbox_store::{DeliveryId, DeliveryOutcome, MailboxDatabase, MailboxName, OutboxWatch};

const IMAP: &str = "/usr/lib/dovecot/imap";
/// Dovecot refuses to open mail as root, so a test that runs as root starts it as `nobody`.
const NOBODY: u32 = 65_534;

struct Dovecot {
    directory: tempfile::TempDir,
    as_root: bool,
}

impl Dovecot {
    /// `None` where it is not installed.
    fn new() -> Option<Self> {
        Path::new(IMAP).exists().then_some(())?;
        let directory = tempfile::tempdir().unwrap();
        let as_root = std::fs::metadata(directory.path()).unwrap().uid() == 0;
        Some(Self { directory, as_root })
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("database")
    }

    /// Runs IMAP commands in the mailbox of `user`; gives everything that Dovecot says.
    fn imap(&self, user: &str, commands: &[&str]) -> String {
        let home = self.directory.path();
        let configuration = home.join("dovecot.conf");
        let maildir = self.root().join(user).join("Maildir");
        let mut text = String::new();
        writeln!(text, "base_dir = {}\nlog_path = /dev/stderr\nssl = no", home.join("run").display()).unwrap();
        writeln!(text, "mail_location = maildir:{}", maildir.display()).unwrap();
        writeln!(text, "namespace inbox {{\n inbox = yes\n separator = /\n}}").unwrap();
        std::fs::write(&configuration, text).unwrap();
        let mut imap = Command::new(IMAP);
        imap.arg("-c").arg(&configuration).env_clear().env("HOME", home).env("USER", user);
        if self.as_root {
            give_to_nobody(home);
            imap.uid(NOBODY).gid(NOBODY);
        }
        imap.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = imap.spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        for (tag, command) in commands.iter().chain(&["LOGOUT"]).enumerate() {
            write!(input, "a{tag} {command}\r\n").unwrap();
        }
        drop(input);
        String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap()
    }
}

fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_to_nobody(&entry.unwrap().path()));
    }
}

#[tokio::test]
async fn dovecot_reads_deliveries_and_sends_through_the_outbox() {
    let Some(dovecot) = Dovecot::new() else {
        eprintln!("{IMAP} is not installed: nothing checked");
        return;
    };
    let database = MailboxDatabase::open(dovecot.root()).await.unwrap();
    let ann = MailboxName::parse("ann").unwrap();
    database.create_mailbox(&ann).await.unwrap();
    let mut writer = database.begin(b"Return-Path: <bob@fabrikam.com>\r\n").await.unwrap();
    writer.write(b"Subject: hello\r\n\r\nfirst line\r\nsecond line\r\n").await.unwrap();
    let content = writer.finish().await.unwrap();
    let id = DeliveryId::new(MessageId::from_bytes([1; 16]), &Address::parse("ann@contoso.com").unwrap());
    assert_eq!(content.deliver(&ann, id).await.unwrap(), DeliveryOutcome::Delivered);

    // Fetching marks it as read, which moves the file from `new` to `cur`.
    let seen = dovecot.imap("ann", &["LIST \"\" \"*\"", "SELECT INBOX", "FETCH 1:* (FLAGS BODY[])"]);
    for folder in ["Outbox", "Sent", "Failed"] {
        assert!(seen.contains(&format!("\"/\" {folder}")), "{folder}: {seen}");
    }
    let whole = "Return-Path: <bob@fabrikam.com>\r\nSubject: hello\r\n\r\nfirst line\r\nsecond line\r\n)";
    assert!(seen.contains("* 1 EXISTS") && seen.contains(whole), "{seen}");
    assert_eq!(content.deliver(&ann, id).await.unwrap(), DeliveryOutcome::AlreadyDelivered);
    let expunged = dovecot.imap("ann", &["SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"]);
    assert!(expunged.contains("* 1 EXISTS") && expunged.contains("* 1 EXPUNGE"), "{expunged}");
    let database = MailboxDatabase::open(dovecot.root()).await.unwrap(); // a restart
    let content = database.begin(b"").await.unwrap().finish().await.unwrap();
    assert_eq!(content.deliver(&ann, id).await.unwrap(), DeliveryOutcome::AlreadyDelivered);

    let mut watch = OutboxWatch::start(vec![database]).await.unwrap();
    let message = "To: bob@fabrikam.com\r\nSubject: answer\r\n\r\nyes\r\n";
    let append = format!("APPEND Outbox {{{}+}}\r\n{message}", message.len());
    dovecot.imap("ann", &[&append]);
    let item = watch.next().await.unwrap();
    let mut reader = item.open(std::sync::Arc::new(())).await.unwrap().unwrap();
    assert_eq!(reader.next_chunk().await.unwrap().unwrap(), message);
    item.sent(std::sync::Arc::new(())).await.unwrap();
    let sent = dovecot.imap("ann", &["STATUS Outbox (MESSAGES)", "SELECT Sent", "FETCH 1:* (FLAGS BODY.PEEK[])"]);
    assert!(sent.contains("Outbox (MESSAGES 0)") && sent.contains("* 1 EXISTS"), "{sent}");
    assert!(sent.contains("\\Seen") && sent.contains(message), "{sent}");
}
