//! `[type]value` (SH-32), and whether a value is of a type.

use std::rc::Rc;

use crate::cursor::number;
use crate::failure::Failure;
use crate::literal;
use crate::operator::{numeric, of_number};
use crate::tree::{Extent, Number};
use crate::value::{Object, Secret, Table, Value, real_text};

/// The last part of a type's name, in lower case, without what stands in `[[…]]`.
#[must_use]
pub(crate) fn short(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let (name, list) = name.strip_suffix("[]").map_or((name.as_str(), ""), |name| (name, "[]"));
    let last = name.rsplit('.').next().unwrap_or(name);
    format!("{}{list}", last.split('`').next().unwrap_or(last))
}

/// Makes a value of the type called `name`.
///
/// # Errors
/// What cannot be made of it, and types that are not here.
pub(crate) fn cast(name: &str, value: &Value, place: Extent) -> Result<Value, Failure> {
    let short = short(name);
    if let Some(item) = short.strip_suffix("[]") {
        let items = match value {
            Value::Text(text) if item == "char" => text.chars().map(|one| Value::of(one.to_string())).collect(),
            other => other.each(),
        };
        if item == "byte" {
            return octets(&items, value).map_or_else(|| Err(wrong(value, "System.Byte[]", place)), Ok);
        }
        let items: Result<Vec<Value>, Failure> = items.iter().map(|one| cast(item, one, place)).collect();
        return items.map(Value::list);
    }
    let made = match short.as_str() {
        "object" | "psobject" => Some(value.clone()),
        "string" => Some(Value::of(value.text())),
        "char" => Some(Value::of(value.text().chars().take(1).collect::<String>())),
        "int" | "int32" | "uint32" => whole(value).filter(|whole| i32::try_from(*whole).is_ok()).map(Value::Whole),
        "long" | "int64" | "int16" | "uint64" | "byte" => whole(value).map(Value::Whole),
        "double" | "decimal" | "single" | "float" => numeric(value).and_then(|value| value.number()).map(Value::Real),
        "bool" | "boolean" | "switch" | "switchparameter" => Some(Value::Bool(value.truth())),
        "datetime" => match value {
            Value::Date(_) => Some(value.clone()),
            other => literal::date(&other.text()).map(Value::Date),
        },
        "timespan" | "enhancedtimespan" => match value {
            Value::Span(_) => Some(value.clone()),
            // A bare number counts ticks here, and days where a parameter takes a span.
            Value::Whole(ticks) => Some(Value::Span(*ticks)),
            other => literal::span(&other.text()).map(Value::Span),
        },
        "bytequantifiedsize" => literal::size(&value.text()).map(Value::Size),
        "guid" => guid(&value.text()).map(Value::of),
        "ipaddress" => value.text().parse::<std::net::IpAddr>().ok().map(|address| Value::of(address.to_string())),
        "mailaddress" => Some(value.text()).filter(|text| text.split('@').count() == 2).map(Value::of),
        "version" => Some(Value::of(value.text())),
        "regex" => Some(Value::of(value.text())),
        "array" | "arraylist" | "list" => Some(Value::list(value.each())),
        "void" => Some(Value::Null),
        "scriptblock" => matches!(value, Value::Block(_)).then(|| value.clone()),
        "securestring" => matches!(value, Value::Secret(_)).then(|| value.clone()),
        "pscredential" => matches!(value, Value::Object(object) if &*object.of == CREDENTIAL).then(|| value.clone()),
        "hashtable" => matches!(value, Value::Table(_)).then(|| value.clone()),
        "ordered" => match value {
            Value::Table(table) => {
                let entries = table.entries.borrow().clone();
                Some(Value::Table(Rc::new(Table { entries: entries.into(), ordered: true })))
            }
            _ => None,
        },
        "pscustomobject" => match value {
            Value::Table(table) => {
                let entries = table.entries.borrow();
                let properties = entries.iter().map(|(key, value)| (key.text().into(), value.clone())).collect();
                Some(Value::Object(Object::new("", None, properties)))
            }
            other => Some(other.clone()),
        },
        _ => {
            return Err(Failure::of_language("TypeNotFound", format!("Unable to find type [{name}]."), place)
                .advise("this shell has its own closed list of types; .NET is not behind it"));
        }
    };
    made.ok_or_else(|| wrong(value, &long(&short), place))
}

/// The type of credentials.
pub const CREDENTIAL: &str = "System.Management.Automation.PSCredential";

/// A credential.
#[must_use]
pub fn credential(user: &str, password: Rc<str>) -> Value {
    let properties = vec![("UserName".into(), Value::of(user)), ("Password".into(), Value::Secret(Secret(password)))];
    Value::Object(Object::new(CREDENTIAL, Some(CREDENTIAL), properties))
}

fn wrong(value: &Value, of: &str, place: Extent) -> Failure {
    let shown = value.text();
    let message = format!("Cannot convert value \"{shown}\" to type \"{of}\".");
    Failure::of_language("InvalidCast", message, place)
}

/// The name of a type as messages tell it.
#[must_use]
pub(crate) fn long(short: &str) -> String {
    match short {
        "int" | "int32" => "System.Int32".into(),
        "long" | "int64" => "System.Int64".into(),
        "double" => "System.Double".into(),
        "string" => "System.String".into(),
        "bool" | "boolean" => "System.Boolean".into(),
        "datetime" => "System.DateTime".into(),
        "timespan" => "System.TimeSpan".into(),
        "guid" => "System.Guid".into(),
        "ipaddress" => "System.Net.IPAddress".into(),
        other => other.to_owned(),
    }
}

/// A whole number, halves to the even one (SH-26).
fn whole(value: &Value) -> Option<i64> {
    match numeric(value)? {
        Value::Whole(whole) => Some(whole),
        Value::Real(real) if real.abs() < 9e15 => real_text(real.round_ties_even()).parse().ok(),
        _ => None,
    }
}

fn octets(items: &[Value], value: &Value) -> Option<Value> {
    if let Value::Octets(_) = value {
        return Some(value.clone());
    }
    let octets: Option<Vec<u8>> =
        items.iter().map(|item| whole(item).and_then(|whole| u8::try_from(whole).ok())).collect();
    octets.map(|octets| Value::Octets(octets.into()))
}

fn guid(text: &str) -> Option<String> {
    let bare: String = text.trim_matches(['{', '}']).to_ascii_lowercase();
    let groups: Vec<&str> = bare.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hex = groups.iter().all(|group| group.bytes().all(|one| one.is_ascii_hexdigit()));
    (lengths == [8, 4, 4, 4, 12] && hex).then_some(bare)
}

/// `-is`
#[must_use]
pub(crate) fn is_of(value: &Value, name: &str) -> bool {
    let wanted = short(name);
    let own = short(&value.type_name());
    let same = match wanted.as_str() {
        "int" => "int32",
        "long" => "int64",
        "bool" => "boolean",
        "psobject" | "object" => return !value.is_null(),
        "array" => "object[]",
        "timespan" => "enhancedtimespan",
        other => other,
    };
    own == same
}

/// A literal number of the script.
#[must_use]
pub(crate) fn literal_number(number: Number) -> Value {
    of_number(number)
}

/// A text that looks like a number, as one.
#[must_use]
pub(crate) fn guessed(text: &str) -> Value {
    number(text).map_or_else(|| Value::of(text), of_number)
}
