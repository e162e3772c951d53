//! Faults of ours and of what is around us: no message goes with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use directory::{
    Announcement, Answer, Configuration, Directory, Presence, Presences, ReadError, Recipients, WatchEvent,
};
use envelope::{Address, ObjectName, Revision};
use futures::stream::BoxStream;
use testkit::{AwayDirectory, until};
use topology::{DirectoryRecipient, Organization};

use crate::support::{ORGANIZATION, Scene, notified};

#[tokio::test]
async fn mail_waits_for_a_directory_that_is_away() {
    // PL-43
    let scene = Scene::new(ORGANIZATION).await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let transport = scene
        .start_with("MAIL1", move |node| {
            let away = Arc::new(AwayDirectory::new(Arc::clone(&node.directory)));
            node.directory = Arc::clone(&away) as Arc<dyn Directory>;
            sender.send(away).unwrap();
        })
        .await;
    scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    receiver.recv().unwrap().return_back();
    scene.mailboxes.arrived("bob@contoso.com", 1).await;
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn mail_does_not_wait_for_the_directory_for_ever() {
    // QU-42: no delivery queue watches the age of what waits for the categorizer.
    let short = "{messageExpirationTimeout: '00:00:05', messageRetry";
    let scene = Scene::new(&ORGANIZATION.replace("{messageRetry", short)).await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let transport = scene
        .start_with("MAIL1", move |node| {
            let away = Arc::new(AwayDirectory::new(Arc::clone(&node.directory)));
            node.directory = Arc::clone(&away) as Arc<dyn Directory>;
            sender.send(away).unwrap();
        })
        .await;
    scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    let over = transport.node.clock.now().plus(Duration::from_millis(5500));
    until("its time to be over", async || (transport.node.clock.now() >= over).then_some(())).await;
    receiver.recv().unwrap().return_back();
    notified(&scene.mailboxes, "ann@contoso.com", "failed").await;
    transport.drain().await;
    assert!(scene.mailboxes.attempts_at("bob@contoso.com").is_empty());
    assert_eq!(scene.spool("MAIL1").await, []);
}

/// Fails us at the first questions.
struct Faulty {
    directory: Arc<dyn Directory>,
    faults: AtomicUsize,
}

#[async_trait]
impl Configuration for Faulty {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        self.directory.snapshot().await
    }

    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        self.directory.watch(after)
    }
}

#[async_trait]
impl Recipients for Faulty {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        let faults = self.faults.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(faults.is_err(), "the fault that this test is about");
        self.directory.recipients(addresses).await
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        self.directory.recipient_by_name(name).await
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        self.directory.list_recipients(after, limit).await
    }
}

impl Directory for Faulty {
    fn announce(&self, presence: Presence) -> Announcement {
        self.directory.announce(presence)
    }

    fn watch_revocations(&self) -> BoxStream<'static, Vec<authority::Revocation>> {
        self.directory.watch_revocations()
    }
}

#[async_trait]
impl Presences for Faulty {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        self.directory.presences().await
    }

    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        self.directory.watch_presences()
    }
}

#[tokio::test]
async fn a_panic_of_the_categorizer_takes_neither_the_mail_nor_the_categorizers_along() {
    let scene = Scene::new(ORGANIZATION).await;
    let faulty = |node: &mut runtime::Node| {
        let directory = Arc::clone(&node.directory);
        node.directory = Arc::new(Faulty { directory, faults: AtomicUsize::new(20) });
    };
    let transport = scene.start_with("MAIL1", faulty).await;
    // More than there are categorizers.
    for _ in 0..20 {
        scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    }
    scene.mailboxes.arrived("bob@contoso.com", 20).await;
    transport.drain().await;
    assert_eq!(scene.mailboxes.attempts().len(), 20);
    assert_eq!(scene.spool("MAIL1").await, []);
}
