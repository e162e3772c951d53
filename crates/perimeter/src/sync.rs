//! One synchronization of one Edge server (EN-30…EN-34): what it has is compared with what it ought to have, and only the
//! difference is sent. Whether it was the first, or one was missed, makes no difference. Recipients are told by [`crate::recipients`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use admin_api::{AdminError, Api, RemoteDirectory, RemoteSecrets, Subscriber};
use authority::Subject;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory::{
    Administration, Author, Change, CommitError, Configuration, Moment, Precondition, RecipientDigest, Sealer, apply,
};
use envelope::{Address, Domain, Revision, ServerName, Service};
use net::certificate::each_pem;
use organization::{Kind, Object, PasswordSource, Plan, Secrets, plan};
use rpc::{Credentials, PeerAddress};
use tokio::time::Instant;
use topology::{EdgeSubscription, Guid, OrganizationDraft, SealedCredential, Server, ServerRole};

use crate::error::SyncError;
use crate::recipients::{Depth, GATHERED_MAX, Recipients, ToldBefore, ToldReport};
use crate::view;

/// Time for an Edge server to believe the organization that it has just been subscribed to.
const BELIEVED_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two questions whether it does.
const BELIEVED_LOOK: Duration = Duration::from_millis(100);
/// How often a voucher is tried to be forgotten while others change the same object.
const FORGET_ATTEMPTS: u32 = 4;
/// As which command changes are recorded.
pub const THROUGH: &str = "EdgeSync";

/// What a synchronization did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Objects of the configuration that were changed.
    pub configuration: usize,
    /// What of recipients.
    pub recipients: ToldReport,
}

/// What differs between the organization and an Edge server (EN-34).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Objects of the configuration, in words.
    pub configuration: Vec<String>,
    /// Buckets of digests that differ, and how many there are.
    pub buckets: (usize, usize),
}

/// What is compared of recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Nothing.
    Nothing,
    /// What is known of what was told, with what changed since.
    Told,
    /// Each of them, read anew.
    Each,
}

/// The organization's side.
pub struct Inside {
    /// Its directory.
    pub directory: Arc<dyn Administration>,
    /// Its forest.
    pub forest: Domain,
    /// What opens credentials of Send connectors.
    pub sealer: Option<Arc<Sealer>>,
    /// What this side shows, and by what it knows the others.
    pub credentials: Arc<Credentials>,
    /// Who synchronizes: the author of what is changed.
    pub server: ServerName,
}

/// The credential that an Edge server has for a connector.
fn kept(outside: &OrganizationDraft, connector: Guid) -> Option<SealedCredential> {
    let there = outside.send_connectors.iter().find(|there| there.guid == connector);
    there.and_then(|there| there.authentication_credential.clone())
}

impl Inside {
    /// The Edge server as the organization knows it, and the organization.
    async fn known(&self, edge: &ServerName) -> Result<(Arc<topology::Organization>, Server), SyncError> {
        let organization = self.directory.snapshot().await?;
        let server = organization.server(edge).filter(|server| server.role == ServerRole::Edge);
        match server.filter(|server| server.edge.forest.is_some()).cloned() {
            Some(server) => Ok((organization, server)),
            None => Err(SyncError::NoEdge(edge.clone())),
        }
    }

    /// A connection to the Edge server; the first one makes it believe this organization.
    async fn connect(&self, server: &Server, at: &PeerAddress, author: &Author) -> Result<Api, SyncError> {
        let Some(voucher) = &server.edge.voucher else {
            return Ok(Api::connect(at, &self.credentials).await?);
        };
        let subscribed = self.subscribe(server, voucher, at).await;
        let api = match subscribed {
            Ok(()) => self.connect_once_believed(at).await?,
            // It may believe us already: the answer was lost, or the voucher could not be forgotten.
            Err(error) => match self.believed(at).await {
                Ok(api) => api,
                Err(_) => return Err(error),
            },
        };
        self.forget_voucher(&server.name, voucher, author).await?;
        Ok(api)
    }

    async fn subscribe(&self, server: &Server, voucher: &str, at: &PeerAddress) -> Result<(), SyncError> {
        let voucher = BASE64.decode(voucher).map_err(|_| SyncError::Edge("the voucher is none".to_owned()))?;
        let authorities = server.edge.organization_authorities.clone();
        let first = Api::connect_unknown(at, &server.edge.authorities.concat()).await?;
        Ok(first.subscribe(&Subscriber { organization: self.forest.clone(), authorities, voucher }).await?)
    }

    /// A connection to an Edge server that believes us: it answers.
    async fn believed(&self, at: &PeerAddress) -> Result<Api, AdminError> {
        let api = Api::connect(at, &self.credentials).await?;
        api.told_last(&directory::MarksSum::default()).await.map(|_| api)
    }

    /// The Edge server believes us a moment after it has said so: its port hears of it as of every change of its directory.
    async fn connect_once_believed(&self, at: &PeerAddress) -> Result<Api, SyncError> {
        let until = Instant::now() + BELIEVED_WITHIN;
        loop {
            match self.believed(at).await {
                Ok(api) => return Ok(api),
                Err(error) if Instant::now() >= until => return Err(error.into()),
                Err(_) => tokio::time::sleep(BELIEVED_LOOK).await,
            }
        }
    }

    /// The Edge server believes us: nobody needs the voucher any more. One that somebody has made meanwhile is another's.
    async fn forget_voucher(&self, edge: &ServerName, used: &str, author: &Author) -> Result<(), SyncError> {
        for _ in 0..FORGET_ATTEMPTS {
            let (_, before) = self.known(edge).await?;
            if before.edge.voucher.as_deref() != Some(used) {
                return Ok(());
            }
            let edge = EdgeSubscription { voucher: None, ..before.edge.clone() };
            let after = Server { edge, ..before.clone() };
            let change = Change {
                puts: vec![Object::Server(Box::new(after))],
                preconditions: vec![Precondition::Unchanged(Object::Server(Box::new(before)))],
                ..Change::by(author.clone())
            };
            match self.directory.commit(change).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(SyncError::Directory(error.to_string())),
            }
        }
        Err(SyncError::Directory("others change the Edge server's object all the time".to_owned()))
    }

    /// Synchronizes an Edge server at `at`; `told` is what it was told of recipients before.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn synchronize(
        &self,
        edge: &ServerName,
        at: &PeerAddress,
        told: &mut ToldBefore,
        depth: Depth,
    ) -> Result<SyncReport, SyncError> {
        let author = Author::new(self.server.to_string(), THROUGH.to_owned());
        let (organization, server) = self.known(edge).await?;
        let api = self.connect(&server, at, &author).await?;
        self.revoke(&api, &organization, &author).await?;
        self.announce(&api, &organization, &server).await?;
        // Before the domains that they are in: nobody of a domain that is new there is refused as unknown.
        let recipients = match self.recipients(&organization, &server.edge) {
            Some(recipients) => recipients.tell(&api, told, depth).await?,
            None => ToldReport::default(),
        };
        let configuration = self.configure(&api, organization.draft(), edge, &author).await?;
        Ok(SyncReport { configuration, recipients })
    }

    /// Recipients, for an Edge server whose subscription has a salt.
    fn recipients<'a>(
        &'a self,
        organization: &'a topology::Organization,
        edge: &'a EdgeSubscription,
    ) -> Option<Recipients<'a>> {
        let salt = edge.recipient_salt.as_deref()?;
        Some(Recipients { directory: &*self.directory, organization, salt, gathered_max: GATHERED_MAX })
    }

    /// Whether an Edge server answers here: nothing of it is changed.
    ///
    /// # Errors
    /// [`SyncError`]
    pub(crate) async fn reach(&self, at: &PeerAddress) -> Result<(), SyncError> {
        Ok(self.believed(at).await.map(drop)?)
    }

    /// What an Edge server has, and what it ought to.
    async fn planned(
        &self,
        api: &Api,
        inside: &OrganizationDraft,
        edge: &ServerName,
    ) -> Result<(Plan, Revision), SyncError> {
        let outside =
            RemoteDirectory::new(api.clone()).snapshot().await.map_err(|error| SyncError::Edge(error.to_string()))?;
        let credentials = self.hand_over(api, inside, outside.draft(), edge).await?;
        let authorities = each_pem(&self.credentials.authorities_pem());
        let wanted = view::of(inside, outside.draft(), edge, &credentials, &authorities);
        let Some(wanted) = wanted else { return Err(SyncError::NoEdge(edge.clone())) };
        let objects = |draft: &OrganizationDraft| organization::objects(draft, &[]);
        let mut planned = plan(objects(outside.draft()), objects(&wanted));
        // Default Receive connectors of its neighbours come and go with them; those of its own are its own.
        planned.changes.retain(|change| change.object().kind() != Kind::ReceiveConnector);
        Ok((planned, outside.revision()))
    }

    async fn configure(
        &self,
        api: &Api,
        inside: &OrganizationDraft,
        edge: &ServerName,
        author: &Author,
    ) -> Result<usize, SyncError> {
        let (plan, planned_at) = self.planned(api, inside, edge).await?;
        let changes = plan.changes.len();
        if changes > 0 {
            let outside = RemoteDirectory::new(api.clone());
            let applied = apply(&outside, plan, planned_at, author).await;
            applied.map_err(|error: CommitError| SyncError::Edge(error.to_string()))?;
        }
        Ok(changes)
    }

    /// Credentials of Send connectors, sealed by the Edge server under a key of its own: it never has the organization's.
    async fn hand_over(
        &self,
        api: &Api,
        inside: &OrganizationDraft,
        outside: &OrganizationDraft,
        edge: &ServerName,
    ) -> Result<HashMap<Guid, SealedCredential>, SyncError> {
        let (mut opened, mut sealed_there) = (Vec::new(), HashMap::new());
        for (connector, sealed) in view::with_credential(inside, edge) {
            let credential = match &self.sealer {
                Some(sealer) => sealer.unseal(&sealed, &connector).map_err(|error| error.to_string()),
                None => Err("this server has no key of the organization".to_owned()),
            };
            match credential {
                Ok(credential) => opened.push((connector, credential)),
                // What it was given once goes on: everything else is synchronized nevertheless.
                Err(why) => match kept(outside, connector.guid) {
                    Some(there) => {
                        tracing::warn!(connector = %connector.name, %why, "a credential cannot be handed over anew");
                        sealed_there.insert(connector.guid, there);
                    }
                    None => return Err(SyncError::Credential(connector.name.to_string(), why)),
                },
            }
        }
        if opened.is_empty() {
            return Ok(sealed_there);
        }
        let current = organization::objects(outside, &[]);
        let secrets = RemoteSecrets::new(api.clone(), std::path::PathBuf::new(), &current);
        let sealing = tokio::task::spawn_blocking(move || {
            let seal = |(connector, credential): &(topology::SendConnector, directory::Credential)| {
                let sealed =
                    secrets.credential(connector, &credential.user, PasswordSource::Plain(&credential.password));
                let sealed = sealed.map_err(|why| SyncError::Credential(connector.name.to_string(), why))?;
                Ok((connector.guid, sealed))
            };
            opened.iter().map(seal).collect::<Result<Vec<_>, SyncError>>()
        });
        sealed_there.extend(sealing.await.map_err(|error| SyncError::Edge(error.to_string()))??);
        Ok(sealed_there)
    }

    /// Whose certificates are void is so on the Edge server, too.
    async fn revoke(&self, api: &Api, organization: &topology::Organization, author: &Author) -> Result<(), SyncError> {
        let ours = self.directory.revocations().await?;
        if ours.is_empty() {
            return Ok(());
        }
        let outside = RemoteDirectory::new(api.clone());
        let theirs = outside.revocations().await.map_err(|error| SyncError::Edge(error.to_string()))?;
        let of_servers = ours.into_iter().map(|record| record.revocation);
        let news = of_servers.filter(|one| {
            // By their names alone: an Edge server may be called as one of ours.
            let known = matches!(&one.subject, Subject::Server(name) if organization.own_servers().any(|own| own.name == *name));
            known && !theirs.iter().any(|there| there.revocation == *one)
        });
        for revocation in news.collect::<Vec<_>>() {
            let revoked = outside.revoke(revocation, author).await;
            revoked.map_err(|error| SyncError::Edge(error.to_string()))?;
        }
        Ok(())
    }

    /// Where the Transports of the site are.
    async fn announce(&self, api: &Api, organization: &topology::Organization, edge: &Server) -> Result<(), SyncError> {
        let mut presences = self.directory.presences().await?;
        presences.retain(|presence| {
            let of_site = organization.server(&presence.server).is_some_and(|server| server.site == edge.site);
            presence.service == Service::Transport && of_site
        });
        for presence in &mut presences {
            // By which configuration of ours they work says nothing about that of the Edge server.
            presence.applied_revision = Revision(0);
        }
        Ok(api.announce(presences).await?)
    }

    /// The last change of the directory, of recipients too, where it says so.
    pub(crate) async fn newest(&self) -> Result<Option<Moment>, SyncError> {
        Ok(self.directory.moment().await?)
    }

    /// Compares both sides and changes nothing (EN-34); `told` is what the Edge server was told of recipients before.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn compare(
        &self,
        edge: &ServerName,
        at: &PeerAddress,
        told: &ToldBefore,
        what: Compare,
    ) -> Result<Difference, SyncError> {
        let (organization, server) = self.known(edge).await?;
        let api = Api::connect(at, &self.credentials).await?;
        let (plan, _) = self.planned(&api, organization.draft(), edge).await?;
        let configuration = plan.changes.iter().map(|change| change.object().place()).collect();
        let buckets = match self.recipients(&organization, &server.edge).filter(|_| what != Compare::Nothing) {
            Some(recipients) => recipients.compare(&api, told, what == Compare::Each).await?,
            None => (0, 0),
        };
        Ok(Difference { configuration, buckets })
    }

    /// Whether an Edge server knows what the organization does of one address: `None` when nobody has it (EN-34,
    /// `-VerifyRecipient`). Each side looks one address up.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn verify(
        &self,
        edge: &ServerName,
        at: &PeerAddress,
        address: &Address,
    ) -> Result<Option<bool>, SyncError> {
        let (organization, server) = self.known(edge).await?;
        let api = Api::connect(at, &self.credentials).await?;
        let known = match server.edge.recipient_salt.as_deref() {
            Some(salt) => api.knows_digest(salt, &RecipientDigest::of(salt, address)).await? == Some(true),
            None => false,
        };
        let recipient = self.directory.recipient(address).await?;
        if recipient.is_none() && !known {
            return Ok(None);
        }
        // Of an address outside of the accepted domains it is told nothing.
        let counts = organization.accepted_domain(&address.domain()).is_some();
        let is_reached = recipient.is_some_and(|one| one.addresses_for_strangers().next().is_some());
        Ok(Some(known == (is_reached && counts)))
    }
}
