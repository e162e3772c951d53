//! `postroad queue redirect`: a server hands over what waits, before it is maintained.

use std::process::ExitCode;

use anyhow::bail;
use envelope::ServerName;

use super::super::output;
use super::super::place::Place;
use super::super::queued::Transports;
use super::operate::agreed;

pub(super) const EXAMPLES: &str = "\
Examples:
  # BERLIN1 takes no new mail from now on and sends what waits to BERLIN2, until it is told otherwise or restarts.
  postroad queue redirect BERLIN1 --to BERLIN2
  postroad queue redirect BERLIN1 --end

Suspended messages, poison and mail without a route stay.";

/// Arguments of `redirect`.
#[derive(clap::Args)]
pub(super) struct RedirectArguments {
    /// The server whose mail goes elsewhere.
    #[arg(value_name = "SERVER")]
    server: ServerName,
    /// The server that gets it.
    #[arg(long, value_name = "SERVER", required_unless_present = "end", conflicts_with = "end")]
    to: Option<ServerName>,
    /// Mail is taken again, and goes where it is routed.
    #[arg(long)]
    end: bool,
    /// Redirect without asking.
    #[arg(long)]
    yes: bool,
    /// JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(arguments: RedirectArguments) -> anyhow::Result<ExitCode> {
    let RedirectArguments { server, to, end, yes, json, place } = arguments;
    let transports = Transports::open(&place).await?;
    let question = format!(
        "{server} takes no new mail from now on, and what waits goes to {}.",
        to.as_ref().map(ToString::to_string).unwrap_or_default()
    );
    if !end && !yes && !agreed(&question)? {
        bail!("nothing was done");
    }
    transports.redirect(&server, to.as_ref(), "postroad queue redirect").await?;
    let to = to.map(|to| to.to_string());
    if json {
        let line = serde_json::json!({"kind": "redirection", "server": server.to_string(), "target": to});
        output::print_json(&format!("{line}\n"))?;
    } else {
        output::print(&match to {
            Some(to) => format!(
                "{server} takes no new mail; what waits goes to {to}. `postroad queue redirect {server} --end` ends it.\n"
            ),
            None => format!("{server} takes mail again, and it goes where it is routed.\n"),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
