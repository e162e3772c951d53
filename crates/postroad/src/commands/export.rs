//! `postroad export`: the organization as it is, as a file for `postroad apply`.

use std::process::ExitCode;

use envelope::Revision;
use organization::Document;

use super::output;
use super::place::Place;
use super::source;

const EXAMPLES: &str = "\
Examples:
  # The whole organization; after an edit, what that would change.
  postroad export > contoso.yaml
  postroad apply contoso.yaml --dry-run
  # As it was: `postroad revisions` lists the changes.
  postroad export --revision 42

Credentials are sealed under the organization's key, passwords are one-way verifiers: the file can
be applied to this organization again, yet nobody can read a password out of it.";

/// Arguments of `postroad export`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArguments {
    /// The organization and its recipients as they were at this revision.
    #[arg(long, value_name = "NUMBER", value_parser = source::revision)]
    revision: Option<Revision>,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: ExportArguments) -> anyhow::Result<ExitCode> {
    let (directory, organization) = source::open_at(&arguments.place.settings()?, arguments.revision).await?;
    let recipients = directory::all_recipients(directory.as_ref()).await?;
    output::print_raw(&Document::from_draft(organization.draft(), &recipients).to_yaml())?;
    Ok(ExitCode::SUCCESS)
}
