//! One word, one thing; and nothing is there that nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use tidy::{Source, sources};

/// What stands ready for the change that uses it. The list only shrinks.
const AHEAD: [&str; 1] = ["PROTOCOL"];

/// Crates that may export one name of a type.
const CRATES_MAX: usize = 2;

/// The items of these kinds that a file declares as public, by name. What is `pub(crate)` the compiler looks after.
fn declared<'a>(code: &'a str, kinds: &[&str]) -> Vec<&'a str> {
    let item = |line: &'a str| {
        let line = line.trim_start().strip_prefix("pub ")?;
        let mut words = line.split_whitespace().skip_while(|word| !kinds.contains(word));
        words.next()?;
        let name = words.next()?;
        let end = name.find(|one: char| !one.is_alphanumeric() && one != '_').unwrap_or(name.len());
        Some(&name[..end]).filter(|name| !name.is_empty())
    };
    code.lines().filter_map(item).collect()
}

fn product() -> Vec<Source> {
    sources().into_iter().filter(|source| !source.is_test() && source.path.starts_with("crates")).collect()
}

#[test]
fn no_three_crates_export_one_name_of_a_type() {
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in product() {
        for name in declared(&source.code(), &["struct", "enum", "trait", "type"]) {
            crates.entry(name.to_owned()).or_default().insert(source.krate.clone());
        }
    }
    let wrong: Vec<_> = crates.iter().filter(|(_, crates)| crates.len() > CRATES_MAX).collect();
    assert!(wrong.is_empty(), "one word, one thing (docs/glossary.md): {wrong:#?}");
}

#[test]
fn nothing_is_declared_that_nobody_uses() {
    // The compiler does not say so of what other crates could use. A name that stands in one place only is not used.
    let everywhere: Vec<(String, String)> = sources()
        .into_iter()
        .map(|source| (source.path.display().to_string(), source.text.lines().map(uncommented).collect()))
        .collect();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, text) in &everywhere {
        for word in text.split(|one: char| !one.is_alphanumeric() && one != '_') {
            *places.entry(word).or_default() += 1;
        }
    }
    let mut idle = Vec::new();
    for source in product() {
        for name in declared(&source.code(), &["fn", "const", "static", "struct", "enum", "trait", "type"]) {
            if places.get(name) == Some(&1) && !AHEAD.contains(&name) {
                idle.push(format!("{}: {name}", source.path.display()));
            }
        }
    }
    assert!(idle.is_empty(), "remove these, or use them: {idle:#?}");
}

fn uncommented(line: &str) -> String {
    line.split("//").next().unwrap_or_default().to_owned() + "\n"
}
