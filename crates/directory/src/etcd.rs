//! The etcd backend, for directories of several machines.
//!
//! Connections are made when they are first needed and made anew after a failure, so that a server starts while etcd is
//! away. Every call has a deadline, and goes on to the next member when one does not answer ([`members`]). A watch is opened
//! for one change only; it moves to another member when its own fails. etcd keeps every revision until somebody compacts it:
//! what can be read of the past is decided by its `--auto-compaction-retention`.

mod ahead;
mod members;
mod roles;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, Error, GetOptions, KeyValue, KvClient, PutOptions, Txn, TxnOp,
    TxnOpResponse, WatchOptions,
};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use self::ahead::{Ahead, Lists, wanted};
use self::members::{Members, OUT_OF_RANGE};
pub use self::roles::{EtcdUsers, secure_etcd};
use crate::directory::{Backend, MemberState};
use crate::forest::{Forest, LEASE_TTL_DEFAULT};
use crate::store::{Condition, Entry, Kept, LeaseId, Listing, Outcome, PAST, Store, Unavailable, Write};

/// Longest wait for what a watch says at once.
const WATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// What etcd-client makes of the answer that there is no such lease.
const NO_LEASE: &str = "lease not found";
/// etcd's `--max-txn-ops` is 128 unless somebody changes it.
const OPERATIONS_MAX: usize = 128;
/// Conditions and writes of a change of recipients besides theirs: the marker of the configuration, the record of the change.
const BESIDES_RECIPIENTS: usize = 2;
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
    /// Reads the certificates anew for each new connection, if they can be renewed.
    pub renewal: Option<Renewal>,
}

/// Gives the certificates of now, if they can be read.
pub(crate) type Renewal = Arc<dyn Fn() -> Option<EtcdTls> + Send + Sync>;

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

impl EtcdTls {
    /// Shows this certificate to members with certificates of `ca`.
    #[must_use]
    pub fn showing(ca: Vec<u8>, certificate: String, key: &str) -> Self {
        let key = Zeroizing::new(key.as_bytes().to_vec());
        Self { ca, identity: Some((certificate.into_bytes(), key)), domain_name: None }
    }
}

impl EtcdSettings {
    /// Plain settings for `endpoints`.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self { endpoints, tls: None, user: None, lease_ttl: LEASE_TTL_DEFAULT, renewal: None }
    }
}

impl fmt::Debug for EtcdSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdSettings").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// The directory of `forest` in etcd. Needs no connection yet.
#[must_use]
pub fn connect(settings: EtcdSettings, forest: &str) -> Arc<dyn Backend> {
    let lease_ttl = settings.lease_ttl;
    Arc::new(Forest::new(
        Etcd { members: Arc::new(Members::new(settings)), at: None, ahead: Mutex::default() },
        forest,
        lease_ttl,
    ))
}

struct Etcd {
    members: Arc<Members>,
    /// The revision that is read; `None` for now.
    at: Option<i64>,
    ahead: Mutex<Lists>,
}

impl Etcd {
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
        let open = self.members.call(|mut client| {
            let options = options.clone();
            async move { client.watch(key, Some(options)).await }
        });
        let mut watch = open.await?;
        let compacted = async {
            loop {
                match watch.message().await {
                    Ok(Some(answer)) if answer.compact_revision() > 0 => return Ok(number(answer.compact_revision())),
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(0),
                    Err(error) => return Err(Unavailable(format!("etcd: {}", members::whole(&error)))),
                }
            }
        };
        let told = tokio::time::timeout(WATCH_TIMEOUT, compacted).await;
        told.unwrap_or_else(|_| Err(Unavailable("etcd: a watch says nothing".to_owned())))
    }

    /// Whether the state is what `writes` make of it, and since which revision: a transaction whose first answer was lost is
    /// known by that, because the record of a change is like no other.
    async fn made(&self, writes: &[Write]) -> Result<Option<u64>, Unavailable> {
        let mut keys = Vec::new();
        let mut wanted = Vec::new();
        for write in writes {
            match write {
                Write::Put(key, value) | Write::PutUnder(_, key, value) => {
                    keys.push(key.clone());
                    wanted.push(Some(value.as_slice()));
                }
                Write::Delete(key) => {
                    keys.push(key.clone());
                    wanted.push(None);
                }
                Write::DeletePrefix(_) => {}
            }
        }
        let found = self.get(&keys).await?;
        let same =
            found.iter().zip(&wanted).all(|(entry, wanted)| entry.as_ref().map(|entry| &*entry.value) == *wanted);
        let mut revisions = found.iter().flatten().map(|entry| entry.revision);
        let first = revisions.next();
        Ok(first.filter(|first| same && revisions.all(|revision| revision == *first)))
    }
}

fn reader(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(ANSWER_OCTETS_MAX)
}

#[async_trait]
impl Store for Etcd {
    fn operations_max(&self) -> usize {
        OPERATIONS_MAX
    }

    fn operations_at_once(&self) -> usize {
        OPERATIONS_MAX - BESIDES_RECIPIENTS
    }

    fn at(&self, revision: u64) -> Self {
        let at = Some(i64::try_from(revision).unwrap_or(i64::MAX).max(1)); // etcd reads 0 as now
        Self { members: Arc::clone(&self.members), at, ahead: Mutex::default() }
    }

    async fn kept(&self, key: &str, revision: u64) -> Result<Kept, Unavailable> {
        let wanted = i64::try_from(revision).unwrap_or(i64::MAX).max(1);
        let count = GetOptions::new().with_count_only();
        let now = self.members.call(|mut client| {
            let count = count.clone();
            async move { client.get(key, Some(count)).await }
        });
        let newest = now.await?.header().map(|header| header.revision()).unwrap_or_default();
        if wanted > newest {
            return Ok(Kept::NotYet(number(newest)));
        }
        let options = GetOptions::new().with_count_only().with_revision(wanted);
        let asked = self.members.call(|mut client| {
            let options = options.clone();
            async move {
                match client.get(key, Some(options)).await {
                    Err(Error::GRpcStatus(status)) if i32::from(status.code()) == OUT_OF_RANGE => {
                        Ok(Kept::Forgotten(0))
                    }
                    answer => answer.map(|_| Kept::Yes),
                }
            }
        });
        match asked.await? {
            Kept::Forgotten(_) => Ok(Kept::Forgotten(self.oldest(key, wanted).await?)),
            kept => Ok(kept),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Listing, Unavailable> {
        let options = self.reading().with_prefix();
        let asked = self.members.call(|client| {
            let options = options.clone();
            async move { reader(&client).get(prefix, Some(options)).await }
        });
        let mut answer = asked.await?;
        let revision = answer.header().map(|header| number(header.revision())).unwrap_or_default();
        Ok(Listing { revision, entries: answer.take_kvs().into_iter().map(entry).collect() })
    }

    async fn page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let known = self.ahead.lock().take(prefix, after, limit);
        let known = match known {
            Some(known) => known,
            None => {
                let wanted = wanted(prefix, after, limit);
                let end = format!("{prefix}\u{10ffff}");
                let options = self.reading().with_range(end).with_limit(i64::try_from(wanted).unwrap_or(i64::MAX));
                let asked = self.members.call(|client| {
                    let (start, options) = (format!("{after}\0"), options.clone());
                    async move { reader(&client).get(start, Some(options)).await }
                });
                let entries: Vec<Entry> = asked.await?.take_kvs().into_iter().map(entry).collect();
                Ahead::new(prefix, wanted, entries)
            }
        };
        let (page, rest) = known.divide(limit);
        if let Some(rest) = rest {
            self.ahead.lock().keep(rest);
        }
        Ok(page)
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Entry>>, Unavailable> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let gets: Vec<TxnOp> = keys.iter().map(|key| TxnOp::get(key.as_str(), Some(self.reading()))).collect();
        let asked = self.members.call(|client| {
            let transaction = Txn::new().and_then(gets.clone());
            async move { reader(&client).txn(transaction).await }
        });
        let found = asked.await?.op_responses().into_iter().map(|answer| match answer {
            TxnOpResponse::Get(mut answer) => Ok(answer.take_kvs().pop().map(entry)),
            _ => Err(Unavailable("etcd: an answer of the wrong kind".into())),
        });
        found.collect()
    }

    async fn transact(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Result<Outcome, Unavailable> {
        self.writable()?;
        let compares: Vec<Compare> = conditions.into_iter().map(compare).collect();
        let operations: Vec<TxnOp> = writes.iter().cloned().map(operation).collect();
        let transaction = Txn::new().when(compares).and_then(operations);
        let asked = self.members.call_noting_doubt(|mut client| {
            let transaction = transaction.clone();
            async move { client.txn(transaction).await }
        });
        let (answer, in_doubt) = asked.await?;
        if answer.succeeded() {
            return Ok(Outcome::Done(answer.header().map(|header| number(header.revision())).unwrap_or_default()));
        }
        // A member that gave no answer may have made it nevertheless.
        let made = if in_doubt { self.made(&writes).await? } else { None };
        Ok(made.map_or(Outcome::Refused, Outcome::Done))
    }

    async fn changed(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        if self.at.is_some() {
            return std::future::pending().await;
        }
        let from = i64::try_from(after).unwrap_or(i64::MAX).saturating_add(1);
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        self.members.changed(prefix, &options).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Unavailable> {
        self.writable()?;
        let seconds = i64::try_from(ttl.as_secs().max(1)).unwrap_or(i64::MAX);
        let asked = self.members.call(|mut client| async move { client.lease_grant(seconds, None).await });
        Ok(LeaseId(asked.await?.id()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<bool, Unavailable> {
        let asked = self.members.call(|mut client| async move {
            // Asks once, and reads the answer. That there is no such lease every member would say.
            match client.lease_keep_alive(lease.0).await {
                Ok(_) => Ok(true),
                Err(Error::LeaseKeepAliveError(why)) if why == NO_LEASE => Ok(false),
                Err(error) => Err(error),
            }
        });
        asked.await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Unavailable> {
        let asked = self.members.call(|mut client| async move { client.lease_revoke(lease.0).await });
        asked.await.map(drop)
    }

    async fn members(&self) -> Vec<MemberState> {
        self.members.each().await
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
