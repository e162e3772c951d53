//! Commands: what a name means, its words as values, functions and scripts (SH-11, SH-44, SH-59).

use std::collections::HashMap;
use std::rc::Rc;

use super::builtin;
use super::pipeline::{Function, Library, Running};
use super::{CALLS_MAX, Machine, Run, Sink, Stop};
use crate::binder::{Bound, Word, bind, bind_input, missing};
use crate::cast::cast;
use crate::console::ToAll;
use crate::failure::Failure;
use crate::parser::parse;
use crate::signature::{Parameter, Signature, Takes};
use crate::tree::{BlockParameter, Command, Element, Expression, ExpressionKind, Extent, ScriptBlock};
use crate::value::Value;

impl Machine {
    /// Whether a word is the name of anything that runs.
    pub(super) fn knows(&self, word: &str) -> bool {
        let lower = word.to_ascii_lowercase();
        self.functions.contains_key(&lower)
            || self.catalogue.contains_key(&lower)
            || self.catalogue.contains_key(&format!("get-{lower}"))
    }

    /// A command with its words bound, ready to take objects.
    pub(super) fn prepared(&mut self, command: &Command, number: u64) -> Run<Running> {
        let place = command.span;
        let name = match &command.name.kind {
            ExpressionKind::Word(word) => word.to_string(),
            _ => {
                let target = self.expression(&command.name)?;
                if let Value::Block(block) = target {
                    return self.block(block, command);
                }
                target.text()
            }
        };
        let lower = name.to_ascii_lowercase();
        if let Some((body, known)) = self.functions.get(&lower).cloned() {
            let signature = Rc::new(signature_of(&known, &body));
            let bound = self.bound(&signature, &command.elements, place)?;
            return Ok(Running::Function(Function {
                body,
                name: known,
                signature,
                bound,
                input: Vec::new(),
                place,
                script: None,
                begun: false,
                dotted: false,
            }));
        }
        if lower.ends_with(".ps1") {
            return self.script_file(&name, command);
        }
        let signature = self.signature(&lower).or_else(|| self.signature(&format!("get-{lower}")));
        let Some(signature) = signature else {
            return Err(self.not_recognized(&name, command.name.span).into());
        };
        if let Some(why) = &signature.absent {
            // Whatever is said to it.
            let message = format!("{} is not available yet: {why}", signature.name);
            return Err(Failure::new("NotImplemented", "NotAvailableYet", message).at(place).ending().into());
        }
        let bound = self.bound(&signature, &command.elements, place)?;
        if let Some(builtin) = builtin::make(&signature.name, bound.clone(), number, place) {
            return Ok(Running::Own(builtin));
        }
        Ok(Running::Library(Library { signature, bound, place, to_all: ToAll::default() }))
    }

    fn not_recognized(&self, name: &str, place: Extent) -> Failure {
        let message = format!(
            "The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. Check the spelling \
             of the name, or if a path was included, verify that the path is correct and try again."
        );
        let failure =
            Failure::new("ObjectNotFound", "CommandNotFoundException", message).about(name).at(place).ending();
        let (verb, noun) = name.split_once('-').unwrap_or(("", name));
        let near = self.signatures().into_iter().find(|known| {
            let (other_verb, other) = known.name.split_once('-').unwrap_or_default();
            let same_noun = other.eq_ignore_ascii_case(noun) || other.eq_ignore_ascii_case(noun.trim_end_matches('s'));
            same_noun && !(other_verb.eq_ignore_ascii_case(verb) && other.eq_ignore_ascii_case(noun))
        });
        match near {
            Some(known) => failure.advise(format!("{}; Get-Command lists all", known.name)),
            None => failure.advise("Get-Command lists what there is"),
        }
    }

    /// `& {…}`
    fn block(&mut self, body: Rc<ScriptBlock>, command: &Command) -> Run<Running> {
        let signature = Rc::new(signature_of("", &body));
        let bound = self.bound(&signature, &command.elements, command.span)?;
        let (input, place) = (Vec::new(), command.span);
        let dotted = command.operator == Some('.');
        let name: Rc<str> = "".into();
        Ok(Running::Function(Function {
            body,
            name,
            signature,
            bound,
            input,
            place,
            script: None,
            begun: false,
            dotted,
        }))
    }

    /// `.\Name.ps1` (CM-38)
    fn script_file(&mut self, name: &str, command: &Command) -> Run<Running> {
        let path = name.replace('\\', "/");
        let octets = self.console.read(&path).map_err(|why| {
            let failure = self.not_recognized(name, command.name.span);
            Stop::from(Failure { advice: Some(why), ..failure })
        })?;
        let text: Rc<str> = String::from_utf8_lossy(&octets).trim_start_matches('\u{feff}').into();
        let body = match parse(&text) {
            Ok(body) => Rc::new(body),
            Err(error) => {
                let before = std::mem::replace(&mut self.script, text);
                self.tell(&Failure::from(&error), name);
                self.script = before;
                return Err(Failure::new("ParserError", "ScriptNotRead", format!("{name} cannot be read.")).into());
            }
        };
        let signature = Rc::new(signature_of(name, &body));
        let bound = self.bound(&signature, &command.elements, command.span)?;
        Ok(Running::Function(Function {
            body,
            name: name.into(),
            signature,
            bound,
            input: Vec::new(),
            place: command.span,
            script: Some(text),
            begun: false,
            dotted: command.operator == Some('.'),
        }))
    }

    fn bound(&mut self, signature: &Signature, elements: &[Element], place: Extent) -> Run<Bound> {
        let words = self.words(elements)?;
        Ok(bind(signature, words).map_err(|failure| failure.at(place))?)
    }

    /// The words of a command as values.
    fn words(&mut self, elements: &[Element]) -> Run<Vec<Word>> {
        let mut words = Vec::new();
        for element in elements {
            match element {
                Element::NoMoreParameters => {}
                Element::Parameter { name, value, span } => {
                    let (value, spelling) = match value {
                        Some(value) => {
                            let (value, spelling) = self.argument(value)?;
                            (Some(value), spelling)
                        }
                        None => (None, None),
                    };
                    words.push(Word { name: Some(name.clone()), value, spelling, place: *span });
                }
                Element::Argument(argument) => {
                    let (value, spelling) = self.argument(argument)?;
                    words.push(Word { name: None, value: Some(value), spelling, place: argument.span });
                }
                Element::Splat(name, span) => self.splatted(name, *span, &mut words),
            }
        }
        Ok(words)
    }

    /// An argument, with its spelling where that counts (SH-06).
    fn argument(&mut self, argument: &Expression) -> Run<(Value, Option<Rc<str>>)> {
        let spelling = match &argument.kind {
            ExpressionKind::Number(_, spelling) => Some(spelling.clone()),
            _ => None,
        };
        // In a list of words a number that stands beside them is one of them.
        if let ExpressionKind::Array(items) = &argument.kind {
            let texts = items.iter().any(|item| matches!(item.kind, ExpressionKind::Word(_) | ExpressionKind::Text(_)));
            let mut values = Vec::new();
            for item in items {
                values.push(match &item.kind {
                    ExpressionKind::Number(_, spelling) if texts => Value::Text(spelling.clone()),
                    _ => self.expression(item)?,
                });
            }
            return Ok((Value::list(values), None));
        }
        Ok((self.expression(argument)?, spelling))
    }

    /// `@name`: a table gives parameters, a list arguments (SH-44).
    fn splatted(&mut self, name: &str, place: Extent, words: &mut Vec<Word>) {
        match self.variable(name) {
            Value::Table(table) => {
                for (key, value) in table.entries.borrow().iter() {
                    let key = Some(key.text().into());
                    words.push(Word { name: key, value: Some(value.clone()), spelling: None, place });
                }
            }
            other => {
                for value in other.each() {
                    words.push(Word { name: None, value: Some(value), spelling: None, place });
                }
            }
        }
    }

    /// Gives one object to a function.
    pub(super) fn call_function(
        &mut self,
        function: &mut Function,
        item: Option<Value>,
        next: &mut dyn Sink,
    ) -> Run<()> {
        let item = match item {
            Some(item) => item,
            // A function that stands first is given nothing, once.
            None if function.body.process.is_some() => Value::Null,
            None => return Ok(()),
        };
        if function.body.process.is_none() {
            function.input.push(item);
            return Ok(());
        }
        self.begin_function(function, next)?;
        let mut bound = function.bound.clone();
        bind_input(&function.signature, &mut bound, &item, function.place)?;
        let body = function.body.clone();
        let before = std::mem::replace(&mut self.current, item);
        let ran = self.in_function(function, &bound, body.process.as_deref().unwrap_or_default(), next);
        self.current = before;
        ran
    }

    fn begin_function(&mut self, function: &mut Function, next: &mut dyn Sink) -> Run<()> {
        if std::mem::replace(&mut function.begun, true) {
            return Ok(());
        }
        let body = function.body.clone();
        let bound = function.bound.clone();
        match &body.begin {
            Some(begin) => self.in_function(function, &bound, begin, next),
            None => Ok(()),
        }
    }

    /// Ends a function: what it does once.
    pub(super) fn end_function(&mut self, function: &mut Function, next: &mut dyn Sink) -> Run<()> {
        self.begin_function(function, next)?;
        let body = function.body.clone();
        let mut bound = function.bound.clone();
        let input = std::mem::take(&mut function.input);
        if body.process.is_none()
            && let Some(last) = input.last()
        {
            bind_input(&function.signature, &mut bound, last, function.place)?;
        }
        let lacking = missing(&function.signature, &bound, function.place)?;
        if let Some(name) = lacking.first() {
            let message =
                format!("Cannot process command because of one or more missing mandatory parameters: {name}.");
            return Err(Failure::new("InvalidArgument", "MissingMandatoryParameter", message)
                .at(function.place)
                .into());
        }
        if function.dotted {
            return self.in_function(function, &bound, &body.end, next);
        }
        self.scopes.push(HashMap::new());
        self.set("input", Value::list(input));
        let ran = self.in_function(function, &bound, &body.end, next);
        self.scopes.pop();
        ran
    }

    fn in_function(
        &mut self,
        function: &Function,
        bound: &Bound,
        statements: &[crate::tree::Statement],
        next: &mut dyn Sink,
    ) -> Run<()> {
        if self.calls >= CALLS_MAX {
            let message = format!("The script failed due to call depth overflow: {} calls itself.", function.name);
            return Err(Stop::End(Box::new(
                Failure::new("InvalidOperation", "CallDepthOverflow", message).at(function.place),
            )));
        }
        self.calls += 1;
        if !function.dotted {
            self.scopes.push(HashMap::new());
        }
        let outer = function.script.clone().map(|script| std::mem::replace(&mut self.script, script));
        let ran = self.with_parameters(function, bound).and_then(|()| self.statements(statements, next));
        if let Some(outer) = outer {
            self.script = outer;
        }
        if !function.dotted {
            self.scopes.pop();
        }
        self.calls -= 1;
        match ran {
            Err(Stop::Return) => Ok(()),
            other => other,
        }
    }

    /// Variables for the parameters of a function.
    fn with_parameters(&mut self, function: &Function, bound: &Bound) -> Run<()> {
        let given = crate::value::Table::default();
        for parameter in &function.body.parameters {
            let name = parameter.name.to_ascii_lowercase();
            let value = match bound.get(&parameter.name) {
                Some(value) => {
                    given.set(Value::Text(parameter.name.clone()), value.clone());
                    checked(parameter, value, function.place)?
                }
                None => match &parameter.default {
                    Some(default) => self.expression(default)?,
                    None if parameter.of.as_deref().is_some_and(|of| of.eq_ignore_ascii_case("switch")) => {
                        Value::Bool(false)
                    }
                    None => Value::Null,
                },
            };
            self.set(&name, value);
        }
        self.set("psboundparameters", Value::Table(Rc::new(given)));
        let rest = bound.get("\u{1}args").cloned().unwrap_or_else(|| Value::list(Vec::new()));
        self.set("args", rest);
        Ok(())
    }

    /// Runs a script block with `$_`, in the scope of whoever calls it; `return` ends it alone (SH-46).
    pub(super) fn run_block(&mut self, block: &ScriptBlock, item: Value, out: &mut dyn Sink) -> Run<()> {
        let before = std::mem::replace(&mut self.current, item);
        let statements = block.process.as_deref().unwrap_or(&block.end);
        let ran = self.statements(statements, out);
        self.current = before;
        match ran {
            Err(Stop::Return) => Ok(()),
            other => other,
        }
    }

    /// The value that a script block has for an object.
    pub(super) fn block_value(&mut self, block: &ScriptBlock, item: &Value) -> Run<Value> {
        let mut values: Vec<Value> = Vec::new();
        self.run_block(block, item.clone(), &mut values)?;
        Ok(Value::unrolled(values))
    }
}

/// What a function takes, from its parameters.
fn signature_of(name: &str, body: &ScriptBlock) -> Signature {
    let explicit = body.parameters.iter().any(|parameter| parameter.position.is_some());
    let mut parameters: Vec<Parameter> = body
        .parameters
        .iter()
        .enumerate()
        .map(|(at, parameter)| {
            let is_switch = parameter.of.as_deref().is_some_and(|of| of.eq_ignore_ascii_case("switch"));
            Parameter {
                name: parameter.name.clone(),
                aliases: parameter.aliases.clone(),
                takes: if is_switch { Takes::Switch } else { Takes::Any },
                position: match (is_switch, explicit) {
                    (true, _) => None,
                    (false, true) => parameter.position,
                    (false, false) => Some(at),
                },
                mandatory: parameter.mandatory,
                from_pipeline: parameter.from_pipeline,
                from_property: parameter.from_property,
                ..Parameter::default()
            }
        })
        .collect();
    parameters.push(Parameter {
        name: "\u{1}args".into(),
        position: Some(usize::MAX),
        remaining: true,
        ..Parameter::default()
    });
    Signature { name: name.into(), parameters, changes: body.should_process, ..Signature::default() }
}

fn checked(parameter: &BlockParameter, value: &Value, place: Extent) -> Result<Value, Failure> {
    let refused = |why: String| {
        let message = format!("Cannot validate argument on parameter '{}'. {why}", parameter.name);
        Failure::of_language("ParameterArgumentValidationError", message, place)
    };
    let value = match &parameter.of {
        Some(of) if !of.eq_ignore_ascii_case("switch") => cast(of, value, place).map_err(|failure| {
            let message = format!(
                "Cannot process argument transformation on parameter '{}'. {}",
                parameter.name, failure.message
            );
            Failure { message, ..failure }
        })?,
        _ => value.clone(),
    };
    if parameter.not_empty && (value.is_null() || value.text().is_empty()) {
        return Err(refused("The argument is null or empty.".to_owned()));
    }
    let text = value.text();
    if !parameter.values.is_empty() && !parameter.values.iter().any(|known| known.eq_ignore_ascii_case(&text)) {
        return Err(refused(format!(
            "The argument \"{text}\" does not belong to the set \"{}\".",
            parameter.values.join(",")
        )));
    }
    if let (Some((least, most)), Some(number)) = (parameter.range, value.number())
        && !(least..=most).contains(&number)
    {
        return Err(refused(format!("The argument {text} is not from {least} to {most}.")));
    }
    Ok(value)
}
