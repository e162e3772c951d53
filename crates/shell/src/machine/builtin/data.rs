//! Objects as CSV and JSON, and back (SH-55).

use std::rc::Rc;

use super::Row;
use crate::binder::Bound;
use crate::display::{FORMATTED, properties};
use crate::failure::Failure;
use crate::json;
use crate::machine::{Machine, Run, Sink};
use crate::tree::Extent;
use crate::value::{Object, Value};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "ConvertTo-Csv",
        aliases: &[],
        synopsis: "Objects as lines of comma-separated values.",
        parameters: "0Delimiter NoTypeInformation?",
        what: to_csv,
    },
    Row {
        name: "Export-Csv",
        aliases: &["epcsv"],
        synopsis: "Writes objects as comma-separated values.",
        parameters: "0Path 1Delimiter NoTypeInformation? Append? Encoding Force? NoClobber?",
        what: export_csv,
    },
    Row {
        name: "ConvertFrom-Csv",
        aliases: &[],
        synopsis: "Objects from comma-separated values; every value is a text.",
        parameters: "0Delimiter Header*",
        what: from_csv,
    },
    Row {
        name: "Import-Csv",
        aliases: &["ipcsv"],
        synopsis: "Objects from a file of comma-separated values; every value is a text.",
        parameters: "0Path 1Delimiter Header* Encoding",
        what: import_csv,
    },
    Row {
        name: "ConvertTo-Json",
        aliases: &[],
        synopsis: "Objects as JSON.",
        parameters: "Depth# Compress? AsArray?",
        what: to_json,
    },
    Row { name: "ConvertFrom-Json", aliases: &[], synopsis: "Objects from JSON.", parameters: "", what: from_json },
    Row {
        name: "ConvertTo-Html",
        aliases: &[],
        synopsis: "Objects as a table of HTML.",
        parameters: "0Property* Title Head* Body* PreContent* PostContent* Fragment?",
        what: to_html,
    },
];

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn delimiter(bound: &Bound) -> char {
    bound.text("Delimiter").and_then(|text| text.chars().next()).unwrap_or(',')
}

/// Lines with a header; the columns are those of the first object.
fn csv(bound: &Bound, items: &[Value]) -> Result<Vec<String>, Failure> {
    let Some(first) = items.first() else { return Ok(Vec::new()) };
    if matches!(first, Value::Object(object) if &*object.of == FORMATTED) {
        let message = "What Format-* returns is made to be shown, and has no properties to write.";
        return Err(Failure::new("InvalidArgument", "FormattedObject", message)
            .by("SH-66")
            .advise("Select-Object in place of Format-Table or Format-List"));
    }
    let separator = delimiter(bound).to_string();
    let names: Vec<Rc<str>> = properties(first).into_iter().map(|(name, _)| name).collect();
    let mut lines = Vec::new();
    if !bound.is_on("NoTypeInformation") {
        let of = match first {
            Value::Object(object) if !object.of.is_empty() => object.of.to_string(),
            _ => "System.Management.Automation.PSCustomObject".to_owned(),
        };
        lines.push(format!("#TYPE {of}"));
    }
    lines.push(names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(&separator));
    for item in items {
        let cells = names.iter().map(|name| match crate::member::property(item, name) {
            Value::Null => String::new(),
            Value::List(_) => quoted("System.Object[]"),
            value => quoted(&value.text()),
        });
        lines.push(cells.collect::<Vec<_>>().join(&separator));
    }
    Ok(lines)
}

fn to_csv(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    csv(bound, items)?.into_iter().try_for_each(|line| next.push(machine, Value::of(line)))
}

fn export_csv(machine: &mut Machine, bound: &Bound, items: &[Value], place: Extent, _: &mut dyn Sink) -> Run<()> {
    let lines = csv(bound, items)?;
    let Some(path) = bound.text("Path") else {
        return Err(
            Failure::of_language("MissingMandatoryParameter", "Export-Csv needs the name of a file.", place).into()
        );
    };
    let mut text = lines.join("\n");
    text.push('\n');
    let saved = machine.console.save(&path, text.as_bytes(), bound.is_on("Append"));
    Ok(saved.map_err(|why| Failure::new("OpenError", "FileOpenFailure", why))?)
}

fn from_csv(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let text = items.iter().map(Value::text).collect::<Vec<_>>().join("\n");
    csv_objects(&text, bound).into_iter().try_for_each(|object| next.push(machine, object))
}

fn import_csv(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let path = bound.text("Path").or_else(|| items.first().map(Value::text)).unwrap_or_default();
    let octets = machine.console.read(&path).map_err(|why| Failure::new("OpenError", "FileOpenFailure", why))?;
    let text = String::from_utf8_lossy(&octets).trim_start_matches('\u{feff}').to_owned();
    csv_objects(&text, bound).into_iter().try_for_each(|object| next.push(machine, object))
}

fn csv_objects(text: &str, bound: &Bound) -> Vec<Value> {
    let mut rows = records(text, delimiter(bound)).into_iter().filter(|row| row.len() > 1 || !row[0].is_empty());
    let header: Vec<Rc<str>> = match bound.get("Header") {
        Some(names) => names.each().iter().map(|name| name.text().into()).collect(),
        None => loop {
            match rows.next() {
                Some(row) if row[0].starts_with("#TYPE ") => {}
                Some(row) => break row.into_iter().map(Into::into).collect(),
                None => return Vec::new(),
            }
        },
    };
    let object = |row: Vec<String>| {
        let cells = row.into_iter().map(Value::of).chain(std::iter::repeat(Value::Null));
        Value::Object(Object::new("", None, header.iter().cloned().zip(cells).collect()))
    };
    rows.map(object).collect()
}

/// Lines of cells; a quoted cell may hold separators and line ends.
fn records(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    let mut within = false;
    while let Some(one) = rest.next() {
        match one {
            '"' if within && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' => within = !within,
            _ if within => cell.push(one),
            '\r' => {}
            '\n' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ if one == delimiter => row.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

fn to_json(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let depth = match bound.get("Depth") {
        Some(Value::Whole(depth)) => usize::try_from(*depth).unwrap_or(2),
        _ => 2,
    };
    let value = match items.len() {
        1 if !bound.is_on("AsArray") => items[0].clone(),
        _ => Value::list(items.to_vec()),
    };
    next.push(machine, Value::of(json::write(&value, depth, bound.is_on("Compress"))))
}

fn from_json(machine: &mut Machine, _: &Bound, items: &[Value], place: Extent, next: &mut dyn Sink) -> Run<()> {
    let text = items.iter().map(Value::text).collect::<Vec<_>>().join("\n");
    let value = json::read(&text).map_err(|why| Failure::of_language("InvalidJson", why, place))?;
    match value {
        Value::List(items) => {
            let items = items.borrow().clone();
            items.into_iter().try_for_each(|item| next.push(machine, item))
        }
        other => next.push(machine, other),
    }
}

fn to_html(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let sample = items.first().cloned().unwrap_or_default();
    let given = bound.get("Property").cloned().unwrap_or_else(|| Value::of("*"));
    let columns = super::wanted(&given, &sample);
    let head: String = columns.iter().map(|one| format!("<th>{}</th>", escape(&one.label))).collect();
    let mut lines = vec!["<table>".to_owned(), format!("<tr>{head}</tr>")];
    for item in items {
        let mut row = String::new();
        for one in &columns {
            row.push_str(&format!("<td>{}</td>", escape(&one.value(machine, item)?.text())));
        }
        lines.push(format!("<tr>{row}</tr>"));
    }
    lines.push("</table>".to_owned());
    if !bound.is_on("Fragment") {
        let title = escape(&bound.text("Title").unwrap_or_default());
        lines.insert(0, format!("<!DOCTYPE html><html><head><title>{title}</title></head><body>"));
        lines.push("</body></html>".to_owned());
    }
    lines.into_iter().try_for_each(|line| next.push(machine, Value::of(line)))
}
