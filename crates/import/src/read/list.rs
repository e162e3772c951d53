//! `Format-List` output: labels, colons in one column, values that go on in the lines below (IM-09).

use crate::raw::{Raw, RawObject};

/// Whether a text looks like a list.
pub(super) fn is_list(text: &str) -> bool {
    text.lines().any(|line| label(line).is_some_and(|(name, _, _)| name == "Name" || name == "Identity"))
}

/// Label, value and the column of the value.
fn label(line: &str) -> Option<(&str, &str, usize)> {
    let at = line.find(" : ").or_else(|| line.strip_suffix(" :").map(str::len))?;
    let name = line[..at].trim_end();
    let good =
        !name.is_empty() && name.chars().all(|one| one.is_alphanumeric() || one == '_') && !line.starts_with(' ');
    good.then(|| (name, line.get(at + 3..).unwrap_or_default(), at + 3))
}

pub(super) fn read(text: &str) -> Result<Vec<RawObject>, String> {
    // The width at which the writer broke lines: its longest line.
    let width = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let mut objects: Vec<RawObject> = Vec::new();
    let mut current: Vec<(String, String, usize)> = Vec::new();
    let mut column = 0;
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            finish(&mut current, &mut objects)?;
            continue;
        }
        match label(line) {
            Some((name, value, starts)) if column == 0 || starts == column || current.is_empty() => {
                column = starts;
                current.push((name.to_owned(), value.to_owned(), at + 1));
            }
            _ => {
                let Some((_, value, _)) = current.last_mut() else {
                    return Err(format!("line {}: a value without its label", at + 1));
                };
                // Each word keeps its blank; where an editor took it away, it is put back.
                if !value.ends_with(' ') && column + value.chars().count() < width {
                    value.push(' ');
                }
                value.push_str(line.trim_start());
            }
        }
    }
    finish(&mut current, &mut objects)?;
    Ok(objects)
}

fn finish(current: &mut Vec<(String, String, usize)>, objects: &mut Vec<RawObject>) -> Result<(), String> {
    if current.is_empty() {
        return Ok(());
    }
    let mut fields = Vec::new();
    for (name, value, line) in std::mem::take(current) {
        let value = value.trim_end();
        let raw = match value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(inner) if inner.ends_with("...") || inner.ends_with('…') => {
                let items = inner.split(", ").count();
                return Err(format!(
                    "line {line}: the list {name} was cut at {items}; set $FormatEnumerationLimit = -1 and export again"
                ));
            }
            Some("") => Raw::List(Vec::new()),
            Some(inner) => Raw::List(inner.split(", ").map(|item| Raw::Text(item.to_owned())).collect()),
            None if value.is_empty() => Raw::Nothing,
            None => Raw::Text(value.to_owned()),
        };
        fields.push((name, raw, line));
    }
    objects.push(RawObject { of: String::new(), fields });
    Ok(())
}
