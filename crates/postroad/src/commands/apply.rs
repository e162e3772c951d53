//! `postroad apply`: the organization becomes what a file says, after everybody saw what that changes.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use directory::{Administration, ApplySecrets, CommitError, Presence, ReadError, Salvage, SealError, Sealer};
use envelope::Revision;
use organization::{Document, FileProblems, Object, Plan};
use topology::{DirectoryRecipient, OrganizationDraft};

use super::organization_file::{self, OrganizationFile};
use super::output;
use super::place::{self, Place};

const EXAMPLES: &str = "\
Examples:
  # What would change; then the same, and do it when asked.
  postroad apply contoso.yaml --dry-run
  postroad apply contoso.yaml
  # In a pipeline: do not ask.
  postroad apply contoso.yaml --yes --settings /etc/postroad/server.toml
  # etcd was restored from a backup: services refuse it as older than what they have, until this.
  postroad apply contoso.yaml --restored

The file describes the whole organization: what it does not name is deleted. A file without a
`recipients:` section leaves recipients alone. `postroad export` writes a file of what is there.";

/// Arguments of `postroad apply`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApplyArguments {
    /// Organization file (YAML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show the plan and change nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// The directory was restored from a backup: make what it holds newer than what any service works by, then apply FILE to
    /// it. What was changed after the backup is lost unless FILE says it.
    #[arg(long, conflicts_with = "dry_run")]
    restored: bool,
    #[command(flatten)]
    place: Place,
}

/// What a directory holds now.
struct Current {
    revision: Revision,
    objects: Vec<Object>,
    recipients: Vec<DirectoryRecipient>,
    /// Why it is no valid organization.
    damage: Option<String>,
}

pub(crate) async fn run(arguments: ApplyArguments) -> anyhow::Result<ExitCode> {
    let file = organization_file::read(&arguments.file)?;
    let settings = arguments.place.settings()?;
    let sealer = Sealer::load(&settings.organization_key).map_err(without_key)?;
    let directory = place::connect(&settings)?;
    let current = read(&*directory).await.map_err(|error| place::explained(&settings, &error))?;
    let (revision, damage) = (current.revision, current.damage.clone());
    let path = arguments.file.clone();
    let plan = tokio::task::spawn_blocking(move || plan(&path, &file, &sealer, current)).await??;
    if let Some(damage) = &damage {
        output::print(&format!(
            "What is stored is not valid: {damage}.\n\
             This plan is made against what can be read of it; the configuration is written anew, without the rest.\n\n"
        ))?;
    }
    output::print(&painted(&plan.to_string(), output::colours()))?;
    let ahead = ahead(&*directory, revision).await?;
    output::print(&told(&ahead, revision, arguments.restored))?;
    if (plan.is_empty() && damage.is_none() && !arguments.restored) || arguments.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.yes && !agreed()? {
        bail!("nothing was changed");
    }
    let changes = plan.changes.len();
    let author = place::author(if arguments.restored { "apply --restored" } else { "apply" });
    let newest = ahead.iter().map(|service| service.applied_revision).max().unwrap_or(revision);
    let epoch = arguments.restored && damage.is_none();
    let revision = if epoch { directory.begin_epoch(newest, &author).await.map_err(advise)? } else { revision };
    let applied = match damage {
        None => directory::apply(directory.as_ref(), plan, revision, &author).await,
        Some(_) => directory::repair(directory.as_ref(), plan, revision, &author).await,
    };
    let mut last = applied.map_err(advise)?;
    if arguments.restored && !epoch {
        // Repaired by this very plan: only now it can be made to count.
        last = directory.begin_epoch(newest, &author).await.map_err(advise)?;
    }
    // Changes of recipients alone leave the configuration at its revision, which is what servers report.
    let revision = directory.snapshot().await?.revision();
    let changes = if changes == 1 { "1 change".to_owned() } else { format!("{changes} changes") };
    // Recipients are written after the configuration that they refer to: what was applied is whole with the last of them.
    let whole = if last > revision { format!("; with its recipients, {last}") } else { String::new() };
    output::print(&format!("Applied: {changes}; the configuration is at revision {revision}{whole}.\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Services that work by a newer configuration than there is.
async fn ahead(directory: &dyn Administration, revision: Revision) -> anyhow::Result<Vec<Presence>> {
    let mut presences = directory.presences().await?;
    presences.retain(|presence| presence.applied_revision > revision);
    Ok(presences)
}

fn told(ahead: &[Presence], revision: Revision, restored: bool) -> String {
    let mut text = String::new();
    for Presence { server, service, applied_revision, .. } in ahead {
        let _ =
            writeln!(text, "{server} {service} works by revision {applied_revision}; the directory is at {revision}.");
    }
    match (ahead.is_empty(), restored) {
        (true, _) => {}
        (false, true) => text.push_str("What was changed after the backup counts only as far as the file says it.\n"),
        (false, false) => text.push_str(
            "The directory was restored from a backup: services refuse changes until `postroad apply --restored FILE`.\n",
        ),
    }
    text
}

async fn read(directory: &dyn Administration) -> Result<Current, ReadError> {
    let recipients = directory::all_recipients(directory).await?;
    let (Salvage { revision, mut objects }, damage) = match directory.snapshot().await {
        Ok(valid) => {
            let objects = organization::objects(valid.draft(), &[]);
            (Salvage { revision: valid.revision(), objects }, None)
        }
        Err(ReadError::Invalid(damage)) => (directory.salvage().await?, Some(damage)),
        Err(error) => return Err(error),
    };
    objects.extend(recipients.iter().cloned().map(|recipient| Object::Recipient(Box::new(recipient))));
    Ok(Current { revision, objects, recipients, damage })
}

/// Makes secrets, and compares. Blocks: verifiers of passwords take their time.
fn plan(path: &Path, file: &OrganizationFile, sealer: &Sealer, current: Current) -> anyhow::Result<Plan> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let secrets = ApplySecrets::new(sealer, folder, &current.objects);
    let planned = Document::parse(&file.text).and_then(|document| {
        let (draft, recipients) = wanted(&document, &secrets, current.recipients)?;
        let plan = organization::plan(current.objects, organization::objects(&draft, &recipients));
        let refused = plan.refused();
        if refused.has_errors() { Err(document.locate(&refused)) } else { Ok(plan) }
    });
    planned.or_else(|problems| organization_file::fail(path, &problems))
}

/// What the directory shall hold. Recipients that a file does not speak of stay, and must fit into what it says.
fn wanted(
    document: &Document,
    secrets: &ApplySecrets<'_>,
    stored: Vec<DirectoryRecipient>,
) -> Result<(OrganizationDraft, Vec<DirectoryRecipient>), FileProblems> {
    let (draft, recipients) = document.to_draft(secrets)?;
    if document.has_recipients() {
        return Ok((draft, recipients));
    }
    let problems = organization::recipients::lint(&draft, &stored);
    if problems.has_errors() { Err(document.locate(&problems)) } else { Ok((draft, stored)) }
}

fn agreed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nothing was changed, because there is nobody to ask; look at the plan and add --yes");
    }
    eprint!("\nApply this plan? Only `yes` does it: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim() == "yes")
}

fn without_key(error: SealError) -> anyhow::Error {
    match error {
        SealError::File { .. } => anyhow!(
            "{error}. `postroad cert init` makes the organization's key, `postroad cert issue` copies it to a server"
        ),
        other => other.into(),
    }
}

fn advise(error: CommitError) -> anyhow::Error {
    match error {
        CommitError::Conflict(_) => {
            anyhow!("{error}; nothing else of this plan was done. Apply again to see a new plan")
        }
        CommitError::Unavailable(_) => anyhow!("{error}. A part may have been done: apply again when it is back"),
        other => other.into(),
    }
}

/// Additions green, changes yellow, deletions red.
fn painted(plan: &str, colours: bool) -> String {
    if !colours {
        return plan.to_owned();
    }
    let mut out = String::with_capacity(plan.len() * 2);
    for line in plan.lines() {
        let colour = match line.trim_start().chars().next() {
            Some('+') => "\x1b[32m",
            Some('~') => "\x1b[33m",
            Some('-') => "\x1b[31m",
            _ => "",
        };
        let plain = if colour.is_empty() { "" } else { "\x1b[0m" };
        writeln!(out, "{colour}{line}{plain}").expect("a text can be written to");
    }
    out
}
