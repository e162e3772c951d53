//! `postroad database`: a mailbox database changes its server, and its mail comes along.
//!
//! ```text
//!   depart ─▶ copy, pass after pass ─▶ hold ─▶ last passes: whole, durable ─▶ the configuration ─▶ the old copy is put aside
//!   └───────── mail is written on the old server ┘└ it waits ──────────────────┘└ it is written on the new one
//! ```
//!
//! Whatever is killed in between, this command among it: run again, it goes on where it stopped.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use admin_api::ArriveProgress;
use anyhow::{Context, anyhow, bail};
use directory::{Administration, Change, CommitError, Precondition};
use envelope::{ByteSize, ObjectName, Revision, ServerName, Service};
use futures::StreamExt;
use organization::Object;
use rpc::DatabaseMove;
use topology::{Database, DatabaseHome, Organization};

use super::output;
use super::place::{self, Place, Reach};
use super::planned::advise;
use super::queued::Transports;

/// Files that a pass may have had to change for mail to be held: the last passes take seconds.
const FEW: u64 = 200;
/// Passes while mail goes on; then it is held whatever is missing.
const PASSES_MAX: usize = 3;
/// How often the configuration is changed again when somebody else changed it meanwhile.
const COMMITS_MAX: usize = 5;
/// How long the servers are waited for that are to hear of the change.
const HEARD_BY: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  postroad database move DB-Oslo1 --to BERLIN2
  # It stays where it is; mail that waited is delivered there.
  postroad database move DB-Oslo1 --cancel

Mailboxes are copied while mail goes on. Then nothing is written into them for a moment, what has
changed meanwhile is copied, and the configuration says the new server: mail that waited goes there.
Stop what else works on the mailboxes, such as an IMAP server, before; its users find them on the
new server. What the database was on the old one lies there in the folder .moved of its mailboxes.

Killed at any point, here or on a server, it goes on when it is run again.";

/// Arguments of `postroad database`.
#[derive(clap::Args)]
pub(crate) struct DatabaseArguments {
    #[command(subcommand)]
    command: DatabaseCommand,
}

#[derive(clap::Subcommand)]
enum DatabaseCommand {
    /// Take a database with all its mail to another server.
    Move(MoveArguments),
}

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct MoveArguments {
    /// Name of the database.
    #[arg(value_name = "DATABASE", value_parser = object_name)]
    database: ObjectName,
    /// The server that it is to be on.
    #[arg(long, value_name = "SERVER", value_parser = server_name, required_unless_present = "cancel")]
    to: Option<ServerName>,
    /// End a move that was begun: the database stays.
    #[arg(long, conflicts_with = "to")]
    cancel: bool,
    #[command(flatten)]
    place: Place,
}

fn object_name(text: &str) -> Result<ObjectName, String> {
    ObjectName::parse(text).map_err(|error| error.to_string())
}

fn server_name(text: &str) -> Result<ServerName, String> {
    ServerName::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(arguments: DatabaseArguments) -> anyhow::Result<ExitCode> {
    let DatabaseCommand::Move(arguments) = arguments.command;
    let reach = arguments.place.reach().await?;
    let transports = Transports::open(&arguments.place).await?;
    let organization = reach.organization().await?;
    let database = found(&organization, &arguments.database)?;
    let from = match &database.home {
        DatabaseHome::Server(from) => from.clone(),
        DatabaseHome::Dag { dag, .. } => bail!(
            "{} belongs to the availability group {dag}, whose members have its mailboxes: which of them it is active on is said \
             by activeOn in the organization file",
            database.name
        ),
    };
    let Some(to) = arguments.to else {
        let at = transports.find(&from, Service::MailboxDelivery).await?;
        transports.administrator().stay(&at, &database.name).await?;
        output::print(&format!("{} stays on {from}.\n", database.name))?;
        return Ok(ExitCode::SUCCESS);
    };
    if from == to {
        output::print(&format!("{} is on {to}.\n", database.name))?;
        return Ok(ExitCode::SUCCESS);
    }
    if organization.server(&to).is_none() {
        bail!("the organization has no server {to}; `postroad servers` lists them");
    }
    let moving = Moving { reach: &reach, transports: &transports, database: &database.name, from: &from, to: &to };
    moving.run().await?;
    Ok(ExitCode::SUCCESS)
}

fn found(organization: &Organization, name: &ObjectName) -> anyhow::Result<Database> {
    organization.database(name).cloned().ok_or_else(|| {
        let there: Vec<&str> = organization.databases().iter().map(|database| database.name.as_str()).collect();
        anyhow!("the organization has no database {name}; it has {}", there.join(", "))
    })
}

/// A database on its way.
struct Moving<'a> {
    reach: &'a Reach,
    transports: &'a Transports,
    database: &'a ObjectName,
    from: &'a ServerName,
    to: &'a ServerName,
}

impl Moving<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        let Self { database, from, to, transports, .. } = self;
        let old = transports.find(from, Service::MailboxDelivery).await?;
        let again = || format!("{database} is on {from} as before; run this again, and it goes on where it stopped");
        let of = transports.administrator().depart(&old, database, to).await.with_context(again)?;
        for pass in 1..=PASSES_MAX {
            match self.copy(&of, false, &format!("pass {pass}")).await.with_context(again)? {
                Some(changed) if changed > FEW => {}
                _ => break,
            }
        }
        let held = || {
            format!(
                "mail for {database} may wait until this is run again, when it goes on where it stopped, or with --cancel, which \
                 ends the move"
            )
        };
        transports.administrator().hold(&old, &of).await.with_context(held)?;
        self.copy(&of, true, "last pass").await.with_context(held)?;
        let revision = self.commit().await.with_context(held)?;
        self.wait_until_heard(revision).await?;
        output::print(&format!(
            "{database} is on {to}, by revision {revision}. What it was on {from} lies there in the folder .moved of the \
             mailboxes, and may be removed.\n"
        ))
    }

    /// How much a pass had to change; nothing when the copy is whole.
    async fn copy(&self, of: &DatabaseMove, last: bool, what: &str) -> anyhow::Result<Option<u64>> {
        let new = self.transports.find(self.to, Service::MailboxDelivery).await?;
        let mut coming = self.transports.administrator().arrive(&new, of, self.from, last).await?;
        let mut shown = Shown { what, is_terminal: std::io::stderr().is_terminal() };
        let mut changed = None;
        while let Some(progress) = coming.next().await {
            let progress = progress?;
            if progress.whole {
                shown.end(&progress, "whole");
                return Ok(None);
            }
            match progress.changed {
                None => shown.now(&progress),
                Some(count) => {
                    shown.end(&progress, &format!("{count} changes"));
                    changed = Some(count);
                }
            }
        }
        if last { Err(anyhow!("{} has stopped copying", self.to)) } else { Ok(changed) }
    }

    /// The configuration says the new server.
    async fn commit(&self) -> anyhow::Result<Revision> {
        let directory = self.reach.directory.as_ref();
        for _ in 0..COMMITS_MAX {
            let organization = self.reach.organization().await?;
            let database = found(&organization, self.database)?;
            if database.active_server() != self.from {
                bail!("somebody else has put {} on {}", self.database, database.active_server());
            }
            let moved = Database { home: DatabaseHome::Server(self.to.clone()), ..database };
            let mut change = Change::by(place::author(&format!("database move {} --to {}", self.database, self.to)));
            change.puts.push(Object::Database(Box::new(moved)));
            change.preconditions.push(Precondition::Revision(organization.revision()));
            match directory.commit(change).await {
                Ok(revision) => return Ok(revision),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(advise(error)),
            }
        }
        bail!("the configuration is being changed all the time by somebody else")
    }

    /// Waits for those who write into mailboxes: not for ever, since one may be away.
    async fn wait_until_heard(&self, revision: Revision) -> anyhow::Result<()> {
        let heard = async {
            loop {
                let behind = behind(self.reach.directory.as_ref(), [self.from, self.to], revision).await?;
                if behind.is_empty() {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(HEARD_BY, heard).await {
            Ok(ended) => ended,
            Err(_) => {
                eprintln!("note: not every service has heard of it yet; `postroad servers` says which");
                Ok(())
            }
        }
    }
}

/// Services of these servers that work by an older configuration.
async fn behind(
    directory: &dyn Administration,
    servers: [&ServerName; 2],
    revision: Revision,
) -> anyhow::Result<Vec<String>> {
    let presences = directory.presences().await?;
    let of_mailboxes = [Service::MailboxDelivery, Service::MailboxSubmission];
    let concerned = presences.iter().filter(|presence| {
        servers.contains(&&presence.server)
            && of_mailboxes.contains(&presence.service)
            && presence.applied_revision < revision
    });
    Ok(concerned.map(|presence| format!("{} {}", presence.server, presence.service)).collect())
}

/// How far it is, on standard error: one line that changes, or a line for each pass where nobody looks.
struct Shown<'a> {
    what: &'a str,
    is_terminal: bool,
}

impl Shown<'_> {
    fn line(&self, progress: &ArriveProgress) -> String {
        let ArriveProgress { parts, parts_of, files, octets, .. } = progress;
        let mut line = format!("{}: {parts} of {parts_of} mailboxes", self.what);
        if *files > 0 {
            let _ = write!(line, ", {files} files ({}) came", ByteSize::bytes(*octets));
        }
        line
    }

    fn now(&mut self, progress: &ArriveProgress) {
        if self.is_terminal {
            let mut error = std::io::stderr();
            let _shown = write!(error, "\r{}\x1b[K", self.line(progress)).and_then(|()| error.flush());
        }
    }

    fn end(&mut self, progress: &ArriveProgress, result: &str) {
        let begin = if self.is_terminal { "\r" } else { "" };
        eprintln!("{begin}{}: {result}", self.line(progress));
    }
}
