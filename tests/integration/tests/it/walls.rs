//! What a server keeps is nobody else's, and its services have given up what they do not need.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use net::Service;

use crate::support::{Lab, ONE_SERVER, submit_from_outside, test_message};

/// Everything below a folder that group or others may read, write or enter.
fn wider(folder: &Path) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = left.pop() {
        let about = at.symlink_metadata().unwrap();
        // A socket is for whom the folders above it let through.
        if about.is_symlink() || about.file_type().is_socket() {
            continue;
        }
        if about.permissions().mode() & 0o077 != 0 {
            found.push(format!("{:04o} {}", about.permissions().mode() & 0o7777, at.display()));
        }
        if about.is_dir() {
            left.extend(std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_server_is_anybody_elses() {
    let lab = Lab::start(ONE_SERVER).await;
    // Mail in a mailbox, in a queue, in the logs.
    let message = test_message("visitor@tailspin.example", "anna@contoso.example");
    submit_from_outside(&lab, "BERLIN1", &message).await.unwrap();
    lab.inbox("BERLIN1", "DB-Berlin1", "anna").wait_for(&message.message_id()).await;
    let outside = lab.server("BERLIN1").folder.clone();
    testkit::until("a log of message tracking", async || {
        (!files(&outside.join("state/logs")).is_empty()).then_some(())
    })
    .await;
    for part in ["state/queue", "state/mailboxes", "state/last-good", "state/logs", "identity"] {
        assert!(!files(&outside.join(part)).is_empty(), "there is something in {part}");
    }
    let mut wide = wider(&outside);
    for name in ["directory.db", "directory.db-wal", "directory.db-shm", "organization.key", "ca"] {
        let path = lab.folder().join(name);
        if path.exists() {
            wide.extend(wider(&path));
        }
    }
    assert!(wide.is_empty(), "{wide:#?}");

    for service in
        [Service::FrontendTransport, Service::Transport, Service::MailboxSubmission, Service::MailboxDelivery]
    {
        let about = std::fs::read_to_string(format!("/proc/{}/status", lab.pid("BERLIN1", service))).unwrap();
        assert!(about.contains("\nNoNewPrivs:\t1\n") && about.contains("\nSeccomp:\t2\n"), "{service}: {about}");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", lab.pid("BERLIN1", service))).unwrap();
        let of = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let words = |name: &str| of(name)[name.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words("Max core file size")[0], "0", "{service}");
        let files = words("Max open files");
        assert_eq!(files[0], files[1], "{service} may have as many as the system lets it");
    }
    lab.finish().await;
}
