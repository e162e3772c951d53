//! Commands on objects: choosing, going through, sorting, grouping, counting (SH-45…SH-50).

use std::rc::Rc;

use super::{Builtin, Row, Wanted, wanted};
use crate::binder::Bound;
use crate::failure::Failure;
use crate::machine::{Machine, Run, Sink, Stop};
use crate::member::{call, own_property, property};
use crate::operator::{compare, equal, numeric, order, regex_of};
use crate::parser::comparison;
use crate::tree::{Compare, Extent, ScriptBlock};
use crate::value::{Object, Value};

/// Commands that pass objects on as they come: name, other names, synopsis, parameters.
pub(super) const STREAMING: [(&str, &[&str], &str, &str); 4] = [
    (
        "Where-Object",
        &["where", "?"],
        "Passes on the objects for which a condition holds.",
        "0FilterOrProperty* 1Value* Property FilterScript{ EQ* NE* GT* GE* LT* LE* Like* NotLike* Match* NotMatch* Contains* NotContains* \
         In* NotIn* CEQ* CLike* CMatch* Not?",
    ),
    (
        "ForEach-Object",
        &["foreach", "%"],
        "Does something with each object.",
        "0Process* 1Arguments+ Begin{ End{ MemberName",
    ),
    (
        "Select-Object",
        &["select"],
        "Keeps some properties, or some of the objects.",
        "0Property* First# Last# Skip# Index* Unique? ExpandProperty ExcludeProperty*",
    ),
    ("Write-Output", &["write", "echo"], "Passes on what it is given.", "0Value+ NoEnumerate?"),
];

/// Commands that wait for all objects.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "Sort-Object",
        aliases: &["sort"],
        synopsis: "Sorts objects by properties.",
        parameters: "0Property* Descending? Unique? CaseSensitive?",
        what: sort,
    },
    Row {
        name: "Group-Object",
        aliases: &["group"],
        synopsis: "Groups objects by a property.",
        parameters: "0Property* NoElement? AsHashTable?",
        what: group,
    },
    Row {
        name: "Measure-Object",
        aliases: &["measure"],
        synopsis: "Counts objects; adds up a property.",
        parameters: "0Property Sum? Average? Maximum? Minimum?",
        what: measure,
    },
    Row {
        name: "Compare-Object",
        aliases: &["compare", "diff"],
        synopsis: "Says what is on one side only.",
        parameters: "0ReferenceObject* 1DifferenceObject* Property* IncludeEqual?",
        what: compare_objects,
    },
    Row {
        name: "Get-Unique",
        aliases: &["gu"],
        synopsis: "Drops objects that are as the one before.",
        parameters: "AsString?",
        what: unique,
    },
    Row {
        name: "Tee-Object",
        aliases: &["tee"],
        synopsis: "Keeps objects in a variable, and passes them on.",
        parameters: "0FilePath Variable",
        what: tee,
    },
    Row {
        name: "Select-String",
        aliases: &["sls"],
        synopsis: "Finds texts by a regular expression.",
        parameters: "0Pattern SimpleMatch? CaseSensitive? NotMatch?",
        what: select_string,
    },
];

/// One of the commands that pass objects on as they come.
pub(super) fn streaming(name: &str, bound: &Bound, number: u64) -> Option<Box<dyn Builtin>> {
    Some(match name {
        "Where-Object" => Box::new(Where { condition: condition(bound) }),
        "ForEach-Object" => Box::new(ForEach { bound: bound.clone(), begun: false }),
        "Select-Object" => Box::new(Select {
            bound: bound.clone(),
            number,
            properties: None,
            seen: 0,
            given: 0,
            unique: Vec::new(),
            last: Vec::new(),
        }),
        "Write-Output" => Box::new(Write { bound: bound.clone() }),
        _ => return None,
    })
}

enum Condition {
    Block(Rc<ScriptBlock>),
    /// `where P -op value` (SH-45); without an operator whether it is true.
    Property(Rc<str>, Option<(Compare, bool)>, Value, bool),
    Wrong,
}

fn condition(bound: &Bound) -> Condition {
    if let Some(Value::Block(block)) = bound.get("FilterScript").or_else(|| bound.get("FilterOrProperty")) {
        return Condition::Block(block.clone());
    }
    let Some(name) = bound.text("Property").or_else(|| bound.text("FilterOrProperty")) else { return Condition::Wrong };
    let named = bound.all().iter().find_map(|(known, value)| Some((comparison(known)?, value.clone())));
    let not = bound.is_on("Not");
    match named {
        Some((operator, value)) => Condition::Property(name.into(), Some(operator), value, not),
        None => Condition::Property(name.into(), None, Value::Null, not),
    }
}

struct Where {
    condition: Condition,
}

impl Builtin for Where {
    fn process(&mut self, machine: &mut Machine, item: Value, next: &mut dyn Sink) -> Run<()> {
        let holds = match &self.condition {
            Condition::Block(block) => machine.block_value(block, &item)?.truth(),
            Condition::Property(name, None, _, not) => property(&item, name).truth() != *not,
            Condition::Property(name, Some((operator, case)), value, not) => {
                let found = compare(*operator, *case, &property(&item, name), value, Extent::default())?;
                found.0.truth() != *not
            }
            Condition::Wrong => {
                let message =
                    "Where-Object takes a script block, or a property with an operator: where Name -like 'x*'.";
                return Err(Failure::new("InvalidArgument", "NoCondition", message).ending().into());
            }
        };
        if holds { next.push(machine, item) } else { Ok(()) }
    }

    fn end(&mut self, _: &mut Machine, _: &mut dyn Sink) -> Run<()> {
        Ok(())
    }
}

struct ForEach {
    bound: Bound,
    begun: bool,
}

impl ForEach {
    fn begin(&mut self, machine: &mut Machine, next: &mut dyn Sink) -> Run<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match self.bound.get("Begin").cloned() {
            Some(Value::Block(block)) => machine.run_block(&block, Value::Null, next),
            _ => Ok(()),
        }
    }
}

impl Builtin for ForEach {
    fn process(&mut self, machine: &mut Machine, item: Value, next: &mut dyn Sink) -> Run<()> {
        self.begin(machine, next)?;
        let member = self.bound.text("MemberName");
        match (self.bound.get("Process").cloned(), member) {
            (Some(Value::Block(block)), _) => machine.run_block(&block, item, next),
            (Some(name), None) => {
                let name = name.text();
                let arguments = self.bound.get("Arguments").map(Value::each).unwrap_or_default();
                let value = match own_property(&item, &name) {
                    Some(value) if arguments.is_empty() => value,
                    _ if !arguments.is_empty() => call(&item, &name, &arguments, Extent::default())?,
                    _ => call(&item, &name, &[], Extent::default()).unwrap_or_default(),
                };
                push_each(machine, &value, next)
            }
            (_, Some(name)) => push_each(machine, &property(&item, &name), next),
            (None, None) => Ok(()),
        }
    }

    fn end(&mut self, machine: &mut Machine, next: &mut dyn Sink) -> Run<()> {
        self.begin(machine, next)?;
        match self.bound.get("End").cloned() {
            Some(Value::Block(block)) => machine.run_block(&block, Value::Null, next),
            _ => Ok(()),
        }
    }
}

fn push_each(machine: &mut Machine, value: &Value, next: &mut dyn Sink) -> Run<()> {
    value.each().into_iter().try_for_each(|one| next.push(machine, one))
}

struct Write {
    bound: Bound,
}

impl Builtin for Write {
    fn process(&mut self, machine: &mut Machine, item: Value, next: &mut dyn Sink) -> Run<()> {
        next.push(machine, item)
    }

    fn end(&mut self, machine: &mut Machine, next: &mut dyn Sink) -> Run<()> {
        let whole = self.bound.is_on("NoEnumerate");
        for value in self.bound.get("Value").map(Value::each).unwrap_or_default() {
            if whole {
                next.push(machine, value)?;
            } else {
                push_each(machine, &value, next)?;
            }
        }
        Ok(())
    }
}

struct Select {
    bound: Bound,
    number: u64,
    properties: Option<Vec<Wanted>>,
    seen: usize,
    given: usize,
    unique: Vec<Value>,
    last: Vec<Value>,
}

impl Select {
    fn count(&self, name: &str) -> Option<usize> {
        match self.bound.get(name) {
            Some(Value::Whole(count)) => Some(usize::try_from(*count).unwrap_or(0)),
            _ => None,
        }
    }

    fn shaped(&mut self, machine: &mut Machine, item: &Value) -> Run<Vec<Value>> {
        if let Some(name) = self.bound.text("ExpandProperty") {
            return match own_property(item, &name) {
                Some(value) => Ok(value.each()),
                None => {
                    let message = format!("Property \"{name}\" cannot be found.");
                    Err(Failure::new("InvalidArgument", "ExpandPropertyNotFound", message).into())
                }
            };
        }
        let excluded: Vec<String> =
            self.bound.get("ExcludeProperty").map(Value::each).unwrap_or_default().iter().map(Value::text).collect();
        let given = match self.bound.get("Property") {
            Some(given) => given.clone(),
            None if excluded.is_empty() => return Ok(vec![item.clone()]),
            None => Value::of("*"),
        };
        if self.properties.is_none() {
            self.properties = Some(wanted(&given, item));
        }
        let mut properties: Vec<(Rc<str>, Value)> = Vec::new();
        for one in self.properties.clone().unwrap_or_default() {
            if excluded.iter().any(|name| crate::wildcard::like(&one.label, name, false)) {
                continue;
            }
            if properties.iter().any(|(known, _)| known.eq_ignore_ascii_case(&one.label)) {
                let message =
                    format!("The property cannot be processed because the property \"{}\" already exists.", one.label);
                return Err(Failure::new("InvalidOperation", "AlreadyExistingUserSpecifiedProperty", message).into());
            }
            let value = one.value(machine, item)?;
            properties.push((one.label.clone(), value));
        }
        Ok(vec![Value::Object(Object::new("", None, properties))])
    }
}

impl Builtin for Select {
    fn process(&mut self, machine: &mut Machine, item: Value, next: &mut dyn Sink) -> Run<()> {
        let at = self.seen;
        self.seen += 1;
        if at < self.count("Skip").unwrap_or(0) {
            return Ok(());
        }
        if let Some(wanted) = self.bound.get("Index")
            && !wanted.each().iter().any(|one| equal(one, &Value::count(at), false))
        {
            return Ok(());
        }
        let first = self.count("First");
        if first == Some(0) {
            return Err(Stop::Enough(self.number));
        }
        let shaped = match self.shaped(machine, &item) {
            Err(Stop::Fail(failure)) => return machine.failed_in(*failure, &self.bound, "Select-Object"),
            other => other?,
        };
        for value in shaped {
            if self.bound.is_on("Unique") {
                let same = |known: &Value| known.text() == value.text();
                if self.unique.iter().any(same) {
                    continue;
                }
                self.unique.push(value.clone());
            }
            if let Some(last) = self.count("Last") {
                self.last.push(value);
                if self.last.len() > last {
                    self.last.remove(0);
                }
                continue;
            }
            next.push(machine, value)?;
        }
        self.given += 1;
        if first.is_some_and(|first| self.given >= first) { Err(Stop::Enough(self.number)) } else { Ok(()) }
    }

    fn end(&mut self, machine: &mut Machine, next: &mut dyn Sink) -> Run<()> {
        std::mem::take(&mut self.last).into_iter().try_for_each(|value| next.push(machine, value))
    }
}

fn all(machine: &mut Machine, values: Vec<Value>, next: &mut dyn Sink) -> Run<()> {
    values.into_iter().try_for_each(|value| next.push(machine, value))
}

/// Sorts by keys; what is equal stays in its order (SH-49).
fn sort(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let descending = bound.is_on("Descending");
    let case = bound.is_on("CaseSensitive");
    let sample = items.first().cloned().unwrap_or_default();
    let keys = bound.get("Property").map(|given| wanted(given, &sample)).unwrap_or_default();
    let mut keyed: Vec<(Vec<Value>, Value)> = Vec::new();
    for item in items {
        let mut values = Vec::new();
        for key in &keys {
            values.push(key.value(machine, item)?);
        }
        if keys.is_empty() {
            values.push(item.clone());
        }
        keyed.push((values, item.clone()));
    }
    let by = |one: &(Vec<Value>, Value), other: &(Vec<Value>, Value)| {
        let pairs = one.0.iter().zip(&other.0).enumerate();
        let orders = pairs.map(|(at, (left, right))| {
            let order = sorted(left, right, case);
            let down = keys.get(at).and_then(|key| key.descending).unwrap_or(descending);
            if down { order.reverse() } else { order }
        });
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    };
    keyed.sort_by(by);
    if bound.is_on("Unique") {
        keyed.dedup_by(|one, other| by(one, other).is_eq());
    }
    all(machine, keyed.into_iter().map(|(_, item)| item).collect(), next)
}

fn sorted(left: &Value, right: &Value, case: bool) -> std::cmp::Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        _ => order(left, right, case).unwrap_or_else(|| crate::operator::by_culture(&left.text(), &right.text(), case)),
    }
}

/// Groups in the order in which they come.
fn group(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let sample = items.first().cloned().unwrap_or_default();
    let keys = bound.get("Property").map(|given| wanted(given, &sample)).unwrap_or_default();
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for item in items {
        let mut names = Vec::new();
        for key in &keys {
            names.push(key.value(machine, item)?.text());
        }
        let name = if keys.is_empty() { item.text() } else { names.join(", ") };
        match groups.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, members)) => members.push(item.clone()),
            None => groups.push((name, vec![item.clone()])),
        }
    }
    if bound.is_on("AsHashTable") {
        let table = crate::value::Table::default();
        groups.into_iter().for_each(|(name, members)| table.set(Value::of(name), Value::list(members)));
        return next.push(machine, Value::Table(Rc::new(table)));
    }
    let of_group = |(name, members): (String, Vec<Value>)| {
        let mut properties = vec![("Count".into(), Value::count(members.len())), ("Name".into(), Value::of(name))];
        if !bound.is_on("NoElement") {
            properties.push(("Group".into(), Value::list(members)));
        }
        Value::Object(Object::new("Microsoft.PowerShell.Commands.GroupInfo", None, properties))
    };
    all(machine, groups.into_iter().map(of_group).collect(), next)
}

fn measure(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let name = bound.text("Property");
    let values: Vec<Value> = match &name {
        Some(name) => items.iter().map(|item| property(item, name)).filter(|value| !value.is_null()).collect(),
        None => items.to_vec(),
    };
    let numbers = || values.iter().filter_map(numeric).filter_map(|value| value.number());
    let sum: f64 = numbers().sum();
    let count = values.len();
    let shown = |value: f64| crate::cast::guessed(&crate::value::real_text(value));
    let when =
        |name: &str, value: Option<f64>| if bound.is_on(name) { value.map_or(Value::Null, shown) } else { Value::Null };
    #[expect(clippy::cast_precision_loss, reason = "an average is a real number")]
    let average = (count > 0).then(|| sum / count as f64);
    let properties = vec![
        ("Count".into(), Value::count(count)),
        ("Average".into(), when("Average", average)),
        ("Sum".into(), when("Sum", Some(sum))),
        ("Maximum".into(), when("Maximum", numbers().reduce(f64::max))),
        ("Minimum".into(), when("Minimum", numbers().reduce(f64::min))),
        ("Property".into(), name.map_or(Value::Null, Value::of)),
    ];
    next.push(machine, Value::Object(Object::new("Microsoft.PowerShell.Commands.GenericMeasureInfo", None, properties)))
}

fn compare_objects(machine: &mut Machine, bound: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let left = bound.get("ReferenceObject").map(Value::each).unwrap_or_default();
    let right = bound.get("DifferenceObject").map_or_else(|| items.to_vec(), Value::each);
    let keys: Vec<String> =
        bound.get("Property").map(Value::each).unwrap_or_default().iter().map(Value::text).collect();
    let key = |value: &Value| match keys.is_empty() {
        true => value.text().to_lowercase(),
        false => keys.iter().map(|name| property(value, name).text().to_lowercase()).collect::<Vec<_>>().join("\u{1}"),
    };
    let has = |side: &[Value], value: &Value| side.iter().any(|other| key(other) == key(value));
    let row = |value: &Value, side: &str| {
        let mut properties: Vec<(Rc<str>, Value)> = match keys.is_empty() {
            true => vec![("InputObject".into(), value.clone())],
            false => keys.iter().map(|name| (name.as_str().into(), property(value, name))).collect(),
        };
        properties.push(("SideIndicator".into(), Value::of(side)));
        Value::Object(Object::new("", None, properties))
    };
    let mut rows = Vec::new();
    if bound.is_on("IncludeEqual") {
        rows.extend(left.iter().filter(|value| has(&right, value)).map(|value| row(value, "==")));
    }
    rows.extend(right.iter().filter(|value| !has(&left, value)).map(|value| row(value, "=>")));
    rows.extend(left.iter().filter(|value| !has(&right, value)).map(|value| row(value, "<=")));
    all(machine, rows, next)
}

fn unique(machine: &mut Machine, _: &Bound, items: &[Value], _: Extent, next: &mut dyn Sink) -> Run<()> {
    let mut items = items.to_vec();
    items.dedup_by(|one, other| equal(one, other, true));
    all(machine, items, next)
}

fn tee(machine: &mut Machine, bound: &Bound, items: &[Value], place: Extent, next: &mut dyn Sink) -> Run<()> {
    if let Some(name) = bound.text("Variable") {
        machine.set(&name.to_ascii_lowercase(), Value::unrolled(items.to_vec()));
    }
    if let Some(path) = bound.text("FilePath") {
        let text = super::output::as_shown(machine, items);
        let saved = machine.console.save(&path, text.as_bytes(), false);
        saved.map_err(|why| Failure::of_language("FileOpenFailure", why, place))?;
    }
    all(machine, items.to_vec(), next)
}

fn select_string(machine: &mut Machine, bound: &Bound, items: &[Value], place: Extent, next: &mut dyn Sink) -> Run<()> {
    let pattern = bound.text("Pattern").unwrap_or_default();
    let case = bound.is_on("CaseSensitive");
    let pattern = if bound.is_on("SimpleMatch") { regex::escape(&pattern) } else { pattern };
    let regex = regex_of(&pattern, case, place)?;
    for item in items {
        let text = item.text();
        for line in text.lines().filter(|line| regex.is_match(line) != bound.is_on("NotMatch")) {
            next.push(machine, Value::of(line))?;
        }
    }
    Ok(())
}
