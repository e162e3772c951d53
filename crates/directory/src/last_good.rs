//! Going on while the directory is away, also across a restart: the last good snapshot, the recipients that were found, and
//! where the other services were, all of it on disk as well.
//!
//! ```text
//!   <path>              objects in their stored form, under the revision at which they were read
//!   <path>.recipients   recipients found, in their stored form
//!   <path>.services     services announced
//!   <path>.revoked      certificates that count no more
//!   <path>.left         the last snapshot that had this server, while the newest has not
//! ```
//!
//! An address outside of the accepted domains about which nothing is known counts as nobody's while the directory is away:
//! mail for the outside world goes on.

mod answers;
mod notebook;
mod past;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use authority::Revocation;
use envelope::{Address, ObjectName, Revision, ServerName, Service};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use organization::{Object, assemble, decode, encode, objects};
use parking_lot::Mutex;
use topology::{DirectoryRecipient, Organization};

use crate::digests::RecipientDigest;
use crate::directory::{
    Answer, Author, Configuration, Directory, MemberState, Presences, ReadError, Recipients, StateToken, WatchEvent,
};
use crate::presence::{self, Announcement, Presence};
use crate::revocation::{self, RevocationRecord};
use answers::{Answers, AsOf, News};
use notebook::{Journal, Notebook, write_whole};
use past::Past;

/// First line of the file.
const HEADER: &str = "postroad last good snapshot v1, revision ";

/// After the directory did not answer, what is remembered is given at once, and so often a question finds out whether it is
/// back: one whose answer is remembered is asked beside that. A host that is gone does not refuse a connection, it is silent
/// for seconds: without this every message would wait for that, several times.
const AWAY_FOR: Duration = Duration::from_secs(5);

/// A directory that remembers.
pub struct LastGood {
    inner: Arc<dyn Directory>,
    memory: Arc<Memory>,
    answers: Arc<Mutex<Answers>>,
    past: Past,
    recipients_file: Arc<Journal>,
    services: Arc<Mutex<Services>>,
    services_file: Arc<Notebook>,
    revocations_file: Arc<Notebook>,
    away: Arc<Away>,
}

/// When the directory was found to be away last, if it has not answered since.
#[derive(Default)]
struct Away(Mutex<Option<Instant>>);

/// Services by server, as announced last.
type Services = BTreeMap<(ServerName, Service), Presence>;

/// The last good snapshot in memory and on disk.
struct Memory {
    path: PathBuf,
    /// Whose it is, and where each keeps the last configuration that had it.
    servers: Mutex<BTreeMap<ServerName, PathBuf>>,
    snapshot: ArcSwapOption<Organization>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

impl LastGood {
    /// Remembers what `inner` says in the file at `path`. A file that cannot be read, or holds no valid organization, is
    /// reported and does as if there were none. Recipients are read beside, while the service starts.
    #[must_use]
    pub fn new(inner: Arc<dyn Directory>, path: PathBuf) -> Self {
        let snapshot = match load(&path) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the last good snapshot is lost");
                None
            }
        };
        let snapshot = ArcSwapOption::new(snapshot.map(Arc::new));
        let recipients_file = Journal::at(path.with_added_extension("recipients"));
        let services_file = Notebook::at(path.with_added_extension("services"));
        let revocations_file = Notebook::at(path.with_added_extension("revoked"));
        let answers = Arc::<Mutex<Answers>>::default();
        let past = Past::read_beside(Arc::clone(&recipients_file), Arc::clone(&answers));
        let services = services_file.lines().into_iter().filter_map(|line| presence::decode(line.as_bytes()));
        let services = services.map(|one| ((one.server.clone(), one.service), one)).collect();
        let memory = Arc::new(Memory { path, servers: Mutex::default(), snapshot, writing: Mutex::new(()) });
        Self {
            inner,
            memory,
            answers,
            past,
            recipients_file,
            services: Arc::new(Mutex::new(services)),
            services_file,
            revocations_file,
            away: Arc::default(),
        }
    }

    /// The memory of `server`, too: it keeps the last configuration that had it, in the file at `left`.
    pub fn remember_leaving(&self, server: ServerName, left: PathBuf) {
        self.memory.servers.lock().insert(server, left);
    }

    /// The last configuration that had this server, if the newest that was seen has not: by it a server that has left the
    /// organization goes on with the mail that it holds.
    #[must_use]
    pub fn left(&self, server: &ServerName) -> Option<Arc<Organization>> {
        let path = self.memory.servers.lock().get(server).cloned()?;
        load(&path).unwrap_or_else(|error| {
            tracing::error!(path = %path.display(), %error, "the configuration before this server left cannot be read");
            None
        }).map(Arc::new)
    }

    /// What is known about an address without the directory.
    async fn remembered(&self, address: &Address) -> Option<Option<DirectoryRecipient>> {
        if let Some(answer) = self.recall(|answers| answers.get(address)).await {
            return Some(answer.map(Arc::unwrap_or_clone));
        }
        let known = self.last_good()?;
        known.accepted_domain(&address.domain()).is_none().then_some(None)
    }

    /// The same about several: all or nothing.
    async fn all_remembered(&self, addresses: &[Address]) -> Option<Vec<Option<DirectoryRecipient>>> {
        let mut known = Vec::with_capacity(addresses.len());
        for address in addresses {
            known.push(self.remembered(address).await?);
        }
        Some(known)
    }

    /// The recipient of a name as it is remembered.
    async fn remembered_by_name(&self, name: &ObjectName) -> Option<DirectoryRecipient> {
        self.recall(|answers| answers.named(name)).await.map(Arc::unwrap_or_clone)
    }

    /// Looks into what is remembered; what is not there may be in the file that is still read.
    async fn recall<T>(&self, look: impl Fn(&mut Answers) -> Option<T>) -> Option<T> {
        let known = look(&mut self.answers.lock());
        if known.is_some() || self.past.is_read() {
            return known;
        }
        self.past.read().await;
        look(&mut self.answers.lock())
    }

    /// Finds out whether the directory is back, if it is time to, without keeping anybody waiting.
    fn ask_beside<Q>(&self, question: impl FnOnce(Arc<dyn Directory>) -> Q)
    where
        Q: Future<Output = Vec<Answer>> + Send + 'static,
    {
        if self.away.is_worth_asking() {
            let (question, away) = (question(Arc::clone(&self.inner)), Arc::clone(&self.away));
            tokio::spawn(async move { away.note(&question.await) });
        }
    }

    /// What is remembered of several as it is in `state`: all or nothing.
    fn all_as_of(&self, addresses: &[Address], state: StateToken) -> Option<Vec<Answer>> {
        let mut answers = self.answers.lock();
        let mut known = Vec::with_capacity(addresses.len());
        for address in addresses {
            known.push(Ok(answers.get_as_of(address, state)?.map(Arc::unwrap_or_clone)));
        }
        Some(known)
    }

    /// Keeps what the directory has answered, in memory and, a moment later, on disk. What is new costs its own size.
    fn remember<'a>(&self, answered: impl IntoIterator<Item = (&'a Address, &'a Answer)>, as_of: AsOf) {
        let mut lines = Vec::new();
        for (address, answer) in answered {
            let Ok(answer) = answer else { continue };
            let answer = answer.clone().map(Arc::new);
            let news = self.answers.lock().keep(address, answer.clone(), as_of);
            match (news, answer) {
                (News::Recipient, Some(recipient)) => lines.push(past::line_of(&recipient)),
                (News::Gone, _) => lines.push(past::gone(address)),
                _ => {}
            }
        }
        if lines.is_empty() {
            return;
        }
        let (answers, file) = (Arc::clone(&self.answers), Arc::clone(&self.recipients_file));
        let append = move || {
            let count = answers.lock().count();
            file.append_soon(lines, count, move || past::all_lines(&answers));
        };
        if self.past.is_read() {
            return append();
        }
        // How long the file is, and what of it still counts, is not known before.
        let past = self.past.clone();
        tokio::spawn(async move {
            past.read().await;
            append();
        });
    }

    /// The services that were there last, without asking the directory.
    #[must_use]
    pub fn last_presences(&self) -> Vec<Presence> {
        self.services.lock().values().cloned().collect()
    }

    /// The last good snapshot, without asking the directory.
    #[must_use]
    pub fn last_good(&self) -> Option<Arc<Organization>> {
        self.memory.snapshot.load_full()
    }
}

impl Away {
    fn is(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Whether it is time to find out; nobody else is told so for a while.
    fn is_worth_asking(&self) -> bool {
        let mut away = self.0.lock();
        let due = away.is_some_and(|since| since.elapsed() >= AWAY_FOR);
        if due {
            *away = Some(Instant::now());
        }
        due
    }

    /// It answers again: questions go to it.
    fn end(&self) {
        *self.0.lock() = None;
    }

    /// Notes that it is away, or answers again.
    fn note(&self, answers: &[Answer]) {
        let away = answers.iter().any(|answer| matches!(answer, Err(ReadError::Unavailable(_))));
        *self.0.lock() = away.then(Instant::now);
    }
}

impl Memory {
    /// Keeps what had a server of ours when `newer` has it no more; forgets it when it is back.
    fn note_leaving(&self, newer: &Organization) -> std::io::Result<()> {
        let servers = self.servers.lock().clone();
        servers.iter().try_for_each(|(server, left)| self.note_leaving_of(server, left, newer))
    }

    fn note_leaving_of(&self, server: &ServerName, left: &Path, newer: &Organization) -> std::io::Result<()> {
        if newer.server(server).is_some() {
            return match std::fs::remove_file(left) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        match self.snapshot.load().as_ref().filter(|known| known.server(server).is_some()) {
            Some(known) => save(left, known),
            None => Ok(()),
        }
    }

    /// Takes a newer snapshot; says whether it is one.
    async fn keep(self: Arc<Self>, organization: Arc<Organization>) {
        let written = tokio::task::spawn_blocking(move || {
            let _one = self.writing.lock();
            let newer = |known: &Arc<Organization>| known.revision() < organization.revision();
            if !self.snapshot.load().as_ref().is_none_or(newer) {
                return;
            }
            if let Err(error) = self.note_leaving(&organization) {
                tracing::error!(%error, "the configuration before this server left cannot be kept on disk");
            }
            if let Err(error) = save(&self.path, &organization) {
                tracing::error!(path = %self.path.display(), %error, "the last good snapshot cannot be kept on disk");
            }
            self.snapshot.store(Some(organization));
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the last good snapshot was not kept");
        }
    }
}

#[async_trait]
impl Configuration for LastGood {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        let known = self.last_good();
        match (self.inner.snapshot().await, known) {
            (Ok(fresh), Some(known)) if fresh.revision() < known.revision() => Ok(known),
            (Ok(fresh), _) => {
                Arc::clone(&self.memory).keep(Arc::clone(&fresh)).await;
                Ok(fresh)
            }
            (Err(error), Some(known)) => {
                tracing::warn!(%error, revision = %known.revision(), "the last good snapshot goes on");
                Ok(known)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Starts with the last good snapshot, if it is newer than `after`.
    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        let known = self.last_good().filter(|known| known.revision() > after);
        let after = known.as_ref().map_or(after, |known| known.revision());
        let (memory, away) = (Arc::clone(&self.memory), Arc::clone(&self.away));
        let newer = self.inner.watch(after).then(move |event| {
            let (memory, away) = (Arc::clone(&memory), Arc::clone(&away));
            async move {
                match &event {
                    WatchEvent::Snapshot(organization) => memory.keep(Arc::clone(organization)).await,
                    WatchEvent::Back => away.end(),
                    WatchEvent::Rejected { .. } | WatchEvent::Unavailable(_) => {}
                }
                event
            }
        });
        stream::iter(known.map(WatchEvent::Snapshot)).chain(newer).boxed()
    }
}

#[async_trait]
impl Recipients for LastGood {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        if self.away.is()
            && let Some(known) = self.all_remembered(addresses).await
        {
            self.ask_beside(|inner| {
                let addresses = addresses.to_vec();
                async move { inner.recipients(&addresses).await }
            });
            return known.into_iter().map(Ok).collect();
        }
        let as_of = self.inner.state_at_once();
        if let Some(known) = as_of.and_then(|state| self.all_as_of(addresses, state)) {
            return known;
        }
        let answers = self.inner.recipients(addresses).await;
        self.away.note(&answers);
        self.remember(addresses.iter().zip(&answers), as_of);
        // What is known of one address is not lost with the answer about another.
        let mut known = Vec::with_capacity(addresses.len());
        for (address, answer) in addresses.iter().zip(answers) {
            known.push(match answer {
                Err(ReadError::Unavailable(text)) => self.remembered(address).await.ok_or(ReadError::Unavailable(text)),
                other => other,
            });
        }
        known
    }

    fn state_at_once(&self) -> Option<StateToken> {
        self.inner.state_at_once()
    }

    /// The directory of an Edge server is on this machine: nothing is remembered of it.
    async fn knows_digest(&self, salt: &str, digest: &RecipientDigest) -> Result<Option<bool>, ReadError> {
        self.inner.knows_digest(salt, digest).await
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        let known = if self.away.is() { self.remembered_by_name(name).await } else { None };
        if let Some(known) = known {
            self.ask_beside(|inner| {
                let name = name.clone();
                async move { vec![inner.recipient_by_name(&name).await] }
            });
            return Ok(Some(known));
        }
        let answer = self.inner.recipient_by_name(name).await;
        self.away.note(std::slice::from_ref(&answer));
        match answer {
            Ok(Some(recipient)) => {
                let address = recipient.primary_address.clone();
                let answer = Ok(Some(recipient));
                self.remember([(&address, &answer)], None);
                answer
            }
            // The owner of an outbox, somebody who logs on: they go on sending.
            Err(ReadError::Unavailable(text)) => match self.remembered_by_name(name).await {
                Some(recipient) => Ok(Some(recipient)),
                None => Err(ReadError::Unavailable(text)),
            },
            other => other,
        }
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        self.inner.list_recipients(after, limit).await
    }
}

#[async_trait]
impl Directory for LastGood {
    fn announce(&self, presence: Presence) -> Announcement {
        self.inner.announce(presence)
    }

    async fn members(&self) -> Vec<MemberState> {
        self.inner.members().await
    }

    /// Starts with those that were known last: a directory that is away makes nobody count again.
    fn watch_revocations(&self) -> BoxStream<'static, Vec<Revocation>> {
        let file = Arc::clone(&self.revocations_file);
        let read = |line: String| revocation::decode(line.as_bytes()).ok().map(|record| record.revocation);
        let newest: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let known: Vec<Revocation> = file.lines().into_iter().filter_map(read).collect();
        let newer = self.inner.watch_revocations().inspect(move |revocations| {
            let remembered = |one: &Revocation| {
                let author = Author::new("", "");
                revocation::encode(&RevocationRecord { revocation: one.clone(), author })
            };
            *newest.lock() = revocations.iter().map(remembered).collect();
            let newest = Arc::clone(&newest);
            file.write_soon(move || newest.lock().clone());
        });
        stream::iter((!known.is_empty()).then_some(known)).chain(newer).boxed()
    }
}

#[async_trait]
impl Presences for LastGood {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        self.inner.presences().await
    }

    /// Starts with the services that were there last.
    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        let (services, file) = (Arc::clone(&self.services), Arc::clone(&self.services_file));
        let known: Vec<Presence> = services.lock().values().cloned().collect();
        let newer = self.inner.watch_presences().inspect(move |presences| {
            let before = services.lock().clone();
            services.lock().extend(presences.iter().map(|one| ((one.server.clone(), one.service), one.clone())));
            if *services.lock() != before {
                let services = Arc::clone(&services);
                file.write_soon(move || services.lock().values().map(presence::encode).collect());
            }
        });
        stream::iter((!known.is_empty()).then_some(known)).chain(newer).boxed()
    }
}

fn save(path: &Path, organization: &Organization) -> std::io::Result<()> {
    let mut text = format!("{HEADER}{}\n", organization.revision()).into_bytes();
    for object in objects(organization.draft(), &[]) {
        text.extend(encode(&object));
        text.push(b'\n');
    }
    write_whole(path, &text)
}

fn load(path: &Path) -> Result<Option<Organization>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let (header, lines) = text.split_once('\n').ok_or("it is empty")?;
    let revision = header.strip_prefix(HEADER).and_then(|number| number.parse().ok()).ok_or("it has another header")?;
    let decoded = lines.lines().map(|line| decode(line.as_bytes()).map_err(|error| error.to_string()));
    let objects: Vec<Object> = decoded.collect::<Result<_, _>>()?;
    let checked = Organization::validate(assemble(objects).0, Revision(revision));
    checked.map(Some).map_err(|problems| problems.to_string())
}
