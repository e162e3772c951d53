//! Pipelines: what each stage gives goes to the next at once; who has enough ends those before it (SH-40).

use super::builtin::Builtin;
use super::{Machine, Run, Sink, Stop};
use crate::binder::{Bound, bind_input, missing};
use crate::console::{Call, Session, Stream, ToAll};
use crate::display::Display;
use crate::failure::Failure;
use crate::signature::Signature;
use crate::tree::{ExpressionKind, Extent, Pipeline, Redirection, ScriptBlock, Stage};
use crate::value::Value;
use std::rc::Rc;

/// A stage while it runs.
pub(super) enum Running {
    /// One of the shell's own commands.
    Own(Box<dyn Builtin>),
    /// A command of the catalogue, invoked once for each object.
    Library(Library),
    /// A function, a script or a script block.
    Function(Function),
}

/// A command of the catalogue with what is bound of it.
pub(super) struct Library {
    pub signature: Rc<Signature>,
    pub bound: Bound,
    pub place: Extent,
    pub to_all: ToAll,
}

/// A function with its parameters.
pub(super) struct Function {
    pub body: Rc<ScriptBlock>,
    pub name: Rc<str>,
    pub signature: Rc<Signature>,
    pub bound: Bound,
    pub input: Vec<Value>,
    pub place: Extent,
    /// The text of a script that was read from a file.
    pub script: Option<Rc<str>>,
    pub begun: bool,
    /// Whether variables stay with the caller (`. file`).
    pub dotted: bool,
}

/// The stages behind one stage.
struct Chain<'a> {
    stages: &'a mut [Running],
    out: &'a mut dyn Sink,
}

impl Sink for Chain<'_> {
    fn push(&mut self, machine: &mut Machine, value: Value) -> Run<()> {
        match self.stages.split_first_mut() {
            None => self.out.push(machine, value),
            Some((first, rest)) => {
                let mut next = Chain { stages: rest, out: &mut *self.out };
                machine.process(first, Some(value), &mut next)
            }
        }
    }
}

/// Keeps the texts that are shown, for a file.
#[derive(Default)]
struct Capture(Display);

impl Sink for Capture {
    fn push(&mut self, machine: &mut Machine, value: Value) -> Run<()> {
        let looks = machine.looks();
        let view = self.0.wants_view(&value).map(|of| machine.commands.view(&of)).unwrap_or_default();
        self.0.push(&value, view, looks);
        Ok(())
    }
}

struct Discard;

impl Sink for Discard {
    fn push(&mut self, _: &mut Machine, _: Value) -> Run<()> {
        Ok(())
    }
}

impl Machine {
    /// Runs a pipeline; what it returns goes to `out`, or where it is redirected.
    pub(super) fn pipeline(&mut self, pipeline: &Pipeline, out: &mut dyn Sink) -> Run<()> {
        if pipeline.redirections.is_empty() {
            return self.stages(pipeline, out);
        }
        let muted = self.muted.len();
        let mut file: Option<(String, bool)> = None;
        let mut discard = false;
        for Redirection { stream, append, target } in &pipeline.redirections {
            let Some(target) = target else { continue };
            let path = self.expression(target)?;
            match (stream, path.is_null()) {
                (0, true) => {
                    discard = true;
                    self.muted.push(0);
                }
                (1, true) => discard = true,
                (1, false) | (0, false) => file = Some((path.text(), *append)),
                (other, _) => self.muted.push(*other),
            }
        }
        let ran = match &file {
            _ if discard => self.stages(pipeline, &mut Discard),
            None => self.stages(pipeline, out),
            Some((path, append)) => {
                let mut capture = Capture::default();
                let ran = self.stages(pipeline, &mut capture);
                let looks = self.looks();
                capture.0.flush(looks);
                let saved = self.console.save(path, capture.0.take().as_bytes(), *append);
                ran.and_then(|()| {
                    saved.map_err(|why| Failure::of_language("FileOpenFailure", why, pipeline.span).into())
                })
            }
        };
        self.muted.truncate(muted);
        ran
    }

    fn stages(&mut self, pipeline: &Pipeline, out: &mut dyn Sink) -> Run<()> {
        self.pipelines += 1;
        let number = self.pipelines;
        let (first, commands) = match pipeline.stages.split_first() {
            Some((Stage::Expression(expression), rest)) => (Some(expression), rest),
            _ => (None, &pipeline.stages[..]),
        };
        let mut stages = Vec::new();
        for stage in commands {
            let Stage::Command(command) = stage else { continue };
            stages.push(self.prepared(command, number)?);
        }
        let ran = match first {
            Some(expression) => {
                let value = self.expression(expression)?;
                // A step, and a method that returns nothing, leave nothing in the pipeline.
                let silent = commands.is_empty()
                    && match expression.kind {
                        ExpressionKind::Step(..) => true,
                        ExpressionKind::Call(..) | ExpressionKind::StaticCall(..) => value.is_null(),
                        _ => false,
                    };
                self.feed(&value, silent, &mut Chain { stages: &mut stages, out: &mut *out })
            }
            None => match stages.split_first_mut() {
                Some((first, rest)) => self.process(first, None, &mut Chain { stages: rest, out: &mut *out }),
                None => Ok(()),
            },
        };
        self.enough(ran, number)?;
        for at in 0..stages.len() {
            let (stage, rest) =
                stages[at..].split_first_mut().unwrap_or_else(|| unreachable!("there is a stage there"));
            let ran = self.finish(stage, &mut Chain { stages: rest, out: &mut *out });
            self.enough(ran, number)?;
        }
        Ok(())
    }

    /// The items of a list one by one, anything else as it is (SH-29).
    fn feed(&mut self, value: &Value, silent: bool, chain: &mut Chain<'_>) -> Run<()> {
        match value {
            _ if silent => Ok(()),
            Value::List(items) => {
                let items = items.borrow().clone();
                items.into_iter().try_for_each(|item| chain.push(self, item))
            }
            other => chain.push(self, other.clone()),
        }
    }

    /// That a pipeline has enough is its good end.
    fn enough(&mut self, ran: Run<()>, number: u64) -> Run<()> {
        match ran {
            Err(Stop::Enough(which)) if which == number => Ok(()),
            Ok(()) => {
                self.succeeded = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Gives one object to a stage; nothing to one that stands first.
    fn process(&mut self, stage: &mut Running, item: Option<Value>, next: &mut dyn Sink) -> Run<()> {
        match stage {
            Running::Own(builtin) => match item {
                Some(item) => builtin.process(self, item, next),
                None => Ok(()),
            },
            Running::Library(library) => self.invoke(library, item.as_ref(), next),
            Running::Function(function) => self.call_function(function, item, next),
        }
    }

    fn finish(&mut self, stage: &mut Running, next: &mut dyn Sink) -> Run<()> {
        match stage {
            Running::Own(builtin) => builtin.end(self, next),
            Running::Library(_) => Ok(()),
            Running::Function(function) => self.end_function(function, next),
        }
    }

    /// Invokes a command of the catalogue with one object, or without (SH-42).
    fn invoke(&mut self, library: &mut Library, item: Option<&Value>, next: &mut dyn Sink) -> Run<()> {
        self.step(library.place)?;
        let Library { signature, bound, place, to_all } = library;
        let mut bound = bound.clone();
        let ran = self.invoke_bound(signature, &mut bound, item, *place, to_all);
        let objects = match ran {
            Ok(objects) => objects,
            Err(failure) => return self.failed_in(failure.at(*place), &bound, &signature.name),
        };
        let mut kept = Vec::new();
        for object in objects {
            if bound.common("OutVariable").is_some() {
                kept.push(object.clone());
            }
            next.push(self, object)?;
        }
        if let Some(name) = bound.common("OutVariable") {
            let name = name.text().trim_start_matches('+').to_ascii_lowercase();
            self.set(&name, Value::list(kept));
        }
        Ok(())
    }

    fn invoke_bound(
        &mut self,
        signature: &Rc<Signature>,
        bound: &mut Bound,
        item: Option<&Value>,
        place: Extent,
        to_all: &mut ToAll,
    ) -> Result<crate::console::Objects, Failure> {
        if let Some(item) = item
            && !bind_input(signature, bound, item, place)?
        {
            let message = "The input object cannot be bound to any parameters for the command either because the command does not take \
                           pipeline input or the input and its properties do not match any of the parameters that take pipeline input.";
            return Err(Failure::new("InvalidArgument", "InputObjectNotBound", message));
        }
        let lacking = missing(signature, bound, place)?;
        self.ask_for(signature, bound, &lacking, place)?;
        let what_if = bound.common("WhatIf").map_or_else(|| self.variable("whatifpreference").truth(), Value::truth);
        let confirm = bound.common("Confirm").map(Value::truth);
        let never = self.variable("confirmpreference").text().eq_ignore_ascii_case("none");
        let force = bound.is_on("Force");
        let asks = signature.asks && !never && !force;
        let quiet = force || bound.common("WarningAction").is_some_and(|action| is_silent(&action.text()));
        let looks = self.looks();
        self.display.flush(looks);
        self.write_display();
        let mut session = Session::new(&mut *self.console, what_if, confirm, asks, quiet, to_all);
        self.commands.invoke(&Call { signature, bound, place }, &mut session)
    }

    /// Asks for what must be given and is not (CM-24); without anybody to ask it is a failure.
    fn ask_for(
        &mut self,
        signature: &Signature,
        bound: &mut Bound,
        lacking: &[Rc<str>],
        place: Extent,
    ) -> Result<(), Failure> {
        for name in lacking {
            let Some(parameter) = signature.parameter(name) else { continue };
            let prompt = format!(
                "cmdlet {} at command pipeline position 1\nSupply values for the following parameters:\n{name}: ",
                signature.name
            );
            let Some(answer) = self.console.ask(&prompt, false).filter(|answer| !answer.is_empty()) else {
                let names = lacking.join(" ");
                let message =
                    format!("Cannot process command because of one or more missing mandatory parameters: {names}.");
                return Err(Failure::new("InvalidArgument", "MissingMandatoryParameter", message).ending());
            };
            bound.set(name.clone(), crate::binder::convert(parameter, &Value::of(answer), None, place)?);
        }
        Ok(())
    }

    /// A failure of a command: told, kept, or the end of everything, as `-ErrorAction` says (SH-73, CM-82).
    pub(super) fn failed_in(&mut self, failure: Failure, bound: &Bound, command: &str) -> Run<()> {
        let action = match bound.common("ErrorAction") {
            Some(action) => action.text(),
            None => self.variable("erroractionpreference").text(),
        };
        if let Some(name) = bound.common("ErrorVariable") {
            let name = name.text();
            let (name, adds) = name.strip_prefix('+').map_or((name.as_str(), false), |name| (name, true));
            let mut all = if adds { self.variable(name).each() } else { Vec::new() };
            all.push(super::statement::record(&failure, &Value::Null));
            self.set(&name.to_ascii_lowercase(), Value::list(all));
        }
        self.succeeded = false;
        match action.to_ascii_lowercase().as_str() {
            "stop" | "inquire" => Err(Stop::Throw(Box::new(failure), Value::Null)),
            "ignore" => Ok(()),
            "silentlycontinue" | "0" => {
                self.remember(&failure);
                Ok(())
            }
            _ if failure.terminating => Err(Stop::Fail(Box::new(failure))),
            _ => {
                self.report(&failure, command);
                Ok(())
            }
        }
    }

    /// A warning.
    pub(super) fn warning(&mut self, text: &str) {
        self.write(Stream::Warning, text);
    }
}

pub(super) fn is_silent(action: &str) -> bool {
    matches!(action.to_ascii_lowercase().as_str(), "silentlycontinue" | "ignore" | "0")
}
