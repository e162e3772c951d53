//! Back pressure: how short each resource of a server is, and what its Transport therefore refuses (docs/rules.md, Back pressure).
//!
//! ```text
//!   measure ─▶ thresholds, with hysteresis ─▶ level ─▶ table of actions ─┐
//!   measure ─▶ …                           ─▶ level ─▶ …                ─┼▶ union: Actions ─▶ MAIL FROM: 250, late, 452
//!   measure ─▶ …                           ─▶ level ─▶ history ─▶ tarpit ┘
//! ```
//!
//! Nothing here measures or waits: the shell polls ([`Monitor::poll`]), passes on what it found, and does what
//! [`Monitor::actions`] says. Every change of a level is returned with the measure and the threshold that made it.
//!
//! Resources and actions of the documentation that do not exist here, and why: version buckets (the queue has no
//! transactions that stay open), the disk of a transaction log and that of content conversion (the queue is the log, and
//! nothing is converted), free space inside of the database (the log is given its space in segments, of which one is open),
//! Pickup and Replay, shadow copies, the resubmission of a safety net, flushing the DNS cache (it is bounded). A depth of
//! history for `PrivateBytes`: the table refuses at once, so there is nothing to delay (BP-10, BP-11).

mod action;
mod default;
mod level;
mod measure;
mod monitor;
#[cfg(test)]
mod tests;

pub use action::{Action, Actions};
pub use default::thresholds;
pub use level::Level;
pub use measure::{Measure, Measurements, Resource, Share};
pub use monitor::{Monitor, Reading, Transition};
