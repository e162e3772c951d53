//! Which queues and messages of running servers are meant: by their identities, or by what `postroad queue` filters by.

use admin_api::queues::{MESSAGES_MAX, MessageEntry, MessagesRequest, QueueEntry, Target};
use anyhow::{anyhow, bail};
use envelope::ServerName;
use futures::TryStreamExt;
use futures::future::join_all;

use super::super::queued::Transports;
use super::super::times;
use super::super::tracked;
use super::WantedQueue;

/// What is meant.
#[derive(clap::Args)]
#[command(next_help_heading = "Which")]
pub(super) struct Selection {
    /// A queue, SERVER\QUEUE, or a message, SERVER\QUEUE\MESSAGE, by names or by integers, as `postroad queue --all` and
    /// --json tell them; the name of a queue alone means that of every server.
    #[arg(value_name = "IDENTITY", conflicts_with_all = ["sender", "recipient", "older_than", "queue", "all"])]
    identities: Vec<String>,
    /// Only on this server; may be given several times.
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<ServerName>,
    /// This queue: its name, or SERVER\QUEUE.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Messages of this sender: an address, @DOMAIN, NAME@ or <>.
    #[arg(long, value_name = "ADDRESS", value_parser = tracked::sender)]
    sender: Option<String>,
    /// Messages that still wait for such a recipient: an address, @DOMAIN or NAME@.
    #[arg(long, value_name = "ADDRESS", value_parser = tracked::recipient)]
    recipient: Option<String>,
    /// Messages that have waited so long: 30m, 2h, 1d.
    #[arg(long, value_name = "AGE", value_parser = times::age)]
    older_than: Option<std::time::Duration>,
    /// All that there is, on all servers or on those that are named.
    #[arg(long, conflicts_with_all = ["queue", "sender", "recipient", "older_than"])]
    all: bool,
}

/// A queue or a message that is meant.
pub(super) struct Chosen {
    pub server: ServerName,
    pub target: Target,
    pub status: Box<str>,
    /// As somebody reads it who agrees to something.
    pub shown: String,
}

/// What was found, and who could not be asked.
#[derive(Default)]
pub(super) struct Found {
    pub chosen: Vec<Chosen>,
    pub failed: Vec<String>,
}

/// A queue, or a message in it.
struct Meant {
    queue: Option<WantedQueue>,
    message: Option<u64>,
}

impl Meant {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((queue, message)) = text.rsplit_once('\\').filter(|(queue, _)| queue.contains('\\')) else {
            return Ok(Self { queue: Some(WantedQueue::parse(text)?), message: None });
        };
        let number =
            message.parse().map_err(|_| anyhow!("{message} is no message: write its integer, as in MAIL1\\7\\42"))?;
        Ok(Self { queue: Some(WantedQueue::parse(queue)?), message: Some(number) })
    }
}

impl Selection {
    /// Whether everything is named one by one.
    pub(super) fn is_by_identity(&self) -> bool {
        !self.identities.is_empty()
    }

    /// Whether messages are meant by what they are.
    fn is_of_messages(&self) -> bool {
        self.sender.is_some() || self.recipient.is_some() || self.older_than.is_some()
    }

    /// # Errors
    /// Nothing was named.
    fn meant(&self) -> anyhow::Result<Vec<Meant>> {
        if !self.identities.is_empty() {
            return self.identities.iter().map(|text| Meant::parse(text)).collect();
        }
        if !self.all && !self.is_of_messages() && self.queue.is_none() && self.servers.is_empty() {
            bail!(
                "nothing is named: give identities, or --queue, --server, --sender, --recipient, --older-than, or --all"
            );
        }
        let queue = self.queue.as_deref().map(WantedQueue::parse).transpose()?;
        Ok(vec![Meant { queue, message: None }])
    }

    /// What is meant of what there is: messages where `messages` says so, or where they are named; else queues.
    pub(super) async fn find(&self, transports: &Transports, messages: bool) -> anyhow::Result<Found> {
        let mut found = Found::default();
        for meant in self.meant()? {
            let server = meant.queue.as_ref().and_then(|queue| queue.server.clone());
            let servers = match (server, &self.servers[..]) {
                (Some(server), _) => vec![server],
                (None, []) => transports.servers(),
                (None, named) => named.to_vec(),
            };
            let before = found.chosen.len();
            let asked = servers.iter().map(|server| self.of_server(transports, server, &meant, messages));
            for (server, answer) in servers.iter().zip(join_all(asked).await) {
                match answer {
                    Ok(chosen) => found.chosen.extend(chosen),
                    Err(error) => found.failed.push(format!("{server}: {error:#}")),
                }
            }
            if found.chosen.len() == before && found.failed.is_empty() && !self.identities.is_empty() {
                bail!(
                    "there is no {} (any more); `postroad queue --all` lists what there is",
                    self.identities.join(", ")
                );
            }
        }
        Ok(found)
    }

    async fn of_server(
        &self,
        transports: &Transports,
        server: &ServerName,
        meant: &Meant,
        messages: bool,
    ) -> anyhow::Result<Vec<Chosen>> {
        if messages || meant.message.is_some() || self.is_of_messages() {
            let coming = transports.messages(server, self.request(meant)).await?;
            let mut listed: Vec<MessageEntry> = coming.try_collect().await?;
            if listed.len() >= MESSAGES_MAX as usize {
                eprintln!("note: {server} told of its first {MESSAGES_MAX} messages only; run it again for the rest");
            }
            // One whose recipients wait for different reasons is told more than once, and is one.
            let mut seen = std::collections::BTreeSet::new();
            listed.retain(|message| seen.insert((message.queue, message.number)));
            return Ok(listed.iter().map(|message| of_message(server, message)).collect());
        }
        let queues = transports.ask(server, None).await?.queues;
        let is_meant = |queue: &&QueueEntry| meant.queue.as_ref().is_none_or(|wanted| wanted.means(queue));
        Ok(queues.iter().filter(is_meant).map(|queue| of_queue(server, queue)).collect())
    }

    fn request(&self, meant: &Meant) -> MessagesRequest {
        let text = |text: &Option<String>| text.as_deref().map(Box::from);
        MessagesRequest {
            queue: meant.queue.as_ref().and_then(|queue| queue.number),
            queue_name: meant.queue.as_ref().and_then(|queue| queue.name.clone()),
            sender: text(&self.sender),
            recipient: text(&self.recipient),
            arrived_before: self.older_than.map(|age| times::before(times::now(), age)),
            number: meant.message,
            header: false,
            limit: MESSAGES_MAX,
        }
    }
}

fn of_queue(server: &ServerName, queue: &QueueEntry) -> Chosen {
    let count = queue.message_count;
    let messages = if count == 1 { "1 message".to_owned() } else { format!("{count} messages") };
    Chosen {
        server: server.clone(),
        target: Target { queue: queue.number, message: None },
        status: queue.status.clone(),
        shown: format!("{server}\\{}  {}  {}, {messages}", queue.number, queue.name, queue.status),
    }
}

/// Recipients of a message that are named; the rest is counted.
const RECIPIENTS_SHOWN: usize = 3;

fn of_message(server: &ServerName, message: &MessageEntry) -> Chosen {
    let sender = message.sender.shown();
    let mut to: Vec<String> = message.recipients.iter().take(RECIPIENTS_SHOWN).map(ToString::to_string).collect();
    if let Some(further) = message.recipients.len().checked_sub(RECIPIENTS_SHOWN).filter(|further| *further > 0) {
        to.push(format!("{further} more"));
    }
    let (queue, number, at) = (message.queue, message.number, times::shown(message.arrived));
    Chosen {
        server: server.clone(),
        target: Target { queue, message: Some(number) },
        status: message.status.clone(),
        shown: format!("{server}\\{queue}\\{number}  {at}  {sender} ▸ {}  {}", to.join(", "), message.queue_name),
    }
}
