//! Hosts that take connections and never say a word take nothing from those that answer, nor from other servers and mailboxes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::TcpListener;

use crate::sink::Sink;
use crate::support::{ORGANIZATION, Scene};

/// Black holes: twice as many as connections may be open to the outside.
const HOLES: usize = 60;
const CONNECTIONS: usize = 30;

/// A host that accepts connections, keeps them, and says nothing.
async fn black_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn black_holes_keep_back_no_mailbox_no_other_site_and_no_host_that_answers() {
    let (sink, hole) = (Sink::serve().await, black_hole().await);
    let bounded = format!("{{maxOutboundConnections: {CONNECTIONS}, messageRetry");
    let mut organization = ORGANIZATION.replace("{messageRetry", &bounded);
    organization.push_str(&sink.connector());
    for number in 0..HOLES {
        // Each is a queue of its own: its connector differs.
        writeln!(
            organization,
            "  - {{name: Hole{number}, addressSpaces: ['hole{number}.example'], sourceTransportServers: [MAIL1], \
             dnsRoutingEnabled: false, smartHosts: ['127.0.0.1'], port: {}}}",
            hole.port()
        )
        .unwrap();
    }
    let scene = Scene::new(&organization).await;
    let first = scene.start("MAIL1").await;
    let _second = scene.start("MAIL2").await;
    scene.transport("MAIL2").await;
    for number in 0..HOLES {
        scene.submit("ann@contoso.com", &[&format!("x@hole{number}.example")]).await;
    }
    scene.submit("ann@contoso.com", &["ok@example.com"]).await;
    let began = Instant::now();
    scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    scene.submit("ann@contoso.com", &["joe@contoso.com"]).await;
    scene.mailboxes.arrived("bob@contoso.com", 1).await;
    scene.others.arrived("joe@contoso.com", 1).await;
    println!("mailbox and other site after {:?}", began.elapsed());
    // The holes that came first make room, one after the other.
    sink.arrived("ok@example.com", 1).await;
    println!("the host that answers after {:?}", began.elapsed());
    first.crash();
}
