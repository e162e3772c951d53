//! Entrances that the settings open: TLS from the first octet, and load balancers that say who their clients are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use net::tls::TrustedRoots;
use net::{Service, Stream, TlsClient, Verification};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{Lab, ONE_SERVER};

const PATIENCE: Duration = Duration::from_secs(10);
/// Of them all addresses are loopback: each may be somebody.
const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const CLIENT: &str = "203.0.113.7";

async fn connect(from: Ipv4Addr, to: SocketAddr) -> Stream {
    net::connect(to, Some(IpAddr::from(from)), PATIENCE).await.unwrap()
}

/// The line that comes next.
async fn line(stream: &mut BufReader<Stream>) -> String {
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.unwrap().unwrap();
    line
}

/// What the server says to `EHLO`, first line.
async fn greeted(mut stream: BufReader<Stream>) -> String {
    let banner = line(&mut stream).await;
    assert!(banner.starts_with("220 "), "{banner}");
    stream.write_all(b"EHLO client.example\r\n").await.unwrap();
    stream.flush().await.unwrap();
    line(&mut stream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_begins_at_once_where_the_settings_say_so_and_load_balancers_tell_who_comes() {
    let mut lab = Lab::start(ONE_SERVER).await;
    let server = lab.server("BERLIN1");
    let (path, smtp) = (server.settings_path(), server.smtp().unwrap());
    let encrypted = SocketAddr::new(smtp.ip(), 5466);
    let table = "[services.frontend-transport]\n";
    let added = format!("{table}submissions = \"{encrypted}\"\nload-balancers = [\"{BALANCER}\"]\n");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(table), "{text}");
    lab.stop("BERLIN1", Service::FrontendTransport).await;
    std::fs::write(&path, text.replace(table, &added)).unwrap();
    lab.start_again("BERLIN1", Service::FrontendTransport).await;

    // RFC 8314: the banner comes under TLS, and STARTTLS is not offered any more.
    let client = TlsClient::new(TrustedRoots::none());
    let host = "berlin1.contoso.example".parse().unwrap();
    let stream = connect(Ipv4Addr::LOCALHOST, encrypted).await;
    let (stream, _) = client.connect(stream, &host, &Verification::None).await.unwrap();
    let mut stream = BufReader::new(stream);
    assert!(line(&mut stream).await.starts_with("220 "));
    stream.write_all(b"EHLO client.example\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut offered = vec![line(&mut stream).await];
    while offered.last().unwrap().as_bytes()[3] == b'-' {
        offered.push(line(&mut stream).await);
    }
    assert!(offered.iter().any(|line| line.contains("AUTH ")), "{offered:?}");
    assert!(!offered.iter().any(|line| line.contains("STARTTLS")), "{offered:?}");

    // A load balancer says who comes, in either version.
    let first = format!("PROXY TCP4 {CLIENT} 192.0.2.1 4711 25\r\n").into_bytes();
    let second =
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x67, 0, 25]].concat();
    for header in [&first, &second] {
        let mut stream = connect(BALANCER, smtp).await;
        stream.write_all(header).await.unwrap();
        stream.flush().await.unwrap();
        let hello = greeted(BufReader::new(stream)).await;
        assert!(hello.contains(CLIENT), "{hello}");
    }
    // From nobody else is it believed, and a load balancer that is silent gets nothing.
    let mut stream = connect(Ipv4Addr::new(127, 0, 0, 8), smtp).await;
    stream.write_all(&first).await.unwrap();
    stream.flush().await.unwrap();
    let mut stream = BufReader::new(stream);
    let said = [line(&mut stream).await, line(&mut stream).await].concat();
    assert!(!said.contains(CLIENT) && said.contains("50") | said.contains("554"), "{said}");
    let mut stream = connect(BALANCER, smtp).await;
    stream.write_all(b"EHLO client.example\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut said = String::new();
    let mut stream = BufReader::new(stream);
    let read = stream.read_line(&mut said);
    // What it had not read when it closed may be told to us as a reset.
    let _ended = tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert_eq!(said, "");
    lab.finish().await;
}
