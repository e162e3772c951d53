//! Spools written by earlier versions can be opened for ever: one fixture for each version of the format.

use envelope::{ServerName, Timestamp};
use queue::disk::lossy::LossyDisk;
use queue::{Ended, Note, Pending, RecipientState, Role, Spool, Transaction, Update};

use crate::common::*;

/// What the fixture of version 1 holds, as the present version writes it.
async fn write_as_1(spool: &Spool) {
    store(spool, 1, 100).await.unwrap();
    let mut new = message(2);
    new.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    new.origin.kind = envelope::OriginKind::Authenticated;
    new.backed_off = vec!["Berlin".parse().unwrap()];
    let mut draft = spool.begin();
    draft.write(content(2, 77)).await.unwrap();
    let _committed = Transaction::new().store(draft, new).remove(id(1)).commit(spool).await.unwrap();
    store(spool, 3, 50).await.unwrap();
    let state = Pending { attempts: 3, last_error: Some("450 4.2.1 busy".into()), ..Pending::default() };
    let recipients = [(recipient("a@example.com"), RecipientState::Pending(state))];
    spool.update(id(3), &Update::recipients(recipients));
    spool.update(id(3), &Update::crashes(1));
}

/// What version 3 can say besides.
async fn write_as_3(spool: &Spool) {
    write_as_1(spool).await;
    let primary = ServerName::parse("mail2").unwrap();
    let mut draft = spool.begin();
    draft.write(content(4, 30)).await.unwrap();
    let shadow = Role::Shadow { primary: primary.clone() };
    let outcome = Ended { at: Some(Timestamp::from_millis(1_700_000_009_000)), by: Some("mx.example.com".into()) };
    let suspended = RecipientState::Pending(Pending { suspended: true, ..Pending::default() });
    let _committed = Transaction::new()
        .store_as(draft, message(4), shadow)
        .update(id(2), &Update::states([(0, RecipientState::Delivered(outcome)), (1, suspended)]))
        .set(&Note::SuspendedQueue("SmtpRelayToDag;DAG1".into()))
        .set(&Note::Discard { peer: primary, message: id(1) })
        .commit(spool)
        .await
        .unwrap();
    spool.mark_time(Timestamp::from_millis(1_700_000_010_000));
}

/// Opens a segment of an earlier version, and compares with what the present one writes and reads.
async fn compare(fixture: &[u8], write: impl AsyncFn(&Spool)) -> Spool {
    let (old, new) = (LossyDisk::new(), LossyDisk::new());
    old.put(&segment(1), fixture.to_vec());
    let (spool, _) = open(&new);
    write(&spool).await;
    spool.close().await;
    let (old_spool, found) = open(&old);
    let (new_spool, wanted) = open(&new);
    assert_eq!(found.report().damaged, 0);
    assert_eq!(all(found).await, all(wanted).await);
    assert_eq!(read(&old_spool, 2).await, content(2, 77));
    assert_eq!(read(&old_spool, 3).await, content(3, 50));
    assert!(!old_spool.contains(id(1)));
    assert_eq!(old_spool.suspended_queues(), new_spool.suspended_queues());
    assert_eq!(old_spool.discard_peers(), new_spool.discard_peers());
    old_spool
}

#[tokio::test]
async fn version_1_can_be_opened_and_is_written_anew_when_it_is_moved() {
    let spool = compare(include_bytes!("../fixtures/segment-v1.log"), write_as_1).await;
    let before = (spool.head(id(2)).await.unwrap(), spool.head(id(3)).await.unwrap());
    for number in 100..200 {
        store(&spool, number, 3000).await.unwrap();
        spool.remove(id(number));
    }
    wait_until(&spool, |spool| spool.stats().segments <= 4).await;
    assert_eq!((spool.head(id(2)).await.unwrap(), spool.head(id(3)).await.unwrap()), before);
    assert_eq!(read(&spool, 3).await, content(3, 50));
}

#[tokio::test]
async fn version_3_can_be_opened() {
    let spool = compare(include_bytes!("../fixtures/segment-v3.log"), write_as_3).await;
    let primary = ServerName::parse("mail2").unwrap();
    assert_eq!(spool.head(id(4)).await.unwrap().role, Role::Shadow { primary: primary.clone() });
    assert_eq!(spool.discards(&primary), [id(1)]);
    assert_eq!(spool.suspended_queues(), ["SmtpRelayToDag;DAG1".into()]);
}

/// Writes the fixture of the present version, when the format has got another: `cargo test -p queue -- --ignored fixture`.
#[tokio::test]
#[ignore = "it writes into the tree"]
async fn write_the_fixture_of_the_present_version() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    write_as_3(&spool).await;
    spool.close().await;
    let mut octets = disk.contents(&segment(1)).unwrap();
    octets.truncate((octets.iter().rposition(|octet| *octet != 0).unwrap() + 64).next_multiple_of(4096));
    std::fs::write("tests/fixtures/segment-v3.log", octets).unwrap();
}
