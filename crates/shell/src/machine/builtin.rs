//! The shell's own commands (SH-45…SH-55): what each takes, and who does it.

mod data;
mod files;
mod help;
mod objects;
mod output;
mod session;

use std::rc::Rc;

use super::{Machine, Run, Sink, Stop};
use crate::binder::Bound;
use crate::signature::{Parameter, Signature, Takes};
use crate::tree::{Extent, ScriptBlock};
use crate::value::{Table, Value};

/// One of the shell's own commands while it runs.
pub(super) trait Builtin {
    /// Takes one object.
    fn process(&mut self, machine: &mut Machine, item: Value, next: &mut dyn Sink) -> Run<()>;
    /// Ends.
    fn end(&mut self, machine: &mut Machine, next: &mut dyn Sink) -> Run<()>;
}

/// What a command does with everything that came.
type Whole = fn(&mut Machine, &Bound, &[Value], Extent, &mut dyn Sink) -> Run<()>;

/// A command that waits for all objects.
struct Waiting {
    what: Whole,
    bound: Bound,
    items: Vec<Value>,
    place: Extent,
    name: &'static str,
}

impl Builtin for Waiting {
    fn process(&mut self, _: &mut Machine, item: Value, _: &mut dyn Sink) -> Run<()> {
        self.items.push(item);
        Ok(())
    }

    fn end(&mut self, machine: &mut Machine, next: &mut dyn Sink) -> Run<()> {
        let mut items = std::mem::take(&mut self.items);
        if let Some(given) = self.bound.get("InputObject").filter(|_| items.is_empty()) {
            items = given.each();
        }
        match (self.what)(machine, &self.bound, &items, self.place, next) {
            Err(Stop::Fail(failure)) if !failure.terminating || self.bound.common("ErrorAction").is_some() => {
                machine.failed_in(failure.at(self.place), &self.bound, self.name)
            }
            other => other,
        }
    }
}

/// A row of the table of commands.
struct Row {
    name: &'static str,
    aliases: &'static [&'static str],
    synopsis: &'static str,
    /// Parameters: `Name` takes a text, `Name?` is a switch, `Name#` a whole number, `Name{` a block, `Name*` anything; a number
    /// before it is its place, `+` takes all arguments that are left.
    parameters: &'static str,
    what: Whole,
}

/// A property of objects that is shown or kept, or what is computed of them (SH-48).
#[derive(Clone)]
pub(super) struct Wanted {
    pub label: Rc<str>,
    pub from: From,
    pub width: Option<usize>,
    pub right: Option<bool>,
    pub form: Option<Rc<str>>,
    pub descending: Option<bool>,
}

/// Where it comes from.
#[derive(Clone)]
pub(super) enum From {
    Name(Rc<str>),
    Block(Rc<ScriptBlock>),
}

impl Wanted {
    fn named(name: &str) -> Self {
        let label: Rc<str> = name.into();
        Self { label: label.clone(), from: From::Name(label), width: None, right: None, form: None, descending: None }
    }

    /// Reads `@{Name=…;Expression=…}`, a block or a name.
    fn of(value: &Value) -> Self {
        match value {
            Value::Table(table) => Self::of_table(table),
            Value::Block(block) => {
                Self { label: "Expression".into(), from: From::Block(block.clone()), ..Self::named("") }
            }
            other => Self::named(&other.text()),
        }
    }

    fn of_table(table: &Table) -> Self {
        let key = |names: &[&str]| {
            let entries = table.entries.borrow();
            let called = |key: &Value| {
                let key = key.text().to_ascii_lowercase();
                names.iter().any(|name| name.starts_with(&key) && !key.is_empty())
            };
            entries.iter().find(|(known, _)| called(known)).map(|(_, value)| value.clone())
        };
        let from = match key(&["expression"]) {
            Some(Value::Block(block)) => From::Block(block),
            Some(other) => From::Name(other.text().into()),
            None => From::Name("".into()),
        };
        let label = key(&["name", "label"]).map(|label| label.text().into());
        let label = label.unwrap_or_else(|| match &from {
            From::Name(name) => name.clone(),
            From::Block(_) => "Expression".into(),
        });
        let width = key(&["width"]).and_then(|width| match width {
            Value::Whole(width) => usize::try_from(width).ok(),
            _ => None,
        });
        let right = key(&["alignment", "align"]).map(|side| side.text().eq_ignore_ascii_case("right"));
        let form = key(&["formatstring"]).map(|form| form.text().into());
        let descending = key(&["descending"]).map(|descending| descending.truth());
        Self { label, from, width, right, form, descending }
    }

    /// Its value for an object.
    pub(super) fn value(&self, machine: &mut Machine, item: &Value) -> Run<Value> {
        match &self.from {
            From::Name(name) => Ok(crate::member::property(item, name)),
            From::Block(block) => machine.block_value(block, item),
        }
    }
}

/// What a list of names, wildcards and computed properties means for objects like `sample` (CM-73).
pub(super) fn wanted(given: &Value, sample: &Value) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for one in given.each() {
        let name = one.text();
        let is_text = matches!(one, Value::Text(_) | Value::Word(..));
        if is_text && crate::wildcard::is_pattern(&name) {
            for (known, _) in crate::display::properties(sample) {
                let new = !all.iter().any(|one| one.label.eq_ignore_ascii_case(&known));
                if new && crate::wildcard::like(&known, &name, false) {
                    all.push(Wanted::named(&known));
                }
            }
        } else {
            all.push(Wanted::of(&one));
        }
    }
    all
}

fn rows() -> impl Iterator<Item = &'static Row> {
    [objects::ROWS, output::ROWS, session::ROWS, data::ROWS, files::ROWS, help::ROWS].into_iter().flatten()
}

/// The signatures of the shell's own commands.
pub(super) fn signatures() -> Vec<Rc<Signature>> {
    let rows = rows().map(|row| (row.name, row.aliases, row.synopsis, row.parameters));
    rows.chain(objects::STREAMING)
        .map(|(name, aliases, synopsis, parameters)| signature(name, aliases, synopsis, parameters))
        .collect()
}

fn signature(name: &str, aliases: &[&str], synopsis: &str, parameters: &str) -> Rc<Signature> {
    let mut all: Vec<Parameter> = parameters.split_whitespace().map(parameter).collect();
    if !all.iter().any(|parameter| &*parameter.name == "InputObject") {
        all.push(Parameter::new("InputObject", Takes::Any, "The objects."));
    }
    Rc::new(Signature {
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        synopsis: synopsis.into(),
        parameters: all,
        ..Signature::default()
    })
}

fn parameter(text: &str) -> Parameter {
    let digits = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(0);
    let position = text[..digits].parse().ok();
    let text = &text[digits..];
    let remaining = text.ends_with('+');
    let (name, takes) = match text.chars().last() {
        Some('?') => (&text[..text.len() - 1], Takes::Switch),
        Some('#') => (&text[..text.len() - 1], Takes::Whole(i64::MIN, i64::MAX)),
        Some('{') => (&text[..text.len() - 1], Takes::Block),
        Some('*' | '+') => (&text[..text.len() - 1], Takes::Any),
        _ => (text, Takes::Text),
    };
    Parameter { name: name.into(), takes, position, remaining, ..Parameter::default() }
}

/// One of the shell's own commands, ready to run.
pub(super) fn make(name: &str, bound: Bound, number: u64, place: Extent) -> Option<Box<dyn Builtin>> {
    if let Some(streaming) = objects::streaming(name, &bound, number) {
        return Some(streaming);
    }
    let row = rows().find(|row| row.name.eq_ignore_ascii_case(name))?;
    Some(Box::new(Waiting { what: row.what, bound, items: Vec::new(), place, name: row.name }))
}
