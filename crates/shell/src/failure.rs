//! What went wrong in a script, and how it is told: the message, the line with the place underlined, the category, then why and
//! what to try (SH-72).

use std::fmt::Write as _;

use crate::cursor::SyntaxError;
use crate::tree::Extent;

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// In the documented words, where there are some.
    pub message: String,
    /// The category, such as `InvalidArgument`.
    pub category: &'static str,
    /// The id, such as `NamedParameterNotFound`.
    pub id: String,
    /// What it is about.
    pub target: String,
    /// The rule by which it was decided.
    pub rule: Option<String>,
    /// What to do instead.
    pub advice: Option<String>,
    /// Where in the script.
    pub place: Option<Extent>,
    /// Whether it ends the script unless it is caught.
    pub terminating: bool,
}

impl Failure {
    /// A failure of a command.
    pub fn new(category: &'static str, id: &str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            category,
            id: id.to_owned(),
            target: String::new(),
            rule: None,
            advice: None,
            place: None,
            terminating: false,
        }
    }

    /// A failure of the language, which ends the statement.
    pub fn of_language(id: &str, message: impl Into<String>, place: Extent) -> Self {
        Self { terminating: true, place: Some(place), ..Self::new("InvalidOperation", id, message) }
    }

    /// What it is about.
    #[must_use]
    pub fn about(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// What to do instead.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The rule by which it was decided.
    #[must_use]
    pub fn by(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// Where it happened, unless that is known better.
    #[must_use]
    pub fn at(mut self, place: Extent) -> Self {
        self.place = self.place.or(Some(place));
        self
    }

    /// It ends the script unless it is caught.
    #[must_use]
    pub fn ending(mut self) -> Self {
        self.terminating = true;
        self
    }

    /// As it is shown, with the line of `script` in which it happened.
    #[must_use]
    pub fn told(&self, script: &str, command: &str) -> String {
        let mut out = format!("{}\n", self.message);
        if let Some(place) = self.place {
            out.push_str(&pointed(script, place));
        }
        let target = if self.target.is_empty() { "" } else { &self.target };
        let _ = writeln!(out, "    + CategoryInfo          : {}: ({target}:) [{command}]", self.category);
        let source = if command.is_empty() { String::new() } else { format!(",{command}") };
        let _ = writeln!(out, "    + FullyQualifiedErrorId : {}{source}", self.id);
        if let Some(rule) = &self.rule {
            let _ = writeln!(out, "    + Why                   : {rule}");
        }
        if let Some(advice) = &self.advice {
            let _ = writeln!(out, "    + Try                   : {advice}");
        }
        out
    }
}

impl From<&SyntaxError> for Failure {
    fn from(error: &SyntaxError) -> Self {
        let id = if error.incomplete { "IncompleteParseException" } else { "UnexpectedToken" };
        Self { place: Some(error.extent), terminating: true, ..Self::new("ParserError", id, error.message.clone()) }
    }
}

/// Line and column of an octet, counted from one.
#[must_use]
pub fn line_and_column(script: &str, at: usize) -> (usize, usize) {
    let at = floor(script, at);
    let before = &script[..at];
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn floor(script: &str, at: usize) -> usize {
    let mut at = at.min(script.len());
    while !script.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// `At line:1 char:5`, the line, and tildes below the place.
fn pointed(script: &str, place: Extent) -> String {
    let (line, column) = line_and_column(script, place.start);
    let text = script.lines().nth(line - 1).unwrap_or_default();
    let end = floor(script, place.end.max(place.start));
    let marked = script[floor(script, place.start)..end].lines().next().unwrap_or_default().chars().count();
    let room = text.chars().count().saturating_sub(column - 1);
    let blanks: String = text.chars().take(column - 1).map(|one| if one == '\t' { '\t' } else { ' ' }).collect();
    format!("At line:{line} char:{column}\n+ {text}\n+ {blanks}{}\n", "~".repeat(marked.min(room).max(1)))
}
