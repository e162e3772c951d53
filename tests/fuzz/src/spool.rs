//! A spool whose log is not what was written: it opens, tells what is damaged, and what it still gives is what was stored.

use std::path::Path;

use bytes::Bytes;
use envelope::{
    Address, ByteSize, Envelope, MessageHead, MessageId, Origin, OriginKind, Recipient, ReversePath, Revision,
    ServerName, Timestamp,
};
use queue::disk::lossy::LossyDisk;
use queue::{SEGMENT_OCTETS_MIN, Spool, SpoolOptions};

const FOLDER: &str = "/spool";
const SEGMENT: &str = "/spool/segments/0000000001.log";

/// Changes of a log: after the salt of its head, four octets each, where (two octets, in eighths) and what. What is written
/// in the salt's place hides nothing: an octet that is not there is not read.
pub(crate) fn damaged(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let disk = written().await;
        let mut log = disk.contents(Path::new(SEGMENT)).unwrap();
        for change in input.chunks_exact(4) {
            // The interesting part: the two copies of the head, and what is written behind 8 KiB.
            let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
            let at = if at % 4 == 0 { at % 64 } else { 8192 + at % 2048 };
            for (octet, with) in log.iter_mut().skip(at).zip(&change[2..]) {
                *octet = *with;
            }
        }
        disk.put(Path::new(SEGMENT), log);
        let Ok((spool, mut recovery)) = Spool::open(disk.mount(), Path::new(FOLDER), options()) else { return };
        let report = recovery.report();
        let mut read = 0;
        loop {
            let batch = recovery.next_batch().await;
            if batch.is_empty() {
                break;
            }
            for (id, _) in batch {
                read += 1;
                let Ok(content) = spool.content(id).await else { continue };
                // Damage is noticed, never passed on as mail.
                if let Ok(content) = content.read_all(ByteSize::mib(1)).await {
                    assert!(content.iter().all(|octet| *octet == content[0]), "content that nobody stored");
                }
            }
        }
        assert!(read as u64 <= report.messages as u64, "{read} of {report:?}");
        spool.close().await;
    });
}

fn options() -> SpoolOptions {
    let server = ServerName::parse("mail1").unwrap();
    SpoolOptions { segment_octets: SEGMENT_OCTETS_MIN, recent_octets: 0, ..SpoolOptions::new(server) }
}

/// Three messages of 300 octets, each of one letter.
async fn written() -> LossyDisk {
    let disk = LossyDisk::new();
    let (spool, _) = Spool::open(disk.mount(), Path::new(FOLDER), options()).unwrap();
    for number in 1..=3 {
        let mut draft = spool.begin();
        draft.write(Bytes::from(vec![b'a' + number; 300])).await.unwrap();
        draft.commit(head(number)).await.unwrap();
    }
    spool.close().await;
    disk
}

fn head(number: u8) -> MessageHead {
    let recipients = vec![Recipient::new(Address::parse("ann@example.com").unwrap())];
    MessageHead {
        id: MessageId::from_bytes([number; 16]),
        envelope: Envelope::new(ReversePath::Null, recipients),
        arrived: Timestamp::from_millis(1_700_000_000_000),
        size: ByteSize::default(),
        original_size: None,
        trace: None,
        revision: Revision(7),
        origin: Origin { kind: OriginKind::Anonymous, connector: "Default Frontend".into() },
        backed_off: Vec::new(),
    }
}
