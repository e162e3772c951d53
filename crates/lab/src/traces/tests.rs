//! Spans over the wire, the search, and the waterfall against its golden text.

use std::net::Ipv4Addr;
use std::time::Duration;

use envelope::{EnhancedStatus, MessageId, ServerName};
use telemetry::{
    Collector, HopName, HopOutcome, LogFormat, LogSettings, SampleRatio, Telemetry, TelemetrySettings, keys,
};

use super::store::SpanLog;
use super::*;

const SOON: Duration = Duration::from_secs(60);

/// The fixture: one span a line as the store keeps them.
fn fixture() -> Trace {
    let lines = include_str!("golden/trace.jsonl").lines();
    Trace::new(lines.map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn the_waterfall_shows_retries_waits_and_causes() {
    let text = waterfall(&fixture(), 140, Palette::Plain);
    assert_eq!(text, include_str!("golden/waterfall.txt"), "\n{text}");
    assert!(text.is_ascii());
}

#[test]
fn the_coloured_waterfall_says_the_same() {
    let coloured = waterfall(&fixture(), 140, Palette::Colour);
    let uncoloured: String = coloured
        .split('\u{1b}')
        .enumerate()
        .map(|(index, part)| if index == 0 { part } else { part.split_once('m').unwrap().1 })
        .collect();
    let as_plain = |text: &str| text.replace(['x', '\u{2501}'], "=").replace('\u{2502}', "|");
    assert_eq!(as_plain(&uncoloured), as_plain(include_str!("golden/waterfall.txt")));
}

#[test]
fn strange_traces_are_drawn_all_the_same() {
    let mut spans = fixture().spans;
    // Two that are each other's parents, one that is its own, one that ends before it starts.
    let ids: Vec<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    (spans[0].parent, spans[1].parent, spans[2].parent) =
        (Some(ids[1].clone()), Some(ids[0].clone()), Some(ids[2].clone()));
    spans[3].end_nanos = 0;
    spans[3].name = "se\u{1b}[31mnd".to_owned();
    let drawn = waterfall(&Trace::new(spans.clone()), 0, Palette::Plain);
    assert!(!drawn.contains('\u{1b}'));
    assert_eq!(drawn.lines().filter(|line| line.contains('|')).count(), spans.len(), "{drawn}");
    assert_eq!(drawn.matches("~ waits").count(), 1, "{drawn}");
    assert!(waterfall(&Trace::new(Vec::new()), 80, Palette::Plain).starts_with("trace : 0 spans"));
}

#[test]
fn queries_are_told_apart() {
    let id = "0192e4a0-0000-7000-8000-000000000001";
    for (text, expected) in [
        (id, TraceQuery::Message(id.parse().unwrap())),
        ("<a@b.example>", TraceQuery::InternetMessageId("<a@b.example>".to_owned())),
        (" a@b.example", TraceQuery::InternetMessageId("<a@b.example>".to_owned())),
        ("4BF92F3577B34DA6A3CE929D0E0E4736", TraceQuery::Trace("4bf92f3577b34da6a3ce929d0e0e4736".to_owned())),
    ] {
        assert_eq!(text.parse(), Ok(expected));
    }
    assert!("nothing".parse::<TraceQuery>().is_err());
}

#[test]
fn the_store_is_bounded_searched_by_three_keys_and_passes_over_torn_lines() {
    let directory = tempfile::tempdir().unwrap();
    let spans = fixture().spans;
    let one_span = serde_json::to_vec(&spans[0]).unwrap().len() as u64 + 1;
    let log = SpanLog::with_limit(directory.path(), one_span).unwrap();
    log.append(&spans[..1]).unwrap();
    let store = TraceStore::in_directory(directory.path());
    for query in ["0192e4a0-0000-7000-8000-000000000001", "<hello@contoso.example>", "4bf92f3577b34da6a3ce929d0e0e4736"]
    {
        assert_eq!(store.find(&query.parse().unwrap()).unwrap().unwrap().spans, spans[..1], "{query}");
    }
    assert_eq!(store.find(&"x@y".parse().unwrap()).unwrap(), None);

    // Each further one begins a new file; two are kept.
    log.append(&spans[1..2]).unwrap();
    log.append(&spans[2..3]).unwrap();
    std::fs::write(directory.path().join("other"), "").unwrap();
    let query = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
    assert_eq!(store.find(&query).unwrap().unwrap().spans, spans[1..3]);
    let path = directory.path().join("traces.jsonl");
    let torn = [std::fs::read(&path).unwrap(), b"{\"traceId\":\"4bf".to_vec()].concat();
    std::fs::write(&path, torn).unwrap();
    assert_eq!(store.find(&query).unwrap().unwrap().spans, spans[1..3]);
}

/// Telemetry of one service of a server that exports to `receiver`.
fn telemetry(server: &str, receiver: &TraceReceiver) -> Telemetry {
    let collector =
        Collector { endpoint: receiver.endpoint(), roots_pem: None, sample_ratio: SampleRatio::ALL, metrics: false };
    let settings = TelemetrySettings {
        service: "postroad-transport",
        version: "0",
        server: ServerName::parse(server).unwrap(),
        site: None,
        logs: LogSettings { format: LogFormat::Text, ..LogSettings::default() },
        collector: Some(collector),
    };
    Telemetry::install(&settings).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_two_servers_make_one_trace() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = TraceReceiver::start((Ipv4Addr::LOCALHOST, 0).into(), directory.path()).await.unwrap();
    let (first, second) = (telemetry("MAIL1", &receiver), telemetry("MAIL2", &receiver));
    let message: MessageId = "0192e4a0-0000-7000-8000-000000000001".parse().unwrap();
    let now = crate::clock::now();
    let at = |millis| now.plus(Duration::from_millis(millis));

    let mut receive = first.tracer().start(HopName::Receive, None, now);
    receive.attribute(keys::MESSAGE_ID, &message);
    let context = receive.context();
    receive.end(at(5), HopOutcome::Done);
    let send = second.tracer().start(HopName::Send, context, at(10));
    send.end(at(20), HopOutcome::Failed { status: EnhancedStatus::new(4, 4, 1), cause: &"nobody there" });
    first.shutdown().await;
    second.shutdown().await;

    let store = TraceStore::in_directory(directory.path());
    let trace = store.wait_for(&TraceQuery::Message(message), |trace| trace.spans.len() == 2, SOON).await.unwrap();
    let send = trace.named("send").next().unwrap();
    assert_eq!(
        (&*send.server, &*send.service, send.duration()),
        ("MAIL2", "postroad-transport", Duration::from_millis(10))
    );
    assert_eq!(send.outcome, SpanOutcome::Failed("nobody there".to_owned()));
    assert_eq!(send.attribute("error.type"), Some("4.4.1"));
    assert_eq!(send.parent.as_deref(), trace.named("receive").next().map(|span| &*span.span_id));
    assert_eq!(store.find(&context.unwrap().into()).unwrap(), Some(trace));
    receiver.stop().await;
}
