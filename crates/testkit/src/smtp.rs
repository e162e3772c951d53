//! An SMTP client that says one line at a time and waits for each reply.

use std::net::{IpAddr, SocketAddr};

use net::tls::TrustedRoots;
use net::{Stream, TlsClient, Verification};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A client that waits for each reply.
pub struct Client {
    stream: Stream,
    unread: String,
}

impl Client {
    /// Connects and says EHLO.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::begin(to, "").await
    }

    /// The same as a load balancer that says who its client is (PROXY protocol).
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn connect_behind(to: SocketAddr, client: IpAddr) -> Self {
        Self::begin(to, &behind(client)).await
    }

    /// What the server says to a client of such a load balancer before it says anything, be it that it is sent away.
    ///
    /// # Panics
    /// When the server says nothing.
    pub async fn knock_behind(to: SocketAddr, client: IpAddr) -> String {
        Self::open(to, &behind(client)).await.reply().await
    }

    async fn begin(to: SocketAddr, header: &str) -> Self {
        let mut client = Self::open(to, header).await;
        assert!(client.reply().await.starts_with("220 mail1.contoso.com "));
        client.say("EHLO client.example").await;
        client
    }

    /// What a server says first.
    ///
    /// # Panics
    /// When nobody is there.
    pub async fn first_reply(of: SocketAddr) -> String {
        Self::open(of, "").await.reply().await
    }

    /// Connects and sends what comes before the first reply; that is not read yet.
    async fn open(to: SocketAddr, header: &str) -> Self {
        let stream = net::connect(to, None, net::stream::CONNECT_TIMEOUT).await.expect("the server talks SMTP");
        let mut client = Self { stream, unread: String::new() };
        client.write(header.as_bytes()).await;
        client
    }

    /// Sends octets as they are.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("the server talks SMTP");
        self.stream.flush().await.expect("the server talks SMTP");
    }

    /// Sends a line, gives the reply: its lines joined with ` / `.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// The next reply, its lines joined with ` / `.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn reply(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            let Some(end) = self.unread.find("\r\n") else {
                let mut buffer = [0; 4096];
                let count = self.stream.read(&mut buffer).await.expect("the server talks SMTP");
                assert!(count > 0, "the server hung up after {lines:?}");
                self.unread.push_str(std::str::from_utf8(&buffer[..count]).expect("the server talks SMTP"));
                continue;
            };
            let line: String = self.unread.drain(..end + 2).collect();
            lines.push(line.trim_end().to_owned());
            if line.as_bytes()[3] == b' ' {
                return lines.join(" / ");
            }
        }
    }

    /// STARTTLS, whatever the certificate, and EHLO again.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn start_tls(mut self) -> Self {
        assert!(self.say("STARTTLS").await.starts_with("220"));
        let tls = TlsClient::new(TrustedRoots::none());
        let host = "mail1.contoso.com".parse().expect("the server talks SMTP");
        let (stream, _) = tls.connect(self.stream, &host, &Verification::None).await.expect("the server talks SMTP");
        let mut client = Self { stream, unread: self.unread };
        client.say("EHLO client.example").await;
        client
    }

    /// Sends a whole message; gives the last reply.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn send(&mut self, from: &str, to: &[&str], content: &str) -> String {
        assert!(self.say(&format!("MAIL FROM:<{from}>")).await.starts_with("250"));
        for recipient in to {
            let reply = self.say(&format!("RCPT TO:<{recipient}>")).await;
            assert!(reply.starts_with("250"), "{recipient}: {reply}");
        }
        assert!(self.say("DATA").await.starts_with("354"));
        self.write(content.as_bytes()).await;
        self.say("\r\n.").await
    }

    /// `AUTH PLAIN` with an initial response. No test has another use for base64.
    ///
    /// # Panics
    /// When the server does not go along.
    pub async fn log_on(&mut self, user: &str, password: &str) -> String {
        self.say(&format!("AUTH PLAIN {}", plain(user, password))).await
    }
}

fn behind(client: IpAddr) -> String {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {client} {client} 4711 25\r\n")
}

/// User and password as `AUTH PLAIN` has them (RFC 4616).
#[must_use]
pub fn plain(user: &str, password: &str) -> String {
    let octets = format!("\0{user}\0{password}").into_bytes();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for triple in octets.chunks(3) {
        let bits = triple.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - triple.len()));
        for at in 0..4 {
            let digit = alphabet[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= triple.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
