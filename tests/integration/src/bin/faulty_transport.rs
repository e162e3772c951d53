//! In the place of `postroad` in a lab: Transport with its queue on a disk that fails when it is told to
//! ([`integration::faulty_disk`]). Every other service is that of the program itself, which `POSTROAD_PROGRAM` names.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::Parser;
use integration::faulty_disk::{DiskControl, FaultyDisk};
use postroad::service::{ServiceArguments, ServiceChoice, run_on};

/// As `postroad`.
#[derive(Parser)]
enum Arguments {
    /// Run Transport.
    Transport(ServiceArguments),
    /// Run something else.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = match Arguments::parse() {
        Arguments::Transport(arguments) => arguments,
        // The same process goes on as another program: whoever ends it ends that.
        Arguments::Other(all) => return Err(Command::new(integration::program()).args(all).exec().into()),
    };
    net::provider::install();
    let disk = FaultyDisk::new(DiskControl::beside(arguments.settings()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run_on(Arc::new(disk), ServiceChoice::Transport, arguments));
    // As the program itself: who waits for a disk that does not answer is not waited for.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    ended
}
