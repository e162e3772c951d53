//! DNS against an in-process server that answers from a table.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use envelope::{EnhancedStatus, Severity};
use hickory_proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX};
use hickory_proto::rr::{Name, Record};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use super::*;

/// Answers by name and type. A name that is not there does not exist; a type that is not there has no records.
#[derive(Default)]
struct Table(BTreeMap<(String, RecordType), Result<Vec<Record>, ResponseCode>>);

impl Table {
    fn records(mut self, name: &str, kind: RecordType, data: Vec<RData>) -> Self {
        let owner = name_of(name);
        let records = data.into_iter().map(|data| Record::from_rdata(owner.clone(), 300, data)).collect();
        self.0.insert((name.to_owned(), kind), Ok(records));
        self
    }

    fn failure(mut self, name: &str, kind: RecordType, code: ResponseCode) -> Self {
        self.0.insert((name.to_owned(), kind), Err(code));
        self
    }
}

#[async_trait::async_trait]
impl RequestHandler for Table {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut out: R) -> ResponseInfo {
        let info = request.request_info().unwrap();
        let name = domain_of(info.query.name()).unwrap().to_string();
        let known = self.0.keys().any(|(owner, _)| *owner == name);
        let answer = self.0.get(&(name, info.query.query_type()));
        let (code, records) = match answer {
            Some(Ok(records)) => (ResponseCode::NoError, records.clone()),
            Some(Err(code)) => (*code, Vec::new()),
            None if known => (ResponseCode::NoError, Vec::new()),
            None => (ResponseCode::NXDomain, Vec::new()),
        };
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = code;
        let none = || std::iter::empty::<&Record>();
        let response = MessageResponseBuilder::from_message_request(request);
        let sent = out.send_response(response.build(metadata, records.iter(), none(), none(), none())).await;
        sent.unwrap_or_else(|_| Header { metadata, counts: HeaderCounts::default() }.into())
    }
}

fn name_of(text: &str) -> Name {
    dns_name(&domain(text)).unwrap()
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn mx(preference: u16, host: &str) -> RData {
    let exchange = if host == "." { Name::root() } else { name_of(host) };
    RData::MX(MX::new(preference, exchange))
}

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

fn aaaa(last: u16) -> RData {
    RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)))
}

/// A server on a free port, for UDP and TCP alike, and a resolver that asks it. The server ends with the guard.
async fn served(table: Table, protocol: DnsProtocol) -> (Resolver, Server<Table>) {
    let (address, server) = serve(table).await;
    (Resolver::with_servers(&[address], protocol).unwrap(), server)
}

async fn serve(table: Table) -> (SocketAddr, Server<Table>) {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let mut server = Server::new(table);
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(5), 32);
    (address, server)
}

async fn check_mx(table: Table, name: &str, expected: Result<MxAnswer, EnhancedStatus>) {
    let (resolver, _server) = served(table, DnsProtocol::Any).await;
    assert_eq!(resolver.mx(&domain(name)).await.map_err(|error| error.status()), expected, "{name}");
}

fn exchanger(preference: u16, host: &str) -> MailExchanger {
    MailExchanger { preference, host: domain(host) }
}

#[tokio::test]
async fn exchangers_come_best_first_and_each_once() {
    // SC-39, RFC 5321 §5.1
    let records = vec![mx(20, "b.test"), mx(10, "c.test"), mx(10, "a.test"), mx(30, "C.test"), mx(5, ".")];
    let expected = vec![exchanger(10, "a.test"), exchanger(10, "c.test"), exchanger(20, "b.test")];
    let table = Table::default().records("contoso.test", RecordType::MX, records);
    check_mx(table, "contoso.test", Ok(MxAnswer::Exchangers(expected))).await;
}

#[tokio::test]
async fn a_null_mx_is_an_answer_of_its_own() {
    // RFC 7505
    let table = Table::default().records("contoso.test", RecordType::MX, vec![mx(0, ".")]);
    check_mx(table, "contoso.test", Ok(MxAnswer::NullMx)).await;
}

#[tokio::test]
async fn a_domain_without_mx_is_its_own_host_and_a_missing_domain_is_permanent() {
    // RFC 5321 §5.1; SC-39
    let table = || Table::default().records("contoso.test", RecordType::A, vec![a(1)]);
    check_mx(table(), "contoso.test", Ok(MxAnswer::NoMx)).await;
    check_mx(table(), "absent.test", Err(EnhancedStatus::new(5, 4, 4))).await;
}

#[tokio::test]
async fn exchangers_that_are_no_hosts_are_no_answer() {
    let table = Table::default().records("contoso.test", RecordType::MX, vec![mx(0, "."), mx(5, ".")]);
    check_mx(table, "contoso.test", Err(EnhancedStatus::new(5, 4, 4))).await;
}

#[tokio::test]
async fn u_labels_are_asked_for_as_a_labels() {
    let table = Table::default().records("xn--mnchen-3ya.test", RecordType::MX, vec![mx(10, "mail.test")]);
    check_mx(table, "münchen.test", Ok(MxAnswer::Exchangers(vec![exchanger(10, "mail.test")]))).await;
}

fn large() -> Table {
    let many = (0..200).rev().map(|n| mx(n, &format!("exchanger-with-a-long-name-{n}.contoso.test"))).collect();
    Table::default().records("contoso.test", RecordType::MX, many)
}

#[tokio::test]
async fn an_answer_too_large_for_udp_comes_over_tcp_and_is_cut_to_its_best() {
    let (resolver, _server) = served(large(), DnsProtocol::Any).await;
    let Ok(MxAnswer::Exchangers(hosts)) = resolver.mx(&domain("contoso.test")).await else { panic!("no exchangers") };
    assert_eq!((hosts.len(), hosts[0].preference, hosts[EXCHANGERS_MAX - 1].preference), (EXCHANGERS_MAX, 0, 49));
}

#[tokio::test]
async fn one_address_family_is_enough_whatever_happens_to_the_other() {
    // Exchange users lose mail time to "451 4.4.0 DNS query failed" when a firewall drops AAAA.
    for (v4, v6, expected) in [
        (Ok(vec![a(1)]), Err(ResponseCode::ServFail), vec!["192.0.2.1"]),
        (Err(ResponseCode::Refused), Ok(vec![aaaa(1)]), vec!["2001:db8::1"]),
        (Ok(vec![a(1), a(2)]), Ok(vec![aaaa(1)]), vec!["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    ] {
        let mut table = Table::default();
        for (kind, answer) in [(RecordType::A, v4), (RecordType::AAAA, v6)] {
            table = match answer {
                Ok(data) => table.records("mail.test", kind, data),
                Err(code) => table.failure("mail.test", kind, code),
            };
        }
        let (resolver, _server) = served(table, DnsProtocol::Any).await;
        let mut found = resolver.addresses(&domain("mail.test")).await.unwrap();
        found.sort();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn no_address_is_permanent_only_when_both_families_say_so() {
    let table = Table::default().records("bare.test", RecordType::TXT, vec![]).failure(
        "half.test",
        RecordType::AAAA,
        ResponseCode::ServFail,
    );
    let (resolver, server) = served(table, DnsProtocol::Any).await;
    for (name, severity, text) in [
        ("bare.test", Severity::Permanent, "DNS has no A of bare.test"),
        ("absent.test", Severity::Permanent, "nonexistent domain absent.test"),
    ] {
        let error = resolver.addresses(&domain(name)).await.unwrap_err();
        assert_eq!((error.severity(), error.to_string().as_str()), (severity, text));
    }
    let error = resolver.addresses(&domain("half.test")).await.unwrap_err();
    assert_eq!(error.severity(), Severity::Transient);
    // What to look at: question, server, answer.
    let expected = format!("DNS query failed: AAAA of half.test from {}: ", resolver.servers()[0]);
    let text = error.to_string();
    assert!(text.starts_with(&expected) && text.to_lowercase().contains("server failure"), "{text}");
    drop(server);
}

#[tokio::test]
async fn aliases_are_followed() {
    let alias = RData::CNAME(CNAME(name_of("real.test")));
    let table = Table::default()
        .records("mail.test", RecordType::A, vec![alias.clone()])
        .records("mail.test", RecordType::AAAA, vec![alias])
        .records("real.test", RecordType::A, vec![a(7)]);
    let (resolver, _server) = served(table, DnsProtocol::Any).await;
    let found = resolver.addresses(&domain("mail.test")).await.unwrap();
    assert_eq!(found, [IpAddr::from([192, 0, 2, 7])]);
}

#[tokio::test]
async fn a_silent_first_server_is_left_for_the_second() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let table = Table::default().records("mail.test", RecordType::A, vec![a(1)]);
    let (address, _server) = serve(table).await;
    let servers = [silent.local_addr().unwrap(), address];
    let resolver = Resolver::with_servers(&servers, DnsProtocol::Any).unwrap();
    assert_eq!(resolver.addresses(&domain("mail.test")).await.unwrap(), [IpAddr::from([192, 0, 2, 1])]);
}

#[tokio::test]
async fn the_protocol_option_is_obeyed() {
    // SC-38. Over TCP: nobody serves the UDP socket of that port.
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let mut server = Server::new(Table::default().records("mail.test", RecordType::A, vec![a(1)]));
    server.register_listener(tcp, Duration::from_secs(5), 32);
    let over_tcp = Resolver::with_servers(&[address], DnsProtocol::TcpOnly).unwrap();
    assert!(over_tcp.addresses(&domain("mail.test")).await.is_ok());
    // Over UDP: an answer that does not fit is not fetched over TCP, which is served.
    let (over_udp, _server) = served(large(), DnsProtocol::UdpOnly).await;
    let error = over_udp.mx(&domain("contoso.test")).await.unwrap_err();
    assert_eq!(error.severity(), Severity::Transient, "{error}");
    assert!(error.to_string().contains("truncated"), "{error}");
}

#[test]
fn no_servers_is_an_error() {
    assert!(Resolver::with_servers(&[], DnsProtocol::Any).is_err());
}
