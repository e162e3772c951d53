//! The machine that runs what was read. It has variables, functions and limits, and no way out but the [`Console`] and the
//! [`Commands`] that it is given: a command is invoked when the objects before it arrive, one by one (SH-40).
//!
//! Its parts are methods on one [`Machine`]: statements, expressions, pipelines and commands, the shell's own commands.

mod builtin;
mod command;
mod expression;
mod pipeline;
mod statement;

use std::collections::HashMap;
use std::rc::Rc;

use crate::console::{Commands, Console, Stream};
use crate::display::{Display, Looks};
use crate::failure::Failure;
use crate::parser::parse;
use crate::signature::Signature;
use crate::tree::{Extent, ScriptBlock};
use crate::value::Value;

/// How deep functions may call each other (SB-05).
const CALLS_MAX: usize = 100;
/// Steps of one run.
const STEPS_MAX: u64 = 50_000_000;
/// Failures that are remembered in `$Error`.
const FAILURES_MAX: usize = 256;
/// Items of a list in a cell: what the Exchange shell sets (SH-64).
const ENUMERATION_LIMIT: i64 = 16;

/// Why a statement does not go on.
pub(crate) enum Stop {
    /// It failed; the next statement goes on.
    Fail(Box<Failure>),
    /// It failed, and everything ends unless somebody catches it.
    Throw(Box<Failure>, Value),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `return`.
    Return,
    /// `exit`.
    Exit(i32),
    /// The pipeline of that number has enough (SH-40).
    Enough(u64),
    /// Somebody pressed Ctrl+C, or a limit was reached.
    End(Box<Failure>),
}

/// What runs, or why it does not go on.
pub(crate) type Run<T> = Result<T, Stop>;

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fail(Box::new(failure))
    }
}

/// Where values go.
pub(crate) trait Sink {
    /// Takes one.
    fn push(&mut self, machine: &mut Machine, value: Value) -> Run<()>;
}

impl Sink for Vec<Value> {
    fn push(&mut self, _: &mut Machine, value: Value) -> Run<()> {
        Vec::push(self, value);
        Ok(())
    }
}

/// Shows what comes.
struct Show;

impl Sink for Show {
    fn push(&mut self, machine: &mut Machine, value: Value) -> Run<()> {
        machine.show(&value);
        Ok(())
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Whether a failure was told (CM-83).
    pub failed: bool,
    /// What `exit` said.
    pub exit: Option<i32>,
    /// What is still open, when the text was not complete (SB-03).
    pub incomplete: Option<String>,
}

/// Variables, functions and what is to be shown.
pub struct Machine {
    console: Box<dyn Console>,
    commands: Box<dyn Commands>,
    /// Every command by its name and its other names, in lower case.
    catalogue: HashMap<String, Rc<Signature>>,
    scopes: Vec<HashMap<Rc<str>, Value>>,
    functions: HashMap<String, (Rc<ScriptBlock>, Rc<str>)>,
    /// `$_`
    current: Value,
    failures: Vec<Value>,
    succeeded: bool,
    failed: bool,
    /// The text of which statements are running, for the place of a failure.
    script: Rc<str>,
    calls: usize,
    steps: u64,
    tries: usize,
    pipelines: u64,
    display: Display,
    /// Streams that are not shown now.
    muted: Vec<u8>,
}

impl Machine {
    /// A machine in this world, with these commands.
    #[must_use]
    pub fn new(console: Box<dyn Console>, commands: Box<dyn Commands>) -> Self {
        let mut catalogue = HashMap::new();
        for signature in builtin::signatures().into_iter().chain(commands.signatures()) {
            for name in std::iter::once(&signature.name).chain(&signature.aliases) {
                catalogue.insert(name.to_ascii_lowercase(), signature.clone());
            }
        }
        Self {
            console,
            commands,
            catalogue,
            scopes: vec![HashMap::new()],
            functions: HashMap::new(),
            current: Value::Null,
            failures: Vec::new(),
            succeeded: true,
            failed: false,
            script: "".into(),
            calls: 0,
            steps: 0,
            tries: 0,
            pipelines: 0,
            display: Display::default(),
            muted: Vec::new(),
        }
    }

    /// Runs a text, and shows what it returns.
    pub fn run(&mut self, text: &str) -> Ended {
        let block = match parse(text) {
            Ok(block) => block,
            Err(error) if error.incomplete => {
                let failure = Failure::from(&error);
                self.script = text.into();
                self.tell(&failure, "");
                return Ended { failed: true, exit: None, incomplete: Some(error.message) };
            }
            Err(error) => {
                self.script = text.into();
                self.tell(&Failure::from(&error), "");
                return Ended { failed: true, exit: None, incomplete: None };
            }
        };
        self.script = text.into();
        (self.failed, self.steps, self.calls, self.tries) = (false, 0, 0, 0);
        let ran = self.statements(&block.end, &mut Show);
        self.finish_display();
        self.scopes.truncate(1);
        self.muted.clear();
        let exit = match ran {
            Ok(()) | Err(Stop::Break | Stop::Continue | Stop::Return | Stop::Enough(_)) => None,
            Err(Stop::Exit(code)) => Some(code),
            Err(Stop::Fail(failure) | Stop::Throw(failure, _) | Stop::End(failure)) => {
                self.report(&failure, "");
                None
            }
        };
        Ended { failed: self.failed, exit, incomplete: None }
    }

    /// Runs a text and gives what it returns, for whoever shows it in another way.
    pub fn collect(&mut self, text: &str) -> (Vec<Value>, Ended) {
        let block = match parse(text) {
            Ok(block) => block,
            Err(_) => return (Vec::new(), self.run(text)),
        };
        self.script = text.into();
        (self.failed, self.steps, self.calls, self.tries) = (false, 0, 0, 0);
        let mut values: Vec<Value> = Vec::new();
        let ran = self.statements(&block.end, &mut values);
        self.scopes.truncate(1);
        let mut ended = Ended::default();
        match ran {
            Err(Stop::Exit(code)) => ended.exit = Some(code),
            Err(Stop::Fail(failure) | Stop::Throw(failure, _) | Stop::End(failure)) => self.report(&failure, ""),
            _ => {}
        }
        ended.failed = self.failed;
        (values, ended)
    }

    /// Every command, for completion and help.
    #[must_use]
    pub fn signatures(&self) -> Vec<Rc<Signature>> {
        let mut all: Vec<Rc<Signature>> = self.catalogue.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.dedup_by(|one, other| one.name == other.name);
        all
    }

    /// The command of a name or of another name.
    #[must_use]
    pub fn signature(&self, name: &str) -> Option<Rc<Signature>> {
        self.catalogue.get(&name.to_ascii_lowercase()).cloned()
    }

    /// Names of objects that a parameter may take.
    pub fn candidates(&mut self, command: &str, parameter: &str) -> Vec<String> {
        self.commands.candidates(command, parameter)
    }

    /// The names of variables and of functions.
    #[must_use]
    pub fn names(&self) -> (Vec<String>, Vec<String>) {
        let variables = self.scopes.iter().flat_map(|scope| scope.keys()).map(ToString::to_string).collect();
        (variables, self.functions.values().map(|(_, name)| name.to_string()).collect())
    }

    /// The value of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Value {
        let name = name.to_ascii_lowercase();
        self.scopes.iter().rev().find_map(|scope| scope.get(&*name)).cloned().unwrap_or_default()
    }

    /// Gives a variable its value, for whoever prepares a session.
    pub fn set_variable(&mut self, name: &str, value: Value) {
        self.scopes[0].insert(name.to_ascii_lowercase().into(), value);
    }

    fn looks(&self) -> Looks {
        let limit = match self.variable("formatenumerationlimit") {
            Value::Whole(limit) if limit < 0 => i64::MAX,
            Value::Whole(limit) => limit,
            _ => ENUMERATION_LIMIT,
        };
        Looks { width: self.console.width(), items_max: usize::try_from(limit).unwrap_or(usize::MAX) }
    }

    fn show(&mut self, value: &Value) {
        let looks = self.looks();
        let view = self.display.wants_view(value).map(|of| self.commands.view(&of)).unwrap_or_default();
        self.display.push(value, view, looks);
        self.write_display();
    }

    fn write_display(&mut self) {
        let text = self.display.take();
        if !text.is_empty() {
            self.console.write(Stream::Output, &text);
        }
    }

    /// Shows what is pending, before something else is written.
    fn finish_display(&mut self) {
        let looks = self.looks();
        self.display.flush(looks);
        self.write_display();
        self.display = Display::default();
    }

    /// Writes a text for whoever reads, after what came before it.
    fn write(&mut self, stream: Stream, text: &str) {
        let number = match stream {
            Stream::Output => 1,
            Stream::Error => 2,
            Stream::Warning => 3,
            Stream::Verbose => 4,
            Stream::Host => 6,
        };
        if self.muted.iter().any(|muted| *muted == number || *muted == 0) {
            return;
        }
        let looks = self.looks();
        self.display.flush(looks);
        self.write_display();
        self.console.write(stream, text);
    }

    /// Tells a failure, remembers it, and lets the exit status say so.
    fn report(&mut self, failure: &Failure, command: &str) {
        self.failed = true;
        self.succeeded = false;
        self.remember(failure);
        self.tell(failure, command);
    }

    fn tell(&mut self, failure: &Failure, command: &str) {
        self.failed = true;
        let lead = if command.is_empty() { String::new() } else { format!("{command} : ") };
        let text = format!("{lead}{}", failure.told(&self.script.clone(), command));
        self.write(Stream::Error, &text);
    }

    fn remember(&mut self, failure: &Failure) {
        self.failures.insert(0, statement::record(failure, &Value::Null));
        self.failures.truncate(FAILURES_MAX);
    }

    /// One more step; the end of a run that takes too many, or that somebody stops.
    fn step(&mut self, place: Extent) -> Run<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let message = format!("The script took more than {STEPS_MAX} steps.");
            return Err(Stop::End(Box::new(Failure::new("LimitsExceeded", "StepsExceeded", message).at(place))));
        }
        if self.steps.is_multiple_of(64) && self.console.interrupted() {
            let failure =
                Failure::new("OperationStopped", "PipelineStopped", "The pipeline has been stopped.").at(place);
            return Err(Stop::End(Box::new(failure)));
        }
        Ok(())
    }
}
