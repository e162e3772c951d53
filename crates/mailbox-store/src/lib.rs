//! Mailbox databases as trees of Maildirs, so that any IMAP server or mail reader opens what Postroad delivers.
//!
//! ```text
//! <root>/                        a mailbox database: one file system
//!   .staging/                    contents being written, mailboxes being made
//!   .move                        it leaves for another server
//!   ann/                         a mailbox
//!     deliveries                 ids of recent deliveries (ledger)
//!     Maildir/{tmp,new,cur}      the inbox
//!     Maildir/.Outbox/…          what the user sends: taken by Mailbox Transport Submission (PL-09)
//!     Maildir/.Sent/…            where it goes when Transport has it
//!     Maildir/.Failed/…          where it goes when it cannot be sent
//! ```
//!
//! - Delivery (PL-10): [`MailboxDatabase::begin`] → [`ContentWriter`] → [`StagedContent::deliver`] once per recipient. One
//!   write, however many recipients: mailboxes get hard links. A delivery repeated makes no second copy.
//! - Submission: [`OutboxWatch`] yields an [`OutboxItem`] for each message; [`OutboxItem::sent`] or
//!   [`OutboxItem::rejected`] settles it. A crash in between submits it again under the same message id.
//! - Moving: [`Departing`] on the old server, [`IncomingDatabase`] on the new one; nobody writes in between.
//!
//! Whoever answers *delivered* may rely on it: file, directory entry and ledger are synced by then. Which database is
//! active on this server, and which mailbox a recipient has, is decided elsewhere.

mod claim;
mod database;
mod delivery;
mod disk;
mod error;
mod ledger;
mod line_ends;
mod mailbox;
mod moving;
mod outbox;
mod outbox_id;
mod watch;

pub use database::{ContentWriter, MailboxDatabase, StagedContent};
pub use delivery::{DeliveryId, DeliveryOutcome};
pub use error::StoreError;
pub use mailbox::{MailboxName, MailboxNameError};
pub use moving::{
    Departing, Departure, Entry, EntryKind, IncomingDatabase, Opened, Receiving, Stay, Steps, StoredFile, steps,
};
pub use outbox::{FAILURE_HEADER, Held, OutboxItem, OutboxReader};
pub use watch::{OutboxWatch, Rescan, Watcher};
