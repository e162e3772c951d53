//! `postroad health`: the answer of a container's health check, for services that are there, that say no, and that are not
//! there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use crate::support::Desk;

/// A service that answers `/ready` so, and has some metrics.
fn service(ready: &'static str) -> SocketAddr {
    const METRICS: &str = "HTTP/1.0 200 OK\r\n\r\npostroad_configuration_revision{otel_scope_name=\"postroad\"} 7\n\
        postroad_messages_queued 5\npostroad_pressure_level{resource=\"DatabaseUsedSpace\"} 2\n\
        postroad_pressure_level{resource=\"PrivateBytes\"} 0\npostroad_pressure_measure{resource=\"PrivateBytes\"} 3\n\
        postroad_pressure_measure{resource=\"DatabaseUsedSpace\"} 99\npostroad_queue_length{delivery_type=\"Unreachable\"} 2\n\
        postroad_queue_length{delivery_type=\"SmtpRelayToRemote\"} 0\n\
        postroad_logons_total{connector=\"Client\",outcome=\"failed\"} 2\n\
        postroad_logons_total{connector=\"Client\",outcome=\"refused\"} 1\n\
        postroad_logons_total{connector=\"Client\",outcome=\"succeeded\"} 9\n\
        postroad_certificate_end_seconds{certificate=\"authority\"} 9999999999\n\
        postroad_certificate_end_seconds{certificate=\"service\"} 1\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let length = client.read(&mut request).unwrap_or_default();
            let metrics = request[..length].starts_with(b"GET /metrics");
            // A client that has gone away asks no more.
            let _answered = client.write_all(if metrics { METRICS } else { ready }.as_bytes());
        }
    });
    address
}

fn desk(services: &[(&str, SocketAddr)]) -> Desk {
    let desk = Desk::new();
    let mut settings = String::from(
        "server = 'BERLIN1'\nforest = 'contoso.example'\nstate = 'state'\n\
         [directory]\nkind = 'embedded'\npath = 'directory.db'\n[identity]\npath = 'identity'\n",
    );
    for (service, address) in services {
        settings += &format!("[services.{service}]\nmetrics = '{address}'\n");
    }
    desk.write("server.toml", &settings);
    desk
}

#[test]
fn ready_services_are_told_with_what_waits_in_them() {
    let good = service("HTTP/1.0 200 OK\r\n\r\ngood\n");
    let desk = desk(&[("transport", good), ("mailbox-delivery", good)]);
    let table = desk.done("health --settings server.toml");
    let line = table.lines().find(|line| line.contains(" transport ")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        cells,
        [
            "BERLIN1",
            "transport",
            "ready",
            "7",
            "5",
            "DatabaseUsedSpace",
            "High",
            "99",
            "3",
            "service",
            "ends",
            "in",
            "0",
            "d",
            "Unreachable",
            "2"
        ]
    );
    assert_eq!(table.lines().count(), 3, "{table}");
    let json = desk.done("health transport --settings server.toml --json");
    let state: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((&state["ready"], &state["queued"], &state["reason"]), (&true.into(), &5.into(), &().into()), "{json}");
    // BP-19: those that are not short, too.
    let meters = serde_json::json!([
        {"resource": "DatabaseUsedSpace", "level": "High", "measure": 99},
        {"resource": "PrivateBytes", "level": "Low", "measure": 3},
    ]);
    assert_eq!(state["pressure"], meters, "{json}");
}

#[test]
fn a_service_that_says_no_and_one_that_is_not_there_fail_the_check() {
    let good = service("HTTP/1.0 200 OK\r\n\r\ngood\n");
    let bad = service("HTTP/1.0 503 Service Unavailable\r\n\r\nthe disk of the queue is full\n");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let desk = desk(&[("transport", bad), ("mailbox-delivery", gone), ("frontend-transport", good)]);
    let run = desk.run("health --settings server.toml");
    assert!(!run.succeeded && run.out.contains("the disk of the queue is full"), "{}", run.out);
    assert!(run.out.contains(&format!("no answer at {gone}")), "{}", run.out);
    assert!(!desk.run("health transport --settings server.toml").succeeded);
    assert!(desk.run("health frontend-transport --settings server.toml").succeeded);
    let said = desk.refused("health mailbox-submission --settings server.toml");
    assert!(said.contains("services.mailbox-submission.metrics"), "{said}");
}
