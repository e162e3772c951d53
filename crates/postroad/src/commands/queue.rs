//! `postroad queue`: what waits on running servers, for where, why, and by which decision.

mod json;
mod report;

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::anyhow;
use envelope::{ServerName, Timestamp};
use rpc::admin::{MESSAGES_DEFAULT, MESSAGES_MAX, MessagesRequest};

use super::output;
use super::place::Place;
use super::queued::{Told, Transports};

const EXAMPLES: &str = "\
Examples:
  # Every queue of the lab that runs on this machine.
  postroad queue
  # One server, with its messages, each with sender, recipients, the decision and why it waits.
  postroad queue --server OSLO1 --messages
  # What waits for a retry, for a script.
  postroad queue --json | jq 'select(.kind == \"queue\" and .status == \"Retry\")'

Needs the certificate of an administrator beside those of the server (identity.path in the settings):
  postroad cert issue --ca contoso-keys --administrator anna --path /etc/postroad/identity
A lab makes one itself. Ends with status 1 when a server could not be asked; what the others say is printed.";

/// Arguments of `postroad queue`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueueArguments {
    /// Only this server; may be given several times [default: all].
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<ServerName>,
    /// Also the messages in the queues.
    #[arg(long, short)]
    messages: bool,
    /// Most messages listed for each server.
    #[arg(long, value_name = "COUNT", default_value_t = MESSAGES_DEFAULT, requires = "messages",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_MAX)))]
    limit: u32,
    /// JSON Lines: one object for each queue, message and peer; `kind` says which.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: QueueArguments) -> anyhow::Result<ExitCode> {
    let transports = Transports::open(&arguments.place.settings()?).await?;
    let servers = if arguments.servers.is_empty() { transports.servers() } else { arguments.servers };
    if servers.is_empty() {
        return Err(anyhow!("the organization has no servers: describe them in a file and run `postroad apply FILE`"));
    }
    let request = arguments.messages.then_some(MessagesRequest { queue: None, limit: arguments.limit });
    let asked = servers.into_iter().map(|server| async {
        let told = transports.ask(&server, request).await;
        (server, told)
    });
    let (mut told, mut failed): (Vec<(ServerName, Told)>, Vec<String>) = (Vec::new(), Vec::new());
    for (server, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(answer) => told.push((server, answer)),
            Err(error) => failed.push(format!("{server}: {error:#}")),
        }
    }
    let now = Timestamp::from(SystemTime::now());
    let text = if arguments.json { json::lines(&told)? } else { report::text(transports.organization(), &told, now) };
    output::print(&text)?;
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(anyhow!(failed.join("\n       ")).context(if told.is_empty() {
        "no server could be asked"
    } else {
        "not all servers could be asked"
    }))
}
