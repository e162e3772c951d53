//! What the lab prints: who runs where, and how one message went.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use lab::traces::Span;
use lab::world::{Links, Pair};
use lab::{LabStatus, Trace};

/// Lines of the reason that are shown for a message; `postroad trace` shows all.
const REASON_LINES_MAX: usize = 8;

/// Servers, addresses, processes.
pub(super) fn status(status: &LabStatus) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "internet     DNS {}, hosts on port {}", status.dns, status.smtp_port);
    let _ = writeln!(text, "traces       {}", status.otlp);
    for server in &status.servers {
        let address = |address: Option<SocketAddr>| address.map_or("–".to_owned(), |address| address.to_string());
        let (smtp, submission) = (address(server.smtp), address(server.submission));
        let _ = writeln!(text, "{:<12} SMTP {smtp:<20} clients {submission}", server.name);
        for process in &server.processes {
            let _ =
                writeln!(text, "  {:<20} pid {:<8} http://{}/metrics", process.service, process.pid, process.metrics);
        }
        let _ = writeln!(text, "  settings             {}", server.settings.display());
    }
    text
}

/// What joins the sites, and the perimeter, and where it is cut.
pub(super) fn links(links: &Links) -> String {
    let link = |pair: &Pair| if links.cut.contains(pair) { format!("{pair} CUT") } else { pair.to_string() };
    let alone = links.alone.intersection(&links.cut);
    let row = |label: &str, pairs: Vec<&Pair>| {
        let all = pairs.into_iter().map(link).collect::<Vec<_>>().join(", ");
        if all.is_empty() { all } else { format!("{label:<12} {all}\n") }
    };
    let sites = row("site links", links.pairs.iter().collect());
    sites + &row("perimeter", links.perimeter.iter().chain(alone).collect())
}

/// A message's ways over servers and services, one for each place where it ended:
/// `Submission OSLO1 ▸ Transport BERLIN1 ▸ mailbox on BERLIN1`.
pub(super) fn ways(trace: &Trace) -> Vec<String> {
    let parents: HashMap<&str, &Span> = trace.spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let ends = trace.spans.iter().filter(|span| matches!(span.name.as_str(), "deliver" | "send"));
    let way = |end: &Span| {
        let mut stops: Vec<String> = Vec::new();
        let mut next = Some(end);
        while let Some(span) = next {
            stops.extend(stop(span));
            next = span.parent.as_deref().and_then(|parent| parents.get(parent).copied());
        }
        stops.reverse();
        stops.dedup();
        stops.join(" ▸ ")
    };
    let mut ways: Vec<String> = ends.map(way).collect();
    ways.sort();
    ways.dedup();
    ways
}

/// A station of the way, unless the span is about something on the way between two.
fn stop(span: &Span) -> Option<String> {
    let service = match span.service.as_str() {
        "postroad-frontend-transport" => "Front End",
        "postroad-transport" => "Transport",
        "postroad-mailbox-submission" => "Submission",
        other => other,
    };
    let attribute = |key| span.attribute(key).unwrap_or("?");
    match span.name.as_str() {
        "receive" | "submit" => Some(format!("{service} {}", span.server)),
        "deliver" => Some(format!("mailbox on {}", span.server)),
        "send" => Some(format!("[{}] {}", attribute("postroad.connector"), attribute("server.address"))),
        "notify" => Some("notification".to_owned()),
        _ => None,
    }
}

/// Why: the decisions on the way, shortened.
pub(super) fn reasons(trace: &Trace) -> Vec<String> {
    let mut lines = Vec::new();
    for span in trace.named("categorize") {
        for event in &span.events {
            let attribute = |key| event.attributes.get(key).map_or("", String::as_str);
            match event.name.as_str() {
                "failed" => {
                    lines.push(format!("{}: {}", attribute("postroad.recipient"), attribute("postroad.smtp.reply")))
                }
                "decision" | "unreachable" => {
                    lines.extend(attribute("postroad.explanation").lines().map(str::to_owned))
                }
                _ => {}
            }
        }
    }
    if lines.len() > REASON_LINES_MAX {
        let hidden = lines.len() - REASON_LINES_MAX;
        lines.truncate(REASON_LINES_MAX);
        let lines_more = if hidden == 1 { "line" } else { "lines" };
        lines.push(format!("… {hidden} more {lines_more}"));
    }
    lines
}

/// From the first span to the last.
pub(super) fn duration(trace: &Trace) -> Duration {
    let start = trace.spans.iter().map(|span| span.start_nanos).min().unwrap_or_default();
    let end = trace.spans.iter().map(|span| span.end_nanos).max().unwrap_or_default();
    Duration::from_nanos(end.saturating_sub(start))
}
