//! The documented commands: `Get-SendConnector` and the others, made from the schema of the organization. What the schema says
//! of a property (name, sort, range, default, help) is what its parameter takes, what help tells, what is shown.
//!
//! ```text
//!   schema ──catalogue──▶ signatures ──▶ shell (binds, asks, formats)
//!                                          │ Call
//!                                          ▼
//!                                       Cmdlets ──▶ Premises: read, commit
//! ```
//!
//! [`Queues`] are those of running servers, which it asks: `Get-Queue` and the others.
//!
//! [`Perimeter`] is the way to Edge servers, for `New-EdgeSubscription` and the others.
//!
//! A change is put onto what is stored, checked as a whole (V-1…V-26, and everything that the linter of the organization
//! knows), told with `-WhatIf`, asked about, and committed as a whole or not at all. [`Premises`] is where that happens: a
//! directory, or an organization file in memory. Nothing of a directory is known here.

mod absent;
pub mod audit;
mod catalogue;
pub mod certificates;
mod change;
mod cmdlets;
pub mod connectivity;
pub mod edge;
mod edit;
mod elsewhere;
mod find;
mod fixed;
mod noun;
mod on_edge;
pub mod page;
mod permission;
mod premises;
pub mod queues;
mod reasons;
mod recipients;
pub mod script;
mod show;
#[cfg(test)]
mod tests;
pub mod tracking;

pub use audit::AuditLog;
pub use certificates::Certificates;
pub use cmdlets::Cmdlets;
pub use connectivity::Connectivity;
pub use edge::Perimeter;
pub use premises::{Premises, Refused};
pub use queues::Queues;
pub use tracking::Tracking;
