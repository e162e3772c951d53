//! What the text of this repository refers to is there: rules have their line, files exist.

use std::collections::BTreeSet;
use std::fs;

use tidy::{root, texts};

/// Families of rules. `HT`, scenarios, and other pairs of letters with a number, such as `GS-2`, are not rules.
const FAMILIES: [&str; 16] =
    ["V", "RT", "QU", "PL", "DS", "LM", "BP", "LG", "HA", "SC", "RC", "TA", "PF", "EN", "CM", "EX"];

/// The rules that a text names: `RT-34`, and all of `RT-36 … RT-39` and `RT-01…04`.
fn cited(text: &str) -> Vec<(String, u16)> {
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
        found.push((family.to_owned(), number));
        let range = rest.trim_start().strip_prefix('…').or_else(|| rest.strip_prefix(".."));
        let end = range.map(str::trim_start).map(|end| end.strip_prefix(family).map_or(end, |end| &end[1..]));
        if let Some((last, _)) = end.and_then(leading_number) {
            found.extend((number + 1..=last).map(|between| (family.to_owned(), between)));
        }
    }
    found
}

fn leading_number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok().filter(|_| end <= 3)?;
    (!text[end..].starts_with(|one: char| one.is_alphanumeric())).then_some((number, &text[end..]))
}

#[test]
fn every_rule_that_is_cited_has_its_line() {
    let page = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md is there");
    let known: BTreeSet<(String, u16)> =
        page.lines().filter_map(|line| cited(line.strip_prefix("| ")?.split(' ').next()?).pop()).collect();
    assert!(known.len() > 100, "the page has {} rules", known.len());
    let mut unknown = BTreeSet::new();
    for (path, text) in texts().iter().filter(|(path, _)| !path.starts_with("tests/tidy")) {
        for (family, number) in cited(text).into_iter().filter(|rule| !known.contains(rule)) {
            unknown.insert(format!("{family}-{number:02} in {}", path.display()));
        }
    }
    assert!(unknown.is_empty(), "give these a line in docs/rules.md: {unknown:#?}");
}

/// Families of the Send connector and what manages it: each of their rules is shown by a test, or stands in the table below the rules
/// with the reason why not.
const SHOWN: [&str; 7] = ["V", "SC", "RC", "TA", "PF", "EN", "CM"];
/// And sections of another: Pickup, Replay, Drop directories and agents; Edge subscriptions.
const SHOWN_OF_PIPELINE: [std::ops::RangeInclusive<u16>; 2] = [56..=72, 82..=87];
/// What begins that table.
const NOT_SHOWN: &str = "## What no test shows";

#[test]
fn every_rule_of_connectors_is_shown_by_a_test_or_says_why_not() {
    let page = fs::read_to_string(root().join("docs/rules.md")).expect("docs/rules.md is there");
    let (rules, reasons) = page.split_once(NOT_SHOWN).expect("the page says what no test shows");
    let of_lines = |text: &str| {
        let first = text.lines().filter_map(|line| cited(line.strip_prefix("| ")?.split(' ').next()?).pop());
        let is_shown = |(family, number): &(String, u16)| {
            let of_pipeline = family == "PL" && SHOWN_OF_PIPELINE.iter().any(|section| section.contains(number));
            of_pipeline || SHOWN.contains(&family.as_str())
        };
        first.filter(is_shown).collect::<BTreeSet<_>>()
    };
    let (known, excused) = (of_lines(rules), of_lines(reasons));
    let texts = texts();
    let shown: BTreeSet<(String, u16)> =
        texts.iter().flat_map(|(path, text)| cited(tests_of(&path.to_string_lossy(), text))).collect();
    let missing: Vec<_> = known.difference(&shown).filter(|rule| !excused.contains(*rule)).collect();
    assert!(
        missing.is_empty(),
        "cite these in the test that shows them, or say in docs/rules.md why none does: {missing:?}"
    );
    let needless: Vec<_> = excused.iter().filter(|rule| shown.contains(*rule) || !known.contains(*rule)).collect();
    assert!(needless.is_empty(), "these are shown, or are no rules: {needless:?}");
}

/// What of a file is tests: all of it, what follows the mark of tests within, or nothing.
fn tests_of<'a>(path: &str, text: &'a str) -> &'a str {
    if !path.ends_with(".rs") || path.starts_with("tests/tidy") {
        ""
    } else if path.contains("tests/") || path.ends_with("tests.rs") {
        text
    } else {
        text.split_once("#[cfg(test)]\nmod tests {").map_or("", |(_, tests)| tests)
    }
}

/// Words that lead to documents which are not here: sections of something without its name, reference files.
const ELSEWHERE: [&str; 5] = ["(design §", "design, §", "limits file", "errata", "the specification's"];

#[test]
fn no_text_leads_to_a_page_that_is_not_here() {
    let texts = texts();
    let names: BTreeSet<String> =
        texts.iter().filter_map(|(path, _)| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    let mut wrong = BTreeSet::new();
    for (path, text) in texts.iter().filter(|(path, _)| !path.starts_with("tests/tidy") && !path.ends_with("rules.md"))
    {
        for word in text.split(|one: char| one.is_whitespace() || "()[]`\"'<>,;|#*".contains(one)) {
            let page = word.trim_end_matches(['.', ':']);
            let name = page.rsplit('/').next().unwrap_or_default();
            let is_page =
                name.len() > 3 && name.ends_with(".md") && !page.contains("://") && !page.contains(['{', '…']);
            if is_page && !names.contains(name) {
                wrong.insert(format!("{}: {page}", path.display()));
            }
        }
        let elsewhere = ELSEWHERE.iter().filter(|words| text.contains(**words));
        wrong.extend(elsewhere.map(|words| format!("{}: {words}", path.display())));
        let section = |family: &&&str| text.contains(&format!(" {family} §")) || text.contains(&format!("({family} §"));
        wrong.extend(FAMILIES.iter().filter(section).map(|family| format!("{}: {family} §", path.display())));
    }
    assert!(wrong.is_empty(), "these are not in the repository: {wrong:#?}");
}

#[test]
fn ranges_and_single_rules_are_recognized() {
    let of = |text| cited(text).into_iter().map(|(family, number)| format!("{family}-{number}")).collect::<Vec<_>>();
    assert_eq!(of("(RT-08, SC-5; not UTF-8, X-RT-3, RT-1234 or RT-4a)"), ["RT-8", "SC-5"]);
    assert_eq!(of("RT-01…04 and SC-36 … SC-38"), ["RT-1", "RT-2", "RT-3", "RT-4", "SC-36", "SC-37", "SC-38", "SC-38"]);
}
