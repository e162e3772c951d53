//! Configurations of Exchange and of Postfix as objects of an organization, with a report of what was taken, changed, assumed,
//! ignored and lost. Texts come in, texts and objects go out: no file is opened and nothing is stored here.
//!
//! ```text
//!   octets ──text──▶ CLIXML │ JSON │ CSV │ Format-List ──▶ raw objects ──mapping──▶ properties ──▶ organization file
//!                                                                    └────────────▶ report
//! ```
//!
//! Nothing is guessed in silence: a value that the export has lost is an error with its place and what to do, unless it is
//! assumed by name.

mod map;
mod postfix;
mod raw;
mod read;
mod report;
mod values;
mod yaml;

pub use map::{Assumptions, Imported, import};
pub use postfix::postfix;
pub use report::{Finding, Report, Verdict};
pub use yaml::{ASSUMED_SITE, organization_file};
