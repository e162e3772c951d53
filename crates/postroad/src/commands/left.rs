//! `postroad left`: how many messages are in the queue of this server while no service runs. The Debian package asks before its
//! program goes, so that a purge knows whether there is mail; `postroad queue` is for people.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use postroad::service::SETTINGS_DEFAULT;
use queue::{RealDisk, Spool, SpoolOptions};
use runtime::Settings;

use super::output;

/// Arguments of `postroad left`.
#[derive(clap::Args)]
pub(crate) struct LeftArguments {
    /// Settings of this server (TOML).
    #[arg(long, short, value_name = "FILE", env = "POSTROAD_SETTINGS", default_value = SETTINGS_DEFAULT)]
    settings: PathBuf,
}

pub(crate) async fn run(arguments: &LeftArguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    let path = settings.spool();
    let messages = if path.try_exists()? {
        let opened = Spool::open(Arc::new(RealDisk), &path, SpoolOptions::new(settings.server.clone()));
        let (spool, _) = opened.with_context(|| format!("the queue in {} cannot be read", path.display()))?;
        let stats = spool.stats();
        spool.close().await;
        ensure!(
            stats.lost == 0 && stats.unreadable_segments == 0,
            "a part of the queue in {} cannot be read: what is in it is not known",
            path.display()
        );
        stats.messages
    } else {
        0
    };
    output::print(&format!("{messages}\n"))?;
    Ok(ExitCode::SUCCESS)
}
