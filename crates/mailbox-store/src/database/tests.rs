//! Delivery: what lands in the mailbox, once.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use envelope::{Address, MessageId};

use super::*;
use envelope::Severity;
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

struct Fixture {
    database: MailboxDatabase,
    directory: tempfile::TempDir,
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn delivery(message: u8, recipient: &str) -> DeliveryId {
    DeliveryId::new(MessageId::from_bytes([message; 16]), &Address::parse(recipient).unwrap())
}

impl Fixture {
    async fn new(mailboxes: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = MailboxDatabase::open(directory.path()).await.unwrap();
        for mailbox in mailboxes {
            database.create_mailbox(&name(mailbox)).await.unwrap();
        }
        Self { database, directory }
    }

    /// The same files after a restart of the service.
    async fn restart(&mut self) {
        self.database = MailboxDatabase::open(self.directory.path()).await.unwrap();
    }

    async fn content(&self) -> StagedContent {
        let mut writer = self.database.begin(b"Return-Path: <a@b.example>\r\n").await.unwrap();
        for chunk in [&b"Subject: x\r"[..], b"\n\r\nline\r\n"] {
            writer.write(chunk).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    /// What is staged is removed behind the caller's back.
    async fn nothing_is_staged(&self) {
        while !self.files(".staging").is_empty() {
            tokio::task::yield_now().await;
        }
    }

    fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut found: Vec<_> =
            fs::read_dir(self.directory.path().join(below)).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    }
}

#[tokio::test]
async fn several_recipients_share_one_file_with_lf_line_ends() {
    let fixture = Fixture::new(&["ann", "bob"]).await;
    let content = fixture.content().await;
    for who in ["ann", "bob"] {
        let id = delivery(1, &format!("{who}@contoso.com"));
        assert_eq!(content.deliver(&name(who), id).await.unwrap(), DeliveryOutcome::Delivered);
    }
    drop(content);
    fixture.nothing_is_staged().await;
    let (ann, bob) = (fixture.files("ann/Maildir/new"), fixture.files("bob/Maildir/new"));
    assert_eq!((ann.len(), bob.len()), (1, 1));
    assert_eq!(fs::read(&ann[0]).unwrap(), b"Return-Path: <a@b.example>\nSubject: x\n\nline\n");
    let metadata = fs::metadata(&ann[0]).unwrap();
    assert_eq!((metadata.ino(), metadata.nlink()), (fs::metadata(&bob[0]).unwrap().ino(), 2));
    assert_eq!(metadata.mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_repeat_makes_no_second_copy_whatever_the_reader_did() {
    enum Reader {
        Nothing,
        Flags,
        Deletes,
    }
    for reader in [Reader::Nothing, Reader::Flags, Reader::Deletes] {
        for restart in [false, true] {
            let mut fixture = Fixture::new(&["ann"]).await;
            let (content, id) = (fixture.content().await, delivery(1, "ann@contoso.com"));
            content.deliver(&name("ann"), id).await.unwrap();
            let file = fixture.files("ann/Maildir/new").remove(0);
            let expected = match reader {
                Reader::Nothing => 1,
                Reader::Flags => {
                    let seen = format!("{}:2,S", file.file_name().unwrap().to_str().unwrap());
                    fs::rename(&file, fixture.directory.path().join("ann/Maildir/cur").join(seen)).unwrap();
                    1
                }
                Reader::Deletes => {
                    fs::remove_file(&file).unwrap();
                    0
                }
            };
            if restart {
                fixture.restart().await;
            }
            let again = fixture.content().await.deliver(&name("ann"), id).await.unwrap();
            assert_eq!(again, DeliveryOutcome::AlreadyDelivered);
            let count = fixture.files("ann/Maildir/new").len() + fixture.files("ann/Maildir/cur").len();
            assert_eq!(count, expected);
        }
    }
}

#[tokio::test]
async fn a_crash_between_link_and_ledger_makes_no_second_copy() {
    for moved in [false, true] {
        let mut fixture = Fixture::new(&["ann"]).await;
        let id = delivery(1, "ann@contoso.com");
        fixture.content().await.deliver(&name("ann"), id).await.unwrap();
        fs::remove_file(fixture.directory.path().join("ann/deliveries")).unwrap();
        if moved {
            let file = fixture.files("ann/Maildir/new").remove(0);
            let seen = format!("{}:2,FS", file.file_name().unwrap().to_str().unwrap());
            fs::rename(&file, fixture.directory.path().join("ann/Maildir/cur").join(seen)).unwrap();
        }
        fixture.restart().await;
        let again = fixture.content().await.deliver(&name("ann"), id).await.unwrap();
        assert_eq!(again, DeliveryOutcome::AlreadyDelivered);
    }
}

#[tokio::test]
async fn another_message_or_recipient_is_another_delivery() {
    let fixture = Fixture::new(&["ann"]).await;
    let content = fixture.content().await;
    for id in [delivery(1, "ann@contoso.com"), delivery(2, "ann@contoso.com"), delivery(1, "a.smith@contoso.com")] {
        assert_eq!(content.deliver(&name("ann"), id).await.unwrap(), DeliveryOutcome::Delivered);
    }
    let again = content.deliver(&name("ann"), delivery(1, "ANN@contoso.com")).await.unwrap();
    assert_eq!(again, DeliveryOutcome::AlreadyDelivered); // directories compare addresses without case
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_repeats_deliver_once() {
    let fixture = Fixture::new(&["ann"]).await;
    let content = Arc::new(fixture.content().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let content = Arc::clone(&content);
            tokio::spawn(async move { content.deliver(&name("ann"), delivery(1, "ann@contoso.com")).await.unwrap() })
        })
        .collect();
    let mut delivered = 0;
    for task in tasks {
        delivered += usize::from(task.await.unwrap() == DeliveryOutcome::Delivered);
    }
    assert_eq!((delivered, fixture.files("ann/Maildir/new").len()), (1, 1));
}

#[tokio::test]
async fn a_missing_mailbox_is_permanent_until_it_is_created() {
    let fixture = Fixture::new(&[]).await;
    let (content, id) = (fixture.content().await, delivery(1, "ann@contoso.com"));
    let error = content.deliver(&name("ann"), id).await.unwrap_err();
    assert_eq!((error.status().severity(), error.status().to_string().as_str()), (Severity::Permanent, "5.1.1"));
    fixture.database.create_mailbox(&name("ann")).await.unwrap();
    fixture.database.create_mailbox(&name("ann")).await.unwrap();
    assert_eq!(content.deliver(&name("ann"), id).await.unwrap(), DeliveryOutcome::Delivered);
    assert!(fixture.directory.path().join("ann/Maildir/.Outbox/maildirfolder").is_file());
    drop(content);
    fixture.nothing_is_staged().await;
}

#[tokio::test]
async fn an_unfinished_message_leaves_nothing_behind() {
    let fixture = Fixture::new(&[]).await;
    let mut writer = fixture.database.begin(b"").await.unwrap();
    writer.write(b"half").await.unwrap();
    assert_eq!(fixture.files(".staging").len(), 1);
    drop(writer);
    fixture.nothing_is_staged().await;
}

#[tokio::test]
async fn only_old_leftovers_are_removed_at_the_start() {
    let mut fixture = Fixture::new(&[]).await;
    let staging = fixture.directory.path().join(STAGING);
    for leftover in ["old", "fresh"] {
        fs::write(staging.join(leftover), "x").unwrap();
    }
    let old = SystemTime::now() - STAGING_AGE_MAX - Duration::from_secs(60);
    fs::File::options().write(true).open(staging.join("old")).unwrap().set_modified(old).unwrap();
    fixture.restart().await;
    assert_eq!(fixture.files(".staging"), [staging.join("fresh")]);
}

#[tokio::test]
async fn strangers_in_the_directory_are_no_mailboxes() {
    let fixture = Fixture::new(&["ann"]).await;
    fs::create_dir(fixture.directory.path().join("Upper")).unwrap();
    fs::create_dir(fixture.directory.path().join(".hidden")).unwrap();
    fs::write(fixture.directory.path().join("file"), "").unwrap();
    assert_eq!(fixture.database.mailboxes().unwrap(), [name("ann")]);
}

/// The process died between link and sync. Whoever repeats the delivery is told that it was made, and forgets the message:
/// it must be on the disk by then, and so must the mailbox, which a process that died may have made.
#[tokio::test]
async fn delivered_already_is_as_durable_as_delivered() {
    let mut fixture = Fixture::new(&["ann"]).await;
    let (content, id) = (fixture.content().await, delivery(1, "ann@contoso.com"));
    let new = fixture.directory.path().join("ann/Maildir/new");
    fs::hard_link(&content.staged.0, new.join(id.file_name())).unwrap();
    fixture.restart().await;
    disk::synced::take(fixture.directory.path());
    let content = fixture.content().await;
    assert_eq!(content.deliver(&name("ann"), id).await.unwrap(), DeliveryOutcome::AlreadyDelivered);
    let synced = disk::synced::take(fixture.directory.path());
    for directory in ["ann/Maildir/new", "ann/Maildir/cur", "ann/Maildir", "ann", ""] {
        assert!(synced.contains(&fixture.directory.path().join(directory)), "{directory:?} is not in {synced:?}");
    }
}

/// With more mailboxes at work than ledgers are kept open, a delivery costs no reading of a whole folder.
#[tokio::test]
async fn folders_are_read_once_however_many_mailboxes_are_at_work() {
    let names: Vec<String> = (0..OPEN_LEDGERS_MAX + 8).map(|number| format!("m{number}")).collect();
    let fixture = Fixture::new(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let content = fixture.content().await;
    for round in 1..=2 {
        disk::synced::take(fixture.directory.path());
        for mailbox in &names {
            let id = delivery(round, &format!("{mailbox}@contoso.com"));
            assert_eq!(content.deliver(&name(mailbox), id).await.unwrap(), DeliveryOutcome::Delivered);
        }
        // Reading the folders begins with syncing them.
        let synced = disk::synced::take(fixture.directory.path());
        let read = synced.iter().filter(|path| path.ends_with("cur")).count();
        assert_eq!(read, if round == 1 { names.len() } else { 0 });
    }
    // What was delivered first is known still.
    let first = delivery(1, "m0@contoso.com");
    assert_eq!(content.deliver(&name("m0"), first).await.unwrap(), DeliveryOutcome::AlreadyDelivered);
}

/// Submission and Delivery may be different users (deploy/compose): a group shares what they make.
#[tokio::test]
async fn below_a_folder_of_a_group_everything_is_the_groups_and_nobody_elses() {
    let directory = tempfile::tempdir().unwrap();
    let modes = async |folder: u32| {
        let root = directory.path().join(format!("{folder:o}/DB1"));
        let above = root.parent().unwrap();
        fs::create_dir(above).unwrap();
        fs::set_permissions(above, fs::Permissions::from_mode(folder)).unwrap();
        let database = MailboxDatabase::open(&root).await.unwrap();
        database.create_mailbox(&name("ann")).await.unwrap();
        let mut writer = database.begin(b"").await.unwrap();
        writer.write(b"Subject: x\r\n\r\n").await.unwrap();
        let content = writer.finish().await.unwrap();
        content.deliver(&name("ann"), delivery(1, "ann@contoso.com")).await.unwrap();
        let (mut folders, mut files, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![root]);
        while let Some(path) = left.pop() {
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                folders.insert(about.mode() & 0o7777);
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                files.insert(about.mode() & 0o7777);
            }
        }
        (Vec::from_iter(folders), Vec::from_iter(files))
    };
    assert_eq!(modes(0o700).await, (vec![0o700], vec![0o600]));
    assert_eq!(modes(0o2770).await, (vec![0o2770], vec![0o660]));
    // Rights of a group to a folder are not a decision to share what will be in it.
    assert_eq!(modes(0o770).await, (vec![0o700], vec![0o600]));
}
