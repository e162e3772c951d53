//! Values: what variables hold, what commands pass on. Objects, lists and tables are shared: who has one sees what others
//! change of it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use time::OffsetDateTime;

use crate::cursor::real;
use crate::tree::ScriptBlock;

/// Ticks of 100 ns in a second, by which spans are counted.
pub const TICKS: i64 = 10_000_000;

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `$null`.
    #[default]
    Null,
    /// `$true`, `$false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Real(f64),
    /// A text.
    Text(Rc<str>),
    /// A point in time.
    Date(OffsetDateTime),
    /// A length of time in ticks of 100 ns.
    Span(i64),
    /// A size in octets.
    Size(u64),
    /// What may be unlimited.
    Limit(Option<Rc<Value>>),
    /// A value of an enumeration: its type and its name, or several names joined by commas.
    Word(Rc<str>, Rc<str>),
    /// An array or a list.
    List(Rc<RefCell<Vec<Value>>>),
    /// `@{…}`.
    Table(Rc<Table>),
    /// An object with properties.
    Object(Rc<Object>),
    /// `{…}`.
    Block(Rc<ScriptBlock>),
    /// A text that is never shown.
    Secret(Secret),
    /// `[name]`.
    Type(Rc<str>),
    /// Octets.
    Octets(Rc<[u8]>),
}

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(pub Rc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Names with values, in the order in which they were given; case of names does not count (SH-30).
#[derive(Debug, Default)]
pub struct Table {
    /// Its entries.
    pub entries: RefCell<Vec<(Value, Value)>>,
    /// Whether somebody asked for the order.
    pub ordered: bool,
}

/// An object: a type, and properties in their order.
#[derive(Debug)]
pub struct Object {
    /// The name of its type, by which a view is found. Empty for `[pscustomobject]`.
    pub of: Rc<str>,
    /// What stands for the object where a text is wanted; nothing for a list of its properties.
    pub text: Option<Rc<str>>,
    properties: RefCell<Vec<(Rc<str>, Value)>>,
    /// Whether `.Name = …` may add a property.
    open: Cell<bool>,
}

impl Table {
    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        let entries = self.entries.borrow();
        entries.iter().find(|(known, _)| known.text().eq_ignore_ascii_case(key)).map(|(_, value)| value.clone())
    }

    /// Puts a value under a key, in place of one that is there.
    pub fn set(&self, key: Value, value: Value) {
        let mut entries = self.entries.borrow_mut();
        let name = key.text();
        match entries.iter_mut().find(|(known, _)| known.text().eq_ignore_ascii_case(&name)) {
            Some((_, old)) => *old = value,
            None => entries.push((key, value)),
        }
    }
}

impl Object {
    /// An object with these properties.
    #[must_use]
    pub fn new(of: &str, text: Option<&str>, properties: Vec<(Rc<str>, Value)>) -> Rc<Self> {
        let open = Cell::new(of.is_empty());
        Rc::new(Self { of: of.into(), text: text.map(Into::into), properties: RefCell::new(properties), open })
    }

    /// The value of a property; case does not count.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        let properties = self.properties.borrow();
        properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }

    /// Gives a property a value; whether there is such a property, or it could be added.
    pub fn set(&self, name: &str, value: Value) -> bool {
        let mut properties = self.properties.borrow_mut();
        match properties.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None if self.open.get() => properties.push((name.into(), value)),
            None => return false,
        }
        true
    }

    /// Adds a property, or replaces it.
    pub fn add(&self, name: &str, value: Value) {
        let was = self.open.replace(true);
        self.set(name, value);
        self.open.set(was);
    }

    /// Its properties.
    #[must_use]
    pub fn properties(&self) -> Vec<(Rc<str>, Value)> {
        self.properties.borrow().clone()
    }
}

impl Value {
    /// A text.
    pub fn of(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(RefCell::new(items)))
    }

    /// A count.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Whole(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// What a pipeline has given: nothing, the one object, or a list (SH-29).
    #[must_use]
    pub fn unrolled(mut items: Vec<Self>) -> Self {
        match items.len() {
            0 => Self::Null,
            1 => items.remove(0),
            _ => Self::list(items),
        }
    }

    /// Whether it is `$null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items.borrow().clone()),
            _ => None,
        }
    }

    /// The items of a list, the value itself, or nothing for `$null`.
    #[must_use]
    pub fn each(&self) -> Vec<Self> {
        match self {
            Self::Null => Vec::new(),
            Self::List(items) => items.borrow().clone(),
            other => vec![other.clone()],
        }
    }

    /// Whether it counts as true (SH-20).
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(truth) => *truth,
            Self::Whole(whole) => *whole != 0,
            Self::Real(real) => *real != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => match items.borrow().as_slice() {
                [] => false,
                [one] => one.truth(),
                _ => true,
            },
            _ => true,
        }
    }

    /// The name of its type, as `.GetType().Name` says it.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Null => "Null".into(),
            Self::Bool(_) => "Boolean".into(),
            Self::Whole(whole) if i32::try_from(*whole).is_ok() => "Int32".into(),
            Self::Whole(_) => "Int64".into(),
            Self::Real(_) => "Double".into(),
            Self::Text(_) => "String".into(),
            Self::Date(_) => "DateTime".into(),
            Self::Span(_) => "EnhancedTimeSpan".into(),
            Self::Size(_) => "ByteQuantifiedSize".into(),
            Self::Limit(_) => "Unlimited`1".into(),
            Self::Word(of, _) => of.to_string(),
            Self::List(_) => "Object[]".into(),
            Self::Table(table) if table.ordered => "OrderedDictionary".into(),
            Self::Table(_) => "Hashtable".into(),
            Self::Object(object) if object.of.is_empty() => "PSCustomObject".into(),
            Self::Object(object) => object.of.rsplit('.').next().unwrap_or_default().to_owned(),
            Self::Block(_) => "ScriptBlock".into(),
            Self::Secret(_) => "SecureString".into(),
            Self::Type(_) => "RuntimeType".into(),
            Self::Octets(_) => "Byte[]".into(),
        }
    }

    /// The value as a text (SH-07, SH-65): items of a list are joined by a blank.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(true) => "True".into(),
            Self::Bool(false) => "False".into(),
            Self::Whole(whole) => whole.to_string(),
            Self::Real(real) => real_text(*real),
            Self::Text(text) | Self::Word(_, text) => text.to_string(),
            Self::Date(date) => date_text(*date),
            Self::Span(ticks) => span_text(*ticks),
            Self::Size(octets) => size_text(*octets),
            Self::Limit(None) => "Unlimited".into(),
            Self::Limit(Some(value)) => value.text(),
            Self::List(items) => items.borrow().iter().map(Self::text).collect::<Vec<_>>().join(" "),
            Self::Table(_) => "System.Collections.Hashtable".into(),
            Self::Object(object) => match &object.text {
                Some(text) => text.to_string(),
                None => {
                    let properties = object.properties();
                    let pairs = properties.iter().map(|(name, value)| format!("{name}={}", value.text()));
                    format!("@{{{}}}", pairs.collect::<Vec<_>>().join("; "))
                }
            },
            Self::Block(_) => "{…}".into(),
            Self::Secret(_) => "System.Security.SecureString".into(),
            Self::Type(name) => name.to_string(),
            Self::Octets(octets) => octets.iter().map(u8::to_string).collect::<Vec<_>>().join(" "),
        }
    }

    /// The value as a real number, for sizes and spans what they count.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Null => Some(0.0),
            Self::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Self::Whole(whole) => Some(real(*whole)),
            Self::Real(real) => Some(*real),
            Self::Size(octets) => i64::try_from(*octets).ok().map(real),
            Self::Span(ticks) => Some(real(*ticks)),
            Self::Limit(Some(value)) => value.number(),
            Self::Limit(None) => Some(f64::INFINITY),
            Self::Date(date) => Some(real(date.unix_timestamp())),
            _ => None,
        }
    }
}

/// `1.5`; whole ones without a point, large ones with an exponent.
#[must_use]
pub fn real_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    if value != 0.0 && (value.abs() >= 1e15 || value.abs() < 1e-5) {
        let text = format!("{value:E}");
        let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}E{sign}{digits:0>2}");
    }
    format!("{value}")
}

/// `00:10:00`, `2.00:00:00` (SC-140).
#[must_use]
pub fn span_text(ticks: i64) -> String {
    let sign = if ticks < 0 { "-" } else { "" };
    let ticks = ticks.unsigned_abs();
    let (seconds, fraction) = (ticks / TICKS.unsigned_abs(), ticks % TICKS.unsigned_abs());
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let days = if days > 0 { format!("{days}.") } else { String::new() };
    let fraction = if fraction > 0 { format!(".{fraction:07}") } else { String::new() };
    format!("{sign}{days}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60)
}

/// `35 MB (36,700,160 bytes)` (SC-141).
#[must_use]
pub fn size_text(octets: u64) -> String {
    let units = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    let all = grouped(&octets.to_string());
    let Some((unit, shift)) = units.into_iter().find(|(_, shift)| octets >> shift > 0) else {
        return format!("{octets} B ({all} bytes)");
    };
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let count = octets as f64 / (1_u64 << shift) as f64;
    let text = format!("{count:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("{short} {unit} ({all} bytes)")
}

/// Digits in groups of three.
#[must_use]
pub fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1/5/2026 9:00:00 AM`.
#[must_use]
pub fn date_text(date: OffsetDateTime) -> String {
    let (hour, half) = match date.hour() {
        0 => (12, "AM"),
        hour @ 1..=11 => (hour, "AM"),
        12 => (12, "PM"),
        hour => (hour - 12, "PM"),
    };
    let (month, day, year) = (u8::from(date.month()), date.day(), date.year());
    format!("{month}/{day}/{year} {hour}:{:02}:{:02} {half}", date.minute(), date.second())
}
