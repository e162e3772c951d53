//! Mailboxes of the lab as their owners see them: plain Maildirs. Deliberately not the product's own code for them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nix::sys::stat::Mode;
use tokio::time::Instant;

/// Pause between two looks while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Of a folder whose group shares what is in it, as in deploy/compose, where Submission, Delivery and owners are different users.
const SET_GROUP_ID: u32 = 0o2000;
/// A umask that keeps out everybody but the group.
const FOR_THE_GROUP: Mode = Mode::S_IRWXO;

/// One mailbox: where it is, and whose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mailbox {
    /// The server on which its database is active.
    pub(super) server: &'static str,
    /// The database.
    pub(super) database: &'static str,
    /// Its name, and the part of its address before the `@`.
    pub(super) name: &'static str,
}

impl Mailbox {
    fn databases(&self, lab: &Path) -> PathBuf {
        lab.join("servers").join(self.server).join("state/mailboxes")
    }

    fn maildir(&self, lab: &Path) -> PathBuf {
        self.databases(lab).join(self.database).join(self.name).join("Maildir")
    }

    /// Puts a message into the outbox, as a mail reader does: written aside, then moved in whole.
    pub(super) fn send(&self, lab: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
        if self.databases(lab).metadata().is_ok_and(|about| about.permissions().mode() & SET_GROUP_ID != 0) {
            nix::sys::stat::umask(FOR_THE_GROUP);
        }
        let outbox = self.maildir(lab).join(".Outbox");
        for folder in ["tmp", "new", "cur"] {
            std::fs::create_dir_all(outbox.join(folder))
                .with_context(|| format!("cannot make {}", outbox.display()))?;
        }
        let aside = outbox.join("tmp").join(name);
        std::fs::write(&aside, content)?;
        std::fs::rename(&aside, outbox.join("new").join(name)).context("cannot put a message into an outbox")
    }

    /// Waits until the inbox holds a message with all of `needles` in it.
    pub(super) async fn wait_for(&self, lab: &Path, needles: &[&str], deadline: Instant) -> anyhow::Result<()> {
        let inbox = self.maildir(lab);
        while !holds(&inbox, needles) {
            anyhow::ensure!(Instant::now() < deadline, "the inbox of {} has not got it", self.name);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

fn holds(inbox: &Path, needles: &[&str]) -> bool {
    let files = ["new", "cur"].into_iter().filter_map(|folder| std::fs::read_dir(inbox.join(folder)).ok()).flatten();
    let mut texts = files.flatten().filter_map(|file| std::fs::read(file.path()).ok());
    texts.any(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        needles.iter().all(|needle| text.contains(needle))
    })
}
