//! A DNS server that answers A and MX from a table, over UDP. Names that are not in the table do not exist.

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
    let found = records.get(labels.join(".").as_str());
    let chosen: Vec<(u16, Vec<u8>)> = found.into_iter().flatten().map(data).filter(|(of, _)| *of == kind).collect();
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
    for (kind, data) in chosen {
        // A pointer to the question's name, the type, class IN, a TTL of one minute.
        message.extend([0xc0, 12]);
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
            for label in host.split('.').filter(|label| !label.is_empty()) {
                data.push(u8::try_from(label.len()).expect("a packet of a resolver"));
                data.extend(label.as_bytes());
            }
            data.push(0);
            (15, data)
        }
    }
}
