//! What Postroad tells about itself: message traces, metrics, logs, and the endpoint that says alive and ready.
//!
//! ```text
//!   services ──MessageTracer──▶ spans ──batch, bounded──▶ OTLP collector        (dropped when it is away)
//!            ──Metrics────────▶ meters ─┬───────────────▶ OTLP collector        (where wanted)
//!                                       └──/metrics─────▶ Prometheus            ─┐
//!            ──closures───────▶ /live, /ready ─────────▶ the orchestrator       ─┴─ one small HTTP server
//!            ──tracing::…!────▶ stderr, as text or JSON lines
//! ```
//!
//! **Telemetry never blocks mail**: nothing that a service calls here waits for a collector, a scraper or a disk.
//! Message spans do not go through `tracing`: they cross processes and restarts, carry their own times, and cost a branch
//! when nobody collects them.
//!
//! Not here: message tracking, connectivity and protocol logs (crate `logs`: records that an administrator relies on), and
//! what is healthy (the services say so).
//!
//! | module | what |
//! |---|---|
//! | [`install`] | [`Telemetry`]: sets all of it up, once per service, and ends it |
//! | [`trace`] | [`MessageTracer`], [`Hop`] |
//! | [`keys`] | the attributes of spans and their types |
//! | [`catalogue`] | every metric as data; the documentation page is made from it |
//! | [`metrics`] | [`Metrics`]: the handles, made of the instruments in `instruments` |
//! | [`named`] | the handles that belong to one connector or server |
//! | [`operations`] | the HTTP endpoint |
//! | [`probe`] | asking it |
//! | [`logs`] | the log format |

pub mod catalogue;
mod error;
pub mod install;
mod instruments;
pub mod keys;
pub mod logs;
pub mod metrics;
pub mod named;
pub mod operations;
pub mod probe;
#[cfg(test)]
mod tests;
pub mod trace;
mod watched;

pub use error::TelemetryError;
pub use install::{Collector, SampleRatio, Telemetry, TelemetrySettings};
pub use keys::Key;
pub use logs::{LogFormat, LogSettings};
pub use metrics::Metrics;
pub use operations::{Health, HealthChecks, OperationsServer};
pub use trace::{Attributes, Hop, HopName, HopOutcome, MessageTracer, TraceId};
