//! What a provider says of itself, its keys, and what it gives for a code: HTTP, bounded in size and time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::Jwk;
use net::http::{HttpPlace, HttpRequest, request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ProviderOptions;

/// For one question to the provider.
const PATIENCE: Duration = Duration::from_secs(8);
/// Octets of what it says of itself, and of what it gives for a code.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;
/// Octets of its keys; with certificates beside them they have some thousand each.
const KEYS_OCTETS_MAX: usize = 256 * 1024;
/// Keys that are looked at.
const KEYS_MAX: usize = 64;
/// Characters of what it says is wrong.
const TOLD_MAX: usize = 300;
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// What a provider says of itself (OpenID Connect Discovery 1.0 §3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    pub(super) end_session_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207 §3
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Asks the provider what it is.
    pub(super) async fn ask(options: &ProviderOptions) -> Result<Self, String> {
        let at = format!("{}{WELL_KNOWN}", options.issuer.trim_end_matches('/'));
        let metadata: Self = answer(options, &at, Question::Get, ANSWER_OCTETS_MAX).await?;
        if metadata.issuer != options.issuer {
            let told = cut(&metadata.issuer);
            return Err(format!("{at}: it calls itself {told:?}; write that as issuer if it is the one that you mean"));
        }
        let ends = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        for end in ends.into_iter().chain(&metadata.end_session_endpoint) {
            place(options, end)?;
        }
        if let Some(methods) = &metadata.code_challenge_methods_supported
            && !methods.iter().any(|method| method == "S256")
        {
            return Err(format!("{at}: it offers no PKCE with S256; switch that on at the provider"));
        }
        Ok(metadata)
    }

    /// The keys by which it signs now. Asked for at each sign-in: one that it took back counts no more, a new one at once.
    pub(super) async fn keys(&self, options: &ProviderOptions) -> Result<Vec<Jwk>, String> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<Value>,
        }
        let keys: Keys = answer(options, &self.jwks_uri, Question::Get, KEYS_OCTETS_MAX).await?;
        // A kind that is not known here is no reason to know none.
        Ok(keys.keys.into_iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value(key).ok()).collect())
    }

    /// The ID token for a code (OpenID Connect Core 1.0 §3.1.3).
    pub(super) async fn token(
        &self,
        options: &ProviderOptions,
        code: &str,
        verifier: &str,
        redirect: &str,
    ) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Given {
            id_token: Option<String>,
        }
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        // Basic is what a provider has that does not say (Discovery §3).
        let basic = methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        let mut credential = None;
        match &options.secret {
            Some(secret) if basic => {
                let part = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                credential = Some(STANDARD.encode(format!("{}:{}", part(&options.client), part(secret))));
            }
            Some(secret) => form.extend([("client_id", options.client.as_str()), ("client_secret", secret)]),
            None => form.push(("client_id", &options.client)),
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let question = Question::Post { body, credential };
        let given: Given = answer(options, &self.token_endpoint, question, ANSWER_OCTETS_MAX).await?;
        given
            .id_token
            .ok_or_else(|| format!("{}: it gave no ID token; is the scope openid allowed?", self.token_endpoint))
    }
}

enum Question {
    Get,
    Post { body: String, credential: Option<String> },
}

/// Where something of the provider is: by TLS, or on this machine, if the provider itself is there without.
fn place(options: &ProviderOptions, text: &str) -> Result<HttpPlace, String> {
    let found = HttpPlace::of(text).ok_or_else(|| format!("{:?} is no address that can be asked", cut(text)))?;
    let plain = !options.issuer.starts_with("https://");
    if found.is_secure() || (plain && found.is_local()) { Ok(found) } else { Err(format!("{found}: it must be https")) }
}

async fn answer<T: DeserializeOwned>(
    options: &ProviderOptions,
    at: &str,
    question: Question,
    octets_max: usize,
) -> Result<T, String> {
    let place = place(options, at)?;
    let mut headers = vec![("accept", "application/json".to_owned())];
    let body = match question {
        Question::Get => None,
        Question::Post { body, credential } => {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
            headers.extend(credential.map(|credential| ("authorization", format!("Basic {credential}"))));
            Some(body.into_bytes())
        }
    };
    let asked = HttpRequest { headers, body, tls: Some(&options.tls), timeout: PATIENCE, octets_max };
    let answer = request(&options.resolver, &place, asked).await?;
    if answer.status != 200 {
        return Err(format!("{place}: HTTP {}{}", answer.status, told(&answer.body)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| format!("{place}: its answer is not understood: {error}"))
}

/// What it says is wrong (RFC 6749 §5.2).
fn told(body: &[u8]) -> String {
    let Ok(told) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("error"), text("error_description")) {
        ("", _) => String::new(),
        ("invalid_client", _) => {
            ", invalid_client: it does not take client-id and client-secret-file for its own".to_owned()
        }
        (error, why) => cut(&format!(", {error} {why}")).trim_end().to_owned(),
    }
}

/// What others say, as much of it as fits a line.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(TOLD_MAX).collect()
}
