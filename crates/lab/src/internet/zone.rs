//! Authoritative answers for every name there is: the whole DNS of the lab is one table, so no delegation is followed.
//!
//! Times to live are short, because the lab is for changing things and watching. A name that is not in the table does
//! not exist.

use std::collections::BTreeMap;
use std::net::IpAddr;

use envelope::Domain;
use hickory_proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::description::{Description, DnsFailure, MxRecords};

/// Seconds that answers are believed, positive and negative alike.
pub const TTL_SECS: u32 = 2;

/// A name that cannot stand in DNS.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a name in DNS")]
pub struct NotADnsName(Domain);

/// Everything known about one name.
#[derive(Debug, Default)]
struct Entry {
    records: Vec<RData>,
    failure: Option<ResponseCode>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Zone(BTreeMap<Name, Entry>);

impl Zone {
    /// Mail domains of `description`, and `addresses` of hosts.
    pub(super) fn new<'a>(
        description: &Description,
        addresses: impl IntoIterator<Item = (&'a Domain, IpAddr)>,
    ) -> Result<Self, NotADnsName> {
        let mut zone = Self(BTreeMap::new());
        for domain in &description.domains {
            let answer = match &domain.answer {
                MxRecords::Hosts(hosts) => hosts
                    .iter()
                    .map(|mx| Ok(RData::MX(MX::new(mx.preference, dns_name(&mx.host)?))))
                    .collect::<Result<_, NotADnsName>>()?,
                MxRecords::NullMx => vec![RData::MX(MX::new(0, Name::root()))],
                MxRecords::Failure(failure) => {
                    zone.entry(&domain.name)?.failure = Some(response_code(*failure));
                    continue;
                }
            };
            zone.entry(&domain.name)?.records.extend(answer);
        }
        for (host, address) in addresses {
            let data = match address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            };
            zone.entry(host)?.records.push(data);
        }
        Ok(zone)
    }

    fn entry(&mut self, domain: &Domain) -> Result<&mut Entry, NotADnsName> {
        Ok(self.0.entry(dns_name(domain)?).or_default())
    }

    fn answer(&self, name: &Name, kind: RecordType) -> (ResponseCode, Vec<Record>) {
        let Some(entry) = self.0.get(&name.to_lowercase()) else { return (ResponseCode::NXDomain, Vec::new()) };
        if let Some(code) = entry.failure {
            return (code, Vec::new());
        }
        let wanted = entry.records.iter().filter(|data| data.record_type() == kind);
        let records = wanted.map(|data| Record::from_rdata(name.clone(), TTL_SECS, data.clone())).collect();
        (ResponseCode::NoError, records)
    }
}

/// Goes with every negative answer, so that resolvers forget it soon (RFC 2308 §5).
fn start_of_authority() -> Record {
    let (root, ttl) = (Name::root(), i32::try_from(TTL_SECS).expect("two"));
    Record::from_rdata(root.clone(), TTL_SECS, RData::SOA(SOA::new(root.clone(), root, 1, ttl, ttl, ttl, TTL_SECS)))
}

fn response_code(failure: DnsFailure) -> ResponseCode {
    match failure {
        DnsFailure::ServerFailure => ResponseCode::ServFail,
        DnsFailure::Refused => ResponseCode::Refused,
    }
}

fn dns_name(domain: &Domain) -> Result<Name, NotADnsName> {
    let mut name = Name::from_ascii(domain.ascii()).map_err(|_| NotADnsName(domain.clone()))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

#[async_trait::async_trait]
impl RequestHandler for Zone {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut out: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let (code, records) = match request.request_info() {
            Ok(info) => self.answer(&Name::from(info.query.name()), info.query.query_type()),
            Err(_) => (ResponseCode::FormErr, Vec::new()),
        };
        metadata.response_code = code;
        let negative = records.is_empty() && matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        let authority = negative.then(start_of_authority);
        let none = || std::iter::empty::<&Record>();
        let response = MessageResponseBuilder::from_message_request(request);
        let response = response.build(metadata, records.iter(), none(), authority.iter(), none());
        let sent = out.send_response(response).await;
        sent.unwrap_or_else(|_| Header { metadata, counts: HeaderCounts::default() }.into())
    }
}
