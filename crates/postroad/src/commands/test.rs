//! `postroad test`: assertions about routing, kept beside the organization file and run in CI.

mod check;
mod file;
mod names;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use envelope::ServerName;
use inquiry::{Answer, Inquiry, Sender, Subject};

use super::source::{Opened, Source};
use super::{explain, failure, output};
use crate::answers::{self, Gateways, Palette};
use check::{Failure, check};
use file::{Test, TestFile};

const EXAMPLES: &str = "\
Examples:
  # Against a file, before it is applied; against the live organization, after.
  postroad test contoso.test.yaml --organization contoso.yaml
  postroad test contoso.test.yaml --settings /etc/postroad/server.toml
  # In CI, with a report that it can show.
  postroad test contoso.test.yaml --organization contoso.yaml --junit routing.xml

A test file:
  defaults: {from: OSLO1}
  tests:
    - name: the bank's mail leaves from Berlin
      recipient: clerk@legal.bank.example
      size: 5MB
      expect: {connector: Bank, path: [Oslo, Berlin], notConnector: Internet}

docs/routing-tests.md has every key. A test that fails shows its explanation.

Exit status: 0 every test passed; 1 a test failed; 2 the tests could not be run.";

/// Arguments of `postroad test`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArguments {
    /// Test files (YAML).
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write a JUnit report as well.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// JSON Lines: one object for each test, and a summary.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

/// Between errors, so that each begins under the first.
const NEXT_ERROR: &str = "\n       ";

/// One test that was run.
struct Case {
    /// Its file, as named by the user.
    file: String,
    line: u64,
    name: String,
    answer: Answer,
    /// None: it passed.
    failures: Vec<Failure>,
}

pub(crate) async fn run(arguments: TestArguments) -> ExitCode {
    match run_all(&arguments).await {
        Ok(code) => code,
        Err(error) => failure::failed(&error, output::NO_ANSWER),
    }
}

async fn run_all(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in &arguments.files {
        match file::read(path) {
            Ok(file) => files.push((path.as_path(), file)),
            Err(found) => problems.extend(found),
        }
    }
    let opened = match arguments.source.open().await {
        Ok(opened) => opened,
        Err(error) if problems.is_empty() => return Err(error),
        Err(_) => bail!(problems.join(NEXT_ERROR)),
    };
    let mut cases = Vec::new();
    for (path, file) in &files {
        let tests = file.tests.iter();
        let unknown = tests.flat_map(|test| {
            let found = names::unknown(&test.expect, &opened.organization);
            found.into_iter().map(|problem| format!("{}:{}: {problem}", path.display(), test.line))
        });
        problems.extend(unknown);
        let (run, failed) = run_file(path, file, &opened).await?;
        cases.extend(run);
        problems.extend(failed);
    }
    if !problems.is_empty() {
        bail!(problems.join(NEXT_ERROR));
    }
    let failed = cases.iter().filter(|case| !case.failures.is_empty()).count();
    if let Some(path) = &arguments.junit {
        std::fs::write(path, report::junit(&cases)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        output::print_json(&report::json(&cases)?)?;
    } else {
        output::print(&report::text(&cases, Palette::of_output()))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(output::CHANGED) })
}

/// What every test of a file came to, and why those that could not be run could not.
async fn run_file(path: &Path, file: &TestFile, opened: &Opened) -> anyhow::Result<(Vec<Case>, Vec<String>)> {
    let mut asked = Vec::new();
    for test in &file.tests {
        asked.extend(subjects(test, file, opened)?.into_iter().map(|subject| (test, subject)));
    }
    let subjects: Vec<Subject> = asked.iter().map(|(_, subject)| subject.clone()).collect();
    let mut inquiry = opened.inquiry(&subjects).await?;
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for (test, subject) in &asked {
        match run_one(path, test, subject, &mut inquiry) {
            Ok(case) => cases.push(case),
            Err(problem) => problems.push(problem),
        }
    }
    problems.dedup();
    Ok((cases, problems))
}

fn run_one(path: &Path, test: &Test, subject: &Subject, inquiry: &mut Inquiry) -> Result<Case, String> {
    let file = path.display().to_string();
    let answer = inquiry.ask(subject).map_err(|error| format!("{file}:{}: {error}", test.line))?;
    let failures = check(&test.expect, &answers::line(&answer, &Gateways::NotAsked));
    let what = format!("{} from {}", subject.recipient, subject.from);
    let name = match &test.name {
        Some(name) => format!("{name} ({what})"),
        None => what,
    };
    Ok(Case { file, line: test.line, name, answer, failures })
}

/// Each recipient of a test, as each of its servers sees it.
fn subjects(test: &Test, file: &TestFile, opened: &Opened) -> anyhow::Result<Vec<Subject>> {
    let from: Vec<ServerName> = match test.from.as_ref().or(file.defaults.from.as_ref()) {
        Some(servers) => servers.clone(),
        None => vec![opened.server()?],
    };
    let sender = test.sender.as_ref().or(file.defaults.sender.as_ref()).cloned().unwrap_or(Sender::Unnamed);
    let size = match test.size.or(file.defaults.size) {
        Some(size) => size,
        None => explain::SIZE_DEFAULT.parse().expect("the default is a size"),
    };
    let subject = |recipient: &envelope::Address, from: &ServerName| Subject {
        recipient: recipient.clone(),
        sender: sender.clone(),
        size,
        from: from.clone(),
    };
    Ok(test.recipients.iter().flat_map(|recipient| from.iter().map(move |from| subject(recipient, from))).collect())
}
