//! `postroad check`: whether a server can do its work before, or while, it does it: settings, certificates, keys, directory,
//! ports, name servers, disk, folders of gateways, clock. Each that cannot be used says what to do.

mod folders;
mod machine;
mod organization;

use std::path::PathBuf;
use std::process::ExitCode;

use postroad::service::SETTINGS_DEFAULT;
use runtime::Settings;

use super::findings::Findings;
use super::{output, times};

const EXAMPLES: &str = "\
Examples:
  # Of the server that this machine is; of another's settings.
  postroad check
  postroad check --settings server.toml
  # With an organization file that is to be applied.
  postroad check contoso.yaml
  # For a script.
  postroad check --json | jq -r 'select(.state == \"wrong\") | .subject'

Nothing is changed; ports are opened and closed again at once. Ends with status 0 if nothing is wrong, 1 if something is.
`postroad probe CONNECTOR` tries the way out.";

/// Arguments of `postroad check`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArguments {
    /// Organization file (YAML) to be looked at too.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Settings of the server (TOML).
    #[arg(long, short, value_name = "FILE", env = "POSTROAD_SETTINGS", default_value = SETTINGS_DEFAULT)]
    settings: PathBuf,
    /// JSON Lines: one object for each finding.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: CheckArguments) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    let now = times::now();
    match Settings::load(&arguments.settings) {
        Ok(settings) => {
            let name = arguments.settings.display();
            findings.good("settings", format!("{name}: {} of {}", settings.server, settings.forest));
            let organization = organization::directory(&settings, now, &mut findings).await;
            machine::files(&settings, organization.as_deref(), now, &mut findings);
            machine::disk(&settings, &mut findings);
            folders::look(&settings, organization.as_deref(), &mut findings);
            machine::ports(&settings, organization.as_deref(), &mut findings).await;
            organization::dns(&settings, organization.as_deref(), &mut findings).await;
        }
        Err(error) => findings.wrong(
            "settings",
            error.to_string(),
            "correct the file, or name another one with --settings; deploy/server.toml is an example",
        ),
    }
    if let Some(file) = &arguments.file {
        organization::file(file, &mut findings);
    }
    if arguments.json {
        output::print_json(&findings.json()?)?;
    } else {
        output::print(&findings.text(crate::answers::Palette::of_output()))?;
    }
    Ok(if findings.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
