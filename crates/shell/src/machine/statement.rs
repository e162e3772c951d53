//! Statements: one after the other, branches, loops, what is caught (SH-56…SH-58).

use std::rc::Rc;

use super::{Machine, Run, Sink, Stop};
use crate::cast::short;
use crate::failure::Failure;
use crate::operator::{equal, regex_of};
use crate::tree::{Expression, ExpressionKind, Extent, Matching, Pipeline, Stage, Statement, Switch};
use crate::value::{Object, Value};
use crate::wildcard::like;

impl Machine {
    /// Runs statements; one that fails does not keep the next from running, unless somebody catches it (SH-58).
    pub(super) fn statements(&mut self, statements: &[Statement], out: &mut dyn Sink) -> Run<()> {
        for statement in statements {
            match self.statement(statement, out) {
                Ok(()) => {}
                Err(Stop::Fail(failure)) if self.tries == 0 && !self.stops_at_failures() => {
                    let name = name_of(statement);
                    self.report(&failure, &name);
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn stops_at_failures(&self) -> bool {
        self.variable("erroractionpreference").text().eq_ignore_ascii_case("stop")
    }

    pub(super) fn statement(&mut self, statement: &Statement, out: &mut dyn Sink) -> Run<()> {
        self.step(Extent::default())?;
        match statement {
            Statement::Pipeline(pipeline) => self.pipeline(pipeline, out),
            Statement::Assign { target, operator, value } => self.assign(target, *operator, value),
            Statement::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.value_of(condition)?.truth() {
                        return self.statements(body, out);
                    }
                }
                otherwise.as_ref().map_or(Ok(()), |body| self.statements(body, out))
            }
            Statement::ForEach { variable, items, body } => {
                for item in self.value_of(items)?.each() {
                    self.set(variable, item);
                    if !self.round(body, out)? {
                        break;
                    }
                }
                Ok(())
            }
            Statement::For { start, condition, step, body } => {
                self.counted(start.as_deref(), condition.as_deref(), step.as_deref(), body, out)
            }
            Statement::While { condition, body, body_first, until } => loop {
                if !body_first && !self.value_of(condition)?.truth() {
                    return Ok(());
                }
                if !self.round(body, out)? {
                    return Ok(());
                }
                if *body_first && self.value_of(condition)?.truth() == *until {
                    return Ok(());
                }
            },
            Statement::Switch(switch) => self.switch(switch, out),
            Statement::Try { body, catches, finally } => {
                let ran = self.attempt(body, catches, out);
                if let Some(finally) = finally {
                    self.statements(finally, out)?;
                }
                ran
            }
            Statement::Throw(value, place) => {
                let value = value.as_ref().map(|value| self.value_of(value)).transpose()?.unwrap_or_default();
                Err(thrown(value, *place))
            }
            Statement::Return(value) => {
                if let Some(value) = value {
                    self.statement(value, out)?;
                }
                Err(Stop::Return)
            }
            Statement::Exit(value) => {
                let value = value.as_ref().map(|value| self.value_of(value)).transpose()?.unwrap_or_default();
                let code = crate::operator::numeric(&value).and_then(|code| match code {
                    Value::Whole(code) => i32::try_from(code).ok(),
                    _ => None,
                });
                Err(Stop::Exit(code.unwrap_or(1)))
            }
            Statement::Break => Err(Stop::Break),
            Statement::Continue => Err(Stop::Continue),
            Statement::Function(name, body) => {
                self.functions.insert(name.to_ascii_lowercase(), (body.clone(), name.clone()));
                Ok(())
            }
        }
    }

    /// `for`
    fn counted(
        &mut self,
        start: Option<&Statement>,
        condition: Option<&Statement>,
        step: Option<&Statement>,
        body: &[Statement],
        out: &mut dyn Sink,
    ) -> Run<()> {
        if let Some(start) = start {
            self.statement(start, &mut Vec::new())?;
        }
        loop {
            if let Some(condition) = condition
                && !self.value_of(condition)?.truth()
            {
                return Ok(());
            }
            if !self.round(body, out)? {
                return Ok(());
            }
            if let Some(step) = step {
                self.statement(step, &mut Vec::new())?;
            }
        }
    }

    /// One round of a loop; whether there may be another.
    fn round(&mut self, body: &[Statement], out: &mut dyn Sink) -> Run<bool> {
        self.step(Extent::default())?;
        match self.statements(body, out) {
            Ok(()) | Err(Stop::Continue) => Ok(true),
            Err(Stop::Break) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    /// The value that a statement has: of an expression itself, of a pipeline what came out (SH-29).
    pub(super) fn value_of(&mut self, statement: &Statement) -> Run<Value> {
        if let Statement::Pipeline(Pipeline { stages, redirections, .. }) = statement
            && let [Stage::Expression(expression)] = &stages[..]
            && redirections.is_empty()
        {
            return self.expression(expression);
        }
        let mut values: Vec<Value> = Vec::new();
        self.statement(statement, &mut values)?;
        Ok(Value::unrolled(values))
    }

    fn assign(&mut self, target: &Expression, operator: Option<char>, value: &Statement) -> Run<()> {
        let new = match self.bare_word(value) {
            Some(word) => word,
            None => self.value_of(value)?,
        };
        match operator {
            None => self.store(target, new),
            Some('?') => {
                let old = self.expression(target)?;
                if old.is_null() { self.store(target, new) } else { Ok(()) }
            }
            Some(operator) => {
                let old = self.expression(target)?;
                let new = crate::operator::arithmetic(operator, &old, &new, target.span)?;
                self.store(target, new)
            }
        }
    }

    /// A word that is no command, as two documented examples write a text (CM-48).
    fn bare_word(&self, value: &Statement) -> Option<Value> {
        let Statement::Pipeline(Pipeline { stages, .. }) = value else { return None };
        let [Stage::Command(command)] = &stages[..] else { return None };
        let ExpressionKind::Word(word) = &command.name.kind else { return None };
        let plain = command.operator.is_none() && command.elements.is_empty() && !word.contains(['\\', '/', '-', '.']);
        (plain && !self.knows(word)).then(|| Value::Text(word.clone()))
    }

    fn switch(&mut self, switch: &Switch, out: &mut dyn Sink) -> Run<()> {
        let subject = self.value_of(&switch.subject)?;
        let subjects = if subject.is_null() { vec![Value::Null] } else { subject.each() };
        for one in subjects {
            let before = std::mem::replace(&mut self.current, one.clone());
            let ran = self.switch_one(switch, &one, out);
            self.current = before;
            match ran {
                Ok(()) | Err(Stop::Continue) => {}
                Err(Stop::Break) => return Ok(()),
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn switch_one(&mut self, switch: &Switch, one: &Value, out: &mut dyn Sink) -> Run<()> {
        let mut any = false;
        for (condition, body) in switch.clauses.iter().filter(|(condition, _)| condition.is_some()) {
            let Some(condition) = condition else { continue };
            let matches = match &condition.kind {
                ExpressionKind::Block(block) => {
                    let mut values: Vec<Value> = Vec::new();
                    self.statements(&block.end, &mut values)?;
                    Value::unrolled(values).truth()
                }
                _ => {
                    let wanted = self.expression(condition)?;
                    let case = switch.case_sensitive;
                    match switch.matching {
                        Matching::Exact => equal(one, &wanted, case),
                        Matching::Wildcard => like(&one.text(), &wanted.text(), case),
                        Matching::Regex => regex_of(&wanted.text(), case, condition.span)?.is_match(&one.text()),
                    }
                }
            };
            if matches {
                any = true;
                self.statements(body, out)?;
            }
        }
        match switch.clauses.iter().find(|(condition, _)| condition.is_none()) {
            Some((_, body)) if !any => self.statements(body, out),
            _ => Ok(()),
        }
    }

    fn attempt(
        &mut self,
        body: &[Statement],
        catches: &[(Vec<Rc<str>>, Vec<Statement>)],
        out: &mut dyn Sink,
    ) -> Run<()> {
        self.tries += usize::from(!catches.is_empty());
        let ran = self.statements(body, out);
        self.tries -= usize::from(!catches.is_empty());
        let (failure, thrown) = match ran {
            Err(Stop::Fail(failure)) => (failure, Value::Null),
            Err(Stop::Throw(failure, thrown)) => (failure, thrown),
            other => return other,
        };
        let catches_it = |types: &Vec<Rc<str>>| {
            types.is_empty()
                || types.iter().any(|of| {
                    let of = short(of);
                    matches!(of.as_str(), "exception" | "systemexception")
                        || failure.id.to_ascii_lowercase().starts_with(&of)
                })
        };
        let Some((_, handler)) = catches.iter().find(|(types, _)| catches_it(types)) else {
            return Err(Stop::Throw(failure, thrown));
        };
        self.succeeded = false;
        self.remember(&failure);
        let before = std::mem::replace(&mut self.current, record(&failure, &thrown));
        let ran = self.statements(handler, out);
        self.current = before;
        // `throw` alone throws again what was caught.
        match ran {
            Err(Stop::Throw(again, value)) if again.message == "ScriptHalted" && value.is_null() => {
                Err(Stop::Throw(failure, thrown))
            }
            other => other,
        }
    }
}

/// What `throw` throws.
fn thrown(value: Value, place: Extent) -> Stop {
    let message = match &value {
        Value::Null => "ScriptHalted".to_owned(),
        Value::Object(object) if object.get("Exception").is_some() => {
            object.text.as_deref().unwrap_or_default().to_owned()
        }
        other => other.text(),
    };
    let failure = Failure::new("OperationStopped", &message, &*message).at(place).ending();
    Stop::Throw(Box::new(failure), value)
}

/// The name of the command of a statement, for its failure.
fn name_of(statement: &Statement) -> String {
    let pipeline = match statement {
        Statement::Pipeline(pipeline) => pipeline,
        Statement::Assign { value, .. } => return name_of(value),
        _ => return String::new(),
    };
    match &pipeline.stages[..] {
        [Stage::Command(command)] => match &command.name.kind {
            ExpressionKind::Word(word) => word.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// A failure as an object: `$_` in `catch`, `$Error[0]`.
pub(super) fn record(failure: &Failure, thrown: &Value) -> Value {
    let message = &*failure.message;
    let exception = Object::new("System.Exception", Some(message), vec![("Message".into(), Value::of(message))]);
    let category = Object::new(
        "System.Management.Automation.ErrorCategoryInfo",
        Some(failure.category),
        vec![("Category".into(), Value::of(failure.category)), ("TargetName".into(), Value::of(&*failure.target))],
    );
    let properties = vec![
        ("Exception".into(), Value::Object(exception)),
        ("TargetObject".into(), if thrown.is_null() { Value::of(&*failure.target) } else { thrown.clone() }),
        ("CategoryInfo".into(), Value::Object(category)),
        ("FullyQualifiedErrorId".into(), Value::of(&*failure.id)),
    ];
    Value::Object(Object::new("System.Management.Automation.ErrorRecord", Some(message), properties))
}
