//! What the commands share in speaking to people and to pipes: whole texts to standard output, colour and width of the
//! terminal.

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Columns where there is no terminal to ask.
const WIDTH_DEFAULT: usize = 110;

/// Exit status of a command for CI that found what it was asked to find: a difference, a test that fails.
pub(crate) const CHANGED: u8 = 1;
/// Exit status of such a command when it has no answer.
pub(crate) const NO_ANSWER: u8 = 2;

/// Tells why a command failed, and gives its exit status.
pub(crate) fn failed(error: &anyhow::Error, status: u8) -> ExitCode {
    let (red, plain) = if std::io::stderr().is_terminal() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{red}error:{plain} {error:#}");
    ExitCode::from(status)
}

/// A time of day in UTC, to the second: `2026-11-22T09:30:00Z`.
pub(crate) fn time(time: SystemTime) -> String {
    let seconds = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    seconds.format(&Rfc3339).expect("years of four digits can be written")
}

/// Writes `text` to standard output. A reader that has enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Whether standard output shows colours: a terminal, and nobody asked for none (no-color.org).
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Columns of the terminal that standard output is.
pub(crate) fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH_DEFAULT, |(width, _)| usize::from(width.0))
}

/// Columns of texts, each as wide as its widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
