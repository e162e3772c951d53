//! Asking routing why: what production would do with mail, under an organization as it is, was or may become.
//!
//! ```text
//!   recipients, as wanted() asks for them ──▶ KnownRecipients ─┐
//!   Organization ──────────────────────────────────────────────┴▶ Inquiry ──ask(Subject)──▶ Answer
//!                                                                    │
//!                                     two of them, the same subjects ─┴──▶ Difference
//! ```
//!
//! The answer is the categorizer's and routing's own: recipients are resolved, limits checked and connectors selected by
//! the code that does it to mail. Everything that can be asked for is fetched before, so that asking is a pure function;
//! nothing is decided here, and nothing is put into words: whoever asks prints the values.

mod answer;
mod difference;
mod recipients;
mod subject;

pub use answer::{Answer, AskError, End, Ending, Fate, Inquiry, Obstacle};
pub use difference::{AnswerChange, Difference, Tally, Why, differences, differences_of};
pub use recipients::{ADDRESSES_MAX, KnownRecipients, TooMany, Wanted};
pub use subject::{Sender, Subject};
