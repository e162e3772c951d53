//! The frame around every page: headers, hosts, forms of others, role groups (WA-60…68, WA-91).

use super::world::{Browser, World};

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_every_header() {
    // WA-63
    let world = World::new();
    let mut anna = world.anna().await;
    for to in ["/", "/nowhere", "/sign-in", "/send-connectors.csv", "/queues", "/topology.svg", "/messages/unknown"] {
        let reply = anna.get(to).await;
        for (name, value) in crate::guard::HEADERS {
            assert_eq!(reply.header(name), Some(value), "{to}");
        }
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{to}");
        let text = reply.text();
        // A drawing that is taken along has its style in it.
        assert!(
            to.ends_with(".svg") || !text.contains(" style=") && !text.contains("<style") && !text.contains(" onclick"),
            "{to}"
        );
        assert!(!text.contains("http://") || to.ends_with(".svg"), "{to}: nothing is loaded from elsewhere");
    }
    let page = anna.get("/").await.text();
    let start = page.find("/static/centre.").unwrap();
    let css: String = page[start..].chars().take_while(|one| *one != '"').collect();
    let reply = Browser::new(&world.centre).get(&css).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("public, max-age=31536000, immutable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_of_this_host_alone_and_by_tls_alone() {
    let world = World::new();
    let mut browser = Browser::new(&world.centre);
    let reply = browser.get("/sign-in").await;
    let cookie = reply.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-postroad=") && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_ours_gets_nothing() {
    // WA-64: a page that has its name rebound to us.
    let world = World::new();
    let anna = world.anna().await;
    for host in ["evil.example:8443", "centre.example", "", "centre.example:8443.evil.example"] {
        let mut ask = anna.raw(false, "/", &[]);
        ask.host = host.to_owned();
        let reply = world.centre.answer(&ask).await;
        assert_eq!(reply.status, 421, "{host}");
        assert!(!reply.text().contains("Overview"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_page_changes_nothing() {
    // WA-62
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/people").await;
    let token = anna.token().to_owned();
    let form = |token: &str| vec![("name".to_owned(), "eve".to_owned()), ("token".to_owned(), token.to_owned())];
    let good = anna.raw(true, "/people/invite", &[]);
    for (what, site, origin, token) in [
        ("another site", Some("cross-site"), Some("https://evil.example"), token.as_str()),
        ("a sibling", Some("same-site"), Some("https://other.example"), token.as_str()),
        ("an origin that is hidden", Some("same-origin"), Some("null"), token.as_str()),
        ("no token", Some("same-origin"), Some("https://centre.example:8443"), ""),
        ("a made-up token", Some("same-origin"), Some("https://centre.example:8443"), "AAAA"),
        ("another origin, without metadata", None, Some("https://evil.example"), token.as_str()),
    ] {
        let mut ask = good.clone();
        ask.form = form(token);
        ask.fetch_site = site.map(str::to_owned);
        ask.origin = origin.map(str::to_owned);
        let reply = world.centre.answer(&ask).await;
        assert_eq!(reply.status, 403, "{what}");
        assert!(reply.text().contains("Nothing was changed"));
    }
    // The token of another session is none.
    let ben = world.with("ben", "Organization Management").await;
    let mut ask = good.clone();
    ask.form = form(ben.token());
    assert_eq!(world.centre.answer(&ask).await.status, 403);
    assert!(world.centre.accounts.expected(world.now()).iter().all(|(name, _)| name != "eve"));
    // Nothing changes by GET.
    assert_eq!(anna.get("/people/invite?name=eve").await.status, 404);
    ask.form = form(&token);
    assert_eq!(world.centre.answer(&ask).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_opens_everything_and_changes_nothing() {
    // WA-91: each control disabled with its reason; a request made by hand is refused and written down.
    let world = World::new();
    let mut reader = world.with("rita", "View-Only Organization Management").await;
    for to in [
        "/",
        "/queues",
        "/messages?start=1h",
        "/explain",
        "/topology",
        "/send-connectors",
        "/send-connectors/Partner",
        "/receive-connectors",
        "/domains",
        "/sites",
        "/site-links",
        "/servers",
        "/servers/BERLIN1",
        "/databases",
        "/dags",
        "/delivery-agent-connectors",
        "/foreign-connectors",
        "/settings",
        "/certificates",
        "/plans",
        "/revisions",
        "/audit",
        "/people",
        "/send-connectors/Partner/edit",
        "/find?q=relay",
    ] {
        let reply = reader.get(to).await;
        assert_eq!(reply.status, 200, "{to}: {}", reply.text());
    }
    let page = reader.get("/send-connectors/Partner").await.text();
    for control in ["Edit", "Copy", "Disable …", "Remove …"] {
        assert!(page.contains(&format!("<button disabled>{control}</button>")), "{control}");
    }
    assert!(page.contains("may not change Send connectors; that is for Organization Management (rule `role-group`)"));
    reader.get("/send-connectors/Partner").await;
    let (plan, page) = reader.follow("/send-connectors/Partner/do", &[("do", "remove")]).await;
    assert!(page.text().contains("<button disabled>Apply</button>"));
    let reply = reader.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert_eq!(reply.status, 403);
    assert!(world.memory.connector("Partner").is_some());
    let reply = reader.post("/queues/act", &[("do", "yes-retry"), ("messages", "0")]).await;
    assert_ne!(reply.status, 303);
    let noted = world.memory.notes.lock().clone();
    let refused: Vec<_> = noted.iter().filter(|(who, _, _, refused)| who == "rita" && refused.is_some()).collect();
    assert_eq!(refused[0].1, "Remove-SendConnector", "{noted:?}");
    assert!(world.memory.acts.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_group_may_what_the_admin_service_lets_it() {
    let world = World::new();
    for (group, to, expected) in [
        ("Recipient Management", "/queues", 403),
        ("Recipient Management", "/messages?start=1h", 200),
        ("Recipient Management", "/audit", 403),
        ("Records Management", "/audit", 200),
        ("Records Management", "/certificates", 403),
        ("Server Management", "/queues", 200),
        ("Server Management", "/messages?start=1h", 403),
        ("Hygiene Management", "/receive-connectors", 200),
        ("Hygiene Management", "/queues", 403),
        ("Hygiene Management", "/servers", 200),
    ] {
        let mut browser = world.with("somebody", group).await;
        assert_eq!(browser.get(to).await.status, expected, "{group} {to}");
        let overview = browser.get("/").await;
        assert_eq!(overview.status, 200, "{group}");
        let may_ask = matches!(group, "Server Management");
        // Test-ServiceHealth is for who reads servers, at the admin service too.
        assert_eq!(!overview.text().contains("may not read servers and databases"), may_ask, "{group}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_other_peoples_mail_is_written_down() {
    // WA-68
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/messages?sender=ben@contoso.example&start=1h").await;
    let noted = world.memory.notes.lock().clone();
    let expected =
        ("anna".to_owned(), "Get-MessageTrackingLog".to_owned(), "sender ben@contoso.example".to_owned(), None);
    assert!(noted.contains(&expected), "{noted:?}");
}
