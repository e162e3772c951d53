//! The `postroad` command: one binary for every service, the lab and the tools of an administrator.
//!
//! Each subcommand is a module of [`commands`]; nothing is decided here. Errors name the next step and end the program
//! with status 1; wrong usage ends it with 2, and so do commands for CI when they have no answer.

mod answers;
mod commands;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory, Parser, Subcommand};
use postroad::service::{ServiceArguments, ServiceChoice, confine_process, run as serve, with_keytab};
use runtime::Settings;
use runtime::settings::KerberosSettings;

/// How long an end waits for files that are being written.
const FILES_PATIENCE: Duration = Duration::from_secs(5);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Mail transport for organizations with more than one server: the Exchange transport pipeline and its Send connectors,
/// on Linux, with every routing decision explained and every message traced.
///
/// Start with `postroad lab demo`: it runs two sites on this machine, sends mail through them and shows each message's
/// path and the reason for it.
#[derive(Parser)]
#[command(name = "postroad", version, propagate_version = true, arg_required_else_help = true, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all services of a server in one process, the admin service where the settings have it: for trying out.
    Up(ServiceArguments),
    /// Run Front End Transport: SMTP from outside in, and out for connectors with FrontendProxyEnabled.
    FrontendTransport(ServiceArguments),
    /// Run Transport: the queue, the categorizer, routing and the Send connectors.
    Transport(ServiceArguments),
    /// Run Mailbox Transport Submission: takes messages out of the outboxes of this server's databases.
    MailboxSubmission(ServiceArguments),
    /// Run Mailbox Transport Delivery: writes into this server's mailbox databases.
    MailboxDelivery(ServiceArguments),
    /// Run the admin service: what administrators ask of the organization and change, authorized and written down.
    Admin(ServiceArguments),
    /// Run the admin centre: what administrators see and do, in a browser.
    AdminCentre(commands::centre::CentreArguments),
    /// Run an organization on this machine, with a simulated internet around it.
    Lab(commands::lab::LabArguments),
    /// Say where mail for a recipient would go, and why: every candidate and what eliminated it.
    Explain(commands::explain::ExplainArguments),
    /// Say what a rule says that an explanation, an error or a queue names, such as RT-51.
    Rule(commands::rule::RuleArguments),
    /// Check that mail goes the ways that a test file expects, as in CI.
    Test(commands::test::TestArguments),
    /// Show sites, links with their costs, servers and connectors: as text, as a drawing, or for programs.
    Topology(commands::topology::TopologyArguments),
    /// Make the organization what a file says, after showing what that changes.
    Apply(commands::apply::ApplyArguments),
    /// Take a mailbox database with its mail to another server.
    Database(commands::database::DatabaseArguments),
    /// Print the organization as a file for `postroad apply`.
    Export(commands::export::ExportArguments),
    /// Write an organization of a wanted size as a file for `postroad apply`: for labs, designs and measurements.
    Generate(commands::generate::GenerateArguments),
    /// Bring mailboxes, contacts and groups from Active Directory or another LDAP directory, and keep them like there.
    Sync(commands::sync::SyncArguments),
    /// Take over a configuration of Exchange or of Postfix, saying what is taken, changed and lost.
    Import(commands::import::ImportArguments),
    /// The management shell: the documented commands of Exchange, typed, in scripts, or one line.
    Shell(commands::shell::ShellArguments),
    /// List the last changes of the configuration, to be asked about by `--revision`.
    Revisions(commands::revisions::RevisionsArguments),
    /// Make the configuration what it was at a revision, after showing what that changes.
    Rollback(commands::rollback::RollbackArguments),
    /// Search the audit log: what was changed, by whom, through what, from where.
    Audit(commands::audit::AuditArguments),
    /// Look at what a server needs before it starts: settings, certificates, directory, ports, DNS, disk, clock.
    Check(commands::check::CheckArguments),
    /// Try the way out by a Send connector, step by step, without sending mail.
    Probe(commands::probe::ProbeArguments),
    /// Say whether the services of a server are ready, and what waits in their queues.
    Health(commands::health::HealthArguments),
    /// List the services that are there, and the configuration that each works by.
    Servers(commands::servers::ServersArguments),
    /// List the queues of running servers: what waits, for where, why, and by which decision.
    Queue(commands::queue::QueueArguments),
    /// Search the message tracking logs of all servers: what became of a message, of a sender's mail, of this morning's.
    Track(commands::track::TrackArguments),
    /// Show one message's way over all servers, with the time that each step took.
    Trace(commands::trace::TraceArguments),
    /// Run a delivery agent: take the mail of Delivery Agent connectors to a system that does not speak SMTP.
    Agent(commands::agent::AgentArguments),
    /// Take a message on standard input, as sendmail(8) does, and hand it to a server; queues nothing.
    Sendmail(commands::sendmail::SendmailArguments),
    /// Make the organization's own authority, and the certificates of its servers.
    Cert(commands::cert::CertArguments),
    /// Run the controller: custom resources of Kubernetes become objects of the organization.
    Controller(commands::controller::ControllerArguments),
    /// Print the completion script of a shell: `postroad completion bash > /etc/bash_completion.d/postroad`.
    Completion {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
    /// Say how many messages are in the queue of this server while no service runs, as the Debian package asks before it goes.
    #[command(hide = true)]
    Left(commands::left::LeftArguments),
    /// Lay out settings and identities in a pod, as the manifests for Kubernetes have it.
    #[command(hide = true)]
    Pod(commands::pod::PodArguments),
    /// Write a man page for each command into a folder, as the Debian package has them.
    #[command(hide = true)]
    Man {
        /// An existing folder.
        folder: PathBuf,
    },
}

impl Command {
    /// Who logs on by Kerberos, of what opens sessions by Send connectors. Settings that cannot be read are told by whoever
    /// needs them.
    fn kerberos(&self) -> Option<KerberosSettings> {
        let settings = match self {
            Self::Up(arguments) | Self::FrontendTransport(arguments) | Self::Transport(arguments) => {
                Settings::load(arguments.settings()).ok()
            }
            Self::Probe(arguments) => arguments.settings().ok(),
            _ => None,
        };
        settings?.kerberos
    }

    /// Which services of a server it runs, if it does.
    fn services(&mut self) -> Option<(ServiceChoice, &mut ServiceArguments)> {
        match self {
            Self::Up(arguments) => Some((ServiceChoice::All, arguments)),
            Self::FrontendTransport(arguments) => Some((ServiceChoice::FrontendTransport, arguments)),
            Self::Transport(arguments) => Some((ServiceChoice::Transport, arguments)),
            Self::MailboxSubmission(arguments) => Some((ServiceChoice::MailboxSubmission, arguments)),
            Self::MailboxDelivery(arguments) => Some((ServiceChoice::MailboxDelivery, arguments)),
            Self::Admin(arguments) => Some((ServiceChoice::Admin, arguments)),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    net::provider::install();
    if let Some(arguments) = commands::sendmail::called() {
        return block_on(commands::sendmail::send(&arguments)).unwrap_or_else(|error| fail(&error));
    }
    let mut arguments = CommandLine::parse();
    // Before anything is written: queue, logs, state, keys and labs are nobody else's.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    if let Some(kerberos) = arguments.command.kerberos()
        && let Err(error) = with_keytab(&kerberos)
    {
        return fail(&anyhow::Error::new(error).context("cannot start again with the keytab of the settings"));
    }
    if let Some((choice, arguments)) = arguments.command.services() {
        confine_process(choice, arguments);
    }
    match block_on(run(arguments.command)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) | Err(error) => fail(&error),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let ended = runtime.block_on(work);
    // Who waits for a disk that does not answer waits for ever: the end of the process does not.
    runtime.shutdown_timeout(FILES_PATIENCE);
    Ok(ended)
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(arguments) => serve(ServiceChoice::All, arguments).await,
        Command::FrontendTransport(arguments) => serve(ServiceChoice::FrontendTransport, arguments).await,
        Command::Transport(arguments) => serve(ServiceChoice::Transport, arguments).await,
        Command::MailboxSubmission(arguments) => serve(ServiceChoice::MailboxSubmission, arguments).await,
        Command::MailboxDelivery(arguments) => serve(ServiceChoice::MailboxDelivery, arguments).await,
        Command::Admin(arguments) => serve(ServiceChoice::Admin, arguments).await,
        Command::AdminCentre(arguments) => commands::centre::run(arguments).await,
        Command::Lab(arguments) => commands::lab::run(arguments).await,
        Command::Agent(arguments) => commands::agent::run(arguments).await,
        Command::Explain(arguments) => commands::explain::run(arguments).await,
        Command::Rule(arguments) => commands::rule::run(&arguments),
        Command::Test(arguments) => Ok(commands::test::run(arguments).await),
        Command::Topology(arguments) => commands::topology::run(arguments).await,
        Command::Apply(arguments) => commands::apply::run(arguments).await,
        Command::Database(arguments) => commands::database::run(arguments).await,
        Command::Export(arguments) => commands::export::run(arguments).await,
        Command::Generate(arguments) => commands::generate::run(&arguments),
        Command::Sync(arguments) => commands::sync::run(arguments).await,
        Command::Import(arguments) => commands::import::run(arguments).await,
        Command::Shell(arguments) => commands::shell::run(arguments).await,
        Command::Revisions(arguments) => commands::revisions::run(arguments).await,
        Command::Rollback(arguments) => commands::rollback::run(arguments).await,
        Command::Audit(arguments) => commands::audit::run(arguments).await,
        Command::Check(arguments) => commands::check::run(arguments).await,
        Command::Probe(arguments) => commands::probe::run(arguments).await,
        Command::Health(arguments) => commands::health::run(arguments).await,
        Command::Servers(arguments) => commands::servers::run(arguments).await,
        Command::Queue(arguments) => commands::queue::run(arguments).await,
        Command::Track(arguments) => commands::track::run(arguments).await,
        Command::Trace(arguments) => commands::trace::run(arguments).await,
        Command::Sendmail(arguments) => Ok(commands::sendmail::run(arguments).await),
        Command::Cert(arguments) => commands::cert::run(&arguments).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "postroad", &mut script);
            commands::output::print_raw(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Controller(arguments) => commands::controller::run(arguments).await,
        Command::Pod(arguments) => commands::pod::run(&arguments).await,
        Command::Left(arguments) => commands::left::run(&arguments).await,
        Command::Man { folder } => {
            let written = clap_mangen::generate_to(CommandLine::command(), &folder);
            written
                .with_context(|| format!("cannot write man pages into {}: it must be a folder", folder.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    commands::failure::failed(error, 1)
}
