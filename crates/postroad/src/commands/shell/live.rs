//! A directory as the shell's organization. What was read is kept while the configuration is at that revision: a change is made
//! only if nobody else changed it meanwhile, else it is read again and the command says so.

use std::path::PathBuf;
use std::sync::Arc;

use admin_api::{Api, RemoteSecrets};
use cmdlets::{Premises, Refused};
use directory::{Administration, ApplySecrets, Change, CommitError, Precondition, Sealer};
use envelope::{ObjectName, Revision, ServerName};
use organization::{Kind, Object, PasswordSource, Secrets};
use topology::recipient::PasswordVerifier;
use topology::{DirectoryRecipient, Guid, OrganizationDraft, SealedCredential, SendConnector};

use super::super::place::{self, Reach};
use super::file::changed;

/// The organization of a directory.
pub(super) struct LivePremises {
    directory: Arc<dyn Administration>,
    runtime: tokio::runtime::Handle,
    secrets: Keys,
    server: Option<ServerName>,
    configuration: Option<(Arc<OrganizationDraft>, Revision)>,
    recipients: Option<Arc<Vec<DirectoryRecipient>>>,
}

impl LivePremises {
    pub(super) fn new(reach: Reach, runtime: tokio::runtime::Handle) -> Self {
        let secrets = Keys::of(&reach, runtime.clone(), Vec::new());
        let server = reach.settings().map(|settings| settings.server.clone());
        Self { directory: reach.directory, runtime, secrets, server, configuration: None, recipients: None }
    }

    fn kept(&mut self) -> Result<(Arc<OrganizationDraft>, Revision), String> {
        if let Some(kept) = &self.configuration {
            return Ok(kept.clone());
        }
        let snapshot = self.runtime.block_on(self.directory.snapshot()).map_err(|error| error.to_string())?;
        let kept = (Arc::new(snapshot.draft().clone()), snapshot.revision());
        self.secrets.current = organization::objects(&kept.0, &[]);
        self.configuration = Some(kept.clone());
        Ok(kept)
    }
}

impl Premises for LivePremises {
    fn configuration(&mut self) -> Result<Arc<OrganizationDraft>, String> {
        self.kept().map(|(draft, _)| draft)
    }

    fn recipients(&mut self) -> Result<Arc<Vec<DirectoryRecipient>>, String> {
        if let Some(kept) = &self.recipients {
            return Ok(kept.clone());
        }
        let all =
            self.runtime.block_on(directory::all_recipients(&*self.directory)).map_err(|error| error.to_string())?;
        let all = Arc::new(all);
        self.recipients = Some(all.clone());
        Ok(all)
    }

    fn commit(&mut self, puts: Vec<Object>, deletes: Vec<(Kind, Guid)>, command: &str) -> Result<(), Refused> {
        let (draft, revision) = self.kept().map_err(Refused::Other)?;
        let recipients = puts
            .iter()
            .map(Object::kind)
            .chain(deletes.iter().map(|(kind, _)| *kind))
            .all(|kind| kind == Kind::Recipient);
        let mut change = Change::by(place::author(&format!("shell: {command}")));
        (change.puts, change.deletes) = (puts.clone(), deletes.clone());
        if !recipients {
            change.preconditions.push(Precondition::Revision(revision));
        }
        let committed = self.runtime.block_on(self.directory.commit(change));
        let committed = committed.map_err(|error| {
            // What is kept is not what is there: the next command reads again.
            (self.configuration, self.recipients) = (None, None);
            match error {
                CommitError::Invalid(problems) => Refused::Invalid(problems),
                CommitError::Conflict(_) => Refused::Other(format!("{error}; run the command again")),
                other => Refused::Other(other.to_string()),
            }
        })?;
        if recipients {
            self.recipients = None;
            return Ok(());
        }
        let (mut draft, _) = organization::assemble(changed(organization::objects(&draft, &[]), puts, &deletes));
        draft.settle();
        draft.complete();
        self.secrets.current = organization::objects(&draft, &[]);
        self.configuration = Some((Arc::new(draft), committed));
        Ok(())
    }

    fn secrets(&self) -> &dyn Secrets {
        &self.secrets
    }

    fn local_server(&self) -> Option<ServerName> {
        self.server.clone()
    }
}

/// Who seals.
enum Key {
    /// This command, with the organization's key.
    Here(Sealer),
    /// The admin service that is asked.
    Api(Api, tokio::runtime::Handle),
    /// Nobody, and why.
    Nowhere(String),
}

/// Who seals, and what is stored.
pub(crate) struct Keys {
    key: Key,
    current: Vec<Object>,
}

impl Keys {
    /// Those of a place: they seal for objects that are stored as `current` says.
    pub(crate) fn of(reach: &Reach, runtime: tokio::runtime::Handle, current: Vec<Object>) -> Self {
        let key = match (reach.api(), reach.settings()) {
            (Some(api), _) => Key::Api(api.clone(), runtime),
            (None, Some(settings)) => match Sealer::load(&settings.organization_key) {
                Ok(sealer) => Key::Here(sealer),
                Err(error) => Key::Nowhere(error.to_string()),
            },
            (None, None) => Key::Nowhere("there are no settings that name the organization's key".to_owned()),
        };
        Self { key, current }
    }

    fn with<T>(&self, seal: impl FnOnce(&dyn Secrets) -> Result<T, String>) -> Result<T, String> {
        match &self.key {
            Key::Here(sealer) => seal(&ApplySecrets::new(sealer, PathBuf::new(), &self.current)),
            Key::Api(api, runtime) => {
                let secrets = {
                    let _within = runtime.enter();
                    RemoteSecrets::new(api.clone(), PathBuf::new(), &self.current)
                };
                seal(&secrets)
            }
            Key::Nowhere(why) => Err(format!("a credential cannot be sealed here: {why}")),
        }
    }
}

impl Secrets for Keys {
    fn credential(
        &self,
        connector: &SendConnector,
        user: &str,
        password: PasswordSource<'_>,
    ) -> Result<SealedCredential, String> {
        self.with(|secrets| secrets.credential(connector, user, password))
    }

    fn sealed(&self, connector: &SendConnector, sealed: SealedCredential) -> Result<SealedCredential, String> {
        // Without the key what is stored stays as it is; only Transport opens it.
        if matches!(self.key, Key::Nowhere(_)) {
            Ok(sealed)
        } else {
            self.with(|secrets| secrets.sealed(connector, sealed))
        }
    }

    fn verifier(&self, mailbox: &ObjectName, password: PasswordSource<'_>) -> Result<PasswordVerifier, String> {
        self.with(|secrets| secrets.verifier(mailbox, password))
    }
}
