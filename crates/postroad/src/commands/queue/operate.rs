//! `postroad queue retry|resubmit|suspend|resume|remove|export`: who is meant is listed first; what came of each is told, and
//! stands in the audit log.

use std::path::PathBuf;
use std::process::ExitCode;

use admin_api::queues::{Operated, Operation, Outcome, Target};
use anyhow::{Context, anyhow, bail};
use envelope::ServerName;
use serde::Serialize;

use super::super::output;
use super::super::place::Place;
use super::super::queued::Transports;
use super::select::{Chosen, Found, Selection};

pub(super) const RETRY: &str = "\
Examples:
  # Every queue in Retry, on all servers; one of them.
  postroad queue retry --all
  postroad queue retry --queue partner.example
  postroad queue retry 'OSLO1\\7'";

pub(super) const RESUBMIT: &str = "\
Examples:
  # Route anew what had no route; what waits in a queue in Retry, by its identity.
  postroad queue resubmit --queue Unreachable
  postroad queue resubmit 'OSLO1\\7'

Suspended messages stay where they are.";

pub(super) const SUSPEND: &str = "\
Examples:
  # A queue on all servers; all mail of a server; the messages of a sender; one message.
  postroad queue suspend --queue partner.example
  postroad queue suspend --server OSLO1
  postroad queue suspend --sender anna@contoso.example
  postroad queue suspend 'OSLO1\\7\\42'

Mail still comes into a suspended queue, and what is being sent is finished. What is suspended expires all the same.";

pub(super) const RESUME: &str = "\
Examples:
  # A queue; everything that is suspended; the messages of a sender; poison, one by one.
  postroad queue resume --queue partner.example
  postroad queue resume --all
  postroad queue resume --sender anna@contoso.example
  postroad queue resume 'OSLO1\\Poison\\42'";

pub(super) const REMOVE: &str = "\
Examples:
  # Look first: without --yes nothing is removed unless somebody at a terminal agrees.
  postroad queue remove --sender spam@bad.example
  # Mail of a domain for a domain, and nobody is told.
  postroad queue remove --sender @bad.example --recipient @partner.example --without-report --yes
  # One message.
  postroad queue remove 'OSLO1\\7\\42' --yes

The message tracking log says FAIL, source ADMIN, for each recipient; the audit log says who removed it.";

pub(super) const EXPORT: &str = "\
Examples:
  postroad queue suspend 'OSLO1\\7\\42'
  postroad queue export 'OSLO1\\7\\42' --into exported

Each message is a file: its envelope in X- fields, then its content. The audit log says who exported it.";

/// Arguments of the verbs.
#[derive(clap::Args)]
pub(super) struct OperateArguments {
    #[command(flatten)]
    selection: Selection,
    /// JSON Lines: one object for each queue or message.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `remove`.
#[derive(clap::Args)]
pub(super) struct RemoveArguments {
    #[command(flatten)]
    selection: Selection,
    /// Senders are not told.
    #[arg(long)]
    without_report: bool,
    /// Remove without asking.
    #[arg(long)]
    yes: bool,
    /// JSON Lines: one object for each message.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `export`.
#[derive(clap::Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    selection: Selection,
    /// Folder of the files, which is made if need be.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
    /// JSON Lines: one object for each message.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What is done to queues, or to messages where these are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Retry,
    Resubmit,
    Suspend,
    Resume,
}

impl Doing {
    fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Resubmit => "resubmit",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    fn to(self, target: Target) -> anyhow::Result<Operation> {
        Ok(match (self, target.message) {
            (Self::Retry, None) => Operation::RetryQueue,
            (Self::Resubmit, None) => Operation::ResubmitQueue,
            (Self::Suspend, None) => Operation::SuspendQueue,
            (Self::Resume, None) => Operation::ResumeQueue,
            (Self::Suspend, Some(_)) => Operation::SuspendMessage,
            (Self::Resume, Some(_)) => Operation::ResumeMessage,
            (Self::Retry | Self::Resubmit, Some(_)) => {
                bail!("a queue is tried again or resubmitted, not a message of it: name the queue")
            }
        })
    }

    /// Whether it can be done to what has this status. What was named by its identity is told that it cannot.
    fn fits(self, chosen: &Chosen) -> bool {
        const UNREACHABLE: u64 = 1;
        match self {
            Self::Retry => &*chosen.status == "Retry",
            Self::Resubmit => &*chosen.status == "Retry" || chosen.target.queue == UNREACHABLE,
            Self::Suspend => !matches!(&*chosen.status, "Suspended" | "PendingSuspend"),
            Self::Resume => matches!(&*chosen.status, "Suspended" | "PendingSuspend"),
        }
    }
}

/// One that was operated upon, for programs. Fields are only ever added.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    kind: &'static str,
    operation: &'a str,
    server: &'a str,
    identity: String,
    queue: &'a str,
    status_before: &'a str,
    message_id: Option<String>,
    sender: Option<String>,
    recipients: Vec<String>,
    outcome: &'static str,
    messages: u64,
    error: Option<&'a str>,
    file: Option<String>,
}

/// What came of all of them.
struct Told<'a> {
    operation: &'a str,
    done: &'static str,
    json: bool,
    lines: String,
    count: usize,
    refused: usize,
}

impl<'a> Told<'a> {
    fn new(operation: &'a str, done: &'static str, json: bool) -> Self {
        Self { operation, done, json, lines: String::new(), count: 0, refused: 0 }
    }

    fn tell(&mut self, server: &ServerName, operated: &Operated, file: Option<String>) -> anyhow::Result<()> {
        let identity = match operated.target.message {
            None => format!("{server}\\{}", operated.target.queue),
            Some(message) => format!("{server}\\{}\\{message}", operated.target.queue),
        };
        let complaint = operated.outcome.complaint();
        self.count += 1;
        self.refused += usize::from(complaint.is_some());
        if !self.json {
            let came = match &operated.outcome {
                Outcome::Done { messages: 0 } => self.done.to_owned(),
                Outcome::Done { messages } => format!("{}: {messages}", self.done),
                Outcome::Pending => format!("being sent; {} when it comes back", self.done),
                Outcome::Refused(why) => format!("not {}: {why}", self.done),
                Outcome::NotDurable(why) => why.to_string(),
            };
            let file = file.map(|file| format!(" as {file}")).unwrap_or_default();
            self.lines += &format!("{identity}  {}  {came}{file}\n", operated.queue_name);
            return Ok(());
        }
        let message = operated.message.as_ref();
        let line = Line {
            kind: "operation",
            operation: self.operation,
            server: server.as_str(),
            identity,
            queue: &operated.queue_name,
            status_before: &operated.status,
            message_id: message.map(|message| message.id.to_string()),
            sender: message.map(|message| message.sender.shown().to_owned()),
            recipients: message
                .map(|message| message.recipients.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            outcome: match &operated.outcome {
                Outcome::Done { .. } => "done",
                Outcome::Pending => "pending",
                Outcome::Refused(_) => "refused",
                Outcome::NotDurable(_) => "notDurable",
            },
            messages: match operated.outcome {
                Outcome::Done { messages } => messages,
                _ => 0,
            },
            error: complaint,
            file,
        };
        self.lines += &(serde_json::to_string(&line)? + "\n");
        Ok(())
    }

    /// Prints it; an error when not all was done.
    fn end(self, failed: &[String]) -> anyhow::Result<ExitCode> {
        let Self { done, json, lines, count, refused, .. } = self;
        if json {
            output::print_json(&lines)?;
        } else {
            output::print(&lines)?;
            if count == 0 && failed.is_empty() {
                output::print(&format!("There is nothing that can be {done}.\n"))?;
            }
        }
        if !failed.is_empty() {
            return Err(anyhow!(failed.join("\n       ")).context("not all servers could be asked"));
        }
        if refused > 0 {
            bail!("{refused} of {count} could not be {done}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Does one thing to all that are chosen, server by server.
async fn operate(
    transports: &Transports,
    chosen: &[Chosen],
    through: &str,
    operation: impl Fn(Target) -> anyhow::Result<Operation>,
    told: &mut Told<'_>,
    failed: &mut Vec<String>,
) -> anyhow::Result<()> {
    // Before anything is done to any of them.
    let mut wanted: Vec<(&Chosen, Operation)> = Vec::new();
    for one in chosen {
        wanted.push((one, operation(one.target)?));
    }
    let alike =
        |one: &(&Chosen, Operation), next: &(&Chosen, Operation)| (&one.0.server, one.1) == (&next.0.server, next.1);
    for group in wanted.chunk_by(alike) {
        let (server, operation) = (&group[0].0.server, group[0].1);
        let targets: Vec<Target> = group.iter().map(|(one, _)| one.target).collect();
        match transports.operate(server, operation, &targets, through).await {
            Ok(operated) => operated.iter().try_for_each(|one| told.tell(server, one, None))?,
            Err(error) => failed.push(format!("{server}: {error:#}")),
        }
    }
    Ok(())
}

/// `retry`, `resubmit`, `suspend`, `resume`.
pub(super) async fn run(doing: Doing, arguments: OperateArguments) -> anyhow::Result<ExitCode> {
    let OperateArguments { selection, json, place } = arguments;
    let transports = Transports::open(&place).await?;
    let Found { mut chosen, mut failed } = selection.find(&transports, false).await?;
    if !selection.is_by_identity() {
        chosen.retain(|one| doing.fits(one));
    }
    let done = match doing {
        Doing::Retry => "tried again",
        Doing::Resubmit => "resubmitted",
        Doing::Suspend => "suspended",
        Doing::Resume => "resumed",
    };
    let mut told = Told::new(doing.name(), done, json);
    let through = format!("postroad queue {}", doing.name());
    operate(&transports, &chosen, &through, |target| doing.to(target), &mut told, &mut failed).await?;
    told.end(&failed)
}

/// `remove`
pub(super) async fn remove(arguments: RemoveArguments) -> anyhow::Result<ExitCode> {
    let RemoveArguments { selection, without_report, yes, json, place } = arguments;
    let transports = Transports::open(&place).await?;
    let Found { chosen, mut failed } = selection.find(&transports, true).await?;
    let with_ndr = !without_report;
    let mut told = Told::new("remove", "removed", json);
    if !chosen.is_empty() && !yes {
        let lines: String = chosen.iter().map(|one| format!("{}\n", one.shown)).collect();
        output::print(&lines)?;
        let count =
            if chosen.len() == 1 { "this message".to_owned() } else { format!("these {} messages", chosen.len()) };
        let report = if with_ndr { "their senders are told" } else { "nobody is told" };
        if !agreed(&format!("Remove {count}? They are gone then, and {report}."))? {
            bail!("nothing was removed");
        }
    }
    let operation = |_| Ok(Operation::RemoveMessage { with_ndr });
    operate(&transports, &chosen, "postroad queue remove", operation, &mut told, &mut failed).await?;
    told.end(&failed)
}

/// Whether somebody who is there says yes.
pub(super) fn agreed(question: &str) -> anyhow::Result<bool> {
    output::agreed(question, "nothing was done, because there is nobody to ask; add --yes")
}

/// `export`
pub(super) async fn export(arguments: ExportArguments) -> anyhow::Result<ExitCode> {
    let ExportArguments { selection, into, json, place } = arguments;
    let transports = Transports::open(&place).await?;
    let Found { mut chosen, mut failed } = selection.find(&transports, true).await?;
    if !selection.is_by_identity() {
        chosen.retain(|one| &*one.status == "Suspended");
    }
    std::fs::create_dir_all(&into).with_context(|| format!("cannot make {}", into.display()))?;
    let mut told = Told::new("export", "exported", json);
    for Chosen { server, target, .. } in &chosen {
        match transports.export(server, *target, "postroad queue export").await {
            Ok((what, octets)) => {
                let id = what.message.as_ref().map_or_else(|| "message".to_owned(), |message| message.id.to_string());
                let path = into.join(format!("{server}-{id}.eml"));
                std::fs::write(&path, octets).with_context(|| format!("cannot write {}", path.display()))?;
                let done = Operated { outcome: Outcome::Done { messages: 0 }, ..what };
                told.tell(server, &done, Some(path.display().to_string()))?;
            }
            Err(error) => {
                failed.push(format!("{server}\\{}\\{}: {error:#}", target.queue, target.message.unwrap_or_default()))
            }
        }
    }
    told.end(&failed)
}
