//! The message tracking log: what became of each message on this server, one line per event, in files that administrators
//! search and keep (logs.md §4).
//!
//! ```text
//!   TrackingLog::record(event) ──▶ a bounded channel ──▶ one thread ──▶ MSGTRK20261122-1.log
//!         never waits                 full: counted, told             new file by day and size, old ones deleted
//! ```
//!
//! Mail never waits for it: an event that finds the channel full is lost, counted, and the log itself says how many are
//! missing where. No message content is ever written; subjects may be (LG-18).
//!
//! | module | what |
//! |---|---|
//! | [`event`] | an event and its line: fields, event ids, sources |
//! | [`log`] | [`TrackingLog`]: the channel and the thread |
//! | `files` | names, headers, sizes, ages |

pub mod event;
mod files;
pub mod log;

pub use event::{Event, EventId, Source};
pub use files::{FILE_OCTETS_MAX, FOLDER_OCTETS_MAX, MAX_AGE};
pub use log::{EVENTS_WAITING_MAX, TrackingLog, TrackingSettings};
