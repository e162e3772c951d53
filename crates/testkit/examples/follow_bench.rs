//! Measures how long a committed change of the configuration takes to become routing tables on every server: 50 followers,
//! each with a connection of its own to one real etcd, each building the tables of its server.
//!
//! `cargo run --release -p testkit --example follow_bench` (needs etcd). All followers share this machine's processors; on
//! machines of their own they do not wait for each other.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{Author, Change, Directory, WatchEvent};
use directory::{EtcdSettings, connect_etcd as connect};
use envelope::{Revision, ServerName};
use futures::StreamExt;
use organization::{Document, Object, WithoutSecrets, objects};
use routing::RoutingTables;
use testkit::etcd::EtcdServer;
use tokio::sync::mpsc;

const FOREST: &str = "contoso.example";
const SERVERS: usize = 50;
const SITES: usize = 10;
const CONNECTORS: usize = 200;
const CHANGES: usize = 10;

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let etcd = EtcdServer::start();
    let open = || connect(EtcdSettings::new(vec![etcd.endpoint()]), FOREST);
    let directory = open();
    let first =
        directory.commit(Change { puts: configuration()?, ..Change::by(Author::new("bench", "follow_bench")) }).await?;
    let (applied, mut answers) = mpsc::unbounded_channel();
    for at in 0..SERVERS {
        tokio::spawn(follow(open(), format!("SERVER{at}").parse()?, applied.clone()));
    }
    reached(&mut answers, first).await?;
    let mut times = Vec::new();
    for at in 0..CHANGES {
        let started = Instant::now();
        let revision = directory
            .commit(Change { puts: vec![connector(at)?], ..Change::by(Author::new("bench", "follow_bench")) })
            .await?;
        let committed = started.elapsed();
        reached(&mut answers, revision).await?;
        times.push((committed, started.elapsed()));
    }
    let all: Vec<Duration> = times.iter().map(|(_, applied)| *applied).collect();
    let commit: Duration = times.iter().map(|(committed, _)| *committed).sum::<Duration>() / CHANGES as u32;
    println!("{SERVERS} servers, {SITES} sites, {CONNECTORS} connectors, {CHANGES} changes of one connector");
    println!("commit                             {:>7.1} ms (mean)", commit.as_secs_f64() * 1e3);
    let mean = all.iter().sum::<Duration>() / CHANGES as u32;
    let most = all.iter().max().copied().unwrap_or_default();
    let (mean, most) = (mean.as_secs_f64() * 1e3, most.as_secs_f64() * 1e3);
    println!("commit to tables on all servers    {mean:>7.1} ms (mean), {most:.1} ms (longest)");
    Ok(())
}

/// What a server does: each snapshot becomes tables.
async fn follow(
    directory: Arc<dyn Directory>,
    server: ServerName,
    applied: mpsc::UnboundedSender<(ServerName, Revision)>,
) {
    let mut changes = directory.watch(Revision(0));
    while let Some(event) = changes.next().await {
        match event {
            WatchEvent::Snapshot(organization) => {
                let tables = RoutingTables::build(organization, &server).expect("every server is configured");
                if applied.send((server.clone(), tables.revision())).is_err() {
                    return;
                }
            }
            WatchEvent::Back => {}
            WatchEvent::Rejected { reason, .. } | WatchEvent::Unavailable(reason) => eprintln!("{server}: {reason}"),
        }
    }
}

/// Waits until every server has applied `revision` or a later one.
async fn reached(
    answers: &mut mpsc::UnboundedReceiver<(ServerName, Revision)>,
    revision: Revision,
) -> Result<(), AnyError> {
    let mut servers = std::collections::HashSet::new();
    while servers.len() < SERVERS {
        let (server, applied) = answers.recv().await.ok_or("the followers have ended")?;
        if applied >= revision {
            servers.insert(server);
        }
    }
    Ok(())
}

fn configuration() -> Result<Vec<Object>, AnyError> {
    let mut yaml = "sites:\n".to_owned();
    for at in 0..SITES {
        writeln!(yaml, "- {{name: Site{at}}}")?;
    }
    yaml += "siteLinks:\n";
    for at in 1..SITES {
        writeln!(yaml, "- {{name: Link{at}, sites: [Site{}, Site{at}], cost: 10}}", at / 2)?;
    }
    yaml += "servers:\n";
    for at in 0..SERVERS {
        writeln!(yaml, "- {{name: SERVER{at}, fqdn: server{at}.contoso.example, site: Site{}}}", at % SITES)?;
    }
    yaml += "sendConnectors:\n";
    for at in 0..CONNECTORS {
        writeln!(yaml, "{}", line(at, 1))?;
    }
    read(&yaml)
}

fn line(at: usize, cost: usize) -> String {
    let source = at % SERVERS;
    format!(
        "- {{name: Out{at}, addressSpaces: [\"*.d{at}.example;{cost}\"], sourceTransportServers: [SERVER{source}]}}"
    )
}

/// A connector with another cost than before.
fn connector(at: usize) -> Result<Object, AnyError> {
    let mut objects = read(&format!("sendConnectors:\n{}\n", line(at, 50)))?;
    objects.retain(|object| matches!(object, Object::SendConnector(_)));
    Ok(objects.remove(0))
}

fn read(yaml: &str) -> Result<Vec<Object>, AnyError> {
    let (draft, recipients) = Document::parse(yaml)?.to_draft(&WithoutSecrets)?;
    Ok(objects(&draft, &recipients))
}
