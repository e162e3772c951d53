//! What is found, when, and how often.

use super::*;
use std::fs;

struct Fixture {
    directory: tempfile::TempDir,
    database: MailboxDatabase,
}

impl Fixture {
    async fn new(mailboxes: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = MailboxDatabase::open(directory.path()).await.unwrap();
        let fixture = Self { directory, database };
        for mailbox in mailboxes {
            fixture.create(mailbox).await;
        }
        fixture
    }

    async fn create(&self, mailbox: &str) {
        self.database.create_mailbox(&MailboxName::parse(mailbox).unwrap()).await.unwrap();
    }

    fn outbox(&self, mailbox: &str) -> PathBuf {
        self.directory.path().join(mailbox).join("Maildir/.Outbox")
    }

    /// As a mail reader does it: written in `tmp`, renamed to `place`.
    fn put(&self, mailbox: &str, place: &str) {
        let outbox = self.outbox(mailbox);
        fs::write(outbox.join("tmp/unique"), "content\n").unwrap();
        fs::rename(outbox.join("tmp/unique"), outbox.join(place)).unwrap();
    }

    async fn watch(&self) -> OutboxWatch {
        OutboxWatch::start(vec![self.database.clone()]).await.unwrap()
    }
}

/// Mailbox and file name of the next message.
async fn next(watch: &mut OutboxWatch) -> (String, OutboxItem) {
    let item = watch.next().await.unwrap();
    (item.mailbox().to_string(), item)
}

#[tokio::test]
async fn finds_what_was_there_before_and_what_comes_after() {
    let fixture = Fixture::new(&["ann", "bob"]).await;
    fixture.put("ann", "new/1.a.host");
    fixture.put("bob", "cur/2.b.host:2,S");
    let mut watch = fixture.watch().await;
    let (first, second) = (next(&mut watch).await, next(&mut watch).await);
    assert_eq!((first.0.as_str(), second.0.as_str()), ("ann", "bob"));
    for place in ["new/3.c.host", "cur/4.d.host:2,S"] {
        fixture.put("ann", place);
        let (mailbox, item) = next(&mut watch).await;
        assert_eq!(mailbox, "ann");
        item.sent(Arc::new(())).await.unwrap();
    }
}

#[tokio::test]
async fn finds_mailboxes_made_later_and_folders_made_again() {
    let fixture = Fixture::new(&[]).await;
    let mut watch = fixture.watch().await;
    fixture.create("carl").await;
    fixture.put("carl", "new/1.a.host");
    let (_, item) = next(&mut watch).await;
    item.sent(Arc::new(())).await.unwrap();

    // The owner removes the folder, then renames it: each time it is made again and watched again.
    let elsewhere = fixture.outbox("carl").with_file_name(".Old");
    for round in 0..6 {
        if round % 2 == 0 {
            fs::remove_dir_all(fixture.outbox("carl")).unwrap();
            watch.rescan().now(); // in a race with the events of the removal
        } else {
            let _ = fs::remove_dir_all(&elsewhere);
            fs::rename(fixture.outbox("carl"), &elsewhere).unwrap();
        }
        let waiting = tokio::spawn(async move {
            let (_, item) = next(&mut watch).await;
            item.sent(Arc::new(())).await.unwrap();
            watch
        });
        while !fixture.outbox("carl").join("maildirfolder").exists() {
            tokio::task::yield_now().await;
        }
        fixture.put("carl", &format!("new/{round}.b.host"));
        watch = waiting.await.unwrap();
    }
}

#[tokio::test]
async fn a_message_in_hand_is_not_offered_twice_and_a_dropped_one_after_a_rescan() {
    let fixture = Fixture::new(&["ann"]).await;
    fixture.put("ann", "new/1.a.host");
    let mut watch = fixture.watch().await;
    let (_, held) = next(&mut watch).await;
    let id = held.message_id();
    watch.rescan().now();
    fixture.put("ann", "new/2.b.host");
    let (_, other) = next(&mut watch).await;
    assert_ne!(other.message_id(), id);
    drop(held);
    watch.rescan().now();
    assert_eq!(next(&mut watch).await.1.message_id(), id);
}

#[tokio::test]
async fn drafts_deleted_messages_and_strange_files_are_left_alone() {
    let fixture = Fixture::new(&["ann"]).await;
    for place in ["cur/1.draft.host:2,DS", "cur/2.deleted.host:2,T", "new/.hidden"] {
        fixture.put("ann", place);
    }
    fs::create_dir(fixture.outbox("ann").join("new/0.directory.host")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", fixture.outbox("ann").join("new/0.link.host")).unwrap();
    fixture.put("ann", "new/9.good.host");
    let mut watch = fixture.watch().await;
    let (_, item) = next(&mut watch).await;
    item.sent(Arc::new(())).await.unwrap();
    // The draft is finished: its flag goes away.
    fs::rename(fixture.outbox("ann").join("cur/1.draft.host:2,DS"), fixture.outbox("ann").join("cur/1.draft.host:2,S"))
        .unwrap();
    next(&mut watch).await.1.sent(Arc::new(())).await.unwrap();
}

#[tokio::test]
async fn lost_events_lose_no_message() {
    let fixture = Fixture::new(&["ann"]).await;
    let mut watch = fixture.watch().await;
    let databases = [fixture.database.clone()];
    let listener = Listener::new(&databases, Arc::clone(&watch.signal));
    fixture.put("ann", "new/1.a.host");
    next(&mut watch).await.1.sent(Arc::new(())).await.unwrap();
    listener.handle(&Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    assert!(watch.signal.pending.lock().databases.contains(&0));
}

#[tokio::test]
async fn several_share_a_watcher_and_each_hears_of_its_own() {
    let (one, other) = (Fixture::new(&["ann"]).await, Fixture::new(&["bob"]).await);
    let watcher = Watcher::default();
    let start =
        async |fixture: &Fixture| OutboxWatch::start_on(&watcher, vec![fixture.database.clone()]).await.unwrap();
    let (mut first, mut second) = (start(&one).await, start(&other).await);
    one.put("ann", "new/1.a.host");
    next(&mut first).await.1.sent(Arc::new(())).await.unwrap();
    other.put("bob", "new/2.a.host");
    next(&mut second).await.1.sent(Arc::new(())).await.unwrap();
    // One goes and comes again; the other goes on meanwhile.
    drop(first);
    other.put("bob", "new/3.a.host");
    next(&mut second).await.1.sent(Arc::new(())).await.unwrap();
    let mut again = start(&one).await;
    one.put("ann", "new/4.a.host");
    next(&mut again).await.1.sent(Arc::new(())).await.unwrap();
}

#[tokio::test]
async fn more_messages_than_are_taken_at_once_all_come_each_once() {
    let fixture = Fixture::new(&["ann"]).await;
    let count = TAKEN_AT_ONCE * 2 + 3;
    for index in 0..count {
        fixture.put("ann", &format!("new/{index}.a.host"));
    }
    let mut watch = fixture.watch().await;
    let mut held = Vec::new();
    let mut ids = HashSet::new();
    for _ in 0..count {
        let (_, item) = next(&mut watch).await;
        assert!(ids.insert(item.message_id()));
        held.push(item);
    }
}

#[tokio::test]
async fn cancelling_the_wait_loses_nothing() {
    let fixture = Fixture::new(&["ann"]).await;
    fixture.put("ann", "new/1.a.host");
    let mut watch = fixture.watch().await;
    // Dropped after its first poll, as a rule in the middle of listing.
    let finished = {
        let mut waiting = Box::pin(watch.next());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        waiting.as_mut().poll(&mut context).is_ready()
    };
    if finished {
        watch.rescan().now(); // the message was given out and dropped
    }
    assert_eq!(next(&mut watch).await.0, "ann");
}
