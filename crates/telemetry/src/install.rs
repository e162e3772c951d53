//! Sets telemetry up for one process, and ends it. Several servers in one process have a [`Telemetry`] each; logs and the way of
//! spans belong to the process, and the first sets them up.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use envelope::{ServerName, SiteName};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use prometheus::Registry;
use tokio::sync::oneshot;

use crate::error::TelemetryError;
use crate::keys::SITE;
use crate::logs::{self, LogSettings};
use crate::metrics::Metrics;
use crate::operations::{self, HealthChecks, OperationsServer};
use crate::trace::MessageTracer;
use crate::watched::Watched;

/// Spans that wait for the collector; further ones are dropped. At the usual 1 KiB each they take 16 MiB.
pub const SPANS_WAITING_MAX: usize = 16 * 1024;
/// Spans in one request to the collector.
pub const SPANS_PER_EXPORT_MAX: usize = 1024;
/// Longest time that a finished span waits for others.
pub const SPAN_EXPORT_INTERVAL: Duration = Duration::from_secs(2);
/// Time for one request to the collector.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two exports of the metrics (the OpenTelemetry default).
pub const METRIC_EXPORT_INTERVAL: Duration = Duration::from_secs(60);
/// Time for the last spans and metrics when the service ends; what has not gone by then is lost.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Events kept of one span: an SMTP transaction with many recipients has a reply for each.
pub const EVENTS_PER_SPAN_MAX: u32 = 256;
/// Attributes kept of one span.
pub const ATTRIBUTES_PER_SPAN_MAX: u32 = 64;

/// What makes our spans and metrics.
const SCOPE: &str = "postroad";
/// Which service, in OpenTelemetry's words.
const SERVICE_NAME: &str = "service.name";
/// And of which server.
const SERVICE_INSTANCE: &str = "service.instance.id";

/// Share of messages whose traces are recorded, decided when a trace starts; later hops follow.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct SampleRatio(f64);

impl SampleRatio {
    /// Every message (default).
    pub const ALL: Self = Self(1.0);
}

impl Default for SampleRatio {
    fn default() -> Self {
        Self::ALL
    }
}

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a sample ratio: write a number from 0 to 1")]
pub struct SampleRatioError(pub String);

impl FromStr for SampleRatio {
    type Err = SampleRatioError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or_else(|| SampleRatioError(text.to_owned()))
    }
}

/// An OTLP collector (gRPC).
#[derive(Clone, Debug)]
pub struct Collector {
    /// `http://collector:4317` or `https://…`.
    pub endpoint: String,
    /// The authorities that the certificate of an `https` collector may come from, as PEM; required for those.
    pub roots_pem: Option<String>,
    /// Share of messages traced.
    pub sample_ratio: SampleRatio,
    /// Whether metrics go there too, besides `/metrics`.
    pub metrics: bool,
}

/// What to set up.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    /// `service.name`: `postroad-transport` and so on.
    pub service: &'static str,
    /// `service.version`.
    pub version: &'static str,
    /// `service.instance.id`.
    pub server: ServerName,
    /// `postroad.site`, where it is known.
    pub site: Option<SiteName>,
    /// What goes to stderr, and in which form.
    pub logs: LogSettings,
    /// Where traces go; without it none are made.
    pub collector: Option<Collector>,
}

/// The telemetry of one service. End it with [`Telemetry::shutdown`]: dropping the last handle may block for seconds.
#[derive(Debug)]
pub struct Telemetry {
    server: ServerName,
    tracer: MessageTracer,
    metrics: Metrics,
    registry: Registry,
    spans: Option<SdkTracerProvider>,
    meters: SdkMeterProvider,
}

impl Telemetry {
    /// Sets it up. Call it inside the tokio runtime, and `net::provider::install` first where the collector is `https`.
    /// The collector need not be there.
    ///
    /// # Errors
    /// [`TelemetryError`] for settings that can never work.
    pub fn install(settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        logs::install(&settings.logs)?;
        let resource = resource(settings);
        let registry = Registry::new();
        let meters = meters(settings.collector.as_ref(), &registry, resource.clone())?;
        let spans = settings.collector.as_ref().map(|collector| spans(collector, resource)).transpose()?;
        let tracer = match &spans {
            Some(provider) => MessageTracer::recording(provider.tracer(SCOPE)),
            None => MessageTracer::off(),
        };
        let (server, metrics) = (settings.server.clone(), Metrics::new(&meters.meter(SCOPE)));
        Ok(Self { server, tracer, metrics, registry, spans, meters })
    }

    /// That of a further server in the same process: with metrics of its own, and spans that go the same way. It ends with this one.
    ///
    /// # Errors
    /// [`TelemetryError`] for settings that can never work.
    pub fn beside(&self, server: &ServerName) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let meters = meters(None, &registry, Resource::builder_empty().build())?;
        let metrics = Metrics::new(&meters.meter(SCOPE));
        Ok(Self { server: server.clone(), tracer: self.tracer(), metrics, registry, spans: self.spans.clone(), meters })
    }

    /// Starts hops of one of several services, or servers, of a process. Spans of all of them go to the collector together, under the
    /// names of the process: their scope says whose they are.
    #[must_use]
    pub fn tracer_as(&self, service: &'static str) -> MessageTracer {
        let Some(provider) = &self.spans else { return MessageTracer::off() };
        let whose =
            [KeyValue::new(SERVICE_NAME, service), KeyValue::new(SERVICE_INSTANCE, self.server.as_str().to_owned())];
        let scope = InstrumentationScope::builder(SCOPE).with_attributes(whose).build();
        MessageTracer::recording(provider.tracer_with_scope(scope))
    }

    /// Starts hops of messages.
    #[must_use]
    pub fn tracer(&self) -> MessageTracer {
        self.tracer.clone()
    }

    /// Counts.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Serves `/metrics`, `/live` and `/ready` on `address` until the answer is dropped.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(&self, address: SocketAddr, checks: HealthChecks) -> io::Result<OperationsServer> {
        operations::serve(address, self.registry.clone(), checks).await
    }

    /// Sends what is left, for at most [`SHUTDOWN_TIMEOUT`]. Hops that end later are lost.
    pub async fn shutdown(self) {
        let (done, flushed) = oneshot::channel();
        // The library blocks its thread, and not always within a bound. A thread of its own is left behind if need be;
        // one of the runtime's (`spawn_blocking`) would keep the runtime from ending.
        let flush = move || {
            let spans = self.spans.map_or(Ok(()), |provider| provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
            // Nobody listens any more when the time is over.
            let _late = done.send(spans.and_then(|()| self.meters.shutdown()));
        };
        if let Err(error) = std::thread::Builder::new().name("telemetry-flush".to_owned()).spawn(flush) {
            tracing::warn!(%error, "telemetry cannot be sent at the end");
            return;
        }
        match tokio::time::timeout(SHUTDOWN_TIMEOUT, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "some telemetry could not be sent at the end"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the collector takes too long: some telemetry is lost at the end"),
        }
    }
}

fn resource(settings: &TelemetrySettings) -> Resource {
    let site = settings.site.as_ref().map(|site| KeyValue::new(SITE.name(), site.as_str().to_owned()));
    Resource::builder()
        .with_service_name(settings.service)
        .with_attribute(KeyValue::new("service.version", settings.version))
        .with_attribute(KeyValue::new(SERVICE_INSTANCE, settings.server.as_str().to_owned()))
        .with_attributes(site)
        .build()
}

fn spans(collector: &Collector, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SpanExporter::builder().with_tonic().with_endpoint(&collector.endpoint).with_timeout(EXPORT_TIMEOUT);
    let builder = match tls(collector)? {
        Some(tls) => builder.with_tls_config(tls),
        None => builder,
    };
    let exporter = builder.build().map_err(|error| collector.error(&error))?;
    let exporter = Watched::new(exporter, collector.endpoint.clone());
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(SPANS_WAITING_MAX)
        .with_max_export_batch_size(SPANS_PER_EXPORT_MAX)
        .with_scheduled_delay(SPAN_EXPORT_INTERVAL)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(collector.sample_ratio.0))))
        .with_max_events_per_span(EVENTS_PER_SPAN_MAX)
        .with_max_attributes_per_span(ATTRIBUTES_PER_SPAN_MAX)
        .with_resource(resource)
        .build())
}

fn meters(
    collector: Option<&Collector>,
    registry: &Registry,
    resource: Resource,
) -> Result<SdkMeterProvider, TelemetryError> {
    let scrape = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build();
    let scrape = scrape.map_err(|error| TelemetryError::Metrics(error.to_string()))?;
    let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(scrape);
    let Some(collector) = collector.filter(|collector| collector.metrics) else { return Ok(provider.build()) };
    let builder =
        MetricExporter::builder().with_tonic().with_endpoint(&collector.endpoint).with_timeout(EXPORT_TIMEOUT);
    let builder = match tls(collector)? {
        Some(tls) => builder.with_tls_config(tls),
        None => builder,
    };
    let exporter = builder.build().map_err(|error| collector.error(&error))?;
    let reader = PeriodicReader::builder(exporter).with_interval(METRIC_EXPORT_INTERVAL).build();
    Ok(provider.with_reader(reader).build())
}

fn tls(collector: &Collector) -> Result<Option<ClientTlsConfig>, TelemetryError> {
    match (&collector.roots_pem, collector.endpoint.starts_with("https:")) {
        (Some(roots), true) => Ok(Some(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots)))),
        (None, true) => Err(collector.error(&"https needs the authorities of its certificate")),
        (_, false) => Ok(None),
    }
}

impl Collector {
    fn error(&self, cause: &dyn fmt::Display) -> TelemetryError {
        TelemetryError::Collector { endpoint: self.endpoint.clone(), cause: cause.to_string() }
    }
}
