//! An organization in memory with servers that say what a test wants, and a browser that keeps its cookie.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use authority::{Authority, Feature, Principal, RoleGroup, Subject as Revoked, Who};
use envelope::{Domain, ObjectName, Revision, ServerName, Timestamp};
use inquiry::{KnownRecipients, Subject};
use organization::{Change, Kind, Object, Plan, Properties, WithoutSecrets, Wrong, object_of};
use parking_lot::Mutex;
use topology::{Organization, OrganizationDraft};

use crate::accounts::Accounts;
use crate::codes;
use crate::estate::*;
use crate::provider::Provider;
use crate::request::{Ask, Pairs, Reply};
use crate::session::COOKIE;
use crate::{Centre, CentreOptions, Passwords, Person};

pub(crate) const HOST: &str = "centre.example:8443";
pub(crate) const ORGANIZATION: &str = "\
sites: [{name: Berlin, hubSiteEnabled: true}, {name: Oslo}]
siteLinks: [{name: Berlin-Oslo, sites: [Berlin, Oslo], cost: 10}]
servers:
- {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
- {name: OSLO1, fqdn: oslo1.contoso.example, site: Oslo}
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sendConnectors:
- {name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], comment: 'To everybody else.'}
- {name: Partner, addressSpaces: [partner.example], smartHosts: [relay.partner.example], sourceTransportServers: [OSLO1]}
";

/// A stand-in for argon2, which is slow on purpose.
pub(crate) struct Plain;

impl Passwords for Plain {
    fn verifier(&self, password: &str) -> String {
        codes::digest("password", password)
    }
    fn verify(&self, verifier: &str, password: &str) -> bool {
        verifier == codes::digest("password", password)
    }
}

/// What was written down: who, what, to what, why not.
pub(crate) type Noted = (String, String, String, Option<String>);

/// Time that is a test's own, or that of a server which does not answer.
pub(crate) async fn passes(time: Duration) {
    let _over = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) now: Mutex<Option<Arc<Organization>>>,
    pub(crate) past: Mutex<Vec<(Arc<Organization>, String)>>,
    pub(crate) notes: Mutex<Vec<Noted>>,
    pub(crate) services: Mutex<Vec<Serving>>,
    pub(crate) queues: Mutex<Vec<(String, QueueView)>>,
    pub(crate) letters: Mutex<Vec<LetterView>>,
    pub(crate) tracks: Mutex<Vec<TrackView>>,
    pub(crate) acts: Mutex<Vec<(String, Handling, usize)>>,
    pub(crate) ledger: Mutex<Option<Ledger>>,
    pub(crate) revoked: Mutex<Vec<authority::Revocation>>,
    /// The end of certificates, if they have one.
    pub(crate) until: Mutex<Option<Timestamp>>,
    /// Why nobody knows who is revoked.
    pub(crate) revoked_unknown: Mutex<Option<String>>,
    /// Servers that tell their queues, and do nothing to them.
    pub(crate) idle: Mutex<Vec<String>>,
    /// Why nobody knows what a change does to mail.
    pub(crate) impact_unknown: Mutex<Option<String>>,
    /// Servers that do not answer; `*` is all.
    pub(crate) away: Mutex<Vec<String>>,
    pub(crate) shown: Mutex<Vec<ShownView>>,
    /// A rehearsal waits for this before its last step.
    pub(crate) next_step: tokio::sync::Notify,
    /// How often servers were asked for their queues.
    pub(crate) asked: AtomicU64,
}

impl Memory {
    pub(crate) fn of(yaml: &str) -> Self {
        let memory = Self::default();
        let organization = Arc::new(organization::load(yaml, Revision(7)).unwrap().organization);
        *memory.now.lock() = Some(organization);
        memory
    }

    pub(crate) fn organization(&self) -> Arc<Organization> {
        self.now.lock().clone().unwrap()
    }

    /// Somebody else changes something.
    pub(crate) fn changed(&self, by: &str, changes: &[Change]) -> Revision {
        let now = self.organization();
        let revision = Revision(now.revision().0 + 1);
        let next = Organization::validate(crate::plans::with(&now, changes), revision).unwrap();
        self.past.lock().push((now, by.to_owned()));
        *self.now.lock() = Some(Arc::new(next));
        revision
    }

    pub(crate) fn connector(&self, name: &str) -> Option<topology::SendConnector> {
        self.organization().send_connectors().iter().find(|one| one.name.as_str() == name).cloned()
    }
}

#[async_trait]
impl Estate for Memory {
    fn authority(&self) -> Authority {
        let forest = Domain::parse("contoso.example").unwrap();
        Authority::of_forest(forest).with_revocations(self.revoked.lock().iter())
    }
    fn revoked_unknown(&self) -> Option<String> {
        self.revoked_unknown.lock().clone()
    }
    /// A certificate of these tests is a name and a role group.
    fn principal(&self, certificate: &[u8]) -> Option<(Principal, Timestamp)> {
        let text = std::str::from_utf8(certificate).ok()?;
        let (name, group) = text.split_once(':')?;
        let groups = BTreeSet::from([group.parse::<RoleGroup>().ok()?]);
        let who = Who::Administrator { name: ObjectName::parse(name).ok()?, groups };
        let forest = Domain::parse("contoso.example").unwrap();
        let principal = Principal { forest, who, issued: Timestamp::from_millis(1_000) };
        Some((principal, self.until.lock().unwrap_or(Timestamp::from_millis(u64::MAX))))
    }
    fn touched(&self, plan: &Plan, _: &Organization) -> BTreeSet<Feature> {
        plan.changes
            .iter()
            .map(|change| match crate::pages::edit::changing(change.object().kind()) {
                authority::Act::Change(feature) => feature,
                _ => Feature::Organization,
            })
            .collect()
    }
    async fn organization(&self) -> Result<Arc<Organization>, String> {
        Ok(self.organization())
    }
    async fn at(&self, revision: Revision) -> Result<Arc<Organization>, String> {
        let now = self.organization();
        if now.revision() == revision {
            return Ok(now);
        }
        let past = self.past.lock();
        let found = past.iter().map(|(known, _)| known).find(|known| known.revision() == revision);
        found.cloned().ok_or_else(|| format!("there is no revision {revision}"))
    }
    async fn history(&self, _: usize) -> Result<Vec<Made>, String> {
        let made = self
            .past
            .lock()
            .iter()
            .map(|(known, by)| Made {
                revision: Revision(known.revision().0 + 1),
                at: Timestamp::from_millis(0),
                summary: "a change".to_owned(),
                author: Some((by.clone(), "a test".to_owned())),
            })
            .rev()
            .collect();
        Ok(made)
    }
    async fn services(&self) -> Result<Vec<Serving>, String> {
        Ok(self.services.lock().clone())
    }
    async fn known(&self, _: &[Subject]) -> Result<KnownRecipients, String> {
        Ok(KnownRecipients::all(Vec::new()))
    }
    async fn object(&self, kind: Kind, properties: Properties, _: Arc<Organization>) -> Result<Object, Vec<Wrong>> {
        object_of(kind, properties, &WithoutSecrets)
    }
    async fn impact(&self, _: Arc<Organization>, _: OrganizationDraft) -> Result<Impact, String> {
        match &*self.impact_unknown.lock() {
            Some(why) => Err(why.clone()),
            None => Ok(Impact { days: 3, ..Impact::default() }),
        }
    }
    async fn left_behind(&self, _: &Plan) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    async fn commit(&self, person: &Person, plan: Plan, base: Revision) -> Result<Revision, NotMade> {
        if self.organization().revision() != base {
            return Err(NotMade::Conflict);
        }
        Ok(self.changed(person.name(), &plan.changes))
    }
    fn commands(&self, changes: &[Change]) -> Vec<String> {
        changes.iter().map(|change| change.object().place()).collect()
    }
    async fn explained(&self, answer: &inquiry::Answer, _: bool) -> String {
        answer.subject.recipient.to_string()
    }
    fn reason(&self, _: &inquiry::Why) -> String {
        "because".to_owned()
    }
    async fn queues(&self, server: &ServerName) -> Result<Vec<QueueView>, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.away.lock().iter().any(|away| away == server.as_str() || away == "*") {
            // As long as the program waits.
            passes(Duration::from_millis(1_500)).await;
            return Err("it does not answer".to_owned());
        }
        let all = self.queues.lock();
        Ok(all.iter().filter(|(of, _)| of == server.as_str()).map(|(_, queue)| queue.clone()).collect())
    }
    async fn letters(&self, _: &ServerName, wanted: Letters) -> Result<Vec<LetterView>, String> {
        let all = self.letters.lock();
        let of_queue = all.iter().filter(|letter| wanted.queue.is_none_or(|queue| queue == letter.queue));
        let shown = of_queue.map(|letter| {
            let mut letter = letter.clone();
            letter.subject = letter.subject.filter(|_| wanted.subjects);
            letter
        });
        Ok(shown.take(wanted.limit as usize).collect())
    }
    async fn act(
        &self,
        person: &Person,
        server: &ServerName,
        action: Handling,
        on: &[(u64, Option<u64>)],
    ) -> Result<Vec<Result<(), String>>, String> {
        if self.idle.lock().iter().any(|idle| idle == server.as_str()) {
            return Err("it went away".to_owned());
        }
        self.acts.lock().push((person.name().to_owned(), action, on.len()));
        Ok(on.iter().map(|_| Ok(())).collect())
    }
    async fn track(&self, wanted: Tracking) -> Result<(Vec<TrackView>, Vec<String>), String> {
        let all = self.tracks.lock();
        let lines =
            all.iter().filter(|line| wanted.id.as_ref().is_none_or(|id| *id == line.message)).cloned().collect();
        Ok((lines, Vec::new()))
    }
    async fn health(&self) -> Result<Vec<HealthView>, String> {
        let of_ledger = |ledger| HealthView {
            server: "BERLIN1".to_owned(),
            service: "transport".to_owned(),
            condition: "ready".to_owned(),
            ready: true,
            queued: None,
            pressure: String::new(),
            certificates: Vec::new(),
            ledger: Some(ledger),
        };
        Ok(self.ledger.lock().map(of_ledger).into_iter().collect())
    }
    async fn certificates(&self) -> Result<Vec<CertificateView>, String> {
        Ok(Vec::new())
    }
    async fn shown(&self) -> Result<Vec<ShownView>, String> {
        Ok(self.shown.lock().clone())
    }
    async fn rehearse(&self, candidate: TriedCertificate, tell: Tell) -> Result<(), String> {
        let step = |of: &str, tone, text: &str| TriedStep {
            of: of.to_owned(),
            name: "tls".to_owned(),
            tone,
            text: text.to_owned(),
            advice: String::new(),
        };
        tell(vec![step("New certificate", "good", &candidate.chain)]);
        self.next_step.notified().await;
        tell(vec![step("relay.partner.example", "bad", "the next hop hangs up")]);
        if candidate.offline { Err("it was to be offline".to_owned()) } else { Ok(()) }
    }
    async fn import(&self, export: Export, organization: Arc<Organization>) -> Result<ImportView, String> {
        let [(name, body)] = &export.files[..] else { return Err("one file in these tests".to_owned()) };
        let text = String::from_utf8_lossy(body);
        let read = organization::load(&text, Revision(0)).map_err(|problems| format!("{name}: {problems}"))?;
        let current = organization::objects(organization.draft(), &[]);
        let brought = organization::objects(read.organization.draft(), &[]);
        let is_new = |object: &&Object| !current.iter().any(|known| known.name() == object.name());
        let changes = brought.iter().filter(is_new).cloned().map(Change::Create).collect();
        let finding = |verdict, text: &str| ImportFinding {
            file: name.clone(),
            line: 3,
            object: "sendConnectors[\"X\"].maxMessageSize".to_owned(),
            verdict,
            text: text.to_owned(),
        };
        let mut findings = vec![finding("changed", "written otherwise")];
        if export.assumed.is_empty() {
            findings.push(finding("lost", "the export has no number"));
        }
        Ok(ImportView { changes, findings })
    }
    fn export_script(&self) -> &'static str {
        "Get-SendConnector"
    }
    async fn audit(&self, _: Audit) -> Result<Vec<AuditView>, String> {
        let line = |(who, cmdlet, object, error): &Noted| AuditView {
            at: "2026-11-30T10:00:00Z".to_owned(),
            caller: who.clone(),
            through: "a test".to_owned(),
            client: "192.0.2.1".to_owned(),
            cmdlet: cmdlet.clone(),
            object: object.clone(),
            modified: Vec::new(),
            error: error.clone(),
            server: "BERLIN1".to_owned(),
        };
        Ok(self.notes.lock().iter().map(line).collect())
    }
    fn note(&self, note: Note<'_>) {
        let refused = note.refused.map(str::to_owned);
        self.notes.lock().push((note.who.to_owned(), note.cmdlet.to_owned(), note.object.to_owned(), refused));
    }
}

/// A centre with what it stands on.
pub(crate) struct World {
    pub(crate) centre: Arc<Centre>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) link: String,
    clock: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

/// Servers that answer do so in no time: how long a page may wait for them is never a matter of how fast a machine is.
const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    pub(crate) fn new() -> Self {
        Self::of(ORGANIZATION)
    }

    pub(crate) fn of(yaml: &str) -> Self {
        Self::patient(yaml, PATIENCE)
    }

    /// Whose pages wait so long for servers.
    pub(crate) fn patient(yaml: &str, patience: Duration) -> Self {
        Self::made(yaml, None, patience)
    }

    /// With a provider.
    pub(crate) fn by(provider: Provider) -> Self {
        Self::made(ORGANIZATION, Some(provider), PATIENCE)
    }

    fn made(yaml: &str, provider: Option<Provider>, patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_780_000_000_000));
        let memory = Arc::new(Memory::of(yaml));
        let accounts = Accounts::open(folder.path(), Arc::new(Plain)).unwrap();
        let time = Arc::clone(&clock);
        let now = Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed)));
        let link = accounts.first_link(now()).unwrap();
        let estate: Arc<dyn Estate> = memory.clone();
        let hosts = vec!["centre.example".to_owned()];
        let options = CentreOptions { estate, accounts, provider, hosts, port: 8443, patience, now };
        let centre = Arc::new(Centre::new(options));
        Self { centre, memory, link, clock, _folder: folder }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::Relaxed))
    }

    pub(crate) fn revoke(&self, name: &str) {
        let subject = Revoked::Administrator(ObjectName::parse(name).unwrap());
        self.memory.revoked.lock().push(authority::Revocation { subject, issued_until: Timestamp::from_millis(2_000) });
    }

    /// A browser with a certificate of that role group, signed in.
    pub(crate) async fn with(&self, name: &str, group: &str) -> Browser {
        let mut browser = Browser::new(&self.centre);
        browser.certificate = Some(format!("{name}:{group}").into_bytes());
        browser.get("/sign-in").await;
        let reply = browser.post("/sign-in", &[("by", "certificate")]).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        browser
    }

    pub(crate) async fn anna(&self) -> Browser {
        self.with("anna", "Organization Management").await
    }
}

/// What a browser is.
#[derive(Clone)]
pub(crate) struct Browser {
    centre: Arc<Centre>,
    pub(crate) cookie: String,
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) origin: Option<String>,
    pub(crate) site: Option<String>,
    pub(crate) from: std::net::IpAddr,
    token: String,
}

impl Browser {
    pub(crate) fn new(centre: &Arc<Centre>) -> Self {
        Self {
            centre: Arc::clone(centre),
            cookie: String::new(),
            certificate: None,
            origin: Some(format!("https://{HOST}")),
            site: Some("same-origin".to_owned()),
            from: "192.0.2.1".parse().unwrap(),
            token: String::new(),
        }
    }

    fn ask(&self, post: bool, to: &str, form: Pairs) -> Ask {
        let (path, query) = to.split_once('?').unwrap_or((to, ""));
        let query = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Ask {
            post,
            path: path.to_owned(),
            query,
            form,
            files: Vec::new(),
            host: HOST.to_owned(),
            cookies: if self.cookie.is_empty() { String::new() } else { format!("{COOKIE}={}", self.cookie) },
            fetch_site: self.site.clone(),
            origin: self.origin.clone().filter(|_| post),
            agent: "a test".to_owned(),
            seen: None,
            from: Some(self.from),
            certificate: self.certificate.clone(),
        }
    }

    pub(crate) async fn send(&mut self, ask: &Ask) -> Reply {
        let reply = self.centre.answer(ask).await;
        for (name, value) in &reply.headers {
            if *name == "set-cookie" {
                let value = value.strip_prefix(&format!("{COOKIE}=")).unwrap();
                self.cookie = value.split(';').next().unwrap().to_owned();
            }
        }
        if let Some(at) = reply.text().find("name=\"token\" value=\"") {
            let rest = &reply.text()[at + 20..];
            self.token = rest[..rest.find('"').unwrap()].to_owned();
        }
        reply
    }

    pub(crate) async fn get(&mut self, to: &str) -> Reply {
        let ask = self.ask(false, to, Vec::new());
        self.send(&ask).await
    }

    /// As a form of the last page would send it.
    pub(crate) async fn post(&mut self, to: &str, form: &[(&str, &str)]) -> Reply {
        let mut form: Pairs = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        form.push(("token".to_owned(), self.token.clone()));
        let ask = self.ask(true, to, form);
        self.send(&ask).await
    }

    /// The same, and where it leads.
    pub(crate) async fn follow(&mut self, to: &str, form: &[(&str, &str)]) -> (String, Reply) {
        let reply = self.post(to, form).await;
        let to = reply.header("location").unwrap_or_else(|| panic!("{} {}", reply.status, reply.text())).to_owned();
        let page = self.get(&to).await;
        (to, page)
    }

    pub(crate) fn raw(&self, post: bool, to: &str, form: &[(&str, &str)]) -> Ask {
        self.ask(post, to, form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}
