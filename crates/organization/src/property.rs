//! Objects as tables of properties: one table per kind reads, writes, compares and names everything about it.
//!
//! A table is applied in its own order, not in that of the file, so that a property may set the default of a later one
//! (`usage` that of `maxMessageSize`, SC-23). Writing replays the same table on a blank object and leaves out what that
//! would give anyway: what is left out always reads back the same.

use crate::literal::Fault;
use crate::node::{Key, Node, Value};
use crate::secrets::Secrets;

/// A kind of object that is read and written by a table.
pub(crate) trait Form: Sized + 'static {
    /// The table.
    const PROPERTIES: &'static [Property<Self>];

    /// An object with every property at its documented default and placeholders for required ones.
    fn blank() -> Self;
}

/// Sets a property from its written form.
type Set<F> = fn(&mut F, &Node, &dyn Secrets) -> Result<(), Vec<Fault>>;

/// One property.
pub(crate) struct Property<F> {
    /// The documented name in camelCase.
    pub name: &'static str,
    /// Other documented spellings.
    pub aliases: &'static [&'static str],
    /// Whether it must be given.
    pub required: bool,
    /// Whether its value is shown to nobody.
    pub secret: bool,
    /// The written form.
    pub get: fn(&F) -> Node,
    set: Set<F>,
}

impl<F> Property<F> {
    /// An optional property.
    pub const fn new(name: &'static str, get: fn(&F) -> Node, set: Set<F>) -> Self {
        Self { name, aliases: &[], required: false, secret: false, get, set }
    }

    /// It must be given.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It is shown to nobody.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// It has other spellings.
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// A property that is a field of the same meaning.
macro_rules! property {
    ($name:literal, $($field:ident).+) => {
        $crate::property::Property::<Self>::new(
            $name,
            |form| $crate::literal::Literal::write(&form.$($field).+),
            |form, node, _| {
                form.$($field).+ = $crate::literal::Literal::read(node)?;
                Ok(())
            },
        )
    };
}
pub(crate) use property;

/// How much to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every property: what is stored must not change when a default does.
    Everything,
    /// Only what differs from the default.
    Changed,
}

/// Reads an object, reporting everything that is wrong with it.
pub(crate) fn read<F: Form>(node: &Node, secrets: &dyn Secrets) -> Result<F, Vec<Fault>> {
    let Some(entries) = node.entries() else {
        return Err(vec![Fault::at(node, "write a mapping of properties, such as {name: …}")]);
    };
    let mut faults: Vec<Fault> = entries.iter().filter_map(|(key, _)| unknown::<F>(key)).collect();
    let mut form = F::blank();
    for property in F::PROPERTIES {
        let mut given = entries.iter().filter(|(key, _)| property.is_called(&key.text));
        let step = format!(".{}", property.name);
        match given.next() {
            Some((_, value)) => {
                let wrong = (property.set)(&mut form, value, secrets).err().unwrap_or_default();
                faults.extend(wrong.into_iter().map(|fault| fault.under(&step)));
            }
            None if property.required => faults.push(Fault::at(node, "it must be given").under(&step)),
            None => {}
        }
        let again = given.map(|(key, _)| Fault { path: step.clone(), at: key.at, text: "it is given twice".into() });
        faults.extend(again);
    }
    if faults.is_empty() { Ok(form) } else { Err(faults) }
}

/// Writes an object.
pub(crate) fn write<F: Form>(form: &F, detail: Detail) -> Node {
    let mut replica = F::blank();
    let mut entries = Vec::new();
    for property in F::PROPERTIES {
        let value = (property.get)(form);
        let default = (property.get)(&replica);
        let differs = default != value;
        if property.required || differs {
            let taken = (property.set)(&mut replica, &value, &crate::secrets::WithoutSecrets);
            debug_assert!(taken.is_ok(), "{}: what is written must be readable: {taken:?}", property.name);
        }
        if property.required || differs || (detail == Detail::Everything && !value.is_null()) {
            let value = if detail == Detail::Changed { without_defaults(value, &default) } else { value };
            entries.push((Key { at: None, text: property.name.to_owned() }, value));
        }
    }
    Value::Map(entries).into()
}

/// A nested object without the properties that `default` has alike.
fn without_defaults(value: Node, default: &Node) -> Node {
    match (value.value, default.entries()) {
        (Value::Map(entries), Some(defaults)) => {
            Value::Map(entries.into_iter().filter(|entry| !defaults.contains(entry)).collect()).into()
        }
        (value, _) => value.into(),
    }
}

fn unknown<F: Form>(key: &Key) -> Option<Fault> {
    if F::PROPERTIES.iter().any(|property| property.is_called(&key.text)) {
        return None;
    }
    let names = F::PROPERTIES.iter().map(|property| property.name);
    Some(Fault { path: format!(".{}", key.text), at: key.at, text: unknown_text("property", &key.text, names) })
}

/// Longest edit distance of a suggestion.
const SUGGESTION_DISTANCE_MAX: usize = 3;

/// "no such property", with the closest one or all of them.
pub(crate) fn unknown_text<'a>(what: &str, given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let given = given.to_ascii_lowercase();
    let closest = known.clone().map(|name| (distance(&given, &name.to_ascii_lowercase()), name)).min();
    match closest {
        Some((steps, name)) if steps <= SUGGESTION_DISTANCE_MAX => {
            format!("there is no such {what}; did you mean {name}?")
        }
        _ => format!("there is no such {what}; there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Levenshtein distance, of names of at most 64 characters.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().take(envelope::identity::NAME_CHARACTERS_MAX).collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (at, character) in one.chars().take(envelope::identity::NAME_CHARACTERS_MAX).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in two.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[two.len()]
}
