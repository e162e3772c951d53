//! Files: the console says which may be read and written (SH-51).

use super::Row;
use crate::binder::Bound;
use crate::failure::Failure;
use crate::machine::{Machine, Run, Sink};
use crate::tree::Extent;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "Get-Content",
        aliases: &["gc", "cat", "type"],
        synopsis: "The lines of a file, or its octets.",
        parameters: "0Path Encoding ReadCount# Raw? TotalCount# Tail# LiteralPath",
        what: get_content,
    },
    Row {
        name: "Set-Content",
        aliases: &["sc"],
        synopsis: "Writes a file.",
        parameters: "0Path 1Value* Encoding Force? NoNewline?",
        what: set_content,
    },
    Row {
        name: "Add-Content",
        aliases: &["ac"],
        synopsis: "Adds to a file.",
        parameters: "0Path 1Value* Encoding Force? NoNewline?",
        what: add_content,
    },
    Row {
        name: "Test-Path",
        aliases: &[],
        synopsis: "Whether a file is there.",
        parameters: "0Path PathType LiteralPath",
        what: test_path,
    },
    Row {
        name: "Join-Path",
        aliases: &[],
        synopsis: "Puts the parts of a path together.",
        parameters: "0Path 1ChildPath",
        what: join_path,
    },
    Row {
        name: "Split-Path",
        aliases: &[],
        synopsis: "The folder or the name of a path.",
        parameters: "0Path Parent? Leaf?",
        what: split_path,
    },
];

fn path(bound: &Bound) -> String {
    bound.text("Path").or_else(|| bound.text("LiteralPath")).unwrap_or_default()
}

fn open(why: String) -> Failure {
    Failure::new("OpenError", "FileOpenFailure", why)
}

fn get_content(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let octets = machine.console.read(&path(bound)).map_err(open)?;
    if bound.text("Encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("byte")) {
        // CM-39: `[byte[]]$(Get-Content … -Encoding Byte -ReadCount 0)`
        return next.push(machine, Value::Octets(octets.into()));
    }
    let text = String::from_utf8_lossy(&octets).trim_start_matches('\u{feff}').to_owned();
    if bound.is_on("Raw") {
        return next.push(machine, Value::of(text));
    }
    let lines: Vec<&str> = text.lines().collect();
    let count = |name: &str| match bound.get(name) {
        Some(Value::Whole(count)) => usize::try_from(*count).ok(),
        _ => None,
    };
    let end = count("TotalCount").map_or(lines.len(), |count| count.min(lines.len()));
    let start = count("Tail").map_or(0, |tail| lines.len().saturating_sub(tail));
    lines[start.min(end)..end].iter().try_for_each(|line| next.push(machine, Value::of(*line)))
}

fn content(bound: &Bound, items: &[Value]) -> Vec<u8> {
    let values = match bound.get("Value") {
        Some(value) => value.each(),
        None => items.to_vec(),
    };
    if let [Value::Octets(octets)] = &values[..] {
        return octets.to_vec();
    }
    let mut text = values.iter().map(Value::text).collect::<Vec<_>>().join("\n");
    if !bound.is_on("NoNewline") {
        text.push('\n');
    }
    text.into_bytes()
}

fn set_content(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    Ok(machine.console.save(&path(bound), &content(bound, items), false).map_err(open)?)
}

fn add_content(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, _: &mut dyn Sink) -> Run<()> {
    Ok(machine.console.save(&path(bound), &content(bound, items), true).map_err(open)?)
}

fn test_path(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let there = machine.console.read(&path(bound)).is_ok();
    next.push(machine, Value::Bool(there))
}

fn join_path(machine: &mut Machine, bound: &Bound, _: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let child = bound.text("ChildPath").unwrap_or_default();
    let joined = format!("{}/{}", path(bound).trim_end_matches(['/', '\\']), child.trim_start_matches(['/', '\\']));
    next.push(machine, Value::of(joined))
}

fn split_path(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let path = bound.text("Path").or_else(|| items.first().map(Value::text)).unwrap_or_default();
    let (folder, name) = path.rsplit_once(['/', '\\']).unwrap_or(("", &path));
    next.push(machine, Value::of(if bound.is_on("Leaf") { name } else { folder }))
}
