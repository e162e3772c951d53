//! `Export-Csv`: every value is a text; null and empty are the same (IM-10).

use crate::raw::{Raw, RawObject};

pub(super) fn read(text: &str) -> Result<Vec<RawObject>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut of = String::new();
    let (mut skipped, mut rest) = (0, text);
    if let Some(line) = text.strip_prefix("#TYPE ").and_then(|rest| rest.lines().next()) {
        of = line.trim().to_owned();
        rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        skipped = 1;
    }
    let header = rest.lines().next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|one| header.matches(*one).count()).unwrap_or(',');
    let mut rows = records(rest, separator, skipped + 1);
    if rows.is_empty() {
        return Err("it has no header".to_owned());
    }
    let (names, _) = rows.remove(0);
    let object = |(cells, line): (Vec<String>, usize)| {
        let cells = cells.into_iter().map(|cell| if cell.is_empty() { Raw::Nothing } else { Raw::Text(cell) });
        let fields = names.iter().cloned().zip(cells).map(|(name, value)| (name, value, line)).collect();
        RawObject { of: of.clone(), fields }
    };
    Ok(rows.into_iter().filter(|(cells, _)| cells.len() > 1).map(object).collect())
}

/// Rows of cells, each with its line.
fn records(text: &str, separator: char, first: usize) -> Vec<(Vec<String>, usize)> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut within, mut line, mut begun) = (false, first, first);
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        line += usize::from(one == '\n');
        match one {
            '"' if within && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' => within = !within,
            '\n' if !within => {
                row.push(std::mem::take(&mut cell));
                rows.push((std::mem::take(&mut row), begun));
                begun = line;
            }
            _ if one == separator && !within => row.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push((row, begun));
    }
    rows
}
