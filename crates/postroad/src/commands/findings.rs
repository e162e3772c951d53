//! What `postroad check` and `postroad probe` found, for people and for programs.

use serde::Serialize;

use crate::answers::{Palette, wrapped};

/// Columns of a subject.
const SUBJECT: usize = 22;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Good,
    /// It works, and somebody should know.
    Warning,
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) state: State,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// What to do.
    pub(crate) advice: Option<String>,
}

/// All of them, in the order in which they were looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn good(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { state: State::Good, subject: subject.into(), text: text.into(), advice: None });
    }

    pub(crate) fn warning(&mut self, subject: impl Into<String>, text: impl Into<String>, advice: impl Into<String>) {
        self.add(State::Warning, subject.into(), text.into(), advice.into());
    }

    pub(crate) fn wrong(&mut self, subject: impl Into<String>, text: impl Into<String>, advice: impl Into<String>) {
        self.add(State::Wrong, subject.into(), text.into(), advice.into());
    }

    fn add(&mut self, state: State, subject: String, text: String, advice: String) {
        self.0.push(Finding { state, subject, text, advice: Some(advice).filter(|advice| !advice.is_empty()) });
    }

    /// Nothing is wrong.
    pub(crate) fn is_good(&self) -> bool {
        self.count(State::Wrong) == 0
    }

    fn count(&self, state: State) -> usize {
        self.0.iter().filter(|finding| finding.state == state).count()
    }

    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let line = |finding: &Finding| serde_json::to_string(finding).map(|line| line + "\n");
        Ok(self.0.iter().map(line).collect::<Result<String, _>>()?)
    }

    /// Each, in its order.
    pub(crate) fn into_all(self) -> Vec<Finding> {
        self.0
    }

    /// Others after these.
    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn text(&self, palette: Palette) -> String {
        format!("{}\n{}", self.lines(palette), self.conclusion(palette))
    }

    /// One line for each, with what to do below it.
    pub(crate) fn lines(&self, palette: Palette) -> String {
        let indent = SUBJECT + 4;
        let mut out = String::new();
        for Finding { state, subject, text, advice } in &self.0 {
            let mark = match state {
                State::Good => palette.good("✔"),
                State::Warning => palette.changed("!"),
                State::Wrong => palette.bad("✘"),
            };
            let mut before = format!("{mark} {subject:SUBJECT$}  ");
            let shown = indent.max(subject.chars().count() + 4);
            // Several reasons have a line each.
            for line in text.lines() {
                out += &wrapped(&before, shown, line.trim(), palette.columns());
                before = " ".repeat(shown);
            }
            if let Some(advice) = advice {
                out += &wrapped(&" ".repeat(indent), indent, &format!("To do: {advice}."), palette.columns());
            }
        }
        out
    }

    /// How many are wrong.
    pub(crate) fn conclusion(&self, palette: Palette) -> String {
        let wrong = match self.count(State::Wrong) {
            0 => palette.good("Nothing is wrong"),
            1 => palette.bad("1 thing is wrong"),
            wrong => palette.bad(&format!("{wrong} things are wrong")),
        };
        let warnings = match self.count(State::Warning) {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            warnings => format!(", {warnings} warnings"),
        };
        format!("{wrong}{warnings}.\n")
    }
}
