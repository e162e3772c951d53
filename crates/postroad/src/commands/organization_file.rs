//! Reading an organization file, or a lab file, for the commands that take one: every problem is told with the file's
//! name, line and column, as compilers do, and only then the command fails.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, bail};
use lab::LabFile;
use organization::{Contents, FileProblems};
use topology::Weight;

/// A checked file.
pub(crate) struct OrganizationFile {
    /// Its text, without what only a lab reads.
    pub text: String,
    /// What it says, secrets left out.
    pub contents: Contents,
}

/// Reads and checks `path`. Warnings go to standard error.
pub(crate) fn read(path: &Path) -> anyhow::Result<OrganizationFile> {
    let octets = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = match organization::text_of(octets) {
        Ok(text) => text,
        Err(problems) => return fail(path, &problems),
    };
    match LabFile::parse(&text) {
        Ok(LabFile { organization_text: text, organization: contents, .. }) => {
            tell(path, &contents.warnings);
            Ok(OrganizationFile { text, contents })
        }
        Err(problems) => fail(path, &problems),
    }
}

/// Tells every problem, and fails.
pub(crate) fn fail<T>(path: &Path, problems: &FileProblems) -> anyhow::Result<T> {
    tell(path, problems);
    let errors = problems.0.iter().filter(|problem| problem.problem.weight == Weight::Error).count();
    let count = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    bail!("{} has {count}; correct the file and try again", path.display())
}

fn tell(path: &Path, problems: &FileProblems) {
    problems.0.iter().for_each(|problem| complain(path, problem));
}

/// `organization.yaml:12:5: error: …`; without a place in the file `organization.yaml: error: …`.
fn complain(path: &Path, problem: &impl Display) {
    let text = problem.to_string();
    let space = if text.starts_with(|first: char| first.is_ascii_digit()) { "" } else { " " };
    eprintln!("{}:{space}{}", path.display(), super::output::harmless(&text));
}
