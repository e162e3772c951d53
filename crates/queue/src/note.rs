//! Notes: small durable facts beside the messages, each a key with a value. Administrative state, what other servers are still
//! to be told, and the time.
//!
//! A note is set and taken away in transactions, alone or together with messages, and is in memory as long as it is there.
//! Those of kinds that this version does not know are kept and moved like the others.
//!
//! ```text
//! key   kind u8 | …            value
//! 1     next-hop key, UTF-8    1 octet: suspended
//! 2     server u32 length, name | message 16     1 octet: that server may discard its copy of the message
//! 3     (nothing)              time u64, milliseconds since 1970: the last that the spool was told
//! 4     sequence u64, big-endian   milliseconds i64: the clock jumped by so much after that message was accepted
//! ```

use envelope::{MessageId, ServerName, Timestamp};

use crate::codec::{Input, Stored};
use crate::index::Index;

/// Most octets of a key: the longest list of smart hosts in a next-hop key stays far below.
pub const NOTE_KEY_OCTETS_MAX: usize = 16 * 1024;
/// Most notes: some hundred megabytes of memory at worst. Beyond, transactions that set one are refused as too large.
pub const NOTES_MAX: usize = 1_000_000;

const SUSPENDED_QUEUE: u8 = 1;
const DISCARD: u8 = 2;
const TIME: u8 = 3;
const JUMP: u8 = 4;

/// What a note is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// An administrator has suspended the queue of this next-hop key (QU-27), written as whoever suspends it does.
    SuspendedQueue(Box<str>),
    /// A message that this server is done with, and whose copy another server may discard when it asks (HA).
    Discard {
        /// The server that holds the copy.
        peer: ServerName,
        /// Which message the peer may forget.
        message: MessageId,
    },
}

/// The clock of this server was told another time than was to be expected: it was wrong before, or is now, or the server was
/// away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// The last time that the spool was told.
    pub from: Timestamp,
    /// What it was told at the start.
    pub to: Timestamp,
}

impl Note {
    pub(crate) fn key(&self) -> Vec<u8> {
        match self {
            Self::SuspendedQueue(key) => [&[SUSPENDED_QUEUE], key.as_bytes()].concat(),
            Self::Discard { peer, message } => [discards_of(peer), message.to_bytes()].concat(),
        }
    }
}

/// How the keys of a peer's discards begin.
fn discards_of(peer: &ServerName) -> Vec<u8> {
    [vec![DISCARD], peer.to_bytes()].concat()
}

/// The queues that are suspended, in order of their keys.
pub(crate) fn suspended_queues(index: &Index) -> Vec<Box<str>> {
    let keys = index.notes(&[SUSPENDED_QUEUE]).map(|(key, _)| &key[1..]);
    keys.filter_map(|key| str::from_utf8(key).ok()).map(Box::from).collect()
}

/// The messages whose copies a peer may discard.
pub(crate) fn discards(index: &Index, peer: &ServerName) -> Vec<MessageId> {
    let prefix = discards_of(peer);
    let ids = index.notes(&prefix).map(|(key, _)| <MessageId as Stored>::from_bytes(&key[prefix.len()..]));
    ids.filter_map(Result::ok).collect()
}

/// The peers that are to be told of discards.
pub(crate) fn discard_peers(index: &Index) -> Vec<ServerName> {
    let names = index.notes(&[DISCARD]).map(|(key, _)| ServerName::load(&mut Input(&key[1..])));
    let mut peers: Vec<ServerName> = names.filter_map(Result::ok).collect();
    peers.dedup();
    peers
}

/// The key under which the time stands.
pub(crate) const TIME_KEY: [u8; 1] = [TIME];

/// The time last told.
pub(crate) fn time(index: &Index) -> Option<Timestamp> {
    index.notes(&TIME_KEY).find_map(|(_, value)| Stored::from_bytes(value).ok())
}

/// The jumps of the clock that are remembered, oldest first: the position in the order of acceptance after which each came, and
/// by how many milliseconds.
pub(crate) fn jumps(index: &Index) -> Vec<(u64, i64)> {
    let jump = |key: &[u8], value: &[u8]| {
        let sequence = u64::from_be_bytes(key.get(1..)?.try_into().ok()?);
        Some((sequence, i64::from_le_bytes(value.try_into().ok()?)))
    };
    index.notes(&[JUMP]).filter_map(|(key, value)| jump(key, value)).collect()
}

pub(crate) fn jump_key(sequence: u64) -> Vec<u8> {
    [&[JUMP][..], &sequence.to_be_bytes()].concat()
}
