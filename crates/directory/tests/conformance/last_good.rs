//! Going on while the directory is away, also from the first moment of a start.

use directory::{Configuration, LastGood, ReadError, Recipients, WatchEvent};
use envelope::Revision;
use futures::StreamExt;

use crate::backends::Backend;
use crate::world::{address, connector, connectors, founded, mailbox, name, put, recipient, snapshot, soon, until};

pub(crate) async fn a_server_goes_on_without_the_directory(mut backend: impl Backend) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last-good");
    let inner = backend.directory();
    let revision = founded(&*inner).await;
    let alice = mailbox("alice", "alice@contoso.com", &[]);
    inner.commit(put(vec![alice.clone()])).await.unwrap();

    let running = LastGood::new(backend.directory(), path.clone());
    assert_eq!(running.snapshot().await.unwrap().revision(), revision);
    let known = [address("alice@contoso.com"), address("nobody@contoso.com")];
    let answer = running.recipients(&known).await;
    assert_eq!(answer, [Ok(Some(recipient(&alice))), Ok(None)]);
    let bob = mailbox("bob", "bob@contoso.com", &[]);
    inner.commit(put(vec![bob.clone()])).await.unwrap();
    assert_eq!(running.recipient_by_name(&name("Bob")).await, Ok(Some(recipient(&bob))));
    let starting = LastGood::new(backend.directory(), path.clone());
    backend.take_away();

    // The running one knows its last answers; what it was never asked is unavailable, not unknown.
    assert_eq!(running.snapshot().await.unwrap().revision(), revision);
    assert_eq!(running.recipients(&known).await, answer);
    let unknown = running.recipient(&address("carol@contoso.com")).await;
    assert!(matches!(unknown, Err(ReadError::Unavailable(_))), "{unknown:?}");

    // Whoever was asked for by name or by address goes on sending under the name.
    assert_eq!(running.recipient_by_name(&name("BOB")).await, Ok(Some(recipient(&bob))));
    assert_eq!(running.recipient_by_name(&name("alice")).await, Ok(Some(recipient(&alice))));
    let stranger = running.recipient_by_name(&name("carol")).await;
    assert!(matches!(stranger, Err(ReadError::Unavailable(_))), "{stranger:?}");

    // The starting one has the configuration from disk.
    assert_eq!(connectors(&starting.snapshot().await.unwrap()), ["Internet"]);
    let mut events = starting.watch(Revision(0));
    assert_eq!(snapshot(&mut events).await.revision(), revision);
    assert!(matches!(soon(events.next()).await, Some(WatchEvent::Unavailable(_))));
    backend.bring_back();
    // Said although nothing has changed: what waits for the directory is tried again.
    assert!(matches!(soon(events.next()).await, Some(WatchEvent::Back)));
    let later = until(|| inner.commit(put(vec![connector("Later")]))).await;
    let mut seen = snapshot(&mut events).await;
    while seen.revision() < later {
        seen = snapshot(&mut events).await;
    }
    assert_eq!(connectors(&seen), ["Internet", "Later"]);
    let again = LastGood::new(backend.directory(), path.clone());
    assert_eq!(again.last_good().unwrap().revision(), later);

    // A file that is damaged does as if there were none.
    std::fs::write(&path, "postroad").unwrap();
    assert!(LastGood::new(backend.directory(), path).last_good().is_none());
}
