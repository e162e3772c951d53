//! What became of the tests: for people, for programs, and for CI (JUnit).

use std::fmt::Write as _;

use serde::Serialize;

use super::Case;
use crate::answers::{self, Candidates, Gateways, Line, Palette};

/// Blanks before the explanation of a test that failed.
const INDENT: usize = 4;

pub(super) fn text(cases: &[Case], palette: Palette) -> String {
    let mut out = String::new();
    for case in cases {
        if case.failures.is_empty() {
            out.push_str(&format!("{} {}\n", palette.good("✔"), case.name));
            continue;
        }
        out.push_str(&format!("{} {}\n", palette.bad("✘"), palette.bold(&case.name)));
        out.push_str(&format!("    {}:{}\n", case.file, case.line));
        for failure in &case.failures {
            let expected = format!("expected {}, is {}", failure.expected, palette.bad(&failure.actual));
            out.push_str(&format!("    {}: {expected}\n", failure.expectation));
        }
        out.push('\n');
        out.push_str(&explanation(case, palette));
        out.push('\n');
    }
    let failed = failed(cases);
    let passed = format!("{} passed", cases.len() - failed);
    let (passed, failed) = match failed {
        0 => (palette.good(&passed), "none failed".to_owned()),
        failed => (passed, palette.bad(&format!("{failed} failed"))),
    };
    out.push_str(&format!("\n{passed}, {failed}.\n"));
    out
}

fn failed(cases: &[Case]) -> usize {
    cases.iter().filter(|case| !case.failures.is_empty()).count()
}

fn explanation(case: &Case, palette: Palette) -> String {
    let narrower = Palette { width: palette.columns().saturating_sub(INDENT), ..palette };
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:INDENT$}{line}\n", "") };
    answers::text(&case.answer, &Gateways::NotAsked, Candidates::Near, narrower).lines().map(indented).collect()
}

#[derive(Serialize)]
struct Told<'a> {
    test: &'a str,
    file: &'a str,
    line: u64,
    passed: bool,
    failures: Vec<ToldFailure<'a>>,
    answer: Line,
}

#[derive(Serialize)]
struct ToldFailure<'a> {
    expectation: &'a str,
    expected: &'a str,
    actual: &'a str,
}

#[derive(Serialize)]
struct Counted {
    summary: Counts,
}

#[derive(Serialize)]
struct Counts {
    tests: usize,
    passed: usize,
    failed: usize,
}

pub(super) fn json(cases: &[Case]) -> anyhow::Result<String> {
    let mut out = String::new();
    for case in cases {
        let failures = case.failures.iter().map(|failure| ToldFailure {
            expectation: &failure.expectation,
            expected: &failure.expected,
            actual: &failure.actual,
        });
        let told = Told {
            test: &case.name,
            file: &case.file,
            line: case.line,
            passed: case.failures.is_empty(),
            failures: failures.collect(),
            answer: answers::line(&case.answer, &Gateways::NotAsked),
        };
        writeln!(out, "{}", serde_json::to_string(&told)?)?;
    }
    let failed = failed(cases);
    let counts = Counts { tests: cases.len(), passed: cases.len() - failed, failed };
    writeln!(out, "{}", serde_json::to_string(&Counted { summary: counts })?)?;
    Ok(out)
}

/// One suite for all files, in the form that CI systems read.
pub(super) fn junit(cases: &[Case]) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"postroad test\" tests=\"{}\" failures=\"{}\">\n",
        cases.len(),
        failed(cases)
    );
    for case in cases {
        let (name, file) = (escaped(&case.name), escaped(&case.file));
        out.push_str(&format!(
            "  <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\"",
            case.line
        ));
        if case.failures.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        let failures: Vec<String> = case
            .failures
            .iter()
            .map(|failure| format!("{}: expected {}, is {}", failure.expectation, failure.expected, failure.actual))
            .collect();
        let explanation = explanation(case, Palette { colours: false, width: usize::MAX });
        let message = escaped(&failures.join("; "));
        out.push_str(&format!(">\n    <failure message=\"{message}\">{}</failure>\n", escaped(&explanation)));
        out.push_str("  </testcase>\n");
    }
    out.push_str("</testsuite>\n");
    out
}

/// Text as XML takes it: its five characters named, and none that it does not know.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
