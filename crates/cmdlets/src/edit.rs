//! Values of the shell as the schema writes them, and edits of lists: `@{Add=…; Remove=…}` (SC-145, SC-146, CM-26).

use organization::Written;
use organization::schema::{Row, Shape};
use shell::{Failure, Value};
use topology::AddressSpace;

use crate::show::text;

/// A new value for a property.
///
/// # Errors
/// An edit that cannot be made. The second is what to warn of.
pub(crate) fn written(row: &Row, value: &Value, current: Option<&Written>) -> Result<(Written, Vec<String>), Failure> {
    let is_list = matches!(row.shape, Shape::List(_));
    match value {
        Value::Table(table) if is_list => {
            let Some(current) = current else {
                let message = "An edit with Add or Remove needs an object that is there; a new one takes a plain list.";
                return Err(Failure::new("InvalidArgument", "EditOfNewObject", message).by("SC-146"));
            };
            edited(row, table, current)
        }
        Value::Null if is_list => Ok((Written::List(Vec::new()), Vec::new())),
        _ if is_list => Ok((Written::List(items(row, value)), Vec::new())),
        // Free text is empty rather than absent.
        Value::Null if row.name == "comment" => Ok((Written::Text(String::new()), Vec::new())),
        Value::Null => Ok((Written::Nothing, Vec::new())),
        other => Ok((scalar(row, &row.shape, other), Vec::new())),
    }
}

fn scalar(row: &Row, shape: &Shape, value: &Value) -> Written {
    match (value, shape) {
        (Value::Bool(truth), _) => Written::Truth(*truth),
        (Value::Whole(whole), Shape::Whole) => {
            u64::try_from(*whole).map_or_else(|_| Written::Text(whole.to_string()), Written::Whole)
        }
        (Value::Limit(None), _) => Written::Text("unlimited".to_owned()),
        (Value::Limit(Some(inner)), Shape::Limit(shape)) => scalar(row, shape, inner),
        (Value::Size(octets), _) => Written::Text(format!("{octets}B")),
        (other, _) => Written::Text(normal(row, &other.text())),
    }
}

/// Endpoints may be written without a port (CM-50a).
fn normal(row: &Row, text: &str) -> String {
    if row.name != "bindings" {
        return text.to_owned();
    }
    match text.strip_suffix(':') {
        Some(address) => format!("{address}:25"),
        None if text.parse::<std::net::Ipv4Addr>().is_ok() => format!("{text}:25"),
        None => text.to_owned(),
    }
}

fn items(row: &Row, value: &Value) -> Vec<Written> {
    let texts: Vec<String> = match value {
        // Flags, and several in one text (CM-25).
        Value::Word(_, words) => words.split(',').map(|word| word.trim().to_owned()).collect(),
        other => other.each().iter().map(Value::text).collect(),
    };
    texts.iter().map(|text| Written::Text(normal(row, text))).collect()
}

fn edited(row: &Row, table: &shell::Table, current: &Written) -> Result<(Written, Vec<String>), Failure> {
    let mut list = match current {
        Written::List(items) => items.clone(),
        _ => Vec::new(),
    };
    let mut warnings = Vec::new();
    for (key, value) in table.entries.borrow().iter() {
        let key = key.text();
        match key.to_ascii_lowercase().as_str() {
            "remove" => {
                for item in items(row, value) {
                    let before = list.len();
                    list.retain(|known| !same(row, known, &item));
                    if list.len() == before {
                        warnings.push(format!("{} has no {}; nothing was removed.", row.name, text(&item)));
                    }
                }
            }
            "add" => {
                for item in items(row, value) {
                    if list.iter().any(|known| same(row, known, &item)) {
                        let message = format!("{} has {} already.", row.name, text(&item));
                        return Err(Failure::new("InvalidArgument", "AlreadyPresent", message).by("SC-146"));
                    }
                    list.push(item);
                }
            }
            _ => {
                let message = format!("'{key}' is neither Add nor Remove.");
                return Err(Failure::new("InvalidArgument", "UnknownEdit", message).by("SC-146"));
            }
        }
    }
    Ok((Written::List(list), warnings))
}

/// Whether two items mean the same: address spaces by type and space, whatever they cost.
fn same(row: &Row, one: &Written, other: &Written) -> bool {
    let (one, other) = (text(one), text(other));
    if row.name == "addressSpaces" {
        let without_cost = |text: &str| {
            text.parse::<AddressSpace>().ok().map(|space| {
                let text = space.to_string();
                text.rsplit_once(';').map_or(text.clone(), |(space, _)| space.to_owned()).to_ascii_lowercase()
            })
        };
        return match (without_cost(&one), without_cost(&other)) {
            (Some(one), Some(other)) => one == other,
            _ => one.eq_ignore_ascii_case(&other),
        };
    }
    let bare = |text: &str| text.trim_matches(['[', ']']).to_lowercase();
    bare(&one) == bare(&other)
}
