//! The spool: accepted mail on disk, by group commit, in append-only segments.
//!
//! What a [`Receipt`](envelope::Receipt) from here means (invariant 1): content, envelope and the state of each recipient
//! survive power loss. A crash may make a duplicate; it never loses a message. The spool keeps ground state only and knows
//! nothing about routes, queues or retries (invariant 3): they are recomputed from it. Beside the messages it keeps what is to
//! outlive a process and belongs to no message: suspended queues, what other servers are to be told, the time ([`Note`]).
//!
//! ```text
//! dir/lock                       held by the one process that has the spool open
//! dir/reserve                    space for removals when the disk is full
//! dir/hands                      messages being processed, for whoever starts after a crash
//! dir/segments/0000000001.log …  the log: messages up to 256 KiB, changes, removals, notes
//! dir/segments/….spare          files of dropped segments, to be written over
//! dir/large/0000000001.eml …     contents above that, one file each, durable before the log names them
//! dir/quarantine/…               what was damaged
//! ```
//!
//! `docs/queue.md` has every octet, and what is expected of the medium.
//!
//! | module | what |
//! |---|---|
//! | `spool` | [`Spool`], the handle: begin, update, remove, head, content |
//! | `draft`, `transaction` | mail on its way in; changes that belong together |
//! | `message`, `note` | what is kept of a message: [`StoredMessage`], [`RecipientState`]; and beside messages |
//! | `shared`, `jobs` | what everybody shares; what waits for the writer |
//! | `writer` | the one thread that writes: batches, segments, giving space back |
//! | `recovery` | opening: walking the log, damage, [`Recovery`] |
//! | `record`, `codec`, `scan` | the form on disk, version 3 |
//! | `index`, `reading`, `content` | finding and reading messages |
//! | `hands` | what is being processed, to find what brings the process down |
//! | [`disk`] | the file operations as a trait; a real disk and one that loses power |

mod codec;
mod content;
pub mod disk;
mod draft;
mod error;
mod hands;
mod index;
mod jobs;
mod message;
mod note;
mod reading;
mod record;
mod recovery;
mod scan;
mod shared;
mod spool;
mod transaction;
mod writer;

pub use content::{ContentReader, READ_OCTETS, SharedMessage};
pub use disk::{Disk, RealDisk, Space};
pub use draft::{Draft, INLINE_OCTETS_MAX};
pub use error::{CommitError, Health, OpenError, ReadError};
pub use hands::{IN_HANDS_MAX, InHand};
pub use jobs::TRANSACTION_OPERATIONS_MAX;
pub use message::{Ended, Pending, RecipientState, Role, StoredMessage, UnknownField, Update};
pub use note::{ClockJump, NOTE_KEY_OCTETS_MAX, NOTES_MAX, Note};
pub use record::TRANSACTION_OCTETS_MAX;
pub use recovery::{Recovery, RecoveryReport, TIME_MARK_INTERVAL};
pub use shared::{OnSync, UnreadablePolicy};
pub use spool::{
    RECENT_OCTETS_DEFAULT, SEGMENT_OCTETS_DEFAULT, SEGMENT_OCTETS_MAX, SEGMENT_OCTETS_MIN, Spool, SpoolOptions, Stats,
};
pub use transaction::{Committed, Transaction};
pub use writer::LAZY_DELAY;
