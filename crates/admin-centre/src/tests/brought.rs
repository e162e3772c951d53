//! Files that somebody brings: an export becomes a plan, a certificate is rehearsed; and a change that is taken back alone.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use tokio_util::task::TaskTracker;

use super::live::Stream;
use super::world::{Browser, HOST, World};
use crate::serve::{Caller, answer};
use crate::session::COOKIE;

/// As a browser sends a form with files.
async fn send(world: &World, browser: &Browser, to: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Response<Body> {
    let mut body = Vec::new();
    let token = browser.token().to_owned();
    let own = [("token", None, token.as_bytes())];
    for (name, file, content) in own.iter().chain(parts) {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").into_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--bound--\r\n");
    let request = Request::builder().method("POST").uri(to).header("host", HOST);
    let request = request.header("content-type", "multipart/form-data; boundary=bound");
    let request = request.header("cookie", format!("{COOKIE}={}", browser.cookie));
    let caller = Caller { address: browser.from, certificate: None };
    answer(&world.centre, &TaskTracker::new(), caller, request.body(Body::from(body)).unwrap()).await
}

fn to(reply: &Response<Body>) -> String {
    assert_eq!(reply.status(), 303);
    reply.headers()["location"].to_str().unwrap().to_owned()
}

async fn text(reply: Response<Body>) -> String {
    String::from_utf8(to_bytes(reply.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

const EXPORT: &[u8] = b"sites: [{name: Rome}]\nsendConnectors: [{name: Brought, addressSpaces: [b.example], smartHosts: [h.example], sourceTransportServers: [BERLIN1]}]\nservers: [{name: BERLIN1, fqdn: berlin1.contoso.example, site: Rome}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_export_becomes_a_plan_that_says_what_is_lost_and_is_made_like_any_other() {
    // WA-88, IM-21
    let world = World::new();
    let mut anna = world.anna().await;
    let page = anna.get("/import").await.text();
    assert!(page.contains("enctype=\"multipart/form-data\"") && page.contains("type=\"file\""), "{page}");
    let script = anna.get("/import/export-for-postroad.ps1").await;
    assert_eq!(script.header("content-disposition"), Some("attachment; filename=\"Export-ForPostroad.ps1\""));
    let plan = to(&send(&world, &anna, "/import", &[("files", Some("send.xml"), EXPORT)]).await);
    let page = anna.get(&plan).await.text();
    assert!(page.contains("1 value is not in it, or cannot be said here") && page.contains("the export has no number"));
    assert!(page.contains("send.xml:3") && page.contains("+ new: Send connector Brought"), "{page}");
    assert!(world.memory.connector("Brought").is_none(), "looked at, not made");
    // What is lost is said, and the same is asked again.
    let said: [(&str, Option<&str>, &[u8]); 2] =
        [("files", Some("send.xml"), EXPORT), ("assume", None, b"maxMessageSize=35MB\r\n")];
    let plan = to(&send(&world, &anna, "/import", &said).await);
    assert!(!anna.get(&plan).await.text().contains("is not in it"));
    assert_eq!(anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await.status, 303);
    assert!(world.memory.connector("Brought").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_brought_is_refused_with_the_reason() {
    // WA-64, WA-91
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/import").await;
    for (parts, why) in [
        (&[][..], "choose the files of an export"),
        (&[("files", Some("x.xml"), b"sites: {".as_slice())][..], "x.xml: "),
        (&[("files", Some("x.xml"), EXPORT), ("assume", None, b"nonsense".as_slice())][..], "is no PROPERTY=VALUE"),
    ] {
        let reply = send(&world, &anna, "/import", parts).await;
        assert_eq!(reply.status(), 422);
        let page = text(reply).await;
        assert!(page.contains(why) && page.contains("nothing was changed"), "{page}");
    }
    let large = vec![b'a'; 32 * 1024 * 1024];
    let reply = send(&world, &anna, "/import", &[("files", Some("x.xml"), &large)]).await;
    assert_eq!((reply.status().as_u16(), text(reply).await.as_str()), (413, "The files are larger than 32 MB.\n"));
    // Before a large body is read it is known who sends it.
    let reply = send(&world, &Browser::new(&world.centre), "/import", &[("files", Some("x.xml"), EXPORT)]).await;
    assert_eq!(reply.status(), 403);
    let mut other = anna.clone();
    other.get("/sign-in").await;
    let mut stranger = Browser::new(&world.centre);
    stranger.cookie = anna.cookie.clone();
    let reply = send(&world, &stranger, "/import", &[("files", Some("x.xml"), EXPORT)]).await;
    assert_eq!(reply.status(), 403, "a form of another page has not the token");
    // Whoever may not change connectors brings none; it is written down.
    let mut rita = world.with("rita", "View-Only Organization Management").await;
    let page = rita.get("/import").await.text();
    assert!(page.contains("<button disabled>Look at what becomes of it</button>"), "{page}");
    for path in ["/import", "/certificates/rehearse"] {
        assert_eq!(send(&world, &rita, path, &[("files", Some("x.xml"), EXPORT)]).await.status(), 403, "{path}");
    }
    let noted = world.memory.notes.lock().clone();
    for cmdlet in ["Import-Organization", "Test-ExchangeCertificate"] {
        assert!(noted.iter().any(|(who, what, _, why)| who == "rita" && what == cmdlet && why.is_some()), "{noted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_rehearsed_step_by_step_and_its_key_is_nowhere() {
    // WA-37, WA-67, WA-87
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/certificates/rehearse").await;
    let parts: [(&str, Option<&str>, &[u8]); 2] =
        [("certificate", Some("cert.pem"), b"CHAIN"), ("key", Some("key.pem"), b"SECRET")];
    let rehearsal = to(&send(&world, &anna, "/certificates/rehearse", &parts).await);
    tokio::task::yield_now().await;
    let page = anna.get(&rehearsal).await;
    assert!(page.text().contains("It goes on") && page.text().contains("CHAIN"), "{}", page.text());
    // The next step comes to the page that is open.
    let mut stream = Stream::of(&world, &anna, &rehearsal, &page);
    world.memory.next_step.notify_one();
    let come = stream.change().await;
    assert!(come.contains("the next hop hangs up"), "{come}");
    let page = anna.get(&rehearsal).await.text();
    assert!(page.contains("1 thing is wrong") && !page.contains("SECRET") && !come.contains("SECRET"), "{page}");
    assert!(world.memory.notes.lock().iter().all(|note| !format!("{note:?}").contains("SECRET")));
    assert!(
        world.memory.notes.lock().iter().any(|(who, what, _, _)| who == "anna" && what == "Test-ExchangeCertificate")
    );
    // Whoever may not see certificates does not see what came of it.
    let mut rosa = world.with("rosa", "Records Management").await;
    assert_eq!(rosa.get(&rehearsal).await.status, 403);
    assert_eq!(anna.get("/certificates/rehearsals/none").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_connectors_demand_of_tls_and_show_is_told() {
    // AC-54, AC-74, WA-37
    let world = World::new();
    let not_after = envelope::Timestamp::from_millis(world.now().as_millis() + 5 * 86_400_000);
    let certificate = crate::estate::CertificateView {
        name: "<I>CN=ca<S>CN=berlin1".to_owned(),
        subject: "CN=berlin1".to_owned(),
        issuer: "CN=ca".to_owned(),
        domains: Vec::new(),
        not_after,
        thumbprint: String::new(),
    };
    let shown = |connector: &str, certificate| crate::estate::ShownView {
        server: "BERLIN1".parse().unwrap(),
        connector: connector.to_owned(),
        receives: false,
        certificate,
    };
    *world.memory.shown.lock() = vec![shown("Internet", Some(certificate)), shown("Partner", None)];
    let page = world.anna().await.get("/certificates").await.text();
    assert!(page.contains("5 days") && page.contains("CN=berlin1") && page.contains("none: its mail waits"), "{page}");
    assert!(page.contains("with TLS if the host offers it"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_put_back_alone_under_its_own_guid() {
    // WA-13, WA-83
    let world = World::new();
    let mut anna = world.anna().await;
    let guid = world.memory.connector("Partner").unwrap().guid;
    anna.get("/send-connectors/Partner").await;
    let (plan, _) = anna.follow("/send-connectors/Partner/do", &[("do", "remove")]).await;
    let (revision, page) = anna.follow(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert!(page.text().contains("Put Partner back …"), "{}", page.text());
    assert!(world.memory.connector("Partner").is_none());
    // Somebody changes something else before it is put back: that stays.
    anna.get("/send-connectors/Internet").await;
    let (plan, _) = anna.follow("/send-connectors/Internet/edit", &[("comment", "meanwhile"), ("base", "8")]).await;
    anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert_eq!(world.memory.connector("Internet").unwrap().comment, "meanwhile");
    anna.get(&revision).await;
    let (plan, page) = anna.follow(&format!("{revision}/undo"), &[]).await;
    assert!(
        page.text().contains("+ new: Send connector Partner") && !page.text().contains("~ changed"),
        "{}",
        page.text()
    );
    anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await;
    assert_eq!(world.memory.connector("Partner").unwrap().guid, guid);
    assert_eq!(world.memory.connector("Internet").unwrap().comment, "meanwhile");
    // Once it is there, there is nothing to put back.
    anna.get(&revision).await;
    let (_, page) = anna.follow(&format!("{revision}/undo"), &[]).await;
    assert!(page.text().contains("Nothing would change"), "{}", page.text());
}
