//! Reading an organization file, or a lab file, for the commands that take one: every problem is told with the file's
//! name, line and column, as compilers do, and only then the command fails.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, bail};
use lab::LabFile;
use organization::recipients::Linter;
use organization::{Contents, FileProblem, FileProblems, PIECE_OCTETS, PIECES_FROM_OCTETS, Pieces, Secrets};
use topology::{DirectoryRecipient, OrganizationDraft, Weight};

/// Problems of recipients that are told at once. Ours: nobody reads more.
const PROBLEMS_MAX: usize = 1_000;

/// A checked file.
pub(crate) struct OrganizationFile {
    /// Its text, without what only a lab reads.
    pub text: String,
    /// What it says, secrets left out.
    pub contents: Contents,
}

/// Reads and checks `path`. Warnings go to standard error.
pub(crate) fn read(path: &Path) -> anyhow::Result<OrganizationFile> {
    checked(path, &text(path)?)
}

/// The same for whoever takes recipients in [pieces](Pieces), where there are many: then the file is without them.
pub(crate) fn read_in_pieces(path: &Path) -> anyhow::Result<(OrganizationFile, Option<Pieces>)> {
    let text = text(path)?;
    if text.len() < PIECES_FROM_OCTETS {
        return Ok((checked(path, &text)?, None));
    }
    match Pieces::divide(text, PIECE_OCTETS) {
        Ok(pieces) => Ok((checked(path, &pieces.configuration())?, Some(pieces))),
        Err(whole) => Ok((checked(path, &whole)?, None)),
    }
}

/// Reads the recipients of a file piece by piece, checks them in the organization of `draft`, and hands them on as long as nothing
/// is wrong. Warnings go to standard error.
pub(crate) fn in_pieces(
    path: &Path,
    pieces: &Pieces,
    draft: &OrganizationDraft,
    secrets: &dyn Secrets,
    mut take: impl FnMut(Vec<DirectoryRecipient>),
) -> anyhow::Result<()> {
    let (mut linter, mut told) = (Linter::of(draft), FileProblems::default());
    let mut errors = false;
    for piece in pieces.iter() {
        let found = match piece.read(secrets) {
            Ok((recipients, placed)) => {
                let found = linter.lint(&recipients);
                errors |= found.has_errors();
                if !errors {
                    take(recipients);
                }
                placed.locate(&found)
            }
            Err(wrong) => {
                errors = true;
                wrong
            }
        };
        told.0.extend(found.0);
        if told.0.len() >= PROBLEMS_MAX {
            break;
        }
    }
    let problem = |problem| FileProblem { at: None, problem };
    told.0.extend(linter.end().0.into_iter().map(problem));
    if errors {
        return fail(path, &told);
    }
    tell(path, &told);
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<String> {
    let octets = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    organization::text_of(octets).or_else(|problems| fail(path, &problems))
}

fn checked(path: &Path, text: &str) -> anyhow::Result<OrganizationFile> {
    match LabFile::parse(text) {
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

/// Tells them on standard error.
pub(crate) fn tell(path: &Path, problems: &FileProblems) {
    problems.0.iter().for_each(|problem| complain(path, problem));
}

/// `organization.yaml:12:5: error: …`; without a place in the file `organization.yaml: error: …`.
fn complain(path: &Path, problem: &impl Display) {
    let text = problem.to_string();
    let space = if text.starts_with(|first: char| first.is_ascii_digit()) { "" } else { " " };
    eprintln!("{}:{space}{}", path.display(), super::output::harmless(&text));
}
