//! `-Filter` of queues and messages (QU-49…QU-51): conditions joined by `-and`, each a documented property, an operator and a value.
//! Comparisons ignore case.

use std::cmp::Ordering;

use shell::{Failure, Object, Value, like, literal};

/// What a property is compared as, and by which operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A value of an enumeration: `-eq`, `-ne`.
    Word,
    /// A text: also `-like` and `-contains`.
    Text,
    /// The others: `-eq`, `-ne`, and the order.
    Number,
    Size,
    Date,
    Span,
}

use Sort::{Date, Number, Size, Span, Text, Word};

pub(crate) type Properties = &'static [(&'static str, Sort)];

/// Properties of queues.
pub(crate) const QUEUE: Properties = &[
    ("DeferredMessageCount", Number),
    ("DeferredMessageCountsPerPriority", Text),
    ("DeliveryType", Word),
    ("FirstRetryTime", Date),
    ("Identity", Text),
    ("IncomingRate", Number),
    ("LastError", Text),
    ("LastRetryTime", Date),
    ("MessageCount", Number),
    ("MessageCountsPerPriority", Text),
    ("NextHopCategory", Word),
    ("NextHopConnector", Text),
    ("NextHopDomain", Text),
    ("NextRetryTime", Date),
    ("OutgoingRate", Number),
    ("RetryCount", Number),
    ("Status", Word),
    ("TlsDomain", Text),
    ("Velocity", Number),
];

/// Properties of messages.
pub(crate) const MESSAGE: Properties = &[
    ("DateReceived", Date),
    ("DeferReason", Text),
    ("Directionality", Word),
    ("ExpirationTime", Date),
    ("FromAddress", Text),
    ("InternetMessageId", Text),
    ("LastError", Text),
    ("MessageLatency", Span),
    ("MessageSourceName", Text),
    ("OriginalFromAddress", Text),
    ("Priority", Word),
    ("Queue", Text),
    ("Recipients", Text),
    ("RetryCount", Number),
    ("SCL", Number),
    ("Size", Size),
    ("SourceIP", Word),
    ("Status", Word),
    ("Subject", Text),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Order(Ordering, bool),
    Like,
    Contains,
}

#[derive(Debug)]
struct Condition {
    property: &'static str,
    operator: Operator,
    value: Value,
}

/// Conditions that must all hold.
#[derive(Debug, Default)]
pub(crate) struct Filter(Vec<Condition>);

fn wrong(message: String) -> Failure {
    let failure = Failure::new("InvalidArgument", "InvalidFilter", message);
    failure.by("QU-49").advise("write: Property -operator 'value' -and …")
}

impl Filter {
    /// # Errors
    /// What is no filter of these properties, with what would be.
    pub(crate) fn parse(text: &str, of: Properties) -> Result<Self, Failure> {
        let (mut conditions, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            let (condition, after) = condition(rest, of)?;
            conditions.push(condition);
            let after = after.trim_start();
            rest = match after.get(..4).filter(|word| word.eq_ignore_ascii_case("-and")) {
                Some(_) if !after[4..].trim().is_empty() => after[4..].trim_start(),
                None if after.is_empty() => after,
                _ => {
                    return Err(wrong(format!(
                        "The filter is not understood from '{after}' on: only -and joins conditions."
                    )));
                }
            };
        }
        if conditions.is_empty() { Err(wrong("The filter is empty.".to_owned())) } else { Ok(Self(conditions)) }
    }

    /// Whether everything holds for an object.
    pub(crate) fn holds(&self, object: &Object) -> bool {
        self.0.iter().all(|condition| condition.holds(&object.get(condition.property).unwrap_or_default()))
    }

    /// Whether it speaks of one of these properties.
    pub(crate) fn speaks_of(&self, properties: &[&str]) -> bool {
        self.0.iter().any(|condition| properties.contains(&condition.property))
    }
}

fn condition<'a>(text: &'a str, of: Properties) -> Result<(Condition, &'a str), Failure> {
    let word = |text: &'a str| text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let (name, rest) = word(text);
    let Some((property, sort)) = of.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
        let known: Vec<&str> = of.iter().map(|(known, _)| *known).collect();
        return Err(wrong(format!("'{name}' is no property that is filtered by; those are {}.", known.join(", "))));
    };
    let (said, rest) = word(rest.trim_start());
    let operator = match said.to_ascii_lowercase().as_str() {
        "-eq" => Operator::Eq,
        "-ne" => Operator::Ne,
        "-gt" => Operator::Order(Ordering::Greater, false),
        "-ge" => Operator::Order(Ordering::Greater, true),
        "-lt" => Operator::Order(Ordering::Less, false),
        "-le" => Operator::Order(Ordering::Less, true),
        "-like" => Operator::Like,
        "-contains" => Operator::Contains,
        _ => {
            let message = format!("'{said}' is no operator; those are -eq, -ne, -gt, -ge, -lt, -le, -like.");
            return Err(wrong(message));
        }
    };
    let fits = match operator {
        Operator::Eq | Operator::Ne => true,
        Operator::Order(..) => !matches!(sort, Word | Text),
        Operator::Like | Operator::Contains => *sort == Text,
    };
    if !fits {
        return Err(wrong(format!("{property} is not compared by {said}.")));
    }
    let (said, rest) = quoted(rest.trim_start())?;
    let value = value(*sort, &said).ok_or_else(|| wrong(format!("'{said}' is no value of {property}.")))?;
    Ok((Condition { property, operator, value }, rest))
}

/// A value: in quotes, or a word without blanks.
fn quoted(text: &str) -> Result<(String, &str), Failure> {
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let inside = &text[1..];
            let end = inside.find(quote).ok_or_else(|| wrong(format!("The text {text} has no end.")))?;
            Ok((inside[..end].to_owned(), &inside[end + 1..]))
        }
        Some(_) => {
            let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
            Ok((word.to_owned(), rest))
        }
        None => Err(wrong("A value is missing.".to_owned())),
    }
}

fn value(sort: Sort, text: &str) -> Option<Value> {
    match sort {
        Word | Text => Some(Value::of(text)),
        Number => match text.strip_prefix('-') {
            Some(text) => literal::any_number(text).map(|number| Value::Real(-number)),
            None => literal::any_number(text).map(Value::Real),
        },
        Size => literal::size(text).map(Value::Size),
        Date => literal::date(text).map(Value::Date),
        Span => literal::span(text).map(Value::Span),
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        let same_text = || value.text().eq_ignore_ascii_case(&self.value.text());
        let order = || match (value, value.number(), self.value.number()) {
            (Value::Null, ..) => None,
            (_, Some(one), Some(other)) => one.partial_cmp(&other),
            _ => None,
        };
        let equal =
            || if matches!(self.value, Value::Text(_)) { same_text() } else { order() == Some(Ordering::Equal) };
        match self.operator {
            Operator::Eq => equal(),
            Operator::Ne => !equal(),
            Operator::Order(wanted, or_equal) => {
                let found = order();
                found == Some(wanted) || (or_equal && found == Some(Ordering::Equal))
            }
            Operator::Like => like(&value.text(), &self.value.text(), false),
            // QU-51
            Operator::Contains => value.text().to_lowercase().contains(&self.value.text().to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_they_are_documented() {
        let properties = vec![
            ("NextHopDomain".into(), Value::of("Contoso.com")),
            ("MessageCount".into(), Value::Whole(100)),
            ("Status".into(), Value::Word("QueueStatus".into(), "Retry".into())),
            ("NextRetryTime".into(), Value::Null),
            ("FirstRetryTime".into(), Value::Date(literal::date("1/5/2026 3:00PM").unwrap())),
            ("LastError".into(), Value::of("421 4.3.2 busy")),
            ("Velocity".into(), Value::Real(-0.5)),
        ];
        let object = Object::new("ExtensibleQueueInfo", None, properties);
        for (filter, expected) in [
            ("NextHopDomain -eq 'contoso.COM' -and Status -eq 'Retry'", true),
            ("nexthopdomain -eq \"contoso.com\" -AND status -ne \"Ready\"", true),
            ("NextHopDomain -eq '*.com'", false),
            ("NextHopDomain -like '*.com'", true),
            ("MessageCount -gt 100", false),
            ("MessageCount -ge 100", true),
            ("MessageCount -lt 101 -and MessageCount -le 99", false),
            ("FirstRetryTime -lt '1/6/2026'", true),
            ("FirstRetryTime -gt '1/5/2026 3:00 PM'", false),
            ("NextRetryTime -lt '1/6/2099'", false),
            ("LastError -contains '4.3.2'", true),
            ("Velocity -lt 0 -and Velocity -gt -1", true),
        ] {
            assert_eq!(Filter::parse(filter, QUEUE).unwrap().holds(&object), expected, "{filter}");
        }
        for wrong in [
            "",
            "MessageCount",
            "MessageCount -gt",
            "MessageCount -gt many",
            "MessageCount -like '1*'",
            "Colour -eq 'red'",
            "Status -gt 'Retry'",
            "Status -eq 'Retry' -or Status -eq 'Ready'",
            "Status -eq 'Retry' -and",
            "Status -eq 'Retry",
            "Status = 'Retry'",
        ] {
            assert!(Filter::parse(wrong, QUEUE).is_err(), "{wrong}");
        }
    }
}
