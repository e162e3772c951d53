//! A list of recipients: one address in a line.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use envelope::Address;

/// Largest list in octets: about two million addresses. Ours, so that no pipe can exhaust the memory.
const OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// Reads `path`, `-` for standard input. Empty lines, and those that begin with `#`, are passed over.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Address>> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(OCTETS_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(OCTETS_MAX + 1).read_to_string(&mut text))
    };
    let octets = read.with_context(|| format!("cannot read the recipients in {name}"))?;
    if u64::try_from(octets).unwrap_or(u64::MAX) > OCTETS_MAX {
        bail!("{name} has more than {OCTETS_MAX} octets; split it");
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| Address::parse(line).with_context(|| format!("{name}:{at}: {line:?} is no address")))
        .collect()
}
