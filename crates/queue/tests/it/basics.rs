//! What a spool does when nothing goes wrong.

use std::path::Path;
use std::sync::{Arc, Mutex};

use envelope::{
    BodyType, ByteSize, DsnReturn, MessageHead, Notify, Origin, OriginKind, OriginalRecipient, ReversePath, SiteName,
};
use queue::disk::lossy::{Loss, LossyDisk};
use queue::{
    CommitError, Ended, OnSync, OpenError, Pending, ReadError, RealDisk, RecipientState, Spool, SpoolOptions,
    StoredMessage, Transaction, Update,
};

use crate::common::*;

#[tokio::test]
async fn a_message_comes_back_as_it_went_in() {
    let disk = LossyDisk::new();
    let (spool, recovery) = open(&disk);
    assert_eq!(all(recovery).await, []);
    let mut new = message(1);
    new.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    new.envelope.reverse_path = ReversePath::Null;
    new.envelope.body = BodyType::EightBitMime;
    new.envelope.smtputf8 = true;
    new.envelope.dsn_return = Some(DsnReturn::Headers);
    new.envelope.envelope_id = Some("QQ314159".into());
    new.envelope.recipients[0].notify = Some(Notify::Never);
    new.envelope.recipients[0].original =
        Some(OriginalRecipient { kind: "rfc822".into(), address: "用户@例子.example".into() });
    new.envelope.recipients[1].notify = Some(Notify::On { success: true, failure: false, delay: true });
    new.origin = Origin { kind: OriginKind::Authenticated, connector: "Client Frontend".into() };
    new.original_size = Some(ByteSize::kib(4));
    new.backed_off = vec![SiteName::parse("Berlin").unwrap()];
    let mut draft = spool.begin();
    draft.write(content(1, 5000).slice(..2000)).await.unwrap();
    draft.write(content(1, 5000).slice(2000..)).await.unwrap();
    assert_eq!(draft.size(), ByteSize::bytes(5000));
    let committed = draft.commit(new.clone()).await.unwrap();
    let receipt = &committed.receipt;
    assert!(committed.is_new);
    assert_eq!((receipt.message(), receipt.holder().as_str()), (id(1), "mail1"));
    let wanted = StoredMessage::new(MessageHead { size: ByteSize::bytes(5000), ..new });
    assert_eq!(spool.head(id(1)).await.unwrap(), wanted);
    assert_eq!(read(&spool, 1).await, content(1, 5000));

    disk.crash(Loss::Everything);
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().messages, 1);
    assert_eq!(all(recovery).await, [wanted]);
    assert_eq!(read(&spool, 1).await, content(1, 5000));
}

#[tokio::test]
async fn an_id_is_stored_once_even_when_it_was_just_removed() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    let written = disk.counters().bytes_written;
    let again = store(&spool, 1, 200).await.unwrap();
    assert_eq!(again, id(1));
    assert_eq!(disk.counters().bytes_written, written, "nothing is stored again");
    assert_eq!(read(&spool, 1).await, content(1, 100));
    let (one, two) = tokio::join!(store(&spool, 2, 50), store(&spool, 2, 50));
    assert!(one.is_ok() && two.is_ok());
    Transaction::new().remove(id(1)).commit(&spool).await.unwrap();
    store(&spool, 1, 100).await.unwrap();
    assert!(!spool.contains(id(1)), "a late repetition of what was delivered");
    // In one batch, as when another server hands over what this one has delivered this moment.
    store(&spool, 4, 50).await.unwrap();
    spool.remove(id(4));
    store(&spool, 4, 50).await.unwrap();
    assert!(!spool.contains(id(4)), "removed and repeated at once");
    spool.close().await;
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().messages, 1);
    store(&spool, 1, 100).await.unwrap();
    assert!(!spool.contains(id(1)), "remembered over a restart as long as the log knows");
    let again = Transaction::new().store(spool.begin(), message(2)).store(spool.begin(), message(3));
    let new: Vec<bool> = again.commit(&spool).await.unwrap().iter().map(|committed| committed.is_new).collect();
    assert_eq!(new, [false, true], "the caller learns which was a repetition");
    assert_eq!(read(&spool, 2).await.len(), 50, "what is here is not stored again");
}

#[tokio::test]
async fn recipients_are_settled_added_and_replaced() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    let failed = Pending { attempts: 1, last_error: Some("450 4.2.1 busy".into()), ..Pending::default() };
    spool.update(id(1), &Update::states([(0, RecipientState::Delivered(Ended::default()))]));
    spool.update(
        id(1),
        &Update::states([(1, RecipientState::Pending(failed.clone())), (7, RecipientState::Failed(Ended::default()))]),
    );
    spool.flush().await.unwrap();
    let head = spool.head(id(1)).await.unwrap();
    assert_eq!(head.states, [RecipientState::Delivered(Ended::default()), RecipientState::Pending(failed)]);
    assert!(head.states[0].is_final() && !head.states[1].is_final());

    // PL-48, PL-49: a group is expanded, its members are resolved.
    let resolved = RecipientState::Pending(Pending { attempts: 1, ..Pending::default() });
    let members = ["a@example.com", "b@example.com", "c@example.com"];
    let mut recipients = vec![(recipient("group@example.com"), RecipientState::Expanded(Ended::default()))];
    recipients.extend(members.map(|member| (recipient(member), resolved.clone())));
    let update =
        Update { states: vec![(2, RecipientState::Failed(Ended::default()))], ..Update::recipients(recipients) };
    Transaction::new().update(id(1), &update).commit(&spool).await.unwrap();
    spool.update(id(1), &Update::crashes(1));
    spool.close().await;
    let (spool, _) = open(&disk);
    let head = spool.head(id(1)).await.unwrap();
    assert_eq!(head.crashes, 1);
    let states: Vec<_> = head.recipients().map(|(who, state)| (who.address.local_part(), state.clone())).collect();
    let wanted = [
        ("group", RecipientState::Expanded(Ended::default())),
        ("a", resolved.clone()),
        ("b", RecipientState::Failed(Ended::default())),
        ("c", resolved),
    ];
    assert_eq!(states, wanted);
}

#[tokio::test]
async fn a_transaction_is_done_whole_or_not_at_all() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    let draft = spool.begin();
    let update = Update::states([(0, RecipientState::Failed(Ended::default()))]);
    let transaction = Transaction::new().store(draft, message(2)).remove(id(1)).update(id(3), &update);
    assert!(matches!(transaction.commit(&spool).await, Err(CommitError::Unknown(unknown)) if unknown == id(3)));
    assert!(spool.contains(id(1)) && !spool.contains(id(2)));
    let (one, two) = (spool.begin(), spool.begin());
    let transaction = Transaction::new().store(one, message(2)).store(two, message(3)).update(id(3), &update);
    let committed = transaction.remove(id(1)).commit(&spool).await.unwrap();
    assert_eq!(committed.iter().map(|one| one.receipt.message()).collect::<Vec<_>>(), [id(2), id(3)]);
    assert_eq!(spool.head(id(3)).await.unwrap().states[0], RecipientState::Failed(Ended::default()));
    assert!(matches!(spool.head(id(1)).await, Err(ReadError::Unknown(_))));
}

#[tokio::test]
async fn lazy_changes_become_durable_by_themselves() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    spool.remove(id(1));
    while spool.contains(id(1)) {
        tokio::task::yield_now().await;
    }
    disk.crash(Loss::Everything);
    assert_eq!(open(&disk).1.report().messages, 0);
}

#[tokio::test]
async fn commits_share_syncs() {
    let disk = LossyDisk::new();
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let on_sync = OnSync::new(move |records| seen.lock().unwrap().push(records));
    let (spool, _) = Spool::open(disk.mount(), Path::new(DIR), SpoolOptions { on_sync, ..options() }).unwrap();
    let before = disk.counters().syncs;
    let stores = (0..64).map(|number| {
        let spool = spool.clone();
        tokio::spawn(async move { store(&spool, number, 100).await })
    });
    for task in stores.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let syncs = disk.counters().syncs - before;
    assert!((1..=64).contains(&syncs), "{syncs}");
    assert_eq!(spool.stats().syncs, syncs);
    // Whoever observes is told of each, and of everything that was in them.
    let batches = batches.lock().unwrap();
    assert_eq!((batches.len() as u64, batches.iter().sum::<u32>()), (syncs, 64));
}

#[tokio::test]
async fn content_just_stored_is_read_from_memory() {
    let disk = LossyDisk::new();
    let options = SpoolOptions { recent_octets: 10_000, ..options() };
    let (spool, _) = Spool::open(disk.mount(), Path::new(DIR), options).unwrap();
    for number in 0..4 {
        store(&spool, number, 4000).await.unwrap();
    }
    let before = disk.counters().bytes_read;
    assert_eq!(read(&spool, 3).await, content(3, 4000));
    assert_eq!(disk.counters().bytes_read, before);
    assert_eq!(read(&spool, 0).await, content(0, 4000), "the oldest made room");
    assert!(disk.counters().bytes_read > before);
}

#[tokio::test]
async fn large_content_is_streamed_in_chunks() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    let (mut draft, chunk) = (spool.begin(), content(1, 100_000));
    for _ in 0..30 {
        draft.write(chunk.clone()).await.unwrap();
    }
    let before = disk.counters().bytes_written;
    assert!(before > 2_000_000, "what is large goes to disk as it comes: {before}");
    let _receipt = draft.commit(message(1)).await.unwrap();
    assert!(matches!(
        spool.content(id(1)).await.unwrap().read_all(ByteSize::mib(1)).await,
        Err(ReadError::TooLarge(_))
    ));
    let mut reader = spool.content(id(1)).await.unwrap();
    let mut octets = 0;
    while let Some(part) = reader.chunk().await.unwrap() {
        assert!(part.len() <= queue::READ_OCTETS);
        octets += part.len();
    }
    assert_eq!(octets, 3_000_000);
}

#[tokio::test]
async fn a_restart_reads_heads_and_no_bodies() {
    let disk = LossyDisk::new();
    let options = SpoolOptions { segment_octets: 16 * 1024 * 1024, ..options() };
    let (spool, _) = Spool::open(disk.mount(), Path::new(DIR), options.clone()).unwrap();
    let body = content(0, 4000);
    let tasks = (0..20u64).map(|task| {
        let (spool, body) = (spool.clone(), body.clone());
        tokio::spawn(async move {
            for number in 0..1000 {
                let mut draft = spool.begin();
                draft.write(body.clone()).await.unwrap();
                let _receipt = draft.commit(message(task * 1000 + number)).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    spool.close().await;
    let before = disk.counters().bytes_read;
    let (_spool, recovery) = Spool::open(disk.mount(), Path::new(DIR), options).unwrap();
    let octets = disk.counters().bytes_read - before;
    assert_eq!(recovery.report().messages, 20_000);
    // Less than 400 octets for each message, and the rest of the last segment, in which damage is looked for.
    assert!(octets < 20_000 * 400 + 16 * 1024 * 1024, "{octets} octets of 80 million read");
    let mut recovery = recovery;
    assert!(recovery.next_batch().await.len() < 1000, "heads come in batches");
}

#[tokio::test]
async fn a_real_directory_is_opened_by_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let open = || Spool::open(Arc::new(RealDisk), &path, options());
    let (spool, _) = open().unwrap();
    assert!(matches!(open(), Err(OpenError::InUse(_))));
    for number in 0..40 {
        store(&spool, number, 5000).await.unwrap();
        if number % 2 == 0 {
            spool.remove(id(number));
        }
    }
    store(&spool, 100, 400_000).await.unwrap();
    assert!(spool.space().unwrap().total > ByteSize::mib(1));
    spool.close().await;
    assert!(matches!(store(&spool, 101, 5).await, Err(CommitError::Closed)));
    let (spool, recovery) = open().unwrap();
    assert_eq!(recovery.report().messages, 21);
    assert_eq!(recovery.report().damaged, 0);
    assert_eq!(read(&spool, 39).await, content(39, 5000));
    assert_eq!(read(&spool, 100).await, content(100, 400_000));
    spool.close().await;
}

#[tokio::test]
async fn the_segment_size_has_limits() {
    let options = SpoolOptions { segment_octets: 1000, ..options() };
    let result = Spool::open(LossyDisk::new().mount(), Path::new(DIR), options);
    assert!(matches!(result, Err(OpenError::SegmentSize { .. })));
}

/// Heads of the first messages after each of some changes; `None` for one that is not stored.
async fn heads_along_the_way(recent_octets: usize) -> Vec<Option<StoredMessage>> {
    let options = SpoolOptions { recent_octets, ..options() };
    let (spool, _) = Spool::open(LossyDisk::new().mount(), Path::new(DIR), options).unwrap();
    let mut seen = Vec::new();
    let mut look = async || {
        for number in 1..=4 {
            seen.push(spool.head(id(number)).await.ok());
        }
    };
    for number in 1..=3 {
        store(&spool, number, 300).await.unwrap();
    }
    look().await;
    spool.update(id(1), &Update::states([(0, RecipientState::Delivered(Ended::default()))]));
    spool.flush().await.unwrap();
    look().await;
    let list = [(recipient("carl@example.com"), RecipientState::default())];
    Transaction::new().update(id(2), &Update::recipients(list)).commit(&spool).await.unwrap();
    let mut draft = spool.begin();
    draft.write(content(4, 400)).await.unwrap();
    let both = Transaction::new().store(draft, message(4)).update(id(4), &Update::crashes(1));
    both.commit(&spool).await.unwrap();
    spool.remove(id(3));
    spool.flush().await.unwrap();
    // Stored before: nothing changes, in memory as little as on disk.
    store(&spool, 1, 300).await.unwrap();
    look().await;
    seen
}

#[tokio::test]
async fn what_is_kept_in_memory_is_what_is_on_disk() {
    let on_disk = heads_along_the_way(0).await;
    assert_eq!(on_disk.iter().flatten().count(), 3 + 3 + 3);
    assert_eq!(heads_along_the_way(queue::RECENT_OCTETS_DEFAULT).await, on_disk);
}
