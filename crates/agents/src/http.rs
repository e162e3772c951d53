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
use serde::{Deserialize, Serialize};

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

#[derive(Deserialize)]
struct Outcomes {
    recipients: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    outcome: Word,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    text: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Delivered,
    Later,
    Failed,
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
            // The same when the message is given again.
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
        let words: String = text.chars().filter(|one| !one.is_control()).take(WORDS_MAX).collect();
        format!("HTTP {} {}", answer.status, words.trim())
    };
    match answer.status {
        200..300 => match serde_json::from_slice::<Outcomes>(&answer.body) {
            Ok(said) if said.recipients.len() == count => said.recipients.iter().map(of_recipient).collect(),
            // Whatever else it says: it took the message.
            _ => vec![AgentAnswer::Delivered; count],
        },
        status if status >= 500 || AGAIN.contains(&status) => vec![later(said()); count],
        _ => vec![failed(said()); count],
    }
}

fn of_recipient(outcome: &Outcome) -> AgentAnswer {
    let words: String = outcome.text.chars().filter(|one| !one.is_control()).take(WORDS_MAX).collect();
    let status = outcome.status.as_deref().and_then(|status| status.parse::<EnhancedStatus>().ok());
    let fitting =
        |generic: EnhancedStatus| status.filter(|status| status.severity() == generic.severity()).unwrap_or(generic);
    match outcome.outcome {
        Word::Delivered => AgentAnswer::Delivered,
        Word::Later => AgentAnswer::Later(Reply::new(450, fitting(EnhancedStatus::new(4, 0, 0)), words)),
        Word::Failed => AgentAnswer::Failed(Reply::new(550, fitting(EnhancedStatus::new(5, 0, 0)), words)),
    }
}

#[cfg(test)]
mod tests;
