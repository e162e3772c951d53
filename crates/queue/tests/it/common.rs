//! What the tests of the spool share: small messages, and a spool on a disk that forgets.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use envelope::{
    Address, ByteSize, Envelope, MessageHead, MessageId, Origin, OriginKind, Recipient, ReversePath, Revision,
    ServerName, Timestamp,
};
use queue::disk::lossy::LossyDisk;
use queue::{CommitError, OpenError, Recovery, SEGMENT_OCTETS_MIN, Spool, SpoolOptions, StoredMessage};

pub(crate) const DIR: &str = "/spool";
pub(crate) const WHOLE: ByteSize = ByteSize::mib(64);

pub(crate) fn options() -> SpoolOptions {
    let server = ServerName::parse("mail1").unwrap();
    // No contents in memory: every read shows what is on disk.
    SpoolOptions { segment_octets: SEGMENT_OCTETS_MIN, recent_octets: 0, ..SpoolOptions::new(server) }
}

pub(crate) fn try_open(disk: &LossyDisk) -> Result<(Spool, Recovery), OpenError> {
    open_with(disk, options())
}

pub(crate) fn open_with(disk: &LossyDisk, options: SpoolOptions) -> Result<(Spool, Recovery), OpenError> {
    Spool::open(disk.mount(), Path::new(DIR), options)
}

pub(crate) fn open(disk: &LossyDisk) -> (Spool, Recovery) {
    try_open(disk).unwrap()
}

pub(crate) fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn recipient(text: &str) -> Recipient {
    Recipient::new(address(text))
}

pub(crate) fn message(number: u64) -> MessageHead {
    let recipients = vec![recipient("ann@example.com"), recipient("bob@example.org")];
    MessageHead {
        id: id(number),
        envelope: Envelope::new(ReversePath::Address(address("sender@example.net")), recipients),
        arrived: Timestamp::from_millis(1_700_000_000_000 + number),
        size: ByteSize::default(),
        original_size: None,
        trace: None,
        revision: Revision(7),
        origin: Origin { kind: OriginKind::Anonymous, connector: "Default Frontend".into() },
        backed_off: Vec::new(),
    }
}

/// Content that can be told from that of any other message; its period is a prime, so that a shift shows.
pub(crate) fn content(number: u64, length: usize) -> Bytes {
    let unit: Vec<u8> = (0..251u64).map(|position| (number * 31 + position * position + 7).to_le_bytes()[0]).collect();
    let mut octets = unit.repeat(length / unit.len() + 1);
    octets.truncate(length);
    octets.splice(..length.min(8), number.to_be_bytes().into_iter().take(length));
    octets.into()
}

/// Stores a message; the id is that of the receipt.
pub(crate) async fn store(spool: &Spool, number: u64, length: usize) -> Result<MessageId, CommitError> {
    let mut draft = spool.begin();
    draft.write(content(number, length)).await?;
    Ok(draft.commit(message(number)).await?.receipt.message())
}

pub(crate) async fn read(spool: &Spool, number: u64) -> Bytes {
    spool.content(id(number)).await.unwrap().read_all(WHOLE).await.unwrap()
}

/// Waits until the writer has come to something that it does by itself.
pub(crate) async fn wait_until(spool: &Spool, done: impl Fn(&Spool) -> bool) {
    loop {
        spool.flush().await.unwrap();
        if done(spool) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn all(mut recovery: Recovery) -> Vec<StoredMessage> {
    let mut heads = Vec::new();
    loop {
        let batch = recovery.next_batch().await;
        if batch.is_empty() {
            return heads;
        }
        heads.extend(batch.into_iter().map(|(_, head)| head.unwrap()));
    }
}

pub(crate) fn segment(number: u32) -> PathBuf {
    Path::new(DIR).join("segments").join(format!("{number:010}.log"))
}
