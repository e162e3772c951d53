//! Spools written by earlier versions can be opened for ever: one fixture for each version of the format.

use queue::disk::lossy::LossyDisk;
use queue::{Pending, RecipientState, Transaction, Update};

use crate::common::*;

/// What the fixtures hold, as the present version writes it.
async fn write(disk: &LossyDisk) {
    let (spool, _) = open(disk);
    store(&spool, 1, 100).await.unwrap();
    let mut new = message(2);
    new.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    new.origin.kind = envelope::OriginKind::Authenticated;
    new.backed_off = vec!["Berlin".parse().unwrap()];
    let mut draft = spool.begin();
    draft.write(content(2, 77)).await.unwrap();
    let _committed = Transaction::new().store(draft, new).remove(id(1)).commit(&spool).await.unwrap();
    store(&spool, 3, 50).await.unwrap();
    let state = Pending { attempts: 3, last_error: Some("450 4.2.1 busy".into()), ..Pending::default() };
    let recipients = [(recipient("a@example.com"), RecipientState::Pending(state))];
    spool.update(id(3), &Update::recipients(recipients));
    spool.update(id(3), &Update::crashes(1));
    spool.close().await;
}

#[tokio::test]
async fn version_1_can_be_opened() {
    let (old, new) = (LossyDisk::new(), LossyDisk::new());
    old.put(&segment(1), include_bytes!("../fixtures/segment-v1.log").to_vec());
    write(&new).await;
    let (old_spool, found) = open(&old);
    let (_, wanted) = open(&new);
    assert_eq!(found.report().damaged, 0);
    assert_eq!(all(found).await, all(wanted).await);
    assert_eq!(read(&old_spool, 2).await, content(2, 77));
    assert_eq!(read(&old_spool, 3).await, content(3, 50));
    assert!(!old_spool.contains(id(1)));
}
