//! Rules have their line in docs/rules.md, tests that show them, and a page that says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tidy::rules::{Rule, cited, of_lines, shown_by, tests_of};
use tidy::{root, texts};

/// Families of the Send connector and what manages it: each of their rules is shown by a test, or stands in the table below the rules
/// with the reason why not.
const SHOWN: [&str; 7] = ["V", "SC", "RC", "TA", "PF", "EN", "CM"];
/// And sections of another: Pickup, Replay, Drop directories and agents; Edge subscriptions.
const SHOWN_OF_PIPELINE: [std::ops::RangeInclusive<u16>; 2] = [56..=72, 82..=87];
/// What begins the table of the others.
const NOT_SHOWN: &str = "## What no test shows";

const PAGE: &str = "docs/rule-tests.md";
const HEAD: &str = "\
# Which test shows which rule

<!-- Made from the tests by a test of crate tidy; POSTROAD_REWRITE=1 writes it anew. -->

What the rules say is in [rules](rules.md). Here are those of Send and Receive connectors, TLS, permissions, Edge servers, gateways, agents
and commands, each with the tests that cite it, by file, or with the reason why none does. `cargo nextest run --workspace <name>` runs one.

| rule | shown by |
|---|---|
";

fn counts(rule: &Rule) -> bool {
    let of_pipeline = rule.family == "PL" && SHOWN_OF_PIPELINE.iter().any(|section| section.contains(&rule.number));
    of_pipeline || SHOWN.contains(&rule.family.as_str())
}

/// The rules with their lines, and those that no test shows with the reasons.
fn page() -> (String, String) {
    let page = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md is there");
    let (rules, reasons) = page.split_once(NOT_SHOWN).expect("the page says what no test shows");
    (rules.to_owned(), reasons.to_owned())
}

/// By rule, the files whose tests cite it, with the functions that do.
fn shown() -> BTreeMap<Rule, BTreeMap<String, BTreeSet<String>>> {
    let mut shown = BTreeMap::<Rule, BTreeMap<String, BTreeSet<String>>>::new();
    for (path, text) in texts() {
        for (rule, by) in shown_by(tests_of(&path, &text)) {
            shown.entry(rule).or_default().entry(path.display().to_string()).or_default().extend(by);
        }
    }
    shown
}

#[test]
fn every_rule_that_is_cited_has_its_line() {
    let page = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md is there");
    let known = of_lines(&page);
    assert!(known.len() > 100, "the page has {} rules", known.len());
    let mut unknown = BTreeSet::new();
    for (path, text) in texts().iter().filter(|(path, _)| !path.starts_with("tests/tidy")) {
        for rule in cited(text).into_iter().filter(|rule| !known.contains(rule)) {
            unknown.insert(format!("{rule} in {}", path.display()));
        }
    }
    assert!(unknown.is_empty(), "give these a line in docs/rules.md: {unknown:#?}");
}

#[test]
fn every_rule_of_connectors_is_shown_by_a_test_or_says_why_not() {
    let (rules, reasons) = page();
    let known: BTreeSet<Rule> = of_lines(&rules).into_iter().filter(counts).collect();
    let excused: BTreeSet<Rule> = of_lines(&reasons).into_iter().filter(counts).collect();
    let shown = shown();
    let missing: Vec<_> = known.iter().filter(|rule| !shown.contains_key(rule) && !excused.contains(rule)).collect();
    assert!(
        missing.is_empty(),
        "cite these in the test that shows them, or say in docs/rules.md why none does: {missing:?}"
    );
    let needless: Vec<_> = excused.iter().filter(|rule| shown.contains_key(rule) || !known.contains(rule)).collect();
    assert!(needless.is_empty(), "these are shown, or are no rules: {needless:?}");
}

#[test]
fn the_page_says_which_test_shows_which_rule() {
    let (rules, reasons) = page();
    let mut shown = shown();
    let reason_of = |rule: &Rule| {
        let line = reasons.lines().find(|line| of_lines(line).contains(rule))?;
        Some(line.splitn(3, '|').nth(2)?.trim_end_matches('|').trim().to_owned())
    };
    let mut text = HEAD.to_owned();
    for rule in of_lines(&rules).into_iter().filter(counts) {
        let by = match shown.remove(&rule) {
            Some(files) => files.iter().map(|(file, tests)| told(file, tests)).collect::<Vec<_>>().join("; "),
            None => format!("*{}*", reason_of(&rule).unwrap_or_else(|| panic!("{rule} has no test and no reason"))),
        };
        text.push_str(&format!("| {rule} | {by} |\n"));
    }
    let path = root().join(PAGE);
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        fs::write(&path, &text).expect("the page is written");
    }
    assert!(fs::read_to_string(path).unwrap_or_default() == text, "{PAGE}: POSTROAD_REWRITE=1 writes it anew");
}

/// A file, and what in it shows a rule; where that is no function, the file alone.
fn told(file: &str, tests: &BTreeSet<String>) -> String {
    let name = file.strip_prefix("crates/").unwrap_or(file);
    let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
    if tests.is_empty() { format!("[{name}](../{file})") } else { format!("[{name}](../{file}) {}", tests.join(", ")) }
}
