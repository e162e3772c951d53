//! Operators on values: arithmetic, comparison, texts (SH-21…SH-26).

use std::cmp::Ordering;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use crate::cursor::number;
use crate::failure::Failure;
use crate::literal;
use crate::tree::{Compare, Extent, Number};
use crate::value::{Value, real_text};
use crate::wildcard::like;

/// Octets of a text that an operator makes, and items of a list.
const RESULT_MAX: usize = 16 * 1024 * 1024;
/// Octets of a compiled regular expression.
const REGEX_OCTETS_MAX: usize = 1024 * 1024;

/// A failure of the language.
fn fail<T>(id: &str, message: impl Into<String>, place: Extent) -> Result<T, Failure> {
    Err(Failure::of_language(id, message, place))
}

/// A value as a number, for arithmetic.
#[must_use]
pub(crate) fn numeric(value: &Value) -> Option<Value> {
    match value {
        Value::Null => Some(Value::Whole(0)),
        Value::Bool(truth) => Some(Value::Whole(i64::from(*truth))),
        Value::Whole(_) | Value::Real(_) => Some(value.clone()),
        Value::Size(octets) => i64::try_from(*octets).ok().map(Value::Whole),
        Value::Limit(Some(inner)) => numeric(inner),
        Value::Text(text) => match text.trim() {
            "" => Some(Value::Whole(0)),
            text => number(text).map(of_number),
        },
        Value::List(items) if items.borrow().len() == 1 => numeric(&items.borrow()[0]),
        _ => None,
    }
}

/// A number of the script.
#[must_use]
pub(crate) fn of_number(number: Number) -> Value {
    match number {
        Number::Whole(whole) => Value::Whole(whole),
        Number::Real(real) => Value::Real(real),
    }
}

/// `left operator right` for `+ - * / %` (SH-26).
///
/// # Errors
/// What cannot be counted with, a division by zero, a result that is too large.
pub(crate) fn arithmetic(operator: char, left: &Value, right: &Value, place: Extent) -> Result<Value, Failure> {
    match (operator, left) {
        ('+', Value::Null) => return Ok(right.clone()),
        ('+', Value::Text(text)) => return joined(text, &right.text(), place),
        ('+', Value::Word(_, text)) => return joined(text, &right.text(), place),
        ('+', Value::List(items)) => {
            let mut all = items.borrow().clone();
            all.extend(if right.is_null() { vec![Value::Null] } else { right.each() });
            return Ok(Value::list(all));
        }
        ('+', Value::Table(table)) => {
            if let Value::Table(other) = right {
                let both = crate::value::Table { ordered: table.ordered, ..Default::default() };
                for (key, value) in table.entries.borrow().iter().chain(other.entries.borrow().iter()) {
                    both.set(key.clone(), value.clone());
                }
                return Ok(Value::Table(Rc::new(both)));
            }
        }
        ('+' | '-', Value::Date(date)) => return dated(operator, *date, right, place),
        ('+' | '-', Value::Span(ticks)) => {
            if let Some(Value::Span(other)) = as_span(right) {
                let sum = if operator == '+' { ticks.checked_add(other) } else { ticks.checked_sub(other) };
                return sum.map_or_else(
                    || fail("Overflow", "The time span is too long.", place),
                    |ticks| Ok(Value::Span(ticks)),
                );
            }
        }
        ('*', Value::Text(_) | Value::List(_)) => return repeated(left, right, place),
        _ => {}
    }
    let (Some(one), Some(other)) = (numeric(left), numeric(right)) else {
        let wrong = if numeric(left).is_none() { left } else { right };
        return match wrong {
            Value::Text(text) => fail(
                "InvalidCastFromStringToInteger",
                format!(
                    "Cannot convert value \"{text}\" to type \"System.Int32\". Error: \"Input string was not in a correct format.\""
                ),
                place,
            ),
            other => fail(
                "MethodNotFound",
                format!(
                    "Method invocation failed because [{}] does not contain a method named 'op_{}'.",
                    other.type_name(),
                    method(operator)
                ),
                place,
            ),
        };
    };
    of_numbers(operator, &one, &other, place)
}

/// A text or a list, several times.
fn repeated(left: &Value, right: &Value, place: Extent) -> Result<Value, Failure> {
    let times = match numeric(right) {
        Some(Value::Whole(times)) => usize::try_from(times).ok(),
        _ => None,
    };
    let Some(times) = times else {
        return fail("InvalidCast", "A text or a list is repeated a whole number of times.", place);
    };
    match left {
        Value::List(items) => {
            let items = items.borrow();
            if items.len().saturating_mul(times) > RESULT_MAX / 16 {
                return fail("Overflow", "The array would be too long.", place);
            }
            Ok(Value::list((0..times).flat_map(|_| items.iter().cloned()).collect()))
        }
        other => {
            let text = other.text();
            if text.len().saturating_mul(times) > RESULT_MAX {
                return fail("Overflow", "The text would be too long.", place);
            }
            Ok(Value::of(text.repeat(times)))
        }
    }
}

fn method(operator: char) -> &'static str {
    match operator {
        '+' => "Addition",
        '-' => "Subtraction",
        '*' => "Multiply",
        '/' => "Division",
        _ => "Modulus",
    }
}

fn joined(left: &str, right: &str, place: Extent) -> Result<Value, Failure> {
    if left.len() + right.len() > RESULT_MAX {
        return fail("Overflow", "The text would be too long.", place);
    }
    Ok(Value::of(format!("{left}{right}")))
}

fn dated(operator: char, date: time::OffsetDateTime, right: &Value, place: Extent) -> Result<Value, Failure> {
    if let (Value::Date(other), '-') = (right, operator) {
        let ticks = (date - *other).whole_nanoseconds() / 100;
        return Ok(Value::Span(i64::try_from(ticks).unwrap_or(i64::MAX)));
    }
    let moved = as_span(right).and_then(|span| match span {
        Value::Span(ticks) => {
            let ticks = if operator == '-' { -ticks } else { ticks };
            date.checked_add(time::Duration::seconds(ticks / 10_000_000))
        }
        _ => None,
    });
    moved.map_or_else(|| fail("MethodNotFound", "A date takes a time span.", place), |date| Ok(Value::Date(date)))
}

fn of_numbers(operator: char, left: &Value, right: &Value, place: Extent) -> Result<Value, Failure> {
    let (one, other) = (left.number().unwrap_or_default(), right.number().unwrap_or_default());
    if matches!(operator, '/' | '%') && other == 0.0 {
        return fail("RuntimeException", "Attempted to divide by zero.", place);
    }
    if let (Value::Whole(left), Value::Whole(right)) = (left, right) {
        let exact = match operator {
            '+' => left.checked_add(*right),
            '-' => left.checked_sub(*right),
            '*' => left.checked_mul(*right),
            '/' if left.checked_rem(*right) == Some(0) => left.checked_div(*right),
            '%' => left.checked_rem(*right),
            _ => None,
        };
        if let Some(exact) = exact {
            return Ok(Value::Whole(exact));
        }
    }
    Ok(Value::Real(match operator {
        '+' => one + other,
        '-' => one - other,
        '*' => one * other,
        '/' => one / other,
        _ => one % other,
    }))
}

/// `first..last`
///
/// # Errors
/// What is no number, and too many.
pub(crate) fn range(first: &Value, last: &Value, place: Extent) -> Result<Value, Failure> {
    let whole = |value: &Value| match numeric(value) {
        Some(Value::Whole(whole)) => Some(whole),
        Some(Value::Real(real)) => real_text(real.round()).parse().ok(),
        _ => None,
    };
    let (Some(first), Some(last)) = (whole(first), whole(last)) else {
        return fail("InvalidCast", "A range goes from a number to a number.", place);
    };
    if first.abs_diff(last) > 1_000_000 {
        return fail("Overflow", "A range has at most a million numbers.", place);
    }
    let up = (first..=last).map(Value::Whole);
    Ok(Value::list(if first <= last { up.collect() } else { (last..=first).rev().map(Value::Whole).collect() }))
}

fn as_span(value: &Value) -> Option<Value> {
    match value {
        Value::Span(_) => Some(value.clone()),
        Value::Text(text) => literal::span(text).map(Value::Span),
        _ => None,
    }
}

/// Whether two values are equal, the type of the left one deciding (SH-21).
#[must_use]
pub(crate) fn equal(left: &Value, right: &Value, case: bool) -> bool {
    match (left, right) {
        (Value::Null, other) => other.is_null(),
        (_, Value::Null) => false,
        (Value::Bool(one), other) => *one == other.truth(),
        (Value::Whole(one), Value::Whole(other)) => one == other,
        (Value::Limit(None), other) => {
            matches!(other, Value::Limit(None)) || other.text().eq_ignore_ascii_case("unlimited")
        }
        (Value::Limit(Some(inner)), other) => match other {
            Value::Limit(None) => false,
            Value::Limit(Some(other)) => equal(inner, other, case),
            other => equal(inner, other, case),
        },
        (Value::Table(one), Value::Table(other)) => Rc::ptr_eq(one, other),
        (Value::Object(one), Value::Object(other)) if one.text.is_none() => Rc::ptr_eq(one, other),
        (Value::Whole(_) | Value::Real(_) | Value::Size(_) | Value::Span(_) | Value::Date(_), _) => {
            order(left, right, case) == Some(Ordering::Equal)
        }
        _ => fold(&left.text(), case) == fold(&right.text(), case),
    }
}

/// The order of two values; nothing when the right one cannot become what the left one is.
#[must_use]
pub(crate) fn order(left: &Value, right: &Value, case: bool) -> Option<Ordering> {
    let numbers = |one: Option<f64>, other: Option<f64>| one?.partial_cmp(&other?);
    match left {
        Value::Null => Some(if right.is_null() { Ordering::Equal } else { Ordering::Less }),
        Value::Whole(_) | Value::Real(_) | Value::Bool(_) => {
            numbers(left.number(), numeric(right).and_then(|right| right.number()))
        }
        Value::Size(_) => {
            let other = match right {
                Value::Text(text) => literal::size(text).and_then(|size| Value::Size(size).number()),
                other => other.number(),
            };
            numbers(left.number(), other)
        }
        Value::Limit(None) => numbers(Some(f64::INFINITY), of_limit(right)),
        Value::Limit(Some(inner)) => match right {
            Value::Limit(None) => Some(Ordering::Less),
            Value::Limit(Some(other)) => order(inner, other, case),
            Value::Text(text) if text.eq_ignore_ascii_case("unlimited") => Some(Ordering::Less),
            other => order(inner, other, case),
        },
        Value::Span(ticks) => match as_span(right) {
            Some(Value::Span(other)) => Some(ticks.cmp(&other)),
            _ => None,
        },
        Value::Date(date) => match right {
            Value::Date(other) => Some(date.cmp(other)),
            Value::Text(text) => literal::date(text).map(|other| date.cmp(&other)),
            _ => None,
        },
        _ => Some(by_culture(&left.text(), &right.text(), case)),
    }
}

fn of_limit(value: &Value) -> Option<f64> {
    match value {
        Value::Text(text) if text.eq_ignore_ascii_case("unlimited") => Some(f64::INFINITY),
        Value::Text(text) => literal::any_number(text),
        other => other.number(),
    }
}

/// The order of texts as people sort them: letters without regard to case first, then with it.
#[must_use]
pub(crate) fn by_culture(left: &str, right: &str, case: bool) -> Ordering {
    let folded = fold(left, false).cmp(&fold(right, false));
    // Where only case differs, small letters come first.
    if case { folded.then_with(|| right.cmp(left)) } else { folded }
}

fn fold(text: &str, case: bool) -> String {
    if case { text.to_owned() } else { text.to_lowercase() }
}

/// `left operator right`; a list on the left is filtered (SH-22, SH-24). The second is what `-match` found.
///
/// # Errors
/// What cannot be ordered, and regular expressions that cannot be used.
pub(crate) fn compare(
    operator: Compare,
    case: bool,
    left: &Value,
    right: &Value,
    place: Extent,
) -> Result<(Value, Groups), Failure> {
    let truth = |truth: bool| Ok((Value::Bool(truth), None));
    match operator {
        Compare::Contains => return truth(left.each().iter().any(|item| equal(item, right, case))),
        Compare::NotContains => return truth(!left.each().iter().any(|item| equal(item, right, case))),
        Compare::In => return truth(right.each().iter().any(|item| equal(item, left, case))),
        Compare::NotIn => return truth(!right.each().iter().any(|item| equal(item, left, case))),
        _ => {}
    }
    if let Value::List(items) = left {
        let mut kept = Vec::new();
        for item in items.borrow().iter() {
            if one(operator, case, item, right, place)?.0 {
                kept.push(item.clone());
            }
        }
        return Ok((Value::list(kept), None));
    }
    let (is, found) = one(operator, case, left, right, place)?;
    Ok((Value::Bool(is), found))
}

/// Whether something is so, and what a regular expression found.
type Found = (bool, Groups);

/// The groups of a match, by number and by name.
pub(crate) type Groups = Option<Vec<(String, String)>>;

fn one(operator: Compare, case: bool, left: &Value, right: &Value, place: Extent) -> Result<Found, Failure> {
    let ordered = |wanted: fn(Ordering) -> bool| match order(left, right, case) {
        Some(found) => Ok((wanted(found), None)),
        None => {
            fail("ComparisonFailure", format!("Could not compare \"{}\" to \"{}\".", left.text(), right.text()), place)
        }
    };
    match operator {
        Compare::Equal => Ok((equal(left, right, case), None)),
        Compare::NotEqual => Ok((!equal(left, right, case), None)),
        Compare::Greater => ordered(Ordering::is_gt),
        Compare::GreaterOrEqual => ordered(Ordering::is_ge),
        Compare::Less => ordered(Ordering::is_lt),
        Compare::LessOrEqual => ordered(Ordering::is_le),
        Compare::Like => Ok((like(&left.text(), &right.text(), case), None)),
        Compare::NotLike => Ok((!like(&left.text(), &right.text(), case), None)),
        Compare::Match | Compare::NotMatch => {
            let regex = regex_of(&right.text(), case, place)?;
            let text = left.text();
            let found = regex.captures(&text).map(|captures| {
                let numbered = captures
                    .iter()
                    .enumerate()
                    .filter_map(|(at, group)| Some((at.to_string(), group?.as_str().to_owned())));
                let named = regex.capture_names().flatten();
                let named = named.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())));
                numbered.chain(named).collect::<Vec<_>>()
            });
            let is = found.is_some() == (operator == Compare::Match);
            Ok((is, found.filter(|_| operator == Compare::Match)))
        }
        Compare::Contains | Compare::NotContains | Compare::In | Compare::NotIn => {
            unreachable!("decided before single values are compared")
        }
    }
}

/// A regular expression of the script: linear in time, so without look-around and back-references (SH-23).
///
/// # Errors
/// What is no regular expression, or one that would need to look back.
pub(crate) fn regex_of(pattern: &str, case: bool, place: Extent) -> Result<Regex, Failure> {
    let built = RegexBuilder::new(pattern).case_insensitive(!case).size_limit(REGEX_OCTETS_MAX).build();
    built.map_err(|error| {
        let looks =
            pattern.contains("(?=") || pattern.contains("(?!") || pattern.contains("(?<=") || pattern.contains("(?<!");
        let reason = match looks {
            true => "look-around is not available here, so that no pattern takes more than linear time".to_owned(),
            false => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        };
        Failure::of_language(
            "InvalidRegularExpression",
            format!("The regular expression pattern {pattern} is not valid: {reason}."),
            place,
        )
    })
}

/// `-replace`
///
/// # Errors
/// As [`regex_of`].
pub(crate) fn replace(left: &Value, right: &Value, case: bool, place: Extent) -> Result<Value, Failure> {
    let operands = right.each();
    let pattern = operands.first().map(Value::text).unwrap_or_default();
    let with = operands.get(1).map(Value::text).unwrap_or_default();
    let regex = regex_of(&pattern, case, place)?;
    // `$1x` is group 1 and x there, a group of that name here.
    let with =
        Regex::new(r"\$(\d+)").map_or_else(|_| with.clone(), |groups| groups.replace_all(&with, "$${$1}").into_owned());
    let one = |value: &Value| Value::of(regex.replace_all(&value.text(), with.as_str()).into_owned());
    Ok(match left {
        Value::List(items) => Value::list(items.borrow().iter().map(one).collect()),
        other => one(other),
    })
}

/// `-split`
///
/// # Errors
/// As [`regex_of`].
pub(crate) fn split(left: &Value, right: &Value, case: bool, place: Extent) -> Result<Value, Failure> {
    let operands = right.each();
    let pattern = operands.first().map(Value::text).unwrap_or_default();
    let most = operands.get(1).and_then(numeric).and_then(|most| match most {
        Value::Whole(most) if most > 0 => usize::try_from(most).ok(),
        _ => None,
    });
    let regex = regex_of(&pattern, case, place)?;
    let mut parts = Vec::new();
    for value in left.each() {
        let text = value.text();
        match most {
            Some(most) => parts.extend(regex.splitn(&text, most).map(Value::of)),
            None => parts.extend(regex.split(&text).map(Value::of)),
        }
    }
    Ok(Value::list(parts))
}

/// `-split` without an operand: at blanks.
#[must_use]
pub(crate) fn words(value: &Value) -> Value {
    let texts: Vec<String> = value.each().iter().map(Value::text).collect();
    Value::list(texts.iter().flat_map(|text| text.split_whitespace()).map(Value::of).collect())
}

/// `-join`
#[must_use]
pub(crate) fn join(value: &Value, separator: &str) -> Value {
    Value::of(value.each().iter().map(Value::text).collect::<Vec<_>>().join(separator))
}
