//! The lab: an organization on one machine, with an internet around it that behaves as told.
//!
//! ```text
//!   lab file (plan) ──▶ world: one process per service, each server on its own loopback addresses
//!        │                 │ SMTP, DNS                        │ OTLP
//!        ▼                 ▼                                  ▼
//!   internet: DNS and destination hosts ──▶ deliveries   traces: receiver ──▶ store ──▶ waterfall
//!        ▲
//!   client: submits test messages, reports every reply
//! ```
//!
//! `postroad lab` and the integration tests start their worlds with it. What it must not do: share code with the side
//! under test where the two meet on the wire. The hosts of the simulated internet and the client are therefore not the
//! product's listener and sender (they share only the grammar of commands and dots), and a host accepts mail without the
//! promise that a `250` of the product is.
//!
//! | module | what it is |
//! |---|---|
//! | [`plan`] | the lab file: an organization file with two more keys |
//! | [`internet`] | authoritative DNS and destination hosts with chosen faults |
//! | [`deliveries`] | what those hosts accepted, for other processes to read and wait for |
//! | [`client`] | a small SMTP client and test messages |
//! | [`traces`] | an OTLP receiver, its store, and one message's way as a waterfall |
//! | [`world`] | the processes, their addresses, settings and certificates |

pub mod client;
mod clock;
pub mod deliveries;
pub mod internet;
pub mod plan;
pub mod traces;
pub mod world;

pub use client::{ClientError, Submission, Submitted, TestMessage};
pub use deliveries::{Deliveries, Delivery};
pub use internet::{Description, Internet, InternetError, InternetOptions};
pub use plan::LabFile;
pub use traces::{Palette, Trace, TraceReceiver, TraceStore};
pub use world::{LabStatus, World, WorldError, WorldOptions};
