//! What became of addresses between two moments, against what reading everything says; and when that is not told.

use std::collections::BTreeSet;

use directory::{Administration, Author, Change, ChangesError, Moment, all_recipients};
use organization::{Kind, Object};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use topology::Guid;

use crate::backends::Backend;
use crate::world::{author, connector, founded, key_of, mailbox, put};

/// The slow obvious model: every address that somebody has.
async fn addresses(directory: &dyn Administration) -> BTreeSet<String> {
    let all = all_recipients(directory).await.unwrap();
    all.iter().flat_map(topology::DirectoryRecipient::addresses).map(envelope::Address::key).collect()
}

async fn moment(directory: &dyn Administration) -> Moment {
    directory.moment().await.unwrap().unwrap()
}

fn guid(number: u32) -> Guid {
    Kind::Recipient.derived_guid(&format!("identity {number}"))
}

/// A mailbox of one of a few identities, under one of a few names, with some of a few addresses.
fn any_mailbox(random: &mut StdRng) -> Object {
    let mut some = |most: u32| random.random_range(0..most);
    let (identity, name, first, second) = (some(6), some(8), some(10), some(10));
    let proxies: &[&str] = &[&format!("P{second}@contoso.com")];
    let proxies = if some(2) == 0 { proxies } else { &[] };
    mailbox(&format!("m{name}"), &format!("a{first}@contoso.com"), proxies).with_guid(guid(identity))
}

fn any_change(random: &mut StdRng) -> Change {
    match random.random_range(0..10) {
        0 => put(vec![connector(&format!("C{}", random.random_range(0..3)))]),
        1 | 2 => Change { deletes: vec![(Kind::Recipient, guid(random.random_range(0..6)))], ..Change::by(author()) },
        // Two at a time may swap what they have.
        3 => put(vec![any_mailbox(random), any_mailbox(random)]),
        _ => put(vec![any_mailbox(random)]),
    }
}

pub(crate) async fn what_came_and_went_is_what_reading_everything_says(backend: impl Backend) {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let directory = backend.directory();
    founded(&*directory).await;
    let mut was = vec![(moment(&*directory).await, addresses(&*directory).await)];
    for _ in 0..60 {
        // An address or a name that somebody else has is refused, and nothing changes.
        if directory.commit(any_change(&mut random)).await.is_ok() {
            was.push((moment(&*directory).await, addresses(&*directory).await));
        }
    }
    assert!(was.len() > 15, "seed {seed}: nearly everything was refused");
    for _ in 0..40 {
        let until = random.random_range(0..was.len());
        let since = random.random_range(0..=until);
        let ((since, before), (until, after)) = (&was[since], &was[until]);
        let changes = directory.addresses_between(since, until).await.unwrap();
        let keys =
            |some: Vec<&envelope::Address>| some.into_iter().map(envelope::Address::key).collect::<BTreeSet<_>>();
        let (came, went) = (keys(changes.came().collect()), keys(changes.went().collect()));
        assert_eq!(came, after - before, "seed {seed}: {since:?} to {until:?}");
        assert_eq!(went, before - after, "seed {seed}: {since:?} to {until:?}");
    }
}

pub(crate) async fn what_changed_is_told_as_long_as_history_is_the_same(mut backend: impl Backend) {
    let directory = backend.directory();
    founded(&*directory).await;
    let lost = async |since: &Moment, until: &Moment| match directory.addresses_between(since, until).await {
        Err(ChangesError::Lost(why)) => why,
        other => panic!("{other:?}"),
    };
    let first = moment(&*directory).await;
    directory.commit(put(vec![connector("One")])).await.unwrap();
    let second = moment(&*directory).await;
    // A change of the configuration touches no recipient.
    assert_eq!(directory.addresses_between(&first, &second).await.unwrap().recipients, 0);
    assert_eq!(directory.addresses_between(&second, &second).await.unwrap().recipients, 0);
    directory.commit(put(vec![mailbox("anna", "anna@contoso.com", &[])])).await.unwrap();
    let third = moment(&*directory).await;
    assert_eq!(directory.addresses_between(&first, &third).await.unwrap().recipients, 1);

    backend.compact().await;
    let why = lost(&first, &third).await;
    assert!(why.contains("no longer kept; the oldest that can be read is"), "{why}");

    // What a program said that does not write down whom it touched.
    let record =
        r#"{"at_millis": 1, "summary": "~ recipients[\"anna\"]", "who": "anna", "through": "an older program"}"#;
    backend.write("/postroad/default/v1/change/config", record).await;
    let fourth = moment(&*directory).await;
    assert!(lost(&third, &fourth).await.contains("does not say which recipients it changed"));

    // Begun anew from a backup, with other contents at the same revisions.
    directory.begin_epoch(fourth.revision, &Author::new("anna", "a test")).await.unwrap();
    let fifth = moment(&*directory).await;
    assert!(lost(&fourth, &fifth).await.contains("does not say"));
    backend.lose_everything();
    assert_eq!(directory.moment().await.unwrap(), None);
    founded(&*directory).await;
    assert!(!lost(&fifth, &moment(&*directory).await).await.is_empty());
    while moment(&*directory).await.revision.0 <= fifth.revision.0 + 2 {
        directory.commit(put(vec![mailbox("ben", "ben@contoso.com", &[])])).await.unwrap();
        directory
            .commit(Change { deletes: vec![key_of(&mailbox("ben", "ben@contoso.com", &[]))], ..Change::by(author()) })
            .await
            .unwrap();
    }
    let why = lost(&fifth, &moment(&*directory).await).await;
    assert!(why.contains("the directory was restored"), "{why}");
}
