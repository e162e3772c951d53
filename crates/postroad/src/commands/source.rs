//! Which organization a question is put to: a file, the directory as it is, or as it was at a revision.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use directory::{Administration, HistoryError};
use envelope::{Revision, ServerName};
use inquiry::{Inquiry, KnownRecipients, Subject, Wanted};
use lab::LabStatus;
use runtime::Settings;
use topology::{DirectoryRecipient, Organization, ServerRole};

use super::organization_file;
use super::place::{self, Place, Reach};

/// Which organization is asked.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// Answer by an organization file, or a lab file, instead of a directory: no server, no network.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["settings", "lab", "api", "revision"])]
    organization: Option<PathBuf>,
    /// Answer by the configuration and the recipients that were at this revision; `postroad revisions` lists them.
    #[arg(long, value_name = "NUMBER", value_parser = revision)]
    revision: Option<Revision>,
    #[command(flatten)]
    place: Place,
}

/// An organization that can be asked.
pub(crate) struct Opened {
    /// At the revision that was asked for.
    pub organization: Arc<Organization>,
    /// The server that is asked unless another one is named.
    pub usual: Option<ServerName>,
    recipients: Recipients,
}

/// Where recipients are looked up.
enum Recipients {
    File(Vec<DirectoryRecipient>),
    Directory(Arc<dyn Administration>),
}

impl Source {
    /// The running organization.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The lab around a directory that is asked as it is now.
    pub(crate) fn lab_around(&self) -> Option<LabStatus> {
        self.is_of_now().then(|| self.place.lab_around()).flatten()
    }

    /// Whether it is the running organization as it is, and no file and no older revision.
    pub(crate) fn is_of_now(&self) -> bool {
        self.organization.is_none() && self.revision.is_none()
    }

    /// Opens it.
    pub(crate) async fn open(&self) -> anyhow::Result<Opened> {
        if let Some(path) = &self.organization {
            let contents = organization_file::read(path)?.contents;
            let organization = Arc::new(contents.organization);
            let usual = first_server(&organization);
            return Ok(Opened { organization, usual, recipients: Recipients::File(contents.recipients) });
        }
        let reach = self.place.reach().await?;
        let (directory, organization) = open_at(&reach, self.revision).await?;
        let own = reach.settings().map(|settings| settings.server.clone());
        let usual = own.filter(|server| organization.server(server).is_some());
        let usual = usual.or_else(|| first_server(&organization));
        Ok(Opened { organization, usual, recipients: Recipients::Directory(directory) })
    }
}

/// Opens the directory, as it is or as it was.
pub(crate) async fn open_at(
    reach: &Reach,
    revision: Option<Revision>,
) -> anyhow::Result<(Arc<dyn Administration>, Arc<Organization>)> {
    let (directory, organization) = (Arc::clone(&reach.directory), reach.organization().await?);
    // The configuration of now by its number: its recipients were written after it, and are those of now.
    let revision = revision.filter(|revision| *revision != organization.revision());
    let Some(revision) = revision else { return Ok((directory, organization)) };
    let then = directory.at(revision).await.map_err(|error| match error {
        HistoryError::Forgotten { .. } | HistoryError::NotYet { .. } => {
            anyhow!("{error}; `postroad revisions` lists the changes that are kept")
        }
        other => other.into(),
    })?;
    let organization = then.snapshot().await.with_context(|| format!("revision {revision} cannot be read"))?;
    Ok((then, organization))
}

/// Reads a revision from the command line.
pub(crate) fn revision(text: &str) -> Result<Revision, String> {
    text.parse().map(Revision).map_err(|_| "a revision is a whole number, such as 42".to_owned())
}

impl Opened {
    /// The directory of a server of a lab.
    pub(crate) async fn of_server(settings: &Path) -> anyhow::Result<Self> {
        let settings = Settings::load(settings)?;
        let (directory, organization) = place::open(&settings).await?;
        Ok(Self { organization, usual: Some(settings.server), recipients: Recipients::Directory(directory) })
    }

    /// The server that decides when nobody says which.
    pub(crate) fn server(&self) -> anyhow::Result<ServerName> {
        let add = "the organization has no server that could decide: add one to `servers:` of its file";
        self.usual.clone().with_context(|| match self.recipients {
            Recipients::File(_) => add.to_owned(),
            Recipients::Directory(_) => format!("{add} and run `postroad apply FILE`"),
        })
    }

    /// Fetches what answers about `subjects` need.
    pub(crate) async fn inquiry(&self, subjects: &[Subject]) -> anyhow::Result<Inquiry> {
        Ok(Inquiry::new(self.organization.clone(), self.known(subjects, &[&self.organization]).await?))
    }

    /// The recipients of `subjects`, and whom they lead to.
    pub(crate) async fn known(
        &self,
        subjects: &[Subject],
        organizations: &[&Organization],
    ) -> anyhow::Result<KnownRecipients> {
        Ok(match &self.recipients {
            Recipients::File(recipients) => KnownRecipients::all(recipients.clone()),
            Recipients::Directory(directory) => gather(directory.as_ref(), subjects, organizations).await?,
        })
    }
}

pub(crate) async fn gather(
    directory: &dyn directory::Recipients,
    subjects: &[Subject],
    organizations: &[&Organization],
) -> anyhow::Result<KnownRecipients> {
    gather_changed(directory, subjects, organizations, &HashMap::new()).await
}

/// The same where addresses shall be somebody else's than they are, or nobody's.
pub(crate) async fn gather_changed(
    directory: &dyn directory::Recipients,
    subjects: &[Subject],
    organizations: &[&Organization],
    changed: &HashMap<String, Option<DirectoryRecipient>>,
) -> anyhow::Result<KnownRecipients> {
    let mut wanted = Wanted::of(subjects, organizations)?;
    while !wanted.addresses().is_empty() {
        let found: Result<Vec<_>, _> = directory.recipients(wanted.addresses()).await.into_iter().collect();
        let changed = wanted.addresses().iter().map(|address| changed.get(&address.key()));
        let found = found?.into_iter().zip(changed).map(|(is, shall)| shall.cloned().unwrap_or(is)).collect();
        wanted = wanted.supply(found)?;
    }
    Ok(wanted.into_known())
}

fn first_server(organization: &Organization) -> Option<ServerName> {
    // On a subscribed Edge server it is itself: of the organization it knows names alone.
    let mailbox = organization.own_servers().find(|server| server.role == ServerRole::Mailbox);
    mailbox.or(organization.own_servers().next()).map(|server| server.name.clone())
}
