//! Lists and answers over HTTP: one request, no redirects, bounded in size and time.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;

use crate::dns::Resolver;
use crate::host::Host;
use crate::stream::{Stream, connect};

/// For one request, from the name to the last octet.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// For a connection to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 2;
/// The lists of public authorities have some megabytes at most.
const LIST_OCTETS_MAX: usize = 16 << 20;
/// A response is about one certificate, and holds two or three.
const ANSWER_OCTETS_MAX: usize = 64 << 10;
/// HTTP's own.
const PORT: u16 = 80;

/// The list at an address.
pub(super) async fn list(resolver: &Resolver, place: &str) -> Result<Bytes, String> {
    request(resolver, place, None, LIST_OCTETS_MAX).await
}

/// What a responder answers (RFC 6960 §A.1).
pub(super) async fn answer(resolver: &Resolver, place: &str, question: Vec<u8>) -> Result<Bytes, String> {
    request(resolver, place, Some(question), ANSWER_OCTETS_MAX).await
}

async fn request(resolver: &Resolver, place: &str, question: Option<Vec<u8>>, limit: usize) -> Result<Bytes, String> {
    let asked = tokio::time::timeout(REQUEST_TIMEOUT, ask(resolver, place, question, limit)).await;
    let late = || format!("no answer in {} s", REQUEST_TIMEOUT.as_secs());
    asked.unwrap_or_else(|_| Err(late())).map_err(|error| format!("{place}: {error}"))
}

async fn ask(resolver: &Resolver, place: &str, question: Option<Vec<u8>>, limit: usize) -> Result<Bytes, String> {
    let Place { authority, host, port, path } = Place::of(place).ok_or("is no address that can be asked")?;
    let stream = open(resolver, &host, port).await?;
    let (mut sender, connection) =
        http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().uri(path).header(HOST, authority).header(USER_AGENT, "postroad");
    request = match &question {
        None => request.method(Method::GET),
        Some(_) => request
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/ocsp-request")
            .header(ACCEPT, "application/ocsp-response"),
    };
    let request = request.body(Full::from(question.unwrap_or_default())).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string());
    let body = match response {
        Ok(response) if response.status() == StatusCode::OK => {
            Limited::new(response.into_body(), limit).collect().await.map_err(|error| error.to_string())
        }
        Ok(response) => Err(format!("HTTP {}", response.status())),
        Err(error) => Err(error),
    };
    // One request each.
    connection.abort();
    body.map(http_body_util::Collected::to_bytes)
}

async fn open(resolver: &Resolver, host: &Host, port: u16) -> Result<Stream, String> {
    let addresses = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => resolver.addresses(name).await.map_err(|error| error.to_string())?,
    };
    let mut last = "it has no address".to_owned();
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        match connect(SocketAddr::new(address, port), None, CONNECT_TIMEOUT).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

struct Place<'a> {
    authority: &'a str,
    host: Host,
    port: u16,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let rest = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &text[7..])?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().filter(|path| path.starts_with('/')).unwrap_or("/");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, PORT),
        };
        Some(Self { authority, host: host.parse().ok()?, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn addresses_are_taken_apart() {
        let shown = |text: &str| {
            Place::of(text).map(|place| format!("{} {} {} {}", place.authority, place.host, place.port, place.path))
        };
        for (text, expected) in [
            ("http://crl.test/a/b.crl?c", "crl.test crl.test 80 /a/b.crl?c"),
            ("HTTP://crl.test:8080", "crl.test:8080 crl.test 8080 /"),
            ("http://127.0.0.1:81/x#y", "127.0.0.1:81 [127.0.0.1] 81 /x"),
            ("http://[::1]:82/", "[::1]:82 [::1] 82 /"),
            ("http://[::1]/", "[::1] [::1] 80 /"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["https://crl.test/", "ldap://crl.test", "http:/x", "http://", "http://a b/", "http://x:y/"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
