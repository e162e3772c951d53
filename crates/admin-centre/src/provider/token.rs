//! An ID token: whether it is the provider's, for us, of this sign-in and of now (OpenID Connect Core 1.0 §3.1.3.7). No clock and no
//! socket is here.

use std::time::Duration;

use envelope::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// How far the clocks of provider and centre may differ.
pub(super) const SKEW: Duration = Duration::from_secs(60);
/// A token was made for this sign-in: what is older was not.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// Keys of a provider that are tried at one token, where it does not say by which it is signed.
const TRIED_MAX: usize = 8;
/// Characters of a subject (§2).
const SUBJECT_MAX: usize = 255;
/// What a provider signs by. Not `none`, which is no signature, nor HS256, by which whoever has our secret would be the provider.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
    /// Who signs in must have proved himself at the provider since then.
    pub(super) proved_since: Option<Timestamp>,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejected {
    #[error(
        "its ID token is not a signed one that can be read here; let it sign with RS256, PS256, ES256 or EdDSA, and not encrypt"
    )]
    Form,
    #[error("its ID token is signed with {0}, by which a provider is not known")]
    Algorithm(String),
    #[error("its ID token is signed by none of the keys that it publishes")]
    Signature,
    #[error("its ID token is of another issuer: {0:?}")]
    Issuer(String),
    #[error("its ID token is for somebody else; look whether client-id is the one that it has for this centre")]
    Audience,
    #[error("its ID token ended {0} s ago; compare the clocks of both machines")]
    Expired(u64),
    #[error("its ID token is not of now: made {0} s ago, or good later; compare the clocks of both machines")]
    NotNow(i64),
    #[error("its ID token is of another sign-in than this one")]
    Nonce,
    #[error("its ID token has no {0}")]
    Missing(&'static str),
    #[error("it did not ask again who is there, or does not say so: auth_time of its ID token is {0} s ago")]
    NotProvedAgain(u64),
}

/// What a token says, believed.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A time.
    pub(super) fn time(&self, name: &'static str) -> Option<Timestamp> {
        let seconds = u64::try_from(date(&self.0, name).ok()?).ok()?;
        Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }

    /// Whether it says anything of it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        texts(self.0.get(name))
    }
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Believes a token, or says why not.
pub(super) fn check(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, Rejected> {
    let claims = signed(token, keys)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("iss") != expected.issuer {
        return Err(Rejected::Issuer(text("iss").chars().take(SUBJECT_MAX).collect()));
    }
    let audience = texts(claims.get("aud"));
    let party = claims.get("azp").and_then(Value::as_str);
    // Where others may use it too, it must have been made for us (§3.1.3.7, 3 to 5).
    if !audience.contains(&expected.client)
        || party.is_some_and(|party| party != expected.client)
        || (audience.len() > 1 && party.is_none())
    {
        return Err(Rejected::Audience);
    }
    times(&claims, expected)?;
    if !crate::codes::same(text("nonce"), expected.nonce) {
        return Err(Rejected::Nonce);
    }
    let subject = text("sub");
    if subject.is_empty() || subject.len() > SUBJECT_MAX {
        return Err(Rejected::Missing("sub"));
    }
    Ok(Claims(claims))
}

/// Seconds since 1970; a NumericDate may have a fraction (RFC 7519 §2).
fn date(claims: &Map<String, Value>, name: &'static str) -> Result<i64, Rejected> {
    let value = claims.get(name).ok_or(Rejected::Missing(name))?;
    let whole = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    whole.ok_or(Rejected::Missing(name))
}

fn times(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), Rejected> {
    let now = i64::try_from(expected.now.as_millis() / 1000).unwrap_or(i64::MAX);
    let (skew, age) = (SKEW.as_secs().cast_signed(), AGE_MAX.as_secs().cast_signed());
    let end = date(claims, "exp")?;
    if now >= end.saturating_add(skew) {
        return Err(Rejected::Expired(now.saturating_sub(end).unsigned_abs()));
    }
    let made = date(claims, "iat")?;
    let old = now.saturating_sub(made);
    if old < -skew || old > age.saturating_add(skew) {
        return Err(Rejected::NotNow(old));
    }
    if claims.contains_key("nbf") && date(claims, "nbf")? > now.saturating_add(skew) {
        return Err(Rejected::NotNow(old));
    }
    if let Some(since) = expected.proved_since {
        let since = i64::try_from(since.as_millis() / 1000).unwrap_or(i64::MAX);
        let proved = date(claims, "auth_time")?;
        if proved < since.saturating_sub(skew) {
            return Err(Rejected::NotProvedAgain(now.saturating_sub(proved).unsigned_abs()));
        }
    }
    Ok(())
}

/// What is signed by one of the keys.
fn signed(token: &str, keys: &[Jwk]) -> Result<Map<String, Value>, Rejected> {
    let Ok(header) = decode_header(token) else { return Err(unread(token)) };
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Rejected::Algorithm(format!("{:?}", header.alg)));
    }
    let mut validation = Validation::new(header.alg);
    // Times and audience are looked at here, by the clock that was given.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let named = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
    for key in keys.iter().filter(named).filter(|key| may_sign(key, header.alg)).take(TRIED_MAX) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        if key.family() != header.alg.family() {
            continue;
        }
        if let Ok(data) = decode::<Map<String, Value>>(token, &key, &validation) {
            return Ok(data.claims);
        }
    }
    Err(Rejected::Signature)
}

/// The algorithm of a token that cannot be read, where it says one.
fn unread(token: &str) -> Rejected {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap_or_default();
    let octets = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let named = serde_json::from_slice::<Value>(&octets).ok();
    let named = named.and_then(|header| header.get("alg").and_then(Value::as_str).map(str::to_owned));
    match named {
        Some(alg) if token.split('.').count() == 3 => Rejected::Algorithm(alg.chars().take(32).collect()),
        _ => Rejected::Form,
    }
}

/// A key of another purpose or algorithm does not sign, and a shared secret is nobody's public key.
fn may_sign(key: &Jwk, algorithm: Algorithm) -> bool {
    let purpose = key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let fits = key.common.key_algorithm.as_ref().is_none_or(|own| own.to_string() == format!("{algorithm:?}"));
    let shared = matches!(key.algorithm, AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_));
    purpose && fits && !shared
}
