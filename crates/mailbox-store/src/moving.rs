//! A database that changes its server: what the old and the new one do with its files.
//!
//! ```text
//!   old server                                        new server
//!   begin ── .move: to whom ──────────────────────▶   IncomingDatabase: .arriving/DB, pass after pass, mail goes on
//!   hold  ── nobody writes any more ──────────────▶   the last passes, until one finds nothing
//!                                                     finish: synced, .arrived, renamed to DB
//!            (the configuration names the new server from now on)
//!   put_aside ── .moved/DB.<id>
//! ```
//!
//! Every step can be repeated, and a crash between any two leaves a state from which the same steps go on: what is whole at the
//! other side is found by name, size and time, as rsync finds it. Who carries the octets, and who changes the configuration, is
//! decided elsewhere.
//!
//! Files and folders are taken along, with the names that share one file; symbolic links and what is neither are not.

mod arrival;
mod departure;
mod difference;
mod listing;

pub(crate) use arrival::in_use;
pub use arrival::{IncomingDatabase, Opened, Receiving};
pub use departure::Stay;
pub(crate) use departure::stay;
pub use departure::{Departing, Departure};
pub use difference::{Steps, steps};
pub use listing::{Entry, EntryKind, StoredFile};
