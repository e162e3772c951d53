//! The etcd backend, for directories of several machines.
//!
//! The connection is made when it is first needed and made anew after a failure, so that a server starts while etcd is
//! away. Every call has a deadline. A watch is opened for one change only and never resumed: after a compaction or a
//! restart the caller reads everything again anyway. etcd keeps every revision until somebody compacts it: what can be
//! read of the past is decided by its `--auto-compaction-retention`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, Error, GetOptions, Identity, KeyValue,
    KvClient, PutOptions, TlsOptions, Txn, TxnOp, TxnOpResponse, WatchOptions,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::directory::Directory;
use crate::forest::{Forest, LEASE_TTL_DEFAULT};
use crate::store::{Condition, Entry, Kept, LeaseId, Listing, Outcome, PAST, Store, Unavailable, Write};

/// Longest wait for the answer to one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A silent connection is tried after this, and given up after [`KEEP_ALIVE_TIMEOUT`].
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer to a keep-alive may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// etcd's `--max-txn-ops` is 128 unless somebody changes it.
const OPERATIONS_MAX: usize = 128;
/// gRPC's `OUT_OF_RANGE`, with which etcd refuses a revision that was compacted.
const OUT_OF_RANGE: i32 = 11;
/// Largest answer: a configuration of some ten thousand objects.
const ANSWER_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// Where etcd is and how to talk to it.
#[derive(Clone)]
pub struct EtcdSettings {
    /// `https://etcd1.contoso.com:2379`, one for each member.
    pub endpoints: Vec<String>,
    /// Certificates; `None` for plain text, which is for tests on one machine only.
    pub tls: Option<EtcdTls>,
    /// User and password, when etcd asks for them.
    pub user: Option<(String, Zeroizing<String>)>,
    /// How long a presence outlives its process.
    pub lease_ttl: Duration,
}

/// Certificates, in PEM.
#[derive(Clone)]
pub struct EtcdTls {
    /// Whom to believe.
    pub ca: Vec<u8>,
    /// Our own certificate and key, when etcd asks for one.
    pub identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    /// Name in etcd's certificates; that of the endpoint when absent.
    pub domain_name: Option<String>,
}

impl EtcdSettings {
    /// Plain settings for `endpoints`.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self { endpoints, tls: None, user: None, lease_ttl: LEASE_TTL_DEFAULT }
    }
}

impl fmt::Debug for EtcdSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdSettings").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// The directory of `forest` in etcd. Needs no connection yet.
#[must_use]
pub fn connect(settings: EtcdSettings, forest: &str) -> Arc<dyn Directory> {
    let lease_ttl = settings.lease_ttl;
    Arc::new(Forest::new(Etcd { settings, client: Arc::new(Mutex::new(None)), at: None }, forest, lease_ttl))
}

struct Etcd {
    settings: EtcdSettings,
    client: Arc<Mutex<Option<Client>>>,
    /// The revision that is read; `None` for now.
    at: Option<i64>,
}

impl Etcd {
    async fn client(&self) -> Result<Client, Unavailable> {
        let mut slot = self.client.lock().await;
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let connecting = Client::connect(&self.settings.endpoints, Some(self.options()));
        let client = answered(tokio::time::timeout(CALL_TIMEOUT, connecting).await)?;
        Ok(slot.insert(client).clone())
    }

    fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some((name, password)) = &self.settings.user {
            options = options.with_user(name, password.as_str());
        }
        if let Some(tls) = &self.settings.tls {
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

    /// How to read: now, or at the revision asked for.
    fn reading(&self) -> GetOptions {
        self.at.map_or_else(GetOptions::new, |revision| GetOptions::new().with_revision(revision))
    }

    fn writable(&self) -> Result<(), Unavailable> {
        if self.at.is_some() { Err(Unavailable(PAST.into())) } else { Ok(()) }
    }

    /// The oldest revision that can be read: a watch that begins before it is told so.
    async fn oldest(&self, key: &str, before: i64) -> Result<u64, Unavailable> {
        let options = WatchOptions::new().with_start_revision(before);
        let mut watch = self.call(|mut client| async move { client.watch(key, Some(options)).await }).await?;
        let compacted = async {
            loop {
                match watch.message().await? {
                    Some(answer) if answer.compact_revision() > 0 => return Ok(number(answer.compact_revision())),
                    Some(_) => {}
                    None => return Ok(0),
                }
            }
        };
        answered(tokio::time::timeout(CALL_TIMEOUT, compacted).await)
    }

    /// Makes one call with a deadline. A failed one costs the connection: the next call makes a new one, with a new
    /// token and perhaps to another member.
    async fn call<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, Unavailable> {
        let client = self.client().await?;
        let answer = answered(tokio::time::timeout(CALL_TIMEOUT, call(client)).await);
        if answer.is_err() {
            *self.client.lock().await = None;
        }
        answer
    }
}

fn answered<T>(answer: Result<Result<T, Error>, tokio::time::error::Elapsed>) -> Result<T, Unavailable> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Unavailable(format!("etcd: {}", whole(&error)))),
        Err(_) => Err(Unavailable(format!("etcd: no answer within {CALL_TIMEOUT:?}"))),
    }
}

/// An error with its causes, of which transport errors show none by themselves.
fn whole(error: &Error) -> String {
    let first: &dyn std::error::Error = match error {
        Error::TransportError(error) => error,
        Error::GRpcStatus(status) => return format!("{:?}: {}", status.code(), status.message()),
        other => other,
    };
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn reader(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(ANSWER_OCTETS_MAX)
}

#[async_trait]
impl Store for Etcd {
    fn operations_max(&self) -> usize {
        OPERATIONS_MAX
    }

    fn at(&self, revision: u64) -> Self {
        let at = Some(i64::try_from(revision).unwrap_or(i64::MAX).max(1)); // etcd reads 0 as now
        Self { settings: self.settings.clone(), client: self.client.clone(), at }
    }

    async fn kept(&self, key: &str, revision: u64) -> Result<Kept, Unavailable> {
        let wanted = i64::try_from(revision).unwrap_or(i64::MAX).max(1);
        let count = GetOptions::new().with_count_only();
        let now = self.call(|mut client| async move { client.get(key, Some(count)).await }).await?;
        let newest = now.header().map(|header| header.revision()).unwrap_or_default();
        if wanted > newest {
            return Ok(Kept::NotYet(number(newest)));
        }
        let options = GetOptions::new().with_count_only().with_revision(wanted);
        let asked = self
            .call(|mut client| async move {
                match client.get(key, Some(options)).await {
                    Err(Error::GRpcStatus(status)) if i32::from(status.code()) == OUT_OF_RANGE => {
                        Ok(Kept::Forgotten(0))
                    }
                    answer => answer.map(|_| Kept::Yes),
                }
            })
            .await?;
        match asked {
            Kept::Forgotten(_) => Ok(Kept::Forgotten(self.oldest(key, wanted).await?)),
            kept => Ok(kept),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Listing, Unavailable> {
        let options = self.reading().with_prefix();
        let mut answer = self.call(|client| async move { reader(&client).get(prefix, Some(options)).await }).await?;
        let revision = answer.header().map(|header| number(header.revision())).unwrap_or_default();
        Ok(Listing { revision, entries: answer.take_kvs().into_iter().map(entry).collect() })
    }

    async fn page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let end = format!("{prefix}\u{10ffff}");
        let options = self.reading().with_range(end).with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let start = format!("{after}\0");
        let mut answer = self.call(|client| async move { reader(&client).get(start, Some(options)).await }).await?;
        Ok(answer.take_kvs().into_iter().map(entry).collect())
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Entry>>, Unavailable> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let gets: Vec<TxnOp> = keys.iter().map(|key| TxnOp::get(key.as_str(), Some(self.reading()))).collect();
        let answer = self.call(|client| async move { reader(&client).txn(Txn::new().and_then(gets)).await }).await?;
        let found = answer.op_responses().into_iter().map(|answer| match answer {
            TxnOpResponse::Get(mut answer) => Ok(answer.take_kvs().pop().map(entry)),
            _ => Err(Unavailable("etcd: an answer of the wrong kind".into())),
        });
        found.collect()
    }

    async fn transact(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Result<Outcome, Unavailable> {
        self.writable()?;
        let compares: Vec<Compare> = conditions.into_iter().map(compare).collect();
        let operations: Vec<TxnOp> = writes.into_iter().map(operation).collect();
        let transaction = Txn::new().when(compares).and_then(operations);
        let answer = self.call(|mut client| async move { client.txn(transaction).await }).await?;
        let revision = answer.header().map(|header| number(header.revision())).unwrap_or_default();
        Ok(if answer.succeeded() { Outcome::Done(revision) } else { Outcome::Refused })
    }

    async fn changed(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        if self.at.is_some() {
            return std::future::pending().await;
        }
        let from = i64::try_from(after).unwrap_or(i64::MAX).saturating_add(1);
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        let mut watch = self.call(|mut client| async move { client.watch(prefix, Some(options)).await }).await?;
        loop {
            match watch.message().await {
                // A compacted revision arrives as `canceled`: whoever reads again misses nothing.
                Ok(Some(answer)) if answer.canceled() || !answer.events().is_empty() => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) => return Err(Unavailable("etcd: the watch has ended".into())),
                Err(error) => {
                    *self.client.lock().await = None;
                    return Err(Unavailable(format!("etcd: {}", whole(&error))));
                }
            }
        }
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Unavailable> {
        self.writable()?;
        let seconds = i64::try_from(ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        let answer = self.call(|mut client| async move { client.lease_grant(seconds, None).await }).await?;
        Ok(LeaseId(answer.id()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<bool, Unavailable> {
        let answer = self
            .call(|mut client| async move {
                let (mut keeper, mut answers) = client.lease_keep_alive(lease.0).await?;
                keeper.keep_alive().await?;
                answers.message().await
            })
            .await?;
        Ok(answer.is_some_and(|answer| answer.ttl() > 0))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Unavailable> {
        self.call(|mut client| async move { client.lease_revoke(lease.0).await }).await.map(drop)
    }
}

/// etcd counts with a sign; a revision never has one.
fn number(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

/// A key that is not UTF-8 is none of ours; it is kept readable so that it can be reported.
fn entry(pair: KeyValue) -> Entry {
    let revision = number(pair.mod_revision());
    let (key, value) = pair.into_key_value();
    Entry { key: String::from_utf8_lossy(&key).into_owned(), value, revision }
}

fn compare(condition: Condition) -> Compare {
    match condition {
        Condition::Absent(key) => Compare::create_revision(key, CompareOp::Equal, 0),
        Condition::Unchanged(key, revision) => {
            Compare::mod_revision(key, CompareOp::Equal, i64::try_from(revision).unwrap_or(i64::MAX))
        }
    }
}

fn operation(write: Write) -> TxnOp {
    match write {
        Write::Put(key, value) => TxnOp::put(key, value, None),
        Write::PutUnder(lease, key, value) => TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease.0))),
        Write::Delete(key) => TxnOp::delete(key, None),
        Write::DeletePrefix(prefix) => TxnOp::delete(prefix, Some(DeleteOptions::new().with_prefix())),
    }
}
