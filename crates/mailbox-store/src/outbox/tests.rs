//! The life of a message in the outbox, crashes and users included.

use super::*;
use crate::watch::OutboxWatch;

struct Fixture {
    directory: tempfile::TempDir,
    watch: OutboxWatch,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = MailboxDatabase::open(directory.path()).await.unwrap();
        database.create_mailbox(&MailboxName::parse("ann").unwrap()).await.unwrap();
        let watch = OutboxWatch::start(vec![database]).await.unwrap();
        Self { directory, watch }
    }

    fn folder(&self, below: &str) -> PathBuf {
        self.directory.path().join("ann/Maildir").join(below)
    }

    fn files(&self, below: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder(below)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn item(&mut self, content: &str) -> OutboxItem {
        fs::write(self.folder(".Outbox/tmp/1.u.host"), content).unwrap();
        fs::rename(self.folder(".Outbox/tmp/1.u.host"), self.folder(".Outbox/new/1.u.host")).unwrap();
        self.watch.next().await.unwrap()
    }
}

async fn read(item: &OutboxItem) -> Vec<u8> {
    let (mut reader, mut content) = (item.open(Arc::new(())).await.unwrap().unwrap(), Vec::new());
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        content.extend_from_slice(&chunk);
    }
    content
}

#[tokio::test]
async fn a_sent_message_goes_to_sent_as_read() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("To: b@c.example\n\nhello\n").await;
    assert_eq!(read(&item).await, b"To: b@c.example\r\n\r\nhello\r\n");
    let id = item.message_id();
    item.sent(Arc::new(())).await.unwrap();
    assert_eq!(fixture.files(".Sent/cur"), [format!("{id}.sent:2,S")]);
    assert!(fixture.files(".Outbox/new").is_empty());
    assert_eq!(fs::read(fixture.folder(&format!(".Sent/cur/{id}.sent:2,S"))).unwrap(), b"To: b@c.example\n\nhello\n");
}

#[tokio::test]
async fn a_refused_message_goes_to_failed_with_the_reason_on_top() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("no header\n").await;
    fs::write(fixture.folder(&format!(".Failed/tmp/{}.failed", item.message_id())), "left by a crash").unwrap();
    item.rejected("554 5.5.6 no recipients\r\nBcc: evil@example.com", Arc::new(())).await.unwrap();
    let [name] = fixture.files(".Failed/new").try_into().unwrap();
    let content = fs::read_to_string(fixture.folder(".Failed/new").join(name)).unwrap();
    assert_eq!(content, "X-Postroad-Failure: 554 5.5.6 no recipients  Bcc: evil@example.com\nno header\n");
    assert!(fixture.files(".Outbox/new").is_empty() && fixture.files(".Failed/tmp").is_empty());
}

#[tokio::test]
async fn a_crash_after_submission_submits_again_under_the_same_id() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("x\n").await;
    let id = item.message_id();
    drop(item);
    // Before the restart a reader shows the outbox and moves the message from `new` to `cur`.
    fs::rename(fixture.folder(".Outbox/new/1.u.host"), fixture.folder(".Outbox/cur/1.u.host:2,S")).unwrap();
    let database = MailboxDatabase::open(fixture.directory.path()).await.unwrap();
    let mut watch = OutboxWatch::start(vec![database]).await.unwrap();
    let item = watch.next().await.unwrap();
    assert_eq!(item.message_id(), id);
    item.sent(Arc::new(())).await.unwrap();
    assert_eq!(fixture.files(".Sent/cur"), [format!("{id}.sent:2,S")]);
}

#[tokio::test]
async fn a_message_sent_once_more_by_its_user_is_a_new_message() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("x\n").await;
    let id = item.message_id();
    item.sent(Arc::new(())).await.unwrap();
    let sent = format!("{id}.sent:2,S");
    fs::rename(fixture.folder(".Sent/cur").join(&sent), fixture.folder(".Outbox/cur").join(&sent)).unwrap();
    assert_ne!(fixture.watch.next().await.unwrap().message_id(), id);
}

#[tokio::test]
async fn the_user_may_move_or_remove_a_message_in_hand() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("x\n").await;
    fs::rename(fixture.folder(".Outbox/new/1.u.host"), fixture.folder(".Outbox/cur/1.u.host:2,F")).unwrap();
    assert_eq!(read(&item).await, b"x\r\n");
    fs::remove_file(fixture.folder(".Outbox/cur/1.u.host:2,F")).unwrap();
    assert!(item.open(Arc::new(())).await.unwrap().is_none());
    item.sent(Arc::new(())).await.unwrap();
    assert!(fixture.files(".Sent/cur").is_empty());
}

#[tokio::test]
async fn a_folder_that_the_user_removed_is_made_again() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("x\n").await;
    fs::remove_dir_all(fixture.folder(".Sent")).unwrap();
    item.sent(Arc::new(())).await.unwrap();
    assert_eq!(fixture.files(".Sent/cur").len(), 1);
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_read() {
    let mut fixture = Fixture::new().await;
    let item = fixture.item("x\n").await;
    fs::remove_file(fixture.folder(".Outbox/new/1.u.host")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", fixture.folder(".Outbox/new/1.u.host")).unwrap();
    assert!(item.open(Arc::new(())).await.is_err());
    fs::remove_file(fixture.folder(".Outbox/new/1.u.host")).unwrap();
    nix::unistd::mkfifo(&fixture.folder(".Outbox/new/1.u.host"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(item.open(Arc::new(())).await.is_err());
}

/// A script that uses a name twice has sent two messages, even when it copies the same file twice; Transport knows messages by
/// their ids and would swallow the second.
#[tokio::test]
async fn a_name_used_again_is_another_message() {
    let mut fixture = Fixture::new().await;
    let first = fixture.item("To: b@c.example\n\nping\n").await;
    let id = first.message_id();
    first.sent(Arc::new(())).await.unwrap();
    let second = fixture.item("To: b@c.example\n\nping\n").await;
    assert_ne!(second.message_id(), id);
    second.sent(Arc::new(())).await.unwrap();
    assert_eq!(fixture.files(".Sent/cur").len(), 2);
}

#[tokio::test]
async fn what_is_held_is_held_until_the_disk_has_answered() {
    // A pipe that nothing comes out of: a disk that does not answer.
    let (pipe, mut disk) = io::pipe().unwrap();
    let turn = Arc::new(());
    let held: Held = turn.clone();
    let file = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
    let mut reader = OutboxReader { file, path: PathBuf::new(), line_ends: FromDisk::default(), held };
    let waited = tokio::time::timeout(std::time::Duration::from_millis(20), reader.next_chunk()).await;
    assert!(waited.is_err(), "it hangs");
    drop(reader);
    assert_eq!(Arc::strong_count(&turn), 2, "nobody waits any more, and the thread still does");
    disk.write_all(b"x").unwrap();
    while Arc::strong_count(&turn) > 1 {
        tokio::task::yield_now().await;
    }
}
