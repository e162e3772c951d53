//! Spans in the order to be read: each under its parent, with what it had to wait for before it.
//!
//! Parents may be missing (not sent yet, dropped, or of another file): their children stand at the top. No input makes
//! it loop, whatever parents name each other.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::span::Span;
use super::store::Trace;

/// Deepest indentation; deeper spans stand no further right.
const DEPTH_MAX: usize = 12;

/// One span in its place.
pub(super) struct Row<'a> {
    pub span: &'a Span,
    pub depth: usize,
    /// Time in which nothing of this branch happened: since the sibling before it ended or, for the first, the parent.
    pub waited: Duration,
}

/// All spans, parents before children, siblings in order of their start.
pub(super) fn rows(trace: &Trace) -> Vec<Row<'_>> {
    let known: HashSet<&str> = trace.spans.iter().map(|span| span.span_id.as_str()).collect();
    let mut children: HashMap<&str, Vec<&Span>> = HashMap::new();
    let mut roots = Vec::new();
    for span in &trace.spans {
        match span.parent.as_deref().filter(|parent| known.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    let mut walk = Walk { children, seen: HashSet::new(), rows: Vec::new() };
    walk.siblings(&roots, None);
    // What is left are spans that are each other's ancestors.
    for span in &trace.spans {
        walk.siblings(&[span], None);
    }
    walk.rows
}

struct Walk<'a> {
    children: HashMap<&'a str, Vec<&'a Span>>,
    seen: HashSet<&'a str>,
    rows: Vec<Row<'a>>,
}

impl<'a> Walk<'a> {
    /// Depth first without recursion: a trace may be as deep as it is long.
    fn siblings(&mut self, first: &[&'a Span], parent_end: Option<u64>) {
        let mut stack = Vec::new();
        push(&mut stack, first, parent_end, 0);
        while let Some((span, busy_until, depth)) = stack.pop() {
            if !self.seen.insert(&span.span_id) {
                continue;
            }
            let waited = busy_until.map_or(0, |end| span.start_nanos.saturating_sub(end));
            let waited = Duration::from_nanos(waited);
            self.rows.push(Row { span, depth: depth.min(DEPTH_MAX), waited });
            let below = self.children.remove(span.span_id.as_str()).unwrap_or_default();
            push(&mut stack, &below, Some(end(span)), depth + 1);
        }
    }
}

type Pending<'a> = (&'a Span, Option<u64>, usize);

fn push<'a>(stack: &mut Vec<Pending<'a>>, siblings: &[&'a Span], parent_end: Option<u64>, depth: usize) {
    let mut busy_until = parent_end;
    let mut pending = Vec::with_capacity(siblings.len());
    for span in siblings {
        pending.push((*span, busy_until, depth));
        busy_until = busy_until.max(Some(end(span)));
    }
    stack.extend(pending.into_iter().rev());
}

/// Clocks of two servers, or one that was set back, may end a span before its start.
fn end(span: &Span) -> u64 {
    span.end_nanos.max(span.start_nanos)
}
