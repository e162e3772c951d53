//! Pages of a large organization stay small: 60 sites, 300 servers and 2,000 connectors (WA-53). Times are measured elsewhere and are no test.

use std::time::Duration;

use tokio::time::Instant;

use super::live::Stream;
use super::world::{World, passes};

/// The first view in all: page, style, script, icon.
const FIRST_VIEW_MAX: usize = 100_000;

fn large() -> String {
    let mut yaml = String::from("sites:\n");
    for at in 0..60 {
        yaml += &format!("- {{name: Site{at:02}, hubSiteEnabled: {}}}\n", at % 12 == 0);
    }
    yaml += "siteLinks:\n";
    for at in 1..60 {
        yaml += &format!("- {{name: L{at}, sites: [Site{:02}, Site{at:02}], cost: {}}}\n", (at - 1) / 3, at + 1);
    }
    yaml += "servers:\n";
    for at in 0..60 {
        yaml += &format!("- {{name: S{at:02}, fqdn: s{at:02}.contoso.example, site: Site{at:02}}}\n");
    }
    yaml += "acceptedDomains: [{name: C, domainName: contoso.example, default: true}]\nsendConnectors:\n";
    for at in 0..2_000 {
        yaml += &format!(
            "- {{name: 'Connector {at:04}', addressSpaces: [p{at}.example], sourceTransportServers: [S{:02}]}}\n",
            at % 60
        );
    }
    yaml
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_view_is_small_with_sixty_sites_and_two_thousand_connectors() {
    let mut servers = String::from("servers:\n");
    for at in 60..300 {
        servers += &format!("- {{name: S{at:02}, fqdn: s{at:02}.contoso.example, site: Site{:02}}}\n", at % 60);
    }
    let world = World::of(&large().replace("servers:\n", &servers));
    let mut anna = world.anna().await;
    let files: usize = [&*crate::assets::STYLE, &*crate::assets::SCRIPT, &*crate::assets::ICON]
        .iter()
        .map(|file| file.body.len())
        .sum();
    assert!(crate::assets::SCRIPT.body.len() <= 15_000, "WA-01");
    for to in [
        "/",
        "/send-connectors",
        "/send-connectors?q=17&page=2",
        "/servers",
        "/sites",
        "/site-links",
        "/queues",
        "/topology",
        "/find?q=connector",
    ] {
        let page = anna.get(to).await.body.len();
        assert!(page + files <= FIRST_VIEW_MAX, "{to}: {page} and {files}");
    }
    let page = anna.get("/send-connectors?domain=p1234.example").await.text();
    assert!(page.contains("Connector 1234") && page.contains("1 of 2000"), "{page}");
    // All of them as a list: nothing is left out of it.
    let csv = anna.get("/send-connectors?as=csv").await.text();
    assert_eq!(csv.lines().count(), 2_001);
    assert_eq!(anna.get("/servers?as=csv").await.text().lines().count(), 301);
    assert!(anna.get("/servers?page=2").await.text().contains("page 2 of 3"));
    // What is drawn large is not made small to fit.
    assert!(anna.get("/topology").await.text().contains("class=\"drawing map\""));
    assert!(anna.get("/topology?open=all").await.text().contains("class=\"drawing map large\""));
}

#[tokio::test(start_paused = true)]
async fn the_overview_of_servers_that_do_not_answer_is_there_at_once_and_the_rest_comes_after() {
    // WA-42, WA-53: time is the test's own here, so that what is waited for can be told to the millisecond.
    let patience = Duration::from_millis(60);
    let world = World::patient(&large(), patience);
    world.memory.away.lock().push("*".to_owned());
    let mut anna = world.anna().await;
    let begun = Instant::now();
    let page = anna.get("/").await;
    assert!(begun.elapsed() <= patience, "{:?}", begun.elapsed());
    let files = crate::assets::STYLE.body.len() + crate::assets::SCRIPT.body.len() + crate::assets::ICON.body.len();
    assert!(page.body.len() + files <= FIRST_VIEW_MAX, "{} and {files}", page.body.len());
    assert!(page.text().contains("<strong>S00, S01, S02, S03, S04, S05, S06, S07 and 52 more</strong> being asked"));
    // What comes of it is sent to the same page.
    let mut stream = Stream::of(&world, &anna, "/", &page);
    let come = stream.change().await;
    assert!(come.contains("unknown, not empty:") && come.contains("it does not answer"), "{come}");
    assert!(come.len() < 2_000, "what changed, not the page: {}", come.len());
    // Who did not answer is not waited for again.
    passes(Duration::from_secs(10)).await;
    for to in ["/", "/queues", "/topology", "/queues/S07/1", "/send-connectors/Connector%200001"] {
        let begun = Instant::now();
        let page = anna.get(to).await;
        assert_eq!((page.status, begun.elapsed()), (200, Duration::ZERO), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_server_that_stops_answering_the_last_is_shown_with_its_age() {
    // WA-42
    let world = World::new();
    let queue = crate::estate::QueueView { messages: 7, domain: "partner.example".to_owned(), ..Default::default() };
    world.memory.queues.lock().push(("BERLIN1".to_owned(), queue));
    let mut anna = world.anna().await;
    assert!(anna.get("/queues").await.text().contains("7 messages in 1 queue."));
    world.memory.away.lock().push("BERLIN1".to_owned());
    let stream = Stream::of(&world, &anna, "/queues", &anna.clone().get("/queues").await);
    passes(Duration::from_secs(5)).await;
    drop(stream);
    let page = anna.get("/queues").await.text();
    assert!(page.contains("7 messages in 1 queue."), "{page}");
    let at = crate::view::shown_time(&world.now());
    assert!(page.contains("<strong>BERLIN1</strong> is shown as of <time") && page.contains(&at), "{page}");
    let page = anna.get("/queues/BERLIN1/0").await.text();
    assert!(page.contains("BERLIN1 does not answer") && page.contains("partner.example"), "{page}");
}
