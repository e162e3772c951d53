//! Signing in by a provider of the organization: OpenID Connect Core 1.0, the authorization code flow (§3.1), with PKCE (RFC 7636),
//! `state` and `nonce` (WA-60). The provider says who somebody is and of which groups; the settings say which role groups these are.
//!
//! ```text
//!   browser ── /sign-in/provider ──▶ begin: state, nonce, verifier kept; 303 to the provider
//!   browser ◀─────────── signs in at the provider ───────────▶
//!   browser ── /sign-in/callback ──▶ finish: state of this browser, once; code for ID token; token believed or not
//! ```
//!
//! The way there is a link and no form, so that the Content-Security-Policy needs to name no foreign origin for `form-action`, and a
//! provider may hand on to others.

mod discovery;
#[cfg(test)]
mod tests;
mod token;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use authority::RoleGroup;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envelope::Timestamp;
use net::digest::sha256;
use net::dns::Resolver;
use net::host::Host;
use net::http::HttpPlace;
use net::source::source;
use net::tls::TlsClient;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::codes;
use crate::room::{Limits, make_room};
use discovery::{Metadata, cut};
use token::{Claims, Expected, SKEW};

/// Somebody has so long to sign in at the provider.
const PENDING_GOOD: Duration = Duration::from_secs(10 * 60);
/// Most sign-ins that were begun and not finished; the oldest makes room.
const PENDING_MAX: usize = 1_000;
/// Of them from one source: more take the place of its own.
const PENDING_SOURCE_MAX: usize = 50;
const LIMITS: Limits = Limits { own: PENDING_SOURCE_MAX, all: PENDING_MAX };
/// What the provider says of itself is asked again after.
const METADATA_AGE: Duration = Duration::from_secs(60);
/// Questions to the provider at once: who is not signed in can make the centre ask.
const ASKING_MAX: usize = 8;
/// Longest wait for a turn to ask.
const TURN: Duration = Duration::from_secs(5);
/// Characters of an address that somebody is led to afterwards.
const TO_MAX: usize = 1_000;
/// Characters of a name.
const NAME_MAX: usize = 64;
/// Groups of a person that are looked at.
const GROUPS_MAX: usize = 2_000;

/// Where the provider sends browsers back to, at this centre: to be registered at the provider.
pub const CALLBACK: &str = "/sign-in/callback";

/// A provider and what it is believed.
pub struct ProviderOptions {
    /// As people call it.
    pub name: String,
    /// Its name for itself: an address.
    pub issuer: String,
    /// Our name at it.
    pub client: String,
    /// By which it knows us; without, PKCE alone.
    pub secret: Option<String>,
    /// What it is asked for, besides `openid`.
    pub scopes: Vec<String>,
    /// The claim by which somebody is named in the audit log.
    pub name_claim: String,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// Whether it says when somebody proved himself (`auth_time`), as it must where that is asked for. Without, it is believed to have
    /// asked whenever it was told to, though a browser may leave that out on the way.
    pub auth_time: bool,
    /// Role groups of the provider's groups.
    pub role_groups: BTreeMap<String, BTreeSet<RoleGroup>>,
    /// Finds it.
    pub resolver: Resolver,
    /// By which it is known to be it.
    pub tls: TlsClient,
}

/// Why the options cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProvider {
    /// The issuer is no address.
    #[error(
        "issuer {0:?} is no https address (http only for one on this machine); write it as the provider's discovery document has it"
    )]
    Issuer(String),
    /// Nobody could sign in.
    #[error(
        "role-groups names no group of the provider, so that nobody could sign in; write [role-groups] and \"group\" = [\"Organization Management\"]"
    )]
    NoRoleGroups,
    /// Something is not written.
    #[error("{0} is empty")]
    Empty(&'static str),
}

struct Pending {
    /// The digest of the browser's cookie.
    browser: String,
    source: IpAddr,
    nonce: String,
    verifier: String,
    redirect: String,
    to: String,
    begun: Timestamp,
    /// Who is signed in and proves himself again.
    again: Option<Identity>,
}

/// Who somebody is at a provider, for ever (OpenID Connect Core 1.0 §5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
}

/// Who came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) identity: Identity,
    /// As it stands in the audit log: no account can have a name with brackets, so that it is nobody else's.
    pub(crate) name: String,
    pub(crate) groups: BTreeSet<RoleGroup>,
    /// When he proved himself to the provider, where that is known.
    pub(crate) proved: Option<Timestamp>,
    /// Where he wanted to go.
    pub(crate) to: String,
}

/// Why nobody came.
#[derive(Debug)]
pub(crate) struct Turned {
    /// For the page: what happened and what to do.
    pub(crate) why: String,
    /// Who it was, where the provider said so and it was believed.
    pub(crate) who: Option<String>,
    /// Whether the provider could not be asked, which is nobody's fault who signs in.
    pub(crate) away: bool,
}

impl Turned {
    fn at(why: impl Into<String>) -> Self {
        Self { why: why.into(), who: None, away: false }
    }

    fn away(why: impl Into<String>) -> Self {
        Self { away: true, ..Self::at(why) }
    }
}

/// A browser that comes back from the provider.
pub(crate) struct Return<'a> {
    pub(crate) state: &'a str,
    pub(crate) code: &'a str,
    /// RFC 9207
    pub(crate) issuer: &'a str,
    /// RFC 6749 §4.1.2.1
    pub(crate) error: (&'a str, &'a str),
    pub(crate) cookie: &'a str,
}

/// A browser that goes to the provider.
pub(crate) struct Departure<'a> {
    pub(crate) cookie: &'a str,
    pub(crate) from: IpAddr,
    /// By which it calls this centre.
    pub(crate) host: &'a str,
    pub(crate) to: &'a str,
    pub(crate) again: Option<Identity>,
}

/// The provider.
pub struct Provider {
    options: ProviderOptions,
    host: String,
    metadata: Mutex<Option<(Metadata, Timestamp)>>,
    pending: Mutex<HashMap<String, Pending>>,
    asking: Semaphore,
}

impl Provider {
    /// One with these options. It is not asked yet: the centre starts without it.
    ///
    /// # Errors
    /// What cannot be.
    pub fn new(options: ProviderOptions) -> Result<Self, BadProvider> {
        let place = HttpPlace::of(&options.issuer).filter(|place| place.is_secure() || place.is_local());
        let plain = !options.issuer.contains(['?', '#']) && options.issuer.trim() == options.issuer;
        let host = options.issuer.split("://").nth(1).and_then(|rest| rest.split('/').next());
        let (Some(_), true, Some(host)) = (place, plain, host) else { return Err(BadProvider::Issuer(options.issuer)) };
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if host.parse::<Host>().is_err() {
            return Err(BadProvider::Issuer(options.issuer));
        }
        if options.role_groups.values().all(BTreeSet::is_empty) {
            return Err(BadProvider::NoRoleGroups);
        }
        let needed = [("client-id", &options.client), ("name", &options.name), ("name-claim", &options.name_claim)];
        if let Some((name, _)) = needed.into_iter().find(|(_, value)| value.trim().is_empty()) {
            return Err(BadProvider::Empty(name));
        }
        let (metadata, pending) = (Mutex::default(), Mutex::default());
        let host = host.to_owned();
        Ok(Self { options, host, metadata, pending, asking: Semaphore::new(ASKING_MAX) })
    }

    /// As people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.options.issuer
    }

    /// Why nobody can sign in by it just now, if so.
    ///
    /// # Errors
    /// What it does not answer, or answers wrong.
    pub async fn look(&self, now: Timestamp) -> Result<(), String> {
        self.metadata(now).await.map(|_| ())
    }

    async fn metadata(&self, now: Timestamp) -> Result<Metadata, String> {
        if let Some((known, at)) = &*self.metadata.lock()
            && now.since(*at) < METADATA_AGE
        {
            return Ok(known.clone());
        }
        let turn = tokio::time::timeout(TURN, self.asking.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err("too many sign in at this moment".to_owned()) };
        let asked = Metadata::ask(&self.options).await?;
        *self.metadata.lock() = Some((asked.clone(), now));
        Ok(asked)
    }

    /// The address at the provider where a browser is sent (§3.1.2.1).
    pub(crate) async fn begin(&self, departure: Departure<'_>, now: Timestamp) -> Result<String, Turned> {
        let metadata = self.metadata(now).await.map_err(Turned::away)?;
        let (state, nonce, verifier) = (codes::token(), codes::token(), codes::token());
        let redirect = format!("https://{}{CALLBACK}", departure.host);
        let scope = ["openid"].into_iter().chain(self.options.scopes.iter().map(String::as_str)).collect::<Vec<_>>();
        let challenge = URL_SAFE_NO_PAD.encode(sha256(&[verifier.as_bytes()]));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client)
            .append_pair("redirect_uri", &redirect)
            .append_pair("scope", &scope.join(" "))
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if departure.again.is_some() {
            // With it the token must say when he proved himself; what that has to be is looked at here.
            query.append_pair("prompt", "login").append_pair("max_age", &SKEW.as_secs().to_string());
        }
        let there = &metadata.authorization_endpoint;
        let join = if there.contains('?') { '&' } else { '?' };
        let address = format!("{there}{join}{}", query.finish());
        let to = if departure.to.len() <= TO_MAX { departure.to } else { "/" };
        let pending = Pending {
            browser: codes::digest(BROWSER, departure.cookie),
            source: source(departure.from),
            nonce,
            verifier,
            redirect,
            to: to.to_owned(),
            begun: now,
            again: departure.again,
        };
        let mut all = self.pending.lock();
        all.retain(|_, known| now.since(known.begun) < PENDING_GOOD);
        make_room(&mut all, LIMITS, |known| (known.source == pending.source, known.begun));
        all.insert(codes::digest(STATE, &state), pending);
        Ok(address)
    }

    /// Who came back, if the provider vouches for him, in this browser, once (§3.1.2.5 to §3.1.3.7).
    pub(crate) async fn finish(&self, back: Return<'_>, now: Timestamp) -> Result<Arrival, Turned> {
        let pending = self.pending.lock().remove(&codes::digest(STATE, back.state));
        let of_browser = |known: &Pending| codes::same(&known.browser, &codes::digest(BROWSER, back.cookie));
        let pending = pending.filter(|known| now.since(known.begun) < PENDING_GOOD && of_browser(known));
        let again = "this sign-in was not begun in this browser, is older than ten minutes, or was used already; begin it again";
        let pending = pending.ok_or_else(|| Turned::at(again))?;
        let name = &self.options.name;
        if !back.error.0.is_empty() {
            let (error, why) = (cut(back.error.0), cut(back.error.1));
            return Err(Turned::at(format!("{name} did not sign you in: {error} {why}").trim_end()));
        }
        let metadata = self.metadata(now).await.map_err(Turned::away)?;
        // Another provider's answer (RFC 9207 §2.4).
        let needs_issuer = metadata.authorization_response_iss_parameter_supported || !back.issuer.is_empty();
        if needs_issuer && back.issuer != self.options.issuer {
            return Err(Turned::at(format!("the answer is not of {}", self.options.issuer)));
        }
        let turn = tokio::time::timeout(TURN, self.asking.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Turned::away("too many sign in at this moment")) };
        let token = metadata.token(&self.options, back.code, &pending.verifier, &pending.redirect);
        let token = token.await.map_err(Turned::away)?;
        let keys = metadata.keys(&self.options).await.map_err(Turned::away)?;
        let expected = Expected {
            issuer: &self.options.issuer,
            client: &self.options.client,
            nonce: &pending.nonce,
            now,
            proved_since: pending.again.as_ref().filter(|_| self.options.auth_time).map(|_| pending.begun),
        };
        let claims = token::check(&token, &keys, &expected)
            .map_err(|why| Turned::at(format!("{name} is not believed: {why}")))?;
        self.arrival(&claims, pending, now)
    }

    fn arrival(&self, claims: &Claims, pending: Pending, now: Timestamp) -> Result<Arrival, Turned> {
        let subject = claims.text("sub").unwrap_or_default().to_owned();
        let name = self.named(claims, &subject);
        let identity = Identity { issuer: self.options.issuer.clone(), subject };
        let turned = |why: String| Turned { who: Some(name.clone()), ..Turned::at(why) };
        if pending.again.as_ref().is_some_and(|signed_in| *signed_in != identity) {
            return Err(turned(format!("{} says that you are {name}, who is not signed in here", self.options.name)));
        }
        let claim = &self.options.groups_claim;
        if !claims.has(claim) {
            return Err(turned(format!(
                "{} does not say of which groups you are: its ID token has no claim {claim:?}. Whoever runs it can add that, or the \
                 settings of this centre name another groups-claim or scope",
                self.options.name
            )));
        }
        let own = claims.list(claim);
        let mapped = own.iter().take(GROUPS_MAX).filter_map(|group| self.options.role_groups.get(*group));
        let groups: BTreeSet<RoleGroup> = mapped.flatten().copied().collect();
        if groups.is_empty() {
            let shown: Vec<&str> = own.iter().take(10).copied().collect();
            return Err(turned(format!(
                "none of your groups ({}) is among role-groups in the settings of this centre; ask whoever runs it",
                cut(&shown.join(", "))
            )));
        }
        // A sign-in may be one that the provider let through by a session of its own, begun this morning.
        let proved = match &pending.again {
            Some(_) => Some(now),
            None => claims.time("auth_time").filter(|_| self.options.auth_time).map(|at| at.min(now)),
        };
        Ok(Arrival { identity, name, groups, proved, to: pending.to })
    }

    /// `anna (id.contoso.example)`: by the claim, or by the subject where that is no name.
    fn named(&self, claims: &Claims, subject: &str) -> String {
        let plain = |name: &&str| {
            let letter = |one: char| one.is_alphanumeric() || "._-@+ ".contains(one);
            !name.trim().is_empty() && name.chars().count() <= NAME_MAX && name.chars().all(letter)
        };
        let told = claims.text(&self.options.name_claim).filter(plain).map(|name| name.trim().to_owned());
        // What is no letter or digit of it is not in the name of somebody.
        let letter = |one: &char| one.is_ascii_graphic() && !"()\"\\,;".contains(*one);
        let name = told.unwrap_or_else(|| subject.chars().filter(letter).collect());
        format!("{name} ({})", self.host)
    }

    /// Where somebody signs out of the provider as well, if it has such a page (OpenID Connect RP-Initiated Logout 1.0 §2).
    pub(crate) fn sign_out(&self, host: &str) -> Option<String> {
        let known = self.metadata.lock();
        let there = known.as_ref()?.0.end_session_endpoint.clone()?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.options.client)
            .append_pair("post_logout_redirect_uri", &format!("https://{host}/sign-in"))
            .finish();
        Some(format!("{there}{}{query}", if there.contains('?') { '&' } else { '?' }))
    }
}

const STATE: &str = "state";
const BROWSER: &str = "browser";
