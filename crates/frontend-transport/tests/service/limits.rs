//! Limits of a front end, driven until nothing is left: whoever comes too many is told so in words, and the mail of all others is
//! taken meanwhile.

use std::net::IpAddr;

use testkit::{Client, until};

use crate::support::{Conduct, STRANGERS, Scene, organization};

const TOO_MANY: &str = "421 4.3.2 Service not available, too many connections";
const TOO_MANY_OF_SOURCE: &str =
    "421 4.3.2 The maximum number of concurrent connections from your address has exceeded a limit";
const INSUFFICIENT: &str = "452 4.3.1 Insufficient system resources";
const TAKE: [(&str, Conduct); 2] = [("MAIL1", Conduct::Take), ("MAIL2", Conduct::Take)];

/// A front end behind a load balancer, whose entrance for strangers has these limits.
async fn scene(limits: &str) -> Scene {
    let strangers = "permissionGroups: [AnonymousUsers]";
    let limited = organization().replacen(strangers, &format!("{strangers}, {limits}"), 1);
    Scene::of(&limited, &TAKE, |world| world.settings_behind_balancer("MAIL1")).await
}

fn from(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn enter(scene: &Scene, client: &str) -> Client {
    Client::connect_behind(scene.address(STRANGERS), from(client)).await
}

async fn knock(scene: &Scene, client: &str) -> String {
    Client::knock_behind(scene.address(STRANGERS), from(client)).await
}

/// Its mail is taken.
async fn sends(client: &mut Client) {
    let reply = client.send("stranger@elsewhere.example", &["ann@contoso.com"], "Subject: Hi\r\n\r\nBody").await;
    assert!(reply.starts_with("250 2.6.0 "), "{reply}");
}

/// Somebody comes in where nobody could.
async fn comes_in(scene: &Scene, client: &str) {
    until("a place to become free", async || knock(scene, client).await.starts_with("220 ").then_some(())).await;
}

#[tokio::test]
async fn whoever_comes_when_all_places_are_taken_is_told_so_and_the_others_send() {
    let limits = "maxInboundConnection: 4, maxInboundConnectionPercentagePerSource: 100";
    let scene = scene(limits).await;
    let mut inside = Vec::new();
    for host in 1..=4 {
        inside.push(enter(&scene, &format!("192.0.2.{host}")).await);
    }
    for host in 5..30 {
        assert_eq!(knock(&scene, &format!("192.0.2.{host}")).await, TOO_MANY);
    }
    for client in &mut inside {
        sends(client).await;
    }
    inside.pop();
    comes_in(&scene, "192.0.2.77").await;
    sends(&mut inside[0]).await;
    assert_eq!(scene.arrived(5).await.len(), 5);
}

#[tokio::test]
async fn one_source_takes_its_own_places_and_nobody_elses() {
    let limits = "maxInboundConnectionPerSource: 2, maxInboundConnectionPercentagePerSource: 100";
    let scene = scene(limits).await;
    // An IPv4 address, and the /64 around an IPv6 address: of that, every address is the same source.
    for (first, second, third, other) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:1::1"),
    ] {
        let mut inside = [enter(&scene, first).await, enter(&scene, second).await];
        for _ in 0..20 {
            assert_eq!(knock(&scene, third).await, TOO_MANY_OF_SOURCE);
        }
        sends(&mut enter(&scene, other).await).await;
        for client in &mut inside {
            sends(client).await;
        }
        drop(inside);
        comes_in(&scene, third).await;
    }
}

#[tokio::test]
async fn a_share_of_the_places_that_are_left_is_for_one_source() {
    // A fifth of ten, then of what is left: never none.
    let limits = "maxInboundConnection: 10, maxInboundConnectionPerSource: unlimited, \
                  maxInboundConnectionPercentagePerSource: 20";
    let scene = scene(limits).await;
    let mut inside = vec![enter(&scene, "192.0.2.1").await];
    assert_eq!(knock(&scene, "192.0.2.1").await, TOO_MANY_OF_SOURCE);
    for host in 2..=10 {
        inside.push(enter(&scene, &format!("192.0.2.{host}")).await);
    }
    assert_eq!(knock(&scene, "192.0.2.11").await, TOO_MANY);
    for client in &mut inside {
        sends(client).await;
    }
}

/// Octets of a message that is never ended: as much as is held of one (`reception`'s memory, and what a front end holds before it
/// passes anything on).
const HALF: usize = 250 * 1024;
/// Of so many the limit of 256 MiB is reached, of which 80 per cent are for what begins.
const HALVES_MAX: usize = 256 * 1024 * 1024 * 80 / 100 / HALF + 1;

/// A client that has begun a message, and how it goes on.
async fn begins(scene: &Scene, client: &str) -> Result<Client, String> {
    let mut client = enter(scene, client).await;
    let reply = client.say("MAIL FROM:<stranger@elsewhere.example>").await;
    if !reply.starts_with("250 ") {
        return Err(reply);
    }
    client.say("RCPT TO:<ann@contoso.com>").await;
    assert!(client.say("DATA").await.starts_with("354 "));
    Ok(client)
}

#[tokio::test]
async fn halves_of_messages_fill_their_budget_and_what_was_begun_ends() {
    let limits = "maxInboundConnectionPerSource: unlimited, maxInboundConnectionPercentagePerSource: 100";
    let scene = scene(limits).await;
    let mut half = String::from("Subject: half\r\n\r\n");
    half.push_str(&"0123456789abcdef\r\n".repeat(HALF / 18));
    let mut halves = Vec::new();
    let refused = loop {
        match begins(&scene, "192.0.2.1").await {
            Ok(mut client) => {
                client.write(half.as_bytes()).await;
                halves.push(client);
            }
            Err(reply) => break reply,
        }
        assert!(halves.len() < HALVES_MAX + 50, "no end of it");
    };
    assert_eq!(refused, INSUFFICIENT);
    assert!(halves.len() + 50 > HALVES_MAX, "{} of {HALVES_MAX}", halves.len());
    // Others are told the same, and whoever had begun goes on to his end.
    assert_eq!(begins(&scene, "198.51.100.7").await.err().as_deref(), Some(INSUFFICIENT));
    let mut ended = halves.pop().unwrap();
    let reply = ended.say("\r\n.").await;
    assert!(reply.starts_with("250 2.6.0 "), "{reply}");
    assert!(scene.arrived(1).await[0].content.as_ref().unwrap().ends_with("0123456789abcdef\r\n\r\n"));
    // What is given up makes room for everybody.
    halves.truncate(HALVES_MAX / 2);
    let mut other = until("room", async || begins(&scene, "198.51.100.7").await.ok()).await;
    assert!(other.say("Subject: Hi\r\n\r\nBody\r\n.").await.starts_with("250 2.6.0 "));
}
