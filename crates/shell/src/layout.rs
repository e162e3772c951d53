//! `-f`: values put into a text by their number, with width and form (SH-35); and the forms of numbers and dates.

use time::OffsetDateTime;

use crate::operator::numeric;
use crate::value::{TICKS, Value, grouped};

/// Columns of one value.
const WIDTH_MAX: usize = 10_000;

/// Puts `values` into `pattern`. Nothing when the pattern is not one, or there are too few values.
#[must_use]
pub(crate) fn laid_out(pattern: &str, values: &[Value]) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let bracket = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(bracket) {
            out.push_str(bracket);
            rest = after;
            continue;
        }
        if bracket == "}" {
            return None;
        }
        let (inside, after) = rest.split_once('}')?;
        rest = after;
        let (place, form) = inside.split_once(':').map_or((inside, ""), |(place, form)| (place, form));
        let (index, width) = place.split_once(',').map_or((place, "0"), |(index, width)| (index, width));
        let value = values.get(index.trim().parse::<usize>().ok()?)?;
        let width: i32 = width.trim().parse().ok()?;
        let text = formed(value, form)?;
        let columns = usize::try_from(width.unsigned_abs()).ok()?.min(WIDTH_MAX);
        match width {
            ..0 => out.push_str(&format!("{text:<columns$}")),
            _ => out.push_str(&format!("{text:>columns$}")),
        }
    }
    out.push_str(rest);
    Some(out)
}

/// A value in a form such as `N0`, `X2`, `yyyy-MM-dd`.
#[must_use]
pub(crate) fn formed(value: &Value, form: &str) -> Option<String> {
    if form.is_empty() {
        return Some(value.text());
    }
    match value {
        Value::Date(date) => Some(dated(*date, form)),
        Value::Span(ticks) => Some(spanned(*ticks, form)),
        Value::Text(_) | Value::Object(_) => Some(value.text()),
        other => numbered(&numeric(other)?, form),
    }
}

fn numbered(value: &Value, form: &str) -> Option<String> {
    let number = value.number()?;
    let letter = form.chars().next()?.to_ascii_uppercase();
    let digits: Option<usize> = form[1..].parse().ok().filter(|digits| *digits < 100);
    let standard = form.len() == 1 || digits.is_some();
    match letter {
        'N' if standard => Some(with_groups(number, digits.unwrap_or(2))),
        'F' if standard => Some(format!("{number:.*}", digits.unwrap_or(2))),
        'P' if standard => Some(format!("{} %", with_groups(number * 100.0, digits.unwrap_or(2)))),
        'G' if standard => Some(value.text()),
        'C' if standard => Some(format!("${}", with_groups(number, digits.unwrap_or(2)))),
        'X' if standard => match value {
            Value::Whole(whole) => {
                let text = format!("{whole:0width$X}", width = digits.unwrap_or(1));
                Some(if form.starts_with('x') { text.to_lowercase() } else { text })
            }
            _ => None,
        },
        'D' if standard => match value {
            Value::Whole(whole) => {
                let text = format!("{:0>width$}", whole.unsigned_abs(), width = digits.unwrap_or(1));
                Some(if *whole < 0 { format!("-{text}") } else { text })
            }
            _ => None,
        },
        _ => Some(custom(number, form)),
    }
}

fn with_groups(number: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", number.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let sign = if number < 0.0 { "-" } else { "" };
    match fraction {
        Some(fraction) => format!("{sign}{}.{fraction}", grouped(whole)),
        None => format!("{sign}{}", grouped(whole)),
    }
}

/// `0.00`, `#,##0.#`: places that are always or only sometimes there.
fn custom(number: f64, form: &str) -> String {
    let (whole_form, fraction_form) = form.split_once('.').unwrap_or((form, ""));
    let places = fraction_form.chars().filter(|one| "0#".contains(*one)).count();
    let needed = fraction_form.chars().filter(|one| *one == '0').count();
    let text = format!("{:.places$}", number.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let least = whole_form.chars().filter(|one| *one == '0').count();
    let whole = format!("{whole:0>least$}");
    let whole = if whole_form.contains(',') { grouped(&whole) } else { whole };
    let mut fraction = fraction.to_owned();
    while fraction.len() > needed && fraction.ends_with('0') {
        fraction.pop();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The names of months, of which the first three letters are the short ones.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A date by `yyyy MM dd HH hh mm ss tt ddd MMM`, or by a letter that stands for a form.
#[must_use]
pub(crate) fn dated(date: OffsetDateTime, form: &str) -> String {
    let form = match form {
        "d" => "M/d/yyyy",
        "t" => "h:mm tt",
        "T" => "h:mm:ss tt",
        "g" => "M/d/yyyy h:mm tt",
        "G" => "M/d/yyyy h:mm:ss tt",
        "s" => "yyyy-MM-ddTHH:mm:ss",
        "o" | "O" => "yyyy-MM-ddTHH:mm:ss.fffffffZ",
        "u" => "yyyy-MM-dd HH:mm:ssZ",
        other => other,
    };
    let mut out = String::new();
    let mut rest = form.chars().peekable();
    while let Some(one) = rest.next() {
        let mut length = 1;
        while "yMdHhmstf".contains(one) && rest.peek() == Some(&one) {
            rest.next();
            length += 1;
        }
        out.push_str(&field(date, one, length));
    }
    out
}

fn field(date: OffsetDateTime, one: char, length: usize) -> String {
    let two = |number: u8| if length > 1 { format!("{number:02}") } else { number.to_string() };
    let hour = date.hour();
    let month = MONTHS[usize::from(u8::from(date.month()) - 1)];
    let weekday = date.weekday().to_string();
    match (one, length) {
        ('y', 2) => format!("{:02}", date.year() % 100),
        ('y', _) => format!("{:04}", date.year()),
        ('M', 3) => month[..3].to_owned(),
        ('M', 4..) => month.to_owned(),
        ('M', _) => two(u8::from(date.month())),
        ('d', 3) => weekday[..3].to_owned(),
        ('d', 4..) => weekday,
        ('d', _) => two(date.day()),
        ('H', _) => two(hour),
        ('h', _) => two((hour + 11) % 12 + 1),
        ('m', _) => two(date.minute()),
        ('s', _) => two(date.second()),
        ('t', _) => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        ('f', _) => format!("{:09}", date.nanosecond())[..length.min(9)].to_owned(),
        (other, _) => other.to_string(),
    }
}

/// A span by `dd hh mm ss`; a back-slash stands before what is meant itself.
fn spanned(ticks: i64, form: &str) -> String {
    let seconds = ticks.abs() / TICKS;
    let mut out = String::new();
    let mut rest = form.chars().peekable();
    while let Some(one) = rest.next() {
        if one == '\\' {
            out.extend(rest.next());
            continue;
        }
        let mut length = 1;
        while "dhms".contains(one) && rest.peek() == Some(&one) {
            rest.next();
            length += 1;
        }
        let part = match one {
            'd' => seconds / 86_400,
            'h' => seconds / 3600 % 24,
            'm' => seconds / 60 % 60,
            's' => seconds % 60,
            other => {
                out.push(other);
                continue;
            }
        };
        out.push_str(&format!("{part:0length$}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::laid_out;
    use crate::literal::date;
    use crate::value::Value;

    #[test]
    fn values_are_put_into_texts() {
        // SH-35, SH-92
        let values =
            [Value::of("ab"), Value::Whole(12345), Value::Real(0.256), Value::Date(date("1/5/2026 9:03").unwrap())];
        for (pattern, expected) in [
            ("{0,-6}|{1:N0}", Some("ab    |12,345")),
            ("{1,8}", Some("   12345")),
            ("{2:P1}", Some("25.6 %")),
            ("{3:yyyy-MM-dd HH:mm}", Some("2026-01-05 09:03")),
            ("{1:X2} {1:D7}", Some("3039 0012345")),
            ("{{0}}", Some("{0}")),
            ("{2:0.00}", Some("0.26")),
            ("{1:#,##0.#}", Some("12,345")),
            ("{9}", None),
            ("{0", None),
        ] {
            assert_eq!(laid_out(pattern, &values).as_deref(), expected, "{pattern}");
        }
    }
}
