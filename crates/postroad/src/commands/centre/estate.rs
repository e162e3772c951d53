//! What the centre asks, answered by a directory that was opened or by an admin service, and by the servers of the organization. The
//! centre rules before it asks; here what it asks for is done, and written down under the person's name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use admin_api::directory::features;
use admin_api::queues::{MESSAGES_MAX, MessageEntry, MessagesRequest, Target};
use admin_api::{AuditTrail, Audited};
use admin_centre::Person;
use admin_centre::estate::{
    Audit, AuditView, CertificateView, Estate, Export, Handling, HealthView, Impact, ImportView, LetterView, Letters,
    Made, NotMade, Note, QueueView, Serving, ShownView, Tell, TrackView, Tracking, TriedCertificate,
};
use anyhow::Context;
use async_trait::async_trait;
use authority::{Authority, Feature, Principal};
use directory::{Administration, Author, Census, CommitError, WatchEvent};
use envelope::{Domain, Revision, ServerName, Timestamp};
use futures::{StreamExt, TryStreamExt};
use inquiry::{KnownRecipients, Subject};
use lab::LabStatus;
use logs::audit::{AuditQuery, AuditRecord, folder, search};
use logs::search::Query;
use logs::{Log, LogSettings, audit};
use organization::{Change, Kind, Object, Plan, Properties, Wrong, object_of};
use tokio::sync::Mutex;
use topology::{Organization, OrganizationDraft};

use super::{brought, views};
use crate::answers::{self, Candidates, Gateways, Palette};
use crate::commands::place::{self, LAB_DEFAULT, Place, Reach};
use crate::commands::queued::{Transports, found};
use crate::commands::shell::live::Keys;
use crate::commands::tracked::{self, Shape};
use crate::commands::{health, impact, import, left_behind, source, times};

/// Who is revoked is asked again after.
const AUTHORITY_AGE: Duration = Duration::from_secs(5);
/// The directory tells members and revocations within.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);
/// Revocations that are older say nothing of a certificate any more.
const REVOCATIONS_AGE_MAX: Duration = Duration::from_secs(60);
/// Where servers are is asked again after.
const TRANSPORTS_AGE: Duration = Duration::from_secs(5);
/// A server that does not answer within is told as unknown (WA-42).
const SERVER_PATIENCE: Duration = Duration::from_millis(1_500);
/// By what changes are made.
const THROUGH: &str = "admin centre";

/// The organization of a place.
pub(super) struct LiveEstate {
    place: Place,
    reach: Reach,
    /// The directory without an audit log in front: each person has one of his own.
    backend: Option<Arc<dyn directory::Backend>>,
    trail: AuditTrail,
    log: Arc<Log<AuditRecord>>,
    log_folder: std::path::PathBuf,
    server: String,
    known: Arc<RwLock<Known>>,
    current: Current,
    transports: Mutex<Option<(Instant, Arc<Transports>)>>,
}

/// Who may what, as the directory told it last.
struct Known {
    authority: Authority,
    /// When revocations were read.
    read: Instant,
    /// Why they could not be read since.
    trouble: Option<String>,
}

/// The configuration as the directory told it last; nothing while that is not known to be the newest.
#[derive(Clone, Default)]
struct Current(Arc<RwLock<Option<Arc<Organization>>>>);

impl Current {
    fn get(&self) -> Option<Arc<Organization>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// An older one does not take the place of a newer.
    fn keep(&self, organization: &Arc<Organization>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|known| known.revision() <= organization.revision()) {
            *kept = Some(Arc::clone(organization));
        }
    }

    /// Follows the directory, so that a page need not read two thousand connectors to show one.
    fn follow(&self, directory: Arc<dyn Administration>) {
        let current = self.clone();
        tokio::spawn(async move {
            let mut events = directory.watch(Revision(0));
            while let Some(event) = events.next().await {
                match event {
                    WatchEvent::Snapshot(organization) => current.keep(&organization),
                    WatchEvent::Rejected { .. } | WatchEvent::Unavailable(_) => current.forget(),
                    WatchEvent::Back => {}
                }
            }
            current.forget();
        });
    }
}

impl LiveEstate {
    /// `organization` is what there was a moment ago: the first page does not wait until it is read again.
    pub(super) async fn open(
        place: Place,
        reach: Reach,
        organization: &Arc<Organization>,
        state: &Path,
    ) -> anyhow::Result<Self> {
        let backend = reach.settings().map(place::connect).transpose()?;
        let (log_folder, server) = match reach.settings() {
            Some(settings) => (folder(&settings.state), settings.server.to_string()),
            None => (folder(state), THROUGH.to_owned()),
        };
        let settings =
            LogSettings { folder: log_folder.clone(), prefix: audit::PREFIX, version: runtime::node::VERSION };
        let lost = || eprintln!("warning: something was done that the audit log does not have");
        let log = Arc::new(Log::new(settings, lost));
        let trail = AuditTrail::new(Arc::clone(&log), Arc::new(times::now), &server);
        let forest = match reach.settings() {
            Some(settings) => settings.forest.clone(),
            None => place.forest().unwrap_or(Domain::parse("local").map_err(|error| anyhow::anyhow!("{error}"))?),
        };
        let known = Known { authority: Authority::of_forest(forest), read: Instant::now(), trouble: None };
        let known = Arc::new(RwLock::new(known));
        let current = Current::default();
        current.keep(organization);
        current.follow(Arc::clone(&reach.directory));
        look(reach.directory.as_ref(), &current, &known).await.map_err(|why| anyhow::anyhow!(why)).context(
            "who is revoked cannot be read; the centre's certificate needs View-Only Organization Management or Organization \
             Management",
        )?;
        follow(Arc::clone(&reach.directory), current.clone(), Arc::clone(&known));
        let transports = Mutex::new(None);
        Ok(Self { place, reach, backend, trail, log, log_folder, server, known, current, transports })
    }

    async fn transports(&self) -> Result<Arc<Transports>, String> {
        let mut kept = self.transports.lock().await;
        if let Some((at, known)) = &*kept
            && at.elapsed() < TRANSPORTS_AGE
        {
            return Ok(Arc::clone(known));
        }
        let over = match self.current.get() {
            Some(organization) => Transports::over(&self.place, &self.reach, organization).await.ok(),
            None => None,
        };
        let opened = match over {
            Some(opened) => opened,
            // The directory is away: what the services of this server know.
            None => Transports::open(&self.place).await.map_err(|error| format!("{error:#}"))?,
        };
        let opened = Arc::new(opened);
        *kept = Some((Instant::now(), Arc::clone(&opened)));
        Ok(opened)
    }

    fn local(&self) -> Option<LabStatus> {
        let folder = self.place.lab_folder().map_or_else(|| Path::new(LAB_DEFAULT).to_owned(), Path::to_owned);
        let status = LabStatus::read(&folder).ok()?;
        let own = self.reach.settings()?.server.to_string();
        status.servers.iter().any(|server| server.name == own).then_some(status)
    }
}

/// Keeps what is known of members and revocations.
fn follow(directory: Arc<dyn Administration>, current: Current, known: Arc<RwLock<Known>>) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(AUTHORITY_AGE).await;
            if let Err(why) = look(directory.as_ref(), &current, &known).await {
                known.write().unwrap_or_else(PoisonError::into_inner).trouble = Some(why);
            }
        }
    });
}

/// Reads revocations; members are those of the configuration that is followed anyway.
async fn look(directory: &dyn Administration, current: &Current, known: &RwLock<Known>) -> Result<(), String> {
    let asked = Instant::now();
    let revocations = tokio::time::timeout(LOOK_PATIENCE, directory.revocations()).await;
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(organization) = current.get() {
        known.authority = known.authority.clone().with_servers(&organization);
    }
    let late = |_| format!("the directory did not answer within {} s", LOOK_PATIENCE.as_secs());
    let records = revocations.map_err(late)?.map_err(|error| error.to_string())?;
    known.authority = known.authority.clone().with_revocations(records.iter().map(|record| &record.revocation));
    (known.read, known.trouble) = (asked, None);
    Ok(())
}

async fn patient<T>(work: impl Future<Output = anyhow::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(SERVER_PATIENCE, work).await {
        Ok(answer) => answer.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("it did not answer within {} s", SERVER_PATIENCE.as_secs_f32())),
    }
}

#[async_trait]
impl Estate for LiveEstate {
    fn authority(&self) -> Authority {
        self.known.read().unwrap_or_else(PoisonError::into_inner).authority.clone()
    }

    fn revoked_unknown(&self) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let age = known.read.elapsed();
        let why = known.trouble.as_deref().unwrap_or("the directory does not answer");
        (age > REVOCATIONS_AGE_MAX).then(|| {
            format!("who is revoked has not been known for {} s, so that no certificate counts: {why}", age.as_secs())
        })
    }

    fn principal(&self, certificate: &[u8]) -> Option<(Principal, Timestamp)> {
        let (_, until) = net::certificate::validity(certificate)?;
        Some((rpc::principal(certificate).ok()?, until))
    }

    fn touched(&self, plan: &Plan, organization: &Organization) -> BTreeSet<Feature> {
        let puts: Vec<Object> = plan
            .changes
            .iter()
            .filter(|change| !matches!(change, Change::Delete(_)))
            .map(|change| change.object().clone())
            .collect();
        let deletes: Vec<Kind> = plan
            .changes
            .iter()
            .filter(|change| matches!(change, Change::Delete(_)))
            .map(|change| change.object().kind())
            .collect();
        features(&puts, &deletes, Some(organization))
    }

    async fn organization(&self) -> Result<Arc<Organization>, String> {
        if let Some(known) = self.current.get() {
            return Ok(known);
        }
        self.reach.organization().await.map_err(|error| format!("{error:#}"))
    }

    async fn at(&self, revision: Revision) -> Result<Arc<Organization>, String> {
        let found = source::open_at(&self.reach, Some(revision)).await;
        found.map(|(_, organization)| organization).map_err(|error| format!("{error:#}"))
    }

    async fn history(&self, limit: usize) -> Result<Vec<Made>, String> {
        let records = self.reach.directory.revisions(limit).await.map_err(|error| error.to_string())?;
        Ok(records.into_iter().map(views::made).collect())
    }

    async fn services(&self) -> Result<Vec<Serving>, String> {
        let mut there = self.reach.directory.presences().await.map_err(|error| error.to_string())?;
        // Edge servers of a lab say it in directories of their own.
        let edges = self.current.get().map(|organization| self.place.edges_of_lab(&organization)).unwrap_or_default();
        for settings in edges {
            let Ok((_, presences)) = found(&settings).await else { continue };
            there.extend(presences.into_iter().filter(|presence| presence.server == settings.server));
        }
        Ok(there.into_iter().map(views::serving).collect())
    }

    async fn known(&self, subjects: &[Subject]) -> Result<KnownRecipients, String> {
        let directory = self.reach.directory.as_ref();
        let organization = directory.snapshot().await.map_err(|error| error.to_string())?;
        source::gather(directory, subjects, &[&organization]).await.map_err(|error| format!("{error:#}"))
    }

    async fn object(
        &self,
        kind: Kind,
        properties: Properties,
        organization: Arc<Organization>,
    ) -> Result<Object, Vec<Wrong>> {
        let current = organization::objects(organization.draft(), &[]);
        let keys = Keys::of(&self.reach, tokio::runtime::Handle::current(), current);
        let made = tokio::task::spawn_blocking(move || object_of(kind, properties, &keys)).await;
        made.unwrap_or_else(|error| Err(vec![Wrong { property: String::new(), text: error.to_string() }]))
    }

    async fn impact(&self, before: Arc<Organization>, after: OrganizationDraft) -> Result<Impact, String> {
        let wanted = impact::Wanted { before, after, recipients: impact::Then::Same };
        match self.reach.directory.presences().await {
            Ok(there) if there.is_empty() => return Ok(Impact { days: impact::DAYS, ..Impact::default() }),
            _ => {}
        }
        let found = impact::found(&self.place, self.reach.directory.as_ref(), wanted);
        let found = tokio::time::timeout(impact::TIMEOUT, found).await;
        let found = found.map_err(|_| "the servers did not answer in time".to_owned())?;
        let impact::Effect { waiting, seen, asked, found, notes } = found.map_err(|error| format!("{error:#}"))?;
        Ok(Impact { waiting, seen, days: impact::DAYS, asked, found, unknown: notes })
    }

    async fn left_behind(&self, plan: &Plan) -> Result<Vec<String>, String> {
        let touches = |change: &Change| matches!(change.object().kind(), Kind::Server | Kind::Database);
        if !plan.changes.iter().any(touches) {
            return Ok(Vec::new());
        }
        let directory = self.reach.directory.as_ref();
        let census = Census::take(directory).await.map_err(|error| error.to_string())?;
        let presences = directory.presences().await.map_err(|error| error.to_string())?;
        let left = left_behind::by(plan, census.mailboxes(), &presences, &self.place).await;
        Ok(left.mail.into_iter().chain(left.unknown).collect())
    }

    async fn commit(&self, person: &Person, plan: Plan, base: Revision) -> Result<Revision, NotMade> {
        let author = match self.backend {
            Some(_) => Author::new(person.name(), THROUGH),
            // The admin service hears the certificate of this centre; the person stands in what it is told besides.
            None => Author::new(person.name(), format!("{THROUGH}, for {}", person.name())),
        };
        let changes = plan.changes.clone();
        let committed = match &self.backend {
            Some(backend) => {
                let from = person.from().to_string();
                let directory: Arc<dyn Administration> = backend.clone();
                let audited = Audited::new(directory, self.trail.clone(), &from);
                directory::apply(&audited, plan, base, &author).await
            }
            None => directory::apply(self.reach.directory.as_ref(), plan, base, &author).await,
        };
        if self.backend.is_none() {
            let refused = committed.as_ref().err().map(ToString::to_string);
            let from = person.from().to_string();
            for change in &changes {
                let object = change.object().place();
                self.note(Note {
                    who: person.name(),
                    from: &from,
                    cmdlet: "Set-Organization",
                    object: &object,
                    refused: refused.as_deref(),
                });
            }
        }
        // What was made, and what others made before it, is seen by the next page.
        self.current.forget();
        if let Ok(organization) = self.reach.directory.snapshot().await {
            self.current.keep(&organization);
        }
        committed.map_err(|error| match error {
            CommitError::Conflict(_) => NotMade::Conflict,
            CommitError::Invalid(problems) => NotMade::Invalid(problems),
            other => NotMade::Other(other.to_string()),
        })
    }

    fn commands(&self, changes: &[Change]) -> Vec<String> {
        changes.iter().flat_map(cmdlets::script::commands).collect()
    }

    async fn explained(&self, answer: &inquiry::Answer, now: bool) -> String {
        let mut gateways = if now { Gateways::Asked(BTreeMap::new()) } else { Gateways::NotAsked };
        for server in gateways.wanted(answer) {
            let told = match self.transports().await {
                Ok(transports) => patient(transports.gateways(&server)).await,
                Err(why) => Err(why),
            };
            gateways.add(server, told);
        }
        answers::text(answer, &gateways, Candidates::Near, Palette::plain())
    }

    fn reason(&self, why: &inquiry::Why) -> String {
        answers::reason(why)
    }

    async fn queues(&self, server: &ServerName) -> Result<Vec<QueueView>, String> {
        let transports = self.transports().await?;
        let told = patient(transports.ask(server, None)).await?;
        Ok(told.queues.into_iter().map(views::queue).collect())
    }

    async fn letters(&self, server: &ServerName, wanted: Letters) -> Result<Vec<LetterView>, String> {
        let transports = self.transports().await?;
        let request = MessagesRequest {
            queue: wanted.queue,
            header: wanted.subjects,
            limit: wanted.limit.min(MESSAGES_MAX),
            ..MessagesRequest::default()
        };
        let listed = patient(async {
            let coming = transports.messages(server, request).await?;
            Ok(coming.try_collect::<Vec<MessageEntry>>().await?)
        });
        Ok(listed.await?.into_iter().map(views::letter).collect())
    }

    async fn act(
        &self,
        person: &Person,
        server: &ServerName,
        action: Handling,
        on: &[(u64, Option<u64>)],
    ) -> Result<Vec<Result<(), String>>, String> {
        let transports = self.transports().await?;
        let targets: Vec<Target> =
            on.iter().map(|(queue, message)| Target { queue: *queue, message: *message }).collect();
        let operation = views::operation(action);
        let through = format!("{THROUGH}, for {}", person.name());
        let done = transports.operate(server, operation, &targets, &through).await;
        let done = done.map_err(|error| format!("{error:#}"));
        let from = person.from().to_string();
        let outcome: Vec<Result<(), String>> = match &done {
            Ok(done) => {
                done.iter().map(|one| one.outcome.complaint().map_or(Ok(()), |why| Err(why.to_owned()))).collect()
            }
            // A server that went away may have done it: what was tried is written down.
            Err(why) => targets.iter().map(|_| Err(why.clone())).collect(),
        };
        for (target, outcome) in targets.iter().zip(&outcome) {
            let object = match target.message {
                Some(message) => format!("messages[\"{server}\\{}\\{message}\"]", target.queue),
                None => format!("queues[\"{server}\\{}\"]", target.queue),
            };
            let refused = outcome.as_ref().err().map(String::as_str);
            self.note(Note { who: person.name(), from: &from, cmdlet: operation.cmdlet(), object: &object, refused });
        }
        done.map(|_| outcome)
    }

    async fn track(&self, wanted: Tracking) -> Result<(Vec<TrackView>, Vec<String>), String> {
        let transports = self.transports().await?;
        let named = wanted.id.as_deref().map(tracked::named).unwrap_or_default();
        let query = Query {
            sender: wanted.sender,
            recipients: wanted.recipient.into_iter().collect(),
            subject: wanted.subject,
            event_id: wanted.event,
            start: wanted.start,
            end: wanted.end,
            ..named
        };
        let servers = transports.servers();
        let found = tracked::find(&transports, &servers, &query, wanted.limit, Shape::Whole).await;
        let (found, failed) = found.map_err(|error| format!("{error:#}"))?;
        Ok((found.iter().map(views::track).collect(), failed))
    }

    async fn health(&self) -> Result<Vec<HealthView>, String> {
        if let Some(api) = self.reach.api() {
            let told = api.check_health(None).await.map_err(|error| error.to_string())?;
            let states = told.into_iter().map(|one| {
                health::of_answers(one.server.into(), one.service.into(), one.reason.map(String::from), &one.metrics)
            });
            return Ok(states.map(views::health).collect());
        }
        let asked = match (self.local(), self.reach.settings()) {
            (Some(lab), _) => {
                let services = lab.servers.iter().flat_map(|server| {
                    server.processes.iter().map(|one| (server.name.clone(), one.service.clone(), one.metrics))
                });
                services.collect()
            }
            (None, Some(settings)) => net::Service::ALL
                .into_iter()
                .filter_map(|service| {
                    Some((settings.server.to_string(), service.to_string(), settings.service(service).metrics?))
                })
                .collect(),
            (None, None) => Vec::new(),
        };
        let states = tokio::time::timeout(SERVER_PATIENCE, health::ask(asked)).await;
        Ok(states
            .map_err(|_| "the services did not answer in time".to_owned())?
            .into_iter()
            .map(views::health)
            .collect())
    }

    async fn certificates(&self) -> Result<Vec<CertificateView>, String> {
        let Some(settings) = self.reach.settings().cloned() else { return Ok(Vec::new()) };
        let read = tokio::task::spawn_blocking(move || runtime::certificate::all_on_disk(&settings)).await;
        Ok(read.map_err(|error| error.to_string())?.iter().map(views::certificate).collect())
    }

    async fn shown(&self) -> Result<Vec<ShownView>, String> {
        let Some(settings) = self.reach.settings().cloned() else { return Ok(Vec::new()) };
        brought::shown(settings, self.organization().await?).await
    }

    async fn rehearse(&self, candidate: TriedCertificate, tell: Tell) -> Result<(), String> {
        let settings = self.reach.settings().ok_or_else(|| {
            "sessions are tried from a server: run the admin centre there with its settings, or `postroad cert preview`".to_owned()
        })?;
        let organization = self.organization().await?;
        brought::rehearse(settings, &organization, candidate, tell).await
    }

    async fn import(&self, export: Export, organization: Arc<Organization>) -> Result<ImportView, String> {
        brought::import(&self.reach, export, organization).await
    }

    fn export_script(&self) -> &'static str {
        import::SCRIPT
    }

    async fn audit(&self, wanted: Audit) -> Result<Vec<AuditView>, String> {
        let list = |one: Option<String>| one.into_iter().collect::<Vec<_>>();
        let query = AuditQuery {
            user_ids: list(wanted.user),
            cmdlets: list(wanted.cmdlet),
            object_ids: list(wanted.object),
            success: wanted.done,
            ..AuditQuery::default()
        };
        let (folder, limit, own) = (self.log_folder.clone(), wanted.limit, query.clone());
        let read = tokio::task::spawn_blocking(move || search(&folder, &own, limit)).await;
        let read = read.map_err(|error| error.to_string())?;
        let mut lines = match read {
            Ok(lines) => lines,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        if let Some(api) = self.reach.api() {
            lines.extend(api.search_audit(query, limit).await.map_err(|error| error.to_string())?);
        }
        let mut views: Vec<AuditView> = lines.iter().map(views::audit).collect();
        views.sort_by(|one, other| other.at.cmp(&one.at));
        views.truncate(limit);
        Ok(views)
    }

    fn note(&self, note: Note<'_>) {
        self.log.record(AuditRecord {
            at: times::now(),
            caller: note.who.into(),
            through: THROUGH.into(),
            client: note.from.into(),
            server: self.server.as_str().into(),
            cmdlet: note.cmdlet.into(),
            object: note.object.into(),
            object_id: Box::default(),
            properties: Vec::new(),
            outcome: note.refused.map_or(Ok(Revision(0)), |why| Err(why.into())),
        });
    }
}
