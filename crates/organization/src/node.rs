//! One value of an organization file or of a stored object, with where it was written.
//!
//! The tree knows neither YAML nor the objects: [`crate::yaml`] and [`crate::stored`] make it from text, [`crate::property`]
//! makes objects from it. Positions are for messages only and take no part in comparison.

use std::borrow::Cow;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Line and column in a file, both counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from the beginning of the file.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it was read; `None` when it came from no file.
    pub at: Option<Position>,
    /// What stands there.
    pub value: Value,
}

/// What a [`Node`] holds. Numbers and booleans of a YAML file arrive as the text that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order written.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Where it was read.
    pub at: Option<Position>,
    /// The key.
    pub text: String,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl Eq for Node {}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Key {}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { at: None, value }
    }
}

impl Node {
    /// A text.
    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Value::Text(text.to_string()).into()
    }

    /// Nothing.
    pub(crate) fn null() -> Self {
        Value::Null.into()
    }

    /// A mapping from its entries.
    pub(crate) fn map(entries: Vec<(&str, Self)>) -> Self {
        let key = |text: &str| Key { at: None, text: text.to_owned() };
        Value::Map(entries.into_iter().map(|(text, node)| (key(text), node)).collect()).into()
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The scalar as text.
    pub(crate) fn scalar(&self) -> Option<Cow<'_, str>> {
        match &self.value {
            Value::Text(text) => Some(text.into()),
            Value::Bool(flag) => Some(flag.to_string().into()),
            Value::Number(number) => Some(number.to_string().into()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// As a default is shown: a plain scalar without quotes, nothing for nothing.
    pub(crate) fn brief(&self) -> String {
        match &self.value {
            Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            Value::List(items) => items.iter().map(Self::brief).collect::<Vec<_>>().join(", "),
            _ => self.to_string(),
        }
    }

    /// The entries of a mapping.
    pub(crate) fn entries(&self) -> Option<&[(Key, Self)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value under `name`, compared without regard to case.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entries()?.iter().find(|(key, _)| key.text.eq_ignore_ascii_case(name)).map(|(_, node)| node)
    }
}

impl fmt::Display for Node {
    /// On one line, as a plan shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("(none)"),
            Value::Bool(flag) => flag.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Value::Map(entries) => {
                let entries: Vec<String> = entries.iter().map(|(key, node)| format!("{}: {node}", key.text)).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) => serializer.serialize_u64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, node) in entries {
                    map.serialize_entry(&key.text, node)?;
                }
                map.end()
            }
        }
    }
}
