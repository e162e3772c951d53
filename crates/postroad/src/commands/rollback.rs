//! `postroad rollback`: the configuration becomes what it was at a revision, as a new revision.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use envelope::Revision;
use organization::{Kind, Object};

use super::impact::{self, Then, Wanted};
use super::place::{self, Place};
use super::planned::{self, advise};
use super::{left_behind, output, source};

const EXAMPLES: &str = "\
Examples:
  # Which changes there were; what going back would change; going back.
  postroad revisions
  postroad rollback 41 --dry-run
  postroad rollback 41

The old configuration becomes the newest: nothing is lost, and a rollback can be rolled back. Recipients
stay as they are; what the old configuration says must fit them. A credential that was sealed for other
smart hosts opens again with the smart hosts of then.";

/// Arguments of `postroad rollback`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RollbackArguments {
    /// The revision to go back to; `postroad revisions` lists them.
    #[arg(value_name = "REVISION", value_parser = source::revision)]
    revision: Revision,
    /// Show the plan and change nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Make the change although it leaves mail behind.
    #[arg(long, conflicts_with = "dry_run")]
    force: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: RollbackArguments) -> anyhow::Result<ExitCode> {
    let reach = arguments.place.reach().await?;
    let directory = reach.directory.as_ref();
    let current = planned::read(directory).await.map_err(|error| reach.explained(&error))?;
    let Some(before) = current.organization else {
        bail!(
            "what is stored is not valid: {}. `postroad export --revision {}` and `postroad apply` repair it",
            current.damage.unwrap_or_default(),
            arguments.revision
        );
    };
    let (_, then) = source::open_at(&reach, Some(arguments.revision)).await?;
    let problems = organization::recipients::lint(then.draft(), &current.recipients);
    if problems.has_errors() {
        return Err(anyhow!("{problems}").context("the recipients of now do not fit into the configuration of then"));
    }
    let is_configuration = |object: &Object| object.kind() != Kind::Recipient;
    let now: Vec<Object> = current.objects.into_iter().filter(is_configuration).collect();
    let plan = organization::plan(now, organization::objects(then.draft(), &[]));
    output::print(&planned::painted(&plan.to_string(), output::colours()))?;
    if plan.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let wanted_before = before.clone();
    let wanted = Wanted { before, after: then.draft().clone(), recipients: Then::Same };
    output::print(&impact::of(&arguments.place, directory, wanted).await)?;
    let presences = directory.presences().await?;
    let left = left_behind::by(&plan, &left_behind::mailboxes(&current.recipients), &presences, &arguments.place).await;
    output::print(&left.told())?;
    planned::may(&plan, Some(&wanted_before))?;
    if arguments.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    left.allow(arguments.force)?;
    if !arguments.yes && !planned::agreed()? {
        bail!("nothing was changed");
    }
    let changes = plan.changes.len();
    let author = place::author(&format!("rollback {}", arguments.revision));
    let last = directory::apply(directory, plan, current.revision, &author).await.map_err(advise)?;
    planned::done(directory, changes, last).await?;
    Ok(ExitCode::SUCCESS)
}
