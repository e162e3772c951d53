//! One span as kept: what OTLP sent, with identifiers in hexadecimal and attribute values as text.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, Status};
use serde::{Deserialize, Serialize};

/// One span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Span id of the parent, which another server may have sent, or nobody yet.
    pub parent: Option<String>,
    /// What it is: `receive`, `send`, …
    pub name: String,
    /// `service.name`: `postroad-transport`.
    pub service: String,
    /// `service.instance.id`: the server.
    pub server: String,
    /// Nanoseconds since the Unix epoch.
    pub start_nanos: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_nanos: u64,
    /// How it ended.
    pub outcome: SpanOutcome,
    /// By key.
    pub attributes: BTreeMap<String, String>,
    /// In order of time.
    pub events: Vec<SpanEvent>,
    /// Trace ids of contexts that it is linked to, such as a foreign client's.
    pub links: Vec<String>,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpanOutcome {
    /// Nobody said; the work was cut short.
    Unset,
    /// As wanted.
    Done,
    /// Not so; the whole cause, in words.
    Failed(String),
}

/// Something that happened within a span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpanEvent {
    /// What.
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub time_nanos: u64,
    /// By key.
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    /// How long it took; zero when the clock went backwards.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end_nanos.saturating_sub(self.start_nanos))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    /// From OTLP. Identifiers of a wrong length are kept as they are: they match nothing.
    pub(super) fn from_otlp(span: otlp::Span, whose: &Whose) -> Self {
        let event = |event: otlp::span::Event| SpanEvent {
            name: event.name,
            time_nanos: event.time_unix_nano,
            attributes: attributes(event.attributes),
        };
        Self {
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
            name: span.name,
            service: whose.service.clone(),
            server: whose.server.clone(),
            start_nanos: span.start_time_unix_nano,
            end_nanos: span.end_time_unix_nano,
            outcome: outcome(span.status),
            attributes: attributes(span.attributes),
            events: span.events.into_iter().map(event).collect(),
            links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
        }
    }
}

/// Which service of which server made a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    service: String,
    server: String,
}

impl Whose {
    /// The process says it of all its spans, unless their scope does: several services, or servers, may be one process.
    pub(super) fn of(process: &Resource, scope: &InstrumentationScope) -> Self {
        let mut said = attributes(process.attributes.clone());
        said.extend(attributes(scope.attributes.clone()));
        let mut named = |key: &str| said.remove(key).unwrap_or_default();
        Self { service: named("service.name"), server: named("service.instance.id") }
    }
}

fn outcome(status: Option<Status>) -> SpanOutcome {
    match status {
        Some(status) if status.code == StatusCode::Ok as i32 => SpanOutcome::Done,
        Some(status) if status.code == StatusCode::Error as i32 => SpanOutcome::Failed(status.message),
        _ => SpanOutcome::Unset,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(any_value::Value::ArrayValue(all)) => all.values.into_iter().map(text).collect::<Vec<_>>().join(", "),
        // Postroad sends neither maps nor octets.
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
