//! `postroad export`: the organization as it is, as a file for `postroad apply`; or its mailboxes as one for Dovecot.

mod passwd_file;

use std::path::PathBuf;
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
  # For Dovecot, which lets the same people read their mail with the same passwords (docs/ldap.md).
  postroad export --passwd-file /etc/dovecot/postroad.users

Credentials are sealed under the organization's key, passwords are one-way verifiers: the file can
be applied to this organization again, yet nobody can read a password out of it.";

/// Arguments of `postroad export`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArguments {
    /// The organization and its recipients as they were at this revision.
    #[arg(long, value_name = "NUMBER", value_parser = source::revision)]
    revision: Option<Revision>,
    /// Write the mailboxes into this passwd-file of Dovecot instead: names, verifiers of passwords, and where each mailbox is by
    /// the settings. Owner and permissions of a file that is there stay; a new one is its owner's alone.
    #[arg(long, value_name = "FILE")]
    passwd_file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: ExportArguments) -> anyhow::Result<ExitCode> {
    let (directory, organization) = source::open_at(&arguments.place.reach().await?, arguments.revision).await?;
    let recipients = directory::all_recipients(directory.as_ref()).await?;
    if let Some(path) = &arguments.passwd_file {
        let text = passwd_file::text(&recipients, &arguments.place.settings()?)?;
        passwd_file::write(path, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print_raw(&Document::from_draft(organization.draft(), &recipients).to_yaml())?;
    Ok(ExitCode::SUCCESS)
}
