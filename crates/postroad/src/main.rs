//! The `postroad` command: one binary for every service, the lab and the tools of an administrator.
//!
//! Each subcommand is a module of [`commands`]; nothing is decided here. Errors name the next step and end the program
//! with status 1; wrong usage ends it with 2, and so do commands for CI when they have no answer.

mod answers;
mod commands;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use postroad::service::{ServiceArguments, ServiceChoice, run as serve};

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
    /// Run all four services of a server in one process.
    Up(ServiceArguments),
    /// Run Front End Transport: SMTP from outside in, and out for connectors with FrontendProxyEnabled.
    FrontendTransport(ServiceArguments),
    /// Run Transport: the queue, the categorizer, routing and the Send connectors.
    Transport(ServiceArguments),
    /// Run Mailbox Transport Submission: takes messages out of the outboxes of this server's databases.
    MailboxSubmission(ServiceArguments),
    /// Run Mailbox Transport Delivery: writes into this server's mailbox databases.
    MailboxDelivery(ServiceArguments),
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
    /// Print the organization as a file for `postroad apply`.
    Export(commands::export::ExportArguments),
    /// List the last changes of the configuration, to be asked about by `--revision`.
    Revisions(commands::revisions::RevisionsArguments),
    /// Look at what a server needs before it starts: settings, certificates, directory, ports, DNS, disk, clock.
    Check(commands::check::CheckArguments),
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
    /// Make the organization's own authority, and the certificates of its servers.
    Cert(commands::cert::CertArguments),
    /// Print the completion script of a shell: `postroad completion bash > /etc/bash_completion.d/postroad`.
    Completion {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether it runs services of a server.
    fn serves(&self) -> bool {
        matches!(
            self,
            Self::Up(_)
                | Self::FrontendTransport(_)
                | Self::Transport(_)
                | Self::MailboxSubmission(_)
                | Self::MailboxDelivery(_)
        )
    }
}

fn main() -> ExitCode {
    net::provider::install();
    let arguments = CommandLine::parse();
    if arguments.command.serves() {
        // Before anything is written: queue, logs and state are nobody else's.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(arguments) => serve(ServiceChoice::All, arguments).await,
        Command::FrontendTransport(arguments) => serve(ServiceChoice::FrontendTransport, arguments).await,
        Command::Transport(arguments) => serve(ServiceChoice::Transport, arguments).await,
        Command::MailboxSubmission(arguments) => serve(ServiceChoice::MailboxSubmission, arguments).await,
        Command::MailboxDelivery(arguments) => serve(ServiceChoice::MailboxDelivery, arguments).await,
        Command::Lab(arguments) => commands::lab::run(arguments).await,
        Command::Explain(arguments) => commands::explain::run(arguments).await,
        Command::Rule(arguments) => commands::rule::run(&arguments),
        Command::Test(arguments) => Ok(commands::test::run(arguments).await),
        Command::Topology(arguments) => commands::topology::run(arguments).await,
        Command::Apply(arguments) => commands::apply::run(arguments).await,
        Command::Export(arguments) => commands::export::run(arguments).await,
        Command::Revisions(arguments) => commands::revisions::run(arguments).await,
        Command::Check(arguments) => commands::check::run(arguments).await,
        Command::Health(arguments) => commands::health::run(arguments).await,
        Command::Servers(arguments) => commands::servers::run(arguments).await,
        Command::Queue(arguments) => commands::queue::run(arguments).await,
        Command::Track(arguments) => commands::track::run(arguments).await,
        Command::Trace(arguments) => commands::trace::run(arguments).await,
        Command::Cert(arguments) => commands::cert::run(&arguments).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "postroad", &mut script);
            commands::output::print_raw(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    commands::output::failed(error, 1)
}
