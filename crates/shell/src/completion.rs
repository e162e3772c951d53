//! What may come next in a line: commands, parameters, values, names of objects, properties, variables (SH-75).

use crate::machine::Machine;
use crate::signature::{Parameter, Signature, Takes};
use crate::wildcard::{is_pattern, like};
use crate::words::{LineWord, Sort, words};

/// A way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The text that takes the place of the word.
    pub text: String,
    /// What it is, in a line.
    pub help: String,
}

/// Candidates for the word that ends at `at`, and where it begins. Text left of the word is never changed.
pub fn complete(machine: &mut Machine, line: &str, at: usize) -> (usize, Vec<Candidate>) {
    let Some(text) = line.get(..at) else { return (at, Vec::new()) };
    let words = words(text);
    let begun = words.last().filter(|word| word.end == text.len() && word.sort != Sort::Comment);
    let start = begun.map_or(at, |word| word.start);
    let word = &text[start..];
    let before: Vec<&LineWord> = words.iter().filter(|known| known.start < start).collect();
    let found = match begun.map(|word| word.sort) {
        Some(Sort::Variable) => variables(machine, word),
        Some(Sort::Command) => commands(machine, word),
        None if begins_command(text) => commands(machine, ""),
        other => {
            let (pipeline, stage) = match begun.or(before.last().copied()) {
                Some(word) => (word.pipeline, word.stage),
                None => (0, 0),
            };
            let own: Vec<&LineWord> =
                before.iter().copied().filter(|word| (word.pipeline, word.stage) == (pipeline, stage)).collect();
            let name = own.iter().find(|word| word.sort == Sort::Command).map(|word| &text[word.start..word.end]);
            let Some(signature) = name.and_then(|name| machine.signature(name)) else { return (start, Vec::new()) };
            if other == Some(Sort::Parameter) {
                parameters(&signature, word, &own, text)
            } else {
                let first = before.iter().find(|word| word.pipeline == pipeline && word.sort == Sort::Command);
                let source = first.map(|word| text[word.start..word.end].to_owned()).unwrap_or_default();
                values(machine, &signature, word, &own, text, &source)
            }
        }
    };
    (start, found)
}

fn begins_command(text: &str) -> bool {
    text.trim_end().is_empty() || text.trim_end().ends_with(['|', ';', '(', '{', '=', '&', '\n'])
}

fn fits(known: &str, word: &str) -> bool {
    if is_pattern(word) {
        return like(known, &format!("{word}*"), false);
    }
    known.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn commands(machine: &Machine, word: &str) -> Vec<Candidate> {
    let functions = machine.names().1.into_iter().map(|name| Candidate { text: name, help: "function".into() });
    let all = machine
        .signatures()
        .into_iter()
        .map(|one| Candidate { text: one.name.to_string(), help: one.synopsis.to_string() });
    all.chain(functions).filter(|candidate| fits(&candidate.text, word)).collect()
}

fn variables(machine: &Machine, word: &str) -> Vec<Candidate> {
    let name = word.trim_start_matches(['$', '@']);
    let lead = &word[..word.len() - name.len()];
    let mut names = machine.names().0;
    names.extend(["true", "false", "null", "_", "Error", "env:PATH"].map(str::to_owned));
    names.sort();
    names.dedup();
    let fitting = names.into_iter().filter(|known| fits(known, name));
    fitting.map(|known| Candidate { text: format!("{lead}{known}"), help: String::new() }).collect()
}

fn parameters(signature: &Signature, word: &str, own: &[&LineWord], text: &str) -> Vec<Candidate> {
    let given =
        |name: &str| own.iter().any(|word| text[word.start..word.end].eq_ignore_ascii_case(&format!("-{name}")));
    let named = signature.parameters.iter().filter(|one| one.retired.is_none() && !one.name.starts_with('\u{1}'));
    let mut all: Vec<(bool, Candidate)> = named
        .map(|one| (given(&one.name), Candidate { text: format!("-{}", one.name), help: one.help.to_string() }))
        .collect();
    let shared = if signature.changes {
        &["WhatIf", "Confirm", "ErrorAction", "Verbose"][..]
    } else {
        &["ErrorAction", "Verbose"][..]
    };
    all.extend(
        shared.iter().map(|name| (true, Candidate { text: format!("-{name}"), help: "common parameter".into() })),
    );
    all.retain(|(_, candidate)| fits(&candidate.text, word));
    // Those that are not given yet come first.
    all.sort_by_key(|(given, _)| *given);
    all.into_iter().map(|(_, candidate)| candidate).collect()
}

fn values(
    machine: &mut Machine,
    signature: &Signature,
    word: &str,
    own: &[&LineWord],
    text: &str,
    source: &str,
) -> Vec<Candidate> {
    let bare = word.trim_matches(['\'', '"']);
    let named = own.last().filter(|word| word.sort == Sort::Parameter);
    let named = named.and_then(|word| signature.parameter(&text[word.start + 1..word.end]));
    let parameter: Option<&Parameter> = match named {
        Some(parameter) if parameter.takes != Takes::Switch => Some(parameter),
        _ => signature.parameters.iter().filter(|one| one.position.is_some()).min_by_key(|one| one.position),
    };
    let Some(parameter) = parameter else { return Vec::new() };
    let mut found: Vec<String> = parameter.takes.values().iter().map(ToString::to_string).collect();
    if found.is_empty() {
        found = machine.candidates(&signature.name, &parameter.name);
    }
    let takes_properties = matches!(&*parameter.name, "Property" | "ExpandProperty" | "FilterOrProperty" | "GroupBy");
    if found.is_empty() && takes_properties {
        found = machine.candidates(source, "");
    }
    found.retain(|known| fits(known, bare));
    found.truncate(200);
    let quoted = |known: &str| {
        let needs =
            known.contains(|one: char| one.is_whitespace() || "'\",;(){}|&".contains(one)) && !known.starts_with('$');
        if needs || word.starts_with('\'') { format!("'{}'", known.replace('\'', "''")) } else { known.to_owned() }
    };
    found.iter().map(|known| Candidate { text: quoted(known), help: String::new() }).collect()
}
