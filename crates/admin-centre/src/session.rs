//! Sessions: who is signed in at which browser, for how long; and how often somebody may try (WA-60, WA-61). All of it is in memory: a
//! restart signs everybody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use envelope::Timestamp;
use parking_lot::Mutex;

use crate::codes;
use crate::person::Person;

/// A session without requests ends after.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Any session ends after.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// Most sessions; the one that was used longest ago makes room.
const SESSIONS_MAX: usize = 1_000;
const SESSION: &str = "session";

/// Failures of an address, or of one at one account, that cost nothing.
const FREE: u32 = 4;
/// Longest wait after a failure.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// A failure is forgotten after.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Most that is remembered of failures.
const KEPT_MAX: usize = 10_000;

/// The name of the cookie: of this host alone, by TLS alone.
pub(crate) const COOKIE: &str = "__Host-postroad";

#[derive(Clone)]
struct Session {
    person: Person,
    begun: Timestamp,
    used: Timestamp,
    /// How it is named where sessions are listed.
    label: String,
}

/// A session where it is listed.
pub(crate) struct SessionView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) by: String,
    pub(crate) from: IpAddr,
    pub(crate) begun: Timestamp,
    pub(crate) used: Timestamp,
    pub(crate) label: String,
}

/// All sessions, by the digest of their secret.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// A new session: the secret for the cookie.
    pub(crate) fn begin(&self, person: Person, label: &str, now: Timestamp) -> String {
        let secret = codes::token();
        let mut all = self.0.lock();
        all.retain(|_, session| is_alive(session, now));
        if all.len() >= SESSIONS_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone())
        {
            all.remove(&oldest);
        }
        let label = label.chars().take(80).collect();
        all.insert(codes::digest(SESSION, &secret), Session { person, begun: now, used: now, label });
        secret
    }

    /// Who has this secret. A page that looks by itself whether there is something new is no `use` of it.
    pub(crate) fn person(&self, secret: &str, now: Timestamp, used: bool) -> Option<Person> {
        let id = codes::digest(SESSION, secret);
        let mut all = self.0.lock();
        let session = all.get_mut(&id)?;
        if !is_alive(session, now) {
            all.remove(&id);
            return None;
        }
        if used {
            session.used = now;
        }
        Some(session.person.clone())
    }

    /// Who has this secret has proved once more who he is.
    pub(crate) fn proved(&self, secret: &str, now: Timestamp) {
        if let Some(session) = self.0.lock().get_mut(&codes::digest(SESSION, secret)) {
            session.person.proved = Some(now);
        }
    }

    /// Ends the session of a secret.
    pub(crate) fn end(&self, secret: &str) {
        self.0.lock().remove(&codes::digest(SESSION, secret));
    }

    /// Ends a session that is listed.
    pub(crate) fn end_listed(&self, id: &str) {
        self.0.lock().remove(id);
    }

    /// Ends every session of a name.
    pub(crate) fn end_all(&self, name: &str) {
        self.0.lock().retain(|_, session| !session.person.name().eq_ignore_ascii_case(name));
    }

    /// Whose session is listed by this id.
    pub(crate) fn listed(&self, id: &str) -> Option<String> {
        self.0.lock().get(id).map(|session| session.person.name().to_owned())
    }

    /// Those of a name, or of everybody else.
    pub(crate) fn of(&self, name: &str, own: bool, now: Timestamp) -> Vec<SessionView> {
        let all = self.0.lock();
        let wanted = all.iter().filter(|(_, session)| (session.person.name() == name) == own && is_alive(session, now));
        let mut views: Vec<SessionView> = wanted
            .map(|(id, session)| SessionView {
                id: id.clone(),
                name: session.person.name().to_owned(),
                by: session.person.by(),
                from: session.person.from,
                begun: session.begun,
                used: session.used,
                label: session.label.clone(),
            })
            .collect();
        views.sort_by_key(|view| view.begun);
        views
    }
}

/// A session by a certificate is over with it.
fn is_alive(session: &Session, now: Timestamp) -> bool {
    let holds = session.person.until.is_none_or(|until| now < until);
    now.since(session.used) < IDLE_MAX && now.since(session.begun) < AGE_MAX && holds
}

/// The token of a session's forms: whoever has not the cookie cannot know it.
pub(crate) fn form_token(secret: &str) -> String {
    codes::digest("form", secret)
}

/// What failures are counted by. An address is the network of one customer: whoever has an IPv6 address has many.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Counted {
    /// Of an address, whatever the account: it may be that of a whole office.
    Address(IpAddr),
    /// Of an address at an account.
    AtAccount(IpAddr, String),
    /// The password was right and the code was not: of an account, from wherever. Who has not the password cannot spend it.
    Code(String),
}

impl Counted {
    const fn free(&self) -> u32 {
        match self {
            Self::Address(_) => FREE * 5,
            Self::AtAccount(..) | Self::Code(_) => FREE,
        }
    }

    fn all(from: IpAddr, name: &str) -> Vec<Self> {
        let (source, name) = (net::source::source(from), name.to_lowercase());
        let mut all = vec![Self::AtAccount(source, name.clone()), Self::Code(name)];
        // Everybody on a machine has its loopback address.
        if !from.to_canonical().is_loopback() {
            all.push(Self::Address(source));
        }
        all
    }
}

/// Attempts to sign in that failed. Nobody without its password can lock an account for others.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<HashMap<Counted, (u32, Timestamp)>>);

impl Attempts {
    /// How long to wait before the next attempt; nothing if none is needed.
    pub(crate) fn wait(&self, from: IpAddr, name: &str, now: Timestamp) -> Option<Duration> {
        let all = self.0.lock();
        let keys = Counted::all(from, name);
        let waits = keys.iter().filter_map(|key| {
            let (count, last) = all.get(key)?;
            let wait = Duration::from_secs(1 << count.checked_sub(key.free())?.min(9)).min(WAIT_MAX);
            wait.checked_sub(now.since(*last)).filter(|left| !left.is_zero())
        });
        waits.max()
    }

    /// `by_code`: name and password were right.
    pub(crate) fn failed(&self, from: IpAddr, name: &str, by_code: bool, now: Timestamp) {
        let mut all = self.0.lock();
        all.retain(|_, (_, last)| now.since(*last) < FORGOTTEN);
        for key in Counted::all(from, name) {
            if matches!(key, Counted::Code(_)) && !by_code {
                continue;
            }
            if all.len() >= KEPT_MAX
                && !all.contains_key(&key)
                && let Some(oldest) = all.iter().min_by_key(|(_, (_, last))| *last).map(|(key, _)| key.clone())
            {
                all.remove(&oldest);
            }
            let entry = all.entry(key).or_insert((0, now));
            *entry = (entry.0 + 1, now);
        }
    }

    pub(crate) fn succeeded(&self, from: IpAddr, name: &str) {
        let mut all = self.0.lock();
        for key in Counted::all(from, name).into_iter().filter(|key| !matches!(key, Counted::Address(_))) {
            all.remove(&key);
        }
    }
}
