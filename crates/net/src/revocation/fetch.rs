//! Lists and answers over HTTP.

use std::time::Duration;

use hyper::body::Bytes;

use crate::dns::Resolver;
use crate::http::{HttpPlace, HttpRequest, request};

/// For one request, from the name to the last octet.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The lists of public authorities have some megabytes at most.
const LIST_OCTETS_MAX: usize = 16 << 20;
/// A response is about one certificate, and holds two or three.
const ANSWER_OCTETS_MAX: usize = 64 << 10;
/// HTTP's own word for that all is well.
const OK: u16 = 200;

/// The list at an address.
pub(super) async fn list(resolver: &Resolver, place: &str) -> Result<Bytes, String> {
    ask(resolver, place, None, LIST_OCTETS_MAX).await
}

/// What a responder answers (RFC 6960 §A.1).
pub(super) async fn answer(resolver: &Resolver, place: &str, question: Vec<u8>) -> Result<Bytes, String> {
    ask(resolver, place, Some(question), ANSWER_OCTETS_MAX).await
}

async fn ask(resolver: &Resolver, place: &str, question: Option<Vec<u8>>, limit: usize) -> Result<Bytes, String> {
    // A certificate that named a place by TLS would have to be verified for it.
    let known = HttpPlace::of(place).filter(|place| !place.is_secure());
    let known = known.ok_or_else(|| format!("{place}: is no address that can be asked"))?;
    let types = ["content-type", "accept"].into_iter().zip(["application/ocsp-request", "application/ocsp-response"]);
    let headers = match &question {
        None => Vec::new(),
        Some(_) => types.map(|(name, value)| (name, value.to_owned())).collect(),
    };
    let asked = HttpRequest { headers, body: question, tls: None, timeout: REQUEST_TIMEOUT, octets_max: limit };
    let answer = request(resolver, &known, asked).await?;
    if answer.status == OK { Ok(answer.body) } else { Err(format!("{place}: HTTP {}", answer.status)) }
}
