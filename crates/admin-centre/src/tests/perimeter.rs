//! A subscribed Edge server is of a forest of its own: that it tells nobody inside how it is, is no alarm; that nobody can tell it what
//! changes, is one.

use envelope::{Revision, ServerName, Timestamp};

use super::world::{Browser, World};
use crate::estate::Serving;

const ORGANIZATION: &str = "\
sites: [{name: Berlin}]
servers:
- {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
- {name: EDGE1, fqdn: edge1.contoso.example, site: Berlin, role: Edge, edge: {forest: edge1.contoso.example, authorities: [PEM]}}
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
";

fn service(server: &str, service: &'static str, revision: u64, out_of_reach: &[&str]) -> Serving {
    let name = |name: &str| ServerName::parse(name).unwrap();
    Serving {
        server: name(server),
        service,
        addresses: String::new(),
        version: "0.1.0".to_owned(),
        revision: Revision(revision),
        started: Timestamp::from_millis(0),
        out_of_reach: out_of_reach.iter().map(|edge| name(edge)).collect(),
    }
}

async fn overview(world: &World, browser: &mut Browser) -> String {
    world.pass(60);
    browser.get("/").await;
    browser.get("/").await.text()
}

#[tokio::test(start_paused = true)]
async fn an_edge_server_is_no_alarm_unless_nobody_reaches_it() {
    // EN-1, EN-30, EN-32
    let world = World::of(ORGANIZATION);
    let mut anna = world.anna().await;
    *world.memory.services.lock() = vec![service("BERLIN1", "transport", 7, &[]), service("BERLIN1", "admin", 7, &[])];
    let text = overview(&world, &mut anna).await;
    assert!(!text.contains("EDGE1"), "{text}");
    let servers = anna.get("/servers").await.text();
    assert!(servers.contains("told by itself") && !servers.contains("none is there"), "{servers}");
    let server = anna.get("/servers/EDGE1").await.text();
    assert!(server.contains("Subscribed to Berlin") && !server.contains("No service of it is there"), "{server}");
    assert!(!anna.get("/queues").await.text().contains("unknown, not empty"));
    // Each admin service of the site says that it does not reach it.
    *world.memory.services.lock() =
        vec![service("BERLIN1", "transport", 7, &[]), service("BERLIN1", "admin", 7, &["EDGE1"])];
    let text = overview(&world, &mut anna).await;
    assert!(text.contains("is out of reach of BERLIN1: it is not synchronized"), "{text}");
    *world.memory.services.lock() = vec![service("BERLIN1", "transport", 7, &[])];
    let text = overview(&world, &mut anna).await;
    assert!(text.contains("no admin service of site Berlin is there"), "{text}");
    // In a lab it is announced all the same, and counts by a directory of its own.
    *world.memory.services.lock() = vec![
        service("BERLIN1", "transport", 7, &[]),
        service("BERLIN1", "admin", 7, &[]),
        service("EDGE1", "transport", 2, &[]),
    ];
    let text = overview(&world, &mut anna).await;
    assert!(!text.contains("older revision"), "{text}");
    assert!(!anna.get("/servers").await.text().contains("behind"));
}
