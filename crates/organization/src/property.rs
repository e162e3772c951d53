//! Objects as tables of properties: one table per kind reads, writes, compares and names everything about it.
//!
//! A table is applied in its own order, not in that of the file, so that a property may set the default of a later one
//! (`usage` that of `maxMessageSize`, SC-23). Writing replays the same table on a blank object and leaves out what that
//! would give anyway: what is left out always reads back the same.

use crate::literal::{Fault, Measure};
use crate::node::{Key, Node, Value};
use crate::schema::{Effect, Row, Shape};
use crate::secrets::Secrets;

/// A kind of object that is read and written by a table.
pub(crate) trait Form: Sized + 'static {
    /// The table.
    const PROPERTIES: &'static [Property<Self>];

    /// Properties that there were, each with what is done today instead.
    const RETIRED: &'static [(&'static str, &'static str)] = &[];

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
    /// One line about what it does.
    pub help: &'static str,
    /// The rules of the specification that it follows.
    pub rule: &'static str,
    /// What it does here.
    pub effect: Effect,
    /// Values that do nothing, each with why; the others do what the help says.
    pub idle_values: &'static [(&'static str, &'static str)],
    /// What may be written, as a part of a sentence.
    pub kind_of_value: fn(&F) -> String,
    /// The sort of its value.
    pub shape: fn(&F) -> Shape,
    /// Least and most, in what [`measure`](Self::measure) counts.
    pub range: Option<(u64, u64)>,
    /// The value as a number of its unit; nothing for what is not limited, or no number.
    pub measure: fn(&F) -> Option<Measure>,
    /// The default, where no blank object tells it.
    pub default: Option<&'static str>,
    /// The default on an Edge server, where it is another one.
    pub edge_default: Option<&'static str>,
    /// The table of the object that is its value.
    pub nested: Option<fn() -> Vec<Row>>,
    /// The written form.
    pub get: fn(&F) -> Node,
    set: Set<F>,
}

impl<F> Property<F> {
    /// An optional property.
    pub(crate) const fn new(name: &'static str, get: fn(&F) -> Node, set: Set<F>) -> Self {
        Self {
            name,
            aliases: &[],
            required: false,
            secret: false,
            help: "",
            rule: "",
            effect: Effect::Works,
            idle_values: &[],
            kind_of_value: |_| String::new(),
            shape: |_| Shape::Text,
            range: None,
            measure: |_| None,
            default: None,
            edge_default: None,
            nested: None,
            get,
            set,
        }
    }

    /// What it does, in a line, and the rules that say so.
    pub(crate) const fn is(mut self, help: &'static str, rule: &'static str) -> Self {
        self.help = help;
        self.rule = rule;
        self
    }

    /// It has no effect.
    pub(crate) const fn stored_only(mut self, why: &'static str) -> Self {
        self.effect = Effect::StoredOnly(why);
        self
    }

    /// Some of its values have no effect.
    pub(crate) const fn except(mut self, values: &'static [(&'static str, &'static str)]) -> Self {
        self.idle_values = values;
        self
    }

    /// What may be written.
    pub(crate) const fn takes(mut self, kind: fn(&F) -> String) -> Self {
        self.kind_of_value = kind;
        self
    }

    /// The sort of its value.
    pub(crate) const fn shaped(mut self, shape: fn(&F) -> Shape) -> Self {
        self.shape = shape;
        self
    }

    /// How its value is counted.
    pub(crate) const fn measured(mut self, measure: fn(&F) -> Option<Measure>) -> Self {
        self.measure = measure;
        self
    }

    /// The least and the most that may be written: a count, seconds or octets.
    pub(crate) const fn within(mut self, least: u64, most: u64) -> Self {
        self.range = Some((least, most));
        self
    }

    /// The default in words, where the blank object does not tell it.
    pub(crate) const fn defaults_to(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// The default on an Edge server.
    pub(crate) const fn on_edge(mut self, text: &'static str) -> Self {
        self.edge_default = Some(text);
        self
    }

    /// Its value is an object with a table of its own.
    pub(crate) const fn holds(mut self, rows: fn() -> Vec<Row>) -> Self {
        self.nested = Some(rows);
        self
    }

    /// It must be given.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It is shown to nobody.
    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// It has other spellings.
    pub(crate) const fn or(mut self, aliases: &'static [&'static str]) -> Self {
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
        .takes(|form| $crate::literal::kind_of(&form.$($field).+))
        .shaped(|form| $crate::literal::shape_of(&form.$($field).+))
        .measured(|form| $crate::literal::Literal::measure(&form.$($field).+))
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
    read_onto(F::blank(), node, secrets)
}

/// Reads an object whose defaults are those of `base`.
pub(crate) fn read_onto<F: Form>(base: F, node: &Node, secrets: &dyn Secrets) -> Result<F, Vec<Fault>> {
    let (form, faults) = read_partly_onto(base, node, secrets);
    if faults.is_empty() { Ok(form) } else { Err(faults) }
}

/// Reads what can be read of an object, with defaults for the rest, and everything that is wrong with it.
pub(crate) fn read_partly<F: Form>(node: &Node, secrets: &dyn Secrets) -> (F, Vec<Fault>) {
    read_partly_onto(F::blank(), node, secrets)
}

fn read_partly_onto<F: Form>(base: F, node: &Node, secrets: &dyn Secrets) -> (F, Vec<Fault>) {
    let mut form = base;
    let Some(entries) = node.entries() else {
        return (form, vec![Fault::at(node, "write a mapping of properties, such as {name: …}")]);
    };
    let mut faults: Vec<Fault> = entries.iter().filter_map(|(key, _)| unknown::<F>(key)).collect();
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
    (form, faults)
}

/// What is outside of the documented ranges. Apart from reading: what an earlier version stored is still read.
pub(crate) fn out_of_range<F: Form>(form: &F, node: &Node) -> Vec<Fault> {
    let wrong = |property: &Property<F>| {
        let (least, most) = property.range?;
        let measure = (property.measure)(form)?;
        if (least..=most).contains(&measure.count) {
            return None;
        }
        let entries = node.entries().unwrap_or_default();
        let written = entries.iter().find(|(key, _)| property.is_called(&key.text)).map_or(node, |(_, value)| value);
        Some(
            Fault::at(written, format!("it is {}", measure.unit.range(least, most)))
                .under(&format!(".{}", property.name)),
        )
    };
    F::PROPERTIES.iter().filter_map(wrong).collect()
}

/// The rows of the schema that a table makes.
pub(crate) fn rows<F: Form>() -> Vec<Row> {
    let blank = F::blank();
    let row = |property: &Property<F>| {
        let unit = (property.measure)(&blank).map(|measure| measure.unit);
        let default = match (property.default, property.required) {
            (Some(text), _) => text.to_owned(),
            (None, true) => String::new(),
            (None, false) => (property.get)(&blank).brief(),
        };
        Row {
            name: property.name,
            aliases: property.aliases,
            takes: (property.kind_of_value)(&blank),
            shape: (property.shape)(&blank),
            limits: property.range,
            range: property.range.map(|(least, most)| unit.unwrap_or_default().range(least, most)),
            default,
            edge_default: property.edge_default,
            required: property.required,
            secret: property.secret,
            rule: property.rule,
            help: property.help,
            effect: property.effect,
            idle_values: property.idle_values,
            holds: property.nested.map(|rows| rows()).unwrap_or_default(),
        }
    };
    F::PROPERTIES.iter().map(row).collect()
}

/// What is said and does nothing: property, and why.
pub(crate) fn idle<F: Form>(form: &F) -> Vec<(String, String)> {
    let mut replica = F::blank();
    let mut found = Vec::new();
    for property in F::PROPERTIES {
        let value = (property.get)(form);
        if !follow(property, &mut replica, &value) {
            continue;
        }
        if let Effect::StoredOnly(why) = property.effect {
            found.push((property.name.to_owned(), format!("it is stored and has no effect: {why}")));
        }
        let given = |name: &str| match value.items() {
            Some(items) => items.iter().any(|item| item.scalar().is_some_and(|text| text == name)),
            None => value.scalar().is_some_and(|text| text == name),
        };
        for (name, why) in property.idle_values.iter().filter(|(name, _)| given(name)) {
            found.push((property.name.to_owned(), format!("{name} is stored and {why}")));
        }
    }
    found
}

/// Writes an object.
pub(crate) fn write<F: Form>(form: &F, detail: Detail) -> Node {
    let mut replica = F::blank();
    let mut entries = Vec::new();
    for property in F::PROPERTIES {
        let value = (property.get)(form);
        let default = (property.get)(&replica);
        let differs = follow(property, &mut replica, &value);
        if property.required || differs || (detail == Detail::Everything && !value.is_null()) {
            let value = if detail == Detail::Changed { without_defaults(value, &default) } else { value };
            entries.push((Key { at: None, text: property.name.to_owned() }, value));
        }
    }
    Value::Map(entries).into()
}

/// Gives the replica of an object the value that the object has; whether that is not its default.
fn follow<F>(property: &Property<F>, replica: &mut F, value: &Node) -> bool {
    let differs = (property.get)(replica) != *value;
    if property.required || differs {
        let taken = (property.set)(replica, value, &crate::secrets::WithoutSecrets);
        debug_assert!(taken.is_ok(), "{}: what is written must be readable: {taken:?}", property.name);
    }
    differs
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
    let retired = F::RETIRED.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.text));
    if let Some((name, today)) = retired {
        let text = format!("{name} is not available any more; {today}");
        return Some(Fault { path: format!(".{}", key.text), at: key.at, text });
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
