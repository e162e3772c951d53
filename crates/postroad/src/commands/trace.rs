//! `postroad trace`: one message's way over all servers: as a lab's trace receiver collected it, or as the message tracking logs
//! of the running servers have it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use lab::traces::{TraceQuery, waterfall};
use lab::{LabStatus, TraceStore};

use super::output;
use super::place::{LAB_DEFAULT, Place};
use super::queued::Transports;
use super::tracked::{self, Shape};
use crate::answers::Palette;

/// Messages told, the newest: a Message-ID is what its sender wrote, and several may have the same.
const SHOWN_MAX: usize = 20;

const EXAMPLES: &str = "\
Examples:
  # By message id: in logs, and the InternalId of the reply to a message.
  postroad trace 0192f8a4-5d2c-7b3e-9a41-0c6f2e8d7b15
  # By the Message-ID header; the < and > may be left out.
  postroad trace '<20261122.1@contoso.example>'
  # By trace id, in production.
  postroad trace 4bf92f3577b34da6a3ce929d0e0e4736 --settings /etc/postroad/server.toml

A lab keeps its traces: each step is shown with its time. In production the spans are with your collector (`otlp` in the
settings) under the same trace id, and the message tracking logs of all servers tell the way; that needs the certificate of
an administrator, as `postroad queue` does.";

/// Arguments of `postroad trace`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArguments {
    /// Message id, Message-ID header or trace id.
    #[arg(value_name = "MESSAGE-ID")]
    message: String,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: TraceArguments) -> anyhow::Result<ExitCode> {
    let place = &arguments.place;
    let folder = traces(place.lab_folder().unwrap_or(Path::new(LAB_DEFAULT)));
    // The environment of a container names settings always; a lab's traces are there only where there is a lab.
    let of_lab_is_meant = folder.is_dir() && !place.has_settings_argument();
    if place.lab_folder().is_some() || of_lab_is_meant {
        return of_lab(&arguments.message, &folder);
    }
    let transports = Transports::open(place).await?;
    let query = tracked::named(&arguments.message);
    let (found, failed) = tracked::find(&transports, &transports.servers(), &query, SHOWN_MAX, Shape::Whole).await?;
    if found.is_empty() {
        let unasked = transports.unasked().map(|unasked| format!("\n       {unasked}")).unwrap_or_default();
        let missing = if failed.is_empty() { String::new() } else { format!(" ({})", failed.join("; ")) };
        bail!(
            "no server has written about this message in its tracking log; logs are kept for 30 days{missing}{unasked}"
        );
    }
    output::print(&tracked::text(&found, usize::MAX, Palette::of_output()))?;
    if let Some(unasked) = transports.unasked() {
        eprintln!("note: {unasked}");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(anyhow!(failed.join("\n       ")).context("not all servers could be asked"))
}

fn of_lab(message: &str, folder: &Path) -> anyhow::Result<ExitCode> {
    if !folder.is_dir() {
        bail!(
            "there are no traces in {}; name the folder of a lab with --lab, or the settings of a server with --settings",
            folder.display()
        );
    }
    let query: TraceQuery = message.parse().map_err(|error| anyhow!("{error}"))?;
    let Some(trace) = TraceStore::in_directory(folder).find(&query)? else {
        bail!(
            "no trace of this message in {}; servers send their spans every few seconds: if it was sent just now, try again",
            folder.display()
        );
    };
    let palette = if output::colours() { lab::Palette::Colour } else { lab::Palette::Plain };
    output::print(&waterfall(&trace, output::width(), palette))?;
    Ok(ExitCode::SUCCESS)
}

/// Where a lab keeps its traces: one that has ended leaves them behind, where a running one keeps them.
fn traces(lab: &Path) -> PathBuf {
    LabStatus::read(lab).map_or_else(|_| lab.join("traces"), |status| status.traces)
}
