//! `postroad cert authority`: another authority in the place of the organization's, while mail goes on.
//!
//! ```text
//!            issues          believed by all          folders below --ca
//!   begin    the old one     both                     ca/ ca-next/
//!   switch   the new one     both                     ca/ (the new one) ca-previous/
//!   end      the new one     the new one              ca/
//! ```
//!
//! Between two steps every identity is renewed and is where it belongs: a service believes both before it meets a certificate
//! of the new one, and has one of the new one before somebody does not believe the old one any more.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use net::CertificateAuthority;

use super::super::{output, times};
use super::{AUTHORITY_FOLDER, load_authority, make_private};

/// Where the next one waits.
const NEXT_FOLDER: &str = "ca-next";
/// Where the one before is kept.
const PREVIOUS_FOLDER: &str = "ca-previous";

const EXAMPLES: &str = "\
Examples:
  postroad cert authority begin --ca contoso-keys
  # Renew every identity and bring it to its server (certificates, and whom they believe):
  postroad cert renew --ca contoso-keys --path berlin1 --within 36500
  # Then the new authority issues; renew every identity once more, and then end it.
  postroad cert authority switch --ca contoso-keys
  postroad cert authority end --ca contoso-keys

etcd reads whom it believes (ca.pem) when it starts: restart its members, one after the other, after each
renewal. `postroad health` says when certificates end.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ChangeArguments {
    /// The step, one after the other.
    step: Step,
    /// Folder of `postroad cert init`.
    #[arg(long, value_name = "FOLDER")]
    ca: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Step {
    /// Make the next authority; both are believed from the next renewal on.
    Begin,
    /// The next authority issues from now on; both are believed.
    Switch,
    /// The one before is believed no more, from the next renewal on; its key is destroyed.
    End,
}

pub(super) fn run(arguments: &ChangeArguments) -> anyhow::Result<()> {
    let ca = &arguments.ca;
    let (current, next, previous) = (ca.join(AUTHORITY_FOLDER), ca.join(NEXT_FOLDER), ca.join(PREVIOUS_FOLDER));
    let what = match arguments.step {
        Step::Begin => {
            let forest = load_authority(ca)?.forest().clone();
            if next.exists() || previous.exists() {
                bail!("a change of the authority is under way in {}: go on with `switch` or `end`", ca.display());
            }
            make_private(&next)?;
            CertificateAuthority::create(&forest, times::now())?.keyed_certificate().save_to(&next)?;
            "The next authority is made, and issues nothing yet."
        }
        Step::Switch => {
            if !next.exists() {
                bail!("there is no next authority in {}: `postroad cert authority begin` makes it", ca.display());
            }
            // What was interrupted in between goes on here.
            if current.exists() {
                rename(&current, &previous)?;
            }
            rename(&next, &current)?;
            "The new authority issues from now on."
        }
        Step::End => {
            if !previous.exists() || next.exists() {
                bail!("no authority was replaced in {}: `begin` and `switch` come first", ca.display());
            }
            std::fs::remove_dir_all(&previous).with_context(|| format!("cannot remove {}", previous.display()))?;
            "The one before is gone."
        }
    };
    let ca = ca.display();
    output::print(&format!(
        "{what}\nNext: renew every identity and bring it to its server:\n  postroad cert renew --ca {ca} --path FOLDER --within 36500\n"
    ))
}

/// The authorities that are believed beside the one that issues.
pub(super) fn others(ca: &Path) -> anyhow::Result<String> {
    let mut pem = String::new();
    for folder in [NEXT_FOLDER, PREVIOUS_FOLDER] {
        let path = ca.join(folder).join("cert.pem");
        match std::fs::read_to_string(&path) {
            Ok(text) => pem.push_str(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(pem)
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(from, to).with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}
