//! `postroad trace` by each of the three names that a message has.

use std::collections::BTreeMap;

use lab::traces::{Span, SpanOutcome};

use crate::support::Desk;

const MESSAGE: &str = "0192f8a4-5d2c-7b3e-9a41-0c6f2e8d7b15";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn desk_with_a_trace() -> Desk {
    let desk = Desk::new();
    let attributes = [("messaging.message.id", MESSAGE), ("postroad.internet_message_id", "<1@contoso.example>")];
    let span = Span {
        trace_id: TRACE.to_owned(),
        span_id: "00f067aa0ba902b7".to_owned(),
        parent: None,
        name: "receive".to_owned(),
        service: "postroad-transport".to_owned(),
        server: "BERLIN1".to_owned(),
        start_nanos: 1_000_000,
        end_nanos: 33_000_000,
        outcome: SpanOutcome::Done,
        attributes: BTreeMap::from(attributes.map(|(key, value)| (key.to_owned(), value.to_owned()))),
        events: Vec::new(),
        links: Vec::new(),
    };
    std::fs::create_dir_all(desk.path(".postroad/lab/traces")).unwrap();
    desk.write(".postroad/lab/traces/traces.jsonl", &(serde_json::to_string(&span).unwrap() + "\n"));
    desk
}

#[test]
fn a_message_is_found_by_each_of_its_names() {
    let desk = desk_with_a_trace();
    for name in [MESSAGE, TRACE, "<1@contoso.example>", "1@contoso.example"] {
        let out = desk.done(&format!("trace {name}"));
        assert!(out.starts_with(&format!("trace {TRACE}: 1 span on 1 server in 32ms\n")), "{out}");
        assert!(out.contains("receive transport@BERLIN1") && !out.contains('\x1b'), "{out}");
    }
    let unknown = desk.refused("trace 2@contoso.example");
    assert!(unknown.contains("no trace of this message") && unknown.contains("try again"), "{unknown}");
    assert!(desk.refused("trace nothing").contains("neither a message id, nor a Message-ID header"));
    assert!(desk.refused(&format!("trace {TRACE} --lab elsewhere")).contains("--lab"));
}
