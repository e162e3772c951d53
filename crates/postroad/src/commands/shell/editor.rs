//! Lines as they are typed: history, colours, completion, continuation of what is open (SH-75, SB-03, SB-06, SB-07).
//!
//! The editor is rustyline: it lives in the thread of the machine, whose values are of one thread only.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use ::shell::completion::complete;
use ::shell::highlight::{Style, styles};
use ::shell::{Ended, Machine, parse};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::super::output;

const PROMPT: &str = "[postroad] PS> ";

/// What the editor asks the machine.
struct Assistant {
    machine: Rc<RefCell<Machine>>,
    hints: HistoryHinter,
    colours: bool,
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = complete(&mut self.machine.borrow_mut(), line, at);
        let pair = |candidate: ::shell::completion::Candidate| Pair {
            display: candidate.text.clone(),
            replacement: candidate.text,
        };
        Ok((start, candidates.into_iter().map(pair).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<String> {
        self.hints.hint(line, at, context)
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.colours {
            return line.into();
        }
        let mut out = String::with_capacity(line.len() * 2);
        let mut at = 0;
        for (range, style) in styles(&self.machine.borrow(), line) {
            out.push_str(&line[at..range.start]);
            out.push_str(match style {
                Style::Command => "\x1b[33m",
                Style::Unknown => "\x1b[31m",
                Style::Parameter => "\x1b[90m",
                Style::Text => "\x1b[36m",
                Style::Variable => "\x1b[32m",
                Style::Comment => "\x1b[2m",
            });
            out.push_str(&line[range.clone()]);
            out.push_str("\x1b[0m");
            at = range.end;
        }
        out.push_str(&line[at..]);
        out.into()
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colours { format!("\x1b[2m{hint}\x1b[0m").into() } else { hint.into() }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.colours
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match parse(context.input()) {
            Err(error) if error.incomplete => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

/// Reads lines and runs them, until somebody leaves.
pub(super) fn converse(machine: Machine, run: &mut dyn FnMut(&mut Machine, &str) -> Ended) -> anyhow::Result<ExitCode> {
    let machine = Rc::new(RefCell::new(machine));
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
    let mut editor: Editor<Assistant, DefaultHistory> = Editor::with_config(config)?;
    let assistant = Assistant { machine: machine.clone(), hints: HistoryHinter::new(), colours: output::colours() };
    editor.set_helper(Some(assistant));
    let history = history_file();
    if let Some(path) = &history {
        // The first time there is none.
        let _ = editor.load_history(path);
    }
    loop {
        match editor.readline(PROMPT) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                // SH-54: what holds a password in plain text is not remembered.
                if !line.to_ascii_lowercase().contains("-asplaintext") {
                    editor.add_history_entry(line.as_str())?;
                }
                let ended = run(&mut machine.borrow_mut(), &line);
                if let Some(code) = ended.exit {
                    save(&mut editor, history.as_ref());
                    return Ok(ExitCode::from(u8::try_from(code.rem_euclid(256)).unwrap_or(1)));
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => {
                save(&mut editor, history.as_ref());
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn save(editor: &mut Editor<Assistant, DefaultHistory>, path: Option<&PathBuf>) {
    if let Some(path) = path {
        if let Some(folder) = path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        // A history that cannot be kept is no reason to fail.
        let _ = editor.save_history(path);
    }
}

fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))?;
    Some(state.join("postroad").join("shell_history"))
}

/// Shows nothing of what is typed.
struct Hidden;

impl Helper for Hidden {}
impl Completer for Hidden {
    type Candidate = String;
}
impl Hinter for Hidden {
    type Hint = String;
}
impl Validator for Hidden {}
impl Highlighter for Hidden {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        " ".repeat(line.chars().count()).into()
    }
    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        true
    }
}

/// Asks one question, without echo for a secret.
pub(super) fn ask(prompt: &str, secret: bool) -> Option<String> {
    // What stands before the last line is shown once; the editor repeats its prompt.
    let (before, prompt) = prompt.rsplit_once('\n').map_or(("", prompt), |(before, prompt)| (before, prompt));
    if !before.is_empty() {
        let _ = output::print(&format!("{before}\n"));
    }
    let config = Config::builder().auto_add_history(false).build();
    if secret {
        let mut editor: Editor<Hidden, DefaultHistory> = Editor::with_config(config).ok()?;
        editor.set_helper(Some(Hidden));
        return editor.readline(prompt).ok();
    }
    let mut editor: Editor<(), DefaultHistory> = Editor::with_config(config).ok()?;
    editor.readline(prompt).ok()
}
