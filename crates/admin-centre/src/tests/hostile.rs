//! What strangers wrote is shown and does nothing, on every page that shows mail; nor in a file for a spreadsheet (WA-65, WA-66, WA-89).

use envelope::{Address, ByteSize, Timestamp};

use super::world::World;
use crate::estate::{LetterView, QueueView, TrackView};

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "gpj.\u{202e}exe\u{2066}",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "a\u{0}\u{1b}[2J\r\nSet-Cookie: x=y",
    "</textarea></title><svg onload=alert(1)>",
];

fn long() -> String {
    "x".repeat(10_000)
}

/// Everything that strangers have a say in says that.
fn fill(world: &World, text: &str) {
    *world.memory.queues.lock() = vec![(
        "BERLIN1".to_owned(),
        QueueView {
            number: 1,
            name: text.to_owned(),
            domain: text.to_owned(),
            delivery_type: "DnsConnectorDelivery".to_owned(),
            status: "Retry".to_owned(),
            messages: 1,
            last_error: Some(text.to_owned()),
            ..QueueView::default()
        },
    )];
    *world.memory.letters.lock() = vec![LetterView {
        number: 1,
        queue: 1,
        queue_name: text.to_owned(),
        id: "1".to_owned(),
        trace: Some(text.to_owned()),
        status: text.to_owned(),
        from: text.to_owned(),
        recipients: vec![Address::parse("a@b.example").unwrap()],
        size: ByteSize::kib(1),
        received: Timestamp::from_millis(0),
        expires: Timestamp::from_millis(0),
        retries: 0,
        last_error: Some(text.to_owned()),
        source: text.to_owned(),
        subject: Some(text.to_owned()),
        decision: None,
    }];
    *world.memory.tracks.lock() = vec![TrackView {
        server: "BERLIN1".to_owned(),
        message: "m1".to_owned(),
        event: text.to_owned(),
        source: text.to_owned(),
        connector: text.to_owned(),
        sender: text.to_owned(),
        recipients: vec![text.to_owned()],
        subject: text.to_owned(),
        internet_id: text.to_owned(),
        host: text.to_owned(),
        status: text.to_owned(),
        ..TrackView::default()
    }];
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_mail_is_inert_on_every_page() {
    let world = World::new();
    let mut texts: Vec<String> = HOSTILE.iter().map(|text| (*text).to_owned()).collect();
    texts.push(long());
    for text in &texts {
        fill(&world, text);
        let mut anna = world.anna().await;
        for to in ["/", "/queues", "/queues/BERLIN1/1?subjects=true", "/messages?start=1h", "/messages/m1", "/topology"]
        {
            let page = anna.get(to).await.text();
            for bad in
                ["<script>alert", "<img", "<svg onload", "\u{202e}", "\u{2066}", "\u{0}", "\u{1b}", "onerror=alert(1)>"]
            {
                assert!(!page.contains(bad), "{to}: {bad:?} of {text:?}");
            }
        }
        let typed = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", text)
            .append_pair("recipient", text)
            .finish();
        for to in ["/find", "/send-connectors", "/explain", "/messages", "/topology", "/sign-in"] {
            let page = anna.get(&format!("{to}?{typed}")).await.text();
            assert!(
                !page.contains("<script>alert") && !page.contains("<img") && !page.contains("<svg onload"),
                "{to}: {text:?}"
            );
        }
        let reply = anna.get(&format!("/messages/{}", crate::pages::segment(text))).await;
        assert!(reply.headers.iter().all(|(_, value)| !value.contains('\n')));
    }
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/send-connectors/Partner/edit").await;
    let reply = anna.post("/send-connectors/Partner/edit", &[("comment", HOSTILE[5]), ("port", "bad")]).await.text();
    assert!(reply.contains("&lt;/textarea&gt;") && !reply.contains("</textarea></title>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_of_a_list_is_a_formula() {
    let world = World::new();
    *world.memory.tracks.lock() = vec![TrackView {
        message: "m1".to_owned(),
        subject: HOSTILE[3].to_owned(),
        sender: "@SUM(1)".to_owned(),
        ..TrackView::default()
    }];
    let mut anna = world.anna().await;
    let reply = anna.get("/messages?start=1h&as=csv").await;
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"list.csv\""));
    let text = reply.text();
    assert!(text.contains("\"'=HYPERLINK(") && text.contains(",'@SUM(1),"), "{text}");
    let json = anna.get("/messages?start=1h&as=json").await.text();
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows[0]["Subject"], HOSTILE[3]);
    let raw = anna.get("/messages?start=1h&as=csv&raw=1").await.text();
    assert!(raw.contains("\"=HYPERLINK("));
}
