//! `postroad lab`: an organization on this machine, every service its own process, with an internet that behaves as told.

mod demo;
mod disk;
mod gateway;
mod mailboxes;
mod outside;
mod progress;
mod report;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use lab::world::Links;
use lab::{LabFile, LabStatus, World, WorldOptions};
use runtime::drain_on_signals;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::output::SERVERS_NAMED_MAX;
use super::place::LAB_DEFAULT;
use super::{centre, health, output};

/// Time for all services of a lab to drain, and a little more.
const DOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// Links that are named one by one by whoever cuts one of them.
const LINKS_NAMED_MAX: usize = 12;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub(crate) struct LabArguments {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(clap::Subcommand)]
enum LabCommand {
    /// Start the organization of a lab file and keep it running until Ctrl-C.
    ///
    /// Example: `postroad lab up deploy/lab/two-sites.yaml`, then in another terminal `postroad lab status`,
    /// `postroad servers`, `postroad explain someone@fabrikam.example`.
    Up(UpArguments),
    /// Say what runs where, whether it is ready, and what waits in the queues.
    ///
    /// With more than twelve servers: how each site is, and what is not well.
    Status {
        #[command(flatten)]
        place: Place,
        /// Name every server and every service, however many there are.
        #[arg(long)]
        all: bool,
    },
    /// Cut a link of a running lab: between two sites, or of an Edge server. Connections over it end, and none is made.
    ///
    /// Sites that another chain of links joins can still talk. An Edge server has a link to its site and one to the internet:
    /// `postroad lab cut EDGE1 Berlin`, `postroad lab cut EDGE1 internet`; one server of the site is cut off from it alone by
    /// `postroad lab cut EDGE1 BERLIN1`. The directory and DNS stay reachable. See what mail does, and why it waits, with
    /// `postroad queue --messages`.
    Cut(LinkArguments),
    /// Join again what `postroad lab cut` parted.
    #[command(visible_alias = "mend")]
    Heal(LinkArguments),
    /// End a lab that runs in another terminal.
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Start the lab, send a fixed set of messages through it, show each one's way and the reason for it, and stop.
    ///
    /// Ends with status 0 only if every message ended as it should.
    Demo(DemoArguments),
    /// Run the internet of a lab file and the trace receiver alone, for services that run elsewhere.
    Internet(outside::InternetArguments),
}

#[derive(clap::Args)]
struct Place {
    /// Directory of the lab's files.
    #[arg(long = "lab", value_name = "FOLDER", default_value = LAB_DEFAULT)]
    directory: PathBuf,
}

#[derive(clap::Args)]
struct LinkArguments {
    /// A site, or an Edge server.
    #[arg(value_name = "SITE")]
    one: String,
    /// What a link joins with it: a site, one of its servers, or `internet`.
    #[arg(value_name = "SITE")]
    other: String,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
struct UpArguments {
    /// Organization file with `internet:` and `lab:` sections [default: deploy/lab/two-sites.yaml; of the demo
    /// deploy/lab/demo.yaml].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Keep the configuration in a real etcd that is started for the lab, instead of a SQLite file.
    #[arg(long)]
    etcd: bool,
    /// Levels of the services' logs.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(clap::Args)]
struct DemoArguments {
    #[command(flatten)]
    up: UpArguments,
    /// Send the messages through the lab that runs in --lab, instead of starting one and stopping it.
    #[arg(long)]
    running: bool,
}

pub(crate) async fn run(arguments: LabArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        LabCommand::Up(arguments) => up(&arguments).await,
        LabCommand::Status { place, all } => status(&place.directory, all).await,
        LabCommand::Cut(arguments) => set_link(&arguments, true).await,
        LabCommand::Heal(arguments) => set_link(&arguments, false).await,
        LabCommand::Down { place } => down(&place.directory).await,
        LabCommand::Demo(arguments) => demo::run(&arguments).await,
        LabCommand::Internet(arguments) => outside::run(arguments).await,
    }
}

fn read(file: &Path) -> anyhow::Result<LabFile> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("cannot read {}; give the path of a lab file, such as deploy/lab/two-sites.yaml", file.display())
    })?;
    LabFile::parse(&text).with_context(|| file.display().to_string())
}

async fn start(arguments: &UpArguments, default: &str) -> anyhow::Result<World> {
    let path = arguments.file.as_deref().unwrap_or(Path::new(default));
    let file = read(path)?;
    let directory = &arguments.place.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let directory = directory.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let program = std::env::current_exe().context("cannot find this program's own path")?;
    let mut options = WorldOptions::new(&directory, &folder, &program);
    options.log_filter = Some(arguments.log.clone());
    options.etcd = arguments.etcd;
    options.told = progress::Progress::told();
    eprintln!("starting {} in {}", size(&file), directory.display());
    if let Some(note) = disk::note(&file, &directory) {
        eprintln!("note: {note}");
    }
    Ok(World::start(&file, options).await?)
}

/// What a lab file describes.
fn size(file: &LabFile) -> String {
    let organization = &file.organization.organization;
    let count = |number: usize, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    format!("{}, {}", count(organization.sites().len(), "site"), count(organization.servers().len(), "server"))
}

async fn up(arguments: &UpArguments) -> anyhow::Result<ExitCode> {
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let world = start(arguments, "deploy/lab/two-sites.yaml").await?;
    let status = world.status();
    let few = status.servers.len() <= SERVERS_NAMED_MAX;
    print!("{}", if few { report::status(&status) } else { summary::place(&status) });
    let centre = page(&arguments.place.directory, drain.clone()).await;
    println!("\nCtrl-C stops it. Files stay in {}.", arguments.place.directory.display());
    drain.cancelled().await;
    eprintln!("stopping …");
    if let Some(centre) = centre {
        let _ended = centre.await;
    }
    world.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// The admin centre of the lab, for as long as it runs. A lab without it is a lab.
async fn page(directory: &Path, drain: CancellationToken) -> Option<JoinHandle<anyhow::Result<()>>> {
    match centre::of_lab(directory).await {
        Ok(ready) => {
            println!("\n{}", ready.told.trim_end());
            Some(tokio::spawn(ready.serve(drain)))
        }
        Err(error) => {
            eprintln!("note: the admin centre does not start: {error:#}");
            None
        }
    }
}

async fn down(directory: &Path) -> anyhow::Result<ExitCode> {
    let status = LabStatus::read(directory).context("nothing to end")?;
    status.ask_to_end().with_context(|| format!("cannot end the lab of {}/lab.json", directory.display()))?;
    eprintln!("stopping …");
    let deadline = tokio::time::Instant::now() + DOWN_TIMEOUT;
    while LabStatus::read(directory).is_ok() {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "the lab does not end");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_link(arguments: &LinkArguments, cut: bool) -> anyhow::Result<ExitCode> {
    let directory = &arguments.place.directory;
    LabStatus::read(directory).context("start one with `postroad lab up`")?;
    let mut links = Links::read(directory)?.context(
        "the links of this lab are not its own; in containers, the router cuts them: \
         deploy/compose/compose.sh exec router link cut SITE SITE",
    )?;
    links.set(&arguments.one, &arguments.other, cut)?;
    links.ask(directory).await?;
    print!("{}", if links.pairs.len() > LINKS_NAMED_MAX { summary::cuts(&links) } else { report::links(&links) });
    Ok(ExitCode::SUCCESS)
}

async fn status(directory: &Path, all: bool) -> anyhow::Result<ExitCode> {
    let status = LabStatus::read(directory).context("start one with `postroad lab up`")?;
    let services = status.servers.iter().flat_map(|server| {
        server.processes.iter().map(|process| (server.name.clone(), process.service.clone(), process.metrics))
    });
    let states = health::ask(services.collect()).await;
    let links = Links::read(directory)?;
    let text = if all || status.servers.len() <= SERVERS_NAMED_MAX {
        let links = links.map(|links| report::links(&links)).unwrap_or_default();
        format!("{}\n{}{links}", report::status(&status), health::table(&states))
    } else {
        summary::report(&status, &states, links.as_ref())
    };
    output::print(&text)?;
    Ok(if states.iter().all(|state| state.ready) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
