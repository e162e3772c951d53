//! Pages of a large organization stay small: 60 sites and 2,000 connectors (WA-53). Times are measured elsewhere and are no test.

use super::world::World;

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
    let world = World::of(&large());
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_read_again_and_is_the_same_is_not_sent_again() {
    let world = World::new();
    let mut anna = world.anna().await;
    for to in ["/", "/queues", "/servers", "/topology"] {
        let first = anna.get(to).await;
        let mut ask = anna.raw(false, to, &[]);
        ask.seen = first.header("x-live").unwrap().to_owned();
        let again = world.centre.answer(&ask).await;
        assert_eq!((again.status, again.body.len()), (204, 0), "{to}");
    }
    let mut ask = anna.raw(false, "/queues", &[]);
    ask.seen = anna.get("/queues").await.header("x-live").unwrap().to_owned();
    world
        .memory
        .queues
        .lock()
        .push(("BERLIN1".to_owned(), crate::estate::QueueView { messages: 1, ..Default::default() }));
    assert_eq!(world.centre.answer(&ask).await.status, 200);
}
