//! `ConvertTo-Json` of local and remote sessions (IM-07).

use serde_json::Value;

use crate::raw::{Fields, Raw, RawObject};

pub(super) fn read(text: &str) -> Result<Vec<RawObject>, String> {
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| error.to_string())?;
    let items = match value {
        Value::Array(items) => items,
        // One object has no list around it.
        one => vec![one],
    };
    let mut objects = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let Value::Object(fields) = item else { return Err(format!("item {} is no object", at + 1)) };
        let fields = fields.into_iter().map(|(name, value)| {
            let line = line_of(text, &name, at);
            (name, raw(value), line)
        });
        objects.push(RawObject { of: String::new(), fields: fields.collect() });
    }
    Ok(objects)
}

fn raw(value: Value) -> Raw {
    match value {
        Value::Null => Raw::Nothing,
        Value::Bool(truth) => Raw::Truth(truth),
        Value::Number(number) => number.as_i64().map_or_else(|| Raw::Text(number.to_string()), Raw::Whole),
        Value::String(text) => Raw::Text(text),
        Value::Array(items) => Raw::List(items.into_iter().map(raw).collect()),
        Value::Object(fields) => {
            // A list that went through a session: {"value": […], "Count": 2}.
            if let (Some(Value::Array(items)), Some(Value::Number(_))) = (fields.get("value"), fields.get("Count")) {
                return Raw::List(items.iter().cloned().map(raw).collect());
            }
            // An enumeration of a session: {"value": 0, "Value": "Default"}.
            if let (Some(Value::Number(number)), Some(Value::String(text))) = (fields.get("value"), fields.get("Value"))
            {
                return Raw::Fields(Fields { text: Some(text.clone()), number: number.as_i64(), fields: Vec::new() });
            }
            let fields = fields.into_iter().map(|(name, value)| (name, raw(value))).collect();
            Raw::Fields(Fields { text: None, number: None, fields })
        }
    }
}

/// The line of a property of the object of that place: of its occurrence of that number at the beginning of a line.
fn line_of(text: &str, name: &str, object: usize) -> usize {
    let key = format!("\"{name}\"");
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with(&key));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let all: Vec<(usize, usize)> = lines.map(|(at, line)| (at + 1, indent(line))).collect();
    let least = all.iter().map(|(_, indent)| *indent).min().unwrap_or_default();
    let own: Vec<usize> = all.into_iter().filter(|(_, indent)| *indent == least).map(|(line, _)| line).collect();
    own.get(object).or(own.last()).copied().unwrap_or(1)
}
