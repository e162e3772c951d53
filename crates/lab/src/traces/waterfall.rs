//! One message's way as text: a line for each span, its place in time as a bar, its cause where it failed.
//!
//! ```text
//! receive transport@MAIL1             0ms |==============  |     32ms ok connector="Default MAIL1" peer=127.0.0.1
//!   send transport@MAIL1             34ms |             xx |    8.0ms 4.4.1 connector=Internet
//!       next-hop=fabrikam.example server=mx1.fabrikam.example
//!     ! cannot connect to 127.77.1.1:2500: Connection refused
//!   ~ waits 5m00s
//!   send transport@MAIL1            5m00s |               =|     20ms ok attempt=2 connector=Internet
//! ```
//!
//! Attributes that do not fit the line go on below it. Long times in which nothing happened are short on the bars: the
//! numbers and the `~` lines tell them.

use std::time::Duration;

use telemetry::keys;

use super::axis::{Axis, WAIT_SHOWN};
use super::span::{Span, SpanOutcome};
use super::store::Trace;
use super::tree::{Row, rows};

/// Least width in columns; narrower is drawn so wide all the same.
pub const WIDTH_MIN: usize = 80;

const BAR_MAX: usize = 40;
const BAR_MIN: usize = 10;
const LABEL_MAX: usize = 44;
/// Offset and duration with the spaces and strokes between the columns.
const FIXED: usize = 8 + 8 + 6;

/// How a waterfall is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// ASCII only: for files, tests and dumb terminals.
    Plain,
    /// ANSI colours and box drawing.
    Colour,
}

/// Attributes worth a place on the line, in this order.
const SHOWN: &[(&str, &str)] = &[
    ("attempt", keys::ATTEMPT.name()),
    ("connector", keys::CONNECTOR.name()),
    ("next-hop", keys::NEXT_HOP.name()),
    ("delivery", keys::DELIVERY_TYPE.name()),
    ("server", keys::SERVER_ADDRESS.name()),
    ("peer", keys::PEER_ADDRESS.name()),
    ("name", keys::DNS_QUESTION.name()),
    ("answer", keys::DNS_ANSWER.name()),
    ("tls", keys::TLS_VERSION.name()),
    ("recipients", keys::RECIPIENTS.name()),
    ("reply", keys::REPLY.name()),
    ("waits-until", keys::WAIT_UNTIL.name()),
];

/// Draws `trace` in `width` columns, which only lines below a span's own may exceed: nothing but long labels is cut.
#[must_use]
pub fn waterfall(trace: &Trace, width: usize, palette: Palette) -> String {
    let rows = rows(trace);
    let start = trace.spans.iter().map(|span| span.start_nanos).min().unwrap_or(0);
    let end = trace.spans.iter().map(|span| span.end_nanos).max().unwrap_or(start);
    let label = rows.iter().map(|row| label(row).chars().count()).max().unwrap_or(0).min(LABEL_MAX);
    let width = width.max(WIDTH_MIN);
    let bar = (width.saturating_sub(label + FIXED) / 4).clamp(BAR_MIN, BAR_MAX);
    let canvas = Canvas { palette, start, axis: Axis::of(trace), label, bar, width };
    let mut out = heading(trace, Duration::from_nanos(end.saturating_sub(start)));
    for row in &rows {
        canvas.row(row, &mut out);
    }
    out
}

fn heading(trace: &Trace, total: Duration) -> String {
    let ids: Vec<_> = trace.ids().into_iter().collect();
    let servers: std::collections::BTreeSet<_> = trace.spans.iter().map(|span| &span.server).collect();
    let count = |number: usize, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    format!(
        "trace {}: {} on {} in {}\n",
        ids.join(", "),
        count(trace.spans.len(), "span"),
        count(servers.len(), "server"),
        in_words(total)
    )
}

struct Canvas {
    palette: Palette,
    start: u64,
    axis: Axis,
    label: usize,
    bar: usize,
    width: usize,
}

impl Canvas {
    fn row(&self, row: &Row<'_>, out: &mut String) {
        let indent = "  ".repeat(row.depth);
        if row.waited >= WAIT_SHOWN {
            let waits = format!("{indent}~ waits {}", in_words(row.waited));
            self.line(&self.painted(&waits, Paint::Wait), out);
        }
        let (span, paint) = (row.span, Paint::of(row.span));
        let offset = in_words(Duration::from_nanos(span.start_nanos - self.start));
        let label = cut(&label(row), self.label, self.palette);
        let before = format!("{label:<width$} {offset:>8} ", width = self.label);
        let after = format!(" {:>8} ", in_words(span.duration()));
        let room = self.width.saturating_sub(self.label + FIXED + self.bar);
        let (beside, below) = wrapped(&details(span), room);
        let line = format!("{before}{}{after}{}", self.drawn_bar(span, paint), self.painted(&beside, paint));
        self.line(&line, out);
        if !below.is_empty() {
            self.line(&format!("{indent}    {below}"), out);
        }
        if let SpanOutcome::Failed(cause) = &span.outcome {
            let cause = format!("{indent}  ! {}", printable(cause));
            self.line(&self.painted(&cause, Paint::Failed), out);
        }
    }

    fn line(&self, text: &str, out: &mut String) {
        out.push_str(text.trim_end());
        out.push('\n');
    }

    fn drawn_bar(&self, span: &Span, paint: Paint) -> String {
        // At least one column, however short; the last column at most.
        let from = self.axis.column(span.start_nanos, self.bar).min(self.bar - 1);
        let to = self.axis.column(span.end_nanos, self.bar).clamp(from + 1, self.bar);
        let (stroke, edge) = match (self.palette, paint) {
            (Palette::Plain, Paint::Failed) => ("x", '|'),
            (Palette::Plain, _) => ("=", '|'),
            (Palette::Colour, _) => ("\u{2501}", '\u{2502}'),
        };
        let drawn = self.painted(&stroke.repeat(to - from), paint);
        format!("{edge}{}{drawn}{}{edge}", " ".repeat(from), " ".repeat(self.bar - to))
    }

    fn painted(&self, text: &str, paint: Paint) -> String {
        match self.palette {
            Palette::Plain => text.to_owned(),
            Palette::Colour => format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()),
        }
    }
}

#[derive(Clone, Copy)]
enum Paint {
    Done,
    Unset,
    Failed,
    Wait,
}

impl Paint {
    fn of(span: &Span) -> Self {
        match span.outcome {
            SpanOutcome::Done => Self::Done,
            SpanOutcome::Unset => Self::Unset,
            SpanOutcome::Failed(_) => Self::Failed,
        }
    }

    /// SGR: green, default, red, yellow.
    const fn code(self) -> u8 {
        match self {
            Self::Done => 32,
            Self::Unset => 39,
            Self::Failed => 31,
            Self::Wait => 33,
        }
    }
}

fn label(row: &Row<'_>) -> String {
    let service = row.span.service.strip_prefix("postroad-").unwrap_or(&row.span.service);
    format!(
        "{}{} {}@{}",
        "  ".repeat(row.depth),
        printable(&row.span.name),
        printable(service),
        printable(&row.span.server)
    )
}

/// Outcome and attributes.
fn details(span: &Span) -> Vec<String> {
    let outcome = match &span.outcome {
        SpanOutcome::Done => "ok".to_owned(),
        SpanOutcome::Unset => "-".to_owned(),
        SpanOutcome::Failed(_) => span.attribute(keys::ERROR_TYPE.name()).unwrap_or("failed").to_owned(),
    };
    let mut all = vec![outcome];
    for (name, key) in SHOWN {
        let Some(value) = span.attribute(key).filter(|value| (*name, *value) != ("attempt", "1")) else { continue };
        let value = printable(value);
        let quote = if value.contains(' ') || value.is_empty() { "\"" } else { "" };
        all.push(format!("{name}={quote}{value}{quote}"));
    }
    all
}

/// What fits into `room` columns, at least the first, and the rest.
fn wrapped(words: &[String], room: usize) -> (String, String) {
    let mut used = 0;
    let fitting = words.iter().take_while(|word| {
        used += word.chars().count() + 1;
        used <= room + 1
    });
    let (beside, below) = words.split_at(fitting.count().max(1));
    (beside.join(" "), below.join(" "))
}

/// Texts of other systems must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn cut(text: &str, columns: usize, palette: Palette) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mark = if palette == Palette::Plain { "..." } else { "\u{2026}" };
    let kept = columns.saturating_sub(mark.chars().count());
    text.chars().take(kept).chain(mark.chars()).collect()
}

/// `0.4ms`, `12ms`, `3.21s`, `4m12s`, `2h05m`, `3d04h`.
fn in_words(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.as_millis());
    match seconds {
        0 if span.is_zero() => "0ms".to_owned(),
        0 if millis < 10 => format!("{:.1}ms", span.as_secs_f64() * 1000.0),
        0 => format!("{millis}ms"),
        1..60 => format!("{:.2}s", span.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}
