//! The spool: accepted mail on disk, by group commit, in append-only segments.
//!
//! What a [`Receipt`](envelope::Receipt) from here means (invariant 1): content, envelope and the state of each recipient
//! survive power loss. A crash may make a duplicate; it never loses a message. The spool keeps ground state only and knows
//! nothing about routes, queues or retries (invariant 3): they are recomputed from it.
//!
//! ```text
//! dir/lock                       held by the one process that has the spool open
//! dir/reserve                    space for removals when the disk is full
//! dir/segments/0000000001.log …  the log: messages up to 256 KiB, changes, removals
//! dir/segments/….spare          files of dropped segments, to be written over
//! dir/large/0000000001.eml …     contents above that, one file each, durable before the log names them
//! dir/quarantine/…               what was damaged
//! ```
//!
//! | module | what |
//! |---|---|
//! | `spool` | [`Spool`], the handle: begin, update, remove, head, content |
//! | `draft`, `transaction` | mail on its way in; changes that belong together |
//! | `message` | what is kept of a message: [`StoredMessage`], [`RecipientState`] |
//! | `writer` | the one thread that writes: batches, segments, giving space back |
//! | `recovery` | opening: walking the log, damage, [`Recovery`] |
//! | `record`, `codec`, `scan` | the form on disk, version 1 |
//! | `index`, `reading`, `content` | finding and reading messages |
//! | [`disk`] | the file operations as a trait; a real disk and one that loses power |

mod codec;
mod content;
pub mod disk;
mod draft;
mod error;
mod index;
mod message;
mod reading;
mod record;
mod recovery;
mod scan;
mod spool;
mod transaction;
mod writer;

pub use content::{ContentReader, READ_OCTETS};
pub use disk::{Disk, RealDisk, Space};
pub use draft::{Draft, INLINE_OCTETS_MAX};
pub use error::{CommitError, Health, OpenError, ReadError};
pub use message::{Pending, RecipientState, StoredMessage, Update};
pub use record::TRANSACTION_OCTETS_MAX;
pub use recovery::{Recovery, RecoveryReport};
pub use spool::{
    OnSync, RECENT_OCTETS_DEFAULT, SEGMENT_OCTETS_DEFAULT, SEGMENT_OCTETS_MAX, SEGMENT_OCTETS_MIN, Spool, SpoolOptions,
    Stats,
};
pub use transaction::{Committed, TRANSACTION_OPERATIONS_MAX, Transaction};
pub use writer::LAZY_DELAY;
