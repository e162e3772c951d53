//! What HTTP makes of requests before a page sees them: sizes, methods, kinds of bodies, cookies in pieces, lists by the end of the path.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use futures::FutureExt;
use tokio_util::task::TaskTracker;

use super::world::{HOST, World};
use crate::serve::{Caller, answer};
use crate::session::COOKIE;

fn caller() -> Caller {
    Caller { address: "192.0.2.1".parse().unwrap(), certificate: None }
}

async fn ask(world: &World, request: Request<Body>) -> Response<Body> {
    answer(&world.centre, &TaskTracker::new(), caller(), request).await
}

fn request(method: &str, to: &str, kind: &str, body: Vec<u8>) -> Request<Body> {
    let request = Request::builder().method(method).uri(to).header("host", HOST).header("content-type", kind);
    request.body(Body::from(body)).unwrap()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_of_another_kind_is_refused_before_any_page() {
    // WA-63, WA-64
    let world = World::new();
    for (method, kind, body, expected) in [
        ("PUT", FORM, Vec::new(), 405),
        ("DELETE", FORM, Vec::new(), 405),
        ("POST", "application/json", b"{}".to_vec(), 415),
        ("POST", "multipart/form-data; boundary=x", Vec::new(), 415),
        ("POST", FORM, vec![b'a'; 1024 * 1024 + 1], 413),
        ("POST", FORM, vec![b'a'; 1024 * 1024], 403),
        ("POST", FORM, b"token=&x=%ff%fe&=&&".to_vec(), 403),
        ("GET", FORM, Vec::new(), 200),
    ] {
        let reply = ask(&world, request(method, "/sign-in", kind, body)).await;
        assert_eq!(reply.status().as_u16(), expected, "{method} {kind}");
        for (name, value) in crate::guard::HEADERS {
            let all: Vec<_> = reply.headers().get_all(name).iter().collect();
            assert_eq!(all, [value], "{method} {kind}: {name}, once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_had_in_other_forms_by_the_end_of_its_path() {
    // WA-31
    let world = World::new();
    let anna = world.anna().await;
    let get = async |to: &str| {
        let request = Request::builder().uri(to).header("host", HOST);
        // Browsers of HTTP/2 send cookies one by one (RFC 9113 §8.2.3).
        let request = request.header("cookie", "theme=dark").header("cookie", format!("{COOKIE}={}", anna.cookie));
        let reply = ask(&world, request.body(Body::empty()).unwrap()).await;
        let kind = reply.headers()["content-type"].to_str().unwrap().to_owned();
        let body = to_bytes(reply.into_body(), usize::MAX).await.unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    };
    // The list that a page is about, not what stands above it.
    assert!(get("/people.csv").await.1.starts_with("Name,Role groups,"));
    assert!(get("/queues.csv").await.1.starts_with("Queue,"));
    let (kind, csv) = get("/send-connectors.csv?domain=clerk.example").await;
    assert_eq!(kind, "text/csv; charset=utf-8");
    assert!(csv.starts_with("Name,Status,") && csv.contains("Internet,Enabled") && !csv.contains("Partner"), "{csv}");
    let (kind, json) = get("/domains.json").await;
    assert_eq!(kind, "application/json");
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&rows[0]["Domain"], &rows[0]["Default"]), (&"contoso.example".into(), &"default".into()));
    // A connector may be called so: its page is a page.
    assert!(get("/send-connectors/list.csv").await.1.contains("There is no Send connector list.csv"));
}

#[tokio::test]
async fn a_change_is_made_and_written_down_though_the_client_hangs_up() {
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/people").await;
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("name", "ben"), ("groups", "Server Management"), ("token", anna.token())])
        .finish();
    let request = Request::builder().method("POST").uri("/people/invite").header("host", HOST);
    let request = request.header("content-type", FORM).header("cookie", format!("{COOKIE}={}", anna.cookie));
    let work = TaskTracker::new();
    let noted = || world.memory.notes.lock().iter().any(|(who, cmdlet, _, _)| who == "anna" && cmdlet == "New-Account");
    // As hyper does with a client that is gone: the answer is begun, and dropped.
    let begun = answer(&world.centre, &work, caller(), request.body(Body::from(form)).unwrap()).now_or_never();
    assert!(begun.is_none() && !noted(), "it hung up before the answer");
    work.close();
    work.wait().await;
    assert!(noted(), "{:?}", world.memory.notes.lock());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_the_centre_by_another_name_is_not_listened_to() {
    // WA-64: its body is not even read.
    let world = World::new();
    let request = Request::builder().method("POST").uri("/sign-in").header("host", "evil.example:8443");
    let request = request.header("content-type", FORM).body(Body::from(vec![b'a'; 1024 * 1024 + 1])).unwrap();
    assert_eq!(ask(&world, request).await.status().as_u16(), 421);
}
