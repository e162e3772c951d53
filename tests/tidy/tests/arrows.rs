//! The layers: nouns ← decisions ← edges ← services ← programs. Arrows point downwards only, each edge owns one outside
//! thing, services never know each other, and decisions do no I/O.

use std::collections::{BTreeMap, BTreeSet};

use tidy::{features, manifests, sources};

/// Bands from the bottom up; a crate may know crates of lower bands, and those of its own band that are listed.
const BANDS: [(&str, &[&str]); 6] = [
    ("nouns", &["envelope", "topology"]),
    ("decisions", &["message", "smtp-session", "routing", "categorizer", "scheduler", "pressure"]),
    (
        "edges",
        &[
            "net",
            "smtp",
            "queue",
            "organization",
            "directory",
            "mailbox-store",
            "rpc",
            "telemetry",
            "tracking",
            "runtime",
            "reception",
        ],
    ),
    ("services", &["frontend-transport", "transport", "mailbox-submission", "mailbox-delivery"]),
    ("programs", &["lab", "postroad"]),
    ("tests", &["testkit", "tidy", "integration", "bench"]),
];

/// Arrows within a band.
const WITHIN: [(&str, &[&str]); 10] = [
    ("topology", &["envelope"]),
    ("categorizer", &["message", "routing"]),
    ("scheduler", &["routing"]),
    ("smtp", &["net"]),
    ("rpc", &["net", "smtp"]),
    ("directory", &["organization"]),
    ("runtime", &["directory", "net", "rpc", "telemetry"]),
    ("reception", &["directory", "net", "runtime", "smtp", "telemetry"]),
    ("postroad", &["lab"]),
    ("integration", &["testkit"]),
];

/// Outside things and the only crates that may name them.
const OWNERS: [(&str, &[&str]); 11] = [
    ("etcd-client", &["directory"]),
    ("rusqlite", &["directory"]),
    ("hickory-resolver", &["net"]),
    ("tokio-rustls", &["net"]),
    ("rcgen", &["net"]),
    ("tonic", &["rpc", "lab"]),
    ("prost", &["rpc"]),
    ("mail-parser", &["message"]),
    ("opentelemetry", &["telemetry"]),
    ("notify", &["mailbox-store"]),
    ("crc32c", &["queue"]),
];

/// What decisions and nouns may not name: the world outside.
const IMPURE: [&str; 10] = [
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "tokio::",
    "tracing::",
    "rand::",
    "async fn",
];

fn band(krate: &str) -> Option<usize> {
    BANDS.iter().position(|(_, crates)| crates.contains(&krate))
}

/// Dependencies of each workspace crate, those of tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    manifests().into_iter().map(|manifest| (manifest.name, manifest.dependencies.into_iter().collect())).collect()
}

#[test]
fn every_crate_has_its_band() {
    let homeless: Vec<_> = dependencies().into_keys().filter(|krate| band(krate).is_none()).collect();
    assert!(homeless.is_empty(), "give these a band: {homeless:?}");
}

#[test]
fn arrows_point_downwards() {
    let mut wrong = Vec::new();
    for (krate, dependencies) in dependencies() {
        for dependency in dependencies.iter().filter(|dependency| band(dependency).is_some()) {
            let within = WITHIN.iter().any(|(from, to)| *from == krate && to.contains(&dependency.as_str()));
            if band(dependency) >= band(&krate) && !within {
                wrong.push(format!("{krate} → {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden arrows: {wrong:#?}");
}

#[test]
fn only_transport_holds_a_queue() {
    // Invariant 2. The program names it to say on which disk a spool is; tests give it another one.
    let holders: Vec<_> = dependencies()
        .into_iter()
        .filter(|(_, dependencies)| dependencies.contains("queue"))
        .map(|(krate, _)| krate)
        .collect();
    let allowed = ["transport", "postroad", "integration"];
    assert!(holders.iter().all(|krate| allowed.contains(&krate.as_str())), "{holders:?}");
}

#[test]
fn each_outside_thing_has_one_owner() {
    let mut wrong = Vec::new();
    for (krate, dependencies) in dependencies() {
        for (thing, owners) in OWNERS {
            if dependencies.contains(thing) && !owners.contains(&krate.as_str()) && band(&krate) < Some(5) {
                wrong.push(format!("{krate} names {thing}, which belongs to {owners:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nouns_and_decisions_do_no_io() {
    // Invariant 6.
    let pure: BTreeSet<&str> = BANDS[..2].iter().flat_map(|(_, crates)| crates.iter().copied()).collect();
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| pure.contains(source.krate.as_str()) && !source.is_test()) {
        for (number, line) in
            source.product_text().lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for thing in IMPURE.iter().filter(|thing| line.contains(**thing)) {
                wrong.push(format!("{}:{}: {thing}", source.path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn program_and_tests_are_built_of_the_same_crates() {
    // A feature that only tests ask for makes another crate of tokio, and of everything that stands on it: the first
    // `make test` after `make demo` would compile them all again.
    let all = features(&["--workspace", "--edges", "normal,dev"]);
    let mut wrong = Vec::new();
    for (krate, features) in features(&["--package", "postroad", "--edges", "normal"]) {
        if all.get(&krate) != Some(&features) {
            wrong.push(format!("{krate}: {features}; the workspace takes {:?}", all.get(&krate)));
        }
    }
    let advice = "add the features in Cargo.toml, and name the crate in crates/postroad/Cargo.toml if nobody does";
    assert!(wrong.is_empty(), "{advice}: {wrong:#?}");
}
