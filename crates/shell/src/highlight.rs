//! Which piece of a line is what, for colours while it is typed; what the catalogue does not know stands out (SB-07).

use crate::machine::Machine;
use crate::signature::Signature;
use crate::words::{Sort, words};
use std::rc::Rc;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A command that is known.
    Command,
    /// A command or a parameter that is not known.
    Unknown,
    /// A parameter.
    Parameter,
    /// A text.
    Text,
    /// A variable.
    Variable,
    /// A comment.
    Comment,
}

/// Pieces of a line that are not plain, from the left.
#[must_use]
pub fn styles(machine: &Machine, line: &str) -> Vec<(std::ops::Range<usize>, Style)> {
    let mut current: Option<Rc<Signature>> = None;
    let functions = machine.names().1;
    let mut styles = Vec::new();
    for word in words(line) {
        let text = &line[word.start..word.end];
        let style = match word.sort {
            Sort::Command => {
                current = machine.signature(text).or_else(|| machine.signature(&format!("get-{text}")));
                let keyword = KEYWORDS.contains(&text.to_ascii_lowercase().as_str());
                let function = functions.iter().any(|name| name.eq_ignore_ascii_case(text));
                if current.is_some() || keyword || function { Style::Command } else { Style::Unknown }
            }
            Sort::Parameter => match &current {
                Some(signature) if !knows(signature, text) => Style::Unknown,
                _ => Style::Parameter,
            },
            Sort::Quoted => Style::Text,
            Sort::Variable => Style::Variable,
            Sort::Comment => Style::Comment,
            Sort::Plain => continue,
        };
        styles.push((word.start..word.end, style));
    }
    styles
}

/// Words that begin a statement.
const KEYWORDS: [&str; 18] = [
    "if", "else", "elseif", "foreach", "for", "while", "do", "switch", "try", "catch", "finally", "function", "return",
    "exit", "break", "continue", "throw", "param",
];
const COMMON: [&str; 8] =
    ["whatif", "confirm", "verbose", "debug", "erroraction", "errorvariable", "warningaction", "outvariable"];

fn knows(signature: &Signature, text: &str) -> bool {
    let name = text.trim_start_matches('-').split(':').next().unwrap_or_default().to_ascii_lowercase();
    let begins = |known: &str| known.to_ascii_lowercase().starts_with(&name);
    signature.parameters.iter().any(|one| begins(&one.name) || one.aliases.iter().any(|alias| begins(alias)))
        || COMMON.iter().any(|known| known.starts_with(&name))
}
