//! Asking routing why: what production would do with mail, under an organization as it is, was or may become.
//!
//! ```text
//!   directory or file ──gather──▶ KnownRecipients ─┐
//!   Organization ──────────────────────────────────┴▶ Inquiry ──ask(Subject)──▶ Answer ─┬─ report   for people
//!                                                       │                               ├─ json     for programs
//!                       two of them, the same subjects ─┴──▶ difference                 └─ compared with a test
//! ```
//!
//! The answer is the categorizer's and routing's own: recipients are resolved, limits checked and connectors selected by
//! the code that does it to mail. Everything that can be asked for is fetched before, so that asking is a pure function;
//! nothing is decided here.

mod answer;
mod difference;
mod json;
mod palette;
mod phrase;
mod recipients;
mod report;
mod subject;

pub(crate) use answer::{Answer, End, Fate, Inquiry};
pub(crate) use difference::{Change, Difference, Summary, differences, short};
pub(crate) use json::{Line, line};
pub(crate) use palette::{Palette, wrapped};
pub(crate) use recipients::KnownRecipients;
pub(crate) use report::text;
pub(crate) use subject::{Sender, Subject};
