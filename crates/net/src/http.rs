//! HTTP as far as others speak it: one request, no redirects, bounded in size and time.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;

use crate::dns::Resolver;
use crate::host::Host;
use crate::stream::{Stream, connect};
use crate::tls::{TlsClient, Verification};

/// For a connection to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 2;
/// Ports of HTTP and HTTPS.
const PORTS: [u16; 2] = [80, 443];

/// What is asked, and where.
#[derive(Clone, Debug)]
pub struct HttpRequest<'a> {
    /// Header fields besides those that every request has.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent; a request without asks.
    pub body: Option<Vec<u8>>,
    /// By what a server of `https://` is known.
    pub tls: Option<&'a TlsClient>,
    /// For all of it, from the name to the last octet.
    pub timeout: Duration,
    /// Octets of an answer.
    pub octets_max: usize,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 200, 404, …
    pub status: u16,
    /// What came with it.
    pub body: Bytes,
}

/// Asks, or sends.
///
/// # Errors
/// What is in the way, with the place.
pub async fn request(resolver: &Resolver, place: &HttpPlace, request: HttpRequest<'_>) -> Result<HttpAnswer, String> {
    let timeout = request.timeout;
    let asked = tokio::time::timeout(timeout, ask(resolver, place, request)).await;
    let late = || format!("no answer in {} s", timeout.as_secs());
    asked.unwrap_or_else(|_| Err(late())).map_err(|error| format!("{place}: {error}"))
}

async fn ask(resolver: &Resolver, place: &HttpPlace, request: HttpRequest<'_>) -> Result<HttpAnswer, String> {
    let stream = open(resolver, place, request.tls).await?;
    let (mut sender, connection) =
        http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let method = if request.body.is_some() { Method::POST } else { Method::GET };
    let mut asked = Request::builder().method(method).uri(&*place.path);
    asked = asked.header(HOST, &*place.authority).header(USER_AGENT, "postroad");
    for (name, value) in request.headers {
        asked = asked.header(name, value);
    }
    let asked = asked.body(Full::from(request.body.unwrap_or_default())).map_err(|error| error.to_string())?;
    let answer = match sender.send_request(asked).await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), request.octets_max).collect().await;
            body.map(|body| HttpAnswer { status, body: body.to_bytes() }).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    // One request each.
    connection.abort();
    answer
}

async fn open(resolver: &Resolver, place: &HttpPlace, tls: Option<&TlsClient>) -> Result<Stream, String> {
    let addresses = match &place.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => resolver.addresses(name).await.map_err(|error| error.to_string())?,
    };
    let mut last = "it has no address".to_owned();
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        match connect(SocketAddr::new(address, place.port), None, CONNECT_TIMEOUT).await {
            Ok(stream) if !place.is_secure => return Ok(stream),
            Ok(stream) => {
                let tls = tls.ok_or("nothing is believed here by which an https server could be known")?;
                let shaken = tls.connect(stream, &place.host, &place.verification()).await;
                match shaken {
                    Ok((stream, _)) => return Ok(stream),
                    Err(error) => last = error.to_string(),
                }
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Where something is: `http://host:port/path`, `https://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPlace {
    authority: Box<str>,
    host: Host,
    port: u16,
    path: Box<str>,
    is_secure: bool,
}

impl std::fmt::Display for HttpPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl HttpPlace {
    /// Takes an address apart; `None` for what is none, or of another scheme.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = match scheme {
            scheme if scheme.eq_ignore_ascii_case("http") => false,
            scheme if scheme.eq_ignore_ascii_case("https") => true,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // What begins with a question has the shortest path.
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        PathAndQuery::try_from(path.as_str()).ok()?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, PORTS[usize::from(is_secure)]),
        };
        let host = host.parse().ok()?;
        Some(Self { authority: authority.into(), host, port, path: path.into(), is_secure })
    }

    fn verification(&self) -> Verification {
        match &self.host {
            Host::Name(name) => Verification::Domain(name.clone()),
            address @ Host::Address(_) => Verification::Host(address.clone()),
        }
    }

    /// Whether it is reached by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name.as_str().eq_ignore_ascii_case("localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HttpPlace;

    #[test]
    fn addresses_are_taken_apart() {
        let shown = |text: &str| {
            HttpPlace::of(text).map(|place| {
                format!("{} {} {} {} {}", place.authority, place.host, place.port, place.path, place.is_secure)
            })
        };
        for (text, expected) in [
            ("http://crl.test/a/b.crl?c", "crl.test crl.test 80 /a/b.crl?c false"),
            ("HTTP://crl.test:8080", "crl.test:8080 crl.test 8080 / false"),
            ("https://hooks.test/x", "hooks.test hooks.test 443 /x true"),
            ("http://127.0.0.1:81/x#y", "127.0.0.1:81 [127.0.0.1] 81 /x false"),
            ("http://[::1]:82/", "[::1]:82 [::1] 82 / false"),
            ("http://[::1]/", "[::1] [::1] 80 / false"),
            ("https://hooks.test?key=1#x", "hooks.test hooks.test 443 /?key=1 true"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["ldap://crl.test", "http:/x", "http://", "http://a b/", "http://x:y/", "http://x/a b", "crl.test"]
        {
            assert_eq!(shown(text), None, "{text}");
        }
        assert!(HttpPlace::of("http://127.0.0.1/").unwrap().is_local());
        assert!(!HttpPlace::of("http://hooks.test/").unwrap().is_local());
    }
}
