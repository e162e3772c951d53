//! `postroad trace`: one message's way over all servers, as the lab's trace receiver collected it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use lab::traces::{TraceQuery, waterfall};
use lab::{LabStatus, Palette, TraceStore};

use super::output;
use super::place::LAB_DEFAULT;

const EXAMPLES: &str = "\
Examples:
  # By message id: in logs, and the InternalId of the reply to a message.
  postroad trace 0192f8a4-5d2c-7b3e-9a41-0c6f2e8d7b15
  # By the Message-ID header; the < and > may be left out.
  postroad trace '<20261122.1@contoso.example>'
  # By trace id.
  postroad trace 4bf92f3577b34da6a3ce929d0e0e4736

In production the traces are with your collector (`otlp` in the settings), by the same trace id.";

/// Arguments of `postroad trace`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArguments {
    /// Message id, Message-ID header or trace id.
    #[arg(value_name = "MESSAGE-ID")]
    message: TraceQuery,
    /// Folder of the lab, running or not.
    #[arg(long, value_name = "FOLDER", default_value = LAB_DEFAULT)]
    lab: PathBuf,
}

pub(crate) fn run(arguments: &TraceArguments) -> anyhow::Result<ExitCode> {
    // A lab that has ended leaves its traces behind, where a running one keeps them.
    let folder = LabStatus::read(&arguments.lab).map_or_else(|_| arguments.lab.join("traces"), |status| status.traces);
    if !folder.is_dir() {
        bail!("there are no traces in {}; name the folder of a lab with --lab", folder.display());
    }
    let Some(trace) = TraceStore::in_directory(&folder).find(&arguments.message)? else {
        bail!(
            "no trace of this message in {}; servers send their spans every few seconds: if it was sent just now, try again",
            folder.display()
        );
    };
    let palette = if output::colours() { Palette::Colour } else { Palette::Plain };
    output::print(&waterfall(&trace, output::width(), palette))?;
    Ok(ExitCode::SUCCESS)
}
