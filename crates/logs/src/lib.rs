//! The logs that administrators search and keep: CSV files with a header, one line per event, new by day and size, deleted by
//! age and by the size of all (docs/rules.md, Logs). One writer for all of them, and the search beside it.
//!
//! ```text
//!   Log::<R>::record(record) ──▶ a bounded channel ──▶ one thread ──▶ MSGTRK20261122-1.log ◀── search(folder, query)
//!         never waits               full: counted, told             new file by day and size, old ones deleted
//!   Documents::write(name, text) ───────────────────────────────────▶ RoutingConfig#1@….xml
//! ```
//!
//! Mail never waits for a log: a record that finds the channel full is lost, counted, and the log itself says how many are
//! missing where. No message content is ever written; subjects may be (LG-18).
//!
//! | module | what |
//! |---|---|
//! | [`record`] | what a log is: [`LogForm`], its header and limits; [`Record`], one line; [`Row`], its fields as RFC 4180 has them |
//! | [`log`] | [`Log`]: the channel and the thread |
//! | [`tracking`] | an event of the message tracking log: fields, event ids, sources |
//! | [`audit`] | a change by an administrator, and the search for it |
//! | [`connectivity`] | an event of the connectivity log: connections that were opened |
//! | [`protocol`] | what was said in SMTP sessions |
//! | [`documents`] | a log of whole files: the routing table log |
//! | [`search`] | what was written, found again |
//! | `files` | names, headers, sizes, ages |

pub mod audit;
pub mod connectivity;
pub mod documents;
mod files;
pub mod log;
pub mod protocol;
pub mod record;
pub mod search;
pub mod tracking;

pub use documents::Documents;
pub use log::{Log, LogRules, LogSettings, RECORDS_WAITING_MAX};
pub use record::{LogForm, LogLimits, Record, Row};
