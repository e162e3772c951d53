//! Every change is written down: who, through what, what, from where, what it was before and what it is. [`Audited`] stands in
//! front of a directory and does that, for the admin service and for commands that open the directory themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use authority::{Act, Feature, Revocation};
use directory::{
    AddressChanges, Administration, Answer, Author, Change, ChangesError, CommitError, Configuration, HistoryError,
    Moment, Precondition, Presence, Presences, ReadError, Recipients, RevisionRecord, RevocationRecord, Salvage,
    WatchEvent,
};
use envelope::{Address, ObjectName, Revision, Timestamp};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use logs::Log;
use logs::audit::{AuditLine, AuditQuery, AuditRecord, AuditedProperty, search};
use logs::search::{RESULTS_DEFAULT, RESULTS_MAX};
use organization::{Change as Planned, Kind, Object};
use rpc::Asker;
use rpc::convert::without_controls;
use tonic::{Request, Response, Status};
use topology::{DirectoryRecipient, Guid, Organization, RecipientKind};

use crate::api::Api;
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::audit_client::AuditClient;

/// Names that a search may give of one sort.
const NAMED_MAX: usize = 1_000;
/// Fields of a line that are taken from a server.
const FIELDS_MAX: usize = 64;

/// The same refusal of the same caller is written once within this time: whoever is refused all the time fills no log. Ours.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);
/// Refusals that are remembered for that; more are written without. Ours.
const REFUSALS_KEPT: usize = 1_024;

/// Where changes are written.
#[derive(Clone)]
pub struct AuditTrail {
    /// Its files are those of one server.
    pub(crate) log: Arc<Log<AuditRecord>>,
    /// The time.
    pub(crate) now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The server on which changes are made.
    pub(crate) server: Box<str>,
    /// When who was refused what.
    refusals: Arc<Mutex<HashMap<(String, &'static str), Timestamp>>>,
}

impl AuditTrail {
    /// The log of `server`.
    #[must_use]
    pub fn new(log: Arc<Log<AuditRecord>>, now: Arc<dyn Fn() -> Timestamp + Send + Sync>, server: &str) -> Self {
        Self { log, now, server: server.into(), refusals: Arc::default() }
    }

    /// Whether somebody may do that; that he may not is written down, as the documented cmdlet that does the same.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` with the rule.
    pub(crate) fn ruled(&self, asker: &Asker, act: Act, cmdlet: &'static str) -> Result<(), Status> {
        asker.may(act).inspect_err(|status| self.refusal(asker, act, cmdlet, status.message()))
    }

    fn refusal(&self, asker: &Asker, act: Act, cmdlet: &'static str, why: &str) {
        let (now, caller) = ((self.now)(), asker.name());
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.retain(|_, at| now.since(*at) < REFUSAL_INTERVAL);
            if refusals.contains_key(&(caller.clone(), cmdlet)) {
                return;
            }
            if refusals.len() < REFUSALS_KEPT {
                refusals.insert((caller.clone(), cmdlet), now);
            }
        }
        let object = match act {
            Act::Read(feature) | Act::Change(feature) => feature.as_str(),
            _ => "mail",
        };
        self.log.record(AuditRecord {
            at: now,
            caller: caller.into(),
            through: format!("admin API of {}", self.server).into(),
            client: asker.from().into(),
            server: self.server.clone(),
            cmdlet: cmdlet.into(),
            object: object.into(),
            object_id: Box::default(),
            properties: Vec::new(),
            outcome: Err(why.into()),
        });
    }
}

/// What was done to a file of the server, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Who.
    pub caller: &'a str,
    /// Through what.
    pub through: &'a str,
    /// From where.
    pub client: &'a str,
    /// The documented cmdlet.
    pub cmdlet: &'a str,
    /// What it was done to.
    pub object: &'a str,
}

impl AuditTrail {
    /// Writes down what was done, or why it was not.
    pub fn done(&self, deed: Deed<'_>, outcome: Result<(), &str>) {
        self.log.record(AuditRecord {
            at: (self.now)(),
            caller: deed.caller.into(),
            through: deed.through.into(),
            client: deed.client.into(),
            server: self.server.clone(),
            cmdlet: deed.cmdlet.into(),
            object: format!("{}\\{}", self.server, deed.object).into(),
            object_id: Box::default(),
            properties: Vec::new(),
            outcome: outcome.map(|()| Revision(0)).map_err(Into::into),
        });
    }
}

/// A directory whose changes are written down.
pub struct Audited {
    directory: Arc<dyn Administration>,
    trail: AuditTrail,
    /// From where they come.
    client: Box<str>,
}

impl Audited {
    /// Changes of `directory` that come from `client`: an address, or `local`.
    #[must_use]
    pub fn new(directory: Arc<dyn Administration>, trail: AuditTrail, client: &str) -> Self {
        Self { directory, trail, client: client.into() }
    }

    /// Writes down a change that somebody may not make.
    pub async fn refused(&self, change: &Change, why: &str) {
        let before = self.before(change).await;
        self.write(change, &before, &Err(why.into()));
    }

    /// The objects that a change touches, as they are. What cannot be read is told as new.
    async fn before(&self, change: &Change) -> Vec<Object> {
        let mut before: Vec<Object> = Vec::new();
        let is_recipient = |kind: Kind| kind == Kind::Recipient;
        if change
            .puts
            .iter()
            .map(Object::kind)
            .chain(change.deletes.iter().map(|(kind, _)| *kind))
            .any(|kind| !is_recipient(kind))
        {
            match self.directory.snapshot().await {
                Ok(organization) => before.extend(organization::objects(organization.draft(), &[])),
                Err(_) => before.extend(self.directory.salvage().await.map(|read| read.objects).unwrap_or_default()),
            }
        }
        before.extend(change.preconditions.iter().filter_map(|precondition| match precondition {
            Precondition::Unchanged(object) if is_recipient(object.kind()) => Some(object.clone()),
            _ => None,
        }));
        // Of one that must not be there nothing is to be found: the change fails if there is.
        let absent = change.preconditions.iter().filter_map(|precondition| match precondition {
            Precondition::Absent(kind, guid) if is_recipient(*kind) => Some(*guid),
            _ => None,
        });
        let known: BTreeSet<Guid> = before.iter().map(Object::guid).chain(absent).collect();
        for put in change.puts.iter().filter(|put| is_recipient(put.kind())) {
            let name = ObjectName::parse(&put.name()).ok().filter(|_| !known.contains(&put.guid()));
            let Some(name) = name else { continue };
            if let Ok(Some(recipient)) = self.directory.recipient_by_name(&name).await {
                before.push(Object::Recipient(Box::new(recipient)));
            }
        }
        before
    }

    fn write(&self, change: &Change, before: &[Object], outcome: &Result<Revision, Box<str>>) {
        let before: BTreeMap<(Kind, Guid), &Object> =
            before.iter().map(|object| ((object.kind(), object.guid()), object)).collect();
        let find = |kind: Kind, guid: Guid| before.get(&(kind, guid)).copied();
        let puts = change.puts.iter().filter_map(|to| match find(to.kind(), to.guid()) {
            Some(from) if from == to => None,
            Some(from) => Some(Planned::Update { from: from.clone(), to: to.clone() }),
            None => Some(Planned::Create(to.clone())),
        });
        for planned in puts {
            let object = planned.object();
            let cmdlet = cmdlet(&planned, object.kind(), Some(object));
            let properties = planned.properties().into_iter();
            let properties =
                properties.map(|change| AuditedProperty { name: change.name, old: change.old, new: change.new });
            self.record(
                &change.author,
                &cmdlet,
                (&object.place(), &object.guid().to_string()),
                properties.collect(),
                outcome,
            );
        }
        for (kind, guid) in &change.deletes {
            let object = find(*kind, *guid);
            let place = object.map_or_else(|| format!("{kind} {guid}"), Object::place);
            let cmdlet = format!("Remove-{}", noun(*kind, object));
            self.record(&change.author, &cmdlet, (&place, &guid.to_string()), Vec::new(), outcome);
        }
    }

    fn record(
        &self,
        author: &Author,
        cmdlet: &str,
        (object, object_id): (&str, &str),
        properties: Vec<AuditedProperty>,
        outcome: &Result<Revision, Box<str>>,
    ) {
        self.trail.log.record(AuditRecord {
            at: (self.trail.now)(),
            caller: author.who.as_str().into(),
            through: author.through.as_str().into(),
            client: self.client.clone(),
            server: self.trail.server.clone(),
            cmdlet: cmdlet.into(),
            object: object.into(),
            object_id: object_id.into(),
            properties,
            outcome: outcome.clone(),
        });
    }
}

fn outcome<T>(result: &Result<T, CommitError>, revision: impl Fn(&T) -> Revision) -> Result<Revision, Box<str>> {
    result.as_ref().map(revision).map_err(|error| error.to_string().into())
}

/// The documented cmdlet that does the same.
fn cmdlet(planned: &Planned, kind: Kind, object: Option<&Object>) -> String {
    let verb = match planned {
        Planned::Create(_) => "New",
        Planned::Update { .. } => "Set",
        Planned::Delete(_) => "Remove",
    };
    format!("{verb}-{}", noun(kind, object))
}

fn noun(kind: Kind, object: Option<&Object>) -> &'static str {
    match (kind, object) {
        (Kind::TransportConfig, _) => "TransportConfig",
        (Kind::Site, _) => "ADSite",
        (Kind::SiteLink, _) => "ADSiteLink",
        (Kind::Dag, _) => "DatabaseAvailabilityGroup",
        (Kind::Server, _) => "TransportService",
        (Kind::Database, _) => "MailboxDatabase",
        (Kind::AcceptedDomain, _) => "AcceptedDomain",
        (Kind::X400AuthoritativeDomain, _) => "X400AuthoritativeDomain",
        (Kind::SendConnector, _) => "SendConnector",
        (Kind::DeliveryAgentConnector, _) => "DeliveryAgentConnector",
        (Kind::ForeignConnector, _) => "ForeignConnector",
        (Kind::ReceiveConnector, _) => "ReceiveConnector",
        (Kind::Recipient, Some(Object::Recipient(recipient))) => match recipient.kind {
            RecipientKind::Mailbox { .. } => "Mailbox",
            RecipientKind::MailContact { .. } => "MailContact",
            RecipientKind::DistributionGroup { .. } => "DistributionGroup",
        },
        (Kind::Recipient, _) => "Recipient",
    }
}

#[async_trait]
impl Configuration for Audited {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        self.directory.snapshot().await
    }

    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        self.directory.watch(after)
    }
}

#[async_trait]
impl Recipients for Audited {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        self.directory.recipients(addresses).await
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        self.directory.recipient_by_name(name).await
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        self.directory.list_recipients(after, limit).await
    }
}

#[async_trait]
impl Presences for Audited {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        self.directory.presences().await
    }

    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        self.directory.watch_presences()
    }
}

#[async_trait]
impl Administration for Audited {
    async fn salvage(&self) -> Result<Salvage, ReadError> {
        self.directory.salvage().await
    }

    fn operations_at_once(&self) -> usize {
        self.directory.operations_at_once()
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        let before = self.before(&change).await;
        let result = self.directory.commit(change.clone()).await;
        self.write(&change, &before, &outcome(&result, |revision| *revision));
        result
    }

    async fn revoke(&self, revocation: Revocation, author: &Author) -> Result<(), CommitError> {
        let subject = revocation.subject.to_string();
        let until = AuditedProperty {
            name: "issuedUntil".to_owned(),
            old: "(none)".to_owned(),
            new: revocation.issued_until.to_iso8601(),
        };
        let result = self.directory.revoke(revocation, author).await;
        self.record(author, "Revoke-Certificate", (&subject, ""), vec![until], &outcome(&result, |()| Revision(0)));
        result
    }

    async fn revocations(&self) -> Result<Vec<RevocationRecord>, ReadError> {
        self.directory.revocations().await
    }

    async fn begin_epoch(&self, beyond: Revision, author: &Author) -> Result<Revision, CommitError> {
        let result = self.directory.begin_epoch(beyond, author).await;
        let what = ("directory", "");
        self.record(author, "Restore-Directory", what, Vec::new(), &outcome(&result, |revision| *revision));
        result
    }

    async fn at(&self, revision: Revision) -> Result<Arc<dyn Administration>, HistoryError> {
        self.directory.at(revision).await
    }

    async fn revisions(&self, limit: usize) -> Result<Vec<RevisionRecord>, ReadError> {
        self.directory.revisions(limit).await
    }

    async fn moment(&self) -> Result<Option<Moment>, ReadError> {
        self.directory.moment().await
    }

    async fn addresses_between(&self, since: &Moment, until: &Moment) -> Result<AddressChanges, ChangesError> {
        self.directory.addresses_between(since, until).await
    }
}

/// `postroad.admin.v1.Audit` over a folder of log files.
pub(crate) struct AuditService {
    pub(crate) folder: PathBuf,
    pub(crate) trail: AuditTrail,
}

#[tonic::async_trait]
impl wire::audit_server::Audit for AuditService {
    type SearchAuditStream = BoxStream<'static, Result<wire::AuditLine, Status>>;

    async fn search_audit(
        &self,
        request: Request<wire::SearchAuditRequest>,
    ) -> Result<Response<Self::SearchAuditStream>, Status> {
        self.trail.ruled(&Asker::of(&request)?, Act::Read(Feature::AuditLog), "Search-AdminAuditLog")?;
        let (query, limit) = query_from_wire(request.into_inner())?;
        let folder = self.folder.clone();
        let found = tokio::task::spawn_blocking(move || search(&folder, &query, limit)).await;
        let found = found.map_err(|error| Status::internal(error.to_string()))?;
        let found = found.map_err(|error| Status::internal(format!("the log files cannot be read: {error}")))?;
        let lines = found.into_iter().map(|line| Ok(wire::AuditLine { fields: line.0 }));
        Ok(Response::new(stream::iter(lines).boxed()))
    }
}

fn query_from_wire(request: wire::SearchAuditRequest) -> Result<(AuditQuery, usize), Status> {
    let lists = [&request.cmdlets, &request.object_ids, &request.user_ids, &request.parameters];
    if lists.into_iter().any(|list| list.len() > NAMED_MAX) {
        return Err(Status::invalid_argument(format!("a search names at most {NAMED_MAX} of one sort")));
    }
    let limit = usize::try_from(request.limit).unwrap_or(RESULTS_MAX).min(RESULTS_MAX);
    let query = AuditQuery {
        start: request.start_millis.map(Timestamp::from_millis),
        end: request.end_millis.map(Timestamp::from_millis),
        cmdlets: request.cmdlets,
        object_ids: request.object_ids,
        user_ids: request.user_ids,
        parameters: request.parameters,
        success: request.success,
        start_index: usize::try_from(request.start_index).unwrap_or(usize::MAX),
    };
    Ok((query, if limit == 0 { RESULTS_DEFAULT } else { limit }))
}

impl Api {
    /// The newest `limit` lines of the audit log of the server behind this connection that `query` looks for, the newest first.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn search_audit(&self, query: AuditQuery, limit: usize) -> Result<Vec<AuditLine>, AdminError> {
        let request = wire::SearchAuditRequest {
            start_millis: query.start.map(Timestamp::as_millis),
            end_millis: query.end.map(Timestamp::as_millis),
            cmdlets: query.cmdlets,
            object_ids: query.object_ids,
            user_ids: query.user_ids,
            parameters: query.parameters,
            success: query.success,
            start_index: u32::try_from(query.start_index).unwrap_or(u32::MAX),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        let mut client = AuditClient::new(self.channel());
        let answer = client.search_audit(request).await.map_err(|status| self.failure(&status))?;
        let (mut answer, mut lines) = (answer.into_inner(), Vec::new());
        while let Some(line) = answer.message().await.map_err(|status| self.failure(&status))? {
            lines.push(AuditLine(
                line.fields.iter().take(FIELDS_MAX).map(|field| without_controls(field).into()).collect(),
            ));
        }
        Ok(lines)
    }
}
