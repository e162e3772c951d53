//! A DNS server that answers A, MX and CNAME from a table, over UDP, following aliases as a resolver's name server does. Names that
//! are not in the table do not exist.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;

/// One record of a name.
#[derive(Clone, Debug)]
pub enum Record {
    /// An address.
    A(Ipv4Addr),
    /// `.` as host is the null MX.
    Mx(u16, &'static str),
    /// Another name for that one.
    Cname(&'static str),
}

/// Serves `table` until the runtime ends.
///
/// # Panics
/// When no port is free.
pub async fn serve(table: &[(&'static str, Record)]) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a packet of a resolver");
    let address = socket.local_addr().expect("a packet of a resolver");
    let mut records = BTreeMap::<_, Vec<Record>>::new();
    for (name, record) in table {
        records.entry(*name).or_default().push(record.clone());
    }
    let records = Arc::new(records);
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((octets, client)) = socket.recv_from(&mut query).await {
            let answer = answer(&query[..octets], &records);
            socket.send_to(&answer, client).await.expect("a packet of a resolver");
        }
    });
    address
}

/// RFC 1035 §4.1.
fn answer(query: &[u8], records: &BTreeMap<&'static str, Vec<Record>>) -> Vec<u8> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    // Owner, type and data of each record; an alias is followed by what it stands for.
    let (mut chosen, mut name) = (Vec::new(), labels.join("."));
    let mut found = records.get(name.as_str());
    while let Some([Record::Cname(target)]) = found.map(Vec::as_slice) {
        chosen.push((encoded(&name), 5, encoded(target)));
        name = (*target).to_owned();
        found = records.get(name.as_str());
    }
    let of_kind = found.into_iter().flatten().map(data).filter(|(of, _)| *of == kind);
    chosen.extend(of_kind.map(|(kind, data)| (encoded(&name), kind, data)));
    let code = if found.is_some() { 0 } else { 3 };
    let mut message = Vec::from(&query[..2]);
    message.extend([
        0x85,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(chosen.len()).expect("a packet of a resolver"),
        0,
        0,
        0,
        0,
    ]);
    message.extend(question);
    for (owner, kind, data) in chosen {
        // The name, the type, class IN, a TTL of one minute.
        message.extend(owner);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend(u16::try_from(data.len()).expect("a packet of a resolver").to_be_bytes());
        message.extend(data);
    }
    message
}

fn data(record: &Record) -> (u16, Vec<u8>) {
    match record {
        Record::A(address) => (1, address.octets().to_vec()),
        Record::Mx(preference, host) => {
            let mut data = preference.to_be_bytes().to_vec();
            data.extend(encoded(host));
            (15, data)
        }
        Record::Cname(target) => (5, encoded(target)),
    }
}

/// RFC 1035 §3.1.
fn encoded(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a packet of a resolver"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}
