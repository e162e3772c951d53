//! Pages that go on: what a browser is sent, who is sent it, and when that ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::time::Instant;

use super::world::{Browser, World, passes};
use crate::estate::QueueView;
use crate::live::STREAMS_OWN_MAX;
use crate::request::{Ask, Reply};

/// A stream of a browser that shows a page.
pub(crate) struct Stream {
    coming: Pin<Box<dyn futures::Stream<Item = Result<Bytes, std::convert::Infallible>> + Send>>,
    /// Octets so far.
    octets: usize,
}

/// The mark that a page has for its script.
fn mark(page: &Reply) -> String {
    let text = page.text();
    let start = text.find("data-mark=\"").expect("the page is live") + 11;
    text[start..].split('"').next().unwrap().to_owned()
}

impl Stream {
    fn open(world: &World, browser: &Browser, to: &str, have: &str) -> Result<Self, u16> {
        let mut ask = browser.raw(false, "/live", &[]);
        ask.seen = Some(have.to_owned());
        let of = browser.raw(false, to, &[]);
        let of = Ask { path: of.path, query: of.query, ..Ask::default() };
        let stream = world.centre.stream(&ask, &of).map_err(|reply| reply.status)?;
        Ok(Self { coming: Box::pin(stream), octets: 0 })
    }

    pub(crate) fn of(world: &World, browser: &Browser, to: &str, page: &Reply) -> Self {
        Self::open(world, browser, to, &mark(page)).unwrap()
    }

    /// The next event; nothing at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        let event = self.coming.next().await?.unwrap();
        self.octets += event.len();
        Some(String::from_utf8(event.to_vec()).unwrap())
    }

    /// The next event that is no sign of life.
    pub(crate) async fn change(&mut self) -> String {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if !event.starts_with("retry:") && !event.starts_with("event: beat\n") {
                return event;
            }
        }
    }

    /// Signs of life within a time, in which nothing else comes.
    async fn still(&mut self, time: Duration) -> usize {
        let (until, mut beats) = (Instant::now() + time, 0);
        while let Ok(event) = tokio::time::timeout_at(until, self.next()).await {
            let event = event.expect("the stream goes on");
            assert!(event.starts_with("retry:") || event.starts_with("event: beat\ndata: 2026-"), "{event}");
            beats += usize::from(event.starts_with("event: beat"));
        }
        beats
    }
}

fn data(event: &str) -> Value {
    let line = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(line).unwrap()
}

fn queue(number: u64) -> QueueView {
    QueueView {
        number,
        name: format!("BERLIN1\\{number}"),
        domain: format!("d{number}.example"),
        delivery_type: "DnsConnectorDelivery".to_owned(),
        status: "Retry".to_owned(),
        messages: 1_000 - number,
        last_error: Some("451 4.7.1 come later".to_owned()),
        ..QueueView::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_stays_the_same_sends_signs_of_life_and_a_queue_that_changes_comes_alone() {
    // WA-22
    let world = World::new();
    world.memory.queues.lock().extend((1..=95).map(|number| ("BERLIN1".to_owned(), queue(number))));
    let mut anna = world.anna().await;
    let page = anna.get("/queues").await;
    let mut stream = Stream::of(&world, &anna, "/queues", &page);
    let beats = stream.still(Duration::from_secs(120)).await;
    assert!((6..=8).contains(&beats), "{beats}");
    assert!(stream.octets < 600, "{} octets in two minutes", stream.octets);
    assert!(world.centre.live.drawings.load(Ordering::Relaxed) > 50, "it was looked at all the time");
    // One of 95 has another reason.
    world.memory.queues.lock()[76].1.last_error = Some("550 5.7.1 never".to_owned());
    let event = stream.change().await;
    let change = data(&event);
    assert!(change.get("regions").is_none() && change["rows"].as_object().unwrap().len() == 1, "{event}");
    let splice = change["rows"].as_object().unwrap().values().next().unwrap().clone();
    let (at, gone) = (splice[0].as_u64().unwrap(), splice[1].as_u64().unwrap());
    assert_eq!((at, gone, splice[2].as_array().unwrap().len()), (76, 1, 1));
    assert!(event.contains("d77.example") && event.contains("550 5.7.1 never") && !event.contains("d78.example"));
    assert!(event.len() < 1_500, "{} octets of a page of {}", event.len(), page.body.len());
    assert!(page.body.len() > 40_000);
    println!("page {} octets; one queue {} octets; a sign of life {}", page.body.len(), event.len(), 40);
    stream.still(Duration::from_secs(30)).await;
    // One more message: its row, and the sum above the table.
    world.memory.queues.lock()[76].1.messages += 1;
    let event = stream.change().await;
    assert_eq!(data(&event)["regions"][2].as_array().unwrap().len(), 1, "{event}");
    assert!(event.contains("messages in 95 queues.") && event.len() < 2_500, "{}", event.len());
    // A queue that is gone takes nothing along.
    world.memory.queues.lock().remove(10);
    let event = stream.change().await;
    assert!(event.len() < 1_000 && !event.contains("<tr>"), "{event}");
}

#[tokio::test(start_paused = true)]
async fn after_a_break_a_browser_is_sent_what_it_missed() {
    let world = World::new();
    world.memory.queues.lock().extend((1..=50).map(|number| ("BERLIN1".to_owned(), queue(number))));
    let mut anna = world.anna().await;
    let page = anna.get("/queues").await;
    let mut stream = Stream::of(&world, &anna, "/queues", &page);
    stream.still(Duration::from_secs(10)).await;
    world.memory.queues.lock()[3].1.status = "Suspended".to_owned();
    let event = stream.change().await;
    let last = event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(stream);
    world.memory.queues.lock()[7].1.status = "Suspended".to_owned();
    let mut again = Stream::open(&world, &anna, "/queues", &last).unwrap();
    let event = again.change().await;
    assert!(event.contains("d8.example") && !event.contains("d4.example"), "{event}");
    assert_eq!(again.still(Duration::from_secs(20)).await, 1);
    // Who comes with what nobody knows is sent the whole page, once.
    let mut stranger = Stream::open(&world, &anna, "/queues", "0123456789abcdef").unwrap();
    let all = data(&stranger.change().await);
    assert!(all["all"].as_array().unwrap().len() > 3);
    assert_eq!(stranger.still(Duration::from_secs(20)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn one_drawing_serves_all_who_may_see_the_same() {
    let world = World::new();
    world.memory.queues.lock().push(("BERLIN1".to_owned(), queue(1)));
    let mut people = Vec::new();
    for name in ["anna", "ben", "carla"] {
        people.push(world.with(name, "Organization Management").await);
    }
    let mut streams = Vec::new();
    for person in &mut people {
        let page = person.get("/queues").await;
        streams.push(Stream::of(&world, person, "/queues", &page));
    }
    let asked = world.memory.asked.load(Ordering::Relaxed);
    let all = futures::future::join_all(streams.iter_mut().map(|stream| stream.still(Duration::from_secs(60))));
    all.await;
    let drawings = world.centre.live.drawings.load(Ordering::Relaxed);
    assert!((25..=65).contains(&drawings), "{drawings} drawings for three people in a minute");
    let asked = world.memory.asked.load(Ordering::Relaxed) - asked;
    assert!(asked <= 2 * 65, "{asked} questions to two servers for three people in a minute");
    // Who may do less sees another page of it: what is shut for him is shut in what he is sent.
    let mut rita = world.with("rita", "View-Only Organization Management").await;
    let page = rita.get("/queues").await;
    assert!(
        page.text().contains("you, of View-Only Organization Management, may not change queues"),
        "{}",
        page.text()
    );
    let mut hers = Stream::of(&world, &rita, "/queues", &page);
    world.memory.queues.lock().clear();
    let (without, _) = (hers.change().await, streams[0].change().await);
    world.memory.queues.lock().push(("BERLIN1".to_owned(), queue(2)));
    let again = hers.change().await;
    assert!(
        !without.contains("<button") && again.contains("<button disabled>") && !again.contains("value=\\\"retry\\\"")
    );
    let theirs = streams[0].change().await;
    assert!(theirs.contains("value=\\\"retry\\\"") && !theirs.contains("<button disabled>"), "{theirs}");
    assert!(!theirs.contains("name=\\\"token\\\""), "the token of a session is in nothing that many are sent");
    drop((streams, hers));
    world.until_nobody_looks().await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_end_with_the_session() {
    let world = World::new();
    let mut anna = world.anna().await;
    let page = anna.get("/queues").await;
    let mut streams = Vec::new();
    for _ in 0..=STREAMS_OWN_MAX {
        streams.push(Stream::of(&world, &anna, "/queues", &page));
    }
    // The oldest made room.
    while streams[0].next().await.is_some() {}
    assert_eq!(streams[1].still(Duration::from_secs(20)).await, 1);
    drop(streams.remove(0));
    assert_eq!(world.centre.live.count(), STREAMS_OWN_MAX);
    // A stream is no use of the session: half an hour without a request ends it, and what it has open.
    world.pass(31 * 60);
    let ended = streams[0].change().await;
    assert!(ended.starts_with("event: out\n"), "{ended}");
    assert_eq!(streams[0].next().await, None);
    drop(streams);
    assert_eq!(world.centre.live.count(), 0);
    assert_eq!(Stream::open(&world, &anna, "/queues", "").err(), Some(401));
    // So does signing out, a certificate that is revoked, and the end of the centre.
    let mut ben = world.with("ben", "Organization Management").await;
    let page = ben.get("/").await;
    let (mut one, mut other) = (Stream::of(&world, &ben, "/", &page), Stream::of(&world, &ben, "/", &page));
    ben.post("/sign-out", &[]).await;
    assert!(one.change().await.starts_with("event: out\n"));
    assert!(other.change().await.starts_with("event: out\n"));
    let mut carla = world.with("carla", "Organization Management").await;
    let page = carla.get("/").await;
    let mut hers = Stream::of(&world, &carla, "/", &page);
    world.revoke("carla");
    assert!(hers.change().await.starts_with("event: out\n"));
    let mut dora = world.with("dora", "Organization Management").await;
    let page = dora.get("/").await;
    let mut last = Stream::of(&world, &dora, "/", &page);
    last.still(Duration::from_secs(5)).await;
    world.centre.live.ended.cancel();
    assert_eq!(last.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_is_sent_anything() {
    let world = World::new();
    let mut anna = world.anna().await;
    let page = anna.get("/queues").await;
    let stranger = Browser::new(&world.centre);
    assert_eq!(Stream::open(&world, &stranger, "/queues", &mark(&page)).err(), Some(401));
    let mut elsewhere = anna.clone();
    elsewhere.site = Some("cross-site".to_owned());
    assert_eq!(Stream::open(&world, &elsewhere, "/queues", &mark(&page)).err(), Some(403));
    // What is not there, or not for him, has no stream that goes on.
    let mut gone = Stream::open(&world, &anna, "/queues/BERLIN1/17", "").unwrap();
    assert!(gone.change().await.starts_with("event: gone\n"));
    assert_eq!(gone.next().await, None);
    let rosa = world.with("rosa", "Records Management").await;
    let mut refused = Stream::open(&world, &rosa, "/queues", "").unwrap();
    assert!(refused.change().await.starts_with("event: again\n"));
    assert_eq!(refused.next().await, None);
}

#[test]
fn any_list_becomes_any_other() {
    let seed = 20_261_130;
    let mut random = StdRng::seed_from_u64(seed);
    for case in 0..3_000 {
        let mut list = |most: usize| -> Vec<u64> {
            let length = random.random_range(0..=most);
            (0..length).map(|_| random.random_range(0..9)).collect()
        };
        let (old, new) = (list(12), list(12));
        assert_eq!(crate::live::respliced(&old, &new), new, "seed {seed}, case {case}: {old:?} to {new:?}");
    }
}

impl World {
    /// Pages that nobody looks at are not drawn.
    async fn until_nobody_looks(&self) {
        passes(Duration::from_secs(10)).await;
        let drawings = self.centre.live.drawings.load(Ordering::Relaxed);
        passes(Duration::from_secs(60)).await;
        assert_eq!(self.centre.live.drawings.load(Ordering::Relaxed), drawings);
        assert_eq!(Arc::strong_count(&self.centre), 5, "the world and four browsers");
    }
}
