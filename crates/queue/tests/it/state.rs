//! What outlives the process besides the messages: notes, crash counts, the time; and what becomes of messages that the disk
//! will not read.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use envelope::{ByteSize, MessageId, ServerName, Timestamp};
use queue::disk::lossy::{Loss, LossyDisk};
use queue::{
    ClockJump, Note, Pending, ReadError, RecipientState, SEGMENT_OCTETS_MIN, Spool, SpoolOptions, Transaction,
    UnreadablePolicy, Update,
};

use crate::common::*;

fn queue_key(number: u64) -> Note {
    Note::SuspendedQueue(format!("DnsConnectorDelivery;d{number}.example").into())
}

async fn set(spool: &Spool, notes: &[Note]) {
    let transaction = notes.iter().fold(Transaction::new(), Transaction::set);
    transaction.commit(spool).await.unwrap();
}

/// Lets the log go round once: whatever was in its first segments was moved or has gone.
async fn go_round(spool: &Spool) {
    // A message that was there before would not be stored again.
    static NEXT: AtomicU64 = AtomicU64::new(10_000);
    let first = NEXT.fetch_add(100, Ordering::Relaxed);
    for number in first..first + 100 {
        store(spool, number, 3000).await.unwrap();
        spool.remove(id(number));
    }
    wait_until(spool, |spool| spool.stats().log.as_u64() <= u64::from(SEGMENT_OCTETS_MIN) * 5).await;
}

#[tokio::test]
async fn notes_are_there_until_they_are_taken_away_wherever_the_log_goes() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    let peers = ["mail2", "mail3"].map(|name| ServerName::parse(name).unwrap());
    let discard = |peer: usize, number| Note::Discard { peer: peers[peer].clone(), message: id(number) };
    set(&spool, &[queue_key(2), queue_key(1), discard(0, 7), discard(0, 8), discard(1, 7)]).await;
    set(&spool, &[queue_key(1)]).await;
    Transaction::new().unset(&discard(0, 8)).unset(&queue_key(9)).commit(&spool).await.unwrap();
    for round in 0..3 {
        go_round(&spool).await;
        let keys: Vec<String> = spool.suspended_queues().iter().map(ToString::to_string).collect();
        assert_eq!(keys, ["DnsConnectorDelivery;d1.example", "DnsConnectorDelivery;d2.example"], "round {round}");
        assert_eq!((spool.discards(&peers[0]), spool.discards(&peers[1])), (vec![id(7)], vec![id(7)]));
        assert_eq!(spool.discard_peers(), peers);
    }
    disk.crash(Loss::Everything);
    let (spool, _) = open(&disk);
    assert_eq!((spool.suspended_queues().len(), spool.discard_peers().len()), (2, 2));
    let away = Transaction::new().unset(&queue_key(1)).unset(&queue_key(2)).unset(&discard(0, 7)).unset(&discard(1, 7));
    away.commit(&spool).await.unwrap();
    go_round(&spool).await;
    disk.crash(Loss::Everything);
    let (spool, _) = open(&disk);
    assert!(spool.suspended_queues().is_empty() && spool.discard_peers().is_empty());
    assert_eq!(spool.stats().live, ByteSize::default());
}

#[tokio::test]
async fn a_message_that_was_in_hands_when_the_process_died_has_a_crash_more() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    for number in 1..=4 {
        store(&spool, number, 100).await.unwrap();
    }
    let crashes = async |spool: &Spool| {
        let mut counts = Vec::new();
        for number in 1..=4 {
            counts.push(spool.head(id(number)).await.unwrap().crashes);
        }
        counts
    };
    // In hands: the first; no longer: the second; gone: the fourth.
    let first = spool.take_in_hand(id(1));
    drop(spool.take_in_hand(id(2)));
    let unknown = spool.take_in_hand(id(99));
    disk.crash(Loss::Nothing);
    drop((first, unknown));
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().crashed, 1);
    assert_eq!(crashes(&spool).await, [1, 0, 0, 0]);
    // At once again, and with another: counted, and durable before anybody goes on.
    let both = [spool.take_in_hand(id(1)), spool.take_in_hand(id(3))];
    disk.crash(Loss::Nothing);
    drop(both);
    let (spool, _) = open(&disk);
    assert_eq!(crashes(&spool).await, [2, 0, 1, 0]);
    disk.crash(Loss::Everything);
    let (spool, recovery) = open(&disk);
    assert_eq!((recovery.report().crashed, crashes(&spool).await), (0, vec![2, 0, 1, 0]));
    // Power loss is nobody's fault.
    let held = spool.take_in_hand(id(4));
    disk.crash(Loss::Some(1));
    drop(held);
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().crashed, 0);
    // Neither is a proper end, and what was processed without a crash begins anew.
    Transaction::new().update(id(1), &Update::crashes(0)).commit(&spool).await.unwrap();
    drop(spool.take_in_hand(id(1)));
    spool.close().await;
    let (spool, _) = open(&disk);
    assert_eq!(crashes(&spool).await, [0, 0, 1, 0]);
}

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

async fn store_at(spool: &Spool, number: u64, arrived: Timestamp) {
    let mut draft = spool.begin();
    draft.write(content(number, 10)).await.unwrap();
    let head = envelope::MessageHead { arrived, ..message(number) };
    let _ = draft.commit(head).await.unwrap();
}

/// Whatever the clock said at each start, a message is as old as the time that this server worked since it came: a clock years
/// ahead or behind, as after a flat battery and before the time is fetched, expires nothing and rejuvenates nothing for ever.
#[tokio::test]
async fn ages_go_on_from_where_they_were_when_the_clock_jumps() {
    let disk = LossyDisk::new();
    let start = |now| open_with(&disk, SpoolOptions { now: Some(now), ..options() }).unwrap();
    let real = Timestamp::from_millis(1_795_000_000_000);
    let wrong = Timestamp::from_millis(1_000_000_000);
    let ahead = real.plus(20 * YEAR);
    // What the clock says at each start, and the ages that the messages ought to have then: one comes at each start.
    let mut ages: Vec<Duration> = Vec::new();
    for (number, now) in (0..).zip([real, wrong, ahead, real.plus(HOUR), real.plus(2 * HOUR), real.plus(YEAR), wrong]) {
        let (spool, recovery) = start(now);
        let jumped = recovery.report().clock_jump;
        assert_eq!(jumped.is_some(), ![0, 4].contains(&number), "start {number}: {jumped:?}");
        for (message, age) in (0..number).zip(&ages) {
            let arrived = spool.head(id(message)).await.unwrap().head.arrived;
            let found = now.since(arrived);
            assert_eq!(found, *age, "message {message} at start {number}");
        }
        store_at(&spool, number, now).await;
        ages.push(Duration::ZERO);
        // It works for half an hour, and is away for half an hour before the start that the clock does not jump at.
        spool.mark_time(now.plus(HOUR / 2));
        ages.iter_mut().for_each(|age| *age += HOUR / 2);
        if number == 3 {
            ages.iter_mut().for_each(|age| *age += HOUR / 2);
        }
        if number % 2 == 0 {
            go_round(&spool).await;
        }
        spool.close().await;
    }
}

#[tokio::test]
async fn a_jump_of_the_clock_is_told_once_and_forgotten_with_the_last_message() {
    let disk = LossyDisk::new();
    let start = |now| open_with(&disk, SpoolOptions { now: Some(now), ..options() }).unwrap();
    let (first, then) = (Timestamp::from_millis(1_000_000_000_000), Timestamp::from_millis(1_795_000_000_000));
    let (spool, _) = start(first);
    store_at(&spool, 1, first).await;
    spool.close().await;
    let (spool, recovery) = start(then);
    assert_eq!(recovery.report().clock_jump, Some(ClockJump { from: first, to: then }));
    spool.remove(id(1));
    spool.close().await;
    let (spool, recovery) = start(then);
    assert_eq!(recovery.report().clock_jump, None);
    store_at(&spool, 2, then).await;
    assert_eq!(spool.head(id(2)).await.unwrap().head.arrived, then);
}

#[tokio::test]
async fn the_age_of_what_is_not_synced_shows_a_disk_that_hangs() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    wait_until(&spool, |spool| spool.unsynced_age() == Duration::ZERO).await;
    disk.set_hang(true);
    let waiting = tokio::spawn({
        let spool = spool.clone();
        async move { store(&spool, 2, 100).await }
    });
    // What the writer has taken counts, and what waits behind it.
    let mut again = tokio::time::interval(Duration::from_millis(1));
    while spool.unsynced_age() < Duration::from_millis(30) {
        again.tick().await;
    }
    assert!(!waiting.is_finished());
    disk.set_hang(false);
    waiting.await.unwrap().unwrap();
    wait_until(&spool, |spool| spool.unsynced_age() == Duration::ZERO).await;
}

/// A message that waits for days has an update for each attempt: reading it does not cost more and more.
#[tokio::test]
async fn many_attempts_make_no_long_chain() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    let attempt = |attempts| RecipientState::Pending(Pending { attempts, ..Pending::default() });
    for attempts in 1..=200 {
        let update = Update::states([(attempts as usize % 2, attempt(attempts))]);
        Transaction::new().update(id(1), &update).commit(&spool).await.unwrap();
    }
    let check = async |spool: &Spool| {
        let before = disk.counters().bytes_read;
        let stored = spool.head(id(1)).await.unwrap();
        assert_eq!(stored.states, [attempt(200), attempt(199)]);
        let read = disk.counters().bytes_read - before;
        assert!(read < 17 * 500, "{read} octets");
    };
    check(&spool).await;
    spool.close().await;
    let (spool, _) = open(&disk);
    check(&spool).await;
}

/// Stores a message with so many recipients.
async fn store_list(spool: &Spool, number: u64, recipients: usize) {
    let recipients = (0..recipients).map(|number| recipient(&format!("r{number}@example.com"))).collect();
    let envelope = envelope::Envelope::new(envelope::ReversePath::Null, recipients);
    let _ = spool.begin().commit(envelope::MessageHead { envelope, ..message(number) }).await.unwrap();
}

fn tried(attempts: u32) -> RecipientState {
    RecipientState::Pending(Pending {
        attempts,
        last_error: Some("451 4.7.1 Try again later".into()),
        ..Pending::default()
    })
}

#[tokio::test]
async fn a_message_to_many_is_decoded_once_however_its_recipients_change() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store_list(&spool, 1, 1_000).await;
    let first = spool.shared_head(id(1)).await.unwrap();
    let (before, decoded) = (disk.counters().bytes_read, spool.stats().decoded_recipients);
    for at in 0..100 {
        let shared = spool.shared_head(id(1)).await.unwrap();
        assert_eq!(shared.as_read(), first.as_read());
        assert_eq!(shared.state(at), Some(RecipientState::default()));
        Transaction::new().update(id(1), &Update::states([(at as usize, tried(1))])).commit(&spool).await.unwrap();
        assert_eq!((shared.state(at), first.state(at)), (Some(tried(1)), Some(tried(1))));
    }
    assert_eq!(spool.stats().decoded_recipients, decoded);
    // Updates that are taken along by a later one are read for that, a few times in all.
    let read = disk.counters().bytes_read - before;
    assert!(read < 100 * 500, "{read} octets");
    // Another list is another message to decode; a message that is gone is gone.
    let recipients = (0..20).map(|number| (recipient(&format!("m{number}@example.com")), tried(2)));
    Transaction::new().update(id(1), &Update::recipients(recipients)).commit(&spool).await.unwrap();
    let changed = spool.shared_head(id(1)).await.unwrap();
    assert_eq!((changed.as_read().states.len(), changed.state(19), changed.state(20)), (20, Some(tried(2)), None));
    Transaction::new().remove(id(1)).commit(&spool).await.unwrap();
    assert!(matches!(spool.shared_head(id(1)).await, Err(ReadError::Unknown(_))));
}

/// Each recipient of a list is tried and put off for itself: what that writes and reads is in proportion to the list.
#[tokio::test]
async fn what_a_recipient_costs_does_not_grow_with_the_list() {
    let mut per_recipient = Vec::new();
    for count in [200, 2_000] {
        let disk = LossyDisk::new();
        let (spool, _) = open(&disk);
        store_list(&spool, 1, count).await;
        let (written, read) = (spool.stats().written.as_u64(), disk.counters().bytes_read);
        for at in 0..count {
            Transaction::new().update(id(1), &Update::states([(at, tried(1))])).commit(&spool).await.unwrap();
        }
        let written = (spool.stats().written.as_u64() - written) / count as u64;
        let read = (disk.counters().bytes_read - read) / count as u64;
        assert!(spool.head(id(1)).await.unwrap().states.iter().all(|state| *state == tried(1)));
        per_recipient.push((written, read));
    }
    let [(written, read), (written_of_many, read_of_many)] = per_recipient[..] else { unreachable!("two lists") };
    assert!(written_of_many < written * 2 && read_of_many < (read + 100) * 3, "{per_recipient:?}");
}

/// Four messages that stay in the first segment, which is to be emptied when others have come and gone.
async fn four_that_stay(disk: &LossyDisk, unreadable: UnreadablePolicy) -> Spool {
    let (spool, _) = open_with(disk, SpoolOptions { unreadable, ..options() }).unwrap();
    for number in 1..=4 {
        store(&spool, number, 100).await.unwrap();
    }
    set(&spool, &[queue_key(1)]).await;
    spool
}

async fn come_and_go(spool: &Spool) {
    for number in 1000..1060 {
        store(spool, number, 3000).await.unwrap();
        spool.remove(id(number));
    }
}

#[tokio::test]
async fn what_the_disk_does_not_read_for_a_while_is_not_lost() {
    let disk = LossyDisk::new();
    let patient = UnreadablePolicy { pause: Duration::from_millis(1), attempts: u32::MAX };
    let spool = four_that_stay(&disk, patient).await;
    disk.set_unreadable(&segment(1), Some(0));
    come_and_go(&spool).await;
    wait_until(&spool, |spool| spool.stats().unreadable_segments == 1).await;
    for number in 1..=4 {
        assert!(spool.contains(id(number)));
        assert!(matches!(spool.head(id(number)).await, Err(error @ ReadError::Io { .. }) if error.is_transient()));
    }
    disk.set_unreadable(&segment(1), None);
    wait_until(&spool, |_| disk.contents(&segment(1)).is_err()).await;
    wait_until(&spool, |spool| spool.stats().unreadable_segments == 0).await;
    for number in 1..=4 {
        assert_eq!(read(&spool, number).await, content(number, 100));
    }
    assert_eq!(spool.stats().lost, 0);
}

#[tokio::test]
async fn what_the_disk_never_reads_is_lost_and_stays_known_until_somebody_says_so() {
    let disk = LossyDisk::new();
    let hasty = UnreadablePolicy { pause: Duration::from_millis(1), attempts: 3 };
    let spool = four_that_stay(&disk, hasty).await;
    disk.set_unreadable(&segment(1), Some(0));
    come_and_go(&spool).await;
    wait_until(&spool, |spool| spool.stats().lost == 4).await;
    let aside = Path::new(DIR).join("quarantine/0000000001.log");
    wait_until(&spool, |_| disk.contents(&aside).is_ok()).await;
    let is_lost = async |spool: &Spool, wanted: MessageId| matches!(spool.head(wanted).await, Err(ReadError::Lost(found)) if found == wanted);
    assert!(is_lost(&spool, id(2)).await && spool.contains(id(2)));
    assert_eq!(spool.suspended_queues().len(), 1, "what is in memory is not lost");
    // Over restarts, and wherever the log goes.
    spool.close().await;
    let (spool, mut recovery) = open(&disk);
    let found = recovery.next_batch().await;
    assert!(found.iter().filter(|(_, head)| matches!(head, Err(ReadError::Lost(_)))).count() == 4, "{found:?}");
    go_round(&spool).await;
    assert!(is_lost(&spool, id(2)).await);
    assert_eq!((spool.stats().lost, spool.suspended_queues().len()), (4, 1));
    for number in 1..=4 {
        Transaction::new().remove(id(number)).commit(&spool).await.unwrap();
    }
    assert!(matches!(spool.head(id(2)).await, Err(ReadError::Unknown(_))));
    spool.close().await;
    let (spool, _) = open(&disk);
    assert_eq!((spool.stats().messages, spool.stats().lost), (0, 0));
}

/// Records that a start could not read are not known in that run; they are there for the next one, whatever came and went.
#[tokio::test]
async fn what_a_start_cannot_read_is_kept_for_the_next() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    for number in 1..=4 {
        store(&spool, number, 6000).await.unwrap();
    }
    spool.close().await;
    disk.set_unreadable(&segment(1), Some(8192 + 12_500));
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().messages, 2);
    for number in 1..=2 {
        spool.remove(id(number));
    }
    come_and_go(&spool).await;
    wait_until(&spool, |spool| spool.stats().messages == 0).await;
    assert_eq!(spool.stats().unreadable_segments, 1);
    spool.close().await;
    disk.set_unreadable(&segment(1), None);
    let (spool, recovery) = open(&disk);
    let there: Vec<_> = all(recovery).await.into_iter().map(|stored| stored.head.id).collect();
    assert_eq!(there, [id(3), id(4)]);
    assert_eq!(read(&spool, 4).await, content(4, 6000));
}

/// A segment whose header cannot be read is no stranger's file: the start ends, and the next one tries again.
#[tokio::test]
async fn a_segment_that_cannot_be_read_at_all_ends_the_start_and_stays() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    spool.close().await;
    disk.set_unreadable(&segment(1), Some(0));
    assert!(matches!(try_open(&disk), Err(queue::OpenError::Io { action: "read a segment", .. })));
    disk.set_unreadable(&segment(1), None);
    let (_spool, recovery) = open(&disk);
    assert_eq!(all(recovery).await.len(), 1);
}
