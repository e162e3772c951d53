//! A provider on a socket of this machine that says what a test wants, true or false. That a real one is understood is tried with
//! Glewlwyd, in the tests of `postroad`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use authority::RoleGroup;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use net::digest::sha256;
use net::dns::Resolver;
use net::signature::SigningKey;
use net::tls::{TlsClient, TrustedRoots};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{BadProvider, Provider, ProviderOptions};
use crate::request::Reply;
use crate::tests::world::{Browser, World};

/// What the provider says.
#[derive(Clone)]
struct Told {
    metadata: Value,
    keys: String,
    /// The header of its tokens, and what signs them.
    header: Value,
    key: SigningKey,
    claims: Value,
    /// In the place of a signed token.
    token: Option<String>,
    /// The answer of the token endpoint, if it is none.
    refuses: Option<Value>,
    /// What it was asked: the challenge of the way there.
    challenge: String,
    asked: Vec<String>,
}

struct Evil {
    issuer: String,
    told: Arc<Mutex<Told>>,
    world: World,
}

fn jwk(key: &SigningKey, kid: &str) -> Value {
    let x = URL_SAFE_NO_PAD.encode(key.public_key().unwrap());
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x})
}

fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).unwrap()))
}

/// The token endpoint, as a provider has it: for the right client, the code it gave, and who knows the verifier.
fn given(told: &Told, credential: &str, form: &[u8]) -> Result<Value, &'static str> {
    let field = |name: &str| {
        let found = form_urlencoded::parse(form).find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let challenge = URL_SAFE_NO_PAD.encode(sha256(&[field("code_verifier").as_bytes()]));
    let right = credential == format!("Basic {}", STANDARD.encode("postroad:a+secret%3A"))
        && field("grant_type") == "authorization_code"
        && field("redirect_uri") == "https://centre.example:8443/sign-in/callback"
        && challenge == told.challenge;
    match (right && field("code") == "the-code", &told.refuses) {
        (true, None) => {
            let token = told.token.clone().unwrap_or_else(|| signed(&told.header, &told.claims, &told.key));
            Ok(json!({"access_token": "a", "token_type": "Bearer", "id_token": token}))
        }
        (true, Some(answer)) => Ok(answer.clone()),
        (false, _) => Err("invalid_grant"),
    }
}

async fn answer(told: Arc<Mutex<Told>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let form = to_bytes(body, 65_536).await.unwrap();
    let credential = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut told = told.lock();
    told.asked.push(head.uri.path().to_owned());
    let (status, body) = match head.uri.path() {
        "/.well-known/openid-configuration" => (StatusCode::OK, told.metadata.to_string()),
        "/keys" => (StatusCode::OK, told.keys.clone()),
        "/token" => match given(&told, credential, &form) {
            Ok(answer) => (StatusCode::OK, answer.to_string()),
            Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error }).to_string()),
        },
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    Response::builder().status(status).body(Body::from(body)).unwrap()
}

fn options(issuer: &str) -> ProviderOptions {
    ProviderOptions {
        name: "Contoso".to_owned(),
        issuer: issuer.to_owned(),
        client: "postroad".to_owned(),
        secret: Some("a secret:".to_owned()),
        scopes: vec!["profile".to_owned()],
        name_claim: "preferred_username".to_owned(),
        groups_claim: "groups".to_owned(),
        auth_time: true,
        role_groups: BTreeMap::from([
            ("mail-admins".to_owned(), BTreeSet::from([RoleGroup::OrganizationManagement])),
            ("helpdesk".to_owned(), BTreeSet::from([RoleGroup::ViewOnlyOrganizationManagement])),
        ]),
        resolver: Resolver::with_servers(&["127.0.0.1:1".parse().unwrap()], net::dns::DnsProtocol::Any).unwrap(),
        tls: TlsClient::new(TrustedRoots::none()),
    }
}

impl Evil {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let world = World::by(Provider::new(options(&issuer)).unwrap());
        let key = SigningKey::generate().unwrap();
        let now = world.now().as_millis() / 1000;
        let told = Told {
            metadata: json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/keys"),
                "end_session_endpoint": format!("{issuer}/leave"),
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
            }),
            keys: json!({"keys": [{"kty": "new", "kid": "odd"}, jwk(&key, "one")]}).to_string(),
            header: json!({"alg": "EdDSA", "typ": "JWT", "kid": "one"}),
            claims: json!({
                "iss": issuer, "aud": "postroad", "sub": "s-1", "exp": now + 300, "iat": now, "auth_time": now,
                "preferred_username": "olga", "groups": ["staff", "mail-admins"],
            }),
            token: None,
            refuses: None,
            challenge: String::new(),
            asked: Vec::new(),
            key,
        };
        let told = Arc::new(Mutex::new(told));
        let shared = Arc::clone(&told);
        let router = Router::new().fallback(move |request: Request<Body>| answer(Arc::clone(&shared), request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, told, world }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.world.centre)
    }

    /// To the provider, which gives the browser an address to come back by.
    async fn there(&self, browser: &mut Browser, to: &str) -> String {
        browser.get("/sign-in").await;
        self.away(browser, to).await
    }

    async fn away(&self, browser: &mut Browser, to: &str) -> String {
        let reply = browser.get(&format!("/sign-in/provider?to={to}")).await;
        let there = reply.header("location").unwrap_or_else(|| panic!("{} {}", reply.status, reply.text())).to_owned();
        let (at, query) = there.split_once('?').unwrap();
        assert_eq!(at, format!("{}/authorize", self.issuer));
        let pairs: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let expected = [
            ("tenant", "1"),
            ("response_type", "code"),
            ("client_id", "postroad"),
            ("scope", "openid profile"),
            ("redirect_uri", "https://centre.example:8443/sign-in/callback"),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in expected {
            assert_eq!(pairs[name], value, "{there}");
        }
        let mut told = self.told.lock();
        told.challenge = pairs["code_challenge"].clone();
        if told.claims.get("nonce") != Some(&"another".into()) {
            told.claims["nonce"] = pairs["nonce"].clone().into();
        }
        let issuer: String = form_urlencoded::byte_serialize(self.issuer.as_bytes()).collect();
        format!("/sign-in/callback?code=the-code&state={}&iss={issuer}", pairs["state"])
    }

    /// There and back.
    async fn sign_in(&self, browser: &mut Browser) -> Reply {
        let back = self.there(browser, "/queues").await;
        browser.get(&back).await
    }

    fn noted(&self) -> String {
        format!("{:?}", self.world.memory.notes.lock())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_a_provider_vouches_for_is_signed_in_with_the_role_groups_of_his_groups() {
    // WA-60, WA-68
    let evil = Evil::start().await;
    let mut browser = evil.browser();
    let door = browser.get("/sign-in?to=%2Fqueues").await.text();
    assert!(door.contains("Sign in with Contoso") && door.contains("/sign-in/provider?to=%2Fqueues"), "{door}");
    let before = browser.cookie.clone();
    let reply = evil.sign_in(&mut browser).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/queues")), "{}", reply.text());
    assert_ne!(browser.cookie, before, "a session has a new id");
    let page = browser.get("/people").await.text();
    assert!(page.contains("olga (127.0.0.1)") && page.contains("Organization Management"), "{page}");
    assert!(page.contains(&format!("Contoso ({})", evil.issuer)));
    assert!(evil.noted().contains(&format!("Contoso ({}), subject s-1", evil.issuer)), "{}", evil.noted());

    // Somebody else with rights ends the session.
    let mut anna = evil.world.anna().await;
    let people = anna.get("/people").await.text();
    let at = people.find("Sessions of others").unwrap();
    let value = &people[at..][people[at..].find("name=\"session\" value=\"").unwrap() + 22..];
    let id = value[..value.find('"').unwrap()].to_owned();
    let mut ben = evil.world.with("ben", "View-Only Organization Management").await;
    ben.get("/people").await;
    assert_eq!(ben.post("/people/sessions", &[("session", &id)]).await.status, 403);
    assert_eq!(browser.get("/people").await.status, 200);
    anna.get("/people").await;
    assert_eq!(anna.post("/people/sessions", &[("session", &id)]).await.status, 303);
    assert_eq!(browser.get("/people").await.status, 303);
    assert!(evil.noted().contains("session of olga (127.0.0.1)"), "{}", evil.noted());

    // As any session: idle, and by its own wish; then the provider's page for it is offered.
    evil.sign_in(&mut browser).await;
    evil.world.pass(31 * 60);
    assert_eq!(browser.get("/").await.status, 303);
    evil.told.lock().claims["iat"] = (evil.world.now().as_millis() / 1000).into();
    evil.told.lock().claims["exp"] = (evil.world.now().as_millis() / 1000 + 60).into();
    assert_eq!(evil.sign_in(&mut browser).await.status, 303);
    browser.get("/").await;
    let (to, page) = browser.follow("/sign-out", &[]).await;
    assert_eq!(to, "/sign-in?provider=1");
    assert!(page.text().contains(&format!("{}/leave?client_id=postroad", evil.issuer)), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_of_the_provider_for_us_of_this_sign_in_and_of_now_is_nobody() {
    type Change = fn(&mut Told);
    let evil = Evil::start().await;
    let none = |told: &mut Told| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        told.token = Some(format!("{}.{}.", part(&json!({"alg": "none"})), part(&told.claims)));
    };
    let cases: [(&str, Change); 24] = [
        ("none, by which a provider is not known", none),
        ("HS256, by which a provider is not known", |told| told.header["alg"] = "HS256".into()),
        ("signed by none of the keys", |told| told.key = SigningKey::generate().unwrap()),
        ("signed by none of the keys", |told| told.header["kid"] = "two".into()),
        ("signed by none of the keys", |told| told.header["alg"] = "RS256".into()),
        ("signed by none of the keys", |told| {
            // A key for encryption signs nothing.
            told.keys = told.keys.replace("\"sig\"", "\"enc\"");
        }),
        ("signed by none of the keys", |told| {
            let mut token = signed(&told.header, &told.claims, &told.key);
            token.replace_range(token.len() - 4.., "AAAA");
            told.token = Some(token);
        }),
        ("not a signed one that can be read", |told| told.token = Some("a.b.c.d.e".to_owned())),
        ("signed by none of the keys", |told| told.header["crit"] = json!(["exp"])),
        ("of another issuer", |told| told.claims["iss"] = "https://evil.example".into()),
        ("for somebody else", |told| told.claims["aud"] = "another".into()),
        ("for somebody else", |told| told.claims["aud"] = json!(["postroad", "another"])),
        ("for somebody else", |told| told.claims["azp"] = "another".into()),
        ("of another sign-in", |told| told.claims["nonce"] = "another".into()),
        ("ended 60 s ago", |told| told.claims["exp"] = (told.claims["iat"].as_u64().unwrap() - 60).into()),
        ("not of now", |told| told.claims["iat"] = (told.claims["iat"].as_u64().unwrap() + 120).into()),
        ("not of now", |told| told.claims["iat"] = (told.claims["iat"].as_u64().unwrap() - 3600).into()),
        ("not of now", |told| told.claims["nbf"] = (told.claims["iat"].as_u64().unwrap() + 120).into()),
        ("has no exp", |told| told.claims["exp"] = Value::Null),
        ("has no sub", |told| told.claims["sub"] = "".into()),
        ("no claim &#34;groups&#34;", |told| drop(told.claims.as_object_mut().unwrap().remove("groups"))),
        ("none of your groups (staff)", |told| told.claims["groups"] = "staff".into()),
        ("gave no ID token", |told| told.refuses = Some(json!({"access_token": "a"}))),
        ("its answer is not understood", |told| told.refuses = Some("no".into())),
    ];
    let good = evil.told.lock().clone();
    for (number, (expected, change)) in cases.into_iter().enumerate() {
        *evil.told.lock() = good.clone();
        change(&mut evil.told.lock());
        let mut browser = evil.browser();
        let reply = evil.sign_in(&mut browser).await;
        let text = reply.text();
        assert!(matches!(reply.status, 401 | 503) && text.contains(expected), "{number} {expected}: {text}");
        assert_eq!(browser.get("/queues").await.status, 303, "{number}: nobody is signed in");
        assert!(!evil.noted().contains("a secret"), "{}", evil.noted());
    }
    // Within the skew of clocks it is of now.
    *evil.told.lock() = good;
    {
        let mut told = evil.told.lock();
        told.claims["exp"] = (told.claims["iat"].as_u64().unwrap() - 59).into();
        told.claims["iat"] = (told.claims["iat"].as_u64().unwrap() + 59).into();
    }
    assert_eq!(evil.sign_in(&mut evil.browser()).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_once_by_the_browser_that_asked_and_in_time() {
    let evil = Evil::start().await;
    let told = "was not begun in this browser";
    let mut browser = evil.browser();
    let back = evil.there(&mut browser, "/queues").await;
    let mut other = evil.browser();
    other.get("/sign-in").await;
    assert!(other.get(&back).await.text().contains(told), "somebody else's browser");
    let back = evil.there(&mut browser, "/queues").await;
    assert_eq!(browser.get(&back).await.status, 303);
    assert!(browser.get(&back).await.text().contains(told), "it was used");
    let mut late = evil.browser();
    let back = evil.there(&mut late, "/queues").await;
    evil.world.pass(601);
    assert!(late.get(&back).await.text().contains(told), "it is late");
    assert!(late.get("/sign-in/callback?state=&code=the-code").await.text().contains(told));
    // Another provider's answer (RFC 9207), and none that says whose it is.
    for issuer in ["&iss=https%3A%2F%2Fevil.example", ""] {
        let back = evil.there(&mut late, "/queues").await;
        let mixed = format!("{}{issuer}", back.split("&iss=").next().unwrap());
        assert!(late.get(&mixed).await.text().contains("the answer is not of"), "{issuer}");
    }
    let back = evil.there(&mut late, "/queues").await;
    let refused = back.replace("code=the-code", "error=access_denied&error_description=<b>no");
    let page = late.get(&refused).await.text();
    assert!(page.contains("access_denied &lt;b&gt;no"), "{page}");
    // Nobody is led elsewhere, and without a cookie of the door nobody begins.
    evil.told.lock().claims["exp"] = (evil.world.now().as_millis() / 1000 + 60).into();
    evil.told.lock().claims["iat"] = (evil.world.now().as_millis() / 1000).into();
    let back = evil.there(&mut late, "//evil.example").await;
    assert_eq!(late.get(&back).await.header("location"), Some("/"));
    assert_eq!(evil.browser().get("/sign-in/provider").await.header("location"), Some("/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_those_of_now_and_not_too_many() {
    let evil = Evil::start().await;
    assert_eq!(evil.sign_in(&mut evil.browser()).await.status, 303);
    // A new key counts at once, and the one that was taken back no more.
    let (old, new) = (evil.told.lock().key.clone(), SigningKey::generate().unwrap());
    {
        let mut told = evil.told.lock();
        told.keys = json!({"keys": [jwk(&new, "two")]}).to_string();
        (told.key, told.header["kid"]) = (new, "two".into());
    }
    assert_eq!(evil.sign_in(&mut evil.browser()).await.status, 303);
    (evil.told.lock().key, evil.told.lock().header["kid"]) = (old.clone(), "one".into());
    assert_eq!(evil.sign_in(&mut evil.browser()).await.status, 401);
    // Without end, and many: what is needed may be the last.
    evil.told.lock().keys = format!("{{\"keys\": [{}]}}", "{},".repeat(200_000));
    let reply = evil.sign_in(&mut evil.browser()).await;
    assert!(reply.status == 503 && reply.text().contains("length limit exceeded"), "{}", reply.text());
    let many: Vec<Value> = (0..100).map(|number| jwk(&old, &format!("k{number}"))).collect();
    evil.told.lock().keys = json!({ "keys": many }).to_string();
    evil.told.lock().header["kid"] = "k99".into();
    assert_eq!(evil.sign_in(&mut evil.browser()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_provider_accounts_and_certificates_sign_in() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let world = World::by(Provider::new(options(&issuer)).unwrap());
    let mut browser = Browser::new(&world.centre);
    browser.get("/sign-in").await;
    let reply = browser.get("/sign-in/provider?to=/").await;
    let page = reply.text();
    assert!(reply.status == 503 && page.contains("Contoso cannot be asked just now"), "{page}");
    assert!(page.contains("Accounts and certificates sign in as always") && page.contains("name=\"password\""));
    assert_eq!(world.anna().await.get("/queues").await.status, 200);

    // What it says of itself must be what the settings say, and by TLS.
    let evil = Evil::start().await;
    let good = evil.told.lock().metadata.clone();
    for (name, value, expected) in [
        ("issuer", json!("https://other.example"), "write that as issuer"),
        ("token_endpoint", json!("http://evil.example/token"), "it must be https"),
        ("jwks_uri", json!("ftp://127.0.0.1/"), "no address that can be asked"),
        ("code_challenge_methods_supported", json!(["plain"]), "no PKCE with S256"),
    ] {
        evil.told.lock().metadata = good.clone();
        evil.told.lock().metadata[name] = value;
        let mut browser = evil.browser();
        browser.get("/sign-in").await;
        let reply = browser.get("/sign-in/provider?to=/").await;
        assert!(reply.status == 503 && reply.text().contains(expected), "{name}: {}", reply.text());
    }
}

#[test]
fn options_that_cannot_be_say_what_to_write() {
    let wrong = |change: fn(&mut ProviderOptions)| {
        let mut options = options("https://id.contoso.example/realms/one");
        change(&mut options);
        Provider::new(options).err()
    };
    assert_eq!(wrong(|_| {}), None);
    for issuer in ["http://id.contoso.example", "id.contoso.example", "https://id.contoso.example/?a=b", "https://"] {
        let mut bad = options("https://id.contoso.example");
        issuer.clone_into(&mut bad.issuer);
        assert_eq!(Provider::new(bad).err(), Some(BadProvider::Issuer(issuer.to_owned())));
    }
    assert_eq!(wrong(|options| options.role_groups.clear()), Some(BadProvider::NoRoleGroups));
    assert_eq!(wrong(|options| options.client.clear()), Some(BadProvider::Empty("client-id")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_removes_something_proves_again_who_he_is_at_the_provider() {
    // WA-61
    let evil = Evil::start().await;
    // By a session of the provider that is an hour old, nobody has proved anything just now.
    let mut browser = evil.browser();
    let good = evil.told.lock().claims.clone();
    evil.told.lock().claims["auth_time"] = (good["iat"].as_u64().unwrap() - 3600).into();
    for expected in ["you proved who you are 60 minutes ago", "when you proved who you are is not known"] {
        assert_eq!(evil.sign_in(&mut browser).await.status, 303);
        browser.get("/send-connectors/Partner").await;
        let (_, page) = browser.follow("/send-connectors/Partner/do", &[("do", "remove")]).await;
        assert!(page.text().contains(expected), "{}", page.text());
        browser.get("/").await;
        browser.post("/sign-out", &[]).await;
        evil.told.lock().claims.as_object_mut().unwrap().remove("auth_time");
    }
    evil.told.lock().claims = good;
    assert_eq!(evil.sign_in(&mut browser).await.status, 303);
    evil.world.pass(14 * 60);
    browser.get("/send-connectors/Partner").await;
    let (plan, page) = browser.follow("/send-connectors/Partner/do", &[("do", "remove")]).await;
    assert!(
        page.text().contains(">Apply</button>") && !page.text().contains("Prove that it is you"),
        "{}",
        page.text()
    );
    evil.world.pass(2 * 60);
    let page = browser.get(&plan).await.text();
    assert!(page.contains("<button disabled>Apply</button>") && page.contains("Prove that it is you"), "{page}");
    let form = [("do", "apply"), ("confirm", "apply")];
    let (to, page) = browser.follow(&format!("{plan}/do"), &form).await;
    assert!(to.starts_with("/prove?to=%2Fplans%2F") && page.text().contains("Prove it at Contoso"), "{to}");
    assert!(evil.world.memory.connector("Partner").is_some());
    // At the provider: who only comes back with what it knew before has not proved anything.
    let now = evil.world.now().as_millis() / 1000;
    (evil.told.lock().claims["iat"], evil.told.lock().claims["exp"]) = (now.into(), (now + 60).into());
    let back = evil.away(&mut browser, &plan).await;
    assert!(browser.get(&back).await.text().contains("did not ask again who is there"));
    evil.told.lock().claims["auth_time"] = now.into();
    let back = evil.away(&mut browser, &plan).await;
    evil.told.lock().claims["sub"] = "s-2".into();
    assert!(browser.get(&back).await.text().contains("who is not signed in here"), "somebody else");
    let back = evil.away(&mut browser, &plan).await;
    evil.told.lock().claims["sub"] = "s-1".into();
    assert_eq!(browser.get(&back).await.header("location"), Some(plan.as_str()));
    browser.get(&plan).await;
    assert_eq!(browser.post(&format!("{plan}/do"), &form).await.status, 303);
    assert!(evil.world.memory.connector("Partner").is_none());
}
