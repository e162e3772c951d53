//! Binding: the words of a command become values of its parameters (SH-42, SH-43, CM-20…CM-29, CM-80).

use std::rc::Rc;

use crate::failure::Failure;
use crate::literal;
use crate::operator::numeric;
use crate::signature::{Parameter, Signature, Takes};
use crate::tree::Extent;
use crate::value::{Secret, Value};

/// One word of a command, evaluated.
#[derive(Clone, Debug)]
pub struct Word {
    /// The name of a parameter that stands here; its value stands behind a colon or is the next word.
    pub name: Option<Rc<str>>,
    /// A value.
    pub value: Option<Value>,
    /// How the value is written, where that is not what it says: `007`.
    pub spelling: Option<Rc<str>>,
    /// Its place.
    pub place: Extent,
}

/// Values of parameters, by the parameters' names.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    values: Vec<(Rc<str>, Value)>,
    /// Those that every command has (CM-27), with `WhatIf` and `Confirm`.
    pub common: Vec<(&'static str, Value)>,
    /// Arguments that no parameter takes.
    pub rest: Vec<Value>,
}

/// What every command takes, with short names.
const COMMON: [(&str, &str, bool); 11] = [
    ("Verbose", "vb", true),
    ("Debug", "db", true),
    ("ErrorAction", "ea", false),
    ("ErrorVariable", "ev", false),
    ("WarningAction", "wa", false),
    ("WarningVariable", "wv", false),
    ("InformationAction", "infa", false),
    ("InformationVariable", "iv", false),
    ("OutVariable", "ov", false),
    ("OutBuffer", "ob", false),
    ("PipelineVariable", "pv", false),
];
/// What every command that changes something takes.
const RISKY: [(&str, &str, bool); 2] = [("WhatIf", "wi", true), ("Confirm", "cf", true)];

impl Bound {
    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Its text; nothing when it is not given or `$null`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_null()).map(Value::text)
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(Value::truth)
    }

    /// Whether it is given at all.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A common parameter.
    #[must_use]
    pub fn common(&self, name: &str) -> Option<&Value> {
        self.common.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Everything that is given, by name.
    #[must_use]
    pub fn all(&self) -> &[(Rc<str>, Value)] {
        &self.values
    }

    /// Gives a parameter its value.
    pub fn set(&mut self, name: Rc<str>, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }
}

fn failure(id: &str, message: String, place: Extent) -> Failure {
    Failure::new("InvalidArgument", id, message).at(place).ending()
}

/// Binds the words of a command.
///
/// # Errors
/// The first word that does not fit; binding errors stop the command (CM-82).
pub fn bind(signature: &Signature, words: Vec<Word>) -> Result<Bound, Failure> {
    let mut bound = Bound::default();
    let mut positional: Vec<Word> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.name.clone() else {
            positional.push(word);
            continue;
        };
        let found = find(signature, &name, word.place)?;
        let is_switch = match &found {
            Found::Own(parameter) => parameter.takes == Takes::Switch,
            Found::Common(_, switch) => *switch,
        };
        let value = match (word.value, is_switch) {
            (Some(value), _) => (value, word.spelling, word.place),
            (None, true) => (Value::Bool(true), None, word.place),
            (None, false) => match words.next_if(|next| next.name.is_none()) {
                Some(Word { value: Some(value), spelling, place, .. }) => (value, spelling, place),
                _ => {
                    let (parameter, of) = match &found {
                        Found::Own(parameter) => (parameter.name.to_string(), parameter.takes.name()),
                        Found::Common(name, _) => ((*name).to_owned(), "String".into()),
                    };
                    let message = format!(
                        "Missing an argument for parameter '{parameter}'. Specify a parameter of type 'System.{of}' and try again."
                    );
                    return Err(failure("MissingArgument", message, word.place));
                }
            },
        };
        match found {
            Found::Own(parameter) => {
                if bound.has(&parameter.name) {
                    return Err(twice(&parameter.name, word.place));
                }
                let converted = convert(parameter, &value.0, value.1.as_deref(), value.2)?;
                bound.set(parameter.name.clone(), converted);
            }
            Found::Common(name, _) if bound.common(name).is_some() => return Err(twice(name, word.place)),
            Found::Common(name, _) => bound.common.push((name, value.0)),
        }
    }
    place_arguments(signature, positional, &mut bound)?;
    Ok(bound)
}

fn twice(name: &str, place: Extent) -> Failure {
    let message = format!(
        "Cannot bind parameter because parameter '{name}' is specified more than once. To provide multiple values to parameters \
         that can accept multiple values, use the array syntax. For example, \"-parameter value1,value2,value3\"."
    );
    failure("ParameterAlreadyBound", message, place)
}

enum Found<'a> {
    Own(&'a Parameter),
    Common(&'static str, bool),
}

/// The parameter of a name or of the beginning of one (SH-43, CM-23).
fn find<'a>(signature: &'a Signature, name: &str, place: Extent) -> Result<Found<'a>, Failure> {
    let risky: &[(&'static str, &'static str, bool)] = if signature.changes { &RISKY } else { &[] };
    let common = || COMMON.iter().chain(risky);
    if let Some(parameter) = signature.parameter(name) {
        return match &parameter.retired {
            None => Ok(Found::Own(parameter)),
            Some(why) if parameter.absent => {
                let message =
                    format!("The parameter '{}' of {} is not available yet: {why}.", parameter.name, signature.name);
                Err(Failure::new("NotImplemented", "ParameterNotAvailableYet", message).at(place).ending())
            }
            // SC-125…SC-127: by its name, with what is done today.
            Some(today) => Err(not_found(name, place).by("V-23").advise(today.to_string())),
        };
    }
    if let Some((known, _, switch)) =
        common().find(|(known, short, _)| known.eq_ignore_ascii_case(name) || short.eq_ignore_ascii_case(name))
    {
        return Ok(Found::Common(known, *switch));
    }
    let begins = |known: &str| known.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let own: Vec<&Parameter> = signature
        .parameters
        .iter()
        .filter(|parameter| parameter.retired.is_none())
        .filter(|parameter| begins(&parameter.name) || parameter.aliases.iter().any(|alias| begins(alias)))
        .collect();
    let shared: Vec<_> = common().filter(|(known, ..)| begins(known)).collect();
    match (&own[..], &shared[..]) {
        ([one], []) => Ok(Found::Own(one)),
        ([], [(known, _, switch)]) => Ok(Found::Common(known, *switch)),
        ([], []) => Err(not_found(name, place)),
        _ => {
            let names = own.iter().map(|parameter| &*parameter.name).chain(shared.iter().map(|(known, ..)| *known));
            let names: String = names.map(|known| format!(" -{known}")).collect();
            let message = format!(
                "Parameter cannot be processed because the parameter name '{name}' is ambiguous. Possible matches include:{names}."
            );
            Err(failure("AmbiguousParameter", message, place))
        }
    }
}

fn not_found(name: &str, place: Extent) -> Failure {
    let message = format!("A parameter cannot be found that matches parameter name '{name}'.");
    failure("NamedParameterNotFound", message, place)
}

/// Arguments without names go to the parameters of their places that are not given yet.
fn place_arguments(signature: &Signature, arguments: Vec<Word>, bound: &mut Bound) -> Result<(), Failure> {
    let mut free: Vec<&Parameter> = signature
        .parameters
        .iter()
        .filter(|parameter| parameter.position.is_some() && !bound.has(&parameter.name))
        .collect();
    free.sort_by_key(|parameter| parameter.position);
    let mut free = free.into_iter().peekable();
    for word in arguments {
        let value = word.value.unwrap_or_default();
        match free.peek() {
            Some(parameter) if parameter.remaining => {
                let parameter = *parameter;
                let mut all = bound.get(&parameter.name).map(Value::each).unwrap_or_default();
                all.push(value);
                bound.set(parameter.name.clone(), Value::list(all));
            }
            Some(parameter) => {
                let converted = convert(parameter, &value, word.spelling.as_deref(), word.place)?;
                bound.set(parameter.name.clone(), converted);
                free.next();
            }
            None => {
                let shown = word.spelling.map_or_else(|| value.text(), |spelling| spelling.to_string());
                let message = format!("A positional parameter cannot be found that accepts argument '{shown}'.");
                return Err(failure("PositionalParameterNotFound", message, word.place));
            }
        }
    }
    Ok(())
}

/// Binds an object of the pipeline to what is not given yet; whether anything took it.
///
/// # Errors
/// A value that the parameter does not take.
pub fn bind_input(signature: &Signature, bound: &mut Bound, input: &Value, place: Extent) -> Result<bool, Failure> {
    let free = |parameter: &&Parameter| !bound.has(&parameter.name) && fits_sets(signature, bound, parameter);
    let candidates: Vec<&Parameter> = signature.parameters.iter().filter(free).collect();
    let by_value: Vec<&&Parameter> = candidates.iter().filter(|parameter| parameter.from_pipeline).collect();
    let of = match input {
        Value::Object(object) => &object.of,
        _ => "",
    };
    let exact = by_value.iter().find(|parameter| {
        parameter.accepts.iter().any(|accepted| accepted.eq_ignore_ascii_case(of))
            || (of.is_empty() && parameter.takes == Takes::Any)
    });
    if let Some(parameter) = exact {
        bound.set(parameter.name.clone(), convert(parameter, input, None, place)?);
        return Ok(true);
    }
    let mut taken = false;
    if let Value::Object(object) = input {
        for parameter in candidates.iter().filter(|parameter| parameter.from_property) {
            let names = std::iter::once(&parameter.name).chain(&parameter.aliases);
            let found = names.filter_map(|name| object.get(name)).find(|value| !value.is_null());
            if let Some(value) = found
                && fits_sets(signature, bound, parameter)
            {
                bound.set(parameter.name.clone(), convert(parameter, &value, None, place)?);
                taken = true;
            }
        }
    }
    if taken {
        return Ok(true);
    }
    match by_value.first() {
        Some(parameter) => {
            bound.set(parameter.name.clone(), convert(parameter, input, None, place)?);
            Ok(true)
        }
        None => Ok(false),
    }
}

/// Whether a parameter can still be given beside those that are.
fn fits_sets(signature: &Signature, bound: &Bound, parameter: &Parameter) -> bool {
    if parameter.sets.is_empty() {
        return true;
    }
    let given = signature.parameters.iter().filter(|one| bound.has(&one.name) && !one.sets.is_empty());
    let mut possible: Vec<&Rc<str>> = parameter.sets.iter().collect();
    for one in given {
        possible.retain(|set| one.sets.contains(set));
    }
    !possible.is_empty()
}

/// Checks what is given together (CM-24): the names of parameters that must still be given.
///
/// # Errors
/// Parameters that exclude each other.
pub fn missing(signature: &Signature, bound: &Bound, place: Extent) -> Result<Vec<Rc<str>>, Failure> {
    let mut sets: Vec<Rc<str>> = Vec::new();
    for set in signature.parameters.iter().flat_map(|parameter| &parameter.sets) {
        if !sets.contains(set) {
            sets.push(set.clone());
        }
    }
    let in_set = |parameter: &Parameter, set: &Rc<str>| parameter.sets.is_empty() || parameter.sets.contains(set);
    let given: Vec<&Parameter> = signature.parameters.iter().filter(|parameter| bound.has(&parameter.name)).collect();
    let lacks = |set: Option<&Rc<str>>| {
        let wanted = |parameter: &&Parameter| {
            parameter.mandatory
                && !bound.has(&parameter.name)
                && set.map_or(parameter.sets.is_empty(), |set| in_set(parameter, set))
        };
        signature.parameters.iter().filter(wanted).map(|parameter| parameter.name.clone()).collect::<Vec<_>>()
    };
    if sets.is_empty() {
        return Ok(lacks(None));
    }
    let possible: Vec<&Rc<str>> =
        sets.iter().filter(|set| given.iter().all(|parameter| in_set(parameter, set))).collect();
    if possible.is_empty() {
        let message = "Parameter set cannot be resolved using the specified named parameters.".to_owned();
        return Err(failure("AmbiguousParameterSet", message, place).advise(exclusive(&given)));
    }
    Ok(possible.iter().map(|set| lacks(Some(set))).min_by_key(Vec::len).unwrap_or_default())
}

fn exclusive(given: &[&Parameter]) -> String {
    let names: Vec<String> = given
        .iter()
        .filter(|parameter| !parameter.sets.is_empty())
        .map(|parameter| format!("-{}", parameter.name))
        .collect();
    format!("give only one of {}", names.join(", "))
}

/// A value as the parameter takes it.
///
/// # Errors
/// `Cannot process argument transformation on parameter 'X'. …` (CM-80)
pub fn convert(parameter: &Parameter, value: &Value, spelling: Option<&str>, place: Extent) -> Result<Value, Failure> {
    let refused = |why: String| {
        let message = format!("Cannot process argument transformation on parameter '{}'. {why}", parameter.name);
        failure("ParameterArgumentTransformationError", message, place).about(&*parameter.name)
    };
    if value.is_null() && !matches!(parameter.takes, Takes::Bool | Takes::Switch | Takes::Whole(..)) {
        return Ok(Value::Null);
    }
    let said = || spelling.map_or_else(|| value.text(), str::to_owned);
    transformed(&parameter.takes, value, &said).map_err(refused)
}

fn transformed(takes: &Takes, value: &Value, said: &dyn Fn() -> String) -> Result<Value, String> {
    match takes {
        Takes::Any => Ok(value.clone()),
        Takes::Text => match value {
            Value::List(items) if items.borrow().len() != 1 => Err(format!(
                "Cannot convert value to type System.String: it is a list of {} values.",
                items.borrow().len()
            )),
            _ => Ok(Value::of(said())),
        },
        Takes::Switch | Takes::Bool => truth(value),
        Takes::Whole(least, most) => {
            let whole = match numeric(value) {
                Some(Value::Whole(whole)) if !value.is_null() => whole,
                _ => {
                    return Err(format!(
                        "Cannot convert value \"{}\" to type \"System.Int32\". Write a whole number.",
                        said()
                    ));
                }
            };
            if (*least..=*most).contains(&whole) {
                Ok(Value::Whole(whole))
            } else {
                Err(format!("The value {whole} is not from {least} to {most}."))
            }
        }
        Takes::List => Ok(value.clone()),
        Takes::Word(of, values) => {
            let words = of_words(of, values, value)?;
            if words.len() == 1 {
                Ok(Value::Word(of.clone(), words[0].clone()))
            } else {
                Err("Give one value.".to_owned())
            }
        }
        Takes::Words(of, values) => Ok(Value::Word(of.clone(), of_words(of, values, value)?.join(", ").into())),
        Takes::Date => match value {
            Value::Date(_) => Ok(value.clone()),
            _ => literal::date(&said())
                .map(Value::Date)
                .ok_or_else(|| format!("\"{}\" is not a date such as \"3/28/2015 8:00AM\".", said())),
        },
        Takes::Span => match value {
            Value::Span(_) => Ok(value.clone()),
            _ => literal::span(&said())
                .map(Value::Span)
                .ok_or_else(|| format!("\"{}\" is not a time span such as 00:10:00 or 1.00:00:00.", said())),
        },
        Takes::Size => match value {
            Value::Size(_) => Ok(value.clone()),
            _ => literal::size(&said())
                .map(Value::Size)
                .ok_or_else(|| format!("\"{}\" is not a size such as 35MB or 1.5GB.", said())),
        },
        Takes::Limit(inner) => match value {
            Value::Limit(_) => Ok(value.clone()),
            _ if said().eq_ignore_ascii_case("unlimited") => Ok(Value::Limit(None)),
            _ => transformed(inner, value, said).map(|inner| Value::Limit(Some(Rc::new(inner)))),
        },
        _ => object(takes, value),
    }
}

/// What is no text: blocks, credentials, secrets, octets.
fn object(takes: &Takes, value: &Value) -> Result<Value, String> {
    match takes {
        Takes::Block => match value {
            Value::Block(_) => Ok(value.clone()),
            _ => Err("Write a script block: { … }.".to_owned()),
        },
        Takes::Credential => match value {
            Value::Object(object) if &*object.of == crate::cast::CREDENTIAL => Ok(value.clone()),
            _ => Err("Give a credential: (Get-Credential), or a variable that holds one.".to_owned()),
        },
        Takes::Secret => match value {
            Value::Secret(_) => Ok(value.clone()),
            Value::Text(text) if text.is_empty() => Ok(Value::Secret(Secret(text.clone()))),
            _ => Err("Give a secure string: (ConvertTo-SecureString … -AsPlainText -Force).".to_owned()),
        },
        Takes::Octets => crate::cast::cast("byte[]", value, Extent::default()).map_err(|failure| failure.message),
        _ => Ok(value.clone()),
    }
}

/// Only `$true` and `$false`, and 1 and 0; a text never (SC-143, SH-55).
fn truth(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::Whole(0) => Ok(Value::Bool(false)),
        Value::Whole(1) => Ok(Value::Bool(true)),
        Value::List(items) if items.borrow().len() == 1 => truth(&items.borrow()[0]),
        other => Err(format!(
            "Cannot convert value \"{}\" to type \"System.Boolean\". Boolean parameters accept only Boolean values and numbers, such \
             as $True, $False, 1 or 0 instead. A text from a file is neither: compare it, as in ($_.Enabled -eq 'True').",
            other.text()
        )),
    }
}

/// Words of a set, by name or by an unambiguous beginning (SC-144); several in one text are separated by commas (CM-25).
fn of_words(of: &str, known: &[Rc<str>], value: &Value) -> Result<Vec<Rc<str>>, String> {
    let mut words = Vec::new();
    let texts: Vec<String> = value.each().iter().map(Value::text).collect();
    for text in texts.iter().flat_map(|text| text.split(',')).map(str::trim) {
        let begins = |word: &Rc<str>| word.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        let exact = known.iter().find(|word| word.eq_ignore_ascii_case(text));
        let mut beginning = known.iter().filter(|word| !text.is_empty() && begins(word));
        let found = exact.or_else(|| beginning.next().filter(|_| beginning.next().is_none()));
        match found {
            Some(word) if words.contains(word) => {}
            Some(word) => words.push(word.clone()),
            None => {
                return Err(format!(
                    "Cannot convert value \"{text}\" to type \"{of}\". Specify one of the following enumerator names and try again: {}",
                    known.join(", ")
                ));
            }
        }
    }
    Ok(words)
}
