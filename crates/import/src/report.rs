//! What became of what an export says (IM-21).

use std::fmt;

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is written in another way, or means something else here.
    Changed,
    /// It was not said, and is taken for something.
    Assumed,
    /// It means nothing here.
    Ignored,
    /// The export does not hold it any more, or nothing here can say it.
    Lost,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line, where it is one.
    pub line: usize,
    /// The object: `sendConnectors["To internet"]`.
    pub object: String,
    /// What became of it.
    pub verdict: Verdict,
    /// In a sentence.
    pub text: String,
}

/// Everything that was not simply taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Whether something was lost, so that somebody has to do something.
    #[must_use]
    pub fn has_losses(&self) -> bool {
        self.0.iter().any(|finding| finding.verdict == Verdict::Lost)
    }

    pub(crate) fn add(&mut self, file: &str, line: usize, object: &str, verdict: Verdict, text: impl Into<String>) {
        let finding = Finding { file: file.to_owned(), line, object: object.to_owned(), verdict, text: text.into() };
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

impl fmt::Display for Finding {
    /// `file:12: lost: sendConnectors["X"].maxMessageSize: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Changed => "changed",
            Verdict::Assumed => "assumed",
            Verdict::Ignored => "ignored",
            Verdict::Lost => "lost",
        };
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "{verdict}: ")?,
            (file, 0) => write!(f, "{file}: {verdict}: ")?,
            (file, line) => write!(f, "{file}:{line}: {verdict}: ")?,
        }
        if self.object.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.object, self.text) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}
