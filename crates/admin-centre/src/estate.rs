//! What the centre asks, and the words of the answers. Whoever embeds the centre implements [`Estate`]: over a directory that it
//! opened, or over the admin API. Nothing of either is known here.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use authority::{Authority, Feature, Principal};
use envelope::{Address, ByteSize, Revision, ServerName, Timestamp};
use inquiry::{Difference, KnownRecipients, Subject};
use organization::{Change, Kind, Object, Plan, Properties, Wrong};
use topology::{Organization, OrganizationDraft, Problems};

use crate::person::Person;

/// The organization, its past and its servers. What cannot be told is said in a sentence with the next step.
#[async_trait]
pub trait Estate: Send + Sync + 'static {
    /// Who may what, by the configuration and the revocations of now.
    fn authority(&self) -> Authority;

    /// Why it is not known whose certificates are revoked, if so: no certificate counts then.
    fn revoked_unknown(&self) -> Option<String>;

    /// Whom a certificate names that was verified against the authority of the organization, and its end.
    fn principal(&self, certificate: &[u8]) -> Option<(Principal, Timestamp)>;

    /// Which parts of the organization a plan touches: as the admin service says it.
    fn touched(&self, plan: &Plan, organization: &Organization) -> BTreeSet<Feature>;

    /// The configuration as it is.
    async fn organization(&self) -> Result<Arc<Organization>, String>;

    /// The configuration as it was.
    async fn at(&self, revision: Revision) -> Result<Arc<Organization>, String>;

    /// The last changes, the newest first.
    async fn history(&self, limit: usize) -> Result<Vec<Made>, String>;

    /// The services that are there.
    async fn services(&self) -> Result<Vec<Serving>, String>;

    /// The recipients of subjects, and whom they lead to.
    async fn known(&self, subjects: &[Subject]) -> Result<KnownRecipients, String>;

    /// The object that properties make. Secrets among them are sealed, which is why this is asked.
    async fn object(
        &self,
        kind: Kind,
        properties: Properties,
        organization: Arc<Organization>,
    ) -> Result<Object, Vec<Wrong>>;

    /// What a change of the configuration would do to the mail that waits and to that of the last days.
    async fn impact(&self, before: Arc<Organization>, after: OrganizationDraft) -> Result<Impact, String>;

    /// Mail and mailboxes that a plan would leave behind, a sentence each.
    async fn left_behind(&self, plan: &Plan) -> Result<Vec<String>, String>;

    /// Makes a plan happen, as a whole or not at all, if the configuration is still at `base`. Written down as the person's.
    async fn commit(&self, person: &Person, plan: Plan, base: Revision) -> Result<Revision, NotMade>;

    /// The documented commands that do the same as each change.
    fn commands(&self, changes: &[Change]) -> Vec<String>;

    /// An answer in the words of `postroad explain`; `now`: with what source servers of connectors that are not for SMTP say they
    /// meet.
    async fn explained(&self, answer: &inquiry::Answer, now: bool) -> String;

    /// A thing that changes in an answer, in the same words.
    fn reason(&self, why: &inquiry::Why) -> String;

    /// The queues of a server.
    async fn queues(&self, server: &ServerName) -> Result<Vec<QueueView>, String>;

    /// Messages of a server, of one queue or of all.
    async fn letters(&self, server: &ServerName, wanted: Letters) -> Result<Vec<LetterView>, String>;

    /// Does one thing to queues, or to messages in them; what came of each. Written down as the person's.
    async fn act(
        &self,
        person: &Person,
        server: &ServerName,
        action: Handling,
        on: &[(u64, Option<u64>)],
    ) -> Result<Vec<Result<(), String>>, String>;

    /// What message tracking logs say, of all servers, and which could not be asked.
    async fn track(&self, wanted: Tracking) -> Result<(Vec<TrackView>, Vec<String>), String>;

    /// What the services of the servers that can be asked say of themselves.
    async fn health(&self) -> Result<Vec<HealthView>, String>;

    /// Certificates that lie on this server's disk.
    async fn certificates(&self) -> Result<Vec<CertificateView>, String>;

    /// Which certificate each connector of this server shows now.
    async fn shown(&self) -> Result<Vec<ShownView>, String>;

    /// What a certificate would change on this server, and the handshake with it rehearsed. Steps are told as they come.
    async fn rehearse(&self, candidate: TriedCertificate, tell: Tell) -> Result<(), String>;

    /// What another system exported, as changes of this configuration; why not, if it cannot be read.
    async fn import(&self, export: Export, organization: Arc<Organization>) -> Result<ImportView, String>;

    /// A script for the shell of Exchange that exports everything without loss.
    fn export_script(&self) -> &'static str;

    /// Lines of the audit log, the newest first.
    async fn audit(&self, wanted: Audit) -> Result<Vec<AuditView>, String>;

    /// Writes down what somebody did here, looked at, or was refused.
    fn note(&self, note: Note<'_>);
}

/// Something that is written into the audit log.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    /// Who.
    pub who: &'a str,
    /// From where.
    pub from: &'a str,
    /// What: the documented cmdlet that does the same, or a word of the centre.
    pub cmdlet: &'a str,
    /// To what.
    pub object: &'a str,
    /// Why not, if not.
    pub refused: Option<&'a str>,
}

/// A change that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The revision that it made.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
    /// In one line.
    pub summary: String,
    /// By whom, and through what.
    pub author: Option<(String, String)>,
}

/// A service that is there.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Of which server.
    pub server: ServerName,
    /// Which.
    pub service: &'static str,
    /// Where.
    pub addresses: String,
    /// Its version.
    pub version: String,
    /// The configuration by which it works.
    pub revision: Revision,
    /// Since when.
    pub started: Timestamp,
    /// Edge servers that this admin service should synchronize and cannot reach.
    pub out_of_reach: Vec<ServerName>,
}

impl Serving {
    /// Whether it works by an older revision. A service of another forest, which is an Edge server's, counts by its own directory.
    #[must_use]
    pub fn is_behind(&self, organization: &Organization) -> bool {
        let is_own = organization.server(&self.server).is_none_or(|server| organization.is_own(server));
        is_own && self.revision < organization.revision()
    }
}

/// What a change would do to mail.
#[derive(Clone, Debug, Default)]
pub struct Impact {
    /// Subjects that wait now.
    pub waiting: usize,
    /// Subjects of the last days.
    pub seen: usize,
    /// How many days.
    pub days: u64,
    /// All that were asked about.
    pub asked: usize,
    /// Those that change.
    pub found: Vec<Difference>,
    /// What is not known.
    pub unknown: Vec<String>,
}

/// Why a plan was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotMade {
    /// The configuration is another one by now.
    #[error("the configuration was changed meanwhile")]
    Conflict,
    /// It would not be valid.
    #[error("{0}")]
    Invalid(Problems),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A queue of a server.
#[derive(Clone, Debug, Default)]
pub struct QueueView {
    /// Its integer on that server.
    pub number: u64,
    /// `MAIL1\3`
    pub name: String,
    /// `DeliveryType`
    pub delivery_type: String,
    /// `NextHopDomain`
    pub domain: String,
    /// The Send connector.
    pub connector: Option<String>,
    /// `Status`
    pub status: String,
    /// `MessageCount`
    pub messages: u64,
    /// `RetryCount`
    pub retries: u32,
    /// `NextRetryTime`
    pub next_retry: Option<Timestamp>,
    /// `LastRetryTime`
    pub last_retry: Option<Timestamp>,
    /// `LastError`
    pub last_error: Option<String>,
    /// `IncomingRate`, messages per second.
    pub incoming: f64,
    /// `OutgoingRate`, messages per second.
    pub outgoing: f64,
}

/// Which messages are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Letters {
    /// Those of this queue.
    pub queue: Option<u64>,
    /// With their subjects: content is opened for it.
    pub subjects: bool,
    /// At most.
    pub limit: u32,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct LetterView {
    /// Its integer on that server.
    pub number: u64,
    /// The integer of its queue.
    pub queue: u64,
    /// The name of its queue.
    pub queue_name: String,
    /// Its id, which `postroad track` and `trace` find.
    pub id: String,
    /// The id of its trace, the same on every server.
    pub trace: Option<String>,
    /// `Status`
    pub status: String,
    /// Who sent it.
    pub from: String,
    /// Who still waits for it in this queue.
    pub recipients: Vec<Address>,
    /// `Size`
    pub size: ByteSize,
    /// `DateReceived`
    pub received: Timestamp,
    /// `ExpirationTime`
    pub expires: Timestamp,
    /// `RetryCount`
    pub retries: u32,
    /// `LastError`
    pub last_error: Option<String>,
    /// `MessageSourceName`
    pub source: String,
    /// `Subject`, where it was asked for.
    pub subject: Option<String>,
    /// Where to, and by which rule.
    pub decision: Option<String>,
}

/// What is done to queues and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// `Retry-Queue`
    Retry,
    /// `Suspend-Queue`
    Suspend,
    /// `Resume-Queue`
    Resume,
    /// `Retry-Queue -Resubmit`
    Resubmit,
    /// `Suspend-Message`
    SuspendMessage,
    /// `Resume-Message`
    ResumeMessage,
    /// `Remove-Message`
    Remove {
        /// Whether the sender is told.
        ndr: bool,
    },
}

/// What is looked for in message tracking logs.
#[derive(Clone, Debug, Default)]
pub struct Tracking {
    /// An id: of the message, its trace or its `Message-ID`.
    pub id: Option<String>,
    /// An address, `@domain` or `name@`.
    pub sender: Option<String>,
    /// The same.
    pub recipient: Option<String>,
    /// A part of it.
    pub subject: Option<String>,
    /// `RECEIVE`, `SEND`, …
    pub event: Option<String>,
    /// From this time on.
    pub start: Option<Timestamp>,
    /// Before this time.
    pub end: Option<Timestamp>,
    /// Messages, the newest.
    pub limit: usize,
}

/// A line of a message tracking log.
#[derive(Clone, Debug, Default)]
pub struct TrackView {
    /// The server that wrote it.
    pub server: String,
    /// When, in milliseconds since the epoch.
    pub at: u64,
    /// What ties lines of one message together on all servers.
    pub message: String,
    /// `event-id`
    pub event: String,
    /// `source`
    pub source: String,
    /// `connector-id`
    pub connector: String,
    /// `return-path`
    pub sender: String,
    /// `recipient-address`
    pub recipients: Vec<String>,
    /// `message-subject`
    pub subject: String,
    /// `message-id`
    pub internet_id: String,
    /// `total-bytes`
    pub octets: u64,
    /// Host on the other side.
    pub host: String,
    /// What it said, or why.
    pub status: String,
}

/// How a service is.
#[derive(Clone, Debug)]
pub struct HealthView {
    /// Of which server.
    pub server: String,
    /// Which.
    pub service: String,
    /// In words: `ready`, or why not.
    pub condition: String,
    /// Whether it is.
    pub ready: bool,
    /// Messages that it is responsible for.
    pub queued: Option<u64>,
    /// Resources that are short.
    pub pressure: String,
    /// Certificates, with the days that are left.
    pub certificates: Vec<(String, u64)>,
    /// Messages that it took, and what became of them.
    pub ledger: Option<Ledger>,
}

/// What a Transport took and what became of it, since it started (conservation: nothing is lost).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Messages that were there when it started, and that it took over.
    pub accepted: u64,
    /// Messages that ended.
    pub ended: u64,
    /// Messages that it has.
    pub waiting: u64,
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct CertificateView {
    /// As `tlsCertificateName` names it.
    pub name: String,
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Names in DNS.
    pub domains: Vec<String>,
    /// Its end.
    pub not_after: Timestamp,
    /// By which Windows knows it.
    pub thumbprint: String,
}

/// What a connector shows.
#[derive(Clone, Debug)]
pub struct ShownView {
    /// On which server.
    pub server: ServerName,
    /// Its name; of a Receive connector without its server.
    pub connector: String,
    /// Whether it is a Receive connector of this server.
    pub receives: bool,
    /// The certificate; nothing where none fits.
    pub certificate: Option<CertificateView>,
}

/// A certificate that is not put into place yet. Not to be printed: it has its key.
pub struct TriedCertificate {
    /// The certificate and its chain, PEM.
    pub chain: String,
    /// Its key, PEM.
    pub key: String,
    /// Towards whom connectors are tried that route by DNS.
    pub recipient: Option<String>,
    /// In the place of the server's own, not beside it.
    pub instead: bool,
    /// Without a connection.
    pub offline: bool,
}

/// Takes steps of a rehearsal.
pub type Tell = Box<dyn Fn(Vec<TriedStep>) + Send + Sync>;

/// A step of a rehearsal.
#[derive(Clone, Debug)]
pub struct TriedStep {
    /// Of what: the certificate, a connector, a host.
    pub of: String,
    /// Which.
    pub name: String,
    /// `good`, `warn` or `bad`.
    pub tone: &'static str,
    /// What was seen.
    pub text: String,
    /// What to do.
    pub advice: String,
}

/// What another system exported.
#[derive(Clone, Debug)]
pub struct Export {
    /// Files, by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// Values of properties that the export has lost.
    pub assumed: Vec<(String, String)>,
    /// Of Postfix: the source server of the connectors.
    pub server: String,
}

/// What becomes of an export.
#[derive(Clone, Debug)]
pub struct ImportView {
    /// What would change.
    pub changes: Vec<Change>,
    /// What was not simply taken.
    pub findings: Vec<ImportFinding>,
}

/// What became of a piece of an export.
#[derive(Clone, Debug)]
pub struct ImportFinding {
    /// The file.
    pub file: String,
    /// The line; zero where it is none.
    pub line: usize,
    /// The object: `sendConnectors["To internet"]`.
    pub object: String,
    /// `changed`, `assumed`, `ignored` or `lost`.
    pub verdict: &'static str,
    /// In a sentence.
    pub text: String,
}

/// What is looked for in the audit log.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// By whom.
    pub user: Option<String>,
    /// `Set-SendConnector`
    pub cmdlet: Option<String>,
    /// A name or a GUID.
    pub object: Option<String>,
    /// Whether it was done.
    pub done: Option<bool>,
    /// At most.
    pub limit: usize,
}

/// A line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditView {
    /// RFC 3339.
    pub at: String,
    /// Who.
    pub caller: String,
    /// Through what.
    pub through: String,
    /// From where.
    pub client: String,
    /// What.
    pub cmdlet: String,
    /// To what.
    pub object: String,
    /// What it was and is.
    pub modified: Vec<String>,
    /// Why not; nothing if it was done.
    pub error: Option<String>,
    /// On which server.
    pub server: String,
}
