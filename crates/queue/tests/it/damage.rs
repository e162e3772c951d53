//! Damage to the files of a spool that nobody reads meanwhile: what is damaged is set aside and told, the rest is there
//! (peers E2 28).

use std::path::{Path, PathBuf};

use queue::disk::lossy::LossyDisk;
use queue::{OpenError, ReadError, RecoveryReport};

use crate::common::*;

/// Twelve messages over several segments, closed properly. Their lengths are multiples of nothing.
async fn spool_of_twelve() -> LossyDisk {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    for number in 1..=12 {
        store(&spool, number, 11_003).await.unwrap();
    }
    spool.close().await;
    disk
}

fn edit(disk: &LossyDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.contents(path).unwrap();
    change(&mut bytes);
    disk.put(path, bytes);
}

/// What is found: the numbers of the messages whose head and content are right, and the report.
async fn found(disk: &LossyDisk) -> (Vec<u64>, RecoveryReport) {
    let (spool, recovery) = open(disk);
    let report = recovery.report();
    let mut numbers = Vec::new();
    for head in all(recovery).await {
        let number = u64::from_be_bytes(head.head.id.as_bytes()[8..].try_into().unwrap());
        match spool.content(head.head.id).await.unwrap().read_all(WHOLE).await {
            Ok(bytes) => {
                assert_eq!(bytes, content(number, 11_003));
                numbers.push(number);
            }
            Err(ReadError::Damaged(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    spool.close().await;
    (numbers, report)
}

fn last_segment(disk: &LossyDisk) -> (u32, PathBuf) {
    let number = (1..).take_while(|number| disk.contents(&segment(*number)).is_ok()).last().unwrap();
    (number, segment(number))
}

/// A crash may leave a segment with the first of its two headers only. Nothing was ever in it, at the next start and at all
/// those after it, when it is no longer the last.
#[tokio::test]
async fn a_segment_cut_within_its_header_is_empty_and_not_damaged() {
    let disk = spool_of_twelve().await;
    let (number, _) = last_segment(&disk);
    let (spool, _) = open(&disk);
    spool.close().await;
    edit(&disk, &segment(number + 1), |bytes| bytes.truncate(4096));
    for start in 1..=3 {
        let (numbers, report) = found(&disk).await;
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>(), "start {start}");
        assert_eq!((report.damaged, report.missing_segments), (0, 0), "start {start}: {report:?}");
    }
}

#[tokio::test]
async fn a_torn_last_record_is_dropped_without_a_word_wherever_it_is_cut() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 500).await.unwrap();
    let start = disk.counters();
    store(&spool, 2, 700).await.unwrap();
    let length = usize::try_from(disk.counters().bytes_written - start.bytes_written).unwrap();
    spool.close().await;
    let whole = disk.contents(&segment(1)).unwrap();
    let end = whole.iter().rposition(|octet| *octet != 0).unwrap() + 1;
    // Up to seven octets of padding after the content do not matter.
    for cut in (end - length + 8)..end {
        for zeroed in [true, false] {
            let disk = LossyDisk::new();
            let mut bytes = whole.clone();
            if zeroed {
                bytes[cut..].fill(0)
            } else {
                bytes.truncate(cut)
            }
            disk.put(&segment(1), bytes);
            let (spool, recovery) = open(&disk);
            assert_eq!(recovery.report().damaged, 0, "cut at {cut}");
            let stored: Vec<_> = all(recovery).await.into_iter().map(|head| head.head.id).collect();
            assert_eq!(stored, [id(1)], "cut at {cut}");
            assert_eq!(read(&spool, 1).await, content(1, 500));
            spool.close().await;
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_costs_at_most_one_message_and_is_told() {
    let whole = spool_of_twelve().await;
    let bytes = whole.contents(&segment(1)).unwrap();
    for position in (0..bytes.len()).step_by(331) {
        let disk = spool_of_twelve().await;
        edit(&disk, &segment(1), |bytes| bytes[position] ^= 1 << (position % 8));
        let (spool, recovery) = open(&disk);
        let heads = recovery.report().messages;
        let damaged = recovery.report().damaged;
        spool.close().await;
        let (numbers, again) = found(&disk).await;
        assert!(numbers.len() >= 11, "bit at {position}: {numbers:?}");
        assert_eq!(damaged > 0, heads < 12, "bit at {position}: a lost head is told, nothing else is");
        assert_eq!(again.damaged, damaged, "bit at {position}: every start tells");
        assert_eq!(again.missing_segments, 0);
    }
}

#[tokio::test]
async fn damage_is_copied_to_quarantine() {
    let disk = spool_of_twelve().await;
    edit(&disk, &segment(1), |bytes| bytes[8192 + 20] ^= 1);
    let (numbers, report) = found(&disk).await;
    assert_eq!((numbers, report.damaged), ((2..=12).collect(), 1));
    let copy = disk.contents(&Path::new(DIR).join("quarantine/0000000001-0000008192.damaged")).unwrap();
    assert!(copy.windows(200).any(|part| part == &content(1, 11_003)[..200]));
}

#[tokio::test]
async fn a_damaged_segment_header_has_a_copy() {
    let disk = spool_of_twelve().await;
    edit(&disk, &segment(2), |bytes| bytes[..4096].fill(0xff));
    assert_eq!(found(&disk).await.0, (1..=12).collect::<Vec<_>>());
    edit(&disk, &segment(2), |bytes| bytes[..8192].fill(0xff));
    let (numbers, report) = found(&disk).await;
    assert!(numbers.len() < 12 && numbers.contains(&1) && numbers.contains(&12), "{numbers:?}");
    assert!(report.missing_segments > 0);
    assert!(disk.contents(&Path::new(DIR).join("quarantine/0000000002.log")).is_ok());
}

#[tokio::test]
async fn truncated_missing_and_duplicated_segments_are_told_and_the_rest_is_there() {
    let disk = spool_of_twelve().await;
    edit(&disk, &segment(1), |bytes| bytes.truncate(8192 + 15_000));
    let (numbers, report) = found(&disk).await;
    assert!(numbers.contains(&1) && numbers.contains(&12) && numbers.len() < 12, "{numbers:?}");
    assert!(report.damaged > 0 && report.missing_segments == 0, "{report:?}");

    let disk = spool_of_twelve().await;
    disk.lose(&segment(2));
    let (numbers, report) = found(&disk).await;
    assert!(numbers.contains(&1) && numbers.contains(&12) && numbers.len() < 12, "{numbers:?}");
    assert_eq!(report.missing_segments, 1);

    let disk = spool_of_twelve().await;
    disk.lose(&segment(1));
    assert_eq!(found(&disk).await.1.missing_segments, 1);

    let disk = spool_of_twelve().await;
    let (last, _) = last_segment(&disk);
    disk.put(&segment(last + 1), disk.contents(&segment(1)).unwrap());
    let (numbers, _) = found(&disk).await;
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert!(disk.contents(&Path::new(DIR).join(format!("quarantine/{:010}.log", last + 1))).is_ok());
}

#[tokio::test]
async fn a_missing_large_content_is_told_and_its_head_is_there() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 300_000).await.unwrap();
    spool.close().await;
    let path = Path::new(DIR).join("large/0000000001.eml");
    edit(&disk, &path, |bytes| bytes[250_000] ^= 4);
    let (spool, _) = open(&disk);
    let result = spool.content(id(1)).await.unwrap().read_all(WHOLE).await;
    assert!(matches!(result, Err(ReadError::Damaged(_))));
    spool.close().await;
    disk.lose(&path);
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().missing_contents, 1);
    assert!(spool.head(id(1)).await.is_ok());
    assert!(spool.content(id(1)).await.is_err());
}

#[tokio::test]
async fn content_that_looks_like_records_is_never_taken_for_one() {
    let disk = LossyDisk::new();
    let (spool, _) = open(&disk);
    store(&spool, 1, 100).await.unwrap();
    // What a sender could know: the whole form of a record, even from a segment of this spool, but not the salt to come.
    let forged = disk.contents(&segment(1)).unwrap()[8192..8192 + 600].to_vec();
    spool.close().await;
    let (spool, _) = open(&disk);
    let mut draft = spool.begin();
    draft.write(forged.repeat(20).into()).await.unwrap();
    let _receipt = draft.commit(message(2)).await.unwrap();
    store(&spool, 3, 100).await.unwrap();
    store(&spool, 4, 100).await.unwrap();
    spool.close().await;
    edit(&disk, &segment(2), |bytes| bytes[8192 + 13] ^= 1);
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.report().damaged, 1);
    let stored: Vec<_> = all(recovery).await.into_iter().map(|head| head.head.id).collect();
    assert_eq!(stored, [id(1), id(3), id(4)]);
    spool.close().await;
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let disk = spool_of_twelve().await;
    let before = disk.contents(&segment(1)).unwrap();
    edit(&disk, &segment(1), |bytes| {
        for header in [0, 4096] {
            bytes[header + 8] = 4;
            bytes[header + 9] = 4;
            let crc = crc32c::crc32c(&bytes[header..header + 60]);
            bytes[header + 60..header + 64].copy_from_slice(&crc.to_le_bytes());
        }
    });
    assert!(matches!(try_open(&disk), Err(OpenError::Version { segment: 1, version: 4 })));
    assert_eq!(disk.contents(&segment(1)).unwrap().len(), before.len());
    // One that only added what may be passed over says so.
    edit(&disk, &segment(1), |bytes| {
        for header in [0, 4096] {
            bytes[header + 9] = 3;
            let crc = crc32c::crc32c(&bytes[header..header + 60]);
            bytes[header + 60..header + 64].copy_from_slice(&crc.to_le_bytes());
        }
    });
    assert_eq!(found(&disk).await.0, (1..=12).collect::<Vec<_>>());
}
