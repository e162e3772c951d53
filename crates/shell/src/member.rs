//! Properties and methods of values: a closed list (SH-27, SH-28, SH-33, SH-34).

use std::cell::RefCell;
use std::rc::Rc;

use time::OffsetDateTime;

use crate::cast::{CREDENTIAL, cast, short};
use crate::cursor::real;
use crate::failure::Failure;
use crate::layout::formed;
use crate::operator::{equal, numeric};
use crate::tree::Extent;
use crate::value::{Object, TICKS, Value};

/// The value of a property; `$null` for one that is not there.
#[must_use]
pub(crate) fn property(value: &Value, name: &str) -> Value {
    if let Some(own) = own_property(value, name) {
        return own;
    }
    match value {
        // SH-27: what a list does not have itself, its elements are asked for.
        Value::List(items) => {
            let found: Vec<Value> = items.borrow().iter().flat_map(|item| property(item, name).each()).collect();
            if found.is_empty() { Value::Null } else { Value::unrolled(found) }
        }
        Value::Null if is_count(name) => Value::Whole(0),
        Value::Null => Value::Null,
        _ if is_count(name) => Value::Whole(1),
        _ => Value::Null,
    }
}

fn is_count(name: &str) -> bool {
    name.eq_ignore_ascii_case("count") || name.eq_ignore_ascii_case("length")
}

/// A property that the value itself has.
#[must_use]
pub(crate) fn own_property(value: &Value, name: &str) -> Option<Value> {
    let lower = name.to_ascii_lowercase();
    match (value, lower.as_str()) {
        (Value::Text(text), "length") => Some(Value::count(text.chars().count())),
        (Value::List(items), "count" | "length") => Some(Value::count(items.borrow().len())),
        (Value::Octets(octets), "count" | "length") => Some(Value::count(octets.len())),
        (Value::Table(table), key) => table.get(key).or_else(|| {
            let entries = table.entries.borrow();
            match key {
                "count" => Some(Value::count(entries.len())),
                "keys" => Some(Value::list(entries.iter().map(|(key, _)| key.clone()).collect())),
                "values" => Some(Value::list(entries.iter().map(|(_, value)| value.clone()).collect())),
                _ => None,
            }
        }),
        (Value::Object(object), key) => object.get(key),
        (Value::Limit(limit), "isunlimited") => Some(Value::Bool(limit.is_none())),
        (Value::Limit(limit), "value") => Some(limit.as_deref().cloned().unwrap_or_default()),
        (Value::Span(ticks), key) => of_span(*ticks, key),
        (Value::Date(date), key) => of_date(*date, key),
        (Value::Type(of), "name") => Some(Value::of(of.rsplit('.').next().unwrap_or(of))),
        (Value::Type(of), "fullname") => Some(Value::Text(of.clone())),
        _ => None,
    }
}

fn of_span(ticks: i64, name: &str) -> Option<Value> {
    let seconds = ticks / TICKS;
    Some(match name {
        "days" => Value::Whole(seconds / 86_400),
        "hours" => Value::Whole(seconds / 3600 % 24),
        "minutes" => Value::Whole(seconds / 60 % 60),
        "seconds" => Value::Whole(seconds % 60),
        "ticks" => Value::Whole(ticks),
        "totaldays" => Value::Real(real(ticks) / real(TICKS) / 86_400.0),
        "totalhours" => Value::Real(real(ticks) / real(TICKS) / 3600.0),
        "totalminutes" => Value::Real(real(ticks) / real(TICKS) / 60.0),
        "totalseconds" => Value::Real(real(ticks) / real(TICKS)),
        "totalmilliseconds" => Value::Real(real(ticks) / real(TICKS) * 1000.0),
        _ => return None,
    })
}

fn of_date(date: OffsetDateTime, name: &str) -> Option<Value> {
    Some(match name {
        "year" => Value::Whole(date.year().into()),
        "month" => Value::Whole(u8::from(date.month()).into()),
        "day" => Value::Whole(date.day().into()),
        "hour" => Value::Whole(date.hour().into()),
        "minute" => Value::Whole(date.minute().into()),
        "second" => Value::Whole(date.second().into()),
        "dayofweek" => Value::Word("DayOfWeek".into(), date.weekday().to_string().into()),
        "dayofyear" => Value::Whole(date.ordinal().into()),
        "date" => Value::Date(date.replace_time(time::Time::MIDNIGHT)),
        _ => return None,
    })
}

/// Calls a method.
///
/// # Errors
/// A method that is not there, or arguments that it does not take.
pub(crate) fn call(value: &Value, name: &str, arguments: &[Value], place: Extent) -> Result<Value, Failure> {
    if value.is_null() {
        let message = "You cannot call a method on a null-valued expression.";
        return Err(Failure::of_language("InvokeMethodOnNull", message, place));
    }
    let lower = name.to_ascii_lowercase();
    let first = arguments.first();
    let common = match (lower.as_str(), first) {
        ("tostring", None) => Some(Value::of(value.text())),
        ("equals", Some(other)) => Some(Value::Bool(equal(value, other, true))),
        ("gettype", None) => Some(Value::Type(value.type_name().into())),
        _ => None,
    };
    let found = common.or_else(|| match value {
        Value::Word(of, encoding) if &**of == "Encoding" => octets_of(encoding, &lower, first),
        Value::Text(text) | Value::Word(_, text) => of_text(text, &lower, arguments),
        Value::Date(date) => on_date(*date, &lower, first),
        Value::Span(ticks) => on_span(*ticks, &lower, first),
        Value::Size(octets) => on_size(*octets, &lower),
        Value::Limit(Some(inner)) => call(inner, name, arguments, place).ok(),
        Value::List(items) => on_list(items, &lower, arguments),
        Value::Table(table) => on_table(table, &lower, arguments),
        Value::Object(object) => on_object(object, &lower),
        Value::Whole(_) | Value::Real(_) => match (lower.as_str(), first) {
            ("tostring", Some(form)) => formed(value, &form.text()).map(Value::of),
            _ => None,
        },
        _ => None,
    });
    match (found, value) {
        (Some(found), _) => Ok(found),
        // SH-27: what a list cannot do, its elements are asked to do.
        (None, Value::List(items)) if !items.borrow().is_empty() => {
            let each: Result<Vec<Value>, Failure> =
                items.borrow().iter().map(|item| call(item, name, arguments, place)).collect();
            each.map(Value::list)
        }
        (None, _) => {
            let of = value.type_name();
            let message = format!("Method invocation failed because [{of}] does not contain a method named '{name}'.");
            Err(Failure::of_language("MethodNotFound", message, place))
        }
    }
}

fn at(value: Option<&Value>) -> Option<usize> {
    match numeric(value?)? {
        Value::Whole(whole) => usize::try_from(whole).ok(),
        _ => None,
    }
}

/// Methods of texts; case counts in them.
/// `[System.Text.Encoding]::Unicode.GetBytes(text)`: two octets for each unit, the lower one first; the others are UTF-8.
fn octets_of(encoding: &str, name: &str, text: Option<&Value>) -> Option<Value> {
    let text = text.filter(|_| name == "getbytes")?.text();
    let octets: Vec<u8> = match encoding {
        "unicode" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => text.into_bytes(),
    };
    Some(Value::Octets(octets.into()))
}

fn of_text(text: &str, name: &str, arguments: &[Value]) -> Option<Value> {
    let one = arguments.first().map(Value::text);
    let characters = || one.as_deref().unwrap_or_default().chars().collect::<Vec<_>>();
    let trims = |one: char| if arguments.is_empty() { one.is_whitespace() } else { characters().contains(&one) };
    let octet_of = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let index_of = |found: Option<usize>| {
        Value::Whole(found.map_or(-1, |at| i64::try_from(text[..at].chars().count()).unwrap_or(i64::MAX)))
    };
    Some(match (name, one.as_deref()) {
        ("toupper" | "toupperinvariant", None) => Value::of(text.to_uppercase()),
        ("tolower" | "tolowerinvariant", None) => Value::of(text.to_lowercase()),
        ("trim", _) => Value::of(text.trim_matches(trims)),
        ("trimstart", _) => Value::of(text.trim_start_matches(trims)),
        ("trimend", _) => Value::of(text.trim_end_matches(trims)),
        ("split", None) => Value::list(text.split_whitespace().map(Value::of).collect()),
        ("split", Some(_)) => Value::list(text.split(&characters()[..]).map(Value::of).collect()),
        ("replace", Some(from)) => {
            Value::of(if from.is_empty() { text.to_owned() } else { text.replace(from, &arguments.get(1)?.text()) })
        }
        ("contains", Some(part)) => Value::Bool(text.contains(part)),
        ("startswith", Some(part)) => Value::Bool(text.starts_with(part)),
        ("endswith", Some(part)) => Value::Bool(text.ends_with(part)),
        ("indexof", Some(part)) => index_of(text.find(part)),
        ("lastindexof", Some(part)) => index_of(text.rfind(part)),
        ("substring", Some(_)) => {
            let start = octet_of(at(arguments.first())?);
            let end = match arguments.get(1) {
                Some(length) => octet_of(at(arguments.first())?.checked_add(at(Some(length))?)?),
                None => text.len(),
            };
            Value::of(&text[start..end])
        }
        ("remove", Some(_)) => {
            let start = octet_of(at(arguments.first())?);
            let end = match arguments.get(1) {
                Some(length) => octet_of(at(arguments.first())?.checked_add(at(Some(length))?)?),
                None => text.len(),
            };
            Value::of(format!("{}{}", &text[..start], &text[end..]))
        }
        ("insert", Some(_)) => {
            let start = octet_of(at(arguments.first())?);
            Value::of(format!("{}{}{}", &text[..start], arguments.get(1)?.text(), &text[start..]))
        }
        ("padleft" | "padright", Some(_)) => {
            let width = at(arguments.first())?.min(10_000);
            let with = arguments.get(1).and_then(|with| with.text().chars().next()).unwrap_or(' ');
            let missing: String = std::iter::repeat_n(with, width.saturating_sub(text.chars().count())).collect();
            Value::of(if name == "padleft" { format!("{missing}{text}") } else { format!("{text}{missing}") })
        }
        ("tochararray", None) => Value::list(text.chars().map(|one| Value::of(one.to_string())).collect()),
        _ => return None,
    })
}

fn on_date(date: OffsetDateTime, name: &str, argument: Option<&Value>) -> Option<Value> {
    let moved = |seconds: f64| {
        let amount = argument.and_then(numeric)?.number()?;
        date.checked_add(time::Duration::checked_seconds_f64(amount * seconds)?).map(Value::Date)
    };
    match name {
        "adddays" => moved(86_400.0),
        "addhours" => moved(3600.0),
        "addminutes" => moved(60.0),
        "addseconds" => moved(1.0),
        "tostring" => Some(Value::of(crate::layout::dated(date, &argument?.text()))),
        "touniversaltime" | "tolocaltime" => Some(Value::Date(date)),
        "toshortdatestring" => Some(Value::of(crate::layout::dated(date, "d"))),
        _ => None,
    }
}

fn on_span(ticks: i64, name: &str, argument: Option<&Value>) -> Option<Value> {
    match (name, argument) {
        ("tostring", Some(form)) => formed(&Value::Span(ticks), &form.text()).map(Value::of),
        ("add", Some(Value::Span(other))) => ticks.checked_add(*other).map(Value::Span),
        _ => None,
    }
}

fn on_size(octets: u64, name: &str) -> Option<Value> {
    let octets = i64::try_from(octets).ok()?;
    Some(Value::Whole(match name {
        "tobytes" => octets,
        "tokb" => octets >> 10,
        "tomb" => octets >> 20,
        "togb" => octets >> 30,
        "totb" => octets >> 40,
        _ => return None,
    }))
}

fn on_list(items: &RefCell<Vec<Value>>, name: &str, arguments: &[Value]) -> Option<Value> {
    let one = arguments.first();
    match (name, one) {
        ("add", Some(one)) => items.borrow_mut().push(one.clone()),
        ("addrange", Some(more)) => items.borrow_mut().extend(more.each()),
        ("clear", None) => items.borrow_mut().clear(),
        ("remove", Some(one)) => {
            let at = items.borrow().iter().position(|item| equal(item, one, false));
            if let Some(at) = at {
                items.borrow_mut().remove(at);
            }
            return Some(Value::Bool(at.is_some()));
        }
        ("contains", Some(one)) => return Some(Value::Bool(items.borrow().iter().any(|item| equal(item, one, false)))),
        ("indexof", Some(one)) => {
            let at = items.borrow().iter().position(|item| equal(item, one, false));
            return Some(Value::Whole(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)));
        }
        _ => return None,
    }
    Some(Value::Null)
}

fn on_table(table: &crate::value::Table, name: &str, arguments: &[Value]) -> Option<Value> {
    let key = arguments.first();
    match (name, key) {
        ("containskey" | "contains", Some(key)) => Some(Value::Bool(table.get(&key.text()).is_some())),
        ("add", Some(key)) => {
            table.set(key.clone(), arguments.get(1)?.clone());
            Some(Value::Null)
        }
        ("remove", Some(key)) => {
            let key = key.text();
            table.entries.borrow_mut().retain(|(known, _)| !known.text().eq_ignore_ascii_case(&key));
            Some(Value::Null)
        }
        ("clear", None) => {
            table.entries.borrow_mut().clear();
            Some(Value::Null)
        }
        ("getenumerator", None) => {
            let entries = table.entries.borrow();
            let entry = |(key, value): &(Value, Value)| {
                let properties =
                    vec![("Name".into(), key.clone()), ("Key".into(), key.clone()), ("Value".into(), value.clone())];
                Value::Object(Object::new("System.Collections.DictionaryEntry", None, properties))
            };
            Some(Value::list(entries.iter().map(entry).collect()))
        }
        _ => None,
    }
}

/// The only object with a method: a credential, whose password somebody asks for by name.
fn on_object(object: &Rc<Object>, name: &str) -> Option<Value> {
    if &*object.of != CREDENTIAL || name != "getnetworkcredential" {
        return None;
    }
    let password = match object.get("Password") {
        Some(Value::Secret(secret)) => Value::Text(secret.0),
        _ => Value::Null,
    };
    let properties =
        vec![("UserName".into(), object.get("UserName").unwrap_or_default()), ("Password".into(), password)];
    Some(Value::Object(Object::new("System.Net.NetworkCredential", None, properties)))
}

/// What is behind an index (SH-28); beyond the end nothing.
///
/// # Errors
/// What has no elements.
pub(crate) fn index(value: &Value, index: &Value, place: Extent) -> Result<Value, Failure> {
    match (value, index) {
        (Value::Null, _) => Err(Failure::of_language("NullArray", "Cannot index into a null array.", place)),
        (Value::Table(table), key) => Ok(table.get(&key.text()).unwrap_or_default()),
        (_, Value::List(many)) => {
            let many = many.borrow();
            let found: Result<Vec<Value>, Failure> = many.iter().map(|one| self::index(value, one, place)).collect();
            Ok(Value::list(found?.into_iter().filter(|found| !found.is_null()).collect()))
        }
        (Value::Object(object), Value::Text(name)) => Ok(object.get(name).unwrap_or_default()),
        _ => {
            let Some(Value::Whole(at)) = numeric(index) else {
                return Err(Failure::of_language(
                    "InvalidIndex",
                    format!("Cannot index by \"{}\".", index.text()),
                    place,
                ));
            };
            let one = |count: usize| {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                usize::try_from(if at < 0 { at + count } else { at }).ok()
            };
            Ok(match value {
                Value::List(items) => {
                    let items = items.borrow();
                    one(items.len()).and_then(|at| items.get(at).cloned()).unwrap_or_default()
                }
                Value::Text(text) => one(text.chars().count())
                    .and_then(|at| text.chars().nth(at))
                    .map_or(Value::Null, |one| Value::of(one.to_string())),
                Value::Octets(octets) => one(octets.len())
                    .and_then(|at| octets.get(at))
                    .map_or(Value::Null, |octet| Value::Whole((*octet).into())),
                single if at == 0 || at == -1 => single.clone(),
                _ => Value::Null,
            })
        }
    }
}

/// `[type]::name`, and `[type]::name(…)` where nothing of the world is asked (SH-33).
#[must_use]
pub(crate) fn of_type(
    of: &str,
    name: &str,
    arguments: Option<&[Value]>,
    place: Extent,
) -> Option<Result<Value, Failure>> {
    let (of, name) = (short(of), name.to_ascii_lowercase());
    let Some(arguments) = arguments else {
        return Some(Ok(match (of.as_str(), name.as_str()) {
            ("int" | "int32", "maxvalue") => Value::Whole(i32::MAX.into()),
            ("int" | "int32", "minvalue") => Value::Whole(i32::MIN.into()),
            ("long" | "int64", "maxvalue") => Value::Whole(i64::MAX),
            ("math", "pi") => Value::Real(std::f64::consts::PI),
            ("string", "empty") => Value::of(""),
            ("environment", "newline") => Value::of("\n"),
            ("encoding", "unicode" | "utf8" | "ascii" | "default") => {
                Value::Word("Encoding".into(), name.as_str().into())
            }
            _ => return None,
        }));
    };
    let first = arguments.first();
    let text = |at: usize| arguments.get(at).map(Value::text).unwrap_or_default();
    let number = |at: usize| arguments.get(at).and_then(numeric).and_then(|value| value.number());
    Some(Ok(match (of.as_str(), name.as_str()) {
        ("string", "isnullorempty") => Value::Bool(text(0).is_empty()),
        ("string", "isnullorwhitespace") => Value::Bool(text(0).trim().is_empty()),
        ("string", "join") => {
            let rest: Vec<Value> = arguments.iter().skip(1).flat_map(Value::each).collect();
            crate::operator::join(&Value::list(rest), &text(0))
        }
        ("string", "format") => {
            let rest: Vec<Value> = arguments.iter().skip(1).flat_map(Value::each).collect();
            Value::of(crate::layout::laid_out(&text(0), &rest)?)
        }
        ("datetime" | "timespan" | "guid" | "ipaddress" | "version", "parse") => return Some(cast(&of, first?, place)),
        ("datetime", "parseexact") => return Some(cast(&of, first?, place)),
        ("timespan", unit) if unit.starts_with("from") => {
            let seconds = match unit {
                "fromdays" => 86_400.0,
                "fromhours" => 3600.0,
                "fromminutes" => 60.0,
                "fromseconds" => 1.0,
                _ => return None,
            };
            return Some(cast("timespan", &whole(number(0)? * seconds * real(TICKS))?, place));
        }
        ("math", "round") => {
            let scale = 10_f64.powf(number(1).unwrap_or(0.0));
            tidy((number(0)? * scale).round_ties_even() / scale)
        }
        ("math", "floor") => tidy(number(0)?.floor()),
        ("math", "ceiling") => tidy(number(0)?.ceil()),
        ("math", "truncate") => tidy(number(0)?.trunc()),
        ("math", "abs") => tidy(number(0)?.abs()),
        ("math", "sqrt") => tidy(number(0)?.sqrt()),
        ("math", "pow") => tidy(number(0)?.powf(number(1)?)),
        ("math", "max") => tidy(number(0)?.max(number(1)?)),
        ("math", "min") => tidy(number(0)?.min(number(1)?)),
        ("path", "combine") => Value::of(arguments.iter().map(Value::text).collect::<Vec<_>>().join("/")),
        ("path", "getfilename") => Value::of(text(0).rsplit(['/', '\\']).next().unwrap_or_default()),
        ("pscredential", "new") => match arguments.get(1)? {
            Value::Secret(secret) => crate::cast::credential(&text(0), secret.0.clone()),
            _ => return None,
        },
        ("arraylist" | "list", "new") => Value::list(Vec::new()),
        _ => return None,
    }))
}

fn tidy(value: f64) -> Value {
    whole(value).unwrap_or(Value::Real(value))
}

fn whole(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 9e15 { format!("{value:.0}").parse().ok().map(Value::Whole) } else { None }
}
