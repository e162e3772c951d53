//! The PROXY protocol, versions 1 and 2: what a load balancer says of the client before the client's first octet.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, sections 2.1 and 2.2.
//!
//! Whoever asks has decided that the other end is a load balancer of its own: from anybody else such a header would be a lie
//! about an address. Not one octet behind the header is read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A load balancer sends the header with its first packet.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(3);

/// Section 2.2: what version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Section 2.1: the longest line of version 1, its end included.
const LINE_OCTETS_MAX: usize = 107;
/// Addresses and further fields of version 2: a TLS client certificate may be among them.
const BLOCK_OCTETS_MAX: usize = 4096;

/// Reads a header to its end. `None`: the load balancer speaks for itself (`LOCAL`, `UNKNOWN`), as health checks do.
///
/// # Errors
/// What came is no header, or the connection broke.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE { version_2(stream).await } else { version_1(start, stream).await }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no header of the PROXY protocol: {what}"))
}

/// `PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n`
async fn version_1(
    start: [u8; SIGNATURE.len()],
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    if !start.starts_with(b"PROXY ") {
        return Err(malformed("it begins otherwise"));
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_OCTETS_MAX {
            return Err(malformed("its line has no end"));
        }
        line.push(stream.read_u8().await?);
    }
    let text = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| malformed("it is no text"))?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let [Some(source), Some(_), Some(port), Some(_), None] = std::array::from_fn(|_| words.next()) else {
        return Err(malformed("four words are to follow the family"));
    };
    let source: IpAddr = source.parse().map_err(|_| malformed("an address is none"))?;
    let port: u16 = port.parse().map_err(|_| malformed("a port is none"))?;
    match (family, source) {
        ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)) => Ok(Some(SocketAddr::new(source, port))),
        _ => Err(malformed("address and family do not fit")),
    }
}

async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = usize::from(stream.read_u16().await?);
    if length > BLOCK_OCTETS_MAX {
        return Err(malformed("it is too long"));
    }
    let mut block = vec![0; length];
    stream.read_exact(&mut block).await?;
    match (command, family) {
        (0x20, _) => Ok(None),
        (0x21, 0x11) => Ok(Some(source_v4(&block)?)),
        (0x21, 0x21) => Ok(Some(source_v6(&block)?)),
        (0x21, 0x00) => Ok(None),
        (0x21, _) => Err(malformed("it is of another family than TCP over IPv4 or IPv6")),
        _ => Err(malformed("its version or command is not known")),
    }
}

/// Source address, destination address, source port, destination port.
fn source_v4(block: &[u8]) -> io::Result<SocketAddr> {
    let Some((&[a, b, c, d, _, _, _, _, high, low, _, _], _)) = block.split_first_chunk::<12>() else {
        return Err(malformed("its addresses are cut off"));
    };
    Ok(SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))))
}

fn source_v6(block: &[u8]) -> io::Result<SocketAddr> {
    let cut_off = || malformed("its addresses are cut off");
    let (source, rest) = block.split_first_chunk::<16>().ok_or_else(cut_off)?;
    let (_destination, rest) = rest.split_first_chunk::<16>().ok_or_else(cut_off)?;
    let (port, _) = rest.split_first_chunk::<2>().ok_or_else(cut_off)?;
    Ok(SocketAddr::from((Ipv6Addr::from(*source), u16::from_be_bytes(*port))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut octets: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let read = read(&mut octets).await;
        (read, octets.to_vec())
    }

    fn second(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block, b"EHLO"].concat()
    }

    #[tokio::test]
    async fn both_versions_name_the_client_and_leave_the_rest_alone() {
        let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 0, 25];
        let v6 =
            [&Ipv6Addr::LOCALHOST.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0x12, 0x67, 0, 25], b"more"].concat();
        for (octets, expected) in [
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nEHLO".to_vec(), Some("192.0.2.7:4711")),
            (b"PROXY TCP6 ::1 ::1 4711 25\r\nEHLO".to_vec(), Some("[::1]:4711")),
            (b"PROXY UNKNOWN\r\nEHLO".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\nEHLO".to_vec(), None),
            (second(0x21, 0x11, &v4), Some("192.0.2.7:4711")),
            (second(0x21, 0x21, &v6), Some("[::1]:4711")),
            (second(0x20, 0x00, &[]), None),
        ] {
            let (read, rest) = read_all(&octets).await;
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!((read.unwrap(), rest.as_slice()), (expected, &b"EHLO"[..]), "{octets:?}");
        }
    }

    #[tokio::test]
    async fn whatever_else_comes_is_no_header() {
        for octets in [
            b"EHLO client.example\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 4711 25\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.1 99999 25\r\n".to_vec(),
            [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(),
            second(0x31, 0x11, &[0; 12]),
            second(0x21, 0x11, &[0; 4]),
            second(0x21, 0x12, &[0; 12]),
            SIGNATURE.to_vec(),
        ] {
            assert!(read_all(&octets).await.0.is_err(), "{octets:?}");
        }
    }
}
