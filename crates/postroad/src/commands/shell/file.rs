//! An organization file as the shell's organization: read once, changed in memory, written when it was asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cmdlets::{Premises, Refused};
use envelope::{Revision, ServerName};
use organization::{Document, Kind, Object, Secrets, WithoutSecrets};
use topology::{DirectoryRecipient, Guid, Organization, OrganizationDraft};

use super::super::organization_file;

/// The organization of a file.
pub(super) struct FilePremises {
    path: PathBuf,
    write: bool,
    draft: Arc<OrganizationDraft>,
    recipients: Arc<Vec<DirectoryRecipient>>,
}

impl FilePremises {
    pub(super) fn open(path: &Path, write: bool) -> anyhow::Result<Self> {
        let contents = organization_file::read(path)?.contents;
        let draft = Arc::new(contents.organization.draft().clone());
        Ok(Self { path: path.to_owned(), write, draft, recipients: Arc::new(contents.recipients) })
    }
}

/// A list of objects after a change.
pub(super) fn changed(mut objects: Vec<Object>, puts: Vec<Object>, deletes: &[(Kind, Guid)]) -> Vec<Object> {
    objects.retain(|object| !deletes.contains(&(object.kind(), object.guid())));
    for put in puts {
        match objects.iter_mut().find(|known| (known.kind(), known.guid()) == (put.kind(), put.guid())) {
            Some(known) => *known = put,
            None => objects.push(put),
        }
    }
    objects
}

impl Premises for FilePremises {
    fn configuration(&mut self) -> Result<Arc<OrganizationDraft>, String> {
        Ok(self.draft.clone())
    }

    fn recipients(&mut self) -> Result<Arc<Vec<DirectoryRecipient>>, String> {
        Ok(self.recipients.clone())
    }

    fn commit(&mut self, puts: Vec<Object>, deletes: Vec<(Kind, Guid)>, _: &str) -> Result<(), Refused> {
        let objects = changed(organization::objects(&self.draft, &self.recipients), puts, &deletes);
        let (mut draft, recipients) = organization::assemble(objects);
        draft.settle();
        draft.complete();
        let problems = organization::recipients::lint(&draft, &recipients);
        if problems.has_errors() {
            return Err(Refused::Invalid(problems));
        }
        Organization::validate(draft.clone(), Revision(0)).map_err(Refused::Invalid)?;
        if self.write {
            let text = Document::from_draft(&draft, &recipients).to_yaml();
            // The old file stays whole until the new one is.
            let beside = self.path.with_extension("new");
            let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &self.path));
            written.map_err(|error| Refused::Other(format!("{}: {error}", self.path.display())))?;
        }
        (self.draft, self.recipients) = (Arc::new(draft), Arc::new(recipients));
        Ok(())
    }

    fn secrets(&self) -> &dyn Secrets {
        &WithoutSecrets
    }

    fn local_server(&self) -> Option<ServerName> {
        None
    }
}
