//! DNS for mail: MX records and addresses, and why there are none.
//!
//! One [`Resolver`] per list of servers (a transport server has an internal and an external one, SC-37, SC-38). A and
//! AAAA are asked independently and one of them is enough, whatever happens to the other. Names are absolute: no search
//! domain is ever appended. A failure names the question, the servers asked and their answer.
//!
//! Not here: the order of hosts of equal preference (SC-39 shuffles them, which needs chance) and whether an address may
//! be used ([`crate::target`]).

mod error;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use envelope::Domain;
use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;

pub use error::{DnsError, Question};

use crate::host::{dns_name, domain_of};

/// Time for one server to answer one question.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Further rounds over the servers after the first has failed.
pub const QUERY_RETRIES: usize = 1;
/// Time for one answer, however many servers, rounds, fallbacks to TCP and aliases it takes.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// Servers asked at the same time. Two, because with one a silent first server is never left.
pub const CONCURRENT_SERVERS: usize = 2;
/// Answers kept in memory by one resolver.
pub const CACHE_ANSWERS_MAX: u64 = 16_384;
/// Longest time that an answer is believed, whatever its TTL says.
pub const POSITIVE_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest time that "there is none" is believed: a domain that has just been repaired should not wait for hours.
pub const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(15 * 60);
/// Mail exchangers used of one domain, best first. Domains of the field have up to about 20.
pub const EXCHANGERS_MAX: usize = 50;
/// Addresses used of one host.
pub const ADDRESSES_MAX: usize = 32;

/// How the servers are spoken to (`ExternalDNSProtocolOption`, `InternalDNSProtocolOption`; SC-38).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DnsProtocol {
    /// UDP first, TCP for answers that do not fit.
    #[default]
    Any,
    /// `UseTcpOnly`.
    TcpOnly,
    /// `UseUdpOnly`.
    UdpOnly,
}

/// One MX record. Orders by preference, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailExchanger {
    /// Lower is better (RFC 5321 §5.1).
    pub preference: u16,
    /// The host, never an address.
    pub host: Domain,
}

/// What DNS says about where a domain's mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxAnswer {
    /// At least one and at most [`EXCHANGERS_MAX`], best first.
    Exchangers(Vec<MailExchanger>),
    /// The domain accepts no mail (RFC 7505): `556 5.1.10`.
    NullMx,
    /// The domain exists and has no MX: its own addresses take mail (RFC 5321 §5.1).
    NoMx,
}

/// The DNS servers cannot be learned from the system.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up DNS: {0}")]
pub struct ResolverError(String);

/// Asks one list of DNS servers, and remembers the answers for their time to live. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
    servers: Arc<[SocketAddr]>,
}

impl Resolver {
    /// The servers of `/etc/resolv.conf`, and `/etc/hosts` before them.
    ///
    /// # Errors
    /// [`ResolverError`] when the file cannot be read or understood.
    pub fn system() -> Result<Self, ResolverError> {
        let (config, _) = read_system_conf().map_err(|error| ResolverError(error.to_string()))?;
        let (_, _, servers) = config.into_parts();
        Self::build(servers, ResolveHosts::Always)
    }

    /// The given servers, in this order of trust.
    ///
    /// # Errors
    /// [`ResolverError`] when `servers` is empty.
    pub fn with_servers(servers: &[SocketAddr], protocol: DnsProtocol) -> Result<Self, ResolverError> {
        Self::build(servers.iter().map(|server| name_server(*server, protocol)).collect(), ResolveHosts::Never)
    }

    fn build(servers: Vec<NameServerConfig>, hosts: ResolveHosts) -> Result<Self, ResolverError> {
        if servers.is_empty() {
            return Err(ResolverError("there is no DNS server to ask".to_owned()));
        }
        let addresses = servers.iter().filter_map(|server| {
            server.connections.first().map(|connection| SocketAddr::new(server.ip, connection.port))
        });
        let addresses = addresses.collect();
        let config = ResolverConfig::from_name_servers(servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options(hosts);
        let inner = builder.build().map_err(|error| ResolverError(error.to_string()))?;
        Ok(Self { inner, servers: addresses })
    }

    /// The servers it asks.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// Where mail for `domain` goes.
    ///
    /// # Errors
    /// [`DnsError`]; "the domain exists and has no MX" is an answer, not an error.
    pub async fn mx(&self, domain: &Domain) -> Result<MxAnswer, DnsError> {
        let question = Question { name: domain.clone(), record: "MX" };
        let lookup = match self.lookup(&question, RecordType::MX).await {
            Ok(lookup) => lookup,
            Err(DnsError::NoRecords { .. }) => return Ok(MxAnswer::NoMx),
            Err(error) => return Err(error),
        };
        exchangers(&lookup).ok_or(DnsError::NoUsableExchanger { name: domain.clone() })
    }

    /// The addresses of `host`, IPv4 before IPv6, each in the order of the answer. CNAMEs are followed.
    ///
    /// # Errors
    /// [`DnsError`], only when neither A nor AAAA gave an address. If one of the two failed for the moment so does the
    /// whole: the address may be there.
    pub async fn addresses(&self, host: &Domain) -> Result<Vec<IpAddr>, DnsError> {
        let question = |record| Question { name: host.clone(), record };
        let (a, aaaa) = (question("A"), question("AAAA"));
        let (v4, v6) = tokio::join!(self.lookup(&a, RecordType::A), self.lookup(&aaaa, RecordType::AAAA));
        let found: Vec<IpAddr> = [&v4, &v6].into_iter().flatten().flat_map(addresses_in).take(ADDRESSES_MAX).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let first = v4.err().unwrap_or(DnsError::NoRecords { question: a });
        let second = v6.err().unwrap_or(DnsError::NoRecords { question: aaaa });
        Err(if second.is_transient() && !first.is_transient() { second } else { first })
    }

    async fn lookup(&self, question: &Question, record: RecordType) -> Result<Lookup, DnsError> {
        let name = dns_name(&question.name).ok_or_else(|| DnsError::NotAName { name: question.name.clone() })?;
        let answer = tokio::time::timeout(LOOKUP_TIMEOUT, self.inner.lookup(name, record)).await;
        answer.unwrap_or(Err(NetError::Timeout)).map_err(|error| self.explain(question, &error))
    }

    fn explain(&self, question: &Question, error: &NetError) -> DnsError {
        if error.is_nx_domain() {
            return DnsError::NonExistent { name: question.name.clone() };
        }
        if error.is_no_records_found() {
            return DnsError::NoRecords { question: question.clone() };
        }
        DnsError::Transient {
            question: question.clone(),
            servers: Arc::clone(&self.servers),
            cause: error.to_string().into(),
        }
    }
}

fn name_server(server: SocketAddr, protocol: DnsProtocol) -> NameServerConfig {
    let connections = match protocol {
        DnsProtocol::Any => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
        DnsProtocol::TcpOnly => vec![ConnectionConfig::tcp()],
        DnsProtocol::UdpOnly => vec![ConnectionConfig::udp()],
    };
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    NameServerConfig::new(server.ip(), true, connections.into_iter().map(at_port).collect())
}

fn options(hosts: ResolveHosts) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = QUERY_TIMEOUT;
    options.attempts = QUERY_RETRIES;
    options.num_concurrent_reqs = CONCURRENT_SERVERS;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.cache_size = CACHE_ANSWERS_MAX;
    options.positive_max_ttl = Some(POSITIVE_TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.use_hosts_file = hosts;
    options.edns0 = true;
    options
}

/// Nothing when there are MX records but not one of them names a host.
fn exchangers(lookup: &Lookup) -> Option<MxAnswer> {
    let records = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::MX(mx) => Some(mx),
        _ => None,
    });
    let records: Vec<_> = records.collect();
    // RFC 7505 §3: a null MX is the only record of its domain; among others the root is just no host.
    if let [only] = records.as_slice()
        && only.exchange.is_root()
    {
        return Some(MxAnswer::NullMx);
    }
    if records.is_empty() {
        return Some(MxAnswer::NoMx);
    }
    let mut hosts: Vec<MailExchanger> = records
        .iter()
        .filter_map(|mx| Some(MailExchanger { preference: mx.preference, host: domain_of(&mx.exchange)? }))
        .collect();
    hosts.sort();
    // One name twice is one host; the better preference counts.
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|exchanger| seen.insert(exchanger.host.clone()));
    hosts.truncate(EXCHANGERS_MAX);
    if hosts.is_empty() { None } else { Some(MxAnswer::Exchangers(hosts)) }
}

fn addresses_in(lookup: &Lookup) -> impl Iterator<Item = IpAddr> + '_ {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}
