//! Against a collector and a scraper made for the test.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use envelope::{Domain, EnhancedStatus, MessageId, Reply, Revision, ServerName, SiteName, Timestamp, TraceContext};
use net::CertificateAuthority;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};

use super::*;
use crate::install::{Collector, SPANS_WAITING_MAX};
use crate::metrics::{Direction, ResourceState, RoundOutcome, Source, Told};
use crate::named::{Attempt, Logon, Transfer};

type Attributes = BTreeMap<String, String>;

/// A span with the resource that it came from.
struct Received {
    resource: Attributes,
    span: Span,
}

#[derive(Clone)]
struct FakeCollector {
    spans: mpsc::UnboundedSender<Received>,
    metrics: mpsc::UnboundedSender<String>,
}

#[tonic::async_trait]
impl TraceService for FakeCollector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for resource_spans in request.into_inner().resource_spans {
            let resource = attributes(&resource_spans.resource.unwrap().attributes);
            for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let _test_has_ended = self.spans.send(Received { resource: resource.clone(), span });
            }
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for FakeCollector {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let _test_has_ended = self.metrics.send(metric.name);
        }
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// What a collector has received.
struct Arrivals {
    address: SocketAddr,
    spans: mpsc::UnboundedReceiver<Received>,
    metrics: mpsc::UnboundedReceiver<String>,
}

impl Arrivals {
    /// All spans so far, by name.
    fn spans(&mut self) -> BTreeMap<String, Received> {
        let received = std::iter::from_fn(|| self.spans.try_recv().ok());
        received.map(|received| (received.span.name.clone(), received)).collect()
    }
}

async fn collector() -> Arrivals {
    serve_collector(tonic::transport::Server::builder()).await
}

async fn serve_collector(mut server: tonic::transport::Server) -> Arrivals {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let ((spans, received_spans), (metrics, received_metrics)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let collector = FakeCollector { spans, metrics };
    let router = server.add_service(TraceServiceServer::new(collector.clone()));
    let router = router.add_service(MetricsServiceServer::new(collector));
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    Arrivals { address, spans: received_spans, metrics: received_metrics }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    list.iter().map(|pair| (pair.key.clone(), text(&pair.value))).collect()
}

fn settings(server: &str, collector: Option<SocketAddr>) -> TelemetrySettings {
    TelemetrySettings {
        service: "postroad-transport",
        version: "0.0.0",
        server: ServerName::parse(server).unwrap(),
        site: Some(SiteName::parse("Berlin").unwrap()),
        logs: LogSettings::default(),
        collector: collector.map(|address| Collector {
            endpoint: format!("http://{address}"),
            roots_pem: None,
            sample_ratio: SampleRatio::ALL,
            metrics: false,
        }),
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_over_two_servers_and_a_restart() {
    let mut arrivals = collector().await;
    let first = Telemetry::install(&settings("MAIL1", Some(arrivals.address))).unwrap();
    let mut receive = first.tracer().start(HopName::Receive, None, at(1_000));
    receive.attribute(keys::MESSAGE_ID, &MessageId::from_bytes([7; 16]));
    receive.attribute(keys::REVISION, &Revision(42));
    receive.event("reply", at(1_500), |event| event.set(keys::REPLY, &Reply::plain(250, "queued")));
    // What the queue stores, and a server reads days later.
    let stored = receive.context().unwrap().to_string();
    receive.end(at(2_000), HopOutcome::Done);
    first.shutdown().await;

    let second = Telemetry::install(&settings("MAIL2", Some(arrivals.address))).unwrap();
    let restored: TraceContext = stored.parse().unwrap();
    let mut send = second.tracer().start(HopName::Send, Some(restored), at(90_000_000));
    send.attribute(keys::DNS_QUESTION, &Domain::parse("contoso.com").unwrap());
    let next = send.context().unwrap();
    assert_eq!((next.trace_id, next.sampled), (restored.trace_id, true));
    send.end(at(90_000_500), HopOutcome::Failed { status: EnhancedStatus::new(4, 4, 1), cause: &"no answer" });
    second.shutdown().await;

    let spans = arrivals.spans();
    let (receive, send) = (&spans["receive"], &spans["send"]);
    assert_eq!(receive.span.trace_id, send.span.trace_id);
    assert_eq!((&receive.span.parent_span_id[..], &send.span.parent_span_id), (&[][..], &receive.span.span_id));
    assert_eq!((receive.span.kind(), send.span.kind()), (SpanKind::Server, SpanKind::Client));
    let times = (receive.span.start_time_unix_nano, receive.span.end_time_unix_nano, send.span.start_time_unix_nano);
    assert_eq!(times, (1_000_000_000, 2_000_000_000, 90_000_000_000_000));
    let event = &receive.span.events[0];
    assert_eq!((&*event.name, event.time_unix_nano), ("reply", 1_500_000_000));
    assert_eq!(attributes(&event.attributes)["postroad.smtp.reply"], "250 queued");
    let (of_receive, of_send) = (attributes(&receive.span.attributes), attributes(&send.span.attributes));
    assert_eq!(of_receive["messaging.message.id"], "07070707-0707-0707-0707-070707070707");
    assert_eq!((&*of_receive["postroad.revision"], &*of_send["error.type"]), ("42", "4.4.1"));
    let status = send.span.status.as_ref().unwrap();
    assert_eq!((status.code(), &*status.message), (StatusCode::Error, "no answer"));
    for (received, server) in [(receive, "MAIL1"), (send, "MAIL2")] {
        assert_eq!(received.resource["service.name"], "postroad-transport");
        assert_eq!(received.resource["service.instance.id"], server);
        assert_eq!(received.resource["postroad.site"], "Berlin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_from_outside_is_linked_and_never_a_parent() {
    let mut arrivals = collector().await;
    let telemetry = Telemetry::install(&settings("MAIL1", Some(arrivals.address))).unwrap();
    // Its "not sampled" has no say either.
    let outside: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap();
    let hop = telemetry.tracer().start_linked(HopName::Receive, outside, at(1));
    let own = hop.context().unwrap();
    assert!(own.trace_id != outside.trace_id && own.sampled);
    hop.end(at(2), HopOutcome::Done);
    telemetry.shutdown().await;
    let spans = arrivals.spans();
    let span = &spans["receive"].span;
    assert!(span.parent_span_id.is_empty());
    assert_eq!(
        (&span.links[0].trace_id[..], &span.links[0].span_id[..]),
        (&outside.trace_id[..], &outside.span_id[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_sampled_stays_so_and_keeps_its_trace() {
    let mut arrivals = collector().await;
    let telemetry = Telemetry::install(&settings("MAIL1", Some(arrivals.address))).unwrap();
    let parent: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap();
    let hop = telemetry.tracer().start(HopName::Send, Some(parent), at(1));
    let own = hop.context().unwrap();
    assert_eq!((own.trace_id, own.sampled), (parent.trace_id, false));
    hop.end(at(2), HopOutcome::Done);
    telemetry.shutdown().await;
    assert!(arrivals.spans().is_empty());
}

#[test]
fn without_a_collector_nothing_is_described_and_contexts_pass_through() {
    let parent: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let tracer = MessageTracer::off();
    let mut hop = tracer.start(HopName::Send, Some(parent), at(1));
    hop.event("reply", at(1), |_| panic!("nobody records it"));
    assert_eq!(hop.context(), Some(parent));
    hop.end(at(2), HopOutcome::Done);
    // A context from outside does not become ours by the absence of a collector.
    let linked = tracer.start_linked(HopName::Receive, parent, at(1)).context().unwrap();
    assert_ne!(linked.trace_id, parent.trace_id);
    // Logs know a message by its trace, collected or not.
    let first = tracer.start(HopName::Receive, None, at(1)).context().unwrap();
    assert_ne!(first.trace_id, tracer.start(HopName::Receive, None, at(1)).context().unwrap().trace_id);
    assert_eq!(tracer.start(HopName::Commit, Some(first), at(1)).context(), Some(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_blocks_nobody() {
    // It takes connections and says nothing: worse than one that is down. Were anything to wait for it, so would the test.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let telemetry = Telemetry::install(&settings("MAIL1", Some(silent.local_addr().unwrap()))).unwrap();
    let tracer = telemetry.tracer();
    for n in 0..2 * SPANS_WAITING_MAX as u64 {
        tracer.start(HopName::Send, None, at(n)).end(at(n + 1), HopOutcome::Done);
    }
    let late = tracer.start(HopName::Send, None, at(1));
    telemetry.shutdown().await;
    late.end(at(2), HopOutcome::Done);
    assert_eq!(tracer.start(HopName::Send, None, at(1)).context(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_go_to_the_collector_too_where_wanted() {
    let mut arrivals = collector().await;
    let mut settings = settings("MAIL1", Some(arrivals.address));
    settings.collector.as_mut().unwrap().metrics = true;
    let telemetry = Telemetry::install(&settings).unwrap();
    telemetry.metrics().revision.set(42);
    telemetry.shutdown().await;
    assert_eq!(arrivals.metrics.recv().await.as_deref(), Some("postroad.configuration.revision"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_collector_is_verified_against_the_given_authorities() {
    let now = Timestamp::from(std::time::SystemTime::now());
    let authority = CertificateAuthority::create(&Domain::parse("contoso.com").unwrap(), now).unwrap();
    let server = ServerName::parse("COLLECTOR").unwrap();
    let shown = authority.issue_for_smtp(&server, &Domain::parse("localhost").unwrap(), now).unwrap();
    let identity = Identity::from_pem(&shown.cert_pem, shown.key_pem.expose());
    let tls = ServerTlsConfig::new().identity(identity);
    let mut arrivals = serve_collector(tonic::transport::Server::builder().tls_config(tls).unwrap()).await;
    let mut settings = settings("MAIL1", Some(arrivals.address));
    let collector = settings.collector.as_mut().unwrap();
    collector.endpoint = format!("https://localhost:{}", arrivals.address.port());
    assert!(matches!(Telemetry::install(&settings), Err(TelemetryError::Collector { .. })));
    settings.collector.as_mut().unwrap().roots_pem = Some(authority.certificate_pem().to_owned());
    let telemetry = Telemetry::install(&settings).unwrap();
    telemetry.tracer().start(HopName::Commit, None, at(1)).end(at(2), HopOutcome::Done);
    telemetry.shutdown().await;
    assert!(arrivals.spans().contains_key("commit"));
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// An organization whose administrator likes punctuation.
fn count_by_name(metrics: &Metrics) {
    let text = "sites: [{name: Berlin}]\nservers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]\n\
         acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]\n\
         sendConnectors: [{name: 'To \"Fabrikam\", {Oslo}', addressSpaces: ['*'], sourceTransportServers: [MAIL1]}]";
    let loaded = organization::load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    let organization = loaded.organization;
    let send = metrics.of_send_connector(&organization.send_connectors()[0]);
    let took = std::time::Duration::from_millis(3);
    for attempt in [Attempt::Deferred, Attempt::Delivered, Attempt::Delivered] {
        send.attempted(attempt, took);
    }
    let server = &organization.servers()[0];
    let [receive, ..] = topology::receive_connector::defaults::front_end(&server.name);
    metrics.of_receive_connector(&receive).refused();
    metrics.of_receive_connector(&receive).logon(Logon::Failed);
    let peer = metrics.of_peer(server);
    peer.sent(Transfer::Accepted, took);
    peer.sent(Transfer::Unanswered, took);
    peer.accepted();
    peer.failed(2);
    metrics.of_edge(server).told(1_700_000_000);
}

#[tokio::test]
async fn prometheus_finds_every_metric_of_the_catalogue_under_its_name() {
    let telemetry = Telemetry::install(&settings("MAIL1", None)).unwrap();
    let metrics = telemetry.metrics();
    metrics.accepted.add(Source::Smtp, 3);
    metrics.accepted.add(Source::Transfer, 2);
    metrics.delivered.add("DnsConnectorDelivery", 1);
    metrics.failed.increment();
    metrics.expired.increment();
    metrics.removed.increment();
    metrics.queued.set(1);
    metrics.queue_length.set("Unreachable", 1);
    metrics.accept_duration.record(std::time::Duration::from_millis(3));
    metrics.queue_batch_size.record(17);
    metrics.queue_written.set(4096);
    metrics.queue_disk.set(8192);
    metrics.connections.increment(Direction::Inbound);
    metrics.connections.increment(Direction::Inbound);
    metrics.connections.decrement(Direction::Inbound);
    metrics.connections_opened.add(Direction::Outbound, 1);
    metrics.logons_told.add(Told::Counted, 1);
    metrics.tracking_lost.increment();
    metrics.pressure_level.set("SubmissionQueue", 1);
    metrics.pressure_measure.set("SubmissionQueue", 10_000);
    metrics.certificate_end.set("service", 1);
    metrics.certificate_revoked.set(1);
    metrics.revision.set(42);
    metrics.directory_away.set(1);
    metrics.directory_members_away.set(1);
    metrics.configuration_refused.set(1);
    metrics.controller_resources.set(ResourceState::Accepted, 1);
    metrics.controller_rounds.add(RoundOutcome::Changed, 1);
    metrics.controller_leading.set(1);
    count_by_name(&metrics);
    let good = || Health::Good;
    let server = telemetry.serve((Ipv4Addr::LOCALHOST, 0).into(), HealthChecks::new(good, good)).await.unwrap();
    let (status, text) = get(server.local(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(!text.contains("_total_total") && !text.contains("seconds_seconds"), "{text}");
    for instrument in catalogue::ALL {
        assert!(text.contains(&format!("# TYPE {} ", instrument.prometheus_name())), "{}\n{text}", instrument.name);
    }
    for line in [
        r#"postroad_messages_accepted_total{source="smtp"} 3"#,
        r#"postroad_queue_length{delivery_type="Unreachable"} 1"#,
        r#"postroad_connections_active{direction="inbound"} 1"#,
        "postroad_accept_duration_seconds_bucket{le=\"0.005\"} 1",
        "postroad_queue_batch_size_bucket{le=\"16\"} 0",
        "postroad_queue_batch_size_bucket{le=\"32\"} 1",
        r#"postroad_send_messages_total{connector="To \"Fabrikam\", {Oslo}",outcome="deferred"} 1"#,
        r#"postroad_send_messages_total{connector="To \"Fabrikam\", {Oslo}",outcome="delivered"} 2"#,
        r#"postroad_send_duration_seconds_count{connector="To \"Fabrikam\", {Oslo}"} 3"#,
        r#"postroad_receive_messages_total{connector="Default Frontend MAIL1",outcome="refused"} 1"#,
        r#"postroad_transfer_messages_total{direction="outbound",outcome="accepted",peer="MAIL1"} 1"#,
        r#"postroad_transfer_messages_total{direction="inbound",outcome="accepted",peer="MAIL1"} 1"#,
        r#"postroad_transfer_duration_seconds_count{peer="MAIL1"} 1"#,
        r#"postroad_peers_failed{peer="MAIL1"} 2"#,
        "postroad_configuration_revision 42",
        "postroad_directory_away 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn health_is_what_the_closures_say_at_that_moment() {
    let telemetry = Telemetry::install(&settings("MAIL1", None)).unwrap();
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let readiness = move || {
        if asked.load(Ordering::Relaxed) { Health::Good } else { Health::Bad("the queue is being read".into()) }
    };
    let checks = HealthChecks::new(|| Health::Good, readiness);
    let server = telemetry.serve((Ipv4Addr::LOCALHOST, 0).into(), checks).await.unwrap();
    assert_eq!(get(server.local(), "/live").await, (200, "good\n".to_owned()));
    assert_eq!(get(server.local(), "/ready").await, (503, "the queue is being read\n".to_owned()));
    ready.store(true, Ordering::Relaxed);
    assert_eq!(get(server.local(), "/ready").await.0, 200);
    assert_eq!(get(server.local(), "/else").await.0, 404);
}

#[tokio::test]
async fn settings_that_can_never_work_are_errors() {
    let mut wrong = settings("MAIL1", None);
    wrong.collector = Some(Collector {
        endpoint: "not a url".to_owned(),
        roots_pem: None,
        sample_ratio: "0.5".parse().unwrap(),
        metrics: false,
    });
    assert!(matches!(Telemetry::install(&wrong), Err(TelemetryError::Collector { .. })));
    for ratio in ["2", "-0.1", "NaN", "all"] {
        assert!(ratio.parse::<SampleRatio>().is_err(), "{ratio}");
    }
}

#[test]
fn long_texts_are_cut_at_a_character() {
    use crate::keys::ToAttribute;
    let long = "é".repeat(keys::ATTRIBUTE_OCTETS_MAX);
    let text = long.as_str().to_attribute().to_string();
    assert!(text.len() <= keys::ATTRIBUTE_OCTETS_MAX && text.chars().all(|character| character == 'é'));
}

#[test]
fn keys_are_unique() {
    let names: std::collections::BTreeSet<_> = keys::ALL.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), keys::ALL.len());
}
