//! Recipients: found by any address, each address owned once, changed in one transaction.

use directory::{Change, CommitError, Precondition, ReadError};
use envelope::ObjectName;
use organization::Object;

use crate::backends::Backend;
use crate::world::{address, connector, founded, from_yaml, key_of, mailbox, put, recipient};

pub(crate) async fn recipients_are_found_by_any_address_and_by_name(backend: impl Backend) {
    let directory = backend.directory();
    let configuration = founded(&*directory).await;
    let alice = mailbox("alice", "Alice@contoso.com", &["a@contoso.com"]);
    let more = "recipients:
  - {name: Bob, address: bob@contoso.com, externalAddress: bob@fabrikam.com}
  - {name: all, address: all@contoso.com, members: [alice@contoso.com, all@contoso.com]}";
    let mut puts = vec![alice.clone()];
    puts.extend(from_yaml(more));
    directory.commit(put(puts.clone())).await.unwrap();
    // PL-43: more than one batch, in the order asked.
    let mut asked = vec![address("ALICE@contoso.com"), address("nobody@contoso.com"), address("A@Contoso.com")];
    asked.extend((0..40).map(|n| address(&format!("n{n}@contoso.com"))));
    asked.push(address("bob@contoso.com"));
    let found = backend.directory().recipients(&asked).await;
    assert_eq!(found.len(), asked.len());
    assert_eq!(found[..3], [Ok(Some(recipient(&alice))), Ok(None), Ok(Some(recipient(&alice)))]);
    assert_eq!(found[43], Ok(Some(recipient(&puts[1]))));
    assert_eq!(directory.recipients(&[]).await, []);
    let name = |text: &str| ObjectName::parse(text).unwrap();
    assert_eq!(directory.recipient_by_name(&name("BOB")).await, Ok(Some(recipient(&puts[1]))));
    assert_eq!(directory.recipient_by_name(&name("Bo")).await, Ok(None));
    let page = directory.list_recipients(Some(&name("alice")), 1).await.unwrap();
    assert_eq!(page, [recipient(&puts[2])]);
    // Recipients do not change the configuration's revision.
    assert_eq!(directory.snapshot().await.unwrap().revision(), configuration);
}

pub(crate) async fn addresses_and_names_belong_to_one_recipient(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    directory.commit(put(vec![mailbox("alice", "alice@contoso.com", &["a@contoso.com"])])).await.unwrap();
    let bob = |name: &str, proxy: &str| mailbox(name, "bob@contoso.com", &[proxy]).with_guid(connector("x").guid());
    for taken in [bob("bob", "A@contoso.com"), bob("ALICE", "b@contoso.com")] {
        let refused = directory.commit(put(vec![taken])).await;
        assert!(matches!(refused, Err(CommitError::NameTaken(_))), "{refused:?}");
    }
    let both = vec![bob("bob", "x@contoso.com"), mailbox("carol", "x@contoso.com", &[])];
    assert!(matches!(directory.commit(put(both)).await, Err(CommitError::NameTaken(_))));
    assert_eq!(directory.recipient(&address("bob@contoso.com")).await, Ok(None));
    // Two writers want the same address: one gets it.
    let other = backend.directory();
    let (one, two) = tokio::join!(
        directory.commit(put(vec![mailbox("d", "same@contoso.com", &[])])),
        other.commit(put(vec![mailbox("e", "same@contoso.com", &[])]))
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert!(directory.recipient(&address("same@contoso.com")).await.unwrap().is_some());
}

pub(crate) async fn an_address_moves_between_recipients_in_one_change(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let alice = mailbox("alice", "alice@contoso.com", &["info@contoso.com", "old@contoso.com"]);
    let bob = mailbox("bob", "bob@contoso.com", &[]);
    directory.commit(put(vec![alice.clone(), bob.clone()])).await.unwrap();
    let (alice, bob) =
        (mailbox("alice", "alice@contoso.com", &[]), mailbox("bob", "bob@contoso.com", &["info@contoso.com"]));
    directory.commit(put(vec![bob.clone(), alice.clone()])).await.unwrap();
    let asked = [address("info@contoso.com"), address("old@contoso.com"), address("alice@contoso.com")];
    assert_eq!(directory.recipients(&asked).await, [Ok(Some(recipient(&bob))), Ok(None), Ok(Some(recipient(&alice)))]);
    let deletes = vec![key_of(&alice), key_of(&bob)];
    directory.commit(Change { deletes, ..Change::by(crate::world::author()) }).await.unwrap();
    let left = backend.keys("/postroad/default/v1/index").await;
    assert_eq!(left, Vec::<String>::new());
}

pub(crate) async fn wrong_recipients_are_refused(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let lost = from_yaml("recipients: [{name: lost, address: lost@contoso.com, database: DB9}]");
    let Err(CommitError::Invalid(problems)) = directory.commit(put(lost)).await else { panic!("there is no DB9") };
    assert!(problems.to_string().contains("there is no database DB9"), "{problems}");
    let mixed = put(vec![mailbox("a", "a@contoso.com", &[]), connector("b")]);
    assert_eq!(directory.commit(mixed).await, Err(CommitError::Mixed));
    // One identity twice: the names and addresses of both would lead to it.
    let twice = mailbox("a", "a@contoso.com", &[]);
    let other = mailbox("b", "b@contoso.com", &[]).with_guid(twice.guid());
    let refused = directory.commit(put(vec![twice.clone(), other.clone()])).await;
    assert!(matches!(&refused, Err(CommitError::Refused(why)) if why.contains("occurs twice")), "{refused:?}");
    let refused = directory.commit(Change { deletes: vec![key_of(&twice)], ..put(vec![other]) }).await;
    assert!(matches!(refused, Err(CommitError::Refused(_))), "{refused:?}");
    assert_eq!(directory.recipient(&address("a@contoso.com")).await, Ok(None));
}

pub(crate) async fn recipients_are_changed_only_if_unchanged(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let (before, after) = (mailbox("a", "a@contoso.com", &[]), mailbox("a", "a@contoso.com", &["b@contoso.com"]));
    let (kind, guid) = key_of(&before);
    let change =
        |object: &Object, precondition| Change { preconditions: vec![precondition], ..put(vec![object.clone()]) };
    let revision = directory.commit(change(&before, Precondition::Absent(kind, guid))).await.unwrap();
    directory.commit(change(&after, Precondition::Unchanged(before.clone()))).await.unwrap();
    for wrong in
        [Precondition::Unchanged(before.clone()), Precondition::Absent(kind, guid), Precondition::Revision(revision)]
    {
        let refused = directory.commit(change(&before, wrong)).await;
        assert!(matches!(refused, Err(CommitError::Conflict(_))), "{refused:?}");
    }
    assert_eq!(directory.recipient(&address("b@contoso.com")).await, Ok(Some(recipient(&after))));
}

pub(crate) async fn damaged_recipients_are_errors_not_unknown(backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let alice = mailbox("alice", "alice@contoso.com", &[]);
    let bob = mailbox("bob", "bob@contoso.com", &[]);
    directory.commit(put(vec![alice.clone(), bob.clone()])).await.unwrap();
    backend.write(&format!("/postroad/default/v1/recipient/{}", alice.guid()), "{}").await;
    // It is in nobody else's way.
    let both = directory.recipients(&[address("alice@contoso.com"), address("bob@contoso.com")]).await;
    assert!(matches!(&both[0], Err(ReadError::Invalid(_))), "{both:?}");
    assert_eq!(both[1], Ok(Some(recipient(&bob))));
    let answer = directory.recipient(&address("alice@contoso.com")).await;
    assert!(matches!(answer, Err(ReadError::Invalid(_))), "{answer:?}");
    assert_eq!(answer.unwrap_err().status().to_string(), "4.4.3");
    directory.commit(put(vec![alice.clone()])).await.unwrap();
    assert_eq!(directory.recipient(&address("alice@contoso.com")).await, Ok(Some(recipient(&alice))));
}
