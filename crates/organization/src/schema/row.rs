//! One property of a kind of object, as the schema tells it.

use super::Shape;

/// What a property does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What its help says.
    Works,
    /// It is checked, stored and shown, and nothing else. Why, as a part of a sentence.
    StoredOnly(&'static str),
}

/// One property of a kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The documented name in camelCase.
    pub name: &'static str,
    /// Other documented spellings.
    pub aliases: &'static [&'static str],
    /// What may be written.
    pub takes: String,
    /// The sort of its value.
    pub shape: Shape,
    /// Least and most, where it is a number.
    pub range: Option<String>,
    /// The same in things, seconds or octets.
    pub limits: Option<(u64, u64)>,
    /// The default as it is written; empty for none.
    pub default: String,
    /// The default on an Edge server, where it is another one.
    pub edge_default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether its value is shown to nobody.
    pub secret: bool,
    /// The rules of the specification that it follows.
    pub rule: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// Whether it does that here.
    pub effect: Effect,
    /// Values that do nothing, each with why.
    pub idle_values: &'static [(&'static str, &'static str)],
    /// The properties of the object that is its value.
    pub holds: Vec<Row>,
}
