//! Where a command finds the directory: the settings of a server, or a lab on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use directory::{Administration, Author, ReadError};
use lab::LabStatus;
use postroad::service::SETTINGS_DEFAULT;
use runtime::{DirectorySettings, Settings};
use topology::Organization;

/// Where a lab keeps its files unless told otherwise.
pub(crate) const LAB_DEFAULT: &str = ".postroad/lab";
/// Names the settings file when no argument does.
const SETTINGS_VARIABLE: &str = "POSTROAD_SETTINGS";

/// Which organization a command speaks to.
#[derive(clap::Args)]
#[command(next_help_heading = "Which organization")]
pub(crate) struct Place {
    /// Settings of one of its servers (TOML) [env: POSTROAD_SETTINGS] [default: /etc/postroad/server.toml, if there is one and no
    /// lab runs here].
    #[arg(long, short, value_name = "FILE", conflicts_with = "lab")]
    settings: Option<PathBuf>,
    /// Folder of a lab that runs on this machine [default: .postroad/lab, if one runs there].
    #[arg(long, value_name = "FOLDER")]
    lab: Option<PathBuf>,
}

impl Place {
    /// The settings of a server: those that were named, or those of a lab's first server.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        if let Some(folder) = &self.lab {
            return of_lab(folder, "start it with `postroad lab up`, or name its folder with --lab");
        }
        if let Some(path) = self.settings_named() {
            return Ok(Settings::load(&path)?);
        }
        let lab = Path::new(LAB_DEFAULT);
        let usual = Path::new(SETTINGS_DEFAULT);
        if LabStatus::read(lab).is_err() && usual.exists() {
            return Ok(Settings::load(usual)?);
        }
        of_lab(
            lab,
            "name the settings of a server with --settings FILE, put them at /etc/postroad/server.toml, or start a lab with \
             `postroad lab up`",
        )
    }

    /// The settings that were named, by an argument or by the environment.
    fn settings_named(&self) -> Option<PathBuf> {
        self.settings.clone().or_else(|| std::env::var_os(SETTINGS_VARIABLE).map(PathBuf::from))
    }

    /// Whether an argument names settings.
    pub(crate) fn has_settings_argument(&self) -> bool {
        self.settings.is_some()
    }

    /// The folder of a lab that was named.
    pub(crate) fn lab_folder(&self) -> Option<&Path> {
        self.lab.as_deref()
    }
}

/// Opens the directory: no last good snapshot, which would hide that it is away.
pub(crate) fn connect(settings: &Settings) -> anyhow::Result<Arc<dyn Administration>> {
    match runtime::node::open_backend(settings) {
        Ok(backend) => Ok(backend),
        Err(error) => Err(anyhow!("{error}; {}", advice(settings))),
    }
}

/// Opens the directory and reads the configuration of now.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<(Arc<dyn Administration>, Arc<Organization>)> {
    let directory = connect(settings)?;
    let organization = directory.snapshot().await.map_err(|error| explained(settings, &error))?;
    Ok((directory, organization))
}

/// Who runs this command: the user who logged on, also behind sudo, and the machine.
pub(crate) fn author(command: &str) -> Author {
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = name.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        match nix::unistd::User::from_uid(nix::unistd::getuid()) {
            Ok(Some(user)) => user.name,
            _ => nix::unistd::getuid().to_string(),
        }
    });
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let who = if host.trim().is_empty() { user } else { format!("{user}@{}", host.trim()) };
    Author::new(who, format!("postroad {command}"))
}

/// What went wrong with the directory, and the next step.
pub(crate) fn explained(settings: &Settings, error: &ReadError) -> anyhow::Error {
    match error {
        ReadError::Unavailable(_) => anyhow!("{error}; {}", advice(settings)),
        ReadError::Invalid(_) => anyhow!("{error}. `postroad apply FILE` with the whole organization repairs it"),
    }
}

fn advice(settings: &Settings) -> String {
    match &settings.directory {
        DirectorySettings::Embedded { path } => {
            format!("check [directory] in the settings, which names the file {}", path.display())
        }
        DirectorySettings::Etcd { endpoints, .. } => {
            format!("check that etcd runs, and [directory] in the settings, which names {}", endpoints.join(", "))
        }
    }
}

fn of_lab(folder: &Path, advice: &'static str) -> anyhow::Result<Settings> {
    let status = LabStatus::read(folder).map_err(|error| anyhow!("{error}; {advice}"))?;
    let server = status.servers.first().context("the lab has no server: add one to its lab file")?;
    Ok(Settings::load(&server.settings)?)
}
