//! Space: it comes back, it runs out, and it comes back again (peers E2 27).

use std::time::Duration;

use envelope::{ByteSize, EnhancedStatus};
use queue::disk::lossy::{Fault, Loss, LossyDisk};
use queue::{CommitError, Health, OpenError, Pending, RecipientState, SEGMENT_OCTETS_MIN, Transaction, Update};

use crate::common::*;

#[tokio::test]
async fn space_comes_back_though_some_messages_stay() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    let stay = |number: u64| number.is_multiple_of(50);
    for number in 0..500 {
        store(&spool, number, 3000).await.unwrap();
        if !stay(number) {
            spool.remove(id(number));
        }
    }
    let few = u64::from(SEGMENT_OCTETS_MIN) * 5;
    wait_until(&spool, |spool| spool.stats().log.as_u64() <= few).await;
    assert_eq!(spool.stats().messages, 10);
    for number in (0..500).filter(|number| stay(*number)) {
        assert_eq!(read(&spool, number).await, content(number, 3000));
    }
    let written = disk.counters().bytes_written;
    assert!(written < 500 * 3000 * 3 / 2, "{written} octets written");
    spool.close().await;
    let (_spool, recovery) = open(&disk);
    let order: Vec<_> = all(recovery).await.into_iter().map(|head| head.head.id).collect();
    assert_eq!(order, (0..500).filter(|number| stay(*number)).map(id).collect::<Vec<_>>(), "in order of acceptance");
}

#[tokio::test]
async fn a_spool_full_of_waiting_mail_still_gives_space_back() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    for number in 0..100 {
        store(&spool, number, 3000).await.unwrap();
    }
    for number in 1000..2000 {
        store(&spool, number, 3000).await.unwrap();
        spool.remove(id(number));
    }
    let bound = 2 * 100 * 3200 + u64::from(SEGMENT_OCTETS_MIN) * 5;
    wait_until(&spool, |spool| spool.stats().log.as_u64() <= bound).await;
    for number in 0..100 {
        assert_eq!(read(&spool, number).await, content(number, 3000));
    }
}

#[tokio::test]
async fn a_removed_large_message_leaves_nothing() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 300_000).await.unwrap();
    let path = std::path::Path::new(DIR).join("large/0000000001.eml");
    assert!(disk.contents(&path).is_ok());
    let reader = spool.content(id(1)).await.unwrap();
    Transaction::new().remove(id(1)).commit(&spool).await.unwrap();
    wait_until(&spool, |_| disk.contents(&path).is_err()).await;
    assert_eq!(reader.read_all(WHOLE).await.unwrap(), content(1, 300_000), "whoever reads it reads on");

    let mut draft = spool.begin();
    draft.write(content(2, 300_000)).await.unwrap();
    let path = std::path::Path::new(DIR).join("large/0000000002.eml");
    assert!(disk.contents(&path).is_ok());
    drop(draft);
    wait_until(&spool, |_| disk.contents(&path).is_err()).await;
}

#[tokio::test]
async fn a_full_disk_refuses_mail_lets_mail_go_and_recovers() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    disk.set_capacity(Some(ByteSize::bytes(u64::from(SEGMENT_OCTETS_MIN) * 6)));
    let mut stored = 0;
    let error = loop {
        match store(&spool, stored, 3000).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CommitError::Full), "{error}");
    assert_eq!(error.status(), EnhancedStatus::new(4, 3, 1));
    assert_eq!(spool.health(), Health::Full);
    assert!(stored > 60, "{stored}");
    let refused = store(&spool, 5000, 300_000).await;
    assert!(matches!(refused, Err(CommitError::Full)), "large mail is refused too");

    for number in 0..stored - 1 {
        assert_eq!(read(&spool, number).await, content(number, 3000));
        Transaction::new().remove(id(number)).commit(&spool).await.unwrap();
    }
    wait_until(&spool, |spool| spool.health() == Health::Ready).await;
    store(&spool, 6000, 3000).await.unwrap();
    spool.close().await;
    let (_spool, recovery) = open(&disk);
    let there: Vec<_> = all(recovery).await.into_iter().map(|head| head.head.id).collect();
    assert_eq!(there, [id(stored - 1), id(6000)]);
}

#[tokio::test]
async fn a_large_message_whose_removal_cannot_be_written_keeps_its_content() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 300_000).await.unwrap();
    // The removal, and once more with what is kept for it; then perhaps the file.
    let next = disk.counters().changes;
    disk.fail_at(next, Fault::NoSpace);
    disk.fail_at(next + 1, Fault::NoSpace);
    spool.remove(id(1));
    while disk.counters().changes < next + 3 {
        tokio::task::yield_now().await;
    }
    disk.crash(Loss::Nothing);
    let (spool, recovery) = open(&disk);
    for message in all(recovery).await {
        assert_eq!(message.head.id, id(1));
        assert_eq!(read(&spool, 1).await, content(1, 300_000), "a duplicate at worst");
    }
}

/// Lets a batch of two records meet a full disk halfway, if the writer's moments are as they are meant to be; says whether they
/// were. Whatever was there then, the large message is whole or gone.
async fn refuse_halfway() -> bool {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    // While the writer syncs one message, a large one and then a long one queue up: the next batch.
    disk.set_sync_delay(Duration::from_millis(200));
    let stored = |number, length| {
        let spool = spool.clone();
        tokio::spawn(async move { store(&spool, number, length).await })
    };
    let large = stored(1, 300_000);
    testkit::hold(Duration::from_millis(100)).await;
    let before = stored(2, 10);
    testkit::hold(Duration::from_millis(150)).await;
    let long = stored(3, 30_000);
    testkit::hold(Duration::from_millis(20)).await;
    // After the sync under way, half of the batch is written: all of the large message's record.
    disk.fail_at(disk.counters().changes + 1, Fault::NoSpace);
    let outcomes = [before.await.unwrap(), large.await.unwrap(), long.await.unwrap()];
    testkit::hold(Duration::from_millis(20)).await;
    disk.crash(Loss::Nothing);
    disk.set_sync_delay(Duration::ZERO);
    let (spool, recovery) = open(&disk);
    for message in all(recovery).await.into_iter().filter(|message| message.head.id == id(1)) {
        assert_eq!(read(&spool, 1).await, content(1, 300_000), "{message:?}");
    }
    matches!(outcomes, [Ok(_), Err(CommitError::Full), Err(CommitError::Full)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_that_was_refused_halfway_is_whole_or_gone() {
    const TRIES: usize = 50;
    for _ in 0..TRIES {
        if refuse_halfway().await {
            return;
        }
    }
    panic!("in {TRIES} tries no batch met the full disk halfway");
}

#[tokio::test]
async fn a_spool_opens_on_a_full_disk_and_mail_can_go() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    for number in 0..20 {
        store(&spool, number, 3000).await.unwrap();
    }
    spool.close().await;
    // Two segments are there; a small one finds room, and a block for what is in hands.
    let used = u64::from(SEGMENT_OCTETS_MIN) * 3 + 4096;
    disk.set_capacity(Some(ByteSize::bytes(used)));
    let (spool, recovery) = open(&disk);
    assert_eq!(all(recovery).await.len(), 20);
    for number in 0..20 {
        Transaction::new().remove(id(number)).commit(&spool).await.unwrap();
    }
    wait_until(&spool, |spool| spool.health() == Health::Ready).await;
    store(&spool, 100, 3000).await.unwrap();
}

/// A segment that could not be begun for want of space is taken away, and the one before is written on. If it came back after
/// a crash, its header would cut off what was acknowledged since.
#[tokio::test]
async fn a_segment_that_could_not_be_begun_cuts_nothing_off() {
    for step in 0..5 {
        for seed in 0..24 {
            let disk = LossyDisk::new();
            let (spool, _) = open(&disk);
            let mut stored = 0;
            while disk.contents(&segment(2)).is_err() {
                store(&spool, stored, 9_000).await.unwrap();
                stored += 1;
            }
            // The message that needs the third segment: create, allocate, header, its sync, the directory's sync.
            for _ in 0..4 {
                store(&spool, stored, 9_000).await.unwrap();
                stored += 1;
            }
            disk.fail_at(disk.counters().changes + step, Fault::NoSpace);
            let refused = store(&spool, stored, 9_000).await;
            assert!(matches!(refused, Err(CommitError::Full)), "step {step}: {refused:?}");
            let removed = Transaction::new().remove(id(0)).commit(&spool).await;
            disk.crash(Loss::Some(seed));
            let (_spool, recovery) = open(&disk);
            let there: Vec<_> = all(recovery).await.into_iter().map(|head| head.head.id).collect();
            let wanted: Vec<_> = (u64::from(removed.is_ok())..stored).map(id).collect();
            assert_eq!(there[..wanted.len().min(there.len())], wanted, "step {step}, seed {seed}: {removed:?}");
        }
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_accepted_any_more() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    // The next batch: a write, then its sync.
    disk.fail_at(disk.counters().changes + 1, Fault::InputOutput);
    let error = store(&spool, 2, 100).await.unwrap_err();
    assert!(matches!(error, CommitError::Failed(_)), "{error}");
    assert_eq!(error.status(), EnhancedStatus::new(4, 3, 0));
    let syncs = disk.counters().syncs;
    for number in 3..6 {
        assert!(matches!(store(&spool, number, 100).await, Err(CommitError::Failed(_))));
    }
    assert!(matches!(spool.health(), Health::Failed(reason) if reason.contains("sync")));
    assert_eq!(disk.counters().syncs, syncs, "a failed sync is never tried again");
    assert_eq!(read(&spool, 1).await, content(1, 100), "what is stored can still be read");
}

/// Refused by a failed disk is told; so is a fault of ours. Nobody waits for ever, nobody is told that all is well, and nobody
/// else gets the directory while it is still read from.
#[tokio::test]
async fn after_a_panic_of_the_writer_the_spool_has_failed_and_says_so() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    disk.fail_at(disk.counters().changes + 1, Fault::Panic);
    let waiting: Vec<_> = (2..6)
        .map(|number| {
            let spool = spool.clone();
            tokio::spawn(async move { store(&spool, number, 100).await })
        })
        .collect();
    for refused in waiting {
        assert!(refused.await.unwrap().is_err());
    }
    while !matches!(spool.health(), Health::Failed(_)) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(store(&spool, 6, 100).await, Err(CommitError::Failed(reason)) if reason.contains("panicked")));
    assert_eq!(read(&spool, 1).await, content(1, 100), "what is stored can still be read");
    assert!(matches!(try_open(&disk), Err(OpenError::InUse(_))));
    spool.close().await;
    let (_spool, recovery) = open(&disk);
    assert!(all(recovery).await.iter().any(|stored| stored.head.id == id(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_can_be_read_while_they_are_moved_and_segments_are_reused() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    for number in 0..8 {
        store(&spool, number, 3000).await.unwrap();
        Transaction::new().update(id(number), &attempts(number)).commit(&spool).await.unwrap();
    }
    let flow = {
        let spool = spool.clone();
        tokio::spawn(async move {
            for number in 100..700 {
                store(&spool, number, 3000).await.unwrap();
                spool.remove(id(number));
            }
        })
    };
    let mut rounds = 0;
    while !flow.is_finished() || rounds < 3 {
        for number in 0..8 {
            // Whoever began to read before a move reads on, whatever becomes of the segment.
            let reader = spool.content(id(number)).await.unwrap();
            let head = spool.head(id(number)).await.unwrap();
            assert_eq!(head.states[0], attempts(number).states[0].1);
            assert_eq!(reader.read_all(WHOLE).await.unwrap(), content(number, 3000));
        }
        rounds += 1;
    }
    flow.await.unwrap();
    wait_until(&spool, |spool| spool.stats().messages == 8 && spool.stats().segments <= 4).await;
    assert!(spool.head(id(0)).await.is_ok());
}

fn attempts(number: u64) -> Update {
    let attempts = u32::try_from(number).unwrap();
    Update::states([(0, RecipientState::Pending(Pending { attempts, ..Pending::default() }))])
}
