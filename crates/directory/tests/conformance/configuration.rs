//! Changes of the configuration: whole, valid, and never over somebody else's.

use directory::{Change, CommitError, Precondition, all_recipients, apply};
use envelope::Revision;
use futures::StreamExt;
use organization::{Object, objects, plan};

use crate::backends::Backend;
use crate::world::{connector, connectors, founded, from_yaml, key_of, put, snapshot, soon};

pub(crate) async fn an_empty_directory_is_an_organization(backend: impl Backend) {
    let organization = backend.directory().snapshot().await.unwrap();
    assert_eq!((organization.revision(), organization.servers().len()), (Revision(0), 0));
}

pub(crate) async fn a_change_is_made_as_a_whole_or_not_at_all(backend: impl Backend) {
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let organization = backend.directory().snapshot().await.unwrap();
    assert_eq!((organization.revision(), connectors(&organization)), (first, vec!["Internet".into()]));

    // V-19: one good connector, one from a server that is not there.
    let bad = from_yaml("sendConnectors: [{name: Bad, addressSpaces: ['*'], sourceTransportServers: [nobody]}]");
    let change = put(vec![connector("Good"), bad[0].clone()]);
    let Err(CommitError::Invalid(problems)) = directory.commit(change).await else { panic!("it is invalid") };
    assert!(problems.to_string().contains("sendConnectors[\"Bad\"].sourceTransportServers"), "{problems}");
    // Deleting the server would leave its connector and database behind.
    let server = organization.servers()[0].clone();
    let deletes = vec![key_of(&Object::Server(Box::new(server)))];
    let refused = directory.commit(Change { deletes, ..Change::by(crate::world::author()) }).await;
    assert!(matches!(refused, Err(CommitError::Invalid(_))), "{refused:?}");
    let now = directory.snapshot().await.unwrap();
    assert_eq!((now.revision(), now.draft()), (first, organization.draft()));

    let second = directory.commit(put(vec![connector("Good")])).await.unwrap();
    assert!(second > first);
    let deletes = vec![key_of(&connector("Good"))];
    let third =
        directory.commit(Change { deletes: deletes.clone(), ..Change::by(crate::world::author()) }).await.unwrap();
    let now = directory.snapshot().await.unwrap();
    assert_eq!((now.revision(), now.draft()), (third, organization.draft()));
    let again = directory.commit(Change { deletes, ..Change::by(crate::world::author()) }).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "{again:?}");
    assert_eq!(directory.commit(Change::by(crate::world::author())).await, Ok(third));
}

pub(crate) async fn preconditions_hold_or_nothing_is_changed(backend: impl Backend) {
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let (one, two) = (connector("One"), connector("Two"));
    let (kind, guid) = key_of(&one);
    let with =
        |object: &Object, precondition| Change { preconditions: vec![precondition], ..put(vec![object.clone()]) };
    let second = directory.commit(with(&one, Precondition::Absent(kind, guid))).await.unwrap();
    for wrong in [
        Precondition::Revision(first),
        Precondition::Absent(kind, guid),
        Precondition::Unchanged(two.clone()),
        Precondition::Unchanged(connector("Internet").with_guid(guid)),
    ] {
        let refused = directory.commit(with(&two, wrong.clone())).await;
        assert!(matches!(refused, Err(CommitError::Conflict(_))), "{wrong:?}: {refused:?}");
    }
    assert_eq!(directory.snapshot().await.unwrap().revision(), second);
    directory.commit(with(&two, Precondition::Revision(second))).await.unwrap();
    directory.commit(with(&two, Precondition::Unchanged(one))).await.unwrap();
}

pub(crate) async fn changes_that_are_gathered_are_changes_like_any_other(backend: impl Backend) {
    const MANY: usize = 50;
    let (directory, other) = (backend.directory(), backend.directory());
    let first = founded(&*directory).await;
    let mut events = other.watch(first);
    directory.gather(true).await.unwrap();
    let mut last = first;
    for number in 0..MANY {
        // Each is made over the one before, and read by whoever made it.
        let one = put(vec![connector(&format!("C{number}"))]);
        let change = Change { preconditions: vec![Precondition::Revision(last)], ..one };
        last = directory.commit(change).await.unwrap();
        assert_eq!(directory.snapshot().await.unwrap().revision(), last);
    }
    // What is refused takes nothing with it.
    let twin = connector("c1").with_guid(connector("Other").guid());
    let refused = directory.commit(put(vec![twin])).await;
    assert!(matches!(refused, Err(CommitError::NameTaken(_))), "{refused:?}");
    directory.gather(false).await.unwrap();
    let seen = other.snapshot().await.unwrap();
    assert_eq!((seen.revision(), connectors(&seen).len()), (last, 1 + MANY));
    soon(async { while snapshot(&mut events).await.revision() < last {} }).await;

    // They do not wait for somebody who says that it was the last.
    directory.gather(true).await.unwrap();
    last = directory.commit(put(vec![connector("Last")])).await.unwrap();
    soon(async { while snapshot(&mut events).await.revision() < last {} }).await;
    // What others change in between counts.
    let theirs = other.commit(put(vec![connector("Theirs")])).await.unwrap();
    let change = Change { preconditions: vec![Precondition::Revision(last)], ..put(vec![connector("Late")]) };
    let refused = directory.commit(change).await;
    assert!(matches!(refused, Err(CommitError::Conflict(_))), "{refused:?}");
    assert_eq!(directory.snapshot().await.unwrap().revision(), theirs);
}

pub(crate) async fn names_are_unique_without_regard_to_case(backend: impl Backend) {
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let twin = connector("INTERNET").with_guid(connector("Other").guid());
    let refused = directory.commit(put(vec![twin])).await;
    assert!(matches!(refused, Err(CommitError::NameTaken(_))), "{refused:?}");
    assert_eq!(directory.snapshot().await.unwrap().revision(), first);
}

pub(crate) async fn of_two_writers_with_one_precondition_one_wins(backend: impl Backend) {
    let (one, two) = (backend.directory(), backend.directory());
    let first = founded(&*one).await;
    let change =
        |name: &str| Change { preconditions: vec![Precondition::Revision(first)], ..put(vec![connector(name)]) };
    let (a, b) = tokio::join!(one.commit(change("A")), two.commit(change("B")));
    let (winner, loser, name) = if a.is_ok() { (a, b, "A") } else { (b, a, "B") };
    assert!(matches!(loser, Err(CommitError::Conflict(_))), "{loser:?}");
    let organization = one.snapshot().await.unwrap();
    assert_eq!(Ok(organization.revision()), winner);
    assert_eq!(connectors(&organization), [name, "Internet"]);
}

pub(crate) async fn writers_without_preconditions_both_get_through(backend: impl Backend) {
    let (one, two) = (backend.directory(), backend.directory());
    founded(&*one).await;
    let (a, b) = tokio::join!(one.commit(put(vec![connector("A")])), two.commit(put(vec![connector("B")])));
    assert_ne!(a.unwrap(), b.unwrap());
    assert_eq!(connectors(&one.snapshot().await.unwrap()), ["A", "B", "Internet"]);
}

pub(crate) async fn a_change_of_any_size_is_seen_as_a_whole(backend: impl Backend) {
    // etcd takes 128 operations in one transaction.
    const MANY: usize = 300;
    let directory = backend.directory();
    let first = founded(&*directory).await;
    let mut events = backend.directory().watch(first);
    let many: Vec<Object> = (0..MANY).map(|number| connector(&format!("C{number:03}"))).collect();
    let second = directory.commit(put(many.clone())).await.unwrap();
    let seen = snapshot(&mut events).await;
    assert_eq!((seen.revision(), seen.send_connectors().len()), (second, MANY + 1));
    assert_eq!(directory.snapshot().await.unwrap().revision(), second);
    // Small changes go on in the new generation, large ones make another, and none is left behind.
    let third = directory.commit(put(vec![connector("One more")])).await.unwrap();
    assert_eq!(snapshot(&mut events).await.revision(), third);
    let deletes = many.iter().map(key_of).collect();
    directory.commit(Change { deletes, ..Change::by(crate::world::author()) }).await.unwrap();
    assert_eq!(connectors(&snapshot(&mut events).await), ["Internet", "One more"]);
    let keys = backend.keys("/postroad/default/v1/config/").await;
    assert_eq!(keys.len(), 7, "{keys:?}"); // six objects and the marker
}

pub(crate) async fn a_plan_is_applied_and_then_there_is_nothing_to_do(backend: impl Backend) {
    const RECIPIENTS: usize = 120;
    let directory = backend.directory();
    let recipients: String = (0..RECIPIENTS)
        .map(|n| {
            format!(
                "  - {{name: u{n:03}, address: u{n}@contoso.com, proxyAddresses: [v{n}@contoso.com], database: DB1}}\n"
            )
        })
        .collect();
    let wanted = from_yaml(&format!("{}recipients:\n{recipients}", crate::world::ORGANIZATION));
    let current = || async {
        let organization = directory.snapshot().await.unwrap();
        let recipients = all_recipients(&*directory).await.unwrap();
        let written =
            objects(organization.draft(), &recipients).into_iter().filter(|object| !object.is_untouched_default());
        (organization.revision(), written.collect::<Vec<_>>())
    };
    let (revision, before) = current().await;
    let applied =
        soon(apply(&*directory, plan(before, wanted.clone()), revision, &crate::world::author())).await.unwrap();
    let (revision, after) = current().await;
    assert!(revision <= applied);
    assert!(plan(after.clone(), wanted.clone()).is_empty(), "{}", plan(after.clone(), wanted.clone()));
    // A plan for another revision is not applied; an empty one for this revision is nothing.
    let outdated = plan(after.clone(), wanted[..5].to_vec());
    assert!(matches!(
        apply(&*directory, outdated.clone(), Revision(0), &crate::world::author()).await,
        Err(CommitError::Conflict(_))
    ));
    let organization = wanted.iter().filter(|object| object.addresses().next().is_none()).cloned().collect();
    apply(&*directory, plan(after, organization), revision, &crate::world::author()).await.unwrap();
    assert_eq!(all_recipients(&*directory).await.unwrap(), []);
    let mut events = directory.watch(Revision(0));
    assert!(soon(events.next()).await.is_some());
}
