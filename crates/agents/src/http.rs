//! Mail for whatever listens to HTTP: each message is one JSON document, posted, signed, and tried again where that may help. For
//! gateways of text messages, ticket systems, chats.
//!
//! ```json
//! { "id": "01a22d90-…", "connector": "MOBILE", "sender": "anna@contoso.com",
//!   "recipients": [{"type": "MOBILE", "address": "+49301234567"}],
//!   "subject": "…", "text": "…", "message": "the whole of it, in Base64" }
//! ```
//!
//! | answer | what becomes of it |
//! |---|---|
//! | 2xx | delivered, unless the body says `{"recipients": [{"outcome": "failed", "text": "…"}, …]}`, one for each |
//! | 2xx with outcomes that are not one for each, or none of the three | tried again |
//! | 408, 425, 429, 5xx, none | tried again |
//! | anything else | reported to the sender |

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use envelope::{EnhancedStatus, Reply};
use net::TlsClient;
use net::dns::Resolver;
use net::http::{HttpAnswer, HttpPlace, HttpRequest, request};
use net::signature::keyed_digest;
use rpc::{AgentAnswer, AgentDelivery};
use serde::Serialize;
use serde_json::Value;

use crate::Agent;

/// Time for one message: below the ten minutes after which Transport gives it to another.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Octets of an answer.
const ANSWER_OCTETS_MAX: usize = 1 << 20;
/// Statuses besides 5xx by which a server says that it may be tried again.
const AGAIN: [u16; 3] = [408, 425, 429];
/// Characters of an answer that are passed on.
const WORDS_MAX: usize = 400;

/// Delivers by HTTP.
#[derive(Clone)]
pub struct Http {
    /// Where messages are posted.
    pub place: HttpPlace,
    /// How names are found.
    pub resolver: Resolver,
    /// By what a server of `https://` is known.
    pub tls: TlsClient,
    /// With which each document is signed.
    pub secret: Option<zeroize::Zeroizing<Vec<u8>>>,
}

#[derive(Serialize)]
struct Document<'a> {
    id: String,
    connector: &'a str,
    sender: &'a str,
    recipients: Vec<Addressed<'a>>,
    subject: Option<String>,
    text: Option<String>,
    message: String,
}

#[derive(Serialize)]
struct Addressed<'a> {
    r#type: &'a str,
    address: &'a str,
}

#[async_trait]
impl Agent for Http {
    async fn deliver(&self, delivery: &AgentDelivery, content: Bytes) -> Vec<AgentAnswer> {
        let count = delivery.recipients.len();
        let body = match serde_json::to_vec(&document(delivery, &content)) {
            Ok(body) => body,
            Err(error) => return vec![later(error.to_string()); count],
        };
        let asked = HttpRequest {
            headers: self.headers(delivery, &body),
            body: Some(body),
            tls: Some(&self.tls),
            timeout: REQUEST_TIMEOUT,
            octets_max: ANSWER_OCTETS_MAX,
        };
        match request(&self.resolver, &self.place, asked).await {
            Ok(answer) => outcomes(&answer, count),
            Err(error) => vec![later(error); count],
        }
    }
}

impl Http {
    fn headers(&self, delivery: &AgentDelivery, body: &[u8]) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            // The same when the message is given again to the same recipients.
            ("idempotency-key", delivery.id.to_string()),
        ];
        if let Some(secret) = &self.secret {
            let digest = keyed_digest(secret, body);
            let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
            headers.push(("postroad-signature", format!("sha256={digits}")));
        }
        headers
    }
}

fn document<'a>(delivery: &'a AgentDelivery, content: &[u8]) -> Document<'a> {
    let recipients = delivery.recipients.iter().map(|(kind, address)| Addressed { r#type: kind, address }).collect();
    let (header, _) = message::split_header(content);
    Document {
        id: delivery.id.to_string(),
        connector: &delivery.connector,
        sender: &delivery.sender,
        recipients,
        subject: message::HeaderBlock::new(header).subject(),
        text: message::plain_text(content),
        message: BASE64.encode(content),
    }
}

fn later(text: impl Into<String>) -> AgentAnswer {
    AgentAnswer::Later(Reply::new(450, EnhancedStatus::new(4, 4, 2), text.into()))
}

fn failed(text: impl Into<String>) -> AgentAnswer {
    AgentAnswer::Failed(Reply::new(550, EnhancedStatus::new(5, 0, 0), text.into()))
}

/// What a server answered, for each of `count` recipients.
fn outcomes(answer: &HttpAnswer, count: usize) -> Vec<AgentAnswer> {
    let said = || {
        let text = String::from_utf8_lossy(&answer.body);
        format!("HTTP {} {}", answer.status, shown(&text).trim())
    };
    match answer.status {
        200..300 => match of_each(&answer.body) {
            None => vec![AgentAnswer::Delivered; count],
            Some(each) if each.len() == count => each.iter().map(of_recipient).collect(),
            // Some of them may have failed; a second time is better than never.
            Some(each) => vec![later(format!("it spoke of {} recipients of {count}: {}", each.len(), said())); count],
        },
        status if status >= 500 || AGAIN.contains(&status) => vec![later(said()); count],
        _ => vec![failed(said()); count],
    }
}

/// What an answer says of recipients. Whatever else it says, by its status the server took the message.
fn of_each(body: &[u8]) -> Option<Vec<Value>> {
    let Value::Object(mut said) = serde_json::from_slice(body).ok()? else { return None };
    let Some(Value::Array(each)) = said.remove("recipients") else { return None };
    each.iter().any(|one| one.get("outcome").is_some()).then_some(each)
}

fn of_recipient(said: &Value) -> AgentAnswer {
    let word = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = word("status").parse::<EnhancedStatus>().ok();
    let fitting =
        |generic: EnhancedStatus| status.filter(|status| status.severity() == generic.severity()).unwrap_or(generic);
    let (outcome, text) = (word("outcome").to_lowercase(), shown(word("text")));
    match outcome.as_str() {
        "delivered" => AgentAnswer::Delivered,
        "later" => AgentAnswer::Later(Reply::new(450, fitting(EnhancedStatus::new(4, 0, 0)), text)),
        "failed" => AgentAnswer::Failed(Reply::new(550, fitting(EnhancedStatus::new(5, 0, 0)), text)),
        _ => later(format!("its outcome is no word that is known here: {}", shown(&said.to_string()))),
    }
}

/// Words of others that get into logs and notifications.
fn shown(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests;
