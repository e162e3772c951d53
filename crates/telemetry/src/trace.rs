//! Message traces: one trace for a message over all its hops, servers, restarts and days.
//!
//! A [`Hop`] is one span: receive, commit, categorize, connect and so on. Its [`Hop::context`] travels with the message,
//! in the queue and over the implicit connector, and is the parent of what comes next, wherever and whenever that is.
//! Times are given, not read: a hop may be recorded after the fact.
//!
//! Contexts from outside the organization are forgeable: they never become parents, only links ([`MessageTracer::start_linked`]).

use std::fmt;

use envelope::{EnhancedStatus, Timestamp, TraceContext};
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags,
    TraceId as OtelId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SdkTracer, Span};

use crate::keys::{ERROR_TYPE, Key, ToAttribute};

/// What happens to a message in one span (ARCHITECTURE.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HopName {
    /// Taken from a client or another server, envelope to last octet.
    Receive,
    /// Written durably.
    Commit,
    /// Found in the queue by a service that started.
    Recover,
    /// Recipients resolved, routed and bifurcated.
    Categorize,
    /// Handed to another server of the organization.
    Transfer,
    /// Passed through a Front End Transport, either way.
    Proxy,
    /// MX records and addresses looked up.
    Dns,
    /// A TCP connection opened.
    Connect,
    /// STARTTLS.
    Tls,
    /// Out of the organization: one SMTP transaction with the next hop, or what an agent or a gateway takes.
    Send,
    /// Written into a mailbox database.
    Deliver,
    /// Taken out of a mailbox database.
    Submit,
    /// Copied to a shadow server.
    Shadow,
    /// A delivery status notification made.
    Notify,
}

impl HopName {
    /// The span's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Commit => "commit",
            Self::Recover => "recover",
            Self::Categorize => "categorize",
            Self::Transfer => "transfer",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Deliver => "deliver",
            Self::Submit => "submit",
            Self::Shadow => "shadow",
            Self::Notify => "notify",
        }
    }

    const fn kind(self) -> SpanKind {
        match self {
            Self::Receive => SpanKind::Server,
            Self::Transfer | Self::Proxy | Self::Dns | Self::Connect | Self::Tls | Self::Send | Self::Shadow => {
                SpanKind::Client
            }
            Self::Commit | Self::Recover | Self::Categorize | Self::Deliver | Self::Submit | Self::Notify => {
                SpanKind::Internal
            }
        }
    }
}

/// How a hop ended.
#[derive(Clone, Copy)]
pub enum HopOutcome<'a> {
    /// As wanted.
    Done,
    /// Not so.
    Failed {
        /// Permanent or transient, and of what kind.
        status: EnhancedStatus,
        /// The whole cause, in words.
        cause: &'a dyn fmt::Display,
    },
}

/// Starts hops. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MessageTracer {
    tracer: Option<SdkTracer>,
}

impl MessageTracer {
    /// Records nothing. Contexts are made and passed on all the same: the message tracking logs of all servers know a message by
    /// the id of its trace.
    #[must_use]
    pub const fn off() -> Self {
        Self { tracer: None }
    }

    pub(crate) const fn recording(tracer: SdkTracer) -> Self {
        Self { tracer: Some(tracer) }
    }

    /// Whether anybody collects, at all.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.tracer.is_some()
    }

    /// Starts a hop at `at`, under `parent` or, without one, as the first of a new trace. Only contexts that this
    /// organization made may be parents.
    pub fn start(&self, name: HopName, parent: Option<TraceContext>, at: Timestamp) -> Hop {
        match &self.tracer {
            None => Hop { inherited: Some(parent.unwrap_or_else(unrecorded)), span: None },
            Some(tracer) => begin(tracer, name, parent, None, at),
        }
    }

    /// Starts the first hop of a new trace, linked to a context that came from outside.
    pub fn start_linked(&self, name: HopName, outside: TraceContext, at: Timestamp) -> Hop {
        match &self.tracer {
            None => Hop { inherited: Some(unrecorded()), span: None },
            Some(tracer) => begin(tracer, name, None, Some(outside), at),
        }
    }
}

/// The context of a trace that nobody recorded so far. Whoever comes next may: a service that has a collector, after one that has
/// none.
fn unrecorded() -> TraceContext {
    let ids = RandomIdGenerator::default();
    let (trace_id, span_id) = (ids.new_trace_id().to_bytes(), ids.new_span_id().to_bytes());
    TraceContext { trace_id, span_id, sampled: true }
}

fn begin(
    tracer: &SdkTracer,
    name: HopName,
    parent: Option<TraceContext>,
    link: Option<TraceContext>,
    at: Timestamp,
) -> Hop {
    let around = Context::new();
    let around = match parent {
        Some(parent) => around.with_remote_span_context(span_context(parent)),
        None => around,
    };
    let mut builder = SpanBuilder::from_name(name.as_str()).with_kind(name.kind()).with_start_time(at);
    builder.links = link.map(|outside| vec![Link::new(span_context(outside), Vec::new(), 0)]);
    Hop { inherited: parent, span: Some(Box::new(tracer.build_with_context(builder, &around))) }
}

/// One span of a message's trace, running. End it with [`Hop::end`]; one that is dropped, because the work was
/// cancelled, ends without an outcome at the time of the drop.
#[derive(Debug)]
#[must_use = "a hop that is dropped at once says nothing"]
pub struct Hop {
    inherited: Option<TraceContext>,
    // Boxed: sessions hold several hops, and most run without recording.
    span: Option<Box<Span>>,
}

impl Hop {
    /// Attaches a value.
    pub fn attribute<T: ToAttribute + ?Sized>(&mut self, key: Key<T>, value: &T) {
        if let Some(span) = self.recorded() {
            span.set_attribute(KeyValue::new(key.name(), value.to_attribute()));
        }
    }

    /// Notes something that happened at `at`, such as an SMTP reply. `describe` runs only when it is recorded.
    pub fn event(&mut self, name: &'static str, at: Timestamp, describe: impl FnOnce(&mut Attributes)) {
        if let Some(span) = self.recorded() {
            let mut attributes = Attributes(Vec::new());
            describe(&mut attributes);
            span.add_event_with_timestamp(name, at.into(), attributes.0);
        }
    }

    /// Ends the hop and hands it to the exporter, which drops it when it is behind.
    pub fn end(mut self, at: Timestamp, outcome: HopOutcome<'_>) {
        let Some(span) = self.recorded() else { return };
        match outcome {
            HopOutcome::Done => span.set_status(Status::Ok),
            HopOutcome::Failed { status, cause } => {
                span.set_attribute(KeyValue::new(ERROR_TYPE.name(), status.to_attribute()));
                span.set_status(Status::error(cause.to_string()));
            }
        }
        span.end_with_timestamp(at.into());
    }

    /// What the message carries on: this hop as parent of the next. Where this server records nothing, what it came with.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        let own = self.span.as_ref().map(|span| span.span_context()).filter(|own| own.is_valid());
        own.map(trace_context).or(self.inherited)
    }

    /// Whether anybody will read what is attached to it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.span.as_ref().is_some_and(|span| span.is_recording())
    }

    fn recorded(&mut self) -> Option<&mut Span> {
        if self.is_recorded() { self.span.as_deref_mut() } else { None }
    }
}

/// The attributes of an event.
#[derive(Debug)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Attaches a value.
    pub fn set<T: ToAttribute + ?Sized>(&mut self, key: Key<T>, value: &T) {
        self.0.push(KeyValue::new(key.name(), value.to_attribute()));
    }
}

/// The id of a trace as collectors print it, for the field `trace_id` of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

impl From<TraceContext> for TraceId {
    fn from(context: TraceContext) -> Self {
        Self(context.trace_id)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

fn span_context(context: TraceContext) -> SpanContext {
    let flags = if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (OtelId::from_bytes(context.trace_id), SpanId::from_bytes(context.span_id));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

fn trace_context(own: &SpanContext) -> TraceContext {
    TraceContext {
        trace_id: own.trace_id().to_bytes(),
        span_id: own.span_id().to_bytes(),
        sampled: own.trace_flags().is_sampled(),
    }
}
