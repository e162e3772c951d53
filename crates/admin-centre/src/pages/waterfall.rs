//! One message's way over all servers as bars in time, with a table that says the same (WA-51).

use std::time::Duration;

use askama::filters::Escaper as _;
use envelope::Timestamp;

use crate::estate::TrackView;
use crate::text::Hostile;
use crate::view::{Bit, Bits, Column, Grid, Tone};

/// Width of the time axis.
const WIDE: f64 = 420.0;
/// Where it begins: names stand before it.
const LEFT: f64 = 250.0;
const ROW: usize = 26;
/// Steps that are drawn; the table has all.
const DRAWN: usize = 40;

/// `1.2 s`, `340 ms`, `2 h 5 min`.
pub(crate) fn span(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=119_999 => format!("{:.1} s", span.as_secs_f64()),
        120_000..=7_199_999 => format!("{} min {} s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{} h {} min", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// What an event is called by those who do not read logs (AP-18).
fn stage(event: &str) -> (&'static str, Tone) {
    match event {
        "RECEIVE" => ("received", Tone::Plain),
        "SUBMIT" => ("submitted", Tone::Plain),
        "SEND" => ("sent on", Tone::Good),
        "DELIVER" => ("in the mailbox", Tone::Good),
        "DEFER" => ("deferred", Tone::Warn),
        "FAIL" => ("failed", Tone::Bad),
        "EXPAND" => ("group expanded", Tone::Plain),
        "RESOLVE" => ("address resolved", Tone::Plain),
        "TRANSFER" => ("copied", Tone::Plain),
        "HAREDIRECT" | "REDIRECT" => ("redirected", Tone::Warn),
        "RESUBMIT" => ("resubmitted", Tone::Warn),
        "DSN" => ("notification made", Tone::Warn),
        _ => ("", Tone::Plain),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    let _full = Hostile.write_escaped_str(&mut out, text);
    out
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(most - 1).collect::<String>())
    }
}

/// Each step from when the step before it on its way ended.
pub(crate) fn draw(lines: &[&TrackView]) -> String {
    let (start, end) = (lines[0].at, lines[lines.len() - 1].at);
    let whole = end.saturating_sub(start).max(1);
    // Milliseconds of a message's life are far below the point where a double is not exact.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of days")]
    let x = |at: u64| LEFT + WIDE * (at.saturating_sub(start) as f64) / (whole as f64);
    let shown = lines.len().min(DRAWN);
    let high = shown * ROW + 34;
    let wide = LEFT + WIDE + 60.0;
    let mut svg = format!(
        "<svg class=\"drawing fall\" viewBox=\"0 0 {wide:.0} {high}\" width=\"{wide:.0}\" height=\"{high}\" role=\"img\" aria-hidden=\"true\">"
    );
    for part in 0..=4_u64 {
        let at = start + whole * part / 4;
        let x = x(at);
        svg += &format!("<path class=\"rule\" d=\"M{x:.0} 20V{}\"/>", high - 8);
        svg += &format!(
            "<text class=\"soft\" x=\"{x:.0}\" y=\"13\" text-anchor=\"middle\">{}</text>",
            span(Duration::from_millis(at - start))
        );
    }
    let mut server = "";
    for (at, line) in lines.iter().take(DRAWN).enumerate() {
        let y = 24 + at * ROW;
        let before = lines[..at].iter().rev().find(|known| known.server == line.server).or_else(|| lines[..at].last());
        let from = before.map_or(line.at, |before| before.at);
        let (word, tone) = stage(&line.event);
        let word = if word.is_empty() { line.event.to_lowercase() } else { word.to_owned() };
        if line.server != server {
            server = &line.server;
            svg += &format!("<text class=\"strong\" x=\"4\" y=\"{}\">{}</text>", y + 15, escaped(&short(server, 16)));
        }
        svg += &format!("<text x=\"124\" y=\"{}\">{}</text>", y + 15, escaped(&short(&word, 18)));
        let (left, right) = (x(from), x(line.at));
        svg += &format!(
            "<rect class=\"bar {}\" x=\"{left:.1}\" y=\"{}\" width=\"{:.1}\" height=\"14\" rx=\"3\"/>",
            tone.class(),
            y + 4,
            (right - left).max(4.0)
        );
        let took = span(Duration::from_millis(line.at.saturating_sub(from)));
        svg += &format!("<text class=\"soft\" x=\"{:.0}\" y=\"{}\">{took}</text>", right.max(left + 4.0) + 6.0, y + 15);
    }
    svg + "</svg>"
}

/// Every step.
pub(crate) fn table(lines: &[&TrackView]) -> Grid {
    let columns = vec![
        Column::new("Time", "Timestamp"),
        Column::new("Server", "ServerHostname"),
        Column::new("Step", "EventId"),
        Column::new("Recipients", "Recipients"),
        Column::new("Connector", "ConnectorId"),
        Column::new("Other host", ""),
        Column::new("What was said", "RecipientStatus"),
    ];
    let mut grid = Grid::new("Steps", columns);
    for line in lines {
        let (word, tone) = stage(&line.event);
        let word = if word.is_empty() { line.event.clone() } else { word.to_owned() };
        grid.row(vec![
            Bit::Time(Timestamp::from_millis(line.at)).into(),
            line.server.clone().into(),
            Bits::of(vec![Bit::Badge(tone, word), Bit::Quiet(format!("{} {}", line.event, line.source))]),
            super::objects::few(&line.recipients.join("\n"), 4),
            line.connector.clone().into(),
            line.host.clone().into(),
            line.status.clone().into(),
        ]);
    }
    grid
}
