//! The layers: nouns ← decisions ← edges ← services ← programs. Arrows point downwards only, each edge owns one outside
//! thing, services never know each other, and decisions do no I/O.

use std::collections::{BTreeMap, BTreeSet};

use tidy::{features, manifests, sources};

/// Bands from the bottom up; a crate may know crates of lower bands, and those of its own band that are listed.
const BANDS: [(&str, &[&str]); 7] = [
    ("nouns", &["envelope", "topology"]),
    (
        "decisions",
        &[
            "message",
            "smtp-session",
            "routing",
            "categorizer",
            "scheduler",
            "pressure",
            "authority",
            "inquiry",
            "map",
            "shell",
        ],
    ),
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
            "ldap",
            "kerberos",
            "admin-api",
            "telemetry",
            "logs",
            "runtime",
            "reception",
            "sending",
            "handover",
            "agents",
            "perimeter",
            "import",
        ],
    ),
    ("services", &["frontend-transport", "transport", "mailbox-submission", "mailbox-delivery", "admin", "controller"]),
    ("faces", &["cmdlets", "admin-centre"]),
    ("programs", &["lab", "postroad"]),
    ("tests", &["testkit", "tidy", "fuzz", "integration", "bench"]),
];

/// Arrows within a band.
const WITHIN: [(&str, &[&str]); 20] = [
    ("topology", &["envelope"]),
    ("categorizer", &["message", "routing"]),
    ("scheduler", &["routing"]),
    ("inquiry", &["categorizer", "routing"]),
    ("map", &["categorizer", "inquiry", "routing"]),
    ("smtp", &["kerberos", "net"]),
    ("logs", &["smtp"]),
    ("rpc", &["net", "smtp"]),
    ("ldap", &["net"]),
    ("admin-api", &["directory", "logs", "net", "organization", "rpc"]),
    ("directory", &["organization"]),
    ("import", &["organization"]),
    ("runtime", &["directory", "ldap", "logs", "net", "rpc", "telemetry"]),
    ("reception", &["directory", "ldap", "net", "rpc", "runtime", "smtp", "telemetry"]),
    ("sending", &["directory", "kerberos", "net", "rpc", "runtime", "smtp"]),
    ("handover", &["net", "rpc", "runtime"]),
    ("agents", &["net", "rpc"]),
    ("perimeter", &["admin-api", "directory", "net", "organization", "rpc"]),
    ("postroad", &["lab"]),
    ("integration", &["testkit"]),
];

/// Outside things and the only crates that may name them.
const OWNERS: [(&str, &[&str]); 40] = [
    ("etcd-client", &["directory"]),
    ("ldap3", &["ldap"]),
    ("libgssapi", &["kerberos"]),
    ("rusqlite", &["directory"]),
    ("argon2", &["directory"]),
    ("hickory-resolver", &["net"]),
    ("hickory-proto", &["net", "lab"]),
    ("hickory-server", &["lab"]), // the simulated internet's name server
    ("rustls", &["net"]),
    ("rustls-native-certs", &["net"]),
    ("rustls-pki-types", &["net"]),
    ("rustls-webpki", &["net"]),
    ("hyper", &["net"]),
    ("hyper-util", &["net"]),
    ("http-body-util", &["net"]),
    ("tokio-rustls", &["net"]),
    ("aws-lc-rs", &["net", "directory"]), // handshakes, and the seal of credentials
    ("rcgen", &["net", "authority"]),
    ("x509-parser", &["net", "authority"]),
    ("socket2", &["net"]),
    ("landlock", &["runtime"]),
    ("seccompiler", &["runtime"]),
    ("tonic", &["rpc", "admin-api", "lab"]), // the lab receives traces by it
    ("tonic-prost", &["rpc", "admin-api"]),
    ("prost", &["rpc", "admin-api"]),
    ("axum", &["telemetry", "admin-centre"]),
    ("mail-parser", &["message"]),
    ("mail-send", &["lab"]), // a client that knows nothing of our sender
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry-proto", &["lab"]),
    ("tracing-subscriber", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("notify", &["directory", "mailbox-store"]),
    ("inotify", &["lab"]), // it tries how much of it there is
    ("crc32c", &["queue"]),
    ("kube", &["controller"]),
    ("k8s-openapi", &["controller"]),
    ("clap", &["postroad"]),
    ("rustyline", &["postroad"]),
];

/// What must never be known, directly or through others. Names that are no crates yet are doors kept shut before they are
/// built.
const NEVER: [(&[&str], &[&str]); 17] = [
    (FACES, &["queue", "frontend-transport", "transport", "mailbox-submission", "mailbox-delivery"]),
    (&["cmdlets", "admin-centre"], &["directory", "etcd-client", "rusqlite"]),
    (&["cmdlets"], &["admin-centre"]),
    (&["admin-centre"], &["cmdlets", "shell"]),
    (&["inquiry", "map"], &["directory", "lab", "terminal_size", "clap", "net", "rpc"]),
    (&["shell"], &["envelope", "topology", "organization"]),
    (&["smtp", "smtp-session"], &["logs", "tracking"]),
    (&["scheduler"], &["redundancy"]),
    (&["redundancy"], &["scheduler", "queue", "rpc"]),
    (&["perimeter"], &["runtime", "queue", "transport"]),
    (SERVICES, &["inquiry", "map", "shell", "cmdlets", "admin-centre", "lab", "postroad", "clap"]),
    // Whoever takes mail from outside cannot even ask for a change.
    (&["frontend-transport", "mailbox-submission", "reception", "sending"], &["admin-api", "admin"]),
    (&["rpc"], &["admin-api", "directory", "logs"]),
    (&["admin-api"], &["queue", "mailbox-store", "runtime", "routing"]),
    (&["admin"], &["queue", "mailbox-store", "reception", "sending"]),
    // It changes the organization and carries no mail.
    (&["controller"], &["admin-api", "net", "queue", "mailbox-store", "rpc", "runtime", "routing"]),
    (&["queue", "mailbox-store"], &["routing", "scheduler", "categorizer", "rpc", "smtp"]),
];

/// What administrators see; it asks, and holds nothing.
const FACES: &[&str] = &["cmdlets", "admin-centre"];
const SERVICES: &[&str] = BANDS[3].1;

/// Files that name sockets outside of `net`, and why. The list only shrinks.
const SOCKETS: [(&str, &str); 7] = [
    ("crates/telemetry/src/operations.rs", "axum serves /metrics on a socket of its own; telemetry stands beside net"),
    ("crates/telemetry/src/probe.rs", "asks such an endpoint, in three lines of HTTP"),
    ("crates/lab/src/internet.rs", "the simulated internet: other hosts, which know nothing of net"),
    ("crates/lab/src/traces/receiver.rs", "the lab's collector of traces"),
    ("crates/lab/src/world/network.rs", "free ports for the processes of the lab"),
    ("crates/lab/src/world/links.rs", "cables between the lab's servers, which can be cut"),
    ("crates/lab/src/world/backend.rs", "whether the lab's etcd listens"),
];

/// Dependencies that no source names, and why they stand there.
const UNNAMED: [(&str, &str); 7] = [
    ("directory", "nix"),   // in testkit's etcd.rs, which its tests include
    ("rpc", "prost"),       // in what is generated from proto
    ("rpc", "tonic-prost"), // the same
    ("admin-api", "prost"),
    ("admin-api", "tonic-prost"),
    ("postroad", "regex-syntax"),
    ("postroad", "rustix"), // both for their features: see the test of features
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
    let allowed = ["transport", "postroad", "fuzz", "integration"];
    assert!(holders.iter().all(|krate| allowed.contains(&krate.as_str())), "{holders:?}");
}

#[test]
fn each_outside_thing_has_one_owner() {
    let mut wrong = Vec::new();
    for (krate, dependencies) in dependencies() {
        for (thing, owners) in OWNERS {
            if dependencies.contains(thing) && !owners.contains(&krate.as_str()) && band(&krate) < Some(6) {
                wrong.push(format!("{krate} names {thing}, which belongs to {owners:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_must_never_be_known_is_not() {
    let direct = dependencies();
    let mut wrong = Vec::new();
    for (who, never) in NEVER {
        for krate in who {
            let known = known_by(krate, &direct);
            wrong
                .extend(never.iter().filter(|thing| known.contains(**thing)).map(|thing| format!("{krate} → {thing}")));
        }
    }
    assert!(wrong.is_empty(), "these must not know of each other: {wrong:#?}");
}

/// Everything that a crate depends on, through others too.
fn known_by<'a>(krate: &'a str, direct: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    let mut todo = vec![krate];
    while let Some(next) = todo.pop() {
        let new = direct.get(next).into_iter().flatten().map(String::as_str).filter(|one| known.insert(*one));
        todo.extend(new.collect::<Vec<_>>());
    }
    known
}

#[test]
fn sockets_belong_to_net() {
    let names = ["TcpStream", "TcpListener", "TcpSocket", "UdpSocket", "UnixStream", "UnixListener", "UnixDatagram"];
    let product = sources().into_iter().filter(|source| !source.is_test() && source.path.starts_with("crates"));
    let mut wrong = Vec::new();
    for source in product.filter(|source| source.krate != "net") {
        let names_one = source.code().lines().any(|line| names.iter().any(|name| line.contains(name)));
        let known = SOCKETS.iter().any(|(path, _)| source.path.ends_with(path));
        if names_one && !known {
            wrong.push(source.path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "sockets are net's: {wrong:#?}");
}

#[test]
fn every_dependency_is_used() {
    let sources = sources();
    let mut idle = Vec::new();
    for manifest in manifests() {
        let own = |tests: bool| {
            let folder = if tests { manifest.folder.clone() } else { manifest.folder.join("src") };
            sources.iter().filter(move |source| source.path.starts_with(&folder))
        };
        let named = |dependency: &str, tests: bool| {
            let name = dependency.replace('-', "_");
            let text = |source: &tidy::Source| if tests { source.text.clone() } else { source.code() };
            own(tests).any(|source| names(&text(source), &name))
        };
        let known = |dependency: &str| UNNAMED.contains(&(manifest.name.as_str(), dependency));
        let product = manifest.dependencies.iter().filter(|one| !named(one, false) && !known(one));
        idle.extend(product.map(|one| format!("{}: {one}", manifest.name)));
        let tests = manifest.test_dependencies.iter().filter(|one| !named(one, true) && !known(one));
        idle.extend(tests.map(|one| format!("{}, in tests: {one}", manifest.name)));
    }
    assert!(idle.is_empty(), "nobody names these: {idle:#?}");
}

/// Whether a text says `name` as a word.
fn names(text: &str, name: &str) -> bool {
    let part = |one: char| one.is_alphanumeric() || one == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(part) && !text[at + name.len()..].chars().next().is_some_and(part)
    })
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
