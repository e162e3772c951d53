//! `postroad shell`: the management shell, over a directory or over an organization file. The language is crate `shell`, the
//! commands are crate `cmdlets`; here are the terminal, the line editor and the way to the organization.

mod audit;
mod certificates;
mod connectivity;
mod editor;
mod file;
pub(crate) mod live;
mod perimeter;
mod queues;
mod terminal;
mod tracking;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::shell::{Ended, Machine, Value, json};
use anyhow::{Context, bail};
use cmdlets::Cmdlets;

use super::output;
use super::place::Place;
use audit::LiveAuditLog;
use certificates::LiveCertificates;
use connectivity::FromHere;
use file::FilePremises;
use live::LivePremises;
use perimeter::LivePerimeter;
use queues::LiveQueues;
use terminal::Terminal;
use tracking::LiveTracking;

const EXAMPLES: &str = "\
Examples:
  # Interactive: Tab completes, Get-Help tells, exit leaves.
  postroad shell
  # One line, and its exit status: 0 only if nothing failed.
  postroad shell -c 'Get-SendConnector | Format-Table Name,AddressSpaces'
  # A script; objects as JSON, one in each line.
  postroad shell changes.ps1
  postroad shell --json -c 'Get-AcceptedDomain'
  # Over an organization file, without any server; --write saves what was changed.
  postroad shell --organization contoso.yaml -c 'Set-ADSite Berlin -HubSiteEnabled $true' --write

docs/cmdlets.md lists every command; those of Exchange run as they are documented.";

/// Stack of the shell: functions that call each other a hundred deep have room in it.
const STACK_OCTETS: usize = 256 * 1024 * 1024;

/// Arguments of `postroad shell`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShellArguments {
    /// A script to run; without it and without --command, what is typed or comes in by standard input.
    #[arg(value_name = "SCRIPT", conflicts_with = "command")]
    script: Option<PathBuf>,
    /// Run these commands.
    #[arg(long, short, value_name = "TEXT")]
    command: Option<String>,
    /// Work on an organization file in place of a directory: no server, no network.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["settings", "lab"])]
    organization: Option<PathBuf>,
    /// Write what was changed into the organization file.
    #[arg(long, requires = "organization")]
    write: bool,
    /// Print what commands return as JSON, one object in each line.
    #[arg(long)]
    json: bool,
    /// Columns of what is shown, where that is no terminal.
    #[arg(long, value_name = "COLUMNS", default_value_t = 120)]
    width: usize,
    /// Scripts may read and write every file, not only those below this folder.
    #[arg(long)]
    allow_files: bool,
    #[command(flatten)]
    place: Place,
}

/// What is run.
enum Input {
    Text(String),
    Typed,
}

pub(crate) async fn run(arguments: ShellArguments) -> anyhow::Result<ExitCode> {
    let input = input(&arguments)?;
    let runtime = tokio::runtime::Handle::current();
    let opened = match &arguments.organization {
        Some(_) => None,
        None => {
            let reach = arguments.place.reach().await?;
            // What is wrong with it is said before anything is typed.
            reach.organization().await?;
            Some(reach)
        }
    };
    // A script is answered at its end: its changes need not wait for the disk one by one.
    let gathering = opened.as_ref().filter(|_| !matches!(input, Input::Typed)).map(|reach| reach.directory.clone());
    if let Some(directory) = &gathering {
        directory.gather(true).await?;
    }
    let interrupted = terminal::interrupts();
    // Values of the shell belong to one thread, which has a stack of its own.
    let thread = std::thread::Builder::new().name("shell".to_owned()).stack_size(STACK_OCTETS).spawn(move || {
        let cmdlets = match (&arguments.organization, opened) {
            (Some(path), _) => Cmdlets::new(Box::new(FilePremises::open(path, arguments.write)?)),
            (None, Some(reach)) => {
                let queues = LiveQueues::new(arguments.place.clone(), runtime.clone());
                let log = LiveAuditLog::of(&reach, runtime.clone());
                let perimeter = LivePerimeter::new(arguments.place.clone(), runtime.clone());
                let certificates = LiveCertificates::new(arguments.place.clone(), runtime.clone());
                let tracking = LiveTracking::new(arguments.place.clone(), runtime.clone());
                let connectivity = FromHere::of(&reach, runtime.clone());
                let cmdlets = Cmdlets::new(Box::new(LivePremises::new(reach, runtime)))
                    .with_queues(Box::new(queues))
                    .with_perimeter(Box::new(perimeter))
                    .with_certificates(Box::new(certificates))
                    .with_tracking(Box::new(tracking))
                    .with_connectivity(Box::new(connectivity));
                match log {
                    Some(log) => cmdlets.with_audit_log(Box::new(log)),
                    None => cmdlets,
                }
            }
            (None, None) => bail!("there is no organization to work on"),
        };
        Ok(work(&arguments, input, cmdlets, interrupted))
    });
    let thread = thread.context("cannot start the shell")?;
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    if let Some(directory) = &gathering {
        directory.gather(false).await?;
    }
    match ended {
        Ok(code) => code?,
        Err(_) => bail!("the shell ended by a failure of its own"),
    }
}

fn input(arguments: &ShellArguments) -> anyhow::Result<Input> {
    if let Some(text) = &arguments.command {
        return Ok(Input::Text(text.clone()));
    }
    if let Some(path) = &arguments.script {
        let octets = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8(octets).with_context(|| format!("{} is not UTF-8", path.display()))?;
        return Ok(Input::Text(text.trim_start_matches('\u{feff}').to_owned()));
    }
    if std::io::stdin().is_terminal() {
        return Ok(Input::Typed);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(Input::Text(text))
}

fn work(
    arguments: &ShellArguments,
    input: Input,
    cmdlets: Cmdlets,
    interrupted: Arc<AtomicBool>,
) -> anyhow::Result<ExitCode> {
    let typed = matches!(input, Input::Typed);
    let terminal = Terminal::new(arguments.width, arguments.allow_files, interrupted);
    let mut machine = Machine::new(Box::new(terminal), Box::new(cmdlets));
    let ended = match input {
        Input::Text(text) => once(&mut machine, &text, arguments.json),
        Input::Typed => {
            let json = arguments.json;
            return editor::converse(machine, &mut |machine, text| once(machine, text, json));
        }
    };
    Ok(status(&ended, typed))
}

/// Runs a text, and shows what it returns in the wanted form.
fn once(machine: &mut Machine, text: &str, as_json: bool) -> Ended {
    if !as_json {
        return machine.run(text);
    }
    let (values, ended) = machine.collect(text);
    let lines: Vec<String> = values.iter().map(line).collect();
    if !lines.is_empty() {
        // Nothing more can be done when nobody reads.
        let _ = output::print_json(&(lines.join("\n") + "\n"));
    }
    ended
}

/// How deep objects are written (CM-77).
const JSON_DEPTH: usize = 4;

fn line(value: &Value) -> String {
    json::write(value, JSON_DEPTH, true)
}

/// CM-83: 0 only if nothing failed, unless the script says a number itself.
fn status(ended: &Ended, typed: bool) -> ExitCode {
    match (ended.exit, ended.failed && !typed) {
        (Some(code), _) => ExitCode::from(u8::try_from(code.rem_euclid(256)).unwrap_or(1)),
        (None, true) => ExitCode::FAILURE,
        (None, false) => ExitCode::SUCCESS,
    }
}
