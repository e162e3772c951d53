//! `postroad queue`: what waits on running servers, for where, why, and by which decision; and what is done about it.

mod json;
mod operate;
mod redirect;
mod report;
mod select;

use std::process::ExitCode;

use admin_api::queues::{MESSAGES_DEFAULT, MESSAGES_MAX, MessagesRequest, QueueEntry};
use anyhow::{anyhow, bail};
use envelope::{ServerName, Timestamp};

use self::operate::{Doing, ExportArguments, OperateArguments, RemoveArguments};
use self::redirect::RedirectArguments;
use super::output;
use super::place::Place;
use super::queued::{Told, Transports};
use super::times;
use super::tracked;

const EXAMPLES: &str = "\
Examples:
  # What waits, everywhere; then each message of it, as mailq shows them.
  postroad queue
  postroad queue --messages
  # Mail for a domain, of a sender, that has waited for two hours, in one queue.
  postroad queue --recipient @partner.example
  postroad queue --sender anna@contoso.example --older-than 2h
  postroad queue --queue 'partner.example'
  # Every queue with its servers in the order of attempts, and every decision.
  postroad queue --all
  postroad queue --messages --all
  # Try again now; stop a queue; end a message and tell its sender: each verb has a --help of its own.
  postroad queue retry --all
  postroad queue suspend --queue partner.example
  postroad queue remove 'MAIL1\\7\\42'
  # What waits for a retry, for a script.
  postroad queue --json | jq 'select(.kind == \"queue\" and .status == \"Retry\")'

Needs the certificate of an administrator beside those of the server (identity.path in the settings):
  postroad cert issue --ca contoso-keys --administrator anna --path /etc/postroad/identity
A lab makes one itself. Ends with status 1 when a server could not be asked; what the others say is printed.";

/// Arguments of `postroad queue`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct QueueArguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only this server; may be given several times [default: all].
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<ServerName>,
    /// Also the messages in the queues.
    #[arg(long, short)]
    messages: bool,
    /// Only messages of this sender: an address, @DOMAIN, NAME@ or <>.
    #[arg(long, value_name = "ADDRESS", value_parser = tracked::sender)]
    sender: Option<String>,
    /// Only messages that still wait for such a recipient: an address, @DOMAIN or NAME@.
    #[arg(long, value_name = "ADDRESS", value_parser = tracked::recipient)]
    recipient: Option<String>,
    /// Only messages that have waited so long: 30m, 2h, 1d.
    #[arg(long, value_name = "AGE", value_parser = times::age)]
    older_than: Option<std::time::Duration>,
    /// Only this queue: its name, such as partner.example, or its identity, such as OSLO1\7.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Most messages listed for each server.
    #[arg(long, value_name = "COUNT", default_value_t = MESSAGES_DEFAULT, requires = "messages",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_MAX)))]
    limit: u32,
    /// Empty queues too, the order of attempts of each, and the decision about each message.
    #[arg(long, short)]
    all: bool,
    /// JSON Lines: one object for each queue, message and peer; `kind` says which.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What is done to queues and messages.
#[derive(clap::Subcommand)]
enum Verb {
    /// Try queues in Retry now, whatever their next try.
    #[command(after_help = operate::RETRY)]
    Retry(OperateArguments),
    /// Send what waits in queues to the categorizer, which routes it anew.
    #[command(after_help = operate::RESUBMIT)]
    Resubmit(OperateArguments),
    /// Stop queues, or messages: they wait until they are resumed or expire, also after a restart.
    #[command(after_help = operate::SUSPEND)]
    Suspend(OperateArguments),
    /// Let suspended queues, or messages, go on.
    #[command(after_help = operate::RESUME)]
    Resume(OperateArguments),
    /// End messages, for the recipients that wait; their senders are told.
    #[command(after_help = operate::REMOVE)]
    Remove(RemoveArguments),
    /// Write suspended messages into files, as a Replay directory takes them; they stay in their queues.
    #[command(after_help = operate::EXPORT)]
    Export(ExportArguments),
    /// Have a server take no new mail and send what waits to another; or end that.
    #[command(after_help = redirect::EXAMPLES)]
    Redirect(RedirectArguments),
}

/// Which queue is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WantedQueue {
    /// None: of every server.
    server: Option<ServerName>,
    number: Option<u64>,
    name: Option<Box<str>>,
}

impl WantedQueue {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((server, number)) = text.split_once('\\') else {
            return Ok(Self { server: None, number: None, name: Some(text.into()) });
        };
        let server = ServerName::parse(server).map_err(|_| anyhow!("{server} is no name of a server"))?;
        match number.parse() {
            Ok(number) => Ok(Self { server: Some(server), number: Some(number), name: None }),
            Err(_) => Ok(Self { server: Some(server), number: None, name: Some(number.into()) }),
        }
    }

    fn means(&self, queue: &QueueEntry) -> bool {
        match (&self.number, &self.name) {
            (Some(number), _) => queue.number == *number,
            (None, Some(name)) => queue.name.eq_ignore_ascii_case(name),
            (None, None) => true,
        }
    }
}

pub(crate) async fn run(mut arguments: QueueArguments) -> anyhow::Result<ExitCode> {
    match arguments.verb.take() {
        None => look(arguments).await,
        Some(Verb::Redirect(arguments)) => redirect::run(arguments).await,
        Some(Verb::Retry(arguments)) => operate::run(Doing::Retry, arguments).await,
        Some(Verb::Resubmit(arguments)) => operate::run(Doing::Resubmit, arguments).await,
        Some(Verb::Suspend(arguments)) => operate::run(Doing::Suspend, arguments).await,
        Some(Verb::Resume(arguments)) => operate::run(Doing::Resume, arguments).await,
        Some(Verb::Remove(arguments)) => operate::remove(arguments).await,
        Some(Verb::Export(arguments)) => operate::export(arguments).await,
    }
}

async fn look(arguments: QueueArguments) -> anyhow::Result<ExitCode> {
    let transports = Transports::open(&arguments.place).await?;
    let wanted = arguments.queue.as_deref().map(WantedQueue::parse).transpose()?;
    let all = arguments.servers.is_empty() && wanted.as_ref().is_none_or(|wanted| wanted.server.is_none());
    let mut servers =
        if arguments.servers.is_empty() { transports.servers() } else { transports.spelled(&arguments.servers) };
    if let Some(only) = wanted.as_ref().and_then(|wanted| wanted.server.as_ref()) {
        servers = transports.spelled(std::slice::from_ref(only));
    }
    if servers.is_empty() {
        bail!("the organization has no servers: describe them in a file and run `postroad apply FILE`");
    }
    let now = times::now();
    let request = request(&arguments, wanted.as_ref(), now);
    let asked = servers.into_iter().map(|server| async {
        let told = transports.ask(&server, request.clone()).await;
        (server, told)
    });
    let (mut told, mut failed): (Vec<(ServerName, Told)>, Vec<String>) = (Vec::new(), Vec::new());
    for (server, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(answer) => told.push((server, only(answer, wanted.as_ref()))),
            Err(error) => failed.push(format!("{server}: {error:#}")),
        }
    }
    if arguments.json {
        output::print_json(&json::lines(&told)?)?;
    } else {
        let view = report::View {
            all: arguments.all,
            messages: request.is_some(),
            filtered: is_filtered(&arguments),
            silent: failed.len(),
        };
        output::print(&report::text(transports.organization(), &told, view, now))?;
    }
    if let Some(unasked) = transports.unasked().filter(|_| all) {
        eprintln!("note: {unasked}");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(anyhow!(failed.join("\n       ")).context(if told.is_empty() {
        "no server could be asked"
    } else {
        "not all servers could be asked"
    }))
}

fn is_filtered(arguments: &QueueArguments) -> bool {
    arguments.sender.is_some() || arguments.recipient.is_some() || arguments.older_than.is_some()
}

/// Messages are asked for where they are shown, or looked for.
fn request(arguments: &QueueArguments, wanted: Option<&WantedQueue>, now: Timestamp) -> Option<MessagesRequest> {
    let shown = arguments.messages || is_filtered(arguments) || arguments.queue.is_some();
    let text = |text: &Option<String>| text.as_deref().map(Box::from);
    shown.then(|| MessagesRequest {
        queue: wanted.and_then(|wanted| wanted.number),
        queue_name: wanted.and_then(|wanted| wanted.name.clone()),
        sender: text(&arguments.sender),
        recipient: text(&arguments.recipient),
        arrived_before: arguments.older_than.map(|age| times::before(now, age)),
        number: None,
        header: true,
        limit: arguments.limit,
    })
}

/// Of the queues, only the one that is meant.
fn only(mut told: Told, wanted: Option<&WantedQueue>) -> Told {
    if let Some(wanted) = wanted {
        told.queues.retain(|queue| wanted.means(queue));
        told.peers.clear();
    }
    told
}
