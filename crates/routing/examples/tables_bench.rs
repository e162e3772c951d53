//! Measures routing at scale: building the tables of one server, one decision cold and warm, memory, and what a decision
//! costs by the number of connectors.
//!
//! `cargo run --release -p routing --example tables_bench`
//!
//! What takes long is told in time on a processor: others who use the machine at the same time do not change it much. Cold
//! decisions are told by their median for the same reason.

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::{ByteSize, Domain, Revision, ServerName};
use routing::{Destination, Outcome, RoutingTables};
use topology::Organization;

type AnyError = Box<dyn Error>;

const SITES: usize = 200;
const SERVERS: usize = 1_000;
const CONNECTORS: usize = 10_000;
/// Address spaces of each connector.
const SPACES: usize = 10;
/// Times that tables are built; the best and the mean are printed.
const BUILDS: u32 = 5;
/// Decisions of one measurement.
const DECISIONS: u32 = 200_000;
/// Snapshots and tables that are made to measure their memory.
const COPIES: u64 = 4;
/// Different recipients that are asked for.
const RECIPIENTS: usize = 1_000;

fn main() -> Result<(), AnyError> {
    scale()?;
    println!("\nconnectors   decision, warm   first decision");
    for connectors in [10, 1_000, 10_000] {
        let organization = organization(SITES, SERVERS, connectors)?;
        let tables = RoutingTables::build(organization, &server(0))?;
        let domains = domains(connectors)?;
        let first = first(&tables, &domains);
        println!(
            "{connectors:>10}   {:>11} ns   {:>11} ns",
            warm(&tables, &domains).as_nanos(),
            first.median.as_nanos()
        );
    }
    Ok(())
}

fn scale() -> Result<(), AnyError> {
    println!(
        "{SERVERS} servers in {SITES} sites, {CONNECTORS} connectors with {} address spaces\n",
        CONNECTORS * SPACES
    );
    let organization = organization(SITES, SERVERS, CONNECTORS)?;
    let draft = organization.draft().clone();
    let started = on_processor();
    let organization = Arc::new(Organization::validate(draft, Revision(2))?);
    println!("snapshot checked in    {:>9.1} ms", millis(on_processor() - started));
    let snapshot = memory(|| Organization::clone(&organization));
    println!("snapshot               {:>9.1} MB", snapshot as f64 / 1e6);
    let tables = memory(|| RoutingTables::build(organization.clone(), &server(0)));
    println!("tables of one server   {:>9.1} MB", tables as f64 / 1e6);
    let tables = RoutingTables::build(organization.clone(), &server(0))?;
    let domains = domains(CONNECTORS)?;
    let first = first(&tables, &domains);
    println!(
        "one decision, cold     {:>9.2} µs (median), {:.2} µs (99 of 100)",
        micros(first.median),
        micros(first.most)
    );
    println!("one decision, warm     {:>9.2} µs", micros(warm(&tables, &domains)));
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..BUILDS {
        let started = on_processor();
        black_box(RoutingTables::build(organization.clone(), &server(0))?);
        times.push(on_processor() - started);
    }
    let mean = times.iter().sum::<Duration>() / BUILDS;
    let best = times.iter().min().copied().unwrap_or_default();
    println!("tables built in        {:>9.1} ms (mean), {:.1} ms (best)", millis(mean), millis(best));
    Ok(())
}

/// First decisions: each leads to another connector, whose delivery group has no plan yet.
struct First {
    median: Duration,
    most: Duration,
}

fn first(tables: &RoutingTables, domains: &[Domain]) -> First {
    let mut times: Vec<Duration> = domains.iter().map(|domain| one(tables, domain)).collect();
    times.sort();
    First { median: times[times.len() / 2], most: times[times.len() * 99 / 100] }
}

fn one(tables: &RoutingTables, domain: &Domain) -> Duration {
    let started = Instant::now();
    let decision = black_box(tables.route(Destination::External(domain), ByteSize::kib(10)));
    let took = started.elapsed();
    assert!(matches!(decision.outcome, Outcome::Route(_)), "{domain}: {:?}", decision.outcome);
    took
}

/// Mean of one decision among recipients that were all asked for before.
fn warm(tables: &RoutingTables, domains: &[Domain]) -> Duration {
    let started = on_processor();
    for domain in domains.iter().cycle().take(DECISIONS as usize) {
        black_box(tables.route(Destination::External(domain), ByteSize::kib(10)));
    }
    (on_processor() - started) / DECISIONS
}

/// Sites on a ring with chords and a few links of many sites; servers and connectors spread evenly.
fn organization(sites: usize, servers: usize, connectors: usize) -> Result<Arc<Organization>, AnyError> {
    let mut yaml = String::from("sites:\n");
    for at in 0..sites {
        writeln!(yaml, "- {{name: site{at}, hubSiteEnabled: {}}}", at % 20 == 10)?;
    }
    yaml += "siteLinks:\n";
    for at in 0..sites {
        let (next, far) = ((at + 1) % sites, (at * 7 + 3) % sites);
        writeln!(yaml, "- {{name: ring{at}, sites: [site{at}, site{next}], cost: {}}}", 5 + at % 11)?;
        if far != at {
            writeln!(yaml, "- {{name: chord{at}, sites: [site{at}, site{far}], cost: {}}}", 20 + at % 17)?;
        }
    }
    yaml += "servers:\n";
    for at in 0..servers {
        writeln!(yaml, "- {{name: server{at}, fqdn: server{at}.contoso.com, site: site{}}}", at % sites)?;
    }
    yaml += "databases:\n";
    for at in 0..servers {
        writeln!(yaml, "- {{name: DB{at}, server: server{at}}}")?;
    }
    yaml += "sendConnectors:\n";
    for at in 0..connectors {
        let spaces: Vec<String> = (0..SPACES).map(|space| address_space(at, space)).collect();
        let (one, two) = ((at * 13) % servers, (at * 29 + 7) % servers);
        let sources = if one == two { format!("server{one}") } else { format!("server{one}, server{two}") };
        let spaces = spaces.join(", ");
        writeln!(yaml, "- {{name: connector{at}, addressSpaces: [{spaces}], sourceTransportServers: [{sources}]}}")?;
    }
    Ok(Arc::new(organization::load(&yaml, Revision(1))?.organization))
}

/// Mostly domains of its own; some whole domains, and the internet on one connector of a hundred.
fn address_space(connector: usize, space: usize) -> String {
    match space {
        0 if connector.is_multiple_of(100) => format!("\"*;{}\"", 1 + connector % 90),
        1 => format!("\"*.group{}.example;{}\"", connector % 500, 1 + connector % 50),
        2 => format!("\"*.c{connector}.example\""),
        _ => format!("d{space}.c{connector}.example"),
    }
}

/// Recipients of every precision, spread over the connectors.
fn domains(connectors: usize) -> Result<Vec<Domain>, AnyError> {
    let domain = |at: usize| {
        let connector = (at * 7919) % connectors;
        Domain::parse(&match at % 4 {
            0 => format!("d5.c{connector}.example"),
            1 => format!("mail.sales.c{connector}.example"),
            2 => format!("x.group{}.example", connector % 500),
            _ => format!("somebody{at}.test"),
        })
    };
    Ok((0..RECIPIENTS).map(domain).collect::<Result<_, _>>()?)
}

fn server(at: usize) -> ServerName {
    ServerName::parse(&format!("server{at}")).expect("a short word is a name")
}

/// Time that this thread has been running, from Linux.
fn on_processor() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = statistics.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Octets that one more of these takes. The first ones use what was freed before and are not counted.
fn memory<T>(make: impl Fn() -> T) -> u64 {
    let first: Vec<T> = (0..COPIES).map(|_| make()).collect();
    let before = resident();
    let more: Vec<T> = (0..COPIES).map(|_| make()).collect();
    let taken = resident().saturating_sub(before) / COPIES;
    drop((first, more));
    taken
}

/// Resident memory of this process in octets.
fn resident() -> u64 {
    /// Linux counts pages; they have this size on every machine that we build for.
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * PAGE
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
