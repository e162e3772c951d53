//! Message traces of a lab: an OTLP receiver in place of a collector, a file that any process can search, and one
//! message's way over all servers as a waterfall.
//!
//! ```text
//!   services ──OTLP/gRPC──▶ TraceReceiver ──▶ <directory>/traces.jsonl ──▶ TraceStore::find ──▶ Trace ──▶ waterfall
//! ```
//!
//! For looking at one message after another, not for statistics: there is no index, a search reads the file.

mod axis;
mod receiver;
mod span;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod waterfall;

pub use axis::WAIT_SHOWN;
pub use receiver::{END_TIMEOUT, REQUEST_OCTETS_MAX, ReceiverError, TraceReceiver};
pub use span::{Span, SpanEvent, SpanOutcome};
pub use store::{FILE_OCTETS_MAX, QueryError, SPANS_MAX, Trace, TraceQuery, TraceStore, TraceStoreError};
pub use waterfall::{Palette, WIDTH_MIN, waterfall};
