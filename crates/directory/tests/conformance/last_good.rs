//! Going on while the directory is away, also from the first moment of a start.

use directory::{Change, Configuration, LastGood, ReadError, Recipients, WatchEvent};
use envelope::Revision;
use futures::StreamExt;

use crate::backends::Backend;
use crate::world::{
    address, connector, connectors, founded, key_of, mailbox, name, put, recipient, snapshot, soon, until,
};

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
    let file = path.with_added_extension("recipients");
    let is_written = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("bob@"));
    until(|| std::future::ready(is_written().then_some(()).ok_or("not yet"))).await;
    backend.take_away();

    // Who starts meanwhile knows what the file says from the first question on, although it is read beside.
    let restarted = LastGood::new(inner.clone(), path.clone());
    assert_eq!(restarted.recipient(&address("bob@contoso.com")).await, Ok(Some(recipient(&bob))));
    let restarted = LastGood::new(inner.clone(), path.clone());
    assert_eq!(restarted.recipient_by_name(&name("alice")).await, Ok(Some(recipient(&alice))));

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

/// A service remembers; whoever changes the directory is another process, or the service's own. Nobody is ever told what was.
pub(crate) async fn what_is_remembered_is_what_the_directory_says(backend: impl Backend) {
    const NAMES: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (backend.directory(), backend.directory());
    founded(&*own).await;
    let remembering = LastGood::new(own.clone(), folder.path().join("last-good"));
    let at = |number: usize| address(&format!("a{}@contoso.com", number % (2 * NAMES)));
    let everybody: Vec<_> = (0..2 * NAMES).map(at).collect();
    let mut there: Vec<Option<organization::Object>> = vec![None; NAMES];
    for step in 0..60_usize {
        let who = step * 7 % NAMES;
        let directory = if step % 3 == 0 { &own } else { &other };
        // Gathered changes are there for their own process before they are in the file.
        let gathers = step % 6 == 3;
        directory.gather(gathers).await.unwrap();
        let change = match &there[who] {
            Some(object) if step % 4 == 3 => {
                let gone = Change { deletes: vec![key_of(object)], ..put(Vec::new()) };
                there[who] = None;
                gone
            }
            before => {
                // Addresses move between recipients by being given up first: each has two places of its own.
                let address = format!("a{}@contoso.com", who * 2 + step / NAMES % 2);
                let made = mailbox(&format!("u{who}"), &address, &[]);
                let made = before.as_ref().map_or(made.clone(), |before| made.with_guid(before.guid()));
                there[who] = Some(made.clone());
                put(vec![made])
            }
        };
        directory.commit(change).await.unwrap();
        let expected: Vec<_> = everybody
            .iter()
            .map(|address| {
                Ok(there.iter().flatten().map(recipient).find(|one| one.addresses().any(|own| own == address)))
            })
            .collect();
        for _ in 0..2 {
            assert_eq!(remembering.recipients(&everybody).await, expected, "step {step}");
        }
        directory.gather(false).await.unwrap();
        assert_eq!(remembering.recipients(&everybody).await, expected, "step {step}, written");
    }
}
