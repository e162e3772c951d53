//! Rules as texts cite them, such as `RT-34`, and the tests that show them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// Families of rules. `HT`, scenarios, and other pairs of letters with a number, such as `GS-2`, are not rules.
pub const FAMILIES: [&str; 16] =
    ["V", "RT", "QU", "PL", "DS", "LM", "BP", "LG", "HA", "SC", "RC", "TA", "PF", "EN", "CM", "EX"];

/// A rule: its family, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// One of [`FAMILIES`].
    pub family: String,
    /// From 1 on.
    pub number: u16,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family.as_str() {
            "RT" | "QU" => write!(f, "{}-{:02}", self.family, self.number),
            _ => write!(f, "{}-{}", self.family, self.number),
        }
    }
}

/// The rules that a text names: `RT-34`, and all of `RT-36 … RT-39` and `RT-01…04`.
#[must_use]
pub fn cited(text: &str) -> Vec<Rule> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('-') {
        let start = text[..at]
            .rfind(|one: char| !one.is_ascii_uppercase())
            .map_or(0, |before| before + text[before..].chars().next().map_or(0, char::len_utf8));
        let family = &text[start..at];
        let within = text[..start].ends_with(|one: char| one.is_alphanumeric() || matches!(one, '-' | '_'));
        if within || !FAMILIES.contains(&family) {
            continue;
        }
        let Some((number, rest)) = leading_number(&text[at + 1..]) else { continue };
        let rule = |number| Rule { family: family.to_owned(), number };
        found.push(rule(number));
        let range = rest.trim_start().strip_prefix('…').or_else(|| rest.strip_prefix(".."));
        let end = range.map(str::trim_start).map(|end| end.strip_prefix(family).map_or(end, |end| &end[1..]));
        if let Some((last, _)) = end.and_then(leading_number) {
            found.extend((number + 1..=last).map(rule));
        }
    }
    found
}

fn leading_number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok().filter(|_| end <= 3)?;
    (!text[end..].starts_with(|one: char| one.is_alphanumeric())).then_some((number, &text[end..]))
}

/// The rules that the lines of a table begin with.
#[must_use]
pub fn of_lines(table: &str) -> BTreeSet<Rule> {
    table.lines().filter_map(|line| cited(line.strip_prefix("| ")?.split(' ').next()?).pop()).collect()
}

/// What of a file is tests: all of it, what follows the mark of tests within, or nothing. With it the lines before it.
#[must_use]
pub fn tests_of<'a>(path: &Path, text: &'a str) -> &'a str {
    let path = path.to_string_lossy();
    if !path.ends_with(".rs") || path.starts_with("tests/tidy") {
        ""
    } else if path.contains("tests/") || path.ends_with("tests.rs") {
        text
    } else {
        text.split_once("#[cfg(test)]\nmod tests {").map_or("", |(_, tests)| tests)
    }
}

/// The rules that tests cite, each with the tests that do; where it is none of them, with nothing: a table of cases, what several
/// tests call, or a whole file.
#[must_use]
pub fn shown_by(tests: &str) -> BTreeMap<Rule, BTreeSet<String>> {
    let lines: Vec<&str> = tests.lines().collect();
    let is_test = |first: usize| {
        let above = lines[..first - 1].iter().rev().take_while(|line| announces(line));
        above.into_iter().any(|line| line.trim_start().starts_with("#[") && line.contains("test"))
    };
    let functions: Vec<(usize, usize, String)> = crate::functions(tests)
        .into_iter()
        .filter(|(first, ..)| is_test(*first))
        .filter_map(|(first, line, length)| Some((first, first + length, name_of(&line)?)))
        .collect();
    let mut shown = BTreeMap::<Rule, BTreeSet<String>>::new();
    for (at, line) in lines.iter().enumerate() {
        let rules = cited(line);
        if rules.is_empty() {
            continue;
        }
        let function = around(&functions, at + 1).or_else(|| announced(&functions, &lines, at));
        for rule in rules {
            shown.entry(rule).or_default().extend(function.clone());
        }
    }
    shown
}

/// The innermost function whose lines have this one.
fn around(functions: &[(usize, usize, String)], line: usize) -> Option<String> {
    let within = functions.iter().filter(|(first, end, _)| (*first..*end).contains(&line));
    within.max_by_key(|(first, ..)| *first).map(|(.., name)| name.clone())
}

/// The function whose comment or attribute the line is.
fn announced(functions: &[(usize, usize, String)], lines: &[&str], at: usize) -> Option<String> {
    let next = at + lines[at..].iter().take_while(|line| announces(line)).count();
    functions.iter().find(|(first, ..)| next > at && *first == next + 1).map(|(.., name)| name.clone())
}

/// Whether a line is a comment or an attribute.
fn announces(line: &str) -> bool {
    ["//", "#["].iter().any(|begin| line.trim_start().starts_with(begin))
}

fn name_of(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("fn ")?;
    Some(rest.chars().take_while(|one| one.is_alphanumeric() || *one == '_').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_rules_are_recognized() {
        let of = |text| cited(text).iter().map(Rule::to_string).collect::<Vec<_>>();
        assert_eq!(of("(RT-08, SC-5; not UTF-8, X-RT-3, RT-1234 or RT-4a)"), ["RT-08", "SC-5"]);
        assert_eq!(
            of("RT-01…04 and SC-36 … SC-38"),
            ["RT-01", "RT-02", "RT-03", "RT-04", "SC-36", "SC-37", "SC-38", "SC-38"]
        );
    }

    #[test]
    fn a_rule_is_shown_by_the_function_that_cites_it_or_that_is_announced_with_it() {
        let text = "\
const CASES: [&str; 1] = [\"EN-1\"];

// EN-2: above.
#[test]
fn one() {
    fn of_it() {
        // EN-3
    }
    let two = async {
        \"EN-4\"
    };
}

fn helps() {
    // EN-5
}
";
        let found: Vec<String> = shown_by(text)
            .into_iter()
            .map(|(rule, by)| format!("{rule}:{}", by.into_iter().collect::<String>()))
            .collect();
        assert_eq!(found, ["EN-1:", "EN-2:one", "EN-3:one", "EN-4:one", "EN-5:"]);
    }
}
