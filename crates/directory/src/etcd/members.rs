//! The members of etcd, and which of them is asked.
//!
//! Each member has a connection of its own. A call goes to the member that answered last; when that one refuses, is silent or
//! has no leader, it goes on to the next at once, round after round until the deadline, because a leader that was lost is
//! elected anew within a second or two. Whoever failed is asked last until it has answered a question beside: a member that
//! swallows packets costs one short timeout, once. Watches that hang on a member leave it when it fails.
//!
//! ```text
//!   call ─▶ the one that answered last ─▶ the others ─▶ those that failed ─┐
//!             ▲                                                            │ somebody was there, the deadline is not over
//!             └───────────────────────── pause ◀───────────────────────────┘
//! ```
//!
//! Once a whole call had no answer, calls end after one round until somebody has answered again: without a quorum nobody
//! waits for an election that does not come. An answer that every member would give (no permission, a compacted revision, no space) ends the call.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, GetOptions, GetResponse, Identity, TlsOptions, WatchOptions,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::EtcdSettings;
use crate::directory::MemberState;
use crate::store::Unavailable;

/// Longest wait for the answer to one call, all members together: an election of a busy cluster, and a vote that was split.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The same where there is one member, which elects nobody.
const ALONE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same once a whole call had no answer: until somebody has answered again, one round is enough to find out.
const OUT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a member may take before the next is asked, in the first round; in the second twice that, and so on. With one
/// member there is nobody else to ask: it has the whole time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// Between two rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(100);
/// First pause before a member that failed is asked whether it is back; doubled up to [`PROBE_PAUSE_MAX`].
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest such pause.
const PROBE_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A silent connection is tried after this (etcd takes it amiss below 5 s), and given up after [`KEEP_ALIVE_TIMEOUT`].
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(6);
/// How long the answer to a keep-alive may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// gRPC's `OUT_OF_RANGE`, with which etcd refuses a revision that was compacted.
pub(super) const OUT_OF_RANGE: i32 = 11;
/// Codes of gRPC by which etcd answers for the whole cluster: `INVALID_ARGUMENT`, `NOT_FOUND`, `PERMISSION_DENIED`,
/// `RESOURCE_EXHAUSTED`, `FAILED_PRECONDITION`, `OUT_OF_RANGE`, `UNAUTHENTICATED`.
const FINAL_CODES: [i32; 7] = [3, 5, 7, 8, 9, OUT_OF_RANGE, 16];
/// gRPC's `RESOURCE_EXHAUSTED`.
const RESOURCE_EXHAUSTED: i32 = 8;
/// What etcd says when its quota is used up.
const NO_SPACE: &str = "database space exceeded";
/// What etcd says about a token of another member's, or of before a restart: a new connection has a new one.
const OLD_TOKENS: [&str; 2] = ["invalid auth token", "revision of auth store is old"];

/// All members.
pub(super) struct Members {
    members: Vec<Arc<Member>>,
    /// The one that is asked first.
    preferred: AtomicUsize,
    /// The last call had no answer.
    out: AtomicBool,
}

struct Member {
    endpoint: String,
    settings: Arc<EtcdSettings>,
    client: Mutex<Option<Client>>,
    /// Since when it has not answered.
    failed: watch::Sender<Option<Instant>>,
    probed: AtomicBool,
}

/// Why a member gave no answer.
enum Failure {
    /// Every member would say so.
    Final(String),
    /// Another member may answer.
    Passing {
        why: String,
        /// Nothing was sent: nobody was there.
        refused: bool,
    },
}

impl Members {
    /// No connection is made yet. Processes begin with different members, so that these share the work.
    pub(super) fn new(settings: EtcdSettings) -> Self {
        let endpoints = settings.endpoints.clone();
        let settings = Arc::new(settings);
        let member = |endpoint| {
            let (failed, _) = watch::channel(None);
            let settings = Arc::clone(&settings);
            Arc::new(Member { endpoint, settings, client: Mutex::new(None), failed, probed: AtomicBool::new(false) })
        };
        let members: Vec<Arc<Member>> = endpoints.into_iter().map(member).collect();
        let preferred = AtomicUsize::new(rand::random_range(0..members.len().max(1)));
        Self { members, preferred, out: AtomicBool::new(false) }
    }

    /// Makes one call, at whatever member answers.
    pub(super) async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Unavailable>
    where
        F: Future<Output = Result<T, Error>>,
    {
        Ok(self.attempt(&call).await?.answer)
    }

    /// The same, and whether a member that gave no answer may have done what was asked before.
    pub(super) async fn call_noting_doubt<T, F>(&self, call: impl Fn(Client) -> F) -> Result<(T, bool), Unavailable>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let answered = self.attempt(&call).await?;
        Ok((answered.answer, answered.in_doubt))
    }

    /// Returns when a key that starts with `prefix` may have changed; `options` say after which revision.
    pub(super) async fn changed(&self, prefix: &str, options: &WatchOptions) -> Result<(), Unavailable> {
        let mut why = String::new();
        for _ in 0..=self.members.len() {
            let open = |mut client: Client| {
                let options = options.clone();
                async move { client.watch(prefix, Some(options)).await }
            };
            let Answered { answer: mut watch, member, .. } = self.attempt(&open).await?;
            let mut failed = member.failed.subscribe();
            why = loop {
                let message = tokio::select! {
                    message = watch.message() => message,
                    _ = failed.wait_for(Option::is_some) => break format!("{} failed", member.endpoint),
                };
                match message {
                    // A compacted revision arrives as `canceled`: whoever reads again misses nothing.
                    Ok(Some(answer)) if answer.canceled() || !answer.events().is_empty() => return Ok(()),
                    Ok(Some(_)) => {}
                    Ok(None) => break format!("{}: the watch has ended", member.endpoint),
                    Err(error) => break format!("{}: {}", member.endpoint, whole(&error)),
                }
            };
            member.fail(&why);
        }
        Err(Unavailable(format!("etcd: {why}")))
    }

    /// Asks each by itself, all at once.
    pub(super) async fn each(&self) -> Vec<MemberState> {
        let states = self.members.iter().map(|member| async {
            let failure = member.ask(ALONE_TIMEOUT, &Member::question).await;
            let failure = match failure {
                Ok(_) | Err(Failure::Final(_)) => None,
                // Whoever needs it finds out: one that is slow now has nobody's connection taken away.
                Err(Failure::Passing { why, .. }) => Some(why),
            };
            MemberState { endpoint: member.endpoint.clone(), failure }
        });
        futures::future::join_all(states).await
    }

    async fn attempt<T, F>(&self, call: &impl Fn(Client) -> F) -> Result<Answered<T>, Unavailable>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let out = self.out.load(Ordering::Relaxed);
        let deadline = Instant::now() + self.patience(out);
        let mut said: Vec<(usize, String)> = Vec::new();
        let mut in_doubt = false;
        for round in 1.. {
            let mut somebody = false;
            for at in self.in_order() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(self.nobody(&said));
                }
                let patience = if self.members.len() == 1 { left } else { left.min(ATTEMPT_TIMEOUT * round) };
                let member = &self.members[at];
                match member.ask(patience, call).await {
                    Ok(answer) => {
                        self.preferred.store(at, Ordering::Relaxed);
                        self.out.store(false, Ordering::Relaxed);
                        return Ok(Answered { answer, member: Arc::clone(member), in_doubt });
                    }
                    Err(Failure::Final(why)) => return Err(Unavailable(format!("etcd: {why}"))),
                    Err(Failure::Passing { why, refused }) => {
                        member.fail(&why);
                        somebody |= !refused;
                        in_doubt |= !refused;
                        said.retain(|(other, _)| *other != at);
                        said.push((at, why));
                    }
                }
            }
            if !somebody || out {
                break;
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
        Err(self.nobody(&said))
    }

    /// Who is asked first, second and so on: the one that answered last and those after it in the list, then those that
    /// failed, the longest ago first.
    fn in_order(&self) -> Vec<usize> {
        let first = self.preferred.load(Ordering::Relaxed);
        let number = self.members.len();
        let mut order: Vec<usize> = (0..number).map(|step| (first + step) % number).collect();
        order.sort_by_key(|at| *self.members[*at].failed.borrow());
        order
    }

    fn patience(&self, out: bool) -> Duration {
        match (out, self.members.len()) {
            (true, _) => OUT_TIMEOUT,
            (false, 1) => ALONE_TIMEOUT,
            (false, _) => CALL_TIMEOUT,
        }
    }

    fn nobody(&self, said: &[(usize, String)]) -> Unavailable {
        self.out.store(true, Ordering::Relaxed);
        let mut text = "etcd:".to_owned();
        for (at, why) in said {
            let member = &self.members[*at].endpoint;
            let _ = if self.members.len() == 1 { write!(text, " {why}") } else { write!(text, " {member}: {why};") };
        }
        if self.members.len() > 1 {
            text.push_str(" it answers while more than half of its members run");
        }
        Unavailable(text)
    }
}

/// An answer, and whose.
struct Answered<T> {
    answer: T,
    member: Arc<Member>,
    in_doubt: bool,
}

impl Member {
    async fn ask<T, F>(self: &Arc<Self>, patience: Duration, call: &impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let asked = async { call(self.client().await?).await };
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(answer)) => {
                self.failed.send_if_modified(|failed| failed.take().is_some());
                Ok(answer)
            }
            Ok(Err(error)) => Err(judged(&error)),
            Err(_) => {
                let why = format!("no answer within {:.1} s", patience.as_secs_f64());
                Err(Failure::Passing { why, refused: false })
            }
        }
    }

    async fn client(&self) -> Result<Client, Error> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = Client::connect([&self.endpoint], Some(self.options())).await?;
        Ok(slot.insert(client).clone())
    }

    fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some((name, password)) = &self.settings.user {
            options = options.with_user(name, password.as_str()).with_auto_token_refresh(true);
        }
        let renewed = self.settings.renewal.as_ref().and_then(|renewal| renewal());
        if let Some(tls) = renewed.as_ref().or(self.settings.tls.as_ref()) {
            let mut with = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.ca));
            if let Some((certificate, key)) = &tls.identity {
                with = with.identity(Identity::from_pem(certificate, key.as_slice()));
            }
            if let Some(name) = &tls.domain_name {
                with = with.domain_name(name);
            }
            options = options.with_tls(with);
        }
        options
    }

    /// It gave no answer: its connection is given up, it is asked last, and somebody finds out when it is back.
    fn fail(self: &Arc<Self>, why: &str) {
        self.hang_up();
        let first = self.failed.send_replace(Some(Instant::now())).is_none();
        if first {
            tracing::warn!(endpoint = self.endpoint, why, "a member of etcd does not answer");
        }
        if !self.probed.swap(true, Ordering::AcqRel) {
            let member = Arc::downgrade(self);
            tokio::spawn(async move {
                let mut pause = PROBE_PAUSE_MIN;
                loop {
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    let Some(member) = member.upgrade() else { return };
                    if member.is_back().await {
                        member.probed.store(false, Ordering::Release);
                        // It may have failed again since it answered, when nobody else asked beside.
                        if member.failed.borrow().is_some() && !member.probed.swap(true, Ordering::AcqRel) {
                            continue;
                        }
                        tracing::info!(endpoint = member.endpoint, "a member of etcd answers again");
                        return;
                    }
                    pause = PROBE_PAUSE_MAX.min(pause * 2);
                }
            });
        }
    }

    /// One that needs a leader and costs nothing.
    async fn question(mut client: Client) -> Result<GetResponse, Error> {
        let options = GetOptions::new().with_count_only().with_limit(1);
        client.get("/postroad", Some(options)).await
    }

    async fn is_back(self: &Arc<Self>) -> bool {
        match self.ask(ALONE_TIMEOUT, &Self::question).await {
            Ok(_) => true,
            Err(Failure::Final(_)) => {
                self.failed.send_replace(None);
                true
            }
            Err(Failure::Passing { .. }) => {
                self.hang_up();
                false
            }
        }
    }

    /// The next call makes a new connection. One that is being made just now is left alone.
    fn hang_up(&self) {
        if let Ok(mut client) = self.client.try_lock() {
            *client = None;
        }
    }
}

/// Whether another member may say something else.
fn judged(error: &Error) -> Failure {
    let why = whole(error);
    match error {
        Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_) => Failure::Final(why),
        Error::GRpcStatus(status) if OLD_TOKENS.iter().any(|text| status.message().contains(text)) => {
            Failure::Passing { why, refused: false }
        }
        Error::GRpcStatus(status) if FINAL_CODES.contains(&i32::from(status.code())) => {
            let full = i32::from(status.code()) == RESOURCE_EXHAUSTED && status.message().contains(NO_SPACE);
            let advice = ". Nothing can be changed until it has room: compact and defragment it, or raise \
                          --quota-backend-bytes, then `etcdctl alarm disarm`";
            Failure::Final(if full { format!("{why}{advice}") } else { why })
        }
        _ => Failure::Passing { why, refused: is_refusal(error) },
    }
}

/// Whether no connection came about, so that nothing can have been done.
fn is_refusal(error: &Error) -> bool {
    let first: &dyn std::error::Error = match error {
        Error::TransportError(error) => error,
        Error::GRpcStatus(status) => status,
        other => other,
    };
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    causes.any(|cause| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        matches!(kind, Some(ConnectionRefused | HostUnreachable | NetworkUnreachable))
    })
}

/// An error with its causes, of which transport errors show none by themselves.
pub(super) fn whole(error: &Error) -> String {
    let first: &dyn std::error::Error = match error {
        Error::TransportError(error) => error,
        Error::GRpcStatus(status) => return format!("{:?}: {}", status.code(), status.message()),
        other => other,
    };
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
