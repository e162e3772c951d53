//! What the rules say that a text names: one line each below it, so that nobody has to look an id up.

use std::fmt::Write as _;

use routing::Rule;

use super::palette::{Palette, wrapped};

/// Columns before what a rule says: `  RT-34  `.
const INDENT: usize = 9;

/// A line for each rule that `text` names, in the order in which it names them; nothing when it names none.
pub(crate) fn legend(text: &str, palette: Palette) -> String {
    let mut out = String::new();
    for rule in named(text) {
        let id = format!("{:width$}", rule.id.0, width = INDENT - 4);
        out.push_str(&wrapped(&format!("  {}  ", palette.quiet(&id)), INDENT, rule.text, palette.columns()));
    }
    if out.is_empty() {
        return out;
    }
    let mut titled = String::new();
    writeln!(titled, "{}", palette.quiet("rules (`postroad rule` names their sources)"))
        .expect("a text can be written to");
    titled + &out
}

/// The rules that stand in a text as words, each once.
fn named(text: &str) -> Vec<&'static Rule> {
    let mut found: Vec<&'static Rule> = Vec::new();
    let part = |one: char| one.is_ascii_alphanumeric() || one == '-';
    for word in text.split(|one| !part(one)) {
        let Some(rule) = Rule::find(word).filter(|rule| rule.id.0 == word) else { continue };
        if !found.contains(&rule) {
            found.push(rule);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_told_once_and_only_those_that_are_named() {
        let palette = Palette { colours: false, width: 80 };
        let text = "D1 in D (RT-34), B1 in B (RT-38); RT-34 again, not XRT-06, rt-06 or RT-0x";
        let legend = legend(text, palette);
        let ids: Vec<&str> = legend.lines().skip(1).filter_map(|line| line.trim_start().split(' ').next()).collect();
        assert!(legend.starts_with("rules"), "{legend}");
        assert_eq!(ids.iter().filter(|id| id.starts_with("RT-")).count(), 2, "{legend}");
        assert!(legend.contains("  RT-34  ") && legend.contains("  RT-38  "), "{legend}");
        assert!(legend.lines().all(|line| line.chars().count() <= 80), "{legend}");
        assert_eq!(super::legend("nothing is named", palette), "");
    }
}
