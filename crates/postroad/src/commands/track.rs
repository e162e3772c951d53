//! `postroad track`: what the message tracking logs of all servers say about messages, each told from its first server to its
//! last.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use envelope::ServerName;
use logs::search::Query;

use super::output;
use super::place::Place;
use super::queued::Transports;
use super::times;
use super::tracked::{self, Shape};
use crate::answers::Palette;

/// Messages told unless more are asked for.
const LIMIT_DEFAULT: u32 = 50;

const EXAMPLES: &str = "\
Examples:
  # What became of the mail that Anna sent at about ten (times are in UTC, as in the logs).
  postroad track --sender anna@contoso.example --start 09:55 --end 10:10
  # Of mail for a domain, in the last two hours; of what failed since yesterday.
  postroad track --recipient @partner.example --start 2h
  postroad track --event FAIL --start 1d
  # Of one message: by its Message-ID header, by the id in a log line or reply, or by the id of its trace.
  postroad track '<20261122.1@contoso.example>'
  postroad track --subject 'your order'
  # Every line, for a script.
  postroad track --event SEND --start 1h --json | jq -r '[.timestamp, .server, .connectorId] | @tsv'

All options must hold; of several recipients, one. The messages found are told whole, on every server, unless --json or --lines
asks for the lines that were looked for alone. Needs the certificate of an administrator, as `postroad queue` does.
docs/message-tracking.md says what each event means. Ends with status 1 when a server could not be asked.";

/// Arguments of `postroad track`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrackArguments {
    /// A Message-ID header, a message id, or a trace id.
    #[arg(value_name = "MESSAGE")]
    message: Option<String>,
    /// Mail of this sender: an address, @DOMAIN, NAME@ or <> for notifications.
    #[arg(long, value_name = "ADDRESS", value_parser = tracked::sender)]
    sender: Option<String>,
    /// Mail for this recipient, or one of several: an address, @DOMAIN or NAME@.
    #[arg(long = "recipient", value_name = "ADDRESS", value_parser = tracked::recipient)]
    recipients: Vec<String>,
    /// A part of the subject.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// What happened: RECEIVE, SEND, DELIVER, DEFER, FAIL, …
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// By which part: SMTP, ROUTING, QUEUE, …
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// By this Send or Receive connector.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// From this time on: 10:03, 2026-11-22, 2026-11-22T10:03, or 2h for two hours ago; UTC.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Only this server; may be given several times [default: all].
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<ServerName>,
    /// Most messages told, the newest; with --json or --lines, lines of each server.
    #[arg(long, value_name = "COUNT", default_value_t = LIMIT_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Only the lines that were looked for, not the rest of their messages' way.
    #[arg(long)]
    lines: bool,
    /// JSON Lines: one object for each line that was looked for.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: TrackArguments) -> anyhow::Result<ExitCode> {
    let query = query(&arguments)?;
    let transports = Transports::open(&arguments.place).await?;
    let servers =
        if arguments.servers.is_empty() { transports.servers() } else { transports.spelled(&arguments.servers) };
    if servers.is_empty() {
        bail!("the organization has no servers: describe them in a file and run `postroad apply FILE`");
    }
    let limit = arguments.limit as usize;
    let shape = if arguments.lines || arguments.json { Shape::Lines } else { Shape::Whole };
    let (found, failed) = tracked::find(&transports, &servers, &query, limit, shape).await?;
    if arguments.json {
        output::print_json(&tracked::json(&found)?)?;
    } else {
        output::print(&tracked::text(&found, limit, Palette::of_output()))?;
    }
    if let Some(unasked) = transports.unasked().filter(|_| arguments.servers.is_empty()) {
        eprintln!("note: {unasked}");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(anyhow!(failed.join("\n       ")).context("not all servers could be asked"))
}

fn query(arguments: &TrackArguments) -> anyhow::Result<Query> {
    let now = times::now();
    let moment = |text: &Option<String>| text.as_deref().map(|text| times::moment(text, now)).transpose();
    let query = Query {
        start: moment(&arguments.start).map_err(|error| anyhow!("--start: {error}"))?,
        end: moment(&arguments.end).map_err(|error| anyhow!("--end: {error}"))?,
        event_id: arguments.event.clone(),
        source: arguments.source.clone(),
        recipients: arguments.recipients.clone(),
        sender: arguments.sender.clone(),
        subject: arguments.subject.clone(),
        connector: arguments.connector.clone(),
        ..arguments.message.as_deref().map(tracked::named).unwrap_or_default()
    };
    if query == Query::default() {
        bail!(
            "name a message, or what to look for: --sender, --recipient, --subject, --start …; `postroad track --help` has examples"
        );
    }
    Ok(query)
}
