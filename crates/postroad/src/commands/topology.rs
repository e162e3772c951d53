//! `postroad topology`: the organization as routing sees it, as text, as a drawing, or for programs, with the way of one
//! message if wanted.

mod summary;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use envelope::{Address, ByteSize, ServerName};
use inquiry::{Sender, Subject};
use map::{Journey, JourneyError, Marks, Survey, draw};
use topology::{Organization, ServerRole};

use super::output;
use super::source::Source;

/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

const EXAMPLES: &str = "\
Examples:
  # The lab in .postroad/lab: sites, links with their costs, servers, connectors.
  postroad topology
  # A file: no server, no network.
  postroad topology --organization contoso.yaml
  # Of hundreds of servers the text is a line for each site; this names every server, link and connector.
  postroad topology --organization large.yaml --all
  # A drawing, with the way of a message from one server to a recipient.
  postroad topology --organization contoso.yaml --svg contoso.svg
  postroad topology --organization contoso.yaml --svg way.svg --from OSLO1 bob@fabrikam.com
  # Of many sites a drawing has regions: a centre with the sites that are nearest to it. One of them site by site:
  postroad topology --svg contoso.svg --open Berlin
  # For programs.
  postroad topology --json | jq '.siteLinks[] | {name, cost}'";

/// Arguments of `postroad topology`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopologyArguments {
    /// Show the way of mail for this address.
    #[arg(value_name = "RECIPIENT")]
    recipient: Option<Address>,
    /// The server that has the message [default: the first Mailbox server].
    #[arg(long, value_name = "SERVER", requires = "recipient")]
    from: Option<ServerName>,
    /// How large the message is, such as 500KB or 5MB.
    #[arg(long, value_name = "SIZE", default_value = super::explain::SIZE_DEFAULT, requires = "recipient")]
    size: ByteSize,
    /// Write a drawing (SVG); - is standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    svg: Option<PathBuf>,
    /// In a drawing of many sites: a region whose sites are drawn one by one; all for every one; may be given several times.
    #[arg(long = "open", value_name = "REGION", requires = "svg")]
    open: Vec<String>,
    /// Name every server, link and connector, however many there are; with more than twelve servers or forty connectors the text
    /// is a summary otherwise.
    #[arg(long, conflicts_with_all = ["json", "svg"])]
    all: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

pub(crate) async fn run(arguments: TopologyArguments) -> anyhow::Result<ExitCode> {
    let opened = arguments.source.open().await?;
    let survey = Survey::of(&opened.organization);
    let journey = match &arguments.recipient {
        Some(recipient) => {
            let from = start(&opened.organization, arguments.from.as_ref())?;
            let subject = Subject { recipient: recipient.clone(), sender: Sender::Unnamed, size: arguments.size, from };
            let mut inquiry = opened.inquiry(std::slice::from_ref(&subject)).await?;
            let journey = Journey::follow(&mut inquiry, &survey, &subject);
            Some(journey.map_err(|error| match error {
                JourneyError::NotRouted { ref recipient, .. } => {
                    anyhow!("{error}; `postroad explain {recipient}` says more")
                }
                error => error.into(),
            })?)
        }
        None => None,
    };
    show(&arguments, &survey, journey.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &TopologyArguments, survey: &Survey, journey: Option<&Journey>) -> anyhow::Result<()> {
    match &arguments.svg {
        Some(path) if path.as_path() == Path::new(STANDARD_OUTPUT) => {
            output::print_raw(&drawn(&arguments.open, survey, journey)?)
        }
        Some(path) => {
            let drawing = drawn(&arguments.open, survey, journey)?;
            std::fs::write(path, drawing).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("written to {}", path.display());
            Ok(())
        }
        None if arguments.json => output::print_json(&format!("{}\n", text::json(survey, journey))),
        None => output::print(&text::text(survey, journey, arguments.all)),
    }
}

/// The drawing, with regions shut that are not opened by name.
fn drawn(wanted: &[String], survey: &Survey, journey: Option<&Journey>) -> anyhow::Result<String> {
    let regions = map::regions(survey);
    let mut open: BTreeSet<String> = wanted.iter().cloned().collect();
    if open.remove("all") {
        open.extend(regions.iter().map(|region| region.name.to_string()));
    }
    for name in &open {
        if !regions.iter().any(|region| region.name.as_str().eq_ignore_ascii_case(name)) {
            let names: Vec<&str> = regions.iter().map(|region| region.name.as_str()).collect();
            bail!("there is no region {name}; there are {}, and all", names.join(", "));
        }
    }
    let folded = map::fold(survey, journey, &Marks::default(), &open);
    Ok(draw(&folded.survey, folded.journey.as_ref()))
}

/// The server that has the message.
fn start(organization: &Organization, named: Option<&ServerName>) -> anyhow::Result<ServerName> {
    let servers = organization.servers();
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    match named {
        Some(name) if organization.server(name).is_some() => Ok(name.clone()),
        Some(name) => bail!("there is no server {name}; there are {}", names.join(", ")),
        None => {
            let first = servers.iter().find(|server| server.role == ServerRole::Mailbox);
            let first =
                first.context("there is no Mailbox server that could have the message: add one to `servers:`")?;
            if servers.len() > 1 {
                eprintln!("note: as sent from {}; --from names another server", first.name);
            }
            Ok(first.name.clone())
        }
    }
}
